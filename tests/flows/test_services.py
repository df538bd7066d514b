"""Services start, answer, outlive their starter, refuse a taken port and stop with all their children."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flows.daemons import Daemon, DaemonError, daemon_state, log_path, start_daemon, stop_daemon
from flows.settings import environment_for_children, load_settings, prepare_process
from tests.conftest import free_ports, settings_in

WEB_SERVER = """
import http.server, sys
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]])"


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _daemon(port: int, *command: str, seconds: float = 20) -> Daemon:
    return Daemon(
        name="web",
        title="Web",
        address=f"http://127.0.0.1:{port}",
        command=command or (sys.executable, "-c", WEB_SERVER, str(port)),
        ready=lambda _: _answers(port),
        port=port,
        port_variable="AISLE_WEB_PORT",
        ready_seconds=seconds,
    )


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def test_a_daemon_starts_once_answers_and_stops(tmp_path: Path, port: int):
    daemon = _daemon(port)
    assert start_daemon(tmp_path, daemon, {}, tmp_path) is True
    assert start_daemon(tmp_path, daemon, {}, tmp_path) is False
    assert daemon_state(tmp_path, daemon).running
    assert "serving" in log_path(tmp_path, "web").read_text()
    assert stop_daemon(tmp_path, "web") is True
    assert stop_daemon(tmp_path, "web") is False
    assert not _answers(port)
    assert not daemon_state(tmp_path, daemon).running


def test_stopping_a_daemon_stops_its_children_too(tmp_path: Path, port: int):
    start_daemon(tmp_path, _daemon(port, sys.executable, "-c", PARENT, str(port), WEB_SERVER), {}, tmp_path)
    stop_daemon(tmp_path, "web")
    assert not _answers(port)


def test_a_killed_daemon_is_seen_as_stopped_and_starts_again(tmp_path: Path, port: int):
    daemon = _daemon(port)
    start_daemon(tmp_path, daemon, {}, tmp_path)
    (child,) = [each for each in psutil.Process().children() if str(port) in each.cmdline()]
    child.kill()
    child.wait(10)
    assert not daemon_state(tmp_path, daemon).running
    assert start_daemon(tmp_path, daemon, {}, tmp_path) is True
    stop_daemon(tmp_path, "web")


def test_a_record_whose_process_id_was_given_to_another_program_stops_nobody(tmp_path: Path, port: int):
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / "web.json").write_text(f'{{"pid": {bystander.pid}, "started": 1.0, "address": ""}}')
    assert stop_daemon(tmp_path, "web") is False
    assert bystander.poll() is None
    bystander.communicate(b"\n")


def test_a_taken_port_is_refused_with_what_to_do(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(DaemonError, match=f"port {taken}, but another program.*AISLE_WEB_PORT"):
            start_daemon(tmp_path, _daemon(taken), {}, tmp_path)


def test_a_program_that_ends_while_it_starts_shows_the_end_of_its_log(tmp_path: Path, port: int):
    daemon = _daemon(port, sys.executable, "-c", "raise SystemExit('the disk is full')")
    with pytest.raises(DaemonError, match=r"Web stopped while it started(.|\n)*the disk is full"):
        start_daemon(tmp_path, daemon, {}, tmp_path)


def test_a_program_that_never_answers_is_stopped(tmp_path: Path, port: int):
    daemon = _daemon(port, sys.executable, "-c", "import time; time.sleep(60)", seconds=1)
    with pytest.raises(DaemonError, match=r"not ready at .* after 1 s, so it was stopped"):
        start_daemon(tmp_path, daemon, {}, tmp_path)
    assert not (tmp_path / "web.json").exists()


@pytest.mark.slow
def test_a_starter_that_is_piped_ends_while_its_daemon_goes_on(tmp_path: Path, port: int):
    script = (
        "import sys; from pathlib import Path; from tests.flows.test_services import _daemon;"
        "from flows.daemons import start_daemon; start_daemon(Path(sys.argv[1]), _daemon(int(sys.argv[2])), {},"
        "Path(sys.argv[1])); print('done')"
    )
    project = Path(__file__).parents[2]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(port)],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "done\n", done.stderr
    assert time.monotonic() - began < 25
    assert _answers(port)
    stop_daemon(tmp_path, "web")


def test_a_child_reads_the_very_settings_of_its_starter(tmp_path: Path):
    settings = settings_in(tmp_path, AISLE_S3_BUCKET="other", AISLE_ONLINE_STORE="redis")
    assert load_settings(environment_for_children(settings)) == settings
    outside = settings_in(tmp_path, AISLE_S3_ENDPOINT_URL="https://s3.example.org", AISLE_S3_SECRET_KEY="s")
    assert load_settings(environment_for_children(outside)) == outside


def test_a_child_counts_on_its_own_and_not_in_the_folder_that_feast_made_for_its_starter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "gone with its maker"))
    done = subprocess.run(
        [sys.executable, "-c", "from serving.metrics import make_metrics; make_metrics()"],
        env=environment_for_children(settings_in(tmp_path)),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_command_reports_to_the_running_server_of_its_home_alone(tmp_path: Path):
    environ = {"AISLE_HOME": str(tmp_path)}
    prepare_process(environ)
    assert "PREFECT_API_URL" not in environ
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "prefect.json").write_text(f'{{"pid": {psutil.Process().pid}, "address": "http://here:1"}}')
    prepare_process(environ)
    assert environ["PREFECT_API_URL"] == "http://here:1/api"
    environ["PREFECT_API_URL"] = "https://elsewhere/api"
    prepare_process(environ)
    assert environ["PREFECT_API_URL"] == "https://elsewhere/api"
