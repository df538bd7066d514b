"""The release's policies of what comes again, read as masks over its items."""

from pathlib import Path

import numpy as np
import orjson

from feature_repo.slate_rules import SEPARATOR, category_key
from serving.catalogue import Catalogue
from serving.shelf_rules import HeldBack

POLICIES = "policies.json"
POLICIES_SCHEMA = 1


def read_policies(path: Path, catalogue: Catalogue) -> HeldBack | None:
    """Read policies.json; None where a release has none (one of before there were any). The deepest category decides.

    Raises ValueError when it is not as a release writes it.
    """
    if not path.exists():
        return None
    size = len(catalogue.items)
    masks = {"bought": np.zeros(size, np.bool_), "seen": np.zeros(size, np.bool_)}
    try:
        content = orjson.loads(path.read_bytes())
        if content["schema"] != POLICIES_SCHEMA:
            raise ValueError(f"schema {content['schema']!r}")
        rows = sorted(
            content["categories"], key=lambda row: len(row["category"].split(SEPARATOR)) * bool(row["category"])
        )
        for row in rows:
            category = category_key(row["category"])
            found = catalogue.by_category.get(category, np.empty(0, np.int32)) if category else slice(1, None)
            for deed, mask in masks.items():
                if deed in row:
                    mask[found] = not row[deed]["show"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path.name}: expected policies of schema {POLICIES_SCHEMA}, but found {error!r}") from error
    return HeldBack(**masks)
