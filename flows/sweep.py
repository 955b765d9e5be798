"""One strategy with many sets of parameters, over published history."""

from datetime import datetime
from typing import Annotated

from prefect import flow
from pydantic import Field

from config.settings import Objective, StrategyName, Timeframe, load_settings
from tasks import facts
from tasks.catalog import note, run_sweep, show, tell_of_failure
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def sweep(
    strategy: StrategyName,
    vary: list[str],
    draws: Annotated[int, Field(ge=1)] | None = None,
    seed: int = 0,
    folds: Annotated[int, Field(ge=0)] = 0,
    objective: Objective = "sharpe",
    instruments: list[str] | None = None,
    first: datetime | None = None,
    last: datetime | None = None,
    timeframe: Timeframe | None = None,
    parameters: dict[str, int | float | str] | None = None,
    processes: Annotated[int, Field(ge=1)] | None = None,
    profile: str = "paper",
) -> None:
    """Try many sets of parameters of a strategy; the result is rows in a file of their own, and a page of this run.

    Args:
        strategy: A file of sql/marts/, without its ending.
        vary: What to vary: stop_atr=1,2,3 or stop_atr=1:3:0.5, or a name alone for what the strategy allows.
        draws: So many sets at random. Left out: every combination.
        seed: Of the draws.
        folds: Of a walk forward, which chooses before each of them and judges in it. 0: none.
        objective: What sets are compared by.
        instruments: For example BTC/USD. Left out: those of the profile.
        first: Earliest close, UTC. Left out: all of history.
        last: Latest close, UTC.
        timeframe: Of the candles that are traded. Left out: that of the profile.
        parameters: Values for the parameters that are not varied.
        processes: Beside one another. Left out: one per processor.
        profile: Settings, by the name of a file in config/.
    """
    settings = load_settings(profile)
    summary = run_sweep(
        settings,
        settings.paths.sql / "marts" / f"{strategy}.sql",
        vary=tuple(vary),
        draws=draws,
        seed=seed,
        folds=folds,
        objective=objective,
        instruments=tuple(instruments) if instruments else None,
        first=first,
        last=last,
        timeframe=timeframe,
        parameters=parameters or {},
        processes=processes,
    )
    note(facts.of_sweep(summary))
    show(f"sweep-{summary.strategy}", summary.page)
