"""The style sheet of a report: light and dark, aligned numbers, tables that scroll inside the page, print."""

from .style_pictures import PICTURES

_PAGE = """
:root { color-scheme: light dark;
  --page: #f5f6f8; --sheet: #ffffff; --ink: #171a21; --soft: #4f5664; --faint: #636b7a; --rule: #e2e5eb;
  --tint: #f2f4f8; --share: #e9ecf2; --apart: #faf7ef; --good: #1f7a4d; --bad: #b3362b;
  --accent: #3b5bdb; --day: #e8a33d; --night: #5b5bd6; --rain: #2f9db0;
  --c0: #3b5bdb; --c1: #d9480f; --c2: #2b8a3e; --c3: #9c36b5; --c4: #a06800; --c5: #0b7f94; --c6: #c2255c;
  --c7: #5c6470; }
@media (prefers-color-scheme: dark) { :root {
  --page: #101218; --sheet: #181b23; --ink: #e8eaf0; --soft: #b0b7c5; --faint: #98a0b0; --rule: #2b303c;
  --tint: #20242e; --share: #252a36; --apart: #1f1e1b; --good: #63cfa3; --bad: #ff8f80;
  --accent: #8ea4ff; --day: #f2bd6b; --night: #9b9bff; --rain: #63c5d6;
  --c0: #8ea4ff; --c1: #ff9a76; --c2: #63cfa3; --c3: #d593f0; --c4: #e6b450; --c5: #63c5d6; --c6: #f783ac;
  --c7: #adb5bd; } }
* { box-sizing: border-box; margin: 0; }
html { scroll-behavior: smooth; }
body { background: var(--page); color: var(--ink); overflow-wrap: break-word; -webkit-text-size-adjust: 100%;
  font: 15px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 31px; line-height: 1.2; letter-spacing: -0.02em; font-weight: 700; text-wrap: balance;
  overflow-wrap: anywhere; }
h2 { font-size: 20px; letter-spacing: -0.01em; font-weight: 650; margin-bottom: 14px; }
h3 { font-size: 14.5px; font-weight: 600; margin: 26px 0 8px; overflow-wrap: anywhere; }
.soft { color: var(--faint); font-weight: 400; font-size: 12.5px; margin-left: 6px; }
.text { max-width: 56em; margin-top: 12px; color: var(--soft); font-size: 15.5px; }
.text p + p { margin-top: 8px; }
header dl { margin-top: 20px; padding-top: 14px; border-top: 1px solid var(--rule); }
nav { display: flex; flex-wrap: wrap; gap: 4px 20px; margin-top: 22px; font-size: 13.5px; }
nav a { color: var(--accent); text-decoration: none; } nav a:hover { text-decoration: underline; }
section { background: var(--sheet); border: 1px solid var(--rule); border-radius: 12px; padding: 22px 24px;
  margin-top: 16px; }
.hint { color: var(--faint); font-size: 12.5px; margin-top: 12px; max-width: 84em; overflow-wrap: anywhere; }
.hint.above { margin: -6px 0 14px; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; margin-top: 22px; }
.card { background: var(--sheet); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 18px;
  min-width: 0; overflow-wrap: anywhere; }
.card span, .card small { display: block; color: var(--soft); font-size: 13px; }
.card b { display: block; font-size: 27px; line-height: 1.3; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border-radius: 4px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(166px, 1fr)); gap: 10px 20px; }
dt { color: var(--faint); font-size: 12px; }
dd { font-size: 14px; line-height: 1.4; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
pre { margin-top: 16px; padding: 12px 14px; background: var(--tint); border-radius: 8px; overflow-x: auto;
  font: 12.5px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { font: 11.5px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
p.none { color: var(--faint); padding: 40px 0; text-align: center; }
"""

