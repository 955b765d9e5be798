"""A file, a zip, a folder: what is taken from it, what is left out and said, what is refused."""

import shutil
import struct
import zipfile
from pathlib import Path

import pytest

from exchange.kraken.symbols import series_of_file
from trading.errors import InputUnusable, SetupFailed
from warehouse.intake import archives

LINE = "1672531200,100,110,90,100,1,1\n"


def taken(path, tmp_path):
    with archives.opened(path, series_of_file, tmp_path / "scratch") as archive:
        texts = {file.name: file.path.read_text() for file in archive.files}
        return [(file.name, file.instrument, file.timeframe) for file in archive.files], archive.skipped, texts


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
def test_a_zip_that_can_not_be_trusted_is_refused_by_name(spoilt, said, tmp_path):
    path = tmp_path / "bad.zip"
    spoilt(path)
    with pytest.raises(InputUnusable, match=r"bad\.zip") as raised:
        taken(path, tmp_path)
    assert said in str(raised.value)


def test_a_zip_with_too_many_members_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    path = zipped(tmp_path / "many.zip", {f"{name}_15.csv": LINE for name in ("XBTUSD", "ETHUSD", "SOLUSD")})
    with pytest.raises(InputUnusable, match="claims 3 members"):
        taken(path, tmp_path)


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
