"""A training set as a folder of npy and json files, for benchmarks and tests."""

import json
from pathlib import Path

import numpy as np

from training.dataset import SEQUENCE_INPUTS, SPLITS, Catalogue, Cut, Queries, TrainingSet, Truth


def save(training_set: TrainingSet, folder: Path) -> None:
    """Write a training set as npy and json files into a folder (made if missing)."""
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = training_set.catalogue
    np.save(folder / "prices.npy", catalogue.prices)
    np.save(folder / "text_vectors.npy", catalogue.text_vectors)
    names: dict[str, object] = {
        name: getattr(catalogue, name) for name in ("item_ids", "titles", "categories", "brands")
    }
    for name, queries in _parts(training_set).items():
        names[f"{name}_users"] = queries.user_ids
        for column in (*SEQUENCE_INPUTS, "as_of", "new_from"):
            np.save(folder / f"{name}_{column}.npy", getattr(queries, column))
    for name, cut in (("validation", training_set.validation), ("test", training_set.test)):
        _save_truth(cut.truth, folder, f"{name}_truth")
    if training_set.step_truth is not None:
        _save_truth(training_set.step_truth, folder, "step_truth")
    names["cuts"] = [str(training_set.t_validation), str(training_set.t_test)]
    names["input_hash"] = training_set.input_hash
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")


def load(folder: Path) -> TrainingSet:
    """Read a training set that `save` wrote."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    parts = {
        name: Queries(
            user_ids=names[f"{name}_users"],
            **{column: np.load(folder / f"{name}_{column}.npy") for column in (*SEQUENCE_INPUTS, "as_of", "new_from")},
        )
        for name in SPLITS
    }
    cuts = {name: Cut(parts[name], _load_truth(folder, f"{name}_truth")) for name in ("validation", "test")}
    lists = {name: names[name] for name in ("item_ids", "titles", "categories", "brands")}
    arrays = {name: np.load(folder / f"{name}.npy") for name in ("prices", "text_vectors")}
    return TrainingSet(
        catalogue=Catalogue(**lists, **arrays),
        training=parts["train"],
        validation=cuts["validation"],
        test=cuts["test"],
        t_validation=np.datetime64(names["cuts"][0]),
        t_test=np.datetime64(names["cuts"][1]),
        input_hash=names["input_hash"],
        step_truth=_load_truth(folder, "step_truth") if (folder / "step_truth_starts.npy").exists() else None,
    )


def _save_truth(truth: Truth, folder: Path, name: str) -> None:
    np.save(folder / f"{name}_starts.npy", truth.starts)
    np.save(folder / f"{name}_items.npy", truth.items)


def _load_truth(folder: Path, name: str) -> Truth:
    return Truth(np.load(folder / f"{name}_starts.npy"), np.load(folder / f"{name}_items.npy"))


def _parts(training_set: TrainingSet) -> dict[str, Queries]:
    return {
        "train": training_set.training,
        "validation": training_set.validation.queries,
        "test": training_set.test.queries,
    }
