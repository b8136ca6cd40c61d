"""The style sheet of the gallery: light and dark, pictures that share the width, tables that scroll in the page."""

STYLE = """
:root { color-scheme: light dark;
  --page: #f6f7f9; --sheet: #ffffff; --ink: #1a1d24; --soft: #5d6472; --faint: #7d8493; --rule: #e3e6ec;
  --tint: #f2f4f8; --accent: #3b5bdb; --bad: #c92a2a; --bad-tint: #fff0f0;
  --night: #5b5bd6; --rain: #2f9db0; --snow: #7a93b8; --fog: #98a2ae; }
@media (prefers-color-scheme: dark) { :root {
  --page: #101218; --sheet: #181b23; --ink: #e8eaf0; --soft: #a4abba; --faint: #858c9c; --rule: #2b303c;
  --tint: #20242e; --accent: #8ea4ff; --bad: #ff8787; --bad-tint: #35191d;
  --night: #9b9bff; --rain: #63c5d6; --snow: #c4d6f2; --fog: #aab4c0; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--page); color: var(--ink); overflow-wrap: break-word; -webkit-text-size-adjust: 100%;
  font: 15px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1400px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 32px; line-height: 1.2; letter-spacing: -0.02em; font-weight: 700; text-wrap: balance; }
h2 { font-size: 20px; letter-spacing: -0.01em; font-weight: 650; }
.text { max-width: 46em; margin-top: 12px; color: var(--soft); font-size: 16px; }
section { background: var(--sheet); border: 1px solid var(--rule); border-radius: 12px; padding: 22px 24px;
  margin-top: 22px; }
.hint { color: var(--faint); font-size: 12.5px; margin-top: 8px; max-width: 76em; }
.scroll { overflow-x: auto; margin-top: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 8px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--soft); font-weight: 500; font-size: 11.5px; vertical-align: bottom; }
tbody th { font-weight: 550; } th:first-child, th:last-child, td:last-child { text-align: left; }
th:first-child { padding-left: 0; } th.left { text-align: left; }
td:last-child { white-space: normal; min-width: 200px; color: var(--soft); }
.share { display: inline-block; width: 90px; height: 8px; margin-left: 9px; border-radius: 4px;
  background: var(--tint); overflow: hidden; }
.share i { display: block; height: 100%; border-radius: 4px; background: var(--accent); }
.condition::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%;
  margin-right: 7px; background: var(--accent); }
.condition.night::before { background: var(--night); } .condition.rain::before { background: var(--rain); }
.condition.night_rain::before { background: linear-gradient(90deg, var(--night) 50%, var(--rain) 50%); }
.condition.snow::before { background: var(--snow); } .condition.fog::before { background: var(--fog); }
article { border-top: 1px solid var(--rule); margin-top: 18px; padding-top: 14px; }
h3 { color: var(--soft); overflow-wrap: anywhere;
  font: 12px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.caption { font-size: 13.5px; color: var(--soft); }
.caption::before { content: open-quote; } .caption::after { content: close-quote; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)); gap: 14px;
  margin-top: 9px; align-items: start; }
figure { min-width: 0; } figure > a { display: block; border-radius: 6px; overflow: hidden; background: var(--tint); }
figure > a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
figure img { display: block; width: 100%; height: auto; }
.none { display: grid; place-items: center; background: var(--tint); border-radius: 6px; color: var(--faint);
  font-size: 12px; }
figcaption { font-size: 12.5px; margin-top: 5px; color: var(--soft); }
figcaption b { font-weight: 600; color: var(--ink); }
.name { display: flex; justify-content: space-between; gap: 8px; font-variant-numeric: tabular-nums; }
.prompt { line-height: 1.4; margin-top: 2px; overflow-wrap: anywhere; }
.reason { display: inline-block; margin-top: 3px; padding: 0 7px; border-radius: 5px; color: var(--bad);
  background: var(--bad-tint); font-weight: 550; }
.reference { display: flex; align-items: center; gap: 8px; margin-top: 6px; color: var(--soft); font-size: 12px;
  overflow-wrap: anywhere; text-decoration: none; }
.reference img { width: 64px; flex: none; border-radius: 4px; }
details { margin-top: 4px; } summary { cursor: pointer; color: var(--faint); font-size: 12px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 1px 12px; margin-top: 4px; font-size: 12px; }
dt { color: var(--faint); } dd { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
@media (max-width: 700px) { main { padding: 22px 12px 40px; } section { padding: 16px 14px; } h1 { font-size: 25px; }
  .pictures { grid-template-columns: repeat(auto-fill, minmax(min(100%, 200px), 1fr)); }
  .share { display: none; } th, td { padding: 7px 5px; } td:last-child { min-width: 150px; } }
@media print { body { background: none; } article { break-inside: avoid; } }
"""
