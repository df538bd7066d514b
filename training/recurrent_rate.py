"""The learning rate of the recurrent baselines, found on validation: at another model's rate they are no baselines."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from training import fit_sequence, sequence_stream
from training.leave_one_out import Sequences
from training.sequence_ranking import rank_quality
from training.sequence_settings import LEAST_STEPS, SequenceSettings, with_steps_enough

#: Tried by short runs of so many epochs, or of so many steps where an epoch has few.
RATES = (1e-3, 3e-3, 1e-2)
_EPOCHS = 2
_STEPS = 100


def with_own_rate(
    sequences: Sequences, settings: SequenceSettings, report: Callable[[object], None]
) -> SequenceSettings:
    """Return the settings with the rate whose short run has the best validation NDCG@10, and with steps enough.

    A recurrent cell learns nothing in the first dozens of steps: patience counts after that, in a larger set, too.
    """
    steps = sequence_stream.batch_count(sequences, settings.batch_size)
    if not steps:
        return settings
    no_text = np.zeros((sequences.item_count + 1, 0), dtype=np.float32)
    short = replace(settings, epochs=max(_EPOCHS, math.ceil(_STEPS / steps)), least_steps=_STEPS, text=False)

    def quality(rate: float) -> float:
        model = fit_sequence.fit(sequences, no_text, replace(short, learning_rate=rate), lambda epoch: None)
        found = rank_quality(fit_sequence.recommender(model), sequences, "validation", settings.validation_users)["n10"]
        report(f"{settings.cell}, rate {rate:g}: validation NDCG@10 {found:.4f} after {short.epochs} epochs")
        return found

    enough = with_steps_enough(settings, steps)
    return replace(enough, learning_rate=max(RATES, key=quality), least_steps=LEAST_STEPS)
