"""The style sheet of a report: light and dark, aligned numbers, tables that scroll inside the page."""

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --sheet: #ffffff; --ink: #1a1d24; --soft: #5d6472; --faint: #8b92a0; --rule: #e3e6ec;
  --tint: #f2f4f8;
  --accent: #3b5bdb; --day: #e8a33d; --night: #5b5bd6; --rain: #2f9db0;
  --c0: #3b5bdb; --c1: #e8683d; --c2: #2f9e73; --c3: #a855c7; --c4: #c98a14; --c5: #2f9db0; }
@media (prefers-color-scheme: dark) { :root {
  --page: #101218; --sheet: #181b23; --ink: #e8eaf0; --soft: #a4abba; --faint: #7b8292; --rule: #2b303c;
  --tint: #20242e;
  --accent: #8ea4ff; --day: #f2bd6b; --night: #9b9bff; --rain: #63c5d6;
  --c0: #8ea4ff; --c1: #ff9a76; --c2: #63cfa3; --c3: #d593f0; --c4: #e6b450; --c5: #63c5d6; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--ink); overflow-wrap: break-word; -webkit-text-size-adjust: 100%;
  font: 15px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1280px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 32px; line-height: 1.2; letter-spacing: -0.02em; font-weight: 700; text-wrap: balance; }
h2 { font-size: 20px; letter-spacing: -0.01em; font-weight: 650; margin-bottom: 14px; }
h3 { font-size: 15px; font-weight: 600; margin: 26px 0 8px; }
.text { max-width: 46em; margin-top: 12px; color: var(--soft); font-size: 16px; }
.text p + p { margin-top: 8px; }
section { background: var(--sheet); border: 1px solid var(--rule); border-radius: 12px; padding: 22px 24px;
  margin-top: 22px; }
.hint { color: var(--faint); font-size: 12.5px; margin-top: 12px; max-width: 76em; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; margin-top: 24px; }
.card { background: var(--sheet); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 18px; }
.card span, .card small { display: block; color: var(--soft); font-size: 13px; }
.card b { display: block; font-size: 28px; line-height: 1.3; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 5px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: 11.5px; vertical-align: bottom; }
thead th i { font-style: normal; color: var(--faint); }
th:first-child { text-align: left; }
tbody th { font-weight: 550; }
.results thead tr:first-child th:first-child, .results tbody th { position: sticky; left: 0;
  background: var(--sheet); z-index: 1; }
.results thead tr + tr th, .results tbody th { white-space: normal; }
.results tbody th { min-width: 112px; overflow-wrap: break-word; }
.results .group { text-align: left; font-size: 13px; font-weight: 600; color: var(--ink); border-bottom: 0;
  padding-left: 11px; }
.results .group small { color: var(--faint); font-weight: 400; margin-left: 7px; font-size: 11.5px; }
.results .first { border-left: 1px solid var(--rule); padding-left: 11px; }
.results thead tr + tr th:first-child { text-align: right; }
.results tbody tr:hover > * { background: var(--tint); }
td small { display: block; font-size: 10px; line-height: 1.35; color: var(--faint); font-weight: 400;
  letter-spacing: -0.02em; }
td.best { font-weight: 700; }
td.none { color: var(--faint); }
.condition::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%;
  margin-right: 7px;
  background: var(--faint); }
