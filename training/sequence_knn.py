"""Item-kNN over steps: what stands near an item in the training sequences, every knob found on validation."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from training.history_scores import HistoryScores
from training.leave_one_out import HELD_OUT, Sequences
from training.sequence_ranking import Recommend, rank_quality
from training.sequence_starts import window_counts

#: Validation users that each trial is judged by: at most so many, fewer where histories are long or items many.
_USERS = 6_000
_HISTORY_ITEMS = 300_000
_SCORES = 300_000_000
#: Pairs of events that are counted at most: a window that makes more is not tried, but for the smallest.
_PAIRS = 25_000_000


@dataclass(frozen=True)
class KnnSettings:
    """How near is near: items within `window` steps, worth steps^−fade; one that precedes counts `backward` times.

    Counts are divided by row total^`row_power` and column total^`column_power` (cosine has 1/2 at both); an item of a
    history counts decay^(steps back).
    """

    window: int = 7
    fade: float = 1.0
    backward: float = 0.5
    row_power: float = 0.5
    column_power: float = 0.5
    decay: float = 0.7


_ROUNDS = 2
#: Tried in this order, one knob after the other.
_TRIED: dict[str, tuple[float, ...]] = {
    "column_power": (0.0, 0.125, 0.25, 0.375, 0.5, 0.75),
    "decay": (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0),
    "backward": (0.0, 0.125, 0.25, 0.5, 1.0),
    "row_power": (0.0, 0.125, 0.25, 0.375, 0.5, 0.75),
    "fade": (0.0, 0.5, 1.0, 1.5),
    "window": (1, 3, 7, 20, 50),
}


def item_knn(sequences: Sequences) -> Recommend:
    """Return item-kNN with the settings that coordinate search finds by validation NDCG@10."""
    return tuned(sequences)[0]


def tuned(sequences: Sequences) -> tuple[Recommend, KnnSettings]:
    """Return the best model found, and its settings."""
    rows = sequences.before(HELD_OUT["validation"])
    events = sum(map(len, rows))
    affordable = min(_HISTORY_ITEMS * len(rows) // max(events, 1), _SCORES // (sequences.item_count + 1))
    users = int(np.clip(affordable, 500, _USERS))
    counts: dict[tuple[int, float], sp.csr_matrix] = {}

    def model(settings: KnnSettings) -> Recommend:
        key = (settings.window, settings.fade)
        if key not in counts:
            counts.clear()
            counts[key] = window_counts(rows, sequences.item_count, *key)
        return HistoryScores(near(counts[key], settings), settings.decay, sequences.item_count)

    def quality(settings: KnnSettings) -> float:
        return rank_quality(model(settings), sequences, "validation", users)["n10"]

    most = max(min(_TRIED["window"]), _PAIRS // max(events, 1))
    best = KnnSettings(window=min(KnnSettings.window, max(each for each in _TRIED["window"] if each <= most)))
    reached = quality(best)
    for _ in range(_ROUNDS):
        before = best
        for knob, values in _TRIED.items():
            for value in values:
                trial = replace(best, **{knob: value})
                if trial.window > most:
                    continue
                found = reached if trial == best else quality(trial)
                if found > reached:
                    best, reached = trial, found
        if best == before:
            break
    return model(best), best


def near(counts: sp.csr_matrix, settings: KnnSettings) -> sp.csr_matrix:
    """Return nearness float32 [n + 1, n + 1] from how often the column's item follows the row's."""
    both = (counts + settings.backward * counts.T).tocsr()
    rows = sp.diags((np.asarray(both.sum(axis=1)).ravel() + 1) ** -settings.row_power)
    columns = sp.diags((np.asarray(both.sum(axis=0)).ravel() + 1) ** -settings.column_power)
    return (rows @ both @ columns).astype(np.float32).tocsr()
