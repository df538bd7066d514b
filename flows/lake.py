"""The lake: the only file that knows its tables, paths and formats (Delta, in a folder or on S3).

Every table is partitioned by source and window. A write replaces one window of one source in one commit, so that
running it twice, or killing it half way and running it again, gives the same table.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from feature_repo.schema import ANSWERS, QUARANTINE, SHADOWS, TABLES, WINDOWS, Table
from flows import object_client
from flows.connection import connect, literal, quoted
from flows.lake_past import version_known
from flows.settings import Settings

_TABLES = {**TABLES, **{table.name: table for table in (QUARANTINE, WINDOWS, ANSWERS, SHADOWS)}}
_TYPES = {
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "list<string>": pa.list_(pa.string()),
}
#: The column that says when a row came to us; an unchanged row keeps it when its window is written again.
STAMPS = {"events": "known_at", "items": "updated_at", "users": "updated_at"}
_PARTITION = ("source", "window")
#: Names one commit in a table's history.
_COMMIT = "aisle_commit"
#: Hashed ids are written in 16 letters: this gives 0.58 of the bytes of the default, at its speed.
_PARQUET = WriterProperties(compression="ZSTD", compression_level=1)
#: Old versions stay readable: a training set of the past can be built again.
_KEEPS_ITS_PAST = dict.fromkeys(
    ("delta.logRetentionDuration", "delta.deletedFileRetentionDuration"), "interval 3650 days"
)


class LakeError(OSError):
    """The storage of the lake does not answer or refuses; what was being written is not in the table."""

    def __init__(self, settings: Settings, name: str, what: str, error: Exception):
        cause = re.sub(r"\x1b\[\d+m|↳", "", str(error)).split("\n")
        super().__init__(
            f"The table {name} of the lake at {settings.lake_uri} could not be {what}: "
            f"{'; '.join(line.strip() for line in cause if line.strip())}. Nothing of it is half written. Look at "
            "AISLE_LAKE_URI, for s3:// also at AISLE_S3_ENDPOINT_URL and the keys, and run the same command again."
        )


class LakeConflict(LakeError):
    """Another writer was at the same rows since they were read: read them again."""


@dataclass(frozen=True)
class Window:
    """One window of one source's table: `name` is like '2017-03', or 'all' for a table without time."""

    table: str
    source: str
    name: str

    @property
    def predicate(self) -> str:
        """The window's partition as a Delta predicate."""
        return f"source = {literal(self.source)} and {quoted('window')} = {literal(self.name)}"

    @property
    def filter(self) -> ds.Expression:
        """The window's partition as an Arrow filter."""
        return (ds.field("source") == self.source) & (ds.field("window") == self.name)


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a table of the lake: the contract's columns, and `window` where the contract has none."""
    fields = [pa.field(column.name, _TYPES[column.dtype]) for column in table.columns]
    if "window" not in table.column_names:
        fields.append(pa.field("window", pa.string()))
    return pa.schema(fields)


def table_uri(settings: Settings, name: str) -> str:
    """Where a table lies."""
    return f"{settings.lake_uri.rstrip('/')}/{name}"


def storage_options(settings: Settings) -> dict[str, str] | None:
    """What deltalake needs to reach an s3:// lake; None for a folder."""
    if not settings.lake_uri.startswith("s3://"):
        return None
    store = settings.object_store
    return {
        "AWS_ENDPOINT_URL": store.endpoint_url,
        "AWS_ACCESS_KEY_ID": store.access_key,
        "AWS_SECRET_ACCESS_KEY": store.secret_key,
        "AWS_REGION": store.region,
        "AWS_ALLOW_HTTP": "true",
        "AWS_S3_ADDRESSING_STYLE": "path",
        "aws_conditional_put": "etag",
        # object_store waits between tries with decorrelated jitter.
        "connect_timeout": f"{object_client.CONNECT_SECONDS}s",
        "timeout": f"{object_client.READ_SECONDS}s",
        "max_retries": str(object_client.ATTEMPTS - 1),
        "retry_timeout": f"{object_client.ATTEMPTS * object_client.READ_SECONDS}s",
    }


