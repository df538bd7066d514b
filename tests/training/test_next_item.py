"""The next-item models on planted sequences, against plain loops and hand-made tensors."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from training import fit_sequence, sequence_blend, sequence_neighbours
from training.fit_sequence import SequenceSettings, settings_for
from training.leave_one_out import HELD_OUT, Sequences, read_sequences
from training.losses import SOFTMAX_CHUNK, chunked_softmax
from training.sequence_ranking import rank_quality, wanted_ranks

ITEMS = 24


def cycle_rows(users: int = 60, length: int = 9) -> pd.DataFrame:
    """Users walk the items in one order, each from a place of their own: item n is followed by n + 1."""
    rows = [(user, f"i{(user + step) % ITEMS}", step * 86_400, step) for user in range(users) for step in range(length)]
    return pd.DataFrame(rows, columns=["user", "item", "ts", "pos"])


def catalogue() -> pd.DataFrame:
    """The items of the cycle."""
    return pd.DataFrame({"item": [f"i{number}" for number in range(ITEMS)]})


@pytest.fixture(scope="module")
def cycle() -> Sequences:
    return read_sequences(cycle_rows(), catalogue())


@pytest.fixture(scope="module")
def text() -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(ITEMS + 1, 8)).astype(np.float32)
    vectors[0] = 0
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def tiny(seed: int = 1) -> SequenceSettings:
    return SequenceSettings(
        width=16, heads=2, blocks=1, dropout=0.0, length=16, batch_size=16, learning_rate=1e-2, epochs=12, seed=seed
    )


def silent(line: str) -> None:
    """Say nothing."""


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


def test_ranks_are_those_of_a_plain_loop(cycle: Sequences) -> None:
    table = torch.randn(ITEMS + 1, ITEMS + 1, generator=torch.Generator().manual_seed(5))
    masked, unmasked = wanted_ranks(lambda rows: table[[int(row[-1]) for row in rows]], cycle, "test")
    for user, (row, wanted) in enumerate(zip(cycle.before(1), cycle.wanted(1), strict=True)):
        scores = table[int(row[-1])]
        above = [item for item in range(1, ITEMS + 1) if item != wanted and scores[item] >= scores[wanted]]
        assert unmasked[user] == len(above)
        assert masked[user] == len([item for item in above if item not in row])


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


def test_counting_models_find_the_pattern_and_the_blend_is_no_worse_on_validation(
    cycle: Sequences, text: np.ndarray
) -> None:
    parts = {
        "popularity": sequence_neighbours.popularity(cycle),
        "item-kNN": sequence_neighbours.item_knn(cycle),
        "EASE": sequence_neighbours.ease(cycle),
        "text": sequence_neighbours.text_nearness(cycle, text),
    }
    alone = {name: rank_quality(part, cycle, "validation")["n10"] for name, part in parts.items()}
    assert alone["item-kNN"] > alone["popularity"]
    blend = sequence_blend.fit(cycle, parts, {"item-kNN": 1.0})
    assert rank_quality(blend, cycle, "validation")["n10"] >= alone["item-kNN"]


def test_settings_follow_the_data() -> None:
    short, long = (read_sequences(cycle_rows(users=12, length=length), catalogue()) for length in (5, 80))
    assert settings_for(short, 64, 1).dropout > settings_for(long, 64, 1).dropout
    assert settings_for(short, 64, 1).length < settings_for(long, 64, 1).length
