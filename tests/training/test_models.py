"""What every model must do, held on each of them; then what each must have learned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.planted import build_training_set, item_texts, rhythm_events
from training.dataset import TrainingSet
from training.evaluate import evaluate, inputs_of
from training.export import export_model
from training.interactions import interactions
from training.item_knn import ItemKnn, nearest
from training.matrix_factorisation import MatrixFactorisation
from training.model import silent, tiny_settings
from training.popularity import decayed_counts
from training.repeat_purchase import RepeatPurchase
from training.tournament import MODELS, TournamentResult, curve_picture, format_table

NAMES = (*MODELS, "blend")


def scores_of(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.inference_mode():
        return module(*inputs)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_finite_for_known_and_for_empty_users(
    name: str, tournament: TournamentResult, rhythm: TrainingSet
) -> None:
    known = inputs_of(rhythm.test.queries, np.arange(4))
    empty = tuple(torch.zeros_like(part) for part in known)
    for inputs in (known, empty):
        scores = scores_of(tournament.models[name].module(), inputs)
        assert scores.shape == (4, rhythm.catalogue.item_count + 1)
        assert scores.dtype == torch.float32
        assert torch.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_answers_as_each_user_alone_and_the_same_twice(
    name: str, tournament: TournamentResult, rhythm: TrainingSet
) -> None:
    module = tournament.models[name].module()
    together = scores_of(module, inputs_of(rhythm.test.queries, np.arange(5)))
    alone = torch.cat([scores_of(module, inputs_of(rhythm.test.queries, np.array([row]))) for row in range(5)])
    assert torch.allclose(together, alone, atol=1e-4)
    assert torch.equal(together, scores_of(module, inputs_of(rhythm.test.queries, np.arange(5))))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_model_goes_out_as_one_file_that_answers_the_same(
    name: str, tournament: TournamentResult, rhythm: TrainingSet, tmp_path: Path
) -> None:
    parity = export_model(tournament.models[name].module(), rhythm.catalogue.item_count, tmp_path / "model.onnx")
    assert parity.largest_difference < 1e-4


@pytest.mark.parametrize("name", ["popularity", "repeat purchase", "item-kNN"])
def test_renaming_the_items_permutes_the_scores(name: str, rhythm: TrainingSet) -> None:
    order = list(item_texts())[::-1]
    turned = build_training_set(rhythm_events(), {item: item_texts()[item] for item in order})
    first = MODELS[name](rhythm, tiny_settings(), silent).module()
    second = MODELS[name](turned, tiny_settings(), silent).module()
    left = scores_of(first, inputs_of(rhythm.test.queries, np.arange(6)))
    right = scores_of(second, inputs_of(turned.test.queries, np.arange(6)))
    assert torch.allclose(left[:, 1:], right[:, 1:].flip(1), atol=1e-5)


@pytest.mark.parametrize("name", ["LSTM language model", "transformer"])
def test_the_same_seed_gives_the_same_weights(name: str, rhythm: TrainingSet) -> None:
    settings = replace(tiny_settings(), transformer_steps=12, language_model_steps=12, validation_every=12)
    modules = [MODELS[name](rhythm, settings, silent).module() for _ in range(2)]
    other = MODELS[name](rhythm, replace(settings, seed=8), silent).module()
    states = [module.state_dict() for module in (*modules, other)]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert any(not torch.equal(value, states[2][key]) for key, value in states[0].items())


def test_the_sequence_models_learn_the_planted_walk_that_counting_cannot(tournament: TournamentResult) -> None:
    test = {row.model: row.test["ndcg10"] for row in tournament.table}
    assert test["transformer"] > 0.9
    assert test["LSTM language model"] > 0.7
    assert max(test["popularity"], test["repeat purchase"], test["item-kNN"]) < 0.7
    assert tournament.challenger.name in ("transformer", "blend")
    assert tournament.best_simple.kind == "simple"


def test_the_table_names_every_model_and_the_picture_is_a_png(tournament: TournamentResult) -> None:
    table = format_table(tournament)
    assert all(f"| {name} |" in table for name in NAMES)
    assert "Challenger: " in table
    left = replace(tournament, passed_over={"transformer": ("tail items", "cold users")})
    assert "transformer is better on validation, but serves tail items, cold users clearly worse" in format_table(left)
    assert curve_picture(tournament.curves).startswith(b"\x89PNG")


def test_repeat_purchase_agrees_with_a_plain_loop(rhythm: TrainingSet) -> None:
    queries, count = rhythm.test.queries, rhythm.catalogue.item_count
    scores = scores_of(RepeatPurchase(np.zeros(count + 1), 30.0, 0.3), inputs_of(queries, np.arange(3)))
    for row in range(3):
        expected = np.zeros(count + 1)
        for item, age in zip(queries.history_items[row], queries.history_ages[row], strict=True):
            expected[item] += 0.3 * 2 ** (-age / 30) * (item > 0)
        habits = zip(queries.habit_items[row], queries.habit_counts[row], queries.habit_ages[row], strict=True)
        for item, times, age in habits:
            expected[item] += times * 2 ** (-age / 30)
        assert scores[row, 1:].numpy() == pytest.approx(expected[1:], rel=1e-4)


def test_neighbours_and_their_scores_agree_with_plain_loops(rhythm: TrainingSet) -> None:
    seen, count = interactions(rhythm), rhythm.catalogue.item_count
    weeks: dict[int, set[tuple[int, int]]] = {item: set() for item in range(count + 1)}
    for user, item, day in zip(seen.user, seen.item, seen.day, strict=True):
        weeks[int(item)].add((int(user), int(day // 7)))
    items, scores = nearest(seen, count, 5, 1)
    for item in range(1, count + 1):
        cosines = {
            other: len(weeks[item] & weeks[other]) / np.sqrt((len(weeks[item]) + 5) * (len(weeks[other]) + 5))
            for other in range(1, count + 1)
            if other != item
        }
        expected = sorted(cosines.values(), reverse=True)[:5]
        assert scores[item] == pytest.approx(expected, rel=1e-5)
        assert [cosines[other] for other in items[item] if other] == pytest.approx([c for c in expected if c > 0])
    queries = rhythm.test.queries
    got = scores_of(ItemKnn(items, scores, 30.0, 2.0), inputs_of(queries, np.arange(2)))
    expected_row = np.zeros(count + 1)
    past = [(i, 1.0, a) for i, a in zip(queries.history_items[0], queries.history_ages[0], strict=True) if i]
    habits = zip(queries.habit_items[0], queries.habit_counts[0], queries.habit_ages[0], strict=True)
    for item, times, age in [*past, *((i, c, a) for i, c, a in habits if i)]:
        expected_row[item] += 2.0 * times * 2 ** (-age / 30)
        for other, cosine in zip(items[item], scores[item], strict=True):
            expected_row[other] += cosine * times * 2 ** (-age / 30)
    assert got[0, 1:].numpy() == pytest.approx(expected_row[1:], rel=1e-4)


def test_decayed_counts_halve_with_each_half_life(rhythm: TrainingSet) -> None:
    seen = interactions(rhythm)
    counts = decayed_counts(seen, rhythm.catalogue.item_count, 7.0)
    by_hand = sum(2 ** (day / 7.0) for item, day in zip(seen.item, seen.day, strict=True) if item == 3)
    assert counts[3] == pytest.approx(by_hand)


def test_the_fold_in_solves_the_users_normal_equations(rhythm: TrainingSet) -> None:
    factors = np.random.default_rng(0).normal(size=(rhythm.catalogue.item_count + 1, 4)).astype(np.float32)
    factors[0] = 0
    module = MatrixFactorisation(factors, 2.0)
    inputs = inputs_of(rhythm.test.queries, np.arange(1))
    weights = np.zeros(len(factors))
    taken = np.zeros(len(factors))
    for items, counts, ages in ((inputs[0], torch.ones_like(inputs[2]), inputs[2]), (inputs[3], inputs[4], inputs[5])):
        for item, count, age in zip(items[0].numpy(), counts[0].numpy(), ages[0].numpy(), strict=True):
            weights[item] += (item > 0) * 2.0 * np.log1p(count * 2 ** (-age / 120))
            taken[item] += item > 0
    left = module.gram.numpy() + (factors.T * weights) @ factors
    solved = np.linalg.solve(left, factors.T @ (taken + weights))
    assert scores_of(module, inputs)[0].numpy() == pytest.approx(factors @ solved, rel=2e-2, abs=2e-3)


def test_users_without_any_interaction_still_give_a_tournament(rhythm: TrainingSet) -> None:
    rows = [row for row in rhythm_events(6) if row[0] != "u00"]
    small = build_training_set(rows, item_texts(), snapshots=2)
    settings = replace(tiny_settings(), transformer_steps=4, language_model_steps=4, validation_every=4)
    for name, fit in MODELS.items():
        found = evaluate(fit(small, settings, silent).module(), small.test)
        assert np.isfinite(found.means["ndcg10"]), name
