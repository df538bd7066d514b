"""`aisle experiment`: let a challenger run beside the champion, see what comes of it, end it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Column, Table

from feature_repo.experiments import MODES, Bounds, Experiment, ExperimentError
from flows.answers import land_answers, land_shadows
from flows.command_group import CommandGroup
from flows.experiment_report import minute, page_of, publish_report, report_of
from flows.experiments import (
    BY_HAND,
    Plan,
    current_experiment,
    past_experiment,
    start_experiment,
    stop_by_hand,
    why_to_end,
)
from flows.object_client import ObjectStoreError
from flows.off_policy import NothingDrawn, estimate_release
from flows.settings import load_settings

NONE = "There is no experiment. Start one: aisle experiment start RELEASE_ID --mode shadow"
_UNWRITTEN = "Serving gives it no traffic any more: {}. `aisle experiment stop`, or the next watch, writes it down."
_DEFAULTS = Bounds()
_SHARE, _LENGTH = click.FloatRange(0, 1, min_open=True), click.FloatRange(0, min_open=True)


@click.group(name="experiment", cls=CommandGroup)
def command() -> None:
    """Try a release on real shoppers beside the champion: unseen (shadow), on a few (canary), on many (ab), or mixed.

    \b
    Examples:
      aisle experiment start r20180101-0123456789ab --mode shadow --share 0.2
      aisle experiment start r20180101-0123456789ab --mode ab --share 0.5 --planned-users 20000
      aisle experiment show
      aisle experiment report --html report.html
      aisle experiment stop --reason "seen enough"
    """


@command.command(name="start")
@click.argument("release_id")
@click.option("--mode", type=click.Choice(MODES), default="canary", show_default=True, help="See above.")
@click.option(
    "--share",
    type=_SHARE,
    default=0.05,
    show_default=True,
    help="Share of users (0-1) who meet the challenger; of answers, in shadow.",
)
@click.option(
    "--planned-users",
    type=click.IntRange(100),
    default=10_000,
    show_default=True,
    help="Users you expect to take part: the verdict is sharpest there, and holds at any other number.",
)
@click.option(
    "--window-hours",
    type=_LENGTH,
    default=24.0,
    show_default=True,
    help="A click counts for the slate that its user saw up to so many hours before.",
)
@click.option(
    "--slow-ms", type=_LENGTH, default=_DEFAULTS.slow_ms, show_default=True, help="An answer that takes longer is slow."
)
@click.option(
    "--most-slow",
    type=_SHARE,
    default=_DEFAULTS.slow,
    show_default=True,
    help="End when more than this share of its answers is slower than --slow-ms.",
)
@click.option(
    "--most-errors",
    type=_SHARE,
    default=_DEFAULTS.errors,
    show_default=True,
    help="End when more than this share of its answers fails.",
)
@click.option(
    "--more-fallback",
    type=_SHARE,
    default=_DEFAULTS.fallback,
    show_default=True,
    help="End when its share of answers that are not personal is above the champion's by more than this.",
)
@click.option(
    "--least-clicks",
    type=_SHARE,
    default=_DEFAULTS.click_through,
    show_default=True,
    help="End when its click-through is below this share of the champion's.",
)
def start_command(**asked: Any) -> None:
    """Start an experiment with a stored release. Its traffic ends by itself when it costs more than the bounds say.

    \b
    Modes:
      shadow      nobody sees the challenger; its slates are compared with those given
      canary      a small share of the users sees it: does it harm?
      ab          a share of the users sees it: which is better?
      interleave  a share of the users sees slates drawn from both: which is better, from fewer users

    \b
    Examples:
      aisle experiment start r20180101-0123456789ab --mode shadow --share 0.2
      aisle experiment start r20180101-0123456789ab --mode ab --share 0.5 --planned-users 20000
    """
    bounds = Bounds(
        errors=asked["most_errors"],
        slow=asked["most_slow"],
        slow_ms=asked["slow_ms"],
        fallback=asked["more_fallback"],
        click_through=asked["least_clicks"],
    )
    plan = Plan(
        challenger=asked["release_id"],
        mode=asked["mode"],
        share=asked["share"],
        bounds=bounds,
        window_hours=asked["window_hours"],
        planned_users=asked["planned_users"],
    )
    with _plain_failures():
        experiment = start_experiment(load_settings(), plan)
    click.echo(
        f"{experiment.experiment_id}: {experiment.mode} of {experiment.challenger} beside {experiment.champion}, "
        f"share {experiment.share:g}. Serving follows within seconds."
    )


@command.command(name="show")
def show_command() -> None:
    """Show the experiment that runs, or the one that ended last.

    Example: aisle experiment show
    """
    settings = load_settings()
    with _plain_failures():
        experiment = current_experiment(settings)
        if experiment is None:
            raise click.ClickException(NONE)
        why = why_to_end(settings, experiment) if experiment.running else None
    table = Table(box=None, show_header=False)
    for name, value in _facts(experiment, why):
        table.add_row(name, value)
    Console(emoji=False).print(table, markup=False)


@command.command(name="stop")
@click.option("--reason", default=BY_HAND, show_default=True, help="Why; it is kept with the experiment.")
def stop_command(reason: str) -> None:
    """End the experiment: all users get the champion again within seconds. The log keeps what was learned.

    Example: aisle experiment stop --reason "seen enough"
    """
    if not reason.strip():
        raise click.ClickException("--reason: expected why it ends, came nothing.")
    settings = load_settings()
    with _plain_failures():
        before = current_experiment(settings)
        experiment = stop_by_hand(settings, reason)
    if before is not None and not before.running:
        when = minute(experiment.stopped_at or "")
        click.echo(f"{experiment.experiment_id} had ended already, {when}: {experiment.reason}.")
        return
    click.echo(f"{experiment.experiment_id} ended: {experiment.reason}. Serving follows within seconds.")


@command.command(name="estimate")
@click.argument("release_id")
def estimate_command(release_id: str) -> None:
    """Say what a stored release would have been worth, from logged slates with drawn places; nobody sees it.

    Example: aisle experiment estimate r20180101-0123456789ab
    """
    settings = load_settings()
    with _plain_failures():
        land_answers(settings)
        click.echo(estimate_release(settings, release_id).sentence())


@command.command(name="report")
@click.option("--id", "experiment_id", help="One that has ended; the newest when absent.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write the page with its plots there.")
def report_command(experiment_id: str | None, html: Path | None) -> None:
    """Land what serving has logged and say what came of the experiment so far; nothing is ended by it.

    Example: aisle experiment report --html report.html
    """
    if html is not None and not html.absolute().parent.is_dir():
        raise click.ClickException(f"--html: expected a file in a folder that is there, came {html}.")
    settings = load_settings()
    with _plain_failures():
        experiment = past_experiment(settings, experiment_id) if experiment_id else current_experiment(settings)
        if experiment is None:
            raise click.ClickException(NONE)
        land_answers(settings)
        land_shadows(settings)
        report = report_of(settings, experiment)
        key = publish_report(settings, report)
        why = why_to_end(settings, experiment) if experiment.running else None
    click.echo(f"{report.headline}.\n{report.sentence}")
    if why is not None:
        click.echo(_UNWRITTEN.format(why))
    for header, *rows in report.tables:
        table = Table(header[0], *(Column(name, justify="right") for name in header[1:]), box=box.SIMPLE_HEAD)
        for row in rows:
            table.add_row(*row)
        Console().print(table, markup=False)
    if html is not None:
        html.write_text(page_of(report), encoding="utf-8")
    click.echo(f"With plots: {html or f'{key} in bucket {settings.object_store.bucket}'}")


def _facts(experiment: Experiment, why: str | None) -> list[tuple[str, str]]:
    """Return what an experiment is; `why`: what has ended it, where that is not written down yet."""
    bounds = experiment.bounds
    state = "running" if why is None else _UNWRITTEN.format(why)
    if experiment.stopped_at is not None:
        state = f"ended {minute(experiment.stopped_at)}: {experiment.reason}"
    facts = [
        ("experiment", experiment.experiment_id),
        ("state", state),
        ("mode", f"{experiment.mode}, share {experiment.share:g}"),
        ("champion", experiment.champion),
        ("challenger", experiment.challenger),
        ("started", minute(experiment.started_at)),
        (
            "clicks",
            f"count for {experiment.window_hours:g} h; the verdict is sharpest at {experiment.planned_users:,} users",
        ),
        (
            "bounds",
            f"errors ≤ {bounds.errors:.2%}, slower than {bounds.slow_ms:g} ms ≤ {bounds.slow:.2%}, fallbacks ≤ "
            f"champion + {bounds.fallback:.2%}, click-through ≥ {bounds.click_through:.0%} of the champion's",
        ),
    ]
    return facts


@contextmanager
def _plain_failures() -> Iterator[None]:
    """Turn errors of the store and of the plan into one line on the console."""
    try:
        yield
    except (ObjectStoreError, ExperimentError, NothingDrawn) as error:
        raise click.ClickException(str(error)) from error
