"""The files of an export: found by name or glob, taken out of a zip, brought to UTF-8, and known to be whole."""

import codecs
import fnmatch
import glob
import gzip
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flows.sources.file_sets import Reading
from flows.sources.mapping import Mapping
from flows.sources.mapping_keys import ExportRejected, MappingError

_CHUNK = 1 << 20
#: Bytes that a row of a sample may take.
_LONG_ROW = 8192
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".jsonlines", ".json", ".dat")


@dataclass(frozen=True)
class ExportFile:
    """One file: its name as people know it (a member of a zip too), and the path that it can be read at."""

    name: str
    path: str


def files_of(mapping: Mapping, reading: Reading, path: Path | None) -> list[str]:
    """The files to read: the mapping's, or those that the command line named (a file, a glob, a folder or a zip).

    A member of a zip is named like a file in a folder: export.zip/orders.csv. Raises MappingError when none is named,
    ExportRejected when none is there.
    """
    if path is not None and not path.is_dir() and (path.suffix != ".zip" or reading.files is None):
        pattern = str(path)
    elif reading.files is None and path is None:
        raise MappingError(mapping.file, f"{reading.label}.files", "files here, or --path on the command line", "none")
    else:
        pattern = str((path or mapping.folder) / (reading.files or "*"))
    found = found_files(pattern)
    if not found and path is not None and path.suffix == ".zip":
        found = found_files(str(path / ("**/" + str(reading.files))))
    if not found and not mapping.may_be_empty:
        raise ExportRejected(
            f"{mapping.source}: no file matches {pattern}, which {mapping.file} names for {reading.label}. "
            "Put the export there, or name it with --path."
        )
    return found


def found_files(pattern: str) -> list[str]:
    """Files that match a glob, in order; `some.zip/*.csv` matches members of a zip, and `some.zip` its only one.

    `some.xlsx/Orders` is a sheet of a workbook.
    Raises ExportRejected for a zip that is damaged, or whose members must be told apart.
    """
    outside, found, inside = pattern.partition(".zip/")
    if found:
        archives = sorted(glob.glob(outside + ".zip", recursive=True))
        return [f"{each}/{name}" for each in archives for name in _members(each) if fnmatch.fnmatch(name, inside)]
    workbook, found, sheet = pattern.partition(".xlsx/")
    if found:
        return [f"{each}/{sheet}" for each in sorted(glob.glob(workbook + ".xlsx", recursive=True))]
    names = []
    for name in sorted(each for each in glob.glob(pattern, recursive=True) if Path(each).is_file()):
        names += [_only_member(name)] if name.endswith(".zip") else [name]
    return names


def unpack(names: list[str], reading: Reading, scratch: Path, rows: int | None = None) -> list[ExportFile]:
    """Make each file readable at a path of this machine: members out of their zip, text in UTF-8, archives whole.

    Where only the first `rows` are wanted, no more is unpacked than they may need. Raises ExportRejected, naming the
    file.
    """
    files = []
    most = None if rows is None else rows * _LONG_ROW
    for position, name in enumerate(names):
        outside, found, inside = name.partition(".zip/")
        path = name
        if found:
            path = str(_own_place(scratch, reading, position) / Path(inside).name)
            whole = reading.format == "parquet" or inside.endswith((".parquet", ".pq"))
            _extract(f"{outside}.zip", inside, Path(path), None if whole else most)
        elif ".xlsx/" in name:
            path = name.partition(".xlsx/")[0] + ".xlsx"
        if path.endswith(".gz") and rows is None:
            _require_whole(name, path)
        files.append(ExportFile(name, _in_utf8(name, path, reading, _own_place(scratch, reading, position), most)))
    return files


