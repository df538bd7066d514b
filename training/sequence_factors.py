"""Matrix factorisation as a next-item baseline: implicit ALS with the user folded in, and BPR with users as trained."""

import itertools

import numpy as np
import scipy.sparse as sp
import torch
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from threadpoolctl import threadpool_limits

from training.leave_one_out import HELD_OUT, Sequences
from training.sequence_ranking import Recommend, rank_quality

#: Tried on validation: how much an interaction weighs, and regularisation.
CONFIDENCES = (5.0, 20.0)
REGULARISATIONS = (1.0, 10.0)
FACTORS = 64
_ITERATIONS = 12
#: Tried on validation for BPR: learning rate and regularisation.
BPR_RATES = (0.02, 0.05)
BPR_REGULARISATIONS = (0.01, 0.05)
_BPR_ITERATIONS = 100


def implicit_factors(sequences: Sequences, seed: int = 1) -> Recommend:
    """Return iALS (Hu, Koren and Volinsky, ICDM 2008); confidence and regularisation are chosen on validation."""
    rows = sequences.before(HELD_OUT["validation"])
    candidates = [
        _factorise(rows, sequences.item_count, confidence, regularisation, seed)
        for confidence, regularisation in itertools.product(CONFIDENCES, REGULARISATIONS)
    ]
    return max(candidates, key=lambda each: rank_quality(each, sequences, "validation")["n10"])


def _factorise(
    rows: list[np.ndarray], item_count: int, confidence: float, regularisation: float, seed: int
) -> Recommend:
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=min(FACTORS, item_count),
            regularization=regularisation,
            iterations=_ITERATIONS,
            num_threads=1,
            random_state=seed,
        )
        model.fit(_matrix(rows, item_count, confidence), show_progress=False)
    factors = np.array(model.item_factors, dtype=np.float32)
    gram = factors.T @ factors + regularisation * np.eye(factors.shape[1], dtype=np.float32)

    def scores(histories: list[np.ndarray]) -> torch.Tensor:
        users = np.stack([fold_in(factors[np.unique(row)], gram, confidence) for row in histories])
        return torch.from_numpy(users.astype(np.float32) @ factors.T)

    return scores


def pairwise_factors(sequences: Sequences, seed: int = 1) -> Recommend:
    """Return BPR (Rendle et al., UAI 2009); learning rate and regularisation are chosen on validation.

    A user is known by the history of a cut: the cut that most histories of a batch are of, for the history of one
    user's test may be that of another's validation. A history that is nobody's has the mean user's scores.
    """
    candidates = [
        _rank_pairs(sequences, (rate, regularisation), seed)
        for rate, regularisation in itertools.product(BPR_RATES, BPR_REGULARISATIONS)
    ]
    return max(candidates, key=lambda each: rank_quality(each, sequences, "validation")["n10"])


def _rank_pairs(sequences: Sequences, rates: tuple[float, float], seed: int) -> Recommend:
    model = BayesianPersonalizedRanking(
        factors=min(FACTORS, sequences.item_count),
        learning_rate=rates[0],
        regularization=rates[1],
        iterations=_BPR_ITERATIONS,
        num_threads=1,
        random_state=seed,
    )
    rows = sequences.before(HELD_OUT["validation"])
    model.fit(_matrix(rows, sequences.item_count, 0.0), show_progress=False)
    users, items = np.array(model.user_factors), np.array(model.item_factors)
    known = np.vstack([users, users.mean(axis=0)])
    cuts = [
        {row.tobytes(): user for user, row in enumerate(sequences.before(held_out))} for held_out in HELD_OUT.values()
    ]

    def scores(histories: list[np.ndarray]) -> torch.Tensor:
        keys = [row.tobytes() for row in histories]
        at_hand, other = sorted(cuts, key=lambda numbers: -sum(key in numbers for key in keys))
        found = [at_hand.get(key, other.get(key, len(users))) for key in keys]
        return torch.from_numpy(known[found] @ items.T)

    return scores


def fold_in(taken: np.ndarray, gram: np.ndarray, confidence: float) -> np.ndarray:
    """Return the user's factors: the solution of (YᵀY + λI + c Σ y yᵀ) x = (1 + c) Σ y."""
    left = gram + confidence * taken.T @ taken
    solved: np.ndarray = np.linalg.solve(left, (1 + confidence) * taken.sum(axis=0))
    return solved


def _matrix(rows: list[np.ndarray], item_count: int, confidence: float) -> sp.csr_matrix:
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    shape = (len(rows), item_count + 1)
    matrix = sp.csr_matrix((np.ones(len(owner), dtype=np.float32), (owner, np.concatenate(rows))), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1 + confidence
    return matrix
