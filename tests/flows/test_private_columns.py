"""A private column whose name is misspelt in the mapping is told before anything lands."""

from pathlib import Path

import pytest

from flows.ingest import open_export
from flows.rehearsal import next_steps, rehearse
from flows.settings import Settings
from tests.flows.test_landing_corners import JOINED
from tests.flows.tiny_shop import MAPPING, NOW, write_shop

OF_INPUTS = JOINED.replace("RELATION", "select * exclude (till) from sales").replace("QUANTITY", "qty")
OF_EVENTS = MAPPING.partition("[items]")[0] + "[items]\nfrom_events = true\n"


@pytest.mark.parametrize("mapping", [MAPPING, OF_INPUTS, OF_EVENTS])
def test_a_private_column_that_no_row_has_is_told_with_the_one_that_is_like_it(
    settings: Settings, tmp_path: Path, mapping: str
):
    shop = write_shop(tmp_path, mapping='private = ["Till", "tiil", "phone"]\n' + mapping)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tables = rehearse(settings, open_export(settings, shop, None, None, None, 100), scratch, NOW)
    told = [step for step in next_steps(tables, "corner_shop") if step.startswith("private")]
    assert told == [
        "private: no row of this sample has the column 'tiil', so nothing is left out for it; is 'till' meant?",
        "private: no row of this sample has the column 'phone', so nothing is left out for it.",
    ]
