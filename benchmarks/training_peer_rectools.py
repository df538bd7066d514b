"""RecTools' SASRec as it ships, run in RecTools' own environment by `benchmarks.training_speed`.

    python -m benchmarks.training_peer_rectools SEQUENCES.npz FOLDER SECONDS THREADS SEED

Default settings of the model; early stopping by validation loss with Lightning's default patience, as RecTools' guide
to training shows. Its last line is JSON; the ten best items of each user, history masked, lie in FOLDER/answers.npz.
"""

import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import LightningModule, Trainer, seed_everything
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

from training.leave_one_out import HELD_OUT, Sequences

K = 10
#: Never reached: early stopping ends before.
_MOST_EPOCHS = 300


class Clock(Callback):
    """Notes the seconds and the validation loss after each epoch."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.losses: list[float] = []
        self.moments: list[float] = []

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note one epoch, but not the trial of two batches before the first."""
        if not trainer.sanity_checking:
            self.losses.append(float(trainer.callback_metrics[SASRecModel.val_loss_name]))
            self.moments.append(time.monotonic() - self.started)


def interactions(sequences: Sequences, held_out: int) -> pd.DataFrame:
    """Return the sequences without their last items as RecTools' table; the time is the place in the sequence."""
    rows = sequences.before(held_out)
    lengths = [len(row) for row in rows]
    place = np.concatenate([np.arange(length) for length in lengths])
    return pd.DataFrame(
        {
            Columns.User: np.repeat(np.arange(len(rows)), lengths),
            Columns.Item: np.concatenate(rows),
            Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2020-01-01") + pd.to_timedelta(place, unit="D"),
        }
    )


def last_of_each_user(rows: pd.DataFrame) -> np.ndarray:
    """Return which rows are the validation: the last of each user, bool [rows]."""
    newest = rows.groupby(Columns.User)[Columns.Datetime].transform("max")
    mask: np.ndarray = (rows[Columns.Datetime] == newest).to_numpy()
    return mask


def answers(model: SASRecModel, sequences: Sequences, held_out: int) -> np.ndarray:
    """Return the ten best items of each user, history masked; int64 [users, 10], 0 where there are fewer."""
    rows = interactions(sequences, held_out)
    found = model.recommend(
        rows[Columns.User].unique(), Dataset.construct(rows), k=K, filter_viewed=True, on_unsupported_targets="ignore"
    )
    ranked = np.zeros((len(sequences), K), dtype=np.int64)
    ranked[found[Columns.User], found[Columns.Rank] - 1] = found[Columns.Item]
    return ranked


def train(model_folder: Path, sequences: Sequences, seconds: int) -> tuple[SASRecModel, dict[str, Any]]:
    """Train until early stopping or the end of the time, back to the best weights; return the model and its times."""
    clock, of_loss = Clock(), {"monitor": SASRecModel.val_loss_name, "mode": "min"}

    def trainer() -> Trainer:
        return Trainer(
            accelerator="cpu",
            max_epochs=_MOST_EPOCHS,
            max_time=timedelta(seconds=seconds),
            callbacks=[clock, EarlyStopping(**of_loss), ModelCheckpoint(model_folder, **of_loss)],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )

    model = SASRecModel(get_val_mask_func=last_of_each_user, get_trainer_func=trainer)
    dataset = Dataset.construct(interactions(sequences, HELD_OUT["test"]))
    clock.started = time.monotonic()
    model.fit(dataset)
    whole = time.monotonic() - clock.started
    fitted = model.fit_trainer  # RecTools fits with a copy of the trainer, callbacks and all
    clock = next(each for each in fitted.callbacks if isinstance(each, Clock))
    if best_path := fitted.checkpoint_callback.best_model_path:
        model.load_weights_from_checkpoint(best_path)
    best = int(np.argmin(clock.losses)) if clock.losses else -1
    return model, {
        "seconds_to_best": clock.moments[best] if clock.losses else whole,
        "seconds": whole,
        "best_epoch": best + 1,
        "epochs": len(clock.losses),
        "ended": "early stopping" if fitted.early_stopping_callback.stopped_epoch else "time",
    }


def main() -> None:
    """Train, write the answers, print what it took."""
    path, folder, seconds, threads, seed = (kind(word) for kind, word in zip(KINDS, sys.argv[1:], strict=True))
    torch.set_num_threads(threads)
    seed_everything(seed, verbose=False)
    stored = np.load(path)
    sequences = Sequences(stored["items"], stored["starts"], int(stored["item_count"]))
    model, found = train(folder / "saved", sequences, seconds)
    ranked = {cut: answers(model, sequences, held_out) for cut, held_out in HELD_OUT.items()}
    np.savez(folder / "answers.npz", **ranked)
    print(json.dumps(found))


KINDS = (Path, Path, int, int, int)

if __name__ == "__main__":
    main()
