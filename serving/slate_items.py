"""The items of a slate as the contract tells them."""

from collections.abc import Sequence

from serving.contract import CandidateSource, Reason, SlateItem
from serving.placement import Places
from serving.release import Release


def slate_of(
    release: Release, places: Places, reasons: Sequence[Reason], sources: Sequence[list[CandidateSource]]
) -> list[SlateItem]:
    """Return the places of a slate, first to last."""
    items = release.catalogue.items
    nothing: list[float | None] = [None] * len(places.positions)
    found = zip(places.positions, places.scores, reasons, sources, places.propensities or nothing, strict=True)
    return [
        SlateItem(
            rank,
            (item := items[position]).item_id,
            item.title,
            item.category,
            item.brand,
            item.price,
            item.currency,
            score,
            reason,
            ways,
            propensity,
        )
        for rank, (position, score, reason, ways, propensity) in enumerate(found, start=1)
    ]
