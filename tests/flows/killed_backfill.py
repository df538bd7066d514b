"""A test driver: a backfill that dies by SIGKILL right after its n-th chunk was recorded, or before it.

Arguments: mapping file, from, to, chunks until it dies, 'before' or 'after'. AISLE_HOME and Prefect come from the
environment.
"""

import os
import signal
import sys
from datetime import datetime
from typing import Any

from flows import backfill as story


def _dying(calls_left: int, when: str) -> Any:
    record_chunk, calls = story.record_chunk, [0]

    def patched(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == calls_left and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = record_chunk(*arguments)
        if calls[0] == calls_left:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return patched


if __name__ == "__main__":
    shop, since, until, chunks, when = sys.argv[1:]
    story.record_chunk = _dying(int(chunks), when)
    story.backfill(shop, datetime.fromisoformat(since), datetime.fromisoformat(until))
