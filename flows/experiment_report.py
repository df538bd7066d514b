"""An experiment so far, for people: verdict, figures and picture, for a run's page and as a page that stands alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from feature_repo.experiments import CHALLENGER, CHAMPION, Experiment
from flows.experiment_outcomes import Outcomes, outcomes_of
from flows.experiment_picture import arms_picture, data_uri, preference_picture, shadow_picture
from flows.experiments import own_key
from flows.object_client import object_client, plain_errors
from flows.release_objects import put_object, read_or_none
from flows.settings import Settings
from flows.shadow_comparisons import comparison_table, comparisons_of
from training.experiment_analysis import ExperimentAnalysis, Verdict, analyse_arms, analyse_preferences
from training.sequential import LEAST_OUTCOMES

_COUNTED = ("answers", "errors", "slow", "fallbacks", "clicked")
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}"
    "td:first-child,th:first-child{text-align:left}img{max-width:100%}"
)


@dataclass(frozen=True)
class ExperimentReport:
    """What is known of an experiment: its verdict in a word and in a sentence, tables (header first), and a PNG."""

    experiment: Experiment
    verdict: Verdict
    sentence: str
    tables: tuple[tuple[tuple[str, ...], ...], ...]
    picture: bytes | None

    @property
    def headline(self) -> str:
        """The state of the experiment in a few words."""
        experiment = self.experiment
        state = "running" if experiment.running else f"ended: {(experiment.reason or '').rstrip('.')}"
        return f"{experiment.mode} of {experiment.challenger} beside {experiment.champion}, {state}"


def report_of(settings: Settings, experiment: Experiment) -> ExperimentReport:
    """Gather and analyse what came of an experiment; what serving has logged must have landed."""
    if experiment.mode == "shadow":
        return _shadow_report(settings, experiment)
    outcomes, counts = outcomes_of(settings, experiment), server_counts(settings, experiment)
    common = (_slates_table(outcomes), _servers_table(experiment, counts))
    if experiment.mode == "interleave":
        preferred = outcomes.preferred[outcomes.challenged]
        preference = analyse_preferences(preferred, experiment.planned_users)
        picture = preference_picture(preference, preferred) if len(preferred) else None
        return ExperimentReport(experiment, preference.verdict, preference.sentence(), common, picture)
    arms = analyse_arms(outcomes.challenged, outcomes.clicked, experiment.share, experiment.planned_users)
    picture = None
    if len(outcomes.challenged):
        picture = arms_picture(arms, outcomes.challenged, outcomes.clicked, experiment.share)
    return ExperimentReport(
        experiment, arms.verdict, arms.sentence(), (_arms_table(arms), _effect_table(arms), *common), picture
    )


def _shadow_report(settings: Settings, experiment: Experiment) -> ExperimentReport:
    """Report what nobody has seen; there is no verdict on it."""
    found = comparisons_of(settings, experiment)
    tables = (comparison_table(found), _servers_table(experiment, server_counts(settings, experiment)))
    picture = shadow_picture(found) if len(found.overlap) else None
    return ExperimentReport(experiment, "open", found.sentence(), tables, picture)


def server_counts(settings: Settings, experiment: Experiment) -> dict[str, dict[str, int]]:
    """Return what servers counted of each arm's answers, all servers together."""
    prefix, found = own_key(experiment.experiment_id, "servers/"), {CHAMPION: _nothing(), CHALLENGER: _nothing()}
    with plain_errors(settings, "list the servers of an experiment"):
        pages = object_client(settings).get_paginator("list_objects_v2")
        listed = pages.paginate(Bucket=settings.object_store.bucket, Prefix=prefix)
        keys = [entry["Key"] for page in listed for entry in page.get("Contents", [])]
    for key in keys:
        body = read_or_none(settings, key, f"read {key}")
        for arm, tally in (json.loads(body)["arms"] if body else {}).items():
            for name in _COUNTED:
                found[arm][name] += tally[name]
    return found


def publish_report(settings: Settings, report: ExperimentReport) -> str:
    """Write the page into the object store, in place of the one before; return its key."""
    key = own_key(report.experiment.experiment_id, "report.html")
    put_object(settings, key, page_of(report).encode())
    return key


