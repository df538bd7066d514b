"""What one file of an export seems to be: events, orders, lines, items, users or other, by the roles of its columns."""

import re
from dataclasses import dataclass
from pathlib import Path

from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_files import glob_of
from flows.sources.draft_headless import roles_without_names
from flows.sources.draft_moments import time_of_deeds
from flows.sources.event_words import first_words, meant_by
from flows.sources.role_names import THING
from flows.sources.roles import Guess, guess_roles, names_list_price, plain_name, role_of_file
from flows.sources.sample import Sample

EVENT_ROLES = (
    "user_id", "item_id", "event_type", "session_id", "basket_id", "event_time", "quantity", "line_total", "unit_price",
    "discount", "currency", "rating", "text", "status", "title",
)  # fmt: skip
ITEM_ROLES = ("item_id", "title", "description", "brand", "image", "unit_price")
#: Rows from which on ids that all differ are those of lines.
_FEW = 50
#: An id of which more than this share differs names rows rather than what comes again.
_OFTEN = 0.6


@dataclass(frozen=True)
class FileGuess:
    """One file, or several with the same columns: what it is (events, orders, lines, items, users, other), and why."""

    sample: Sample
    kind: str
    why: str
    roles: dict[str, Guess]
    files: tuple[str, ...]
    #: The glob that names these files.
    pattern: str

    @property
    def names(self) -> set[str]:
        """The names of its columns."""
        return {column.name for column in self.sample.columns}


def guess_file(group: list[Sample], every: list[str]) -> FileGuess:
    """Guess what a group of files with the same columns is; `every` are the files of the export."""
    sample, files = group[0], tuple(each.file for each in group)
    if "names" in sample.keys:
        roles = roles_without_names(sample)
    else:
        roles = guess_roles(sample.columns, EVENT_ROLES)
        own = _own_id(sample, roles) | _order_of_shopify(sample)
        roles = guess_roles(sample.columns, EVENT_ROLES, own) if own else roles
        roles = _amounts_by_rows(sample, _baskets_of_lines(sample, _without_row_numbers(sample, roles)))
        roles = {**roles, **(_mail_before_name(sample, roles) if "user_id" in roles else _user_by_mail(sample))}
        roles = _deeds_by_words(sample, time_of_deeds(sample, roles))
    kind, why = kind_of(sample, roles)
    if kind == "items" and "names" not in sample.keys:
        known = {"item_id": roles["item_id"]} if roles["item_id"].why.startswith("by the name of its file") else None
        roles = guess_roles(sample.columns, ITEM_ROLES, known)
    return FileGuess(sample, kind, why, roles, files, glob_of(files, every) or files[0])


