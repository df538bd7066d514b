"""The gate's report for people: markdown for a page, and one picture of who gains and who loses."""

import io

from matplotlib.figure import Figure

from training.gate import Comparison, GateReport
from training.gate_slices import SliceComparison


def render_markdown(report: GateReport) -> str:
    """Render the report as markdown for an artifact or a page: verdict, reasons, comparison, slices, checks."""
    verdict = "passed" if report.passed else "refused"
    lines = [f"# Gate: {report.challenger} {verdict}", ""]
    lines += [f"- {reason}" for reason in report.reasons] + ([""] if report.reasons else [])
    if report.comparison is not None:
        lines += _comparison_lines(report.challenger, report.comparison)
    lines += _slice_lines(report.slices) if report.slices else []
    held = sum(check.passed for check in report.checks)
    lines += [f"{held} of {len(report.checks)} checks hold; failed ones come first:", ""]
    # A list: the page cuts what is long off a table's rows.
    for check in sorted(report.checks, key=lambda check: check.passed):
        came = " ".join(check.observed.split())
        verdict = "passed" if check.passed else "**failed**"
        lines.append(f"- {verdict}: **{check.name}**: {came} (expected: {check.expected})")
    return "\n".join(lines) + "\n"


def headline(report: GateReport) -> str:
    """Say the verdict in a line, for a list of pages."""
    verdict = "passed" if report.passed else f"refused: {report.reasons[0]}"
    found = report.comparison
    beside = f" (NDCG@10 {found.ndcg10:.4f}, {found.incumbent} {found.incumbent_ndcg10:.4f})" if found else ""
    return f"{report.challenger} {verdict}{beside}"


def picture_of(report: GateReport) -> bytes | None:
    """Draw the difference in NDCG@10 with its bounds, for all users and each slice, as PNG; None when none was made."""
    comparison = report.comparison
    if comparison is None:
        return None
    rows = [("all users", comparison.difference, comparison.low, comparison.high, False)]
    rows += [(e.name, e.ndcg10 - e.incumbent_ndcg10, e.low, e.high, e.fell) for e in report.slices]
    figure = Figure(figsize=(7, 0.8 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (_, middle, low, high, fell) in enumerate(rows):
        colour = "#b3261e" if fell else "#1f5f8b"
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot([middle], [place], "o", color=colour, markersize=4)
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.invert_yaxis()
    axes.set_xlabel(f"NDCG@10 of {report.challenger} minus that of {comparison.incumbent}", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()


def _comparison_lines(challenger: str, comparison: Comparison) -> list[str]:
    chance = "less than 0.1%" if comparison.sign_chance < 0.001 else f"{comparison.sign_chance:.1%}"
    return [
        f"The same {comparison.users:,} users, ranked by both model files over the whole catalogue:",
        "",
        "| model | NDCG@10 | Recall@10 |",
        "|---|---:|---:|",
        f"| {challenger} (challenger) | {comparison.ndcg10:.4f} | {comparison.recall10:.4f} |",
        f"| {comparison.incumbent} | {comparison.incumbent_ndcg10:.4f} | {comparison.incumbent_recall10:.4f} |",
        "",
        f"Difference in NDCG@10 {comparison.difference:+.4f}: at least {comparison.low:+.4f}, at most "
        f"{comparison.high:+.4f}; in Recall@10 at least {comparison.recall_low:+.4f}, at most "
        f"{comparison.recall_high:+.4f}, each with "
        f"{comparison.confidence:.0%} confidence (paired bootstrap over users). "
        f"Better for {comparison.users_better:,} users, worse for {comparison.users_worse:,} "
        f"(by chance in {chance}, sign test).",
        "",
    ]


def _slice_lines(slices: tuple[SliceComparison, ...]) -> list[str]:
    lines = ["| slice | users | NDCG@10 | incumbent | at least … at most | |", "|---|---:|---:|---:|---|---|"]
    for each in slices:
        verdict = "**fell**" if each.fell else ""
        lines.append(
            f"| {each.name} | {each.users:,} | {each.ndcg10:.4f} | {each.incumbent_ndcg10:.4f} | "
            f"{each.low:+.4f} … {each.high:+.4f} | {verdict} |"
        )
    return [*lines, ""]
