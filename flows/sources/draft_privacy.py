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
    "strasse", "birth", "birthday", "birthdate", "dob", "iban", "ip", "ipaddress", "firstname", "lastname", "surname",
    "lname", "fname", "geburtsdatum", "vorname", "nachname", "lat", "lng", "latitude", "longitude", "zip", "zipcode",
    "postcode", "postal", "plz", "recipient", "cpf", "cnpj", "инн", "dni", "nif", "ssn", "passport",
    "documento", "soyad", "soyadi", "adsoyad", "ktp", "npwp", "cashier", "salesperson", "waiter", "kassierer",
}  # fmt: skip
#: Words of a column's name that tell of what opens an account or a card.
_SECRETS = {"password", "passwd", "pwd", "passwort", "salt", "token", "secret", "pan", "cvv"}
_ENDINGS = (
    "first_name", "last_name", "contact_name", "company_name", "full_name", "user_name", "username", "customer_name",
    "reviewer_name", "kundenname", "tax_identifier_value", "tax_id", "contact_number", "contact_no",
)  # fmt: skip
#: Who is meant where a column has a name or a city: the buyer's, but not that of a method of shipping.
_WHOSE = {
    "buyer",
    "client",
    "cashier",
    "employee",
    "seller",
    "payer",
    "ship",
    "shipping",
    "recipient",
    "delivery",
    "billing",
    "contact",
    "receiver",
    "consignee",
}
_OF_THEM = {"name", "city", "town"}
_NOT_THEIRS = {"method", "service", "carrier", "option", "type", "status"}
#: Words by which a file is known to have persons.
_REACHES = {"mail", "email", "phone", "telephone", "telefon", "mobile", "address", "street", "strasse"}


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
            if told and not re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", read):
                found[column.name] = None
    return list(found)


def _names_a_person(column: ColumnProfile, guess: FileGuess) -> bool:
    user = guess.roles.get("user_id")
    if user is not None and column.name in user.others:
        return True
    name = plain_name(column.name)
    return tells_of_a_person(name) or column.name in guess.sample.personal or (name == "name" and names_persons(guess))


def names_persons(guess: FileGuess) -> bool:
    """Whether a column called `name` alone is of persons: beside a user's id and a way to reach them.

    It is of things all the same where it has about as many values as these and not as many as users.
    """
    name = next((each for each in guess.sample.columns if plain_name(each.name) == "name"), None)
    parts = {part.rstrip("0123456789") for each in guess.sample.columns for part in plain_name(each.name).split("_")}
    user, item = guess.roles.get("user_id"), guess.roles.get("item_id")
    if name is None or user is None or not (parts & _REACHES or guess.sample.personal):
        return False
    apart = abs(name.distinct - user.column.distinct)
    return item is None or item.column is name or apart < abs(name.distinct - item.column.distinct)


def tells_of_a_person(name: str) -> bool:
    """Whether a plain name has a word that tells something of a person; `address1` is an address."""
    words = {word.rstrip("0123456789") for word in name.split("_")}
    theirs = bool(words & _WHOSE and words & _OF_THEM) and not words & _NOT_THEIRS
    return theirs or bool(words & (_WORDS | _SECRETS)) or name.endswith(_ENDINGS)
