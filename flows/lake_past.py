"""Which version of a table was the newest at a moment of the past."""

from datetime import datetime

from deltalake import DeltaTable


def version_known(table: DeltaTable, moment: datetime) -> int | None:
    """The newest version committed until a moment, by what the commits say; None when there was none yet.

    Not by when the log's files were changed: those of a lake that was restored from a backup are all of that day.
    """
    until = moment.timestamp() * 1000
    known = [int(commit["version"]) for commit in table.history() if int(commit["timestamp"]) <= until]
    return max(known, default=None)
