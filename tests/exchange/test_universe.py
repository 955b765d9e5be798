"""The universe: each threshold by itself, every reason said, and what is not believed of a venue (I20)."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.universe import Listed, Perpetual, SpotPair, Thresholds, doubts_about, judge

BTC = SpotPair("BTC/USD", "online")
PERPETUAL = Perpetual(
    "PF_XBTUSD",
    "BTC/USD",
    is_tradeable=True,
    is_post_only=False,
    is_suspended=False,
    volume_24h_usd=Decimal(1_000_000),
    bid=Decimal(89955),
    ask=Decimal(90045),  # 10 bps
)
THRESHOLDS = Thresholds(frozenset({"USD"}), Decimal(1_000_000), Decimal(10), frozenset(), frozenset())
PAIRS = frozenset(f"C{number}/USD" for number in range(10))
CONTRACTS = frozenset(f"PF_C{number}USD" for number in range(10))
MEMBERS = frozenset(sorted(PAIRS)[:4])
KNOWN = Listed(PAIRS, CONTRACTS, MEMBERS)


def reasons(perpetual=PERPETUAL, pair=BTC, **thresholds):
    (candidate,) = judge([pair] if pair else [], [perpetual] if perpetual else [], THRESHOLDS._replace(**thresholds))
    assert candidate.is_member == (not candidate.reasons)
    return candidate.reasons


def doubts(seen=KNOWN, quoted=None, known=KNOWN, held=None, **options):
    return doubts_about(seen, seen.contracts if quoted is None else quoted, known, held or {}, **options)


def first(number, names):
    return frozenset(sorted(names)[:number])


# --- verdicts


def test_a_market_that_just_meets_every_threshold_is_in():
    (candidate,) = judge([BTC], [PERPETUAL], THRESHOLDS)
    assert candidate.is_member
    assert (candidate.instrument, candidate.contract) == ("BTC/USD", "PF_XBTUSD")
    assert (candidate.volume_24h_usd, candidate.spread_bps) == (Decimal(1_000_000), Decimal(10))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"volume_24h_usd": Decimal("999999.99")}, "volume below 1,000,000 USD in 24 h"),
        ({"volume_24h_usd": None}, "volume unknown"),
        ({"ask": Decimal(90046)}, "spread above 10 bps"),
        ({"bid": None}, "no bid and ask"),
        ({"ask": None}, "no bid and ask"),
        ({"bid": Decimal(0)}, "no bid and ask"),
        ({"bid": Decimal(90046)}, "no bid and ask"),
        ({"is_tradeable": False}, "PF_XBTUSD is not tradeable"),
        ({"is_post_only": True}, "PF_XBTUSD is post only"),
        ({"is_suspended": True}, "PF_XBTUSD is suspended"),
    ],
    ids=lambda value: str(value),
)
def test_each_fault_of_a_perpetual_is_a_reason(change, reason):
    assert reasons(PERPETUAL._replace(**change)) == (reason,)


@pytest.mark.parametrize("status", ["cancel_only", "post_only", "limit_only", "reduce_only"])
def test_a_spot_pair_that_is_not_online_is_out(status):
    assert reasons(pair=BTC._replace(status=status)) == (f"spot is {status}",)


def test_a_pair_without_its_other_half_is_out_and_shown():
    assert reasons(perpetual=None) == ("no perpetual",)
    assert reasons(pair=None) == ("no spot pair",)


def test_every_reason_is_said():
    assert reasons(
        PERPETUAL._replace(is_tradeable=False, volume_24h_usd=Decimal(1), bid=None), exclude=frozenset({"BTC/USD"})
    ) == (
        "excluded by the settings",
        "PF_XBTUSD is not tradeable",
        "volume below 1,000,000 USD in 24 h",
        "no bid and ask",
    )


def test_what_is_excluded_is_out():
    assert reasons(exclude=frozenset({"BTC/USD"})) == ("excluded by the settings",)


def test_what_is_included_is_in_at_any_volume_and_spread_and_never_against_its_status():
    thin = PERPETUAL._replace(volume_24h_usd=None, bid=None)
    assert reasons(thin, include=frozenset({"BTC/USD"})) == ()
    assert reasons(thin._replace(is_suspended=True), include=frozenset({"BTC/USD"})) == ("PF_XBTUSD is suspended",)


def test_other_quotes_are_not_looked_at():
    pairs = [SpotPair("BTC/EUR", "online"), BTC]
    assert [each.instrument for each in judge(pairs, [PERPETUAL], THRESHOLDS)] == ["BTC/USD"]
    found = judge(pairs, [PERPETUAL], THRESHOLDS._replace(quotes=frozenset({"EUR"})))
    assert [(each.instrument, each.reasons) for each in found] == [("BTC/EUR", ("no perpetual",))]


def test_of_two_perpetuals_on_a_pair_the_one_with_more_volume_is_taken():
    other = PERPETUAL._replace(contract="PF_ABTUSD")
    for rival, taken in ((other, "PF_ABTUSD"), (other._replace(volume_24h_usd=Decimal(1)), "PF_XBTUSD")):
        (candidate,) = judge([BTC], [PERPETUAL, rival], THRESHOLDS)
        assert candidate.contract == taken


# --- what is not believed


def test_a_venue_that_lists_what_it_listed_is_believed():
    assert doubts() == ()
    assert doubts(known=None) == ()


@pytest.mark.parametrize("left", [0, 1, 4])
def test_i20_more_than_half_of_a_list_gone_is_not_believed(left):
    assert doubts(KNOWN._replace(pairs=first(left, PAIRS)))
    assert doubts(KNOWN._replace(contracts=first(left, CONTRACTS)), quoted=CONTRACTS)


def test_half_of_a_list_gone_is_believed():
    assert doubts(Listed(first(5, PAIRS), first(5, CONTRACTS), first(2, MEMBERS))) == ()


@pytest.mark.parametrize("left", [0, 1])
def test_i20_whole_lists_of_which_most_of_the_universe_can_not_be_traded_are_not_believed(left):
    (said,) = doubts(KNOWN._replace(members=first(left, MEMBERS)))
    assert said.startswith(f"{4 - left} of 4 members of the universe are out at once: ")


def test_other_names_do_not_make_up_for_those_that_are_gone():
    others = frozenset(f"D{number}/USD" for number in range(10))
    (said,) = doubts(KNOWN._replace(pairs=first(4, PAIRS) | others))
    assert (
        said
        == "6 of 10 spot pairs are gone at once, more than half: C4/USD, C5/USD, C6/USD, C7/USD, C8/USD and 1 more."
    )


def test_a_person_who_has_looked_can_say_that_a_shrink_is_real():
    assert doubts(KNOWN._replace(pairs=first(1, PAIRS)), shrink_is_believed=True) == ()


@pytest.mark.parametrize("believed", [False, True])
@pytest.mark.parametrize("known", [None, KNOWN])
def test_an_empty_list_is_never_believed(known, believed):
    empty = frozenset()
    said = doubts_about(Listed(empty, empty, empty), empty, known, {}, shrink_is_believed=believed)
    assert said == tuple(f"The venue's list of {what} is empty." for what in ("spot pairs", "contracts", "tickers"))


def test_tickers_of_less_than_half_of_the_contracts_are_not_believed():
    assert doubts(quoted=first(5, CONTRACTS)) == ()
    (said,) = doubts(quoted=first(4, CONTRACTS))
    assert said.startswith("The tickers say nothing of more than half of the contracts: not of PF_C4USD")


@pytest.mark.parametrize("believed", [False, True])
def test_i20_a_market_with_an_open_position_is_not_missed(believed):
    seen = Listed(PAIRS - {"C3/USD"}, CONTRACTS - {"PF_C4USD"}, MEMBERS)
    held = {"C3/USD": "journal paper", "PF_C3USD": "journal paper", "PF_C4USD": "journal paper"}
    assert doubts(seen, held=held, shrink_is_believed=believed) == (
        "C3/USD is not listed, and there is an open position in it (journal paper).",
        "PF_C4USD is not listed, and there is an open position in it (journal paper).",
    )


names = st.frozensets(st.sampled_from(sorted(PAIRS)), min_size=1)


@given(known=names, seen=names)
def test_a_shrink_is_doubted_exactly_when_more_than_half_of_the_names_are_gone(known, seen):
    found = doubts_about(Listed(seen, CONTRACTS, MEMBERS), CONTRACTS, Listed(known, CONTRACTS, MEMBERS), {})
    assert bool(found) == (len(known - seen) > len(known) / 2)
