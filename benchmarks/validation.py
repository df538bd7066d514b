"""What validation costs: its share of an ingest (limit 10 %), and a naive pandas suite on the same rows as peer.

Run: python -m benchmarks.validation [--source complete_journey]. The last line is JSON.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe

from expectations.suites import profile_context
from expectations.validate import References, Verdict, check_table, held_rows
from feature_repo.schema import EVENTS, TABLES
from flows import judging, landing
from flows.connection import connect
from flows.settings import Settings, load_settings
from flows.sources.mapping import load_mapping
from flows.sources.staging import Export, StagedTable, stage_table

LIMIT = 0.10
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


def main() -> None:
    """Ingest a source in a new home, time each part, then let the peer judge the same events."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="complete_journey")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings({"AISLE_HOME": home})
        export = Export(load_mapping(arguments.source, {"home": home, "spool": str(settings.spool_path)}))
        cost, now = Cost({}), datetime.now(UTC)
        profile_context()  # imports and starts Great Expectations once, as a process does for all tables
        with landing.staging_folder(settings) as folder:
            staged = _ingest(settings, export, folder, cost, now)
            verdicts = _validate(staged, folder, cost, now)
            _print_parts(cost, verdicts)
            failed_by_peer = _peer(staged, folder, cost, now)
    _print_result(arguments.source, cost, verdicts, failed_by_peer)


def _ingest(settings: Settings, export: Export, folder: Path, cost: Cost, now: datetime) -> list[StagedTable]:
    """Stage, judge and land as `aisle ingest` does, without Prefect around it (which only makes the share smaller)."""
    names = sorted(export.mapping.tables, key=lambda name: name != "events")
    key = settings.pseudonym_key
    staged = cost.of("stage", lambda: [stage_table(export, name, folder, key) for name in names])
    judged = cost.of("judge", lambda: judging.judge_tables(settings, export.mapping, staged, folder, now))
    for table in judged:
        cost.of("land", lambda table=table: landing.land_table(settings, export.mapping, table, now))
    return staged


def _validate(staged: list[StagedTable], folder: Path, cost: Cost, now: datetime) -> list[Verdict]:
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
    return verdicts


def _peer(staged: list[StagedTable], folder: Path, cost: Cost, now: datetime) -> int:
    """The naive way: all events as a pandas frame, and one expectation a column rule over all rows.

    It checks less: no catalogue, no NaN, no business sentences. Returns how many expectations failed.
    """
    connection = connect(folder)
    for table in staged:
        judging.open_staged(connection, table, now)
    suite = gx.ExpectationSuite(name="naive", expectations=_naive_expectations(now))

    def judge() -> int:
        frame = connection.execute("select * exclude (_row) from staged_events").df()
        asset = profile_context().data_sources.add_pandas("naive").add_dataframe_asset("events")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
        return sum(not result.success for result in batch.validate(suite, result_format="BASIC").results)

    return cost.of("peer", judge)


def _naive_expectations(now: datetime) -> list[gxe.Expectation]:
    found: list[gxe.Expectation] = []
    latest = pd.Timestamp(now) + pd.Timedelta(days=1)
    for column in EVENTS.columns:
        if not column.nullable:
            found.append(gxe.ExpectColumnValuesToNotBeNull(column=column.name))
        if column.unique:
            found.append(gxe.ExpectColumnValuesToBeUnique(column=column.name))
        if column.allowed:
            found.append(gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.allowed)))
        if column.minimum is not None:
            bounds = {"min_value": column.minimum, "max_value": column.maximum}
            found.append(gxe.ExpectColumnValuesToBeBetween(column=column.name, **bounds))
        if column.dtype == "timestamp":
            found.append(gxe.ExpectColumnValuesToBeBetween(column=column.name, max_value=latest.to_pydatetime()))
    return found


def _print_parts(cost: Cost, verdicts: list[Verdict]) -> None:
    print(f"{'table':<10}{'rows':>12}{'held':>10}{'checks':>8}  verdict")
    for verdict in verdicts:
        word = "passed" if verdict.passed else "refused"
        print(f"{verdict.table:<10}{verdict.rows:>12,}{verdict.rows_held:>10,}{len(verdict.checks):>8}  {word}")
    print(f"\n{'part':<44}{'wall s':>8}{'CPU s':>8}")
    notes = {"judge": "judge (validation and window hashes)", "validate": "of which validation, timed alone"}
    for name, (wall, cpu) in cost.parts.items():
        print(f"{notes.get(name, name):<44}{wall:>8.2f}{cpu:>8.2f}")


def _print_result(source: str, cost: Cost, verdicts: list[Verdict], failed_by_peer: int) -> None:
    ingest = [sum(cost.parts[name][clock] for name in ("stage", "judge", "land")) for clock in (0, 1)]
    wall, cpu = cost.parts["validate"]
    peer_wall, peer_cpu = cost.parts["peer"]
    events = next(verdict for verdict in verdicts if verdict.table == "events")
    share = cpu / ingest[1]
    word = "within" if share <= LIMIT else "above"
    print(f"{'ingest (stage, judge, land)':<44}{ingest[0]:>8.2f}{ingest[1]:>8.2f}")
    print(f"\nValidation is {100 * share:.1f} % of ingest CPU time: {word} the limit of {100 * LIMIT:.0f} %.")
    print(
        f"Peer, pandas with Great Expectations over events alone: {peer_wall:.2f} s wall, {peer_cpu:.2f} s CPU, "
        f"{peer_cpu / cpu:.1f} times the validation of all tables ({failed_by_peer} of its expectations failed)."
    )
    figures = {
        "benchmark": "validation",
        "source": source,
        "rows": events.rows,
        "checks": sum(len(verdict.checks) for verdict in verdicts),
        "validation_cpu_s": round(cpu, 2),
        "validation_wall_s": round(wall, 2),
        "ingest_cpu_s": round(ingest[1], 2),
        "ingest_wall_s": round(ingest[0], 2),
        "share": round(share, 4),
        "limit": LIMIT,
        "within_limit": share <= LIMIT,
        "peer_cpu_s": round(peer_cpu, 2),
        "peer_ratio": round(peer_cpu / cpu, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
