"""How the files of deeds are joined in a drafted mapping: orders to lines, and a table between deeds and items."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from flows.connection import quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_kinds import kinds_among
from flows.sources.draft_links import NEARLY_ALL
from flows.sources.file_guess import ITEM_ROLES, FileGuess
from flows.sources.roles import Guess, guess_roles, plain_name


@dataclass(frozen=True)
class Between:
    """A table that says of which item the thing is that deeds name: copies of films, variants of products.

    `named` is its key, which the deeds have by the same name; `item` its column that the catalogue's file has.
    """

    guess: FileGuess
    named: str
    item: ColumnProfile
    catalogue: FileGuess

    def join(self) -> str:
        """SQL behind a relation of deeds."""
        columns = f"{quoted(self.named)}, {quoted(self.item.name)}"
        return f" left join (select {columns} from copies) using ({quoted(self.named)})"

    def told(self, deeds: FileGuess) -> FileGuess:
        """The deeds with the items that it leads to."""
        why = f"{self.named} leads to it"
        return replace(deeds, roles={**deeds.roles, "item_id": Guess("item_id", self.item, why, "likely")})


def between(deeds: FileGuess, guesses: Sequence[FileGuess]) -> Between | None:
    """Return the table between deeds and the items' file; None where the deeds name what has a title."""
    named = deeds.roles["item_id"].column if "item_id" in deeds.roles else None
    if named is None or any(_has_titles_of(guess, named) for guess in guesses if guess is not deeds):
        return None
    for guess in guesses:
        if named is None or guess is deeds or named.name not in guess.names or titled(guess):
            continue
        key = guess.sample.column(named.name)
        if key.distinct < key.filled or named.share_in(key) < NEARLY_ALL:
            continue
        for other in guesses:
            if other is not guess and (item := _leads_to(guess, key, other)):
                return Between(guess, named.name, item, _as_items(other, item.name))
    return None


def _as_items(guess: FileGuess, key: str) -> FileGuess:
    """The file as a catalogue, its key found by the table that leads to it."""
    if guess.kind == "items":
        return guess
    known = {"item_id": Guess("item_id", guess.sample.column(key), "a table between leads to it", "likely")}
    return replace(guess, kind="items", roles=guess_roles(guess.sample.columns, ITEM_ROLES, known))


def _has_titles_of(guess: FileGuess, named: ColumnProfile) -> bool:
    """Whether a file has a title for each of the things that deeds name, under the same name."""
    if named.name not in guess.names or not titled(guess):
        return False
    return named.share_in(guess.sample.column(named.name)) >= NEARLY_ALL


def _leads_to(guess: FileGuess, key: ColumnProfile, catalogue: FileGuess) -> ColumnProfile | None:
    """The column of a table that names each row of a catalogue, by the same name."""
    if not titled(catalogue):
        return None
    for column in guess.sample.columns:
        if column.name == key.name or column.name not in catalogue.names:
            continue
        there = catalogue.sample.column(column.name)
        if there.distinct == there.filled and column.share_in(there) >= NEARLY_ALL and column.distinct > 1:
            return column
    return None


def titled(guess: FileGuess) -> bool:
    """Whether a file has what a shopper reads of an item."""
    return "title" in guess.roles or "title" in guess_roles(guess.sample.columns, ("title",))


def orders_joined(orders: FileGuess, lines: FileGuess, relation: str) -> str:
    """SQL that joins orders, or what is made of them, to their lines, where the two name an order differently, too."""
    key = orders.roles["basket_id"].column.name
    # A bare `id` is each table's own.
    if key in lines.names and plain_name(key) != "id":
        return f"lines left join {relation} using ({quoted(key)})"
    named = lines.roles["basket_id"].column.name
    if named not in orders.names:
        relation = f"(select * rename ({quoted(key)} as {quoted(named)}) from {relation})"
    return f"lines left join {relation} using ({quoted(named)})"


def orders_of_lines(deeds: FileGuess, lines: Sequence[FileGuess]) -> FileGuess | None:
    """A file that names one item an order, as the orders of a file with all of their lines; None where none is."""
    basket = deeds.roles["basket_id"].column if "basket_id" in deeds.roles else None
    if basket is None or basket.distinct < basket.filled or "user_id" not in deeds.roles:
        return None
    for each in lines:
        named = each.roles["basket_id"].column
        if named.distinct < named.filled and named.share_in(basket) >= NEARLY_ALL:
            roles = {role: guess for role, guess in deeds.roles.items() if role != "item_id"}
            return replace(deeds, kind="orders", why="each row is an order, its lines lie elsewhere", roles=roles)
    return None


def lines_of_kinds(orders: FileGuess, others: Sequence[FileGuess]) -> FileGuess | None:
    """A file of the lines of orders that name kinds of things alone, with how many or how much; None where none is."""
    key = orders.roles["basket_id"].column
    for each in others:
        named = each.roles["basket_id"].column if "basket_id" in each.roles else None
        told = each.roles.keys() & {"quantity", "line_total", "unit_price"} and kinds_among(each.sample.columns)
        if named and told and named.distinct < named.filled and named.share_in(key) >= NEARLY_ALL:
            return replace(each, kind="lines", why="each row is a line of an order, and names a kind of things")
    return None


def orders_with_times(lines: FileGuess, others: Sequence[FileGuess]) -> FileGuess | None:
    """A file that says when each order was, for lines that name neither a user nor a time; None where none is."""
    named = lines.roles["basket_id"].column
    if "event_time" in lines.roles:
        return None
    for each in others:
        told = each.roles.get("basket_id")
        own = told and told.column.distinct == told.column.filled and "event_time" in each.roles
        if told and own and named.share_in(told.column) >= NEARLY_ALL:
            return replace(each, kind="orders", why="each row is an order, without a user")
    return None
