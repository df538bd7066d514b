"""Changes of an export that only look like one, or hide behind an expression: which of them would break."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.contract_check import Finding, compare
from flows.contract_profile import profile_export
from flows.ingest import open_export
from flows.sources.column_profile import profile_from
from tests.conftest import settings_in
from tests.flows.tiny_shop import MAPPING, NOW, Row, sale, write_shop

VIENNA = MAPPING.replace("currency =", 'timezone = "Europe/Vienna"\ncurrency =')
#: Most sales are before noon.
HOURS = (9, 9, 9, 10, 10, 11, 11, 12, 14, 16)


def _sales(moment: Callable[[datetime], str] = str, day: int = 1) -> list[Row]:
    """Ninety sales of three summer weeks, a tenth of them looks."""
    rows = []
    for number in range(90):
        at = datetime(2026, 7, day + number % 20, HOURS[number % 10], number % 60)
        looked = number % 10 == 3
        rows.append(
            sale(
                sold_at=moment(at),
                customer=f"card-{number % 40}",
                sku="AB"[number % 2] + str(1 + number % 2),
                action="looked" if looked else "bought",
                qty=str(1 + number % 3),
                line_total=f"{(1 + number % 3) * (2 + number % 5):.2f}",
                till=str(1 + number % 5),
            )
        )
    return rows


def _findings(
    folder: Path, old: list[Row], new: list[Row], mapping: str = MAPPING, people: tuple[str, str] | None = None
) -> list[Finding]:
    settings = settings_in(folder / "home")
    shops = [write_shop(folder / name, rows, mapping) for name, rows in (("old", old), ("new", new))]
    for shop, text in zip(shops, people or (), strict=False):
        (Path(shop).parent / "users.csv").write_text(text)
    exports = [open_export(settings, shop, None, None, None) for shop in shops]
    before, after = (profile_export(export, "salt", NOW) for export in exports)
    return compare(exports[0].mapping, before, after)


def _wishes() -> list[Row]:
    return [row | {"action": "Wishlist"} if number % 7 == 0 else row for number, row in enumerate(_sales(day=5))]


@pytest.mark.parametrize("expression", ["'\"action\"'", '"lower(action)"', '"lower(trim(r.action))"'])
def test_a_new_event_type_is_told_as_the_expression_reads_it(tmp_path: Path, expression: str):
    mapping = MAPPING.replace('event_type = "action"', f"event_type = {expression}")
    (finding,) = _findings(tmp_path, _sales(), _wishes(), mapping)
    word = "wishlist" if "lower" in expression else "Wishlist"
    assert (finding.breaks, finding.place) == (True, "events: action")
    assert finding.what == f"a new event type: {word}; its rows would be held"


@pytest.mark.parametrize(
    ("old", "new"),
    [("event_type = \"case when action = 'looked' then 'view' else 'purchase' end\"", ""), ("", "where")],
)
def test_words_that_the_mapping_reads_or_leaves_out_are_no_new_event_types(tmp_path: Path, old: str, new: str):
    mapping = MAPPING.replace('event_type = "action"', old) if old else MAPPING
    mapping = mapping.replace("[events]\n", "[events]\nwhere = \"action <> 'Wishlist'\"\n") if new else mapping
    assert _findings(tmp_path, _sales(), _wishes(), mapping) == []


def _zoned(at: datetime) -> str:
    return f"{at}+02:00"


def _utc(at: datetime) -> str:
    return f"{at - timedelta(hours=2):%Y-%m-%dT%H:%M:%S}Z"


@pytest.mark.parametrize(
    ("mapping", "old", "new", "moved"),
    [
        (MAPPING, _zoned, str, "+2"),  # the offset goes, and the mapping takes such times for UTC
        (VIENNA, _zoned, str, None),
        (VIENNA, str, _utc, None),  # the offset comes, and says the same moments
        (VIENNA, str, _zoned, None),
        (MAPPING, str, _zoned, "-2"),  # the clock on the wall was taken for UTC
        (MAPPING, _zoned, _utc, None),
        (MAPPING, _zoned, lambda at: f"{at}+01:00", None),  # winter
        (MAPPING, str, lambda at: str(at + timedelta(hours=3)), "+3"),
    ],
)
def test_hours_are_held_against_those_before_as_they_are_read(
    tmp_path: Path, mapping: str, old: Callable[[datetime], str], new: Callable[[datetime], str], moved: str | None
):
    findings = _findings(tmp_path, _sales(old), _sales(new, day=5), mapping)
    expected = [f"the hours of the day moved by {moved}: another time zone?"] if moved else []
    assert [finding.what for finding in findings] == expected


def test_a_profile_of_before_says_nothing_of_offsets(tmp_path: Path):
    settings = settings_in(tmp_path / "home")
    export = open_export(settings, write_shop(tmp_path, _sales(_zoned)), None, None, None)
    column = profile_export(export, "salt", datetime(2026, 8, 1, tzinfo=UTC)).columns["events"][0]
    assert column.offsets == (2.0,)
    record = column.as_record()
    assert profile_from(record) == column
    del record["offsets"]
    assert profile_from(record).offsets is None


def test_a_new_name_is_that_of_the_column_which_the_mapping_uses(tmp_path: Path):
    order = ("till", "sold_at", "customer", "sku", "action", "qty", "line_total")
    old = [{name: row[name] for name in order} for row in _sales()]
    new = [{"menge" if name == "qty" else name: row[name] for name in order[1:]} for row in _sales(day=5)]
    findings = {finding.place: finding for finding in _findings(tmp_path, old, new)}
    assert "seems to be called menge now" in findings["events: qty"].what
    assert findings["events: till"].what == "the column is gone; the mapping does not use it"


def test_a_table_without_rows_breaks_only_where_the_mapping_does_not_allow_it(tmp_path: Path):
    mapping = MAPPING + '\n[users]\nfiles = "users.csv"\ncolumns = { user_id = "customer" }\n'
    people = ("customer\ncard-1\n", "customer\n")
    refused = _findings(tmp_path / "refused", _sales(), _sales(day=5), mapping, people)
    assert [(finding.breaks, finding.place) for finding in refused] == [(True, "users")]
    allowed = _findings(
        tmp_path / "allowed", _sales(), _sales(day=5), mapping.replace("currency", 'empty = "allow"\ncurrency'), people
    )
    assert [(finding.breaks, finding.place) for finding in allowed] == [(False, "users")]
