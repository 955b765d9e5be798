"""A bad row goes to quarantine with file, line and reason; the good rows land; nothing is lost."""

import datetime as dt
import errno
from decimal import Decimal
from pathlib import Path

import pytest
from doses import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.kraken.symbols import series_of_file
from trading.errors import InputUnusable
from warehouse.intake import landing
from warehouse.intake.landing import land

NAME = "XBTUSD_15.csv"
START_S = 1_672_531_200  # 2023-01-01 00:00 UTC


def row(number, close="101.5"):
    """A good line: the candle `number` quarters of an hour into 2023."""
    return f"{START_S + number * 900},100,110,90.5,{close},1.25,7"


def rows(count, first=0):
    return "".join(row(number) + "\n" for number in range(first, first + count))


GOOD = row(5)

BAD_ROWS = {
    "text in a price": (f"{START_S},abc,110,90,100,1,1", "open is not a number: 'abc'"),
    "text in the time": ("yesterday,100,110,90,100,1,1", "opened_at is not a whole number: 'yesterday'"),
    "half a second": (f"{START_S}.5,100,110,90,100,1,1", f"opened_at is not a whole number: '{START_S}.5'"),
    "no price": (f"{START_S},,110,90,100,1,1", "open is not a number: ''"),
    "NaN": (f"{START_S},100,NaN,90,100,1,1", "high is not a number: 'NaN'"),
    "infinity": (f"{START_S},100,inf,90,100,1,1", "high is not a number: 'inf'"),
    "infinity, spelt out": (f"{START_S},100,110,90,100,-Infinity,1", "volume is not a number: '-Infinity'"),
    "zero": (f"{START_S},100,110,0,100,1,1", "a price is zero or negative"),
    "negative": (f"{START_S},-100,110,-110,100,1,1", "a price is zero or negative"),
    "high below low": (f"{START_S},100,90,110,100,1,1", "high is below low"),
    "open outside": (f"{START_S},120,110,90,100,1,1", "open is outside high and low"),
    "close outside": (f"{START_S},100,110,90,80,1,1", "close is outside high and low"),
    "negative volume": (f"{START_S},100,110,90,100,-1,1", "volume is negative"),
    "negative trades": (f"{START_S},100,110,90,100,1,-1", "trades is negative"),
    "half a trade": (f"{START_S},100,110,90,100,1,1.5", "trades is not a whole number: '1.5'"),
    "off the grid": (f"{START_S + 60},100,110,90,100,1,1", "opened_at is not on the 15m grid"),
    "not closed yet": ("1795348800,100,110,90,100,1,1", "the candle was not closed yet when it was fetched"),
    "milliseconds among seconds": (
        f"{START_S}000,100,110,90,100,1,1",
        f"opened_at is not in seconds like the rest of the file: '{START_S}000'",
    ),
    "a column too few": (f"{START_S},100,110,90,100,1", "has 6 fields where 7 are expected"),
    "a column too many": (f"{START_S},100,110,90,100,1,1,9", "has 8 fields where 7 are expected"),
    "eleven decimals": (
        f"{START_S},100.00000000001,110,90,100,1,1",
        "open has more than 10 decimals, some would be lost: '100.00000000001'",
    ),
    "decimals lost in an exponent": (
        f"{START_S},100,110,90,100,1.5e-11,1",
        "volume has more than 10 decimals, some would be lost: '1.5e-11'",
    ),
    "too large": (
        f"{START_S},100000000,100000000,90,100,1,1",
        "open has too many digits before the point: '100000000'",
    ),
    "a header in the middle": (
        "time,open,high,low,close,volume,trades",
        "opened_at is not a whole number: 'time'",
    ),
    "an underscore": (f"{START_S},1_00,110,90,100,1,1", "open is not a number: '1_00'"),
    "hexadecimal": (f"{START_S},0x64,110,90,100,1,1", "open is not a number: '0x64'"),
}


