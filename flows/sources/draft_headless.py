"""The roles of the columns of a file without a header: by what they hold, by their order, and by the file's name."""

import re
from pathlib import Path

from flows.sources.column_profile import ColumnProfile
from flows.sources.event_words import first_words, meant_by, meant_by_file
from flows.sources.roles import NUMBERS, TIMES, Guess, role_of_file
from flows.sources.sample import Sample

#: Rows from which on it says something that values all differ, or how often they come.
_FEW_ROWS = 50
#: A first column of which more than this share of values differ names orders rather than users.
_OF_ORDERS = 0.6
#: An id has more values than kinds of things have; so few words tell kinds of rows.
_KINDS, _FEW_WORDS = 20, 5
#: Ids as a large shop writes them: of things, and of people.
_THINGS, _PEOPLE = r"B0[0-9A-Z]{8}|\d{9}[0-9X]", r"A[0-9A-Z]{9,}"


class _Left:
    """The columns without a role so far, and the roles given."""

    def __init__(self, columns: tuple[ColumnProfile, ...]) -> None:
        self.columns = list(columns)
        self.roles: dict[str, Guess] = {}

    def take(
        self,
        role: str,
        column: ColumnProfile,
        why: str,
        confidence: str = "unsure",
        among: list[ColumnProfile] | None = None,
    ) -> None:
        """Give a column a role; the first others of `among` (all that are left) could have it as well."""
        others = [each.name for each in self.columns if each != column and (among is None or each in among)]
        self.roles[role] = Guess(role, column, why, confidence, tuple(others[:3]))
        self.columns.remove(column)


def roles_without_names(sample: Sample) -> dict[str, Guess]:
    """Return role → guess: of users or items where the file is named so and each row names another, else of events."""
    path, first = Path(sample.file), sample.columns[0]
    if len(sample.columns) == 1:
        return {}
    owner = role_of_file(path.name.partition(".")[0]) or role_of_file(path.suffix.removeprefix("."))
    texts = [column for column in sample.columns if column.kind == "text"]
    if owner == "user_id" and first.distinct == first.rows > 1:
        return {"user_id": Guess("user_id", first, "the first column, by the name of its file", "likely")}
    if owner == "item_id" and texts and first.distinct == first.rows > 1:
        named = {"item_id": Guess("item_id", first, "the first column, by the name of its file", "likely")}
        return named | {"title": _title(texts)}
    roles = _roles_of_events(sample)
    texts = [column for column in texts if "event_type" not in roles]
    # A catalogue has a row for each item; where its first column comes again, they are users with what they did.
    if "event_time" not in roles and texts and (first.distinct == first.filled or sample.rows < _FEW_ROWS):
        confidence = "likely" if owner == "item_id" else "unsure"
        roles = {"item_id": Guess("item_id", first, "the first column of a file without times", confidence)}
        roles["title"] = _title(texts)
    return roles


def _title(texts: list[ColumnProfile]) -> Guess:
    """The first column of words that differ from row to row, else the one with most of them."""
    most = max(texts, key=lambda column: column.distinct)
    told = next((column for column in texts if column.distinct > 0.5 * column.rows), most)
    return Guess("title", told, "the first column of words that differ", "unsure")


def _roles_of_events(sample: Sample) -> dict[str, Guess]:
    """Times and words by their content, then orders with what was bought, or the user before the item."""
    left = _Left(sample.columns)
    if times := [column for column in left.columns if column.kind in TIMES]:
        left.take("event_time", times[0], f"its values read as {', '.join(times[0].time_formats)}", "likely")
    for column in list(left.columns):
        known = sum(meant_by(word) is not None for word in column.words)
        if column.kind == "text" and column.words and known * 2 >= len(column.words):
            left.take("event_type", column, f"its words are {first_words(column.words)}", "likely")
            break
    if not _take_orders(left):
        _leave_row_numbers(left)
        _take_rating(left, sample.file)
        _take_known_ids(left, sample)
        turns = (("user_id", "the first column that is left"), ("item_id", "the next column that is left"))
        for role, why in [turn for turn in turns if turn[0] not in left.roles]:
            may_be = _may_be_user if role == "user_id" else _may_be_item
            fitting = [each for each in left.columns if may_be(each)]
            if fitting:
                left.take(role, fitting[0], f"no name says so; {why}")
    return left.roles


