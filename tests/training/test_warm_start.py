"""A new Transformer begins with what the champion's knew, item by item."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.planted import build_training_set, item_texts, rhythm_events
from training import fit_transformer
from training.dataset import TrainingSet
from training.fit_transformer import Body
from training.interactions import interactions
from training.model import FittedModel, silent, tiny_settings
from training.warm_start import WarmStart, knowledge, read_start, take_up, write_knowledge

SETTINGS = replace(tiny_settings(), transformer_steps=30, warm_steps=10, validation_every=10)


def body_of(training_set: TrainingSet, seed: int = 7, width: int = 16) -> Body:
    """A body as a fit makes it; its identity and bias are drawn, so that each item's are its own."""
    torch.manual_seed(seed)
    settings = replace(SETTINGS, seed=seed, width=width)
    body = fit_transformer._new_body(training_set, interactions(training_set), settings)
    with torch.no_grad():
        body.table.identity[1:] = torch.randn_like(body.table.identity[1:])
        body.bias[1:] = torch.randn_like(body.bias[1:])
    return body


def start_of(body: Body, training_set: TrainingSet) -> WarmStart:
    return WarmStart("r1", knowledge(body, training_set.catalogue.item_ids))


@pytest.fixture(scope="module")
def champion(rhythm: TrainingSet) -> FittedModel:
    return fit_transformer.fit(rhythm, SETTINGS, silent)


def test_on_the_same_catalogue_every_item_and_every_user_stands_where_it_stood(rhythm: TrainingSet) -> None:
    old, new = body_of(rhythm, 1), body_of(rhythm, 2)
    assert take_up(new, rhythm.catalogue.item_ids, start_of(old, rhythm)) == 12
    items = torch.arange(13)
    assert torch.allclose(new.table(items), old.table(items), atol=1e-3)
    assert torch.equal(new.bias, old.bias)
    assert torch.equal(new.encoder.blocks[0].query.weight, old.encoder.blocks[0].query.weight)


def test_items_are_carried_over_by_their_ids_and_a_new_one_borrows_from_what_means_the_same(
    rhythm: TrainingSet,
) -> None:
    texts = dict(reversed(item_texts().items())) | {"new": "tool number3"}
    events = [*rhythm_events(), *[(u, "new", kind, t) for u, i, kind, t in rhythm_events() if i == "i07"]]
    changed = build_training_set(events, texts)
    old, new = body_of(rhythm, 1), body_of(changed, 2)
    assert take_up(new, changed.catalogue.item_ids, start_of(old, rhythm)) == 12
    vectors = {item: new.table.identity[new.table.column[n]] for n, item in enumerate(changed.catalogue.item_ids, 1)}
    before = {item: old.table.identity[n] for n, item in enumerate(rhythm.catalogue.item_ids, 1)}
    assert all(torch.equal(vectors[item], before[item]) for item in before)
    cosine = {item: torch.cosine_similarity(vectors["new"], vectors[item], dim=0).item() for item in before}
    assert max(cosine, key=lambda item: cosine[item]) == "i03"


def test_a_body_of_another_width_takes_up_nothing_and_the_fit_is_cold(
    rhythm: TrainingSet, champion: FittedModel
) -> None:
    assert take_up(body_of(rhythm, width=32), rhythm.catalogue.item_ids, start_of(body_of(rhythm), rhythm)) == 0
    wide = replace(SETTINGS, width=32)
    fitted = fit_transformer.fit(rhythm, wide, silent, WarmStart("r1", champion.knowledge))
    assert fitted.hyper_parameters["start"] == "cold"


def test_a_warm_fit_says_what_it_began_with_and_is_the_same_twice(rhythm: TrainingSet, champion: FittedModel) -> None:
    start = WarmStart("r1", champion.knowledge)
    one, two = (fit_transformer.fit(rhythm, SETTINGS, silent, start) for _ in range(2))
    assert (one.hyper_parameters["start"], one.hyper_parameters["carried_items"]) == ("r1", 12)
    assert one.hyper_parameters["steps"] == 10
    assert one.hyper_parameters["since_cold"] == 1
    states = one.scorer.state_dict(), two.scorer.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_every_so_many_times_a_cold_run_stands_beside_it_and_the_better_one_is_taken(
    rhythm: TrainingSet, champion: FittedModel
) -> None:
    spoilt = champion.knowledge | {"identity": -champion.knowledge["identity"][::-1]}
    settings = replace(SETTINGS, warm_steps=0)
    unlooked = fit_transformer.fit(rhythm, settings, silent, WarmStart("r1", spoilt, since_cold=1))
    assert (unlooked.hyper_parameters["start"], unlooked.hyper_parameters["since_cold"]) == ("r1", 2)
    control = fit_transformer.fit(rhythm, settings, silent, WarmStart("r1", spoilt, since_cold=3))
    assert control.hyper_parameters["cold_ndcg10"] >= control.hyper_parameters["warm_ndcg10"]
    assert (control.hyper_parameters["start"], control.hyper_parameters["since_cold"]) == ("cold", 0)


def test_what_is_known_outlives_the_process_and_pickles_are_refused(champion: FittedModel, tmp_path: Path) -> None:
    write_knowledge(tmp_path / "a.npz", champion.knowledge | {"since_cold": np.array(2)})
    read = read_start(tmp_path / "a.npz", "r1")
    assert (read.release_id, read.since_cold) == ("r1", 2)
    assert all(
        (read.tensors[name] == value).all() for name, value in champion.knowledge.items() if name != "since_cold"
    )
    write_knowledge(tmp_path / "b.npz", {"identity": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match="pickle"):
        read_start(tmp_path / "b.npz", "r1")
