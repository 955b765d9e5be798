"""Landing twice lands once; a correction is kept beside what it corrects; what was refused is forgotten."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

NAME = "XBTUSD_15.csv"
START_S = 1_672_531_200
STAGING = Path(__file__).parents[2] / "sql" / "staging" / "stg_kraken__candles.sql"
DAY = dt.timedelta(days=1)
FETCHED = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def line(number, close):
    return f"{START_S + number * 900},100,110,90,{close},1,1\n"


@pytest.fixture
def judged(warehouse):
    """Gives every landed batch a state."""

    def judge(state):
        warehouse.execute("update raw.batches set state = ? where state = 'landed'", [state])

    return judge


@pytest.fixture
def candles(warehouse, ask):
    """Close of each candle as staging sees it."""

    def seen():
        query = STAGING.read_text(encoding="utf-8")
        rows = ask(f"select epoch(opened_at)::bigint - {START_S}, close from ({query}) order by opened_at")
        return {at // 900: close for at, close in rows}

    return seen


def counts(report):
    return (report.rows_read, report.rows_landed, report.rows_unchanged, report.rows_revised, report.rows_quarantined)


@pytest.mark.parametrize("state", ["landed", "validated"])
def test_the_same_content_is_landed_once_wherever_it_lies(state, landed, judged, ask):
    first = landed({NAME: line(0, 100)})
    if state == "validated":
        judged("validated")
    again = landed({f"elsewhere/{NAME}": line(0, 100)})
    assert (again.already_landed, again.batch_id, again.state) == (True, first.batch_id, state)
    assert counts(again) == (0, 0, 0, 0, 0)
    assert again.series == first.series
    assert "nothing was landed twice" in again.sentences[0]
    assert ask("select count(*) from raw.candle_rows") == [(1,)]


def test_the_same_content_of_another_instrument_is_other_content(landed, ask):
    landed({NAME: line(0, 100)})
    assert not landed({"ETHUSD_15.csv": line(0, 100)}).already_landed
    assert ask("select count(*) from raw.candle_rows") == [(2,)]


def test_rows_that_are_known_are_not_stored_again(landed, judged, candles, ask):
    landed({NAME: line(0, 100) + line(1, 101)})
    judged("validated")
    more = landed({NAME: line(0, 100) + line(1, 101) + line(2, 102)}, fetched_at=FETCHED + DAY)
    judged("validated")
    assert counts(more) == (3, 1, 2, 0, 0)
    assert ask("select count(*) from raw.candle_rows") == [(3,)]
    assert candles() == {0: Decimal(100), 1: Decimal(101), 2: Decimal(102)}


def test_a_correction_wins_and_what_it_corrects_is_kept(landed, judged, candles, ask):
    landed({NAME: line(0, 100) + line(1, 101)})
    judged("validated")
    corrected = landed({NAME: line(0, 100) + line(1, 99)}, fetched_at=FETCHED + DAY)
    judged("validated")
    assert counts(corrected) == (2, 0, 1, 1, 0)
    assert candles() == {0: Decimal(100), 1: Decimal(99)}
    assert ask("select close from raw.kraken_ohlcvt where revises or close > 100 order by close") == [
        (Decimal(99),),
        (Decimal(101),),
    ]


def test_a_correction_can_be_taken_back(landed, judged, candles):
    for close in (101, 99, 101):
        landed({NAME: line(1, close) + line(2, close - 1)}, fetched_at=FETCHED + close * DAY)
        judged("validated")
    # The first batch's own content is known; its repetition is no news, so the correction stands.
    assert candles() == {1: Decimal(99), 2: Decimal(98)}
    landed({NAME: line(1, 101)}, fetched_at=FETCHED + 200 * DAY)
    judged("validated")
    assert candles() == {1: Decimal(101), 2: Decimal(98)}


def test_nothing_of_a_batch_is_seen_before_it_is_validated(landed, judged, candles):
    landed({NAME: line(0, 100)})
    assert candles() == {}
    judged("validated")
    landed({NAME: line(0, 105)}, fetched_at=FETCHED + DAY)
    assert candles() == {0: Decimal(100)}


def test_nothing_of_a_refused_batch_is_seen_nor_compared_with(landed, judged, candles):
    landed({NAME: line(0, 100)})
    judged("refused")
    again = landed({NAME: line(0, 100) + line(1, 101)}, fetched_at=FETCHED + DAY)
    judged("validated")
    assert counts(again) == (2, 2, 0, 0, 0)
    assert candles() == {0: Decimal(100), 1: Decimal(101)}


def test_refused_content_is_landed_anew_and_its_first_try_forgotten(landed, judged, ask):
    first = landed({NAME: line(0, 100) + "x\n"})
    judged("refused")
    again = landed({NAME: line(0, 100) + "x\n"}, fetched_at=FETCHED + DAY)
    assert not again.already_landed
    assert again.batch_id != first.batch_id
    for table in ("batches", "files", "candle_rows", "quarantine"):
        assert ask(f"select count(*) from raw.{table}") == [(1,)]


def test_two_batches_that_wait_for_validation_both_count(landed, judged, candles):
    landed({NAME: line(0, 100)})
    landed({NAME: line(0, 105) + line(1, 101)}, fetched_at=FETCHED + DAY)
    judged("validated")
    assert candles() == {0: Decimal(105), 1: Decimal(101)}


def test_a_batch_says_what_it_holds(landed):
    report = landed({NAME: line(0, 100) + line(3, 101), "ETHUSD_1440.csv": f"{START_S},1,1,1,1,0,0\n"})
    spans = [
        (span.instrument, span.timeframe, span.rows, span.first_opened_at, span.last_opened_at)
        for span in report.series
    ]
    first = dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    assert spans == [
        ("BTC/USD", "15m", 2, first, first + dt.timedelta(minutes=45)),
        ("ETH/USD", "1d", 1, first, first),
    ]


def test_a_long_report_is_shortened(landed):
    report = landed({NAME: line(0, 100) + "x\n" * 50})
    assert len(report.sentences) == 1 + 20
