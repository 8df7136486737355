"""Modules and functions that are longer than is easy to read: a warning, never a failure.

scripts/lint prints them. Length should fall by taking things apart, not by squeezing lines, which
is why no test enforces it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULE_LINES = 300
FUNCTION_LINES = 60


def long_modules(root: Path = ROOT, limit: int = MODULE_LINES) -> Iterator[tuple[int, str]]:
    """(lines, path) of each module above the limit."""
    for path in _modules(root):
        lines = len(path.read_text().splitlines())
        if lines > limit:
            yield lines, str(path.relative_to(root))


def long_functions(root: Path = ROOT, limit: int = FUNCTION_LINES) -> Iterator[tuple[int, str]]:
    """(lines, "path:line name") of each function above the limit, its docstring not counted."""
    for path in _modules(root):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = _code_lines(node)
                if lines > limit:
                    yield lines, f"{path.relative_to(root)}:{node.lineno} {node.name}"


def _modules(root: Path) -> list[Path]:
    folders = [root / name for name in ("coreset_engine", "ui", "pages")]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    return sorted([*paths, *root.glob("app.py")])


def _code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def main() -> None:
    """Print both lists, longest first."""
    for what, limit, offenders in (
        ("modules", MODULE_LINES, long_modules()),
        ("functions", FUNCTION_LINES, long_functions()),
    ):
        rows = sorted(offenders, reverse=True)
        print(f"warning: {len(rows)} {what} of more than {limit} lines", file=sys.stderr)
        for lines, name in rows:
            print(f"{lines:>6}  {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
