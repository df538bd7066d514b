"""The challenger's answers that nobody sees, in a process of its own: `python -m serving.shadow_answers FOLDER`.

In, a line each: rows of the answer log, or {"rules": publication or null}. Out, a line for each row: the challenger's
slate beside the champion's, how long it took, whether it failed. It yields to all else on the machine (nice 19).
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from serving.last_resort import LAST_RESORT, recommend_at_any_rate
from serving.metrics import Metrics, make_metrics
from serving.online_rows import no_online_rows
from serving.recommender import UNSCORED, recommend_many
from serving.release import Release, load_release
from serving.replay import question_of_log, row_of_log, with_rules

LOADED = b'{"loaded": true}\n'


@dataclass(frozen=True)
class SlateComparison:
    """Two slates: the share of the longer one's items that both have, and the rank correlation of those."""

    overlap: float
    correlation: float | None


def main() -> None:
    """Answer what comes in until it ends."""
    os.nice(19)
    release, metrics, out = load_release(Path(sys.argv[1]), no_online_rows), make_metrics(), sys.stdout.buffer
    out.write(LOADED)
    out.flush()
    under: dict[str | None, Release] = {}
    for line in sys.stdin.buffer:
        row = orjson.loads(line)
        if "rules" in row:
            ruled = with_rules(release, row["rules"])
            under = {**dict(list(under.items())[-1:]), ruled.rules.rules_id: ruled}
        elif row["rules_id"] in under:  # a row of rules that we were not told of yet compares with nothing
            found = shadow_row(under[row["rules_id"]], row, metrics)
            out.write(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE))
            out.flush()


def shadow_row(release: Release, row: Mapping[str, Any], metrics: Metrics) -> dict[str, Any]:
    """Answer one logged question by the challenger, and compare with the answer that was given."""
    given = orjson.loads(row["answer"])
    champion = [item["item_id"] for item in given["slate"]]
    question, stored = question_of_log(orjson.loads(row["question"])), row_of_log(orjson.loads(row["features"]))
    # A row at which the champion failed, too, is not the challenger's fault.
    answered = recommend_at_any_rate if LAST_RESORT in given["notes"] else recommend_many
    began, slate, fallback, error = time.perf_counter(), list[str](), False, None
    try:
        (answer,) = answered(release, [question], datetime.fromisoformat(row["as_of"]), metrics, [stored])
        slate, fallback = [item.item_id for item in answer.slate], answer.source == "popular"
        error = UNSCORED if UNSCORED in answer.notes else None
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"[:300]
    found = compare_slates(champion, slate)
    return {
        "request_id": row["request_id"],
        "answered_at": row["answered_at"],
        "as_of": row["as_of"],
        "release_id": release.release_id,
        "champion": row["release_id"],
        "user_id": row["user_id"],
        "slate": orjson.dumps(slate).decode(),
        "overlap": found.overlap,
        "correlation": found.correlation,
        "seconds": time.perf_counter() - began,
        "fallback": fallback,
        "champion_fallback": given["source"] == "popular",
        "error": error,
    }


def compare_slates(ours: Sequence[str], theirs: Sequence[str]) -> SlateComparison:
    """Compare two slates; the correlation is Kendall's tau over the items of both, None for fewer than two."""
    longest = max(len(ours), len(theirs))
    place = {item: rank for rank, item in enumerate(theirs)}
    ranks = [place[item] for item in ours if item in place]
    overlap = len(ranks) / longest if longest else 1.0
    pairs = len(ranks) * (len(ranks) - 1) // 2
    if pairs == 0:
        return SlateComparison(overlap, None)
    kept = sum(ranks[i] < ranks[j] for i in range(len(ranks)) for j in range(i + 1, len(ranks)))
    return SlateComparison(overlap, 2 * kept / pairs - 1)


if __name__ == "__main__":
    main()
