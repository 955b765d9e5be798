// What we draw ourselves with the candles: a primitive of the chart library. A child has `draw(target)`.

class Overlay {
  constructor(series, zOrder) {
    this.series = series; // whose prices it is drawn at
    this.palette = colours();
    this.views = [{ zOrder: () => zOrder, renderer: () => ({ draw: (target) => this.draw(target) }) }];
  }

  attached({ chart, requestUpdate }) {
    Object.assign(this, { chart, requestUpdate });
  }

  paneViews() {
    return this.views;
  }

  change(changes) {
    Object.assign(this, changes);
    this.requestUpdate();
  }
}
