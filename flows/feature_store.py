"""The feature store of the settings, with its definitions registered."""

from feast import FeatureStore

from feature_repo.store import StoreAddress, apply_definitions, open_store
from flows.settings import Settings


def feature_store(settings: Settings) -> FeatureStore:
    """Open the feature store; the registry is written only when the definitions changed (one writer at a time)."""
    place = settings.feature_store
    store = open_store(
        StoreAddress(place.registry_path, place.online_type, place.online_path, place.redis_url, place.postgres_url)
    )
    apply_definitions(store, place.offline_path)
    return store
