"""The shop's own rules for slates: what to block, pin, boost, or show again, and when. Standard library only.

Merchandisers write a TOML file, `aisle rules` checks and publishes it, serving reads what was published; both here.
"""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

RULES_KEY = "rules.json"
RULES_SCHEMA = 1
KINDS = ("block", "pin", "boost", "policy")
MOST_RULES = 1_000
MOST_BYTES = 1_048_576
#: The last place that an item can be pinned to, and the most places that a boost can move it.
LAST_PLACE = 200
MOST_PLACES = 1_000
#: What parts of a category path stand between.
SEPARATOR = " > "
_WHERE = ("item", "category", "brand")
_WHEN = ("from", "until", "note")
_KEYS = {
    "block": (*_WHERE, *_WHEN),
    "pin": ("item", "place", *_WHEN),
    "boost": (*_WHERE, "places", *_WHEN),
    "policy": (*_WHERE, "bought", "seen", *_WHEN),
}
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


class RulesError(ValueError):
    """The rules cannot be used; the message names each rule that is wrong and what was expected."""


@dataclass(frozen=True)
class Rule:
    """One rule. It is about the items that fit all of `item`, `category` (a path or its beginning) and `brand`.

    It holds from `starts_at` (included) to `ends_at` (not included), UTC, None: without an end. `place` is where a pin
    stands, `places` how far a boost moves up (below 0: down), `bought` and `seen` whether an item that the user bought,
    or only looked at, comes again: "show" or "hide".
    """

    kind: str
    item: str | None = None
    category: str | None = None
    brand: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    place: int | None = None
    places: int | None = None
    bought: str | None = None
    seen: str | None = None
    note: str | None = None

    @property
    def span(self) -> tuple[datetime, datetime]:
        """When it holds, with the ends of time where it has no end."""
        return self.starts_at or _EVER[0], self.ends_at or _EVER[1]


@dataclass(frozen=True)
class PublishedRules:
    """Rules as they were published: `rules_id` is in every answer that was made under them."""

    version: int
    sha256: str
    published_at: str
    rules: tuple[Rule, ...]

    @property
    def rules_id(self) -> str:
        """The version and the beginning of the content's hash."""
        return f"{self.version}-{self.sha256[:12]}"


def category_key(path: str) -> str:
    """Return what a category path is found by: the same in any case and with any blanks."""
    return SEPARATOR.join(part.strip() for part in path.casefold().split(SEPARATOR))


def brand_key(name: str) -> str:
    """Return what a brand is found by: the same in any case and with any blanks around it."""
    return name.strip().casefold()


def read_rules_file(text: str) -> tuple[Rule, ...]:
    """Read a TOML file of `[[block]]`, `[[pin]]`, `[[boost]]` and `[[policy]]` tables. Raises RulesError."""
    if len(text.encode()) > MOST_BYTES:
        raise RulesError(f"Expected at most {MOST_BYTES:,} bytes of rules, but there are {len(text.encode()):,}.")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(f"This is not TOML: {error}") from error
    unknown = sorted(set(content) - set(KINDS))
    if unknown:
        raise RulesError(f"Expected the tables {_listed(KINDS)}, but found {_listed(unknown)}.")
    rows: list[tuple[str, object]] = []
    for kind, tables in content.items():
        if not isinstance(tables, list):
            raise RulesError(f"Expected rules as [[{kind}]] (two brackets), but found {kind} = {tables!r}.")
        rows += [(kind, table) for table in tables]
    return _rules_of(rows)


def publication(version: int, rules: Sequence[Rule], published_at: str) -> tuple[PublishedRules, bytes]:
    """Return the rules under a version, and the JSON that serving reads."""
    rows = [_row(rule) for rule in rules]
    found = PublishedRules(version, _hash(rows), published_at, tuple(rules))
    content = {
        "schema": RULES_SCHEMA,
        "version": version,
        "sha256": found.sha256,
        "published_at": published_at,
        "rules": rows,
    }
    return found, json.dumps(content, ensure_ascii=False, indent=1).encode()


