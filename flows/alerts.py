"""What happens to a breach that the watch found: the artifact `alerts`, whose page lists them, and an error line."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact


@flow(name="report-alert", log_prints=False)
def report_alert(subject: str, text: str) -> None:
    """Keep a breach as the artifact `alerts`. Args: `subject`, a shop or a stage; `text`, expected and came."""
    create_markdown_artifact(key="alerts", markdown=f"**{subject}**\n\n{text}\n", description=f"{subject} breached")
    get_run_logger().error("%s: %s", subject, text)
