"""The whole way as one story: a shop's export in, a release out. Also the half of it that runs every hour."""

from dataclasses import dataclass
from datetime import datetime

from prefect import flow

from flows.automations import FEATURES_COMPLETED, announce
from flows.build_features import build_features
from flows.ingest import IngestSummary, ingest
from flows.materialise import materialise
from flows.train_model import train_model
from flows.training_runs import TrainSummary


@dataclass(frozen=True)
class PipelineSummary:
    """What a run of the whole way did: the export that landed, the moment of the features, the training."""

    ingested: IngestSummary
    as_of: datetime
    trained: TrainSummary


@flow(name="pipeline")
def pipeline(
    source: str = "complete_journey", path: str | None = None, as_of: datetime | None = None
) -> PipelineSummary:
    """Ingest `source`, build its features, load the online store, train, gate and release.

    Args: `source`, a shop's mapping (a name or a TOML file); `path`, its export, where the mapping names none;
    `as_of`, the moment that features pretend to be computed at, by default the newest that the lake allows.
    Stages that were done before are not done again. Raises what a stage raises; what earlier stages wrote stays,
    and the same call goes on from there.
    """
    ingested = ingest(source, path)
    moment = build_features(as_of, ingested.source)
    materialise()
    return PipelineSummary(ingested, moment, train_model(ingested.source))


@flow(name="refresh-features")
def refresh_features(as_of: datetime | None = None) -> None:
    """Build the feature tables as of a moment and load the newest rows into the online store."""
    build_features(as_of)
    materialise()
    announce(FEATURES_COMPLETED, "features", {})
