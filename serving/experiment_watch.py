"""The experiment, followed as it is published: its challenger is loaded beside the champion, and let go when it ends.

Whatever cannot be read, trusted or loaded means: no experiment. The champion then answers everybody, as without one.
"""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from feature_repo.experiments import EXPERIMENT_KEY, Experiment, ExperimentError, read_experiment
from feature_repo.slate_rules import PublishedRules
from serving.experiment_guard import Guard
from serving.lease import server_name
from serving.metrics import Metrics
from serving.online_rows import no_online_rows
from serving.release import Release, ReleaseRejected, load_release
from serving.release_signature import check_signed
from serving.release_store import MANIFEST_BYTES, Pointer, StoreUnavailable, fetch_release
from serving.settings import Settings
from serving.shadow import follow_rules, start_shadow, stop_shadow
from serving.shelf_rules import bind_rules
from serving.trial import Trial
from serving.trial_records import call_stop, tell_counts, told_stop

#: A challenger that did not load is tried again after this many looks.
RETRY_POLLS = 6
LOG = logging.getLogger("serving")
_UNCHANGED = ("304", "NotModified")
_MISSING = ("NoSuchKey", "404", "NotFound")


class ExperimentSource:
    """Where the experiment comes from. For one thread."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings, self.metrics = settings, metrics
        self.etag: str | None = None
        self.experiment: Experiment | None = None
        self.trial: Trial | None = None
        self.problem: str | None = None
        self.retry_at = 0.0
        self.server = server_name(settings.port)
        self.called = False
        self.counted = -1

    def trial_beside(self, client: Any, champion: Release | None, rules: PublishedRules | None) -> Trial | None:
        """Return the trial that shoppers of this champion take part in now, None for none. Never raises."""
        try:
            self._read(client)
            self._follow(client, champion, rules)
        except (ReleaseRejected, ExperimentError, StoreUnavailable) as error:
            self._end(f"no experiment: {error}")
            self.retry_at = time.monotonic() + RETRY_POLLS * self.settings.poll_seconds
        except Exception:
            self._end("no experiment")
            LOG.exception("the experiment cannot be followed")
        running = self.trial is not None and self.trial.guard.stopped is None
        self.metrics.experiment.set(int(running))
        return self.trial

    def _read(self, client: Any) -> None:
        condition = {} if self.etag is None else {"IfNoneMatch": self.etag}
        bucket = self.settings.object_store.bucket
        try:
            answer = client.get_object(Bucket=bucket, Key=EXPERIMENT_KEY, **condition)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code"))
            if code in _MISSING:
                self.etag, self.experiment = None, None
            elif code not in _UNCHANGED:
                LOG.debug("the experiment cannot be read: %s", error)
            return
        except BotoCoreError as error:
            LOG.debug("the experiment cannot be read: %s", error)
            return
        # A new one is trusted only once all of it is good.
        self.experiment, self.etag, self.retry_at = None, answer.get("ETag"), 0.0
        found = read_experiment(answer["Body"].read(MANIFEST_BYTES))
        check_signed(found.signed, found.signature, self.settings.release_keys, EXPERIMENT_KEY, EXPERIMENT_KEY)
        self.experiment = found.experiment

    def _follow(self, client: Any, champion: Release | None, rules: PublishedRules | None) -> None:
        experiment = self.experiment
        if experiment is None or not experiment.running or champion is None:
            self._end("the experiment has ended")
            return
        if champion.release_id != experiment.champion:
            self._end(f"the experiment is one with {experiment.champion}, which is not champion now")
            return
        trial = self.trial
        if trial is None or trial.experiment.experiment_id != experiment.experiment_id:
            if time.monotonic() < self.retry_at:
                return
            self._end("another experiment begins")
            trial = self._begin(self._fetch(client, experiment), experiment)
            trial, self.called, self.counted = tied_to(trial, rules), False, -1
            LOG.info("experiment %s: %s beside the champion", experiment.experiment_id, experiment.challenger)
        self.trial, self.problem = (trial if trial.rules == rules else tied_to(trial, rules)), None
        self._share(client, self.trial)

    def _share(self, client: Any, trial: Trial) -> None:
        """Tell what was counted, and of a stop of our own, once; hear those of others."""
        bucket, guard = self.settings.object_store.bucket, trial.guard
        if guard.stopped is None:
            guard.stopped = told_stop(client, bucket, trial.experiment)
        elif not self.called:
            LOG.warning("experiment %s: no more traffic: %s", trial.experiment.experiment_id, guard.stopped)
            call_stop(client, bucket, trial.experiment, guard.stopped, self.server)
            self.called = True
        counted = sum(tally.answers + tally.clicked for tally in guard.totals.values())
        if counted != self.counted:
            tell_counts(client, bucket, trial, self.server)
            for arm, tally in guard.counts().items():
                for outcome, count in tally.items():
                    self.metrics.experiment_answers.labels(arm, outcome).set(count)
            self.counted = counted

    def _fetch(self, client: Any, experiment: Experiment) -> Path:
        settings = self.settings
        pointer = Pointer(experiment.challenger, experiment.challenger_manifest_sha256)
        keys, most = settings.release_keys, settings.max_release_bytes
        return fetch_release(client, settings.object_store.bucket, pointer, settings.cache_path, keys, most)

    def _begin(self, folder: Path, experiment: Experiment) -> Trial:
        guard = Guard(experiment.bounds, mixed=experiment.mode == "interleave")
        if experiment.mode == "shadow":
            shadow = start_shadow(experiment, guard, folder, self.settings.spool_path / "answers")
            return Trial(experiment, guard, None, shadow=shadow)
        return Trial(experiment, guard, None, challenger=load_release(folder, no_online_rows))

    def close(self) -> None:
        """Let go of a challenger."""
        if self.trial is not None and self.trial.shadow is not None:
            stop_shadow(self.trial.shadow)
        self.trial = None

    def _end(self, why: str) -> None:
        if self.trial is not None or (why != self.problem and why.startswith("no experiment")):
            LOG.warning("%s", why)
        self.close()
        self.problem = why


def tied_to(trial: Trial, rules: PublishedRules | None) -> Trial:
    """Return the trial with its challenger tied to the shop's rules."""
    challenger = trial.challenger
    if trial.shadow is not None:
        follow_rules(trial.shadow, rules)
    if challenger is not None:
        bound = bind_rules(rules, challenger.catalogue, challenger.rules.learned)
        challenger = replace(challenger, rules=bound)
    return replace(trial, challenger=challenger, rules=rules)
