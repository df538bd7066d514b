"""`aisle replay`: a logged answer computed again."""

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.answers import AnswerUnknown, batches_of, land_answers, newest_request_ids
from flows.object_client import ObjectStoreError
from flows.replays import ReplayImpossible, replay
from flows.settings import load_settings


@click.command("replay")
@click.argument("request_ids", nargs=-1)
@click.option("--newest", type=click.IntRange(1), help="Replay so many of the newest answers instead.")
def command(request_ids: tuple[str, ...], newest: int | None) -> None:
    """Compute answers again from what they were made of, compare the bytes, and say what made each place.

    (Answers, not held rows: see `aisle quarantine replay`.)

    A REQUEST_ID is the header X-Request-Id of an answer. What made a place: `rules`, when without the shop's rules
    another item has it; `features`, when without what is known of the user another has it; `data`, when the answer is
    what is popular; `model`, when neither changes it. The exit code is 1 when a byte differs.

    \b
    Examples:
      aisle replay q_0123456789abcdef01234567
      aisle replay --newest 1000
    """
    if newest is not None and request_ids:
        raise click.UsageError("Name answers by their X-Request-Id or say --newest, not both.")
    settings = load_settings()
    try:
        if newest is not None:
            land_answers(settings)
            request_ids = tuple(newest_request_ids(settings, newest))
            if not request_ids:
                raise click.ClickException("No answer has been logged yet. Ask for one: aisle recommend USER")
        if not request_ids:
            raise click.ClickException("Name an answer by its X-Request-Id, or say --newest 100.")
        results = replay(settings, batches_of(settings, request_ids))
    except (AnswerUnknown, ReplayImpossible, ObjectStoreError) as error:
        raise click.ClickException(str(error)) from error
    wanted = [results[name] for name in request_ids]
    if len(wanted) == 1:
        show_replayed(Console(), wanted[0])
    differing = sum(not result["same"] for result in wanted)
    click.echo(f"{len(wanted)} answers replayed, {differing} differ.")
    if differing:
        raise click.exceptions.Exit(1)


def show_replayed(console: Console, result: dict[str, Any]) -> None:
    """Print one replayed answer: each place with what made it."""
    answer = result["answer"]
    click.echo(f"{answer['source']} · release {answer['release_id']} · rules {answer['rules_id'] or 'none'}")
    table = Table("#", "Item", "Title", "Made by", "Reason", box=None, header_style="dim")
    for item, made_by in zip(answer["slate"], result["made_by"], strict=True):
        row = (str(item["rank"]), item["item_id"], item["title"], made_by, item["reason"]["text"])
        table.add_row(*map(Text, row))
    console.print(table)
