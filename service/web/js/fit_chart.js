// The data with the fitted curve; for several inputs, predictions against measurements.

import { Frame, axis, clipped, colours, wide } from "./frame.js";
import { extent, padded } from "./request.js";

const GRID = 120;
const MOST_POINTS = 800;

export class FitChart {
  constructor(host) {
    this.frame = new Frame(host);
    this.curve = null;
    this.start = null;
    this.band = null;
  }

  /**
   * @param inputs columns by name
   * @param target the measured values, or null where they are not known yet
   * @param labels {x, y} of the axes
   * @param spread {x, y}: the standard deviations of the rows, each a list or null; or null
   */
  setData(inputs, target, labels, spread = null) {
    this.labels = labels;
    this.bars = [];
    const names = Object.keys(inputs);
    this.parity = names.length !== 1;
    this.curve = this.start = this.band = null;
    const rows = chosen(names.length ? inputs[names[0]].length : 0);
    if (this.parity) this.#alongTarget(inputs, target, rows);
    else this.#alongInput(names[0], inputs[names[0]], target, rows, spread);
    this.draw();
  }

  #alongInput(name, column, target, rows, spread) {
    if (spread && target) {
      this.bars = rows
        .filter((i) => column[i] !== null && target[i] !== null)
        .map((i) => ({ x: column[i], y: target[i], sx: spread.x?.[i] ?? 0, sy: spread.y?.[i] ?? 0 }));
    }
    const [low, high] = padded(extent([...column, ...this.bars.flatMap(({ x, sx }) => [x - sx, x + sx])]), 0.04);
    const grid = Array.from({ length: GRID + 1 }, (_, i) => low + ((high - low) * i) / GRID);
    const points = rows
      .filter((i) => column[i] !== null)
      .map((i) => [column[i], target ? target[i] : null]);
    const merged = [...points, ...grid.map((x) => [x, null])].sort((a, b) => a[0] - b[0]);
    this.xs = merged.map(([x]) => x);
    this.measured = merged.map(([, y]) => y);
    this.at = { [name]: this.xs };
  }

  #alongTarget(inputs, target, rows) {
    const usable = target ? rows.filter((i) => target[i] !== null) : [];
    usable.sort((a, b) => target[a] - target[b]);
    this.xs = usable.map((i) => target[i]);
    this.measured = this.xs;
    const entries = Object.entries(inputs);
    this.at = Object.fromEntries(
      entries.map(([name, column]) => [name, usable.map((i) => column[i])]),
    );
  }

  /** The inputs at which predictions are requested. */
  get inputs() {
    return this.at;
  }

  get empty() {
    return !this.xs?.length;
  }

  /** Sets the predictions at `inputs` for the initial values, drawn faint. */
  setStart(predictions) {
    this.start = predictions;
    this.draw();
  }

  /** Sets the predictions at `inputs`, and their band or null. */
  setCurve(predictions, band = null) {
    this.curve = predictions;
    this.band = band;
    this.plot?.setData(this.#data());
  }

  /** Whether no part of the curve is within the axes. */
  get gone() {
    const [low, high] = this.empty ? [0, 0] : this.#range();
    const known = this.curve?.filter((v) => v !== null) ?? [];
    if (!this.curve || this.parity) return false;
    return known.every((v) => v < low) || known.every((v) => v > high);
  }

  get plot() {
    return this.frame.plot;
  }

  #data() {
    const none = this.xs.map(() => null);
    const band = this.band ?? { upper: none, lower: none };
    if (this.parity) return [this.xs, this.curve ?? none, this.xs, none, none, none];
    return [
      this.xs,
      this.measured,
      this.curve ?? none,
      this.start ?? none,
      band.upper,
      band.lower,
    ];
  }

  /** The range of the data and, if it is near, of the initial curve. */
  #range() {
    const bars = this.bars.flatMap(({ y, sy }) => [y - sy, y + sy]);
    const known = [...this.measured.filter((v) => v !== null), ...bars];
    const [low, high] = extent(known.length ? known : (this.start ?? []));
    const [from, to] = extent(this.start ?? [low, high]);
    const room = 1.5 * (high - low);
    const [least, most] = [Math.min(low, from), Math.max(high, to)];
    return padded([Math.max(low - room, least), Math.min(high + room, most)], 0.12);
  }

  draw() {
    if (this.empty) return this.frame.clear();
    const colour = colours();
    const dots = (fill) => ({
      paths: () => null,
      pxAlign: 0,
      points: { show: true, size: 8, width: 1, fill, stroke: fill },
    });
    const line = (options) => ({ points: { show: false }, pxAlign: 0, ...options });
    const range = this.#range();
    this.frame.make(
      {
        scales: {
          x: { time: false, range: padded(extent(this.xs), this.parity ? 0.06 : 0.001) },
          y: { range },
        },
        axes: [axis(this.labels.x, colour), axis(this.labels.y, colour, wide)],
        series: [
          {},
          dots(colour.ink),
          line({ stroke: this.parity ? colour.muted : colour.accent, width: this.parity ? 1 : 3 }),
          line({ stroke: colour.muted, width: 1.5, dash: [5, 5] }),
          line({ stroke: "transparent" }),
          line({ stroke: "transparent" }),
        ],
        bands: [{ series: [4, 5], fill: colour.band }],
        hooks: { drawAxes: [(u) => drawBars(u, this.bars, colour.muted)] },
      },
      this.#data(),
    );
  }
}

/** Draws ± one standard deviation of each point, below it. */
function drawBars(u, bars, colour) {
  if (!bars.length) return;
  const at = (x, y) => [u.valToPos(x, "x", true), u.valToPos(y, "y", true)];
  clipped(u, (ctx, ratio) => {
    const cap = 3 * ratio;
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5 * ratio;
    ctx.beginPath();
    for (const { x, y, sx, sy } of bars) {
      const ends = [...(sy > 0 ? [[at(x, y - sy), at(x, y + sy), cap, 0]] : []), ...(sx > 0 ? [[at(x - sx, y), at(x + sx, y), 0, cap]] : [])];
      for (const [from, to, wide, high] of ends) {
        for (const [a, b] of [[from, to], ...[from, to].map(([p, q]) => [[p - wide, q - high], [p + wide, q + high]])]) {
          ctx.moveTo(...a);
          ctx.lineTo(...b);
        }
      }
    }
    ctx.stroke();
  });
}

/** The rows to draw: all, or an evenly spaced selection. */
function chosen(rows) {
  const step = Math.max(1, rows / MOST_POINTS);
  return Array.from({ length: Math.min(rows, MOST_POINTS) }, (_, i) => Math.floor(i * step));
}
