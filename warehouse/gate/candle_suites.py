"""What is expected of the candles of a batch, by the kind of source that told them."""

from warehouse.gate.batch_candles import BATCH_CANDLES
from warehouse.gate.measures import Measure, Suite

# By number first: names for each of millions of rows would cost more than the measures.
_QUERY = """
    with worst as (
        select series_id, {measures} from batch_rows group by series_id
    )
    select files.instrument, files.instrument || ' ' || files.timeframe as series, worst.* exclude (series_id)
    from worst join series_files as files on files.file_id = worst.series_id
    order by series
"""

_REFERENCE = "nullif(coalesce(previous_close, open), 0)::double"
_TOP = "greatest(open, close, previous_close)::double"
_BOTTOM = "nullif(least(open, close, previous_close), 0)::double"
_OF_THE_BATCH = "from series_files where is_of_batch and series_files.series_id = batch_rows.series_id"
# A mark price or an index goes on without trades: it has no volume, and no hole but where the venue was down.
_IS_PRICE = "(select bool_or(contains(instrument, '.')) from series_files where file_id = batch_rows.series_id)"

COMMON = (
    Measure("candles", "count(*) filter (is_within)", lowest=1),
    Measure(
        "values_missing",
        "count(*) * 6 - count(opened_at) - count(open) - count(high) - count(low) - count(close) - count(volume)",
        highest=0,
    ),
    Measure("lowest_price", "min(least(open, high, low, close))::double", lowest=0, is_strict=True),
    Measure("least_high_above_body", "min(high - greatest(open, close))::double", lowest=0),
    Measure("least_low_below_body", "min(least(open, close) - low)::double", lowest=0),
    Measure("lowest_volume", "min(volume)::double", lowest=0),
    Measure("fewest_trades", "coalesce(min(trades), 0)", lowest=0),
    Measure("most_seconds_off_grid", "max(epoch_us(opened_at) % candle_us) / 1e6", highest=0),
    Measure(
        "seconds_from_last_close_to_fetch",
        f"((select max(epoch_us(fetched_at)) {_OF_THE_BATCH})"
        " - coalesce(epoch_us(max(opened_at) filter (is_new)) + any_value(candle_us), 0)) / 1e6",
        lowest=0,
    ),
    # Zero is the same candle twice: this is the rule of uniqueness, and the next that of gaps.
    Measure(
        "fewest_candles_to_previous",
        "coalesce(min(epoch_us(opened_at) - epoch_us(previous_opened_at)) / any_value(candle_us), 1)",
        lowest=0,
        is_strict=True,
    ),
    Measure(
        "most_candles_to_previous",
        "coalesce("
        "max(epoch_us(opened_at) - epoch_us(previous_opened_at)) filter (is_within and is_judged)"
        " / any_value(candle_us), 1)",
        highest="max_gap_candles",
    ),
    Measure(
        "highest_jump",
        # As in `no_jump`. A price of zero is another measure's matter; here it would be a jump without end.
        f"coalesce(max(greatest({_TOP} / {_REFERENCE}, high::double / {_TOP}, {_REFERENCE} / {_BOTTOM},"
        f" {_BOTTOM} / nullif(low, 0)::double)) filter (is_judged), 1)",
        highest="max_jump_ratio",
    ),
    Measure(
        "missing_share",
        "1 - count(*) filter (is_within) / ("
        "(epoch_us(max(opened_at) filter (is_within)) - epoch_us(min(opened_at) filter (is_within)))"
        " / any_value(candle_us) + 1)",
        highest="max_missing_share",
    ),
    Measure(
        "quarantined_share",
        f"(select sum(rows_quarantined) / greatest(sum(rows_read), 1) {_OF_THE_BATCH})",
        highest="max_quarantined_share",
    ),
)

_COUNTED = Measure("trades_not_counted", "count(*) filter (is_new and trades is null)", highest=0)

# Of what the venue lists without trades nothing lands, and of trades nothing but candles with some can be made.
_TRADED = (
    _COUNTED,
    Measure("fewest_trades", "coalesce(min(trades) filter (is_new), 1)", lowest=1),
    Measure("lowest_volume", "min(volume) filter (is_new)::double", lowest=0, is_strict=True),
)


def _of(source: str, *own: Measure) -> Suite:
    """The suite of a kind of source: what is common to all, with its own measures added or, by name, instead."""
    measures = {measure.name: measure for measure in (*COMMON, *own)}
    return Suite(f"raw candles, {source}", BATCH_CANDLES, _QUERY, tuple(measures.values()))


ARCHIVES = _of("archives", _COUNTED)
REST = _of(
    "OHLC",
    *_TRADED,
    Measure(
        "rows_of_one_reply", f"(select max(rows_read) {_OF_THE_BATCH})", highest="max_reply_candles"
    ),  # who tells more than the venue ever does is not the venue
)
TRADES = _of("trades", *_TRADED)
CHARTS = _of(
    "charts",
    Measure("volume_of_a_price", f"if({_IS_PRICE}, max(abs(volume)) filter (is_new)::double, 0)", highest=0),
    Measure(
        "hours_without_a_price",
        f"if({_IS_PRICE}, coalesce(max(epoch_us(opened_at) - epoch_us(previous_opened_at) - candle_us)"
        " filter (is_within and is_judged) / 3.6e9, 0), 0)",
        highest="max_price_gap_hours",
    ),
)
OWN = _of("own files")

OF_ARCHIVES = {"kraken": ARCHIVES, "kraken_time_sales": TRADES}
CANDLE_SUITES = (ARCHIVES, REST, TRADES, CHARTS, OWN)


def suite_of(source: str) -> Suite:
    """The suite of one source (`raw.sources`): of a venue's ways to be asked, the word after the dash says which.

    Who is not known is held to what is expected of everybody.
    """
    if source in OF_ARCHIVES:
        return OF_ARCHIVES[source]
    return {"rest": REST, "trades": TRADES, "charts": CHARTS}.get(source.partition("-")[2], OWN)
