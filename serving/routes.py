"""The API's endpoints: each takes a request of the contract, asks one function, and gives its answer."""

from functools import partial

import anyio
import anyio.to_thread
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from feature_repo.schema import INTERACTION_TYPES, pseudonym
from serving.contract import (
    BatchRequest,
    EventsReceipt,
    EventsRequest,
    Health,
    RecommendationRequest,
    Recommendations,
    SimilarItems,
    SimilarItemsRequest,
    Slates,
)
from serving.described_problems import problems
from serving.desk import Desk, answer_batch, answer_recommendations, release_in_use
from serving.event_intake import take_events
from serving.exposure import TrialRecommendations
from serving.online_rows import OnlineStoreUnavailable
from serving.problems import Problem
from serving.similar_items import similar_items
from serving.trial import Trial
from serving.waited_reads import in_time

#: Batches answered at the same time, in threads of their own: each is a second of work, which shoppers' events and the
#: questions of a load balancer do not wait for.
BATCHES = 2


def answer_similar(desk: Desk, request: SimilarItemsRequest) -> SimilarItems:
    """Answer one request for items like an item. Raises Problem 404 for an item outside the release."""
    release = release_in_use(desk)
    if request.item_id not in release.catalogue.index:
        raise Problem(
            404,
            "unknown-item",
            "The item is not in this release",
            f"Expected an item of release {release.release_id}; a new item comes with the next one.",
        )
    return similar_items(release, request.item_id, request.k, desk.clock.now(release.as_of), request.language)


def answer_events(desk: Desk, request: EventsRequest) -> EventsReceipt:
    """Take pushed events."""
    release = release_in_use(desk)
    receipt = take_events(desk.intake, release, request.events, desk.clock.now(release.as_of))
    if desk.champion.trial is not None:
        _note_clicks(desk, desk.champion.trial, request)
    return receipt


def _note_clicks(desk: Desk, trial: Trial, request: EventsRequest) -> None:
    """Let an experiment know of deeds upon items that its users were shown."""
    for event in request.events:
        if event.event_type in INTERACTION_TYPES:
            user = event.pseudonym or pseudonym(event.user_id or "", desk.settings.pseudonym_key)
            trial.guard.note_click(user, event.item_id)


def add_routes(app: FastAPI, desk: Desk) -> None:
    """Add the API to the app."""
    batches = anyio.CapacityLimiter(BATCHES)

    @app.post("/v1/recommendations", tags=["shoppers"], responses=problems())
    def recommendations(request: RecommendationRequest) -> Recommendations | TrialRecommendations:
        """Give a slate for a user, an anonymous visitor, or anybody."""
        # This is the description; slate_requests.py answers before a request comes here, with the same function.
        return answer_recommendations(desk, request)

    @app.post("/v1/recommendations/batch", tags=["shoppers"], response_model=Slates, responses=problems())
    async def batch(request: BatchRequest) -> Response:
        """Give the slates of up to 1,000 users at once, for an e-mail send."""
        slates = await anyio.to_thread.run_sync(answer_batch, desk, request, limiter=batches)
        return Response(slates, media_type="application/json")

    @app.post("/v1/similar-items", tags=["shoppers"], responses=problems(404))
    def similar(request: SimilarItemsRequest) -> SimilarItems:
        """Give items like one item."""
        return answer_similar(desk, request)

    @app.post("/v1/events", tags=["shoppers"], responses=problems())
    def events(request: EventsRequest) -> EventsReceipt:
        """Take events. When this answers they are on disk, and the next slate of their users knows them."""
        return answer_events(desk, request)

    _add_operators_routes(app, desk)


def _add_operators_routes(app: FastAPI, desk: Desk) -> None:
    """Add what load balancers and Prometheus ask; it waits for no thread."""

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", tags=["operators"])
    async def healthz() -> Health:
        """Say that the process is alive."""
        return Health(status="ok")

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", tags=["operators"], responses={503: {"model": Health}})
    async def readyz(response: Response) -> Health:
        """Say whether slates can be given, and from which release."""
        health = await _readiness(desk)
        response.status_code = 200 if health.status == "ready" else 503
        return health

    @app.get("/metrics", tags=["operators"], response_class=Response)
    async def metrics() -> Response:
        """Give the metrics in Prometheus's format."""
        return Response(generate_latest(desk.metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _readiness(desk: Desk) -> Health:
    release = desk.champion.release
    if release is None:
        return Health(status="not ready", detail=f"waiting for {desk.champion.waits_for}")
    detail = "the newest champion could not be loaded; the one before answers" if desk.champion.problem else None
    if release.online is None:
        return Health(status="ready", release_id=release.release_id, online_store="unavailable", detail=detail)
    try:
        await in_time(desk.reader, release.online, partial(release.online.read, "u_" + "0" * 24))
    except OnlineStoreUnavailable:
        return Health(status="ready", release_id=release.release_id, online_store="unavailable", detail=detail)
    return Health(status="ready", release_id=release.release_id, online_store="ok", detail=detail)
