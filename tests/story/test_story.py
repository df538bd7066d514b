"""The whole way on a shop that brings only a mapping file: what comes out is right, private, fresh, and repeatable."""

from collections import Counter
from pathlib import Path

import pyarrow.compute as pc

from feature_repo.schema import pseudonym
from flows import lake
from flows.releases import list_releases, read_manifest, read_pointer
from tests import planted_shop
from tests.story.conftest import Shop

# The article's own case: A bought electronics, books and cosmetics, browsed electronics, books and clothing, and liked
# a fashion blogger's outfit. What A should see next is electronics and fashion.
WANTED = {"Electronics", "Fashion"}


def test_every_row_of_the_export_is_in_the_lake_or_in_the_quarantine(shop: Shop) -> None:
    exported = len((shop.mapping.parent / "events.csv").read_text().splitlines()) - 1
    landed = lake.read_events(shop.settings).num_rows
    held = lake.read_table(shop.settings, "quarantine").num_rows
    assert landed + held == exported
    assert held == 0


def test_no_raw_user_id_goes_past_the_door(shop: Shop) -> None:
    raw = f"{planted_shop.USER_A}".encode()
    found = [path for path in Path(shop.settings.home).rglob("*") if path.is_file() and raw in path.read_bytes()]
    assert not found
    users = set(pc.unique(lake.read_events(shop.settings)["user_id"]).to_pylist())
    assert pseudonym(planted_shop.USER_A, shop.settings.pseudonym_key) in users


def test_every_slate_item_has_a_title_and_a_true_reason(shop: Shop) -> None:
    answer = shop.ask("/v1/recommendations", {"user_id": planted_shop.USER_A, "k": 10})
    assert answer["release_id"] == shop.release_id
    assert answer["source"] == "personalised"
    catalogue = planted_shop.categories_by_item()
    for item in answer["slate"]:
        assert item["category"] == catalogue[item["item_id"]]
        assert item["title"]
        assert item["reason"]["text"]
        assert set(item["reason"]["because"]) <= set(catalogue)


def test_a_user_never_seen_gets_the_popular_slate_that_says_so(shop: Shop) -> None:
    answer = shop.ask("/v1/recommendations", {"user_id": "nobody", "k": 5})
    assert answer["source"] == "popular"
    assert len(answer["slate"]) == 5


def test_an_event_pushed_changes_the_next_answer(shop: Shop) -> None:
    before = [item["item_id"] for item in shop.slate(user_id="user-3", k=10)]
    events = [
        {"user_id": "user-3", "item_id": f"garden-{number}", "event_type": "purchase", "quantity": 1, "unit_price": 5}
        for number in (1, 2, 3)
    ]
    receipt = shop.ask("/v1/events", {"events": events})
    assert receipt["accepted"] == 3
    after = [item["item_id"] for item in shop.slate(user_id="user-3", k=10)]
    assert before != after


def test_running_the_pipeline_again_changes_nothing(shop: Shop) -> None:
    versions = {name: lake.table_version(shop.settings, name) for name in ("events", "items", "quarantine")}
    shop.run_pipeline()
    assert {name: lake.table_version(shop.settings, name) for name in versions} == versions
    pointer = read_pointer(shop.settings)
    assert pointer is not None
    assert pointer.release_id == shop.release_id
    assert len(list_releases(shop.settings)) == 1


def test_the_manifest_names_what_the_release_was_made_of(shop: Shop) -> None:
    manifest = read_manifest(shop.settings, shop.release_id)
    assert manifest["lake"]["events"] == lake.table_version(shop.settings, "events")
    assert manifest["vocabulary_sha256"]
    assert manifest["gate"]["passed"] is True


def test_user_a_is_recommended_electronics_and_fashion_before_anything_else(shop: Shop) -> None:
    slate = shop.slate(user_id=planted_shop.USER_A, k=10)
    assert {item["category"] for item in slate[:2]} == WANTED, slate


def test_cold_items_that_mean_the_same_reach_the_slate_before_those_that_do_not(shop: Shop) -> None:
    cold, category = planted_shop.cold_items(), planted_shop.categories_by_item()
    slate = [item for item in shop.slate(user_id=planted_shop.USER_A, k=len(category)) if item["item_id"] in cold]
    assert len(slate) == len(cold)
    first = [category[item["item_id"]] for item in slate if item["rank"] <= 20]
    assert set(first) == WANTED, slate
    assert {category[item["item_id"]] for item in slate[:3]} == WANTED, slate


def test_a_gardener_is_not_shown_what_user_a_is_shown(shop: Shop) -> None:
    slate = shop.slate(user_id="user-2", k=6)
    assert slate[0]["category"] == "Garden"
    assert Counter(item["category"] for item in slate).most_common(1)[0][0] == "Garden", slate
