"""Values of a request that look like others: truths for numbers, blanks for ids."""

import json

import httpx
import pytest
from pydantic import ValidationError

from serving.contract import Event, RecommendationRequest
from tests.serving.conftest import Server


@pytest.mark.parametrize("name", ["event_id", "item_id", "session_id", "basket_id"])
def test_blanks_name_no_event_and_no_basket_so_that_all_without_an_id_do_not_become_one(name: str):
    event = {"user_id": "1", "item_id": "i01", "event_type": "view"}
    assert Event(**event, **({} if name == "item_id" else {name: "a b"}))
    with pytest.raises(ValidationError, match=name):
        Event(**{**event, name: " \t"})


def test_blanks_around_the_id_of_an_item_are_no_part_of_it_as_in_an_export(served: Server):
    assert Event(user_id="1", item_id=" i01\u3000", event_type="view").item_id == "i01"
    answer = httpx.post(f"{served.url}/v1/similar-items", json={"item_id": "i01 "}, trust_env=False)
    assert answer.json()["item_id"] == "i01"
    assert RecommendationRequest(exclude=[" i01 "]).exclude == ["i01"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
def test_who_asks_for_the_head_alone_gets_the_status_and_no_body(served: Server, path: str):
    head, whole = (httpx.request(method, f"{served.url}{path}", trust_env=False) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (whole.status_code, b"")


@pytest.mark.parametrize("wrong", [{"quantity": True}, {"unit_price": False}, {"discount": True}])
def test_a_truth_is_no_amount(wrong: dict):
    with pytest.raises(ValidationError, match="expected a number, but found"):
        Event(user_id="1", item_id="i01", event_type="purchase", **wrong)


@pytest.mark.parametrize("wrong", [{"diversity": True}, {"exploration": {"share": False}}])
def test_a_truth_is_no_share(wrong: dict):
    with pytest.raises(ValidationError, match="expected a number"):
        RecommendationRequest(**wrong)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
def test_json_that_is_not_called_json_is_refused_with_the_header_that_it_wants(served: Server, kind: str):
    event = {"events": [{"user_id": "1", "item_id": "i01", "event_type": "view"}]}
    for path, body in (("events", event), ("similar-items", {"item_id": "i01"})):
        headers = {"Content-Type": kind}  # what curl says of a body unless it is told
        answer = httpx.post(f"{served.url}/v1/{path}", content=json.dumps(body), headers=headers, trust_env=False)
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"pointer": "#", "detail": "Expected the header Content-Type: application/json"}
        ]
