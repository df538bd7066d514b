import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.schema import INTERACTION_TYPES
from tests.training.planted import (
    T_VALIDATION,
    Row,
    arrow_histories,
    build_training_set,
    history_row,
    item_texts,
    rhythm_events,
    word_vectors,
)
from training import dataset, dataset_files, dataset_rows
from training.dataset import TrainingSet
from training.interactions import interactions
from training.samples import training_samples

USERS = ("ann", "bob", "cy")
planted_rows = st.lists(
    st.tuples(
        st.sampled_from(USERS),
        st.sampled_from(sorted(item_texts())),
        st.sampled_from(INTERACTION_TYPES),
        st.integers(-80 * 24, 14 * 24).map(lambda hour: T_VALIDATION + timedelta(hours=hour)),
    ),
    min_size=1,
    max_size=60,
)


def every_user(rows: list[Row]) -> list[Row]:
    return [*rows, *((user, "i00", "view", T_VALIDATION - timedelta(days=83)) for user in USERS)]


@settings(max_examples=25, deadline=None)
@given(planted_rows)
def test_every_interaction_before_validation_is_counted_exactly_once(rows: list[Row]) -> None:
    rows = every_user(rows)
    found = interactions(build_training_set(rows, item_texts()))
    ids = sorted(item_texts())
    got = sorted(
        (found.user_ids[u], ids[i - 1], INTERACTION_TYPES[k - 1], round(d * 24))
        for u, i, k, d in zip(found.user, found.item, found.kind, found.day, strict=True)
    )
    hours = [(u, i, k, round((t - T_VALIDATION).total_seconds() / 3600)) for u, i, k, t in rows if t < T_VALIDATION]
    assert got == sorted(hours)


@settings(max_examples=25, deadline=None)
@given(planted_rows)
def test_a_query_holds_what_a_plain_loop_finds(rows: list[Row]) -> None:
    rows = every_user(rows)
    queries = build_training_set(rows, item_texts()).test.queries
    ids = ["", *item_texts()]
    for number, user in enumerate(queries.user_ids):
        expected = history_row(
            rows, user, queries.as_of[number].astype(datetime).replace(tzinfo=T_VALIDATION.tzinfo), ""
        )
        width = len(expected["history_item_ids"])
        items = queries.history_items[number]
        assert not items[: 100 - width].any()
        assert [ids[i] for i in items[100 - width :]] == expected["history_item_ids"]
        assert (np.diff(queries.history_ages[number, 100 - width :]) <= 0).all()
        kinds = [INTERACTION_TYPES[k - 1] for k in queries.history_types[number, 100 - width :]]
        assert kinds == expected["history_event_types"]
        bought = {
            ids[i]: c for i, c in zip(queries.habit_items[number], queries.habit_counts[number], strict=True) if i
        }
        assert bought == dict(zip(expected["habit_item_ids"], expected["habit_counts"], strict=True))


@given(planted_rows)
@settings(max_examples=30, deadline=None)
def test_rows_around_which_nothing_happened_are_left_out_and_no_interaction_and_no_sample_is_lost(
    rows: list[Row],
) -> None:
    def told(training_set: TrainingSet) -> tuple[set[tuple[object, ...]], set[tuple[object, ...]]]:
        seen, training = interactions(training_set), training_set.training
        taken = training_samples(training_set, seen, 300)
        samples = {
            (training.user_ids[row], str(training.as_of[row]), *taken.items[taken.starts[n] : taken.starts[n + 1]])
            for n, row in enumerate(taken.rows)
        }
        flat = zip(seen.user, seen.item, seen.kind, seen.day, strict=True)
        return {(seen.user_ids[user], item, kind, day) for user, item, kind, day in flat}, samples

    lean = build_training_set(every_user(rows), item_texts())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dataset_rows, "tells", lambda histories, split: np.ones(len(split), dtype=bool))
        whole = build_training_set(every_user(rows), item_texts())
    assert told(lean) == told(whole)
    assert len(lean.training) <= len(whole.training)


