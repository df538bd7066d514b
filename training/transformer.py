"""A causal Transformer over a user's history: item = ID vector + projected text, with event type and age as inputs.

SASRec (Kang and McAuley, ICDM 2018) with pre-norm blocks and a last token that stands for now. The same item vectors
stand at the input and at the output, so an item without interactions is scored by its text alone.
"""

import torch
from torch import nn
from torch.nn import functional

from feature_repo.schema import INTERACTION_TYPES
from training.table_rows import rows_of

#: Logarithmic buckets of ages and of gaps.
AGE_BUCKETS = 20
#: Half-life in days of the plain decayed mean of the history, on which the blocks improve.
MEAN_HALF_LIFE = 30.0


class Block(nn.Module):
    """One pre-norm Transformer block: attention, then a feed-forward layer, each added to its input."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        self.forward_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: torch.Tensor, visible: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        """Return the new values of `queries` (the last tokens); `visible` bool [B, 1, queries, tokens]."""
        batch, length, width = tokens.shape
        normed = self.attention_norm(tokens)
        asked = self.query(normed[:, -queries.shape[1] :]).view(batch, -1, self.heads, width // self.heads)
        pairs = self.key_value(normed).view(batch, length, 2, self.heads, width // self.heads)
        found = functional.scaled_dot_product_attention(
            asked.transpose(1, 2), pairs[:, :, 0].transpose(1, 2), pairs[:, :, 1].transpose(1, 2), attn_mask=visible
        )
        joined = queries + self.dropout(self.output(found.transpose(1, 2).reshape(batch, -1, width)))
        return joined + self.dropout(self.feed_forward(self.forward_norm(joined)))


class UserEncoder(nn.Module):
    """History tokens to one user vector."""

    causal: torch.Tensor

    def __init__(self, width: int, blocks: int, heads: int, dropout: float, length: int) -> None:
        super().__init__()
        self.types = nn.Embedding(len(INTERACTION_TYPES) + 1, width)
        self.ages = nn.Embedding(AGE_BUCKETS, width)
        self.gaps = nn.Embedding(AGE_BUCKETS, width)
        self.now = nn.Parameter(torch.zeros(width))
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(blocks)])
        self.final_norm = nn.LayerNorm(width)
        self.mean_gain = nn.Parameter(torch.tensor(1.0))
        self.dropout = nn.Dropout(dropout)
        self.length = length
        for table in (self.types, self.ages, self.gaps):
            nn.init.normal_(table.weight, std=0.02)
        nn.init.zeros_(self.final_norm.weight)
        self.register_buffer("causal", torch.ones(length + 1, length + 1, dtype=torch.bool).tril())

    def forward(self, vectors: torch.Tensor, types: torch.Tensor, ages: torch.Tensor) -> torch.Tensor:
        """Return user vectors [B, d] from item vectors [B, L, d], types int64 [B, L] (0 = padding), ages [B, L]."""
        live = types > 0
        gaps = functional.pad(ages[:, :-1] - ages[:, 1:], (1, 0)).clamp(min=0)
        tokens = vectors + self.types(types) + self.ages(_bucket(ages)) + self.gaps(_bucket(gaps))
        weights = (torch.exp2(-ages / MEAN_HALF_LIFE) * live).unsqueeze(-1)
        mean = functional.normalize((weights * vectors).sum(dim=1), dim=1, eps=1e-6)
        tokens = torch.cat([tokens, (self.now + mean).unsqueeze(1)], dim=1)
        tokens = self.dropout(tokens)
        visible = torch.cat([live, torch.ones_like(live[:, :1])], dim=1)
        itself = torch.eye(self.length + 1, dtype=torch.bool, device=tokens.device)
        mask = (visible[:, None, None, :] & self.causal) | itself
        for number, block in enumerate(self.blocks):
            last = number == len(self.blocks) - 1
            tokens = block(tokens, mask[:, :, -1:] if last else mask, tokens[:, -1:] if last else tokens)
        return self.final_norm(tokens[:, -1]) + self.mean_gain * mean


class ItemTable(nn.Module):
    """Item vectors: an ID part for items with enough interactions, and the projection of frozen text for all."""

    text: torch.Tensor
    column: torch.Tensor
    known: torch.Tensor

    def __init__(self, starts: torch.Tensor, text: torch.Tensor, known: torch.Tensor) -> None:
        super().__init__()
        self.identity = nn.Parameter(torch.cat([torch.zeros_like(starts[:1]), starts]))
        self.project = nn.Linear(text.shape[1], starts.shape[1], bias=False)
        nn.init.normal_(self.project.weight, std=0.05)
        column = torch.zeros(len(text), dtype=torch.int64)
        column[known] = torch.arange(1, len(known) + 1)
        self.register_buffer("text", text)
        self.register_buffer("column", column)
        self.register_buffer("known", known)

    def forward(self, items: torch.Tensor, identity_kept: torch.Tensor | None = None) -> torch.Tensor:
        """Return vectors [..., d] of vocabulary indices; `identity_kept` [known + 1] is 0 where text must do alone."""
        column = self.column[items]
        kept = (column > 0).float() if identity_kept is None else identity_kept[column] * (column > 0)
        return rows_of(self.identity, column) * kept.unsqueeze(-1) + self.project(self.text[items])


def _bucket(days: torch.Tensor) -> torch.Tensor:
    """Return the logarithmic bucket of an age in days: fine within a day, coarse over a year."""
    return (2.0 * torch.log2(1.0 + 4.0 * days.clamp(min=0))).long().clamp(max=AGE_BUCKETS - 1)
