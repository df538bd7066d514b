"""Great Expectations suites made of rules, and the one context in which they decide over a profile."""

import functools
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations import expectations as gxe
from great_expectations.core.batch_definition import BatchDefinition
from great_expectations.data_context.types.base import ProgressBarsConfig

from expectations.rules import Measure, Rule

#: Loggers that talk at INFO; the second sets a level of its own.
QUIETED = ("great_expectations", "great_expectations.data_context.types.base")
_DECIDING = threading.Lock()


def suite(name: str, rules: Sequence[Rule], measured: Mapping[str, float | None]) -> gx.ExpectationSuite:
    """Return the suite of the rules: one expectation a measure, held to its bounds over the one-row profile.

    A measure without a value (nothing to measure) is left out: the maximum of no rows is neither good nor bad.
    """
    expectations = [
        _expectation(rule, measure)
        for rule in rules
        for measure in rule.measures
        if measured.get(measure.name, 0) is not None
    ]
    return gx.ExpectationSuite(name=name, expectations=expectations)


def decide(name: str, rules: Sequence[Rule], measured: Mapping[str, float | None]) -> dict[str, tuple[bool, str]]:
    """Let Great Expectations judge the profile; return rule → (passed, error).

    `error` is the message of a check that crashed: Great Expectations reports it as failed data, with the exception
    nested in the result.
    """
    frame = pd.DataFrame({key: [value] for key, value in measured.items()})
    with _DECIDING:
        batch = _profile_batches().get_batch({"dataframe": frame})
        outcome = batch.validate(suite(name, rules, measured), result_format="BASIC")
    decided = {rule.name: (True, "") for rule in rules}
    for result in outcome.results:
        rule = result.expectation_config.meta["rule"]
        passed, error = decided[rule]
        decided[rule] = (passed and bool(result.success), error or raised_exception(result.exception_info))
    return decided


def raised_exception(info: Any) -> str:
    """Return the message of an exception nested anywhere in a result's exception_info; empty when none was raised."""
    if not isinstance(info, Mapping):
        return ""
    if info.get("raised_exception"):
        return str(info.get("exception_message") or "an exception without a message")
    return next((message for message in map(raised_exception, info.values()) if message), "")


def suite_as_json(name: str, rules: Sequence[Rule]) -> str:
    """Return the suite as Great Expectations' own JSON, for those who read or diff it."""
    return json.dumps(suite(name, rules, {}).to_json_dict(), indent=2)


def _expectation(rule: Rule, measure: Measure) -> gxe.Expectation:
    bounds = {"min_value": measure.minimum, "max_value": measure.maximum}
    make = gxe.ExpectColumnMinToBeBetween if measure.maximum is None else gxe.ExpectColumnMaxToBeBetween
    return make(
        column=measure.name,
        severity=rule.severity,
        description=rule.sentence,
        meta={"rule": rule.name, "level": rule.level},
        **bounds,
    )


@functools.cache
def profile_context() -> gx.data_context.EphemeralDataContext:
    """Return this process's one context: in memory, sending nothing, without progress bars, warnings only."""
    for name in QUIETED:
        logging.getLogger(name).setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


@functools.cache
def _profile_batches() -> BatchDefinition:
    asset = profile_context().data_sources.add_pandas("profiles").add_dataframe_asset("profile")
    return asset.add_batch_definition_whole_dataframe("one row")
