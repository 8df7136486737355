"""Rules of the code, read from the source by ast: imports go downwards only, packages stay small,
no stray secrets."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Lowest first. A package may import the packages of the layers above its own in this list.
LAYERS = (
    ("core",),
    (
        "sources",
        "embedding",
        "clustering",
        "training",
        "coverage",
        "selection",
        "findings",
        "forecasting",
    ),
    ("artifacts",),
    ("curation",),
    ("pipeline",),
    ("evaluation",),
    ("export",),
    ("distributed",),
    ("jobs",),
    ("cli",),
)
LAYER_OF = {package: depth for depth, layer in enumerate(LAYERS) for package in layer}
ENGINE = sorted((ROOT / "coreset_engine").rglob("*.py"))
UI = sorted((ROOT / "ui").rglob("*.py"))
OURS = [*ENGINE, *UI, *sorted((ROOT / "pages").glob("*.py")), ROOT / "app.py"]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path, top_level_only: bool = False) -> frozenset[str]:
    tree = parsed(path)
    names = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "coreset_engine").parts
    return parts[0] if len(parts) > 1 else path.stem


def packages_used(path: Path) -> set[str]:
    used = {name.split(".")[1] for name in imported(path) if name.startswith("coreset_engine.")}
    return used & set(LAYER_OF)


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph() -> dict[str, set[str]]:
    """Module -> modules of ours that it imports anywhere, also inside functions."""
    modules = {module_name(path): path for path in OURS}
    return {name: imported(path) & set(modules) - {name} for name, path in modules.items()}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972)."""
    index = {}
    low = {}
    stack = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for name in graph:
        if name not in index:
            visit(name)
    return found


# One test a rule: its message lists every module that breaks it.
def test_engine_imports_point_downwards():
    wrong = {module_name(path): upward_imports(path) for path in ENGINE}
    assert not {module: names for module, names in wrong.items() if names}


def upward_imports(path: Path) -> set[str]:
    """What a module of the engine imports of the app, its own layer or the layers above."""
    package = package_of(path)
    app = {"streamlit", "ui", "pages", "app"} & {name.split(".")[0] for name in imported(path)}
    if package not in LAYER_OF:
        return app
    depth = LAYER_OF[package]
    return app | {used for used in packages_used(path) - {package} if LAYER_OF[used] >= depth}


def test_no_two_modules_import_each_other_in_a_circle():
    assert circles(import_graph()) == []


def test_a_circle_is_seen():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_only_distributed_knows_ray():
    for path in ENGINE:
        if package_of(path) != "distributed":
            assert "ray" not in {name.split(".")[0] for name in imported(path)}, path


def test_optional_packages_are_imported_where_they_are_used():
    optional = {"fiftyone", "ray", "open_clip", "faiss"}
    wrong = {}
    for path in ENGINE:
        imports = {name.split(".")[0] for name in imported(path, top_level_only=True)}
        if "plugin" not in path.parts and imports & optional:
            wrong[module_name(path)] = imports & optional
    assert not wrong


def test_only_ui_pages_and_app_know_streamlit_and_pages_do_not_import_each_other():
    for path in (ROOT / "ui").rglob("*.py"):
        assert not {name for name in imported(path) if name.split(".")[0] in ("pages", "app")}, path
    for path in (ROOT / "pages").glob("*.py"):
        assert not {name for name in imported(path) if name.split(".")[0] == "pages"}, path
        assert len(path.read_text().splitlines()) <= 120, f"{path} is not a short script"


def test_modules_say_what_they_are_for():
    written = [path for path in OURS if path.read_text().strip()]
    assert not [module_name(path) for path in written if not ast.get_docstring(parsed(path))]


