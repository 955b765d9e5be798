"""What a backup says about itself: every file with its hash, and what the file must hold. Written last, read first."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from trading.errors import CheckFailed, InputUnusable

MANIFEST = "manifest.json"
JOURNALS = "journals"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Part(BaseModel):
    """A piece of the manifest: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(Part):
    """A file, by its path inside the backup."""

    name: str
    size_bytes: int
    sha256: Sha256


class WarehouseFile(StoredFile):
    """The build file. `contents` has a fingerprint of each table and view, by name, as this DuckDB tells it."""

    name: Literal["warehouse.duckdb"] = "warehouse.duckdb"
    schema_version: int | None  # None: it had no tables yet
    duckdb_version: str
    contents: Mapping[str, str]


class JournalFile(StoredFile):
    """One session's journal, up to the row with this number and hash."""

    name: Annotated[str, Field(pattern=r"^journals/[^/]+\.sqlite$")]  # never a way out of the folder
    seq: int
    hash: Sha256

    def place(self, folder: Path) -> Path:
        """Where it belongs, if `folder` holds the journals."""
        return folder / Path(self.name).name


class Manifest(Part):
    """A whole backup."""

    format: Literal[1] = 1
    taken_at: AwareDatetime
    code_version: str
    warehouse: WarehouseFile | None  # None: there was no build file
    journals: tuple[JournalFile, ...]

    @property
    def files(self) -> tuple[StoredFile, ...]:
        return (*([self.warehouse] if self.warehouse else []), *self.journals)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest into the folder of its backup."""
    (folder / MANIFEST).write_text(json.dumps(manifest.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the backup in `folder`.

    Raises:
        InputUnusable: there is none, or it is not one of ours; says what is wrong with it.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputUnusable(f"{folder} is no backup: its {MANIFEST} can't be read ({error.strerror}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise InputUnusable(f"{path} is not a manifest that this code wrote: {place}: {first['msg']}.") from error


def refuse_altered(folder: Path, manifest: Manifest) -> None:
    """Read every file back and compare it with the manifest.

    Raises:
        CheckFailed: files are missing, or are not the ones that were written; names them.
    """
    faults = [f"{file.name} {fault}" for file in manifest.files if (fault := _fault(folder / file.name, file.sha256))]
    if faults:
        raise CheckFailed(f"The backup {folder} is not what was written: {'; '.join(faults)}. Use another one.")


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex, as the disk has it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):  # Linux has it. What the memory still knows of the file proves nothing
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fault(path: Path, sha256: str) -> str:
    if not path.is_file():
        return "is missing"
    return "" if digest_of(path) == sha256 else "was changed"
