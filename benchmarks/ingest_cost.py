"""The stages of an ingest, timed one by one: what `aisle ingest` does, without Prefect around it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from expectations.validate import References, Verdict, check_table, held_rows
from feature_repo.schema import TABLES
from flows import judging, landing
from flows.connection import connect
from flows.settings import Settings
from flows.sources.staging import Export, StagedTable, stage_table

STAGES = ("stage", "judge", "land")
#: What the events alone cost: their staging and landing, and the verdicts, of which nearly all is theirs.
EVENT_PARTS = ("stage events", "judge", "land events")
Result = TypeVar("Result")


@dataclass
class Cost:
    """Seconds by part: (wall, CPU over all threads)."""

    parts: dict[str, tuple[float, float]]

    def of(self, name: str, call: Callable[[], Result]) -> Result:
        """Run the call and add its seconds to the part."""
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = call()
        before = self.parts.get(name, (0.0, 0.0))
        self.parts[name] = (before[0] + time.perf_counter() - wall, before[1] + time.process_time() - cpu)
        return outcome

    def total(self, clock: int) -> float:
        """Seconds of all stages of the ingest; clock 0 is the wall's, 1 the CPU's."""
        return sum(self.parts[name][clock] for name in STAGES)


def ingest(settings: Settings, export: Export, folder: Path, cost: Cost, now: datetime) -> list[StagedTable]:
    """Stage, judge and land every table of an export; return the staged tables, the files of which stay in `folder`."""
    names = sorted(export.mapping.tables, key=lambda name: name != "events")
    key = settings.pseudonym_key
    staged = [_of_table(cost, "stage", name, partial(stage_table, export, name, folder, key)) for name in names]
    judged = cost.of("judge", lambda: judging.judge_tables(settings, export.mapping, staged, folder, now))
    for table in judged:
        _of_table(cost, "land", table.staged.table, partial(landing.land_table, settings, export.mapping, table, now))
    return staged


def _of_table(cost: Cost, stage: str, table: str, call: Callable[[], Result]) -> Result:
    """Add the call's seconds to the stage, and to the stage of that table."""
    return cost.of(stage, lambda: cost.of(f"{stage} {table}", call))


def validate(staged: list[StagedTable], folder: Path, cost: Cost, now: datetime) -> list[Verdict]:
    """Validation alone, again, on the rows that were staged: verdicts and held rows of every table."""
    connection = connect(folder)
    for table in staged:
        judging.open_staged(connection, table, now)
    tables = {table.table for table in staged if table.rows}
    catalogue = "staged_items" if "items" in tables else None
    verdicts = []
    for name in TABLES:
        if name not in tables:
            continue
        relation, references = f"staged_{name}", References(catalogue if name == "events" else None, now)
        arguments = (connection, relation, TABLES[name], references)
        verdict = cost.of("validate", lambda arguments=arguments: check_table(*arguments))
        cost.of("validate", lambda arguments=arguments, verdict=verdict: held_rows(*arguments, verdict))
        verdicts.append(verdict)
    connection.close()
    return verdicts
