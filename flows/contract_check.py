"""What a sample of the next export would break: columns gone, renamed or new, event types, units, clocks."""

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from feature_repo.schema import EVENT_TYPES, TABLES
from flows.contract_clock import hours_moved
from flows.contract_profile import ExportProfile, file_sets, mentions, sections_over
from flows.contract_words import words_as_read
from flows.sources.column_profile import ColumnProfile
from flows.sources.file_sets import Reading
from flows.sources.mapping import Mapping, Section
from flows.sources.roles import guess_roles, meant_by, plain_name

_NUMBERS = ("whole", "number", "comma_number", "grouped_number")
_EPOCHS = ("epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
#: Contract columns whose unit matters.
_AMOUNTS = ("quantity", "unit_price", "discount", "price", "value")
_REQUIRED = ("user_id", "item_id", "event_time", "event_type")
#: How many times as large a number must be to be in another unit, and the units it could be in.
_UNITS = (1000, 100)
_TOLERANCE = 3.0


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was: whether it breaks, where, what was expected and came, and what to write."""

    breaks: bool
    place: str
    what: str
    line: str = ""


def compare(mapping: Mapping, before: ExportProfile, after: ExportProfile) -> list[Finding]:
    """What the mapping would stumble over in the export `after`, against `before`; what breaks comes first."""
    findings: list[Finding] = []
    for label, reading in file_sets(mapping).items():
        if label in before.columns and label in after.columns:
            findings += _compare_set(mapping, reading, before.columns[label], after.columns[label])
    return sorted(findings, key=lambda finding: not finding.breaks)


def _compare_set(
    mapping: Mapping, reading: Reading, before: Sequence[ColumnProfile], after: Sequence[ColumnProfile]
) -> list[Finding]:
    if not any(column.rows for column in after):
        if mapping.may_be_empty:
            return [Finding(False, reading.label, "it has no rows, which the mapping allows")]
        return [
            Finding(True, reading.label, "no row of it can be read", f"[{reading.label}] delimiter, quote, encoding")
        ]
    old, new = {column.name: column for column in before}, {column.name: column for column in after}
    used = {name for name in old if _uses(mapping, reading, name)}
    gone, fresh = [old[name] for name in old if name not in new], [new[name] for name in new if name not in old]
    renamed = _new_names(gone, fresh, used)
    findings = [_gone(mapping, reading, column, renamed.get(column.name)) for column in gone]
    taken = {column.name for column in renamed.values()}
    for name in (column.name for column in fresh if column.name not in taken):
        findings.append(_came(reading, new[name]))
    for name in (name for name in old if name in new):
        uses = _uses(mapping, reading, name)
        if uses:
            findings += _changed(reading, uses, old[name], new[name])
    return findings


def _uses(mapping: Mapping, reading: Reading, name: str) -> list[tuple[Section, str, str]]:
    """Where the mapping reads a column: (section, contract column or key, expression)."""
    found = []
    for section in sections_over(mapping, reading.label):
        for column in TABLES[section.table].column_names:
            given = section.columns.get(column, column if name == column else "")
            if given and mentions(given, name):
                found.append((section, column, given))
        for key, text in (("from", section.relation or ""), ("where", section.where or "")):
            if mentions(text, name):
                found.append((section, key, text))
        found += [(section, "traits", name)] if name in section.traits else []
        found += (
            [(section, "event_id", name)] if name in section.key and name not in TABLES["events"].column_names else []
        )
    if name in reading.numbers and not found:
        found += [(section, "numbers", name) for section in sections_over(mapping, reading.label)[:1]]
    return found


def _gone(mapping: Mapping, reading: Reading, old: ColumnProfile, likely: ColumnProfile | None) -> Finding:
    uses = _uses(mapping, reading, old.name)
    place = f"{reading.label}: {old.name}"
    if not uses:
        return Finding(False, place, "the column is gone; the mapping does not use it")
    used = ", ".join(dict.fromkeys(f"{section.label}.{column}" for section, column, _ in uses))
    if likely is None:
        return Finding(
            True,
            place,
            f"the column is gone, and no new one is like it; it makes {used}",
            _written(uses[0], old.name, "null") + "  # or ask the shop to export it again",
        )
    shared = f"{old.overlap(likely):.0%} of its values are there" if old.overlap(likely) else "its values are alike"
    lines = list(dict.fromkeys(_written(use, old.name, _sql(likely.name)) for use in uses))
    if old.name in reading.numbers:
        names = ", ".join(f'"{likely.name if name == old.name else name}"' for name in reading.numbers)
        lines.append(f"[{reading.label}] numbers = [{names}]")
    return Finding(
        True, place, f"the column seems to be called {likely.name} now ({shared}); it makes {used}", "\n".join(lines)
    )


def _written(use: tuple[Section, str, str], old: str, new: str) -> str:
    """The line of the mapping that uses a column, with other SQL in its place."""
    section, column, given = use
    if column in ("traits", "event_id", "numbers"):
        return f'[{section.label}] {column}: "{new}" in place of "{old}"'
    place = f"[{section.label}.columns]" if column not in ("from", "where") else f"[{section.label}]"
    text = new if new == "null" else re.sub(rf'"?(?<!\w){re.escape(old)}(?!\w)"?', lambda _: new, given)
    quote = "'" if '"' in text and "'" not in text else '"""' if '"' in text else '"'
    return f"{place} {column} = {quote}{text}{quote}"


def _new_names(
    gone: Sequence[ColumnProfile], fresh: Sequence[ColumnProfile], used: Collection[str]
) -> dict[str, ColumnProfile]:
    """Of each column that is gone the new one that is most like it: by its values, else by kind, range and name.

    A new column is one old one's: that of the mapping before one that it does not use, the most alike first.
    """
    pairs = [(old.name in used, _likeness(old, new), old.name, new) for old in gone for new in fresh]
    found: dict[str, ColumnProfile] = {}
    for _, likeness, name, new in sorted(pairs, key=lambda pair: pair[:2], reverse=True):
        if likeness >= 1.5 and name not in found and new.name not in {each.name for each in found.values()}:
            found[name] = new
    return found


def _likeness(old: ColumnProfile, new: ColumnProfile) -> float:
    numeric = old.kind in _NUMBERS and new.kind in _NUMBERS
    if old.kind != new.kind and not numeric:
        return 0.0
    score = 0.5 + 3.0 * old.overlap(new)
    score += difflib.SequenceMatcher(None, plain_name(old.name), plain_name(new.name)).ratio()
    if old.median and new.median:
        score += 0.6 if 0.5 <= abs(new.median / old.median) <= 2 else -0.4
    if old.kind in ("text", "time", *_EPOCHS):
        score += 0.5 if abs(old.length - new.length) <= 0.15 * max(old.length, 1) else 0.0
    role = set(guess_roles([old], _REQUIRED)) & set(guess_roles([new], _REQUIRED))
    return score + (0.6 if role else 0.0)


def _came(reading: Reading, new: ColumnProfile) -> Finding:
    roles = guess_roles([new], ("discount", "currency", "session_id", "basket_id", "text", "quantity"))
    words = f", like {', '.join(sorted(new.words)[:3])}" if new.common else ""
    line = ""
    for role in roles:
        line = f'[{reading.label}.columns] {role} = "{new.name}"  # if it is that' if "." not in reading.label else ""
    return Finding(
        False, f"{reading.label}: {new.name}", f"a new column of kind {new.kind}{words}; nothing uses it", line
    )


def _changed(
    reading: Reading, uses: list[tuple[Section, str, str]], old: ColumnProfile, new: ColumnProfile
) -> list[Finding]:
    place = f"{reading.label}: {old.name}"
    columns = {column for _, column, _ in uses}
    if new.kind == "empty" and old.kind != "empty":
        used = ", ".join(dict.fromkeys(f"{section.label}.{column}" for section, column, _ in uses))
        return [Finding(True, place, f"it has no value any more; it makes {used}", _written(uses[0], old.name, "null"))]
    findings = []
    if "event_time" in columns:
        findings += _clock(place, uses, old, new)
    elif old.kind != new.kind and old.kind != "empty":
        findings += _kind(place, reading, old, new)
    if "event_type" in columns:
        findings += _event_types(place, uses, new)
    if columns & set(_AMOUNTS):
        findings += _unit(place, uses, old, new)
    findings += _missing(place, uses, old, new) if columns & set(_REQUIRED) else []
    return findings


def _missing(place: str, uses: list[tuple[Section, str, str]], old: ColumnProfile, new: ColumnProfile) -> list[Finding]:
    was, now = (column.nulls / max(column.rows, 1) for column in (old, new))
    if now <= was + 0.2:
        return []
    used = ", ".join(column for _, column, _ in uses if column in _REQUIRED)
    what = f"{now:.0%} of its values are missing, {was:.0%} were; it makes {used}"
    return [Finding(True, place, what, f"[{uses[0][0].label}] where = '{_sql(old.name)} is not null'")]


def _kind(place: str, reading: Reading, old: ColumnProfile, new: ColumnProfile) -> list[Finding]:
    what = f"expected {old.kind.replace('_', ' ')}, came {new.kind.replace('_', ' ')}"
    if new.kind == "comma_number":
        return [Finding(True, place, f"{what}: decimal commas", f'[{reading.label}] decimal = ","\nthousands = "."')]
    if new.kind == "grouped_number":
        return [Finding(True, place, f"{what}: thousands are grouped", f'[{reading.label}] thousands = ","')]
    if old.kind in _NUMBERS and new.kind not in _NUMBERS:
        return [
            Finding(True, place, what, f"[{reading.label}] nulls: add the words that mean nothing, or ask the shop")
        ]
    return []


def _clock(place: str, uses: list[tuple[Section, str, str]], old: ColumnProfile, new: ColumnProfile) -> list[Finding]:
    section = next(section for section, column, _ in uses if column == "event_time")
    known = set(section.time_formats)
    if old.time_formats != new.time_formats and set(new.time_formats) - known:
        formats = list(dict.fromkeys([*new.time_formats, *section.time_formats]))
        listed = ", ".join(f'"{each}"' for each in formats)
        came = ", ".join(new.time_formats) or new.kind
        what = f"expected times as {', '.join(old.time_formats) or old.kind}, came {came}"
        return [Finding(True, place, what, f"[{section.label}] time_format = [{listed}]")]
    shift = hours_moved(old, new, section.timezone)
    if shift is None:
        return []
    zone = f'[{section.label}] timezone = "…"  # the zone that the shop now writes; it was {section.timezone}'
    return [Finding(True, place, f"the hours of the day moved by {shift:+d}: another time zone?", zone)]


def _event_types(place: str, uses: list[tuple[Section, str, str]], new: ColumnProfile) -> list[Finding]:
    section, _, given = next(use for use in uses if use[1] == "event_type")
    read = words_as_read(section, given, new.name, new.words)
    unknown = sorted(word for word in read if word not in section.event_types and word not in EVENT_TYPES)
    if not unknown:
        return []
    words = {**section.event_types, **{word: meant_by(word) or "leave_out" for word in unknown}}
    table = ", ".join(f'"{word}" = "{meant}"' for word, meant in words.items())
    what = f"a new event type: {', '.join(unknown)}; its rows would be held"
    return [Finding(True, place, what, f"[{section.label}] event_types = {{ {table} }}")]


def _unit(place: str, uses: list[tuple[Section, str, str]], old: ColumnProfile, new: ColumnProfile) -> list[Finding]:
    if not old.median or not new.median or old.kind not in _NUMBERS or new.kind not in _NUMBERS:
        return []
    ratio = new.median / old.median
    for unit in _UNITS:
        for factor, sign, word in ((unit, "/", f"{unit} times as large"), (1 / unit, "*", f"{unit} times smaller")):
            if factor / _TOLERANCE < ratio < factor * _TOLERANCE:
                what = f"its middle value was {old.median:,.4g} and is {new.median:,.4g}: {word}. Another unit?"
                amounts = [use for use in uses if use[1] in _AMOUNTS]
                lines = [_written(use, old.name, f"({_sql(old.name)} {sign} {unit})") for use in amounts]
                return [Finding(True, place, what, "\n".join(lines))]
    return []


def _sql(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else f'"{name}"'
