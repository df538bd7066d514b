"""What an experiment's verdicts are worth, on shops whose truth is known: false wins, power, lost users, interleaving.

Run: python -m benchmarks.experiment [--runs 2000] [--seed 0]. The last line is JSON.

Every run is one experiment that is looked at after each batch of 200 users and ends at its first verdict, or after
20,000 users. The stated effect: 12 % instead of 10 % of the users click, half of them see the challenger.
"""

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.experiment_guard import guard_figures, print_guard
from benchmarks.experiment_shoppers import Shoppers, preferences, shoppers
from training.experiment_analysis import RATIO_EVIDENCE, VERDICT_EVIDENCE
from training.sequential import Bools, Floats, effect_evidence, preference_evidence, ratio_evidence

BATCH = 200
USERS = 20_000
PLANNED = 10_000
#: Share of users who click with the champion, and with the challenger of the stated effect.
BASE, LIFTED = 0.10, 0.12
#: Runs that are computed together.
TOGETHER = 50
#: A z-test's limit for "5 %, two-sided", if it were looked at once.
Z_LIMIT = 1.959964


@dataclass(frozen=True)
class Found:
    """Of many runs: the share with the verdict "better", with any verdict, and users at a win (median)."""

    wins: float
    verdicts: float
    median_users: float | None
    naive_wins: float


def main() -> None:
    """Simulate, print the tables, and end with one line of figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs",
        type=int,
        default=2_000,
        help="simulated experiments in which nothing differs; the other checks run fewer",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the simulated shoppers")
    arguments = parser.parse_args()
    began, random = time.process_time(), np.random.default_rng(arguments.seed)
    nothing = _without_effect(random, arguments.runs)
    power = _with_effect(random, arguments.runs)
    ratio = _ratios(random, arguments.runs)
    beside = _interleaving(random, max(arguments.runs // 4, 50))
    guard = guard_figures(random, max(arguments.runs // 20, 20))
    _print_arms("No effect", nothing)
    _print_arms("With an effect", power)
    _print_ratio(ratio)
    _print_beside(beside)
    print_guard(guard)
    stated = power[_named(BASE, LIFTED, 0.5)]
    figures = {
        "benchmark": "experiment",
        "runs": arguments.runs,
        "users": USERS,
        "stated_effect": {"champion": BASE, "challenger": LIFTED, "share": 0.5},
        "false_wins": round(max(found.wins for found in nothing.values()), 4),
        "false_verdicts": round(max(found.verdicts for found in nothing.values()), 4),
        "false_wins_within_5_percent": max(found.wins for found in nothing.values()) <= 0.05,
        "naive_false_wins": round(max(found.naive_wins for found in nothing.values()), 4),
        "power": round(stated.wins, 4),
        "power_at_least_80_percent": stated.wins >= 0.8,
        "median_users_at_a_win": stated.median_users,
        "ratio": ratio,
        "interleaving": beside,
        "guard": guard,
        "cpu_s": round(time.process_time() - began, 1),
    }
    print(json.dumps(figures))


def _without_effect(random: np.random.Generator, runs: int) -> dict[str, Found]:
    cases = [(rate, share) for rate in (0.02, 0.1, 0.3) for share in (0.5, 0.05)]
    return {_named(rate, rate, share): _arms(random, runs, (rate, rate), share) for rate, share in cases}


def _with_effect(random: np.random.Generator, runs: int) -> dict[str, Found]:
    cases = [(BASE, LIFTED, 0.5), (BASE, LIFTED, 0.1), (0.02, 0.024, 0.5), (0.3, 0.33, 0.5), (BASE, 0.08, 0.5)]
    return {_named(*case): _arms(random, max(runs // 2, 50), case[:2], case[2]) for case in cases}


def _named(champion: float, challenger: float, share: float) -> str:
    return f"{champion:.1%} → {challenger:.1%}, share {share:g}"


def _arms(random: np.random.Generator, runs: int, rates: tuple[float, float], share: float) -> Found:
    wins, verdicts, naive, users = 0, 0, 0, list[int]()
    for start in range(0, runs, TOGETHER):
        shape = (min(TOGETHER, runs - start), USERS)
        challenged = random.random(shape) < share
        outcome = random.random(shape) < np.where(challenged, rates[1], rates[0])
        better, worse = (_peeks(each) for each in effect_evidence(challenged, outcome, share, PLANNED))
        first, other = _first(better), _first(worse)
        won = first < other
        wins += int(won.sum())
        verdicts += int((np.minimum(first, other) < better.shape[1]).sum())
        users += [int(each + 1) * BATCH for each in first[won]]
        naive += int((_z_values(challenged, outcome) > Z_LIMIT).any(axis=1).sum())
    return Found(wins / runs, verdicts / runs, float(np.median(users)) if users else None, naive / runs)


def _peeks(evidence: Floats) -> Floats:
    return evidence[:, BATCH - 1 :: BATCH]


def _first(evidence: Floats) -> np.ndarray:
    """Return the first peek at which the evidence is enough, the number of peeks where it never is."""
    enough = evidence > VERDICT_EVIDENCE
    return np.where(enough.any(axis=1), enough.argmax(axis=1), evidence.shape[1])


def _z_values(challenged: Bools, outcome: Bools) -> Floats:
    """Return the usual two-proportion z at each peek: what is fooled by peeking."""
    counts = [_peeks(np.cumsum(arm, axis=1)) for arm in (challenged, ~challenged)]
    goods = [_peeks(np.cumsum(arm & outcome, axis=1)) for arm in (challenged, ~challenged)]
    of = [np.maximum(count, 1) for count in counts]
    pooled = (goods[0] + goods[1]) / (of[0] + of[1])
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / of[0] + 1 / of[1]))
    return np.asarray((goods[0] / of[0] - goods[1] / of[1]) / spread)


def _ratios(random: np.random.Generator, runs: int) -> dict[str, float]:
    """Return the share of runs with an alarm: arms of equal size, and a part of the challenger's users lost."""
    found = {}
    for lost in (0.0, 0.02, 0.05, 0.1):
        alarms = 0
        for start in range(0, runs, TOGETHER):
            shape = (min(TOGETHER, runs - start), USERS)
            challenged = random.random(shape) < 0.5 * (1 - lost) / (0.5 * (1 - lost) + 0.5)
            alarms += int((_peeks(ratio_evidence(challenged, 0.5)) > RATIO_EVIDENCE).any(axis=1).sum())
        found[f"{lost:.0%} lost"] = round(alarms / runs, 4)
    return found


