"""From logged slates and pushed events to a verdict: users whose clicks are planted, and what the watch does then."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from feature_repo.experiments import Experiment, arm_of
from feature_repo.schema import pseudonym
from flows.answers import land_answers
from flows.champion import read_pointer
from flows.commands.experiment import command
from flows.experiment_outcomes import outcomes_of
from flows.experiment_report import page_of, report_of, server_counts
from flows.experiments import Plan, current_experiment, start_experiment, stop_experiment
from flows.object_client import object_client
from flows.releases import promote
from flows.settings import Settings
from flows.start_experiment import start_experiment as start_flow
from flows.stop_experiment import stop_experiment as stop_flow
from flows.watch_experiment import act, watch_experiment
from tests.flows.test_experiments import use_in_commands
from tests.flows.test_release_cleanup import publish_many

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
USERS = 3_000


@pytest.fixture
def shop(store_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store with two releases, named in the environment for flows and commands."""
    publish_many(store_settings, tmp_path, 2)
    use_in_commands(store_settings, monkeypatch)
    return store_settings


def start(settings: Settings, mode: str, share: float = 0.5) -> Experiment:
    challenger = read_pointer(settings).earlier[0]
    return start_experiment(settings, Plan(challenger, mode, share, window_hours=1, planned_users=2_000))


def slate_row(experiment: Experiment, user: str, moment: datetime, ranks: list[int] | None = None) -> dict:
    """A line of the answer log: items a, b, c, d."""
    arm, propensity = arm_of(experiment, user)
    said = {"experiment_id": experiment.experiment_id, "arm": arm, "propensity": propensity, "challenger_ranks": ranks}
    slate = [{"rank": rank, "item_id": item} for rank, item in enumerate("abcd", 1)]
    return {
        "request_id": f"q_{user}_{moment.timestamp()}",
        "batch_id": "b",
        "place": 0,
        "answered_at": moment.isoformat(),
        "as_of": moment.isoformat(),
        "release_id": "r",
        "rules_id": None,
        "user_id": user,
        "experiment_id": experiment.experiment_id,
        "arm": arm,
        "propensity": propensity,
        "question": "{}",
        "features": "null",
        "answer": json.dumps({"slate": slate, "experiment": said}),
    }


def event_row(user: str, item: str, moment: datetime, kind: str = "view") -> dict:
    times = {"event_time": moment.isoformat(), "known_at": moment.isoformat()}
    return {"event_id": f"{user}{item}{moment}", "user_id": user, "item_id": item, "event_type": kind, **times}


def spool(settings: Settings, answers: list[dict], events: list[dict]) -> None:
    """Write what serving would have written."""
    for folder, kind, rows in (
        (settings.spool_path / "answers", "answers", answers),
        (settings.spool_path, "events", events),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{kind}-2026-11-28-1.jsonl").open("a") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


def shoppers(settings: Settings, experiment: Experiment, champion: float, challenger: float, lost: float = 0.0) -> None:
    """Let users see a slate each, and click with a chance that their arm decides; some of the challenger's are lost."""
    chance, answers, events = random.Random(5), list[dict](), list[dict]()
    for number in range(USERS):
        user, moment = pseudonym(str(number), b"key"), NOW + timedelta(seconds=number)
        ours = arm_of(experiment, user)[0] != "champion"
        if ours and chance.random() < lost:
            continue
        answers.append(slate_row(experiment, user, moment))
        if chance.random() < (challenger if ours else champion):
            events.append(event_row(user, chance.choice("abcd"), moment + timedelta(minutes=5)))
    events.append(event_row(pseudonym("0", b"key"), "x", NOW + timedelta(hours=9)))
    spool(settings, answers, events)


def test_a_users_outcome_is_what_they_did_in_time_with_what_they_were_shown(shop: Settings):
    experiment = start(shop, "ab")
    names = ["in time", "too late", "not shown", "before it was shown", "a return", "twice", "still open"]
    users = {name: pseudonym(name, b"key") for name in names}
    later = NOW + timedelta(minutes=50)
    slates = [slate_row(experiment, user, NOW) for name, user in users.items() if name != "still open"]
    slates += [slate_row(experiment, users["twice"], later), slate_row(experiment, users["still open"], later)]
    spool(
        shop,
        slates,
        [
            event_row(users["in time"], "c", NOW + timedelta(minutes=59)),
            event_row(users["too late"], "c", NOW + timedelta(minutes=61)),
            event_row(users["not shown"], "z", NOW + timedelta(minutes=1)),
            event_row(users["before it was shown"], "a", NOW - timedelta(minutes=1)),
            event_row(users["a return"], "a", NOW + timedelta(minutes=1), "return"),
            event_row(users["twice"], "b", later + timedelta(minutes=2)),
        ],
    )
    land_answers(shop)
    found = outcomes_of(shop, experiment)
    settled = sorted(users[name] for name in names if name != "still open")
    clicked = {user for user, clicked in zip(settled, found.clicked, strict=True) if clicked}
    assert clicked == {users["in time"], users["twice"]}
    assert list(found.challenged) == [arm_of(experiment, user)[0] == "challenger" for user in settled]
    assert (found.waiting, sum(found.slates.values())) == (1, 8)


def test_interleaved_clicks_are_credited_to_who_chose_the_item(shop: Settings):
    experiment = start(shop, "interleave", 1.0)
    deeds = {"for it": "bd", "against": "a", "draw": "ab", "nothing": "", "once is once": "bbac"}
    users = {name: pseudonym(name, b"key") for name in deeds}
    slates = [slate_row(experiment, user, NOW, [2, 4]) for user in users.values()]
    events = [
        event_row(users[name], item, NOW + timedelta(minutes=place + 1))
        for name, items in deeds.items()
        for place, item in enumerate(items)
    ]
    spool(shop, slates, [*events, event_row(users["nothing"], "x", NOW + timedelta(hours=2))])
    land_answers(shop)
    found = outcomes_of(shop, experiment)
    by_user = dict(zip(sorted(users.values()), found.preferred, strict=True))
    assert {name: by_user[user] for name, user in users.items()} == {
        "for it": 1,
        "against": -1,
        "draw": 0,
        "nothing": 0,
        "once is once": -1,
    }
    assert report_of(shop, experiment).sentence.startswith("Of 5 users who met slates of both, 1 preferred the")


def test_an_interleaved_slate_that_the_champion_gave_alone_prefers_nobody(shop: Settings):
    experiment = start(shop, "interleave", 1.0)
    user = pseudonym("met a failure", b"key")
    clicks = [event_row(user, item, NOW + timedelta(minutes=1)) for item in "ab"]
    spool(shop, [slate_row(experiment, user, NOW)], [*clicks, event_row(user, "x", NOW + timedelta(hours=2))])
    land_answers(shop)
    assert list(outcomes_of(shop, experiment).preferred) == [0]
    assert "slates with a click" not in page_of(report_of(shop, experiment))


def test_a_verdict_that_comes_late_does_not_end_the_experiment_that_began_since(shop: Settings, prefect_harness: None):
    first = start(shop, "ab")
    shoppers(shop, first, 0.4, 0.2)
    land_answers(shop)
    report = report_of(shop, first)
    stop_experiment(shop, "by hand")
    second = start(shop, "ab")
    assert act(shop, report).experiment.reason == "by hand"
    assert current_experiment(shop) == second


def test_a_better_challenger_is_told_once_with_plots_and_stays_until_a_person_promotes_it(
    shop: Settings, prefect_harness: None
):
    experiment = start(shop, "ab")
    shoppers(shop, experiment, 0.2, 0.4)
    report = watch_experiment()
    assert report.verdict == "better"
    assert current_experiment(shop).running
    with get_client(sync_client=True) as client:
        page = next(
            str(each.data)
            for each in client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["experiment"]))
            )
        )
    assert "the challenger is better" in page
    assert "data:image/png" in page
    assert len(page) < 200_000
    key = f"experiments/{experiment.experiment_id}/report.html"
    stored = object_client(shop).get_object(Bucket=shop.object_store.bucket, Key=key)["Body"].read().decode()
    assert stored == page_of(report)
    assert 'src="http' not in stored
    promote(shop, experiment.challenger)
    assert watch_experiment().headline.endswith(f"ended: the champion is {experiment.challenger} now")
    assert watch_experiment() is None


