"""When a drafted event happened: one column, a day and a clock in two, or days counted from one moment on."""

import json

from flows.connection import literal, quoted
from flows.sources.clocks import HALF_OF_DAY
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_moments import PARTS_OF_A_SECOND
from flows.sources.draft_plan import Plan
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess, names_later_time, names_time, plain_name

#: Numbers up to so many are hours, days or turns rather than seconds; so many days are no span of a shop's export.
_MANY, _YEARS = 10_000, 3_650
#: How spreadsheets count the days from 1954 to 2064.
_SERIALS = (20_000, 60_000)
#: (contract column, SQL expression, why).
Drafted = tuple[str, str, str]


def time_of_events(
    plan: Plan, guess: FileGuess, roles: dict[str, Guess]
) -> tuple[list[tuple[str, str]], Drafted, float]:
    """Settings that say how times are read (why, line of TOML), the column event_time, and the days that it spans."""
    told = "the export counts days but does not say from when: write the true first day instead of 2000-01-01"
    if "event_time" in roles:
        column = roles["event_time"].column
        within = _named(guess, "timeframe")
        if within and column.kind == "time":
            made = f"after({quoted(column.name)}, milliseconds := {quoted(within)})"
            return [], ("event_time", made, f"likely: the day, and {within} within it in milliseconds"), _days(column)
        formats = list(column.time_formats)
        sample = plan.orders.sample if plan.orders and column in plan.orders.sample.columns else guess.sample
        clock = next((each for each in sample.columns if each.kind == "clock"), None)
        if clock is not None and column.is_day and column.kind == "time" and _can_have_a_clock(column):
            return _day_and_clock(column, clock, sample.examples.get(clock.name, ""))
        value = json.dumps(formats[0] if len(formats) == 1 else formats)
        settings = [] if formats == ["iso"] else [(_format_note(formats), f"time_format = {value}")]
        return settings, ("event_time", column.name, roles["event_time"].said), _days(column)
    if guess is plan.lines and plan.orders and "ordered_at" in orders_with_time(plan.orders):
        return [], ("event_time", "ordered_at", f"unsure: {told}"), _days_of_orders(plan.orders)
    if lines_with_time(guess, roles):
        return [], ("event_time", "ordered_at", f"unsure: {told}"), _days_of_orders(guess)
    if of_three := _year_month_day(guess):
        return of_three
    day = _named(guess, "day", "day_no", "day_number")
    if day:
        hhmm = _named(guess, "trans_time", "time", "hhmm", "time_transaction", "transaction_time")
        made = f"after('2000-01-01', days := {quoted(day)}{f', clock := {quoted(hhmm)}' if hhmm else ''})"
        counted = next(column for column in guess.sample.columns if column.name == day)
        return [], ("event_time", made, f"unsure: {told}"), (counted.maximum or 0.0) - (counted.minimum or 0.0)
    return _month_and_day(guess) or _serials(guess) or _seconds(guess) or _by_chance(guess, roles)


def _serials(guess: FileGuess) -> tuple[list[tuple[str, str]], Drafted, float] | None:
    """A time as a spreadsheet counts it: the days since the end of 1899, and the time of day as a part of one."""
    for column in guess.sample.columns:
        low, high = column.minimum, column.maximum
        named = column.kind in ("whole", "number") and names_time(column.name) and not names_later_time(column.name)
        if named and low is not None and high is not None and _SERIALS[0] <= low <= high <= _SERIALS[1]:
            why = f"likely: {column.name} counts days as spreadsheets do, from 1899-12-30 on"
            made = f"after('1899-12-30', days := {quoted(column.name)})"
            return [], ("event_time", made, why), high - low
    return None


def _seconds(guess: FileGuess) -> tuple[list[tuple[str, str]], Drafted, float] | None:
    """A time that counts seconds, or milliseconds, from a moment that the export does not tell."""
    named = [each for each in guess.sample.columns if each.kind in ("whole", "number") and names_time(each.name)]
    column = next(
        (each for each in named if (each.minimum or 0) >= 0 and (each.maximum or 0) >= _MANY <= each.distinct * 10),
        None,
    )
    if column is None:
        return None
    span = (column.maximum or 0) - (column.minimum or 0)
    unit, days = ("seconds", span / 86_400) if span / 86_400 < _YEARS else ("milliseconds", span / 86_400_000)
    why = f"unsure: {column.name} seems to count {unit}, but not from when: write the true moment instead of 2000-01-01"
    return [], ("event_time", f"after('2000-01-01', {unit} := {quoted(column.name)})", why), days