_TABLES = """
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 5px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
tbody:last-child tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: 12px; vertical-align: bottom; }
thead th i { font-style: normal; color: var(--faint); }
th:first-child { text-align: left; }
tbody th { font-weight: 550; }
tbody th small { display: block; color: var(--faint); font-weight: 400; font-size: 11px; line-height: 1.35; }
th > span { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; }
.results tbody th, .paired tbody th:first-child, .evaluated tbody th { white-space: normal; min-width: 112px;
  max-width: 230px; overflow-wrap: anywhere; }
.results tbody th { padding-right: 10px; }
.results th:first-child, .paired th:first-child { position: sticky; left: 0; background: var(--sheet); z-index: 1; }
.results thead tr + tr th { white-space: normal; position: static; }
.results .group { text-align: left; font-size: 13px; font-weight: 600; color: var(--ink); border-bottom: 0;
  padding-left: 11px; position: static; white-space: normal; }
.results .group small { color: var(--faint); font-weight: 400; margin-left: 7px; font-size: 11.5px; }
.results .first { border-left: 1px solid var(--rule); padding-left: 11px; }
.results thead tr + tr th:first-child { text-align: right; }
.results tbody tr:not(.apart):hover > * { background: var(--tint); }
.published tr > * { background: var(--apart); color: var(--soft); font-weight: 400; border-bottom-color: transparent; }
.published tr > th:first-child { background: var(--apart); }
.published .apart th { color: var(--faint); font-size: 12px; padding-top: 9px; max-width: none;
  border-top: 2px solid var(--rule); position: static; }
.published .apart span { position: sticky; left: 5px; display: inline; }
td small { display: block; font-size: 10.5px; line-height: 1.35; color: var(--faint); font-weight: 400;
  letter-spacing: -0.02em; }
td.best { font-weight: 700; }
td.none, span.none { color: var(--faint); }
.condition::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%;
  margin-right: 7px; background: var(--faint); }
.condition.day-clear::before { background: var(--day); }
.condition.night-clear::before, .condition.night::before { background: var(--night); }
.condition.day-rain::before { background: var(--rain); }
.condition.night-rain::before { background: linear-gradient(90deg, var(--night) 50%, var(--rain) 50%); }
.paired th:nth-child(2), .gaps th:nth-child(2) { text-align: left; }
.paired tbody tr > *, .gaps tbody tr > * { border-bottom: 0; padding-top: 4px; padding-bottom: 4px; }
.paired tbody tr.start > *, .gaps tbody tr.start > * { border-top: 1px solid var(--rule); padding-top: 8px; }
thead th small { font-size: 11px; color: var(--faint); margin-left: 4px; }
.paired em { font-style: normal; font-size: 11.5px; }
.paired .better { color: var(--good); font-weight: 600; } .paired .worse { color: var(--bad); font-weight: 600; }
.gaps tbody tr > * { vertical-align: middle; }
.gaps .wide { width: 26%; min-width: 120px; }
.evaluated { margin-bottom: 18px; } .evaluated th, .evaluated td { text-align: left; }
.evaluated td { white-space: normal; overflow-wrap: anywhere; min-width: 90px; }
.evaluated th:last-child, .evaluated td:last-child { text-align: right; }
"""

_WIDTHS = """
@media (max-width: 700px) { main { padding: 22px 12px 40px; } section { padding: 16px 14px; } h1 { font-size: 24px; }
  dl { grid-template-columns: repeat(auto-fill, minmax(130px, 1fr)); } }
@page { size: A4 landscape; margin: 10mm; }
@media print { body { background: none; font-size: 12px; } main { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav { display: none; } section { border: 0; padding: 0; margin-top: 20px; }
  .scroll { overflow: visible; } table { font-size: 10.5px; } th, td { padding: 4px 3px; }
  tr, figure, .card, .results { break-inside: avoid; } h2, h3 { break-after: avoid; }
  .plots { grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); }
  .gallery .set { display: grid; grid-template-columns: subgrid; grid-column: 1 / -1; gap: 3px; break-inside: avoid; } }
"""

STYLE = _PAGE + _TABLES + PICTURES + _WIDTHS
