"""The article's own case: user A bought electronics, books and cosmetics, browsed electronics, books and clothing,
and liked a fashion blogger's outfit. What A should see next is electronics and fashion."""

from collections import Counter

from tests import planted_shop
from tests.story.conftest import Shop

WANTED = {"Electronics", "Fashion"}


def test_user_a_is_recommended_electronics_and_fashion(shop: Shop) -> None:
    slate = shop.slate(user_id=planted_shop.USER_A, k=6)
    shares = Counter(item["category"] for item in slate)
    assert shares["Electronics"] >= 1
    assert shares["Fashion"] >= 1
    assert shares["Electronics"] + shares["Fashion"] >= 4, slate


def test_cold_items_that_mean_the_same_are_among_them(shop: Shop) -> None:
    cold, category = planted_shop.cold_items(), planted_shop.categories_by_item()
    everything = shop.slate(user_id=planted_shop.USER_A, k=len(category))
    ranks: dict[bool, list[int]] = {True: [], False: []}
    for item in everything:
        if item["item_id"] in cold:
            ranks[category[item["item_id"]] in WANTED].append(item["rank"])
    assert len(ranks[True]) + len(ranks[False]) == len(cold)
    assert max(ranks[True]) < min(ranks[False]), ranks
    assert min(ranks[True]) <= 20, ranks


def test_a_gardener_is_not_shown_what_user_a_is_shown(shop: Shop) -> None:
    slate = shop.slate(user_id="user-2", k=6)
    assert Counter(item["category"] for item in slate)["Garden"] >= 4, slate
