// Groups: their data and their curves, each in a colour and a dash of its own.

import { call, drawable } from "./api.js";
import { element } from "./dom.js";
import { axis, colours, wide } from "./frame.js";
import { extent, padded } from "./request.js";

const GRID = 60;
export const MOST_GROUPS = 8;
const LIGHT = ["#0072b2", "#b34a00", "#00735c", "#a3407a", "#7a5c00", "#4d4d4d", "#1a1aa6", "#8c1a1a"];
const DARK = ["#7ab0ff", "#ffab5e", "#69d19d", "#f09ac9", "#f0dd6a", "#c4c4c4", "#b0a4ff", "#ff9389"];
const DASHES = [[], [8, 4], [2, 4], [10, 4, 2, 4]];

const shade = (i) => (descentTheme.isDark() ? DARK : LIGHT)[i % LIGHT.length];

/**
 * The rows of each group, and its curve where there is one input.
 * @param by the columns of the key
 * @param from the first group that is shown
 */
export async function groupsOf(fit, columns, by, input, from = 0) {
  const target = columns[fit.model.target];
  const keys = fit.groups.key.slice(from, from + MOST_GROUPS).map((key) => [key].flat());
  const rowsOf = (key) => target.map((_, i) => i).filter((i) => by.every((name, k) => same(columns[name][i], key[k])));
  const groups = keys.map((key) => {
    const rows = rowsOf(key);
    const xs = rows.map((i) => columns[input][i]);
    const [low, high] = padded(extent(xs), 0.02);
    const grid = Array.from({ length: GRID + 1 }, (_, i) => low + ((high - low) * i) / GRID);
    return { key, label: key.join(", "), xs, ys: rows.map((i) => target[i]), grid };
  });
  const data = { [input]: groups.flatMap(({ grid }) => grid) };
  by.forEach((name, k) => (data[name] = groups.flatMap(({ grid, key }) => grid.map(() => key[k]))));
  const { predictions } = await call("predict", { body: { job_id: fit.job_id, data } });
  const values = drawable(predictions);
  groups.forEach((group, g) => (group.curve = values.slice(g * (GRID + 1), (g + 1) * (GRID + 1))));
  return groups;
}

const same = (a, b) => a === b || (a !== null && b !== null && Number(a) === Number(b) && String(a).trim() !== "");

/** Draws the groups into a frame. */
export function drawGroups(frame, groups, labels) {
  // Each point has a place of its own, since several may have one x.
  const points = groups
    .flatMap(({ xs: x, ys, grid, curve }, g) => [
      ...x.map((at, i) => [at, 2 * g, ys[i]]),
      ...grid.map((at, i) => [at, 2 * g + 1, curve[i]]),
    ])
    .filter(([at]) => at !== null)
    .sort((a, b) => a[0] - b[0]);
  const xs = points.map(([at]) => at);
  const columns = series(groups).map((_, s) => points.map(([, of, value]) => (of === s ? value : null)));
  const known = groups.flatMap(({ ys }) => ys).filter((v) => v !== null);
  const colour = colours();
  frame.make(
    {
      scales: { x: { time: false, range: padded(extent(xs), 0.001) }, y: { range: padded(extent(known), 0.12) } },
      axes: [axis(labels.x, colour), axis(labels.y, colour, wide)],
      series: [{}, ...series(groups)],
    },
    [xs, ...columns],
  );
}

/** Points and a line for each group. */
const series = (groups) =>
  groups.flatMap((_, i) => [
    { paths: () => null, pxAlign: 0, points: { show: true, size: 7, width: 1, fill: shade(i), stroke: shade(i) } },
    { stroke: shade(i), width: 2.5, dash: DASHES[i % DASHES.length], points: { show: false }, pxAlign: 0, spanGaps: true },
  ]);

/** The legend, as text with lines of the colours. */
export function legend(groups) {
  return groups.flatMap(({ label }, i) => {
    const line = element("span", { class: "dash" });
    line.style.borderColor = shade(i);
    if (i % DASHES.length) line.style.borderTopStyle = "dashed";
    return [line, ` ${label} `];
  });
}

/** The choices of which groups are shown, as many at a time as have colours of their own. */
export function pages(count) {
  const starts = Array.from({ length: Math.ceil(count / MOST_GROUPS) }, (_, i) => i * MOST_GROUPS);
  return starts.map((from) => {
    const to = Math.min(from + MOST_GROUPS, count);
    return element("option", { value: from }, `${from + 1}–${to} of ${count}`);
  });
}
