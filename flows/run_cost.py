"""What a stage of a training run costs: CPU-seconds, bytes read and written, peak memory; kept in the run's outcome."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from flows.memory import MemoryWatch, resident_bytes
from flows.training_runs import TrainingRun, read_outcome, write_outcome

#: Stages of a training in the order in which they run; an outcome is kept sorted by name.
_STAGES = ("inputs", "tournament", "gate")


@dataclass
class Cost:
    """The cost of a stage, filled in when it ends. CPU and memory are those of this process and what it started.

    Bytes are those that this process read and wrote (files and sockets; pages of mapped files are not counted).
    """

    cpu_seconds: float = 0.0
    bytes_read: int = 0
    bytes_written: int = 0
    peak_memory_bytes: int = 0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the block: `with measured() as cost: ...`; a block that fails is not measured."""
    cost, process = Cost(), psutil.Process()
    cpu, (read, written) = sum(process.cpu_times()[:4]), _traffic(process)
    with MemoryWatch() as memory:
        yield cost
    read_now, written_now = _traffic(process)
    cost.cpu_seconds = round(sum(process.cpu_times()[:4]) - cpu, 2)
    cost.bytes_read, cost.bytes_written = read_now - read, written_now - written
    cost.peak_memory_bytes = max(memory.peak_bytes, resident_bytes([]))


def keep_cost(run: TrainingRun, stage: str, cost: Cost) -> None:
    """Write a stage's cost into the run's outcome; a stage that was done again has the cost of its last time."""
    stages = read_outcome(run).get("cost", {})
    write_outcome(run, cost={**stages, stage: asdict(cost)})


def cost_of(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest's `cost`: each stage, the sums of CPU-seconds and bytes, and the largest peak of memory."""
    stages: Mapping[str, Mapping[str, float]] = outcome.get("cost", {})
    sums = ("cpu_seconds", "bytes_read", "bytes_written")
    total = {name: round(sum(stage[name] for stage in stages.values()), 2) for name in sums}
    peak = max((stage["peak_memory_bytes"] for stage in stages.values()), default=0)
    return {**total, "peak_memory_bytes": peak, "stages": dict(stages)}


def cost_table(cost: Mapping[str, Any]) -> str:
    """Render a cost as a markdown table for the run's page."""
    lines = ["| stage | CPU-s | read MB | written MB | peak memory MB |", "|---|---:|---:|---:|---:|"]
    stages = sorted(cost["stages"].items(), key=lambda named: _STAGES.index(named[0]) if named[0] in _STAGES else -1)
    for name, stage in (*stages, ("whole run", cost)):
        read, written, peak = (stage[key] / 1e6 for key in ("bytes_read", "bytes_written", "peak_memory_bytes"))
        lines.append(f"| {name} | {stage['cpu_seconds']:,.1f} | {read:,.1f} | {written:,.1f} | {peak:,.0f} |")
    return "\n".join(lines) + "\n"


def _traffic(process: psutil.Process) -> tuple[int, int]:
    """Return the bytes read and written so far; zeros where the system does not tell (macOS)."""
    if not hasattr(process, "io_counters"):
        return 0, 0
    counters = process.io_counters()
    return int(counters.read_chars), int(counters.write_chars)
