// The zones that trades came back to, as boxes behind the candles: pale until they were known, firm for the chosen trade.
// `zones` are those of one instrument, with `from`, `known` and `to`: places on the time scale, between two candles.

class ZoneBoxes extends Overlay {
  constructor(candles) {
    super(candles, 'normal');
    this.zones = [];
    this.chosen = null;
    this.visible = true;
  }

  draw(target) {
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (!range || !this.visible) return;
    const sight = { from: Math.floor(range.from) - 1.5, to: Math.ceil(range.to) + 1.5 };
    const seen = this.zones.filter((zone) => zone.to >= sight.from && zone.from <= sight.to);
    const isFirm = (zone) => this.chosen !== null && this.chosen.zones.includes(zone);
    target.useBitmapCoordinateSpace((scope) => {
      for (const zone of seen) this.drawBox(scope, zone, sight, isFirm(zone));
    });
  }

  // On whole pixels of the screen, so that edges are crisp, and never thinner than one of them.
  drawBox({ context, horizontalPixelRatio, verticalPixelRatio }, zone, sight, isFirm) {
    const across = (place) => {
      const shown = Math.min(Math.max(place, sight.from), sight.to);
      return Math.round(this.between(shown) * horizontalPixelRatio);
    };
    const down = (price) => Math.round(this.series.priceToCoordinate(price) * verticalPixelRatio);
    const [left, known, top] = [across(zone.from), across(zone.known), down(zone.top)];
    const right = Math.max(across(zone.to), left + 1);
    const bottom = Math.max(down(zone.bottom), top + 1);
    const colour = zone.side === 'bullish' ? this.palette.long : this.palette.short;
    const line = Math.max(Math.floor(verticalPixelRatio), 1);

    context.fillStyle = faded(colour, isFirm ? 0.11 : 0.06);
    context.fillRect(left, top, known - left, bottom - top);
    context.fillStyle = faded(colour, isFirm ? 0.25 : 0.14);
    context.fillRect(known, top, right - known, bottom - top);
    context.strokeStyle = faded(colour, isFirm ? 0.9 : 0.45);
    context.lineWidth = line;
    context.setLineDash(zone.kind === 'fair value gap' ? [4 * line, 3 * line] : []);
    context.strokeRect(left + line / 2, top + line / 2, right - left - line, bottom - top - line);
  }

  // The library knows where candles are, and nothing between them.
  between(place) {
    const scale = this.chart.timeScale();
    return (scale.logicalToCoordinate(place - 0.5) + scale.logicalToCoordinate(place + 0.5)) / 2;
  }
}
