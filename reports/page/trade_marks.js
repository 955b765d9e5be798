// Trades drawn over the candles: entry, exit, the way between; risk and reward boxes of the chosen one.
// `trades` are those of one instrument, with `from` and `to`: indices of candles.

class TradeMarks extends Overlay {
  constructor(candles) {
    super(candles, 'top');
    this.trades = [];
    this.chosen = null;
  }

  // The price scale makes room for stop, target and zones of the chosen trade while it is in sight.
  autoscaleInfo(first, last) {
    const trade = this.chosen;
    if (!trade || trade.to < first || trade.from > last) return null;
    const levels = this.levels(trade);
    return { priceRange: { minValue: Math.min(...levels), maxValue: Math.max(...levels) } };
  }

  levels(trade) {
    const prices = [trade.entry_price, trade.exit_price, trade.stop_price, trade.target_price];
    return [...prices.filter((price) => price !== null), ...trade.zones.flatMap((zone) => [zone.bottom, zone.top])];
  }

  draw(target) {
    target.useMediaCoordinateSpace(({ context }) => this.drawAll(context));
  }

  drawAll(context) {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range) return;
    const seen = this.trades.filter((trade) => trade.to >= range.from - 1 && trade.from <= range.to + 1);
    const size = Math.min(7, 2.5 + this.chart.timeScale().options().barSpacing);
    if (this.chosen && seen.includes(this.chosen)) this.drawBoxes(context, this.chosen);
    for (const trade of seen) this.drawTrade(context, trade, trade === this.chosen ? 8 : size);
  }

  point(index, price) {
    return [this.chart.timeScale().logicalToCoordinate(index), this.series.priceToCoordinate(price)];
  }

  drawBoxes(context, trade) {
    const [left, entry] = this.point(trade.from, trade.entry_price);
    const right = Math.max(this.point(trade.to, trade.exit_price)[0], left + 6);
    for (const [price, colour] of [[trade.stop_price, this.palette.loss], [trade.target_price, this.palette.gain]]) {
      if (price === null) continue;
      const level = this.series.priceToCoordinate(price);
      context.fillStyle = faded(colour, 0.16);
      context.fillRect(left, Math.min(entry, level), right - left, Math.abs(level - entry));
      context.fillStyle = colour;
      context.fillRect(left, level - 0.5, right - left, 1);
    }
  }

  drawTrade(context, trade, size) {
    const [x1, y1] = this.point(trade.from, trade.entry_price);
    const [x2, y2] = this.point(trade.to, trade.exit_price);
    const outcome = trade.net_pnl_usd > 0 ? this.palette.gain : this.palette.loss;
    context.strokeStyle = outcome;
    context.lineWidth = trade === this.chosen ? 2 : 1.5;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(x1, y1);
    context.lineTo(x2, y2);
    context.stroke();
    context.setLineDash([]);
    this.drawEntry(context, x1, y1, size, trade.side === 'long');
    context.fillStyle = this.palette.card;
    context.strokeStyle = outcome;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x2, y2, size * 0.6, 0, 2 * Math.PI);
    context.fill();
    context.stroke();
  }

  // A triangle whose tip is the entry price: from below for a long, from above for a short.
  drawEntry(context, x, y, size, isLong) {
    const away = isLong ? size * 1.6 : -size * 1.6;
    context.fillStyle = isLong ? this.palette.long : this.palette.short;
    context.strokeStyle = this.palette.card;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x - size, y + away);
    context.lineTo(x + size, y + away);
    context.closePath();
    context.fill();
    context.stroke();
  }

  // The trade whose line from entry to exit passes nearest to a point, within a finger's width.
  nearest(x, y) {
    let best = null;
    let least = 18;
    for (const trade of this.trades) {
      const distance = distanceToLine([x, y], this.point(trade.from, trade.entry_price), this.point(trade.to, trade.exit_price));
      if (distance < least) [best, least] = [trade, distance];
    }
    return best;
  }
}

function distanceToLine([x, y], [x1, y1], [x2, y2]) {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
  const share = length ? Math.max(0, Math.min(1, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length)) : 0;
  return Math.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1));
}
