"""How a rehearsal of a mapping is printed: rows before and after, what would be held, what to do next."""

import textwrap
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.rehearsal import RehearsedTable, next_steps
from flows.sources.staging import JOINED_ROWS

_WIDTH = 118


def print_rehearsal(tables: tuple[RehearsedTable, ...], source: str, limit: int, console: Console) -> None:
    """Print each table's rows before and after, the counts of rows held by rule, and the next steps."""
    for table in tables:
        console.print(f"\n{table.table}: {len(table.pairs)} of {table.rows:,} rows, before and after", style="bold")
        for number, pair in enumerate(table.pairs, 1):
            _print_line(console, f"{number:>3} before", pair.before)
            _print_line(console, "     after", pair.after)
            if pair.held:
                _print_text(console, "      HELD", pair.held)
    console.print()
    summary = Table(title="The sample", title_justify="left")
    for heading in ("table", "rows", "left out", "held", "rule", "for example"):
        summary.add_column(
            heading, overflow="fold", justify="right" if heading in ("rows", "left out", "held") else "left"
        )
    for table in tables:
        counts = (table.table, f"{table.rows:,}", f"{table.left_out:,}")
        for number, (rule, count, example) in enumerate(table.held or (("", 0, ""),)):
            summary.add_row(*(counts if number == 0 else ("", "", "")), f"{count:,}", rule, example[:160])
    console.print(summary, markup=False)
    for first, last in (table.span for table in tables if table.span):
        console.print(f"Events from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC.", highlight=False)
    if any(table.rows >= limit for table in tables):
        joined = f"(of files joined to another one {JOINED_ROWS * limit:,})"
        console.print(f"Of each file only the first {limit:,} rows {joined} were read; --rows reads more.")
    console.print("\nWhat to do next", style="bold")
    for step in next_steps(tables, source):
        _print_text(console, "  -", step)


def _print_line(console: Console, head: str, values: dict[str, Any]) -> None:
    _print_text(console, head, " · ".join(f"{name}={_short(value)}" for name, value in values.items()))


def _print_text(console: Console, head: str, text: str) -> None:
    lines = textwrap.wrap(text, _WIDTH - len(head) - 1, break_on_hyphens=False) or [""]
    console.print(
        "\n".join([f"{head} {lines[0]}", *(" " * (len(head) + 1) + line for line in lines[1:])]),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def _short(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    text = " ".join(str(value).split())
    return text if len(text) <= 48 else f"{text[:45]}..."
