"""The page in a real browser: history, slate with reasons, a click that visibly changes it, on desktop and phone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect, sync_playwright
from starlette.testclient import TestClient

from flows.settings import Settings as FlowSettings
from serving.app import create_app
from serving.contract import Reason, SlateItem
from serving.history import Interaction, UserRow
from serving.page_items import card
from serving.release import Release
from serving.settings import load_settings
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.tiny_shop import AS_OF, MILK, PUBLIC_KEY, REGULAR, STRANGER

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    """A page that fails the test when it asks for anything outside the server, or its console complains."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--no-proxy-server"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: complaints.append(request.url) if _outside(request.url) else None)
        yield page
        browser.close()
    assert not complaints


def _outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1:", "data:"))


def shown(page: Page) -> list[str]:
    return page.locator("ol.slate > li").evaluate_all("cards => cards.map(card => card.dataset.item)")


@pytest.fixture
def own_server(object_store: FlowSettings, shop: Path, tmp_path: Path) -> Iterator[Server]:
    """A server of one test alone: what is bought there, no other test is told."""
    settings = own_settings(object_store, tmp_path, "storefront-tests")
    publish_tiny(settings, shop, "r20180101-first")
    with running_server(settings, shop) as server:
        wait_until(lambda: release_of(server) is not None, 30)
        yield server


