"""Logged answers computed again: `python -m serving.replay` reads one JSON object a line and writes one a line.

In: {"release": folder, "rules": publication or null, "batch": [rows of the answer log, by place]}, and for interleaved
slates "challenger": folder, "salt". Out, a list: for each row whether the bytes are the same, and what made each place.
`aisle replay` fetches what is needed and calls this.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from feature_repo.slate_rules import read_publication
from serving.answer_log import ANSWER_OPTIONS
from serving.arrangement import Limits
from serving.catalogue import Conditions
from serving.contract import Recommendations
from serving.exploration import Exploration
from serving.exposure import Exposure, exposed
from serving.history import Habit, Interaction, UserRow
from serving.interleaved_answers import interleaved
from serving.last_resort import recommend_at_any_rate
from serving.metrics import Metrics, make_metrics
from serving.online_rows import no_online_rows
from serving.placement import Wishes
from serving.recommender import Question, recommend_many
from serving.release import Release, load_release
from serving.shelf_rules import bind_rules


@dataclass(frozen=True)
class Beside:
    """The other release of an interleaved batch, and what its drafts were drawn with."""

    challenger: Release
    salt: str


def main() -> None:
    """Replay what comes in, line by line."""
    metrics = make_metrics()
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        release, beside = with_rules(_release(asked["release"]), asked["rules"]), None
        if asked.get("challenger"):
            beside = Beside(with_rules(_release(asked["challenger"]), asked["rules"]), asked["salt"])
        sys.stdout.buffer.write(orjson.dumps(replayed(release, asked["batch"], metrics, beside)) + b"\n")
        sys.stdout.buffer.flush()


def replayed(
    release: Release, batch: Sequence[Mapping[str, Any]], metrics: Metrics, beside: Beside | None = None
) -> list[dict[str, Any]]:
    """Compute a batch of the log again and compare, byte by byte; `beside` is what it was interleaved with."""
    questions = [question_of_log(orjson.loads(row["question"])) for row in batch]
    rows = [row_of_log(orjson.loads(row["features"])) for row in batch]
    answers = _answers((release, beside), batch, questions, rows, metrics)
    found = zip(batch, questions, rows, answers, strict=True)
    return [
        {
            "request_id": logged["request_id"],
            "same": orjson.dumps(answer, option=ANSWER_OPTIONS).decode() == logged["answer"],
            "answer": orjson.loads(orjson.dumps(answer, option=ANSWER_OPTIONS)),
            "made_by": _made_by(release, question, row, answer, metrics),
        }
        for logged, question, row, answer in found
    ]


def _answers(
    releases: tuple[Release, Beside | None],
    batch: Sequence[Mapping[str, Any]],
    questions: Sequence[Question],
    rows: Sequence[UserRow | None],
    metrics: Metrics,
) -> list[Recommendations]:
    """Return the answers as they were given: by one release, or drafted from two."""
    (release, beside), now = releases, datetime.fromisoformat(batch[0]["as_of"])
    exposures = [_exposure(row) for row in batch]
    alone = recommend_at_any_rate(release, questions, now, metrics, rows)
    if beside is None:
        return [exposed(answer, exposure) for answer, exposure in zip(alone, exposures, strict=True)]
    theirs = recommend_many(beside.challenger, questions, now, metrics, rows)
    return [
        interleaved(own, other, f"{beside.salt}:{row['request_id']}", exposure) if exposure else own
        for own, other, row, exposure in zip(alone, theirs, batch, exposures, strict=True)
    ]


def with_rules(release: Release, publication: Any) -> Release:
    """Return the release with published rules, or with none."""
    published = None if publication is None else read_publication(orjson.dumps(publication))
    return replace(release, rules=bind_rules(published, release.catalogue, release.rules.learned))


def _exposure(row: Mapping[str, Any]) -> Exposure | None:
    """Return what an answer said of an experiment; most say nothing."""
    said = orjson.loads(row["answer"]).get("experiment")
    return None if said is None else Exposure(**said)


def _made_by(
    release: Release, question: Question, row: UserRow | None, answer: Recommendations, metrics: Metrics
) -> list[str]:
    """Say for each place what made it, by taking away one thing after the other and looking who still has the place.

    rules: without the shop's rules another item has it. features: without what is known of the user (and this visit)
    another has it. data: the answer is what is popular. model: it stays with neither.
    """
    alone = [place.item_id for place in answer.slate]
    without_rules = _items(
        replace(release, rules=bind_rules(None, release.catalogue, None)), question, row, answer, metrics
    )
    unknown = replace(question, session_items=())
    without_features = _items(release, unknown, UserRow(), answer, metrics)
    return [
        "rules"
        if _at(without_rules, place) != item
        else "data"
        if answer.source == "popular"
        else "features"
        if _at(without_features, place) != item
        else "model"
        for place, item in enumerate(alone)
    ]


def _items(
    release: Release, question: Question, row: UserRow | None, answer: Recommendations, metrics: Metrics
) -> list[str]:
    found = recommend_at_any_rate(release, [question], answer.as_of, metrics, [row])[0]
    return [place.item_id for place in found.slate]


def _at(items: Sequence[str], place: int) -> str | None:
    return items[place] if place < len(items) else None


def question_of_log(said: Mapping[str, Any]) -> Question:
    """Return a logged question as it was asked."""
    conditions, wishes = dict(said["conditions"]), said["wishes"]
    return Question(
        pseudonym=said["pseudonym"],
        k=said["k"],
        conditions=Conditions(**{**conditions, "exclude": tuple(conditions["exclude"])}),
        session_items=tuple(said["session_items"]),
        wishes=Wishes(Limits(**wishes["limits"]), wishes["diversity"], Exploration(**wishes["exploration"])),
        language=said["language"],
        close=said.get("close"),
        timezone=said.get("timezone", "UTC"),
    )


def row_of_log(said: Mapping[str, Any] | None) -> UserRow | None:
    """Return a logged row as it was read."""
    if said is None:
        return None
    return UserRow(
        tuple(Interaction(*entry) for entry in said["history"]),
        tuple(Habit(*habit) for habit in said["habits"]),
        said["history_stored_at"],
        said["habits_stored_at"],
    )


@lru_cache(maxsize=4)
def _release(folder: str) -> Release:
    return load_release(Path(folder), no_online_rows)


if __name__ == "__main__":
    main()
