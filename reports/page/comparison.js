// Growth of several runs in one chart, their drawdowns below it.

const COLOURS = 8; // of runs in style.css; more begin again
const { runs } = JSON.parse(document.getElementById('data').textContent);
for (const run of runs) {
  for (const name of ['time', 'grown_percent', 'drawdown_percent']) run[name] = decode(run[name]);
}

const chart = LightweightCharts.createChart(document.getElementById('growth'), { handleScale: { mouseWheel: false } });
const percent = { type: 'custom', minMove: 0.01, formatter: (value) => `${number(value, 1)} %` };
const series = runs.map((run) => ({
  grown: line(run.time, run.grown_percent, 0, 2),
  drawdown: line(run.time, run.drawdown_percent, 1, 1),
}));
chart.panes()[0].setStretchFactor(3);
chart.panes()[1].setStretchFactor(1);

function line(time, values, pane, lineWidth) {
  const options = { lineWidth, priceFormat: percent, priceLineVisible: false, lastValueVisible: pane === 0 };
  const made = chart.addSeries(LightweightCharts.LineSeries, options, pane);
  made.setData(time.map((at, i) => ({ time: at, value: values[i] })));
  return made;
}

// Each run as it stood then: runs need not have the same closes.
function describe(seconds) {
  fillLegend(document.getElementById('growth-legend'), [
    ...(seconds === undefined ? [] : [['', `${utc(seconds)} UTC`]]),
    ...runs.filter((run) => run.time.length).map((run) => {
      const i = seconds === undefined ? run.time.length - 1 : lastAtOrBefore(run.time, seconds);
      return [run.name, `${signed(run.grown_percent[i], 1)} %, ${number(run.drawdown_percent[i], 1)} %`, tone(run.grown_percent[i])];
    }),
  ]);
}
chart.subscribeCrosshairMove((at) => describe(at.time));

function paint() {
  const style = getComputedStyle(document.documentElement);
  chart.applyOptions(chartOptions(colours()));
  series.forEach(({ grown, drawdown }, i) => {
    const color = style.getPropertyValue(`--run_${i % COLOURS}`).trim();
    grown.applyOptions({ color });
    drawdown.applyOptions({ color });
  });
}

keepPainted(paint);
describe();
chart.timeScale().fitContent();
