-- Smart Money: with the day and the four hours, enter where the price comes back to an order block or a fair value gap
-- that meets the optimal trade entry of the four hours, when enough points speak for it.
--
-- A short is a long on a chart turned upside down, so both sides run through the same lines with prices times -1.
--
-- grain: one row per entry
-- key: instrument, timeframe, closed_at
-- lookback: 64 candles
-- needs: ema(20), ema(50), ema(200), atr(14), volatility(14, 96)
-- rejections: candidates
-- param: bias_period integer = 50 in 20, 50, 200 -- average of days that the close must be beyond
-- param: calmest double = 0.05 in 0.0 .. 0.4 -- share of the last 96 candles that were calmer, the least
-- param: wildest double = 0.95 in 0.6 .. 1.0 -- the most of it
-- param: structure_points integer = 30 in 0 .. 100 -- if the trend of its own timeframe agrees
-- param: confluence_points integer = 20 in 0 .. 100 -- if block and gap do, or stops were swept lately
-- param: swept_candles integer = 20 in 0 .. 23 -- before this one that are lately, for a sweep of stops
-- param: fibonacci_points integer = 20 in 0 .. 100 -- if the close itself is in optimal trade entry
-- param: regime_points integer = 15 in 0 .. 100 -- if volatility is in its middle
-- param: middle_low double = 0.2 in 0.0 .. 0.5 -- share of the last 96 candles that were calmer, where the middle begins
-- param: middle_high double = 0.8 in 0.5 .. 1.0 -- where it ends
-- param: volume_points integer = 15 in 0 .. 100 -- if volume is at least such a share of the most before
-- param: volume_share double = 0.5 in 0.0 .. 1.0 -- of the most volume of a candle
-- param: volume_candles integer = 20 in 1 .. 23 -- before this one that are looked at for it
-- param: min_points integer = 50 in 0 .. 100 -- that an entry needs
-- param: stop_buffer_atr double = 0.25 in 0.0 .. 2.0 -- from the far side of the zone to the stop
-- param: narrowest_stop_atr double = 1.0 in 0.1 .. 3.0 -- nearer is noise, and costs weigh too much
-- param: widest_stop_atr double = 4.0 in 3.0 .. 20.0 -- farther is no stop
-- param: target_1_r double = 1.0 in 0.5 .. 1.5 -- in distances to the stop
-- param: target_2_r double = 2.0 in 1.5 .. 3.0 -- in distances to the stop
-- param: target_3_r double = 4.0 in 3.0 .. 10.0 -- in distances to the stop
-- param: cooldown_candles integer = 16 in 0 .. 40 -- without another candidate that would do, on the same side
with

candles as (

    select * from marts.candles

),

indicators as (

    select * from features.indicators

),

smc as (

    select * from features.smc

),

averages as (

    select
        instrument,
        timeframe,
        closed_at,
        case getvariable('bias_period') when 20 then ema_20 when 50 then ema_50 when 200 then ema_200 end as average
    from indicators

),

-- The day: which way to trade at all.
days as (

    select
        ---------- keys
        candles.instrument,
        candles.timeframe,
        candles.closed_at,
        smc.known_at,

        ---------- the trend of its structure, where the close is on the same side of the average
        case
            when smc.trend > 0 and candles.close > average then 1
            when smc.trend < 0 and candles.close < average then -1
            when smc.trend is not null and average is not null then 0
        end as bias

    from candles
    join smc using (instrument, timeframe, closed_at)
    join averages using (instrument, timeframe, closed_at)
    where candles.timeframe = '1d'

),

-- Four hours: the frame in which it is decided.
four_hours as (

    select instrument, timeframe, closed_at, known_at, trend, ote_bottom, ote_top
    from smc
    where timeframe = '4h'

),

-- The candles on which an entry may come, with what was known by their close.
bars as (

    select
        ---------- keys
        candles.instrument,
        candles.timeframe,
        candles.closed_at,
        candles.closed_at as known_at,

        ---------- prices
        candles.high::double as high,
        candles.low::double as low,
        candles.close::double as close,
        candles.volume::double as volume,

        ---------- this timeframe
        indicators.atr_14 as atr,
        indicators.volatility_14_96 as volatility,
        smc.trend as trend,
        smc.swept_highs,
        smc.swept_lows,
        smc.bull_block_bottom,
        smc.bull_block_top,
        smc.bear_block_bottom,
        smc.bear_block_top,
        smc.bull_gap_bottom,
        smc.bull_gap_top,
        smc.bear_gap_bottom,
        smc.bear_gap_top,

        ---------- longer ones
        date_diff('hour', days.known_at, candles.closed_at) < 48
        and date_diff('hour', four_hours.known_at, candles.closed_at) < 8 as is_up_to_date,
        days.bias,
        four_hours.trend as frame_trend,
        four_hours.ote_bottom,
        four_hours.ote_top

    from candles
    join smc using (instrument, timeframe, closed_at)
    join indicators using (instrument, timeframe, closed_at)
    asof left join days on candles.instrument = days.instrument and candles.closed_at >= days.known_at
    asof left join four_hours
        on candles.instrument = four_hours.instrument and candles.closed_at >= four_hours.known_at
    where candles.timeframe in ('15m', '1h')

),

