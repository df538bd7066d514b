"""Checks of a mapping file's keys and values, and the two errors of a source: a wrong mapping, a wrong export."""

import difflib
from collections.abc import Iterable, Mapping

_WORDS = {
    str: "a string",
    list: "a list of strings",
    dict: "a table",
    bool: "true or false",
    int: "a whole number",
}


class MappingError(ValueError):
    """A mapping file is wrong; the message names file, key, what was expected and what came."""

    def __init__(self, file: str, key: str, expected: str, came: str, columns: Iterable[str] | None = None):
        there = "" if columns is None else f" The export's columns are: {', '.join(columns) or 'none'}."
        stop = "" if came.endswith("?") else "."
        super().__init__(f"{file}: {key}: expected {expected}, came {came}{stop}{there}")


class ExportRejected(ValueError):
    """An export cannot be read as a table; nothing was written. The message names the file and what to do."""


def check_keys(file: str, place: str, given: Mapping[str, object], known: Mapping[str, object]) -> None:
    """Raise MappingError at the first unknown key (with the nearest known one) or the first value of a wrong type."""
    for key, value in given.items():
        label = f"{place}.{key}" if place else key
        if key not in known:
            near = difflib.get_close_matches(key, list(known), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise MappingError(file, label, f"one of {', '.join(known)}", f"the unknown key {key!r}{hint}")
        check_type(file, label, value, known[key])


def check_type(file: str, key: str, value: object, kind: object) -> None:
    """Raise MappingError unless the value has the kind (a type, or several)."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise MappingError(file, key, " or ".join(_WORDS[k] for k in kinds), f"{value!r}")


def strings(file: str, key: str, given: object) -> tuple[str, ...]:
    """A list of strings as a tuple. Raises MappingError when it is another thing."""
    check_type(file, key, given, list)
    for value in given:  # type: ignore[attr-defined]
        check_type(file, key, value, str)
    return tuple(given)  # type: ignore[arg-type]


def one_of(file: str, key: str, value: object, allowed: Iterable[str]) -> None:
    """Raise MappingError unless the value is one of those allowed."""
    if value not in tuple(allowed):
        raise MappingError(file, key, f"one of {', '.join(allowed)}", f"{value!r}")
