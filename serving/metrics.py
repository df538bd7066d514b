"""What the process counts for Prometheus, in a registry of its own."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True)
class Metrics:
    """The counters and gauges of one app; `registry` is what /metrics prints, `slates` is by source."""

    registry: CollectorRegistry
    requests: Counter
    refused: Counter
    seconds: Histogram
    slates: dict[str, Counter]
    events: Counter
    online_store_errors: Counter
    scorer_errors: Counter
    answers_unlogged: Counter
    releases_refused: Counter
    release: Gauge
    release_as_of: Gauge
    experiment: Gauge
    experiment_answers: Gauge


def make_metrics() -> Metrics:
    """Make a fresh set of metrics, all named `aisle_*`."""
    registry = CollectorRegistry()
    slates = Counter("aisle_slates", "slates by where they came from", ["source"], registry=registry)
    return Metrics(
        registry=registry,
        requests=Counter("aisle_requests", "requests answered", ["route", "status"], registry=registry),
        refused=Counter("aisle_refused", "requests turned away at the door, by why", ["why"], registry=registry),
        seconds=Histogram("aisle_request_seconds", "time to answer", ["route"], buckets=SECONDS, registry=registry),
        slates={source: slates.labels(source) for source in ("personalised", "session", "popular")},
        events=Counter("aisle_events", "events pushed, by what became of them", ["outcome"], registry=registry),
        online_store_errors=Counter("aisle_online_store_errors", "failed accesses", ["what"], registry=registry),
        scorer_errors=Counter("aisle_scorer_errors", "requests the model could not score", registry=registry),
        answers_unlogged=Counter("aisle_answers_unlogged", "answers that the log lost", registry=registry),
        releases_refused=Counter("aisle_releases_refused", "releases that did not load", registry=registry),
        release=Gauge("aisle_release", "1 for the release in use, 0 for one before", ["release_id"], registry=registry),
        release_as_of=Gauge("aisle_release_as_of_seconds", "moment the release was computed for", registry=registry),
        experiment=Gauge("aisle_experiment", "1 while a challenger has traffic here", registry=registry),
        experiment_answers=Gauge(
            "aisle_experiment_answers", "answers of the experiment's arms", ["arm", "outcome"], registry=registry
        ),
    )
