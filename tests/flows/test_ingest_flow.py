"""The ingest as Prefect runs it: over a folder and over a real S3 store, and what it says when it refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from expectations.validate import DataRejected
from flows import lake
from flows.commands.ingest import command as ingest_command
from flows.commands.quarantine import command as quarantine_command
from flows.commands.source import command as source_command
from flows.contract_profile import recorded_profile
from flows.ingest import ingest
from flows.settings import Settings, load_settings
from tests.flows.tiny_shop import LATER, MAPPING, SALES, end_state, land, rows_of, sale, write_shop


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty home that the flow and the commands find in the environment."""
    monkeypatch.setenv("AISLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AISLE_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    return load_settings()


@pytest.mark.usefixtures("prefect_harness")
def test_the_flow_lands_an_export_and_the_commands_show_it(home: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, [*SALES, sale(line_total="-4", sku="B2")])
    result = CliRunner().invoke(ingest_command, ["--source", shop])
    assert result.exit_code == 0, result.output
    assert "Ingest of corner_shop" in result.output
    assert len(rows_of(home, "events")) == 6
    assert "unit_price_in_bounds" in CliRunner().invoke(quarantine_command, []).output
    listed = CliRunner().invoke(quarantine_command, ["list", "--rule", "unit_price_in_bounds"]).output
    assert "came unit_price = -2.0" in listed
    assert recorded_profile(home, "corner_shop") is not None
    assert ingest(shop).windows_landed == 0


@pytest.mark.usefixtures("prefect_harness")
def test_a_refused_table_fails_the_run_with_its_rule_and_lands_nothing(home: Settings, tmp_path: Path):
    rows = [sale(sold_at=f"2026-10-01 09:{minute:02}:00", action="stolen") for minute in range(30)]
    with pytest.raises(DataRejected, match="few_rows_held"):
        ingest(write_shop(tmp_path, rows))
    assert lake.table_version(home, "items") == -1
    assert list((home.home / "reports" / "validation" / "events").iterdir())


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_harness")
def test_a_storage_that_fails_once_is_tried_again(home: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write, calls = lake.write_deltalake, []

    def failing_once(*arguments: object, **named: object) -> None:
        calls.append(named)
        if len(calls) == 3:
            raise OSError("No space left on device")
        write(*arguments, **named)

    monkeypatch.setattr(lake, "write_deltalake", failing_once)
    assert ingest(write_shop(tmp_path)).windows_landed >= 3
    assert len(calls) > 3
    assert len(rows_of(home, "events")) == 6


def test_a_wrong_mapping_is_told_in_one_line_and_no_traceback(home: Settings, tmp_path: Path):
    shop = write_shop(tmp_path, mapping=MAPPING.replace("currency", "curency"))
    result = CliRunner().invoke(source_command, [shop])
    assert result.exit_code == 1
    assert "did you mean 'currency'" in result.output
    assert "complete_journey" in CliRunner().invoke(source_command, []).output
    assert "line_total" in CliRunner().invoke(source_command, [write_shop(tmp_path)]).output


@pytest.mark.slow
def test_a_lake_on_s3_is_the_same_lake(store_settings: Settings, tmp_path: Path):
    on_s3 = replace(store_settings, lake_uri=f"s3://{store_settings.object_store.bucket}/lake")
    in_folder = replace(store_settings, lake_uri=str(tmp_path / "lake"))
    shop = write_shop(tmp_path, [*SALES, sale(line_total="-4", sku="B2")])
    for settings in (on_s3, in_folder):
        land(settings, shop)
    assert end_state(on_s3) == end_state(in_folder)
    write_shop(tmp_path, [*SALES, sale(sold_at="2026-10-09 10:00:00")])
    assert land(on_s3, shop, LATER)["events"].windows_landed == 2
    assert lake.watermark(on_s3).day == 9


def test_wrong_credentials_are_told_with_the_variables_to_look_at(store_settings: Settings, tmp_path: Path):
    store = replace(store_settings.object_store, secret_key="not the secret")
    settings = replace(store_settings, lake_uri=f"s3://{store.bucket}/lake", object_store=store)
    with pytest.raises(
        lake.LakeError, match=r"The table \w+ of the lake at s3://.* could not be .*AISLE_S3_ENDPOINT_URL"
    ):
        land(settings, write_shop(tmp_path))
