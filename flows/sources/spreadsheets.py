"""Excel workbooks to parquet, all cells as text: every sheet with the same columns, one under another."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flows.sources.export_files import ExportFile
from flows.sources.mapping_keys import ExportRejected
from flows.sources.text_signs import rows_above

#: Rows of a sheet in which its header is looked for.
_LOOKED_AT = 40


def read_workbooks(files: list[ExportFile], target: Path, rows: int | None = None, skip: int = 0) -> list[str]:
    """Write each workbook (of each sheet the first `rows`) as a parquet file beside `target` and return their paths.

    The header stands below the first `skip` rows of each sheet.
    Raises ExportRejected for a workbook that is damaged, whose sheets differ, or when no reader is installed.
    """
    parts = []
    for position, file in enumerate(files):
        part = f"{target.with_suffix('')}-{position}.parquet"
        pq.write_table(_as_text(file, rows, skip), part)
        parts.append(part)
    return parts


def sheets_of(path: str) -> list[str]:
    """Return what a draft looks at in a workbook: the whole where its sheets have the same columns, else each sheet.

    Raises ExportRejected for a workbook that cannot be read.
    """
    sheets = _cells(path, None)
    headers = {(above := _above(rows), *(rows[above] if rows else [])) for rows in sheets.values() if rows}
    return [path] if len(headers) <= 1 else [f"{path}/{name}" for name in sheets]


def heading_of(file: str) -> int:
    """How many rows stand above the header of a workbook's sheets (of the one that is named): titles, blank rows."""
    path, _, sheet = file.partition(".xlsx/")
    sheets = _cells(f"{path}.xlsx" if sheet else file, sheet or None)
    return max(map(_above, sheets.values()), default=0)


def _above(rows: list[list[str]]) -> int:
    return rows_above(rows, max(map(len, rows), default=0))


def _cells(path: str, sheet: str | None) -> dict[str, list[list[str]]]:
    """The first rows of each sheet, or of the one of a name, as lists of text."""
    name = f"{path}/{sheet}" if sheet else path
    sheets = _read(ExportFile(name, path), _LOOKED_AT, sheet, header=None)
    return {name: each.astype(str).to_numpy().tolist() for name, each in sheets.items()}


def _as_text(file: ExportFile, rows: int | None, skip: int) -> pa.Table:
    sheet = file.name.partition(".xlsx/")[2]
    sheets = _read(file, rows, sheet or None, skip=skip)
    headers = {_header(each) for each in sheets.values()}
    if len(headers) != 1:
        one = next(iter(sheets), "Sheet")
        raise ExportRejected(
            f"{file.name}: expected sheets with the same columns, but came {len(headers)} kinds in the sheets "
            f"{', '.join(sheets)}. Nothing was written. Name the sheet that you mean, like "
            f'files = "{Path(file.name).name}/{one}", one a section.'
        )
    names = list(headers.pop())
    whole = pd.concat([each.set_axis(names, axis=1) for each in sheets.values()]).astype(str)
    return pa.Table.from_pandas(whole, pa.schema([(name, pa.string()) for name in names]), preserve_index=False)


def _header(sheet: pd.DataFrame) -> tuple[str, ...]:
    return tuple(str(column).strip() for column in sheet.columns)


def _read(
    file: ExportFile, rows: int | None, sheet: str | None, skip: int = 0, header: int | None = 0
) -> dict[str, pd.DataFrame]:
    """Return the sheets that have columns, all cells as text, or the one of a name."""
    try:
        with pd.ExcelFile(file.path) as book:
            if sheet is not None and sheet not in book.sheet_names:
                came = ", ".join(map(str, book.sheet_names))
                raise ExportRejected(
                    f"{file.name}: expected a sheet {sheet!r}, but the workbook has {came}. Nothing was written."
                )
            wanted = None if sheet is None else [sheet]
            found = pd.read_excel(
                book, sheet_name=wanted, dtype=str, na_filter=False, nrows=rows, skiprows=skip, header=header
            )
    except ExportRejected:
        raise
    except ImportError as error:
        raise ExportRejected(
            f"{file.name}: expected a reader of Excel workbooks to be installed, but there is none. Nothing was "
            "written. Type `pip install openpyxl` where Aisle is installed, or save each sheet as CSV (UTF-8)."
        ) from error
    except Exception as error:  # the reader raises whatever its own reader raises
        raise ExportRejected(
            f"{file.name}: expected an Excel workbook (.xlsx), but reading it failed ({error}). Nothing was written. "
            "Save it anew, or save each sheet as CSV (UTF-8)."
        ) from error
    return {str(name): each for name, each in found.items() if len(each.columns)}
