"""Matrix factorisation: implicit ALS (the `implicit` library), with the user folded in from history and habits.

Hu, Koren, Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008. The fold-in solves the user's
normal equations by a fixed number of conjugate gradient steps (Takács et al., RecSys 2011), so the graph is static.
"""

import numpy as np
import scipy.sparse as sp
import torch
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits
from torch import nn

from training.dataset import TrainingSet
from training.evaluate import evaluate
from training.interactions import Interactions, interactions
from training.model import FittedModel, Progress, TrainSettings

REGULARISATION = 5.0
CONFIDENCES = (2.0, 10.0)
HALF_LIFE = 120.0
_CG_STEPS = 4


class MatrixFactorisation(nn.Module):
    """Score of an item = x · y_item, x the user's factors folded in from what the query holds."""

    factors: torch.Tensor
    gram: torch.Tensor

    def __init__(self, factors: np.ndarray, confidence: float) -> None:
        super().__init__()
        table = torch.from_numpy(factors.astype(np.float32))
        self.confidence = confidence
        self.register_buffer("factors", table)
        self.register_buffer("gram", table.T @ table + REGULARISATION * torch.eye(table.shape[1]))

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
        past = torch.cat([history_items, habit_items], dim=1)
        ages = torch.cat([history_ages, habit_ages], dim=1)
        counts = torch.cat([torch.ones_like(history_ages), habit_counts], dim=1)
        weights = self.confidence * torch.log1p(counts * torch.exp2(-ages / HALF_LIFE)) * (past > 0)
        return self._fold_in(self.factors[past], weights) @ self.factors.T

    def _fold_in(self, taken: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Solve (YᵀY + λI + Σ w y yᵀ) x = Σ (1 + w) y by conjugate gradients from x = 0; [B, d]."""
        live = (weights > 0).float()
        residual = torch.einsum("bl,bld->bd", live + weights, taken)
        found, direction = torch.zeros_like(residual), residual
        square = (residual * residual).sum(1, keepdim=True)
        for _ in range(_CG_STEPS):
            inner = torch.einsum("bld,bd->bl", taken, direction)
            image = direction @ self.gram + torch.einsum("bl,bld->bd", weights * inner, taken)
            step = square / ((direction * image).sum(1, keepdim=True) + 1e-9)
            found = found + step * direction
            residual = residual - step * image
            following = (residual * residual).sum(1, keepdim=True)
            direction = residual + following / (square + 1e-9) * direction
            square = following
        return found


def fit(training_set: TrainingSet, settings: TrainSettings, progress: Progress) -> FittedModel:
    """Factorise users × items of decayed counts; choose the confidence on the validation cut."""
    seen = interactions(training_set)
    best: tuple[float, MatrixFactorisation] | None = None
    for confidence in CONFIDENCES:
        factors = _factorise(seen, training_set.catalogue.item_count, confidence, settings)
        module = MatrixFactorisation(factors, confidence)
        quality = evaluate(module, training_set.validation).means["ndcg10"]
        if best is None or quality > best[0]:
            best = (quality, module)
    assert best is not None
    chosen = {"confidence": best[1].confidence, "factors": settings.width, "regularisation": REGULARISATION}
    return FittedModel("matrix factorisation", "simple", best[1], chosen)


def _factorise(seen: Interactions, item_count: int, confidence: float, settings: TrainSettings) -> np.ndarray:
    """Return item factors float32 [n + 1, width], row 0 zeros."""
    if not len(seen.item):
        return np.zeros((item_count + 1, settings.width), dtype=np.float32)
    decayed = np.exp2(seen.day / HALF_LIFE)
    matrix = sp.csr_matrix((decayed, (seen.user, seen.item)), shape=(len(seen.user_ids), item_count + 1))
    matrix.sum_duplicates()
    matrix.data = (1.0 + confidence * np.log1p(matrix.data)).astype(np.float32)
    with threadpool_limits(1, "blas"):
        solver = AlternatingLeastSquares(
            factors=settings.width,
            regularization=REGULARISATION,
            iterations=settings.factor_iterations,
            num_threads=1,
            random_state=settings.seed,
        )
        solver.fit(matrix, show_progress=False)
    factors = np.array(solver.item_factors, dtype=np.float32)
    factors[0] = 0
    return factors