def _deeds_by_words(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """Roles with a column whose words are all of deeds, views and purchases among them, whatever it is called."""
    taken = {guess.column.name for guess in roles.values()}
    for column in sample.columns:
        meant = {meant_by(word) for word in column.words}
        told = {"view", "purchase"} <= meant and None not in meant and len(column.words) == column.distinct
        if told and column.kind == "text" and "event_type" not in roles and column.name not in taken:
            why = f"its words are {first_words(column.words)}"
            return {**roles, "event_type": Guess("event_type", column, why, "likely")}
    return roles


def kind_of(sample: Sample, roles: dict[str, Guess]) -> tuple[str, str]:
    """Return what a file with these roles is, and why."""
    has = roles.keys()
    names = {plain_name(column.name) for column in sample.columns}
    if {"property", "value"} <= names:
        return (
            "other",
            "it is a long table of keys and values: a `from` with max_by(value, time) filter (...) can use it",
        )
    told = {"event_time", "basket_id", "event_type", "rating", "quantity", "line_total", "text"}
    if "item_id" in has and has & {"user_id", "session_id"} and (has & told or _pairs(roles)):
        return "events", "each row names a user and an item"
    if {"item_id", "basket_id"} <= has:
        return "lines", "each row names an item and an order, but no user"
    if {"user_id", "basket_id"} <= has:
        return "orders", "each row names a user and an order, but no item"
    if "item_id" in has:
        return "items", f"each row names an item{', and no deed of a user' if 'user_id' in has else ', but no user'}"
    if "user_id" in has and "event_time" not in has:
        return "users", "its rows name users, but no item, order or time"
    user = roles["user_id"].column if "user_id" in has else None
    if user is not None and not has & {"item_id", "event_type"} and user.distinct == user.rows > 1:
        return "users", "each of its rows names another user"
    if has & {"user_id", "session_id"}:
        return "other", "its rows name users, but no item: a column that has the item within would make them events"
    return "other", "its rows name neither users nor items"


def _pairs(roles: dict[str, Guess]) -> bool:
    """Whether users and items come again and again, each with others: rows of what users did, not of what is sold."""
    user, item = roles.get("user_id"), roles["item_id"]
    return user is not None and all(each.column.distinct < _OFTEN * each.column.filled for each in (user, item))


def _without_row_numbers(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """Roles in which no column that differs from row to row names items, where users have one that does not."""
    named = roles.get("item_id")
    if named is None or not roles.keys() & {"user_id", "basket_id"} or named.column.distinct < named.column.filled:
        return roles
    others = [sample.column(name) for name in named.others]
    better = next((column for column in others if column.distinct < 0.9 * column.filled), None)
    if named.column.rows < _FEW or better is None:
        return roles
    why = f"{named.column.name} differs in each row, so it names the line and not the item"
    return {**roles, "item_id": Guess("item_id", better, why, "likely", (named.column.name,))}


def _baskets_of_lines(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """Roles in which no column that differs from row to row names orders of which another column has several lines."""
    named = roles.get("basket_id")
    if (
        named is None
        or "item_id" not in roles
        or named.column.distinct < named.column.filled
        or named.column.rows < _FEW
    ):
        return roles
    others = [sample.column(name) for name in named.others]
    better = next((each for each in others if not each.nulls and each.distinct < each.filled), None)
    if better is None:
        return roles
    why = f"{named.column.name} differs in each row, so it names the line and not the order"
    return {**roles, "basket_id": Guess("basket_id", better, why, "likely", (named.column.name,))}


def _user_by_mail(sample: Sample) -> dict[str, Guess]:
    """The role of the one column whose values are mail addresses, where no column is named as users are."""
    mails = [name for name in sample.personal if sample.examples.get(name, "").count("@") == 1]
    if len(mails) != 1:
        return {}
    return {"user_id": Guess("user_id", sample.column(mails[0]), "its values are mail addresses", "unsure")}


def _mail_before_name(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """The role of a column of mail addresses in place of one of people's names: two people may be called alike."""
    user = roles["user_id"]
    is_name = user.column.kind == "text" and " " in sample.examples.get(user.column.name, "").strip()
    if not is_name or user.column.name in sample.personal:
        return {}
    mails = [sample.column(name) for name in user.others if "@" in sample.examples.get(name, "")]
    better = [each for each in mails if each.distinct >= user.column.distinct and each.nulls <= user.column.nulls]
    if not better:
        return {}
    others = (user.column.name, *(name for name in user.others if name != better[0].name))
    why = f"an address is one person's; {user.column.name} has names, {better[0].distinct:,} values"
    return {"user_id": Guess("user_id", better[0], why, "likely", others)}


def _amounts_by_rows(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """Roles in which the price of a piece and that of a line are what the rows tell, and neither is an order's."""
    told = {role: each for role in ("unit_price", "line_total") if (each := roles.get(role))}
    wanted = {"unit_price": "piece", "line_total": "line"}
    if not any(sample.amounts.get(each.column.name, wanted[role]) != wanted[role] for role, each in told.items()):
        return roles
    kept = {role: each for role, each in roles.items() if role not in told}
    names = dict.fromkeys(name for each in told.values() for name in (each.column.name, *each.others)) | dict.fromkeys(
        sample.amounts
    )
    for role, what in wanted.items():
        ours = (told[role].column.name, *told[role].others) if role in told else ()
        said = [name for name in names if sample.amounts.get(name) == what]
        if what == "piece" and "line" in sample.amounts.values():
            said = [name for name in said if not names_list_price(name)]  # what was paid is told otherwise
        unsaid = [name for name in ours if name not in sample.amounts]
        if chosen := next((name for name in (*said, *unsaid) if name in sample.amounts or not said), None):
            grows = "it grows with the number of pieces" if what == "line" else "it is the same for one piece and more"
            why = grows if chosen in said else told[role].why
            kept[role] = Guess(role, sample.column(chosen), why, "likely", ())
    return kept


def _own_id(sample: Sample, roles: dict[str, Guess]) -> dict[str, Guess]:
    """The role of a column that is called id alone, by the name of its file: products.csv has an item's."""
    column = next((each for each in sample.columns if plain_name(each.name) == "id"), None)
    role = role_of_file(Path(sample.file).name.partition(".")[0])
    # Where an order's lines became rows, its id comes with each.
    of_lines = "unnest" in sample.keys and role == "basket_id"
    if column is None or role is None or (column.distinct < column.filled and not of_lines):
        return {}
    named = roles[role].column if role in roles else None
    if named is not None and named.distinct < named.filled and not _is_a_property(named, roles):
        return {}
    if role == "basket_id" and "item_id" in roles and not of_lines:
        return {}
    return {role: Guess(role, column, "by the name of its file", "likely")}


def _is_a_property(column: ColumnProfile, roles: dict[str, Guess]) -> bool:
    """Whether a column that is called by a thing alone, `variant`, tells of the things of a catalogue what they are."""
    of_deeds = roles.keys() & {"user_id", "session_id", "basket_id", "event_type", "quantity"}
    return column.kind == "text" and not of_deeds and re.fullmatch(THING, plain_name(column.name)) is not None


def _order_of_shopify(sample: Sample) -> dict[str, Guess]:
    """Shopify's export of orders calls the order's number Name, and has a row for each `Lineitem`."""
    names = {plain_name(column.name): column for column in sample.columns}
    if "name" in names and "lineitem_name" in names:
        return {"basket_id": Guess("basket_id", names["name"], "Shopify calls the order's number so", "likely")}
    return {}
