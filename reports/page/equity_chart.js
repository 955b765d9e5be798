// Equity against the starting cash and against holding, and the drawdown below it.

function equityChart(box, report, onClick) {
  const columns = decodeAll(report.equity);
  const chart = LightweightCharts.createChart(box, { handleScale: { mouseWheel: false } });
  const wholeDollars = { type: 'custom', minMove: 0.01, formatter: (value) => number(value, 0) };
  const equity = chart.addSeries(LightweightCharts.BaselineSeries, {
    baseValue: { type: 'price', price: report.starting_usd },
    lineWidth: 2,
    priceFormat: wholeDollars,
    priceLineVisible: false,
  });
  const holding = chart.addSeries(LightweightCharts.LineSeries, {
    lineWidth: 1,
    priceFormat: wholeDollars,
    priceLineVisible: false,
    lastValueVisible: false,
    crosshairMarkerVisible: false,
  });
  const drawdown = chart.addSeries(
    LightweightCharts.BaselineSeries,
    {
      lineWidth: 1,
      baseValue: { type: 'price', price: 0 },
      priceFormat: { type: 'custom', minMove: 0.01, formatter: (value) => `${number(value, 1)} %` },
      priceLineVisible: false,
    },
    1,
  );
  chart.panes()[0].setStretchFactor(3);
  chart.panes()[1].setStretchFactor(1);

  const points = (values) => columns.time.map((time, i) => (values[i] === null ? { time } : { time, value: values[i] }));
  equity.setData(points(columns.equity_usd));
  holding.setData(points(columns.held_usd));
  drawdown.setData(points(columns.drawdown_percent.map((depth) => -depth)));

  const legend = document.getElementById('equity-legend');
  const show = (i) =>
    fillLegend(legend, [
      ['', `${utc(columns.time[i])} UTC`],
      ['equity', number(columns.equity_usd[i], 0), tone(columns.equity_usd[i] - report.starting_usd)],
      ['drawdown', `${number(-columns.drawdown_percent[i], 1)} %`],
      ['held', number(columns.held_usd[i], 0)],
    ]);
  const last = columns.time.length - 1;
  if (last >= 0) show(last);
  chart.subscribeCrosshairMove((at) => {
    if (last >= 0) show(at.time === undefined ? last : lastAtOrBefore(columns.time, at.time));
  });
  chart.subscribeClick((at) => {
    if (at.time !== undefined) onClick(at.time);
  });

  return {
    paint(palette) {
      chart.applyOptions(chartOptions(palette));
      equity.applyOptions({
        topLineColor: palette.gain, topFillColor1: faded(palette.gain, 0.28), topFillColor2: faded(palette.gain, 0.03),
        bottomLineColor: palette.loss, bottomFillColor1: faded(palette.loss, 0.03), bottomFillColor2: faded(palette.loss, 0.28),
      });
      holding.applyOptions({ color: palette.held });
      drawdown.applyOptions({
        bottomLineColor: palette.loss, bottomFillColor1: faded(palette.loss, 0.1), bottomFillColor2: faded(palette.loss, 0.35),
        topLineColor: palette.soft,
      });
    },
    // Beside a market that moved far, a calm account is a flat line.
    toggleHolding() {
      const visible = !holding.options().visible;
      holding.applyOptions({ visible });
      return visible;
    },
    fit: () => chart.timeScale().fitContent(),
  };
}
