"""Logged answers computed again by serving's own code, in a process of its own, with the release and rules of then."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from feature_repo.slate_rules import publication
from flows.experiments import past_experiment
from flows.releases import fetch_release
from flows.settings import Settings, environment_for_children
from flows.slate_rules import read_rules


class ReplayImpossible(RuntimeError):
    """Something that the answer was made of is not there any more."""


def replay(settings: Settings, batches: Sequence[Sequence[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Compute batches of the answer log again; return by request id: same (bytes), answer, made_by (one a place).

    Raises ReplayImpossible, or ObjectMissing where a release or rules are gone from the store.
    """
    asked = b"".join(json.dumps(_asked(settings, batch), default=str).encode() + b"\n" for batch in batches)
    done = subprocess.run(
        [sys.executable, "-m", "serving.replay"],
        input=asked,
        capture_output=True,
        env=environment_for_children(settings),
        check=False,
    )
    if done.returncode:
        raise ReplayImpossible(f"The replay ended with: {done.stderr.decode(errors='replace')[-2000:]}")
    results = [result for line in done.stdout.splitlines() for result in json.loads(line)]
    return {result["request_id"]: result for result in results}


def _asked(settings: Settings, batch: Sequence[dict[str, Any]]) -> dict[str, Any]:
    folder = fetch_release(settings, batch[0]["release_id"], settings.home / "releases")
    rows = [{**row, "as_of": row["as_of"].isoformat(), "answered_at": ""} for row in batch]
    asked = {"release": str(folder), "rules": rules_of(settings, batch[0]["rules_id"]), "batch": rows}
    said = json.loads(batch[0]["answer"]).get("experiment") or {}
    if said.get("challenger_ranks") is None:
        return asked
    experiment = past_experiment(settings, said["experiment_id"])
    challenger = fetch_release(settings, experiment.challenger, settings.home / "releases")
    return {**asked, "challenger": str(challenger), "salt": experiment.salt}


def rules_of(settings: Settings, rules_id: str | None) -> Any:
    """Return the publication of the shop's rules of then; None for none. Raises ReplayImpossible where it is gone."""
    if rules_id is None:
        return None
    published = read_rules(settings, int(rules_id.partition("-")[0]))
    if published is None or published.rules_id != rules_id:
        raise ReplayImpossible(f"Rules {rules_id} are not in the object store any more.")
    return json.loads(publication(published.version, published.rules, published.published_at)[1])
