"""An experiment at work: its challenger in memory, and the guard that counts what it costs."""

from dataclasses import dataclass

from feature_repo.experiments import Experiment
from feature_repo.slate_rules import PublishedRules
from serving.experiment_guard import Guard
from serving.release import Release


@dataclass(frozen=True)
class Trial:
    """An experiment that runs here. `rules` are those that the challenger has been tied to."""

    experiment: Experiment
    challenger: Release
    guard: Guard
    rules: PublishedRules | None

    def meets_shoppers(self, champion: Release) -> bool:
        """Whether shoppers of this champion may be answered by the challenger now."""
        return (
            self.experiment.mode != "shadow"
            and self.guard.stopped is None
            and champion.release_id == self.experiment.champion
        )
