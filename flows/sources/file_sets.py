"""One set of raw files as a mapping describes it: where it lies, and how its text becomes columns and numbers."""

import codecs
from dataclasses import dataclass
from typing import Any

from flows.sources.mapping_keys import MappingError, check_type, one_of, strings
from flows.sources.nested_lists import ListColumn

FORMATS = ("csv", "jsonl", "parquet", "xlsx")
#: How text is read; each of these may stand in a section, in an input, or at the top for all of them.
TEXT_KEYS = {
    "format": str,
    "nulls": list,
    "numbers": list,
    "encoding": str,
    "delimiter": str,
    "quote": str,
    "escape": str,
    "skip": int,
    "decimal": str,
    "thousands": str,
}
READING_KEYS = {**TEXT_KEYS, "files": str, "names": list, "unnest": (str, list), "separator": str, "objects": list}


@dataclass(frozen=True)
class NumberFormat:
    """How a number is written: `1.234,50` has the decimal sign `,` and the thousands sign `.`."""

    decimal: str = "."
    thousands: str = ""


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is cut into columns; None means: look at its first line. `names` are those of a headless file."""

    encoding: str = "utf-8"
    delimiter: str | None = None
    quote: str = '"'
    escape: str = '"'
    skip: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """How one set of raw files is read; `files` is None when the command line must give a path."""

    label: str
    files: str | None
    format: str | None
    nulls: tuple[str, ...]
    numbers: tuple[str, ...]
    number_format: NumberFormat = NumberFormat()
    dialect: Dialect = Dialect()
    listed: ListColumn | None = None
    objects: tuple[str, ...] = ()


def reading_of(name: str, label: str, part: dict[str, Any], content: dict[str, Any]) -> Reading:
    """Build the Reading of one section or input from its own keys and, where it has none, the mapping's.

    Raises MappingError for a value that cannot be.
    """
    given = {key: content[key] for key in TEXT_KEYS if key in content} | part
    if given.get("format") is not None:
        one_of(name, f"{label}.format", given["format"], FORMATS)
    return Reading(
        label=label,
        files=part.get("files"),
        format=given.get("format"),
        nulls=strings(name, f"{label}.nulls", given.get("nulls", [""])),
        numbers=strings(name, f"{label}.numbers", given.get("numbers", [])),
        number_format=number_format_of(name, label, given),
        dialect=_dialect(name, label, given),
        listed=_listed(name, label, part),
        objects=strings(name, f"{label}.objects", part.get("objects", [])),
    )


def _listed(name: str, label: str, part: dict[str, Any]) -> ListColumn | None:
    if "separator" in part and "unnest" not in part:
        raise MappingError(name, f"{label}.unnest", "the column that separator cuts", "nothing")
    if "unnest" not in part:
        return None
    given = part["unnest"]
    paths = (given,) if isinstance(given, str) else strings(name, f"{label}.unnest", given)
    if len({path.split(".")[0] for path in paths}) != 1:
        raise MappingError(name, f"{label}.unnest", "paths into one column, like a.b and a", repr(given))
    return ListColumn(paths[0], part.get("separator", ""), paths[1:])


def number_format_of(name: str, label: str, given: dict[str, Any]) -> NumberFormat:
    """The signs that numbers are written with. Raises MappingError unless they are two known, different ones."""
    chosen = NumberFormat(given.get("decimal", "."), given.get("thousands", ""))
    one_of(name, f"{label}.decimal", chosen.decimal, (".", ","))
    one_of(name, f"{label}.thousands", chosen.thousands, ("", ".", ",", "'", " ", "_"))
    if chosen.decimal == chosen.thousands:
        expected = "another sign than the decimal one"
        raise MappingError(name, f"{label}.thousands", expected, repr(chosen.thousands))
    return chosen


def _dialect(name: str, label: str, given: dict[str, Any]) -> Dialect:
    encoding = given.get("encoding", "utf-8")
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        expected = "the name of a text encoding, like utf-8, latin-1, cp1252 or utf-16"
        raise MappingError(name, f"{label}.encoding", expected, repr(encoding)) from error
    delimiter = given.get("delimiter")
    if delimiter is not None and not 1 <= len(delimiter) <= 4:
        raise MappingError(name, f"{label}.delimiter", "one to four characters", repr(delimiter))
    quote = given.get("quote", '"')
    for key in ("quote", "escape"):
        if len(given.get(key, "")) > 1:
            raise MappingError(name, f"{label}.{key}", "one character, or none", repr(given[key]))
    check_type(name, f"{label}.skip", given.get("skip", 0), int)
    names = strings(name, f"{label}.names", given.get("names", []))
    if len(set(names)) != len(names):
        raise MappingError(name, f"{label}.names", "distinct names of the file's columns", repr(list(names)))
    return Dialect(encoding, delimiter, quote, given.get("escape", quote), given.get("skip", 0), names)
