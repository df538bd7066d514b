"""What serving answered, from its log into the lake, and found again by request id."""

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from feature_repo.schema import ANSWERS, SHADOWS, Table
from flows import lake
from flows.settings import Settings
from flows.spool_files import only_reader, seal_spool

KIND = "answers"
SOURCE = "live"
_TIMES = ("answered_at", "as_of")
logger = logging.getLogger(__name__)


class AnswerUnknown(LookupError):
    """No such answer is in the lake or on its way there."""


def land_answers(settings: Settings) -> int:
    """Land the logged answers, an hour a window; return how many were new. Again, or after a kill, gives the same lake.

    A file is removed once all of it is in the lake.
    """
    return _land_log(settings, ANSWERS)


def land_shadows(settings: Settings) -> int:
    """Land what challengers would have answered, in the same way."""
    return _land_log(settings, SHADOWS)


def _land_log(settings: Settings, table: Table) -> int:
    folder = settings.spool_path / KIND
    with only_reader(folder, table.name, lambda: logger.info("Another run lands the log of %s; waiting.", table.name)):
        sealed = seal_spool(folder, table.name)
        windows: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for row in _rows(sealed):
            windows[f"{row['answered_at']:%Y-%m-%dT%H}"][row["request_id"]] = row
        landed = sum(_land(settings, table, name, rows) for name, rows in sorted(windows.items()))
        for path in sealed:
            path.unlink()
    return landed


def batches_of(settings: Settings, request_ids: Sequence[str]) -> list[list[dict[str, Any]]]:
    """Return the batches that these answers were computed in, each by place. Raises AnswerUnknown with the first."""
    dataset = lake.arrow_dataset(settings, ANSWERS.name)
    waiting = list(_rows(sorted((settings.spool_path / KIND).glob(f"{KIND}-*.jsonl"))))
    found = dataset.to_table(filter=ds.field("request_id").isin(list(request_ids))).to_pylist()
    found += [row for row in waiting if row["request_id"] in set(request_ids)]
    missing = [name for name in request_ids if name not in {row["request_id"] for row in found}]
    if missing:
        raise AnswerUnknown(
            f"There is no answer {missing[0]} in the lake or in {settings.spool_path / KIND}. Expected an id as the "
            "header X-Request-Id gives it, of an answer that was logged (AISLE_ANSWER_LOG_SHARE)."
        )
    names = sorted({row["batch_id"] for row in found})
    rows = dataset.to_table(filter=ds.field("batch_id").isin(names)).to_pylist()
    rows += [row for row in waiting if row["batch_id"] in set(names)]
    batches: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        batches[row["batch_id"]][row["place"]] = row
    return [[batch[place] for place in sorted(batch)] for batch in batches.values()]


def newest_request_ids(settings: Settings, most: int) -> list[str]:
    """Return the ids of the newest answers in the lake, newest first."""
    table = lake.arrow_dataset(settings, ANSWERS.name).to_table(columns=["request_id", "answered_at"])
    ids: list[str] = table.sort_by([("answered_at", "descending")])["request_id"].to_pylist()
    return ids[:most]


def _land(settings: Settings, table: Table, name: str, rows: dict[str, dict[str, Any]]) -> int:
    window = lake.Window(table.name, SOURCE, name)
    existing, read_at = lake.read_window(settings, window)
    known = set(existing["request_id"].to_pylist())
    new = [{**row, "source": SOURCE, "window": name} for row in rows.values() if row["request_id"] not in known]
    if new:
        schema = lake.arrow_schema(table)
        fresh = pa.Table.from_pylist(new, schema=schema)
        lake.write_window(
            settings, window, pa.concat_tables([existing.select(schema.names).cast(schema), fresh]), read_at
        )
    return len(new)


def _rows(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        for line in path.read_bytes().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # half a line of a process that died
            yield {**row, **{name: datetime.fromisoformat(row[name]).astimezone(UTC) for name in _TIMES}}
