"""A drafted mapping in few lines: 30, beside what it says of its guesses, where its form allows it."""

import json
import re
import tomllib
from typing import Any

#: Lines that a mapping should have at most, without blank ones and comments.
MOST_LINES = 30


def shortened(text: str) -> str:
    """The same mapping, in fewer lines where it has more than MOST_LINES: headings first, then the users in one.

    At last the columns of a section are one line, those of the last section first.
    """
    shorter_ones = [_without_headings, _users_in_one_line, *[_last_columns_in_one_line] * text.count("columns]")]
    for shorter in shorter_ones:
        if lines_of(text) > MOST_LINES:
            text = shorter(text)
    return text


def lines_of(text: str) -> int:
    """How many lines of a mapping say something."""
    return sum(bool(line.strip()) and not line.startswith("#") for line in text.splitlines())


def _without_headings(text: str) -> str:
    """Each column with `columns.` before it, in place of a heading above them."""
    written, within = [], False
    for line in text.splitlines():
        heading = re.fullmatch(r"\[(events|items|users|offers)\.columns\]", line)
        if heading:
            within = True
            continue
        within = within and not line.startswith("[") and bool(line.strip())
        written.append(f"columns.{line}" if within and not line.startswith("#") else line)
    return "\n".join(written) + "\n"


def _users_in_one_line(text: str) -> str:
    """The section of users as one line above the first section, its notes before it."""
    head, found, tail = text.partition("\n[users]\n")
    section, _, rest = tail.partition("\n\n")
    begin = re.search(r"^\[", head, re.MULTILINE)
    if not found or begin is None:
        return text
    above, between, about = head.rpartition("\n\n")
    notes = [about, *(line for line in section.splitlines() if line.startswith("#"))]
    line = f"users = {_inline(tomllib.loads(section))}"
    # The note above the first section goes with it.
    start = head.rfind("\n\n", 0, begin.start()) + 1
    return "\n".join([head[:start].rstrip(), "", *notes, line, *(above + between)[start:].splitlines(), rest])


def _last_columns_in_one_line(text: str) -> str:
    """The last section whose columns are a line each with all of them in one, below what is said of each."""
    lines = text.splitlines()
    places = [place for place, line in enumerate(lines) if line.startswith("columns.")]
    if not places:
        return text
    begin = next(at for at in range(places[-1], -1, -1) if not lines[at].startswith(("columns.", "#"))) + 1
    notes: list[str] = []
    written: dict[str, str] = {}
    section = lines[begin : places[-1] + 1]
    for before, line in zip(["", *section], section, strict=False):
        if line.startswith("#"):
            notes.append(line)
            continue
        name, _, value = line.removeprefix("columns.").partition(" = ")
        sure, colon, why = before.partition(": ")
        if before.startswith("#") and colon:
            notes[-1] = f"{sure}: {name}: {why}"
        written[name] = value
    told = ", ".join(f"{name} = {value}" for name, value in written.items())
    return "\n".join([*lines[:begin], *notes, f"columns = {{ {told} }}", *lines[places[-1] + 1 :]]) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        bare = {key: key if re.fullmatch("[A-Za-z0-9_-]+", key) else json.dumps(key) for key in value}
        return f"{{ {', '.join(f'{bare[key]} = {_inline(each)}' for key, each in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)