@pytest.mark.parametrize("case", BAD_ROWS, ids=str)
def test_a_bad_row_is_quarantined_with_file_line_and_reason(case, landed, ask):
    text, reason = BAD_ROWS[case]
    report = landed({NAME: f"{GOOD}\n{row(6)}\n{text}\n{row(7)}\n"})
    assert ask("select file, line, reason, row_text, instrument, timeframe from raw.quarantine") == [
        (NAME, 3, reason, text, "BTC/USD", "15m")
    ]
    assert ask("select count(*) from raw.kraken_ohlcvt") == [(3,)]
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (4, 3, 1)
    assert f"{NAME}, line 3: {reason}." in report.sentences


def test_a_row_that_is_cut_off_is_quarantined(landed, ask):
    landed({NAME: f"{GOOD}\n{row(6)}"[:-12]})
    assert [reason for (reason,) in ask("select reason from raw.quarantine")] == ["has 5 fields where 7 are expected"]
    assert ask("select count(*) from raw.kraken_ohlcvt") == [(1,)]


def test_a_last_line_without_an_end_lands_and_is_mentioned(landed):
    report = landed({NAME: f"{GOOD}\n{row(6)}"})
    assert report.rows_landed == 2
    assert any("the last line has no end" in sentence for sentence in report.sentences)


def test_rows_out_of_order_land_and_that_is_said(landed, ask):
    report = landed({NAME: f"{row(2)}\n{row(0)}\n{row(1)}\n"})
    assert (report.rows_landed, report.rows_quarantined) == (3, 0)
    assert f"{NAME}: rows are not in the order of time, which does no harm." in report.sentences
    assert ask("select bool_and(not revises) from raw.candle_rows") == [(True,)]


def test_a_row_that_repeats_another_is_quarantined_once(landed, ask):
    report = landed({NAME: f"{row(0)}\n{row(1)}\n{row(0)}\n"})
    assert ask("select line, reason from raw.quarantine") == [(3, "repeats line 1")]
    assert (report.rows_read, report.rows_landed) == (3, 2)


def test_rows_of_one_file_that_disagree_are_both_quarantined(landed, ask):
    report = landed({NAME: f"{row(0, '100')}\n{row(1)}\n{row(0, '101')}\n"})
    assert ask("select line, reason from raw.quarantine order by line") == [
        (1, f"disagrees with {NAME} line 3 on the same candle"),
        (3, f"disagrees with {NAME} line 1 on the same candle"),
    ]
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (3, 1, 2)


def test_two_files_that_disagree_on_a_candle_are_both_not_believed(landed, ask):
    report = landed(
        {"q1/XBTUSD_15.csv": f"{row(0)}\n{row(1, '100')}\n", "q2/XBTUSD_15.csv": f"{row(1, '101')}\n{row(2)}\n"}
    )
    assert ask("select file, line, reason from raw.quarantine order by file") == [
        ("q1/XBTUSD_15.csv", 2, "disagrees with q2/XBTUSD_15.csv line 1 on the same candle"),
        ("q2/XBTUSD_15.csv", 1, "disagrees with q1/XBTUSD_15.csv line 2 on the same candle"),
    ]
    assert (report.rows_read, report.rows_landed, report.rows_quarantined) == (4, 2, 2)


def test_two_files_that_agree_on_a_candle_land_it_once(landed, ask):
    report = landed({"q1/XBTUSD_15.csv": rows(3), "q2/XBTUSD_15.csv": rows(3, first=2)})
    assert ask("select count(*) from raw.quarantine") == [(0,)]
    assert (report.rows_read, report.rows_landed, report.rows_unchanged) == (6, 5, 1)


def test_the_same_candle_of_two_instruments_is_no_repeat(landed):
    assert landed({"XBTUSD_15.csv": rows(3), "ETHUSD_15.csv": rows(3)}).rows_landed == 6


def test_trailing_delimiters_and_whole_trades_as_decimals_are_tolerated(landed, ask):
    landed({NAME: f"{START_S},100,110,90,100,1.5,4.0,\n{START_S + 900},100,110,90,100,1.5,5.0,\n"})
    assert ask("select trades from raw.kraken_ohlcvt order by opened_at") == [(4,), (5,)]