def _by_chance(guess: FileGuess, roles: dict[str, Guess]) -> tuple[list[tuple[str, str]], Drafted, float]:
    """Where an export has no times at all: a day by chance, the same for a user's deed each time it is read."""
    if _unread_times(guess) or not {"user_id", "item_id"} <= roles.keys():
        return [], ("event_time", "null::timestamp", _why_no_time(guess)), 0.0
    who, what = (quoted(roles[role].column.name) for role in ("user_id", "item_id"))
    why = (
        "unsure: no column of times was found; models are judged on later days, so each row gets one of 60 days by "
        "chance: name the true column if there is one"
    )
    return [], ("event_time", f"after('2026-01-01', days := hash({who}, {what}) % 60)", why), 60.0


def _year_month_day(guess: FileGuess) -> tuple[list[tuple[str, str]], Drafted, float] | None:
    """A time of three columns, the year, the month and the day of the month."""
    named = {part: _named(guess, part, f"order_{part}", f"purchase_{part}") for part in ("year", "month", "day")}
    parts = {part: guess.sample.column(name) for part, name in named.items() if name is not None}
    years = parts.get("year")
    if len(parts) < 3 or years is None or not 1990 <= (years.minimum or 0) <= (years.maximum or 0) <= 2100:
        return None
    digits = {"year": 4, "month": 2, "day": 2}
    made = " || '-' || ".join(f"lpad({quoted(each.name)}, {digits[part]}, '0')" for part, each in parts.items())
    why = f"likely: {', '.join(each.name for each in parts.values())} are the day"
    return [], ("event_time", made, why), 365.0 * ((years.maximum or 0) - (years.minimum or 0)) + 30


def _month_and_day(guess: FileGuess) -> tuple[list[tuple[str, str]], Drafted, float] | None:
    """A time of a column that counts months and days without a year, as 1111 for 11 November."""
    named = [each for each in guess.sample.columns if each.kind == "whole" and names_time(each.name)]
    column = next((each for each in named if (each.minimum or 0) >= 101 and (each.maximum or 0) <= 1231), None)
    if column is None or column.distinct > 366:
        return None
    made = f"'2000' || lpad({quoted(column.name)}, 4, '0')"
    why = f"unsure: {column.name} seems to be month and day without a year: write the true year instead of 2000"
    note = "time_format: the year written before it, then month and day"
    return [(note, 'time_format = "%Y%m%d"')], ("event_time", made, why), 0.0


def _unread_times(guess: FileGuess) -> list[str]:
    """Columns that are named like the time of the deed, but were read as none; a number may be how long it took."""
    columns = [each for each in guess.sample.columns if each.kind in ("text", "whole") and names_time(each.name)]
    return [each.name for each in columns if each.kind == "text" or not names_later_time(each.name)]


def _why_no_time(guess: FileGuess) -> str:
    if named := _unread_times(guess):
        shown = " and ".join(f"{name} ({guess.sample.examples.get(name, '')!r})" for name in named[:2])
        return (
            f"MISSING: {shown} is named like a time but written in no way that is known: write "
            f'event_time = "{named[0]}" here and time_format = "..." above, in signs for the values, '
            "as %d.%m.%Y %H:%M is for 24.12.2025 17:05"
        )
    return (
        "MISSING: no column of times was found: name it here; where there is none at all: "
        "after('2026-01-01', days := hash(USER, ITEM) % 60) with the names of your columns"
    )


def _days_of_orders(orders: FileGuess) -> float:
    """About how many days the orders span: those between two, as often as the user with most has one."""
    columns = {plain_name(column.name): column for column in orders.sample.columns}
    since = next(columns[name] for name in columns if name.startswith("days_since"))
    number = columns.get("order_number")
    return (since.median or 0.0) * ((number.maximum if number else None) or 1.0)


