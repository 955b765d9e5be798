"""Make `.venv` from the lock, or find it made: what `make` runs before anything of ours can be imported.

Standard library only, and in the syntax of Python 3.6: an old Python has to be able to say that it is too old. Run it
as `python3 ops/bootstrap.py`; it is silent and takes a tenth of a second when there is nothing to do. Exit code 0:
`.venv` is ready. 1: it is not, and the last lines say what to do about it.
"""
# ruff: noqa: UP006, UP035, UP045  # list[str] and X | None are newer than Python 3.6

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Callable, Dict, Iterator, List, Optional, Tuple

OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = 3.0  # measured: 1.4 GB of packages, the wheels while they are unpacked, and room to run
UNPACKING_GB = 1.0  # where pip unpacks, when that is another disk
TICK_S = 0.5
QUIET_TICK_S = 15.0  # between lines when nobody watches a terminal

Stamp = Dict[str, str]


class Unready(Exception):
    """The machine lacks something; the text says what to do."""


def main(root: Path) -> int:
    """Have `root/.venv` hold what `root/requirements.lock` says and the checkout itself; the exit code."""
    try:
        with disk_errors_as_sentences(root), only_one(root):
            bring_up(root)
    except Unready as error:
        sys.stdout.flush()
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. Run the same command again: the installation starts over.\n")
        return 130
    return 0


def bring_up(root: Path) -> None:
    """Do what is needed and no more.

    Raises:
        Unready: it can't be done on this machine as it is.
    """
    venv = root / ".venv"
    texts = {"lock": "requirements.lock", "project": "pyproject.toml"}  # the second says which commands there are
    wanted = {"root": str(root), **{name: digest(root / file) for name, file in texts.items()}}
    found = read_stamp(venv)
    if found == wanted and python_version(venv) is not None:
        return
    refuse_wrong_python(sys.version_info[:2])
    refuse_missing_venv()
    refuse_full_disk(root)
    log = root / ".slipway" / "bootstrap.log"
    began = time.time()
    if not reusable(venv, found, wanted):
        create(venv, log)
    install(venv, root, log)
    compile_ours(venv, root, log)
    write_stamp(venv, wanted)
    print(f"Ready: .venv holds {count_installed(venv)} packages ({time.time() - began:.0f} s).")


def digest(file: Path) -> str:
    """Hash of a file's bytes."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise Unready(f"{file} can't be read ({error.strerror}). Is this a whole checkout?") from error


def read_stamp(venv: Path) -> Optional[Stamp]:
    """What the environment was made for; None if it carries no stamp."""
    try:
        found = json.loads((venv / "slipway.json").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_stamp(venv: Path, stamp: Stamp) -> None:
    """Note what the environment holds, or that packages are being put into it."""
    fresh = venv / "slipway.json.new"
    fresh.write_text(json.dumps(stamp))
    fresh.replace(venv / "slipway.json")


def reusable(venv: Path, found: Optional[Stamp], wanted: Stamp) -> bool:
    """Whether pip may install over what is there.

    Not when somebody pulled the plug while packages were put into it, nor when the checkout was moved (its scripts hold
    absolute paths), nor when it belongs to another Python. One without a stamp was made by a person, or its packages
    were not fetched yet: it is completed, not deleted.
    """
    if found is not None and found.get("root") != wanted["root"]:
        return False
    return python_version(venv, "import pip") == sys.version_info[:2]


def python_version(venv: Path, also: str = "pass") -> Optional[Tuple[int, ...]]:
    """Version of the environment's Python; None if it does not start, or can't do `also`.

    It does not start when the Python that it was made from is gone.
    """
    command = [str(python_of(venv)), "-c", f"{also}\nimport sys; print(*sys.version_info[:2])"]
    try:
        said = subprocess.check_output(command, stderr=subprocess.DEVNULL, env=clean_environment())
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(int(number) for number in said.split())


def refuse_wrong_python(version: Tuple[int, ...]) -> None:
    """Refuse a Python that the lock has no packages for."""
    have = "{}.{}".format(*version)
    if version < OLDEST:
        raise Unready(
            f"Python 3.11 or newer is needed, this is {have}.\n"
            "Install one (Debian and Ubuntu: apt install python3.11 python3.11-venv), "
            "or name it: make run PYTHON=/path/to/python3.11"
        )
    if version > NEWEST:
        raise Unready(
            f"Python 3.11, 3.12 or 3.13 is needed, this is {have}: the lock has no packages for it yet.\n"
            "Name another: make run PYTHON=/path/to/python3.13"
        )


def refuse_missing_venv() -> None:
    """Debian splits `venv` off into a package of its own; `import venv` works without it, `ensurepip` does not."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        have = "{}.{}".format(*sys.version_info[:2])
        raise Unready(
            f"This Python ({sys.executable}) can't make virtual environments: its module {error.name} is missing.\n"
            f"On Debian and Ubuntu: apt install python{have}-venv"
        ) from error


