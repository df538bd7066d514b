"""The article's own case on the planted shop: electronics and fashion come next for A, cold items by their text."""

from datetime import datetime, timedelta

import numpy as np
import pytest
import torch

from tests import planted_shop
from tests.training.planted import T_TEST, Row, build_training_set
from training import fit_transformer
from training.dataset import TrainingSet
from training.evaluate import inputs_of
from training.model import silent, tiny_settings

pytestmark = pytest.mark.slow

WANTED = ("Electronics", "Fashion")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TrainingSet:
    rows = planted_shop._event_rows(120)
    end = planted_shop.START + timedelta(weeks=planted_shop.WEEKS)
    shift = T_TEST - end
    events: list[Row] = [(row["user"], row["item"], row["action"], _time(row["time"], end) + shift) for row in rows]
    texts = {row["item_id"]: f"{row['category']} {row['title']}".lower() for row in planted_shop._item_rows()}
    return build_training_set(events, texts)


def _time(text: str, like: datetime) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=like.tzinfo)


def test_a_is_shown_electronics_and_fashion_cold_ones_too(shop: TrainingSet) -> None:
    module = fit_transformer.fit(shop, tiny_settings(), silent).module()
    row = shop.test.queries.user_ids.index(planted_shop.USER_A)
    with torch.inference_mode():
        scores = module(*inputs_of(shop.test.queries, np.array([row])))[0, 1:].numpy()
    ids, category = shop.catalogue.item_ids, planted_shop.categories_by_item()
    slate = [ids[index] for index in np.argsort(-scores)[:10]]
    assert sum(category[item] in WANTED for item in slate) >= 8
    cold = {item: scores[ids.index(item)] for item in planted_shop.cold_items()}
    assert category[max(cold, key=lambda item: cold[item])] in WANTED
    wanted = [score for item, score in cold.items() if category[item] in WANTED]
    others = [score for item, score in cold.items() if category[item] not in WANTED]
    assert np.mean(wanted) > np.mean(others)
