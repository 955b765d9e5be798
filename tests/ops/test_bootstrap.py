"""The bootstrap against a tiny lock and a wheel made here: real virtual environments, real pip, no network."""

import ast
import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ops import bootstrap

pytestmark = pytest.mark.xdist_group("bootstrap")  # the virtual environment is made once

SOURCE = Path(bootstrap.__file__)
BACKEND = """
import base64, hashlib, zipfile

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "tiny_checkout-1.0-py3-none-any.whl"
    info = "tiny_checkout-1.0.dist-info"
    files = {
        "tiny_checkout.pth": ".",
        f"{info}/METADATA": "Metadata-Version: 2.1\\nName: tiny-checkout\\nVersion: 1.0\\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"]))
    return name

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise NotImplementedError
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny-checkout"
version = "1.0"
"""


class Checkout:
    """A small project with a lock of one package, in a folder whose name has spaces."""

    def __init__(self, folder: Path) -> None:
        self.root = root = folder / "a checkout"
        self.wheels = folder / "wheels"  # pip splits the places it is told at spaces
        self.wheels.mkdir()
        (root / "ops").mkdir(parents=True)
        shutil.copy(SOURCE, root / "ops" / "bootstrap.py")
        (root / "pyproject.toml").write_text(PYPROJECT)
        (root / "backend.py").write_text(BACKEND)
        self.lock("1.0")

    def lock(self, version: str, digest: str | None = None, name: str = "tinypkg") -> None:
        wheel = make_wheel(self.wheels, name, version)
        digest = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
        (self.root / "requirements.lock").write_text(
            f"{name}=={version} \\\n    --hash=sha256:{digest}\n"
            'elsewhere==1.0 ; sys_platform == "win32" \\\n    --hash=sha256:' + "0" * 64 + "\n"
        )

    def bootstrap(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(self.root / "ops" / "bootstrap.py")],
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def environment(self, **more: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.wheels), **more}

    def python(self, code: str) -> str:
        python = str(self.root / ".venv" / "bin" / "python")
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()

    @property
    def stamp(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.root / ".venv" / "slipway.json").read_text())
        return found


