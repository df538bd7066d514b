"""How an ingest scales: rows/s, memory, the share of each stage, and what the same rows cost two others.

The peers: a bare DuckDB that reads, filters and writes the same file, and pandas with a naive Great Expectations suite
over it, once only judged and written, once with all that an ingest does (benchmarks/naive_ingest.py). Rows are Complete
Journey's real baskets, resampled (benchmarks/resampled_shop.py).

Run: python -m benchmarks.ingest [--events 1000000 10000000] [--peer-up-to 1500000]. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.ingest_cost import EVENT_PARTS, STAGES, Cost, ingest, validate
from benchmarks.naive_ingest import judge_only, whole_job
from benchmarks.resampled_shop import write_export
from expectations.suites import profile_context
from flows.connection import literal
from flows.settings import load_settings
from flows.sources.mapping import load_mapping
from flows.sources.staging import Export

GOALS = {"memory_gib": 4.0, "bare_ratio": 3.0, "naive_ratio": 10.0, "validation_share": 0.10}


@dataclass(frozen=True)
class Measured:
    """One size: event rows, seconds of the whole ingest, of the events alone (the peers read no more) and of the peers.

    `wall` is by the clock, `cpu` over all threads. `peak_gib` is the memory of the ingest's process.
    """

    rows: int
    wall_s: float
    cpu_s: float
    events_wall_s: float
    events_cpu_s: float
    parts_cpu_s: dict[str, float]
    peak_gib: float
    bare_wall_s: float
    bare_cpu_s: float
    naive_wall_s: float | None = None
    naive_cpu_s: float | None = None
    whole_naive_wall_s: float | None = None
    whole_naive_cpu_s: float | None = None


def main() -> None:
    """Make each export, ingest it in a process of its own, let the peers do theirs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--peer-up-to", type=int, default=1_500_000, help="pandas keeps all rows in memory: not beyond")
    parser.add_argument("--folder", type=Path, default=None, help="where exports and lakes are made (and removed)")
    arguments = parser.parse_args()
    found = []
    for events in arguments.events:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(f"{events:,} events: making the export", file=sys.stderr, flush=True)
            file = write_export(Path(folder) / "export", events)
            ours = _apart(_ingest, Path(folder))
            peers = {"bare": _bare}
            if events <= arguments.peer_up_to:
                peers |= {"naive": judge_only, "whole_naive": whole_job}
            for name, job in peers.items():
                wall, cpu = _apart(partial(_seconds, job), file)
                ours |= {f"{name}_wall_s": wall, f"{name}_cpu_s": cpu}
            found.append(Measured(**ours))
            print(f"{events:,} events: {found[-1].cpu_s:.0f} s of CPU", file=sys.stderr, flush=True)
    _print(found)


def _apart(function: Any, argument: Path) -> Any:
    """Call in a fresh process: its peak memory is then that of this call alone."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, argument).result()


def _ingest(folder: Path) -> dict[str, Any]:
    settings = load_settings({"AISLE_HOME": str(folder / "home")})
    mapping = load_mapping("complete_journey", {"home": str(folder), "spool": str(settings.spool_path)})
    staging, cost, now = folder / "staging", Cost({}), datetime.now(UTC)
    staging.mkdir()
    profile_context()  # imports and starts Great Expectations once, as a process does for all tables
    staged = ingest(settings, Export(mapping, folder / "export"), staging, cost, now)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    verdicts = validate(staged, staging, cost, now)
    events_wall, events_cpu = (sum(cost.parts[name][clock] for name in EVENT_PARTS) for clock in (0, 1))
    return {
        "rows": next(verdict.rows for verdict in verdicts if verdict.table == "events"),
        "wall_s": cost.total(0),
        "cpu_s": cost.total(1),
        "events_wall_s": events_wall,
        "events_cpu_s": events_cpu,
        "parts_cpu_s": {name: seconds[1] for name, seconds in cost.parts.items()},
        "peak_gib": peak,
    }


def _seconds(job: Callable[[Path], None], file: Path) -> tuple[float, float]:
    """Seconds that a peer takes, by the clock and of CPU; Great Expectations is started before."""
    profile_context()
    cost = Cost({})
    cost.of("job", partial(job, file))
    return cost.parts["job"]


def _bare(file: Path) -> None:
    """A bare DuckDB: read, filter, write, and nothing proven."""
    target = file.with_name("bare.parquet")
    duckdb.execute(
        f"copy (select * from read_parquet({literal(str(file))}) where quantity > 0 and sales_value > 0) "
        f"to {literal(str(target))} (format parquet)"
    )
    target.unlink()


def _print(found: list[Measured]) -> None:
    print(f"{'events':>12}{'wall s':>9}{'CPU s':>9}{'rows/CPU s':>12}{'peak GiB':>10}", end="")
    print("".join(f"{name:>10}" for name in (*STAGES, "validate")) + f"{'÷ bare':>9}{'naive ÷':>9}", end="")
    print(f"{'events ÷ bare':>15}{'naive ÷ events':>16}{'whole naive ÷ events':>22}")
    for one in found:
        shares = "".join(f"{one.parts_cpu_s[name] / one.cpu_s:>10.1%}" for name in (*STAGES, "validate"))
        naive = f"{one.naive_cpu_s / one.cpu_s:.2f}" if one.naive_cpu_s else "-"
        print(
            f"{one.rows:>12,}{one.wall_s:>9.1f}{one.cpu_s:>9.1f}{one.rows / one.cpu_s:>12,.0f}{one.peak_gib:>10.2f}",
            end="",
        )
        alone = f"{one.naive_cpu_s / one.events_cpu_s:.2f}" if one.naive_cpu_s else "-"
        whole = f"{one.whole_naive_cpu_s / one.events_cpu_s:.2f}" if one.whole_naive_cpu_s else "-"
        print(f"{shares}{one.cpu_s / one.bare_cpu_s:>9.1f}{naive:>9}", end="")
        print(f"{one.events_cpu_s / one.bare_cpu_s:>15.1f}{alone:>16}{whole:>22}")
        naive = (
            f", the whole naive job {one.whole_naive_wall_s / one.events_wall_s:.1f} x"
            if one.whole_naive_wall_s
            else ""
        )
        print(f"by the clock: events {one.events_wall_s / one.bare_wall_s:.1f} x bare{naive} of the events")
    print(
        "validate is a part of judge; events: without the other tables, which the peers do not read. Goals: "
        + ", ".join(f"{name} {goal:g}" for name, goal in GOALS.items())
    )
    first, last = found[0], found[-1]
    if len(found) > 1:
        growth = (last.cpu_s / first.cpu_s) / (last.rows / first.rows)
        print(f"CPU time of {last.rows:,} against {first.rows:,} rows: {growth:.2f} of what linear growth would be.")
    print(
        json.dumps(
            {
                "benchmark": "ingest",
                "goals": GOALS,
                "sizes": [asdict(one) for one in found],
            }
        )
    )


if __name__ == "__main__":
    main()
