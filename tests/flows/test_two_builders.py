"""Two runs that build features of one home at once: one builds, the other waits and reads."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from feature_repo.features import USER_VIEWS
from flows.feature_tables import build_tables
from flows.settings import Settings
from flows.training_set import build_training_tables
from tests.flows.feature_lake import SERVING, fill_lake

pytestmark = pytest.mark.slow


def during(build: Callable[..., Any], *asked: Any) -> tuple[Any, Any, list[str]]:
    """Call `build` again while it is at work on its first view; return both results and what the second one made."""
    made, begun = list[str](), list[Future[Any]]()
    with ThreadPoolExecutor(1) as other:

        def begin(view: str, count: int) -> None:
            if not begun:
                begun.append(other.submit(build, *asked, progress=lambda name, _: made.append(name)))

        first = build(*asked, progress=begin)
        return first, begun[0].result(), made


def test_a_training_set_that_two_runs_want_at_once_is_built_once(settings: Settings):
    fill_lake(settings, users=60)
    first, second, made = during(build_training_tables, settings)
    assert made == []
    assert second.input_hash == first.input_hash
    assert second.histories.equals(first.histories)


def test_feature_tables_that_two_runs_want_at_once_are_built_once(settings: Settings):
    fill_lake(settings, users=60)
    wanted = {view.name: (SERVING,) for view in USER_VIEWS}
    first, second, _ = during(build_tables, settings, wanted)
    assert (first.built, second.built) == (len(wanted), 0)
    assert second.snapshots == first.snapshots
