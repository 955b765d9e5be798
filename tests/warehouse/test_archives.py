"""A file, a zip, a folder: what is taken from it, what is left out and said, what is refused."""

import datetime as dt
import os
import shutil
import struct
import zipfile
from pathlib import Path

import pytest

from exchange.kraken.symbols import series_of_file
from trading.errors import InputUnusable, SetupFailed
from warehouse.intake import archives

LINE = "1672531200,100,110,90,100,1,1\n"
LOOKED_AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def taken(path, tmp_path):
    with archives.opened(path, series_of_file, tmp_path / "scratch") as archive:
        texts = {file.name: file.path.read_text() for file in archive.files}
        return [(file.name, file.instrument, file.timeframe) for file in archive.files], archive.skipped, texts


def refused(path, tmp_path):
    with archives.opened(path, series_of_file, tmp_path / "scratch") as archive:
        assert not archive.files
        return {file.name: file.reason for file in archive.unusable}


def zipped(path: Path, members: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in members.items():
            bundle.writestr(name, text)
    return path


def test_a_single_file_is_taken(tmp_path):
    path = tmp_path / "XBTUSD_15.csv"
    path.write_text(LINE)
    assert taken(path, tmp_path)[0] == [("XBTUSD_15.csv", "BTC/USD", "15m")]


def test_of_a_zip_our_timeframes_are_taken_from_any_folder(tmp_path):
    path = zipped(
        tmp_path / "Kraken_OHLCVT.zip",
        {
            "Q1/XBTUSD_15.csv": LINE,
            "Q1/deep/ETHUSD_1440.csv": LINE,
            "XBTUSD_1.csv": LINE,
            "ETHUSD_1.csv": LINE,
            "XBTUSD_720.csv": LINE,
            "notes.txt": "hello",
            "strange.csv": LINE,
        },
    )
    files, skipped, texts = taken(path, tmp_path)
    assert files == [
        ("Kraken_OHLCVT.zip/Q1/XBTUSD_15.csv", "BTC/USD", "15m"),
        ("Kraken_OHLCVT.zip/Q1/deep/ETHUSD_1440.csv", "ETH/USD", "1d"),
    ]
    assert set(texts.values()) == {LINE}
    assert skipped == (
        "Kraken_OHLCVT.zip: strange.csv: its name states no instrument and timeframe; skipped.",
        "Kraken_OHLCVT.zip: 2 file(s) of 1m candles skipped.",
        "Kraken_OHLCVT.zip: 1 file(s) of 12h candles skipped.",
    )


def test_of_a_folder_files_and_zips_are_taken(tmp_path):
    folder = tmp_path / "inbox"
    zipped(folder / "more" / "old.zip", {"XBTUSD_60.csv": LINE})
    (folder / "XBTUSD_15.csv").write_text(LINE)
    (folder / ".hidden_15.csv").write_text(LINE)
    (folder / "README.md").write_text("hello")
    files, skipped, _ = taken(folder, tmp_path)
    assert [name for name, _, _ in files] == ["XBTUSD_15.csv", "more/old.zip/XBTUSD_60.csv"]
    assert skipped == ()


def test_of_a_folder_hidden_files_links_and_unfinished_downloads_are_passed_over(tmp_path):
    folder, elsewhere = tmp_path / "inbox", tmp_path / "elsewhere"
    for place in (folder / "more", folder / ".trash", elsewhere):
        place.mkdir(parents=True)
        (place / "XBTUSD_15.csv").write_text(LINE)
    for name in (".ETHUSD_15.csv", "ETHUSD_15.csv.part", "ETHUSD_15.csv.tmp", "Kraken.zip.crdownload", "notes.txt"):
        (folder / name).write_text(LINE)
    (folder / "ETHUSD_60.csv").symlink_to(elsewhere / "XBTUSD_15.csv")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "circle").symlink_to(folder)
    (folder / "SOLUSD_15.csv").symlink_to(tmp_path / "nowhere")
    files, skipped, _ = taken(folder, tmp_path)
    assert [name for name, _, _ in files] == ["more/XBTUSD_15.csv"]
    assert skipped == ()


def at_rest_for(path, seconds):
    written_at = LOOKED_AT.timestamp() - seconds
    os.utime(path, (written_at, written_at))


