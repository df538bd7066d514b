"""The Transformer as it is released: fixed item vectors, the user encoder and the copy head in one graph."""

import torch
from torch import nn

from training.copy_head import CopyHead
from training.transformer import UserEncoder


class TransformerScorer(nn.Module):
    """Score = gain · log popularity + mix · (user · item + bias) + what the copy head adds to past items."""

    vectors: torch.Tensor
    bias: torch.Tensor
    mix: torch.Tensor

    def __init__(
        self, encoder: UserEncoder, head: CopyHead, vectors: torch.Tensor, bias: torch.Tensor, mix: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.register_buffer("vectors", vectors)
        self.register_buffer("bias", bias)
        self.register_buffer("mix", torch.tensor(mix))

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
        length = self.encoder.length
        recent, types, ages = history_items[:, -length:], history_types[:, -length:], history_ages[:, -length:]
        user = self.encoder(self.vectors[recent], types * (recent > 0), ages)
        taste = user @ self.vectors.T + self.bias
        scores = self.head.popularity_gain * self.head.log_popularity + self.mix * taste
        items, live, gains = self.head(history_items, history_ages, habit_items, habit_counts, habit_ages)
        return scores.scatter_add(1, items, gains * live)
