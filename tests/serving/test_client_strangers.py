"""The Python client before what is not Aisle: gateways with errors of their own, redirects, keys that are none."""

import json

import pytest

from serving.client import Aisle, RequestRefused, ServerUnreachable
from tests.serving.tiny_shop import MILK
from tests.strangers import saying

EMPTY = b'{"slate": []}'


def test_a_redirect_is_told_and_the_key_goes_to_nobody_else():
    with (
        saying(200, EMPTY) as (elsewhere, asked_there),
        saying(302, b"", Location=f"{elsewhere}/v1/similar-items") as (url, _),
        pytest.raises(RequestRefused, match=elsewhere) as refused,
    ):
        Aisle(url, api_key="of the shop").similar(MILK)
    assert refused.value.status == 302
    assert asked_there == []


def test_a_key_with_a_line_break_of_its_file_is_sent_without():
    with saying(200, EMPTY) as (url, asked):
        assert Aisle(url, api_key="of-the-shop\n").similar(MILK) == []
    assert asked == [("POST", "Bearer of-the-shop")]


@pytest.mark.parametrize("key", ["two\nlines", "ключ", " "])
def test_a_key_that_is_none_is_told_at_once_and_not_repeated_in_the_error(key: str):
    with saying(200, EMPTY) as (url, asked), pytest.raises(ValueError, match="api_key: expected") as wrong:
        Aisle(url, api_key=key, retries=0).similar(MILK)
    assert asked == []
    assert key.strip() == "" or key.strip() not in str(wrong.value)


@pytest.mark.parametrize("errors", [["gateway"], None, [{"message": "no"}], {"k": ["bad"]}, 3])
def test_a_refusal_of_a_gateway_is_a_refusal_whatever_it_calls_errors(errors: object):
    body = json.dumps({"title": "No", "errors": errors}).encode()
    with saying(400, body) as (url, _), pytest.raises(RequestRefused, match="400 No") as refused:
        Aisle(url).recommend("1")
    assert refused.value.errors == ()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"slate": null, "slates": null}', b"<html>"])
def test_an_answer_that_is_none_of_ours_is_a_server_that_cannot_be_asked(body: bytes):
    with saying(200, body) as (url, _):
        shop = Aisle(url, retries=0)
        event = {"user_id": "1", "item_id": MILK, "event_type": "view"}
        asks = (lambda: shop.recommend("1"), lambda: shop.recommend_many(["1"]), lambda: shop.similar(MILK))
        for ask in (*asks, lambda: shop.push(event)):
            with pytest.raises(ServerUnreachable, match="did not answer 1 times"):
                ask()


def test_a_pause_that_is_no_number_is_passed_over():
    with saying(503, b"", **{"Retry-After": "\u00b2"}) as (url, asked), pytest.raises(RequestRefused, match="503"):
        Aisle(url, retries=1).similar(MILK)
    assert len(asked) == 2


@pytest.mark.parametrize("url", ["localhost:8000", "shop.example", "ftp://shop.example", ""])
def test_an_address_that_is_none_is_told_before_anything_is_asked(url: str):
    with pytest.raises(ValueError, match="expected http://HOST:PORT"):
        Aisle(url)
