"""What each step says about itself, for a person."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from ops.alerts import Delivery
from tasks import facts
from tasks.session import SessionSummary, Tally
from tasks.stages import StagesReport
from warehouse.batches import BatchReport, SeriesSpan
from warehouse.builds import StageResult
from warehouse.checks import CheckResult
from warehouse.connection import PublishReport

AT = datetime(2023, 1, 31, tzinfo=UTC)
BATCH = BatchReport(
    batch_id="b-1",
    state="landed",
    path=Path("archive.zip"),
    already_landed=False,
    rows_read=1_010,
    rows_landed=1_000,
    rows_unchanged=3,
    rows_revised=2,
    rows_quarantined=5,
    series=(SeriesSpan("BTC/USD", "15m", 1_000, AT, AT),),
    files=(),
    skipped=(),
    quarantined=tuple(f"XBTUSD_15.csv line {line}: high < low" for line in range(5)),
)


def test_a_batch_says_what_became_of_its_rows_and_shows_the_first_bad_ones() -> None:
    said = facts.of_batch(BATCH)
    assert said["rows landed"] == "1,000"
    assert said["quarantined"].splitlines()[:2] == ["5", "XBTUSD_15.csv line 0: high < low"]
    assert len(said["quarantined"].splitlines()) == 1 + facts.SHOWN_BAD_ROWS
    assert said["BTC/USD 15m"] == "1,000, 2023-01-31 to 2023-01-31"


def test_a_batch_names_what_was_left_out_and_no_more_than_a_screen_holds() -> None:
    sentences = tuple(f"{name}.csv: its name states no instrument and timeframe; skipped." for name in range(7))
    said = facts.of_batch(replace(BATCH, skipped=sentences))["left out"].splitlines()
    assert said == [*sentences[:5], "… and 2 more"]
    assert facts.of_no_batch(sentences[:1]) == {"rows landed": "0", "left out": sentences[0]}


def test_a_batch_that_was_there_before_says_which_one_it_is() -> None:
    assert facts.of_batch(replace(BATCH, already_landed=True)) == {
        "rows landed": "0",
        "known already": "all of it, as batch b-1",
    }


def test_a_build_names_the_tables_people_ask_for_and_the_signals_of_each_strategy() -> None:
    stages = (
        StageResult("staging.stg_kraken__candles", "unchanged", 7, 0),
        StageResult("marts.candles", "updated", 12_345, 5),
        StageResult("marts.candle_gaps", "unchanged", 2, 0),
        StageResult("marts.signals_ema_cross", "unchanged", 42, 0),
    )
    published = PublishReport(Path("slipway.duckdb"), AT, 26_000_000)
    checks = (CheckResult("candles_consistent", (), 0, ""),)
    said = facts.of_build(StagesReport(stages, (), changed=True, rejections={}), checks, published)
    assert said == {
        "candles": "12,345",
        "gaps": "2",
        "signals_ema_cross": "42 signals",
        "stages": "4, 1 of them changed",
        "checks": "1 passed",
        "published": "26.0 MB at 2023-01-31 00:00:00 UTC",
    }


def test_a_build_says_why_candidates_are_no_signals() -> None:
    built = StagesReport(
        (StageResult("marts.signals_smc", "updated", 103, 3),),
        (),
        changed=True,
        rejections={"signals_smc": {"bias of the day": 7_091, "score": 111}},
    )
    said = facts.of_build(built, (), PublishReport(Path("slipway.duckdb"), AT, 26_000_000))
    assert said["signals_smc"].splitlines() == [
        "103 signals",
        "7,091 not taken: bias of the day",
        "111 not taken: score",
    ]


def test_a_session_says_what_it_lived_through_and_where_its_journal_lies() -> None:
    summary = SessionSummary(
        journal=Path("paper.sqlite"),
        note="a new journal",
        added=Tally(10, 2, 1, 2),
        total=Tally(30, 4, 2, 4),
        last_close_at=0,
        equity_usd=100_123.456,
        open_positions=1,
        alert=Delivery(0, 0, 0),
    )
    said = facts.of_session(summary, Decimal(100_000))
    assert said["closes"] == "10 new, 30 in the journal"
    assert said["decisions"] == "4 signals, 2 entries"
    assert said["equity"] == "100,123.46 USD, open positions: 1"
    assert said["profit and loss"] == "+123.46 USD"
    assert said["journal"] == "paper.sqlite"
