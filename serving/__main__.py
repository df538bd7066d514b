"""`python -m serving`: one process of the API, from the environment."""

import sys

import uvicorn

from serving.memory import keep_few_arenas
from serving.settings import SettingsError, load_settings


def main() -> None:
    """Serve until stopped; a request that has begun is answered before the process ends."""
    keep_few_arenas()
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.exit(f"Error: {error}")
    uvicorn.run(
        "serving.app:application",
        factory=True,
        host=settings.host,
        port=settings.port,
        access_log=False,  # /metrics counts requests; a log line would hold more than we want to keep
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        timeout_graceful_shutdown=10,
    )


if __name__ == "__main__":
    main()
