"""An experiment at work: its challenger in memory, and the guard that counts what it costs."""

from dataclasses import dataclass

from feature_repo.experiments import Experiment
from feature_repo.slate_rules import PublishedRules
from serving.experiment_guard import Guard
from serving.release import Release
from serving.shadow import Shadow


@dataclass(frozen=True)
class Trial:
    """An experiment that runs here. `rules` are those that the challenger has been tied to.

    In a shadow experiment the challenger is a process of its own: `shadow`; else it is in this one: `challenger`.
    """

    experiment: Experiment
    guard: Guard
    rules: PublishedRules | None
    challenger: Release | None = None
    shadow: Shadow | None = None

    def challenger_of(self, champion: Release) -> Release | None:
        """Return the challenger if shoppers of this champion may be answered by it now."""
        if self.guard.stopped is not None or champion.release_id != self.experiment.champion:
            return None
        return self.challenger
