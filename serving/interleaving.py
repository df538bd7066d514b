"""One slate of two rankings: the releases take turns to choose, and clicks tell whose choices were better.

Team draft (Radlinski, Kurup and Joachims, How does clickthrough data reflect retrieval quality?, CIKM 2008): in each
round a coin says who chooses first, then each takes its best item that is not in the slate yet.
"""

import hashlib
from collections.abc import Iterator, Sequence

from feature_repo.experiments import CHALLENGER, CHAMPION, Arm


def team_draft(champion: Sequence[str], challenger: Sequence[str], k: int, seed: str) -> list[tuple[str, Arm]]:
    """Return at most k items, best first, each with the team that chose it; the same seed gives the same draft."""
    teams: dict[Arm, Iterator[str]] = {CHAMPION: iter(champion), CHALLENGER: iter(challenger)}
    chosen: dict[str, Arm] = {}
    for challenger_first in _coins(seed):
        before = len(chosen)
        for team in (CHALLENGER, CHAMPION) if challenger_first else (CHAMPION, CHALLENGER):
            pick = next((item for item in teams[team] if item not in chosen), None)
            if pick is not None and len(chosen) < k:
                chosen[pick] = team
        if len(chosen) in (before, k):
            break
    return list(chosen.items())


def _coins(seed: str) -> Iterator[bool]:
    """Fair coins without end, the same for the same seed."""
    block = 0
    while True:
        for byte in hashlib.sha256(f"{seed}:{block}".encode()).digest():
            yield from (bool(byte >> bit & 1) for bit in range(8))
        block += 1
