"""A causal Transformer that predicts the next item: item = ID vector + projected text, tied at input and output.

SASRec (Kang and McAuley, ICDM 2018) with pre-norm blocks, a learned bias by distance in place of positions (T5, Raffel
et al., 2020), a full softmax, and the item's text as a part of its vector.
"""

import torch
from torch import nn
from torch.nn import functional

from training.table_rows import rows_of


class CausalBlock(nn.Module):
    """One pre-norm Transformer block whose attention knows how far back a token stands."""

    def __init__(self, width: int, heads: int, dropout: float, length: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.distance_bias = nn.Parameter(torch.zeros(heads, length))
        self.forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor, distance: torch.Tensor, causal: torch.Tensor) -> torch.Tensor:
        """Return tokens [B, L, d]; `distance` int64 [L, L] steps back, `causal` [L, L] is −inf on what is to come."""
        batch, length, width = tokens.shape
        parts = self.query_key_value(self.attention_norm(tokens)).view(batch, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        learned = self.distance_bias.index_select(1, distance.flatten()).view(self.heads, *distance.shape)
        bias = (learned + causal).expand(batch, -1, -1, -1)
        found = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        tokens = tokens + self.dropout(self.output(found.transpose(1, 2).reshape(batch, length, width)))
        forward: torch.Tensor = tokens + self.dropout(self.feed_forward(self.forward_norm(tokens)))
        return forward


class SequenceModel(nn.Module):
    """Sequences of items, padded at the end with 0, to the vector of what comes next at each place."""

    text: torch.Tensor
    distance: torch.Tensor
    causal: torch.Tensor

    def __init__(self, starts: torch.Tensor, text: torch.Tensor, shape: tuple[int, int, int], dropout: float) -> None:
        """Take start vectors [n + 1, d], text [n + 1, t] (t may be 0), and (blocks, heads, length)."""
        super().__init__()
        blocks, heads, length = shape
        width = starts.shape[1]
        self.identity = nn.Parameter(starts.clone())
        self.project = nn.Linear(text.shape[1], width, bias=False) if text.shape[1] else None
        if self.project is not None:
            nn.init.normal_(self.project.weight, std=0.1)
        self.bias = nn.Parameter(torch.zeros(len(starts)))
        self.input_norm = nn.LayerNorm(width)
        self.final_norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList([CausalBlock(width, heads, dropout, length) for _ in range(blocks)])
        self.dropout = nn.Dropout(dropout)
        self.length = length
        steps = torch.arange(length)
        self.register_buffer("text", text)
        self.register_buffer("distance", (steps[:, None] - steps[None]).clamp(min=0))
        self.register_buffer("causal", torch.full((length, length), float("-inf")).triu(1))

    def items(self, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Return the vectors of all items, float32 [n + 1, d], row 0 stands for padding; or of some rows, int64 [m].

        The gradient of some rows is sparse: what the other items cost is not paid.
        """
        if rows is None:
            return self.identity if self.project is None else self.identity + self.project(self.text)
        identity = functional.embedding(rows, self.identity, sparse=True)
        return identity if self.project is None else identity + self.project(self.text[rows])

    def outputs(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the vectors that score items: the same `vectors`, tied."""
        return vectors

    def forward(self, vectors: torch.Tensor, sequences: torch.Tensor) -> torch.Tensor:
        """Return float32 [B, L, d] from `items()` and sequences int64 [B, L ≤ length]."""
        length = sequences.shape[1]
        tokens = self.dropout(self.input_norm(rows_of(vectors, sequences)))
        for block in self.blocks:
            tokens = block(tokens, self.distance[:length, :length], self.causal[:length, :length])
        states: torch.Tensor = self.final_norm(tokens)
        return states
