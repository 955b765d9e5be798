"""One strategy file as a value: read, found clean by its text, with the parameters it will run with."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from trading.errors import InputUnusable
from trading.indicators.needs import Need, parse_need
from warehouse.features.smc import TABLE as SMC
from warehouse.grammar.headers import Header, complete, parse_header
from warehouse.grammar.lint import refuse, series_columns_bound, strategy_lint
from warehouse.grammar.parameters import Value, values_of
from warehouse.grammar.trees import inputs_of, parse_select
from warehouse.strategies.rejections import rejections_sql


@dataclass(frozen=True)
class Strategy:
    """One strategy file as it was when it was loaded, found clean, with the parameters it will run with."""

    name: str
    file: str
    sql: str
    header: Header
    values: Mapping[str, Value]

    @property
    def hash(self) -> str:
        """Of the text and the parameters: what decides, with the candles, which signals come out."""
        return hashlib.sha256(json.dumps([self.sql, dict(self.values)], sort_keys=True).encode()).hexdigest()

    @cached_property
    def reads_smc(self) -> bool:
        """Whether it reads `features.smc`."""
        return any(place.name == SMC for place in inputs_of(parse_select(self.sql, self.file)))

    @cached_property
    def reads_one_timeframe(self) -> bool:
        """Whether its text keeps timeframes apart: no candle of another one can touch a signal."""
        return "timeframe" in series_columns_bound(self.sql, self.file)

    @property
    def needs(self) -> tuple[Need, ...]:
        return tuple(sorted({parse_need(text) for text in self.header.needs}))


def load_strategy(path: Path, params: Mapping[str, object] | None = None) -> Strategy:
    """The strategy in `path`, with `params` over the defaults of its header.

    Raises:
        InputUnusable: no such file, an incomplete header, an unknown or wrong parameter, or SQL that could look
            ahead or come out differently; names the file and the lines.
    """
    file = path.name
    try:
        sql = path.read_text(encoding="utf-8").strip().removesuffix(";")
    except (OSError, UnicodeDecodeError) as error:
        raise InputUnusable(f"The strategy {path} can't be read: {error}") from error
    header = complete(parse_header(sql, file), file)
    if header.rejections:
        rejections_sql(sql, header.rejections, file)  # what a build would refuse
    return with_parameters(Strategy(path.stem, file, sql, header, {}), params or {})


def with_parameters(strategy: Strategy, params: Mapping[str, object]) -> Strategy:
    """The same file with `params` over those that it has; over the defaults where it has none.

    Raises:
        InputUnusable: an unknown or wrong parameter, or one with which the SQL could look ahead.
    """
    values = values_of(strategy.header.params, {**strategy.values, **params}, strategy.file)
    refuse(strategy_lint(strategy.sql, strategy.header, values, strategy.file), strategy.file)
    return replace(strategy, values=values)
