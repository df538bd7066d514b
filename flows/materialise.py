"""Load the newest feature rows into the online store."""

from datetime import datetime

from prefect import flow, get_run_logger, task
from prefect.tasks import exponential_backoff

from feature_repo.features import USER_VIEWS
from flows.online_rows import LoadedView, load_view, newest_complete_moment
from flows.settings import load_settings

#: Rows between two lines of a long write.
ROWS_A_LINE = 100_000


@flow(name="materialise")
def materialise() -> datetime:
    """Make the online store hold every user view of the newest snapshot, read back and entered in the ledger.

    Item views travel inside releases and are not loaded. Returns the moment. Raises LookupError when no feature tables
    are there, OnlineRowsMissing when rows do not read back. What is loaded already is not written again.
    """
    moment = newest_complete_moment(load_settings())
    loaded = [load_online_view(view.name, moment) for view in USER_VIEWS]
    get_run_logger().info(
        "%d views of %s users are online as of %s.",
        len(loaded),
        f"{loaded[0].rows:,}",
        f"{moment:%Y-%m-%d %H:%M} UTC",
    )
    return moment


@task(retries=3, retry_delay_seconds=exponential_backoff(2), retry_jitter_factor=0.5)
def load_online_view(view: str, moment: datetime) -> LoadedView:
    """Write one view's rows, read them back, enter them in the ledger."""
    log, written = get_run_logger(), 0

    def tell(rows: int) -> None:
        nonlocal written
        if (written + rows) // ROWS_A_LINE > written // ROWS_A_LINE:
            log.info("%s: %s rows are written.", view, f"{written + rows:,}")
        written += rows

    return load_view(load_settings(), view, moment, tell)
