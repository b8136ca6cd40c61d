"""The rules that no linter knows: who may import whom, sizes, docstrings and types, and what runs foreign code."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_FILE_LINES = 260
MAX_FUNCTION_LINES = 60

# layer -> the layers of ude that it may import, besides itself
LAYERS = {
    "config": set(),
    "files": set(),
    "geometry": set(),
    "data": {"geometry", "files"},
    "models": {"geometry", "files"},
    "losses": {"geometry"},
    "translation": {"data", "models", "files"},
    "evaluation": {"data", "files"},
    "engine": {"data", "models", "losses", "evaluation", "geometry", "files"},
}
LAYERS["build"] = {*LAYERS}
LAYERS["tools"] = {*LAYERS}
LAYERS["sample_world"] = {"files"}

# layer -> packages of others that it must do without
FORBIDDEN = {
    "config": {"torch", "numpy", "lightning"},
    "files": {"transformers", "diffusers", "lightning"},
    "sample_world": {"torch", "diffusers"},
    **{layer: {"yacs"} for layer in ("geometry", "data", "models", "losses", "translation", "evaluation", "engine")},
}

SOURCES = sorted([*(ROOT / "ude").rglob("*.py"), *(ROOT / "tools").rglob("*.py")])
TOOLS = sorted((ROOT / "tools").glob("*.py"))
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def layer_of(path: Path) -> str:
    package, *rest = path.relative_to(ROOT).with_suffix("").parts
    if package == "tools":
        return "sample_world" if rest[0] == "sample_world" else "tools"
    return rest[0]


def imports(path: Path) -> Iterator[str]:
    """Full names of all modules that a file imports, relative ones resolved, wherever the import stands."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            if module == "ude":
                yield from (f"ude.{alias.name}" for alias in node.names)


