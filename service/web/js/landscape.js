// The loss surface over two params: its minimum, the range shown, and the path.

import { call, numbers } from "./api.js";
import { byId, element } from "./dom.js";
import { number } from "./format.js";
import { body, sigmaOf } from "./request.js";
import { SurfaceChart, view } from "./surface_chart.js";

const MOST_STEPS = 64;
const MOST_LOSSES = 2e7; // points of the grid times rows: a fraction of a second
const SEARCH_S = 2;

export class Landscape {
  constructor() {
    this.chart = new SurfaceChart(byId("surface-chart"));
    this.minima = new Map();
    for (const id of ["axis-x", "axis-y"]) {
      byId(id).addEventListener("change", () => this.#chooseAxes());
    }
  }

  /** Sets another model or other data; `names`: its params, null if there are too many. */
  reset(scene, names) {
    this.scene = scene;
    this.names = names ?? [];
    this.history = null;
    this.start = null;
    this.end = this.best = this.stderr = null;
    this.chart.reset();
    const enough = this.names.length >= 2;
    byId("surface-empty").textContent = enough
      ? "The path of the params over the loss is shown here during a run."
      : "A loss surface needs two params; this model has " +
        (this.names.length === 1 ? "one." : "too many to choose from.");
    byId("surface-empty").hidden = false;
    byId("surface-key").hidden = !enough;
    byId("axes").hidden = this.names.length < 3;
    this.#offerAxes();
  }

  #offerAxes() {
    this.pair = this.names.slice(0, 2);
    ["axis-x", "axis-y"].forEach((id, i) => {
      byId(id).replaceChildren(
        ...this.names.map((name) => element("option", { value: name }, name)),
      );
      byId(id).value = this.pair[i] ?? "";
    });
  }

  #chooseAxes() {
    const [x, y] = [byId("axis-x").value, byId("axis-y").value];
    if (x === y) {
      const other = this.names.find((name) => name !== x);
      byId("axis-y").value = other;
    }
    this.pair = [byId("axis-x").value, byId("axis-y").value];
    this.refresh();
  }

  /** Before a run: the surface between the initial values and the minimum. */
  async preview(start) {
    this.start = start;
    await this.refresh();
  }

  /** Shows the rows of a running fit as the path. */
  follow(history, start) {
    this.history = history;
    this.start = start;
    this.chart.setPath(this.#path());
  }

  /** Shows the fit of a run that has ended. */
  async ended(fit) {
    const finite = Object.values(fit.params).every((v) => Number.isFinite(Number(v)));
    this.end = fit.verdict !== "untrustworthy" && finite ? fit.params : null;
    this.best = fit.best.params;
    this.stderr = this.end ? fit.statistics.stderr : null;
    await this.refresh();
  }

  show(row) {
    this.chart.show(row);
  }

  #path() {
    if (this.pair.length < 2) return [];
    const points = [this.start ? this.pair.map((name) => Number(this.start[name])) : null];
    const columns = this.pair.map((name) => numbers(this.history?.params[name] ?? []));
    (columns[0] ?? []).forEach((x, i) => points.push([x, columns[1][i]]));
    return points.map((point) => (point?.every(Number.isFinite) ? point : null));
  }

  /** Draws the surface again, if there is one. */
  async refresh() {
    const scene = this.scene;
    if (this.names.length < 2) return;
    const centre = this.end ?? (await this.#minimum());
    const held = centre ?? this.best ?? this.start;
    if (scene !== this.scene || !held) return;
    const minimum = centre ? this.pair.map((name) => Number(centre[name])) : null;
    const path = this.#path();
    const points = path.filter((point) => point !== null);
    if (!points.length && !minimum) return;
    const seen = view(points.length ? points : [minimum], minimum, this.#error());
    const surface = await this.#losses(held, seen);
    if (scene !== this.scene || !surface) return;
    byId("surface-empty").hidden = true;
    this.chart.setPath(path);
    this.chart.setSurface(surface, this.pair, minimum);
    this.#describe(points, minimum);
  }

  /** The standard errors of the two params, if the fit has them. */
  #error() {
    const errors = this.pair.map((name) => Number(this.stderr?.[name]));
    return errors.every((v) => v > 0 && Number.isFinite(v)) ? errors : null;
  }

  async #losses(held, seen) {
    const data = this.scene.columns;
    const { model, loss, likelihood, scaling } = this.scene.request;
    const sigma = sigmaOf(this.scene.request, data);
    const rows = Object.values(data)[0].length;
    const steps = Math.max(12, Math.min(MOST_STEPS, Math.floor(Math.sqrt(MOST_LOSSES / rows))));
    const axes = [seen.x, seen.y].map(([min, max]) => ({ min, max, steps }));
    const surface = { [this.pair[0]]: axes[0], [this.pair[1]]: axes[1] };
    try {
      const found = await call("loss", {
        body: { model, params: held, data, loss, likelihood, scaling, sigma, surface },
      });
      const grid = found.surface;
      const [x, y] = this.pair.map((name) => grid.axes[name]);
      return { x, y, loss: grid.loss.map(numbers) };
    } catch {
      return null; // the surface is left out; the run reports the error
    }
  }

  /** The minimum of the loss that is drawn, without priors, found by `auto`; once for each model, data, scaling and
   * loss. */
  async #minimum() {
    const { model, params: given, loss, likelihood, scaling, sigma, weights } = this.scene.request;
    const entries = Object.entries(given ?? {}).map(([name, param]) => [name, withoutPrior(param)]);
    const params = Object.fromEntries(entries.filter(([, param]) => param !== undefined));
    const search = { model, params, loss, likelihood, scaling, sigma, weights, time_limit_s: SEARCH_S };
    const key = JSON.stringify(search) + this.scene.version;
    if (!this.minima.has(key)) this.minima.set(key, this.#search(search));
    return this.minima.get(key);
  }

  async #search(search) {
    try {
      const tags = { by: "playground" };
      const fit = await call("fit", { body: { ...body(search, this.scene.columns), tags } });
      call(fit.urls.self.slice(1), { method: "DELETE" }).catch(() => {});
      return fit.converged ? fit.params : null;
    } catch {
      return null;
    }
  }

  #describe(points, minimum) {
    const at = ([x, y]) => `${this.pair[0]} ${number(x)}, ${this.pair[1]} ${number(y)}`;
    const parts = [`The loss over ${this.pair.join(" and ")}.`];
    if (points.length) parts.push(`The path goes from ${at(points[0])} to ${at(points.at(-1))}.`);
    if (minimum) parts.push(`The minimum is at ${at(minimum)}.`);
    this.chart.frame.describe(parts.join(" "));
  }
}

/** A param without its prior; undefined where nothing else is said of it. */
function withoutPrior(param) {
  if (param === null || typeof param !== "object") return param;
  const { prior: _, ...others } = param;
  return Object.keys(others).length ? others : undefined;
}
