"""The table that `aisle features` prints: a path is whole, however narrow the terminal."""

import io
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from flows.commands.features import features_table
from flows.feature_source import LakeState
from flows.feature_tables import BuildReport, Snapshot

NOW = datetime(2018, 1, 2, tzinfo=UTC)


def test_a_path_longer_than_the_terminal_is_broken_and_not_cut():
    path = Path("/srv/shops/corner/features/item_co_purchase/as_of=2018-01-02T000000Z.parquet")
    snapshot = Snapshot("item_co_purchase", NOW, path, 92_331, "c")
    page = Console(file=io.StringIO(), width=80)
    page.print(features_table(BuildReport((snapshot,), 1, LakeState({}, None)), NOW))
    assert isinstance(page.file, io.StringIO)
    lines = [line for line in page.file.getvalue().splitlines() if line.startswith("│")]
    assert "".join(line.split("│")[4].strip() for line in lines) == str(path)