def _leave_row_numbers(left: _Left) -> None:
    """Numbers from 1 to that of the rows name no users, where another id comes again."""
    if not left.columns:
        return
    first, *others = left.columns
    span = (first.maximum or 0) - (first.minimum or 0)
    numbered = first.kind == "whole" and first.rows >= _FEW_ROWS and (first.minimum or 0) <= 1
    numbered = numbered and first.distinct == first.rows == span + 1
    if numbered and any(_KINDS < each.distinct < _OF_ORDERS * each.filled for each in others):
        left.columns.remove(first)


def _take_known_ids(left: _Left, sample: Sample) -> None:
    """Take things before people, where the ids of both are written as a large shop writes them."""
    if len(left.columns) > 1:
        first, second = left.columns[:2]
        things, people = (sample.examples.get(each.name, "") for each in (first, second))
        if re.fullmatch(_THINGS, things) and first.length == 10 and re.fullmatch(_PEOPLE, people):
            left.take("item_id", first, "its ids are written as those of things are", "likely", among=[])
            left.take("user_id", second, "its ids are written as those of people are", "likely", among=[])


def _may_be_user(column: ColumnProfile) -> bool:
    """Whether a column may name users: a few words in many rows say what kind of a row each is."""
    return column.rows < _FEW_ROWS or column.kind != "text" or column.distinct > _FEW_WORDS


def _may_be_item(column: ColumnProfile) -> bool:
    """Whether a column may name items: it has more values than kinds of things have, and no long text."""
    return column.rows < _FEW_ROWS or (column.distinct > _KINDS and column.length < 80)


def _take_orders(left: _Left) -> bool:
    """Take the columns of a file of orders: one that nearly every row has its own value of, then the item, the user."""
    if "event_type" in left.roles or not left.columns:
        return False
    first, *others = left.columns
    ids = [
        column
        for column in others
        if column.kind in ("whole", "text", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
        and _KINDS < column.distinct < 0.9 * first.distinct
    ]
    if first.rows < _FEW_ROWS or first.distinct <= _OF_ORDERS * first.filled or not ids:
        return False
    item, *rest = ids
    # A shop has more users than things; a price has few values.
    user = max(rest, key=lambda column: column.distinct, default=item)
    if user.distinct <= item.distinct:
        return False
    if first.distinct == first.filled:
        left.columns.remove(first)  # each row has a number of its own
    else:
        left.take("basket_id", first, f"{first.distinct:,} values in {first.filled:,} rows, as orders have", among=[])
    left.take("item_id", item, "no name says so; the first id behind the order", among=ids)
    why = f"no name says so; of the other ids the one with most values, {user.distinct:,}"
    left.take("user_id", user, why, among=[])
    units = [each for each in left.columns if each.kind == "whole" and (each.minimum or 0) >= 1 and each.distinct <= 50]
    prices = [each for each in left.columns if each.kind == "number" and (each.minimum or 0) >= 0]
    if units and (units[0].maximum or 0) <= 1_000:
        left.take("quantity", units[0], "the first column of small numbers")
    if prices:
        left.take("unit_price", prices[0], "the first column of numbers with a fraction")
    return True


def _take_rating(left: _Left, file: str) -> None:
    few = len(left.columns) == 2 and left.columns[1].rows >= _FEW_ROWS
    ratings = [
        each
        for each in left.columns[1 if few else 2 :]
        if each.kind in NUMBERS
        and not each.nulls
        and 1 < each.distinct <= 10
        and 0 <= (each.minimum or 0) <= (each.maximum or 99) <= 10
    ]
    if ratings and "event_type" not in left.roles and meant_by_file(file) in (None, "review"):
        left.take("rating", ratings[0], "few small numbers, as ratings are")
