// The loss surface over two params as a heat map with contours, and the path of the params.

import { Frame, axis, clipped, colours, mark, trace, wide } from "./frame.js";
import { extent, padded } from "./request.js";

const BANDS = 16;
const FARTHEST = 150;

/**
 * The part of the plane that tells the story: the start, the minimum and the path, as long as that
 * does not run away; else its first jumps, with the minimum in the middle.
 * @param path [[x, y]] finite points, the start first
 * @param minimum [x, y] or null
 * @param error of the minimum, [x, y]: two of it to each side are shown at least, or null
 * @returns {x: [min, max], y: [min, max]}
 */
export function view(path, minimum, error) {
  const known = minimum ? [path[0], minimum, ...around(minimum, error)] : [path[0]];
  const size = (axis) => {
    const [low, high] = extent(known.map((point) => point[axis]));
    return high - low || Math.abs(high) || 1;
  };
  const sizes = [size(0), size(1)];
  const centre = minimum ?? path[0];
  const far = (point) => [0, 1].some((i) => Math.abs(point[i] - centre[i]) > FARTHEST * sizes[i]);
  const runsAway = path.findIndex(far);
  const near = runsAway < 0 ? path : path.slice(0, runsAway);
  const shown = [...known, ...near];
  const ranges = [0, 1].map((i) => {
    const [low, high] = extent(shown.map((point) => point[i]));
    if (runsAway < 0) return padded([low, high], 0.18);
    const reach = Math.max(high - centre[i], centre[i] - low);
    return padded([centre[i] - reach, centre[i] + reach], 0.12);
  });
  return { x: ranges[0], y: ranges[1] };
}

const around = (minimum, error) =>
  error ? [2, -2].map((times) => minimum.map((v, i) => v + times * error[i])) : [];

export class SurfaceChart {
  constructor(host) {
    this.frame = new Frame(host);
    this.reset();
  }

  reset() {
    this.surface = null;
    this.path = [];
    this.minimum = null;
    this.at = -1;
    this.frame.clear();
  }

  /**
   * @param surface {x: number[], y: number[], loss: number[][]}, `loss[i][j]` at x[i], y[j]
   * @param names of the two params
   */
  setSurface(surface, names, minimum) {
    this.surface = surface;
    this.names = names;
    this.minimum = minimum;
    this.picture = null;
    this.draw();
  }

  /** Sets the params row by row, the initial values first; non-finite ones are null. */
  setPath(path) {
    this.path = path;
  }

  /** Shows a row; −1 is the initial values. */
  show(row) {
    this.at = row;
    this.frame.plot?.redraw(false);
  }

  draw() {
    if (!this.surface) return;
    const colour = colours();
    const { x, y } = this.surface;
    this.picture = paint(this.surface, colour);
    this.frame.make(
      {
        scales: {
          x: { time: false, range: [x[0], x.at(-1)] },
          y: { range: [y[0], y.at(-1)] },
        },
        axes: [
          axis(this.names[0], colour, { grid: { show: false } }),
          axis(this.names[1], colour, { ...wide, grid: { show: false } }),
        ],
        series: [{}, { show: false }],
        hooks: {
          drawClear: [(u) => this.#ground(u)],
          draw: [(u) => this.#path(u, colour)],
        },
      },
      [
        [x[0], x.at(-1)],
        [null, null],
      ],
    );
  }

  #ground(u) {
    const { left, top, width, height } = u.bbox;
    u.ctx.drawImage(this.picture, left, top, width, height);
  }

  #path(u, colour) {
    const shown = this.path.slice(0, this.at + 2).filter((point) => point !== null);
    clipped(u, (ctx, ratio) => {
      if (this.minimum) cross(u, this.minimum, colour, ratio);
      if (!shown.length) return;
      const line = trace(
        u,
        shown.map((point) => point[0]),
        shown.map((point) => point[1]),
      );
      ctx.lineJoin = "round";
      ctx.strokeStyle = colour.panel;
      ctx.lineWidth = 4.5 * ratio;
      ctx.stroke(line);
      ctx.strokeStyle = colour.trace;
      ctx.lineWidth = 2.25 * ratio;
      ctx.stroke(line);
      if (shown.length < 60) shown.forEach(([a, b]) => mark(u, a, b, 2.5, colour.trace, colour.trace));
      mark(u, ...shown[0], 4.5, colour.panel, colour.trace);
      mark(u, ...shown.at(-1), 5.5, colour.trace, colour.panel);
    });
  }
}

