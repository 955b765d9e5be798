// The table of trades: sorted by a click on a column, filtered, and in step with the chart.

const FIRST_ROWS = 100; // drawn at once; a button draws the rest

function tradeTable(table, report, trades, onChoose) {
  const places = Object.fromEntries(report.instruments.map((market) => [market.name, market.places]));
  const price = (name) => (trade) => number(trade[name], places[trade.instrument] ?? 2);
  const columns = [
    { title: '#', key: 'trade_no', text: (trade) => String(trade.trade_no) },
    { title: 'Instrument', key: 'instrument', kind: 'text', text: (trade) => trade.instrument },
    { title: 'Side', key: 'side', kind: 'text', text: (trade) => trade.side, tone: (trade) => trade.side },
    { title: 'Entered, UTC', key: 'entered_at', kind: 'text', text: (trade) => utc(trade.entered_at) },
    { title: 'Entry', key: 'entry_price', text: price('entry_price') },
    { title: 'Stop', key: 'stop_price', text: price('stop_price') },
    { title: 'Target', key: 'target_price', text: price('target_price') },
    { title: 'Exited, UTC', key: 'exited_at', kind: 'text', text: (trade) => utc(trade.exited_at) },
    { title: 'Exit', key: 'exit_price', text: price('exit_price') },
    { title: 'By', key: 'exit_reason', kind: 'text', text: reason },
    { title: 'Held', key: 'held', text: (trade) => held(trade.held) },
    { title: 'Quantity', key: 'quantity_base', text: (trade) => number(trade.quantity_base, 4) },
    { title: 'Costs', key: 'costs_usd', text: (trade) => number(trade.costs_usd, 2) },
    { title: 'Net, USD', key: 'net_pnl_usd', text: (trade) => signed(trade.net_pnl_usd, 2), tone: (trade) => tone(trade.net_pnl_usd) },
    { title: 'R', key: 'r_multiple', text: (trade) => signed(trade.r_multiple, 2), tone: (trade) => tone(trade.r_multiple) },
    { title: 'Worst, R', key: 'mae_r', text: (trade) => number(trade.mae_r === null ? null : -trade.mae_r, 2) },
    { title: 'Best, R', key: 'mfe_r', text: (trade) => signed(trade.mfe_r, 2) },
  ];
  const shownText = document.getElementById('shown');
  const more = document.getElementById('more');
  const drawn = new Map(); // trade -> its row
  let sorting = { key: 'trade_no', descending: false };
  let accepts = () => true;
  let limit = FIRST_ROWS;
  let chosen = null;
  let listed = trades;

  function drawHead() {
    const cells = columns.map((column) => {
      const cell = element('th', undefined, { scope: 'col', class: column.kind ?? '' });
      const order = sorting.descending ? 'descending' : 'ascending';
      cell.setAttribute('aria-sort', column.key === sorting.key ? order : 'none');
      const button = element('button', column.title, { type: 'button' });
      button.addEventListener('click', () => sortBy(column));
      cell.append(button);
      return cell;
    });
    const row = element('tr');
    row.append(...cells);
    table.tHead.replaceChildren(row);
  }

  function sortBy(column) {
    const again = column.key === sorting.key;
    sorting = { key: column.key, descending: again ? !sorting.descending : !column.kind && column.key !== 'trade_no' };
    draw();
  }

  function draw() {
    listed = trades.filter(accepts).sort(compare);
    drawn.clear();
    table.tBodies[0].replaceChildren(...listed.slice(0, limit).map(rowOf));
    shownText.textContent = listed.length === trades.length ? `${number(trades.length, 0)} in all` : `${number(listed.length, 0)} of ${number(trades.length, 0)}`;
    more.hidden = listed.length <= limit;
    more.textContent = `Show all ${number(listed.length, 0)}`;
    drawHead();
  }

  // Values that are missing come last in either direction; equal ones keep the order of the run.
  function compare(a, b) {
    const [left, right] = [a[sorting.key], b[sorting.key]];
    if (left === right) return a.trade_no - b.trade_no;
    if (left === null) return 1;
    if (right === null) return -1;
    return left < right === sorting.descending ? 1 : -1;
  }

  function rowOf(trade) {
    const row = element('tr', undefined, { tabindex: '0', 'aria-selected': String(trade === chosen), 'data-trade': trade.trade_no });
    for (const column of columns) {
      const classes = [column.kind, column.tone?.(trade)].filter(Boolean).join(' ');
      row.append(element('td', column.text(trade), classes ? { class: classes } : {}));
    }
    row.addEventListener('click', () => onChoose(trade));
    row.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') onChoose(trade);
    });
    drawn.set(trade, row);
    return row;
  }

  more.addEventListener('click', () => {
    limit = Infinity;
    draw();
  });
  draw();
  return {
    filter(next) {
      accepts = next;
      limit = FIRST_ROWS;
      draw();
    },
    choose(trade) {
      drawn.get(chosen)?.setAttribute('aria-selected', 'false');
      drawn.get(trade)?.setAttribute('aria-selected', 'true');
      chosen = trade;
    },
    // The trade before or after the chosen one, in the order and the filter of the table.
    neighbour(step) {
      const at = listed.indexOf(chosen);
      return listed[at < 0 ? (step > 0 ? 0 : listed.length - 1) : at + step];
    },
  };
}

function reason(trade) {
  return trade.ambiguous ? `${trade.exit_reason} (ambiguous)` : trade.exit_reason;
}
