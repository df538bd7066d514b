"""RecBole's SASRec as it ships, run in RecBole's own environment by `benchmarks.training_speed`.

    python -m benchmarks.training_peer_recbole SEQUENCES.npz FOLDER SECONDS THREADS SEED

Default settings of the model and the trainer (300 epochs, 10 without gain end it), validation by NDCG@10. Its last line
is JSON; the ten best items of each user, history masked, lie in FOLDER/answers.npz.
"""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.interaction import Interaction
from recbole.model.sequential_recommender.sasrec import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed

from training.leave_one_out import HELD_OUT, Sequences

K = 10
_BATCH = 512


class TimeUp(Exception):
    """The time that this peer was given is over."""


def write_events(sequences: Sequences, folder: Path) -> None:
    """Write the sequences as RecBole's atomic file `events/events.inter`; the time is the place in the sequence."""
    (folder / "events").mkdir(parents=True, exist_ok=True)
    lengths = np.diff(sequences.starts)
    user = np.repeat(np.arange(len(sequences)), lengths)
    place = np.arange(len(user)) - np.repeat(sequences.starts[:-1], lengths)
    with (folder / "events" / "events.inter").open("w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"{u}\t{i}\t{p}\n" for u, i, p in zip(user, sequences.items, place, strict=True))


def settings(folder: Path, seed: int) -> Config:
    """Return RecBole's defaults for SASRec with leave-one-out and full ranking."""
    chosen = {
        "data_path": str(folder),
        "checkpoint_dir": str(folder / "saved"),
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
        "train_neg_sample_args": None,
        "metrics": ["NDCG"],
        "valid_metric": "NDCG@10",
        "use_gpu": False,
        "show_progress": False,
        "seed": seed,
    }
    return Config(model="SASRec", dataset="events", config_dict=chosen)


@torch.inference_mode()
def answers(model: SASRec, tokens: np.ndarray, histories: list[np.ndarray]) -> np.ndarray:
    """Return the ten best items of each history, masked, int64 [users, 10]; `tokens` is RecBole's index of an item."""
    model.eval()
    back = np.zeros(model.n_items, dtype=np.int64)
    back[tokens[1:]] = np.arange(1, len(tokens))
    found = []
    for start in range(0, len(histories), _BATCH):
        rows = [tokens[row] for row in histories[start : start + _BATCH]]
        lengths = torch.tensor([min(len(row), model.max_seq_length) for row in rows])
        padded = torch.zeros(len(rows), model.max_seq_length, dtype=torch.int64)
        for number, row in enumerate(rows):
            padded[number, : lengths[number]] = torch.from_numpy(row[-model.max_seq_length :])
        scores = model.full_sort_predict(Interaction({model.ITEM_SEQ: padded, model.ITEM_SEQ_LEN: lengths}))
        owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        scores[:, 0] = scores[owner, np.concatenate(rows)] = -torch.inf
        found.append(back[scores.topk(K, dim=1).indices.numpy()])
    return np.concatenate(found)


def train(trainer: Any, data: tuple[Any, Any], seconds: int) -> dict[str, Any]:
    """Train until early stopping or the end of the time, back to the best weights; return how long that took."""
    started, scores, moments = time.monotonic(), [], []

    def remember(_: int, score: float) -> None:
        scores.append(score)
        moments.append(time.monotonic() - started)

    def stop(*_: object) -> None:
        raise TimeUp

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    ended = "early stopping"
    try:
        trainer.fit(*data, verbose=False, callback_fn=remember)
    except TimeUp:
        ended = "time"
    signal.alarm(0)
    whole = time.monotonic() - started
    if scores:
        saved = torch.load(trainer.saved_model_file, weights_only=False)
        trainer.model.load_state_dict(saved["state_dict"])
    best = int(np.argmax(scores)) if scores else -1
    to_best = moments[best] if scores else whole
    return {"seconds_to_best": to_best, "seconds": whole, "best_epoch": best + 1, "epochs": len(scores), "ended": ended}


def main() -> None:
    """Train, write the answers, print what it took."""
    path, folder, seconds, threads, seed = (kind(word) for kind, word in zip(KINDS, sys.argv[1:], strict=True))
    torch.set_num_threads(threads)
    stored = np.load(path)
    sequences = Sequences(stored["items"], stored["starts"], int(stored["item_count"]))
    write_events(sequences, folder)
    config = settings(folder, seed)
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    training, validation, _ = data_preparation(config, dataset)
    model = SASRec(config, training.dataset)
    found = train(Trainer(config, model), (training, validation), seconds)
    known = dataset.field2token_id["item_id"]
    tokens = np.array([known.get(str(item), 0) for item in range(sequences.item_count + 1)])
    ranked = {cut: answers(model, tokens, sequences.before(held_out)) for cut, held_out in HELD_OUT.items()}
    np.savez(folder / "answers.npz", **ranked)
    print(json.dumps(found))


KINDS = (Path, Path, int, int, int)

if __name__ == "__main__":
    main()
