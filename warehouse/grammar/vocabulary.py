"""The words of strategy SQL: what it may say, what it must not, and what to write instead.

Kept by hand, and closed: a word that is on no list is refused. The database's own catalogue can't decide it, since
it calls `current_localtime` consistent. A test holds every allowed word against the catalogue all the same.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SERIES = frozenset({"instrument", "timeframe"})
TIME_COLUMNS = frozenset({"opened_at", "closed_at", "known_at"})
KEPT_COLUMNS = frozenset({"instrument", "timeframe", "opened_at", "closed_at"})
# Features whose rows are known at their own close. A row of any other may be known later.
KNOWN_AT_CLOSE = frozenset({"features.indicators", "features.smc"})

OPERATORS = _words("+ - * / // % ** ^ || ~~ !~~ ~~* !~~*")
FUNCTIONS = _words(
    """
    abs cbrt ceil ceiling exp floor greatest isfinite isinf isnan least ln log log10 log2 mod nullif pow power round
    sign sqrt trunc
    concat contains ends_with lower replace starts_with upper
    date_diff date_part date_trunc datediff datepart datetrunc day dayofmonth dayofweek dayofyear epoch epoch_ms
    epoch_us hour isodow minute month quarter second time_bucket timezone to_days to_hours to_minutes to_seconds
    to_timestamp week weekday year
    """
)
FRAMED = _words(
    """
    arg_max arg_min argmax argmin bool_and bool_or count count_if count_star countif first first_value last
    last_value max max_by min min_by nth_value
    """
)
RANKINGS = _words("cume_dist dense_rank ntile percent_rank rank rank_dense row_number")
FLOAT_AGGREGATES = _words(
    """
    approx_quantile avg corr covar_pop covar_samp entropy favg fsum geomean geometric_mean kahan_sum kurtosis
    kurtosis_pop mad mean median product quantile quantile_cont quantile_disc regr_avgx regr_avgy regr_count
    regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile sem skewness stddev stddev_pop
    stddev_samp sum sum_no_overflow sumkahan var_pop var_samp variance wavg weighted_avg
    aggregate array_aggr array_aggregate array_reduce list_aggr list_aggregate list_avg list_product list_reduce
    list_stddev_pop list_stddev_samp list_sum list_var_pop list_var_samp reduce
    """
)
CLOCKS = _words(
    """
    age ago current_date current_localtime current_localtimestamp current_time current_timestamp gen_random_uuid
    get_current_time get_current_timestamp localtime localtimestamp nextval now random setseed today
    transaction_timestamp uuid uuidv4 uuidv7
    """
)
SESSION_NAMES = _words("current_catalog current_role current_schema current_user session_user user")
PROVENANCE = frozenset({"batch_id", "fetched_at", "rowid", "source"})

EXPRESSIONS = _words("BETWEEN CASE CAST COLUMN_REF COMPARISON CONJUNCTION CONSTANT FUNCTION OPERATOR STAR WINDOW")
# No structs and no lists: a time inside one would escape this check.
OPERATIONS = _words("COMPARE_IN COMPARE_NOT_IN OPERATOR_COALESCE OPERATOR_IS_NOT_NULL OPERATOR_IS_NULL OPERATOR_NOT")
# One entry for each kind of node that is not an expression; anything else is syntax nobody has thought through.
STRUCTURES = _words(
    """
    ASCENDING BASE_TABLE DESCENDING DISTINCT_MODIFIER EMPTY JOIN ORDER_DEFAULT ORDER_MODIFIER SELECT_NODE
    SET_OPERATION_NODE SUBQUERY
    """
)

ADVICE = {
    "aggregate": "it sees all rows, later ones too; write it over a counted frame, `over (… rows between 20 preceding "
    "and current row)`",
    "apart": "a strategy may compare instruments, and the text does not show that it never does; leave the line out",
    "asof-time": "take it from the left table, by its name: `candles.closed_at`; the right one closed earlier",
    "clock": "a strategy must say the same tomorrow; use the times in the rows",
    "float-aggregate": "its last bits depend on the span and on the threads; declare a feature (`-- needs: ema(20)`), "
    "or use count, min or max",
    "form": "this form of SQL is not known to be free of look-ahead; write it with plain selects, joins and windows",
    "function": "it is not on the list of functions known to be pure (warehouse/grammar/vocabulary.py)",
    "input": "a strategy reads marts.candles and features.* only, each written with its schema, and its own CTEs",
    "join": "join on columns of the same name, closed_at among them (`using (instrument, timeframe, closed_at)`), or "
    "`asof join` on `left.closed_at >= right.known_at`",
    "lag": "its distance must be a count written out (`lag(x, 3)`) or an integer parameter: a negative one looks ahead",
    "late-feature": "its rows may be known after they close; read it in one place only, at the right of an "
    "`asof join` on `left.closed_at >= right.known_at`",
    "limit": "which rows are cut off depends on the rows that come later; filter with `where` instead",
    "look-ahead": "it reads later candles; read earlier ones, with `lag` or a frame that ends at the current row",
    "lookback": "the header must promise at least as many, as in `-- lookback: 50 candles`",
    "needs": "declare the indicator that it belongs to in the header, as in `-- needs: ema(20)`",
    "order": "inside a series a window runs in the order of time: `order by closed_at`, and nothing else",
    "param": "declare it in the header: `-- param: stop_atr double = 2.0`",
    "partition": "a window stays inside one series (`partition by instrument, timeframe`) or one close (`closed_at`)",
    "provenance": "where a row came from and when is not market data, and changes when files are landed again",
    "ranking": "it counts from the first candle of all; allowed only over one close (`partition by closed_at`)",
    "recursive": "what depends on its own past is a feature, in code",
    "sample": "chance has no place in a strategy",
    "set-operation": "use `union all by name`: it can't put one time into another's column, and it only adds rows",
    "subquery": "write it as a CTE and join it",
    "time-column": "only the column itself may carry this name, or a time could pass for another; choose another name",
    "unbounded": "count the rows: `rows between 20 preceding and current row`; without a frame an ordered window "
    "reaches back to the first candle of all",
    "whole-row": "name the columns, and no CTE like one of them; a row kept as one value carries its times past this "
    "check",
}
