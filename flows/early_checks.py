"""What a command can know before its flow starts: the shop, its files, the watch's policy. A mistake costs no run."""

import difflib
import re
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from flows import lake
from flows.feature_source import event_span
from flows.ingest import open_export
from flows.settings import Settings
from flows.sources.export_files import files_of
from flows.sources.mapping import shipped_mappings
from flows.sources.staging import Export
from flows.stops import raise_if_stopped
from flows.watch_policy import load_policy


class UnknownSource(LookupError):
    """A word that is neither a shipped shop nor a mapping file; the message names those that are near."""

    def __init__(self, source: str):
        shipped = list(shipped_mappings())
        near = difflib.get_close_matches(source.lower(), shipped, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(
            f"{source}: expected one of {', '.join(shipped)}, or the path of a mapping file (.toml); "
            f"there is no such file.{hint}"
        )


def require_source(source: str) -> None:
    """Raise UnknownSource unless this is a shipped shop's name or the path of a file."""
    if source not in shipped_mappings() and not Path(source).is_file():
        raise UnknownSource(source)


def require_export(
    settings: Settings, source: str, path: str | None, since: datetime | None = None, until: datetime | None = None
) -> Export:
    """Open an export as ingest does, and find the files of every table.

    Raises UnknownSource, MappingError, and ExportRejected where no file is there.
    """
    require_source(source)
    export = open_export(settings, source, path, since, until)
    mapping = export.mapping
    relations = " ".join(section.relation or "" for section in mapping.sections)
    joined = [reading for name, reading in mapping.inputs.items() if re.search(rf"\b{re.escape(name)}\b", relations)]
    for reading in [*joined, *(section.reading for section in mapping.sections)]:
        if reading is not None:
            files_of(mapping, reading, export.path)
    return export


def require_drift_input(settings: Settings, source: str | None, day: date | None = None) -> None:
    """Raise PolicyError when watch.toml is wrong, LookupError when the lake (or this shop) has no events.

    And LookupError of a day that is not over: its tables would be told as usual, as nothing has come yet.
    """
    policy = load_policy(settings)
    today = datetime.now(ZoneInfo(policy.timezone)).date()
    if day is not None and day >= today:
        raise LookupError(f"--day: expected a day that is over, came {day}; today is {today} in {policy.timezone}.")
    try:
        lake.watermark(settings, source)
    except LookupError:
        if source is None:
            raise
        lake.watermark(settings)
        raise LookupError(f"The lake has no events of {source!r}. Without --source every shop is looked at.") from None


def require_training_input(settings: Settings, source: str | None) -> None:
    """Raise Stopped while a stop stands, LookupError when the lake (or this shop) has no events."""
    raise_if_stopped(settings)
    event_span(settings, source)
