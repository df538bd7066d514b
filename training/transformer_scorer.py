"""The Transformer as it is released: fixed item vectors, the user encoder and the copy head in one graph."""

import numpy as np
import torch
from torch import nn

from training.copy_head import CopyHead
from training.transformer import UserEncoder


class TransformerScorer(nn.Module):
    """Score = gain · log popularity + mix · taste (user · item + bias); past items have the copy head's gain too.

    `mixes` float32 [4]: of the base (1), of taste at past items, of taste at new items, and an offset of past items.
    What a user took before says more than taste; for new items taste is all there is.
    """

    vectors: torch.Tensor
    bias: torch.Tensor
    mixes: torch.Tensor

    def __init__(
        self, encoder: UserEncoder, head: CopyHead, vectors: torch.Tensor, bias: torch.Tensor, mixes: np.ndarray
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.register_buffer("vectors", vectors)
        self.register_buffer("bias", bias)
        self.register_buffer("mixes", torch.from_numpy(mixes.astype(np.float32)))

    def forward(
        self,
        history_items: torch.Tensor,
        history_types: torch.Tensor,
        history_ages: torch.Tensor,
        habit_items: torch.Tensor,
        habit_counts: torch.Tensor,
        habit_ages: torch.Tensor,
    ) -> torch.Tensor:
        """Return float32 scores [B, n + 1]."""
        taste = self.taste(history_items, history_types, history_ages)
        scores = self.head.popularity_gain * self.head.log_popularity + self.mixes[2] * taste
        items, live, gains = self.head(history_items, history_ages, habit_items, habit_counts, habit_ages)
        past = gains + self.mixes[3] + (self.mixes[1] - self.mixes[2]) * torch.gather(taste, 1, items)
        return scores.scatter_add(1, items, past * live)

    def taste(
        self, history_items: torch.Tensor, history_types: torch.Tensor, history_ages: torch.Tensor
    ) -> torch.Tensor:
        """Return user · item + bias, float32 [B, n + 1]."""
        length = self.encoder.length
        recent, types, ages = history_items[:, -length:], history_types[:, -length:], history_ages[:, -length:]
        user = self.encoder(self.vectors[recent], types * (recent > 0), ages)
        return user @ self.vectors.T + self.bias

    def parts(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Return what `mixes` weighs, float32 [B, 4, n + 1]."""
        taste = self.taste(*inputs[:3])
        items, live, gains = self.head(inputs[0], *inputs[2:])
        base = (self.head.popularity_gain * self.head.log_popularity + 0.0 * taste).scatter_add(1, items, gains * live)
        past = torch.zeros_like(taste).scatter_add(1, items, live.float())
        return torch.stack([base, taste * past, taste * (1.0 - past), past], dim=1)
