"""Excel workbooks to parquet, all cells as text: every sheet with the same columns, one under another."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flows.sources.export_files import ExportFile
from flows.sources.mapping_keys import ExportRejected


def read_workbooks(files: list[ExportFile], target: Path, rows: int | None = None) -> list[str]:
    """Write each workbook (of each sheet the first `rows`) as a parquet file beside `target` and return their paths.

    Raises ExportRejected for a workbook that is damaged, whose sheets differ, or when no reader is installed.
    """
    parts = []
    for position, file in enumerate(files):
        part = f"{target.with_suffix('')}-{position}.parquet"
        pq.write_table(_as_text(file, rows), part)
        parts.append(part)
    return parts


def _as_text(file: ExportFile, rows: int | None) -> pa.Table:
    try:
        sheets = pd.read_excel(file.path, sheet_name=None, dtype=str, na_filter=False, nrows=rows)
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
    filled = {name: sheet for name, sheet in sheets.items() if len(sheet.columns)}
    headers = {tuple(str(column).strip() for column in sheet.columns) for sheet in filled.values()}
    if len(headers) != 1:
        raise ExportRejected(
            f"{file.name}: expected sheets with the same columns, but came {len(headers)} kinds in the sheets "
            f"{', '.join(map(str, sheets))}. Nothing was written. Save the sheets you mean as CSV (UTF-8)."
        )
    names = list(headers.pop())
    whole = pd.concat([sheet.set_axis(names, axis=1) for sheet in filled.values()]).astype(str)
    return pa.Table.from_pandas(whole, pa.schema([(name, pa.string()) for name in names]), preserve_index=False)
