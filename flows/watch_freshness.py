"""The story of the freshness watch: measure every stage, show it with its history, tell what went over its limit."""

from collections.abc import Sequence
from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.automations import FRESHNESS_BREACHED, RETRAIN_WANTED, announce
from flows.settings import load_settings
from flows.stage_lags import StageLag, fresh_breaches, measure_freshness, read_history, remember
from flows.stage_lags_picture import freshness_data_uri
from flows.stops import put_stop
from flows.watch_policy import load_policy

ARTIFACT_KEY = "stage-lags"


@flow(name="watch-freshness")
def watch_freshness() -> list[StageLag]:
    """Measure how far behind each stage is; one that went over its limit triggers what watch.toml says, once.

    Raises PolicyError when watch.toml cannot be meant.
    """
    settings, now = load_settings(), datetime.now(UTC)
    lags = measure(now)
    breaches = fresh_breaches(read_history(settings), lags)
    act(breaches)
    show(remember(settings, now, lags), lags)
    return lags


@task(cache_policy=NO_CACHE)
def measure(now: datetime) -> list[StageLag]:
    """Ask lake, features, online store and releases for their newest event."""
    settings, log = load_settings(), get_run_logger()
    lags = measure_freshness(settings, load_policy(settings), now)
    for lag in lags:
        log.log(30 if lag.over else 20, "%s", lag.words)
    return lags


def act(breaches: Sequence[StageLag]) -> None:
    """Do what the policy says of stages that were within their limit at the measurement before."""
    settings = load_settings()
    actions, words = load_policy(settings).stale_actions, [lag.words for lag in breaches]
    if not breaches:
        return
    facts = {"text": f"Over the freshness limit: {'; '.join(words)}. Artifact: {ARTIFACT_KEY}."}
    if "stop" in actions:
        put_stop(settings, "freshness", words)
    if "alert" in actions:
        announce(FRESHNESS_BREACHED, "freshness", facts)
    if "retrain" in actions:
        announce(RETRAIN_WANTED, "freshness", facts)


def show(history: Sequence[dict[str, object]], lags: Sequence[StageLag]) -> None:
    """Put the measurement and its history on the run's page."""
    over = [lag.stage for lag in lags if lag.over]
    headline = f"over the limit: {', '.join(over)}" if over else "every stage is within its limit"
    lines = [
        "# Freshness",
        "",
        f"**{headline[0].upper() + headline[1:]}**",
        "",
        f"![how far behind each stage was]({freshness_data_uri(history, lags)})",
        "",
        *(f"- {lag.words}{' **over**' if lag.over else ''}" for lag in lags),
    ]
    create_markdown_artifact("\n".join(lines) + "\n", key=ARTIFACT_KEY, description=headline)
