"""Settings: `base.toml`, one profile over it, secrets from the environment. Frozen; an unknown key is an error.

Nothing that can lose money has a default, so a limit that is missing stops the program at load; limits that
contradict each other are refused with both names and both values (I23).
"""

import os
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trading.errors import SetupFailed

ROOT = Path(__file__).resolve().parent.parent
PROFILES = Path(__file__).resolve().parent

Timeframe = Literal["15m", "1h", "4h", "1d"]
StrategyName = Annotated[str, Field(pattern=r"^signals_[a-z0-9_]+$")]
Objective = Literal["sharpe", "sortino", "return_percent", "profit_factor", "expectancy_r"]  # more is better
Dataset = Literal["ohlc", "trades", "charts", "funding"]
Positive = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Percent = Annotated[Decimal, Field(ge=0, le=100)]
NotNegative = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Threshold = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Part(BaseModel):
    """One section of the settings: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Paths(Part):
    """Places. What the project ships is found from the checkout; what it makes lies under `SLIPWAY_HOME`, if that is
    set (a container's volume, a test's folder), else in the checkout too."""

    state: Path
    published: Path
    sql: Path
    sample: Path
    backups: Path

    @model_validator(mode="after")
    def _anchored(self) -> Self:
        home = Path(os.environ.get("SLIPWAY_HOME") or ROOT).absolute()
        if not home.is_dir() and (home.exists() or any(each.is_file() for each in home.parents)):
            raise ValueError(f"SLIPWAY_HOME={home} is a file, or lies in one: name a folder, which need not exist yet")
        anchors = {"state": home, "published": home, "backups": home, "sql": ROOT, "sample": ROOT}
        for name, anchor in anchors.items():
            object.__setattr__(self, name, anchor / getattr(self, name))
        return self

    @property
    def build(self) -> Path:
        """The private file that flows write to."""
        return self.state / "build" / "warehouse.duckdb"

    @property
    def reports(self) -> Path:
        return self.state / "reports"

    @property
    def journals(self) -> Path:
        return self.state / "journals"


class Warehouse(Part):
    """How the build file is opened."""

    lock_wait_s: Annotated[float, Field(gt=0)]
    memory_limit: str
    threads: Annotated[int, Field(gt=0)]


class Validation(Part):
    """Thresholds of the checks: what of a batch is beyond one of them is refused, what of a day is alerted."""

    max_gap_candles: Annotated[int, Field(gt=0)]
    max_missing_share: Share
    max_jump_ratio: Annotated[float, Field(gt=1)]
    max_quarantined_share: Share
    max_reply_candles: Annotated[int, Field(gt=0)]
    max_price_gap_hours: Threshold
    max_missing_funding_share: Share
    max_relative_funding_rate: Threshold
    max_daily_missing_share: Share
    max_hours_behind: Threshold
    max_derived_difference_bps: Threshold
    max_index_difference_bps: Threshold
    max_basis_bps: Threshold

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        pairs = (
            ("max_daily_missing_share", "max_missing_share", "a day may not lack more than a batch"),
            ("max_index_difference_bps", "max_basis_bps", "spot is nearer to its index than a perpetual is"),
        )
        for small, large, why in pairs:
            if getattr(self, small) > getattr(self, large):
                raise ValueError(
                    f"validation.{small} = {getattr(self, small)} exceeds validation.{large} = "
                    f"{getattr(self, large)}: {why}"
                )
        widest_bps = (self.max_jump_ratio - 1) * 10_000
        if self.max_basis_bps > widest_bps:
            raise ValueError(
                f"validation.max_basis_bps = {self.max_basis_bps} exceeds what validation.max_jump_ratio = "
                f"{self.max_jump_ratio} lets a price be from the one before it, {widest_bps:g} bps"
            )
        return self


class Instrument(Part):
    """A spot instrument and the perpetual that it is traded on."""

    futures: str
    tick_usd: Positive
    lot_base: Positive
    maximum_lots: Annotated[int, Field(gt=0)]
    initial_margin_percent: Percent
    maintenance_margin_percent: Percent
    bucket: Annotated[str, Field(pattern=r"^[a-z0-9_-]*$")] = ""  # of instruments that move together; empty: none

    @model_validator(mode="after")
    def _held_for_less_than_entered(self) -> Self:
        if self.maintenance_margin_percent > self.initial_margin_percent:
            raise ValueError(
                f"{self.futures}: maintenance_margin_percent = {self.maintenance_margin_percent} exceeds "
                f"initial_margin_percent = {self.initial_margin_percent}: every entry would be liquidated at once"
            )
        if self.initial_margin_percent > 0 and self.maintenance_margin_percent == 0:
            raise ValueError(
                f"{self.futures}: maintenance_margin_percent = 0 beside initial_margin_percent = "
                f"{self.initial_margin_percent}: nothing would ever be liquidated"
            )
        return self


class Venue(Part):
    """Where one venue is asked: hosts without paths, or the file in which a running sandbox says its own.

    Its name is the first word of the source of all that it tells: `sandbox-rest`, `kraken-rest`.
    """

    spot_url: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    futures_url: Annotated[str, Field(pattern=r"^https?://[^/]+$")] | None = None
    addresses: str | None = None  # within paths.state
    timeout_s: Annotated[float, Field(gt=0)]
    attempts: Annotated[int, Field(gt=0)]

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        urls = [self.spot_url, self.futures_url]
        if (self.addresses is None) != all(urls) or (self.addresses is not None and any(urls)):
            raise ValueError("a venue has either spot_url and futures_url, or addresses")
        return self


class Backfill(Part):
    """What is fetched when nobody says it, and how much of what is held is fetched again.

    `instruments` are fetched beside those that the settings describe; the name `universe` stands for its members.
    """

    instruments: tuple[str, ...]
    datasets: Annotated[tuple[Dataset, ...], Field(min_length=1)]
    overlap_candles: Annotated[int, Field(ge=0)]


class Universe(Part):
    """What a market must be like to be traded. `include` is in at any volume and spread, `exclude` out in any case."""

    quotes: Annotated[tuple[str, ...], Field(min_length=1)]
    min_volume_24h_usd: NotNegative
    max_spread_bps: Positive
    include: tuple[str, ...]
    exclude: tuple[str, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        both = sorted(set(self.include) & set(self.exclude))
        if both:
            raise ValueError(f"universe.include and universe.exclude both name {both}")
        return self


class Costs(Part):
    """What a trade costs: Kraken's fees, and the models of slippage, basis and latency."""

    taker_fee_percent: NotNegative
    maker_fee_percent: Decimal
    slippage_bps: Annotated[Decimal, Field(ge=0, le=10_000)]
    spread_bps: Annotated[Decimal, Field(ge=0, le=10_000)]
    range_slippage_percent: Percent
    impact_bps: Annotated[Decimal, Field(ge=0, le=10_000)]
    max_participation_percent: Percent
    liquidation_fee_percent: Percent
    funding: Literal["historical", "assumed", "none"]
    assumed_funding_percent: Annotated[Decimal, Field(ge=-1, le=1)]
    basis_bps: Decimal
    latency_ms: Annotated[int, Field(gt=0)]


