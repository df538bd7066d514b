"""The next-item models on planted sequences, against plain loops and hand-made tensors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from tests.training.walks import ITEMS, catalogue, cycle_rows, silent, tiny
from training import fit_sequence, sequence_blend, sequence_checkpoint, sequence_knn, sequence_neighbours
from training.item_vectors import SHARPNESS
from training.leave_one_out import HELD_OUT, Sequences, read_sequences
from training.losses import SOFTMAX_CHUNK, chunked_softmax
from training.recurrent_rate import with_own_rate
from training.sequence_cold import lend_to_cold
from training.sequence_factors import fold_in, implicit_factors, pairwise_factors
from training.sequence_ranking import rank_quality, rank_report, wanted_ranks
from training.sequence_settings import SequenceSettings


def test_the_last_item_is_the_test_and_the_one_before_it_the_validation(cycle: Sequences) -> None:
    assert cycle.wanted(HELD_OUT["test"])[0] == 9
    assert cycle.wanted(HELD_OUT["validation"])[0] == 8
    assert cycle.before(HELD_OUT["validation"])[0].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_shuffled_ties_move_items_within_a_day_only() -> None:
    rows = cycle_rows(users=4)
    rows["ts"] //= 2
    plain, shuffled = read_sequences(rows, catalogue()), read_sequences(rows, catalogue(), shuffle_ties=3)
    assert (plain.items != shuffled.items).any()
    for user in range(4):
        own = slice(plain.starts[user], plain.starts[user + 1])
        assert sorted(plain.items[own]) == sorted(shuffled.items[own])


def test_a_missing_column_and_an_unknown_item_are_named() -> None:
    with pytest.raises(ValueError, match="ts"):
        read_sequences(cycle_rows().drop(columns="ts"), catalogue())
    with pytest.raises(ValueError, match="'i23'"):
        read_sequences(cycle_rows(), catalogue().iloc[:-1])


def test_the_chunked_softmax_is_the_plain_one_with_its_gradients() -> None:
    torch.manual_seed(0)
    rows = SOFTMAX_CHUNK + 9
    users, items, bias = torch.randn(rows, 8), torch.randn(40, 8), torch.randn(40)
    target = torch.randint(0, 40, (rows,))
    plain, chunked = ([value.clone().requires_grad_() for value in (users, items, bias)] for _ in range(2))
    expected = functional.cross_entropy(plain[0] @ plain[1].T + plain[2], target)
    came = chunked_softmax(*chunked, target)
    (2 * expected).backward()
    (2 * came).backward()
    assert torch.allclose(came, expected, rtol=5e-3)
    for one, other in zip(plain, chunked, strict=True):
        assert one.grad is not None
        assert other.grad is not None
        assert torch.allclose(one.grad, other.grad, atol=2e-2 * float(one.grad.abs().max()))


@pytest.mark.parametrize("length", [9, 26, 60])
def test_ranks_are_those_of_a_plain_loop_and_a_wanted_item_of_the_history_is_a_miss(length: int) -> None:
    walks = read_sequences(cycle_rows(length=length), catalogue())
    table = torch.randn(ITEMS + 1, ITEMS + 1, generator=torch.Generator().manual_seed(5))
    masked, unmasked = wanted_ranks(lambda rows: table[[int(row[-1]) for row in rows]], walks, "test")
    for user, (row, wanted) in enumerate(zip(walks.before(1), walks.wanted(1), strict=True)):
        scores = table[int(row[-1])]
        above = [item for item in range(1, ITEMS + 1) if item != wanted and scores[item] >= scores[wanted]]
        assert unmasked[user] == len(above)
        assert masked[user] == (ITEMS if wanted in row else len([item for item in above if item not in row]))


def test_the_interval_of_a_mixed_model_holds_its_mean_and_that_of_a_perfect_one_is_a_point(cycle: Sequences) -> None:
    following = torch.eye(ITEMS + 1).roll(1, dims=1)
    following[ITEMS, 1] = 1
    perfect = rank_report(lambda rows: following[[int(row[-1]) for row in rows]], cycle, "test")
    assert (perfect["n10_low"], perfect["n10"], perfect["n10_high"]) == (1, 1, 1)
    table = torch.randn(ITEMS + 1, ITEMS + 1, generator=torch.Generator().manual_seed(5))
    mixed = rank_report(lambda rows: table[[int(row[-1]) for row in rows]], cycle, "test")
    assert mixed["n10_low"] < mixed["n10"] < mixed["n10_high"]
    assert mixed["n10"] == rank_quality(lambda rows: table[[int(row[-1]) for row in rows]], cycle, "test")["n10"]


def test_a_model_that_scores_nothing_or_nan_earns_nothing(cycle: Sequences) -> None:
    constant = rank_quality(lambda rows: torch.zeros(len(rows), ITEMS + 1), cycle, "test")
    assert constant["r10"] == 0
    with pytest.raises(ValueError, match="NaN"):
        rank_quality(lambda rows: torch.full((len(rows), ITEMS + 1), float("nan")), cycle, "test")


def test_the_transformer_learns_what_follows_and_the_same_seed_gives_the_same_weights(
    cycle: Sequences, text: np.ndarray
) -> None:
    first, second = (fit_sequence.fit(cycle, text, tiny(), silent) for _ in range(2))
    assert rank_quality(fit_sequence.recommender(first), cycle, "test")["n10"] > 0.9
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_killed_fit_goes_on_to_the_same_weights(cycle: Sequences, text: np.ndarray, tmp_path: Path) -> None:
    settings = replace(tiny(), epochs=5, dropout=0.3, patience=5)
    whole = fit_sequence.fit(cycle, text, settings, silent)

    def killed(epoch: fit_sequence.Epoch) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_sequence.fit(cycle, text, settings, killed, tmp_path / "fit.pt")
    numbers: list[int] = []
    before = sequence_checkpoint.spent(tmp_path / "fit.pt")
    resumed = fit_sequence.fit(cycle, text, settings, lambda epoch: numbers.append(epoch.number), tmp_path / "fit.pt")
    assert numbers == [3, 4, 5]
    after = sequence_checkpoint.spent(tmp_path / "fit.pt")
    assert 0 < before[0] < after[0]
    assert 0 < before[1] < after[1]
    assert sequence_checkpoint.spent(None) == sequence_checkpoint.spent(tmp_path / "none.pt") == (0, 0)
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_of_other_settings_or_rows_is_refused(cycle: Sequences, text: np.ndarray, tmp_path: Path) -> None:
    settings, path = replace(tiny(), epochs=1), tmp_path / "fit.pt"
    fit_sequence.fit(cycle, text, settings, silent, path)
    others = Sequences(np.roll(cycle.items, 1), cycle.starts, cycle.item_count)
    for rows, meanings, other in (
        (cycle, text, replace(settings, dropout=0.1)),
        (cycle, -text, settings),
        (others, text, settings),
    ):
        with pytest.raises(ValueError, match="rows and settings"):
            fit_sequence.fit(rows, meanings, other, silent, path)
    numbers: list[int] = []
    fit_sequence.fit(cycle, text, settings, lambda epoch: numbers.append(epoch.number), path)
    assert numbers == []


def test_counting_models_find_the_pattern_and_the_blend_is_no_worse_on_validation(
    cycle: Sequences, text: np.ndarray
) -> None:
    parts = {
        "popularity": sequence_neighbours.popularity(cycle),
        "item-kNN": sequence_knn.item_knn(cycle),
        "EASE": sequence_neighbours.ease(cycle),
        "text": sequence_neighbours.text_nearness(cycle, text),
    }
    alone = {name: rank_quality(part, cycle, "validation")["n10"] for name, part in parts.items()}
    assert alone["item-kNN"] > alone["popularity"]
    blend = sequence_blend.fit(cycle, parts, {"item-kNN": 1.0})
    assert rank_quality(blend, cycle, "validation")["n10"] >= alone["item-kNN"]


def test_a_part_that_finds_only_items_of_the_history_has_no_say_in_the_blend() -> None:
    walks = read_sequences(cycle_rows(length=60), catalogue())
    following = torch.eye(ITEMS + 1).roll(1, dims=1)
    parts = {
        "nothing": lambda rows: torch.zeros(len(rows), ITEMS + 1),
        "following": lambda rows: following[[int(row[-1]) for row in rows]],
    }
    blend = sequence_blend.fit(walks, parts, {"nothing": 1.0})
    assert blend.weights["following"] == 0
    assert rank_quality(parts["following"], walks, "validation")["r10"] == 0
    assert rank_quality(parts["following"], walks, "validation")["r10_unmasked"] > 0.9


def test_a_model_that_is_better_alone_than_in_the_sum_is_taken_alone(cycle: Sequences) -> None:
    noise = torch.from_numpy(np.random.default_rng(1).normal(size=(ITEMS + 1, ITEMS + 1)).astype(np.float32))
    steps = torch.zeros(ITEMS + 1, ITEMS + 1)
    steps[1:, 1:] = (torch.arange(ITEMS)[:, None] + 1 - torch.arange(ITEMS)) % -ITEMS
    first = {"noise": lambda rows: noise[[int(row[-1]) for row in rows]]}
    best = {"order": lambda rows: steps[[int(row[-1]) for row in rows]]}
    for parts, instead in ((first | best, None), (first, best)):
        blend = sequence_blend.fit(cycle, parts, {"noise": 1.0}, instead)
        assert blend.weights == {"order": 1.0}
        assert rank_quality(blend, cycle, "test")["n10"] == 1


def test_the_unit_of_a_part_does_not_matter_to_the_blend(cycle: Sequences, text: np.ndarray) -> None:
    knn, near = sequence_knn.item_knn(cycle), sequence_neighbours.text_nearness(cycle, text)
    plain = sequence_blend.fit(cycle, {"text": near, "item-kNN": knn}, {"text": 1.0})
    large = sequence_blend.fit(cycle, {"text": near, "item-kNN": lambda rows: 1000 * knn(rows)}, {"text": 1.0})
    assert plain.weights["item-kNN"] > 0
    assert large.weights["item-kNN"] == pytest.approx(plain.weights["item-kNN"] / 1000, rel=1e-3)


def test_an_untrained_item_has_the_mean_score_of_what_means_the_same_and_the_others_keep_theirs() -> None:
    rows = pd.concat([cycle_rows(users=1, length=5), cycle_rows(users=1, length=5).assign(user=1)])
    rows.loc[rows["pos"] == 4, "item"] = "i20"
    sequences = read_sequences(rows, catalogue())
    vectors = np.zeros((ITEMS + 1, 2), dtype=np.float32)
    vectors[[1, 2]], vectors[3], vectors[21] = [1, 0], [0, 1], [1, 0]
    scores = torch.arange(ITEMS + 1, dtype=torch.float32)[None] ** 2
    lent = lend_to_cold(lambda histories: scores, sequences, vectors)([np.array([1])])
    near, far = np.exp(0.0), np.exp(-SHARPNESS)
    assert float(lent[0, 21]) == pytest.approx((near * (1 + 4) + far * 9) / (2 * near + far), rel=1e-5)
    assert torch.equal(lent[0, :21], scores[0, :21])


def test_a_cold_item_is_found_by_its_meaning_only_where_scores_are_lent(text: np.ndarray) -> None:
    rows = cycle_rows()
    rows.loc[rows["pos"] == 8, "item"] = "new"
    sequences = read_sequences(rows, pd.concat([catalogue(), pd.DataFrame({"item": ["new"]})]))
    vectors = np.vstack([text, text[8:9]])
    plain = sequence_knn.item_knn(sequences)
    lent = lend_to_cold(plain, sequences, vectors)
    assert rank_quality(plain, sequences, "test")["r10_cold"] == 0
    assert rank_quality(lent, sequences, "test")["r10_cold"] > 0


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_recurrent_baselines_learn_what_follows(cell: str, cycle: Sequences, text: np.ndarray) -> None:
    model = fit_sequence.fit(
        cycle, text, replace(tiny(), cell=cell, epochs=40, learning_rate=3e-2, patience=20), silent
    )
    assert rank_quality(fit_sequence.recommender(model), cycle, "test")["n10"] > 0.9


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_recurrent_baseline_has_a_rate_of_its_own_and_steps_enough_on_a_small_set(
    cell: str, cycle: Sequences, text: np.ndarray
) -> None:
    said: list[object] = []
    shipped = SequenceSettings(width=32, cell=cell, batch_size=16, text=False, spectral=False)
    settings = with_own_rate(cycle, shipped, said.append)
    assert settings.learning_rate > shipped.learning_rate
    assert len(said) == 3
    qualities = [
        rank_quality(fit_sequence.recommender(fit_sequence.fit(cycle, text, each, silent)), cycle, "test")["n10"]
        for each in (shipped, settings)
    ]
    assert qualities[0] < 0.5
    assert qualities[1] > 0.9


def test_patience_counts_after_the_first_steps(cycle: Sequences, text: np.ndarray) -> None:
    epochs: list[list[object]] = []
    for least in (0, 40):
        settings = replace(tiny(), learning_rate=0.0, patience=1, batch_size=15, least_steps=least)
        epochs.append([])
        fit_sequence.fit(cycle, text, settings, epochs[-1].append)
    assert [len(each) for each in epochs] == [3, 11]


def test_the_factors_of_a_history_solve_the_users_normal_equations(cycle: Sequences) -> None:
    factors = np.random.default_rng(0).normal(size=(4, 3))
    gram = factors.T @ factors + 2.0 * np.eye(3)
    found = fold_in(factors[[1, 3]], gram, 5.0)
    left = 2.0 * np.eye(3) + sum((6.0 if item in (1, 3) else 1.0) * np.outer(y, y) for item, y in enumerate(factors))
    assert found == pytest.approx(np.linalg.solve(left, 6.0 * (factors[1] + factors[3])))
    scores = implicit_factors(cycle)([np.array([1, 2, 3])])
    assert float(scores[0, 1:4].mean()) > float(scores[0, 4:].mean())


def test_pairwise_factors_know_each_user_by_the_training_part_and_prefer_the_users_half_of_the_shop() -> None:
    random = np.random.default_rng(5)
    half = ITEMS // 2
    walks = [random.permutation(half)[:7] + half * (user % 2) for user in range(80)]
    rows = [(user, f"i{item}", step) for user, walk in enumerate(walks) for step, item in enumerate(walk)]
    sequences = read_sequences(pd.DataFrame(rows, columns=["user", "item", "ts"]), catalogue())
    recommend = pairwise_factors(sequences)
    scores = recommend([sequences.before(held_out)[user] for held_out in (2, 1) for user in (0, 1)])
    lower, upper = scores[:, 1 : half + 1].mean(dim=1), scores[:, half + 1 :].mean(dim=1)
    assert (lower > upper).tolist() == [True, False, True, False]
    assert torch.equal(scores[:2], scores[2:])
    unknown = recommend([np.array([1, 2, 3, 4])])
    assert torch.isfinite(unknown).all()
    assert not torch.equal(unknown[0], scores[0])


def test_a_test_history_that_is_another_users_training_part_is_scored_for_its_own_user() -> None:
    walks = [[1, 2, 3, 4], [1, 2, 3, 5, 6], *([item, item + 1, item + 2, item + 3] for item in range(7, 19))]
    rows = [(user, f"i{item - 1}", step) for user, walk in enumerate(walks) for step, item in enumerate(walk)]
    sequences = read_sequences(pd.DataFrame(rows, columns=["user", "item", "ts"]), catalogue())
    recommend = pairwise_factors(sequences)
    training, test = (recommend(sequences.before(held_out)) for held_out in (2, 1))
    assert torch.equal(training, test)
    assert not torch.equal(test[0], test[1])
