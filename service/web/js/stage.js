// The charts: before, during and after a run.

import { call, drawable, numbers } from "./api.js";
import { byId } from "./dom.js";
import { FitChart } from "./fit_chart.js";
import { grouped, number } from "./format.js";
import { MOST_GROUPS, drawGroups, groupsOf, legend, pages } from "./group_chart.js";
import { groupColumns } from "./grouping.js";
import { Landscape } from "./landscape.js";
import { LossChart } from "./loss_chart.js";
import { Player } from "./player.js";
import { hasRate, measured, optimizerOf, resolved, spreads, startOfAll } from "./request.js";
import { showWay, wayless } from "./way.js";

const SHOWN_PARAMS = 4;

export class Stage {
  /** @param optimizers the catalogue by name */
  constructor(optimizers) {
    this.optimizers = optimizers;
    this.key = [...byId("fit-key").childNodes];
    this.fit = new FitChart(byId("fit-chart"));
    this.loss = new LossChart(byId("loss-chart"));
    this.landscape = new Landscape();
    this.player = new Player(
      (row) => this.#show(row),
      () => this.#showPlayer(),
    );
    byId("play").addEventListener("click", () => this.#toggle());
    byId("group-page").addEventListener("change", () => this.#grouped(this.result));
    byId("seek").addEventListener("input", (event) => this.player.seek(Number(event.target.value)));
  }

  /**
   * @param scene {request, columns, units, version, understood}: what a run would fit. Pending
   *   answers for an earlier scene are ignored.
   */
  async preview(scene) {
    this.#begin(scene);
    const params = this.start;
    await Promise.all([
      params && this.#startCurve(params),
      this.landscape.preview(this.#startOnMap()).catch(() => {}),
    ]);
  }

  #begin(scene) {
    this.scene = scene;
    this.result = this.groups = null;
    byId("fit-key").replaceChildren(...this.key);
    this.history = { epoch: [], loss: [], params: {} };
    this.curves = new Map();
    this.wanted = this.drawn = -1;
    this.start = startOfAll(scene);
    this.player.pause();
    this.player.reset(0);
    this.loss.reset(1);
    const { request, columns, understood } = scene;
    const { name, values } = measured(request, columns, understood.target);
    this.#setData(values, name);
    this.landscape.reset(scene, scene.understood.params);
    byId("loss-empty").hidden = false;
    byId("fit-note").hidden = true;
    byId("readout").textContent = "";
    this.#showPlayer();
    showWay(!request.group_by && hasRate(optimizerOf(request).name, this.optimizers), "");
  }

  #setData(target, name = this.scene.understood.target) {
    const { columns, units, understood } = this.scene;
    const inputs = Object.fromEntries(understood.inputs.map((name) => [name, columns[name]]));
    const label = (name) => (units[name] ? `${name} [${units[name]}]` : name);
    const several = understood.inputs.length !== 1;
    byId("fit-title").textContent = several ? "Predicted against measured" : "Fit";
    const x = several ? `${label(name)}, measured` : label(understood.inputs[0]);
    const y = several ? "predicted" : label(name);
    const spread = spreads(this.scene.request, columns, understood);
    this.fit.setData(inputs, target, { x, y }, spread);
    byId("fit-bars").hidden = !spread;
    byId("group-page-field").hidden = true;
    this.fit.frame.describe(`${y} against ${x}: ${columns[Object.keys(columns)[0]].length} rows.`);
  }

  async #startCurve(params) {
    const scene = this.scene;
    const curve = await this.#predictions(params, null); // initial values are in raw units
    if (scene === this.scene && curve) this.fit.setStart(curve);
  }

