"""A shop's mapping file: read, checked, made one frozen Mapping. Its format is in docs/bring-your-own-data.md."""

import hashlib
import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path
from zoneinfo import available_timezones

from feature_repo.schema import CHANNELS, EVENT_TYPES, TABLES
from flows.sources.file_sets import READING_KEYS, TEXT_KEYS, NumberFormat, Reading, number_format_of, reading_of
from flows.sources.mapping_keys import MappingError, check_keys, check_type, one_of, strings

SHIPPED = Path(__file__).parent
WINDOWS = ("hour", "day", "week", "month")
#: What becomes of rows that say the same: all but the first held, or left out, or each an event of its own.
DUPLICATES = ("hold", "once", "count")
#: In `event_types`: a word whose rows are left out.
LEFT_OUT = "leave_out"
#: Names that the rows of a section have while they are read; no input may have one.
_TAKEN = ("raw", "of_sections", "of_events", "pseudonyms")
#: What names an event where the mapping does not say it.
EVENT_KEY = ("user_id", "event_time", "event_type", "item_id", "session_id", "basket_id", "text")
_TOP = {
    **TEXT_KEYS,
    "time_format": (str, list),
    "timezone": str,
    "source": str,
    "title": str,
    "package": str,
    "folder": str,
    "window": str,
    "currency": str,
    "channel": str,
    "user_ids": str,
    "private": list,
    "empty": str,
    "catalogue": str,
    "inputs": dict,
}
_SECTION = {
    **READING_KEYS,
    "from": str,
    "where": str,
    "duplicates": str,
    "time_format": (str, list),
    "timezone": str,
    "columns": dict,
}
_SECTION_EXTRA = {
    "events": {"event_types": dict, "event_id": list},
    "items": {"from_events": bool},
    "offers": {},
    "users": {"traits": list},
}


@dataclass(frozen=True)
class Section:
    """One way to fill one table: where the raw rows are, and an SQL expression for each contract column."""

    table: str
    label: str
    reading: Reading | None
    relation: str | None
    where: str | None
    duplicates: str
    columns: dict[str, str]
    time_formats: tuple[str, ...]
    timezone: str
    number_format: NumberFormat
    event_types: dict[str, str]
    key: tuple[str, ...]
    traits: tuple[str, ...]
    from_events: bool


