"""Which raw columns of an export may name a person, so that a drafted mapping never keeps them in the quarantine."""

import re
from collections.abc import Iterable

from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_plan import Plan
from flows.sources.file_guess import FileGuess
from flows.sources.roles import plain_name

#: Words of a column's name that tell something of a person.
_WORDS = {
    "mail", "email", "phone", "telephone", "telefon", "mobile", "fax", "address", "addresse", "adresse", "street",
    "strasse", "birth", "birthday", "birthdate", "dob", "iban", "ip", "firstname", "lastname", "surname",
    "lname", "fname", "geburtsdatum", "vorname", "nachname", "lat", "lng", "latitude", "longitude", "zip", "postcode",
    "plz",
}  # fmt: skip
_ENDINGS = (
    "first_name", "last_name", "contact_name", "company_name", "full_name", "user_name", "username", "customer_name",
    "reviewer_name", "billing_name",
    "shipping_name", "kundenname", "postal_code", "zip_code", "zip_code_prefix",
)  # fmt: skip


def private_columns(plan: Plan, expressions: Iterable[str]) -> list[str]:
    """Return the raw columns that seem to name a person and that no drafted expression reads, in the files' order.

    They are those named so, and every other column that the user id could have been taken from.
    """
    read = " ".join(expressions)
    found: dict[str, None] = {}
    for guess in (*plan.events, plan.orders, plan.lines, plan.people, plan.users):
        if guess is None:
            continue
        for column in guess.sample.columns:
            told = column.name in plan.with_user or _names_a_person(column, guess)
            if told and not re.search(rf"\b{re.escape(column.name)}\b", read):
                found[column.name] = None
    return list(found)


def _names_a_person(column: ColumnProfile, guess: FileGuess) -> bool:
    name = plain_name(column.name)
    user = guess.roles.get("user_id")
    if user is not None and column.name in user.others:
        return True
    return tells_of_a_person(name)


def tells_of_a_person(name: str) -> bool:
    """Whether a plain name has a word that tells something of a person; `address1` is an address."""
    return bool({word.rstrip("0123456789") for word in name.split("_")} & _WORDS) or name.endswith(_ENDINGS)
