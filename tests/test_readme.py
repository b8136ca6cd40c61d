"""What the README and the other texts promise is there: commands parse, configs load, links lead somewhere."""

import importlib.util
import re
import shlex
import subprocess
from argparse import ArgumentParser
from pathlib import Path

import pytest

from ude.config import load_config

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MAX_LINES = 200
TEXT_SUFFIXES = {".py", ".md", ".yaml", ".yml", ".toml", ".cfg", ".cff", ".txt", ".json", ".sh", ".html", ".in", ""}
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:tmp|root|work|farm)/[\w.]")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)|(?:src|href)=\"([^\"]+)\"")


def readme() -> str:
    if not README.is_file():
        pytest.fail("README.md is missing; it is the first thing a user reads")
    return README.read_text(encoding="utf-8")


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("data_splits/*.md"), *ROOT.glob("configs/*.md")])


def commands(text: str) -> list[list[str]]:
    """The words of each `python tools/...` command in fenced blocks, without comments and continued lines joined."""
    found = []
    for _, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if line.removeprefix("$ ").startswith("python tools/"):
                found.append(shlex.split(line.removeprefix("$ "), comments=True)[1:])
    return found


def tool_parser(tool: str) -> ArgumentParser:
    """The parser of a tool, which is a file or a package with __main__."""
    path = ROOT / tool
    path = path / "__main__.py" if path.is_dir() else path
    assert path.is_file(), f"README names {tool}, which does not exist"
    spec = importlib.util.spec_from_file_location(f"readme_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert hasattr(module, "build_parser"), f"{path.relative_to(ROOT)} needs build_parser() -> ArgumentParser"
    return module.build_parser()


def check_command(words: list[str]) -> None:
    """Parses a command as its tool would, and loads the configuration that it names."""
    try:
        arguments = tool_parser(words[0]).parse_intermixed_args(words[1:])
    except SystemExit as error:
        pytest.fail(f"README: python {shlex.join(words)} does not parse (exit {error.code})")
    if getattr(arguments, "cfg", None):
        load_config(ROOT / arguments.cfg, arguments.overrides)


def broken_links(path: Path) -> list[str]:
    targets = [a or b for a, b in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8")))]
    relative = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    return [target for target in relative if not (path.parent / target).exists()]


def missing_headings(path: Path) -> list[str]:
    """Links to headings of the same file that it does not have."""
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return [anchor for anchor in re.findall(r"\]\(#([^)]+)\)", text) if anchor not in anchors]


def tracked_files() -> list[Path]:
    """The files that belong to the project, as git sees them; all but caches where there is no git."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return [path for name in result.stdout.splitlines() if (path := ROOT / name).is_file()]
    folders = ("ude", "tools", "tests", "configs", "data_splits")
    paths = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*.*"))]
    return [path for path in paths if path.is_file()]


def test_the_readme_is_short():
    assert len(readme().splitlines()) <= MAX_LINES


def test_every_command_of_a_document_parses_and_its_config_and_keys_are_valid():
    assert len(commands(readme())) >= 3, "README shows no python tools/... commands in fenced blocks"
    for path in documents():
        for words in commands(path.read_text(encoding="utf-8")):
            check_command(words)


def test_the_readme_shows_every_tool():
    tools = {f"tools/{path.name}" for path in (ROOT / "tools").glob("*.py") if "__main__" in path.read_text()}
    assert {tool for tool in tools if tool not in readme()} == set()


def test_every_config_named_in_a_document_exists_and_loads():
    for path in documents():
        for name in set(re.findall(r"\bconfigs/[\w.-]+\.ya?ml\b", path.read_text(encoding="utf-8"))):
            assert (ROOT / name).is_file(), f"{path.name} names {name}, which does not exist"
            load_config(ROOT / name)


def test_every_relative_link_and_image_exists():
    readme()
    assert {path.name: links for path in documents() if (links := broken_links(path))} == {}


def test_every_link_to_a_heading_has_one():
    assert {path.name: anchors for path in documents() if (anchors := missing_headings(path))} == {}


def test_the_test_command_of_the_readme_is_the_one_of_the_checks():
    shown = re.search(r"^(?:\$ )?(pytest[^#\n]*?) *(?:#.*)?$", readme(), re.MULTILINE)
    assert shown, "README shows no line that starts with pytest"
    assert f"\nstep {shown[1]}\n" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_no_file_names_a_path_of_the_machine_it_was_written_on():
    named = {}
    for path in tracked_files():
        if path.suffix in TEXT_SUFFIXES:
            found = MACHINE_PATH.findall(path.read_text(encoding="utf-8", errors="replace"))
            named |= {str(path.relative_to(ROOT)): found} if found else {}
    assert named == {}


# --- these checks can fail


def test_commands_are_found_across_continued_lines_and_without_comments():
    text = "```bash\npython tools/a.py --cfg x.yaml \\\n    SEED 1  # quick\npytest\n```\npython tools/b.py\n"
    assert commands(text) == [["tools/a.py", "--cfg", "x.yaml", "SEED", "1"]]


@pytest.mark.parametrize(
    "command", ["tools/train.py", "tools/train.py --config", "tools/train.py --cfg configs/nuscenes.yaml --unknown 1"]
)
def test_a_wrong_command_is_noticed(command, capsys):
    with pytest.raises(pytest.fail.Exception, match="does not parse"):
        check_command(shlex.split(command))


@pytest.mark.parametrize(
    "command",
    ["tools/train.py --cfg configs/nothing.yaml", "tools/train.py --cfg configs/nuscenes.yaml SOLVER.EPOCH 3"],
)
def test_a_command_with_a_wrong_config_or_key_is_noticed(command):
    with pytest.raises(ValueError, match=r"there is no such file|did you mean SOLVER\.EPOCHS"):
        check_command(shlex.split(command))


def test_a_command_of_a_tool_that_is_not_there_is_noticed():
    with pytest.raises(AssertionError, match=r"README names tools/nothing\.py, which does not exist"):
        check_command(["tools/nothing.py"])


def test_broken_links_are_noticed(tmp_path):
    (tmp_path / "a.md").write_text("# One\n[x](b.md) ![y](c.png) [z](#one) [w](#two) [v](https://x.org)\n")
    assert broken_links(tmp_path / "a.md") == ["b.md", "c.png"]
    assert missing_headings(tmp_path / "a.md") == ["two"]


def test_machine_paths_are_noticed():
    folder = "work"
    assert MACHINE_PATH.search(f'"/{folder}/main"')
    assert not MACHINE_PATH.search(f"https://example.org/{folder}/page")
