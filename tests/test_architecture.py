"""The rules of the house, held over every source file: who imports whom, sizes, names, and nothing at import time."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGES = ("feature_repo", "expectations", "training", "serving", "flows")
VOCABULARY = {
    "feature_repo",
    "feature_repo.schema",
    "feature_repo.experiments",
    "feature_repo.features",
    "feature_repo.online_format",
    "feature_repo.prices",
    "feature_repo.slate_rules",
}
SETTINGS_FILES = {Path("flows/settings.py"), Path("serving/settings.py")}
BANNED_NAMES = {"utils", "helpers", "common", "manager", "base", "handler", "misc", "process", "do"}
LINES_A_FILE = 300
LINES_A_FUNCTION = 40
PARAMETERS = 7
#: Heavy libraries that a package may not name, nor bring when it is imported.
FORBIDDEN_LIBRARIES = {
    "feature_repo": {"torch", "prefect", "great_expectations"},
    "expectations": {"feast", "prefect", "torch"},
    "training": {"feast", "prefect", "boto3", "great_expectations"},
    "serving": {"torch", "prefect", "great_expectations", "feast", "pandas", "pyarrow"},
    "flows": set(),
}
PROBE = """
import importlib, json, sys, threading
from pathlib import Path
project, names = sys.argv[1], json.loads(sys.argv[2])
sys.path.insert(0, project)
WRITES = {"socket.bind", "socket.connect", "subprocess.Popen", "os.mkdir", "os.rename", "os.remove",
          "_thread.start_new_thread"}
seen = []
def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if not writes and event not in WRITES:
        return
    frame = sys._getframe(1)
    while frame and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    if frame and "site-packages" not in frame.f_code.co_filename and frame.f_code.co_filename.startswith(project):
        if not str(arguments[0]).endswith((".pyc",)) and "__pycache__" not in str(arguments[0]):
            seen.append(f"{frame.f_code.co_filename}:{frame.f_lineno} {event} {arguments[0]!r}")
sys.addaudithook(watch)
sys.dont_write_bytecode = True
threads = threading.active_count()
for name in names:
    importlib.import_module(name)
tops = sorted({name.partition(".")[0] for name in sys.modules})
print("RESULT" + json.dumps({"modules": tops, "seen": seen}))
"""


@dataclass(frozen=True)
class Source:
    """One file: its path below the project, its text, its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def package(self) -> str:
        return self.path.parts[0]

    @property
    def module(self) -> str:
        return ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")


def _sources(*folders: str) -> list[Source]:
    paths = sorted(path for folder in folders for path in (PROJECT / folder).rglob("*.py"))
    return [Source(path.relative_to(PROJECT), text := path.read_text(), ast.parse(text)) for path in paths]


def _imports(source: Source) -> Iterator[str]:
    """Full names of the modules that a file names; `from a import b` gives both `a` and `a.b`."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source.path}:{node.lineno} imports relatively"
            yield from (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))


def _functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _our_imports(source: Source) -> set[str]:
    """Modules of ours that a file imports."""
    modules = {each.module for each in SOURCES}
    return {name for name in _imports(source) if name in modules}


SOURCES = _sources(*PACKAGES)
EVERYTHING = [*SOURCES, *_sources("benchmarks", "tests")]


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[str]]]:
    """What a fresh Python with an empty environment holds and does after it imported each package's modules."""
    groups = {package: [s.module for s in SOURCES if s.package == package] for package in PACKAGES}
    groups["vocabulary"] = sorted(VOCABULARY)
    folder = tmp_path_factory.mktemp("empty")
    running = {
        name: subprocess.Popen(
            [sys.executable, "-c", PROBE, str(PROJECT), json.dumps(modules)],
            env={"HOME": str(folder), "PATH": os.defpath},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, modules in groups.items()
    }
    results = {}
    for name, process in running.items():
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, f"importing {name} with an empty environment failed:\n{errors}"
        results[name] = json.loads(output.rpartition("RESULT")[2])
    results["folder"] = {"files": [str(path) for path in folder.iterdir() if path.name.startswith(".aisle")]}
    return results


def test_each_package_imports_only_what_the_table_allows():
    packages = {"flows": {"flows", "feature_repo", "expectations", "training"}}
    broken = [
        f"{source.path} imports {name}"
        for source in SOURCES
        for name in _our_imports(source) - VOCABULARY
        if name.partition(".")[0] not in packages.get(source.package, {source.package})
    ]
    assert not broken


def test_no_file_names_a_library_that_its_package_may_not_use():
    broken = []
    for source in SOURCES:
        forbidden = FORBIDDEN_LIBRARIES[source.package]
        broken += [f"{source.path} imports {n}" for n in _imports(source) if n.partition(".")[0] in forbidden]
    assert not broken


def test_the_vocabulary_needs_the_standard_library_alone():
    for source in SOURCES:
        if source.module in VOCABULARY:
            tops = {name.partition(".")[0] for name in _imports(source)} - {"feature_repo"}
            assert tops <= sys.stdlib_module_names, source.path


def test_a_name_taken_from_a_file_of_ours_is_there():
    labels = ("id", "asname", "name")
    names = {s.module: {getattr(n, of, None) for n in ast.walk(s.tree) for of in labels} for s in EVERYTHING}
    broken = [
        f"{source.path}:{node.lineno} {node.module}.{alias.name}"
        for source in EVERYTHING
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.module in names
        for alias in node.names
        if not {alias.name, f"{node.module}.{alias.name}"} & {*names[node.module], *names}
    ]
    assert not broken


def test_nothing_outside_tests_imports_flows_or_serving():
    for source in SOURCES:
        for other in {"flows", "serving"} - {source.package}:
            assert not any(name.partition(".")[0] == other for name in _imports(source)), source.path


def test_a_fresh_interpreter_holds_no_forbidden_library(probes: dict[str, dict[str, list[str]]]):
    for package, forbidden in FORBIDDEN_LIBRARIES.items():
        loaded = set(probes[package]["modules"])
        # Feast itself imports torch where it is installed.
        assert not (forbidden - ({"torch"} if "feast" in loaded else set())) & loaded, package
    assert not {"numpy", "pandas", "pyarrow"} & set(probes["vocabulary"]["modules"])


def test_importing_any_module_with_an_empty_environment_does_nothing(probes: dict[str, dict[str, list[str]]]):
    assert {name: result["seen"] for name, result in probes.items() if result.get("seen")} == {}
    assert probes["folder"]["files"] == []


def test_the_environment_is_touched_in_the_settings_files_only():
    broken = [
        f"{source.path}:{node.lineno}"
        for source in SOURCES
        if source.path not in SETTINGS_FILES
        for node in ast.walk(source.tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "putenv"))
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {a.name for a in node.names} & {"environ"})
    ]
    assert not broken


