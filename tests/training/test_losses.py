import math

import pytest
import torch

from training.copy_head import CopyHead, copy_loss_terms
from training.losses import multi_positive_softmax, next_item_cross_entropy, same_target_contrast


def test_two_wanted_items_share_a_softmax_worked_by_hand() -> None:
    logits = torch.tensor([[math.log(1.0), math.log(2.0), math.log(5.0)]])
    loss = multi_positive_softmax(logits, torch.tensor([0, 0]), torch.tensor([1, 2]))
    assert loss.item() == pytest.approx((-math.log(2 / 8) - math.log(5 / 8)) / 2)


def test_a_row_with_four_wanted_items_weighs_twice_a_row_with_one() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0], [3.0, 1.0, 0.5, 0.2]])
    owner, target = torch.tensor([0, 0, 0, 0, 1]), torch.tensor([0, 1, 2, 3, 0])
    each = torch.logsumexp(logits, 1)[owner] - logits[owner, target]
    expected = (2 * each[:4].mean() + each[4]) / 3
    assert multi_positive_softmax(logits, owner, target).item() == pytest.approx(expected.item(), rel=1e-6)


def test_padding_targets_do_not_count_in_the_next_item_loss() -> None:
    logits = torch.randn(1, 3, 5, generator=torch.Generator().manual_seed(0))
    whole = next_item_cross_entropy(logits, torch.tensor([[0, 2, 4]]))
    by_hand = -torch.log_softmax(logits[0, 1:], 1)[torch.arange(2), torch.tensor([2, 4])].mean()
    assert whole.item() == pytest.approx(by_hand.item(), rel=1e-6)


def test_the_copy_loss_is_the_softmax_over_the_whole_catalogue() -> None:
    torch.manual_seed(0)
    head = CopyHead(torch.log_softmax(torch.randn(9), 0), torch.rand(9))
    history = torch.zeros(2, 100, dtype=torch.int64)
    history[0, -3:], history[1, -1:] = torch.tensor([3, 4, 3]), 5
    habits = torch.zeros(2, 100, dtype=torch.int64)
    habits[0, -2:] = torch.tensor([4, 6])
    ages, counts = torch.rand(2, 100), torch.ones(2, 100) * (habits > 0)
    items, live, gains = head(history, ages, habits, counts, ages)
    assert sorted(items[0][live[0]].tolist()) == [3, 4, 6]
    owner, target = torch.tensor([0, 0, 1, 1]), torch.tensor([4, 1, 5, 8])
    base = (head.popularity_gain * head.log_popularity).expand(2, -1).clone()
    scores = base.scatter_add(1, items, gains * live)[:, 1:]
    expected = torch.logsumexp(scores, 1)[owner] - scores[owner, target - 1]
    got = copy_loss_terms(head, (items, live, gains), owner, target)
    assert torch.allclose(got, expected, atol=1e-5)


def test_same_target_contrast_worked_by_hand() -> None:
    states = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 1.0], [1.0, 0.0]])
    target = torch.tensor([5, 5, 8, 9])
    # Places 0 and 1 want one item and are at a right angle; each has one like it that wants another.
    by_hand = -math.log(math.exp(0 / 0.5) / (math.exp(0 / 0.5) * 2 + math.exp(1 / 0.5)))
    assert same_target_contrast(states, target, 0.5).item() == pytest.approx(by_hand, rel=1e-6)


def test_states_that_want_one_item_are_drawn_together_and_lone_places_have_no_part() -> None:
    states = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    same_target_contrast(states, torch.tensor([1, 1, 2, 3, 4, 5])).backward()
    nearer = states.detach() - 0.01 * states.grad
    before, after = (torch.cosine_similarity(rows[0], rows[1], dim=0) for rows in (states.detach(), nearer))
    assert after > before
    assert same_target_contrast(states.detach(), torch.arange(6)).item() == 0
