"""The terminal's way to serving before what is not Aisle: one line that says so, no traceback, no key told."""

import pytest
from click.testing import CliRunner

from flows.commands.recommend import command as recommend
from flows.storefront_client import ServingUnreachable, ask_for_slate, price_of
from tests.strangers import saying


@pytest.mark.parametrize(
    ("body", "headers"), [(b"<html>", {}), (b"[]", {}), (b'{"a": 1}', {}), (b'{"a"', {"Content_Length": "500"})]
)
def test_an_answer_that_is_no_slate_is_told_in_a_line(body: bytes, headers: dict[str, str]):
    with saying(200, body, **headers) as (url, _):
        told = CliRunner().invoke(recommend, ["1228", "--url", url])
    assert told.exit_code == 1
    assert told.output.startswith(f"Error: {url}/v1/recommendations answered something else than")
    assert told.output.count("\n") == 1


def test_a_key_has_no_line_break_and_what_is_none_is_not_told_in_the_error():
    with saying(200, b"{}") as (url, asked):
        with pytest.raises(ServingUnreachable, match="something else"):
            ask_for_slate(url, {"user_id": "1"}, 1, "of-the-shop\n")
        with pytest.raises(ServingUnreachable, match="AISLE_API_KEY: expected a key") as wrong:
            ask_for_slate(url, {"user_id": "1"}, 1, "of\nthe shop")
    assert [key for _, key in asked] == ["Bearer of-the-shop"]
    assert "the shop" not in str(wrong.value)


def test_a_redirect_takes_the_key_nowhere():
    with (
        saying(200, b"{}") as (elsewhere, asked),
        saying(302, b"", Location=elsewhere) as (url, _),
        pytest.raises(ServingUnreachable, match="answered 302"),
    ):
        ask_for_slate(url, {"user_id": "1"}, 1, "of-the-shop")
    assert asked == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"title": "No release yet", "status": 503, "detail": "Train one."}', "No release yet. Train one.\n"),
        (
            b'{"title": "Wrong", "detail": "See errors.", "errors": [{"pointer": "#/user_id", "detail": "too long"}]}',
            "Wrong. See errors.\n  #/user_id: too long\n",
        ),
        (b"[1]", "[1]\n"),
        (b"Bad gateway", "Bad gateway\n"),
    ],
)
def test_a_refusal_is_told_in_words_and_not_in_json(body: bytes, words: str):
    with saying(503, body) as (url, _):
        told = CliRunner().invoke(recommend, ["1228", "--url", url])
    assert told.output == f"Error: {url}/v1/recommendations answered 503: {words}"


@pytest.mark.parametrize(
    ("price", "currency", "told"),
    [
        (1_234_567.89, "IDR", "1,234,567.89 IDR"),
        (1500.0, "JPY", "1,500 JPY"),
        (1.235, "KWD", "1.235 KWD"),
        (0.75, "USD", "0.75 USD"),
        (2.0, None, "2.00"),
        (None, "USD", ""),
        (0.0, "USD", ""),
    ],
)
def test_a_price_in_the_terminal_is_that_of_the_page(price: float | None, currency: str | None, told: str):
    assert price_of({"price": price, "currency": currency}) == told


def test_an_address_may_end_with_a_slash():
    with saying(404, b"") as (url, _):
        told = CliRunner().invoke(recommend, ["1228", "--url", f"{url}/"])
    assert f"{url}/v1/recommendations answered 404" in told.output
