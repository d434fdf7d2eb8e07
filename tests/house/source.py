"""Read the program's own source: its modules, what they import, and the shape of their classes and functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("daemon", "export", "models", "music", "plugin", "systemd", "houseband")


@cache
def modules() -> Mapping[str, Path]:
    """Return every module of the program by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {**found, "houseband": ROOT / "houseband.py"}


@cache
def tree(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(name: str, path: Path, *, for_types: bool = False) -> set[str]:
    """Return the dotted names that a module imports, wherever in it; for_types: those under TYPE_CHECKING, too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(tree(path)) if for_types else _running_nodes(tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    return names


def _running_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _running_nodes(child)


@cache
def arrows(*, for_types: bool = False) -> Mapping[str, set[str]]:
    """Map each module to the modules of the program that it imports."""
    found = modules()
    return {
        name: {used for used in imports(name, path, for_types=for_types) if used in found and used != name}
        for name, path in found.items()
    }


def package_of(module: str) -> str:
    """Return the top-level package of a module."""
    return module.partition(".")[0]


def definitions() -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every class and function with the name of its module."""
    for name, path in modules().items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, node


def length(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a definition has, without its decorators."""
    assert node.end_lineno
    return node.end_lineno - node.lineno + 1


def attributes(node: ast.ClassDef) -> set[str]:
    """Return the names of the attributes that a class assigns on self."""
    return {
        each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and isinstance(each.value, ast.Name)
        and each.value.id == "self"
    }


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield (module:line, docstring) of every module, class and function."""
    for name, path in modules().items():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    yield f"{name}:{getattr(node, 'lineno', 1)}", text
