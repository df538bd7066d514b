"""Columns of an export that are called as ours are and mean something else."""

from collections.abc import Collection, Sequence

from feature_repo.schema import CHANNELS, TABLES
from flows.connection import literal, quoted
from flows.sources.column_profile import ColumnProfile
from flows.sources.draft_times import Drafted
from flows.sources.roles import NUMBERS

#: Shops' words for our channels.
_CHANNELS = {
    "app": ("app", "mobile", "mobile app", "android", "ios", "wechat mini program"),
    "store": ("store", "offline", "in-store", "instore", "retail", "shop", "pos"),
    "social": ("social", "wechat", "facebook", "instagram", "tiktok"),
    "email": ("email", "e-mail", "mail", "newsletter"),
}


def taken_by_name(columns: Sequence[ColumnProfile], drafted: Collection[str]) -> list[Drafted]:
    """Columns to write because the mapping would take those of the same name by itself, whose values do not fit."""
    found: list[Drafted] = []
    for column in TABLES["events"].columns:
        there = next((each for each in columns if each.name == column.name), None)
        if there is None or column.name in drafted:
            continue
        if column.name == "channel" and not there.words <= set(CHANNELS):
            found.append(("channel", _channel(there), f"unsure: {there.name} has words of the shop's own"))
        elif column.dtype == "float" and there.kind not in (*NUMBERS, "empty"):
            found.append((column.name, "null", f"likely: the export's {there.name} has no numbers"))
    return found


def _channel(column: ColumnProfile) -> str:
    meant = {word: ours for ours, words in _CHANNELS.items() for word in words}
    known = {word: meant[word.lower()] for word in sorted(column.words) if word.lower() in meant}
    whens = " ".join(f"when {literal(word)} then {literal(ours)}" for word, ours in known.items())
    return f"case {quoted(column.name)} {whens} else 'web' end" if whens else "'web'"
