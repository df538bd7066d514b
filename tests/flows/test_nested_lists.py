"""A list within a row becomes rows: none is lost, an empty list keeps its row, and keys are columns."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.connection import connect
from flows.sources.file_sets import reading_of
from flows.sources.mapping_keys import ExportRejected, MappingError
from flows.sources.reading import open_raw
from tests.flows.tiny_shop import write_csv, write_jsonl

Rows = list[dict[str, object]]


def rows_of(folder: Path, file: Path, **keys: object) -> Rows:
    connection = connect()
    open_raw(connection, reading_of("x.toml", "events", dict(keys), {}), [str(file)], "raw", folder)
    found = connection.execute("select * from raw")
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_the_keys_of_an_element_are_columns_and_a_taken_name_says_where_it_came_from(tmp_path: Path):
    orders = [{"id": 1, "lines": [{"id": 7, "sku": "a"}, {"sku": "b", "qty": 2}]}, {"id": 2, "lines": []}, {"id": 3}]
    found = rows_of(tmp_path, write_jsonl(tmp_path / "orders.jsonl", orders), unnest="lines")
    assert sorted((row["id"], row["sku"] or "", row["qty"], row["lines_id"]) for row in found) == [
        ("1", "a", None, "7"),
        ("1", "b", "2", None),
        ("2", "", None, None),
        ("3", "", None, None),
    ]


def test_plain_elements_and_cut_text_stand_in_the_column_itself(tmp_path: Path):
    baskets = write_jsonl(tmp_path / "baskets.jsonl", [{"user": "u", "items": ["a", "b"]}])
    assert [row["items"] for row in rows_of(tmp_path, baskets, unnest="items")] == ["a", "b"]
    cells = write_csv(tmp_path / "cells.csv", [{"user": "u", "items": " a ;; b;"}, {"user": "v", "items": ""}])
    found = rows_of(tmp_path, cells, unnest="items", separator=";")
    assert [(row["user"], row["items"]) for row in found] == [("u", "a"), ("u", "b"), ("v", None)]


def test_a_list_of_parquet_is_read_like_one_of_json(tmp_path: Path):
    pq.write_table(pa.table({"user": ["u"], "lines": [[{"sku": "a", "price": 1.5}]]}), tmp_path / "orders.parquet")
    assert rows_of(tmp_path, tmp_path / "orders.parquet", unnest="lines") == [
        {"user": "u", "price": "1.5", "sku": "a", "lines": None}
    ]


def test_a_list_that_is_not_there_is_told(tmp_path: Path):
    file = write_jsonl(tmp_path / "orders.jsonl", [{"id": 1}])
    with pytest.raises(ExportRejected, match=r"lacks the column 'lines', which the mapping names in unnest.*id\."):
        rows_of(tmp_path, file, unnest="lines")
    with pytest.raises(MappingError, match=r"events\.unnest: expected the column that separator cuts"):
        rows_of(tmp_path, file, separator=";")


@settings(deadline=None, max_examples=20)
@given(lists=st.lists(st.lists(st.text("abc;,\"' é", min_size=1), max_size=4), min_size=1, max_size=5))
def test_every_element_is_one_row_and_every_row_without_one_stays(
    tmp_path_factory: pytest.TempPathFactory, lists: list[list[str]]
):
    folder = tmp_path_factory.mktemp("lists")
    file = write_jsonl(folder / "log.jsonl", [{"n": str(n), "each": listed} for n, listed in enumerate(lists)])
    expected = [(str(n), value) for n, listed in enumerate(lists) for value in listed or [None]]
    assert [(row["n"], row["each"]) for row in rows_of(folder, file, unnest="each")] == expected


def test_lines_that_python_printed_are_read_and_a_torn_one_is_kept(tmp_path: Path):
    lines = [{"id": "1", "title": "It's", "tags": ["a", None]}, {"id": "2", "title": 'say "no"'}]
    (tmp_path / "games.json").write_text("".join(f"{line!r}\n" for line in lines) + "{'id': '3', 'ti\n")
    connection = connect()
    reading = reading_of("x.toml", "items", {}, {})
    raw = open_raw(connection, reading, [str(tmp_path / "games.json")], "raw", tmp_path)
    assert connection.execute("select id, title, tags from raw").fetchall() == [
        ("1", "It's", '["a",null]'),
        ("2", 'say "no"', None),
    ]
    assert raw.unread_rows == 1


def test_one_object_is_a_list_of_one_and_a_path_leads_to_the_list_within_it(tmp_path: Path):
    rows = [
        {"at": 1, "props": {"id": 7, "lines": [{"sku": "a"}, {"sku": "b", "at": 9}]}},
        {"at": 2, "props": {"id": 8}},
    ]
    file = write_jsonl(tmp_path / "tracked.jsonl", rows)
    assert [(row["at"], row["id"]) for row in rows_of(tmp_path, file, unnest="props")] == [("1", "7"), ("2", "8")]
    found = rows_of(tmp_path, file, unnest="props.lines")
    assert sorted((row["at"], row["id"], row["sku"] or "", row["lines_at"]) for row in found) == [
        ("1", "7", "a", None),
        ("1", "7", "b", "9"),
        ("2", "8", "", None),
    ]


def test_of_several_paths_each_row_is_read_by_the_first_that_it_has(tmp_path: Path):
    rows = [
        {
            "at": 1,
            "props": {"order": "o1", "currency": "EUR", "lines": [{"sku": "a"}, {"sku": "b", "currency": "USD"}]},
        },
        {"at": 2, "props": {"sku": "c", "at": 9, "currency": "CHF"}},
        {"at": 3, "props": {"order": "o2", "lines": []}},
        {"at": 4, "props": None},
    ]
    found = rows_of(tmp_path, write_jsonl(tmp_path / "tracked.jsonl", rows), unnest=["props.lines", "props"])
    columns = ("at", "order", "sku", "currency", "props_at")
    assert sorted(tuple(row[name] or "" for name in columns) for row in found) == [
        ("1", "o1", "a", "EUR", ""),
        ("1", "o1", "b", "USD", ""),
        ("2", "", "c", "CHF", "9"),
        ("3", "o2", "", "", ""),
        ("4", "", "", "", ""),
    ]
    assert "lines" not in found[0]
    with pytest.raises(MappingError, match=r"events\.unnest: expected paths into one column, like a\.b and a"):
        rows_of(tmp_path, tmp_path / "tracked.jsonl", unnest=["props.lines", "other"])


def test_a_list_as_python_prints_it_is_read_and_what_is_neither_keeps_its_row(tmp_path: Path):
    cells = [{"id": "1", "lines": str([{"sku": "it's", "gift": None}])}, {"id": "2", "lines": "[{broken"}]
    found = rows_of(tmp_path, write_csv(tmp_path / "cells.csv", cells, ";"), unnest="lines", quote="")
    assert sorted((row["id"], row["sku"], row["gift"]) for row in found) == [("1", "it's", None), ("2", None, None)]
