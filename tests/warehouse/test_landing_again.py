"""Landing twice lands once; a correction is kept beside what it corrects; what was refused is forgotten."""

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path

import pytest

from trading.errors import InputUnusable
from warehouse.batches import judge_files
from warehouse.intake import reading

NAME = "XBTUSD_15.csv"
START_S = 1_672_531_200
STAGING = Path(__file__).parents[2] / "sql" / "staging" / "stg_kraken__believed.sql"
DAY = dt.timedelta(days=1)
FETCHED = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def line(number, close):
    return f"{START_S + number * 900},100,110,90,{close},1,1\n"


@pytest.fixture
def judged(warehouse):
    """Gives every landed batch a state."""

    def judge(state):
        for table in ("raw.batches", "raw.files"):
            warehouse.execute(f"update {table} set state = ? where state = 'landed'", [state])

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


BROKEN = b"404 not found"


@pytest.fixture
def inbox(tmp_path):
    """A folder with a good file, a broken zip and a page that is no CSV, all at rest."""
    folder = tmp_path / "inbox"
    folder.mkdir()
    put(folder / NAME, line(0, 100).encode())
    put(folder / "bad.zip", BROKEN)
    put(folder / "ETHUSD_15.csv", b"<html>\n</html>\n")
    return folder


def put(path, content):
    path.write_bytes(content)
    hours_ago = FETCHED.timestamp() - 7_200
    os.utime(path, (hours_ago, hours_ago))


def refused(report):
    return {refusal.name: refusal.is_new for refusal in report.refusals}


@pytest.mark.parametrize("is_inbox", [False, True])
def test_what_can_not_be_used_is_refused_beside_what_lands(is_inbox, landed, inbox, ask):
    report = landed(inbox, is_inbox=is_inbox)
    assert (report.rows_read, report.rows_landed, report.state) == (1, 1, "landed")
    assert refused(report) == {"bad.zip": True, "ETHUSD_15.csv": True}
    assert ask("select state, path, rows_read from raw.batches order by path") == [
        ("landed", str(inbox), 1),
        ("refused", str(inbox / "ETHUSD_15.csv"), 2),
        ("refused", str(inbox / "bad.zip"), 0),
    ]
    assert ask("select detail from raw.batches where path like '%.zip'") == [
        ("It is a broken zip: File is not a zip file.",)
    ]
    with pytest.raises(InputUnusable, match=r"2 files .*the rest is in batch .*bad\.zip was refused"):
        report.raise_new_refusals()


def test_an_inbox_tries_what_it_refused_not_again_but_keeps_mentioning_it(landed, judged, inbox, ask):
    first = landed(inbox, is_inbox=True)
    judged("validated")
    again = landed(inbox, is_inbox=True, fetched_at=FETCHED + DAY)
    assert (again.already_landed, again.batch_id) == (True, first.batch_id)
    assert refused(again) == {"bad.zip": False, "ETHUSD_15.csv": False}
    again.raise_new_refusals()
    assert sum("was refused before and was not tried again" in sentence for sentence in again.sentences) == 2
    assert ask("select count(*), count(distinct fetched_at) from raw.batches") == [(3, 1)]


def test_a_new_file_lands_beside_what_was_refused_before(landed, judged, inbox):
    landed(inbox, is_inbox=True)
    judged("validated")
    put(inbox / "SOLUSD_15.csv", line(0, 100).encode())
    report = landed(inbox, is_inbox=True, fetched_at=FETCHED + DAY)
    assert counts(report) == (2, 1, 1, 0, 0)
    assert set(refused(report).values()) == {False}


@pytest.mark.parametrize("name", ["bad.zip", "ETHUSD_15.csv"])
def test_other_content_under_a_refused_name_is_tried(name, landed, inbox):
    landed(inbox, is_inbox=True)
    put(inbox / name, b"500 internal error\n")
    report = landed(inbox, is_inbox=True, fetched_at=FETCHED + DAY)
    assert [other for other, is_new in refused(report).items() if is_new] == [name]


def test_a_mended_file_lands(landed, inbox, candles, judged):
    landed(inbox, is_inbox=True)
    judged("validated")
    put(inbox / "ETHUSD_15.csv", line(1, 101).encode())
    landed(inbox, is_inbox=True, fetched_at=FETCHED + DAY)
    judged("validated")
    assert candles() == {0: Decimal(100), 1: Decimal(101)}