def test_a_header_line_is_tolerated(landed):
    report = landed({NAME: f"Time,Open,High,Low,Close,Volume,Trades\n{rows(3)}"})
    assert (report.rows_read, report.rows_landed) == (3, 3)


def test_blank_lines_are_no_rows_but_count_as_lines(landed, ask):
    report = landed({NAME: f"{row(0)}\n\n\nx\n\n{row(1)}\n\n"})
    assert (report.rows_read, report.rows_landed) == (3, 2)
    assert ask("select line from raw.quarantine") == [(4,)]


def test_windows_line_ends_a_byte_order_mark_and_quotes_are_tolerated(landed, ask):
    quoted = ",".join(f'"{field}"' for field in row(1).split(","))
    landed({NAME: f"\ufeff{row(0)}\r\n{quoted}\r\n"})
    assert ask("select count(*), max(close) from raw.kraken_ohlcvt") == [(2, Decimal("101.5"))]


def test_rubbish_bytes_are_quarantined_as_text(landed, ask):
    landed({NAME: rows(2).encode() + b"\xff\xfe\x00,\x01\n" + row(3).encode() + b"\n"})
    assert ask("select line from raw.quarantine") == [(3,)]
    assert ask("select count(*) from raw.kraken_ohlcvt") == [(3,)]


def test_a_line_without_end_does_not_fill_the_memory(landed, ask):
    landed({NAME: f"{row(0)}\n{'9' * 50_000}\n{row(1)}\n"})
    assert ask("select line, reason, length(row_text) from raw.quarantine") == [
        (2, "the line is longer than any candle", 500)
    ]


@pytest.mark.parametrize(("factor", "name"), [(1_000, "milliseconds"), (1_000_000, "microseconds")])
def test_times_in_smaller_units_are_recognised_and_that_is_said(factor, name, landed, ask):
    report = landed({NAME: f"{START_S * factor},100,110,90,100,1,1\n{(START_S + 900) * factor},100,110,90,100,1,1\n"})
    assert ask("select min(opened_at) from raw.kraken_ohlcvt") == [(dt.datetime(2023, 1, 1, tzinfo=dt.UTC),)]
    assert f"{NAME}: times read as {name}." in report.sentences


def test_prices_and_volumes_keep_every_digit(landed, ask):
    landed({NAME: f"{START_S},0.0000012345,0.0000012346,0.0000012344,0.0000012345,123456789012.12345678,1\n"})
    assert ask("select open, volume from raw.kraken_ohlcvt") == [
        (Decimal("0.0000012345"), Decimal("123456789012.12345678"))
    ]


def test_an_exact_exponent_is_a_number(landed, ask):
    landed({NAME: f"{START_S},1.2e-05,1.3e-05,1e-05,1.2e-05,1e2,1\n"})
    assert ask("select open, volume from raw.kraken_ohlcvt") == [(Decimal("0.000012"), Decimal(100))]


