"""What `--help` prints can be read to its end and copied."""

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from flows.cli import SUBCOMMANDS, main


def _commands() -> Iterator[tuple[str, ...]]:
    with click.Context(main) as context:
        for name in SUBCOMMANDS:
            yield (name,)
            command = main.get_command(context, name)
            yield from ((name, below) for below in (command.commands if isinstance(command, click.Group) else ()))


COMMANDS = tuple(_commands())


def _help(*words: str) -> str:
    return CliRunner().invoke(main, [*words, "--help"], terminal_width=80).output


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_example_stands_in_one_line(words: tuple[str, ...]):
    with click.Context(main) as context:
        command = main.get_command(context, words[0])
        if len(words) > 1:
            assert isinstance(command, click.Group)
            command = command.commands[words[1]]
    assert command is not None
    assert command.help is not None
    examples = re.findall(r"(?:Example: |^ +)((?:AISLE_\w+=\S+ |PREFECT_\w+=\S+ )*aisle .*)$", command.help, re.M)
    assert [each for each in examples if each not in _help(*words)] == []


@pytest.mark.parametrize("name", sorted({words[0] for words in COMMANDS if len(words) > 1}))
def test_a_list_of_subcommands_says_what_each_does_to_the_end(name: str):
    assert "..." not in _help(name).partition("Commands:")[2]