def orders_with_time(orders: FileGuess) -> str:
    """The orders; where they count days from one order to the next, with a time made of that."""
    counted = _days_between(orders, orders.roles)
    if counted is None:
        return "orders"
    since, hours, number = counted
    user = quoted(orders.roles["user_id"].column.name)
    turn = f"order by try_cast({quoted(number)} as double)" if number else "rows unbounded preceding"
    days = f"sum(coalesce(try_cast({quoted(since)} as double), 0)) over (partition by {user} {turn})"
    return f"(select *, after('2000-01-01', {hours}days := {days}) as ordered_at from orders)"


def lines_with_time(guess: FileGuess, roles: dict[str, Guess]) -> str:
    """SQL of the relation `deeds` with times, where each line of an order says how many days after the last one it was.

    Empty where the lines have times, or do not tell this.
    """
    counted = _days_between(guess, roles)
    if counted is None or not {"basket_id", "item_id"} <= roles.keys():
        return ""
    since, hours, number = counted
    user, basket = (quoted(roles[role].column.name) for role in ("user_id", "basket_id"))
    # Each of an order's lines brings its part of the days, so that all of them bring them once.
    days = f"coalesce(try_cast({quoted(since)} as double), 0) / count(*) over (partition by {basket})"
    turn = f"order by try_cast({quoted(number)} as double)" if number else f"order by {basket}"
    return (
        f"select *, after('2000-01-01', {hours}days := round(sum(part_of_days) over (partition by {user} {turn}))) "
        f"as ordered_at from (select *, {days} as part_of_days from deeds)"
    )


def _days_between(guess: FileGuess, roles: dict[str, Guess]) -> tuple[str, str, str] | None:
    """What counts the days from one order of a user to the next, SQL of the hour, what numbers the orders or ''."""
    names = {plain_name(column.name): column.name for column in guess.sample.columns}
    since = next((names[name] for name in names if name.startswith("days_since")), None)
    if "event_time" in roles or since is None or "user_id" not in roles:
        return None
    hours = next((f"hours := try_cast({quoted(names[name])} as double), " for name in names if "hour" in name), "")
    return since, hours, names.get("order_number", "")


def _can_have_a_clock(column: ColumnProfile) -> bool:
    """Whether a clock can be written behind each of a column's days."""
    formats = column.time_formats
    return len(formats) == 1 or (column.length <= 10 and not any("%H" in each or "%I" in each for each in formats))


def _day_and_clock(
    column: ColumnProfile, clock: ColumnProfile, example: str
) -> tuple[list[tuple[str, str]], Drafted, float]:
    """A time of a column with the day and one with the time of day, of which `example` is a value."""
    days, hour = column.time_formats, clock.time_formats[0]
    # A spreadsheet writes the day with a midnight behind it.
    date = f"left({quoted(column.name)}, 10)" if days == ("iso",) and column.length > 10 else quoted(column.name)
    of_day = quoted(clock.name)
    if "%p" in hour and "." in example:
        of_day = f"regexp_replace({of_day}, {literal(HALF_OF_DAY)}, '\\1m')"
    made = f"{date} || ' ' || {of_day}"
    why = f"likely: {column.name} has the day, {clock.name} the time of day"
    if days == ("iso",) and hour.startswith("%H"):
        return [], ("event_time", made, why), _days(column)
    formats = [f"{'%Y-%m-%d' if day == 'iso' else day} {hour}" for day in days]
    value = json.dumps(formats[0] if len(formats) == 1 else formats)
    return [(_format_note(formats), f"time_format = {value}")], ("event_time", made, why), _days(column)


def _format_note(formats: list[str]) -> str:
    other = {"%m/%d": "%d/%m", "%d/%m": "%m/%d"}.get(formats[0][:5])
    doubt = f"; if the first number is the {'day' if other == '%d/%m' else 'month'}, it is {other}…" if other else ""
    return f"time_format: all values of the sample read so{doubt}"


def _days(column: ColumnProfile) -> float:
    unit = PARTS_OF_A_SECOND.get(column.kind, 1.0)
    return (column.within[-1] - column.within[0]) / unit / 86_400 if column.within else 0.0


def _named(guess: FileGuess, *names: str) -> str | None:
    return next((column.name for column in guess.sample.columns if plain_name(column.name) in names), None)
