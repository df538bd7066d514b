"""What changed from one release to another, in words and numbers, and what it did to the metrics."""

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flows.release_objects import read_checked
from flows.releases import read_manifest
from flows.settings import Settings

#: Metrics of the released model, with the name that a person reads.
METRICS = {
    "ndcg10": "NDCG@10",
    "recall10": "Recall@10",
    "mrr": "MRR",
    "new_ndcg10": "NDCG@10, new items",
    "new_recall10": "Recall@10, new items",
    "coverage": "coverage",
}
_NAMED = 5

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One thing that changed: what it belongs to (data, features, model …), and a sentence with both values."""

    subject: str
    sentence: str


@dataclass(frozen=True)
class MetricChange:
    """One metric of the released models on their test cuts, before and after."""

    name: str
    before: float
    after: float


@dataclass(frozen=True)
class Difference:
    """Everything that differs. `same_test`: both were tested on the same week of the same data, so metrics compare."""

    before: str
    after: str
    changes: tuple[Change, ...]
    metrics: tuple[MetricChange, ...]
    same_test: bool


def difference_of(settings: Settings, before: str, after: str) -> Difference:
    """Compare two releases in the store. Raises ObjectMissing, or BrokenRelease when a catalogue is not whole."""
    manifests = [read_manifest(settings, name) for name in (before, after)]
    old, new = manifests
    changes = [*_plain_changes(old, new), *_data_changes(old, new), *_code_changes(old, new)]
    changes += _keyed("hyper-parameters", old.get("hyper_parameters", {}), new.get("hyper_parameters", {}))
    changes += _keyed("transformer", old.get("transformer", {}), new.get("transformer", {}))
    changes += _keyed("seeds", old.get("seeds", {}), new.get("seeds", {}))
    changes += [*_feature_changes(old, new), *_file_changes(old, new)]
    name = "items.jsonl.gz"
    if old["files"][name] != new["files"][name]:
        changes += _item_changes(*(_items(settings, each) for each in manifests))
    same_test = _pin(old, "data", "training_set") == _pin(new, "data", "training_set") is not None
    return Difference(before, after, tuple(changes), tuple(_metric_changes(old, new)), same_test)


def _plain_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key, subject, name in (
        ("as_of", "data", "The moment"),
        ("source", "data", "The shop"),
        ("currency", "data", "The currency"),
    ):
        if old.get(key) != new.get(key):
            yield Change(subject, f"{name} was {old.get(key)} and is {new.get(key)}.")
    rules = (_pin(old, "rules", "rules_id"), _pin(new, "rules", "rules_id"))
    if rules[0] != rules[1]:
        yield Change("rules", f"The shop's rules were {rules[0] or 'none'} and are {rules[1] or 'none'}.")
    was, now = old["model"], new["model"]
    if was["name"] != now["name"]:
        yield Change("model", f"The model was {was['name']} and is {now['name']}.")


def _data_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    tables = (_pin(old, "data", "tables") or _versions(old), _pin(new, "data", "tables") or _versions(new))
    for name in sorted({*tables[0], *tables[1]}):
        was, now = (table.get(name, {}) for table in tables)
        if was != now:
            rows = _counts(was.get("rows"), now.get("rows"), "rows")
            yield Change("data", f"Table {name}: version {was.get('version')} before, {now.get('version')} now{rows}.")
    sets = (_pin(old, "data", "training_set") or {}, _pin(new, "data", "training_set") or {})
    if sets[0] != sets[1]:
        rows, items = (_counts(sets[0].get(key), sets[1].get(key), key) for key in ("rows", "items"))
        weeks = (sets[0].get("cuts", {}).get("test"), sets[1].get("cuts", {}).get("test"))
        week = f", test week from {_day(weeks[0])} before, {_day(weeks[1])} now" if weeks[0] != weeks[1] else ""
        yield Change("data", f"The training set is another one{rows}{items}{week}.")
    yield from _landed_changes(_pin(old, "data", "landed") or {}, _pin(new, "data", "landed") or {})


def _landed_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for source in sorted({*old, *new}):
        for table in sorted({*old.get(source, {}), *new.get(source, {})}):
            was, now = old.get(source, {}).get(table, {}), new.get(source, {}).get(table, {})
            for key, subject, verb in (("mappings", "mapping", "read"), ("contracts", "contract", "judged")):
                if was.get(key) != now.get(key):
                    sentence = f"{source}: {table} was {verb} by {_few(was.get(key))}, now by {_few(now.get(key))}."
                    yield Change(subject, sentence)
            held = _counts(was.get("rows_quarantined"), now.get("rows_quarantined"), "rows held")
            if held:
                yield Change("quarantine", f"{source}: {table}{held}.")


def _code_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    was, now = old.get("code", {}), new.get("code", {})
    if was.get("version") != now.get("version"):
        yield Change("code", f"Aisle was {was.get('version')} and is {now.get('version')}.")
    if was.get("lock_sha256") != now.get("lock_sha256"):
        yield Change(
            "code",
            f"The locked packages changed ({_short(was.get('lock_sha256'))} to {_short(now.get('lock_sha256'))}).",
        )
    packages = (was.get("packages", {}), now.get("packages", {}))
    changed = [name for name in sorted({*packages[0], *packages[1]}) if packages[0].get(name) != packages[1].get(name)]
    if changed:
        yield Change("code", f"The code of {', '.join(changed)} changed.")
    for key, name in (("sha256", "contract"), ("expectations_sha256", "rules that judge by the contract")):
        if _pin(old, "contract", key) != _pin(new, "contract", key):
            yield Change(
                "contract",
                f"The {name} changed ({_short(_pin(old, 'contract', key))} to {_short(_pin(new, 'contract', key))}).",
            )


def _feature_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    was, now = old.get("features", {}), new.get("features", {})
    if was.get("service") != now.get("service"):
        yield Change("features", f"The feature service was {was.get('service')} and is {now.get('service')}.")
    before, after = was.get("user", []), now.get("user", [])
    if set(before) != set(after):
        added, removed = sorted(set(after) - set(before)), sorted(set(before) - set(after))
        yield Change("features", f"Features added: {_few(added)}; removed: {_few(removed)}.")
    elif before != after:
        place = next(i for i, pair in enumerate(zip(before, after, strict=True), 1) if pair[0] != pair[1])
        yield Change("features", f"The order of the features changed from place {place} on.")
    if was.get("transforms") != now.get("transforms"):
        yield Change(
            "features", f"The transforms changed ({_short(was.get('transforms'))} to {_short(now.get('transforms'))})."
        )


def _file_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    subjects = {"model.onnx": "model", "items.jsonl.gz": "items"}
    for name in sorted({*old["files"], *new["files"]}):
        was, now = old["files"].get(name), new["files"].get(name)
        if was == now:
            continue
        subject = subjects.get(name, "files")
        if was is None or now is None:
            yield Change(subject, f"{name} is {'new' if was is None else 'gone'}.")
        else:
            yield Change(subject, f"{name} has other bytes ({was['size']:,} before, {now['size']:,} now).")


def _item_changes(old: Mapping[str, Item], new: Mapping[str, Item]) -> Iterator[Change]:
    added, removed = [name for name in new if name not in old], [name for name in old if name not in new]
    if added:
        yield Change("items", f"{len(added):,} items added: {_few([str(new[name]['title']) for name in added])}.")
    if removed:
        yield Change("items", f"{len(removed):,} items removed: {_few([str(old[name]['title']) for name in removed])}.")
    both = [name for name in new if name in old]
    for field, words in (
        ("price", "have another price"),
        ("available", "are available now or no longer"),
        ("title", "have another title"),
        ("category", "have another category"),
    ):
        count = sum(old[name].get(field) != new[name].get(field) for name in both)
        if count:
            yield Change("items", f"{count:,} of {len(both):,} items {words}.")


def _metric_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[MetricChange]:
    was, now = (each.get("metrics", {}).get("test", {}).get(each["model"]["name"], {}) for each in (old, new))
    for key, name in METRICS.items():
        if was.get(key) is not None and now.get(key) is not None:
            yield MetricChange(name, float(was[key]), float(now[key]))


def _keyed(subject: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    keys = sorted({*old, *new})
    return [
        Change(subject, f"{key} was {old.get(key, 'not set')} and is {new.get(key, 'not set')}.")
        for key in keys
        if old.get(key) != new.get(key)
    ]


def _items(settings: Settings, manifest: Mapping[str, Any]) -> dict[str, Item]:
    name = "items.jsonl.gz"
    body = read_checked(settings, manifest["release_id"], name, manifest["files"][name])
    rows = [json.loads(line) for line in gzip.decompress(body).splitlines()]
    return {row["item_id"]: row for row in rows}


def _pin(manifest: Mapping[str, Any], *path: str) -> Any:
    """Return a pinned value, None where an older release does not have it."""
    value: Any = manifest
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _versions(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"version": version} for name, version in manifest.get("lake", {}).items()}


def _counts(before: int | None, after: int | None, what: str) -> str:
    if before == after or before is None or after is None:
        return ""
    return f", {before:,} {what} before and {after:,} now ({after - before:+,})"


def _few(names: list[str] | None) -> str:
    names = list(names or [])
    shown = ", ".join(_short(name) if len(name) > 40 and " " not in name else name for name in names[:_NAMED])
    return (shown or "none") + (f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else "")


def _short(digest: object) -> str:
    return f"{str(digest)[:12]}…" if digest else "none"


def _day(moment: str | None) -> str:
    return str(moment)[:10] if moment else "none"
