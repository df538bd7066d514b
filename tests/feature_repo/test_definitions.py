from pathlib import Path

import pytest
from feast.repo_config import load_repo_config
from feast.types import Array, Float64, String, UnixTimestamp

import feature_repo.store
from feature_repo.feature_definitions import definitions
from feature_repo.feature_table import feature_table
from feature_repo.features import FEATURE_VIEWS, ITEM_SERVICE, ITEM_VIEWS, USER_SERVICE, USER_VIEWS
from feature_repo.store import StoreAddress, apply_definitions, open_store, store_environment

FEAST_TYPES = {
    "float": Float64,
    "list<string>": Array(String),
    "list<float>": Array(Float64),
    "list<timestamp>": Array(UnixTimestamp),
}


@pytest.fixture
def address(tmp_path: Path) -> StoreAddress:
    return StoreAddress(str(tmp_path / "feast" / "registry.db"), "sqlite", str(tmp_path / "online.db"), "")


def test_the_registry_holds_every_view_with_its_features_in_order_and_type(address, tmp_path):
    store = open_store(address)
    apply_definitions(store, str(tmp_path))
    assert {view.name for view in store.list_feature_views()} == set(FEATURE_VIEWS)
    for name, view in FEATURE_VIEWS.items():
        features = store.get_feature_view(name).features
        assert [(f.name, f.dtype) for f in features] == [(f.name, FEAST_TYPES[f.dtype]) for f in view.features]


def test_the_services_hold_all_user_views_and_all_item_views(address, tmp_path):
    store = open_store(address)
    apply_definitions(store, str(tmp_path))
    for service, views in ((USER_SERVICE, USER_VIEWS), (ITEM_SERVICE, ITEM_VIEWS)):
        found = store.get_feature_service(service).feature_view_projections
        assert [each.name for each in found] == [view.name for view in views]


def test_only_user_views_are_online(tmp_path):
    online = {each.name for each in definitions(str(tmp_path)) if getattr(each, "online", False)}
    assert online == {view.name for view in USER_VIEWS}


def test_registering_again_leaves_the_registry_as_it_is(address, tmp_path):
    assert apply_definitions(open_store(address), str(tmp_path))
    before = Path(address.registry_path).read_bytes()
    assert not apply_definitions(open_store(address), str(tmp_path))
    assert Path(address.registry_path).read_bytes() == before


def test_other_definitions_are_registered(address, tmp_path):
    apply_definitions(open_store(address), str(tmp_path))
    store = open_store(address)
    assert apply_definitions(store, str(tmp_path / "elsewhere"))
    assert "elsewhere" in store.get_feature_view("user_history").batch_source.path


@pytest.mark.parametrize("online_type", ["sqlite", "redis", "postgres"])
def test_feasts_own_command_line_reads_the_same_configuration(address, monkeypatch, online_type):
    place = StoreAddress(address.registry_path, online_type, address.online_path, "127.0.0.1:6379,db=1")
    for name, value in store_environment(place).items():
        monkeypatch.setenv(name, value)
    folder = Path(feature_repo.store.__file__).parent
    theirs, ours = load_repo_config(folder, folder / "feature_store.yaml"), open_store(place).config
    for part in ("project", "entity_key_serialization_version", "online_store", "offline_store", "registry"):
        assert getattr(theirs, part) == getattr(ours, part)


ODD_FOLDER = "x #1: 'it' - \\"
ODD_PASSWORD = "host=db dbname=aisle password='a\"b # c: $d\\'"


@pytest.mark.parametrize("online_type", ["sqlite", "postgres"])
def test_signs_that_mean_something_to_yaml_mean_nothing_in_paths_and_passwords(tmp_path, monkeypatch, online_type):
    folder = tmp_path / ODD_FOLDER
    place = StoreAddress(str(folder / "r.db"), online_type, str(folder / "online.db"), "h:6379", ODD_PASSWORD)
    config = open_store(place).config
    assert config.registry.path == place.registry_path
    if online_type == "sqlite":
        assert config.online_store.path == place.online_path
        assert apply_definitions(open_store(place), str(tmp_path))
        assert not apply_definitions(open_store(place), str(tmp_path))
        assert Path(place.registry_path).exists()
    else:
        assert config.online_store.postgres_url == ODD_PASSWORD
    for name, value in store_environment(place).items():
        monkeypatch.setenv(name, value)
    package = Path(feature_repo.store.__file__).parent
    theirs = load_repo_config(package, package / "feature_store.yaml")
    assert (theirs.registry, theirs.online_store) == (config.registry, config.online_store)


def test_the_page_on_features_lists_every_feature_as_declared():
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")
    assert feature_table() in page, "Put the output of `python -m feature_repo.feature_table` into docs/features.md."
