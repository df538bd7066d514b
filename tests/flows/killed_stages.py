"""A test driver: runs one stage in forked children that die by SIGKILL at a named point, then once more to its end.

Arguments: a JSON list of [stage, AISLE_* variables, mapping file, function, call, when]; without a function the stage
runs undisturbed. Prints what each pair of children ended with, as JSON. The parent never touches a library's threads.
"""

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from feature_repo.features import FEATURE_VIEWS, USER_VIEWS
from flows.feature_tables import build_tables
from flows.online_rows import load_view
from flows.quarantine import Selection
from flows.replay import replay_held
from flows.settings import Settings, load_settings
from flows.sources.mapping import load_mapping
from flows.train_stages import judge_challenger, publish_judged
from flows.training_runs import is_judged
from tests.flows.feature_lake import SERVING
from tests.flows.killed_ingest import dying
from tests.flows.test_train_stages import compete, new_run
from tests.flows.tiny_shop import LATER, land


def ingest(settings: Settings, mapping: str) -> None:
    """Land an export."""
    land(settings, mapping)


def replay(settings: Settings, mapping: str) -> None:
    """Replay the held rows under the mended mapping."""
    replay_held(settings, load_mapping(mapping), Selection(), LATER)


def features(settings: Settings, _: str) -> None:
    """Build every feature table."""
    build_tables(settings, dict.fromkeys(FEATURE_VIEWS, (SERVING,)))


def materialise(settings: Settings, _: str) -> None:
    """Load every user view."""
    for view in USER_VIEWS:
        load_view(settings, view.name, SERVING)


def train(settings: Settings, _: str) -> None:
    """What the flow does with small models: compete, judge, publish; a judged run is only published."""
    run = new_run(settings)
    if not is_judged(settings, run):
        compete(settings, run, better=True)
        judge_challenger(settings, run)
    publish_judged(settings, run)


STAGES: dict[str, Callable[[Settings, str], None]] = {
    "ingest": ingest,
    "replay": replay,
    "features": features,
    "materialise": materialise,
    "train": train,
    "publish": train,
}


def _run(stage: str, variables: dict[str, str], mapping: str, point: tuple[str, int, str] | None) -> int:
    """Run the stage in a child; return the signal it died of, or 0, or -1 when it failed by itself."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if point is not None:
                module, name = point[0].split(":")
                owner = importlib.import_module(module)
                setattr(owner, name, dying(getattr(owner, name), point[1], point[2]))
            STAGES[stage](load_settings(variables), mapping)
            status = 0
        except BaseException:
            traceback.print_exc()
        os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else -os.WEXITSTATUS(ended)


def _run_twice(case: list) -> list[int]:
    stage, variables, mapping, function, call, when = case
    died_of = _run(stage, variables, mapping, (function, call, when)) if function else 0
    return [died_of, _run(stage, variables, mapping, None)]


if __name__ == "__main__":
    print("ENDS" + json.dumps([_run_twice(case) for case in json.loads(Path(sys.argv[1]).read_text())]))
