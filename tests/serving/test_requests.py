"""Whatever is asked, the server does not break: 200, or a clear 4xx."""

import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feature_repo.schema import CHANNELS, EVENT_TYPES
from tests.serving.conftest import Server
from tests.serving.tiny_shop import ITEMS, REGULAR

FEW = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
names = st.one_of(st.text(max_size=12), st.sampled_from([item["item_id"] for item in ITEMS]))
numbers = st.one_of(st.integers(-5, 300), st.floats(), st.none())
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, names),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
questions = st.fixed_dictionaries(
    {},
    optional={
        "user_id": names,
        "pseudonym": st.one_of(st.just(REGULAR), names),
        "k": st.one_of(st.integers(1, 200), numbers),
        "exclude": st.lists(names, max_size=5),
        "filters": st.fixed_dictionaries(
            {}, optional={"category": names, "brand": names, "min_price": numbers, "max_price": numbers}
        ),
        "context": st.fixed_dictionaries({}, optional={"session_items": st.lists(names, max_size=5)}),
        "surprise": anything,
    },
)
events = st.fixed_dictionaries(
    {"user_id": st.one_of(names, st.none()), "event_type": st.one_of(st.sampled_from(EVENT_TYPES), names)},
    optional={
        "event_id": names,
        "pseudonym": names,
        "item_id": names,
        "event_time": st.one_of(st.datetimes().map(lambda moment: moment.isoformat() + "+14:00"), anything),
        "channel": st.one_of(st.sampled_from(CHANNELS), names),
        "quantity": numbers,
        "unit_price": numbers,
        "currency": names,
        "text": names,
    },
)


@pytest.fixture(scope="module")
def client() -> httpx.Client:
    return httpx.Client(trust_env=False)


def ask(client: httpx.Client, url: str, question: object) -> httpx.Response:
    # JSON as Python writes it: NaN, Infinity and lone surrogates come through as a careless client would send them.
    body = json.dumps(question).encode()
    answer = client.post(url, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 404, 422), (question, answer.text)
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer


@FEW
@given(questions)
def test_any_question_gets_a_slate_or_a_clear_refusal(served: Server, client: httpx.Client, question: dict):
    answer = ask(client, f"{served.url}/v1/recommendations", question)
    if answer.status_code == 200:
        slate = answer.json()["slate"]
        found = [item["item_id"] for item in slate]
        assert len(found) == len(set(found)) <= question.get("k", 10)
        assert not set(found) & set(question.get("exclude", []))
        assert all(item["reason"]["text"] for item in slate)


@pytest.mark.parametrize("wrong", ["5", True, 5.0, 5.5, None, [5]])
def test_a_count_is_a_whole_number_and_nothing_that_looks_like_one(served: Server, client: httpx.Client, wrong: object):
    questions = {
        "": {"k": wrong},
        "/batch": {"user_ids": ["a"], "k": wrong},
        "/../similar-items": {"item_id": ITEMS[0]["item_id"], "k": wrong},
    }
    for path, question in questions.items():
        answer = ask(client, f"{served.url}/v1/recommendations{path}", question)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/k")
    if wrong is not None:
        limited = ask(client, f"{served.url}/v1/recommendations", {"limits": {"per_brand": wrong}})
        assert (limited.status_code, limited.json()["errors"][0]["pointer"]) == (422, "#/limits/per_brand")


@FEW
@given(st.one_of(anything, st.fixed_dictionaries({"events": st.lists(events, max_size=3)})))
def test_any_push_is_taken_or_clearly_refused(served: Server, client: httpx.Client, question: object):
    ask(client, f"{served.url}/v1/events", question)


@FEW
@given(anything, names)
def test_any_similar_question_is_answered_or_clearly_refused(
    served: Server, client: httpx.Client, question: object, item_id: str
):
    ask(client, f"{served.url}/v1/similar-items", question)
    ask(client, f"{served.url}/v1/similar-items", {"item_id": item_id, "k": 3})


@FEW
@given(st.dictionaries(st.sampled_from(["user", "clicked", "deed", "similar", "was"]), names))
def test_any_address_of_the_page_gives_a_page(served: Server, client: httpx.Client, query: dict):
    query = {name: value.encode("utf-8", "replace") for name, value in query.items()}
    assert client.get(served.url, params=query).status_code == 200


@FEW
@given(st.dictionaries(st.sampled_from(["user", "item_id", "event_type", "was"]), names))
def test_any_form_is_understood_or_refused(served: Server, client: httpx.Client, form: dict):
    form = {name: value.encode("utf-8", "replace").decode() for name, value in form.items()}
    assert client.post(f"{served.url}/click", data=form).status_code in (303, 422)
    assert client.post(f"{served.url}/pick", data=form).status_code == 303
