"""The forms that files come in: encodings of other scripts, titles above a header, empty sheets, deep lists."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.connection import connect
from flows.settings import Settings
from flows.sources.mapping_keys import ExportRejected
from flows.sources.nested_lists import ListColumn, unnested
from flows.sources.sample import files_named
from flows.sources.text_signs import encoding_of, look_at_text
from tests.flows.drafted_folder import draft_folder, rehearse_draft


def _keys(tmp_path: Path, text: str) -> dict[str, Any]:
    (tmp_path / "file.csv").write_text(text)
    keys: dict[str, Any] = {}
    look_at_text(str(tmp_path / "file.csv"), keys, {})
    return keys


def _rows_of(tmp_path: Path, value: Any, listed: ListColumn) -> list[dict[str, Any]]:
    with connect() as connection:
        connection.execute("create table raw_rows as select 'r1' as id, ? as c", [json.dumps(value)])
        query = unnested(connection, "select * from raw_rows", listed, tmp_path / "rows.parquet", "file")
        return connection.sql(query).df().to_dict("records")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("注文番号,注文日,商品名\n1,2023-02-04,カフェのマグカップ\n2,2023-02-05,ノートとペン\n", "cp932"),
        ("注文番号,注文日,商品名\n1,2023-02-04,カフェのマグカップ\n2,2023-02-05,ノートとペン\n", "euc_jp"),
        ("주문번호,주문일,상품명\n1,2023-02-04,하얀 머그컵\n2,2023-02-05,파란 공책과 연필\n", "cp949"),
        ("訂單編號,下單時間,商品名稱,買家\n1,2023-02-04,白色馬克杯,王小明\n2,2023-02-05,筆記本與鉛筆,陳美\n", "cp950"),
        (
            "订单编号,下单时间,商品,买家\n1,2023-02-04,白色马克杯,王小明\n2,2023-02-05,笔记本和铅笔,陈红\n",
            "gb18030",
        ),
        ("Номер;Дата;Товар;Сумма\n1;01.02.2023;Кружка белая;12,50\n2;02.02.2023;Тетрадь и ручка;3\n", "cp1251"),
        ("Größe;Maß;Preis\nklein;süß;10 €\n", "cp1252"),
        ("Größe;Maß;Preis\nklein;süß;10\n", "latin-1"),
        ("訂單編號,Größe\n", "utf-8"),
    ],
)
def test_an_encoding_is_told_by_the_script_of_its_letters(text: str, encoding: str):
    assert encoding_of(text.encode(encoding)) == encoding


def test_utf_8_with_a_broken_letter_is_taken_for_no_other_script():
    assert encoding_of("größer, süßer, schöner, kühler, älter\n".encode() * 4 + b"T\xfcr\n") == "cp1252"


@pytest.mark.parametrize(
    ("text", "above"),
    [
        ("Umsatz;;;;\n;;;;\nBon;Tag;Artikel;Menge;Kunde\n1;2;3;4;5\n1;2;3;4;5\n", 2),
        ("Report\n\nid,day,item\na,b,c\nd,e,f\n", 2),
        ("id,day,item,note,tag\na,b,c,,\nd,e,f,,\n", 0),
    ],
)
def test_a_title_that_a_spreadsheet_filled_up_with_empty_cells_is_skipped(tmp_path: Path, text: str, above: int):
    assert _keys(tmp_path, text).get("skip", 0) == above


def test_a_file_without_a_header_has_as_many_columns_as_most_lines(tmp_path: Path):
    keys = _keys(tmp_path, "1,1950,Mirror, Vol. 2\n2,1951,Lamp\n3,1952,Tin\n")
    assert keys["names"] == ["column1", "column2", "column3"]


def test_a_first_line_that_is_too_wide_is_told_and_the_others_are_read(settings: Settings, tmp_path: Path):
    lines = [f"2026-01-{day:02} 10:00:00,u{day % 5},i{day % 7}" for day in range(1, 29)]
    (tmp_path / "clicks.csv").write_text("\n".join([lines[0] + ",x", *lines[1:]]) + "\n")
    text, _ = draft_folder(tmp_path)
    tables = rehearse_draft(settings, tmp_path, text)
    assert tables["events"].rows == 28
    assert [rule for rule, _, _ in tables["events"].held] == ["line_readable"]


def test_a_workbooks_titles_are_skipped_and_its_empty_sheet_is_left_out(settings: Settings, tmp_path: Path):
    sales = [[f"2026-01-{day:02} 10:00:00", f"c{day % 5}", f"p{day % 7}", 2.5] for day in range(1, 29)]
    items = [[f"p{number}", f"Tea no {number}"] for number in range(7)]
    sheets = {
        "Sales": [["Shop in Graz"], ["January"], [], ["sold_at", "customer_id", "product_id", "price"], *sales],
        "Products": [["product_id", "title"], *items],
        "Hints": [["This export was made by a machine."]],
    }
    with pd.ExcelWriter(tmp_path / "till.xlsx") as book:
        for name, rows in sheets.items():
            pd.DataFrame(rows).to_excel(book, sheet_name=name, header=False, index=False)
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["skip"] == 3
    assert "skip" not in mapping["items"]
    assert "# Not used: Hints: it has no rows." in text
    tables = rehearse_draft(settings, tmp_path, text)
    assert (tables["events"].rows, tables["events"].held, tables["items"].held) == (28, (), ())


def test_an_export_of_empty_files_alone_is_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("user_id,item_id\n")
    with pytest.raises(ExportRejected, match="expected rows"):
        draft_folder(tmp_path)


def test_parquet_is_known_by_its_first_bytes_whatever_its_name(settings: Settings, tmp_path: Path):
    rows = {"user_id": ["u1", "u2"], "item_id": ["i1", "i2"], "event_time": ["2026-01-01", "2026-01-02"]}
    pd.DataFrame(rows).to_parquet(tmp_path / "part-0")
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["format"] == "parquet"
    assert rehearse_draft(settings, tmp_path, text)["events"].rows == 2
    (tmp_path / "part-0").rename(tmp_path / "part.pq")
    (tmp_path / "more.jsonlines").write_text('{"user_id": "u"}\n')
    assert len(files_named([str(tmp_path / "*.pq"), str(tmp_path / "*.jsonlines")])) == 2


def test_a_list_within_a_lists_elements_becomes_rows(tmp_path: Path):
    visit = [{"type": "order", "items": [{"sku": "x"}, {"sku": "y"}]}, {"type": "view", "sku": "z"}, {"type": "out"}]
    rows = _rows_of(tmp_path, visit, ListColumn("c.items", others=("c",)))
    assert [(row["id"], row["type"], row["sku"]) for row in rows] == [
        ("r1", "order", "x"), ("r1", "order", "y"), ("r1", "view", "z"), ("r1", "out", None)
    ]  # fmt: skip
    rows = _rows_of(tmp_path, visit, ListColumn("c.items"))
    assert [row["type"] for row in rows] == ["order", "order", "view", "out"]


def test_keys_of_all_that_lies_on_a_path_are_columns(tmp_path: Path):
    lines = [{"id": "l1", "sku": "x"}, {"id": "l2", "sku": "y"}]
    edges = [{"node": {"id": "o1", "user": "u", "lines": lines}}, {"node": {"id": "o2", "user": "v", "lines": []}}]
    rows = _rows_of(tmp_path, {"total": 2, "edges": edges}, ListColumn("c.edges.node.lines"))
    told = [(row["lines_id"], row["sku"], row["node_id"], row["user"], row["total"]) for row in rows]
    assert told == [("l1", "x", "o1", "u", "2"), ("l2", "y", "o1", "u", "2"), (None, None, "o2", "v", "2")]


def test_the_answer_of_an_api_is_drafted_by_the_list_deep_within(settings: Settings, tmp_path: Path):
    edges = [
        {"node": {"number": f"{day}", "created": f"2026-01-{day:02}T10:00:00Z", "user_id": f"u{day % 5}",
                  "lines": [{"product_id": f"p{day % 7}", "quantity": 2}, {"product_id": "p9", "quantity": 1}]}}
        for day in range(1, 29)
    ]  # fmt: skip
    (tmp_path / "orders.json").write_text(json.dumps({"data": {"orders": {"edges": edges}}}))
    text, mapping = draft_folder(tmp_path)
    assert mapping["events"]["unnest"] == "data.orders.edges.node.lines"
    tables = rehearse_draft(settings, tmp_path, text)
    assert (tables["events"].rows, tables["events"].held) == (56, ())
