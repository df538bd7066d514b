"""The same variables and key files as the flows, read only."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings import environment_for_children, public_key_of
from flows.settings import load_settings as load_flow_settings
from serving.settings import load_settings


def test_serving_reads_what_the_flows_made(tmp_path: Path):
    flow = load_flow_settings({"AISLE_HOME": str(tmp_path)})
    for environ in ({"AISLE_HOME": str(tmp_path)}, environment_for_children(flow)):
        ours = load_settings(environ)
        assert ours.pseudonym_key == flow.pseudonym_key
        assert ours.spool_path == flow.spool_path
        assert ours.release_keys == (public_key_of(flow.signing_key),)
        store, flow_store = ours.object_store, flow.object_store
        for name in ("endpoint_url", "bucket", "access_key", "secret_key", "region"):
            assert getattr(store, name) == getattr(flow_store, name)
        for name in ("online_type", "online_path", "redis_url", "postgres_url"):
            assert getattr(ours.online_store, name) == getattr(flow.feature_store, name)
        assert (ours.host, ours.port) == (flow.services.serving_host, flow.services.serving_port)


def test_a_key_that_was_never_made_is_asked_for_and_not_made(tmp_path: Path):
    with pytest.raises(ValueError, match=r"AISLE_PSEUDONYM_KEY: expected a key here or in .*pseudonym_key"):
        load_settings({"AISLE_HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AISLE_CLOCK", "sundial"),
        ("AISLE_SHOP_TIMEZONE", "Asia"),
        ("AISLE_SHOP_TIMEZONE", "Beijing time"),
        ("AISLE_SHOP_TIMEZONE", ""),
        ("AISLE_RELEASE_PUBLIC_KEY", "0x12"),
        ("AISLE_ONLINE_STORE", "memory"),
        ("AISLE_SERVING_PORT", "70000"),
        ("AISLE_SERVING_POLL_SECONDS", "never"),
        ("AISLE_SERVING_POLL_SECONDS", "nan"),
    ],
)
def test_a_value_that_cannot_be_read_is_named(name: str, value: str):
    secrets = {"AISLE_PSEUDONYM_KEY": "a", "AISLE_S3_SECRET_KEY": "b", "AISLE_RELEASE_PUBLIC_KEY": "0" * 64}
    with pytest.raises(ValueError, match=name):
        load_settings({**secrets, name: value})


def test_a_server_with_a_wrong_variable_says_so_in_one_line(tmp_path: Path):
    environment = {**environment_for_children(load_flow_settings({"AISLE_HOME": str(tmp_path)})), "AISLE_CLOCK": "wal"}
    path = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, "-m", "serving"], env={**environment, **path}, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout + done.stderr == (
        "Error: AISLE_CLOCK: expected release or wall, came 'wal'. Correct or unset it and run again "
        "(docs/operations.md, Environment).\n"
    )
