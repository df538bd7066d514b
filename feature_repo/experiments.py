"""A challenger beside the champion, on real shoppers: what an experiment is, and who sees what. Standard library only.

`aisle experiment` writes `experiment.json` beside the champion's pointer, signed as releases are; serving follows it.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

EXPERIMENT_KEY = "experiment.json"
EXPERIMENT_SCHEMA = 1
#: shadow: the challenger's slates are compared, nobody sees them. canary and ab: a share of the users sees them; a
#: canary looks for harm, an ab for a difference. interleave: a share of the users sees slates drawn from both.
MODES = ("shadow", "canary", "ab", "interleave")
Arm = Literal["champion", "challenger", "interleaved"]
CHAMPION: Arm = "champion"
CHALLENGER: Arm = "challenger"
INTERLEAVED: Arm = "interleaved"


class ExperimentError(ValueError):
    """The experiment cannot be meant; the message says what was expected and what came."""


@dataclass(frozen=True)
class Bounds:
    """What a challenger may cost before its traffic ends by itself; all but `slow_ms` are shares.

    `errors` of its answers may fail; `slow` of them may take longer than `slow_ms`; `fallback`: so much more of them
    than of the champion's may not be personal; `click_through`: at least so much of the champion's.
    """

    errors: float = 0.01
    slow: float = 0.02
    slow_ms: float = 100.0
    fallback: float = 0.05
    click_through: float = 0.5


@dataclass(frozen=True)
class Experiment:
    """One experiment. `share` of the users (of the answers, in shadow) meets the challenger.

    `window_hours`: a click counts for the slate that its user saw so long before. `planned_users`: where the analysis
    is sharpest; it holds at any other number, too. Stopped, it has `stopped_at` and `reason`.
    """

    experiment_id: str
    mode: str
    champion: str
    challenger: str
    challenger_manifest_sha256: str
    share: float
    salt: str
    started_at: str
    bounds: Bounds = field(default_factory=Bounds)
    window_hours: float = 24.0
    planned_users: int = 10_000
    version: int = 1
    stopped_at: str | None = None
    reason: str | None = None

    @property
    def running(self) -> bool:
        """Whether it has not been stopped."""
        return self.stopped_at is None


@dataclass(frozen=True)
class SignedExperiment:
    """What is in the store: the experiment, the bytes that were signed, and the signature as it was found."""

    experiment: Experiment
    signed: bytes
    signature: Mapping[str, Any]


def draw_of(salt: str, pseudonym: str) -> float:
    """Return where a user falls in [0, 1): a salted hash, so uniform, and the same at every server and every visit."""
    return int.from_bytes(hashlib.sha256(f"{salt}:{pseudonym}".encode()).digest()[:8]) / 2**64


def arm_of(experiment: Experiment, pseudonym: str) -> tuple[Arm, float]:
    """Return a user's arm and its propensity, the probability with which a user gets that arm."""
    if draw_of(experiment.salt, pseudonym) >= experiment.share:
        return CHAMPION, 1.0 - experiment.share
    return (INTERLEAVED if experiment.mode == "interleave" else CHALLENGER), experiment.share


def checked(experiment: Experiment) -> Experiment:
    """Return the experiment if it can be meant. Raises ExperimentError."""
    bounds = experiment.bounds
    if experiment.mode not in MODES:
        raise ExperimentError(f"Expected a mode of {', '.join(MODES)}, but found {experiment.mode!r}.")
    if experiment.challenger == experiment.champion:
        raise ExperimentError(f"Expected a challenger other than the champion, but both are {experiment.champion}.")
    shares = {"share": experiment.share, **{name: value for name, value in asdict(bounds).items() if name != "slow_ms"}}
    for name, share in shares.items():
        if not (isinstance(share, int | float) and 0 < share <= 1):
            raise ExperimentError(f"Expected {name} above 0 and at most 1, but found {share!r}.")
    if experiment.mode in ("canary", "ab") and experiment.share == 1:
        raise ExperimentError("Expected a share below 1: without users of the champion there is nothing to compare.")
    lengths = {"slow_ms": bounds.slow_ms, "window_hours": experiment.window_hours, "planned": experiment.planned_users}
    for name, length in lengths.items():
        if not (isinstance(length, int | float) and 0 < length < math.inf):
            raise ExperimentError(f"Expected {name} above 0, but found {length!r}.")
    return experiment


def content_of(experiment: Experiment) -> bytes:
    """Return the bytes of an experiment that are signed; the same experiment gives the same bytes."""
    return json.dumps(asdict(experiment), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def publication(experiment: Experiment, signature: Mapping[str, Any]) -> bytes:
    """Return the object that serving reads."""
    content = {"schema": EXPERIMENT_SCHEMA, "experiment": asdict(experiment), "signature": dict(signature)}
    return json.dumps(content, sort_keys=True, indent=1).encode()


def read_experiment(body: bytes) -> SignedExperiment:
    """Read what `publication` wrote; whether the signature is good is the reader's to check. Raises ExperimentError."""
    try:
        content = json.loads(body)
        if content["schema"] != EXPERIMENT_SCHEMA:
            raise ExperimentError(f"Expected schema {EXPERIMENT_SCHEMA}, but found {content['schema']!r}.")
        row, signature = dict(content["experiment"]), content["signature"]
        experiment = checked(Experiment(**{**row, "bounds": Bounds(**row["bounds"])}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExperimentError(f"{EXPERIMENT_KEY}: expected an experiment, but found: {error!r}") from error
    return SignedExperiment(experiment, content_of(experiment), signature if isinstance(signature, dict) else {})
