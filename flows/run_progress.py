"""The log of flow runs as progress on a console: when, which stage, what; Prefect keeps the same lines by itself."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console
from rich.markup import escape

FLOW_LOGGERS = ("prefect.flow_runs", "prefect.task_runs")
#: Prefect's own lines about a run's life, which the stage names already tell.
_UNTOLD = (
    "Beginning flow run",
    "Beginning subflow run",
    "View at",
    "Created task run",
    "Created subflow run",
    "Finished in state Completed",
)


class _ConsoleLines(logging.Handler):
    """Prints each record as one line, with the seconds since the start."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._began = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message.startswith(_UNTOLD):
            return
        stage = getattr(record, "flow_name", None) or "run"
        style = "bold red" if record.levelno >= logging.ERROR else "yellow" if record.levelno >= logging.WARNING else ""
        text = f"[dim]{time.monotonic() - self._began:7.1f} s[/dim]  {escape(stage):<15} {escape(message)}"
        self._console.print(text, style=style or None)


@contextmanager
def progress_on(console: Console) -> Iterator[None]:
    """While open, flow and task logs go to `console` in our form, not to Prefect's console form."""
    lines = _ConsoleLines(console)
    loggers = [logging.getLogger(name) for name in FLOW_LOGGERS]
    plain = [each for each in logging.getLogger().handlers if isinstance(each, PrefectConsoleHandler)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(lines)
        logger.setLevel(logging.INFO)
    for handler in plain:
        handler.addFilter(_is_told_by_prefect)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(lines)
            logger.setLevel(level)
        for handler in plain:
            handler.removeFilter(_is_told_by_prefect)


def _is_told_by_prefect(record: logging.LogRecord) -> bool:
    """Prefect's console keeps the warnings of libraries; flow logs are ours, and the libraries' chat is nobody's."""
    return record.levelno >= logging.WARNING and not record.name.startswith(FLOW_LOGGERS)