  /** The surface's params are those of scaled inputs; initial values are in raw units. */
  #startOnMap() {
    return this.scene.request.scaling ? null : this.start;
  }

  /** Starts a run; `rows`: about the number of rows that it will record. */
  async run(scene, epochs, rows) {
    const same = this.scene && scene.key === this.scene.key;
    if (same && !this.result) this.#restart(scene);
    else {
      this.#begin(scene);
      if (this.start) this.#startCurve(this.start);
      this.landscape.preview(this.#startOnMap()).catch(() => {});
    }
    this.loss.reset(epochs);
    this.landscape.follow(this.history, this.#startOnMap());
    this.player.reset(rows);
    this.player.play({ live: true });
  }

  #restart(scene) {
    this.scene = scene;
    this.landscape.scene = scene;
  }

  /** Appends rows of the history. */
  grow(rows) {
    const { history } = this;
    history.epoch.push(...rows.epoch);
    history.loss.push(...numbers(rows.loss));
    for (const [name, column] of Object.entries(rows.params)) {
      (history.params[name] ??= []).push(...column);
    }
    this.loss.setRows(history.epoch, history.loss);
    this.landscape.follow(history, this.#startOnMap());
    this.player.grew(history.epoch.length);
    byId("seek").max = Math.max(0, history.epoch.length - 1);
    byId("loss-empty").hidden = history.epoch.length > 0;
    if (history.epoch.length > 1) showWay(true, "");
  }

  /** Shows the fit of a run that has ended. */
  async ended(fit) {
    this.result = fit;
    if (fit.groups) byId("group-page").replaceChildren(...pages(fit.groups.key.length));
    if (fit.groups) return this.#grouped(fit);
    const steps = this.history.epoch.length;
    showWay(steps > 1, wayless(fit));
    this.loss.ended(fit.epochs, fit.best.epoch);
    this.player.ended();
    this.#showPlayer();
    this.loss.frame.describe(
      `The loss by epoch, from ${number(this.history.loss[0])} to ${number(fit.loss)} after ` +
        `${fit.epochs} epochs; the best was ${number(fit.best.loss)}.`,
    );
    if (!(this.scene.understood.target in this.scene.columns)) await this.#transformed(fit);
    await this.landscape.ended(fit).catch(() => {});
    this.drawn = -1; // draw again, with its band
    this.#show(this.player.at);
  }

  /** The curves of groups. */
  async #grouped(fit) {
    this.player.ended();
    showWay(false, "Each group has a fit of its own; how one of them got there is seen when its rows are fitted alone.");
    const { understood, columns, request } = this.scene;
    if (understood.inputs.length !== 1 || !(understood.target in columns)) return;
    const groups = await groupsOf(fit, columns, groupColumns(request), understood.inputs[0], Number(byId("group-page").value));
    if (request !== this.scene.request) return;
    this.groups = groups;
    byId("fit-key").replaceChildren(...legend(groups));
    byId("group-page-field").hidden = fit.groups.key.length <= MOST_GROUPS;
    this.fit.frame.describe(`${fit.groups.key.length} groups, each with its curve.`);
    drawGroups(this.fit.frame, groups, this.fit.labels);
  }

  /** Where the left side transforms a column, the measured values are prediction − residual. */
  async #transformed(fit) {
    const scene = this.scene;
    const { model, params, scaling } = fit.predict;
    try {
      const at = { model, params, scaling, data: scene.columns };
      const [{ residuals }, { predictions }] = await Promise.all([
        call("loss", { body: { ...at, residuals: true } }),
        call("predict", { body: at }),
      ]);
      if (scene !== this.scene) return;
      const target = drawable(predictions).map((v, i) =>
        v === null || !Number.isFinite(Number(residuals[i])) ? null : v - Number(residuals[i]),
      );
      this.curves.clear();
      this.#setData(target);
    } catch {
      // then only the points are missing
    }
  }

  /** Redraws in the current theme. */
  redraw() {
    if (this.groups) {
      drawGroups(this.fit.frame, this.groups, this.fit.labels);
      byId("fit-key").replaceChildren(...legend(this.groups));
    } else this.fit.draw();
    this.loss.draw();
    this.landscape.chart.draw();
  }

  #show(row) {
    if (row < 0) return;
    this.loss.show(row);
    this.landscape.show(row);
    byId("seek").value = row;
    byId("seek").setAttribute("aria-valuetext", `epoch ${this.history.epoch[row]}`);
    byId("readout").textContent = this.#readout(row);
    document.body.dataset.epoch = this.history.epoch[row];
    this.#drawCurve(row);
  }

  #readout(row) {
    const names = Object.keys(this.history.params);
    const shown = names.length <= SHOWN_PARAMS ? names : [];
    return [
      `epoch ${grouped(this.history.epoch[row])}`,
      `loss ${number(this.history.loss[row])}`,
      ...shown.map((name) => `${name} ${number(this.history.params[name][row])}`),
    ].join(" · ");
  }

  /** Requests one curve at a time, and skips those that the player has passed meanwhile. */
  async #drawCurve(row) {
    this.wanted = row;
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.drawn !== this.wanted) {
        const [scene, next] = [this.scene, this.wanted];
        if (next < 0) break;
        const drawing = await this.#curveAt(next);
        if (scene !== this.scene) continue;
        this.drawn = next;
        if (drawing) this.fit.setCurve(drawing.curve, drawing.band);
        byId("fit-note").hidden = !this.fit.gone;
      }
    } finally {
      this.asking = false;
    }
  }

  async #curveAt(row) {
    const last = this.result && row === this.history.epoch.length - 1;
    if (last && this.result.predict.covariance && this.result.stop_reason !== "diverged") {
      const banded = await this.#banded();
      if (banded) return banded;
    }
    if (!this.curves.has(row)) {
      const names = Object.keys(this.history.params);
      const params = Object.fromEntries(
        names.map((name) => [name, Number(this.history.params[name][row])]),
      );
      this.curves.set(row, await this.#predictions(params));
    }
    const curve = this.curves.get(row);
    return curve && { curve, band: null };
  }

  /** The scaling of the params in the history and in the answer. */
  #scaling() {
    const { request, columns, understood } = this.scene;
    return resolved(request.scaling ?? standard(understood), columns, understood.inputs);
  }

  async #predictions(params, scaling = this.#scaling()) {
    if (this.fit.empty || !Object.values(params).every(Number.isFinite)) return null;
    const { request } = this.scene;
    try {
      const asked = { model: request.model, params, data: this.fit.inputs, scaling };
      return drawable((await call("predict", { body: asked })).predictions);
    } catch {
      return null; // the curve is kept; a run reports the error
    }
  }

  async #banded() {
    if (this.fit.empty) return null;
    try {
      const asked = { ...this.result.predict, data: this.fit.inputs, interval: "confidence" };
      const found = await call("predict", { body: asked });
      const band = { upper: drawable(found.upper), lower: drawable(found.lower) };
      return { curve: drawable(found.predictions), band };
    } catch {
      return null;
    }
  }

  #toggle() {
    if (this.player.playing) this.player.pause();
    else this.player.play();
  }

  #showPlayer() {
    const any = this.history?.epoch.length > 1;
    byId("play").disabled = !any;
    byId("seek").disabled = !any;
    byId("play").textContent = this.player.playing ? "Pause" : "Replay";
    document.body.dataset.playing = String(this.player.playing);
  }
}

/** A network's inputs are standardized unless the request says otherwise. */
const standard = (understood) => (understood.kind === "mlp" ? "standardize" : undefined);
