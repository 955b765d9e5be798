// The candles of one instrument at a time, its volume, its lines, the trades on it and the zones they came back to.

const SIGHT_PIXELS = 4; // width of a candle before anybody touched the chart
const MARGIN_SHARE = 20; // pixels of the chart for each candle left and right of a trade that is jumped to
const MOST_MARGINS = 3; // so far back a zone's beginning is looked for
const MOST_READABLE = 1500; // candles; with more in sight, choosing a trade zooms in

function candleChart(box, report, trades, zones, onChoose) {
  const opened = []; // by index: decoded once they are looked at
  const chart = LightweightCharts.createChart(box);
  const whole = { priceLineVisible: false, lastValueVisible: false };
  const volume = chart.addSeries(LightweightCharts.HistogramSeries, { ...whole, priceFormat: { type: 'volume' }, priceScaleId: 'volume' });
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  const candles = chart.addSeries(LightweightCharts.CandlestickSeries, { priceLineVisible: false });
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.1, bottom: 0.18 } });
  const lines = Object.fromEntries(
    ['ema_20', 'ema_50'].map((name) => [
      name,
      chart.addSeries(LightweightCharts.LineSeries, { ...whole, lineWidth: 1, crosshairMarkerVisible: false }),
    ]),
  );
  const marks = new TradeMarks(candles);
  candles.attachPrimitive(marks);
  const boxes = new ZoneBoxes(candles);
  volume.attachPrimitive(boxes); // what belongs to the volume is drawn below the candles, and above the grid
  const legend = document.getElementById('candles-legend');
  let market = null;
  let palette = colours();
  let priceLines = [];
  let described = -1; // candle in the legend

  function show(index) {
    opened[index] ??= withOwn(report.instruments[index], trades, zones);
    if (market === opened[index]) return;
    market = opened[index];
    const { time, open, high, low, close } = market.columns;
    const digits = market.places;
    const places = { type: 'custom', minMove: 10 ** -digits, formatter: (value) => number(value, digits) };
    candles.applyOptions({ priceFormat: places });
    candles.setData(time.map((at, i) => ({ time: at, open: open[i], high: high[i], low: low[i], close: close[i] })));
    for (const [name, line] of Object.entries(lines)) {
      const values = market.columns[name] ?? [];
      line.applyOptions({ priceFormat: places });
      line.setData(values.map((value, i) => (value === null ? { time: time[i] } : { time: time[i], value })));
    }
    paintVolume();
    marks.change({ trades: market.trades, chosen: null });
    boxes.change({ zones: market.zones, chosen: null });
    drawLevels(null);
    look(time.length - inSight(), time.length + 5);
    describe(time.length - 1);
  }

  function paintVolume() {
    const { time, open, close, volume: traded } = market.columns;
    const up = faded(palette.gain, 0.35);
    const down = faded(palette.loss, 0.35);
    volume.setData(time.map((at, i) => ({ time: at, value: traded[i], color: close[i] >= open[i] ? up : down })));
  }

  function inSight() {
    return box.clientWidth / SIGHT_PIXELS;
  }

  function look(from, to) {
    chart.timeScale().setVisibleLogicalRange({ from, to });
  }

  function choose(trade) {
    show(trade.market);
    marks.change({ chosen: trade });
    boxes.change({ chosen: trade });
    drawLevels(trade);
    describe(trade.from);
    candles.priceScale().applyOptions({ autoScale: true });
    const range = chart.timeScale().getVisibleLogicalRange();
    const margin = Math.max(box.clientWidth / MARGIN_SHARE, 10);
    const from = beginning(trade, MOST_MARGINS * margin);
    if (!range || from < range.from || trade.to > range.to || range.to - range.from > MOST_READABLE) {
      look(from - margin, trade.to + margin);
    }
  }

  // Labels on the price axis; the boxes of TradeMarks show from when to when.
  function drawLevels(trade) {
    priceLines.forEach((line) => candles.removePriceLine(line));
    const levels = trade
      ? [[trade.entry_price, 'entry', palette.soft], [trade.stop_price, 'stop', palette.loss], [trade.target_price, 'target', palette.gain]]
      : [];
    priceLines = levels
      .filter(([price]) => price !== null)
      .map(([price, title, color]) =>
        candles.createPriceLine({ price, title, color, lineWidth: 1, lineStyle: LightweightCharts.LineStyle.SparseDotted, axisLabelVisible: true }),
      );
  }

  function describe(i) {
    const { time, open, high, low, close, volume: traded } = market.columns;
    described = i;
    if (i < 0) return;
    const price = (value) => number(value, market.places);
    const change = close[i] - open[i];
    fillLegend(legend, [
      ['', `${utc(time[i])} UTC`],
      ['O', price(open[i])],
      ['H', price(high[i])],
      ['L', price(low[i])],
      ['C', price(close[i]), tone(change)],
      ['', `${signed((100 * change) / open[i], 2)} %`, tone(change)],
      ['V', number(traded[i], 2)],
      ...Object.keys(lines)
        .filter((name) => market.columns[name] && lines[name].options().visible)
        .map((name) => [name.replace('_', ' ').toUpperCase(), price(market.columns[name][i])]),
      ...(market.merged > 1 ? [['', `${market.merged} candles drawn as one`]] : []),
    ]);
  }

  chart.subscribeCrosshairMove((at) => {
    if (market) describe(at.time === undefined ? market.columns.time.length - 1 : lastAtOrBefore(market.columns.time, at.time));
  });
  chart.subscribeClick((at) => {
    const trade = at.point && marks.nearest(at.point.x, at.point.y);
    if (trade) onChoose(trade);
  });

  return {
    show,
    choose,
    lineNames: Object.keys(lines).filter((name) => report.instruments.some((one) => one.columns[name])),
    toggleLine(name) {
      const visible = !lines[name].options().visible;
      lines[name].applyOptions({ visible });
      describe(described);
      return visible;
    },
    toggleZones() {
      boxes.change({ visible: !boxes.visible });
      return boxes.visible;
    },
    // As many candles as fill `seconds`, around the middle of what is seen; all of them without a number.
    zoom(seconds) {
      if (!seconds) return chart.timeScale().fitContent();
      const { from, to } = chart.timeScale().getVisibleLogicalRange();
      const half = seconds / market.candle_s / 2;
      const middle = Math.min(Math.max((from + to) / 2, half), market.columns.time.length - half + 5);
      return look(middle - half, middle + half);
    },
    goTo(seconds) {
      const index = lastAtOrBefore(market.columns.time, seconds);
      look(index - inSight() / 2, index + inSight() / 2);
    },
    paint(next) {
      palette = next;
      chart.applyOptions(chartOptions(palette));
      candles.applyOptions({
        upColor: palette.gain, borderUpColor: palette.gain, wickUpColor: palette.gain,
        downColor: palette.loss, borderDownColor: palette.loss, wickDownColor: palette.loss,
      });
      for (const [name, line] of Object.entries(lines)) line.applyOptions({ color: palette[name] });
      marks.change({ palette });
      boxes.change({ palette });
      if (market) {
        paintVolume();
        drawLevels(marks.chosen);
      }
    },
  };
}

// The first candle of a trade, or of a zone that it came back to if that is not too far.
function beginning(trade, most) {
  return Math.max(Math.min(trade.from, ...trade.zones.map((zone) => zone.from)), trade.from - most);
}

// Columns decoded; trades and zones of this market with the candles they begin and end in.
function withOwn(market, trades, zones) {
  const columns = decodeAll(market.columns);
  const own = trades.filter((trade) => trade.instrument === market.name);
  for (const trade of own) {
    trade.from = lastAtOrBefore(columns.time, trade.entered_at);
    trade.to = lastAtOrBefore(columns.time, trade.exited_at);
  }
  const before = (at) => lastAtOrBefore(columns.time, at - 1) + 0.5; // a close is the open of the candle after
  const ownZones = zones.filter((zone) => zone.instrument === market.name);
  for (const zone of ownZones) {
    zone.from = lastAtOrBefore(columns.time, zone.born_at) - 0.5;
    zone.known = before(zone.known_at);
    zone.to = before(zone.ended_at ?? Infinity);
  }
  return { ...market, columns, trades: own, zones: ownZones };
}
