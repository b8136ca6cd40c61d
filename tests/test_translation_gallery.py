"""The gallery of a translation run: what it shows, what it counts, and that no name can break it."""

import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from browser import needs_browser, probe
from PIL import Image

from ude.files import write_image
from ude.translation.gallery import shown_rows, write_gallery

HOSTILE = "<script>document.title='broken'</script>\"'&"
NAMES = [
    "plain",
    "a \"b\" 'c' <script>alert(1)",
    "50% #1 ?q=1&r=2;",
    "Straße 夜 ü",
    "folder/frame",
    "javascript:alert(1)",
]


def row(frame_id: str, condition: str = "night", *, reason: str = "", **values: object) -> dict:
    return {
        "frame_id": frame_id,
        "condition": condition,
        "seed": 7,
        "attempt": 0,
        "prompt": "At night, a street",
        "caption": "a street",
        "reference": f"{condition}/1.jpg",
        "source_sha256": "0123456789abcdef" * 4,
        "size": [36, 64],
        "verdict": "rejected" if reason else "accepted",
        "reason": reason,
        "figures": {"structure": 0.4321, "luminance": 0.2},
        **values,
    }


def place(output: Path, rows: list[dict]) -> None:
    """The files of a run."""
    picture = np.full((36, 64, 3), 90, np.uint8)
    for item in rows:
        frame_id, condition = item["frame_id"], item["condition"]
        folder = f"rejected/{condition}" if item["verdict"] == "rejected" else condition
        for path in (
            f"{folder}/{frame_id}.jpg",
            f"thumbnails/sources/{frame_id}.jpg",
            f"thumbnails/references/{item['reference']}",
        ):
            write_image(output / path, picture)
        control = output / f"control/{frame_id}.png"
        control.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((36, 64), 40_000, np.uint16)).save(control)


