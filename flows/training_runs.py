"""The folder of a training run, named by the hash of its inputs: what it made and how it ended, kept for the next run.

Settings.home/training_runs/<inputs>/: checkpoints/, models.pt, metrics.json, curve.png, release/, outcome.json.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import training
from flows import release_contents
from flows.known_lake import lake_at_versions
from flows.release_pins import code_pins
from flows.releases import Pointer, read_manifest, read_pointer
from flows.settings import Settings
from training.model import TrainSettings


@dataclass(frozen=True)
class TrainingRun:
    """One run: the shop (None: all of the lake), the release's moment, the hash of all inputs, and its folder.

    `lake`: the versions of the lake's tables that the run began with; None reads them as they are.
    """

    source: str | None
    as_of: datetime
    inputs_sha256: str
    folder: Path
    train_settings: TrainSettings
    lake: Mapping[str, int] | None = None

    @property
    def release_folder(self) -> Path:
        """Where the release is put together."""
        return self.folder / "release"

    def began_with(self, settings: Settings) -> Settings:
        """Return settings that read the lake as it was when the run began: every stage has the same rows and items."""
        return settings if self.lake is None else lake_at_versions(settings, self.lake)


@dataclass(frozen=True)
class TrainSummary:
    """How a training run ended.

    `test` and `validation`: model → metric → value. `refused`: why the challenger was refused; empty when it passed.
    `released`: the model of the release that came of this run, None without one. `champion`: the release that serving
    answers with now. `reused`: nothing was trained, an earlier run on the same inputs is reported.
    """

    challenger: str
    test: dict[str, dict[str, float]]
    validation: dict[str, dict[str, float]]
    refused: tuple[str, ...]
    released: str | None
    release_id: str | None
    champion: str | None
    gate: dict[str, Any] = field(default_factory=dict)
    reused: bool = False

    def sentence(self) -> str:
        """Return the outcome in one sentence."""
        if self.reused:
            return f"The inputs have not changed since {self.release_id or 'the last run, which released nothing'}."
        if not self.refused:
            return f"{self.challenger} passed the gate and is release {self.release_id}."
        if self.released == self.challenger:
            best = f"{self.challenger} is the best model and a simple one"
            return f"{best}: the gate had nothing simpler to hold against it, and it is release {self.release_id}."
        kept = f"release {self.champion} stays" if self.champion else "there is no release yet"
        kept = kept if self.released is None else f"{self.released} is release {self.release_id}"
        return f"{self.challenger} was refused ({'; '.join(self.refused)}), and {kept}."


def inputs_hash(training_set_hash: str, as_of: datetime, train_settings: TrainSettings) -> str:
    """Return the hash of all that a run's result depends on: rows, code, locked packages, settings, moment."""
    code = hashlib.sha256()
    for path in (*sorted(Path(training.__file__).parent.glob("*.py")), Path(release_contents.__file__)):
        code.update(path.read_bytes())
    made_of = {
        "training_set": training_set_hash,
        "as_of": as_of.isoformat(),
        "code": code.hexdigest(),
        "lock": code_pins()["lock_sha256"],
        "settings": {name: value for name, value in asdict(train_settings).items() if name != "checkpoint_folder"},
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def write_outcome(run: TrainingRun, **facts: Any) -> None:
    """Add facts to the run's outcome.json, in one rename."""
    path = run.folder / "outcome.json"
    fresh = path.with_suffix(f".{os.getpid()}")
    content = release_contents.without_nan({**read_outcome(run), **facts})
    fresh.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
    fresh.replace(path)


def read_outcome(run: TrainingRun) -> dict[str, Any]:
    """Return what is known of how the run ended; empty when it never came to the gate."""
    path = run.folder / "outcome.json"
    outcome: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return outcome


def pointer_facts(pointer: Pointer | None) -> dict[str, Any] | None:
    """Return a pointer as plain values for outcome.json."""
    return None if pointer is None else {**asdict(pointer), "earlier": list(pointer.earlier)}


def pointer_of(facts: Mapping[str, Any] | None) -> Pointer | None:
    """Return the pointer that `pointer_facts` wrote down."""
    return None if facts is None else Pointer(**{**facts, "earlier": tuple(facts.get("earlier", ()))})


def is_judged(settings: Settings, run: TrainingRun) -> bool:
    """Say whether the gate's verdict on these inputs is there and still stands.

    A verdict that was not published before another release became champion is void: it compared with the wrong one. So
    is a refusal beside a release that is not champion now: beside this one, or none, the challenger may be better.
    """
    outcome, pointer = read_outcome(run), read_pointer(settings)
    if "refused" not in outcome:
        return False
    if outcome["released"] is None:
        before = pointer_of(outcome["compared_with"])
        return (before and before.release_id) == (pointer and pointer.release_id)
    return bool(outcome.get("done")) or outcome["compared_with"] == pointer_facts(pointer)


def summary_of(settings: Settings, run: TrainingRun, reused: bool) -> TrainSummary:
    """Return the summary of a run that was judged."""
    outcome, pointer = read_outcome(run), read_pointer(settings)
    return TrainSummary(
        challenger=outcome["challenger"],
        test=outcome["test"],
        validation=outcome["validation"],
        refused=tuple(outcome["refused"]),
        released=outcome["released"],
        release_id=outcome.get("release_id"),
        champion=pointer.release_id if pointer else None,
        gate=outcome["gate"],
        reused=reused,
    )


def champion_of_same_inputs(settings: Settings, run: TrainingRun) -> TrainSummary | None:
    """Return a summary when the champion was made of these very inputs by another machine or home, else None."""
    pointer = read_pointer(settings)
    manifest: Mapping[str, Any] = read_manifest(settings, pointer.release_id) if pointer else {}
    if pointer is None or manifest.get("inputs_sha256") != run.inputs_sha256:
        return None
    return TrainSummary(
        challenger=manifest["model"]["name"],
        test=manifest["metrics"]["test"],
        validation=manifest["metrics"]["validation"],
        refused=(),
        released=manifest["model"]["name"],
        release_id=pointer.release_id,
        champion=pointer.release_id,
        gate=manifest["gate"],
        reused=True,
    )
