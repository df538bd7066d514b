"""What a fit of the next-item model may vary, and the defaults that follow the data."""

import math
from dataclasses import dataclass, replace

import numpy as np

from training import sequence_stream
from training.leave_one_out import Sequences

#: Up to so many items the softmax is over all of them.
FULL_SOFTMAX_ITEMS = 100_000
#: Interactions × items of the full softmax that the most epochs may go over; a larger set gets fewer, at least these.
EPOCH_WORK = 1e10
FEWEST_EPOCHS = 10
#: A small set has epochs enough for so many steps, early stopping does not look before so many, and each epoch that it
#: waits for a better one is worth so many.
MOST_STEPS = 400
LEAST_STEPS = 200
LOOK_STEPS = 10
#: Beyond FULL_SOFTMAX_ITEMS: items sampled a batch, and users whose validation is looked at after an epoch.
NEGATIVES = 4096
VALIDATION_USERS = 2000


@dataclass(frozen=True)
class SequenceSettings:
    """What a fit may vary; `settings_for` takes length and epochs from the data. Epochs end by early stopping.

    `cell` 'gru' or 'lstm' puts a recurrent cell in the place of the Transformer, without text or spectral start.
    `negatives` above 0 takes that many sampled items a batch in place of the full softmax (Transformer only);
    `contrast` above 0 adds that much of `losses.same_target_contrast` to the full softmax.
    `validation_users` above 0 looks at that many users after each epoch. `patience` counts epochs without a better one
    after the first `least_steps` steps.
    """

    width: int = 64
    heads: int = 2
    blocks: int = 2
    dropout: float = 0.2
    length: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3
    epochs: int = 24
    patience: int = 2
    seed: int = 1
    text: bool = True
    spectral: bool = True
    cell: str = ""
    negatives: int = 0
    validation_users: int = 0
    contrast: float = 0.0
    least_steps: int = 0


def settings_for(sequences: Sequences, width: int, seed: int) -> SequenceSettings:
    """Return settings that follow the data.

    Long sequences need a longer window; one dropout does for both (docs/results.md). A catalogue too large for the full
    softmax is sampled, from random start vectors, and judged by some users. A set on which the full softmax is much
    work gets fewer epochs, the cosine of the learning rate with them: it has more to learn from in each. An epoch of a
    small set is a few steps, in the first dozens of which nothing is learned: it gets epochs enough, and more patience.
    """
    lengths = np.diff(sequences.starts)
    length = int(np.clip(2 ** math.ceil(math.log2(max(2, np.quantile(lengths, 0.98)))), 16, 200))
    many = sequences.item_count > FULL_SOFTMAX_ITEMS
    most = SequenceSettings.epochs
    work = 1 if many else max(1, len(sequences.items) * sequences.item_count)
    settings = SequenceSettings(
        width=width,
        epochs=int(np.clip(round(most * EPOCH_WORK / work), FEWEST_EPOCHS, most)),
        heads=max(1, width // 32),
        length=length,
        seed=seed,
        spectral=not many,
        negatives=NEGATIVES if many else 0,
        validation_users=VALIDATION_USERS if many else 0,
    )
    return with_steps_enough(settings, sequence_stream.batch_count(sequences, settings.batch_size))


def with_steps_enough(settings: SequenceSettings, steps: int) -> SequenceSettings:
    """Return the settings of a set whose epoch has so many steps: as they are, or of a small set with steps enough."""
    if not steps or settings.epochs * steps >= MOST_STEPS:
        return settings
    patience = math.ceil(settings.patience * max(1.0, LOOK_STEPS / steps))
    return replace(settings, epochs=math.ceil(MOST_STEPS / steps), least_steps=LEAST_STEPS, patience=patience)