@pytest.mark.parametrize("name", ["bad.zip", "ETHUSD_15.csv"])
def test_who_names_a_refused_file_has_it_tried_again(name, landed, inbox, ask):
    landed(inbox, is_inbox=True)
    report = landed(inbox / name, fetched_at=FETCHED + DAY)
    assert (report.state, refused(report)) == ("refused", {name: True})
    assert ask(f"select count(*), max(fetched_at) from raw.batches where path like '%{name}'") == [(1, FETCHED + DAY)]
    assert ask("select count(*) from raw.quarantine") == [(2,)]


def test_an_inbox_of_refused_files_alone_stays_quiet_about_them(landed, inbox, ask):
    (inbox / NAME).unlink()
    first = landed(inbox, is_inbox=True)
    again = landed(inbox, is_inbox=True, fetched_at=FETCHED + DAY)
    assert (first.state, again.state, again.rows_quarantined) == ("refused", "refused", 2)
    again.raise_new_refusals()
    assert ask("select count(*) from raw.batches") == [(2,)]


def test_two_copies_of_a_bad_file_are_one_refusal(landed, ask):
    page = "<html>\n</html>\n"
    report = landed(
        {"q1/XBTUSD_15.csv": page, "q2/XBTUSD_15.csv": page, "a.zip": BROKEN, "b.zip": BROKEN, NAME: line(0, 100)}
    )
    assert list(refused(report)) == ["a.zip", "q1/XBTUSD_15.csv"]
    assert ask("select file, count(*) from raw.quarantine group by file order by file") == [
        ("q1/XBTUSD_15.csv", 2),
        ("q2/XBTUSD_15.csv", 2),
    ]


def test_files_that_were_refused_together_are_not_tried_again_by_an_inbox(landed, tmp_path):
    inbox = tmp_path / "inbox"
    for folder, close in (("q1", 100), ("q2", 101)):
        (inbox / folder).mkdir(parents=True)
        put(inbox / folder / NAME, line(0, close).encode())
    landed(inbox, is_inbox=True)
    again = landed(inbox, is_inbox=True, fetched_at=FETCHED + DAY)
    assert refused(again) == {"inbox": False}


def test_a_candle_that_was_still_open_lands_from_the_same_file_once_it_has_closed(landed, tmp_path, candles, judged):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    put(inbox / NAME, line(0, 100).encode() + line(1, 101).encode())
    opened_at = dt.datetime.fromtimestamp(int(line(0, 100).split(",")[0]), dt.UTC)
    first = landed(inbox, is_inbox=True, fetched_at=opened_at + dt.timedelta(minutes=13))
    still_open = landed(inbox, is_inbox=True, fetched_at=opened_at + dt.timedelta(minutes=14))
    assert (refused(first), refused(still_open)) == ({NAME: True}, {NAME: False})
    landed(inbox, is_inbox=True, fetched_at=opened_at + dt.timedelta(minutes=30))
    judged("validated")
    assert candles() == {0: Decimal(100), 1: Decimal(101)}