def test_of_an_inbox_what_is_being_written_is_left_for_the_next_look(tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    cut(inbox / "half.zip")
    at_rest_for(inbox / "half.zip", 5)
    for name, seconds in {"XBTUSD_15.csv": 59, "ETHUSD_15.csv": 61, "SOLUSD_15.csv": -86_400}.items():
        (inbox / name).write_text(LINE)
        at_rest_for(inbox / name, seconds)
    with archives.opened(inbox, series_of_file, tmp_path / "scratch", LOOKED_AT) as archive:
        assert [file.name for file in archive.files] == ["ETHUSD_15.csv", "SOLUSD_15.csv"]
        assert archive.unusable == ()
        assert [sentence.partition(" ")[0] for sentence in archive.skipped] == ["XBTUSD_15.csv", "half.zip"]


@pytest.mark.parametrize(
    ("name", "seconds", "holds"),
    [
        ("XBTUSD_15.csv", 61, True),
        ("any.zip", 61, True),
        ("XBTUSD_15.csv", 5, False),
        ("prices.csv", 61, False),
        ("XBTUSD_15.csv.part", 61, False),
    ],
)
def test_an_inbox_holds_candles_when_a_file_of_ours_is_at_rest(name, seconds, holds, tmp_path):
    (tmp_path / name).write_text(LINE)
    at_rest_for(tmp_path / name, seconds)
    assert archives.holds_candles(tmp_path, series_of_file, LOOKED_AT) is holds


def test_a_broken_zip_costs_no_other_file_of_a_folder_its_place(tmp_path):
    folder = tmp_path / "inbox"
    zipped(folder / "good.zip", {"ETHUSD_15.csv": LINE})
    (folder / "bad.zip").write_bytes(b"404 not found")
    (folder / "XBTUSD_15.csv").write_text(LINE)
    with archives.opened(folder, series_of_file, tmp_path / "scratch") as archive:
        assert [file.name for file in archive.files] == ["XBTUSD_15.csv", "good.zip/ETHUSD_15.csv"]
        assert [(file.name, file.reason) for file in archive.unusable] == [
            ("bad.zip", "It is a broken zip: File is not a zip file.")
        ]


def test_a_stamp_tells_that_a_file_was_written_to(tmp_path):
    path = tmp_path / "XBTUSD_15.csv"
    path.write_text(LINE)
    at_rest_for(path, 100)
    stamp = archives.stamp_of(path)
    assert not archives.has_changed(path, stamp)
    path.write_text(LINE.replace("110", "111"))
    assert archives.has_changed(path, stamp)
    path.unlink()
    assert archives.has_changed(path, stamp)


def test_what_was_unpacked_is_gone_afterwards(tmp_path):
    taken(zipped(tmp_path / "a.zip", {"XBTUSD_15.csv": LINE}), tmp_path)
    assert list((tmp_path / "scratch").iterdir()) == []


def broken(path):
    content = zipped(path, {"XBTUSD_15.csv": LINE * 1000}).read_bytes()
    path.write_bytes(content[:50] + bytes([content[50] ^ 0xFF]) + content[51:])


def cut(path):
    content = zipped(path, {"XBTUSD_15.csv": LINE * 1000}).read_bytes()
    path.write_bytes(content[: len(content) // 2])


def leading_out(path):
    zipped(path, {"../../XBTUSD_15.csv": LINE})


def absolute(path):
    zipped(path, {"/etc/XBTUSD_15.csv": LINE})


def bomb(path):
    zipped(path, {"XBTUSD_15.csv": "0" * 20_000_000})


def encrypted(path):
    content = bytearray(zipped(path, {"XBTUSD_15.csv": LINE}).read_bytes())
    directory = content.index(b"PK\x01\x02")
    struct.pack_into("<H", content, directory + 8, 1)
    path.write_bytes(content)


def twice(path):
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("XBTUSD_15.csv", LINE)
        with pytest.warns(UserWarning, match="Duplicate"):
            bundle.writestr("XBTUSD_15.csv", LINE)


def empty(path):
    zipped(path, {})


def no_zip_at_all(path):
    path.write_bytes(b"404 not found")


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (broken, "broken zip"),
        (cut, "broken zip"),
        (no_zip_at_all, "broken zip"),
        (leading_out, "leads out of it"),
        (absolute, "leads out of it"),
        (bomb, "No candle file shrinks like that"),
        (encrypted, "encrypted"),
        (twice, "two members of the same name"),
        (empty, "holds no candles"),
    ],
)
def test_a_zip_that_can_not_be_trusted_is_unusable_by_name(spoilt, said, tmp_path):
    path = tmp_path / "bad.zip"
    spoilt(path)
    assert said in refused(path, tmp_path)["bad.zip"]


def test_a_zip_with_too_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    path = zipped(tmp_path / "many.zip", {f"{name}_15.csv": LINE for name in ("XBTUSD", "ETHUSD", "SOLUSD")})
    assert "claims 3 members" in refused(path, tmp_path)["many.zip"]


def test_a_disk_too_small_for_what_a_zip_unpacks_to_is_said(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {"XBTUSD_15.csv": LINE * 100})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(SetupFailed, match="3,000 bytes, but only 1 are free"):
        taken(path, tmp_path)


def test_a_place_where_nothing_is_is_named(tmp_path):
    with pytest.raises(InputUnusable, match=r"nothing at .*nowhere\.csv"):
        taken(tmp_path / "nowhere.csv", tmp_path)


def test_a_folder_without_candles_says_what_names_must_be_like(tmp_path):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "prices.csv").write_text(LINE)
    with pytest.raises(InputUnusable, match=r"like XBTUSD_15\.csv") as raised:
        taken(tmp_path / "inbox", tmp_path)
    assert "prices.csv: its name states no instrument" in str(raised.value)


def test_a_file_that_is_taken_away_while_an_inbox_is_looked_at_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_inside", lambda folder: [folder / "XBTUSD_15.csv"])  # listed, and gone since
    assert not archives.holds_candles(tmp_path, series_of_file, dt.datetime.now(dt.UTC))
