"""A test driver: runs an ingest in forked children, each of which dies by SIGKILL at a named point.

Arguments: a JSON list of [home, key, mapping file, point, call, when] with point 'module:function'; `when` is 'before'
or 'after' that call, or a number of seconds after which the parent kills. Prints the children's signals as JSON.
Forking spares a start of Python a case; the parent never touches DuckDB or Delta.
"""

import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.conftest import settings_in
from tests.flows.tiny_shop import land


def dying(function: Callable[..., Any], call: int, when: str) -> Callable[..., Any]:
    """The function, but the process dies before or after one of its calls."""
    calls = [0]

    def patched(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if calls[0] == call and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return patched


def _run_and_die(home: str, key: str, shop: str, point: str, call: int, when: str | float) -> int:
    child = os.fork()
    if child == 0:
        if point:
            module, name = point.split(":")
            owner = importlib.import_module(module)
            setattr(owner, name, dying(getattr(owner, name), call, str(when)))
        land(replace(settings_in(Path(home)), pseudonym_key=key.encode()), shop)
        os._exit(0)
    if not point:
        time.sleep(float(when))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


if __name__ == "__main__":
    print("SIGNALS" + json.dumps([_run_and_die(*case) for case in json.loads(sys.argv[1])]))
