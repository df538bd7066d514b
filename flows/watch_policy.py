"""What the operator declares of the watch, in one small file: AISLE_HOME/watch.toml. Without it the defaults hold."""

import tomllib
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatch
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.settings import Settings

#: What a breach may trigger: tell people, train anew, refuse features and training until acknowledged.
ACTIONS = ("alert", "retrain", "stop")
CLOCKS = ("stages", "wall")


class PolicyError(ValueError):
    """watch.toml says something that cannot be meant; the message names the key, what was expected and what came."""

    def __init__(self, path: Path, key: str, expected: str, came: object):
        super().__init__(f"{path}: {key}: expected {expected}; came {came!r}. Mend the file and run again.")


@dataclass(frozen=True)
class WatchPolicy:
    """What is watched and what a breach triggers.

    `timezone` and `weeks` of the reference are those of drift; `actions` on a breach of drift, `signal_actions` by a
    pattern of the signal's name (the first that fits wins). Freshness: `clock` 'stages' measures how far each stage is
    behind the lake, 'wall' also how far it is behind now; `slo` is the limit of each lag, `release_slo`
    that of the release, `stale_actions` what a breach triggers.
    """

    timezone: str = "UTC"
    weeks: int = 8
    actions: tuple[str, ...] = ("alert",)
    signal_actions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    clock: str = "stages"
    slo: timedelta = timedelta(hours=2)
    release_slo: timedelta = timedelta(days=2)
    stale_actions: tuple[str, ...] = ("alert",)

    def actions_for(self, signal: str) -> tuple[str, ...]:
        """Return what a breach of this signal triggers."""
        return next((done for pattern, done in self.signal_actions.items() if fnmatch(signal, pattern)), self.actions)


def policy_path(settings: Settings) -> Path:
    """Where the policy is declared."""
    return settings.home / "watch.toml"


def load_policy(settings: Settings) -> WatchPolicy:
    """Read the policy; the defaults when there is no file. Raises PolicyError."""
    path = policy_path(settings)
    if not path.exists():
        return WatchPolicy()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise PolicyError(path, "the file", "a file of TOML in UTF-8", str(error)) from error
    drift = _table(path, content, "drift", ("timezone", "weeks", "on_breach", "signals"))
    freshness = _table(path, content, "freshness", ("clock", "limit_minutes", "release_limit_minutes", "on_breach"))
    _known(path, content, "", ("drift", "freshness"))
    default = WatchPolicy()
    signals = drift.get("signals", {})
    if not isinstance(signals, dict):
        raise PolicyError(path, "drift.signals", "a table of signal = actions", signals)
    return WatchPolicy(
        timezone=_timezone(path, drift.get("timezone", default.timezone)),
        weeks=_number(path, "drift.weeks", drift.get("weeks", default.weeks), 4, 52),
        actions=_actions(path, "drift.on_breach", drift.get("on_breach", list(default.actions))),
        signal_actions={name: _actions(path, f"drift.signals.{name!r}", done) for name, done in signals.items()},
        clock=_clock(path, freshness.get("clock", default.clock)),
        slo=_minutes(path, freshness, "limit_minutes", default.slo),
        release_slo=_minutes(path, freshness, "release_limit_minutes", default.release_slo),
        stale_actions=_actions(path, "freshness.on_breach", freshness.get("on_breach", list(default.stale_actions))),
    )


def _table(path: Path, content: dict[str, object], key: str, known: tuple[str, ...]) -> dict[str, object]:
    found = content.get(key, {})
    if not isinstance(found, dict):
        raise PolicyError(path, key, "a table", found)
    _known(path, found, f"{key}.", known)
    return found


def _known(path: Path, content: dict[str, object], prefix: str, known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            raise PolicyError(path, prefix + key, f"one of {', '.join(known)}", key)


def _actions(path: Path, key: str, given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or any(action not in ACTIONS for action in given):
        raise PolicyError(path, key, f"a list of {', '.join(ACTIONS)} (an empty one does nothing)", given)
    return tuple(given)


def _number(path: Path, key: str, given: object, least: int, most: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise PolicyError(path, key, f"a whole number from {least} to {most}", given)
    return given


def _minutes(path: Path, freshness: dict[str, object], key: str, default: timedelta) -> timedelta:
    given = freshness.get(key, int(default.total_seconds() // 60))
    return timedelta(minutes=_number(path, f"freshness.{key}", given, 1, 10**6))


def _clock(path: Path, given: object) -> str:
    if given not in CLOCKS:
        raise PolicyError(path, "freshness.clock", f"one of {', '.join(CLOCKS)}", given)
    return str(given)


def _timezone(path: Path, given: object) -> str:
    try:
        return ZoneInfo(str(given)).key
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise PolicyError(path, "drift.timezone", "a time zone like Europe/Berlin", given) from error