sided as (

    select
        instrument,
        timeframe,
        closed_at,
        known_at,
        'long' as side,
        low as nearest,
        close,
        volume,
        atr,
        volatility,
        trend,
        swept_lows is not null as has_swept,
        bull_block_top as block_near,
        bull_block_bottom as block_far,
        bull_gap_top as gap_near,
        bull_gap_bottom as gap_far,
        is_up_to_date,
        bias,
        frame_trend,
        ote_top as ote_near,
        ote_bottom as ote_far
    from bars

    union all by name

    select
        instrument,
        timeframe,
        closed_at,
        known_at,
        'short' as side,
        -high as nearest,
        -close as close,
        volume,
        atr,
        volatility,
        -trend as trend,
        swept_highs is not null as has_swept,
        -bear_block_bottom as block_near,
        -bear_block_top as block_far,
        -bear_gap_bottom as gap_near,
        -bear_gap_top as gap_far,
        is_up_to_date,
        -bias as bias,
        -frame_trend as frame_trend,
        -ote_bottom as ote_near,
        -ote_top as ote_far
    from bars

),

-- A zone counts as it stood at the close before: what this candle did to it is not known while the price comes to it.
with_previous as (

    select
        *,
        lag(closed_at) over in_time as previous_at,
        lag(close) over in_time as previous_close,
        lag(block_near) over in_time as block_top,
        lag(block_far) over in_time as block_bottom,
        lag(gap_near) over in_time as gap_top,
        lag(gap_far) over in_time as gap_bottom,
        max(volume) over (
            in_time rows between getvariable('volume_candles') preceding and 1 preceding
        ) as most_volume,
        bool_or(has_swept) over (
            in_time rows between getvariable('swept_candles') preceding and current row
        ) as has_swept_lately
    from sided
    window in_time as (partition by instrument, timeframe, side order by closed_at)

),

-- The price comes from outside, shortly before, goes into the zone, and closes above its far side.
touched as (

    select
        *,
        date_diff('hour', previous_at, closed_at) < 4 and previous_close > block_top and nearest <= block_top
        and close >= block_bottom as is_at_block,
        date_diff('hour', previous_at, closed_at) < 4 and previous_close > gap_top and nearest <= gap_top
        and close >= gap_bottom as is_at_gap
    from with_previous

),

-- Zones that meet the optimal trade entry, each judged by itself.
placed as (

    select
        *,
        coalesce(is_at_block and block_bottom <= ote_near and block_top >= ote_far, false) as has_block,
        coalesce(is_at_gap and gap_bottom <= ote_near and gap_top >= ote_far, false) as has_gap
    from touched

),

zoned as (

    select
        *,
        least(case when has_block then block_bottom end, case when has_gap then gap_bottom end) as zone_bottom
    from placed

),

-- Whole points: a sum of fractions is not what it seems, and misses its bar by a last bit.
scored as (

    select
        *,
        close - zone_bottom + getvariable('stop_buffer_atr') * atr as stop_distance,
        case when trend > 0 then getvariable('structure_points') else 0 end
        + case when (has_block and has_gap) or has_swept_lately then getvariable('confluence_points') else 0 end
        + case when close between ote_far and ote_near then getvariable('fibonacci_points') else 0 end
        + case
            when volatility between getvariable('middle_low') and getvariable('middle_high')
                then getvariable('regime_points')
            else 0
        end
        + case
            when volume >= getvariable('volume_share') * most_volume then getvariable('volume_points')
            else 0
        end as points
    from zoned

),

-- Why not: the first that fails. All of this but the cooldown is said of every candle, so that it can be counted.
judged as (

    select
        *,
        coalesce(is_at_block, false) or coalesce(is_at_gap, false) as is_candidate,
        case
            when bias is null or frame_trend is null or atr is null or volatility is null then 'warming up'
            when not is_up_to_date then 'day or four hours out of date'
            when bias <= 0 then 'bias of the day'
            when frame_trend <= 0 then 'structure of four hours'
            when volatility not between getvariable('calmest') and getvariable('wildest') then 'regime'
            when not has_block and not has_gap then 'outside optimal entry'
            when stop_distance <= 0 or stop_distance < getvariable('narrowest_stop_atr') * atr then 'stop too narrow'
            when stop_distance > getvariable('widest_stop_atr') * atr then 'stop too wide'
            when points < getvariable('min_points') then 'score'
        end as fault
    from scored

),

-- Not again soon: a second entry in the same move is the same bet. Whatever would do by itself begins the time anew,
-- also when it comes too soon: what was entered hangs on all entries before it, which no count of candles tells.
cooled as (

    select
        *,
        coalesce(
            bool_or(is_candidate and fault is null) over (
                partition by instrument, timeframe, side order by closed_at
                rows between getvariable('cooldown_candles') preceding and 1 preceding
            ),
            false
        ) as is_hot
    from judged

),

candidates as (

    select
        ---------- keys
        instrument,
        timeframe,
        closed_at,
        known_at,
        side,

        ---------- proposal
        abs(close) as close,
        stop_distance,
        points / 100.0::double as score,
        coalesce(fault, case when is_hot then 'cooldown' end) as rejection

    from cooled
    where is_candidate

),

signals as (

    select
        ---------- keys
        instrument,
        timeframe,
        closed_at,
        known_at,

        ---------- proposal
        side,
        close,
        stop_distance,
        getvariable('target_1_r') * stop_distance as target_1_distance,
        getvariable('target_2_r') * stop_distance as target_2_distance,
        getvariable('target_3_r') * stop_distance as target_3_distance,
        null::double as target_4_distance,
        score

    from candidates
    where rejection is null

)

select * from signals