.condition.day-clear::before { background: var(--day); }
.condition.night-clear::before, .condition.night::before { background: var(--night); }
.condition.day-rain::before { background: var(--rain); }
.condition.night-rain::before { background: linear-gradient(90deg, var(--night) 50%, var(--rain) 50%); }
.gaps th:nth-child(2) { text-align: left; }
.gaps tbody tr > * { border-bottom: 0; vertical-align: middle; padding-top: 3px; padding-bottom: 3px; }
.gaps tbody tr.start > * { border-top: 1px solid var(--rule); padding-top: 8px; }
.gaps tbody tr.start:first-child > * { border-top: 0; }
.gaps .wide { width: 26%; min-width: 120px; }
.share { position: relative; height: 9px; border-radius: 4px; background: var(--tint); overflow: hidden; }
.share i { display: block; height: 100%; border-radius: 4px; background: var(--accent); }
.share b { position: absolute; top: 4px; height: 1.5px; background: var(--ink); }
.scales { display: flex; flex-wrap: wrap; gap: 14px 44px; }
.scale { flex: 1 1 240px; max-width: 420px; font-size: 11.5px; color: var(--soft); padding-right: 16px; }
.scale b { font-weight: 600; font-size: 12.5px; }
.scale .bar { height: 11px; border-radius: 3px; margin: 4px 0 2px; }
.scale .ticks { position: relative; height: 17px; font-variant-numeric: tabular-nums; }
.scale .ticks span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.scale .ticks span:first-child { transform: none; }
.gallery { display: grid; grid-template-columns: repeat(var(--columns), minmax(132px, 1fr)); gap: 4px;
  min-width: min-content; }
.gallery .head { color: var(--soft); font-size: 12px; padding-bottom: 1px; }
.gallery .frame { grid-column: 1 / -1; color: var(--faint); margin-top: 3px; overflow-wrap: anywhere;
  font: 11px/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.picture { min-width: 0; cursor: zoom-in; outline-offset: 1px; }
.picture img { display: block; width: 100%; height: auto; border-radius: 4px; }
.picture figcaption { font-size: 11.5px; color: var(--soft); font-variant-numeric: tabular-nums; }
.picture .none { aspect-ratio: 16 / 9; display: grid; place-items: center; background: var(--tint);
  border-radius: 4px;
  color: var(--faint); font-size: 12px; cursor: default; }
.picture:focus { outline: none; }
body:has(.picture:focus) { cursor: zoom-out; } body:has(.picture:focus) .picture { pointer-events: none; }
.picture:focus img { position: fixed; inset: 0; margin: auto; width: min(96vw, 1280px); max-height: 96vh;
  object-fit: contain;
  z-index: 9; box-shadow: 0 0 0 100vmax rgb(0 0 0 / 0.75); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 22px 28px; }
.chart figcaption { font-weight: 600; font-size: 13.5px; }
.chart svg { display: block; width: 100%; height: auto; }
.chart text { font-size: 11.5px; fill: var(--soft); font-variant-numeric: tabular-nums; }
.chart .end { text-anchor: end; } .chart .mid { text-anchor: middle; } .chart .name { fill: var(--faint); }
.chart .grid { stroke: var(--rule); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; } .band { opacity: 0.14; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); } .line.c4 { stroke: var(--c4); } .line.c5 { stroke: var(--c5); }
.band.c0, .dot.c0 { fill: var(--c0); } .band.c1, .dot.c1 { fill: var(--c1); } .band.c2, .dot.c2 { fill: var(--c2); }
.band.c3, .dot.c3 { fill: var(--c3); } .band.c4, .dot.c4 { fill: var(--c4); } .band.c5, .dot.c5 { fill: var(--c5); }
.key.c0 { background: var(--c0); } .key.c1 { background: var(--c1); } .key.c2 { background: var(--c2); }
.key.c3 { background: var(--c3); } .key.c4 { background: var(--c4); } .key.c5 { background: var(--c5); }
.legend { display: flex; flex-wrap: wrap; gap: 3px 16px; font-size: 12.5px; color: var(--soft); }
.key { display: inline-block; width: 12px; height: 3px; border-radius: 2px; margin-right: 6px;
  vertical-align: middle; }
p.none { color: var(--faint); padding: 40px 0; text-align: center; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px 24px; }
dt { color: var(--faint); font-size: 12px; } dd { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
pre { margin-top: 16px; padding: 12px 14px; background: var(--tint); border-radius: 8px; overflow-x: auto;
  font: 12.5px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
@media (max-width: 700px) { main { padding: 22px 12px 40px; } section { padding: 16px 14px; } h1 { font-size: 25px;
  } }
@media print { body { background: none; } section { break-inside: avoid; } }
"""
