"""What a slate holds, where it came from, and what it falls back to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.arrangement import Limits
from serving.catalogue import Conditions
from serving.history import Interaction, UserRow
from serving.metrics import Metrics, make_metrics
from serving.online_rows import OnlineRows, OnlineStoreUnavailable, no_online_rows
from serving.phrases import PHRASES
from serving.placement import Wishes
from serving.recommender import Question, recommend, recommend_many
from serving.release import Release, load_release
from serving.similar_items import similar_items
from tests.serving.spoilt_models import hear_nothing
from tests.serving.tiny_shop import (
    AS_OF,
    BREAD,
    COFFEE,
    COUNT,
    ITEMS,
    MILK,
    REGULAR,
    SCONES,
    STRANGER,
    write_release,
)


@pytest.fixture
def metrics() -> Metrics:
    return make_metrics()


def ids(answer) -> list[str]:
    return [item.item_id for item in answer.slate]


def test_a_known_user_gets_a_personal_slate_best_first(release: Release, metrics: Metrics):
    answer = recommend(release, Question(REGULAR, 5), AS_OF, metrics)
    assert (answer.source, answer.release_id, answer.user) == ("personalised", "r20180101-first", REGULAR)
    assert ids(answer)[:2] == [MILK, BREAD]
    assert [item.rank for item in answer.slate] == [1, 2, 3, 4, 5]
    scores = [item.score for item in answer.slate]
    assert scores == sorted(scores, reverse=True)


def test_the_slate_equals_a_slow_plain_computation(release: Release, metrics: Metrics):
    history = [(MILK, 40), (BREAD, 30), (MILK, 20), (COFFEE, 10), (MILK, 5)]
    habits = {MILK: 3, COFFEE: 1, BREAD: 1}
    expected = {}
    for j, item in enumerate(ITEMS, start=1):
        score = (COUNT + 1 - j) / 1000 + habits.get(item["item_id"], 0) / 10
        for item_id, age in history:
            i = int(item_id[1:])
            relation = 2.0 if i == j else 1.0 if abs(i - j) == 12 else 0.2 if (i - 1) // 6 == (j - 1) // 6 else 0.0
            score += relation * np.exp(-age / 7)
        if item["available"]:
            expected[item["item_id"]] = score
    best = sorted(expected, key=expected.__getitem__, reverse=True)[:10]
    answer = recommend(release, Question(REGULAR, 10), AS_OF, metrics)
    assert ids(answer) == best
    assert [item.score for item in answer.slate] == pytest.approx([expected[item_id] for item_id in best], rel=1e-4)


def test_an_unknown_user_gets_what_is_popular(release: Release, metrics: Metrics):
    answer = recommend(release, Question(STRANGER, 3), AS_OF, metrics)
    assert (answer.source, ids(answer)) == ("popular", ["i01", "i02", "i03"])
    assert {item.reason.kind for item in answer.slate} == {"popular"}


def test_a_visit_alone_makes_a_session_slate(release: Release, metrics: Metrics):
    answer = recommend(release, Question(None, 2, session_items=(COFFEE, "no such item")), AS_OF, metrics)
    assert (answer.source, answer.user, ids(answer)[0]) == ("session", None, COFFEE)
    assert answer.notes == ["1 session items are not in the catalogue."]


def test_what_a_model_that_hears_nothing_of_a_user_gives_is_called_popular(shop: Path, metrics: Metrics):
    write_release(shop / "deaf", shop / "registry.db", "r20180101-deaf", spoil=hear_nothing)
    deaf, row = load_release(shop / "deaf", no_online_rows), UserRow((Interaction(COFFEE, "view", 1),))
    questions = [Question(REGULAR, 3), Question(None, 3, session_items=(COFFEE,)), Question(None, 3)]
    answers = recommend_many(deaf, questions, AS_OF, metrics, rows=[row, UserRow(), UserRow()])
    assert [(answer.source, ids(answer)) for answer in answers] == [("popular", ["i01", "i02", "i03"])] * 3
    assert answers[0].slate[0].sources[0] == "model", "which is what ranked the items"
    assert {name: counter._value.get() for name, counter in metrics.slates.items()} == {
        "personalised": 0,
        "session": 0,
        "popular": 3,
    }


def test_a_visit_of_unknown_items_only_falls_back_to_popular(release: Release, metrics: Metrics):
    answer = recommend(release, Question(None, 2, session_items=("no such item",)), AS_OF, metrics)
    assert answer.source == "popular"


def test_k_beyond_the_catalogue_gives_every_available_item_once(release: Release, metrics: Metrics):
    for user in (REGULAR, STRANGER):
        answer = recommend(release, Question(user, 200), AS_OF, metrics)
        assert sorted(ids(answer)) == sorted(item["item_id"] for item in ITEMS if item["available"])
        assert answer.notes == [f"Only {COUNT - 1} items fit the conditions."]


def test_an_unavailable_item_is_never_shown(release: Release, metrics: Metrics):
    answer = recommend(release, Question(None, 200, session_items=(SCONES,)), AS_OF, metrics)
    assert SCONES not in ids(answer)
    assert SCONES not in [item.item_id for item in similar_items(release, BREAD, 200, AS_OF).slate]


def test_filters_hold_for_every_item(release: Release, metrics: Metrics):
    conditions = Conditions((MILK,), category="grocery > DAIRY", brand=None, min_price=1.5, max_price=2.3)
    answer = recommend(release, Question(REGULAR, 10, conditions), AS_OF, metrics)
    assert answer.slate
    for item in answer.slate:
        assert item.category == "GROCERY > Dairy"
        assert 1.5 <= item.price <= 2.3
        assert item.item_id != MILK
    branded = recommend(release, Question(REGULAR, 30, Conditions(brand="maker")), AS_OF, metrics)
    assert {item.brand for item in branded.slate} == {"Maker"}


def test_one_item_that_fits_is_told_as_one(release: Release, metrics: Metrics):
    answer = recommend(release, Question(None, 5, Conditions(max_price=1.24)), AS_OF, metrics)
    assert answer.notes == ["Only 1 item fits the conditions."]


def test_filters_that_leave_nothing_give_an_empty_slate_that_says_so(release: Release, metrics: Metrics):
    answer = recommend(release, Question(REGULAR, 10, Conditions(category="Toys")), AS_OF, metrics)
    assert (answer.slate, answer.notes) == ([], ["No item fits the conditions."])


def test_an_online_store_that_is_gone_falls_back_and_says_so(release: Release, metrics: Metrics):
    def gone(*_: object) -> None:
        raise OnlineStoreUnavailable("gone")

    for online in (None, OnlineRows(gone, gone, gone)):
        answer = recommend(replace(release, online=online), Question(REGULAR, 3), AS_OF, metrics)
        assert (answer.source, len(answer.slate)) == ("popular", 3)
        assert answer.notes == ["The features of users cannot be read now."]


def test_a_model_that_fails_falls_back_to_popular_and_says_so(release: Release, metrics: Metrics):
    broken = replace(release, scorer=replace(release.scorer, session=None))
    answer = recommend(broken, Question(REGULAR, 3), AS_OF, metrics)
    assert (answer.source, ids(answer)) == ("popular", ["i01", "i02", "i03"])
    assert answer.notes == ["The model could not score this request."]


def test_one_broken_row_or_question_costs_the_others_of_its_moment_nothing(release: Release, metrics: Metrics):
    questions = [Question(STRANGER, 3), Question(REGULAR, 3), Question(None, 3, session_items=(COFFEE,))]
    whole = [ids(answer) for answer in recommend_many(release, questions, AS_OF, metrics)]
    regular = release.online.read(REGULAR)
    answers = recommend_many(release, questions, AS_OF, metrics, rows=[None, regular, UserRow()])
    assert [ids(answer) for answer in answers] == whole
    assert [answer.notes for answer in answers] == [["The features of users cannot be read now."], [], []]
    whole_session = release.scorer.session

    class FailsTogether:
        def run(self, outputs, feed):
            assert len(feed["history_items"]) == 1, "no room for two"
            return whole_session.run(outputs, feed)

    strained = replace(release, scorer=replace(release.scorer, session=FailsTogether()))
    assert [ids(answer) for answer in recommend_many(strained, questions, AS_OF, metrics)] == whole


def test_the_same_question_has_the_same_answer(release: Release, metrics: Metrics):
    question = Question(REGULAR, 24, session_items=(COFFEE,))
    assert recommend(release, question, AS_OF, metrics) == recommend(release, question, AS_OF, metrics)


def with_titles(release: Release, titles: dict[int, str]) -> Release:
    items = [replace(item, title=titles.get(place, item.title)) for place, item in enumerate(release.catalogue.items)]
    ids, first = [], {}
    for place, item in enumerate(items):
        ids.append(first.setdefault(item.title.casefold(), place))
    return replace(release, catalogue=replace(release.catalogue, items=tuple(items), title_ids=ids))


def test_a_title_comes_once_in_a_slate_while_there_are_others(release: Release, metrics: Metrics):
    twins = with_titles(release, {2: "MILK", 3: "Milk", 13: "milk"})
    for question in (Question(STRANGER, 8), Question(None, 8, session_items=("i05",))):
        titles = [item.title.casefold() for item in recommend(twins, question, AS_OF, metrics).slate]
        assert len(titles) == len(set(titles)) == 8
    everything = recommend(twins, Question(REGULAR, 200), AS_OF, metrics)
    assert sorted(ids(everything)) == sorted(item["item_id"] for item in ITEMS if item["available"])
    assert ids(everything)[:2] == [MILK, BREAD], "one title, but the user buys both"
    assert [item.title.casefold() for item in everything.slate[-2:]] == ["milk"] * 2


def test_limits_by_brand_and_category_hold_and_too_few_items_are_said(release: Release, metrics: Metrics):
    for user in (REGULAR, STRANGER):
        answer = recommend(release, Question(user, 6, wishes=Wishes(Limits(per_brand=2))), AS_OF, metrics)
        brands = [item.brand for item in answer.slate]
        assert (len(brands), brands.count("Maker")) == (6, 2)
        few = recommend(release, Question(user, 6, wishes=Wishes(Limits(per_category=4))), AS_OF, metrics)
        assert (len(few.slate), few.notes) == (4, ["Only 4 items were found within the limits."])
    unlimited = recommend(release, Question(REGULAR, 6), AS_OF, metrics)
    assert ids(recommend(release, Question(REGULAR, 6, wishes=Wishes(Limits(6, 6))), AS_OF, metrics)) == ids(unlimited)


def test_similar_items_are_of_the_same_shelf_and_never_the_item_itself(release: Release):
    answer = similar_items(release, MILK, 5, AS_OF)
    assert {item.category for item in answer.slate} == {"GROCERY > Dairy"}
    assert MILK not in [item.item_id for item in answer.slate]
    assert all(item.reason.because == [MILK] for item in answer.slate)


def test_each_title_comes_once_before_any_comes_again(release: Release):
    twins = with_titles(release, {2: "Milk", 3: "Milk"})
    shown = [item.title for item in similar_items(twins, MILK, 5, AS_OF).slate]
    assert (set(shown[:-2]), shown[-2:]) == ({"Cheddar", "Cream", "Feta"}, ["Milk", "Milk"])


def test_an_item_without_a_vector_falls_back_to_what_is_bought_with_it(release: Release):
    vectors = release.vectors.copy()
    vectors[1] = 0
    answer = similar_items(replace(release, vectors=vectors), MILK, 5, AS_OF)
    assert [(item.item_id, item.reason.kind) for item in answer.slate] == [(BREAD, "co_purchase")]
    assert answer.slate[0].reason.text == "Often bought with Milk."


def test_reasons_of_similar_items_are_told_in_both_languages(release: Release):
    text = {language: similar_items(release, MILK, 1, AS_OF, language).slate[0].reason.text for language in PHRASES}
    assert text == {"en": "Similar to Milk.", "zh": "与“Milk”相似。"}
    vectors = release.vectors.copy()
    vectors[1] = 0
    (bought,) = similar_items(replace(release, vectors=vectors), MILK, 5, AS_OF, "zh").slate
    assert bought.reason.text == "常与“Milk”一起购买。"


def test_who_buys_two_items_of_one_title_is_shown_both(release: Release, metrics: Metrics):
    twins = replace(release, catalogue=replace(release.catalogue, title_ids=[0] * (COUNT + 1)))
    wanted = ids(recommend(release, Question(REGULAR, 3), AS_OF, metrics))
    assert set(wanted) == {MILK, BREAD, COFFEE}
    assert ids(recommend(twins, Question(REGULAR, 3), AS_OF, metrics)) == wanted