def test_engine_import_costs_nothing():
    import subprocess
    import sys

    code = (
        "import sys, coreset_engine; "
        "print([m for m in ('torch', 'numba', 'pandas', 'fiftyone') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_global_random_state_no_pickle_no_eval():
    banned = re.compile(
        r"np\.random\.(seed|rand|randn|choice|shuffle|permutation|randint)\(|torch\.manual_seed\(|"
        r"^import random$|pickle\.load|allow_pickle=True|weights_only=False|[^.\w]eval\(|[^.\w]exec\("
    )
    for path in OURS:
        before = ""
        for number, line in enumerate(path.read_text().splitlines(), 1):
            # torch's layers can only be initialised from its global state: allowed inside a fork,
            # which restores it.
            forked = "torch.manual_seed(" in line and "fork_rng" in before
            assert forked or not banned.search(line), (
                f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
            )
            before = line


# Functions whose many parameters are their interface; every other one takes a record.
FIXED_SIGNATURES = {
    "coverage_scores": "public: (vectors, n_samples, n_dims, ...) in DESIGN section 4",
    "pseudo_labels": "public: ce.pseudo_labels",
    "training_dynamics": "public: ce.training_dynamics",
    "__init__": "public: ce.Run; the only constructor that is so long",
    "find": "public: ce.find",
    "update": "public: ce.update",
    "evaluate": "public: a notebook's counterpart of the command, its options by keyword",
    "rescore": "public: likewise",
    "export": "public: likewise",
    "export_folder": "public: likewise",
    "write_imagefolder": "options of an export target are read from its signature",
    "knob": "what a field of a config says, by keyword",
    "setting": "what a field of RunConfig says, by keyword",
    "_options": "nothing but a signature, the options that commands share",
    "gaps_two": "an LLVM intrinsic, whose arguments are machine words",
}


def long_signatures(path: Path) -> set[str]:
    """Names of functions with more than six parameters, without self, *args, **kwargs."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef):
            if len(own_parameters(node)) > 6:
                found.add(node.name)
    return found


def test_more_than_six_parameters_are_a_record():
    from coreset_engine.cli.main import COMMANDS

    # typer makes an option of every parameter of a command
    commands = {row.function.partition(":")[2] for row in COMMANDS}
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in OURS
        for name in long_signatures(path) - set(FIXED_SIGNATURES)
        if not (path.parent.name == "commands" and name in commands)
    ]
    assert not wrong, "give these a record"


def test_no_two_test_files_share_a_name():
    """pytest imports them by their bare names, and cannot collect a second one."""
    names = sorted(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert not {name for name in names if names.count(name) > 1}


def own_parameters(node: ast.FunctionDef) -> list[str]:
    names = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [arg.arg for arg in names if arg.arg not in ("self", "cls")]


def public_functions(path: Path) -> list[tuple[str, ast.FunctionDef, str]]:
    """(name, function, docstring) of public functions, methods and constructors of public classes."""
    found = []
    for outer in parsed(path).body:
        if isinstance(outer, ast.FunctionDef):
            found.append((outer.name, outer, ast.get_docstring(outer) or ""))
        if isinstance(outer, ast.ClassDef) and not outer.name.startswith("_"):
            about = ast.get_docstring(outer) or ""
            for node in outer.body:
                if isinstance(node, ast.FunctionDef):
                    said = ast.get_docstring(node) or ""
                    init = node.name == "__init__"
                    found.append(
                        (f"{outer.name}.{node.name}", node, about + said if init else said)
                    )
    return [one for one in found if one[1].name == "__init__" or one[1].name[0] != "_"]


def test_public_functions_of_four_parameters_describe_them():
    """Shapes, dtypes, units and ranges in a NumPy section, or a reference to where they are."""
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
        for path in OURS
        if path.parent.name != "commands"  # the docstring of a command is its --help
        for name, node, said in public_functions(path)
        if len(own_parameters(node)) >= 4 and "Parameters\n----------" not in said
    ]
    assert not missing


def test_methods_refer_to_the_contract_and_name_their_config():
    from coreset_engine.core.registry import METHODS

    for row in METHODS.values():
        module, _, name = row.function.partition(":")
        path = ROOT / (module.replace(".", "/") + ".py")
        said = {one: doc for one, _, doc in public_functions(path)}[name]
        config = row.config.partition(":")[2]
        assert "As in `selection.contract`" in said and f"config : {config}\n" in said, row.name
