"""The dashboard of deploy/ asks for metrics that the server exposes, and for labels that they have."""

import json
import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.serving.conftest import Server
from tests.serving.test_server import push
from tests.serving.tiny_shop import COFFEE

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana-serving.json"
LABELS = re.compile(r"by \(([a-z_, ]+)\)|([a-z_]+)=~?\"")


def test_every_metric_of_the_dashboard_is_exposed_and_every_metric_is_on_it(served: Server):
    push(served, {"user_id": "measured", "item_id": COFFEE, "event_type": "like"})
    exposed = httpx.get(f"{served.url}/metrics", trust_env=False).text
    names, labels = set(re.findall(r"^# TYPE (aisle_\w+) ", exposed, re.MULTILINE)), {"le"}
    samples = {sample.name for family in text_string_to_metric_families(exposed) for sample in family.samples}
    labels |= {
        name
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
        for name in sample.labels
    }
    asked = [target["expr"] for panel in json.loads(DASHBOARD.read_text())["panels"] for target in panel["targets"]]
    wanted = {name for expression in asked for name in re.findall(r"aisle_\w+", expression)}
    families = {re.sub(r"_(total|bucket|created|count|sum)$", "", name) for name in names}
    assert {re.sub(r"_(total|bucket)$", "", name) for name in wanted} == families
    # Nothing of the kind has happened yet.
    silent = {"aisle_refused_total", "aisle_online_store_errors_total", "aisle_experiment_answers"}
    assert wanted - samples <= silent
    asked_labels = {name for expression in asked for found in LABELS.findall(expression) for name in found if name}
    assert asked_labels - labels <= {"why", "what", "arm", "outcome"}
