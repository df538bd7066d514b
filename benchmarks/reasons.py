"""Do reasons survive a removal test? `python -m benchmarks.reasons --home DIR`, DIR a trained AISLE_HOME.

For each reason that rests on what the user did: all events of the items that it names (all events where a model's
reason names none) are taken out of the user's history and habits, the model scores the whole catalogue again, and the
item must stand lower among the other items. Slates as a shop asks for them by default; of items new to the user alone,
where there is no habit to name; and these with brief reasons. Users come in an order drawn from the seed until so many
reasons are tried. A popularity reason names no event: it is given where nothing that was tried makes the item fall. The
last line is JSON.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.trained_home import open_release, users_of
from serving.catalogue import Conditions
from serving.contract import SlateItem
from serving.history import UserRow
from serving.metrics import make_metrics
from serving.model_inputs import known_row, sequences_of
from serving.recommender import Question, recommend_many
from serving.release import Release
from serving.scorer import best_items

K = 10
GOAL = 0.95
#: What is asked for: slates by default, of items new to the user alone, and these with brief reasons.
PANELS = (("default", False, None), ("new_items", True, None), ("new_items_brief", True, False))


@dataclass
class Tally:
    """What became of the reasons: by kind, how many named events, and how many of those items fell."""

    tried: Counter[str] = field(default_factory=Counter)
    fell: Counter[str] = field(default_factory=Counter)
    without_event: Counter[str] = field(default_factory=Counter)
    more_than_a_sentence: int = 0

    @property
    def share(self) -> float:
        """The share of the tried reasons that survive."""
        return self.fell.total() / max(1, self.tried.total())


def main() -> None:
    """Try the reasons and print what survives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a trained AISLE_HOME")
    parser.add_argument("--reasons", type=int, default=2000, help="reasons that name an event, of each kind of slate")
    parser.add_argument("--seed", type=int, default=7, help="of the order in which users are tried")
    arguments = parser.parse_args()
    release, users = open_release(arguments.home), users_of(arguments.home, arguments.seed)
    figures = {}
    for name, only_new, close in PANELS:
        tally = try_reasons(release, users, arguments.reasons, only_new, close)
        _print(name.replace("_", " "), tally)
        figures[name] = tally
    print(
        json.dumps(
            {
                "benchmark": "reasons",
                "release_id": release.release_id,
                **{f"{name}_reasons": tally.tried.total() for name, tally in figures.items()},
                **{f"{name}_survive": round(tally.share, 4) for name, tally in figures.items()},
                "goal": GOAL,
            }
        )
    )


def try_reasons(
    release: Release, users: Sequence[str], reasons: int, only_new: bool, close: bool | None = None
) -> Tally:
    """Try the reasons of users' slates until so many that name an event are tried."""
    tally, metrics = Tally(), make_metrics()
    for user in users:
        assert release.online is not None
        row = release.online.read(user)
        own = {*(entry.item_id for entry in row.history), *(habit.item_id for habit in row.habits)}
        conditions = Conditions(tuple(own)) if only_new else Conditions()
        languages = [Question(user, K, conditions, language=language, close=close) for language in ("en", "zh")]
        english, chinese = recommend_many(release, languages, release.as_of, metrics, rows=[row, row])
        for one, other in zip(english.slate, chinese.slate, strict=True):
            ends = other.reason.text.count("。"), one.reason.text.endswith("."), other.reason.because
            tally.more_than_a_sentence += ends != (1, True, one.reason.because)
        if english.source == "personalised":
            try_slate(release, row, english.slate, own if only_new else set(), tally)
        if tally.tried.total() >= reasons:
            break
    return tally


def try_slate(release: Release, row: UserRow, slate: Sequence[SlateItem], excluded: set[str], tally: Tally) -> None:
    """Try each reason of one slate that names an event; `excluded` items are not counted among the others."""
    everything = {*(entry.item_id for entry in row.history), *(habit.item_id for habit in row.habits)}
    named = [(item, {*item.reason.because} or everything) for item in slate if _rests_on_user(item)]
    tally.without_event.update(item.reason.kind for item in slate if not _rests_on_user(item))
    rows = [row, *(_without(row, removed) for _, removed in named)]
    whole, *trials = _scores(release, rows)
    index = release.catalogue.index
    for (item, removed), scores in zip(named, trials, strict=True):
        others = release.rules.at(release.as_of).allowed.copy()
        others[[index[each] for each in excluded | removed if each in index]] = False
        position = index[item.item_id]
        tally.tried[item.reason.kind] += 1
        tally.fell[item.reason.kind] += _before(scores, position, others) > _before(whole, position, others)


def _rests_on_user(item: SlateItem) -> bool:
    """Whether a reason names items of the user's, or (the model's, naming none) all that the user did."""
    return bool(item.reason.because) or item.reason.kind == "model"


def _without(row: UserRow, removed: set[str]) -> UserRow:
    return UserRow(
        tuple(entry for entry in row.history if entry.item_id not in removed),
        tuple(habit for habit in row.habits if habit.item_id not in removed),
    )


def _scores(release: Release, rows: Sequence[UserRow]) -> list[np.ndarray]:
    """Return the scores of all items for each row, −∞ for one that may not be shown."""
    allowed = release.rules.at(release.as_of).allowed
    inputs = sequences_of([known_row(row, release.catalogue.index) for row in rows], release.as_of)
    found = []
    for items, scores in best_items(release.scorer, inputs, allowed[None, :], int(allowed.sum())):
        whole = np.full(len(allowed), -np.inf, np.float32)
        whole[items] = scores
        found.append(whole)
    return found


def _before(scores: np.ndarray, position: int, others: np.ndarray) -> int:
    """Return how many of the other items stand before one; of equal scores the lower index does."""
    better, equal = scores > scores[position], scores == scores[position]
    equal[position:] = False
    return int(np.count_nonzero((better | equal) & others))


def _print(name: str, tally: Tally) -> None:
    print(f"\n{name}: {100 * tally.share:.1f} % of {tally.tried.total():,} reasons survive (goal {100 * GOAL:.0f} %)")
    print(f"  {'kind':<14}{'tried':>8}{'survive':>10}")
    for kind, tried in tally.tried.most_common():
        print(f"  {kind:<14}{tried:>8,}{100 * tally.fell[kind] / tried:>8.1f} %")
    rest = ", ".join(f"{count:,} {kind}" for kind, count in tally.without_event.most_common())
    print(f"  without an event: {rest or 'none'}; reasons of more than a sentence: {tally.more_than_a_sentence}")


if __name__ == "__main__":
    main()
