"""Training sets of visits: what a visitor turns to next."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training import popularity
from training.dataset import Catalogue, Queries
from training.evaluate import evaluate
from training.interactions import interactions, item_counts
from training.item_knn import fit
from training.model import TrainSettings, silent
from training.samples import training_samples
from training.visits import LEAST_VISITORS, habits_of, steps_of, visit_training_set

LENGTH = 8
NOW = np.datetime64("2026-03-01T12:00:00", "us")
VIEW, PURCHASE = 1, 3


def catalogue(count: int) -> Catalogue:
    """Items i1, i2, ...; none has a text."""
    names, none = [f"i{number}" for number in range(1, count + 1)], [""] * count
    return Catalogue(names, none, none, none, np.ones(count, np.float32), np.zeros((count + 1, 4), np.float32))


def visitors(*visits: list[tuple[int, float]], types: int = VIEW) -> Queries:
    """Users as of NOW, one a list of (item, days ago)."""
    items = np.zeros((len(visits), LENGTH), dtype=np.int64)
    ages = np.zeros((len(visits), LENGTH), dtype=np.float32)
    for row, visit in enumerate(visits):
        if visit:
            items[row, -len(visit) :] = [item for item, _ in visit]
            ages[row, -len(visit) :] = [age for _, age in visit]
    none = np.zeros((len(visits), LENGTH))
    return Queries(
        user_ids=[f"u{row}" for row in range(len(visits))],
        as_of=np.full(len(visits), NOW),
        history_items=items,
        history_types=np.where(items > 0, types, 0),
        history_ages=ages,
        habit_items=none.astype(np.int64),
        habit_counts=none.astype(np.float32),
        habit_ages=none.astype(np.float32),
        new_from=np.zeros(len(visits), dtype=np.int64),
    )


def pairs_shop(users: int = 200) -> Queries:
    """Visitors who come once: item 1 leads to 2, 3 to 4, and so on up to 8; the newest come last."""
    lead = [1 + 2 * (number % 4) for number in range(users)]
    ages = np.linspace(1.0, 0.1, users)
    return visitors(*([(item, age), (item + 1, age - 0.01)] for item, age in zip(lead, ages, strict=True)))


def test_a_step_is_a_turn_to_another_item_with_something_before_it():
    steps = steps_of(visitors([(5, 0.4), (5, 0.3), (6, 0.2), (6, 0.1)], [(7, 0.2)], []))
    assert (steps.row.tolist(), steps.position.tolist()) == ([0], [LENGTH - 2])
    np.testing.assert_allclose(steps.age, [0.2])


def test_the_newest_visitors_last_steps_are_the_truth_and_what_was_before_is_the_query():
    made = visit_training_set(catalogue(8), pairs_shop(200))
    assert (len(made.test.queries), len(made.validation.queries)) == (30, 30)
    assert made.test.queries.user_ids == [f"u{number}" for number in range(170, 200)]
    assert made.validation.queries.user_ids == [f"u{number}" for number in range(140, 170)]
    for cut in (made.validation, made.test):
        np.testing.assert_array_equal(cut.truth.items, cut.queries.history_items[:, -1] + 1)
        np.testing.assert_allclose(cut.queries.history_ages[:, -1], 0.01, atol=1e-6)
        assert (cut.queries.history_items > 0).sum(axis=1).tolist() == [1] * 30
    assert made.t_validation == made.validation.queries.as_of.min() < made.t_test == made.test.queries.as_of.min()


def test_nothing_that_a_cut_holds_out_is_learned_from():
    made = visit_training_set(catalogue(8), pairs_shop(200))
    seen = interactions(made)
    held = {f"u{number}" for number in range(140, 200)}
    of_held = np.array([seen.user_ids[user] in held for user in seen.user])
    assert (seen.item[of_held] % 2 == 1).all()  # what they turned to is even
    assert of_held.sum() < 5
    assert (seen.day < 0).all()
    assert (~of_held).sum() == 2 * 140
    samples = training_samples(made, seen, 300)
    assert len(samples) == 140
    np.testing.assert_array_equal(samples.items, samples.queries.history_items[samples.rows, -1] + 1)


def test_what_visitors_of_one_item_looked_at_after_the_first_cut_is_not_learned_from():
    late = [[(8, 0.15)], [(7, 0.05)], [(6, 0.9), (6, 0.02)]]
    made = visit_training_set(catalogue(8), visitors(*_visits_of(pairs_shop(200)), *late))
    without = visit_training_set(catalogue(8), pairs_shop(200))
    seen, plain = interactions(made), interactions(without)
    assert seen.day.max() <= 0
    assert made.t_validation == without.t_validation
    assert len(seen.item) == len(plain.item) + 1  # what the last of them saw before the cut
    assert (item_counts(made) - item_counts(without)).tolist() == [0, 0, 0, 0, 0, 0, 1, 0, 0]


def test_where_all_events_are_of_one_moment_popularity_counts_those_that_no_cut_holds_out():
    visits = [[(1 + number % 3, 0.5), (4, 0.5)] for number in range(40)]
    made = visit_training_set(catalogue(4), visitors(*visits))
    assert interactions(made).day.max() == 0
    scores = popularity.fit(made, TrainSettings(), silent).scorer.scores.numpy()
    assert scores.tolist() == item_counts(made).tolist()
    assert scores.argmax() == 4


def test_of_a_held_out_visitor_what_lies_before_the_first_cut_is_learned_from():
    old = [(1, 30.0), (2, 29.0), (3, 28.0), (8, 0.05), (4, 0.01)]
    made = visit_training_set(catalogue(8), visitors(old, *_visits_of(pairs_shop(200))))
    seen = interactions(made)
    (code,) = [number for number, user in enumerate(seen.user_ids) if user == "u0"]
    assert seen.item[seen.user == code].tolist() == [1, 2, 3]
    samples = training_samples(made, seen, 300)
    wanted = [samples.items[place] for place, row in enumerate(samples.rows) if samples.queries.user_ids[row] == "u0"]
    assert wanted == [2, 3]
    place = made.test.queries.user_ids.index("u0")
    assert made.test.queries.history_items[place].tolist() == [0, 0, 0, 0, 1, 2, 3, 8]
    assert made.test.truth.row(place).tolist() == [4]


def test_where_all_happened_at_one_moment_visitors_are_still_parted():
    made = visit_training_set(catalogue(8), visitors(*[[(1 + row % 7, 0.5), (8, 0.5)] for row in range(100)]))
    parts = [set(made.test.queries.user_ids), set(made.validation.queries.user_ids)]
    assert [len(part) for part in parts] == [15, 15]
    assert not parts[0] & parts[1]
    seen = interactions(made)
    assert len(np.unique(seen.user)) == 70


def test_a_model_of_counts_learns_what_leads_to_what():
    made = visit_training_set(catalogue(8), pairs_shop(200))
    model = fit(made, TrainSettings(least_interactions=3), silent)
    assert evaluate(model.module(), made.test).means["new_recall10"] == 1.0
    assert evaluate(model.module(), made.test).means["ndcg10"] > 0.6


def test_too_few_visitors_with_a_second_item_are_refused_with_their_number():
    one_item = [[(1, 0.5)] for _ in range(50)]
    with pytest.raises(LookupError, match=r"at least 20 users who turned to a second item.*came 3 of 53"):
        visit_training_set(catalogue(8), visitors(*one_item, *[[(1, 0.5), (2, 0.4)]] * 3))
    assert LEAST_VISITORS == 20


def test_habits_are_what_the_history_bought_most_often_first():
    items = np.array([[0, 5, 6, 5, 7]])
    types = np.array([[0, PURCHASE, PURCHASE, PURCHASE, VIEW]])
    ages = np.array([[0, 9.0, 4.0, 2.0, 1.0]], dtype=np.float32)
    found = habits_of(items, types, ages, 3)
    assert [part.tolist() for part in found] == [[[0, 5, 6]], [[0, 2, 1]], [[0, 2, 4]]]
    assert habits_of(items, types, ages, 1)[0].tolist() == [[5]]


@given(st.lists(st.lists(st.integers(1, 8), max_size=LENGTH), min_size=30, max_size=60))
def test_no_query_holds_its_truth_or_anything_later(visits: list[list[int]]):
    told = [[(item, 1.0 - 0.1 * place) for place, item in enumerate(visit)] for visit in visits]
    queries = visitors(*told)
    try:
        made = visit_training_set(catalogue(8), queries)
    except LookupError:
        assert sum(len(set(visit)) > 1 for visit in visits) < LEAST_VISITORS
        return
    for cut in (made.validation, made.test):
        for place, user in enumerate(cut.queries.user_ids):
            visit = visits[int(user[1:])]
            known = [item for item in cut.queries.history_items[place].tolist() if item]
            (wanted,) = cut.truth.row(place).tolist()
            assert visit[: len(known)] == known
            assert visit[len(known) :] == [wanted] * (len(visit) - len(known))
            assert (cut.queries.history_ages[place] >= 0).all()


def _visits_of(queries: Queries) -> list[list[tuple[int, float]]]:
    return [
        [(int(item), float(age)) for item, age in zip(items, ages, strict=True) if item]
        for items, ages in zip(queries.history_items, queries.history_ages, strict=True)
    ]
