"""deploy/compose.yaml and the Dockerfile say what the programs need: what is shared, who asks whom, who may sign."""

import re
import tomllib
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from click.testing import CliRunner
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.cli import main
from flows.object_client import object_client
from flows.services import PROJECT
from flows.settings import Settings, environment_for_children, load_settings
from serving.settings import load_settings as load_serving_settings

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "deploy/compose.yaml").read_text())
DOCKERFILE = (PROJECT / "deploy/Dockerfile").read_text()
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("worker", "api")
OF_THE_IMAGE = dict(re.findall(r"(AISLE_\w+)=(\S+)", DOCKERFILE))


def environment(service: str) -> dict[str, str]:
    """What the process sees: the image's variables, those of the service, and a secret for each that is asked for."""
    said = {name: str(value) for name, value in SERVICES[service]["environment"].items()}
    return OF_THE_IMAGE | {name: re.sub(r"\$\{.*\}", "ab" * 32, value) for name, value in said.items()}


def places(service: str) -> dict[str, str]:
    """Each mounted folder of a service, and the volume that lies there."""
    mounts = [mount.removesuffix(":ro").rsplit(":", 1) for mount in SERVICES[service]["volumes"]]
    return {folder: volume for volume, folder in mounts}


def test_worker_and_api_share_store_online_store_spool_and_keys_of_callers():
    flows, serving = load_settings(environment("worker")), load_serving_settings(environment("api"))
    assert (flows.object_store.endpoint_url, flows.object_store.bucket) == (
        serving.object_store.endpoint_url,
        serving.object_store.bucket,
    )
    assert (flows.feature_store.online_type, flows.feature_store.redis_url) == ("redis", serving.online_store.redis_url)
    for path in (flows.spool_path, flows.api_keys_path):
        assert path in (serving.spool_path, serving.api_keys_path)
        (folder,) = (folder for folder in places("worker") if str(path).startswith(folder))
        assert places("worker")[folder] == places("api")[folder]


def test_the_worker_asks_the_api_by_its_name_and_listens_nowhere_itself():
    address = urlsplit(load_settings(environment("worker")).services.serving_url)
    assert address.hostname == "api"
    assert SERVICES["api"]["ports"] == [f"127.0.0.1:{address.port}:{address.port}"]


@pytest.mark.parametrize("service", OURS)
def test_each_address_is_a_service(service: str):
    said = environment(service)
    addresses = [said["AISLE_S3_ENDPOINT_URL"], said["PREFECT_API_URL"], f"redis://{said['AISLE_REDIS_URL']}"]
    assert {urlsplit(address).hostname for address in addresses} == {"store", "prefect", "redis"} <= set(SERVICES)


def test_only_the_worker_can_sign():
    assert "AISLE_RELEASE_SIGNING_KEY" in environment("worker")
    assert "AISLE_RELEASE_SIGNING_KEY" not in environment("api")


def test_every_service_comes_back_and_the_worker_waits_for_prefect():
    assert all(service["restart"] == "unless-stopped" for service in SERVICES.values())
    assert SERVICES["worker"]["depends_on"]["prefect"] == {"condition": "service_healthy"}
    assert "healthcheck" in SERVICES["prefect"]
    assert "healthcheck" in SERVICES["postgres"]


def test_every_volume_is_declared_and_the_image_lets_its_user_write_there():
    owned = re.search(r"chown aisle ([/\w ]+)", DOCKERFILE)
    assert owned
    for service in OURS:
        for folder, volume in places(service).items():
            if volume in COMPOSE["volumes"]:
                assert folder in owned[1].split()
            else:
                assert volume.startswith("${AISLE_EXPORTS")


def test_the_image_has_every_package_of_the_project():
    packages = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    copied = set(re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE))
    assert {name.partition(".")[0] for name in packages} == copied


def test_a_deploy_makes_the_bucket_of_a_store_elsewhere_and_says_when_prefect_is_not_there(store_settings: Settings):
    empty = replace(store_settings, object_store=replace(store_settings.object_store, bucket="never-made"))
    nobody = "http://127.0.0.1:9/api"
    with temporary_settings({PREFECT_API_URL: nobody}):
        done = CliRunner().invoke(main, ["deploy"], env=environment_for_children(empty))
    assert done.exit_code == 1
    assert f"Expected a Prefect server at PREFECT_API_URL, {nobody}, but it cannot be asked" in done.output
    object_client(empty).head_bucket(Bucket="never-made")


def test_an_image_is_built_from_what_its_recipe_copies_and_nothing_else_of_the_folder():
    copied = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    let_through = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert {name for line in copied for name in line.split()} == let_through