def imported_layers(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("ude.")}


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """The functions and methods of a file, without those inside of functions, with their dotted names."""
    scopes: list[tuple[str, ast.AST]] = [("", tree(path))]
    while scopes:
        prefix, scope = scopes.pop()
        for node in ast.iter_child_nodes(scope):
            if isinstance(node, ast.ClassDef):
                scopes.append((f"{prefix}{node.name}.", node))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{prefix}{node.name}", node


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """The calls of a file with the dotted name of what is called."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_the_sources_are_found():
    assert len(SOURCES) > 30
    assert {layer_of(path) for path in SOURCES} - {"__init__"} <= set(LAYERS)


@each_source
def test_a_file_imports_only_the_layers_below_its_own(path):
    layer = layer_of(path)
    if path == ROOT / "ude/__init__.py":
        assert not imported_layers(path)  # lazy: imports go through import_module
        return
    assert imported_layers(path) <= LAYERS[layer] | {layer}
    assert not {name.split(".")[0] for name in imports(path)} & FORBIDDEN.get(layer, set())


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.name)
def test_a_tool_imports_no_other_tool_except_the_demo(path):
    own_parts = {f"{path.stem}_cases"}
    others = ({tool.stem for tool in TOOLS} | {"sample_world", "benchmark_cases", "tools"}) - {path.stem} - own_parts
    imported = {name.split(".")[0] for name in imports(path)} & others
    assert not imported or path.stem.startswith("demo"), imported


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.name)
def test_a_tool_runs_one_function_of_one_layer(path):
    layers = imported_layers(path) - {"config", "build", "files"}
    assert len(layers) <= 1 or path.stem.startswith("demo"), layers


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.name)
def test_a_tool_has_a_parser_and_a_main_that_returns_its_exit_code(path):
    signatures = {name: ast.unparse(node.args) for name, node in functions(path)}
    if not any("__main__" in ast.unparse(node) for node in tree(path).body if isinstance(node, ast.If)):
        return  # a part of a tool
    assert signatures.get("build_parser") == ""
    assert signatures.get("main", "").startswith("argv:")
    assert signatures["main"].endswith("=None")


def test_only_build_and_tools_read_the_config():
    readers = {layer_of(path) for path in SOURCES if "config" in imported_layers(path)}
    assert readers <= {"build", "tools", "config", "__init__"}


@each_source
def test_a_file_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@each_source
def test_functions_are_short(path):
    lengths = {name: node.end_lineno - node.lineno + 1 for name, node in functions(path)}
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def public(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for name, node in functions(path):
        if not any(part.startswith("_") for part in name.split(".")):
            yield name, node


@each_source
def test_every_module_class_and_public_function_has_a_docstring(path):
    classes = [(node.name, node) for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    named = [("module", tree(path)), *((n, c) for n, c in classes if not n.startswith("_")), *public(path)]
    assert [name for name, node in named if not ast.get_docstring(node)] == []


@each_source
def test_every_public_function_is_fully_typed(path):
    untyped = []
    for name, node in functions(path):
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        arguments = [argument for argument in every if argument is not None and argument.arg not in ("self", "cls")]
        if not name.split(".")[-1].startswith("_") or name.endswith(".__init__"):
            untyped += [f"{name}: {argument.arg}" for argument in arguments if argument.annotation is None]
            untyped += [f"{name}: returns"] if node.returns is None and not name.endswith(".__init__") else []
    assert untyped == []


# --- nothing that runs foreign code (fault F21)

RUNS_CODE = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.jit.load",
    "torch.hub.load",
    "yaml.load",
    "yaml.full_load",
    "yaml.unsafe_load",
    "yaml.load_all",
    "joblib.load",
    "pd.read_pickle",
}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
DANGEROUS = {"allow_pickle": True, "shell": True, "trust_remote_code": True, "weights_only": False}


def allowed(path: Path, name: str) -> bool:
    return name == "torch.load" and path == ROOT / "ude/files/checkpoints.py"


@each_source
def test_nothing_runs_code_from_a_file(path):
    found = [name for name, _ in calls(path) if name in RUNS_CODE and not allowed(path, name)]
    found += [name for name in imports(path) if name.split(".")[0] in PICKLES]
    for name, node in calls(path):
        arguments = {keyword.arg: getattr(keyword.value, "value", None) for keyword in node.keywords}
        found += [f"{name}({key})" for key, value in DANGEROUS.items() if key in arguments and arguments[key] == value]
    assert found == []


def test_checkpoints_are_only_ever_read_as_weights():
    loads = [node for name, node in calls(ROOT / "ude/files/checkpoints.py") if name == "torch.load"]
    assert loads
    for node in loads:
        assert {"weights_only": True}.items() <= {k.arg: getattr(k.value, "value", None) for k in node.keywords}.items()


@each_source
def test_truncated_images_are_never_let_through(path):
    assert "LOAD_TRUNCATED_IMAGES" not in path.read_text(encoding="utf-8")


@each_source
def test_only_the_files_package_writes_results_and_reads_weights(path):
    if layer_of(path) in ("files", "sample_world", "tools"):
        return
    writers = {"torch.save", "np.save", "np.savez", "np.savez_compressed", "json.dump", "pickle.dump"}
    found = [name for name, _ in calls(path) if name in writers or name.split("(")[0] in ("load_file", "save_file")]
    found += [name for name, _ in calls(path) if name.endswith((".write_text", ".write_bytes"))]
    assert found == []


# --- these tests can fail


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("import yaml\nyaml.load('x', Loader=None)", test_nothing_runs_code_from_a_file),
        ("import torch\ntorch.load('x', weights_only=True)", test_nothing_runs_code_from_a_file),
        ("import numpy as np\nnp.load('x', allow_pickle=True)", test_nothing_runs_code_from_a_file),
        ("from pickle import loads", test_nothing_runs_code_from_a_file),
        ("import torch\ntorch.save({}, 'x')", test_only_the_files_package_writes_results_and_reads_weights),
        ("from ude.losses import x", test_a_file_imports_only_the_layers_below_its_own),
        ("from ..losses import x", test_a_file_imports_only_the_layers_below_its_own),
        ("def f():\n    from ude import build", test_a_file_imports_only_the_layers_below_its_own),
        ("def f(x) -> None: ...", test_every_public_function_is_fully_typed),
        ("class A:\n    def f(self, x: int): ...", test_every_public_function_is_fully_typed),
        ("def f(x: int) -> None: ...", test_every_module_class_and_public_function_has_a_docstring),
        ("def f() -> None:\n" + "    x = 1\n" * 60, test_functions_are_short),
        ("\n" * 261, test_a_file_is_short),
    ],
)
def test_each_rule_sees_a_breach(code, test, tmp_path, monkeypatch):
    path = tmp_path / "ude" / "data" / "x.py"
    path.parent.mkdir(parents=True)
    path.write_text(code)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    with pytest.raises(AssertionError):
        test(path)