def refuse_full_disk(root: Path) -> None:
    """Refuse before pip has filled the last gigabyte."""
    refuse_less_than(NEEDED_GB, root, "Free some.")
    unpacking = Path(tempfile.gettempdir())
    if unpacking.stat().st_dev != root.stat().st_dev:
        refuse_less_than(UNPACKING_GB, unpacking, "Free some, or unpack elsewhere: TMPDIR=/a/larger/disk make run")


def refuse_less_than(needed_gb: float, place: Path, advice: str) -> None:
    """Refuse a disk with less than `needed_gb` free."""
    free_gb = shutil.disk_usage(str(place)).free / 1e9
    if free_gb < needed_gb:
        raise Unready(
            f"Not enough disk space at {place}: {free_gb:.1f} GB are free, {needed_gb:.1f} GB are needed. {advice}"
        )


def create(venv: Path, log: Path) -> None:
    """A new, empty environment in place of whatever is there."""
    if venv.exists() or venv.is_symlink():
        print("Making .venv anew: the one that is there is unfinished, broken, or made for something else.")
    else:
        print("Making .venv: about 150 packages, over 1 GB, once.")
    if venv.is_dir() and not venv.is_symlink():
        shutil.rmtree(str(venv))
    elif venv.exists() or venv.is_symlink():
        venv.unlink()
    code, output = run_logged([sys.executable, "-m", "venv", str(venv)], log)
    if code != 0:
        raise Unready(explain(output, log))


def install(venv: Path, root: Path, log: Path) -> None:
    """The lock, then the checkout itself, editable."""
    lock = root / "requirements.lock"
    pip = [str(python_of(venv)), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-deps"]
    progress = Progress(venv, count_locked(lock))
    with contextlib.suppress(FileNotFoundError):
        (venv / "slipway.json").unlink()
    packages = pip + ["--no-user", "--progress-bar", "off", "--require-hashes", "-r", str(lock)]  # noqa: RUF005  # 3.6
    code, output = run_logged(packages, log, progress.read, progress.show)
    progress.finish()
    if code == 0:
        itself = pip + ["--no-user", "--no-build-isolation", "-e", str(root)]  # noqa: RUF005  # 3.6
        code, output = run_logged(itself, log)
    if code != 0:
        raise Unready(explain(output, log))


def compile_ours(venv: Path, root: Path, log: Path) -> None:
    """Bytecode of our packages, as pip has made that of all others: else the first command would wait for it.

    Best effort: what is missing is made when it is imported.
    """
    packages = sorted(str(found.parent) for found in root.glob("*/__init__.py"))
    run_logged([str(python_of(venv)), "-m", "compileall", "-q", *packages], log)


class Progress:
    """One line that moves: packages fetched, then packages installed."""

    def __init__(self, venv: Path, total: int) -> None:
        self.venv = venv
        self.total = total
        self.fetched = 0
        self.megabytes = 0.0
        self.installing = False
        self.began = time.time()
        self.told = self.began
        self.watched = sys.stdout.isatty()

    def read(self, line: str) -> None:
        """Learn from one line of pip's output."""
        words = line.strip()
        if words.startswith("Ignoring "):
            self.total -= 1  # a package for another platform or Python
        elif words.startswith(("Collecting ", "Requirement already satisfied: ")):
            self.fetched += 1
        elif words.startswith("Installing collected packages"):
            self.installing = True
            write_stamp(self.venv, {"unfinished": "packages are being put into this environment"})
        size = re.search(r"(?:Downloading|Using cached) .*\(([\d.]+) ?(kB|MB|GB)\)", words)
        if size:
            self.megabytes += float(size.group(1)) * {"kB": 0.001, "MB": 1.0, "GB": 1000.0}[size.group(2)]

    def show(self) -> None:
        """Say how far it is: at every call on a terminal, now and then in a log."""
        now = time.time()
        if not self.watched and now - self.told < QUIET_TICK_S:
            return
        self.told = now
        sys.stdout.write(f"\r\033[K{self.sentence(now)}" if self.watched else f"{self.sentence(now)}\n")
        sys.stdout.flush()

    def sentence(self, now: float) -> str:
        """How far it is."""
        done, verb = (count_installed(self.venv), "installed") if self.installing else (self.fetched, "fetched")
        size = f"{self.megabytes:.0f} MB, " if self.megabytes else ""
        return f"  {min(done, self.total)} of {self.total} packages {verb}, {size}{now - self.began:.0f} s"

    def finish(self) -> None:
        """Clear the moving line."""
        if self.watched:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()


def count_locked(lock: Path) -> int:
    """How many packages the lock names, for all platforms together."""
    return sum(1 for line in lock.read_text(encoding="utf-8").splitlines() if re.match(r"[A-Za-z0-9]", line))


def count_installed(venv: Path) -> int:
    """How many packages lie in the environment."""
    return sum(1 for _ in venv.glob("lib/python*/site-packages/*.dist-info"))


def run_logged(
    command: List[str],
    log: Path,
    on_line: Callable[[str], None] = lambda _: None,
    on_tick: Callable[[], None] = lambda: None,
) -> Tuple[int, List[str]]:
    """Run one command; all it says goes to the log. Its exit code and its lines."""
    lines = []  # type: List[str]
    with open_log(log) as sink:
        sink.write("\n$ {}\n".format(" ".join(command)))
        sink.flush()
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=clean_environment(),
            close_fds=False,  # it keeps the lock: if we are killed, the next `make` waits until pip has ended
        )
        assert process.stdout is not None
        listener = threading.Thread(target=listen, args=(process.stdout, sink, lines, on_line), daemon=True)
        listener.start()
        try:
            while listener.is_alive():
                listener.join(TICK_S)
                on_tick()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        return process.wait(), lines


