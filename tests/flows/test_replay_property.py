"""Corrupt, hold, mend, replay: whatever was corrupted and in whatever order it came, the end is that of clean data.

Compared by content: the lake, every feature table and every online value, but for known_at and created_timestamp.
"""

import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from feature_repo.features import FEATURE_VIEWS, USER_SERVICE, USER_VIEWS
from flows.feature_store import feature_store
from flows.feature_tables import build_tables, snapshot_path
from flows.online_rows import load_view
from flows.quarantine import Selection
from flows.replay import replay_held
from flows.settings import Settings
from flows.sources.mapping import load_mapping
from flows.touched_features import refresh_touched
from tests.conftest import settings_in
from tests.flows.tiny_shop import LATER, MAPPING, PRODUCTS, Row, land, rows_of, sale, write_csv, write_shop

pytestmark = pytest.mark.slow

SERVING = datetime(2026, 10, 6, tzinfo=UTC)
JAM = {"sku": "C3", "name": "Plum jam", "shelf": "Jam", "price": "3.10"}
MENDED = (
    MAPPING.replace('bought = "purchase"', 'bought = "purchase", sold = "purchase"')
    .replace('event_id = ["user', 'time_format = ["iso", "%d.%m.%Y %H:%M:%S"]\nevent_id = ["user')
    .replace('numbers = ["qty", "line_total"]', 'numbers = ["line_total"]')
    .replace('quantity = "qty"', "quantity = \"replace(qty, ' pcs', '')\"")
    .replace("nullif(qty, 0)", "nullif(try_cast(replace(qty, ' pcs', '') as double), 0)")
)


def german_time(row: Row) -> Row:
    moment = datetime.fromisoformat(row["sold_at"])
    return row | {"sold_at": f"{moment:%d.%m.%Y %H:%M:%S}"}


#: What can be wrong with a raw row. The mapping, the catalogue or (last) the export itself is mended.
CORRUPTIONS = {
    "nothing": lambda row: row,
    "an unknown word": lambda row: row | {"action": "sold"},
    "another time format": german_time,
    "a unit in a number": lambda row: row | {"qty": f"{row['qty']} pcs"},
    "an amount that cannot be": lambda row: row | {"line_total": "-4"},
}
BY_THE_EXPORT = "an amount that cannot be"
#: A row that nothing happens to, of the export that brings the mended ones.
LAST = sale(sold_at="2026-10-05 23:59:59", customer="card-1")


@dataclass(frozen=True)
class Story:
    """Clean rows, how each is corrupted, and the exports in which the corrupted ones come, in their order."""

    clean: list[Row]
    kinds: list[str]
    exports: list[list[int]]

    @property
    def corrupted(self) -> list[Row]:
        return [CORRUPTIONS[kind](row) for kind, row in zip(self.kinds, self.clean, strict=True)]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    count = draw(st.integers(8, 14))
    clean = []
    for number in range(count):
        day, hour = draw(st.integers(1, 5)), draw(st.sampled_from([0, 9, 23]))
        quantity = draw(st.integers(1, 3))
        clean.append(
            sale(
                sold_at=f"2026-10-0{day} {hour:02}:{number:02}:00",
                customer=f"card-{draw(st.integers(1, 3))}",
                sku=draw(st.sampled_from(["A1", "B2", "C3"])),
                qty=str(quantity),
                line_total=f"{quantity * draw(st.sampled_from([0.5, 1.25, 4]))}",
            )
        )
    kinds = [draw(st.sampled_from(sorted(CORRUPTIONS))) for _ in clean]
    order = draw(st.permutations(range(count)))
    cut = draw(st.integers(1, count - 1))
    return Story(clean, kinds, [order[:cut], order[cut:]])


def twin(folder: Path, name: str) -> Settings:
    return replace(settings_in(folder / name), pseudonym_key=b"one key")


def serve(settings: Settings) -> None:
    build_tables(settings, dict.fromkeys(FEATURE_VIEWS, (SERVING,)))
    for view in USER_VIEWS:
        load_view(settings, view.name, SERVING)


def corrupt_and_heal(story: Story, folder: Path, served: bool) -> Settings:
    """The corrupted exports come one by one, their catalogue without the jam; then all is mended and replayed."""
    settings = twin(folder, "healed")
    for number, rows in enumerate(story.exports):
        land(settings, write_shop(folder / f"export-{number}", [story.corrupted[row] for row in rows]))
    if served and rows_of(settings, "events"):
        serve(settings)
    mended = [row for kind, row in zip(story.kinds, story.clean, strict=True) if kind == BY_THE_EXPORT]
    shop = write_shop(folder / "mended", [*mended, LAST], MENDED)
    write_csv(folder / "mended" / "products.csv", [*PRODUCTS, JAM])
    land(settings, shop, LATER)
    replay_held(settings, load_mapping(shop), Selection(), LATER)
    if served:
        refresh_touched(settings)
    return settings


def clean(story: Story, folder: Path) -> Settings:
    settings = twin(folder, "clean")
    shop = write_shop(folder / "clean-export", [*story.clean, LAST], MENDED)
    write_csv(folder / "clean-export" / "products.csv", [*PRODUCTS, JAM])
    land(settings, shop)
    return settings


def lake_of(settings: Settings) -> list[list[dict[str, object]]]:
    return [rows_of(settings, "events", "known_at"), rows_of(settings, "items", "updated_at")]


def served_of(settings: Settings) -> list[object]:
    tables = [pq.read_table(snapshot_path(settings, view, SERVING)) for view in FEATURE_VIEWS]
    users = tables[0]["user_id"].to_pylist() if "user_id" in tables[0].column_names else []
    store = feature_store(settings)
    people = [
        {"user_id": user} for user in sorted({row["user_id"] for row in rows_of(settings, "events")} | set(users))
    ]
    online = store.get_online_features(store.get_feature_service(USER_SERVICE), people)
    return [*(rows.drop_columns(["created_timestamp"]).to_pylist() for rows in tables), online.to_dict()]


def check(story: Story, served: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        healed, wanted = corrupt_and_heal(story, Path(name), served), clean(story, Path(name))
        assert lake_of(healed) == lake_of(wanted)
        left = [row for row in rows_of(healed, "quarantine") if row["state"] == "held"]
        assert len(left) == story.kinds.count(BY_THE_EXPORT)
        if served:
            serve(wanted)
            if not snapshot_path(healed, "user_history", SERVING).exists():
                serve(healed)
            assert served_of(healed) == served_of(wanted)


def test_the_lake_of_every_corruption_at_once_heals_to_the_clean_one():
    rows = [
        sale(sold_at=f"2026-10-0{1 + n % 4} 10:{n:02}:00", sku=("A1", "C3")[n % 2], customer=f"card-{n % 3}")
        for n in range(10)
    ]
    check(Story(rows, sorted(CORRUPTIONS) * 2, [[3, 8, 0, 5, 1], [9, 2, 7, 4, 6]]), served=False)


@hypothesis_settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(story=stories())
def test_lake_features_and_online_values_of_any_corruption_in_any_order_heal_to_the_clean_ones(story: Story):
    check(story, served=True)