def test_what_the_checks_refused_is_tried_again_even_by_an_inbox(landed, judged, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    put(inbox / NAME, line(0, 100).encode())
    landed(inbox, is_inbox=True)
    judged("refused")
    assert landed(inbox, is_inbox=True, fetched_at=FETCHED + DAY).state == "landed"


def test_a_report_names_what_was_asked_for_not_what_landed_it_before(landed, tmp_path):
    landed({NAME: line(0, 100)})
    (tmp_path / "mine").mkdir()
    put(tmp_path / "mine" / NAME, line(0, 100).encode())
    assert landed(tmp_path / "mine").sentences[0].startswith("mine holds what batch")


def test_a_better_source_is_believed_whichever_came_last(landed, judged, candles):
    landed({NAME: line(0, 100)}, source="kraken-rest")
    judged("validated")
    landed({NAME: line(0, 101)})
    judged("validated")
    late = landed({NAME: line(0, 102)}, source="kraken-rest", fetched_at=FETCHED + DAY)
    judged("validated")
    assert counts(late) == (1, 0, 0, 1, 0)
    assert candles() == {0: Decimal(101)}


@pytest.mark.parametrize("close", [100, 101])
def test_a_source_adds_nothing_when_it_repeats_itself_or_says_what_is_believed(close, landed, judged, ask):
    landed({NAME: line(0, 100)}, source="kraken-rest")
    judged("validated")
    landed({NAME: line(0, 101)})
    judged("validated")
    again = landed({NAME: line(0, close) + line(1, 100)}, source="kraken-rest", fetched_at=FETCHED + DAY)
    assert counts(again) == (2, 1, 1, 0, 0)
    assert ask("select count(*) from raw.candle_rows") == [(3,)]


def test_what_a_source_was_asked_for_is_kept_with_its_files(landed, ask):
    start = dt.datetime.fromtimestamp(START_S, dt.UTC)
    spans = "select covers_from, covers_until, rows_read, rows_quarantined from raw.files order by file_id"
    landed({NAME: line(0, 100) + line(2, 100) + "bad\n"})
    landed({NAME: line(5, 100)}, source="kraken-rest", covers=(start, start + DAY))
    assert ask(spans) == [
        (start, start + dt.timedelta(minutes=45), 3, 1),
        (start, start + DAY, 1, 0),
    ]


def test_a_batch_that_the_checks_refused_in_part_is_judged_again_by_its_own_path_only(landed, warehouse, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    put(inbox / NAME, line(0, 100).encode())
    batch = landed(inbox, is_inbox=True)
    warehouse.execute("update raw.batches set state = 'partly'")
    assert landed(inbox, is_inbox=True).state == "partly"
    again = landed(inbox)
    assert (again.state, again.already_landed, again.batch_id) == ("landed", True, batch.batch_id)


def test_what_a_better_source_confirms_is_not_undone_by_a_worse_one(landed, judged, candles):
    landed({NAME: line(0, 100)}, source="kraken-trades")
    judged("validated")
    confirmed = landed({NAME: line(0, 100) + line(1, 100)})
    assert counts(confirmed) == (2, 2, 0, 0, 0)
    judged("validated")
    late = landed({NAME: line(0, 105)}, source="kraken-trades", fetched_at=FETCHED + DAY)
    judged("validated")
    assert counts(late) == (1, 0, 0, 1, 0)
    assert candles() == {0: Decimal(100), 1: Decimal(100)}


def test_a_refused_batch_that_passes_later_counts_no_candle_twice(landed, judged, candles, warehouse):
    refused = landed({NAME: line(0, 100)})
    judged("refused")
    landed({f"mended/{NAME}": line(0, 105)})
    judged("validated")
    warehouse.execute("update raw.files set state = 'validated' where batch_id = ?", [refused.batch_id])
    assert candles() == {0: Decimal(105)}
    staged = STAGING.read_text(encoding="utf-8")
    assert warehouse.execute(f"select count(*) from ({staged})").fetchone() == (1,)


def test_what_was_validated_stays_so_when_its_batch_is_judged_again(landed, warehouse, ask):
    batch = landed({NAME: line(0, 100), "ETHUSD_15.csv": line(0, 100)})
    states = "select instrument, state from raw.files order by all"
    assert judge_files(warehouse, batch.batch_id, frozenset({"ETH/USD"}), "") == "partly"
    assert judge_files(warehouse, batch.batch_id, frozenset({"BTC/USD"}), "") == "validated"
    assert ask(states) == [("BTC/USD", "validated"), ("ETH/USD", "validated")]


@pytest.mark.parametrize("bytes_at_once", [1, 1 << 30], ids=["file by file", "all at once"])
def test_new_series_beside_known_ones_and_bad_lines_land_as_each_would_alone(
    bytes_at_once, landed, judged, ask, monkeypatch
):
    monkeypatch.setattr(reading, "BYTES_AT_ONCE", bytes_at_once)
    landed({NAME: line(0, 100) + line(1, 101)})
    judged("validated")
    report = landed(
        {
            NAME: line(1, 101) + line(2, 102),
            "ETHUSD_15.csv": line(0, 103) + line(1, 104),
            "SOLUSD_15.csv": line(0, 105) + "nonsense\n",
        }
    )
    assert counts(report) == (6, 4, 1, 0, 1)
    assert ask("select instrument, close::int from raw.kraken_ohlcvt where state = 'landed' order by all") == [
        ("BTC/USD", 102),
        ("ETH/USD", 103),
        ("ETH/USD", 104),
        ("SOL/USD", 105),
    ]
