"""What the shop's rules do to a slate: blocks, pins, boosts, and what comes again to whom."""

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from feature_repo.slate_rules import Rule, publication, read_rules_file
from serving.arrangement import Limits
from serving.catalogue import Conditions, allowed_items, read_catalogue
from serving.exploration import Exploration
from serving.history import Interaction, UserRow
from serving.metrics import make_metrics
from serving.online_rows import no_online_rows
from serving.placement import Wishes
from serving.recommender import Question, recommend, recommend_many
from serving.release import Release, load_release
from serving.repeat_policy import POLICIES, read_policies
from serving.shelf_rules import HeldBack, bind_rules
from serving.similar_items import similar_items
from tests.serving.tiny_shop import AS_OF, BREAD, COFFEE, COUNT, MILK, REGULAR, SCONES, STRANGER

NOW = int(AS_OF.timestamp())


def ruled(release: Release, text: str, learned: HeldBack | None = None) -> Release:
    published, _ = publication(1, read_rules_file(text), "now")
    return replace(release, rules=bind_rules(published, release.catalogue, learned))


def slate(release: Release, question: Question, now: datetime = AS_OF) -> list[str]:
    return [item.item_id for item in recommend(release, question, now, make_metrics()).slate]


def test_a_blocked_item_is_shown_nowhere_and_the_answer_names_the_rules(release: Release):
    for text in ('[[block]]\nitem = "i01"', '[[block]]\ncategory = "grocery > dairy"\nbrand = "MAKER"'):
        shop = ruled(release, text)
        for question in (
            Question(REGULAR, 30),
            Question(STRANGER, 30),
            Question(REGULAR, 9, Conditions(brand="Maker")),
        ):
            answer = recommend(shop, question, AS_OF, make_metrics())
            assert MILK not in [item.item_id for item in answer.slate]
            assert answer.rules_id == shop.rules.rules_id
        alike = similar_items(shop, "i02", 30, AS_OF)
        assert MILK not in [item.item_id for item in alike.slate]
        assert alike.rules_id == shop.rules.rules_id
    assert recommend(release, Question(REGULAR, 3), AS_OF, make_metrics()).rules_id is None


def test_blanks_around_a_brand_or_a_part_of_a_category_hide_it_from_no_rule_and_no_filter(shop: Path):
    path = shop / "r20180101-first" / "items.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    rows[0] |= {"brand": "Maker ", "category": "GROCERY  > Dairy"}
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    catalogue = read_catalogue(path)
    assert catalogue.items[1].brand == "Maker"
    for text in ('brand = "Maker "', 'category = "Grocery > Dairy"', 'category = "GROCERY  > Dairy"'):
        published, _ = publication(1, read_rules_file(f"[[block]]\n{text}"), "now")
        assert not bind_rules(published, catalogue, None).at(AS_OF).allowed[1]
    asked = [Conditions(category=path) for path in ("Grocery > Dairy", "GROCERY  > Dairy", "grocery >  dairy ")]
    for conditions in (Conditions(brand="Maker"), *asked):
        assert np.flatnonzero(allowed_items(catalogue, conditions)).tolist()[0] == 1


def test_a_rule_holds_from_its_first_moment_to_its_last(release: Release):
    shop = ruled(release, '[[block]]\nitem = "i01"\nfrom = 2018-01-03\nuntil = 2018-01-04')
    moments = [datetime(2018, 1, day, hour, tzinfo=UTC) for day, hour in ((2, 23), (3, 0), (4, 23), (5, 0))]
    assert [MILK in slate(shop, Question(STRANGER, 3), moment) for moment in moments] == [True, False, False, True]


