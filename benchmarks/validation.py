"""What validation costs: its share of an ingest (limit 10 %), and a naive pandas suite on the same rows as peer.

Run: python -m benchmarks.validation [--source complete_journey]. The last line is JSON.
"""

import argparse
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import great_expectations as gx

from benchmarks.ingest_cost import Cost, ingest, validate
from benchmarks.naive_suite import naive_expectations
from expectations.suites import profile_context
from expectations.validate import Verdict
from flows import judging, landing
from flows.connection import connect
from flows.settings import load_settings
from flows.sources.mapping import load_mapping
from flows.sources.staging import Export, StagedTable

LIMIT = 0.10


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
            staged = ingest(settings, export, folder, cost, now)
            verdicts = validate(staged, folder, cost, now)
            _print_parts(cost, verdicts)
            failed_by_peer = _peer(staged, folder, cost, now)
    _print_result(arguments.source, cost, verdicts, failed_by_peer)


def _peer(staged: list[StagedTable], folder: Path, cost: Cost, now: datetime) -> int:
    """The naive way: all events as a pandas frame, and one expectation a column rule over all rows.

    It checks less: no catalogue, no NaN, no business sentences. Returns how many expectations failed.
    """
    connection = connect(folder)
    for table in staged:
        judging.open_staged(connection, table, now)
    suite = gx.ExpectationSuite(name="naive", expectations=naive_expectations(now))

    def judge() -> int:
        frame = connection.execute("select * exclude (_row) from staged_events").df()
        asset = profile_context().data_sources.add_pandas("naive").add_dataframe_asset("events")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
        return sum(not result.success for result in batch.validate(suite, result_format="BASIC").results)

    return cost.of("peer", judge)


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
    whole = [cost.total(clock) for clock in (0, 1)]
    wall, cpu = cost.parts["validate"]
    peer_wall, peer_cpu = cost.parts["peer"]
    events = next(verdict for verdict in verdicts if verdict.table == "events")
    share = cpu / whole[1]
    word = "within" if share <= LIMIT else "above"
    print(f"{'ingest (stage, judge, land)':<44}{whole[0]:>8.2f}{whole[1]:>8.2f}")
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
        "ingest_cpu_s": round(whole[1], 2),
        "ingest_wall_s": round(whole[0], 2),
        "share": round(share, 4),
        "limit": LIMIT,
        "within_limit": share <= LIMIT,
        "peer_cpu_s": round(peer_cpu, 2),
        "peer_ratio": round(peer_cpu / cpu, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
