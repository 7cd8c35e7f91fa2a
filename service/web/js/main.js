// The page: the request, its run, and the downloads.

import { Problem, call, watch } from "./api.js";
import { write } from "./csv.js";
import { Comparison } from "./compare.js";
import { DataField } from "./data_field.js";
import { byId, copy, download, settled } from "./dom.js";
import { Form } from "./form.js";
import { count, grouped } from "./format.js";
import { askForKey, hasKey } from "./key.js";
import * as report from "./report.js";
import { asCurl, body, hasRate, withFix, optimizerOf, understood } from "./request.js";
import { Stage } from "./stage.js";
import { Unknowns } from "./unknowns.js";

const MOST_ROWS = 1000;
const MOST_ROWS_OF_MANY_PARAMS = 200;
const SHORT = 5000;
const EPOCHS = 1000;

class Playground {
  constructor(catalogue) {
    this.families = catalogue.models;
    this.optimizers = catalogue.optimizers;
    this.stage = new Stage();
    this.unknowns = new Unknowns();
    this.comparison = new Comparison(this.families, (name) => this.#use(name));
    this.version = 0;
    this.job = null;
    this.fit = null;
    this.form = new Form(catalogue, (request) => this.#edited(request));
    this.preview = settled(() => this.#preview(), 200);
    this.data = new DataField((found) => this.#newData(found), () => this.#noData());
    this.#listen();
    this.data.example("thermometer");
  }

  #listen() {
    byId("controls").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.run();
      if (event.key === "Escape" && this.job) this.cancel();
    });
    byId("cancel").addEventListener("click", () => this.cancel());
    byId("download-fit").addEventListener("click", () => this.#downloadFit());
    byId("download-predictions").addEventListener("click", () => this.#downloadPredictions());
    byId("copy").addEventListener("click", () => this.#copy());
    byId("theme").addEventListener("click", () => {
      descentTheme.toggle();
      this.#showTheme();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#showTheme());
    this.#showTheme();
  }

  #showTheme() {
    byId("theme").setAttribute("aria-pressed", String(descentTheme.isDark()));
    this.stage.redraw();
  }

  #newData({ columns, units, request, lesson }) {
    this.columns = columns;
    this.units = units;
    this.version += 1;
    this.form.setData(columns, request);
    this.lesson = lesson || "Choose a model, then press Run.";
    this.#edited(this.form.request);
  }

  /** The charts and results are not of the field's invalid content, so they are cleared. */
  #noData() {
    this.#forget();
    report.status(this.data.refused, "bad");
    document.body.dataset.state = "ready";
  }

  /** Called when the request has changed: the charts show an earlier one. */
  #edited(request) {
    this.request = request;
    report.clearProblems();
    byId("curl").textContent = this.#curl();
    if (!this.job) this.preview();
  }

  #scene() {
    const { request, columns, units, version } = this;
    const { model, params, scaling, loss, likelihood } = request;
    const key = JSON.stringify([model, params, scaling, loss, likelihood, version]);
    const meaning = understood(model, columns, this.families);
    return { request, columns, units, version, key, understood: meaning };
  }

  async #preview() {
    if (this.job || this.data.refused) return;
    const scene = this.#scene();
    if (this.fit && this.scene?.key === scene.key) return; // only the optimization has changed
    this.scene = scene;
    this.#forget();
    report.status(this.lesson, "idle");
    await this.stage.preview(scene);
    if (!this.job && this.scene === scene && !this.fit) document.body.dataset.state = "ready";
  }

