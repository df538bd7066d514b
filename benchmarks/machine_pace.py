"""How evenly the machine runs while nothing else does: `python -m benchmarks.machine_pace --seconds 10`.

A virtual machine may be held back by its host for a tenth of a second at a time, which its own clocks of CPU do not
show. Where that takes more than 1 % of the time, a p99 is the machine's and not that of what is measured.
"""

import argparse
import statistics
import time

#: Additions of one unit of work, some 50 µs; and how many times its usual time makes it slow.
UNIT = 4_000
SLOW = 2.5


def slow_share(seconds: float) -> float:
    """Return the share of `seconds` in which the same work took more than 2.5 times its median."""
    work, taken = range(UNIT), list[float]()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = time.perf_counter()
        sum(work)
        taken.append(time.perf_counter() - start)
    return share_above(taken, SLOW)


def share_above(taken: list[float], times: float) -> float:
    """Return the share of the whole time that went into units of more than `times` their median."""
    bound = times * statistics.median(taken)
    return sum(each for each in taken if each > bound) / sum(taken)


def main() -> None:
    """Print the share of slow time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    print(told(slow_share(parser.parse_args().seconds)))


def told(share: float) -> str:
    """Say what a share of slow time means for a p99."""
    meaning = "a p99 beside it is the machine's own" if share > 0.01 else "little enough for a p99"
    return f"The machine ran at under {1 / SLOW:.0%} of its usual speed for {share:.1%} of the time: {meaning}."


if __name__ == "__main__":
    main()