def markdown_of(report: ExperimentReport) -> str:
    """Return the report as markdown, for an artifact."""
    lines = [f"# {report.experiment.experiment_id}", "", report.headline + ".", "", f"**{report.sentence}**"]
    if report.picture is not None:
        lines += ["", f"![charts of the experiment]({data_uri(report.picture)})"]
    for header, *rows in report.tables:
        lines += ["", f"| {' | '.join(header)} |", "|---|" + "---:|" * (len(header) - 1)]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", _terms(report.experiment)]) + "\n"


def page_of(report: ExperimentReport) -> str:
    """Return the report as one HTML page that needs nothing else."""
    experiment = report.experiment
    tables = "".join(
        "<table><tr>"
        + "".join(f"<th>{escape(cell)}</th>" for cell in header)
        + "</tr>"
        + "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        + "</table><p></p>"
        for header, *rows in report.tables
    )
    picture = (
        ""
        if report.picture is None
        else f'<p><img alt="charts of the experiment" src="{data_uri(report.picture)}"></p>'
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(experiment.experiment_id)}</title><style>{_STYLE}</style>"
        f"<h1>{escape(experiment.experiment_id)}</h1><p>{escape(report.headline)}.</p>"
        f"<p><b>{escape(report.sentence)}</b></p>{picture}{tables}<p>{escape(_terms(experiment))}</p></html>"
    )


def minute(moment: str) -> str:
    """Return a kept moment as people read it, to the minute."""
    return f"{moment[:16].replace('T', ' ')} UTC"


def _terms(experiment: Experiment) -> str:
    """Return what the figures mean: who took part, when, and what counts."""
    ended = "" if experiment.stopped_at is None else f", ended {minute(experiment.stopped_at)}"
    when = f"started {minute(experiment.started_at)}{ended}"
    if experiment.mode == "shadow":
        return f"Share {experiment.share:g} of the answers, {when}. Nobody sees the challenger, so there is no verdict."
    return (
        f"Share {experiment.share:g} of the users, a click counts within {experiment.window_hours:g} h of a user's "
        f"first slate, {when}. The verdict holds however often it is looked at."
    )


def _arms_table(found: ExperimentAnalysis) -> tuple[tuple[str, ...], ...]:
    rows = [
        (name, f"{users:,}", f"{clicked:,}", f"{clicked / users:.2%}" if users else "")
        for name, users, clicked in zip((CHAMPION, CHALLENGER), found.users, found.outcomes, strict=True)
    ]
    return (("users counted, as their window is over", "users", "who clicked", "share"), *rows)


def _effect_table(found: ExperimentAnalysis) -> tuple[tuple[str, ...], ...]:
    """Return the effect; it weighs users by the arms' shares, so it is not quite the difference of the arms."""
    header = ("effect on the share of users who clicked", "percentage points")
    told = found.effect_now()
    if told is None:
        return (header, (f"told once {LEAST_OUTCOMES} users of each arm have clicked", ""))
    effect, low, high = (100 * each for each in told)
    interval = ("interval that holds at all times (95%)", f"{low:+.2f} to {high:+.2f}")
    return (header, ("estimate", f"{effect:+.2f}"), interval)


def _slates_table(outcomes: Outcomes) -> tuple[tuple[str, ...], ...]:
    ours, theirs = int(outcomes.challenged.sum()), int((~outcomes.challenged).sum())
    return (
        ("logged", "slates", "users counted"),
        *(
            (arm, f"{count:,}", f"{theirs if arm == CHAMPION else ours:,}")
            for arm, count in sorted(outcomes.slates.items(), reverse=True)
        ),
        ("not counted yet: their window is open", "", f"{outcomes.waiting:,}"),
    )


def _servers_table(experiment: Experiment, counts: Mapping[str, Mapping[str, int]]) -> tuple[tuple[str, ...], ...]:
    """Return what servers counted; they count clicks where a slate that somebody sees is one release's alone.

    The champion's time is not taken, and of a shadow not its failures either: a dash, not a nought.
    """
    names = _COUNTED if experiment.mode in ("canary", "ab") else _COUNTED[:-1]
    untold = {(CHAMPION, "slow")} | ({(CHAMPION, "errors")} if experiment.mode == "shadow" else set())
    rows = [
        (arm, *("–" if (arm, name) in untold else f"{tally[name]:,}" for name in names))
        for arm, tally in counts.items()
    ]
    header = ("counted by servers", "answers", "failed", "slow", "not personal", "slates with a click")
    return (header[: len(names) + 1], *rows)


def _nothing() -> dict[str, int]:
    return dict.fromkeys(_COUNTED, 0)