def test_a_pinned_item_has_its_place_says_so_and_obeys_filters_and_blocks(release: Release):
    shop = ruled(release, '[[pin]]\nitem = "i12"\nplace = 2\n[[pin]]\nitem = "i18"\nplace = 3')
    plain = slate(release, Question(REGULAR, 5))
    answer = recommend(shop, Question(REGULAR, 5), AS_OF, make_metrics())
    assert [item.item_id for item in answer.slate] == [plain[0], "i12", *plain[1:4]]
    assert (answer.slate[1].reason.text, answer.slate[1].sources[-1]) == ("Chosen by the shop.", "pin")
    chinese = recommend(shop, Question(REGULAR, 5, language="zh"), AS_OF, make_metrics())
    assert chinese.slate[1].reason.text == "本店精选。"
    assert SCONES not in slate(shop, Question(REGULAR, 30)), "not available, so not pinned"
    assert "i12" not in slate(shop, Question(REGULAR, 5, Conditions(exclude=("i12",))))
    assert slate(shop, Question(REGULAR, 1)) == plain[:1], "the slate ends before the pin's place"
    limited = slate(shop, Question(REGULAR, 4, wishes=Wishes(Limits(per_category=2))))
    assert limited[1] == "i12"
    assert len(limited) == 2, "a pin counts to the limits"


def test_a_boost_moves_items_by_places_up_and_down(release: Release):
    plain = slate(release, Question(STRANGER, COUNT))
    up = ruled(release, '[[boost]]\nitem = "i20"\nplaces = 15')
    place = plain.index("i20")
    assert slate(up, Question(STRANGER, COUNT)).index("i20") == place - 15
    answer = recommend(up, Question(STRANGER, COUNT), AS_OF, make_metrics())
    assert [item.item_id for item in answer.slate if "boost" in item.sources] == ["i20"]
    down = ruled(release, '[[boost]]\nitem = "i01"\nplaces = -3')
    assert slate(down, Question(STRANGER, 5)) == ["i02", "i03", "i04", "i01", "i05"]
    assert slate(ruled(release, '[[boost]]\ncategory = "grocery > drinks"\nplaces = 1000'), Question(STRANGER, 6)) == [
        f"i{number}" for number in range(19, 25)
    ]


def test_bought_items_come_again_only_where_people_buy_again(release: Release):
    drinks = np.zeros(COUNT + 1, np.bool_)
    drinks[release.catalogue.by_category["grocery > drinks"]] = True
    learned = HeldBack(drinks, np.zeros(COUNT + 1, np.bool_))
    shop = ruled(release, "", learned)
    assert COFFEE in slate(release, Question(REGULAR, COUNT))
    found = slate(shop, Question(REGULAR, COUNT))
    assert COFFEE not in found, "bought, and nobody buys a second one"
    assert {MILK, BREAD, "i20"} <= set(found)
    assert COFFEE in slate(shop, Question(STRANGER, COUNT)), "who has none may be shown one"
    viewed = UserRow((Interaction(COFFEE, "view", NOW - 9),))
    (answer,) = recommend_many(shop, [Question(STRANGER, COUNT)], AS_OF, make_metrics(), rows=[viewed])
    assert COFFEE in [item.item_id for item in answer.slate], "looked at, not bought"
    mended = ruled(
        release, '[[policy]]\nitem = "i19"\nbought = "show"\n[[policy]]\nbrand = "Maker"\nseen = "hide"', learned
    )
    assert COFFEE in slate(mended, Question(REGULAR, COUNT)), "the shop knows better"
    (answer,) = recommend_many(mended, [Question(STRANGER, COUNT)], AS_OF, make_metrics(), rows=[viewed])
    assert COFFEE not in [item.item_id for item in answer.slate]


def test_a_pin_that_a_limit_leaves_out_gives_its_place_to_another_item(release: Release):
    pins = "".join(f'[[pin]]\nitem = "i{number:02d}"\nplace = {place}\n' for place, number in enumerate((1, 3, 5), 1))
    shop, asked = ruled(release, pins), Question(REGULAR, 8, wishes=Wishes(Limits(per_brand=1)))
    answer = recommend(shop, asked, AS_OF, make_metrics())
    assert (answer.slate[0].item_id, len(answer.slate), answer.notes) == (MILK, 8, [])
    assert [item.brand for item in answer.slate].count("Maker") == 1
    drawn = replace(asked, wishes=Wishes(Limits(per_brand=1), exploration=Exploration(0.5, "a")))
    assert len(slate(shop, drawn)) == 8
    everything = Question(REGULAR, 3, wishes=Wishes(Limits(per_brand=3)))
    assert slate(shop, everything) == ["i01", "i03", "i05"], "pins fill all places"


