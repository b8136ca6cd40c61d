"""The part of a report's style sheet that is about plots and pictures."""

from .parts import COLORS

_COLORED = "".join(
    f".line.c{i} {{ stroke: var(--c{i}); }} .band.c{i}, .dot.c{i} {{ fill: var(--c{i}); }} "
    f".key.c{i}, .fill.c{i} {{ background: var(--c{i}); }}\n"
    for i in range(COLORS)
)

PICTURES = f"""
.plots {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 264px), 1fr)); gap: 18px 26px; }}
.plots figcaption {{ font-size: 12.5px; color: var(--soft); margin-bottom: 4px; overflow-wrap: anywhere; }}
.bars, .chart {{ min-width: 0; }}
.bars {{ display: grid; grid-template-columns: min(42%, var(--name)) minmax(0, 1fr) var(--value); gap: 3px 8px;
  align-items: center; align-content: start; font-size: 12.5px; line-height: 1.45;
  font-variant-numeric: tabular-nums; }}
.bars figcaption {{ grid-column: 1 / -1; }} .bar-row {{ display: contents; }}
.bar-row .name {{ overflow: hidden; text-overflow: ellipsis; white-space: nowrap; color: var(--soft); }}
.bar-row > :last-child {{ text-align: right; }}
.track {{ position: relative; height: 11px; border-radius: 2px; background: var(--share); overflow: hidden; }}
.track i {{ display: block; height: 100%; background: var(--accent); opacity: 0.82; }}
.track b {{ position: absolute; top: 50%; height: 5px; margin-top: -2.5px; border: solid var(--ink);
  border-width: 0 1.5px;
  background: linear-gradient(var(--ink), var(--ink)) center / 100% 1.5px no-repeat; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 480px)); gap: 22px 28px; }}
.chart figcaption {{ font-weight: 600; }}
.chart svg {{ display: block; width: 100%; height: auto; }}
.chart text {{ font-size: 12px; fill: var(--soft); font-variant-numeric: tabular-nums; }}
.chart .end {{ text-anchor: end; }} .chart .mid {{ text-anchor: middle; }} .chart .name {{ fill: var(--faint); }}
.chart .grid {{ stroke: var(--rule); }} .chart .share-of {{ fill: var(--share); }}
.line {{ fill: none; stroke-width: 1.8; stroke-linejoin: round; }} .band {{ opacity: 0.14; }}
{_COLORED}
.legend {{ display: flex; flex-wrap: wrap; gap: 3px 18px; font-size: 12.5px; color: var(--soft); min-width: 0; }}
.legend span {{ min-width: 0; overflow-wrap: anywhere; }}
.key {{ display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin-right: 7px;
  vertical-align: -1px; }}
.scales {{ display: flex; flex-wrap: wrap; gap: 14px 44px; }}
.scale {{ flex: 1 1 240px; max-width: 460px; font-size: 11.5px; color: var(--soft); padding-right: 20px; }}
.scale b {{ font-weight: 600; font-size: 12.5px; }}
.scale .bar {{ height: 11px; border-radius: 3px; margin: 4px 0 2px; }}
.scale .ticks {{ position: relative; height: 17px; font-variant-numeric: tabular-nums; }}
.scale .ticks span {{ position: absolute; transform: translateX(-50%); white-space: nowrap; }}
.scale .ticks span:first-child {{ transform: none; }}
.gallery {{ display: grid; grid-template-columns: repeat(var(--columns), minmax(116px, 1fr)); gap: 3px;
  min-width: min-content; max-width: calc(var(--columns) * 430px); }}
.gallery .head {{ color: var(--soft); font-size: 12.5px; font-weight: 600; min-width: 0; overflow-wrap: anywhere;
  align-self: end; }}
.gallery .head span {{ display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }}
.gallery .frame {{ grid-column: 1 / -1; color: var(--faint); margin-top: 12px; overflow-wrap: anywhere;
  font-size: 12.5px; }}
.gallery .set {{ display: contents; }} .gallery .head + .set .frame {{ margin-top: 2px; }}
.gallery .frame > span {{ position: sticky; left: 0; display: inline-block; max-width: min(100%, 86vw); }}
.gallery .frame b {{ color: var(--ink); font-weight: 600; margin-right: 6px; }}
.picture {{ position: relative; min-width: 0; cursor: zoom-in; }}
.picture img {{ display: block; width: 100%; height: auto; border-radius: 3px; }}
.picture .tag {{ position: absolute; left: 4px; top: 4px; padding: 0 5px; border-radius: 3px; font: 10.5px/1.5 inherit;
  font-style: normal; font-size: 10.5px; line-height: 1.5; color: #fff; background: rgb(0 0 0 / 0.62); }}
.picture figcaption {{ font-size: 11.5px; color: var(--soft); font-variant-numeric: tabular-nums; }}
.picture .none {{ height: 100%; min-height: 56px; display: grid; place-items: center; background: var(--tint);
  border-radius: 3px; color: var(--faint); font-size: 12px; cursor: default; }}
.picture:focus {{ outline: none; }} .picture:focus-visible {{ outline: 2px solid var(--accent); }}
body:has(.picture:focus) {{ cursor: zoom-out; }} body:has(.picture:focus) .picture {{ pointer-events: none; }}
.picture:focus img {{ position: fixed; inset: 0; margin: auto; width: min(96vw, 1280px); max-height: 96vh;
  object-fit: contain; z-index: 9; box-shadow: 0 0 0 100vmax rgb(0 0 0 / 0.75); }}
"""
