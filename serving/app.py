"""The one place where the process is wired: settings in, an app out, nothing at import time."""

import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from serving.access import MeteredAccess
from serving.admission import Admission
from serving.answer_log import AnswerLog, start_answer_log, stop_answer_log
from serving.api_keys import open_key_ring
from serving.clock import Clock
from serving.desk import Desk
from serving.event_intake import Intake
from serving.metrics import make_metrics
from serving.online_breaker import Breakers, opened_with_breakers
from serving.online_features import open_online_features
from serving.problems import ProblemDocument, install_problem_answers
from serving.release_watch import Champion, Watch, start
from serving.routes import add_routes
from serving.settings import Settings, load_settings
from serving.shadow import offer_lines
from serving.slate_requests import DirectSlates
from serving.spool import open_spool
from serving.storefront import add_storefront

#: Pushes, pages and the like answered at the same time; the work is CPU, so more would only wait for each other.
THREADS = 8
#: Seconds that a thread which shoppers do not wait for (the log, the look at the pointer) may hold up one that answers;
#: Python's 5 ms come again each time that an answer reads a row, runs the model or multiplies.
HELD_UP_SECONDS = 0.0002
DESCRIPTION = """\
Personal slates with a reason for each item, from the newest features of each user.

An event pushed to `/v1/events` changes the next slate. Every answer names its release and where it came from:
`personalised`, `session` or `popular`. Errors are problem documents (RFC 9457).
"""


def create_app(settings: Settings) -> FastAPI:
    """Wire the app from settings; the release is loaded when the server starts (lifespan)."""
    metrics = make_metrics()
    intake = Intake(open_spool(settings.spool_path), settings.pseudonym_key, metrics)
    champion = Champion()
    overheard = partial(_let_shadow_hear, champion)
    answer_log = AnswerLog(settings.spool_path / "answers", settings.answer_log_share, metrics, overheard)
    desk = Desk(settings, champion, Clock(settings.clock), metrics, intake, answer_log)
    open_online = partial(opened_with_breakers, partial(open_online_features, settings.online_store), Breakers())
    watch = Watch(settings, desk.champion, metrics, open_online)
    app = FastAPI(
        title="Aisle",
        version="1",
        description=DESCRIPTION,
        lifespan=_lifespan(watch, answer_log),
        docs_url=None,  # the stock pages load scripts from elsewhere; /openapi.json has everything
        redoc_url=None,
    )
    install_problem_answers(app)
    add_routes(app, desk)
    add_storefront(app, desk)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    app.add_middleware(DirectSlates, desk=desk)
    ring = open_key_ring(settings.api_keys_path, settings.api_keys == "required")
    app.add_middleware(MeteredAccess, metrics=metrics, admission=Admission(ring, settings.max_body_bytes))
    return app


def _let_shadow_hear(champion: Champion, lines: list[bytes]) -> None:
    trial = champion.trial
    if trial is not None and trial.shadow is not None:
        offer_lines(trial.shadow, lines)


def application() -> FastAPI:
    """Make the app from the environment, for a server that wants a factory."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return create_app(load_settings())


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        template = "#/components/schemas/{model}"
        _, problems = models_json_schema([(ProblemDocument, "serialization")], ref_template=template)
        schema["components"]["schemas"].update(problems["$defs"])
        app.openapi_schema = schema
    return app.openapi_schema


def _lifespan(watch: Watch, answer_log: AnswerLog) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        sys.setswitchinterval(HELD_UP_SECONDS)
        start_answer_log(answer_log)
        watching = await anyio.to_thread.run_sync(partial(start, watch))
        try:
            yield
        finally:
            watch.champion.stopping.set()
            # The threads of requests may all still wait for something.
            await anyio.to_thread.run_sync(partial(stop_answer_log, answer_log), limiter=anyio.CapacityLimiter(1))
            await anyio.to_thread.run_sync(partial(watching.join, 5), limiter=anyio.CapacityLimiter(1))

    return lifespan