@pytest.mark.parametrize(
    ("champion", "challenger", "lost", "said"),
    [(0.4, 0.2, 0.0, "the challenger is worse"), (0.2, 0.4, 0.3, "the arms do not have their shares")],
)
def test_a_worse_challenger_and_arms_without_their_shares_end_the_experiment(
    shop: Settings, prefect_harness: None, champion: float, challenger: float, lost: float, said: str
):
    experiment = start(shop, "ab")
    shoppers(shop, experiment, champion, challenger, lost)
    assert said in watch_experiment().headline
    ended = current_experiment(shop)
    assert (ended.experiment_id, ended.running) == (experiment.experiment_id, False)
    assert said in ended.reason


def test_the_stop_that_a_server_called_is_written_down_with_its_reason(shop: Settings, prefect_harness: None):
    experiment = start(shop, "canary")
    client, bucket, own = object_client(shop), shop.object_store.bucket, f"experiments/{experiment.experiment_id}"
    told = {"reason": "errors: 5 of 5", "server": "host-1", "at": NOW.isoformat()}
    client.put_object(Bucket=bucket, Key=f"{own}/stop.json", Body=json.dumps(told).encode())
    tally = {"answers": 7, "errors": 5, "slow": 0, "fallbacks": 1, "clicked": 2}
    for server in ("one", "two"):
        body = json.dumps({"arms": {"challenger": tally}}).encode()
        client.put_object(Bucket=bucket, Key=f"{own}/servers/{server}.json", Body=body)
    watch_experiment()
    assert current_experiment(shop).reason == "errors: 5 of 5 (host-1, 2026-11-28 12:00 UTC)"
    assert server_counts(shop, experiment)["challenger"] == {name: 2 * count for name, count in tally.items()}


def test_an_experiment_is_started_and_stopped_from_prefect(shop: Settings, prefect_harness: None):
    name = start_flow(read_pointer(shop).earlier[0], "ab", 0.5)
    assert current_experiment(shop).experiment_id == name
    assert stop_flow("seen enough") == name
    assert current_experiment(shop).reason == "seen enough"
    with get_client(sync_client=True) as client:
        pages = [
            str(each.data)
            for each in client.read_artifacts(
                artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["experiment"]))
            )
        ]
    assert any("ended: seen enough" in page and name in page for page in pages)


def test_the_command_line_reports_and_writes_the_page(shop: Settings, tmp_path: Path):
    experiment = start(shop, "ab")
    shoppers(shop, experiment, 0.3, 0.3)
    page = tmp_path / "report.html"
    told = CliRunner().invoke(command, ["report", "--html", str(page)])
    assert told.exit_code == 0, told.output
    assert "Of the challenger's users" in told.output
    assert page.read_text().startswith("<!doctype html>")
    assert current_experiment(shop) == replace(experiment)
    unknown = CliRunner().invoke(command, ["report", "--id", "x20000101-nothing"])
    assert unknown.exit_code == 1
