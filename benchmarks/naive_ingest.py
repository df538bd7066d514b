"""An ingest as one writes it with pandas and Great Expectations: judged alone, or the whole job that ours does.

The whole job: pseudonyms, ids of content, every bad row kept with its rule and its raw form, rows in an order that does
not depend on the export's, a file a month, a ledger written after what was written has been read back and counted.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import great_expectations as gx
import pandas as pd

from benchmarks.naive_suite import naive_expectations
from expectations.suites import profile_context
from feature_repo.schema import pseudonym

KEY = b"the key of a benchmark"


def judge_only(file: Path) -> None:
    """Read receipt lines, judge every row and write the good ones: less than an ingest does."""
    events = _events(pd.read_parquet(file))
    _validate(events, "BASIC")
    _good(events).to_parquet(file.with_name("naive.parquet"))


def whole_job(file: Path) -> None:
    """The whole job over the receipt lines, as one writes it; the other tables are not read."""
    raw = pd.read_parquet(file)
    events = _events(raw)
    events["user_id"] = events["user_id"].map(lambda user: pseudonym(user, KEY))
    events["event_id"] = events["event_id"].map(lambda name: "e_" + hashlib.sha256(name.encode()).hexdigest()[:32])
    target = file.with_name("naive_lake")
    target.mkdir()
    bad = _held(_validate(events, "COMPLETE"), events)
    held = raw.loc[sorted(bad)].assign(household_id=events["user_id"])
    held.assign(rule=pd.Series(bad)).to_json(target / "quarantine.jsonl", orient="records", lines=True)
    good = _good(events.drop(index=list(bad))).sort_values(["event_time", *sorted(set(events) - {"event_time"})])
    _land(good, target)


def _events(frame: pd.DataFrame) -> pd.DataFrame:
    ids = [frame[name].astype(str) for name in ("household_id", "basket_id", "product_id")]
    return pd.DataFrame(
        {
            "event_id": ids[0] + "-" + ids[1] + "-" + ids[2],
            "event_time": frame["transaction_timestamp"].dt.tz_localize("UTC"),
            "known_at": pd.Timestamp.now(UTC),
            "user_id": ids[0],
            "item_id": ids[2],
            "event_type": "purchase",
            "channel": "store",
            "quantity": frame["quantity"].astype(float),
            "unit_price": frame["sales_value"] / frame["quantity"],
            "discount": frame["retail_disc"] + frame["coupon_disc"] + frame["coupon_match_disc"],
            "source": "complete_journey",
        }
    )


def _validate(events: pd.DataFrame, result_format: str) -> gx.core.ExpectationSuiteValidationResult:
    suite = gx.ExpectationSuite(name="naive", expectations=naive_expectations(datetime.now(UTC)))
    asset = profile_context().data_sources.add_pandas(f"naive {result_format}").add_dataframe_asset("events")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": events})
    return batch.validate(suite, result_format=result_format)


def _held(verdict: gx.core.ExpectationSuiteValidationResult, events: pd.DataFrame) -> dict[int, str]:
    """Return row → rule of what a rule refuses; of rows with one id the first stays."""
    bad: dict[int, str] = {}
    for result in verdict.results:
        rule = f"{result.expectation_config.type} of {result.expectation_config.kwargs['column']}"
        for row in result.result.get("unexpected_index_list") or ():
            bad.setdefault(row, rule)
    first = events.index[~events["event_id"].duplicated()]
    for row in set(first) & {row for row, rule in bad.items() if "unique" in rule}:
        del bad[row]
    return bad


def _good(events: pd.DataFrame) -> pd.DataFrame:
    return events[(events["quantity"] > 0) & (events["unit_price"] > 0)]


def _land(good: pd.DataFrame, target: Path) -> None:
    ledger = {}
    for month, rows in good.groupby(good["event_time"].dt.strftime("%Y-%m")):
        file = target / f"{month}.parquet"
        rows.to_parquet(file)
        back = pd.read_parquet(file)
        if len(back) != len(rows):
            raise RuntimeError(f"{file.name}: expected {len(rows)} rows, came {len(back)}")
        content = pd.util.hash_pandas_object(back.drop(columns="known_at"), index=False)
        ledger[month] = {"rows": len(back), "content": hashlib.sha256(content.to_numpy().tobytes()).hexdigest()}
    (target / "ledger.json").write_text(json.dumps(ledger))
