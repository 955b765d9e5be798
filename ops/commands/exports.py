"""`slipway export-trades`: a stored run as a CSV file, for taxes or a spreadsheet."""

import argparse
from pathlib import Path


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    export = commands.add_parser("export-trades", help="write the closed trades of a stored run to a CSV file")
    export.add_argument("run", metavar="RUN", help="its id, as marts.backtests has it, or `latest`")
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="is replaced if it is there")
    export.add_argument("--fills", action="store_true", help="one row per fill, not per closed trade")
    export.set_defaults(command=_export)


def _export(chosen: argparse.Namespace) -> int:
    from config.settings import load_settings
    from tasks.research.ledgers import export_run

    done = export_run(load_settings(chosen.profile), chosen.run, chosen.out, each_fill=chosen.fills)
    print(f"{done.rows:,} {'fills' if chosen.fills else 'closed trades'} of run {done.run_id}: {chosen.out}")
    if done.left_out:
        print(f"Left out: {done.left_out:,} of which nothing is closed when the data ends.")
    return 0
