"""The errors in the API's description are those that the server gives."""

import httpx

from serving.problems import ProblemDocument
from tests.serving.conftest import Server


def _examples(served: Server) -> list[tuple[str, str, dict]]:
    paths = httpx.get(f"{served.url}/openapi.json", trust_env=False).json()["paths"]
    return [
        (path, status, answer["content"]["application/problem+json"]["example"])
        for path, operations in paths.items()
        for operation in operations.values()
        for status, answer in operation["responses"].items()
        if "application/problem+json" in answer.get("content", {})
    ]


def test_each_error_is_described_by_an_example_with_its_own_status(served: Server):
    examples = _examples(served)
    assert examples
    assert [(path, status) for path, status, example in examples if str(example["status"]) != status] == []
    assert all(ProblemDocument(**example).detail for _, _, example in examples)


def test_an_example_is_what_a_wrong_request_is_answered(served: Server):
    described = {(path, status): example for path, status, example in _examples(served)}
    for question, status in (({"item_id": "milk", "k": 0}, "422"), ({"item_id": "nowhere"}, "404")):
        answer = httpx.post(f"{served.url}/v1/similar-items", json=question, trust_env=False).json()
        told = described[("/v1/similar-items", status)]
        assert {**answer, "detail": told["detail"]} == told
