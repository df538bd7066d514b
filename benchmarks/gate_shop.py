"""A planted shop for the gate: who buys an item mostly buys its successor next, so the truth about a model is known.

60 items in 6 categories of very different popularity; 300 users, a tenth of them new; two channels. One item a day:
with probability 0.7 the successor of the one before, else one drawn by popularity.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.dataset import Catalogue, Cut, Queries, TrainingSet, Truth
from training.export import write_model

ITEMS, CATEGORIES, USERS, DAYS, LENGTH = 60, 6, 300, 64, 100
FOLLOWS = 0.7
T_VALIDATION = np.datetime64("2026-03-02T00:00:00", "us")
T_TEST = T_VALIDATION + np.timedelta64(7, "D")


@dataclass(frozen=True)
class Shop:
    """The training set, each user's channel on the test cut, the true successor of each item, and what was bought.

    `successor` int64 [items + 1]; `days` int64 [users, DAYS + 7]: the item of each day, 0 before a user was there; the
    test cut is at day DAYS, the validation cut seven days before.
    """

    training_set: TrainingSet
    channels: dict[str, np.ndarray]
    successor: np.ndarray
    days: np.ndarray


def plant_shop(seed: int = 3) -> Shop:
    """Make the shop."""
    random = np.random.default_rng(seed)
    category = random.permutation(np.repeat(np.arange(CATEGORIES), ITEMS // CATEGORIES))
    successor = np.zeros(ITEMS + 1, dtype=np.int64)
    for each in range(CATEGORIES):
        members = random.permutation(np.flatnonzero(category == each) + 1)
        successor[members] = np.roll(members, -1)
    popularity = (1 / (1 + category)) * random.uniform(0.5, 1.5, ITEMS)
    days = _days(random, successor, popularity / popularity.sum())
    catalogue = Catalogue(
        item_ids=[f"item-{number:02d}" for number in range(1, ITEMS + 1)],
        titles=[f"Thing {number}" for number in range(1, ITEMS + 1)],
        categories=[f"Shelf {each}" for each in category],
        brands=[""] * ITEMS,
        prices=np.ones(ITEMS, dtype=np.float32),
        text_vectors=np.zeros((ITEMS + 1, 4), dtype=np.float32),
    )
    validation, test = (Cut(_queries(days, day), _truth(days, day)) for day in (DAYS - 7, DAYS))
    past = _queries(days, DAYS - 21)
    training_set = TrainingSet(catalogue, past, validation, test, T_VALIDATION, T_TEST, "planted")
    web = random.random(USERS) < 0.6
    return Shop(training_set, {"web": web, "store": ~web}, successor, days)


def _days(random: np.random.Generator, successor: np.ndarray, chances: np.ndarray) -> np.ndarray:
    days = np.zeros((USERS, DAYS + 7), dtype=np.int64)
    starts = np.where(
        random.random(USERS) < 0.1, DAYS - 10 + random.integers(0, 8, USERS), random.integers(0, 20, USERS)
    )
    for user in range(USERS):
        for day in range(int(starts[user]), DAYS + 7):
            drawn = int(random.choice(ITEMS, p=chances)) + 1
            follows = day > starts[user] and random.random() < FOLLOWS
            days[user, day] = successor[days[user, day - 1]] if follows else drawn
    return days


def _queries(days: np.ndarray, day: int) -> Queries:
    """Return what is known of each user at the beginning of a day; everything happened at noon."""
    items = np.zeros((USERS, LENGTH), dtype=np.int64)
    items[:, LENGTH - day :] = days[:, :day]
    ages = np.where(items > 0, np.arange(LENGTH, 0, -1) - 0.5, 0).astype(np.float32)
    habits, counts, last = (np.zeros((USERS, LENGTH)) for _ in range(3))
    for user in range(USERS):
        bought, times = np.unique(days[user, :day][days[user, :day] > 0], return_counts=True)
        order = np.argsort(-times, kind="stable")
        place = slice(LENGTH - len(bought), LENGTH)
        habits[user, place], counts[user, place] = bought[order][::-1], times[order][::-1]
        last[user, place] = [day - 0.5 - np.flatnonzero(days[user, :day] == item)[-1] for item in bought[order][::-1]]
    moment = T_TEST + np.timedelta64(day - DAYS, "D")
    return Queries(
        user_ids=[f"user-{number:03d}" for number in range(USERS)],
        as_of=np.full(USERS, moment),
        history_items=items,
        history_types=np.where(items > 0, 3, 0),
        history_ages=ages,
        habit_items=habits.astype(np.int64),
        habit_counts=counts.astype(np.float32),
        habit_ages=last.astype(np.float32),
        new_from=np.zeros(USERS, dtype=np.int64),
    )


def _truth(days: np.ndarray, day: int) -> Truth:
    wanted = [np.unique(row[row > 0]) for row in days[:, day : day + 7]]
    return Truth(np.concatenate(([0], np.cumsum([len(row) for row in wanted]))), np.concatenate(wanted))


class Transitions(nn.Module):
    """Scores what follows the last three items, by a table, beside what is popular and what the user repeats."""

    def __init__(self, table: np.ndarray, popular: np.ndarray, weights: tuple[float, float, float, float]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.from_numpy(table).float())
        self.popular = nn.Parameter(torch.from_numpy(popular).float())
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        """Score every item, float32 [B, items + 1]."""
        scores = self.popular[None, :] + self.weights[0] * self.table[hi[:, -1]]
        scores = scores + self.weights[1] * self.table[hi[:, -2]] + self.weights[2] * self.table[hi[:, -3]]
        habits = torch.zeros_like(scores).scatter_add(1, bi, torch.log1p(bc) * (bi > 0))
        return scores + self.weights[3] * habits


class ByHeart(Transitions):
    """Knows the test week by heart: a history that it has seen gives the items that came after it."""

    def remember(self, histories: np.ndarray, wanted: np.ndarray) -> "ByHeart":
        """Keep histories int64 [users, 100] and what came after, float [users, items + 1]."""
        self.register_buffer("histories", torch.from_numpy(histories[:, -20:]))
        self.register_buffer("wanted", torch.from_numpy(wanted).float())
        return self

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        """Score every item, float32 [B, items + 1]."""
        seen = (hi[:, None, -20:] == self.histories[None]).float().mean(dim=2) >= 1
        return super().forward(hi, ht, ha, bi, bc, ba) + 100 * (seen.float() @ self.wanted)


class Wasteful(Transitions):
    """The right answers, after needless work."""

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        """Score every item, float32 [B, items + 1]."""
        waste = torch.ones(700, 700) + ha.sum()
        for _ in range(12):
            waste = waste @ waste * 1e-4
        return super().forward(hi, ht, ha, bi, bc, ba) + 0 * torch.tanh(waste).sum()


def true_table(shop: Shop, depth: int = 7) -> np.ndarray:
    """Return the rule that made the shop as scores, float [items + 1, items + 1]: the n-th successor gets 0.7^n."""
    table = np.zeros((ITEMS + 1, ITEMS + 1))
    for item in range(1, ITEMS + 1):
        next_item = item
        for step in range(1, depth + 1):
            next_item = shop.successor[next_item]
            table[item, next_item] += FOLLOWS**step
    return table


def learned_table(shop: Shop, users: int = USERS, depth: int = 5) -> np.ndarray:
    """Return what the first users' days before the validation cut teach about successors, in powers up to `depth`."""
    counts = np.full((ITEMS + 1, ITEMS + 1), 0.05)
    before, after = shop.days[:users, : DAYS - 8].ravel(), shop.days[:users, 1 : DAYS - 7].ravel()
    np.add.at(counts, (before, after), (before > 0) & (after > 0))
    counts[:, 0] = 0
    step = counts / counts.sum(axis=1, keepdims=True)
    total, power = np.zeros_like(step), step
    for _ in range(depth):
        total, power = total + power, power @ step
    return total


def popular_row(shop: Shop) -> np.ndarray:
    """Return the share of each item before the validation cut, float [items + 1]."""
    counts = np.bincount(shop.days[:, : DAYS - 7].ravel(), minlength=ITEMS + 1).astype(float)
    counts[0] = 0
    return counts / counts.sum()


def write_with_weights(template: Path, module: Transitions, path: Path) -> None:
    """Write a file like `template` with this module's weights in it: quicker than exporting each model anew."""
    model = onnx.load(template)
    weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
    for tensor in model.graph.initializer:
        for name, value in weights.items():
            if tensor.name.endswith(name):
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_template(shop: Shop, path: Path) -> None:
    """Export the shape that all simple models of this shop share."""
    write_model(Transitions(true_table(shop), popular_row(shop), (1.0, 0.1, 0.05, 0.01)), ITEMS, path)
