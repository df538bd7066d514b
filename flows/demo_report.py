"""What the demo prints: tables of rows and verdicts, features, models, the gate, slates with reasons, times."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from feature_repo.features import FEATURE_VIEWS
from flows.landing import TableSummary
from flows.settings import Settings
from flows.storefront_client import price_of

METRICS = (
    ("ndcg10", "NDCG@10"),
    ("recall10", "Recall@10"),
    ("mrr", "MRR"),
    ("new_ndcg10", "new items NDCG@10"),
    ("new_recall10", "new items Recall@10"),
    ("coverage", "coverage"),
)
#: Width of the page when the output is no terminal.
PIPED_WIDTH = 130


def report_console() -> Console:
    """A console whose output is as readable in a file as in a terminal: plain text there, and wide enough."""
    console = Console(highlight=False)
    width = max(console.width, PIPED_WIDTH)
    return console if console.is_terminal else Console(highlight=False, width=width, no_color=True)


def table_of(title: str, *headings: str) -> Table:
    """An empty table; headings that begin with '>' are of right-aligned columns."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    return table


def rows_table(tables: Sequence[TableSummary]) -> Table:
    """What became of the export, a line a table: rows in, landed and held."""
    table = table_of("Ingest", "table", ">rows in", ">in the lake", ">quarantined", ">windows new", ">as before")
    for each in tables:
        counts = (each.rows_in, each.rows_written, each.rows_held, each.windows_landed, each.windows_skipped)
        table.add_row(each.table, *(f"{count:,}" for count in counts))
    return table


def verdicts_table(verdicts: Sequence[tuple[str, str]]) -> Table:
    """The newest verdict of every table of the lake and every feature table; a feature table with its features."""
    table = table_of("Verdicts", "table", ">features", "Great Expectations says")
    for name, verdict in sorted(verdicts, key=lambda row: (row[0] in FEATURE_VIEWS, row[0])):
        features = str(len(FEATURE_VIEWS[name].features)) if name in FEATURE_VIEWS else ""
        table.add_row(name, features, verdict)
    return table


def models_table(test_metrics: Mapping[str, Mapping[str, float | None]], challenger: str) -> Table:
    """Every model on the test cut, the best NDCG@10 first; a dash where no user could be judged."""
    table = table_of("Models on the test cut", "model", *(f">{heading}" for _, heading in METRICS))
    for name, metrics in sorted(test_metrics.items(), key=lambda row: -(row[1]["ndcg10"] or 0.0)):
        marked = f"[bold]{name} (challenger)[/bold]" if name == challenger else name
        table.add_row(marked, *(_figure(metrics[key]) for key, _ in METRICS))
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def gate_lines(gate: Mapping[str, Any]) -> str:
    """The gate's verdict: who against whom, by how much, and every check that failed."""
    passed = "[green]passed[/green]" if gate["passed"] else "[red]refused[/red]"
    checks = [check["passed"] for check in gate["checks"]]
    lines = [f"[bold]Gate[/bold]: {gate['challenger']} {passed}; {sum(checks)} of {len(checks)} sanity checks hold"]
    if against := gate["comparison"]:
        lines.append(
            f"  NDCG@10 {against['ndcg10']:.4f} against {against['incumbent_ndcg10']:.4f} of {against['incumbent']} on "
            f"the same {against['users']:,} users: {against['difference']:+.4f}, at least {against['low']:+.4f} with "
            f"{against['confidence']:.0%} confidence"
        )
    lines += [f"  {reason}" for reason in gate["reasons"]]
    return "\n".join(lines)


def slate_table(label: str, answer: Mapping[str, Any]) -> Table:
    """One user's slate: title, price and reason of every item."""
    table = table_of(
        f"Slate for {label} [not bold](source: {answer['source']}, as of {answer['as_of'][:16]})[/]",
        ">#",
        "item",
        ">price",
        "reason",
    )
    for item in answer["slate"]:
        table.add_row(*map(Text, (str(item["rank"]), item["title"], price_of(item), item["reason"]["text"])))
    return table


def times_table(stages: Sequence[tuple[str, float]], peak_bytes: int) -> Table:
    """Seconds a stage, their sum, and the peak memory."""
    table = table_of("Time and memory", "stage", ">seconds")
    for name, seconds in stages:
        table.add_row(name, f"{seconds:.1f}")
    table.add_row("[bold]in all[/bold]", f"[bold]{sum(seconds for _, seconds in stages):.1f}[/bold]")
    table.add_row("peak memory, all processes", f"{peak_bytes / 2**30:.2f} GiB")
    return table


def next_steps(settings: Settings, release_id: str) -> str:
    """Where to look now, and what to type."""
    where = settings.services
    ui = where.prefect_api_url.removesuffix("/api")
    return "\n".join(
        (
            "[bold]Look at[/bold]",
            f"  {where.serving_url}/  the storefront: pick a user, click an item, see the slate change",
            f"  {where.serving_url}/openapi.json  the API, with examples",
            f"  {ui}/runs  the run, its stages, and its validation artifacts",
            "[bold]Type[/bold]",
            f"  aisle release show {release_id}",
            "  aisle recommend --help",
            "  make up     adds a worker and the schedules",
            "  make down   stops everything; the lake and the releases stay",
            "  (aisle is .venv/bin/aisle)",
        )
    )