def read_publication(body: bytes) -> PublishedRules:
    """Read what `publication` wrote, every rule checked again. Raises RulesError."""
    try:
        content = json.loads(body)
        schema, version, rows = content["schema"], content["version"], content["rules"]
        told, published_at = str(content["sha256"]), str(content["published_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise RulesError(f"{RULES_KEY}: expected published rules, but found {error!r}") from error
    if schema != RULES_SCHEMA or type(version) is not int or version < 1 or not isinstance(rows, list):
        raise RulesError(f"{RULES_KEY}: expected schema {RULES_SCHEMA} and a version from 1, but found {schema!r}.")
    if _hash(rows) != told:
        raise RulesError(f"{RULES_KEY}: expected rules of sha256 {told[:100]}, but found {_hash(rows)}.")
    pairs = [(str(row.get("kind")), {k: v for k, v in row.items() if k != "kind"}) for row in _tables(rows)]
    return PublishedRules(version, told, published_at, _rules_of(pairs))


def content_hash(rules: Sequence[Rule]) -> str:
    """Return the sha256 of the rules: the same rules have the same hash, whoever wrote them and when."""
    return _hash([_row(rule) for rule in rules])


def _rules_of(rows: Sequence[tuple[str, object]]) -> tuple[Rule, ...]:
    if len(rows) > MOST_RULES:
        raise RulesError(f"Expected at most {MOST_RULES:,} rules, but there are {len(rows):,}.")
    rules, problems, counts = list[Rule](), list[str](), dict[str, int]()
    for kind, table in rows:
        counts[kind] = counts.get(kind, 0) + 1
        try:
            rules.append(_rule(kind, table))
        except RulesError as error:
            problems.append(f"{kind} {counts[kind]}: {error}")
    problems += _contradictions(rules)
    if problems:
        more = f"\n… and {len(problems) - 20} more." if len(problems) > 20 else ""
        raise RulesError("\n".join(problems[:20]) + more)
    return tuple(rules)


def _rule(kind: str, table: object) -> Rule:
    if kind not in KINDS or not isinstance(table, Mapping):
        raise RulesError(f"expected one of {_listed(KINDS)}, but found {table!r}"[:200])
    unknown = sorted(set(table) - set(_KEYS[kind]))
    if unknown:
        raise RulesError("; ".join(_unknown_key(name, _KEYS[kind]) for name in unknown)[:300])
    where = {name: _text(table, name) for name in (*_WHERE, "note")}
    if not any(where[name] for name in _WHERE):
        raise RulesError(f"expected {' or '.join(name for name in _WHERE if name in _KEYS[kind])} to say which items.")
    starts_at, ends_at = _moment(table, "from", last=False), _moment(table, "until", last=True)
    if starts_at and ends_at and ends_at <= starts_at:
        raise RulesError(f"until: expected a moment after from, came {table['from']} to {table['until']}.")
    rule = Rule(
        kind=kind,
        **where,
        starts_at=starts_at,
        ends_at=ends_at,
        place=_whole(table, "place", 1, LAST_PLACE) if kind == "pin" else None,
        places=_whole(table, "places", -MOST_PLACES, MOST_PLACES) if kind == "boost" else None,
        bought=_choice(table, "bought"),
        seen=_choice(table, "seen"),
    )
    if kind == "policy" and rule.bought is None and rule.seen is None:
        raise RulesError('expected bought or seen, each "show" or "hide".')
    return rule


def _contradictions(rules: Sequence[Rule]) -> list[str]:
    """Name the pins that cannot all hold at one moment."""
    pins = [rule for rule in rules if rule.kind == "pin"]
    blocked = [rule for rule in rules if rule.kind == "block" and rule.item and not (rule.category or rule.brand)]
    problems = []
    for one, other in combinations(pins, 2):
        if _overlap(one, other) and one.place == other.place:
            problems.append(f"pin: place {one.place} is given to {one.item!r} and to {other.item!r} at the same time.")
        elif _overlap(one, other) and one.item == other.item:
            problems.append(f"pin: {one.item!r} has places {one.place} and {other.place} at the same time.")
    problems += [
        f"pin: {pin.item!r} is blocked at the same time."
        for pin in pins
        if any(block.item == pin.item and _overlap(pin, block) for block in blocked)
    ]
    return problems


def _overlap(one: Rule, other: Rule) -> bool:
    return one.span[0] < other.span[1] and other.span[0] < one.span[1]


def _unknown_key(name: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {_listed(known)}."
    return f"unknown key {name!r}; {hint}"


def _text(table: Mapping[str, object], name: str) -> str | None:
    value = table.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise RulesError(f"{name}: expected a text of 1 to 200 characters, came {value!r}."[:300])
    return value.strip()


def _whole(table: Mapping[str, object], name: str, least: int, most: int) -> int:
    value = table.get(name)
    if type(value) is not int or not least <= value <= most or value == 0:
        but = ", not 0" if least < 0 else ""
        came = "nothing" if value is None else repr(value)
        raise RulesError(f"{name}: expected a whole number from {least} to {most}{but}, came {came}."[:300])
    return value


def _choice(table: Mapping[str, object], name: str) -> str | None:
    value = table.get(name)
    if value is not None and value not in ("show", "hide"):
        raise RulesError(f'{name}: expected "show" or "hide", came {value!r}.'[:300])
    return value if isinstance(value, str) else None


def _moment(table: Mapping[str, object], name: str, last: bool) -> datetime | None:
    """Return a moment in UTC. A day as `until` holds to its end; a moment without a zone is UTC."""
    value = table.get(name)
    if value is None:
        return None
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value) if len(value) > 10 else date.fromisoformat(value)
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, date):
            day = datetime(value.year, value.month, value.day, tzinfo=UTC)
            if last and day.date() == date.max:
                return None  # as databases write "without end"
            return day + timedelta(days=1) if last else day
    except (ValueError, OverflowError):
        pass
    raise RulesError(f"{name}: expected a day (2018-01-31) or a moment, came {value!r}."[:300])


def _row(rule: Rule) -> dict[str, Any]:
    row = {name: value for name, value in asdict(rule).items() if value is not None}
    for name, key in (("starts_at", "from"), ("ends_at", "until")):
        if name in row:
            row[key] = row.pop(name).isoformat()
    return row


def _hash(rows: object) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _tables(rows: Sequence[object]) -> list[Mapping[str, Any]]:
    if not all(isinstance(row, Mapping) for row in rows):
        raise RulesError(f"{RULES_KEY}: expected each rule as a table.")
    return rows  # type: ignore[return-value]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
