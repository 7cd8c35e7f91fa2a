// What the charts share: uPlot with the page's colours, sizes and numbers.

import { number } from "./format.js";

const NAMES = ["ink", "muted", "line", "panel", "accent", "trace", "good", "low", "high", "band"];

/** The theme's colours by name. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** An axis with words and readable numbers. */
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
    space: options.space ?? 45,
    values: (_, splits) => splits.map((v) => (v === null ? "" : number(v, digits(splits)))),
    ...options,
  };
}

/** As many significant digits as tell neighbours apart. */
function digits(splits) {
  const known = splits.filter((v) => v !== null);
  const largest = Math.max(...known.map(Math.abs));
  const step = Math.abs(known[1] - known[0]);
  return step > 0 ? Math.min(12, Math.max(4, Math.ceil(Math.log10(largest / step)) + 2)) : 4;
}

/** A vertical axis is as wide as its longest number. */
export const wide = {
  size(u, values) {
    const longest = (values ?? []).reduce((most, text) => Math.max(most, text.length), 0);
    return Math.max(34, longest * 7 + 14);
  },
  space: 32,
};

/** A uPlot in an element: as large as that, made anew where its options change. */
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

  /** What the picture shows, for who does not see it. */
  describe(text) {
    this.host.setAttribute("aria-label", text);
  }
}

/** A path over the canvas, in the units of the axes. */
export function trace(u, xs, ys) {
  const path = new Path2D();
  xs.forEach((x, i) => {
    const at = [u.valToPos(x, "x", true), u.valToPos(ys[i], "y", true)];
    if (i) path.lineTo(...at);
    else path.moveTo(...at);
  });
  return path;
}

/** A round mark at a point, with a rim so that it shows on any ground. */
export function mark(u, x, y, radius, fill, rim) {
  const { ctx } = u;
  const ratio = devicePixelRatio;
  ctx.save(); // uPlot remembers what it set, and would not set it again
  ctx.beginPath();
  ctx.arc(u.valToPos(x, "x", true), u.valToPos(y, "y", true), radius * ratio, 0, 2 * Math.PI);
  ctx.fillStyle = fill;
  ctx.strokeStyle = rim;
  ctx.lineWidth = 2 * ratio;
  ctx.fill();
  ctx.stroke();
  ctx.restore();
}

/** Draws within the plotting area alone. */
export function clipped(u, draw) {
  const { left, top, width, height } = u.bbox;
  u.ctx.save();
  u.ctx.beginPath();
  u.ctx.rect(left, top, width, height);
  u.ctx.clip();
  draw(u.ctx, devicePixelRatio);
  u.ctx.restore();
}