def test_a_click_changes_the_history_and_the_slate(own_server: Server, page: Page, tmp_path: Path):
    page.goto(own_server.url)
    expect(page.get_by_role("link", name="A regular")).to_have_attribute("aria-current", "true")
    expect(page.locator("ol.history > li").first).to_contain_text("Milk")
    expect(page.locator(".source")).to_have_text("personalised")
    expect(page.locator("ol.slate > li").first).to_contain_text("You bought this 3 times, last on 27 Dec.")
    expect(page.locator("ol.slate > li").first).to_contain_text("$1.24")
    page.screenshot(path=tmp_path / "desktop.png", full_page=True)
    before = shown(page)
    assert len(before) == 12
    page.locator("ol.slate > li").nth(7).get_by_role("button", name="Buy").click()
    expect(page.locator(".change")).to_contain_text("You bought")
    assert shown(page) != before
    assert page.locator(".move").count() > 0
    expect(page.locator("ol.history > li").first).to_contain_text("Bought · just now")
    page.screenshot(path=tmp_path / "after.png", full_page=True)
    rows = [
        json.loads(line)
        for path in (own_server.home / "spool").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    bought = [row for row in rows if (row["user_id"], row["event_type"]) == (REGULAR, "purchase")]
    assert [(row["item_id"], row["unit_price"], row["currency"]) for row in bought] == [(before[7], 2.24, "USD")]
    changed = shown(page)
    page.reload()
    assert shown(page) == changed


def test_a_new_visitor_gets_popular_items_until_the_first_click(served: Server, page: Page):
    page.goto(f"{served.url}/visitor")
    expect(page.locator(".source")).to_have_text("popular")
    expect(page.locator("aside")).to_contain_text("Nothing yet")
    page.locator("ol.slate > li .look").nth(3).click()
    expect(page.locator(".source")).to_have_text("personalised")


def test_someone_new_and_the_shops_own_id_lead_to_a_slate_without_raw_ids(served: Server, page: Page):
    page.goto(served.url)
    page.get_by_role("link", name="Someone new").click()
    expect(page.locator(".source")).to_have_text("popular")
    page.get_by_label("own user id").fill("regular")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(f"{served.url}/?user={REGULAR}")


def test_similar_items_are_shown_under_the_slate(served: Server, page: Page):
    page.goto(f"{served.url}/?user={STRANGER}")
    page.locator("ol.slate > li", has_text="Milk").first.get_by_role("link", name="Similar").click()
    expect(page.locator("#similar h2")).to_have_text("Similar to Milk")
    assert page.locator("#similar li").count() >= 3


def test_the_page_fits_a_phone(served: Server, page: Page, tmp_path: Path):
    page.set_viewport_size(PHONE)
    page.goto(served.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.screenshot(path=tmp_path / "phone.png", full_page=True)


def test_text_of_the_catalogue_and_of_the_address_cannot_become_markup(served: Server):
    text = httpx.get(f"{served.url}/", params={"user": "<b>", "similar": "<script>"}, trust_env=False).text
    assert "<b>" not in text
    assert "<script" not in text


def test_an_address_with_a_line_more_than_a_pseudonym_gives_the_page_of_the_first_user(served: Server):
    page = httpx.get(f"{served.url}/", params={"user": f"{STRANGER}\n"}, trust_env=False)
    assert page.status_code == 200
    assert STRANGER + "\n" not in page.text


class _Row:
    """An online store on this machine that knows one user."""

    waits = False

    def __init__(self, row: UserRow) -> None:
        self.row = row

    def read_many(self, names: list[str]) -> list[UserRow]:
        return [self.row] * len(names)


def page_of(release: Release, tmp_path: Path, **view: str) -> str:
    environ = {"AISLE_HOME": str(tmp_path), "AISLE_PSEUDONYM_KEY": "a", "AISLE_S3_SECRET_KEY": "b"}
    environ |= {"AISLE_RELEASE_PUBLIC_KEY": PUBLIC_KEY, "AISLE_S3_ENDPOINT_URL": "http://127.0.0.1:9"}
    app = create_app(load_settings(environ))
    desk = next(layer.kwargs["desk"] for layer in app.user_middleware if "desk" in layer.kwargs)
    desk.champion.release = release
    shop = TestClient(app)
    style = f"<style>{shop.get('/storefront.css').text}</style>"
    page = shop.get("/", params={"user": REGULAR, **view}).text
    return page.replace('<link rel="stylesheet" href="/storefront.css">', style)


def test_a_history_that_cannot_be_read_is_not_told_as_none(release: Release, tmp_path: Path):
    page = page_of(replace(release, online=None), tmp_path)
    assert "The history cannot be read now." in page
    assert "Nothing yet" not in page


def test_a_history_of_items_outside_the_release_is_not_told_as_none(release: Release, tmp_path: Path):
    row = UserRow(tuple(Interaction(f"old {day}", "purchase", int(AS_OF.timestamp()) - day) for day in (3, 2, 1)))
    page = page_of(replace(release, online=_Row(row)), tmp_path)
    assert "3 of items outside this release." in page
    assert "Nothing yet" not in page


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_titles_without_a_blank_and_long_prices_stay_in_their_places(
    release: Release, tmp_path: Path, page: Page, width: int
):
    items = [replace(item, title="x" * 200, price=999_999_999.99, currency="SEK") for item in release.catalogue.items]
    long = replace(release, catalogue=replace(release.catalogue, items=tuple(items)))
    page.set_viewport_size({"width": width, "height": 900})
    page.set_content(page_of(long, tmp_path, clicked=MILK, deed="view", was="i02", similar=MILK))
    assert page.locator("ol.history > li").count() > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = "all => all.filter(one => one.scrollWidth > one.clientWidth + 1).length"
    assert (
        page.locator("aside, .change, #similar h2, ol.slate > li, ol.row > li, .foot > .price").evaluate_all(wide) == 0
    )
    # A number stays in one line, its currency in the next.
    broken = "all => all.filter(one => one.clientHeight > 2.2 * parseFloat(getComputedStyle(one).lineHeight)).length"
    assert page.locator(".foot > .price").evaluate_all(broken) == 0


@pytest.mark.parametrize(
    ("price", "currency", "told"),
    [
        (1500, "JPY", "¥1,500"),
        (12900, "KRW", "12,900 KRW"),
        (1.5, "JPY", "¥1.50"),
        (1.235, "KWD", "1.235 KWD"),
        (1.5, "USD", "$1.50"),
        (0.004, "KWD", "0.004 KWD"),
        (0.004, "USD", ""),
        (None, "USD", ""),
    ],
)
def test_a_price_has_the_decimals_of_its_currency(price: float | None, currency: str, told: str):
    item = SlateItem(1, "a", "A", None, None, price, currency, None, Reason("popular", ""), [])
    assert card(item, []).price == told


def test_a_form_of_another_site_is_refused(served: Server):
    answer = httpx.post(
        f"{served.url}/click",
        data={"user": REGULAR, "item_id": "i01", "event_type": "view"},
        headers={"Sec-Fetch-Site": "cross-site"},
        trust_env=False,
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("deed", ["return", "offer_redeemed", "search", "like", "bought", ""])
def test_a_click_is_one_of_the_deeds_that_the_page_has_buttons_for(served: Server, deed: str):
    form = {"user": STRANGER, "item_id": MILK, "event_type": deed}
    refused = httpx.post(f"{served.url}/click", data=form, trust_env=False)
    assert (refused.status_code, refused.json()["title"]) == (422, "The click is not understood")
