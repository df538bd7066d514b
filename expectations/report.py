"""A verdict as people read it: markdown for the run's artifact, and a page that stands alone in the object store."""

from collections.abc import Sequence
from html import escape

from expectations.report_page import PAGE
from expectations.trend_picture import Window, trend_data_uri, trend_svg
from expectations.verdict import Check, Verdict


def headline(verdict: Verdict) -> str:
    """Return the verdict in a few words."""
    if any(check.error for check in verdict.checks):
        return "could not be checked"
    if not verdict.passed:
        return "refused"
    warned = any(check.level == "table" and not check.passed for check in verdict.checks)
    held = f", {verdict.rows_held:,} rows held" if verdict.rows_held else ""
    return "passed" + (", with warnings" if warned else "") + held


def summary(verdict: Verdict) -> str:
    """Return in two sentences what was found and what happens next."""
    passed = sum(check.passed for check in verdict.checks)
    found = f"{passed} of {len(verdict.checks)} checks passed over {verdict.rows:,} rows."
    if any(check.error for check in verdict.checks):
        return f"{found} A check crashed, so nothing is known of the data and nothing was written."
    if not verdict.passed:
        return f"{found} Nothing of the table was written; what was there before stays."
    if verdict.rows_held:
        return f"{found} Held rows wait in quarantine with rule and reason; the others went on."
    return f"{found} All rows went on."


def in_order(checks: Sequence[Check]) -> list[Check]:
    """Return the checks as a reader needs them: crashed and refusing first, then failed, then passed."""
    return sorted(checks, key=lambda check: (check.passed, not check.error, check.severity != "critical"))


def markdown_report(verdict: Verdict, trend: Sequence[Window]) -> str:
    """Return the verdict as markdown: words, counts, every check, held rows by rule, the trend as an inline picture.

    `trend` holds (window, rows, held) in time order. Far below the 200 KB that an artifact may have.
    """
    lines = [f"# {verdict.table}: {headline(verdict)}", "", summary(verdict), "", *_markdown_counts(verdict)]
    picture = trend_data_uri(trend)
    if picture:
        lines += ["", f"![Rows and held share a window]({picture})"]
    if verdict.failed_checks:
        lines += ["", "## Not kept", "", *[_markdown_failure(check) for check in in_order(verdict.failed_checks)]]
    by_rule = held_by_rule(verdict)
    if by_rule:
        lines += ["", "## Held rows by rule", "", "| Rows | Rule |", "| ---: | --- |"]
        lines += [f"| {check.failed_rows:,} | `{check.rule}` |" for check in by_rule]
        lines += ["", "A row that breaks several rules is counted under each, and held once."]
    lines += ["", "## Checks", "", "| Result | Rule | Failed rows | Came | Expected | What must be true |"]
    lines += ["| --- | --- | ---: | --- | --- | --- |"]
    lines += [_markdown_check(check) for check in in_order(verdict.checks)]
    return "\n".join(lines) + "\n"


def html_report(verdict: Verdict, trend: Sequence[Window]) -> str:
    """Return the same content as one HTML page that needs nothing else: no script, no font, no address."""
    state = "good" if verdict.passed and not verdict.failed_checks else "told" if verdict.passed else "refused"
    checked = f"Checked at {verdict.checked_at:%Y-%m-%d %H:%M} UTC." if verdict.checked_at else ""
    picture = trend_svg(trend)
    return PAGE.substitute(
        title=escape(f"{verdict.table}: {headline(verdict)}"),
        table=escape(verdict.table),
        state=state,
        headline=escape(headline(verdict)),
        summary=escape(summary(verdict)),
        checked=escape(checked),
        counts="".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in _counts(verdict)),
        advice=_html_advice(verdict),
        trend=f"<section><h2>The last windows</h2><figure>{picture}</figure></section>" if picture else "",
        held=_html_held(verdict),
        checks="".join(_html_check(check) for check in in_order(verdict.checks)),
    )