class Risk(Part):
    """Limits, and how a trade is left. None has a default; what may be 0 or false is off then."""

    starting_cash_usd: Positive
    risk_per_trade_percent: Positive
    max_notional_percent: Positive
    max_positions: Annotated[int, Field(gt=0)]
    max_daily_loss_percent: Positive
    max_drawdown_percent: Positive
    cooldown_minutes: Annotated[int, Field(ge=0)]
    max_entry_delay_minutes: Annotated[int, Field(ge=0, le=1440)]
    break_even_after_target: bool
    trailing_stop_r: Annotated[Decimal, Field(ge=0, le=100)]
    max_holding_minutes: Annotated[int, Field(ge=0, le=525_600)]
    max_leverage_percent: NotNegative
    max_side_percent: NotNegative
    max_bucket_positions: Annotated[int, Field(ge=0)]
    max_losses_in_a_row: Annotated[int, Field(ge=0)]
    loss_pause_minutes: Annotated[int, Field(ge=0, le=525_600)]
    entry_limit_minutes: Annotated[int, Field(ge=0, le=525_600)]
    liquidation_buffer_percent: Percent

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        pairs = (
            ("risk_per_trade_percent", "max_daily_loss_percent"),
            ("max_daily_loss_percent", "max_drawdown_percent"),
        )
        for small, large in pairs:
            if getattr(self, small) > getattr(self, large):
                raise ValueError(
                    f"risk.{small} = {getattr(self, small)} exceeds risk.{large} = {getattr(self, large)}: "
                    "one normal loss would trip the halt"
                )
        for name in ("max_leverage_percent", "max_side_percent"):
            if 0 < getattr(self, name) < self.max_notional_percent:
                raise ValueError(
                    f"risk.max_notional_percent = {self.max_notional_percent} exceeds risk.{name} = "
                    f"{getattr(self, name)}: one full position would be refused"
                )
        if (self.max_losses_in_a_row > 0) != (self.loss_pause_minutes > 0):
            raise ValueError(
                f"risk.max_losses_in_a_row = {self.max_losses_in_a_row} and risk.loss_pause_minutes = "
                f"{self.loss_pause_minutes}: either both are 0, or neither"
            )
        return self