@dataclass(frozen=True)
class Mapping:
    """One shop: its raw files and how each table of the contract is made of them.

    `digest` is a SHA-256 of what the file says (not of its comments); a changed mapping lands its windows again.
    """

    source: str
    title: str
    file: str
    folder: Path
    window: str
    currency: str | None
    channel: str | None
    pseudonymous: bool
    private: tuple[str, ...]
    may_be_empty: bool
    any_catalogue: bool
    inputs: dict[str, Reading]
    sections: tuple[Section, ...]
    digest: str

    def sections_of(self, table: str) -> tuple[Section, ...]:
        """The sections that fill one table, in the file's order."""
        return tuple(section for section in self.sections if section.table == table)

    def is_private(self, column: str) -> bool:
        """Whether nothing of a raw column may be kept: it is private, or a key of a private object (`objects`).

        As in SQL, letters may be large or small.
        """
        name, private = column.casefold(), {name.casefold() for name in self.private}
        return name in private or any(name.startswith(f"{each}_") for each in private & self.objects)

    def newest_wins(self, table: str) -> bool:
        """Whether a row is as the newest event tells it: a catalogue made of events alone takes its items so."""
        sections = self.sections_of(table)
        return table == "items" and bool(sections) and all(section.from_events for section in sections)

    @property
    def objects(self) -> set[str]:
        """The columns whose keys become columns, in small letters."""
        readings = [*self.inputs.values(), *(each.reading for each in self.sections if each.reading is not None)]
        return {name.casefold() for reading in readings for name in reading.objects}

    @property
    def file_sets(self) -> int:
        """How many different sets of files the shop reads."""
        readings = [*self.inputs.values(), *(each.reading for each in self.sections if each.reading is not None)]
        return len({reading.files for reading in readings})

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables this shop fills, catalogue first, so that events can be checked against it."""
        filled = {section.table for section in self.sections}
        return tuple(name for name in ("items", "offers", "users", "events") if name in filled)


def shipped_mappings() -> dict[str, Path]:
    """The mappings that come with Aisle, by source name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def load_mapping(source: str, places: dict[str, str] | None = None) -> Mapping:
    """Read a shipped mapping by name, or a mapping file by path; `places` fills {spool} and the like in `folder`.

    Raises MappingError, which names the file, the key, what was expected and what came.
    """
    shipped = shipped_mappings()
    path = shipped.get(source, Path(source))
    if not path.is_file():
        names = ", ".join(shipped)
        raise MappingError(source, "source", f"one of {names}, or the path of a mapping file (.toml)", "no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(path.name, "the file", "TOML in UTF-8", str(error)) from error
    return parse_mapping(content, path, places or {})


def parse_mapping(content: dict[str, object], path: Path, places: dict[str, str]) -> Mapping:
    """Check a parsed mapping file key by key and build the Mapping."""
    name = path.name
    check_keys(name, "", content, {**_TOP, **dict.fromkeys(TABLES, (dict, list))})
    for required in ("source", "events"):
        if required not in content:
            raise MappingError(name, required, "to be there; every mapping names its source and its events", "nothing")
    source = str(content["source"])
    if not source.replace("_", "").replace("-", "").isalnum():
        raise MappingError(name, "source", "letters, digits, _ and - only", repr(source))
    channel = content.get("channel")
    if channel is not None:
        one_of(name, "channel", channel, CHANNELS)
    one_of(name, "window", content.get("window", "day"), WINDOWS)
    one_of(name, "user_ids", content.get("user_ids", "raw"), ("raw", "pseudonym"))
    one_of(name, "catalogue", content.get("catalogue", "own"), ("own", "lake"))
    one_of(name, "empty", content.get("empty", "refuse"), ("refuse", "allow"))
    inputs = {key: reading_of(name, f"inputs.{key}", value, content) for key, value in _tables_in(name, content)}
    sections = [section for table in TABLES for section in _sections(name, table, content, inputs)]
    return Mapping(
        source=source,
        title=str(content.get("title", source)),
        file=name,
        folder=_folder(name, path, content, places),
        window=str(content.get("window", "day")),
        currency=content.get("currency"),  # type: ignore[arg-type]
        channel=channel,  # type: ignore[arg-type]
        pseudonymous=content.get("user_ids", "raw") == "pseudonym",
        private=strings(name, "private", content.get("private", [])),
        any_catalogue=content.get("catalogue", "own") == "lake",
        may_be_empty=content.get("empty", "refuse") == "allow",
        inputs=inputs,
        sections=tuple(sections),
        digest=hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest(),
    )


def _tables_in(name: str, content: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
    pairs = []
    for key, value in content.get("inputs", {}).items():  # type: ignore[attr-defined]
        check_type(name, f"inputs.{key}", value, dict)
        check_keys(name, f"inputs.{key}", value, READING_KEYS)
        if key.casefold() in _TAKEN:
            expected = f"another name than {', '.join(_TAKEN)}, which are taken"
            raise MappingError(name, f"inputs.{key}", expected, repr(key))
        pairs.append((key, value))
    return pairs


def _sections(name: str, table: str, content: dict[str, object], inputs: dict[str, Reading]) -> list[Section]:
    given = content.get(table, [])
    several = isinstance(given, list)
    sections = []
    for position, part in enumerate(given if several else [given]):
        label = f"{table}[{position}]" if several and len(given) > 1 else table
        check_type(name, label, part, dict)
        check_keys(name, label, part, {**_SECTION, **_SECTION_EXTRA[table]})
        sections.append(_section(name, table, label, {"content": content, "part": part, "inputs": inputs}))
    return sections


def _section(name: str, table: str, label: str, given: dict[str, dict]) -> Section:
    content, part = given["content"], given["part"]
    from_events = bool(part.get("from_events", False))
    relation = part.get("from")
    if relation is not None and ("files" in part or from_events):
        raise MappingError(name, f"{label}.from", "either from, files or from_events", "more than one of them")
    columns = part.get("columns", {})
    known = {column: str for column in TABLES[table].column_names if column != "source"}
    check_keys(name, f"{label}.columns", columns, known)
    event_types = part.get("event_types", {})
    for raw, meant in event_types.items():
        one_of(name, f"{label}.event_types.{raw}", meant, (*EVENT_TYPES, LEFT_OUT))
    timezone = part.get("timezone", content.get("timezone", "UTC"))
    if timezone not in available_timezones():
        raise MappingError(name, f"{label}.timezone", "a zone like UTC or Europe/Vienna", repr(timezone))
    one_of(name, f"{label}.duplicates", part.get("duplicates", "hold"), DUPLICATES)
    formats = part.get("time_format", content.get("time_format", "iso"))
    return Section(
        table=table,
        label=label,
        reading=None if relation or from_events else reading_of(name, label, part, content),
        relation=relation,
        where=part.get("where"),
        duplicates=part.get("duplicates", "hold"),
        columns=dict(columns),
        time_formats=(formats,) if isinstance(formats, str) else strings(name, f"{label}.time_format", formats),
        timezone=timezone,
        number_format=number_format_of(name, label, {**content, **part}),
        event_types=dict(event_types),
        key=strings(name, f"{label}.event_id", part.get("event_id", list(EVENT_KEY))),
        traits=strings(name, f"{label}.traits", part.get("traits", [])),
        from_events=from_events,
    )


def _folder(name: str, path: Path, content: dict[str, object], places: dict[str, str]) -> Path:
    folder = str(content.get("folder", ""))
    for place, value in places.items():
        folder = folder.replace("{" + place + "}", value)
    if "package" not in content:
        return (path.parent / folder).absolute()
    package = str(content["package"])
    try:
        return Path(str(package_files(package))) / folder
    except ModuleNotFoundError as error:
        raise MappingError(
            name, "package", f"an installed Python package; try `pip install {package}`", package
        ) from error
