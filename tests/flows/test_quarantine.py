"""The quarantine beside other runs: what two of them hold at once is held once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from flows import quarantine
from flows.connection import connect
from flows.settings import Settings
from tests.flows.tiny_shop import NOW, rows_of


def rows(*raw: str):
    connection = connect()
    said = " union all ".join(
        f"select '2026-10-01' as \"window\", '{each}' as raw, null::varchar as origin, 'typed' as rule, 'odd' as reason"
        for each in raw
    )
    connection.execute(f"create view bad as {said}")
    return quarantine.quarantine_rows(connection, "bad", "events", "corner_shop", NOW)


def test_a_run_that_finds_another_one_before_it_holds_only_what_that_one_did_not(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    replace_windows, others = quarantine.replace_windows, [rows("a", "b")]

    def after_another(*arguments):
        if others:
            assert quarantine.hold(settings, others.pop()) == 2
        replace_windows(*arguments)

    quarantine.hold(settings, rows("z"))
    monkeypatch.setattr(quarantine, "replace_windows", after_another)
    assert quarantine.hold(settings, rows("b", "c")) == 1
    assert sorted(str(row["raw"]) for row in rows_of(settings, "quarantine")) == ["a", "b", "c", "z"]


def test_runs_side_by_side_hold_each_row_once(settings: Settings, tmp_path: Path):
    mine = rows("a", "b", "c")
    with ThreadPoolExecutor(3) as pool:
        held = sum(pool.map(lambda _: quarantine.hold(settings, mine), range(3)))
    assert (held, len(rows_of(settings, "quarantine"))) == (3, 3)


def test_a_row_is_not_freed_by_what_another_section_made_of_it(settings: Settings):
    """Rows held before the section was in their ids have it in their origin."""
    landed, place = rows("a"), quarantine.arrow_schema(quarantine.QUARANTINE).get_field_index("origin")
    first, second = (
        landed.set_column(place, "origin", pa.array([f'{{"section": "events[{n}]"}}'], pa.string())) for n in (0, 1)
    )
    quarantine.hold(settings, second)
    assert quarantine.release(settings, "corner_shop", first, landed.slice(0, 0), NOW) == 0
    assert quarantine.release(settings, "corner_shop", second, second, NOW) == 0
    assert quarantine.release(settings, "corner_shop", second, landed.slice(0, 0), NOW) == 1
