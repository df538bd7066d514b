"""What the README tells people to type exists, and what it links to is there."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flows.cli import SUBCOMMANDS, main
from flows.settings import environment_for_children
from flows.sources.mapping import load_mapping
from tests.conftest import settings_in

PROJECT = Path(__file__).parent.parent
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
CODE = re.compile(r"```(?:console|bash|sh)?\n(.*?)```|```[a-z]+\n.*?```|`([^`\n]+)`", re.DOTALL)


def _typed(word: str) -> set[tuple[str, str]]:
    """(page, what follows `word`) for every command that starts with `word` in code of a page."""
    found = set()
    for page in PAGES:
        for block in CODE.finditer(page.read_text()):
            text = block.group(1) or block.group(2) or ""
            found |= {
                (page.name, rest) for rest in re.findall(rf"(?:^|[ \n])(?:[A-Z_]+=\S+ )*{word} ([a-z][a-z-]*)", text)
            }
    return found


def test_every_make_target_that_a_page_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = _typed("make")
    assert {target for _, target in named} >= {"demo", "test", "up", "down", "check"}
    assert {(page, target) for page, target in named if target not in targets} == set()


def test_every_subcommand_that_a_page_names_exists():
    named = _typed("aisle")
    assert named
    assert {(page, name) for page, name in named if name not in SUBCOMMANDS} == set()


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_teaches_with_an_example(name: str):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "xample" in result.output


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_command_of_a_group_teaches_with_an_example(name: str):
    command = main.get_command(click.Context(main), name)
    words = list(command.commands) if isinstance(command, click.Group) else []
    without = [word for word in words if "xample" not in CliRunner().invoke(main, [name, word, "--help"]).output]
    assert not without


def test_help_is_instant_because_it_loads_no_subcommand(tmp_path: Path):
    script = "import sys; from flows.cli import main\ntry: main(['--help'])\nfinally: print(len(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment_for_children(settings_in(tmp_path)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "ingest" in done.stdout
    assert int(done.stdout.split()[-1]) < 500


def test_every_link_of_a_page_leads_to_a_file():
    missing = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert not missing


def test_every_module_that_a_page_runs_exists():
    for page in PAGES:
        for module in re.findall(r"`python -m ([a-z_.]+)", page.read_text()):
            path = PROJECT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), (page.name, module)


def test_the_shop_of_the_readme_is_a_mapping(tmp_path: Path):
    (text,) = re.findall(r"```toml\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "my_shop.toml"
    path.write_text(text)
    assert load_mapping(str(path)).source == "my_shop"
    assert len(text.splitlines()) <= 12
