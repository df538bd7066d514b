"""The blend weighs what a user took before and what is new to them apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from training import blend
from training.blend import Blend, Weights
from training.dataset import Cut, TrainingSet, Truth
from training.evaluate import evaluate, inputs_of
from training.gate_checks import GateLimits
from training.gate_slices import compare_evaluations, tail_kept
from training.model import FittedModel
from training.panel import NEVER, Panel, build_panel, panel_ndcg
from training.tournament import fallen_slices

NOBODY = (np.zeros(0, dtype=np.int64), np.zeros((0, 1), dtype=np.int64), np.zeros((0, 1), dtype=np.float32))


class Fixed(nn.Module):
    """The same scores for everyone."""

    def __init__(self, scores: np.ndarray) -> None:
        super().__init__()
        self.scores = torch.from_numpy(scores.astype(np.float32))

    def forward(self, history_items: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return self.scores.expand(len(history_items), -1)


class Likes(nn.Module):
    """1 at past items, or at the item after the last one of the history."""

    def __init__(self, past: bool, item_count: int) -> None:
        super().__init__()
        self.past = past
        self.item_count = item_count

    def forward(
        self, history_items: torch.Tensor, _: torch.Tensor, __: torch.Tensor, habit_items: torch.Tensor, *___: object
    ) -> torch.Tensor:
        scores = torch.full((len(history_items), self.item_count + 1), 0.01)
        liked = torch.cat([history_items, habit_items], dim=1) if self.past else history_items[:, -1:] % self.item_count
        return scores.scatter(1, liked if self.past else liked + 1, 1.0)


def test_scores_are_those_of_a_plain_loop(rhythm: TrainingSet) -> None:
    random = np.random.default_rng(4)
    count = rhythm.catalogue.item_count
    first, second = random.normal(size=count + 1), random.normal(size=count + 1)
    inputs = inputs_of(rhythm.validation.queries, np.arange(3))
    inputs[0][:, :98] = 0
    inputs[3][:, 2:] = 0
    weights = Weights(np.array([1.0, 2.0]), np.array([0.5, 3.0]), -0.25)
    with torch.inference_mode():
        got = Blend([Fixed(first), Fixed(second)], weights, NOBODY)(*inputs)
    for row in range(3):
        past = {int(item) for item in (*inputs[0][row], *inputs[3][row]) if item}
        highest = max(second[item] for item in range(1, count + 1))
        highest_new = max([second[item] for item in range(1, count + 1) if item not in past])
        for item in range(1, count + 1):
            over = highest if item in past else highest_new
            share = np.sqrt(max(second[item], 0) / over) if second[item] > 0 else 0.0
            at_new = 0.5 * first[item] + 3.0 * share - 0.25
            expected = first[item] + 2.0 * share if item in past else at_new
            assert float(got[row, item]) == pytest.approx(expected, abs=1e-4)


def test_a_part_that_only_knows_new_items_is_taken_for_new_items_only(rhythm: TrainingSet) -> None:
    """Histories are cut to the last 4 items, so that most of what users take next is new to them."""
    short = _shortened(rhythm)
    count = short.catalogue.item_count
    flat = FittedModel("flat", "simple", Fixed(np.zeros(count + 1)), {})
    follows = FittedModel("follows", "simple", Likes(False, count), {})
    fitted = blend.fit(short, [flat, follows])
    assert fitted.hyper_parameters["follows, new items"] > 0
    alone = evaluate(flat.module(), short.validation).means
    found = evaluate(fitted.module(), short.validation).means
    assert found["new_ndcg10"] > alone["new_ndcg10"]
    assert found["ndcg10"] >= alone["ndcg10"]


def test_a_panel_of_new_items_holds_no_past_item(rhythm: TrainingSet) -> None:
    short = _shortened(rhythm)
    likes = Likes(True, short.catalogue.item_count)
    panel = build_panel(lambda *inputs: likes(*inputs).unsqueeze(1), short.validation, only_new=True)
    assert panel.features[panel.live].max() < 1.0
    everything = build_panel(lambda *inputs: likes(*inputs).unsqueeze(1), short.validation)
    assert everything.features[everything.live].max() == 1.0


def test_a_part_without_a_score_counts_nothing_and_brings_no_candidate(rhythm: TrainingSet) -> None:
    scores = np.full(rhythm.catalogue.item_count + 1, NEVER)
    scores[3] = -2.0
    panel = build_panel(lambda *inputs: Fixed(scores)(*inputs).unsqueeze(1), rhythm.validation)
    assert (panel.live.sum(axis=1) == 1).all()
    assert panel.features[panel.live].tolist() == [[-2.0]] * len(panel.live)


def test_the_emphasis_adds_the_quality_at_tail_items_as_a_plain_loop_does() -> None:
    random = np.random.default_rng(3)
    users, candidates, wanted = 30, 14, 3
    live = random.random((users, candidates)) < 0.9
    hit = np.zeros((users, candidates), dtype=bool)
    for user in range(users):
        hit[user, random.choice(candidates, wanted, replace=False)] = True
    rare = hit & (random.random((users, candidates)) < 0.4)
    features = random.normal(size=(users, candidates, 2)).astype(np.float32)
    panel = Panel(features, hit, live, np.full(users, wanted), rare, rare.sum(axis=1))
    weights = np.array([1.0, 0.5])
    means = {"all": list[float](), "tail": list[float]()}
    for user in range(users):
        scores = features[user] @ weights.astype(np.float32)
        top = [place for place in np.argsort(-scores, kind="stable") if live[user, place]][:10]
        for name, kept in (("all", hit[user]), ("tail", rare[user])):
            gain = sum(1 / np.log2(rank + 2) for rank, place in enumerate(top) if kept[place])
            ideal = sum(1 / np.log2(rank + 2) for rank in range(min(int(kept.sum()), 10)))
            means[name] += [gain / ideal] if ideal else []
    expected = np.mean(means["all"]) + 0.7 * np.mean(means["tail"])
    assert panel_ndcg(panel, weights, emphasis=0.7) == pytest.approx(expected)
    assert panel_ndcg(panel, weights) == pytest.approx(np.mean(means["all"]))


def test_users_of_tail_items_keep_what_the_best_simple_model_gave_them(rhythm: TrainingSet) -> None:
    crowded, popular, niche = _crowded(rhythm)
    simple = evaluate(niche.module(), crowded.validation)
    catalogue, cut = crowded.catalogue, crowded.validation
    careless, careful = (blend.fit(crowded, [popular, niche], served) for served in (None, simple))
    kept = [tail_kept(evaluate(each.module(), cut), simple, catalogue, cut) for each in (careless, careful)]
    assert kept[0] < 0.9 <= kept[1]
    assert careful.hyper_parameters["emphasis of tail items"] > 0
    assert "emphasis of tail items" not in careless.hyper_parameters


def test_a_model_that_lets_tail_items_fall_on_validation_is_told(rhythm: TrainingSet) -> None:
    crowded, popular, niche = _crowded(rhythm)
    found = {each.name: evaluate(each.module(), crowded.validation) for each in (popular, niche)}
    assert fallen_slices(found, "niche", crowded)["popular"][0] == "tail items"
    assert "niche" not in fallen_slices(found, "niche", crowded)
    slices = compare_evaluations(found["popular"], found["niche"], crowded.catalogue, crowded.validation, GateLimits())
    (tail,) = [each for each in slices if each.name == "tail items"]
    share = tail_kept(found["popular"], found["niche"], crowded.catalogue, crowded.validation)
    assert share == pytest.approx(tail.ndcg10 / tail.incumbent_ndcg10)


def _crowded(rhythm: TrainingSet) -> tuple[TrainingSet, FittedModel, FittedModel]:
    """60 users who met item 1, 40 want it again and 20 item 7; a model of the crowd, and one that knows item 7."""
    queries = rhythm.validation.queries.rows(np.resize(np.arange(len(rhythm.validation.queries)), 60))
    history = np.zeros_like(queries.history_items)
    history[:, -1] = 1
    queries = replace(queries, history_items=history, habit_items=np.zeros_like(queries.habit_items))
    cut = Cut(queries, Truth(np.arange(61), np.where(np.arange(60) < 40, 1, 7)))
    crowd, seldom = (np.full(rhythm.catalogue.item_count + 1, score) for score in (-1.0, 0.0))
    crowd[[1, 2, 7]], seldom[7] = (2.0, 1.2, 0.0), 1.0
    popular, niche = (
        FittedModel(name, "simple", Fixed(scores), {}) for name, scores in (("popular", crowd), ("niche", seldom))
    )
    return replace(rhythm, validation=cut), popular, niche


def _shortened(training_set: TrainingSet) -> TrainingSet:
    cut = training_set.validation
    names = ("history_items", "history_types", "history_ages", "habit_items", "habit_counts", "habit_ages")
    kept = {name: getattr(cut.queries, name).copy() for name in names}
    for name, array in kept.items():
        array[:, : -4 if name.startswith("history") else None] = 0
    return replace(training_set, validation=replace(cut, queries=replace(cut.queries, **kept)))
