"""The stages under `sql/`, for tests that build them."""

from pathlib import Path

from exchange.compiling import ROOT, compiled_when_called
from trading.smc.kernel import advance
from warehouse.stages import Stage, load_stages

SQL = Path(__file__).resolve().parents[1] / "sql"
ALL = load_stages(SQL, compiled_when_called(advance, ROOT / ".slipway" / "compiled"))


def without_strategies() -> tuple[Stage, ...]:
    """Candles, what is known about them, and markets: no features, and nothing that reads them."""
    left_out: set[str] = set()
    for stage in ALL:
        if stage.name.startswith("features.") or left_out.intersection(stage.inputs):
            left_out.add(stage.name)
    return tuple(stage for stage in ALL if stage.name not in left_out)
