"""What a release was made from beside its files: data, contract, mappings, verdicts, features, code, each by a hash."""

import hashlib
import importlib.metadata
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

import expectations
import feature_repo
import training
from feature_repo import schema
from feature_repo.features import USER_SERVICE, USER_VIEWS
from feature_repo.schema import CONTRACT_VERSION
from feature_repo.slate_rules import RULES_KEY, RulesError, read_publication
from feature_repo.transforms import code_hash
from flows import lake
from flows.object_client import ObjectStoreError, object_client, plain_errors
from flows.release_objects import describe, read_object, read_or_none
from flows.settings import Settings
from flows.training_set import VISITS, TrainingTables

_PROJECT = Path(__file__).parent.parent
_LOCK_FILE = _PROJECT / "requirements.lock"
_REPORTS = "reports/validation/"


def data_pins(settings: Settings, tables: TrainingTables) -> dict[str, Any]:
    """Return the manifest's `data`: tables with version and rows, what landed from each source, the training set.

    `landed`: source → table → windows, rows in, written and held, the hashes of mapping and contract they were read
    and judged by, and one hash over the content of all windows.
    """
    return {
        "tables": {name: _table_pin(settings, name, version) for name, version in sorted(tables.lake.items())},
        "landed": _landed(lake.read_table(settings, "windows")),
        "training_set": {
            "sha256_16": tables.input_hash,
            "rows": len(tables.histories),
            "items": len(tables.items),
            "cuts": _cuts(tables.histories),
        },
    }


def contract_pins() -> dict[str, Any]:
    """Return the manifest's `contract`: its version, and hashes of the vocabulary and of the rules that judge by it."""
    return {
        "version": CONTRACT_VERSION,
        "sha256": _file_sha256(Path(schema.__file__)),
        "expectations_sha256": _package_sha256(Path(expectations.__file__).parent),
    }


def validation_pins(settings: Settings) -> dict[str, Any]:
    """Return the manifest's `validation`: table → the newest report of its verdict, by key in the store and sha256.

    A store that does not answer leaves it empty: reports are then kept on the machine that made them.
    """
    newest: dict[str, str] = {}
    where = {"Bucket": settings.object_store.bucket, "Prefix": _REPORTS}
    try:
        with plain_errors(settings, "list the validation reports"):
            for page in object_client(settings).get_paginator("list_objects_v2").paginate(**where):
                for entry in page.get("Contents", []):  # in the order of their keys: by table, then by moment
                    newest[entry["Key"].removeprefix(_REPORTS).split("/")[0]] = entry["Key"]
        return {
            table: {"report": key, **describe(read_object(settings, key, f"read {key}")[0])}
            for table, key in newest.items()
        }
    except ObjectStoreError:
        return {}


def feature_pins() -> dict[str, Any]:
    """Return the manifest's `features`: the service, its features in order, and the hash of the transforms."""
    return {
        "service": USER_SERVICE,
        "user": [f"{view.name}__{name}" for view in USER_VIEWS for name in view.feature_names],
        "transforms": code_hash(),
    }


def code_pins() -> dict[str, Any]:
    """Return the manifest's `code`: version, lock, and one hash a package that made the release."""
    packages = {"feature_repo": feature_repo, "expectations": expectations, "training": training}
    hashes = {name: _package_sha256(Path(str(package.__file__)).parent) for name, package in packages.items()}
    return {
        "version": importlib.metadata.version("aisle"),
        "lock_sha256": _file_sha256(_LOCK_FILE) if _LOCK_FILE.exists() else None,
        "packages": {**hashes, "flows": _package_sha256(Path(__file__).parent)},
    }


def rules_pins(settings: Settings) -> dict[str, Any] | None:
    """Return the manifest's `rules`: the shop's rules as they were published at that moment; None without any.

    They change without a release: an answer names the rules that it was made under (feature_repo/slate_rules.py).
    """
    try:
        body = read_or_none(settings, RULES_KEY, "read the shop's rules")
        return None if body is None else {**describe(body), "rules_id": read_publication(body).rules_id}
    except (ObjectStoreError, RulesError):
        return None


def _table_pin(settings: Settings, name: str, version: int) -> dict[str, Any]:
    table = lake.open_table(settings, name, version) if version >= 0 else None
    return {"version": version, "rows": int(table.count()) if table is not None else 0}


def _landed(windows: pa.Table) -> dict[str, dict[str, Any]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in windows.to_pylist():
        groups[row["source"], row["table_name"]].append(row)
    landed: dict[str, dict[str, Any]] = defaultdict(dict)
    for (source, table), rows in sorted(groups.items()):
        content = "\n".join(sorted(f"{row['window']} {row['input_hash']}" for row in rows))
        landed[source][table] = {
            "windows": len(rows),
            **{name: sum(row[name] or 0 for row in rows) for name in ("rows_in", "rows_written", "rows_quarantined")},
            "mappings": sorted({row["mapping_hash"] for row in rows}),
            "contracts": sorted({row["contract_version"] for row in rows}),
            "content_sha256": hashlib.sha256(content.encode()).hexdigest(),
        }
    return dict(landed)


def _cuts(histories: pa.Table) -> dict[str, str]:
    """Return the moment of each cut; of a training set of visits the one moment after them."""
    cuts = {}
    for split in ("validation", "test", VISITS):
        rows = histories.filter(pc.equal(histories["split"], split))
        if len(rows):
            cuts[split] = rows["event_timestamp"][0].as_py().isoformat()
    return cuts


def _file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _package_sha256(folder: Path) -> str:
    """Return one hash over the names and bytes of a package's files that are code or declarations."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".toml", ".yaml") and path.is_file():
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
