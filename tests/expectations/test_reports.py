"""Reports say what was found, alone and safely."""

import base64
import re
from datetime import timedelta
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from expectations.report import headline, html_report, markdown_report
from expectations.trend_picture import trend_svg
from expectations.validate import Check, References, Verdict, check_table
from feature_repo.schema import EVENTS
from tests.expectations.planted import NOW, REFERENCES, connection_with, event

TREND = [(f"2026-{month:02d}", 100_000 + month, 40 * month) for month in range(1, 13)]


class Reader(HTMLParser):
    """Collects the words of a page and every address that it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.fetched = "", []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag in ("script", "link", "iframe", "img"):
            self.fetched.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += f" {data}"


@pytest.fixture(scope="module")
def held_verdict() -> Verdict:
    rows = [event(row, unit_price=-3.0 if row in (4, 5) else 2.5) for row in range(40)]
    rows[7] |= {"event_time": NOW + timedelta(days=900), "currency": "USD"}
    return check_table(connection_with("events", rows), "incoming", EVENTS, REFERENCES)


@pytest.fixture(scope="module")
def refused_verdict() -> Verdict:
    return check_table(connection_with("events", []), "incoming", EVENTS, References(None, NOW))


def test_both_reports_hold_the_verdict_the_counts_and_every_check(held_verdict: Verdict) -> None:
    page = Reader()
    page.feed(html_report(held_verdict, TREND))
    for text in (markdown_report(held_verdict, TREND), page.words):
        for words in (
            "passed, with warnings, 3 rows held",
            "7.50 %",
            "smallest unit_price = -3; largest unit_price = 2.5",
            "latest event_time = 2028-10-20 12:00:00 UTC",
            "Held rows by rule",
        ):
            assert words in text
        for check in held_verdict.checks:
            assert check.rule in text


def test_failed_checks_stand_above_passed_ones(held_verdict: Verdict) -> None:
    text = markdown_report(held_verdict, TREND)
    results = re.findall(r"^\| \**([a-z]+)\** \| `", text, flags=re.MULTILINE)
    assert results == sorted(results, key=lambda word: word == "passed")
    assert set(results) == {"held", "warning", "passed"}


def test_the_page_fetches_nothing_and_runs_nothing(held_verdict: Verdict) -> None:
    text = html_report(held_verdict, TREND)
    page = Reader()
    page.feed(text)
    assert page.fetched == []
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


def test_the_artifact_is_small_and_plain(held_verdict: Verdict) -> None:
    text = markdown_report(held_verdict, [(f"w{n}", 1000, n) for n in range(5000)])
    assert len(text.encode()) < 100_000
    assert all(ord(letter) < 0x2190 for letter in text)


def test_a_refused_table_says_what_to_do(refused_verdict: Verdict) -> None:
    page = Reader()
    page.feed(html_report(refused_verdict, []))
    assert "events: refused" in " ".join(page.words.split())
    assert "Nothing of the table was written" in page.words
    assert "Look whether the export is empty" in page.words
    assert "**refused** | `rows_present`" in markdown_report(refused_verdict, [])


def test_a_crashed_check_is_not_called_bad_data() -> None:
    crash = Check("odd", "A sentence.", "table", "warning", "a number", "nothing", 0, False, error="no column x")
    verdict = Verdict("events", 3, False, (crash,), 0)
    assert headline(verdict) == "could not be checked"
    assert "The check crashed: no column x" in html_report(verdict, [])
    assert "**crashed**" in markdown_report(verdict, [])


def test_words_of_the_data_stay_words() -> None:
    odd = Check("r", "<script>alert(1)</script>", "table", "warning", "a | b", "x\n| y", 0, False)
    verdict = Verdict("events", 1, True, (odd,), 0)
    assert "<script>" not in html_report(verdict, [("<b>", 1, 0)])
    assert "<script>" not in markdown_report(verdict, [])
    line = next(line for line in markdown_report(verdict, []).splitlines() if line.startswith("| **warning** | `r`"))
    assert len(re.findall(r"(?<!\\)\|", line)) == 7


def test_the_picture_in_the_artifact_is_an_svg_of_the_trend(held_verdict: Verdict) -> None:
    text = markdown_report(held_verdict, TREND)
    (encoded,) = re.findall(r"!\[[^\]]+\]\(data:image/svg\+xml;base64,([^)]+)\)", text)
    picture = ElementTree.fromstring(base64.b64decode(encoded))
    bars = picture.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 2 * len(TREND)
    heights = [float(bar.get("height", "0")) for bar in bars]
    assert heights[len(TREND) :] == sorted(heights[len(TREND) :])
    assert "2026-12: 100,012 rows, 480 held (0.48 %)" in ElementTree.tostring(picture, encoding="unicode")


@pytest.mark.parametrize("trend", [[("w", 0, 0)], [("w", 5, 5)], [("a", 1, 0), ("b", 0, 0)]])
def test_a_picture_can_be_made_of_any_windows(trend: list[tuple[str, int, int]]) -> None:
    ElementTree.fromstring(trend_svg(trend))


def test_without_windows_there_is_no_picture(held_verdict: Verdict) -> None:
    assert trend_svg([]) == ""
    assert "data:image" not in markdown_report(held_verdict, [])
