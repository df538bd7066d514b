"""Where a run is killed (SIGKILL) in the tests: every named point of every stage, in one list.

Real models are killed in the midst of learning in tests/story/test_killed_training.py.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class KillPoint:
    """A call (`module:function`, the n-th) of a stage, before or after which the process dies."""

    stage: str
    name: str
    function: str
    call: int
    when: str


KILL_POINTS = (
    KillPoint("ingest", "the events are staged", "flows.sources.staging:write_staged", 1, "after"),
    KillPoint("ingest", "the second verdict is due", "flows.judging:check_table", 2, "before"),
    KillPoint("ingest", "a table of the lake is to be made", "flows.lake:write_deltalake", 1, "before"),
    KillPoint("ingest", "the first commit is done", "flows.lake:write_deltalake", 1, "after"),
    KillPoint("ingest", "bad rows are to be held", "flows.landing:hold", 1, "before"),
    KillPoint("ingest", "bad rows are held", "flows.landing:hold", 1, "after"),
    KillPoint("ingest", "the third window is to be written", "flows.lake:write_window", 3, "before"),
    KillPoint("ingest", "the third window is written", "flows.lake:write_window", 3, "after"),
    KillPoint("ingest", "the third window is in the ledger", "flows.lake:record_window", 3, "after"),
    KillPoint("ingest", "the fourth window is not in the ledger", "flows.lake:record_window", 4, "before"),
    KillPoint("replay", "held rows are staged", "flows.replay:stage_held", 1, "after"),
    KillPoint("replay", "rows are to be marked", "flows.replay:settle", 2, "before"),
    KillPoint("replay", "rows are marked", "flows.replay:settle", 2, "after"),
    KillPoint("replay", "the first window is written", "flows.lake:write_window", 1, "after"),
    KillPoint("replay", "the second window is to be written", "flows.lake:write_window", 2, "before"),
    KillPoint("replay", "all windows are written", "flows.replay:settle", 3, "before"),
    KillPoint("replay", "the rows are settled", "flows.replay:settle", 3, "after"),
    KillPoint("features", "the third table is computed", "flows.feature_tables:_stage", 3, "after"),
    KillPoint("features", "the second verdict is due", "flows.feature_tables:check_features", 2, "before"),
    KillPoint("features", "the fourth table may go in place", "flows.feature_tables:raise_if_refused", 4, "after"),
    KillPoint("features", "the fifth table is in place", "flows.feature_tables:_remove_stale", 5, "before"),
    KillPoint("features", "all tables are in place, unmarked", "flows.feature_tables:_mark_checked", 1, "before"),
    KillPoint("materialise", "the definitions are registered", "flows.online_rows:feature_store", 1, "after"),
    KillPoint("materialise", "the second view is written", "flows.online_rows:_verify", 2, "before"),
    KillPoint("materialise", "the third view is read back", "flows.online_rows:_verify", 3, "after"),
    KillPoint("materialise", "the fourth view is in the ledger", "flows.online_rows:_record", 4, "after"),
    KillPoint("train", "the training set is to be kept", "flows.training_set:_save", 1, "before"),
    KillPoint("train", "the models are saved", "flows.train_stages:write_outcome", 1, "after"),
    KillPoint("train", "a model is exported, not in place", "flows.train_stages:write_model", 1, "after"),
    KillPoint("train", "the gate has judged", "flows.train_stages:judge", 1, "after"),
    KillPoint("train", "the release is put together", "flows.train_stages:_assemble", 1, "after"),
    KillPoint("train", "the verdict is to be written", "flows.train_stages:write_outcome", 2, "before"),
    KillPoint("publish", "the first file is stored", "flows.releases:_put_once", 1, "after"),
    KillPoint("publish", "the fifth file is to be stored", "flows.releases:_put_once", 5, "before"),
    KillPoint("publish", "all files are stored", "flows.releases:_put_manifest", 1, "before"),
    KillPoint("publish", "the manifest is stored, unsigned", "flows.releases:_put_manifest", 1, "after"),
    KillPoint("publish", "the pointer is to move", "flows.releases:_promote", 1, "before"),
    KillPoint("publish", "the pointer has moved", "flows.releases:_promote", 1, "after"),
)


def points_of(stage: str) -> list[KillPoint]:
    """The points of one stage, in the order of its work."""
    return [point for point in KILL_POINTS if point.stage == stage]
