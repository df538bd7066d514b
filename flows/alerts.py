"""What happens to a breach that the watch found: the artifact `alerts`, whose page lists them, and an error line."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact


@flow(name="report-alert", log_prints=False)
def report_alert(subject: str, text: str) -> None:
    """Keep a breach, or a verdict, as the artifact `alerts`. Args: `subject`, what it is of; `text`, what is told."""
    create_markdown_artifact(
        key="alerts", markdown=f"**{subject}**\n\n{text}\n", description=f"{subject}: {text}"[:200]
    )
    get_run_logger().error("%s: %s", subject, text)
