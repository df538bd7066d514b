"""Each reason is one sentence, and true of what the answer was made from."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from serving.contract import Reason
from serving.history import Habit, Interaction, UserRow
from serving.model_inputs import known_row
from serving.online_rows import no_online_rows
from serving.phrases import Language
from serving.reasons import citations, gather_evidence, readable, reason_for
from serving.release import Release, load_release
from serving.similar_items import similar_items
from tests.serving.tiny_shop import AS_OF, BREAD, COFFEE, MILK

NOW = int(AS_OF.timestamp())
DAY = 86_400


def reason(release: Release, row: UserRow, item_id: str, now: datetime = AS_OF, language: Language = "en") -> Reason:
    """The reason of an item whose first citation has been proven."""
    position, known = release.catalogue.index[item_id], known_row(row, release.catalogue.index)
    evidence = gather_evidence(release, known, now, language)
    return reason_for(position, evidence, next(iter(citations(position, evidence)), None))


def seen(item_id: str, event_type: str, ago: int) -> UserRow:
    return UserRow(history=(Interaction(item_id, event_type, NOW - ago),))


def test_a_habit_says_how_often_and_when_last(release: Release):
    row = UserRow(habits=(Habit(MILK, 5.0, NOW - 20 * DAY), Habit(BREAD, 1.0, NOW - 330 * DAY)))
    assert reason(release, row, MILK) == Reason(
        kind="habit", text="You bought this 5 times, last on 12 Dec.", because=[MILK]
    )
    assert reason(release, row, BREAD).text == "You bought this on 5 Feb 2017."


@pytest.mark.parametrize(
    ("event_type", "ago", "text"),
    [
        ("view", 60, "You looked at this just now."),
        ("add_to_cart", DAY // 2, "You put this in your basket yesterday."),
        ("like", 3 * DAY, "You liked this on 29 Dec."),
        ("follow", 3 * DAY, "You followed this on 29 Dec."),
        ("review", 60, "You reviewed this just now."),
    ],
)
def test_the_users_own_deed_is_told(release: Release, event_type: str, ago: int, text: str):
    assert reason(release, seen(MILK, event_type, ago), MILK).text == text


def test_today_is_today(release: Release):
    noon = datetime(2018, 1, 1, 12, tzinfo=UTC)
    row = UserRow(history=(Interaction(MILK, "view", NOW + 3600),))
    assert reason(release, row, MILK, noon).text == "You looked at this today."


def test_an_item_bought_with_one_of_the_users_names_it_and_the_deed(release: Release):
    assert reason(release, seen(BREAD, "add_to_cart", DAY), MILK) == Reason(
        kind="co_purchase", text="Often bought with Bread, which you put in your basket.", because=[BREAD]
    )


def test_items_that_people_only_met_together_are_not_told_as_bought_together(release: Release):
    looked = replace(release, neighbour_bought=np.zeros_like(release.neighbour_bought))
    row = seen(BREAD, "view", DAY)
    assert reason(looked, row, MILK).text == "Often looked at together with Bread, which you looked at."
    alone = replace(looked, vectors=np.zeros_like(release.vectors))
    assert similar_items(alone, BREAD, 3, AS_OF).slate[0].reason.text == "Often looked at together with Bread."
    assert similar_items(alone, BREAD, 3, AS_OF, "zh").slate[0].reason.text == "常与“Bread”一起浏览。"


def test_a_release_from_before_purchases_were_counted_says_the_weaker_sentence(shop: Path):
    path = shop / "r20180101-first" / "neighbours.npz"
    with np.load(path) as stored:
        items, scores = stored["items"], stored["scores"]
    np.savez(path, items=items, scores=scores)
    old = load_release(shop / "r20180101-first", no_online_rows)
    assert reason(old, seen(BREAD, "view", DAY), MILK).text.startswith("Often looked at together")


def test_an_item_like_a_recent_one_names_it(release: Release):
    found = reason(release, seen(MILK, "view", DAY), "i02")
    assert (found.kind, found.because) == ("similar", [MILK])
    assert found.text == "Similar to Milk, which you looked at."


def test_an_item_of_the_same_title_is_called_the_same_kind(release: Release):
    items = list(release.catalogue.items)
    items[2] = replace(items[2], title="Milk")
    twins = replace(release, catalogue=replace(release.catalogue, items=tuple(items)))
    assert reason(twins, seen(MILK, "purchase", DAY), "i02").text == "The same kind as one which you bought."
    items[2] = replace(items[2], title="MILK ")
    twins = replace(release, catalogue=replace(release.catalogue, items=tuple(items)))
    assert reason(twins, seen(MILK, "purchase", DAY), "i02").text == "The same kind as one which you bought."


def test_a_popular_item_is_popular_in_its_first_category(release: Release):
    assert reason(release, UserRow(), COFFEE).text == "Popular in Grocery this month."


@pytest.mark.parametrize(
    ("category", "told"),
    [
        ("1613", "Popular this month."),
        ("37e028f8094eb50b > Tea", "Popular this month."),
        ("A4", "Popular in A4 this month."),
    ],
)
def test_a_number_or_a_hash_of_a_category_is_not_told_to_a_shopper(release: Release, category: str, told: str):
    items = [replace(item, category=category) for item in release.catalogue.items]
    coded = replace(release, catalogue=replace(release.catalogue, items=tuple(items)))
    assert reason(coded, UserRow(), COFFEE).text == told


def test_what_was_popular_before_a_release_of_long_ago_is_not_told_of_this_month(release: Release):
    old = replace(release, as_of=release.as_of - timedelta(days=28))
    assert reason(old, UserRow(), COFFEE).text == "Popular in Grocery."
    assert reason(old, UserRow(), COFFEE, language="zh").text == "“Grocery”类热门。"


def test_what_nobody_bought_is_not_called_popular(release: Release):
    quiet = replace(release, popularity=np.zeros_like(release.popularity), vectors=np.zeros_like(release.vectors))
    assert reason(quiet, UserRow(), COFFEE).text == "From our range."
    found = reason(quiet, seen(MILK, "view", DAY), COFFEE)
    assert (found.kind, found.because) == ("model", [MILK])


@pytest.mark.parametrize("event_type", ["view", "add_to_cart", "purchase", "like", "share", "follow", "review"])
def test_every_kind_of_reason_is_told_in_chinese_too(release: Release, event_type: str):
    quiet = replace(release, popularity=np.zeros_like(release.popularity), vectors=np.zeros_like(release.vectors))
    habits = (Habit(MILK, 5.0, NOW - 20 * DAY), Habit(BREAD, 1.0, NOW - 330 * DAY))
    cases = [(release, UserRow(habits=habits), item) for item in (MILK, BREAD)]
    cases += [(release, seen(MILK, event_type, ago), MILK) for ago in (60, DAY, 3 * DAY)]
    cases += [(release, seen(MILK, event_type, DAY), item) for item in (BREAD, "i02")]
    cases += [(release, UserRow(), COFFEE), (quiet, seen(MILK, event_type, DAY), COFFEE), (quiet, UserRow(), COFFEE)]
    for shop, row, item in cases:
        english, chinese = (reason(shop, row, item, language=each) for each in ("en", "zh"))
        assert (english.kind, english.because) == (chinese.kind, chinese.because)
        assert chinese.text.count("。") == 1
        assert "{" not in chinese.text
        assert chinese.text.endswith("。")


def test_chinese_reasons_read_as_people_write_them(release: Release):
    def told(row: UserRow, item: str) -> str:
        return reason(release, row, item, language="zh").text

    assert told(UserRow(habits=(Habit(MILK, 5.0, NOW - 20 * DAY),)), MILK) == "您买过5次，最近一次是12月12日。"
    assert told(UserRow(habits=(Habit(MILK, 1.0, NOW - 330 * DAY),)), MILK) == "您2017年2月5日买过。"
    assert told(seen(BREAD, "add_to_cart", DAY), MILK) == "常与您加入购物车的“Bread”一起购买。"
    assert told(UserRow(), COFFEE) == "本月“Grocery”类热门。"


def test_names_in_capitals_are_made_readable():
    assert [readable(text) for text in ("GROCERY", "Dairy", "TV", "iPhone")] == ["Grocery", "Dairy", "TV", "iPhone"]
    assert readable("ÉCLAIR 2 KG") == "Éclair 2 kg"


@pytest.mark.parametrize("name", ["USB充电器", "TCL电视机55英寸", "LEDランプ"])
def test_capitals_beside_a_script_without_them_stay(name: str):
    assert readable(name) == name
