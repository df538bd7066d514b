"""What a release would have shown without chance: `python -m serving.plain_slates FOLDER` reads rows of the answer log.

In, a line each: {"rules": publication or null}, then rows answered under them. Out, for each row its request id and the
release's items, best first, and those that places are drawn from: what stands below is its choice where others stand
above.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from serving.exploration import NO_EXPLORATION, POOL_SIZE
from serving.last_resort import recommend_at_any_rate
from serving.metrics import Metrics, make_metrics
from serving.online_rows import no_online_rows
from serving.release import Release, load_release
from serving.replay import question_of_log, row_of_log, with_rules


def main() -> None:
    """Rank what comes in, line by line."""
    release, metrics, out = load_release(Path(sys.argv[1]), no_online_rows), make_metrics(), sys.stdout.buffer
    for line in sys.stdin.buffer:
        row = orjson.loads(line)
        if "rules" in row:
            release = with_rules(release, row["rules"])
        else:
            found = {"request_id": row["request_id"], "items": plain_items(release, row, metrics)}
            out.write(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE))


def plain_items(release: Release, row: Mapping[str, Any], metrics: Metrics) -> list[str]:
    """Return a release's items for one logged question, no place drawn: the slate as asked for, then the next best.

    A question for more places would have other pins in them, and another order where diversity was asked for.
    """
    question, stored = question_of_log(orjson.loads(row["question"])), row_of_log(orjson.loads(row["features"]))
    wishes = replace(question.wishes, exploration=NO_EXPLORATION, tail=max(question.k, POOL_SIZE))
    moment = datetime.fromisoformat(row["as_of"])
    (answer,) = recommend_at_any_rate(release, [replace(question, wishes=wishes)], moment, metrics, [stored])
    return [item.item_id for item in answer.slate]


if __name__ == "__main__":
    main()
