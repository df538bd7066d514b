"""The copy head: how much more an item is wanted because this user took it before, learned from recency and rhythm.

Repeat consumption as a learned part of the score (RepeatNet, Ren et al., AAAI 2019, with a small network over explicit
recency features in place of attention).
"""

import torch
from torch import nn

from training.table_rows import rows_of

#: Half-lives in days of the recency sums.
HALF_LIVES = (3.0, 10.0, 30.0, 100.0)
_FEATURES = 11 + len(HALF_LIVES) + 1
#: Days since the last deed of a user without any.
LONG_AGO = 400.0


class CopyHead(nn.Module):
    """Scores of past items, to be added to a base of gain · log popularity."""

    log_popularity: torch.Tensor
    repeat_rate: torch.Tensor
    half_lives: torch.Tensor

    def __init__(self, log_popularity: torch.Tensor, repeat_rate: torch.Tensor, width: int = 32) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Linear(_FEATURES, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1)
        )
        self.popularity_gain = nn.Parameter(torch.tensor(0.8))
        self.register_buffer("log_popularity", log_popularity)
        self.register_buffer("repeat_rate", repeat_rate)
        self.register_buffer("half_lives", torch.tensor(HALF_LIVES))

    def forward(
        self,
        history_items: torch.Tensor,
        history_ages: torch.Tensor,
        habit_items: torch.Tensor,
        habit_counts: torch.Tensor,
        habit_ages: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (items int64 [B, 200], live bool, gains float32): past items, each live once, and what they gain."""
        items = torch.cat([habit_items, history_items], dim=1)
        ages = torch.cat([habit_ages, history_ages], dim=1)
        counts = torch.cat([habit_counts, torch.zeros_like(history_ages)], dim=1)
        taken = (history_items > 0).float()
        same = (items.unsqueeze(2) == history_items.unsqueeze(1)).float() * taken.unsqueeze(1)
        kernels = torch.exp2(-history_ages.unsqueeze(-1) / self.half_lives) * taken.unsqueeze(-1)
        sums = torch.cat([torch.bmm(same, kernels), same.sum(dim=2, keepdim=True)], dim=2)
        user = self._user_features(history_items, history_ages, habit_items, habit_counts, habit_ages)
        own = self._item_features(items, ages, counts, user[:, 0:1])
        features = torch.cat([own, user.unsqueeze(1).expand(-1, items.shape[1], -1), torch.log1p(sums)], dim=2)
        return items, _live_once(history_items, habit_items), self.network(features).squeeze(-1)

    def _item_features(
        self, items: torch.Tensor, ages: torch.Tensor, counts: torch.Tensor, log_tenure: torch.Tensor
    ) -> torch.Tensor:
        rhythm = ages * counts / torch.exp(log_tenure)
        return torch.stack(
            [
                torch.log1p(counts),
                torch.log1p(ages),
                torch.exp2(-ages / 7.0),
                torch.log1p(rhythm),
                self.log_popularity[items] / 4.0 + 2.0,
                self.repeat_rate[items] * 3.0,
            ],
            dim=-1,
        )

    def _user_features(
        self,
        history_items: torch.Tensor,
        history_ages: torch.Tensor,
        habit_items: torch.Tensor,
        habit_counts: torch.Tensor,
        habit_ages: torch.Tensor,
    ) -> torch.Tensor:
        """Return [B, 5]: log of tenure, last age, habits, purchases, and the span of the history; days or counts."""
        span = history_ages.amax(dim=1)
        tenure = torch.maximum(span, habit_ages.amax(dim=1))
        last = torch.where(history_items > 0, history_ages, LONG_AGO).amin(dim=1).clamp(max=LONG_AGO)
        habits = (habit_items > 0).float().sum(dim=1)
        return torch.log1p(torch.stack([tenure, last, habits, habit_counts.sum(dim=1), span], dim=1).clamp(min=0))


def copy_loss_terms(
    head: CopyHead, copied: tuple[torch.Tensor, torch.Tensor, torch.Tensor], owner: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Return −log softmax of wanted items over the catalogue: base everywhere, base + gain at past items.

    The sum over the catalogue is the base's, known once, mended at the past items.
    """
    items, live, gains = copied
    base = head.popularity_gain * head.log_popularity
    at_past = rows_of(base, items)
    whole = torch.logsumexp(base[1:], dim=0).exp()
    mended = whole - (at_past.exp() * live).sum(dim=1)
    total = mended.clamp(min=1e-9) + ((at_past + gains).exp() * live).sum(dim=1)
    matched = (items[owner] == target.unsqueeze(1)) & live[owner]
    gained = (rows_of(gains, owner) * matched).sum(dim=1)
    return rows_of(torch.log(total), owner) - rows_of(base, target) - gained


def _live_once(history_items: torch.Tensor, habit_items: torch.Tensor) -> torch.Tensor:
    """Return bool [B, 200]: habits, and history items that are no habit, at their newest position."""
    is_habit = (history_items.unsqueeze(2) == habit_items.unsqueeze(1)).any(dim=2)
    length = history_items.shape[1]
    later = torch.ones(length, length, dtype=torch.bool, device=history_items.device).triu(1)
    again = ((history_items.unsqueeze(2) == history_items.unsqueeze(1)) & later).any(dim=2)
    return torch.cat([habit_items > 0, (history_items > 0) & ~is_habit & ~again], dim=1)
