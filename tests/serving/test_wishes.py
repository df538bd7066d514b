"""Diversity, exploration and sources: what they change, and that the told probabilities are the true ones."""

from dataclasses import replace

import numpy as np
import pytest

from serving.arrangement import Limits
from serving.diversity import diversify
from serving.exploration import Exploration, explore
from serving.history import Habit, Interaction, UserRow
from serving.metrics import make_metrics
from serving.placement import Wishes
from serving.recommender import Question, recommend, recommend_many
from serving.release import Release
from tests.serving.propensities import assert_true_propensities
from tests.serving.tiny_shop import AS_OF, BREAD, COFFEE, COUNT, MILK, REGULAR, STRANGER

NOW = int(AS_OF.timestamp())


def shelves(answer) -> int:
    return len({item.category for item in answer.slate})


def test_diversity_brings_other_shelves_and_none_changes_nothing(release: Release):
    counts = []
    for strength in (0.0, 0.3, 0.9):
        wishes = Wishes(diversity=strength)
        answer = recommend(release, Question(STRANGER, 6, wishes=wishes), AS_OF, make_metrics())
        counts.append(shelves(answer))
        assert answer.slate[0].item_id == "i01", "the best item stays first"
    assert counts[0] == 1
    assert counts[-1] == 4
    assert counts == sorted(counts)


def test_diversity_is_the_plain_formula():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(40, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.sort(generator.normal(size=30))[::-1].astype(np.float32)
    positions = generator.permutation(40)[:30]
    relevance = (scores - scores[-1]) / (scores[0] - scores[-1])
    chosen: list[int] = []
    for _ in range(9):
        values = {
            row: 0.6 * relevance[row]
            - 0.4 * max([0.0, *(float(vectors[positions[row]] @ vectors[positions[other]]) for other in chosen)])
            for row in range(30)
            if row not in chosen
        }
        chosen.append(max(values, key=lambda row: values[row]))
    found, own = diversify(vectors, (positions, scores), 9, 0.4)
    assert found[:9].tolist() == positions[chosen].tolist()
    assert sorted(found.tolist()) == sorted(positions.tolist())
    assert own.tolist() == [scores[positions.tolist().index(position)] for position in found.tolist()]


def test_the_told_propensity_is_how_often_an_item_stands_there():
    def draw(seed: int) -> tuple[list[int], list[float | None]]:
        rows, propensities = explore(range(6), 3, Exploration(0.3, str(seed)), "u")
        assert len(set(rows)) == 3
        return rows, propensities

    assert_true_propensities(draw)


def test_what_would_have_happened_can_be_estimated_from_the_log():
    """Inverse propensity: the mean reward of always showing row 4 first, from logs that seldom did."""
    total = 0.0
    for seed in range(20_000):
        rows, propensities = explore(range(6), 1, Exploration(0.3, str(seed)), "u")
        if rows[0] == 4:
            total += 0.7 / propensities[0]
    assert total / 20_000 == pytest.approx(0.7, rel=0.1)


def test_exploration_is_off_by_default_deterministic_and_keeps_limits(release: Release):
    plain = recommend(release, Question(REGULAR, 4), AS_OF, make_metrics())
    assert {item.propensity for item in plain.slate} == {None}
    assert plain.exploration_seed is None

    def drawn(seed: str) -> list[tuple[str, float, bool]]:
        wishes = Wishes(Limits(per_brand=2), exploration=Exploration(0.5, seed))
        answer = recommend(release, Question(REGULAR, 4, wishes=wishes), AS_OF, make_metrics())
        assert answer.exploration_seed == seed
        assert [item.brand for item in answer.slate].count("Maker") <= 2
        return [(item.item_id, item.propensity, "exploration" in item.sources) for item in answer.slate]

    assert drawn("a") == drawn("a")
    slates = [drawn(str(seed)) for seed in range(30)]
    assert len({tuple(slate) for slate in slates}) > 5
    for slate in slates:
        for _, propensity, by_chance in slate:
            assert (propensity < 0.5) == by_chance


def test_each_item_names_the_ways_that_lead_to_it(release: Release):
    popularity = release.popularity.copy()
    popularity[20] = 0
    cold = replace(release, popularity=popularity)
    row = UserRow((Interaction(MILK, "view", NOW - 60), Interaction(COFFEE, "view", NOW - 30)))
    (answer,) = recommend_many(cold, [Question(STRANGER, COUNT)], AS_OF, make_metrics(), rows=[row])
    sources = {item.item_id: item.sources for item in answer.slate}
    assert sources[MILK] == ["model", "repeat", "popular"]
    assert sources[BREAD] == ["model", "co_purchase", "popular"]
    assert sources["i20"] == ["model", "text"], "nobody took it, but it means the same as coffee"
    bought = replace(row, habits=(Habit("i20", 3.0, NOW - 86_400 * 40),))
    (answer,) = recommend_many(cold, [Question(STRANGER, COUNT)], AS_OF, make_metrics(), rows=[bought])
    assert {item.item_id: item.sources for item in answer.slate}["i20"] == ["model", "repeat"], "this user took it"
    anybody = recommend(cold, Question(None, 3), AS_OF, make_metrics())
    assert {tuple(item.sources) for item in anybody.slate} == {("popular",)}
