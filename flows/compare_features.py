"""Compare what serving read with what is computed, hold promotions while they differ: the story, run every night."""

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.answers import land_answers
from flows.automations import announce
from flows.comparison import compare_served
from flows.promotion_hold import set_hold
from flows.served_features import comparison_page
from flows.settings import load_settings

FEATURES_BREACHED = "aisle.features.breached"


@flow(name="compare-features")
def compare_features(most: int = 2000) -> list[str]:
    """Judge the newest answers feature by feature (artifact `served-features`); return the features in breach.

    A breach holds every promotion until a comparison finds none. Raises LookupError before the first load.
    """
    settings, log = load_settings(), get_run_logger()
    land_answers(settings)
    comparison = compare_served(settings, most)
    told = f"in breach: {', '.join(comparison.breaches) or 'none'}"
    create_markdown_artifact(comparison_page(comparison), key="served-features", description=told)
    set_hold(settings, comparison.breaches)
    for name in comparison.breaches:
        log.error("%s is not served as it is computed: %s", name, comparison.checks[name])
        announce(FEATURES_BREACHED, name, {"feature": name})
    return comparison.breaches
