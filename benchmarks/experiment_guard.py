"""Serving's guard on challengers whose cost is known: how soon it stops those that burn, how seldom the others."""

import numpy as np

from feature_repo.experiments import CHALLENGER, CHAMPION, Bounds
from serving.experiment_guard import Guard, Tally

#: Answers of the challenger a second, and how long a healthy one is watched.
RATE = 20
HEALTHY_ANSWERS = 100_000
BURNING_ANSWERS = 20_000
#: Shares of failing answers: what is allowed is 1 %.
HEALTHY, BURNING = (0.0, 0.005, 0.01), (1.0, 0.2, 0.05, 0.03)


def guard_figures(random: np.random.Generator, runs: int) -> dict[str, dict[str, float]]:
    """Return by share of failing answers: runs that were stopped, and seconds until then (median)."""
    found = {}
    for share in (*HEALTHY, *BURNING):
        most = HEALTHY_ANSWERS if share in HEALTHY else BURNING_ANSWERS
        stops = [_stopped_after(random, share, most) for _ in range(runs if share in BURNING else max(runs // 5, 4))]
        known = [stop for stop in stops if stop is not None]
        found[f"{share:.1%} fail"] = {"stopped": len(known) / len(stops)} | (
            {"seconds": round(float(np.median(known)) / RATE, 2), "answers": float(np.median(known))} if known else {}
        )
    return found


def print_guard(found: dict[str, dict[str, float]]) -> None:
    """Print the table."""
    print(
        f"\nGuard: 1 % of the answers may fail; {RATE} answers a second (watched for {HEALTHY_ANSWERS:,} where healthy)"
    )
    print(f"{'':<16}{'stopped':>10}{'after answers':>16}{'seconds':>10}")
    for name, each in found.items():
        after = f"{each['answers']:>16,.0f}{each['seconds']:>10.2f}" if "answers" in each else ""
        print(f"{name:<16}{each['stopped']:>10.1%}{after}")


def _stopped_after(random: np.random.Generator, share: float, most: int) -> int | None:
    guard = Guard(Bounds(errors=0.01), span_began=0.0)
    guard.note(CHAMPION, Tally(answers=1_000), 0.0)
    for number, failed in enumerate(random.random(most) < share, start=1):
        guard.note(CHALLENGER, Tally(answers=1, errors=int(failed)), number / RATE)
        if guard.stopped is not None:
            return number
    return None
