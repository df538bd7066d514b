"""What Prefect does by itself when something happens: the events of our flows, and the automations upon them."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events import Automation, AutomationCore, EventTrigger, Posture, emit_event
from prefect.events.actions import ChangeFlowRunState, RunDeployment

from flows.settings import HEARTBEAT_SECONDS

INGEST_COMPLETED = "aisle.ingest.completed"
QUARANTINE_REPLAYED = "aisle.quarantine.replayed"
FEATURES_COMPLETED = "aisle.features.completed"
RELEASE_PROMOTED = "aisle.release.promoted"
RELEASE_REFUSED = "aisle.release.refused"
DRIFT_BREACHED = "aisle.drift.breached"
FRESHNESS_BREACHED = "aisle.freshness.breached"
EXPERIMENT_DECIDED = "aisle.experiment.decided"
RETRAIN_WANTED = "aisle.retrain.wanted"
FEATURES_AFTER_INGEST = "aisle: features after ingest"
REPORT_FAILED_RUNS = "aisle: report failed runs"
ALERT_ON_BREACH = "aisle: alert on a breach"
RETRAIN_ON_BREACH = "aisle: retrain on a breach"
#: A run that is silent for this many heartbeats is dead.
MISSED_HEARTBEATS = 3
_ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}


def announce(event: str, name: str, facts: Mapping[str, object]) -> None:
    """Tell the server that something of ours happened to `name` (a source, a release); facts are its payload."""
    emit_event(event=event, resource={"prefect.resource.id": f"aisle.{name}"}, payload=dict(facts))


def automations(deployment_ids: Mapping[str, UUID]) -> list[AutomationCore]:
    """Our automations, given the ids of the deployments that they start."""
    return [
        _features_after_ingest(deployment_ids["features-hourly"]),
        _report_failed_runs(deployment_ids["report-failure"]),
        _report_failed_automations(deployment_ids["report-failure"]),
        _crash_silent_runs(),
        _alert_on_breach(deployment_ids["report-alert"]),
        _retrain_on_breach(deployment_ids["retrain-daily"]),
    ]


def upsert_automations(deployment_ids: Mapping[str, UUID]) -> list[str]:
    """Make the server hold our automations exactly as written here, each once; return their names."""
    with get_client(sync_client=True) as client:
        wanted = automations(deployment_ids)
        for automation in wanted:
            _upsert(client, automation)
    return [automation.name for automation in wanted]


def _upsert(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    present: list[Automation] = client.read_automations_by_name(wanted.name)
    for extra in present[1:]:
        client.delete_automation(extra.id)
    if present:
        client.update_automation(present[0].id, wanted)
    else:
        client.create_automation(wanted)


def _run(deployment_id: UUID, **templates: str) -> list[RunDeployment]:
    """Run a deployment; the server fills its parameters in from the event."""
    # Without this wrapping it refuses the run.
    parameters = {name: {"__prefect_kind": "jinja", "template": text} for name, text in templates.items()}
    return [RunDeployment(source="selected", deployment_id=deployment_id, parameters=parameters)]


def _features_after_ingest(deployment_id: UUID) -> AutomationCore:
    return AutomationCore(
        name=FEATURES_AFTER_INGEST,
        description="New rows in the lake: build features now, not at the next hour.",
        enabled=True,
        trigger=EventTrigger(expect={INGEST_COMPLETED}, posture=Posture.Reactive, threshold=1),
        actions=_run(deployment_id),
    )


def _report_failed_runs(deployment_id: UUID) -> AutomationCore:
    """`report-failure` itself is left out: its own failure would start it again without end."""
    return AutomationCore(
        name=REPORT_FAILED_RUNS,
        description="A run of ours failed or crashed: keep its last words as an artifact and a log line.",
        enabled=True,
        trigger=EventTrigger(
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": "!report-failure"},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=_run(
            deployment_id,
            subject="{{ event.resource.name }}",
            run_id="{{ event.resource.id | replace('prefect.flow-run.', '') }}",
        ),
    )


def _report_failed_automations(deployment_id: UUID) -> AutomationCore:
    """A run that an automation could not start leaves no run behind, only this event.

    `crash silent runs` is left out: a heartbeat that comes in after its run's end makes it try in vain, without harm.
    """
    return AutomationCore(
        name="aisle: report failed automations",
        description="An automation could not do its work, so a run that was due never came to be.",
        enabled=True,
        trigger=EventTrigger(
            expect={"prefect.automation.action.failed"},
            match={
                "prefect.resource.name": [FEATURES_AFTER_INGEST, REPORT_FAILED_RUNS, ALERT_ON_BREACH, RETRAIN_ON_BREACH]
            },
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=_run(
            deployment_id,
            subject="{{ event.resource.name }}",
            reason="{{ event.payload.reason }}",
        ),
    )


def _alert_on_breach(deployment_id: UUID) -> AutomationCore:
    """To send it to people too, add an action "Send a notification" to this automation's page, or one of your own."""
    return AutomationCore(
        name=ALERT_ON_BREACH,
        description="A breach, or the verdict of an experiment: keep it as an artifact and an error line.",
        enabled=True,
        trigger=EventTrigger(
            expect={DRIFT_BREACHED, FRESHNESS_BREACHED, EXPERIMENT_DECIDED},
            for_each={"prefect.resource.id"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=_run(
            deployment_id,
            subject="{{ event.resource.id | replace('aisle.', '') }}",
            text="{{ event.payload.text }}",
        ),
    )


def _retrain_on_breach(deployment_id: UUID) -> AutomationCore:
    return AutomationCore(
        name=RETRAIN_ON_BREACH,
        description="A breach for which the operator asked to train anew (watch.toml).",
        enabled=True,
        trigger=EventTrigger(expect={RETRAIN_WANTED}, posture=Posture.Reactive, threshold=1),
        actions=_run(deployment_id),
    )


def _crash_silent_runs() -> AutomationCore:
    """Recipe: https://docs.prefect.io/v3/advanced/detect-zombie-flows."""
    return AutomationCore(
        name="aisle: crash silent runs",
        description="A run that stopped to report (its machine died) is marked as crashed, so that the next may start.",
        enabled=True,
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.heartbeat", *_ENDS},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=MISSED_HEARTBEATS * HEARTBEAT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"No heartbeat for {MISSED_HEARTBEATS * HEARTBEAT_SECONDS} s: the process is gone.",
            )
        ],
    )
