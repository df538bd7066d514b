"""The group of `aisle`'s subcommands that have subcommands of their own."""

import click

#: Characters; more than any first sentence has.
_WHOLE = 1000


class CommandGroup(click.Group):
    """A group that lists each subcommand with its first sentence whole."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list; click would cut each sentence at the line's end."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(_WHOLE)) for name, each in sorted(self.commands.items())]
            )
