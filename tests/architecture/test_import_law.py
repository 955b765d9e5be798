"""The house's walls: who may import whom, a core that touches nothing, flow files that shadow nothing."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"config", "exchange", "flows", "ops", "reports", "tasks", "trading", "warehouse"}
FOLDERS = PACKAGES | {"benchmarks", "data", "docs", "sql", "tests"}

ALLOWED = {
    "trading": set(),
    "config": {"trading"},
    "exchange": {"trading"},
    "warehouse": {"trading"},
    "reports": {"trading"},
    "ops": {"trading"},
    "tasks": {"config", "exchange", "ops", "reports", "trading", "warehouse"},
    "flows": {"config", "tasks", "trading"},
}
# The second composition root (the first is flows/ through tasks/): it puts the parts together for the command line.
COMPOSITION_ROOT = ("ops/cli.py", "ops/commands/")

IMPURE = {
    "asyncio", "datetime", "http", "io", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "urllib", "uuid", "zoneinfo",
}  # fmt: skip
IMPURE_CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
CORE_LIBRARIES = {
    "collections", "dataclasses", "enum", "functools", "hashlib", "inspect", "itertools", "math", "numba", "numpy",
    "re", "statistics", "typing",
}  # fmt: skip
INDICATOR_LIBRARIES = CORE_LIBRARIES | {"polars", "talib"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All of a file's syntax tree, read once for all tests."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, wherever in the file, as (dotted name, line)."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively: name the package"
            assert node.module
            yield node.module, node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_imports_point_inward(package):
    broken = []
    for path in sources(package):
        place = path.relative_to(ROOT).as_posix()
        is_root = place.startswith(COMPOSITION_ROOT)
        allowed = (PACKAGES - {"flows"} if is_root else ALLOWED[package]) | {package}
        broken += [
            f"{place}:{line} imports {name}"
            for name, line in imported(path)
            if name.split(".")[0] in PACKAGES and name.split(".")[0] not in allowed
        ]
    assert not broken, "\n".join(broken)


def test_the_law_sees_an_import_that_breaks_it(tmp_path):
    offender = tmp_path / "inner.py"
    offender.write_text("def late():\n    from warehouse import stages\n")
    assert ("warehouse", 2) in set(imported(offender))


def test_only_the_warehouse_imports_duckdb():
    others = [path for package in PACKAGES - {"warehouse"} for path in sources(package)]
    assert not [path for path in others for name, _ in imported(path) if name.split(".")[0] == "duckdb"]


def test_sandbox_and_kraken_share_no_code():
    for mine, other in (("sandbox", "kraken"), ("kraken", "sandbox")):
        names = {name for path in sources(f"exchange/{mine}") for name, _ in imported(path)}
        assert not {name for name in names if name.startswith(f"exchange.{other}")}


def test_prefect_is_imported_by_flows_and_their_catalogue_only():
    others = [p for package in PACKAGES - {"flows"} for p in sources(package)]
    users = {p.relative_to(ROOT).as_posix() for p in others for n, _ in imported(p) if n.split(".")[0] == "prefect"}
    assert users <= {"tasks/catalog.py", "ops/run.py", "ops/stack.py", "ops/follow.py"}, users


@pytest.mark.parametrize("path", sources("trading"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_core_reads_no_clock_environment_file_or_socket(path):
    libraries = INDICATOR_LIBRARIES if path.parent.name == "indicators" else CORE_LIBRARIES
    roots = {name.split(".")[0] for name, _ in imported(path)}
    assert not roots & IMPURE
    assert roots <= libraries | {"trading", "__future__"}, f"{path.name}: {roots - libraries - {'trading'}}"
    calls = {node.func.id for node in nodes(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & IMPURE_CALLS


def test_no_flow_file_shadows_a_module():
    """Prefect puts flows/ at the front of sys.path: a file there hides any module of its name."""
    names = {path.stem for path in (ROOT / "flows").glob("*.py")}
    installed = {path.stem for path in ROOT.glob("*.py")} | PACKAGES | FOLDERS | {"prefect", "polars", "duckdb"}
    assert not names & (set(sys.stdlib_module_names) | installed)


def test_flows_never_import_flows():
    assert not [path for path in sources("flows") for name, _ in imported(path) if name.split(".")[0] == "flows"]


def test_there_is_no_mode_inside_the_rules():
    for package in ("trading", "exchange"):
        for path in sources(package):
            for node in nodes(path):
                name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None) or ""
                assert not re.fullmatch(r"(is_)?(live|paper|backtest)(_mode)?|mode|dry_run", str(name)), (
                    f"{path}:{getattr(node, 'lineno', 0)} speaks of a mode: {name}"
                )


def test_no_error_is_swallowed():
    """I36: a handler that only passes hides what the next person needs to know."""
    for package in PACKAGES:
        for path in sources(package):
            for node in nodes(path):
                if isinstance(node, ast.ExceptHandler):
                    assert not all(isinstance(line, ast.Pass) for line in node.body), f"{path}:{node.lineno}"


def test_files_stay_one_idea_long_and_folders_one_room():
    long = [p for package in PACKAGES for p in sources(package) if len(p.read_text("utf-8").splitlines()) >= 500]
    assert not long, long
    crowded = [
        folder
        for package in PACKAGES
        for folder in [ROOT / package, *(ROOT / package).rglob("*/")]
        if folder.is_dir() and len([p for p in folder.glob("*.py") if p.name != "__init__.py"]) >= 15
    ]
    assert not crowded, crowded


def test_the_top_level_is_the_one_that_was_agreed():
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    folders = {Path(name).parts[0] for name in tracked if len(Path(name).parts) > 1}
    assert folders <= FOLDERS | {".ci"}, folders - FOLDERS
