"""What an operator sees: Prefect's pages in a real browser, with our deployments, automations and verdicts."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from flows.services import start_services
from flows.settings import Settings, environment_for_children
from tests.planted_shop import write_shop

PAGE_MILLISECONDS = 60_000


@pytest.fixture(scope="module")
def ingested(deployed: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The planted shop landed by the real command, so that its verdicts are on the server."""
    start_services(deployed, ("object-store",))
    mapping = write_shop(tmp_path_factory.mktemp("shop"))
    command = [str(Path(sys.executable).parent / "aisle"), "ingest", "--source", str(mapping)]
    done = subprocess.run(command, env=environment_for_children(deployed), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return deployed


@pytest.fixture
def page(chromium_path: str) -> Iterator[Page]:
    """A browser page that fails the test when it asks any host but ours."""
    strangers: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PAGE_MILLISECONDS)
        page.on("request", lambda request: None if _is_ours(request.url) else strangers.append(request.url))
        yield page
        browser.close()
    assert not strangers


def _is_ours(url: str) -> bool:
    return url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))


def _see(page: Page, settings: Settings, where: str, *words: str) -> None:
    page.goto(settings.services.prefect_api_url.removesuffix("/api") + where, wait_until="domcontentloaded")
    for word in words:
        page.get_by_text(word, exact=False).first.wait_for()


@pytest.mark.slow
def test_the_deployments_and_automations_are_on_their_pages(deployed: Settings, page: Page):
    for name in ("ingest-hourly", "features-hourly", "retrain-daily", "report-failure"):  # the page shows ten at a time
        _see(page, deployed, f"/deployments?deployments.flowOrDeploymentNameLike={name}", name)
    _see(page, deployed, "/automations", "aisle: features after ingest", "aisle: crash silent runs")


@pytest.mark.slow
def test_each_table_has_a_page_with_its_verdict_and_a_picture(ingested: Settings, page: Page):
    _see(page, ingested, "/artifacts/key/validation-events", "passed")
    page.locator("a[href*='/artifacts/artifact/']").first.click()
    page.get_by_text("Checks passed", exact=False).first.wait_for()
    picture = page.locator("img[src^='data:image']").first
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 100
