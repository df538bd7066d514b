"""The `aisle` command: a table of subcommands, each loaded only when it is called, so that --help is instant."""

import difflib
import importlib
import logging
import signal

import click

from flows.setting_values import SettingsError
from flows.settings import prepare_process

#: What a shell gives a program that SIGINT ended.
INTERRUPTED = 128 + signal.SIGINT
SUBCOMMANDS = {
    "demo": "Run everything on real data, then ask the live API for three users.",
    "up": "Start Prefect, a worker, the schedules, the object store and serving; print the addresses.",
    "down": "Stop what `up` started.",
    "status": "Say what is running, and where.",
    "deploy": "Put the schedules and automations on the Prefect server of PREFECT_API_URL.",
    "ingest": "Land a shop's export in the lake, window by window.",
    "source": "List the shop mappings, show one, draft one from files, try one on a sample.",
    "contract": "Say what the next export would break, and which lines to write.",
    "backfill": "Land a long past in chunks, going on where it was stopped.",
    "quarantine": "Count the held rows; list, show, replay or discard them.",
    "drift": "Hold the last whole day against the weeks before; see and acknowledge a stop.",
    "freshness": "Say how far behind each stage is, against its limit.",
    "features": "Build the feature tables as of a moment.",
    "materialise": "Load the newest feature rows into the online store.",
    "train": "Train the models, gate the best, release it.",
    "pipeline": "Ingest, features, materialise, train: the whole way.",
    "release": "List, show, compare, verify, promote and roll back releases; remove old ones.",
    "experiment": "Try a release on real shoppers beside the champion: start, show, stop, report.",
    "rules": "Check, publish and show the shop's rules: block, pin, boost.",
    "serve": "Start the serving API.",
    "replay": "Compute a logged answer again, and say what made each place.",
    "key": "Make, list or revoke API keys of serving.",
    "recommend": "Ask the running serving API for a user's slate.",
}


class _LazyGroup(click.Group):
    """A group that imports a subcommand's file (flows/commands/NAME.py) at the moment it is called."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in SUBCOMMANDS:
            return None
        prepare_process()
        # Deprecations inside the libraries are for us and the tests, not for the people who type this command.
        logging.getLogger("py.warnings").setLevel(logging.ERROR)
        command: click.Command = importlib.import_module(f"flows.commands.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand; a word that is none is answered with those that are near."""
        name = args[0]
        if name not in SUBCOMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, SUBCOMMANDS, n=3, cutoff=0.7)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else " All of them: aisle --help"
            context.fail(f"No such command {name!r}.{hint}")
        return super().resolve_command(context, args)

    def invoke(self, context: click.Context) -> object:
        """Run the subcommand; what any of them may meet is told in one line: a wrong setting, no server, Ctrl-C."""
        try:
            return super().invoke(context)
        except SettingsError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt as error:
            stopped = click.ClickException(
                "stopped by Ctrl-C. What was written is whole; the same command can be typed again."
            )
            stopped.exit_code = INTERRUPTED
            raise stopped from error
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise  # told already; to ask below would load Prefect for a misspelt option
        except Exception as error:
            told = importlib.import_module("flows.prefect_server").unreachable(error)
            if told is None:
                raise
            raise click.ClickException(told) from error

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUBCOMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="aisle")
def main() -> None:
    """Personalised retail from raw behaviour to live answer.

    Start with `aisle demo`; then bring your own shop: `aisle ingest --source my_shop.toml`.
    """
