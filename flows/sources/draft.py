"""A mapping drafted from samples of an export: a TOML file in which each guess says why, and what else it could be."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.sources.draft_columns import EventsDraft, draft_events, draft_items, draft_users
from flows.sources.draft_links import Lookup
from flows.sources.draft_numbers import read_prices
from flows.sources.draft_plan import Plan
from flows.sources.draft_privacy import private_columns
from flows.sources.file_guess import FileGuess
from flows.sources.sample import SAMPLE_ROWS, Sample

#: A catalogue that has this share of the events' items lacks few.
_NEARLY_ALL = 0.97
_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def draft_mapping(plan: Plan, name: str, folder: Path) -> str:
    """The text of the mapping file; `folder` is where it will lie, so that files are named from there."""
    events = [draft_events(plan, guess) for guess in plan.events]
    if plan.items:
        read_prices(plan.items)
        _leave_out_unused(plan, plan.items)
    if plan.lines and plan.orders:
        events.append(draft_events(plan, plan.lines))
    lines = [*_head(plan, name, events), *_of_all(plan)]
    joined = _inputs(plan)
    lines += [""] if joined else []
    for key, guess in joined.items():
        lines += _reasons(guess.sample)
        lines.append(f"inputs.{key} = {_inline({'files': _pattern(guess, folder), **_keys(guess.sample)})}")
    for draft in events:
        lines += ["", *_about(draft.guess), "[[events]]" if len(events) > 1 else "[events]"]
        relation = draft.relation
        lines += _source(draft.guess, relation, folder)
        lines += [line for note, text in draft.settings for line in (f"# {note}", text)]
        lines.append("[events.columns]")
        lines += _columns(draft.columns)
    if events:
        lines += ["", *_items(plan, events, folder)]
    if plan.users and not _same_file(plan):
        lines += ["", *_about(plan.users), "[users]", *_users(plan.users, plan, folder)]
    for guess in plan.unused:
        lines += ["", f"# Not used: {_shown(guess)}: {guess.why}."]
    return "\n".join(lines) + "\n"


def _same_file(plan: Plan) -> bool:
    return plan.people is not None and not draft_users(plan.people)[1]


def _head(plan: Plan, name: str, events: list[EventsDraft]) -> list[str]:
    rows = sum(draft.guess.sample.rows for draft in events)
    span = max((draft.days for draft in events), default=0.0)
    lines = [
        f"# Drafted by `aisle source new` from {rows:,} rows of events. Each guess says how sure it is and why;",
        f"# mend what is wrong, then see it at work: aisle source check {name}.toml",
        f"source = {_text(name)}",
        "# unsure: no column says where it happened: web, app, store, social or email",
        'channel = "web"',
        '# currency = "EUR"  # write the shop\'s own, if a price is there',
        '# timezone = "Europe/Vienna"  # where times name no zone they are taken for UTC',
    ]
    if private := private_columns(plan, _read_by(plan, events)):
        lines += [
            "# they may name a person: left out of the quarantine",
            f"private = {_value(private)}",
        ]
    if span > 90:
        lines += [f"# the sample spans {span:,.0f} days", 'window = "month"']
    return lines


def _read_by(plan: Plan, events: list[EventsDraft]) -> list[str]:
    """All that the drafted sections read: settings, expressions, what files are joined by."""
    read = [text for draft in events for _, text in draft.settings]
    read += [expression for draft in events for _, expression, _ in draft.columns]
    read += [draft.relation for draft in events if draft.relation]
    if plan.items is None and events:
        read += [expression for _, expression, _ in draft_items(events[0].guess, [], True)]
    return [*read, *(draft_users(plan.users)[1] if plan.users else [])]


def _of_all(plan: Plan) -> list[str]:
    """Lines at the top for what all files say alike of how they are read, taken out of each of them."""
    used = [*plan.events, plan.orders, plan.lines, plan.people, plan.items, plan.users]
    samples = list({id(each.sample): each.sample for each in used if each}.values())
    samples += [each.guess.sample for each in plan.lookups]
    lines: list[str] = []
    for key in ("format", "encoding", "delimiter", "quote", "escape", "nulls"):
        told = [sample.keys[key] for sample in samples if key in sample.keys]
        # Words for nothing are that in each file; a sign that cuts lines is not.
        shared = len(told) > 1 and all(each == told[0] for each in told)
        if shared and (key == "nulls" or len(told) == len(samples)):
            reasons = [sample.reasons.pop(key) for sample in samples if key in sample.reasons]
            lines += [f"# {key}: {why}" for why in reasons[:1]] + [f"{key} = {_value(told[0])}"]
            for sample in samples:
                sample.keys.pop(key, None)
    return lines


def _inputs(plan: Plan) -> dict[str, FileGuess]:
    """The files that are joined, by the name that SQL gives them."""
    found: dict[str, FileGuess] = {}
    if plan.lines and plan.orders:
        found |= {"orders": plan.orders, "lines": plan.lines}
    if plan.people:
        found["people"] = plan.people
    if plan.copies:
        found |= {"copies": plan.copies.guess} if plan.lines else {"deeds": plan.events[0], "copies": plan.copies.guess}
    if plan.filled_in:
        found["deeds"] = plan.events[0]
    if plan.items and _is_joined(plan, plan.items):
        found["products"] = plan.items
        found |= {f"words_{place}": each.guess for place, each in enumerate(plan.lookups, 1)}
    return found


def _is_joined(plan: Plan, items: FileGuess) -> bool:
    """Whether the items are read by SQL, and not as their file has them."""
    return bool(plan.lookups or items.sample.spread or not _one_row_an_item(items))


def _one_row_an_item(items: FileGuess) -> bool:
    column = items.roles["item_id"].column
    return column.distinct == column.rows


def _items(plan: Plan, events: list[EventsDraft], folder: Path) -> list[str]:
    if plan.items is None:
        lines = ["# No file of items was given: the catalogue is made of the events.", "[items]", "from_events = true"]
        return [*lines, *_columns_table("items", draft_items(events[0].guess, [], True))]
    lines = [*_about(plan.items), "[items]"]
    if _is_joined(plan, plan.items):
        joins = "".join(each.join(f"words_{place}") for place, each in enumerate(plan.lookups, 1))
        item = plan.items.roles["item_id"].column.name
        first = "" if _one_row_an_item(plan.items) else f' qualify row_number() over (partition by "{item}") = 1'
        spread = plan.items.sample.spread
        made = (
            spread if spread and not joins else f"select * from {f'({spread})' if spread else 'products'}{joins}{first}"
        )
        lines.append(f"from = {_text(made)}")
    else:
        lines += _source(plan.items, None, folder)
    lines += ["[items.columns]", *_columns(draft_items(plan.items, plan.lookups, False))]
    lacking = _lacking_items(plan, events)
    return [*("[[items]]" if lacking and line == "[items]" else line for line in lines), *lacking]


def _leave_out_unused(plan: Plan, items: FileGuess) -> None:
    """Join no file to the items of which nothing is drafted, unless another one is joined by a column of it."""
    read = "\n".join(expression for _, expression, _ in draft_items(items, plan.lookups, False))
    kept: list[Lookup] = []
    for lookup in reversed(plan.lookups):
        names = [column.name for column in lookup.columns()]
        needed = any(each.column in names for each in kept)
        if needed or any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", read) for name in names):
            kept.insert(0, lookup)
        else:
            plan.unused.append(replace(lookup.guess, why=f"nothing of it is used beside {lookup.column}"))
    plan.lookups = kept


def _lacking_items(plan: Plan, events: list[EventsDraft]) -> list[str]:
    """A second section of items for those that the events name and the file lacks; none where it has all."""
    if plan.items is None or (plan.items.sample.rows >= SAMPLE_ROWS and not plan.items.sample.spread):
        return []
    catalogue = plan.items.roles["item_id"].column
    named = [draft for draft in events if "item_id" in draft.guess.roles]
    shares = [draft.guess.roles["item_id"].column.share_in(catalogue) for draft in named]
    if not shares or min(shares) > _NEARLY_ALL:
        return []
    note = "items that the file lacks are made of the events: some of the sample's are not in it"
    draft = named[shares.index(min(shares))]
    columns = _columns_table("items", draft_items(draft.guess, [], True))
    return ["", f"# {note}", "[[items]]", "from_events = true", *columns]


def _users(users: FileGuess, plan: Plan, folder: Path) -> list[str]:
    columns, traits = draft_users(users)
    column = users.roles["user_id"].column
    lines = ['from = "people"'] if plan.people else _source(users, None, folder)
    if plan.people and column.distinct < column.filled:
        lines = [f"from = {_text(f'select * from people qualify row_number() over (partition by {column.name}) = 1')}"]
    if traits:
        lines += [
            "# what may be kept of a user: leave out what nobody needs",
            f"traits = {_value(traits)}",
        ]
    return [*lines, *_columns_table("users", columns)]


def _source(guess: FileGuess, relation: str | None, folder: Path) -> list[str]:
    if relation is not None:
        return [f"from = {_text(relation)}"]
    keys = {"files": _pattern(guess, folder), **_keys(guess.sample)}
    return [*_reasons(guess.sample), *(f"{key} = {_value(value)}" for key, value in keys.items())]


def _about(guess: FileGuess) -> list[str]:
    return [f"# {_shown(guess)}: {guess.why}"]


def _shown(guess: FileGuess) -> str:
    return ", ".join(Path(file).name for file in guess.files)


def _reasons(sample: Sample) -> list[str]:
    return [f"# {key}: {why}" for key, why in sample.reasons.items()]


def _keys(sample: Sample) -> dict[str, Any]:
    return dict(sample.keys)


def _pattern(guess: FileGuess, folder: Path) -> str:
    """The files as one glob, from the mapping's folder on."""
    path = Path(guess.pattern).absolute()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _columns(columns: list[tuple[str, str, str]]) -> list[str]:
    """Lines of (contract column, expression, why)."""
    return [line for column, expression, why in columns for line in (f"# {why}", f"{column} = {_text(expression)}")]


def _columns_table(table: str, columns: list[tuple[str, str, str]]) -> list[str]:
    """Lines of all columns of the section above; one column needs no heading."""
    if len(columns) == 1:
        return [f"# {columns[0][2]}", f"columns.{columns[0][0]} = {_text(columns[0][1])}"]
    return [f"[{table}.columns]", *_columns(columns)] if columns else []


def _inline(table: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {_value(value)}" for key, value in table.items()) + " }"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_text(word)}" for key, word in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _key(word: str) -> str:
    return word if _BARE.match(word) else _text(word)


def _text(text: str) -> str:
    """A TOML string: literal where that saves backslashes."""
    if '"' in text and "'" not in text and "\n" not in text:
        return f"'{text}'"
    if '"' in text and '"""' not in text and not text.endswith('"') and "\\" not in text:
        return f'"""{text}"""'
    return json.dumps(text, ensure_ascii=False)
