"""The lake as it was known at a moment, past or present: what is learned or corrected since is not in it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from flows.settings import Settings


def lake_as_known(settings: Settings, known_at: datetime) -> Settings:
    """Return settings under which everything that reads the lake sees its tables as of `known_at` (Delta versions).

    Feature tables and the registry of that knowledge lie in a folder of their own, beside the present ones, which stay
    as they are; the lake cannot be written. Raises ValueError for a moment without a time zone.
    """
    if known_at.tzinfo is None:
        raise ValueError(f"known_at: expected a time with a time zone, came {known_at.isoformat()}: add UTC.")
    folder = settings.home / "as_known" / f"{known_at.astimezone(UTC):%Y-%m-%dT%H%M%S.%fZ}"
    features = replace(
        settings.feature_store,
        offline_path=str(folder / "features"),
        registry_path=str(folder / "feast" / "registry.db"),
    )
    return replace(settings, known_at=known_at, feature_store=features)


def lake_at_versions(settings: Settings, versions: Mapping[str, int]) -> Settings:
    """Return settings under which these tables of the lake are read at these versions, whatever lands meanwhile."""
    return replace(settings, lake_versions=dict(versions))
