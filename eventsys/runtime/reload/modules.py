"""The modules of an application: which are loaded, from which files, and which imports which."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path

#: Directories whose modules are not the application's own, wherever they lie.
_FOREIGN = frozenset({"site-packages", "dist-packages", "node_modules", "__pycache__"})


def application_modules(packages: Sequence[str], directory: Path) -> dict[str, Path]:
    """Return the loaded modules that belong to an application, each with its file.

    Those are the packages it was started with, and whatever else was imported from below its directory, without
    virtual environments and the library itself.

    Args:
        packages: The modules a worker was started with.
        directory: Where it was started.
    """
    tops = tuple(package.partition(".")[0] for package in packages)
    found: dict[str, Path] = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or not file.endswith(".py") or name == "__main__":
            continue
        path, top = _resolved(file), name.partition(".")[0]
        if top in tops or (top != "eventsys" and _is_own(path, directory)):
            found[name] = path
    return found


def new_modules(packages: Sequence[str], known: Mapping[str, Path]) -> dict[str, Path]:
    """Return the modules that lie in the application's packages and are not loaded, each with its file."""
    found: dict[str, Path] = {}
    for package in packages:
        init = known.get(package)
        if init is None or init.name != "__init__.py":
            continue
        for path in sorted(init.parent.rglob("*.py")):
            name = _module_name(package, init.parent, path)
            if name is not None and name not in known:
                found[name] = path
    return found


def reload_order(changed: Collection[str], modules: Mapping[str, Path]) -> list[str]:
    """Return the modules to load again when some have changed: these, and all that import them, imported ones first.

    Args:
        changed: The modules that have changed, and those that are new or gone.
        modules: All modules of the application with their files; new ones too, those that are gone not.
    """
    imports = {name: _imports_of(name, path, modules.keys() | set(changed)) for name, path in modules.items()}
    affected = set(changed)
    while more := {name for name, needed in imports.items() if name not in affected and needed & affected}:
        affected |= more
    return _imported_first([name for name in modules if name in affected], imports)


def file_of(name: str) -> Path | None:
    """Return the file of a loaded module, None for one that has none."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return None if file is None else Path(file).resolve()


@lru_cache(maxsize=8192)
def _resolved(file: str) -> Path:
    # Asked for every module of the process at every look, and the file system takes its time to answer.
    return Path(file).resolve()


def _is_own(path: Path, directory: Path) -> bool:
    try:
        parts = path.relative_to(directory.resolve()).parts
    except ValueError:
        return False
    return not any(part in _FOREIGN or part.startswith(".") for part in parts)


def _module_name(package: str, root: Path, path: Path) -> str | None:
    """Return the name under which a file of a package is imported, None where a directory on the way is no package."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    for depth in range(1, len(parts)):
        if not root.joinpath(*parts[:depth], "__init__.py").exists():
            return None
    if parts[-1] == "__init__":
        parts.pop()
    if not all(part.isidentifier() for part in parts) or parts[-1:] == ["__main__"]:
        return None
    return ".".join([package, *parts])


def _imports_of(name: str, path: Path, known: Collection[str]) -> set[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    needed: set[str] = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            needed |= {part for alias in node.names for part in _prefixes(alias.name)}
        elif isinstance(node, ast.ImportFrom):
            needed |= _imported_from(node, package, known)
    return (needed & set(known)) - {name}


def _imported_from(node: ast.ImportFrom, package: str, known: Collection[str]) -> set[str]:
    try:
        source = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
    except ImportError:
        return set()
    inner = {f"{source}.{alias.name}" for alias in node.names}
    # `from package import module` needs the module; the package itself only where something else is taken from it.
    return inner if inner <= set(known) else inner | {source}


def _prefixes(name: str) -> Iterable[str]:
    parts = name.split(".")
    return [name] if len(parts) == 1 else [".".join(parts[:depth]) for depth in range(2, len(parts) + 1)]


def _nodes(path: Path) -> list[ast.AST]:
    try:
        return list(ast.walk(ast.parse(path.read_bytes())))
    except (OSError, SyntaxError, ValueError):
        # It cannot be loaded either; loading it tells what is wrong.
        return []


def _imported_first(names: Sequence[str], imports: Mapping[str, set[str]]) -> list[str]:
    order: list[str] = []
    visited: set[str] = set()

    def visit(name: str) -> None:
        if name in visited or name not in names:
            return
        visited.add(name)
        for needed in sorted(imports.get(name, ())):
            visit(needed)
        order.append(name)

    for name in names:
        visit(name)
    return order
