"""A reason that names an item of the user's is told only where the item would stand lower without it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.reasons import Tally, try_reasons, try_slate
from benchmarks.trained_home import open_release
from serving.catalogue import Conditions
from serving.contract import SlateItem
from serving.history import Habit, Interaction, UserRow
from serving.metrics import make_metrics
from serving.model_inputs import known_row
from serving.recommender import Question, recommend_many
from serving.release import Release
from serving.release_store import Pointer, keep_pointer
from serving.removal import without
from serving.scorer import Scorer
from tests.serving.tiny_shop import AS_OF, BREAD, COUNT, ITEMS, MILK, REGULAR, STRANGER, partner

NOW = int(AS_OF.timestamp())
IDS = [item["item_id"] for item in ITEMS]


def answer_for(release: Release, row: UserRow, *exclude: str, close: bool = True) -> list[SlateItem]:
    question, metrics = Question(STRANGER, COUNT, Conditions(exclude), close=close), make_metrics()
    slate = recommend_many(release, [question], AS_OF, metrics, rows=[row])[0].slate
    assert metrics.scorer_errors._value.get() == 0
    return slate


def bought(*item_ids: str) -> UserRow:
    return UserRow(tuple(Interaction(item_id, "purchase", NOW - 60) for item_id in item_ids))


def removed(row: UserRow, item_ids: list[str]) -> UserRow:
    return UserRow(
        tuple(entry for entry in row.history if entry.item_id not in item_ids),
        tuple(habit for habit in row.habits if habit.item_id not in item_ids),
    )


def test_an_item_that_rests_on_another_names_it(release: Release):
    reasons = {item.item_id: item.reason for item in answer_for(release, bought(MILK, "i20"))}
    assert (reasons[BREAD].kind, reasons[BREAD].because) == ("co_purchase", [MILK])


def test_a_neighbour_that_the_model_does_not_heed_is_not_named(release: Release):
    neighbours = np.zeros_like(release.neighbour_items)
    neighbours[1:, 0] = 1  # it says that everything is bought with milk; the model knows better
    claimed = replace(release, neighbour_items=neighbours, neighbour_scores=np.ones_like(release.neighbour_scores))
    reasons = {item.item_id: item.reason for item in answer_for(claimed, bought(MILK))}
    assert reasons[BREAD].kind == "co_purchase"
    for item_id in ("i07", "i19", "i24"):
        assert (reasons[item_id].kind, reasons[item_id].because) == ("popular", []), item_id


def test_a_brief_reason_rests_on_all_that_the_user_did_and_names_none_of_it(release: Release):
    row = bought(MILK, "i20")
    reasons = {item.item_id: item.reason for item in answer_for(release, row, close=False)}
    assert (reasons[BREAD].kind, reasons[BREAD].because) == ("model", [])
    assert reasons[BREAD].text == "Fits what you chose so far."
    assert reasons["i07"].kind == "popular"
    for exclude in ((), ("i02", "i21")):
        whole = [item.item_id for item in answer_for(release, row, MILK, "i20", *exclude)]
        nothing = [item.item_id for item in answer_for(release, UserRow(), MILK, "i20", *exclude)]
        for item in answer_for(release, row, *exclude, close=False):
            fell = item.item_id in whole and nothing.index(item.item_id) > whole.index(item.item_id)
            assert (item.reason.kind == "model") == fell, item


@pytest.mark.parametrize("seed", range(25))
def test_every_reason_that_names_an_item_survives_its_removal(release: Release, seed: int):
    chance = np.random.default_rng(seed)
    drawn = chance.choice(IDS, int(chance.integers(1, 9)))
    history = tuple(Interaction(str(item), "view", NOW - int(chance.integers(30, 10**6))) for item in drawn)
    habits = tuple(Habit(str(item), 2.0, NOW - 86_400) for item in chance.choice(IDS, 2, replace=False))
    row = UserRow(tuple(sorted(history, key=lambda entry: entry.event_time)), habits)
    slate = answer_for(release, row)
    order = [item.item_id for item in slate]
    kinds = set()
    for item in slate:
        because = item.reason.because
        if because:
            kinds.add(item.reason.kind)
            others = [each for each in order if each not in because or each == item.item_id]
            after = [each.item_id for each in answer_for(release, removed(row, because))]
            left = [each for each in after if each not in because or each == item.item_id]
            # What was bought or seen itself is told untried: among 24 items it may keep its place, never gain.
            own = item.reason.kind in ("habit", "history")
            assert left.index(item.item_id) - others.index(item.item_id) >= (0 if own else 1), item
        else:
            assert item.reason.kind in ("popular", "model")
    assert kinds


def test_trials_of_many_users_together_prove_what_each_alone_does(release: Release):
    rows = [bought(IDS[number], IDS[-number]) for number in range(1, 12)]
    questions = [Question(STRANGER, 9, Conditions((IDS[number],))) for number in range(1, 12)]
    together = recommend_many(release, questions, AS_OF, make_metrics(), rows=rows)
    for question, row, answer in zip(questions, rows, together, strict=True):
        (alone,) = recommend_many(release, [question], AS_OF, make_metrics(), rows=[row])
        assert alone.slate == answer.slate


def test_a_model_that_fails_in_a_trial_costs_the_reason_alone(release: Release):
    class FailsTheSecondTime:
        runs = 0

        def run(self, outputs, feed):
            self.runs += 1
            if self.runs > 1:
                raise RuntimeError("no more")
            return release.scorer.session.run(outputs, feed)

    metrics = make_metrics()
    tired = replace(release, scorer=Scorer(FailsTheSecondTime(), release.scorer.inputs))
    (answer,) = recommend_many(tired, [Question(STRANGER, COUNT)], AS_OF, metrics, rows=[bought(MILK)])
    assert answer.source == "personalised"
    assert {item.reason.kind for item in answer.slate} == {"history", "popular", "model"}
    assert next(item.reason.because for item in answer.slate if item.reason.kind == "model") == []
    assert metrics.scorer_errors._value.get() == 1


def test_a_slate_that_no_model_made_names_nothing_of_the_users(release: Release):
    broken = replace(release, scorer=replace(release.scorer, session=None))
    deaf = replace(release, scorer=replace(release.scorer, inputs=("allowed", "k")))
    (answer,) = recommend_many(broken, [Question(STRANGER, 5)], AS_OF, make_metrics(), rows=[bought(MILK)])
    assert [item.reason.because for item in answer.slate] == [[]] * 5
    assert not deaf.scorer.hears_users
    assert release.scorer.hears_users


def test_a_row_without_an_item_has_lost_all_its_events_and_habits(release: Release):
    row = UserRow((*bought(MILK, BREAD, MILK).history,), (Habit(MILK, 3.0, NOW), Habit(BREAD, 1.0, NOW)))
    index = release.catalogue.index
    left = without(known_row(row, index), {index[MILK]})
    assert (left.history_indices, left.habit_indices) == ([index[BREAD]], [index[BREAD]])
    assert [entry.item_id for entry in left.history] == [BREAD]
    assert partner(index[MILK]) == index[BREAD]


def test_the_published_figure_counts_what_falls_and_what_does_not(release: Release):
    tally = try_reasons(release, [REGULAR], 5, only_new=False)
    assert (tally.share, tally.more_than_a_sentence) == (1.0, 0)
    assert tally.tried.total() >= 5
    for close in (True, False):
        new = try_reasons(release, [REGULAR], 5, only_new=True, close=close)
        assert new.share == 1.0
        assert new.tried.keys() <= {"co_purchase", "similar", "model"}
    slate = answer_for(release, bought(MILK, "i20"))
    lie = next(replace(item, reason=replace(item.reason, because=["i20"])) for item in slate if item.item_id == BREAD)
    caught = Tally()
    try_slate(release, bought(MILK, "i20"), [lie], set(), caught)
    assert caught.share == 0.0


def test_a_trained_home_is_opened_as_serving_left_it(shop: Path, tmp_path: Path):
    cache = tmp_path / "serving" / "releases"
    shutil.copytree(shop / "r20180101-first", cache / "r20180101-first")
    (tmp_path / "feast").mkdir()
    for part in shop.glob("online.db*"):
        shutil.copy(part, tmp_path / "feast" / part.name)
    with pytest.raises(SystemExit, match="aisle demo"):
        open_release(tmp_path)
    keep_pointer(cache, Pointer("r20180101-first", "0" * 64))
    home = open_release(tmp_path)
    assert home.release_id == "r20180101-first"
    assert try_reasons(home, [REGULAR], 3, only_new=False).share == 1.0
