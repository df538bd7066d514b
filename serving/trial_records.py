"""What a server writes into the store about an experiment: that it burns, and what each arm's answers were.

experiments/<id>/stop.json is written once, by the server that stops first; the others hear it at their next look.
experiments/<id>/servers/<server>.json has one server's counts. Answering does not hang on either.
"""

import logging
from datetime import UTC, datetime
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from feature_repo.experiments import Experiment
from serving.trial import Trial

LOG = logging.getLogger("serving")


def told_stop(client: Any, bucket: str, experiment: Experiment) -> str | None:
    """Return why another server stopped an experiment, None where none did. Never raises."""
    try:
        body = client.get_object(Bucket=bucket, Key=_key(experiment, "stop.json"))["Body"].read(65_536)
        return str(orjson.loads(body)["reason"])
    except (BotoCoreError, ClientError):
        return None
    except (ValueError, KeyError, TypeError):
        return "a server stopped it"


def call_stop(client: Any, bucket: str, experiment: Experiment, reason: str, server: str) -> None:
    """Call out that an experiment burns; the first server that says so is heard. Never raises."""
    content = {"reason": reason, "server": server, "at": datetime.now(UTC).isoformat()}
    _put(client, bucket, _key(experiment, "stop.json"), content, {"IfNoneMatch": "*"})


def tell_counts(client: Any, bucket: str, trial: Trial, server: str) -> None:
    """Write down what each arm's answers were so far, and lines that a shadow had no room for. Never raises."""
    dropped = 0 if trial.shadow is None else trial.shadow.dropped
    counts, now = trial.guard.counts(), datetime.now(UTC).isoformat()
    content = {"arms": counts, "dropped": dropped, "stopped": trial.guard.stopped, "at": now}
    _put(client, bucket, _key(trial.experiment, f"servers/{server}.json"), content, {})


def _put(client: Any, bucket: str, key: str, content: dict[str, Any], condition: dict[str, str]) -> None:
    try:
        client.put_object(Bucket=bucket, Key=key, Body=orjson.dumps(content), **condition)
    except (BotoCoreError, ClientError) as error:
        LOG.debug("%s could not be written: %s", key, error)


def _key(experiment: Experiment, name: str) -> str:
    return f"experiments/{experiment.experiment_id}/{name}"
