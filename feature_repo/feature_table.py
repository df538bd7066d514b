"""The table of all features as markdown, for docs/features.md: `python -m feature_repo.feature_table`."""

from feature_repo.features import FEATURE_VIEWS, FeatureView
from feature_repo.schema import Column


def feature_table() -> str:
    """Return one markdown table of every view and feature, in order."""
    lines = ["| view | feature | type | meaning | null | bounds |", "|---|---|---|---|---|---|"]
    for view in FEATURE_VIEWS.values():
        lines += [_line(view, feature) for feature in view.features]
    return "\n".join(lines)


def _line(view: FeatureView, feature: Column) -> str:
    null = "yes" if feature.nullable else "no"
    return f"| {view.name} | {feature.name} | {feature.dtype} | {feature.meaning} | {null} | {_bounds(feature)} |"


def _bounds(feature: Column) -> str:
    if feature.minimum is None and feature.maximum is None:
        return ""
    if feature.maximum is None:
        return f"≥ {feature.minimum:g}"
    return f"{feature.minimum:g} … {feature.maximum:g}"


if __name__ == "__main__":
    print(feature_table())