  #forget() {
    this.fit = null;
    report.diagnostics(null);
    report.answer(null);
    this.unknowns.show(null);
    this.comparison.show(null);
  }

  async run() {
    if (this.job) return;
    if (this.data.refused) return this.#noData();
    report.clearProblems();
    this.scene = this.#scene();
    this.#forget();
    const every = this.#recordEvery();
    const epochs = this.request.epochs ?? EPOCHS;
    const asked = { ...this.#body(), ...every, background: true };
    this.#working(true);
    try {
      this.job = await call("fit", { body: asked });
      const rows = Math.ceil(epochs / (every.record_every ?? Math.max(1, Math.floor(epochs / MOST_ROWS))));
      this.stage.run(this.scene, epochs, this.#descends() ? rows : 0);
      this.#comeIntoView();
      await this.#finished(await watch(this.job.job_id, (event) => this.#progress(event)));
    } catch (error) {
      this.#failed(error);
    } finally {
      this.job = null;
      this.#working(false);
    }
  }

  /** Whether the optimizer descends with a learning rate. */
  #descends() {
    return hasRate(optimizerOf(this.request).name, this.optimizers);
  }

  /** `record_every`: 1 for a short run; for a long one, or many params, as a chart can show. */
  #recordEvery() {
    const epochs = this.request.epochs ?? EPOCHS;
    if (this.request.record_every || !this.#descends()) return {};
    if (!this.scene.understood.params) {
      return { record_every: Math.max(1, Math.ceil(epochs / MOST_ROWS_OF_MANY_PARAMS)) };
    }
    return epochs > MOST_ROWS && epochs <= SHORT ? { record_every: 1 } : {};
  }

  #working(now) {
    document.body.dataset.state = now ? "running" : "done";
    if (!now) document.body.dataset.runs = Number(document.body.dataset.runs ?? 0) + 1;
    byId("run").hidden = now;
    byId("cancel").hidden = !now;
    byId("progress").hidden = !now;
    byId("results").setAttribute("aria-busy", String(now));
    if (now) {
      byId("progress").value = 0;
      report.status("Running…", "idle");
      byId("cancel").focus({ preventScroll: true });
    } else if (document.activeElement === byId("cancel") || document.activeElement === document.body) {
      byId("run").focus({ preventScroll: true });
    }
  }

  /** Scrolls to the charts, which on a phone are below the controls. */
  #comeIntoView() {
    if (byId("results").getBoundingClientRect().top < innerHeight / 2) return;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    byId("results").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  }

  #progress({ progress, history, queue_position: ahead }) {
    if (history.epoch.length) this.stage.grow(history);
    byId("progress").value = progress.epochs ? progress.epoch / progress.epochs : 0;
    document.body.dataset.rows = this.stage.history.epoch.length;
    if (ahead) report.status(`Queued: ${count(ahead, "fit")} before this one.`, "idle");
    else byId("progress").title = `${grouped(progress.epoch)} of ${grouped(progress.epochs)} epochs`;
  }

  async #finished(job) {
    if (job.error) throw new Problem(job.error, job.error.status);
    if (!job.result) return report.status("Cancelled before it started.", "warn");
    if (this.data.refused) return this.#noData();
    this.fit = job.result;
    const { text, kind } = report.ending(this.fit);
    report.status(text, kind);
    report.diagnostics(this.fit, (suggestion) => this.#apply(suggestion));
    report.answer(this.fit);
    this.unknowns.show(this.fit, this.scene);
    this.comparison.show(this.fit, this.scene);
    document.body.dataset.stopReason = this.fit.stop_reason;
    document.body.dataset.verdict = this.fit.verdict;
    await this.stage.ended(this.fit);
  }

  #failed(error) {
    const marked = report.problem(error);
    const where = marked ? " See the fields marked in red." : "";
    report.status(`The request is not valid.${where}`, "bad");
    if (!(error instanceof Problem)) console.warn(error);
  }

  #apply(suggestion) {
    this.request = withFix(this.request, suggestion);
    this.form.show(this.request);
    byId("curl").textContent = this.#curl();
    this.run();
  }

  /** Fits a family of a comparison as it was fitted there. */
  #use(name) {
    const { inputs, target } = this.scene.understood;
    const { sigma, sigma_absolute } = this.request;
    this.request = { model: { name, inputs, target }, params: {}, optimizer: "auto" };
    Object.assign(this.request, sigma === undefined ? {} : { sigma }, sigma_absolute && { sigma_absolute });
    this.form.show(this.request);
    byId("curl").textContent = this.#curl();
    this.run();
  }

  async cancel() {
    if (!this.job) return;
    await call(`jobs/${this.job.job_id}/cancel`, { method: "POST" }).catch(report.problem);
  }

  /** The request, with the reports of its family where it has some. */
  #body() {
    const { model, report } = this.request;
    const family = this.families.get(typeof model === "string" ? model : model.name);
    const own = report === undefined && family?.reports?.length ? { report: "default" } : {};
    return { ...body(this.request, this.columns), ...own };
  }

  #curl() {
    return asCurl(this.#body(), new URL("fit", document.baseURI).href, hasKey());
  }

  async #copy() {
    const done = await copy(this.#curl());
    byId("copied").textContent = done ? "Copied." : "Could not copy: select the text above.";
  }

  #downloadFit() {
    const text = `${JSON.stringify(this.fit, null, 2)}\n`;
    download("fit.json", text, "application/json");
  }

  async #downloadPredictions() {
    const names = this.scene.understood.inputs;
    const inputs = Object.fromEntries(names.map((name) => [name, this.scene.columns[name]]));
    const banded = this.fit.predict.covariance ? { interval: "confidence" } : {};
    const asked = { ...this.fit.predict, data: inputs, ...banded };
    try {
      const { predictions, target, lower, upper } = await call("predict", { body: asked });
      const measured = this.scene.columns[target];
      const band = lower ? { lower, upper } : {};
      const columns = { ...inputs, ...(measured ? { [target]: measured } : {}) };
      download("predictions.csv", write({ ...columns, predicted: predictions, ...band }), "text/csv");
    } catch (error) {
      report.problem(error);
    }
  }
}

async function begin() {
  const byName = (entries) => new Map(entries.map((entry) => [entry.name, entry]));
  const [{ models }, { optimizers }, { losses }, { likelihoods }] = await Promise.all(
    ["models", "optimizers", "losses", "likelihoods"].map((path) => call(path)),
  );
  const catalogue = {
    models: byName(models),
    optimizers: byName(optimizers),
    losses: byName(losses),
    likelihoods: byName(likelihoods),
  };
  new Playground(catalogue);
}

begin().catch((error) => {
  if (error.status === 401) return askForKey(begin);
  report.status("The page could not be loaded.", "bad");
  report.problem(error);
});