/** Draws the minimum. */
function cross(u, [x, y], colour, ratio) {
  const [a, b] = [u.valToPos(x, "x", true), u.valToPos(y, "y", true)];
  const arm = 7 * ratio;
  const { ctx } = u;
  for (const [stroke, width] of [
    [colour.panel, 5],
    [colour.ink, 2],
  ]) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = width * ratio;
    ctx.beginPath();
    ctx.moveTo(a - arm, b);
    ctx.lineTo(a + arm, b);
    ctx.moveTo(a, b - arm);
    ctx.lineTo(a, b + arm);
    ctx.stroke();
  }
}

/** Draws bands of equal factors of the loss, with contours between them. */
function paint({ x, y, loss }, colour) {
  const [width, height] = [480, 360];
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const heightAt = heights(loss);
  const bandOf = (column, row) => {
    const [i, j] = [(column / (width - 1)) * (x.length - 1), (1 - row / (height - 1)) * (y.length - 1)];
    return Math.min(BANDS - 1, Math.floor(heightAt(i, j) * BANDS));
  };
  const palette = ramp(colour.low, colour.high);
  let above = null;
  for (let row = 0; row < height; row++) {
    const bands = Array.from({ length: width }, (_, column) => bandOf(column, row));
    bands.forEach((band, column) => {
      const edge = band !== (bands[column + 1] ?? band) || (above && above[column] !== band);
      image.data.set(edge ? palette.edge(band) : palette.fill(band), 4 * (row * width + column));
    });
    above = bands;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/**
 * The height at fractional places of the grid: log(loss) brought to 0…1, what is not finite counted
 * as the highest. Between the grid's points the root of the loss is interpolated: that is nearly
 * straight across a valley, however narrow, where the logarithm is not.
 */
function heights(loss) {
  const [least, high] = extent(loss.flat().filter((v) => Number.isFinite(v) && v > 0));
  const low = Math.max(least, high * 1e-12);
  const range = Math.log(high / low) || 1;
  const roots = loss.map((column) =>
    column.map((v) => Math.sqrt(Number.isFinite(v) ? Math.min(Math.max(v, 0), high) : high)),
  );
  return (i, j) => Math.log(Math.max(between(roots, i, j) ** 2, low) / low) / range;
}

/** Bilinear interpolation at fractional grid positions. */
function between(grid, i, j) {
  const [a, b] = [Math.min(Math.floor(i), grid.length - 2), Math.min(Math.floor(j), grid[0].length - 2)];
  const [s, t] = [i - a, j - b];
  const low = grid[a][b] * (1 - t) + grid[a][b + 1] * t;
  const high = grid[a + 1][b] * (1 - t) + grid[a + 1][b + 1] * t;
  return low * (1 - s) + high * s;
}

/** The colour between that of the lowest and that of the highest loss. */
function ramp(low, high) {
  const [from, to] = [channels(low), channels(high)];
  const mix = (part) => from.map((c, i) => c + (to[i] - c) * part);
  const fills = Array.from({ length: BANDS }, (_, i) => [...mix(i / (BANDS - 1)), 255]);
  const edges = Array.from({ length: BANDS }, (_, i) => [
    ...mix(Math.min(1.25, i / (BANDS - 1) + 0.14)),
    255,
  ]);
  return { fill: (band) => fills[band], edge: (band) => edges[band] };
}

const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