def open_table(settings: Settings, name: str, version: int | None = None) -> DeltaTable | None:
    """A table of the lake, at its newest or a given version; None when nothing has landed yet. Raises LakeError.

    Settings with `known_at` see the version of that moment, settings with `lake_versions` that version.
    """
    if version is None and settings.lake_versions is not None:
        version = settings.lake_versions.get(name)
        if version == -1:
            return None
    try:
        table = DeltaTable(table_uri(settings, name), version=version, storage_options=storage_options(settings))
        if settings.known_at is not None and version is None:
            known = version_known(table, settings.known_at)
            if known is None:
                return None
            table.load_as_version(known)
        return table
    except TableNotFoundError:
        return None
    except (OSError, DeltaError) as error:
        raise LakeError(settings, name, "read", error) from error


def table_version(settings: Settings, name: str) -> int:
    """The newest version of a table; -1 when nothing has landed yet."""
    table = open_table(settings, name)
    return -1 if table is None else int(table.version())


def arrow_dataset(settings: Settings, name: str, version: int | None = None) -> ds.Dataset:
    """A table of the lake as an Arrow dataset, to register in DuckDB: `connection.register("events", dataset)`."""
    table = open_table(settings, name, version)
    if table is None:
        return ds.dataset(pa.table({f.name: pa.array([], f.type) for f in arrow_schema(_TABLES[name])}))
    return table.to_pyarrow_dataset(schema=arrow_schema(_TABLES[name]))


def read_events(settings: Settings, until: datetime | None = None, since: datetime | None = None) -> pa.Table:
    """Events with since ≤ event_time < until, as an Arrow table with the contract's columns."""
    condition = ds.field("event_id").is_valid()
    if since is not None:
        condition &= ds.field("event_time") >= pa.scalar(since.astimezone(UTC), _TYPES["timestamp"])
    if until is not None:
        condition &= ds.field("event_time") < pa.scalar(until.astimezone(UTC), _TYPES["timestamp"])
    return arrow_dataset(settings, "events").to_table(columns=list(TABLES["events"].column_names), filter=condition)


def read_table(settings: Settings, name: str) -> pa.Table:
    """A whole table (items, offers, users, quarantine, windows) as Arrow, with the contract's columns."""
    return arrow_dataset(settings, name).to_table(columns=list(_TABLES[name].column_names))


def watermark(settings: Settings, source: str | None = None) -> datetime:
    """The newest event_time landed (of one source, or of all), in UTC. Raises LookupError when there are no events."""
    connection = connect()
    connection.register("events", arrow_dataset(settings, "events"))
    condition = "true" if source is None else f"source = {literal(source)}"
    row = connection.execute(f"select epoch_us(max(event_time)) from events where {condition}").fetchone()
    if row is None or row[0] is None:
        raise LookupError("The lake has no events yet. Land some first: aisle ingest --source complete_journey")
    return datetime.fromtimestamp(row[0] / 1_000_000, UTC)


def write_window(settings: Settings, window: Window, rows: pa.Table, read_at: int | None = None) -> int:
    """Replace one window by `rows` in one commit, read the row count back, and return the table's new version.

    `read_at` is the table's version that `rows` were merged with (read_window): has another writer touched the window
    since, LakeError is raised and nothing is lost; merge again. Raises RuntimeError when the rows read back are not as
    many as were written; the ledger must then not be written.
    """
    table = _TABLES[window.table]
    schema = arrow_schema(table)
    if "window" not in rows.column_names:
        rows = rows.append_column("window", pa.array([window.name] * len(rows), pa.string()))
    rows = rows.select(schema.names).cast(schema)
    _commit(settings, table, rows, window.predicate, read_at)
    after = open_table(settings, window.table)
    found = 0 if after is None else after.to_pyarrow_dataset(schema=schema).count_rows(filter=window.filter)
    if after is None or found != len(rows):
        raise RuntimeError(
            f"{window.table} {window.source} {window.name}: wrote {len(rows)} rows but read back {found}. "
            "Another writer may be at work on the same window; run the same command again."
        )
    return int(after.version())


