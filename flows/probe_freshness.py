"""Be a shopper of our own and measure how soon an event changes the next answer: the story, run every ten minutes."""

import time

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.automations import announce
from flows.freshness import FreshnessRun, freshness_page, keep_run, probe
from flows.settings import load_settings

FRESHNESS_MISSED = "aisle.freshness.missed"


@flow(name="probe-freshness")
def probe_freshness(events: int = 20) -> FreshnessRun:
    """Post `events` as probe shoppers and draw the SLO on the artifact `freshness`.

    Its page is a history. A run beyond the goal is a warning and the event aisle.freshness.missed. Raises
    ServingUnreachable when serving does not answer.
    """
    settings, log = load_settings(), get_run_logger()
    run = probe(settings, events, first=int(time.time() // 600) * events)
    told = f"p99 {run.p99_ms:.0f} ms from an event to the next answer; not seen: {run.unseen} of {run.events}"
    create_markdown_artifact(freshness_page(keep_run(settings, run)), key="freshness", description=told)
    if run.within_goal:
        log.info("an event changes the next answer within %.0f ms (p99)", run.p99_ms)
    else:
        log.warning("p99 %.0f ms, %d of %d events changed no answer", run.p99_ms, run.unseen, run.events)
        announce(FRESHNESS_MISSED, "serving", {"p99_ms": run.p99_ms, "unseen": run.unseen})
    return run