def _interleaving(random: np.random.Generator, runs: int) -> dict[str, dict[str, float]]:
    """Return the power of A/B and of interleaving, on the same shoppers and releases, after so many users."""
    pool = shoppers(random, 20_000)
    marks = (500, 1_000, 2_000, 5_000, 10_000, USERS)
    rates = [float((1 - (1 - each).prod(axis=1)).mean()) for each in (pool.champion, pool.challenger)]
    won = {"ab": np.zeros(len(marks)), "interleaving": np.zeros(len(marks))}
    for _ in range(runs):
        who = random.integers(0, len(pool.champion), USERS)
        challenged = random.random(USERS) < 0.5
        outcome = _clicked(random, pool, who, challenged)
        evidence = {
            "ab": effect_evidence(challenged, outcome, 0.5, PLANNED)[0],
            "interleaving": preference_evidence(preferences(random, pool, who), PLANNED)[0],
        }
        for name, better in evidence.items():
            peeks = np.maximum.accumulate(better[BATCH - 1 :: BATCH])
            won[name] += [peeks[(mark - BATCH) // BATCH] > VERDICT_EVIDENCE for mark in marks]
    shares = {
        name: {str(m): round(float(c) / runs, 3) for m, c in zip(marks, counts, strict=True)}
        for name, counts in won.items()
    }
    return {"clicking": {"champion": round(rates[0], 4), "challenger": round(rates[1], 4)}, **shares}


def _clicked(random: np.random.Generator, pool: Shoppers, who: np.ndarray, challenged: Bools) -> Bools:
    """Return whether each user clicked anything of the slate of their arm."""
    chances = np.where(challenged[:, None], pool.challenger[who], pool.champion[who])
    return np.asarray((random.random(chances.shape) < chances).any(axis=1))


def _print_arms(title: str, found: dict[str, Found]) -> None:
    print(f"\n{title} (of the users who click: champion → challenger)")
    print(f"{'':<34}{'better':>10}{'any verdict':>14}{'users at a win':>16}{'z-test, peeked':>16}")
    for name, each in found.items():
        users = "" if each.median_users is None else f"{each.median_users:,.0f}"
        print(f"{name:<34}{each.wins:>10.2%}{each.verdicts:>14.2%}{users:>16}{each.naive_wins:>16.2%}")


def _print_ratio(found: dict[str, float]) -> None:
    print("\nSample ratio: share of runs with an alarm, of 20,000 users one half each")
    for name, share in found.items():
        print(f"  {name + ' of the challenger':<32}{share:>10.2%}")


def _print_beside(found: dict[str, dict[str, float]]) -> None:
    champion, challenger = (f"{rate:.2%}" for rate in found["clicking"].values())
    print("\nA/B beside interleaving, the same shoppers and releases: share of runs that have found the better one")
    print(f"(of the users {champion} click with the champion, {challenger} with the challenger)")
    print(f"{'users':<14}" + "".join(f"{int(mark):>10,}" for mark in found["ab"]))
    for name in ("ab", "interleaving"):
        print(f"{name:<14}" + "".join(f"{share:>10.1%}" for share in found[name].values()))


if __name__ == "__main__":
    main()
