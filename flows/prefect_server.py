"""A Prefect server that does not answer, in words; the command line asks this of an error that nobody has told."""

import httpx
from prefect.settings import PREFECT_API_URL


def unreachable(error: BaseException) -> str | None:
    """Say which server was expected, where an error came of asking it; None for errors of all other kinds."""
    # Prefect tells a server that it cannot reach at all by a plain RuntimeError.
    if not isinstance(error, httpx.HTTPError) and not str(error).startswith("Failed to reach API"):
        return None
    return (
        f"Expected a Prefect server at PREFECT_API_URL, {PREFECT_API_URL.value()}, but it cannot be asked ({error}). "
        "Is it started, and does the address end with /api?"
    )
