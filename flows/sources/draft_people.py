"""What an export's rows say of the users in them: an id that stands for nobody, and columns that have the id within."""

import duckdb

from flows.connection import quoted
from flows.sources.draft_plan import Plan
from flows.sources.file_guess import FileGuess
from flows.sources.roles import plain_name

#: Ids that stand for nobody, from this share of the rows on.
_NOBODY = {
    "0", "-1", "0.0", "guest", "gast", "anonymous", "unknown", "none", "nobody", "walkin", "walk_in",
    "walk_in_customer", "cash_customer", "guest_customer", "consumidor_final", "laufkunde",
    "laufkundschaft", "barverkauf",
}  # fmt: skip
_SOME = 0.02
#: Any one id, from this share on, where it comes so many times as often as the next and many users are told.
_MOST, _TIMES, _MANY = 0.05, 20, 50
#: An id of fewer signs is in other words by chance.
_SIGNS = 4


def look_at_people(connection: duckdb.DuckDBPyConnection, plan: Plan) -> None:
    """Note in the plan which id means nobody, and which columns have a row's user id within."""
    for guess in (*plan.events, plan.orders, plan.lines):
        if guess is None or "user_id" not in guess.roles:
            continue
        name = guess.roles["user_id"].column.name
        if nobody := _nobody(connection, guess, name):
            plan.nobody[name] = nobody
        plan.with_user |= _with_user(connection, guess, name)


def _nobody(connection: duckdb.DuckDBPyConnection, guess: FileGuess, name: str) -> str:
    """The id of a column that stands for nobody; '' where none does."""
    column = guess.roles["user_id"].column
    counts = connection.execute(
        f"select cast({quoted(name)} as varchar) as v, count(*) from {quoted(guess.sample.view)} where v is not null "
        "group by 1 order by 2 desc, 1 limit 2"
    ).fetchall()
    (first, often), (_, next_often) = counts if len(counts) == 2 else (("", 0), ("", 0))
    named = plain_name(first) in _NOBODY or first in _NOBODY
    alone = column.distinct > _MANY and often > max(_MOST * column.rows, _TIMES * next_often)
    return str(first) if alone or (named and often > max(_SOME * column.rows, 2 * next_often)) else ""


def _with_user(connection: duckdb.DuckDBPyConnection, guess: FileGuess, name: str) -> set[str]:
    """The columns that have the row's user id within longer text, in more than half of the rows."""
    texts = [each.name for each in guess.sample.columns if each.kind == "text" and each.name != name]
    if not texts:
        return set()
    user = f"cast({quoted(name)} as varchar)"
    shares = connection.execute(
        f"select {', '.join(f'avg(cast(contains(cast({quoted(each)} as varchar), {user}) as int))' for each in texts)} "
        f"from {quoted(guess.sample.view)} where length({user}) >= {_SIGNS}"
    ).fetchone()
    return {each for each, share in zip(texts, shares or (), strict=False) if (share or 0) > 0.5}