UNUSABLE = {
    "empty": (b"", "is empty"),
    "blank": (b"\n\n", "is empty"),
    "a web page": (b"<html>\n<body>404</body>\n</html>\n", "line 1 of XBTUSD_15.csv, '<html>', is neither a candle"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0", "line 1"),
    "nothing but bad rows": (b"1,2,3\n4,5,6\n", "line 1: has 3 fields where 7 are expected"),
    "only a header": (b"time,open,high,low,close,volume,trades\n", "no usable candle"),
}


@pytest.mark.parametrize("case", UNUSABLE, ids=str)
def test_a_file_without_a_candle_is_a_refused_batch_and_every_line_is_kept(case, landed, ask, tmp_path):
    content, reason = UNUSABLE[case]
    path = tmp_path / NAME
    path.write_bytes(content)
    report = landed(path)
    kept = ask("select line, reason from raw.quarantine order by line")
    assert [number for number, _ in kept] == {"a web page": [1, 2, 3], "nothing but bad rows": [1, 2]}.get(
        case, [number for number, _ in kept]
    )
    assert ask("select batch_id, state, path, rows_read, rows_quarantined from raw.batches") == [
        (report.batch_id, "refused", str(path), len(kept), len(kept))
    ]
    assert ask("select count(*) from raw.candle_rows") == [(0,)]
    (said,) = ask("select detail from raw.batches")[0]
    assert reason in said
    with pytest.raises(InputUnusable, match=NAME) as raised:
        report.raise_new_refusals()
    assert said in str(raised.value)


def test_files_that_disagree_on_every_candle_are_refused_together(landed, ask):
    report = landed({"q1/XBTUSD_15.csv": row(0, "100") + "\n", "q2/XBTUSD_15.csv": row(0, "101") + "\n"})
    assert (report.state, report.rows_quarantined, len(report.refusals)) == ("refused", 2, 1)
    assert ask("select state, path from raw.batches") == [("refused", str(report.path))]
    assert ask("select count(*) from raw.quarantine") == [(2,)]


@pytest.mark.parametrize(
    ("trades", "read_as"),
    [
        ("1.5", "trades is not a whole number: '1.5'"),
        ("5.00001", "trades is not a whole number: '5.00001'"),
        ("5.0000000001", "trades is not a whole number: '5.0000000001'"),
        ("", "trades is not a whole number: ''"),
        ("-", "trades is not a whole number: '-'"),
    ],
)
def test_trades_that_are_nowhere_whole_are_all_quarantined(trades, read_as, landed, ask):
    report = landed({NAME: "".join(f"{START_S + 900 * n},100,110,90,100,1,{trades}\n" for n in range(3))})
    assert ask("select line, reason from raw.quarantine order by line") == [(n, read_as) for n in (1, 2, 3)]
    assert report.state == "refused"


def test_more_trades_than_the_fast_parser_can_hold_are_kept_exactly(landed, ask):
    landed({NAME: f"{START_S},100,110,90,100,1,1234567890123\n"})
    assert ask("select trades from raw.kraken_ohlcvt") == [(1234567890123,)]


def test_a_file_that_may_not_be_read_costs_no_other_its_place(landed, ask, monkeypatch):
    refuse_to_open(monkeypatch, "ETHUSD_15.csv")
    report = landed({NAME: rows(2), "ETHUSD_15.csv": rows(2)})
    assert report.rows_landed == 2
    assert [(refusal.name, refusal.reason) for refusal in report.refusals] == [
        ("ETHUSD_15.csv", "It can't be read: Permission denied.")
    ]


def refuse_to_open(monkeypatch, name):
    """As the system does for a user without the right; the tests may run as one who has every right."""
    open_ = Path.open

    def open_unless(path, *arguments, **named):
        if path.name == name and path.exists():
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", open_unless)


@pytest.mark.parametrize("change", ["grows", "is replaced", "is gone"])
def test_a_file_that_changes_while_it_is_read_does_not_land_half(change, landed, ask, monkeypatch):
    before = landing.unsorted_files

    def change_meanwhile(connection):
        for path in (Path(path) for (path,) in connection.execute("select path from sources").fetchall()):
            if path.name == NAME and change == "grows":
                path.write_text(path.read_text() + row(2))
            elif path.name == NAME and change == "is replaced":
                path.with_name("new").write_text(rows(2))
                path.with_name("new").replace(path)
            elif path.name == NAME:
                path.unlink()
        return before(connection)

    monkeypatch.setattr(landing, "unsorted_files", change_meanwhile)
    report = landed({NAME: rows(2), "ETHUSD_15.csv": rows(2)})
    assert ask("select distinct instrument from raw.kraken_ohlcvt") == [("ETH/USD",)]
    assert ask("select count(*) from raw.candle_rows") == [(2,)]
    assert f"{NAME} changed while it was read; land it when it is complete." in report.sentences
    assert report.refusals == ()


def test_a_file_that_is_gone_before_it_is_read_keeps_no_other_from_landing(landed, ask, monkeypatch):
    before = landing.find_batch

    def remove_meanwhile(connection, content, path):
        (path / NAME).unlink(missing_ok=True)
        return before(connection, content, path)

    monkeypatch.setattr(landing, "find_batch", remove_meanwhile)
    report = landed({NAME: rows(2), "ETHUSD_15.csv": rows(2)})
    assert ask("select distinct instrument from raw.kraken_ohlcvt") == [("ETH/USD",)]
    assert f"{NAME} changed while it was read; land it when it is complete." in report.sentences


def test_an_unreadable_file_among_good_ones_is_quarantined_whole(landed, ask):
    report = landed({"XBTUSD_15.csv": rows(2), "ETHUSD_15.csv": "<html>\n</html>\n", "SOLUSD_15.csv": ""})
    assert report.rows_landed == 2
    assert ask("select file, count(*) from raw.quarantine group by file") == [("ETHUSD_15.csv", 2)]
    assert "SOLUSD_15.csv is empty." in report.skipped


OWN = {"opened_at": "Date", "open": "O", "high": "H", "low": "L", "close": "C", "volume": "Vol"}


def test_own_columns_are_read_by_their_map(landed, ask):
    text = (
        "Vol;Note;Date;O;H;L;C\n1.5;x;2023-01-01 00:00:00;100;110;90;105\n2.5;y;2023-01-01T00:15:00Z;105;111;95;100\n"
    )
    report = landed({"mine.csv": text}, columns={**OWN, "instrument": "BTC/USD", "timeframe": "15m"})
    assert ask("select instrument, timeframe, opened_at, open, volume, trades from raw.kraken_ohlcvt order by 3") == [
        ("BTC/USD", "15m", dt.datetime(2023, 1, 1, tzinfo=dt.UTC), Decimal(100), Decimal("1.5"), None),
        ("BTC/USD", "15m", dt.datetime(2023, 1, 1, 0, 15, tzinfo=dt.UTC), Decimal(105), Decimal("2.5"), None),
    ]
    assert "mine.csv: times read as text, UTC unless they say otherwise." in report.sentences


def test_own_columns_of_plain_numbers_take_the_fast_way(landed, ask):
    text = f"Date,O,H,L,C,Vol\n{START_S * 1000},100,110,90,105,1.5\n"
    landed({"XBTUSD_60.csv": text}, columns=OWN)
    assert ask("select instrument, timeframe, close, trades from raw.kraken_ohlcvt") == [
        ("BTC/USD", "1h", Decimal(105), None)
    ]


def test_a_time_that_is_no_time_is_quarantined(landed, ask):
    landed({"XBTUSD_15.csv": "Date,O,H,L,C,Vol\n2023-01-01,1,1,1,1,1\n2023-13-01,1,1,1,1,1\n"}, columns=OWN)
    assert ask("select line, reason from raw.quarantine") == [(3, "opened_at is not a time: '2023-13-01'")]


def test_a_map_that_does_not_fit_names_file_and_columns(landed):
    report = landed({"XBTUSD_15.csv": "Date,O,H,L,C\n2023-01-01,1,1,1,1\n"}, columns=OWN)
    with pytest.raises(InputUnusable, match=r"asks for vol, but line 1 of XBTUSD_15\.csv is 'Date,O,H,L,C'"):
        report.raise_new_refusals()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"opened_at": "t"}, "open is missing"),
        ({**OWN, "price": "p"}, "price is unknown"),
        ({**OWN, "timeframe": "7m"}, "there are 15m, 1h, 4h, 1d"),
    ],
)
def test_a_map_that_makes_no_sense_is_refused(columns, said, landed):
    with pytest.raises(InputUnusable, match=said):
        landed({"XBTUSD_15.csv": rows(1)}, columns=columns)


