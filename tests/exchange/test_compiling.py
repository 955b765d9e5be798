"""Machine code is kept, and is never that of other sources."""

import subprocess
import sys
from pathlib import Path

import pytest

from exchange import compiling
from exchange.compiling import compiled, machine_code_name, sources_hash

ROOT = compiling.ROOT
SOURCES = ("trading/model.py", "trading/rules/exits.py", "exchange/simulator.py")
DOUBLE = """
from trading.compiled import rule

@rule
def factor() -> int:
    return {factor}

@rule
def increased(number: int) -> int:
    return factor() * number
"""


@pytest.fixture
def sources(tmp_path, monkeypatch) -> Path:
    """A checkout of a few lines, which the compiler takes for ours."""
    for name in SOURCES:
        file = tmp_path / "checkout" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {name}\n")
    monkeypatch.setattr(compiling, "ROOT", tmp_path / "checkout")
    return tmp_path / "checkout"


def test_the_same_sources_have_the_same_name(sources):
    assert sources_hash() == sources_hash()
    assert machine_code_name("0.68") == machine_code_name("0.68")


@pytest.mark.parametrize("name", SOURCES)
def test_a_change_of_any_callee_is_another_name(sources, name):
    before = sources_hash(), machine_code_name("0.68")
    (sources / name).write_text("# changed\n")
    assert sources_hash() != before[0]
    assert machine_code_name("0.68") != before[1]


def test_a_new_a_moved_and_a_removed_file_are_other_names(sources):
    names = [sources_hash()]
    (sources / "trading/rules/more.py").write_text("")
    names.append(sources_hash())
    (sources / "trading/rules/more.py").rename(sources / "trading/rules/other.py")
    names.append(sources_hash())
    assert len(set(names)) == 3
    (sources / "trading/rules/other.py").unlink()
    assert sources_hash() == names[0]


def test_another_compiler_makes_other_machine_code_of_the_same_sources(sources):
    before = sources_hash()
    assert machine_code_name("0.68") != machine_code_name("0.69")
    assert sources_hash() == before


def test_what_no_machine_code_is_made_of_does_not_matter(sources):
    before = sources_hash()
    (sources / "trading/notes.md").write_text("a thought")
    (sources / "exchange/kraken").mkdir()
    (sources / "exchange/kraken/client.py").write_text("TIMEOUT_S = 5")
    assert sources_hash() == before


def test_after_a_change_of_a_callee_the_new_code_runs_from_a_new_folder(sources, tmp_path):
    """By itself numba would go on with the old code: the file of the function it compiles has not changed."""
    cache = tmp_path / "cache"
    answers = [run_in_a_process_of_its_own(sources, cache, factor) for factor in (2, 3)]
    assert answers == ["42", "63"]
    assert len(list(cache.iterdir())) == 2


def test_of_processes_that_begin_together_one_compiles_and_the_others_load(sources, tmp_path):
    (sources / "caller.py").write_text("def answer(number):\n    return number * 2\n")
    program = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(sources)!r})\n"
        "from exchange import compiling\n"
        f"compiling.ROOT = Path({str(sources)!r})\n"
        "from caller import answer\n"
        f"machine = compiling.compiled(answer, Path({str(tmp_path / 'cache')!r}))\n"
        "assert (machine(21), machine(4)) == (42, 8)\n"
        "print(sum(machine.__wrapped__.stats.cache_misses.values()))\n"
    )
    begun = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in "123"
    ]
    assert sorted(process.communicate()[0].strip() for process in begun) == ["0", "0", "1"]


def run_in_a_process_of_its_own(sources: Path, cache: Path, factor: int) -> str:
    (sources / "trading/rules/exits.py").write_text(DOUBLE.format(factor=factor))
    (sources / "caller.py").write_text("from exits import increased\n\ndef answer():\n    return increased(21)\n")
    program = (
        "import sys; from pathlib import Path\n"
        f"sys.path[:0] = [{str(sources)!r}, {str(sources / 'trading/rules')!r}]\n"
        "from exchange import compiling\n"
        f"compiling.ROOT = Path({str(sources)!r})\n"
        "from caller import answer\n"
        f"print(compiling.compiled(answer, Path({str(cache)!r}))())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_without_a_place_to_keep_it_the_code_runs_all_the_same(sources, tmp_path):
    assert compiled(plus_one, None)(41) == 42
    assert list(tmp_path.iterdir()) == [sources]


def test_the_compilers_own_folder_is_left_as_it_was(sources, tmp_path):
    import numba

    before = numba.config.CACHE_DIR
    compiled(plus_one, tmp_path / "cache")
    assert before == numba.config.CACHE_DIR


def test_importing_the_core_does_not_load_the_compiler():
    program = "import sys, exchange.simulator, exchange.compiling, trading.step; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"


def plus_one(number: int) -> int:
    return number + 1