def make_wheel(folder: Path, name: str, version: str) -> Path:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        record = ""
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)  # the time of an entry is fixed: the same bytes every time
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text)}\n"
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), record + f"{info}/RECORD,,\n")
    return wheel


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout, made ready once; what is in its lock and installed may be what another test has left."""
    checkout = Checkout(tmp_path_factory.mktemp("bootstrap"))
    answer = checkout.bootstrap()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "Making .venv: about 150 packages" in answer.stdout
    assert "Ready: .venv holds" in answer.stdout
    return checkout


@pytest.fixture
def checkout(ready: Checkout) -> Checkout:
    """The checkout with its first lock, and that installed."""
    ready.lock("1.0")
    assert ready.bootstrap().returncode == 0
    return ready


def test_installs_the_lock_and_the_checkout_itself(checkout: Checkout) -> None:
    assert checkout.python("import tinypkg; print(tinypkg.version)") == "1.0"
    assert checkout.python("import importlib.metadata as m; print(m.version('tiny-checkout'))") == "1.0"
    assert "tinypkg" in (checkout.root / ".slipway" / "bootstrap.log").read_text()


def test_the_first_command_finds_our_bytecode_made(ready: Checkout) -> None:
    package = ready.root / "ours"
    (package / "inner").mkdir(parents=True)
    for module in (package / "__init__.py", package / "inner" / "part.py"):
        module.touch()
    (package / "broken.py").write_text("this is no Python")
    project = ready.root / "pyproject.toml"
    project.write_text(project.read_text() + "\n# so it is installed anew\n")
    answer = ready.bootstrap(PYTHONDONTWRITEBYTECODE="1")
    assert answer.returncode == 0, answer.stderr
    made = [path.name.partition(".")[0] for path in package.rglob("__pycache__/*.pyc")]
    assert sorted(made) == ["__init__", "part"]


def test_is_silent_when_there_is_nothing_to_do(checkout: Checkout) -> None:
    before = checkout.root.joinpath(".venv").stat().st_mtime_ns
    answer = checkout.bootstrap()
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert checkout.root.joinpath(".venv").stat().st_mtime_ns == before


def test_installs_again_when_the_lock_has_changed(checkout: Checkout) -> None:
    checkout.lock("2.0")
    answer = checkout.bootstrap()
    assert answer.returncode == 0, answer.stderr
    assert "anew" not in answer.stdout
    assert checkout.python("import tinypkg; print(tinypkg.version)") == "2.0"


@pytest.mark.deep
def test_installs_again_when_the_project_has_other_commands(checkout: Checkout) -> None:
    before = checkout.stamp
    project = checkout.root / "pyproject.toml"
    project.write_text(project.read_text() + "\n# changed\n")
    assert checkout.bootstrap().returncode == 0
    assert checkout.stamp != before


def test_says_that_the_registry_cannot_be_reached(ready: Checkout) -> None:
    ready.lock("3.0")
    shutil.rmtree(ready.wheels)
    ready.wheels.mkdir()
    answer = ready.bootstrap(PIP_NO_INDEX="", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1")
    assert answer.returncode == 1
    assert answer.stderr.startswith("The package registry can't be reached.")
    assert "bootstrap.log" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_says_which_package_the_registry_lacks(ready: Checkout) -> None:
    ready.lock("4.0")
    (ready.wheels / "tinypkg-4.0-py3-none-any.whl").unlink()
    answer = ready.bootstrap()
    assert answer.returncode == 1
    assert "can reach has tinypkg==4.0 for this Python" in answer.stderr


def test_refuses_a_file_with_another_hash_and_names_the_package(ready: Checkout) -> None:
    ready.lock("5.0", digest="a" * 64)
    answer = ready.bootstrap()
    assert answer.returncode == 1
    assert "tinypkg==5.0" in answer.stderr
    assert "its hash differs" in answer.stderr
    assert ready.python("import tinypkg; print(tinypkg.version)") != "5.0"


@pytest.mark.deep
def test_does_not_believe_an_installation_that_was_killed(checkout: Checkout) -> None:
    bootstrap.write_stamp(checkout.root / ".venv", {"unfinished": "as pip's second half leaves it"})
    (checkout.root / ".venv" / "half a package").touch()
    answer = checkout.bootstrap()
    assert answer.returncode == 0
    assert "Making .venv anew" in answer.stdout
    assert not (checkout.root / ".venv" / "half a package").exists()
    assert checkout.python("import tinypkg; print(tinypkg.version)") == "1.0"


def test_marks_the_environment_while_packages_are_put_into_it(tmp_path: Path) -> None:
    progress = bootstrap.Progress(tmp_path, 1)
    progress.read("Collecting tinypkg==1.0")
    assert bootstrap.read_stamp(tmp_path) is None
    progress.read("Installing collected packages: tinypkg")
    assert "unfinished" in (bootstrap.read_stamp(tmp_path) or {})


@pytest.mark.deep
def test_an_interrupted_download_is_resumed(checkout: Checkout) -> None:
    checkout.lock("6.0")
    with socket.create_server(("127.0.0.1", 0)) as silent_registry:
        process = subprocess.Popen(
            [sys.executable, str(checkout.root / "ops" / "bootstrap.py")],
            env=checkout.environment(
                PIP_NO_INDEX="", PIP_INDEX_URL=f"http://127.0.0.1:{silent_registry.getsockname()[1]}/simple"
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        silent_registry.accept()  # pip has come to ask
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip().startswith("Interrupted. Run the same command again")
    answer = checkout.bootstrap()
    assert answer.returncode == 0
    assert "anew" not in answer.stdout
    assert checkout.python("import tinypkg; print(tinypkg.version)") == "6.0"


def test_does_not_reuse_an_environment_whose_python_is_gone(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/nowhere/python3")
    assert bootstrap.python_version(tmp_path) is None
    assert not bootstrap.reusable(tmp_path, None, {"root": "here"})


def test_does_not_reuse_the_environment_of_a_checkout_that_was_moved(checkout: Checkout) -> None:
    venv, stamp = checkout.root / ".venv", checkout.stamp
    assert bootstrap.reusable(venv, stamp, {**stamp, "lock": "another"})
    assert not bootstrap.reusable(venv, stamp, {**stamp, "root": "/elsewhere"})


def test_completes_an_environment_that_a_person_made(checkout: Checkout) -> None:
    (checkout.root / ".venv" / "slipway.json").unlink()
    (checkout.root / ".venv" / "theirs.txt").touch()
    answer = checkout.bootstrap()
    assert answer.returncode == 0
    assert "anew" not in answer.stdout
    assert (checkout.root / ".venv" / "theirs.txt").exists()


@pytest.mark.deep
def test_two_at_once_install_once(checkout: Checkout) -> None:
    checkout.lock("7.0")
    command = [sys.executable, str(checkout.root / "ops" / "bootstrap.py")]
    environment = checkout.environment()
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("Ready:" in text for text in said) == 1


def test_says_that_the_checkout_cannot_be_written(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (checkout.root / ".slipway").write_text("a file where a folder has to be")
    answer = checkout.bootstrap()
    assert answer.returncode == 1
    assert ".slipway" in answer.stderr
    assert "Make the checkout writable" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_says_that_the_disk_is_full(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    (checkout.root / ".slipway").mkdir()
    (checkout.root / ".slipway" / "bootstrap.log").symlink_to("/dev/full")
    answer = checkout.bootstrap()
    assert answer.returncode == 1
    assert "No space left on device" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_refuses_a_disk_that_is_too_small_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(bootstrap.Unready, match=r"Not enough disk space at .*1000000.0 GB are needed. Free some"):
        bootstrap.refuse_less_than(1e6, tmp_path, "Free some.")


def test_says_that_the_lock_is_missing(tmp_path: Path) -> None:
    with pytest.raises(bootstrap.Unready, match="Is this a whole checkout"):
        bootstrap.bring_up(tmp_path)


@pytest.mark.parametrize(("version", "word"), [((3, 6), "newer"), ((3, 10), "newer"), ((3, 14), "3.11, 3.12 or 3.13")])
def test_says_which_python_is_needed(version: tuple[int, int], word: str) -> None:
    with pytest.raises(bootstrap.Unready, match=word) as refusal:
        bootstrap.refuse_wrong_python(version)
    assert f"this is {version[0]}.{version[1]}" in str(refusal.value)


def test_accepts_the_pythons_that_the_project_supports() -> None:
    for version in ((3, 11), (3, 12), (3, 13)):
        bootstrap.refuse_wrong_python(version)


def test_can_be_read_by_a_python_as_old_as_3_6() -> None:
    ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_names_the_debian_package_when_venv_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(bootstrap.Unready, match=r"apt install python3\.\d+-venv"):
        bootstrap.refuse_missing_venv()


# What pip 23 and 26 print, word for word, where the failure can't be had on any machine at will.
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "The disk is full"),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 13] Permission denied: '/a b/.venv/lib'",
            "/a b/.venv/lib can't be written",
        ),
        (
            (
                "WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by 'NewConnectionError(…: "
                "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/x/\n"
                "ERROR: No matching distribution found for x==1.0"
            ),
            "The package registry can't be reached",
        ),
        ("something nobody has seen before", "The installation failed"),
    ],
)
def test_turns_what_pip_says_into_a_sentence(said: str, sentence: str) -> None:
    assert bootstrap.explain(said.splitlines(), Path("bootstrap.log")).startswith(sentence)


def test_progress_counts_what_pip_says(tmp_path: Path) -> None:
    progress = bootstrap.Progress(tmp_path, 3)
    for line in (
        "Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment",
        "Collecting numpy==2.4.0 (from -r requirements.lock (line 12))",
        "  Downloading numpy-2.4.0-cp311-cp311-manylinux.whl (16.2 MB)",
        "Collecting pytz==2026.1",
        "  Using cached pytz-2026.1-py2.py3-none-any.whl (500 kB)",
    ):
        progress.read(line)
    assert progress.sentence(progress.began + 7) == "  2 of 2 packages fetched, 17 MB, 7 s"
    progress.read("Installing collected packages: numpy, pytz")
    (tmp_path / "lib" / "python3.11" / "site-packages" / "numpy-2.4.0.dist-info").mkdir(parents=True)
    assert progress.sentence(progress.began + 9) == "  1 of 2 packages installed, 17 MB, 9 s"