numbers = st.one_of(
    st.decimals(min_value="0.0000000001", max_value="999999", places=10).map(str),
    st.sampled_from(["", "abc", "NaN", "inf", "0", "-5", "1e3", "1.5e-12", "99999999999", "1.23456789012", " 7 "]),
)
times = st.one_of(
    st.integers(0, 12).map(lambda number: str(START_S + 900 * number)),
    st.sampled_from([str(START_S * 1000), str(START_S + 1), "", "x", "2023-01-01", "99999999999"]),
)
lines = st.one_of(
    st.integers(0, 12).map(row),
    st.builds(lambda at, *rest: ",".join([at, *rest]), times, numbers, numbers, numbers, numbers, numbers, numbers),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=40),
)
files = st.dictionaries(
    st.sampled_from(["XBTUSD_15.csv", "more/XBTUSD_15.csv", "ETHUSD_15.csv"]), st.lists(lines, max_size=12), min_size=1
)


@pytest.mark.parametrize("number", [15, pytest.param(1000, marks=pytest.mark.deep)])
def test_whatever_is_in_the_files_nothing_is_lost(number, warehouse, tmp_path_factory):
    @settings(max_examples=number, deadline=None)
    @given(files)
    def nothing_is_lost(content):
        folder = tmp_path_factory.mktemp("any")
        for name, texts in content.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        warehouse.begin()
        try:
            report = land_folder(warehouse, folder)
            landed, quarantined, repeated = warehouse.execute(
                "select count(*), (select count(*) from raw.quarantine),"
                " count(*) - count(distinct (instrument, timeframe, opened_at)) from raw.kraken_ohlcvt"
            ).fetchone()
        finally:
            warehouse.rollback()
        counted = sum(file.rows_read for file in report.files) + sum(refusal.rows for refusal in report.refusals)
        texts = [[text for text in lines if text.encode().strip()] for lines in content.values()]
        assert counted == sum(len(lines) - is_header(lines[0]) for lines in texts if lines)
        for file in report.files:
            texts = [text for text in content[file.name] if text.encode().strip()]
            assert file.rows_read == len(texts) - is_header(texts[0])
            assert file.rows_read == (
                file.rows_landed + file.rows_unchanged + file.rows_revised + file.rows_quarantined
            )
        assert landed == report.rows_landed + report.rows_revised
        beside = 0 if report.state == "refused" else sum(refusal.rows for refusal in report.refusals)
        assert quarantined == report.rows_quarantined + beside
        assert repeated == 0

    nothing_is_lost()