def _commit(settings: Settings, table: Table, rows: pa.Table, predicate: str, read_at: int | None = None) -> None:
    if settings.known_at is not None:
        raise ValueError(f"The lake of {settings.known_at.isoformat()} is past: it can be read, not written.")
    if settings.lake_versions is not None:
        raise ValueError(f"The lake at versions {settings.lake_versions} can be read, not written.")
    missing, mine = open_table(settings, table.name) is None, secrets.token_hex(8)
    try:
        if missing:
            _create(settings, table)
        target = table_uri(settings, table.name)
        if read_at is not None:
            target = DeltaTable(target, version=max(read_at, 0), storage_options=storage_options(settings))
        how = {"storage_options": storage_options(settings), **_lacks_columns(settings, table)}
        how |= {"commit_properties": CommitProperties({_COMMIT: mine}), "writer_properties": _PARQUET}
        write_deltalake(target, rows, mode="overwrite", predicate=predicate, **how)
    except (OSError, DeltaError) as error:
        if isinstance(error, CommitFailedError) and _is_committed(settings, table.name, mine):
            return
        kind = LakeConflict if isinstance(error, CommitFailedError) else LakeError
        raise kind(settings, table.name, "written", error) from error


def _is_committed(settings: Settings, name: str, commit: str) -> bool:
    """Whether a commit is in the table: its answer may have been lost, and the next try have met it as another's."""
    try:
        table = open_table(settings, name)
        return table is not None and any(each.get(_COMMIT) == commit for each in table.history(10))
    except (OSError, DeltaError):
        return False


def _create(settings: Settings, table: Table) -> None:
    uri, options = table_uri(settings, table.name), storage_options(settings)
    if options is None:
        Path(uri).mkdir(parents=True, exist_ok=True)
    schema = arrow_schema(table)
    DeltaTable.create(
        uri,
        schema=schema,
        mode="ignore",
        partition_by=list(_PARTITION),
        storage_options=options,
        configuration=_KEEPS_ITS_PAST,
    )


def _lacks_columns(settings: Settings, table: Table) -> dict[str, Any]:
    """What a write must say so that a table that an older Aisle made takes the columns that came since."""
    found = open_table(settings, table.name)
    names = set(arrow_schema(table).names)
    grows = found is not None and not names <= {field.name for field in found.schema().fields}
    return {"schema_mode": "merge"} if grows else {}


def read_window(settings: Settings, window: Window) -> tuple[pa.Table, int]:
    """The rows of one window as they lie in the lake (none when it has not landed), and the table's version."""
    version = table_version(settings, window.table)
    at = None if version < 0 else version
    return arrow_dataset(settings, window.table, at).to_table(filter=window.filter), version


def read_source(settings: Settings, name: str, source: str) -> tuple[pa.Table, int]:
    """All rows of one source in a table, and the table's version; for tables that are small a source."""
    version = table_version(settings, name)
    at = None if version < 0 else version
    return arrow_dataset(settings, name, at).to_table(filter=ds.field("source") == source), version


def replace_windows(
    settings: Settings, name: str, source: str, windows: Iterable[str], rows: pa.Table, read_at: int
) -> None:
    """Replace some windows of one source by `rows` in one commit, unless another writer was there since `read_at`."""
    listed = ", ".join(literal(window) for window in sorted(windows))
    predicate = f"source = {literal(source)} and {quoted('window')} in ({listed})"
    _commit(settings, _TABLES[name], rows, predicate, read_at)


def read_ledger(settings: Settings, source: str, table: str) -> dict[str, dict[str, object]]:
    """What has landed of one source's table: by window, the ledger's row."""
    wanted = (ds.field("source") == source) & (ds.field("table_name") == table)
    rows = arrow_dataset(settings, WINDOWS.name).to_table(filter=wanted).to_pylist()
    return {str(row["window"]): row for row in rows}


def record_window(settings: Settings, entry: dict[str, object]) -> None:
    """Write one row of the ledger (the columns of schema.WINDOWS), in place of the window's former row."""
    rows = pa.Table.from_pylist([entry], schema=arrow_schema(WINDOWS))
    window = Window(str(entry["table_name"]), str(entry["source"]), str(entry["window"]))
    _commit(settings, WINDOWS, rows, f"{window.predicate} and table_name = {literal(window.table)}")
