"""A verdict reaches the object store and the run's page, and survives when either is away."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from expectations.validate import Verdict, check_table
from feature_repo.schema import EVENTS
from flows import validation
from flows.object_client import object_client
from flows.settings import Settings
from flows.validation import artifact_key, publish_verdict
from tests.expectations.planted import REFERENCES, connection_with, event

TREND = [("2026-04", 40, 1), ("2026-05", 40, 2)]


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    connection = connection_with("events", [event(row) for row in range(40)])
    return check_table(connection, "incoming", EVENTS, REFERENCES)


@pytest.fixture
def unreachable(settings: Settings) -> Settings:
    store = replace(settings.object_store, endpoint_url="http://127.0.0.1:9", embedded=False)
    return replace(settings, object_store=store)


def test_the_report_lies_in_the_object_store(store_settings: Settings, verdict: Verdict) -> None:
    address = publish_verdict(store_settings, verdict, TREND)
    store = store_settings.object_store
    listed = object_client(store_settings).list_objects_v2(Bucket=store.bucket, Prefix="reports/validation/events/")
    (entry,) = listed["Contents"]
    body = object_client(store_settings).get_object(Bucket=store.bucket, Key=entry["Key"])
    assert body["ContentType"].startswith("text/html")
    assert "<h1>events: <span>passed</span></h1>" in body["Body"].read().decode()
    assert entry["Key"].split("/")[-1] in address


def test_a_store_that_is_away_does_not_lose_the_verdict(
    unreachable: Settings, verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        address = publish_verdict(unreachable, verdict, TREND)
    assert Path(address).is_relative_to(unreachable.home / "reports" / "validation" / "events")
    assert Path(address).read_text().startswith("<!doctype html>")
    assert [path.suffix for path in Path(address).parent.iterdir()] == [".html"]
    assert "could not be stored and is kept at" in caplog.text


def test_a_run_shows_the_verdict_as_an_artifact_with_its_history(
    prefect_harness: None, unreachable: Settings, verdict: Verdict
) -> None:
    @flow
    def publish_twice() -> None:
        publish_verdict(unreachable, verdict, TREND)
        publish_verdict(unreachable, replace(verdict, table="item_co_purchase"), [])

    async def read(key: str) -> list[str]:
        async with get_client() as client:
            chosen = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
            return [str(artifact.data) for artifact in await client.read_artifacts(artifact_filter=chosen)]

    # The server is shared: other tests' verdicts of the same table may stand there too.
    keys = ("validation-events", "validation-item-co-purchase")
    before = {key: asyncio.run(read(key)) for key in keys}
    publish_twice()
    fresh = {key: [text for text in asyncio.run(read(key)) if text not in before[key]] for key in keys}
    assert {key: len(texts) for key, texts in fresh.items()} == dict.fromkeys(keys, 1)
    (shown,) = fresh["validation-events"]
    assert shown.startswith("# events: passed")
    assert "The whole report: `" in shown


def test_an_artifact_that_fails_does_not_stop_the_run(
    prefect_harness: None,
    unreachable: Settings,
    verdict: Verdict,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(**_: object) -> None:
        raise RuntimeError("the server said 503")

    monkeypatch.setattr(validation, "create_markdown_artifact", refuse)

    @flow
    def publish() -> str:
        return publish_verdict(unreachable, verdict, TREND)

    assert Path(publish()).exists()
    assert "could not be shown in Prefect" in caplog.text


def test_artifact_keys_have_dashes_only() -> None:
    assert artifact_key("item_co_purchase") == "validation-item-co-purchase"
