"""What less alike slates cost: `python -m benchmarks.diversity --home DIR`, DIR a trained AISLE_HOME.

The release in use answers for the users of the test week, from what was known of them before it, under each wish:
several strengths of diversity, exploration, the learned policies of what comes again, and titles that repeat. Printed
are NDCG@10, its change against the slate by score alone with a 95 % interval over the same users, how alike the items
of a slate are (mean cosine of its pairs) and how many first-level categories it has. The last line is JSON.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.trained_home import open_release
from feature_repo.schema import INTERACTION_TYPES
from flows.repeat_policy import repeat_policies
from flows.settings import load_settings
from flows.training_set import build_training_set
from serving.catalogue import first_category
from serving.contract import Recommendations
from serving.exploration import Exploration
from serving.history import Habit, Interaction, UserRow
from serving.metrics import make_metrics
from serving.placement import NO_WISHES, Wishes
from serving.recommender import Question, recommend_many
from serving.release import Release
from serving.repeat_policy import POLICIES, read_policies
from serving.shelf_rules import bind_rules
from training.dataset import Cut
from training.metrics import bootstrap_interval, hits, mean, ndcg

K = 10
STRENGTHS = (0.05, 0.1, 0.2, 0.3, 0.5)
SECONDS_PER_DAY = 86_400
_TOGETHER = 32


def main() -> None:
    """Answer for every user of the test week under each wish, and print what it costs and brings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a trained AISLE_HOME")
    parser.add_argument("--cut", choices=("test", "validation"), default="test", help="whose users are answered")
    parser.add_argument("--source", help="the shop of the lake; all when absent")
    arguments = parser.parse_args()
    release = open_release(arguments.home)
    training_set = build_training_set(load_settings({"AISLE_HOME": str(arguments.home)}), arguments.source)
    cut = training_set.test if arguments.cut == "test" else training_set.validation
    item_ids = training_set.catalogue.item_ids
    users = np.flatnonzero(cut.truth.counts() > 0)
    rows = [_row_of(cut, user, item_ids) for user in users.tolist()]
    moment = cut.queries.as_of[0].astype(datetime).replace(tzinfo=UTC)
    plain = replace(release, rules=bind_rules(None, release.catalogue, None))
    titles = list(range(len(release.catalogue.items)))
    asked = [("by score alone", plain, NO_WISHES)]
    asked += [("titles as they come", replace(plain, catalogue=replace(plain.catalogue, title_ids=titles)), NO_WISHES)]
    asked += [("what comes again", _with_policies(plain, arguments.home, arguments.source, moment), NO_WISHES)]
    asked += [(f"diversity {strength:g}", plain, Wishes(diversity=strength)) for strength in STRENGTHS]
    asked += [("exploration 0.1", plain, Wishes(exploration=Exploration(0.1, "bench")))]
    print(f"release {release.release_id}, {len(users):,} users of the week from {moment:%Y-%m-%d}, k = {K}")
    print(f"{'':<20}{'NDCG@10':>9}{'change':>9}{'95 % interval':>20}{'cosine':>9}{'categories':>12}")
    figures, base = {}, None
    for name, shop, wishes in asked:
        answers = _answers(shop, rows, wishes, moment)
        quality = _quality(answers, cut, users, item_ids)
        base = quality if base is None else base
        cosine, categories = _variety(release, answers)
        low, high = bootstrap_interval(quality - base)
        figures[name] = {
            "ndcg10": round(mean(quality), 4),
            "cosine": round(cosine, 4),
            "categories": round(categories, 2),
        }
        interval = "" if name == asked[0][0] else f"{low:+.4f} to {high:+.4f}"
        change = mean(quality - base)
        print(
            f"{name:<20}{mean(quality):>9.4f}{change:>+9.4f}{interval:>20}{cosine:>9.3f}{categories:>12.2f}", flush=True
        )
    print(json.dumps({"benchmark": "diversity", "release_id": release.release_id, "users": len(users), **figures}))


def _with_policies(release: Release, home: Path, source: str | None, moment: datetime) -> Release:
    """Return the release with the policies of what comes again, learned from what was known at a moment."""
    items = release.catalogue.items[1:]
    paths = pa.table({"item_id": [item.item_id for item in items], "category": [item.category for item in items]})
    policies = repeat_policies(load_settings({"AISLE_HOME": str(home)}), moment, source, paths)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / POLICIES
        path.write_text(json.dumps(policies))
        learned = read_policies(path, release.catalogue)
    held = 0 if learned is None else int(learned.bought.sum())
    print(f"{held:,} of {len(items):,} items do not come again to who bought them")
    return replace(release, rules=bind_rules(None, release.catalogue, learned))


def _row_of(cut: Cut, user: int, item_ids: Sequence[str]) -> UserRow:
    """Return a user's row as the online store would have had it at the cut."""
    queries = cut.queries
    now = int(queries.as_of[user].astype("datetime64[s]").astype(np.int64))

    def entries(items: np.ndarray, values: np.ndarray, ages: np.ndarray) -> list[tuple[str, float, int]]:
        return [
            (item_ids[item - 1], value, now - round(float(age) * SECONDS_PER_DAY))
            for item, value, age in zip(items.tolist(), values.tolist(), ages.tolist(), strict=True)
            if item
        ]

    history = entries(queries.history_items[user], queries.history_types[user], queries.history_ages[user])
    habits = entries(queries.habit_items[user], queries.habit_counts[user], queries.habit_ages[user])
    return UserRow(
        tuple(Interaction(item, INTERACTION_TYPES[max(int(kind), 1) - 1], time) for item, kind, time in history),
        tuple(Habit(item, count, time) for item, count, time in habits),
    )


def _answers(release: Release, rows: Sequence[UserRow], wishes: Wishes, now: datetime) -> list[Recommendations]:
    metrics, answers = make_metrics(), list[Recommendations]()
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        questions = [Question(f"u_{start + place:024x}", K, wishes=wishes) for place in range(len(part))]
        answers += recommend_many(release, questions, now, metrics, rows=part)
    return answers


def _quality(answers: Sequence[Recommendations], cut: Cut, users: np.ndarray, item_ids: Sequence[str]) -> np.ndarray:
    index = {item_id: position for position, item_id in enumerate(item_ids, 1)}
    ranked = np.zeros((len(answers), K), np.int64)
    for row, answer in enumerate(answers):
        ranked[row, : len(answer.slate)] = [index.get(item.item_id, 0) for item in answer.slate]
    truth = [cut.truth.row(user) for user in users.tolist()]
    counts = np.array([len(items) for items in truth])
    starts = np.concatenate(([0], np.cumsum(counts)))
    return ndcg(hits(ranked, starts, np.concatenate(truth)), counts, K)


def _variety(release: Release, answers: Sequence[Recommendations]) -> tuple[float, float]:
    """Return the mean cosine of two items of a slate, and the mean number of first-level categories."""
    cosines, categories = [], []
    for answer in answers:
        own = np.asarray(release.vectors[[release.catalogue.index[item.item_id] for item in answer.slate]])
        if len(own) > 1:
            pairs = own @ own.T
            cosines.append((pairs.sum() - np.trace(pairs)) / (len(own) * (len(own) - 1)))
        categories.append(len({first_category(item.category) for item in answer.slate}))
    return float(np.mean(cosines)), float(np.mean(categories))


if __name__ == "__main__":
    main()
