"""Run in a process of its own: build or load features, and die by SIGKILL at a given point.

Arguments: 'build' or 'load', AISLE_HOME, the point ('none', or the number of the step to die at).
"""

import itertools
import os
import signal
import sys

from feature_repo.features import FEATURE_VIEWS, USER_VIEWS
from flows.feature_tables import build_tables
from flows.online_rows import load_view
from flows.settings import load_settings
from tests.flows.feature_lake import SERVING

stage, home, point = sys.argv[1:]
steps = itertools.count(1)


def die_here(*_: object) -> None:
    """Die at the step that was asked for."""
    if str(next(steps)) == point:
        os.kill(os.getpid(), signal.SIGKILL)


settings = load_settings({"AISLE_HOME": home})
if stage == "build":
    # A verdict is published between staging and renaming: the worst moment to die.
    build_tables(settings, dict.fromkeys(FEATURE_VIEWS, (SERVING,)), publish=die_here)
else:
    for view in USER_VIEWS:
        load_view(settings, view.name, SERVING, progress=die_here)
