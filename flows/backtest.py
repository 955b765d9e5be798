"""One strategy over published history."""

from datetime import datetime

from prefect import flow

from config.settings import StrategyName, Timeframe, load_settings
from tasks import facts
from tasks.catalog import BACKTEST_FINISHED, announce, note, run_backtest, show, tell_of_failure
from tasks.provenance import code_version


@flow(version=code_version(), on_failure=[tell_of_failure], on_crashed=[tell_of_failure])
def backtest(
    strategy: StrategyName | None = None,
    instruments: list[str] | None = None,
    first: datetime | None = None,
    last: datetime | None = None,
    timeframe: Timeframe | None = None,
    parameters: dict[str, int | float | str] | None = None,
    profile: str = "paper",
    chain: str | None = None,
    announces: bool = True,
) -> None:
    """Trade a strategy over the published candles; the result is a report, rows, and a page of this run.

    Args:
        strategy: A file of sql/marts/, without its ending. Left out: the strategy of the profile.
        instruments: For example BTC/USD. Left out: those of the profile.
        first: Earliest close, UTC. Left out: all of history.
        last: Latest close, UTC.
        timeframe: Of the candles that are traded. Left out: that of the profile.
        parameters: Values for the parameters that the strategy's header declares.
        profile: Settings, by the name of a file in config/.
        chain: Filled in by a trigger. Without it, nothing is started afterwards.
        announces: Whether its end starts what comes next in the chain.
    """
    settings = load_settings(profile)
    run = run_backtest(
        settings,
        settings.paths.sql / "marts" / f"{strategy or settings.strategy.name}.sql",
        instruments=tuple(instruments) if instruments else None,
        first=first,
        last=last,
        timeframe=timeframe,
        parameters=parameters,
    )
    note(facts.of_backtest(run))
    show(f"backtest-{run.strategy}", run.page)
    if chain and announces:
        announce(BACKTEST_FINISHED, chain)