def test_a_pin_stands_whatever_comes_again(release: Release):
    hide = '[[policy]]\nitem = "i01"\nbought = "hide"\n'
    assert MILK not in slate(ruled(release, hide), Question(REGULAR, 4))
    shop = ruled(release, hide + '[[pin]]\nitem = "i01"\nplace = 2')
    answer = recommend(shop, Question(REGULAR, 4), AS_OF, make_metrics())
    assert (answer.slate[1].item_id, answer.slate[1].reason.kind, len(answer.slate)) == (MILK, "pinned", 4)
    assert MILK not in slate(shop, Question(REGULAR, 1)), "the slate ends before its place"


def test_a_rule_about_items_the_release_lacks_does_nothing(release: Release):
    shop = ruled(release, '[[pin]]\nitem = "nothing"\nplace = 1\n[[block]]\ncategory = "Toys"')
    assert slate(shop, Question(REGULAR, 5)) == slate(release, Question(REGULAR, 5))


@pytest.mark.parametrize("seed", range(20))
def test_any_rules_keep_a_slate_whole(release: Release, seed: int):
    chance = np.random.default_rng(seed)
    items = [f"i{number:02d}" for number in chance.permutation(range(1, COUNT + 1))]
    rules = [
        Rule("pin", item=item, place=int(place))
        for item, place in zip(items[:3], chance.permutation(9)[:3] + 1, strict=True)
    ]
    rules += [Rule("block", item=item) for item in items[3:8]]
    rules += [Rule("boost", item=item, places=int(chance.integers(-30, 31)) or 1) for item in items[8:14]]
    published, _ = publication(1, rules, "now")
    shop = replace(release, rules=bind_rules(published, release.catalogue, None))
    for user in (REGULAR, STRANGER):
        for k in (1, 4, 12, COUNT):
            found = slate(shop, Question(user, k))
            assert len(found) == len(set(found)) == min(k, COUNT - 1 - len(set(items[3:8]) - {SCONES}))
            assert not set(items[3:8]) & set(found)
            for rule in rules[:3]:
                if rule.place <= k and rule.item != SCONES:
                    assert found.index(rule.item) == rule.place - 1


def test_serving_reads_the_policies_the_deepest_category_first(release: Release, tmp_path: Path):
    show, hide = {"users": 99, "again": 9, "show": True}, {"users": 99, "again": 0, "show": False}
    rows = [
        {"category": "GROCERY > Dairy", "bought": show},
        {"category": "", "bought": show, "seen": hide},
        {"category": "GROCERY", "bought": hide},
        {"category": "Toys", "bought": hide},
    ]
    path = tmp_path / POLICIES
    assert read_policies(path, release.catalogue) is None
    path.write_text(json.dumps({"schema": 1, "categories": rows}))
    held = read_policies(path, release.catalogue)
    dairy = release.catalogue.by_category["grocery > dairy"]
    assert not held.bought[dairy].any()
    assert held.bought.sum() == len(release.catalogue.items) - 1 - len(dairy)
    assert held.seen[1:].all()
    assert not held.seen[0]
    for wrong in ("", "[]", '{"schema": 2, "categories": []}', '{"schema": 1, "categories": [{"bought": 1}]}'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"policies.json: expected policies of schema 1"):
            read_policies(path, release.catalogue)


def test_similar_items_come_once_a_title_in_any_case(shop: Path):
    path = shop / "r20180101-first" / "items.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    rows[2]["title"] = "MILK"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    release = replace(load_release(shop / "r20180101-second", no_online_rows), catalogue=read_catalogue(path))
    found = [item.title for item in similar_items(release, MILK, 4, AS_OF).slate]
    assert "MILK" not in found[:3]
