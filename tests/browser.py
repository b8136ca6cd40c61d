"""A headless Chromium that tests look at pages with."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from html import escape, unescape
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
# outside of the pages, whose own policy stands: every page in a frame as wide as a window would be, as a window of
# its own is pictured before it has its width where the machine is busy
_PROBE = """<!doctype html><body>%s<script>
addEventListener('load', () => { document.body.dataset.probe = JSON.stringify([...document.querySelectorAll('iframe')]
  .map(frame => { const page = frame.contentDocument, images = [...page.images]; return {
    width: frame.contentWindow.innerWidth, scroll: page.documentElement.scrollWidth, title: page.title,
    ground: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
    images: images.length, drawn: images.filter(i => i.naturalWidth > 0 && i.clientWidth > 20).length,
    text: page.body.innerText, scripts: page.scripts.length,
    tracks: [...new Set([...page.querySelectorAll('.bars .track')]
      .map(e => Math.round(e.getBoundingClientRect().width * 10)))],
    outside: [...page.querySelectorAll('body *')].filter(e => !e.closest('.scroll, pre, svg')
      && e.getBoundingClientRect().right > frame.contentWindow.innerWidth + 1).map(e => e.outerHTML.slice(0, 90))
  } })) })
</script>"""


def browse(*arguments: str, page: Path) -> subprocess.CompletedProcess:
    """What the headless browser prints, and in its stderr the console of the page."""
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr"),
    ]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [BROWSER, *flags, profile, *arguments, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


def console(found: subprocess.CompletedProcess) -> list[str]:
    """Messages of the page's console: errors, and what the policy forbade."""
    return [line for line in found.stderr.splitlines() if "CONSOLE" in line]


def probe(
    pages: Iterable[str], widths: Iterable[int], *, folder: Path, light: bool = False
) -> tuple[list[list[dict]], list[str]]:
    """What the browser finds in every page at every width, and what stands in its console.

    Args:
        pages: HTML; relative addresses in it are relative to the folder.
        widths: widths of the window [px].
        folder: where a page with all of them is written.
        light: whether the user prefers a light page.
    """
    widths = [*widths]
    frames = "".join(
        f'<iframe srcdoc="{escape(page)}" style="width:{width}px;height:900px;border:0"></iframe>'
        for page in pages
        for width in widths
    )
    path = folder / "probe.html"
    path.write_text(_PROBE % frames, encoding="utf-8")
    flags = "--dump-dom", "--window-size=1500,1000", f"--blink-settings=preferredColorScheme={int(light)}"
    found = browse(*flags, page=path)
    values = json.loads(unescape(re.search(r'<body data-probe="([^"]+)"', found.stdout)[1]))
    return [values[first : first + len(widths)] for first in range(0, len(values), len(widths))], console(found)
