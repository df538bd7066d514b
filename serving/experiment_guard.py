"""The guard of an experiment: counts what the challenger costs, and stops it here and at once when a bound is broken.

Each bound is a share that must not be exceeded. With n answers, b of them bad, the evidence against "the share is at
most p" is the mean over some larger shares q of (q/p)^b ((1-q)/(1-p))^(n-b). Whatever the true share up to p, and
however often one looks, it exceeds 1/a with a probability of at most a (Ville's inequality: each term is a
supermartingale; Ramdas et al., Game-theoretic statistics and safe anytime-valid inference, 2023).
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from feature_repo.experiments import CHALLENGER, CHAMPION, Bounds

#: Answers are judged over the present and the last of these spans (seconds): what was good before does not excuse.
SPAN = 30.0
#: The chance that a span in which a challenger is just at its bound ends in a stop.
CHANCE = 1e-6
#: The same for the click-through, judged over all since the start, for clicks come late.
CLICK_CHANCE = 1e-4
#: Answers of the champion from which its shares are known well enough to compare with.
CHAMPION_ANSWERS = 50
REMEMBERED_SLATES = 50_000
#: How far above (or below) its bound a share may be, as a part of the way to 1 (or 0).
_BEYOND = (0.02, 0.05, 0.1, 0.2, 0.5, 0.95)


@dataclass
class Tally:
    """What one arm's answers were."""

    answers: int = 0
    errors: int = 0
    slow: int = 0
    fallbacks: int = 0
    clicked: int = 0

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        self.answers += other.answers
        self.errors += other.errors
        self.slow += other.slow
        self.fallbacks += other.fallbacks
        self.clicked += other.clicked


@dataclass
class _Shown:
    """The newest slate of a user: its arm, its items, and whether a click on it has been counted."""

    arm: str
    items: frozenset[str]
    clicked: bool = False


@dataclass
class Guard:
    """The counts of one experiment in this process; `stopped` is why it ended here, None while it goes on.

    `mixed`: slates are drawn from both releases, so a click on one tells of no release's click-through.
    """

    bounds: Bounds
    stopped: str | None = None
    mixed: bool = False
    totals: dict[str, Tally] = field(default_factory=lambda: {CHAMPION: Tally(), CHALLENGER: Tally()})
    span: Tally = field(default_factory=Tally)
    last_span: Tally = field(default_factory=Tally)
    span_began: float = field(default_factory=time.monotonic)
    shown: "OrderedDict[str, _Shown]" = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, arm: str, tally: Tally, now: float | None = None) -> None:
        """Count answers of an arm (CHAMPION or CHALLENGER); `now` in monotonic seconds."""
        with self.lock:
            self.totals[arm].add(tally)
            if arm != CHALLENGER:
                return
            moment = time.monotonic() if now is None else now
            if moment - self.span_began > SPAN:
                fresh_enough = moment - self.span_began <= 2 * SPAN
                self.last_span, self.span, self.span_began = (self.span if fresh_enough else Tally()), Tally(), moment
            self.span.add(tally)
            self.stopped = self.stopped or self._burns()

    def note_slate(self, arm: str, pseudonym: str, items: Collection[str]) -> None:
        """Remember what a user was shown, where a slate is one release's alone."""
        if self.mixed:
            return
        with self.lock:
            self.shown[pseudonym] = _Shown(arm, frozenset(items))
            self.shown.move_to_end(pseudonym)
            if len(self.shown) > REMEMBERED_SLATES:
                self.shown.popitem(last=False)

    def note_click(self, pseudonym: str, item_id: str | None) -> None:
        """Count a deed upon an item of the user's newest slate, once a slate."""
        with self.lock:
            found = self.shown.get(pseudonym)
            if found is None or found.clicked or item_id not in found.items:
                return
            found.clicked = True
            if found.arm not in self.totals:
                return
            self.totals[found.arm].clicked += 1
            self.stopped = self.stopped or self._click_through()

    def counts(self) -> dict[str, Any]:
        """Return the totals as plain values."""
        with self.lock:
            return {arm: asdict(tally) for arm, tally in self.totals.items()}

    def _burns(self) -> str | None:
        recent = replace(self.last_span)
        recent.add(self.span)
        champion = self.totals[CHAMPION]
        allowed = {"errors": self.bounds.errors, "slow": self.bounds.slow}
        if champion.answers >= CHAMPION_ANSWERS:
            allowed["fallbacks"] = min(0.99, upper_share(champion.fallbacks, champion.answers) + self.bounds.fallback)
        for name, most in allowed.items():
            bad = getattr(recent, name)
            if evidence_above(bad, recent.answers, most) > -math.log(CHANCE):
                return (
                    f"{name}: {bad} of the last {recent.answers} answers of the challenger, at most {most:.1%} allowed"
                )
        return self._click_through()

    def _click_through(self) -> str | None:
        ours, theirs = self.totals[CHALLENGER], self.totals[CHAMPION]
        if theirs.answers < CHAMPION_ANSWERS or not theirs.clicked:
            return None
        least = self.bounds.click_through * lower_share(theirs.clicked, theirs.answers)
        missed = max(0, ours.answers - ours.clicked)
        if least > 0 and evidence_above(missed, ours.answers, 1 - least) > -math.log(CLICK_CHANCE):
            share = ours.clicked / ours.answers
            return (
                f"click-through: {share:.2%} of {ours.answers} answers of the challenger, at least {least:.2%} expected"
            )
        return None


def evidence_above(bad: int, answers: int, most: float) -> float:
    """Return the logarithm of the evidence that the share of bad answers is above `most`; below 0 it speaks against."""
    if most >= 1 or answers == 0 or bad <= most * answers:
        return 0.0
    terms = []
    for beyond in _BEYOND:
        share = most + (1 - most) * beyond
        terms.append(bad * math.log(share / most) + (answers - bad) * math.log((1 - share) / (1 - most)))
    highest = max(terms)
    return highest + math.log(sum(math.exp(term - highest) for term in terms) / len(terms))


def upper_share(count: int, of: int) -> float:
    """Return what a share is at most, by three standard deviations (Wilson, 1927)."""
    return _wilson(count, of, 3.0)


def lower_share(count: int, of: int) -> float:
    """Return what a share is at least, by three standard deviations (Wilson, 1927)."""
    return max(0.0, _wilson(count, of, -3.0))


def _wilson(count: int, of: int, deviations: float) -> float:
    share, square = count / of, deviations**2
    spread = deviations * math.sqrt(share * (1 - share) / of + square / (4 * of**2))
    return (share + square / (2 * of) + spread) / (1 + square / of)
