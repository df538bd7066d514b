"""Does the champion still do what it did at its release? Scored on the newest week, against its own figure then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.automations import RETRAIN_WANTED, announce
from flows.champion import Pointer, read_pointer
from flows.releases import read_manifest
from flows.settings import Settings, load_settings
from flows.train_stages import champion_contender
from flows.training_set import build_training_set
from flows.validation import publish_verdict
from training.bootstrap import paired_bounds
from training.gate import rank_both, scores_of

#: The share of its NDCG@10 that a champion may lose before it is trained anew.
FALL = 0.1


@dataclass(frozen=True)
class Decay:
    """The champion on the newest week: NDCG@10 then and now, and the bound up to which it may be now by chance.

    `decayed`: it is sure (95 %, bootstrap over users) that it lost more than `FALL` of what it had.
    """

    release_id: str
    users: int
    ndcg10: float
    high: float
    at_release: float
    decayed: bool

    def sentence(self) -> str:
        """Return what was found in one sentence."""
        found = f"NDCG@10 {self.ndcg10:.4f} (at most {self.high:.4f}) on {self.users:,} users of the newest week"
        verdict = "it has decayed" if self.decayed else "it holds"
        return f"Champion {self.release_id}: {found}, {self.at_release:.4f} at its release: {verdict}."


@flow(name="check-champion")
def check_champion() -> Decay | None:
    """Score the champion on the newest 7 days; ask for training when it surely lost more than a tenth of its NDCG@10.

    Returns None without a champion, or when there is no newer week than the one it was released on.
    """
    settings, log = load_settings(), get_run_logger()
    pointer = read_pointer(settings)
    found = champion_decay(settings, pointer, read_manifest(settings, pointer.release_id)) if pointer else None
    if found is None:
        log.info("There is no champion, or no newer week than the one that it was released on.")
        return None
    log.info(found.sentence())
    text = found.sentence()
    create_markdown_artifact(f"# Champion\n\n{text}\n", key="champion-decay", description=text)
    if found.decayed:
        announce(RETRAIN_WANTED, found.release_id, {"reason": found.sentence()})
    return found


def champion_decay(settings: Settings, pointer: Pointer, manifest: Mapping[str, Any]) -> Decay | None:
    """Compare the champion's NDCG@10 on the newest week with the one of its manifest; None when there is no newer week.

    Both are means over the users who came back in the week; every item of the catalogue is a candidate. None, too,
    where one was judged by users who come back and the other by visits: those figures are of different questions.
    """
    source = None if manifest["source"] == "all" else manifest["source"]
    training_set = build_training_set(settings, source, publish_verdict)
    released = manifest.get("data", {}).get("training_set", {})
    released_on = released.get("cuts", {}).get("test", "")
    at_release = manifest["metrics"]["test"].get(manifest["model"]["name"], {}).get("ndcg10")
    seen = released_on[:10] == str(training_set.t_test)[:10]
    if not released_on:  # judged by visits: any new event makes another cut
        seen = released.get("sha256_16") == training_set.input_hash
    by_visits = training_set.step_truth is not None
    if seen or at_release is None or (not released_on) != by_visits:
        return None
    champion = champion_contender(settings, pointer)
    ranked = rank_both(champion, champion, training_set.catalogue, training_set.test)
    ndcg10, _ = scores_of(ranked, ranked.ours)
    if not len(ndcg10):
        return None
    _, high = paired_bounds(ndcg10)
    decayed = high < (1 - FALL) * at_release
    return Decay(pointer.release_id, len(ndcg10), float(ndcg10.mean()), high, at_release, decayed)