def land_folder(warehouse, folder):
    return land(
        warehouse,
        folder,
        source="kraken",
        series_of=series_of_file,
        columns=None,
        fetched_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        scratch=folder.parent / "scratch",
    )


def is_header(first):
    return ",".join(field.strip().lower() for field in first.split(",")) == "time,open,high,low,close,volume,trades"


@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    candles=st.lists(
        st.tuples(
            st.integers(0, 60),
            st.decimals(min_value=1, max_value=9_000_000, places=5),
            st.decimals(min_value=0, max_value=10**12, places=8),
            st.integers(0, 10**6),
        ),
        min_size=1,
        max_size=20,
        unique_by=lambda candle: candle[0],
    )
)
def test_the_fast_and_the_careful_reading_land_the_same_rows(warehouse, tmp_path_factory, candles):
    text = "".join(
        f"{START_S + 900 * n},{price},{price + 2},{price - Decimal('0.5')},{price + 1},{volume},{trades}\n"
        for n, price, volume, trades in candles
    )
    results = []
    for content in (text, text.replace(",", " , ")):  # a space is enough to need care
        folder = tmp_path_factory.mktemp("way")
        (folder / NAME).write_text(content)
        warehouse.begin()
        land_folder(warehouse, folder)
        results.append(
            warehouse.execute("select * exclude (file_id) from raw.candle_rows order by opened_at").fetchall()
        )
        warehouse.rollback()
    assert results[0] == results[1]
    assert len(results[0]) == len(candles)