def test_a_user_who_came_once_has_a_row_for_what_they_did_and_one_before_it() -> None:
    once = [("ann", "i00", "view", T_VALIDATION - timedelta(days=83)), ("bob", "i01", "view", T_VALIDATION)]
    training_set = build_training_set(once, item_texts())
    assert training_set.training.user_ids.count("ann") == 2, "of six snapshots"


def test_an_item_outside_the_catalogue_leaves_no_hole_and_still_counts_as_wanted() -> None:
    moment = T_VALIDATION - timedelta(days=1)
    rows: list[Row] = [
        ("ann", item, "purchase", moment + timedelta(hours=n)) for n, item in enumerate(("i00", "gone", "i01"))
    ]
    rows += [("ann", item, "purchase", T_VALIDATION + timedelta(hours=1)) for item in ("gone", "i02")]
    training_set = build_training_set(rows, item_texts())
    assert training_set.validation.queries.history_items[0, -3:].tolist() == [0, 1, 2]
    assert sorted(training_set.validation.truth.row(0).tolist()) == [0, 3]


def test_a_user_without_history_is_all_padding() -> None:
    row = history_row([], "nobody", T_VALIDATION, "validation")
    empty = {key: None if key.startswith(("history", "habit")) else value for key, value in row.items()}
    rows = [{**empty, "split": split, "event_timestamp": T_VALIDATION} for split in ("train", "validation", "test")]
    items = pa.table({"item_id": ["a"], "title": ["a"], "category": ["c"], "brand": ["b"], "price": [1.0]})
    nothing = pa.table({"user_id": pa.array([], pa.string()), "item_id": pa.array([], pa.string())})
    training_set = dataset_rows.from_arrow(
        arrow_histories(rows), items, word_vectors(["a"]), {"validation": nothing, "test": nothing}
    )
    for name in dataset.SEQUENCE_INPUTS:
        assert not getattr(training_set.test.queries, name).any()
    assert len(interactions(training_set).item) == 0


def test_a_saved_training_set_reads_back_the_same(rhythm: TrainingSet, tmp_path: Path) -> None:
    dataset_files.save(rhythm, tmp_path / "set")
    again = dataset_files.load(tmp_path / "set")
    assert again.catalogue.item_ids == rhythm.catalogue.item_ids
    assert again.input_hash == rhythm.input_hash
    assert (again.test.truth.items == rhythm.test.truth.items).all()
    assert (again.t_validation, again.t_test) == (rhythm.t_validation, rhythm.t_test)
    for name in (*dataset.SEQUENCE_INPUTS, "as_of", "new_from"):
        assert (getattr(again.training, name) == getattr(rhythm.training, name)).all()


def test_a_wrong_split_or_missing_text_vectors_are_named(rhythm: TrainingSet) -> None:
    row = history_row([], "ann", T_VALIDATION, "holdout")
    items = pa.table({"item_id": ["a"], "title": ["a"], "category": ["c"], "brand": ["b"], "price": [1.0]})
    with pytest.raises(ValueError, match=r"histories\.split.*holdout"):
        dataset_rows.from_arrow(arrow_histories([row]), items, word_vectors(["a"]), {})
    with pytest.raises(ValueError, match="text_vectors: expected 1 rows"):
        dataset_rows.from_arrow(arrow_histories([row]), items, word_vectors(["a", "b"]), {})


def test_other_pseudonyms_give_the_same_rows_in_the_same_order() -> None:
    events = rhythm_events()
    renamed = [(f"{hash_of(user)}", item, kind, moment) for user, item, kind, moment in events]
    one, other = (build_training_set(rows, item_texts()) for rows in (events, renamed))
    assert [hash_of(user) for user in one.training.user_ids] == other.training.user_ids
    for name in dataset.SEQUENCE_INPUTS:
        assert (getattr(one.training, name) == getattr(other.training, name)).all()
    assert (interactions(one).item == interactions(other).item).all()


def hash_of(user: str) -> str:
    """Another name of a user, in another order."""
    return hashlib.sha256(user.encode()).hexdigest()
