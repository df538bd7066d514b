"""The kinds of values that requests are made of, each with its limits; the bounds are those of the data's contract."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, StringConstraints

from feature_repo.schema import CHANNELS, EVENT_TYPES, EVENTS, ITEMS

EARLIEST_EVENT_TIME = datetime(1990, 1, 1, tzinfo=UTC)
LATEST_EVENT_TIME = datetime(2200, 1, 1, tzinfo=UTC)
_BOUNDS = {column.name: (column.minimum, column.maximum) for column in (*EVENTS.columns, *ITEMS.columns)}


def _one_of(allowed: tuple[str, ...]) -> tuple[AfterValidator, object]:
    def check(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"expected one of {', '.join(allowed)}")
        return text

    return AfterValidator(check), Field(json_schema_extra={"enum": list(allowed)})


def _amount(name: str) -> object:
    minimum, maximum = _BOUNDS[name]
    return Field(ge=minimum, le=maximum, allow_inf_nan=False)


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"expected a number, but found {str(value).lower()}")
    return value


def _plausible(moment: datetime) -> datetime:
    if not EARLIEST_EVENT_TIME <= moment <= LATEST_EVENT_TIME:
        raise ValueError(f"expected a time between {EARLIEST_EVENT_TIME:%Y} and {LATEST_EVENT_TIME:%Y}")
    return moment.astimezone(UTC)


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
#: Blanks name nothing: taken for an id, they would make one event, or one basket, of all that have none.
Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S")]
#: Blanks are nobody's id, and those around the id of a user or an item are none of it, as in an export.
UserId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"\S", strip_whitespace=True)]
ItemId = UserId
Pseudonym = Annotated[str, StringConstraints(pattern=r"^u_[0-9a-f]{24}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Count = Annotated[int, Field(strict=True)]  # "5", 5.0 and true are none
Part = Annotated[float, BeforeValidator(_no_truth)]
Price = Annotated[float, _amount("price"), BeforeValidator(_no_truth)]
Quantity = Annotated[float, _amount("quantity"), BeforeValidator(_no_truth)]
UnitPrice = Annotated[float, _amount("unit_price"), BeforeValidator(_no_truth)]
Discount = Annotated[float, _amount("discount"), BeforeValidator(_no_truth)]
EventType = Annotated[str, *_one_of(EVENT_TYPES)]
Channel = Annotated[str, *_one_of(CHANNELS)]
Moment = Annotated[AwareDatetime, AfterValidator(_plausible)]
