"""`slipway backup` and `slipway restore`: they must work when nothing else does."""

import argparse
from pathlib import Path


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser."""
    backup = commands.add_parser("backup", help="copy warehouse and journals, and prove the copies")
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", help="put a backup in place; without a folder, list the backups")
    restore.add_argument("folder", nargs="?", type=Path, help="of a backup, or its name in the folder of backups")
    restore.add_argument("--only", choices=("warehouse", "journals"), help="leave the other as it is")
    restore.add_argument(
        "--force", action="store_true", help="replace journals that hold more, too; they are kept beside"
    )
    restore.set_defaults(command=_restore)


def _backup(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from tasks.upkeep.backups import back_up

    made = back_up(load_settings(chosen.profile))
    print("\n".join(made.sentences))
    made.refuse_left_out()
    return 0


def _restore(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from ops.backups.folders import backups
    from tasks.upkeep.restores import restore

    settings = load_settings(chosen.profile)
    root = settings.paths.backups
    if chosen.folder is None:
        print("\n".join(map(str, backups(root))) or f"There is no backup in {root}: `slipway backup` makes one.")
        return 0
    folder = chosen.folder if chosen.folder.is_dir() else root / chosen.folder
    print("\n".join(restore(settings, folder, only=chosen.only, is_forced=chosen.force).sentences))
    return 0
