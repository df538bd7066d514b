"""The page that a verdict is printed on: its own style, no script, nothing from elsewhere; prints in black on white."""

from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { --ink: #1f2933; --soft: #5f6b76; --line: #e1e5e8; --page: #f6f7f5; --card: #ffffff;
  --good: #2f7d5b; --told: #a8661f; --refused: #b3362b; --bar: #c2703d; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b0; --line: #333b43; --page: #16191c;
  --card: #1e2327; --good: #63b58f; --told: #dda05a; --refused: #ea7d70; --bar: #d48a57; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
header { border-left: 6px solid var(--state); padding: 2px 0 2px 20px; margin-bottom: 28px; }
header p { margin: 6px 0 0; max-width: 70ch; }
.good { --state: var(--good); } .told { --state: var(--told); } .refused { --state: var(--refused); }
h1 { font-size: 28px; line-height: 1.25; margin: 0; font-weight: 650; }
h1 span { color: var(--state); }
h2 { font-size: 17px; margin: 0 0 12px; font-weight: 650; }
.note, .checked, dt { color: var(--soft); font-size: 13px; }
dl { display: grid; grid-template-columns: repeat(4, 1fr); gap: 12px; margin: 0 0 20px; }
dl div, section { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
dl div { padding: 14px 18px; }
dd { margin: 2px 0 0; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
section { padding: 20px 22px; margin-bottom: 20px; overflow-x: auto; }
section ul { margin: 0; padding-left: 20px; } section li { margin: 4px 0; }
figure { margin: 0; } figure svg { width: 100%; height: auto; max-width: 760px; display: block; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--soft); font-weight: 500; font-size: 13px; padding: 0 14px 8px 0;
  white-space: nowrap; }
td { border-top: 1px solid var(--line); padding: 9px 14px 9px 0; vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
code { font: 12.5px/1.4 ui-monospace, "SF Mono", Menlo, Consolas, monospace; color: var(--soft); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.checks td:nth-child(2) { min-width: 240px; }
.checks td:nth-child(4) { min-width: 150px; overflow-wrap: anywhere; }
.checks td:last-child { color: var(--soft); font-size: 13px; min-width: 92px; }
.word { font-weight: 600; font-size: 13px; color: var(--soft); }
tr.passed .word { color: var(--good); font-weight: 500; }
tr.held .word, tr.warning .word { color: var(--told); }
tr.refused .word, tr.crashed .word { color: var(--refused); }
.bar { width: 30%; padding-top: 15px; }
.bar span { display: block; height: 9px; border-radius: 2px; background: var(--bar); }
@media (max-width: 720px) { dl { grid-template-columns: repeat(2, 1fr); } main { padding: 24px 14px; } }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --card: #fff; }
  main { max-width: none; padding: 0; } section, dl div { break-inside: auto; border-radius: 0; }
  tr { break-inside: avoid; } thead { display: table-header-group; } body { font-size: 11pt; } }
</style>
</head>
<body>
<main class="$state">
<header>
<h1>$table: <span>$headline</span></h1>
<p>$summary</p>
<p class="checked">$checked</p>
</header>
<dl>$counts</dl>
$advice
$trend
$held
<section>
<h2>Checks</h2>
<table class="checks">
<thead><tr><th>Result<th>What must be true<th>Expected<th>Came<th class="number">Failed rows<th>If it fails</tr></thead>
<tbody>$checks</tbody>
</table>
</section>
</main>
</body>
</html>
""")
