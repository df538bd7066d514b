"""The query's graph as releases had it before it took sequences without padding: those are still read and replayed."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from feature_repo.features import HABIT_LENGTH, HISTORY_LENGTH
from training.export import SEQUENCE_INPUTS, exported_graph, random_inputs
from training.transformer_scorer import TransformerScorer


class PaddedQuery(nn.Module):
    """Query [B, d], `extra` [B, 200]: past items stand at query · row + standing + extra, −∞ where one comes again."""

    def __init__(self, scorer: TransformerScorer) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        history_items, history_types, history_ages, habit_items, habit_counts, habit_ages, past_rows = inputs
        scorer, length = self.scorer, self.scorer.encoder.length
        types, ages = history_types[:, -length:], history_ages[:, -length:]
        user = scorer.encoder(past_rows[:, -length:], types * (history_items[:, -length:] > 0), ages)
        items, live, gains = scorer.head(history_items, history_ages, habit_items, habit_counts, habit_ages)
        taste = (past_rows * user.unsqueeze(1)).sum(dim=2) + scorer.bias[items]
        extra = gains + scorer.mixes[3] + (scorer.mixes[1] - scorer.mixes[2]) * taste
        return scorer.mixes[2] * user, torch.where(live, extra, -torch.inf)


def make_padded(scorer: TransformerScorer, folder: Path) -> None:
    """Make a folder's item index one of before."""
    arrays = random_inputs(len(scorer.bias) - 1, rows=3, seed=0).values()
    past_rows = torch.zeros(3, HABIT_LENGTH + HISTORY_LENGTH, scorer.vectors.shape[1])
    example = (*(torch.from_numpy(array) for array in arrays), past_rows)
    graph = exported_graph(PaddedQuery(scorer), example, (*SEQUENCE_INPUTS, "past_rows"), ("query", "extra"))
    (folder / "query.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    with np.load(folder / "item_index.npz") as stored:
        kept = {name: stored[name] for name in stored.files if name != "recent"}
    np.savez(folder / "item_index.npz", **kept)