class Strategy(Part):
    """Which file decides, on which candles."""

    name: StrategyName
    timeframe: Timeframe
    instruments: Annotated[tuple[str, ...], Field(min_length=1)]


class Alerts(Part):
    """Where alerts go: Apprise URLs."""

    urls: tuple[str, ...]


class Lifecycle(Part):
    """How long things are kept, in days, and when the build file is written anew."""

    backup_days: Annotated[int, Field(gt=0)]
    refused_days: Annotated[int, Field(gt=0)]
    quarantine_text_days: Annotated[int, Field(gt=0)]
    check_days: Annotated[int, Field(gt=0)]
    file_days: Annotated[int, Field(gt=0)]
    run_days: Annotated[int, Field(gt=0)]
    compact_free_share: Annotated[float, Field(gt=0, le=1)]


class Session(Part):
    """One bounded trading session."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    candles: Annotated[int, Field(gt=0)]


class Settings(Part):
    """Everything, validated together; handed down in pieces, never whole."""

    paths: Paths
    warehouse: Warehouse
    validation: Validation
    instruments: dict[str, Instrument]
    venues: dict[str, Venue]
    backfill: Backfill
    universe: Universe
    costs: Costs
    risk: Risk
    strategy: Strategy
    alerts: Alerts
    lifecycle: Lifecycle
    session: Session

    @model_validator(mode="after")
    def _instruments_known(self) -> Self:
        unknown = sorted(set(self.strategy.instruments) - set(self.instruments))
        if unknown:
            raise ValueError(f"strategy.instruments names {unknown}, which [instruments] does not describe")
        return self

    @model_validator(mode="after")
    def _buckets_named(self) -> Self:
        if self.risk.max_bucket_positions and not any(each.bucket for each in self.instruments.values()):
            raise ValueError(
                f"risk.max_bucket_positions = {self.risk.max_bucket_positions} limits nothing: no instrument of "
                "[instruments] has a bucket"
            )
        return self


def load_settings(profile: str = "paper") -> Settings:
    """Settings of one profile; `profile` is the name of a file beside `base.toml`, without its ending.

    Raises:
        SetupFailed: the profile does not exist, is not TOML, or a key is missing, unknown or contradictory.
    """
    path = PROFILES / f"{profile}.toml"
    if profile == "base" or not path.is_file():
        known = sorted(file.stem for file in PROFILES.glob("*.toml") if file.stem != "base")
        raise SetupFailed(f"There is no profile {profile!r}; config/ has {', '.join(known)}.")
    try:
        merged = _merge(_read(PROFILES / "base.toml"), _read(path))
        return Settings.model_validate(merged)
    except tomllib.TOMLDecodeError as error:
        raise SetupFailed(f"config/{profile}.toml or config/base.toml is not TOML: {error}") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors())
        raise SetupFailed(f"The settings of profile {profile!r} can't be used: {places}.") from error


def _read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        inner = merged.get(key)
        merged[key] = _merge(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
