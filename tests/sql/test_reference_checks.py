"""The checks over reference data: silent over good rows, and each one speaks over its own fault."""

from pathlib import Path

import pytest

from warehouse.checks import run_checks

CHECKS = Path(__file__).parents[2] / "sql" / "checks"
TABLES = frozenset({"raw.funding_rates", "marts.contracts", "marts.listings", "marts.universe"})
OURS = {"contracts_follow", "funding_rates_once_each", "listings_follow", "universe_is_listed"}
NOW = "2026-11-22 12:00:00+00"
DAYS = ("2026-11-01 00:00:00+00", "2026-11-02 00:00:00+00", "2026-11-03 00:00:00+00")

MADE = f"""
create schema raw; create schema marts;
create table raw.funding_rates (
    instrument varchar, began_at timestamptz, rate double, relative_rate double, revises boolean, source varchar,
    fetched_at timestamptz
);
insert into raw.funding_rates values
    ('PF_XBTUSD', '{DAYS[0]}', 1, 1, false, 'kraken-rest', '{DAYS[1]}'),
    ('PF_XBTUSD', '{DAYS[0]}', 2, 1, true, 'kraken-rest', '{DAYS[2]}'),
    ('PF_XBTUSD', '{DAYS[0]}', 2, 1, false, 'sandbox-rest', '{DAYS[2]}');
create table marts.contracts as select * from (values
    ('kraken-rest', 'PF_XBTUSD', '{DAYS[0]}'::timestamptz, '{DAYS[1]}'::timestamptz),
    ('kraken-rest', 'PF_XBTUSD', '{DAYS[1]}', null),
    ('sandbox-rest', 'PF_XBTUSD', '{DAYS[0]}', null)
) as given (source, contract, valid_from, valid_to);
create table marts.listings as select * from (values
    ('kraken-rest', 'spot', 'BTC/USD', '{DAYS[0]}'::timestamptz, '{DAYS[1]}'::timestamptz),
    ('kraken-rest', 'spot', 'BTC/USD', '{DAYS[2]}', null),
    ('kraken-rest', 'futures', 'PF_XBTUSD', '{DAYS[0]}', null)
) as given (source, market, instrument, listed_at, delisted_at);
create table marts.universe as select * from (values
    ('kraken-rest', 'BTC/USD', 'PF_XBTUSD', true, ''),
    ('kraken-rest', 'XYZ/USD', null, false, 'no perpetual')
) as given (source, instrument, contract, is_member, reasons);
"""

FAULTS = {
    "an hour twice in one fetch": (
        f"update raw.funding_rates set fetched_at = '{DAYS[1]}' where source = 'kraken-rest'",
        "funding_rates_once_each",
    ),
    "an hour stated first twice": ("update raw.funding_rates set revises = false", "funding_rates_once_each"),
    "an hour revised twice in one fetch": (
        "insert into raw.funding_rates from raw.funding_rates where revises",
        "funding_rates_once_each",
    ),
    "a revision of nothing": (
        "update raw.funding_rates set revises = true where source = 'sandbox-rest'",
        "funding_rates_once_each",
    ),
    "facts that end before they begin": (
        f"update marts.contracts set valid_from = '{DAYS[1]}' where valid_to is not null",
        "contracts_follow",
    ),
    "two versions of a contract at once": ("update marts.contracts set valid_to = null", "contracts_follow"),
    "versions that overlap": (f"update marts.contracts set valid_to = '{DAYS[2]}'", "contracts_follow"),
    "a listing that ends before it begins": (
        f"update marts.listings set listed_at = '{DAYS[1]}' where delisted_at is not null",
        "listings_follow",
    ),
    "two listings at once": (
        f"insert into marts.listings values ('kraken-rest', 'futures', 'PF_XBTUSD', '{DAYS[1]}', null)",
        "listings_follow",
    ),
    "a member without its spot pair": ("delete from marts.listings where market = 'spot'", "universe_is_listed"),
    "a member whose contract is gone": (
        f"update marts.listings set delisted_at = '{DAYS[2]}' where market = 'futures'",
        "universe_is_listed",
    ),
    "a member with a reason to be out": ("update marts.universe set reasons = 'post only'", "universe_is_listed"),
    "a member without a perpetual": ("update marts.universe set is_member = true, reasons = ''", "universe_is_listed"),
    "a member of another venue": ("update marts.universe set source = 'sandbox-rest'", "universe_is_listed"),
}


@pytest.fixture
def warehouse():
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(MADE)
        yield connection


def failed(connection):
    results = run_checks(connection, CHECKS, run="r1", checked_at=NOW, touching=TABLES)
    return {result.name for result in results if not result.passed} & OURS


def test_good_rows_pass(warehouse):
    assert failed(warehouse) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_each_fault_is_found_by_its_check(fault, warehouse):
    statement, check = FAULTS[fault]
    warehouse.execute(statement)
    assert failed(warehouse) == {check}


def test_each_of_these_checks_is_seen_to_fail_here():
    assert {check for _, check in FAULTS.values()} == OURS
