"""Which files of an export are parts of one, and the glob that names them all and no other."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import takewhile
from pathlib import Path

from flows.sources.event_words import meant_by_file
from flows.sources.sample import Sample


def alike(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Return groups of samples: files with the same named columns whose names tell no different deeds.

    `views.csv` and `purchases.csv` with the same columns are two. Files that no glob names alone stand for themselves.
    """
    groups: dict[tuple[object, ...], list[Sample]] = {}
    for sample in samples:
        named = "names" not in sample.keys
        key = tuple(sorted(column.name for column in sample.columns)) if named else (sample.file,)
        read = (sample.keys.get("format"), str(sample.keys.get("unnest")), sample.file.rpartition(".")[2])
        groups.setdefault((*key, *read, meant_by_file(sample.file)), []).append(sample)
    every = [sample.file for sample in samples]
    found: list[list[Sample]] = []
    for group in groups.values():
        whole = glob_of([each.file for each in group], every) is not None
        found += [group] if whole else [[sample] for sample in group]
    return found


def glob_of(files: Sequence[str], every: Sequence[str]) -> str | None:
    """Return a glob that fits all of `files` and none of the others in `every`; None where there is none."""
    if len(files) == 1:
        return files[0]
    ending = "".join(Path(files[0]).suffixes)
    start, end = _same_beginning(files), _same_beginning([file[::-1] for file in files])[::-1]
    folder = str(Path(files[0]).parent)
    tries = [f"{start}*{ending}", f"{folder}/*{end}", f"{start}*{end}"]
    wanted = set(files)
    return next((each for each in tries if {file for file in every if fnmatchcase(file, each)} == wanted), None)


def _same_beginning(names: Sequence[str]) -> str:
    return "".join(signs[0] for signs in takewhile(lambda signs: len(set(signs)) == 1, zip(*names, strict=False)))
