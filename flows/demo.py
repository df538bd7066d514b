"""The demo: from an empty folder to three slates over HTTP, on real data, by the same flows that production runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.settings import PREFECT_API_URL, temporary_settings
from rich.console import Console

from flows.demo_report import (
    gate_lines,
    models_table,
    next_steps,
    rows_table,
    slate_table,
    times_table,
    verdicts_table,
)
from flows.memory import MemoryWatch
from flows.pipeline import PipelineSummary, pipeline
from flows.releases import read_manifest, read_pointer
from flows.run_progress import progress_on
from flows.run_records import newest_verdicts, stage_seconds
from flows.services import OBJECT_STORE, running_pids, start_services
from flows.settings import Settings
from flows.storefront_client import ask_for_slate, wait_for_release

SLATE_LENGTH = 8
RELEASE_SECONDS = 60
NEVER_SEEN = "somebody-never-seen"


def run_demo(settings: Settings, console: Console, source: str = "complete_journey") -> None:
    """Start what is needed, run the pipeline on `source`, start serving, ask for three users, print all of it.

    What was done by an earlier demo is kept and not done again. Services are left running.
    """
    times: list[tuple[str, float]] = []
    with MemoryWatch(lambda: running_pids(settings)) as memory, progress_on(console):
        with _timed("start services", times):
            start_services(settings, (OBJECT_STORE, "prefect"), console.print)
        with temporary_settings({PREFECT_API_URL: settings.services.prefect_api_url}):
            summary, stages = _run_pipeline(source)
            times += stages
            verdicts = newest_verdicts()
        release = _champion(settings)
        with _timed("start serving", times):
            start_services(settings, ("serving",), console.print)
            wait_for_release(settings.services.serving_url, release["release_id"], RELEASE_SECONDS)
        with _timed("ask for three slates", times):
            answers = _ask(settings, release)
    console.print(rows_table(summary.ingested.tables), verdicts_table(verdicts))
    trained = summary.trained
    console.print(models_table(trained.test, trained.challenger), f"{gate_lines(trained.gate)}\n  {trained.sentence()}")
    console.print(*(slate_table(label, answer) for label, answer in answers))
    console.print(times_table(times, memory.peak_bytes))
    console.print(next_steps(settings, release["release_id"]))


@contextmanager
def _timed(stage: str, times: list[tuple[str, float]]) -> Iterator[None]:
    began = time.monotonic()
    yield
    times.append((stage, time.monotonic() - began))


def _run_pipeline(source: str) -> tuple[PipelineSummary, list[tuple[str, float]]]:
    """Run the pipeline as a flow on our server; a stage that fails stops the demo with the stage's own message."""
    state = pipeline(source, return_state=True)
    summary: PipelineSummary = state.result()
    run_id = state.state_details.flow_run_id
    return summary, stage_seconds(run_id) if run_id else []


def _champion(settings: Settings) -> dict[str, Any]:
    pointer = read_pointer(settings)
    if pointer is None:
        raise RuntimeError("The gate refused the first model, so there is no release to ask. Its reasons stand above.")
    return read_manifest(settings, pointer.release_id)


def _ask(settings: Settings, release: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The slates of the release's sample users (a heavy one, a light one) and of one never seen."""
    users = [(each["label"], {"pseudonym": each["pseudonym"]}) for each in release["sample_users"][:2]]
    users.append(("a user never seen", {"user_id": NEVER_SEEN}))
    return [(label, ask_for_slate(settings.services.serving_url, user, SLATE_LENGTH)) for label, user in users]
