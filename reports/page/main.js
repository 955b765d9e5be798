// Puts the page together: what is chosen in one place is chosen in all.

const DAY = 86400;
const report = JSON.parse(document.getElementById('data').textContent);
const trades = rows(decodeAll(report.trades));
for (const trade of trades) {
  trade.held = Math.round(trade.exited_at - trade.entered_at);
  trade.costs_usd = trade.fees_usd + trade.spread_usd + trade.slippage_usd + trade.funding_usd;
  trade.market = report.instruments.findIndex((market) => market.name === trade.instrument);
  trade.zones = [];
}
const zones = rows(decodeAll(report.zones));
const tradeOf = new Map(trades.map((trade) => [trade.trade_no, trade]));
for (const zone of zones) zone.trades.forEach((trade_no) => tradeOf.get(trade_no).zones.push(zone));

const marketCard = document.getElementById('market');
let chosen = null;

const equity = equityChart(document.getElementById('equity'), report, (seconds) => {
  if (!report.instruments.length) return;
  candles.goTo(seconds);
  marketCard.scrollIntoView({ behavior: 'smooth', block: 'nearest' });
});
const candles = candleChart(document.getElementById('candles'), report, trades, zones, choose);
const table = tradeTable(document.getElementById('trades'), report, trades, (trade) => {
  choose(trade);
  marketCard.scrollIntoView({ behavior: 'smooth', block: 'start' });
});

const tabs = report.instruments.map((market, index) => {
  const tab = element('button', market.name, { type: 'button' });
  tab.addEventListener('click', () => showMarket(index));
  return tab;
});
document.getElementById('instruments').append(...tabs);

function showMarket(index) {
  tabs.forEach((tab, i) => tab.setAttribute('aria-pressed', String(i === index)));
  candles.show(index);
}

function choose(trade) {
  if (!trade || trade.market < 0) return;
  chosen = trade;
  showMarket(trade.market);
  candles.choose(trade);
  table.choose(trade);
  describe(trade);
  location.replace(`#trade-${trade.trade_no}`);
}

function describe(trade) {
  const price = (value) => number(value, report.instruments[trade.market].places);
  const zoneText = (zone) => `a ${zone.side} ${zone.kind} from ${price(zone.bottom)} to ${price(zone.top)}, known since ${utc(zone.known_at)}`;
  const result = `${signed(trade.net_pnl_usd, 2)} USD` + (trade.r_multiple === null ? '' : `, ${signed(trade.r_multiple, 2)} R`);
  const parts = [
    element('b', `#${trade.trade_no} ${trade.side} ${trade.instrument} `),
    `in ${utc(trade.entered_at)} at ${price(trade.entry_price)}, stop ${price(trade.stop_price)}, target ${price(trade.target_price)}; `,
    `out ${utc(trade.exited_at)} at ${price(trade.exit_price)} by ${reason(trade)}: `,
    element('b', result, { class: tone(trade.net_pnl_usd) }),
    `; at its worst ${number(-trade.mae_usd, 2)} USD, at its best ${signed(trade.mfe_usd, 2)}`,
    ...(trade.zones.length ? [`. It came back to ${trade.zones.map(zoneText).join(' and ')}.`] : []),
  ];
  document.getElementById('chosen').replaceChildren(...parts);
}

const holding = document.getElementById('holding');
holding.addEventListener('click', () => holding.setAttribute('aria-pressed', String(equity.toggleHolding())));

for (const [name, seconds] of [['1D', DAY], ['1W', 7 * DAY], ['1M', 30 * DAY], ['3M', 91 * DAY], ['All', 0]]) {
  const button = element('button', name, { type: 'button' });
  button.addEventListener('click', () => candles.zoom(seconds));
  document.getElementById('ranges').append(button);
}

for (const name of candles.lineNames) {
  const button = element('button', name.replace('_', ' ').toUpperCase(), { type: 'button', 'aria-pressed': 'true' });
  button.addEventListener('click', () => button.setAttribute('aria-pressed', String(candles.toggleLine(name))));
  document.getElementById('lines').append(button);
}

if (zones.length) {
  const button = element('button', 'Zones', { type: 'button', 'aria-pressed': 'true' });
  button.addEventListener('click', () => {
    const visible = candles.toggleZones();
    button.setAttribute('aria-pressed', String(visible));
    document.getElementById('zones').hidden = !visible;
  });
  document.getElementById('lines').append(button);
}

for (const button of document.querySelectorAll('#steps button')) {
  button.addEventListener('click', () => choose(table.neighbour(Number(button.dataset.step))));
}
document.addEventListener('keydown', (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const taken = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest('select, .scroll');
  if (step && !taken) choose(table.neighbour(step));
});

const filters = [
  ['Instrument', [['all instruments', () => true], ...report.instruments.map(({ name }) => [name, (trade) => trade.instrument === name])]],
  ['Side', [['long and short', () => true], ...['long', 'short'].map((side) => [side, (trade) => trade.side === side])]],
  ['Outcome', [
    ['all outcomes', () => true],
    ['won', (trade) => trade.net_pnl_usd > 0],
    ['lost', (trade) => trade.net_pnl_usd < 0],
    ['ambiguous', (trade) => trade.ambiguous],
  ]],
].map(([label, choices]) => {
  const select = element('select', undefined, { 'aria-label': label });
  select.append(...choices.map(([text], i) => element('option', text, { value: i })));
  select.addEventListener('change', () => table.filter((trade) => filters.every((accepts) => accepts(trade))));
  document.getElementById('filters').append(select);
  return (trade) => choices[Number(select.value)][1](trade);
});

function paint() {
  const palette = colours();
  equity.paint(palette);
  candles.paint(palette);
}

function chooseFromAddress() {
  const wanted = Number(/^#trade-(\d+)$/.exec(location.hash)?.[1]);
  const trade = tradeOf.get(wanted);
  if (!trade || trade === chosen) return; // to choose one writes its address, too
  choose(trade);
  marketCard.scrollIntoView({ block: 'start' });
}
addEventListener('hashchange', chooseFromAddress);

keepPainted(paint);
if (report.instruments.length) showMarket(0);
if (!trades.length) document.getElementById('chosen').textContent = '';
equity.fit();
chooseFromAddress();
