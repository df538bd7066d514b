"""Lines of a sale that are of no thing, like postage and bank charges: left out, lest they are recommended."""

from flows.connection import quoted
from flows.sources.file_guess import FileGuess
from flows.sources.roles import Guess

#: Values that a note shows of many.
_SHOWN = 5


def charges_left_out(file: FileGuess, roles: dict[str, Guess]) -> list[tuple[str, str]]:
    """A condition (why, SQL) that leaves out the lines of sales whose thing's name is that of a charge, if any are."""
    if not roles.keys() & {"basket_id", "quantity", "line_total"}:
        return []
    named = [roles[role].column.name for role in ("title", "item_id") if role in roles]
    name = next((each for each in named if each in file.sample.charges), None)
    if name is None:
        return []
    values = file.sample.charges[name]
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    why = f"a line of postage, a fee or money off is no thing: {', '.join(values[:_SHOWN])}{more}"
    return [(why, f"not is_charge({quoted(name)})")]
