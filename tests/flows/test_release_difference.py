"""`aisle release diff` says in words and numbers what changed, nothing else, and what it did to the metrics."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

from flows.champion import read_pointer
from flows.release_difference import difference_of
from flows.releases import publish
from flows.settings import Settings
from tests.flows.test_releases import manifest_of, release_folder

ITEMS = [{"item_id": f"i{n}", "title": f"Thing {n}", "price": 1.0 * n, "available": True} for n in range(1, 9)]
PINS: dict[str, Any] = {
    "lake": {"events": 3},
    "data": {
        "tables": {"events": {"version": 3, "rows": 1000}},
        "landed": {"shop": {"events": {"mappings": ["m1"], "contracts": ["1"], "rows_quarantined": 2}}},
        "training_set": {"sha256_16": "a", "rows": 500, "items": 8, "cuts": {"test": "2026-01-05T00:00:00+00:00"}},
    },
    "contract": {"version": "1", "sha256": "c" * 64},
    "code": {"version": "0.1.0", "lock_sha256": "d" * 64, "packages": {"training": "e" * 64, "flows": "f" * 64}},
    "features": {"service": "user_v1", "user": ["a__x", "a__y"], "transforms": "t1"},
    "hyper_parameters": {"width": 64, "dropout": 0.2},
    "seeds": {"training": 7},
    "metrics": {"test": {"popularity": {"ndcg10": 0.1, "recall10": 0.2, "coverage": 0.3}}},
}


def publish_shop(settings: Settings, folder: Path, items: list[dict[str, Any]], pins: dict[str, Any]) -> str:
    with gzip.GzipFile(folder / "items.jsonl.gz", "wb", mtime=0) as lines:
        lines.write("".join(json.dumps(item) + "\n" for item in items).encode())
    return publish(settings, folder, manifest_of(**pins), read_pointer(settings)).release_id


def test_every_change_is_told_once_with_both_values_and_what_did_not_change_is_not(
    store_settings: Settings, tmp_path: Path
) -> None:
    before = publish_shop(store_settings, release_folder(tmp_path, "a"), ITEMS, PINS)
    pins = copy.deepcopy(PINS)
    pins["data"]["tables"]["events"] = {"version": 5, "rows": 1300}
    pins["data"]["landed"]["shop"]["events"] |= {"mappings": ["m2"], "rows_quarantined": 12}
    pins["data"]["training_set"] |= {"sha256_16": "b", "rows": 650}
    pins["code"]["packages"]["training"] = "0" * 64
    pins["features"] |= {"user": ["a__y", "a__x"], "transforms": "t2"}
    pins["hyper_parameters"]["width"] = 128
    pins["metrics"]["test"]["popularity"]["ndcg10"] = 0.125
    items = [{**ITEMS[0], "price": 9.0}, *ITEMS[1:7], {**ITEMS[7], "item_id": "i99", "title": "New thing"}]
    after = publish_shop(store_settings, release_folder(tmp_path, "b"), items, pins)
    told = difference_of(store_settings, before, after)
    text = {f"{change.subject}: {change.sentence}" for change in told.changes}
    for expected in (
        "data: Table events: version 3 before, 5 now, 1,000 rows before and 1,300 now (+300).",
        "data: The training set is another one, 500 rows before and 650 now (+150).",
        "mapping: shop: events was read by m1, now by m2.",
        "quarantine: shop: events, 2 rows held before and 12 now (+10).",
        "code: The code of training changed.",
        "features: The order of the features changed from place 1 on.",
        "features: The transforms changed (t1… to t2…).",
        "hyper-parameters: width was 64 and is 128.",
        "items: 1 items added: New thing.",
        "items: 1 items removed: Thing 8.",
        "items: 1 of 7 items have another price.",
    ):
        assert expected in text
    files = {name for name in text if "other bytes" in name}
    assert text - files == {line for line in text if line.split(":")[0] not in ("files", "model")} - files
    assert any(name.startswith("model: model.onnx") for name in files)
    assert len([change for change in told.changes if change.subject == "hyper-parameters"]) == 1
    metrics = {each.name: (each.before, each.after) for each in told.metrics}
    assert metrics["NDCG@10"] == (0.1, 0.125)
    assert metrics["Recall@10"] == (0.2, 0.2)
    assert not told.same_test


def test_a_release_does_not_differ_from_itself_and_an_older_manifest_can_be_compared(
    store_settings: Settings, tmp_path: Path
) -> None:
    old = {"lake": {"events": 2}, "metrics": {}}
    before = publish_shop(store_settings, release_folder(tmp_path, "a"), ITEMS, old)
    after = publish_shop(store_settings, release_folder(tmp_path, "b"), ITEMS, PINS)
    same = difference_of(store_settings, after, after)
    assert same.changes == ()
    assert same.same_test
    told = difference_of(store_settings, before, after)
    assert any("Table events: version 2 before, 3 now" in change.sentence for change in told.changes)
    assert told.metrics == ()
