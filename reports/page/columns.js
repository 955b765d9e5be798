// Columns, colours and words that the other files share. reports/embedded.py writes what `decode` reads.

function decode(column) {
  if (column.values) return column.values;
  let sum = 0;
  return column.steps.map((step) => (step === null ? null : ((sum += step) * column.unit) / column.scale));
}

function decodeAll(columns) {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, decode(column)]));
}

// {a: [1, 2], b: [3, 4]} -> [{a: 1, b: 3}, {a: 2, b: 4}]
function rows(columns) {
  const names = Object.keys(columns);
  return columns[names[0]].map((_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
}

// Now, and whenever the colours change: by night, and on paper, which is white.
function keepPainted(paint) {
  paint();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  addEventListener('beforeprint', () => {
    document.documentElement.classList.add('on-paper');
    paint();
  });
  addEventListener('afterprint', () => {
    document.documentElement.classList.remove('on-paper');
    paint();
  });
}

// Index of the last value at or before `wanted`, 0 if all are later.
function lastAtOrBefore(sorted, wanted) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= wanted) low = middle + 1;
    else high = middle;
  }
  return Math.max(low - 1, 0);
}

const MISSING = '–';
const formats = new Map();

function number(value, places) {
  if (value === null || value === undefined) return MISSING;
  if (!formats.has(places)) {
    formats.set(places, new Intl.NumberFormat('en-US', { minimumFractionDigits: places, maximumFractionDigits: places, signDisplay: 'negative' }));
  }
  return formats.get(places).format(value).replace('-', '\u2212');
}

function signed(value, places) {
  const text = number(value, places);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

// To the minute; the last microsecond of a candle reads as its close.
function utc(seconds) {
  return new Date(Math.round(seconds) * 1000).toISOString().slice(0, 16).replace('T', ' ');
}

function held(seconds) {
  if (seconds >= 172800) return `${number(seconds / 86400, 1)} d`;
  return seconds >= 3600 ? `${number(seconds / 3600, 1)} h` : `${number(seconds / 60, 0)} min`;
}

function tone(value) {
  if (!value) return 'even';
  return value > 0 ? 'gain' : 'loss';
}

// Text only, never markup: names and reasons come from outside.
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Legend of a chart: [label, text, tone] triples.
function fillLegend(legend, entries) {
  legend.replaceChildren(
    ...entries.map(([label, text, className]) => {
      const entry = element('span', label ? `${label} ` : '');
      entry.append(element('b', text, className ? { class: className } : {}));
      return entry;
    }),
  );
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ['card', 'ink', 'soft', 'line', 'faint', 'gain', 'loss', 'accent', 'long', 'short', 'held', 'ema_20', 'ema_50'];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function faded(hex, opacity) {
  return hex + Math.round(opacity * 255).toString(16).padStart(2, '0');
}

function chartOptions(palette) {
  return {
    autoSize: true,
    layout: {
      background: { color: palette.card },
      textColor: palette.soft,
      fontFamily: getComputedStyle(document.body).fontFamily,
      panes: { separatorColor: palette.line, enableResize: false },
    },
    grid: { vertLines: { color: palette.faint }, horzLines: { color: palette.faint } },
    crosshair: { mode: LightweightCharts.CrosshairMode.Normal },
    rightPriceScale: { borderColor: palette.line, minimumWidth: 76 },
    timeScale: { borderColor: palette.line, timeVisible: true, minBarSpacing: 0.01 },
    localization: { locale: 'en-GB', timeFormatter: (seconds) => `${utc(seconds)} UTC` },
    handleScroll: { vertTouchDrag: false },
  };
}
