"""The feature store, opened from values: nothing here reads the environment."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml
from feast import FeatureStore, RepoConfig
from feast.errors import FeatureServiceNotFoundException
from feast.infra.online_stores.helpers import get_online_store_from_config

from feature_repo import feature_definitions, features, schema
from feature_repo.encoded_rows import RowDoor
from feature_repo.feature_definitions import definitions
from feature_repo.features import USER_SERVICE

#: Setting `online_type` → the guarded online store, by the path that Feast loads it from.
ONLINE_STORE_CLASSES = {
    "sqlite": "feature_repo.online_store.GuardedSqliteOnlineStore",
    "redis": "feature_repo.online_store.GuardedRedisOnlineStore",
    "postgres": "feature_repo.postgres_store.GuardedPostgresOnlineStore",
}
_TEMPLATE = Path(__file__).parent / "feature_store.yaml"
_DEFINITIONS_TAG = "definitions"


@dataclass(frozen=True)
class StoreAddress:
    """Where a feature store is: its registry file, and the online store (a name above) with its address."""

    registry_path: str
    online_type: str
    online_path: str
    redis_url: str
    postgres_url: str = ""


def store_environment(address: StoreAddress) -> dict[str, str]:
    """Return the variables that feature_store.yaml names, for Feast's own command line."""
    return {
        "AISLE_FEAST_REGISTRY": address.registry_path,
        "AISLE_ONLINE_STORE_CLASS": ONLINE_STORE_CLASSES[address.online_type],
        "AISLE_ONLINE_PATH": address.online_path,
        "AISLE_REDIS_URL": address.redis_url,
        "AISLE_POSTGRES_URL": address.postgres_url,
    }


def open_store(address: StoreAddress) -> FeatureStore:
    """Open the feature store of feature_store.yaml at an address; definitions are not registered here."""
    config = _filled(yaml.safe_load(_TEMPLATE.read_text(encoding="utf-8")), store_environment(address))
    return FeatureStore(config=RepoConfig(**config))


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    """Fill the variables into what YAML has read, so that YAML reads no value of theirs."""
    if isinstance(value, dict):
        return {name: _filled(each, environment) for name, each in value.items()}
    return Template(value).substitute(environment) if isinstance(value, str) else value


def row_door(store: FeatureStore) -> RowDoor:
    """Return the online store of a feature store by its own door, for whole tables."""
    door: RowDoor = get_online_store_from_config(store.config.online_store)
    return door


def apply_definitions(store: FeatureStore, offline_path: str) -> bool:
    """Register every Feast object, unless the registry already holds exactly these; return whether it was written.

    A registry that did not change keeps its bytes, and a release that pins it keeps its id.
    """
    wanted = definitions_hash(offline_path)
    try:
        if store.get_feature_service(USER_SERVICE).tags.get(_DEFINITIONS_TAG) == wanted:
            return False
    except FeatureServiceNotFoundException:
        pass
    objects = definitions(offline_path)
    for each in objects:
        each.tags = {_DEFINITIONS_TAG: wanted}
    Path(store.config.registry.path).parent.mkdir(parents=True, exist_ok=True)
    store.apply(objects)
    return True


def definitions_hash(offline_path: str) -> str:
    """Return a hash of what the registered objects are made of: names, types, code and the place of the snapshots."""
    digest = hashlib.sha256(offline_path.encode())
    for module in (schema, features, feature_definitions):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:16]
