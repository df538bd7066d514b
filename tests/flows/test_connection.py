"""Connections that do not fit in memory spill, each for itself."""

from pathlib import Path

import duckdb

from flows import connection as connections


def _spilled_over(connection: duckdb.DuckDBPyConnection) -> Path:
    (folder,) = connection.execute("select current_setting('temp_directory')").fetchone() or ("",)
    return Path(folder)


def test_no_two_connections_spill_into_one_folder(tmp_path: Path):
    opened = [connections.connect(scratch) for scratch in (tmp_path, tmp_path, None, None)]
    folders = [_spilled_over(each) for each in opened]
    assert len(set(folders)) == len(folders)
    assert [folder.parent for folder in folders[:2]] == [tmp_path, tmp_path]


def test_what_was_spilled_goes_with_its_connection(tmp_path: Path):
    connection = connections.connect(tmp_path)
    connection.execute("set memory_limit = '60MiB'")
    connection.execute("set threads = 1")
    rows = "select range as number, hash(range)::varchar as word from range(2000000)"
    connection.execute(f"create table sorted as {rows} order by word")
    connection.close()
    assert list(tmp_path.iterdir()) == []
