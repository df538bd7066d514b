"""`aisle status`: addresses and logs that can be copied."""

import io

from rich.console import Console

from flows.commands.status import print_services
from flows.services import service_states
from flows.settings import Settings


def test_addresses_and_logs_are_whole_in_a_narrow_terminal(settings: Settings):
    page = io.StringIO()
    print_services(settings, Console(file=page, width=40))
    for state in service_states(settings):
        assert state.address in page.getvalue()
        assert str(state.log) in page.getvalue()
