"""`python -m serving`: one process of the API, from the environment."""

import sys
from typing import Any

import typeguard
import uvicorn

from serving.settings import load_settings


def main() -> None:
    """Serve until stopped; a request that has begun is answered before the process ends."""
    settings = load_settings()
    _lighten_feast()
    uvicorn.run(
        "serving.app:application",
        factory=True,
        host=settings.host,
        port=settings.port,
        access_log=False,  # /metrics counts requests; a log line would hold more than we want to keep
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def _lighten_feast() -> None:
    # Feast imports torch where it is installed and goes on without it where it is not: 200 MB that serving never uses.
    sys.modules.setdefault("torch", None)  # type: ignore[arg-type]
    # Feast has its constructors rewritten with type checks while it is imported: 3.7 of its 5.6 CPU seconds.
    typeguard.typechecked = _as_it_is  # type: ignore[assignment]


def _as_it_is(function: Any) -> Any:
    return function


if __name__ == "__main__":
    main()
