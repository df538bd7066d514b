"""A running server takes up a new champion that is whole and ours, and keeps the old one otherwise."""

from pathlib import Path

import httpx
import pytest

from flows.object_client import object_client
from flows.release_cleanup import read_leases
from flows.release_signatures import signature_of
from flows.settings import Settings as FlowSettings
from tests.serving.conftest import Server, own_settings, publish_tiny, release_of, running_server, wait_until
from tests.serving.test_server import ask
from tests.serving.tiny_shop import REGULAR, point_to

pytestmark = pytest.mark.slow


def test_a_new_champion_is_taken_up_and_a_broken_one_is_not(served: Server, tiny_folder: Path):
    client, bucket = object_client(served.settings), served.settings.object_store.bucket
    question = {"pseudonym": REGULAR, "k": 2}
    first = ask(served, question)
    publish_tiny(served.settings, tiny_folder, "r20180101-second")
    wait_until(lambda: release_of(served) == "r20180101-second", 20)
    assert ask(served, question)["slate"][0]["score"] > first["slate"][0]["score"]
    sha256 = (tiny_folder / "r20180101-first.sha256").read_text()
    key = "releases/r20180101-first/model.onnx"
    whole = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    for broken in (whole[:-1], whole[:-1] + b"?", b""):
        client.put_object(Bucket=bucket, Key=key, Body=broken)
        refused = refusals(served)
        point_to(client, bucket, "r20180101-first", sha256)
        wait_until(lambda seen=refused: refusals(served) > seen, 20)
        assert ask(served, question)["release_id"] == "r20180101-second"
        assert "could not be loaded" in httpx.get(f"{served.url}/readyz", trust_env=False).json()["detail"]
        assert not [path for path in (served.home / "serving" / "releases").iterdir() if "first" in path.name]
    client.put_object(Bucket=bucket, Key=key, Body=whole)
    _refuse_what_we_did_not_sign(served, tiny_folder)
    client.delete_object(Bucket=bucket, Key="releases/r20180101-first/vectors.npy")
    assert ask(served, question)["release_id"] == "r20180101-second"
    client.put_object(
        Bucket=bucket,
        Key="releases/r20180101-first/vectors.npy",
        Body=(tiny_folder / "r20180101-first" / "vectors.npy").read_bytes(),
    )
    wait_until(lambda: release_of(served) == "r20180101-first", 20)


def _refuse_what_we_did_not_sign(served: Server, tiny_folder: Path) -> None:
    """Unsigned, or signed by another key: the old release goes on answering."""
    client, bucket = object_client(served.settings), served.settings.object_store.bucket
    key, folder = "releases/r20180101-first/manifest.sig", tiny_folder / "r20180101-first"
    stranger = signature_of((folder / "manifest.json").read_bytes(), "08" * 32)
    sha256 = (tiny_folder / "r20180101-first.sha256").read_text()
    for forged in (None, stranger):
        client.delete_object(Bucket=bucket, Key=key)
        if forged is not None:
            client.put_object(Bucket=bucket, Key=key, Body=forged)
        refused = refusals(served)
        point_to(client, bucket, "r20180101-first", sha256)
        wait_until(lambda seen=refused: refusals(served) > seen, 20)
        assert ask(served, {"pseudonym": REGULAR, "k": 2})["release_id"] == "r20180101-second"
    client.put_object(Bucket=bucket, Key=key, Body=(folder / "manifest.sig").read_bytes())


def test_a_server_says_which_release_it_needs_and_takes_it_back_when_it_stops(
    object_store: FlowSettings, tiny_folder: Path, shop: Path, tmp_path: Path
):
    settings = own_settings(object_store, tmp_path, "serving-leases")
    publish_tiny(settings, tiny_folder, "r20180101-first")
    with running_server(settings, shop) as server:
        wait_until(lambda: [lease.release_id for lease in read_leases(settings)] == ["r20180101-first"], 20)
        publish_tiny(settings, tiny_folder, "r20180101-second")
        wait_until(lambda: [lease.release_id for lease in read_leases(settings)] == ["r20180101-second"], 20)
        assert release_of(server) == "r20180101-second"
    assert read_leases(settings) == []


def refusals(server: Server) -> float:
    metrics = httpx.get(f"{server.url}/metrics", trust_env=False).text
    (line,) = [line for line in metrics.splitlines() if line.startswith("aisle_releases_refused_total ")]
    return float(line.split()[1])
