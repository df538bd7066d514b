"""What came of an experiment, user by user: whose turn it was, and whether the user did anything with what was shown.

Slates come from the table `answers`, deeds from the live events of the lake and of the spool. A user counts once the
window after their first slate is over, in the order of the first slates: a number that may still change is none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from feature_repo.experiments import CHALLENGER, CHAMPION, Experiment
from feature_repo.schema import ANSWERS, INTERACTION_TYPES
from flows import lake
from flows.live_events import probe_shoppers, pushed_events
from flows.settings import Settings
from training.sequential import Bools, Floats


@dataclass(frozen=True)
class Outcomes:
    """Settled users of an experiment, in the order of their first slate (arrays over users), and counts of all slates.

    `challenged`: who met the challenger; `clicked`: who did something with a slate's item within the window.
    `preferred`: of interleaved slates 1 where more of the challenger's items, -1 where more of the champion's.
    `waiting`: users whose window is still open.
    """

    first_seen: tuple[datetime, ...]
    challenged: Bools
    clicked: Bools
    preferred: Floats
    waiting: int
    slates: Mapping[str, int]


#: Of an interleaved slate that the champion gave alone, since the challenger had failed: it says nothing of either.
_NOBODY = ""


@dataclass
class _User:
    """One user's slates: when, and each item with whose choice it was."""

    arm: str
    slates: list[tuple[datetime, dict[str, str]]]


def outcomes_of(settings: Settings, experiment: Experiment) -> Outcomes:
    """Read what came of an experiment so far; what serving has logged must have landed."""
    users = _users(settings, experiment)
    began = min((user.slates[0][0] for user in users.values()), default=datetime.fromisoformat(experiment.started_at))
    events, latest = pushed_events(settings, sorted(users)), _newest_answer(settings, began)
    latest = max([latest, *(row["known_at"] for rows in events.values() for row in rows)], default=latest)
    window = timedelta(hours=experiment.window_hours)
    order = sorted(users, key=lambda name: (users[name].slates[0][0], name))
    settled = [name for name in order if users[name].slates[0][0] + window <= latest]
    teams = [_clicked_teams(users[name], events.get(name, ()), window) for name in settled]
    slates: dict[str, int] = {}
    for user in users.values():
        slates[user.arm] = slates.get(user.arm, 0) + len(user.slates)
    preferred = [np.sign(each.count(CHALLENGER) - each.count(CHAMPION)) for each in teams]
    return Outcomes(
        first_seen=tuple(users[name].slates[0][0] for name in settled),
        challenged=np.array([users[name].arm != CHAMPION for name in settled], dtype=bool),
        clicked=np.array([bool(each) for each in teams], dtype=bool),
        preferred=np.array(preferred, dtype=np.float64),
        waiting=len(order) - len(settled),
        slates=slates,
    )


def _users(settings: Settings, experiment: Experiment) -> dict[str, _User]:
    """Return who took part."""
    wanted = ds.field("experiment_id") == experiment.experiment_id
    columns = ["user_id", "arm", "answered_at", "answer"]
    rows = lake.arrow_dataset(settings, ANSWERS.name).to_table(columns=columns, filter=wanted).to_pylist()
    probes, users = probe_shoppers(settings), dict[str, _User]()
    rows = sorted((row for row in rows if row["user_id"] not in probes), key=lambda row: row["answered_at"])
    for row in rows:
        answer = json.loads(row["answer"])
        items = {item["item_id"]: _choice_of(row["arm"], answer, item["rank"]) for item in answer["slate"]}
        users.setdefault(row["user_id"], _User(row["arm"], [])).slates.append((row["answered_at"], items))
    return users


def _newest_answer(settings: Settings, since: datetime) -> datetime:
    """Return the newest moment that the log knows; any answer tells it, also after an experiment's end."""
    column = ds.field("answered_at")
    later = lake.arrow_dataset(settings, ANSWERS.name).to_table(columns=["answered_at"], filter=column >= since)
    return max(later["answered_at"].to_pylist(), default=since)


def _choice_of(arm: str, answer: Mapping[str, Any], rank: int) -> str:
    """Return whose choice the item in a place of a slate was."""
    ranks = answer["experiment"]["challenger_ranks"]
    if arm in (CHAMPION, CHALLENGER):
        return arm
    if ranks is None:
        return _NOBODY
    return CHALLENGER if rank in ranks else CHAMPION


def _clicked_teams(user: _User, events: Sequence[Mapping[str, Any]], window: timedelta) -> list[str]:
    """Return whose choice each deed in the window was upon, each item once; nothing for what no slate showed before."""
    until, found = user.slates[0][0] + window, dict[str, str]()
    for event in events:
        if event["event_type"] not in INTERACTION_TYPES or event["known_at"] > until:
            continue
        shown = [items for moment, items in user.slates if moment <= event["known_at"] and event["item_id"] in items]
        if shown:
            found.setdefault(event["item_id"], shown[-1][event["item_id"]])
    return list(found.values())
