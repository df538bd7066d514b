"""What a model costs, measured in a process of its own: size in memory, time of a request, under hard limits.

Run as a file, not imported: `python -I gate_sandbox.py model.onnx rows.npz ITEMS MEMORY_MIB LATENCY_MS`. It holds numpy
and onnxruntime alone, as serving does, cannot write files, and is stopped when it takes too much memory or time. Prints
one JSON line: load_ms, p99_ms, requests, memory_mib (how much the process grew by loading and answering).
"""

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

REQUESTS = 200
WARM_UP = 10
#: Address space that Python, numpy and onnxruntime take before any model.
OWN_MIB = 4096
CPU_SECONDS = 120


def main(model: str, rows: str, items: int, memory_mib: float, latency_ms: float) -> None:
    """Load the model, answer requests of one row each, print what it took."""
    limit = int((OWN_MIB + memory_mib) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with np.load(rows) as stored:
        inputs = {name: stored[name] for name in stored.files}
    before, began = _peak_mib(), time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    loaded = (time.perf_counter() - began) * 1000
    took = _best_of_three(session, inputs, items, latency_ms)
    answer = {
        "load_ms": loaded,
        "p99_ms": float(np.quantile(took, 0.99)),
        "requests": len(took),
        "memory_mib": _peak_mib() - before,
    }
    print(json.dumps(answer))


def _best_of_three(
    session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray], items: int, latency_ms: float
) -> np.ndarray:
    """Take the try with the best p99, unless most requests are too slow: other work can only add to it."""
    tries: list[np.ndarray] = []
    while len(tries) < 3:
        tries.append(_request_times_ms(session, inputs, items, latency_ms))
        if np.quantile(tries[-1], 0.99) <= latency_ms or np.median(tries[-1]) > latency_ms:
            break
    return min(tries, key=lambda times: float(np.quantile(times, 0.99)))


def _request_times_ms(
    session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray], items: int, latency_ms: float
) -> np.ndarray:
    """Time requests one by one, after ten to warm up; stop early when the time of all at the limit is used up.

    The time is the process's own on the CPU: what else the machine does would refuse honest models by chance.
    """
    wanted = {value.name for value in session.get_inputs()}
    rows = len(next(iter(inputs.values())))
    shared = {"allowed": np.ones((1, items + 1), dtype=bool), "k": np.array([min(100, items)], dtype=np.int64)}
    took: list[float] = []
    while len(took) < REQUESTS + WARM_UP and sum(took) <= REQUESTS * latency_ms:
        row = len(took) % rows
        feeds = {**{name: values[row : row + 1] for name, values in inputs.items()}, **shared}
        feeds = {name: feed for name, feed in feeds.items() if name in wanted}
        began = time.process_time()
        session.run(None, feeds)
        took.append((time.process_time() - began) * 1000)
    return np.array(took[WARM_UP:] or took)


def _peak_mib() -> float:
    """Return the most memory that this process has held so far (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
