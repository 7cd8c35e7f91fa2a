// The loss by epoch, with a logarithmic scale.

import { Frame, axis, clipped, colours, mark, wide } from "./frame.js";
import { extent } from "./request.js";

export class LossChart {
  constructor(host) {
    this.frame = new Frame(host);
    this.reset(1);
  }

  /** Starts a run of that number of epochs. */
  reset(epochs) {
    this.epochs = [];
    this.losses = [];
    this.last = epochs;
    this.at = -1;
    this.best = null;
    this.whole = false;
    this.frame.clear();
  }

  /** Sets all rows so far; the caller may append to the columns later. */
  setRows(epochs, losses) {
    this.epochs = epochs;
    this.losses = losses;
  }

  /** Ends the run: the epochs done and the best are known. */
  ended(lastEpoch, bestEpoch) {
    this.last = Math.max(lastEpoch, 1);
    this.best = bestEpoch;
    this.whole = true;
    this.draw();
  }

  /** Shows a row. */
  show(row) {
    this.at = row;
    if (!this.frame.plot) this.draw();
    else this.frame.plot.setData(this.#data());
  }

  #data() {
    const shown = this.losses.map((v, i) => (i <= this.at && v > 0 ? v : null));
    const rest = this.whole ? this.losses.map((v) => (v > 0 ? v : null)) : shown;
    return [this.epochs, rest, shown];
  }

  #range() {
    const [low, high] = extent(this.losses.filter((v) => v > 0));
    const [from, to] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
    return [10 ** from, 10 ** (to > from ? to : from + 1)];
  }

  draw() {
    if (!this.losses.some((v) => v > 0)) return;
    const colour = colours();
    const few = this.epochs.length < 40 && this.last < 40;
    const dots = (fill) => ({ show: few, size: 7, width: 1, fill, stroke: colour.panel });
    this.frame.make(
      {
        scales: {
          x: { time: false, range: () => [Math.min(1, this.last - 1), Math.max(this.last, 2)] },
          y: { distr: 3, log: 10, range: () => this.#range() },
        },
        axes: [
          axis("epoch", colour, { incrs: whole() }),
          axis("loss", colour, {
            ...wide,
            grid: { stroke: colour.line, width: 1, filter: powers },
            ticks: { show: false },
            filter: labelled,
          }),
        ],
        series: [
          {},
          { stroke: colour.line, width: 2, pxAlign: 0, points: dots(colour.line) },
          { stroke: colour.accent, width: 2.5, pxAlign: 0, points: dots(colour.accent) },
        ],
        hooks: { draw: [(u) => this.#marks(u, colour)] },
      },
      this.#data(),
    );
  }

  #marks(u, colour) {
    clipped(u, (ctx, ratio) => {
      const epoch = this.epochs[this.at];
      if (epoch === undefined) return;
      const x = u.valToPos(epoch, "x", true);
      ctx.strokeStyle = colour.trace;
      ctx.lineWidth = ratio;
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, u.bbox.top);
      ctx.lineTo(x, u.bbox.top + u.bbox.height);
      ctx.stroke();
    });
    const best = this.epochs.indexOf(this.best);
    if (best >= 0 && this.losses[best] > 0) {
      mark(u, this.best, this.losses[best], 4, colour.good, colour.panel);
    }
    const loss = this.losses[this.at];
    if (loss > 0) mark(u, this.epochs[this.at], loss, 5, colour.trace, colour.panel);
  }
}

/** Steps of an axis of epochs, which are integers. */
const whole = () => {
  const steps = [1, 2, 5].flatMap((n) => Array.from({ length: 8 }, (_, p) => n * 10 ** p));
  return steps.sort((a, b) => a - b);
};

/** Powers of ten, of which at most six are labelled. */
const labelled = (_, splits) => {
  const logs = splits.filter((v) => v > 0).map(Math.log10);
  const range = Math.max(...logs) - Math.min(...logs);
  if (range < 2) return splits;
  const step = Math.ceil(range / 6);
  return splits.map((v) => (v > 0 && Math.abs(Math.log10(v) % step) < 1e-9 ? v : null));
};

/** Only the powers of ten. */
const powers = (_, splits) =>
  splits.map((v) => (v > 0 && Math.abs(Math.log10(v) % 1) < 1e-9 ? v : null));
