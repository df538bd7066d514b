"""The shop's rules as a file: what is read, what is refused with which words, and that publishing loses nothing."""

import json
from datetime import UTC, datetime

import pytest

from feature_repo.slate_rules import Rule, RulesError, content_hash, publication, read_publication, read_rules_file

WHOLE = """
[[block]]
item = "i01"
note = "recalled"
[[block]]
category = "Grocery > Dairy"
brand = "Maker"
[[pin]]
item = "i05"
place = 2
from = 2018-01-01
until = 2018-01-14
[[boost]]
category = "Grocery > Bakery"
places = -20
until = 2018-01-14T12:00:00+02:00
[[policy]]
category = "Electronics"
bought = "hide"
"""


def test_a_file_is_read_with_its_days_whole_and_its_moments_in_utc():
    block, both, pin, boost, policy = read_rules_file(WHOLE)
    assert block == Rule("block", item="i01", note="recalled")
    assert (both.category, both.brand) == ("Grocery > Dairy", "Maker")
    assert pin.span == (datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 1, 15, tzinfo=UTC))
    assert (boost.places, boost.ends_at) == (-20, datetime(2018, 1, 14, 10, tzinfo=UTC))
    assert (policy.bought, policy.seen) == ("hide", None)


def test_what_is_published_is_read_back_whole_and_named_by_its_content():
    rules = read_rules_file(WHOLE)
    published, body = publication(3, rules, "2018-01-01T00:00:00+00:00")
    assert read_publication(body) == published
    assert published.rules_id == f"3-{content_hash(rules)[:12]}"
    assert content_hash(rules) != content_hash(rules[1:])
    assert read_rules_file("") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[block]]\nitem = ", "not TOML"),
        ("[[bloc]]\nitem = 'a'", "Expected the tables block, pin, boost, policy, but found bloc"),
        ("[block]\nitem = 'a'", "two brackets"),
        ("[[block]]\nnote = 'x'", "block 1: expected item or category or brand"),
        ("[[block]]\nitem = 'a'\n[[block]]\nitems = 'b'", "block 2: unknown key 'items'; did you mean 'item'?"),
        ("[[pin]]\nitem = 'a'\nplace = 0", "pin 1: place: expected a whole number from 1 to 200, came 0."),
        ("[[pin]]\ncategory = 'a'\nplace = 1", "pin 1: unknown key 'category'; expected one of item, place"),
        (
            "[[boost]]\nbrand = 'a'\nplaces = 1.5",
            "boost 1: places: expected a whole number from -1000 to 1000, not 0, came 1.5.",
        ),
        ("[[policy]]\nbrand = 'a'", "policy 1: expected bought or seen"),
        ("[[policy]]\nbrand = 'a'\nseen = 'maybe'", 'seen: expected "show" or "hide", came'),
        ("[[block]]\nitem = 'a'\nfrom = 'soon'", "from: expected a day (2018-01-31)"),
        ("[[block]]\nitem = 'a'\nuntil = 9999-12-31T23:00:00-02:00", "until: expected a day"),
        ("[[block]]\nitem = 'a'\nfrom = 2018-02-01\nuntil = 2018-01-01", "until: expected a moment after from"),
        ("[[pin]]\nitem = 'a'\nplace = 1\n[[pin]]\nitem = 'b'\nplace = 1", "place 1 is given to 'a' and to 'b'"),
        ("[[pin]]\nitem = 'a'\nplace = 1\n[[pin]]\nitem = 'a'\nplace = 2", "has places 1 and 2"),
        ("[[pin]]\nitem = 'a'\nplace = 1\n[[block]]\nitem = 'a'", "is blocked at the same time"),
        ("[[block]]\nitem = 'a'\n" * 1001, "at most 1,000 rules"),
    ],
)
def test_a_wrong_file_is_refused_with_the_rule_and_what_was_expected(text: str, words: str):
    with pytest.raises(RulesError) as refused:
        read_rules_file(text)
    assert words in str(refused.value)


@pytest.mark.parametrize("day", ["9999-12-31", "'9999-12-31'"])
def test_the_last_day_of_all_is_without_an_end(day: str):
    (rule,) = read_rules_file(f"[[block]]\nitem = 'a'\nuntil = {day}")
    assert rule.ends_at is None


def test_pins_that_never_hold_together_may_share_a_place():
    pin = "[[pin]]\nitem = '{}'\nplace = 1\nfrom = 2018-01-{}\nuntil = 2018-01-{}\n"
    assert len(read_rules_file(pin.format("a", "01", "07") + pin.format("b", "08", "14"))) == 2


def test_a_changed_or_broken_publication_is_refused():
    _, body = publication(1, read_rules_file(WHOLE), "now")
    changed = json.loads(body)
    changed["rules"][0]["item"] = "i02"
    wrong = (
        b"",
        b"[]",
        b"{}",
        b"\xff",
        body[:-9],
        json.dumps(changed).encode(),
        body.replace(b'"schema": 1', b'"schema": 9'),
    )
    for each in (*wrong, body.replace(b'"version": 1', b'"version": true')):
        with pytest.raises(RulesError):
            read_publication(each)
