"""The storefront page: pick a user, see their history and their slate with reasons, click, see the slate change.

Server-rendered, no scripts: a click is a form whose answer is a redirect, so that reloading repeats nothing.
"""

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

import anyio.to_thread
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, Template
from pydantic import ValidationError

from feature_repo.schema import pseudonym
from serving.clock import shop_time
from serving.contract import Event, EventsRequest, RecommendationRequest, SimilarItemsRequest
from serving.desk import Desk, answer_recommendations, release_in_use
from serving.page_items import card, changes, history_entry
from serving.problems import Problem
from serving.reasons import readable
from serving.recommender import Question, read_rows
from serving.release import Release
from serving.routes import answer_events, answer_similar

PAGES = Path(__file__).parent / "pages"
SLATE_LENGTH = 12
HISTORY_SHOWN = 8
SIMILAR_SHOWN = 6
Before = Annotated[tuple[str, ...], Query()]
CLICKS = {"view": "looked at", "add_to_cart": "put in the basket", "purchase": "bought"}
_PSEUDONYM = re.compile(r"u_[0-9a-f]{24}")
_POLICY = (
    "default-src 'none'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def add_storefront(app: FastAPI, desk: Desk) -> None:
    """Add the page, its style sheet and its two forms to the app."""
    template = Environment(loader=FileSystemLoader(PAGES), autoescape=True, trim_blocks=True).get_template(
        "storefront.html"
    )
    style = (PAGES / "storefront.css").read_text()

    @app.head("/", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    def storefront(
        user: str = "", clicked: str = "", deed: str = "", similar: str = "", was: Before = ()
    ) -> HTMLResponse:
        view = {"clicked": clicked, "deed": deed, "similar": similar, "before": list(was[:SLATE_LENGTH])}
        return _page(desk, template, user, view)

    @app.get("/storefront.css", include_in_schema=False)
    def storefront_style() -> Response:
        return Response(style, media_type="text/css", headers={"Cache-Control": "max-age=300"})

    @app.get("/visitor", include_in_schema=False)
    def visitor() -> RedirectResponse:
        return _to_page(user=pseudonym(f"visitor {secrets.token_hex(8)}", desk.settings.pseudonym_key))

    @app.post("/pick", include_in_schema=False)
    async def pick(request: Request) -> RedirectResponse:
        form = await _form(request)
        user_id = form.get("user_id", [""])[0].strip()
        return _to_page(user=pseudonym(user_id, desk.settings.pseudonym_key)) if user_id else _to_page()

    app.add_api_route("/click", _click_endpoint(desk), methods=["POST"], include_in_schema=False)


def _click_endpoint(desk: Desk) -> Callable[[Request], Any]:
    async def click(request: Request) -> RedirectResponse:
        form = await _form(request)
        user, item_id, deed = (form.get(name, [""])[0] for name in ("user", "item_id", "event_type"))
        request_body = EventsRequest(events=[_clicked_event(release_in_use(desk), user, item_id, deed)])
        await anyio.to_thread.run_sync(answer_events, desk, request_body)
        return _to_page("#slate", user=user, clicked=item_id, deed=deed, was=form.get("was", [])[:SLATE_LENGTH])

    return click


def _clicked_event(release: Release, user: str, item_id: str, deed: str) -> Event:
    misunderstood = Problem(422, "invalid-request", "The click is not understood", "Go back to / and pick a user.")
    if deed not in CLICKS:  # no button of the page says it
        raise misunderstood
    try:
        event = Event(pseudonym=user, item_id=item_id, event_type=deed, channel="web")
    except ValidationError:
        raise misunderstood from None
    position = release.catalogue.index.get(item_id)
    if deed == "purchase" and position is not None:
        item = release.catalogue.items[position]
        return event.model_copy(update={"quantity": 1.0, "unit_price": item.price, "currency": item.currency})
    return event


def _page(desk: Desk, template: Template, user: str, view: dict[str, Any]) -> HTMLResponse:
    nonce = secrets.token_urlsafe(12)
    headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(nonce=nonce)}
    if desk.champion.release is None:
        return HTMLResponse(template.render(release=None, waits_for=desk.champion.waits_for), 503, headers)
    release = release_in_use(desk)
    users = [{"pseudonym": sample.pseudonym, "label": sample.label} for sample in release.sample_users]
    if not _PSEUDONYM.fullmatch(user):
        user = users[0]["pseudonym"] if users else ""
    answer = answer_recommendations(desk, RecommendationRequest(pseudonym=user or None, k=SLATE_LENGTH))
    cards = [card(item, view["before"]) for item in answer.slate]
    now = shop_time(answer.as_of, desk.settings.shop_timezone)
    page = {
        "release": release,
        "nonce": nonce,
        "users": users,
        "user": user,
        "is_sample": any(sample["pseudonym"] == user for sample in users),
        "answer": answer,
        "now": now,
        "cards": cards,
        **_history(desk, release, user, now),
        "change": _change(release, view, changes(cards)),
        "similar": _similar(desk, release, view["similar"]),
    }
    return HTMLResponse(template.render(page), 200, headers)


def _history(desk: Desk, release: Release, user: str, now: datetime) -> dict[str, Any]:
    (row,) = read_rows(release, [Question(user or None, 1)], desk.metrics)
    if row is None:
        return {"history_unread": True}
    known = [entry for entry in row.history if entry.item_id in release.catalogue.index]
    shown = [history_entry(entry, release, now) for entry in reversed(known[-HISTORY_SHOWN:])]
    return {"history": shown, "outside": len(row.history) - len(known)}


def _change(release: Release, view: dict[str, Any], words: str) -> dict[str, str] | None:
    position = release.catalogue.index.get(view["clicked"])
    if position is None or view["deed"] not in CLICKS or not view["before"]:
        return None
    title = readable(release.catalogue.items[position].title)
    return {"deed": CLICKS[view["deed"]], "title": title, "words": words}


def _similar(desk: Desk, release: Release, item_id: str) -> dict[str, Any] | None:
    if item_id not in release.catalogue.index:
        return None
    answer = answer_similar(desk, SimilarItemsRequest(item_id=item_id, k=SIMILAR_SHOWN))
    title = readable(release.catalogue.items[release.catalogue.index[item_id]].title)
    return {"title": title, "cards": [card(item, []) for item in answer.slate]}


async def _form(request: Request) -> dict[str, list[str]]:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "cross-site", "A form of another site", "Use the page at / itself.")
    body = await request.body()
    try:
        return parse_qs(body.decode("utf-8", "replace"), max_num_fields=100)
    except ValueError:
        raise Problem(422, "invalid-request", "The form is not understood", "Go back to / and try again.") from None


def _to_page(anchor: str = "", **query: str | list[str]) -> RedirectResponse:
    return RedirectResponse(f"/?{urlencode(query, doseq=True)}{anchor}", 303)
