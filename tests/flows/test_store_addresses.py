"""How the ledger of the online store names a store: its place, and no secret."""

from dataclasses import replace

import pytest

from flows.online_rows import _online_store_name
from flows.settings import Settings


def name_of(settings: Settings, online_type: str, address: str) -> str:
    place = replace(settings.feature_store, online_type=online_type, postgres_url=address, redis_url=address)
    return _online_store_name(replace(settings, feature_store=place))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("postgresql://aisle:secret@db:5432/aisle", "db:5432/aisle"),
        ("postgresql://aisle:secret@db/aisle", "db:5432/aisle"),
        ("host=db port=5432 dbname=aisle user=aisle password=secret", "db:5432/aisle"),
        ("postgresql:///aisle?host=/run/pg&password=secret", "/run/pg:5432/aisle"),
        ("postgresql://u:secret@a:5432,b:5433/aisle", "a,b:5432,5433/aisle"),
        ("service=shop password=secret", "shop:5432"),
    ],
)
def test_a_postgres_is_named_by_its_servers_and_database_in_any_form_of_address(settings, address, name):
    assert name_of(settings, "postgres", address) == f"postgres {name}"


def test_a_redis_is_named_without_its_password(settings):
    assert name_of(settings, "redis", "db:6379,db=1,username=u,password=secret=") == "redis db:6379,db=1"
    assert name_of(settings, "redis", "127.0.0.1:6379") == "redis 127.0.0.1:6379"
