"""A warm start: a new Transformer begins with what the champion's knew, item by item, however the catalogue changed.

Item vectors and biases are carried over by item id. The projection of text is fitted anew, because whitened text turns
with the catalogue: it is the one that gives known items what the champion's gave them. Items that are new borrow from
those nearest by text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from training.item_vectors import text_neighbours

#: Ridge of the projection's fit, against directions of text that few items have.
_RIDGE = 1e-3
#: Parameters that stand for items or text, and are not carried over as they are.
_BY_ITEM = ("table.identity", "table.project.weight", "bias")


@dataclass(frozen=True)
class WarmStart:
    """What a champion's Transformer knew, and where a new one stands in the line of warm starts.

    `tensors`: `identity` float32 [m, d] and `bias` [m] of `item_ids` [m] (str), `text_ids` and `projected` [t, d] of
    items with text, and the other parameters by name. `since_cold`: warm releases since one that met a cold run.
    """

    release_id: str
    tensors: Mapping[str, np.ndarray]
    since_cold: int = 0


def knowledge(body: nn.Module, item_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Return what a later fit may start from; `item_ids` [n] names the vocabulary."""
    state = {name: value.detach().numpy() for name, value in body.named_parameters()}
    names = np.array(["", *item_ids])
    known, text = body.table.known.numpy(), body.table.text.numpy()
    shown = np.flatnonzero(np.abs(text).sum(axis=1) > 0)
    return {
        "item_ids": names[known],
        "identity": state["table.identity"][1:],
        "bias": state["bias"][1:],
        "text_ids": names[shown],
        "projected": text[shown] @ state["table.project.weight"].T,
        **{name: value for name, value in state.items() if name not in _BY_ITEM},
    }


def write_knowledge(path: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write it as one .npz without pickles."""
    with path.open("wb") as target:
        np.savez(target, **dict(tensors))


def read_start(path: Path, release_id: str) -> WarmStart:
    """Read what `write_knowledge` wrote for a release; raises ValueError for a file that has pickles in it."""
    with np.load(path, allow_pickle=False) as found:
        tensors = {name: found[name] for name in found.files}
    return WarmStart(release_id, tensors, int(tensors.pop("since_cold", 0)))


@torch.no_grad()
def take_up(body: nn.Module, item_ids: Sequence[str], start: WarmStart) -> int:
    """Put the champion's knowledge into a new body; return how many of its items are among the new ones.

    A body of another shape (width, blocks, event types) takes up nothing, and 0 is returned.
    """
    parameters = dict(body.named_parameters())
    plain = {name: value for name, value in parameters.items() if name not in _BY_ITEM}
    width = body.table.identity.shape[1]
    fits = all(name in start.tensors and start.tensors[name].shape == tuple(v.shape) for name, v in plain.items())
    names = np.array(["", *item_ids])
    mine, theirs = _matched(names[body.table.known.numpy()], start.tensors["item_ids"])
    if not fits or start.tensors["identity"].shape[1] != width or not len(mine):
        return 0
    for name, value in plain.items():
        value.copy_(torch.from_numpy(start.tensors[name]))
    body.table.project.weight.copy_(torch.from_numpy(_projection(body.table.text.numpy(), names, start.tensors)))
    identity = np.zeros((len(body.table.known) + 1, width), dtype=np.float32)
    bias = np.zeros(len(identity), dtype=np.float32)
    identity[mine + 1], bias[mine + 1] = start.tensors["identity"][theirs], start.tensors["bias"][theirs]
    _lend(body, identity, bias, mine + 1)
    body.table.identity.copy_(torch.from_numpy(identity))
    body.bias.copy_(torch.from_numpy(bias))
    return len(mine)


def _matched(mine: np.ndarray, theirs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of common ids in both arrays."""
    _, places, others = np.intersect1d(mine, theirs, return_indices=True)
    return places, others


def _projection(text: np.ndarray, names: np.ndarray, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the projection [d, t] that gives the common items' new text what the champion's gave their old one."""
    mine, theirs = _matched(names, tensors["text_ids"])
    shown, wanted = text[mine].astype(np.float64), tensors["projected"][theirs].astype(np.float64)
    gram = shown.T @ shown + _RIDGE * max(len(mine), 1) / text.shape[1] * np.eye(text.shape[1])
    solved: np.ndarray = np.linalg.solve(gram, shown.T @ wanted).T.astype(np.float32)
    return solved


def _lend(body: nn.Module, identity: np.ndarray, bias: np.ndarray, carried: np.ndarray) -> None:
    """Give columns that were not carried over the mean of the carried ones that are nearest by text, in place."""
    column = np.zeros(len(body.table.text), dtype=np.int64)
    known = body.table.known.numpy()
    column[known[carried - 1]] = carried
    nearest, shares = text_neighbours(body.table.text.numpy(), column)
    new = np.setdiff1d(np.arange(1, len(identity)), carried)
    borrowed, weights = column[nearest[known[new - 1]]], shares[known[new - 1]]
    identity[new] = (weights[..., None] * identity[borrowed]).sum(axis=1)
    bias[new] = (weights * bias[borrowed]).sum(axis=1)