def test_no_function_imports():
    broken = [
        f"{source.path}:{node.lineno}"
        for source in EVERYTHING
        for function in _functions(source)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not broken


def test_no_result_is_streamed_into_arrow():
    """`execute` streams: a large UNION ALL then waits for itself for ever (duckdb/duckdb#22215). `sql` does not."""
    broken = [
        f"{source.path}:{line}"
        for source in EVERYTHING
        for function in _functions(source)
        for line in _streamed_into_arrow(function)
    ]
    assert not broken


@pytest.mark.parametrize(
    "body",
    [
        "return connection.execute(query).to_arrow_table()",
        "found = connection.execute(query); return found.to_arrow_table()",
        "connection.execute(query); return connection.to_arrow_table()",
    ],
)
def test_a_streamed_result_is_seen_in_one_line_and_in_two(body):
    assert _streamed_into_arrow(ast.parse(f"def read(connection): {body}").body[0])
    kept = body.replace("execute", "sql").replace("connection.to_arrow", "other.to_arrow")
    assert not _streamed_into_arrow(ast.parse(f"def read(connection): {kept}").body[0])


def _streamed_into_arrow(function: ast.AST) -> list[int]:
    """Lines that take Arrow of `x.execute(...)`, of a name it was given, or of an `x` that executed."""
    nodes = list(ast.walk(function))
    executed = [node for node in nodes if _called(node) == "execute"]
    names = {ast.unparse(node.func.value) for node in executed}
    names |= {ast.unparse(node) for node in executed}
    names |= {
        ast.unparse(target)
        for node in nodes
        if isinstance(node, ast.Assign) and node.value in executed
        for target in node.targets
    }
    taken = ("to_arrow_table", "fetch_arrow_table", "arrow", "fetch_record_batch")
    return [node.lineno for node in nodes if _called(node) in taken and ast.unparse(node.func.value) in names]


def _called(node: ast.AST) -> str | None:
    """The name of the method that a node calls."""
    return node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None


def test_files_are_shorter_than_300_lines():
    long = {str(source.path): count for source in EVERYTHING if (count := source.text.count("\n")) >= LINES_A_FILE}
    assert not long


def test_functions_are_shorter_than_40_lines_and_take_few_parameters():
    broken = []
    for source in EVERYTHING:
        for function in _functions(source):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            parameters = len(function.args.args) + len(function.args.kwonlyargs)
            if lines >= LINES_A_FUNCTION:
                broken.append(f"{source.path}:{function.lineno} {function.name}: {lines} lines")
            if parameters > PARAMETERS and source.package in PACKAGES:
                broken.append(f"{source.path}:{function.lineno} {function.name}: {parameters} parameters")
    assert not broken


def test_names_say_what_a_thing_is():
    files = {source.path for source in EVERYTHING if source.path.stem in BANNED_NAMES}
    functions = {
        f"{source.path}:{each.lineno} {each.name}"
        for source in EVERYTHING
        for each in _functions(source)
        if each.name.strip("_") in BANNED_NAMES
    }
    assert not files
    assert not functions
