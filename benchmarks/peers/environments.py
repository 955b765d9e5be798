"""An environment for each peer, made of its lock: its pins and ours exclude each other.

`NAME.in` says what is wanted, `NAME.lock` pins it with hashes and names no address; `make lock-peers` makes the second
of the first.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


class NotBuilt(Exception):
    """The environment can't be made on this machine; the text says why."""


def python_of(name: str, python: str, folder: Path) -> Path:
    """The Python of `folder/name`, with what `name.lock` pins; made, or found made of the same lock.

    Raises NotBuilt: there is no such Python as `python`, or pip failed.
    """
    lock, place = HERE / f"{name}.lock", folder / name
    stamp, wanted = place / "lock.sha256", hashlib.sha256(lock.read_bytes()).hexdigest()
    interpreter = place / "bin" / "python"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return interpreter
    shutil.rmtree(place, ignore_errors=True)
    print(f"Making {place} of {lock.name} ...", flush=True)
    install = ["-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "-r", str(lock)]
    for command in ([python, "-m", "venv", str(place)], [str(interpreter), *install]):
        _run(command)
    stamp.write_text(wanted, encoding="utf-8")
    return interpreter


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotBuilt(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise NotBuilt((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
