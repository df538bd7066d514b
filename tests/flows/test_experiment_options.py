"""What `aisle experiment start` says may be given is what it takes: no bound of nought, no window of nothing."""

import pytest
from click.testing import CliRunner

from flows.commands.experiment import command


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--share", "0", "'--share': 0.0 is not in the range 0<x<=1"),
        ("--most-errors", "0", "'--most-errors': 0.0 is not in the range 0<x<=1"),
        ("--window-hours", "-1", "'--window-hours': -1.0 is not in the range x>0"),
        ("--slow-ms", "0", "'--slow-ms': 0.0 is not in the range x>0"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused_by_its_own_name(option: str, value: str, said: str):
    result = CliRunner().invoke(command, ["start", "r20180101-0123456789ab", option, value])
    assert result.exit_code == 2
    assert said in result.output
