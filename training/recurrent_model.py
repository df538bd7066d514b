"""Recurrent next-item models, the baselines: GRU4Rec, and the article's LSTM language model."""

import torch
from torch import nn

from training.table_rows import rows_of


class RecurrentModel(nn.Module):
    """Sequences of items, padded at the end with 0, to the vector of what comes next at each place.

    Tied with a GRU it is GRU4Rec (Hidasi et al., ICLR 2016) under a full softmax; untied with an LSTM it is a language
    model over items (embedding → LSTM → linear over the vocabulary).
    """

    def __init__(self, item_count: int, width: int, cell: str, dropout: float, length: int) -> None:
        super().__init__()
        kinds: dict[str, type[nn.GRU | nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}
        self.identity = nn.Parameter(0.02 * torch.randn(item_count + 1, width))
        self.out = nn.Parameter(0.02 * torch.randn(item_count + 1, width)) if cell == "lstm" else None
        self.bias = nn.Parameter(torch.zeros(item_count + 1))
        self.cell = kinds[cell](width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.length = length

    def items(self) -> torch.Tensor:
        """Return the vectors that the cell reads, float32 [n + 1, d]."""
        return self.identity

    def outputs(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the vectors that score items, float32 [n + 1, d]; `vectors` are those of `items()`."""
        return vectors if self.out is None else self.out

    def forward(self, vectors: torch.Tensor, sequences: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, L, d] from `items()` and sequences int64 [B, L]."""
        states: torch.Tensor = self.cell(self.dropout(rows_of(vectors, sequences)))[0]
        return self.dropout(states)