def listen(stream: IO[bytes], sink: IO[str], lines: List[str], on_line: Callable[[str], None]) -> None:
    """Hand on what a process says, line by line, until it ends."""
    for raw in stream:
        line = raw.decode("utf-8", "replace").rstrip("\n")
        lines.append(line)
        on_line(line)
        with contextlib.suppress(OSError):  # a full disk stops the log, not the reading: pip says it too
            sink.write(line + "\n")
            sink.flush()


def open_log(log: Path) -> IO[str]:
    """The log, to write at its end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("a", encoding="utf-8", errors="replace")


def clean_environment() -> Dict[str, str]:
    """The user's own, pip's configuration included, with answers in English and no Python paths from elsewhere."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH")}
    environment["LC_ALL"] = "C.UTF-8"
    return environment


def explain(output: List[str], log: Path) -> str:
    """What went wrong and what to do, in a sentence; the last lines themselves when we do not know the failure."""
    text = "\n".join(output)
    for pattern, sentence in FAILURES:
        found = re.search(pattern, text, re.MULTILINE)
        if found:
            return f"{sentence.format(*found.groups())}\nAll that was said is in {log}."
    last = "\n  ".join([line for line in output if line.strip()][-3:])
    return f"The installation failed; the end of {log}:\n  {last}"


# The order matters: a registry that can't be reached ends in "No matching distribution" too.
FAILURES = (
    (r"No space left on device|Errno 28", "The disk is full: 3 GB are needed. Free some and run the command again."),
    (r"Disk quota exceeded", "The disk quota is used up: 3 GB are needed. Free some and run the command again."),
    (r"(?:Permission denied|Read-only file system): '([^']*)'", "{} can't be written. Make the checkout writable."),
    (
        r"DO NOT MATCH THE HASHES(?:.*\n)+? +(\S+)(?: from .*)?:?$",
        (
            "The file that the registry has for {} is not the one of requirements.lock: its hash differs. It was not "
            "installed. Try `pip cache purge` and run the command again; if it stays so, do not trust that file."
        ),
    ),
    (
        (
            r"NewConnectionError|Failed to establish a new connection|ConnectTimeout|Name or service not known"
            r"|Temporary failure in name resolution|Max retries exceeded|ProxyError|ReadTimeout|SSLError"
            r"|Connection refused"
        ),
        "The package registry can't be reached. Check the network, or say where yours is: PIP_INDEX_URL=… make run",
    ),
    (
        r"No matching distribution found for (\S+)",
        (
            "No registry that pip knows and can reach has {} for this Python and this machine. "
            "Look at `pip config list`, or name a complete registry: PIP_INDEX_URL=… make run"
        ),
    ),
    (r"ensurepip is not available", "This Python can't make virtual environments. Debian: apt install python3-venv"),
)


@contextlib.contextmanager
def disk_errors_as_sentences(root: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence with the place in it."""
    try:
        yield
    except OSError as error:
        raise Unready(
            f"{error.filename or root}: {error.strerror}. Make the checkout writable, with 3 GB free, and try again."
        ) from error


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Two `make` at once install once: the second waits."""
    path = root / ".slipway" / "bootstrap.lock"
    with open_log(path) as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("Another `make` is installing here; waiting for it.")
            sys.stdout.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def python_of(venv: Path) -> Path:
    """The environment's Python."""
    return venv / "bin" / "python"


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent.parent))
