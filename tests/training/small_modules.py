"""Small torch modules with the scorer's forward, for tests of export and gate."""

import torch
from torch import Tensor, nn


class Repeat(nn.Module):
    """Scores a habit by its count, fading with age: a scatter."""

    def __init__(self, item_count: int) -> None:
        super().__init__()
        self.item_count = item_count

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        scores = torch.zeros(hi.shape[0], self.item_count + 1)
        return scores.scatter_add(1, bi, bc * torch.exp(-ba / 30) * (bi > 0))


class Popularity(nn.Module):
    """The same row for everybody, with many equal scores."""

    def __init__(self, row: Tensor) -> None:
        super().__init__()
        self.row = nn.Parameter(row.float())

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        return self.row.expand(hi.shape[0], -1)


class Attention(nn.Module):
    """One causal attention block over the history, tied to the item table, with dropout that must be off."""

    def __init__(self, item_count: int, width: int = 16) -> None:
        super().__init__()
        self.items = nn.Embedding(item_count + 1, width, padding_idx=0)
        self.places = nn.Parameter(torch.randn(100, width))
        self.mix = nn.Linear(width, 3 * width)
        self.dropout = nn.Dropout(0.5)

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        states = self.dropout(self.items(hi) + self.places)
        query, key, value = self.mix(states)[:, None].chunk(3, dim=-1)
        length = hi.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool).tril()[None, None]
        seen = causal & ((hi > 0)[:, None, None, :] | torch.eye(length, dtype=torch.bool)[None, None])
        mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        return (states + mixed[:, 0])[:, -1] @ self.items.weight.T


class NextItem(nn.Module):
    """Scores `step` items after the last one of the history highest: right about the planted rhythm when step is 1.

    `sharpness` < 0 inverts the scores. `weight` holds a learned number, so that NaN can be planted.
    """

    def __init__(self, item_count: int, step: int = 1, sharpness: float = 1.0) -> None:
        super().__init__()
        self.item_count, self.step = item_count, step
        self.weight = nn.Parameter(torch.full((item_count + 1,), sharpness))

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        items = torch.arange(self.item_count + 1)[None, :]
        ahead = (items - hi[:, -1:] - self.step) % self.item_count
        return -ahead.float() * self.weight


class Slow(NextItem):
    """The right answers, after needless work."""

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        waste = torch.ones(600, 600) + ha.sum()
        for _ in range(6):
            waste = waste @ waste * 1e-4
        return super().forward(hi, ht, ha, bi, bc, ba) + 0 * torch.tanh(waste).sum()


class Noisy(NextItem):
    """Scores that depend on who else is in the batch."""

    def forward(self, hi: Tensor, ht: Tensor, ha: Tensor, bi: Tensor, bc: Tensor, ba: Tensor) -> Tensor:
        return super().forward(hi, ht, ha, bi, bc, ba) + ha.mean()
