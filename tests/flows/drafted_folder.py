"""A folder of a stranger's files: written, drafted and rehearsed."""

import csv
import tomllib
from pathlib import Path
from typing import Any

from flows.ingest import open_export
from flows.rehearsal import RehearsedTable, rehearse
from flows.settings import Settings
from flows.sources.drafting import draft_source
from tests.flows.tiny_shop import NOW

DAYS = [f"2026-01-{day:02} 10:00:00" for day in range(1, 29)]  # of a month


def write_rows(file: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as a CSV file with a header."""
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draft_folder(folder: Path) -> tuple[str, dict[str, Any]]:
    """The draft of a folder's files, as text and as it is read."""
    text = draft_source([str(folder)], "shop", folder).text
    return text, tomllib.loads(text)


def rehearse_draft(settings: Settings, folder: Path, text: str) -> dict[str, RehearsedTable]:
    """What a mapping would land of the folder's files, by table."""
    (folder / "shop.toml").write_text(text)
    (folder / "scratch").mkdir()
    export = open_export(settings, str(folder / "shop.toml"), None, None, None, 1000)
    return {table.table: table for table in rehearse(settings, export, folder / "scratch", NOW)}
