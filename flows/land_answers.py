"""Land what serving answered: the story, run every hour."""

from prefect import flow, get_run_logger

from flows import answers
from flows.settings import load_settings


@flow(name="land-answers")
def land_answers() -> int:
    """Bring serving's answer log into the lake; return how many answers were new. Running it again changes nothing."""
    settings = load_settings()
    landed = answers.land_answers(settings)
    answers.land_shadows(settings)
    get_run_logger().info("%d answers landed", landed)
    return landed