def held_by_rule(verdict: Verdict) -> list[Check]:
    """Return the row rules that hold rows, most rows first."""
    broken = [check for check in verdict.checks if check.level == "row" and check.failed_rows]
    return sorted(broken, key=lambda check: -check.failed_rows)


def result(check: Check) -> str:
    """Return a check's result in a word."""
    if check.error:
        return "crashed"
    if check.passed:
        return "passed"
    if check.severity == "critical":
        return "refused"
    return "held" if check.level == "row" else "warning"


def consequence(check: Check) -> str:
    """Return in a few words what follows when the check fails."""
    if check.severity == "critical":
        return "stops the table"
    return "holds the row" if check.level == "row" else "is told"


def _counts(verdict: Verdict) -> list[tuple[str, str]]:
    share = verdict.rows_held / verdict.rows if verdict.rows else 0.0
    return [
        ("Rows looked at", f"{verdict.rows:,}"),
        ("Rows held", f"{verdict.rows_held:,}"),
        ("Share held", f"{100 * share:.2f} %"),
        ("Checks passed", f"{sum(check.passed for check in verdict.checks)} of {len(verdict.checks)}"),
    ]


def _markdown_counts(verdict: Verdict) -> list[str]:
    counts = _counts(verdict)
    names = " | ".join(name for name, _ in counts)
    values = " | ".join(value for _, value in counts)
    return [f"| {names} |", "|" + " ---: |" * len(counts), f"| {values} |"]


def _markdown_failure(check: Check) -> str:
    """A failed check as a list item, whose words wrap; the cells of a table do not on a run's page."""
    told = f"expected {check.expected}; came {check.observed}"
    words = f"the check crashed: {check.error}" if check.error else told
    rows = f", {check.failed_rows:,} {'row' if check.failed_rows == 1 else 'rows'}" if check.failed_rows else ""
    text = f"{check.sentence} {words[0].upper()}{words[1:]}. {check.advice}"
    return f"- **{result(check)}** `{check.rule}`{rows}: {_cell(text.strip())}"


def _markdown_check(check: Check) -> str:
    word = result(check) if check.passed else f"**{result(check)}**"
    came = f"the check crashed: {check.error}" if check.error else check.observed
    told = [_cell(text) for text in (came, check.expected, check.sentence)]
    return f"| {' | '.join((word, f'`{check.rule}`', f'{check.failed_rows:,}', *told))} |"


def _cell(text: str) -> str:
    return escape(text.replace("\n", " "), quote=False).replace("|", "\\|")


def _html_advice(verdict: Verdict) -> str:
    told = [check for check in verdict.failed_checks if check.advice and not check.error]
    if not told:
        return ""
    items = "".join(f"<li><strong>{escape(c.sentence)}</strong> {escape(c.advice)}</li>" for c in in_order(told))
    return f"<section><h2>What to do</h2><ul>{items}</ul></section>"


def _html_held(verdict: Verdict) -> str:
    by_rule = held_by_rule(verdict)
    if not by_rule:
        return ""
    most = by_rule[0].failed_rows
    rows = "".join(
        f"<tr><td><code>{escape(c.rule)}</code></td><td>{escape(c.expected)}</td>"
        f'<td class="number">{c.failed_rows:,}</td>'
        f'<td class="bar"><span style="width:{max(100 * c.failed_rows / most, 1):.1f}%"></span></td></tr>'
        for c in by_rule
    )
    return (
        '<section><h2>Held rows by rule</h2><table><thead><tr><th>Rule<th>Expected<th class="number">Rows<th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
        '<p class="note">A row that breaks several rules is counted under each, and held once.</p></section>'
    )


def _html_check(check: Check) -> str:
    word = result(check)
    came = f"The check crashed: {check.error}" if check.error else check.observed
    failed = f"{check.failed_rows:,}" if check.failed_rows else ""
    return (
        f'<tr class="{word}"><td><span class="word">{word}</span></td>'
        f"<td>{escape(check.sentence)}<br><code>{escape(check.rule)}</code></td>"
        f'<td>{escape(check.expected)}</td><td>{escape(came)}</td><td class="number">{failed}</td>'
        f"<td>{consequence(check)}</td></tr>"
    )
