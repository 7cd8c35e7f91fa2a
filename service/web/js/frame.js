// Shared by the charts: uPlot with the page's colours, sizes and number formats.

import { grouped, number } from "./format.js";

const NAMES = ["ink", "muted", "line", "panel", "accent", "trace", "good", "low", "high", "band"];

/** The theme's colours by name. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** An axis with a label and formatted numbers. */
export function axis(label, colour, options = {}) {
  return {
    stroke: colour.muted,
    grid: { stroke: colour.line, width: 1 },
    ticks: { stroke: colour.line, width: 1, size: 5 },
    font: "12px system-ui, sans-serif",
    labelFont: "12px system-ui, sans-serif",
    label,
    labelSize: 20,
    labelGap: 2,
    gap: 4,
    size: options.size ?? 30,
    space: options.space ?? apart,
    values: (_, splits) => splits.map((v) => (v === null ? "" : tick(v, splits))),
    ...options,
  };
}

/** The least distance of ticks: that of the longest label at the ends of the axis. */
const apart = (u, _, low, high) => {
  const step = (high - low) / 8;
  const texts = [low, high].map((v) => tick(Math.round(v / step) * step, [high - step, high]));
  return Math.max(45, 18 + 7 * Math.max(...texts.map((text) => text.length)));
};

/** A tick's label: in one notation for all ticks of an axis. */
function tick(value, splits) {
  const largest = Math.max(...splits.filter((v) => v !== null).map(Math.abs));
  const few = Number(value.toPrecision(digits(splits)));
  return largest >= 1e6 && largest < 1e9 ? grouped(few) : number(value, digits(splits));
}

/** As many significant digits as distinguish neighbouring ticks. */
function digits(splits) {
  const known = splits.filter((v) => v !== null);
  const largest = Math.max(...known.map(Math.abs));
  const step = Math.abs(known[1] - known[0]);
  return step > 0 ? Math.min(12, Math.max(4, Math.ceil(Math.log10(largest / step)) + 2)) : 4;
}

/** The width of a vertical axis, for its longest number. */
export const wide = {
  size(u, values) {
    const longest = (values ?? []).reduce((most, text) => Math.max(most, text.length), 0);
    return Math.max(34, longest * 7 + 14);
  },
  space: 32,
};

/** A uPlot of the size of its element, recreated when its options change. */
export class Frame {
  constructor(host) {
    this.host = host;
    this.plot = null;
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(host);
  }

  size() {
    return { width: Math.max(160, this.host.clientWidth), height: this.host.clientHeight };
  }

  make(options, data) {
    this.clear();
    this.host.hidden = false;
    const still = { legend: { show: false }, cursor: { show: false }, padding: [10, 22, 0, 0] };
    this.plot = new uPlot({ ...still, ...this.size(), ...options }, data, this.host);
  }

  clear() {
    this.plot?.destroy();
    this.plot = null;
    this.host.replaceChildren();
    this.host.hidden = true;
  }

  /** Sets the chart's text alternative. */
  describe(text) {
    this.host.setAttribute("aria-label", text);
  }
}

/** Draws a line in the units of the axes. */
export function trace(u, xs, ys) {
  const path = new Path2D();
  xs.forEach((x, i) => {
    const at = [u.valToPos(x, "x", true), u.valToPos(ys[i], "y", true)];
    if (i) path.lineTo(...at);
    else path.moveTo(...at);
  });
  return path;
}

/** Draws a round mark with a rim, visible on any background. */
export function mark(u, x, y, radius, fill, rim) {
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save(); // uPlot caches the context's state
  ctx.beginPath();
  ctx.arc(u.valToPos(x, "x", true), u.valToPos(y, "y", true), radius * ratio, 0, 2 * Math.PI);
  ctx.fillStyle = fill;
  ctx.strokeStyle = rim;
  ctx.lineWidth = 2 * ratio;
  ctx.fill();
  ctx.stroke();
  ctx.restore();
}

/** Draws clipped to the plotting area. */
export function clipped(u, draw) {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  draw(u.ctx, devicePixelRatio);
  u.ctx.restore();
}