def opened(path: str) -> IO[bytes]:
    """A file's bytes, gzip undone."""
    return gzip.open(path) if path.endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def head_of(name: str, size: int) -> bytes:
    """The first bytes of a file, of a member of a zip, or of what is gzipped. Raises ExportRejected for a torn one."""
    outside, found, inside = name.partition(".zip/")
    try:
        if not found:
            with opened(name) as stream:
                return stream.read(size)
        with zipfile.ZipFile(f"{outside}.zip") as archive, archive.open(inside) as member:
            return gzip.GzipFile(fileobj=member).read(size) if inside.endswith(".gz") else member.read(size)
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise ExportRejected(
            f"{name}: expected a whole file, but reading it failed ({error}). Fetch it again."
        ) from error


def _own_place(scratch: Path, reading: Reading, position: int) -> Path:
    """A folder of its own for one unpacked file, so that it may keep its name."""
    place = scratch / f"{reading.label.replace('.', '-')}-{position}"
    place.mkdir(exist_ok=True)
    return place


def _members(archive: str) -> list[str]:
    try:
        with zipfile.ZipFile(archive) as opened_zip:
            names = sorted(info.filename for info in opened_zip.infolist() if not info.is_dir())
    except (zipfile.BadZipFile, OSError) as error:
        raise _damaged(archive, error) from error
    return [name for name in names if not name.startswith("__MACOSX/") and Path(name).name[0] != "."]


def _only_member(archive: str) -> str:
    members = _members(archive)
    if len(members) != 1:
        raise ExportRejected(
            f"{archive}: expected a zip with one file, but it has {len(members)}: {', '.join(members) or 'none'}. "
            f'Name the ones you mean, like files = "{Path(archive).name}/{members[0] if members else "NAME"}".'
        )
    return f"{archive}/{members[0]}"


def _extract(archive: str, member: str, target: Path, most: int | None) -> None:
    try:
        with zipfile.ZipFile(archive) as opened_zip, opened_zip.open(member) as source, target.open("wb") as file:
            copied = 0
            while (most is None or copied < most) and (chunk := source.read(_CHUNK)):
                copied += file.write(chunk)
    except (zipfile.BadZipFile, OSError, zlib.error, EOFError, RuntimeError) as error:
        raise _damaged(archive, error) from error


def _damaged(archive: str, error: Exception) -> ExportRejected:
    return ExportRejected(
        f"{archive}: expected a whole zip archive without a password, but reading it failed ({error}). Nothing was "
        "written. Fetch it again and repeat the command."
    )


def _require_whole(name: str, path: str) -> None:
    """Read a .gz file to its end: DuckDB takes a torn archive for a short one."""
    try:
        with opened(path) as stream:
            while stream.read(_CHUNK):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise ExportRejected(
            f"{name}: expected a whole gzip archive, but it is cut short or damaged ({error}). Nothing was written. "
            "Fetch it again and repeat the command."
        ) from error


def _in_utf8(name: str, path: str, reading: Reading, place: Path, most: int | None) -> str:
    """The path of the file in UTF-8: a copy when the mapping names another encoding or the file begins as UTF-16."""
    if not path.removesuffix(".gz").lower().endswith(_TEXT_SUFFIXES) and reading.format not in ("csv", "jsonl"):
        return path
    encoding = reading.dialect.encoding
    with opened(path) as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            encoding = "utf-16"
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii"):
        return path
    target = place / f"{Path(path).name.removesuffix('.gz')}.txt"
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with opened(path) as source, target.open("w", encoding="utf-8", newline="") as file:
            copied = 0
            while (most is None or copied < most) and (chunk := source.read(_CHUNK)):
                copied += file.write(decoder.decode(chunk))
            if most is None:
                file.write(decoder.decode(b"", final=True))
    except UnicodeDecodeError as error:
        raise ExportRejected(
            f"{name}: expected text in {encoding}, but it cannot be read as that ({error.reason}). Nothing was "
            "written. Set encoding in the mapping to what the export is written in: utf-8, latin-1, cp1252, utf-16."
        ) from error
    return str(target)