class Links(HTMLParser):
    """The addresses on a page, and every tag and attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.links += [value or "" for name, value in attributes if name in ("href", "src")]


def parsed(page: Path) -> Links:
    parser = Links()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


def text_of(page: Path) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8")))


def test_every_link_leads_to_its_file_whatever_its_name(tmp_path):
    rows = [row(name, condition) for name in NAMES for condition in ("night", "rain")]
    rows += [row(f"{name}.bad", reason="noise") for name in NAMES]
    place(tmp_path, rows)
    links = parsed(write_gallery(tmp_path, rows, title="Run")).links
    found = set()
    for link in links:
        address = urlsplit(link)
        assert (address.scheme, address.netloc, address.query, address.fragment) == ("", "", "", "")
        assert (tmp_path / unquote(address.path)).is_file(), link
        found.add(unquote(address.path))
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == files - {"index.html"}


@needs_browser
def test_a_browser_loads_every_picture_and_runs_nothing(tmp_path):
    rows = [row(name, prompt=HOSTILE, caption=HOSTILE, reason="") for name in NAMES]
    place(tmp_path, rows)
    page = write_gallery(tmp_path, rows, title=HOSTILE)
    text = page.read_text(encoding="utf-8").replace(' loading="lazy"', "")
    [[found]], messages = probe([text], [1200], folder=tmp_path)
    assert messages == []
    assert found["title"] == HOSTILE
    assert found["scripts"] == 0
    assert found["drawn"] == found["images"] == 4 * len(NAMES)  # day frame, control, result, reference


def test_nothing_on_the_page_can_run_or_come_from_elsewhere(tmp_path):
    values = {"prompt": HOSTILE, "caption": HOSTILE, "reference": f"{HOSTILE}.jpg"}
    rows = [row(HOSTILE, HOSTILE, **values), row(HOSTILE, HOSTILE, **{**values, "reason": HOSTILE})]
    place(tmp_path, rows)
    page = write_gallery(tmp_path, rows, title=HOSTILE)
    found = parsed(page)
    assert len(found.links) == 16
    assert found.tags.isdisjoint({"script", "iframe", "object", "link", "base", "form"})
    assert not [name for name in found.attributes if name.startswith("on")]
    assert "default-src 'none'" in page.read_text(encoding="utf-8")
    assert text_of(page).count("<script>") > 8


def test_a_name_that_leads_out_of_the_folder_is_shown_but_not_linked(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"x")
    output = tmp_path / "output"
    rows = [row("../../secret", reference="../../secret.jpg")]
    page = write_gallery(output, rows, title="Run")
    assert parsed(page).links == []
    assert "../../secret" in text_of(page)


def test_prompt_seed_hash_figures_and_verdict_are_shown(tmp_path):
    rows = [row("a", attempt=1), row("b", "rain", reason="wrong condition: sky_luminance", caption="a car")]
    place(tmp_path, rows)
    text = text_of(write_gallery(tmp_path, rows, title="My run"))
    for expected in (
        "My run",
        "2 images of 2 frames. 1 of them (50.0%) are in quarantine.",
        "At night, a street",
        "a car",
        "structure 0.43",
        "0123456789ab",
        "0.4321",
        "reference night/1.jpg",
        "Quarantine",
        "wrong condition: sky_luminance (1)",
    ):
        assert expected in text, expected


def test_pass_rates_and_reasons_are_counted_per_condition(tmp_path):
    rows = [row(f"{i}", reason="noise" if i % 4 == 0 else "", attempt=i % 4 // 3) for i in range(40)]
    rows += [row(f"{i}", "rain") for i in range(10)]
    page = write_gallery(tmp_path, rows, title="Run").read_text(encoding="utf-8")
    lines = re.findall(r"<tr><th>.*?</tr>", page.split("<tbody>")[1])
    assert len(lines) == 2
    assert [re.findall(r"[\d.]+%|\(\d+\)", re.sub(r"width:[\d.]+%", "", line)) for line in lines] == [
        ["75.0%", "50.0%", "(10)"],
        ["100.0%", "100.0%"],
    ]


def test_a_large_run_shows_evenly_spaced_frames_of_every_condition(tmp_path):
    rows = [row(f"{i:04}", condition) for i in range(1000) for condition in ("night", "rain")]
    rows += [row(f"{i:04}", "snow") for i in range(30)]
    rows += [row(f"{i:04}", "fog", reason="noise") for i in range(500)]
    shown = shown_rows(rows, frames=10, rejected=20)
    assert [item for item in rows if item in shown] == shown
    counts = {name: sum(item["condition"] == name for item in shown) for name in ("night", "rain", "snow", "fog")}
    assert counts["fog"] == 20
    assert counts["snow"] >= 10
    assert 10 <= counts["night"] == counts["rain"] <= 20
    assert max(int(item["frame_id"]) for item in shown if item["condition"] == "fog") > 450
    text = text_of(write_gallery(tmp_path, rows, title="Run", frames=10, rejected=20))
    assert "20 of 500 rejected images" in text


def test_all_frames_of_a_small_run_are_shown(tmp_path):
    rows = [row(f"{i}", condition) for i in range(24) for condition in ("night", "rain")]
    assert shown_rows(rows) == rows
    assert shown_rows([]) == []


def test_conditions_can_be_compared_although_some_results_are_in_quarantine():
    rows = [
        row(f"{i:03}", condition, reason="noise" if (i + len(condition)) % 3 == 0 else "")
        for i in range(300)
        for condition in ("night", "rain")
    ]
    kept = [item for item in shown_rows(rows, frames=12) if item["verdict"] == "accepted"]
    assert len(kept) == 24
    assert len({item["frame_id"] for item in kept}) == 12


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = [row(name, condition) for name in NAMES for condition in ("night", "rain")]
    pages = []
    for name in ("one", "two"):
        place(tmp_path / name, rows)
        pages.append(write_gallery(tmp_path / name, rows, title="Run").read_bytes())
    assert pages[0] == pages[1]


def test_missing_files_leave_empty_fields_and_missing_values_no_trace(tmp_path):
    bare = {"frame_id": "a", "condition": "night", "verdict": "rejected", "figures": {"structure": None}}
    page = write_gallery(tmp_path, [row("b"), bare], title="Run").read_text(encoding="utf-8")
    assert page.count('class="none"') == 6
    assert not re.search(r">\s*(nan|None)\s*<", page)
    assert "No image has been translated yet" in text_of(write_gallery(tmp_path, [], title="Run"))


@needs_browser
@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
def test_the_page_has_its_ground_and_fits_at_every_width(tmp_path, light):
    rows = [row(f"{'long' * 30}{i}", condition) for i in range(3) for condition in ("night", "rain", "snow")]
    place(tmp_path, rows)
    page, widths = write_gallery(tmp_path, rows, title="Run").read_text(encoding="utf-8"), [600, 1000, 1400]
    [found], _ = probe([page], widths, folder=tmp_path, light=light)
    for width, value in zip(widths, found, strict=True):
        assert value["width"] == width
        assert value["scroll"] <= width
        assert value["outside"] == []
        red, green, blue = map(int, re.findall(r"\d+", value["ground"]))
        assert min(red, green, blue) > 200 if light else max(red, green, blue) < 60
