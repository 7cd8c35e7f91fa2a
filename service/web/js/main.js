// The page: the request, its run, and what is shown of it.

import { Problem, call, watch } from "./api.js";
import { Comparison } from "./compare.js";
import { DataField } from "./data_field.js";
import { byId, settled } from "./dom.js";
import { Form } from "./form.js";
import { count, grouped } from "./format.js";
import { askForKey, hasKey } from "./key.js";
import { NARROW, arrange, comeIntoView } from "./layout.js";
import { stateOf } from "./link.js";
import { PredictBox } from "./predict_box.js";
import { clearProblems, problem } from "./problems.js";
import * as report from "./report.js";
import { asCurl, body, hasRate, withFix, optimizerOf, understood } from "./request.js";
import { Stage } from "./stage.js";
import { Story } from "./story.js";
import { Take } from "./take.js";
import { Unknowns } from "./unknowns.js";

const [MOST_ROWS, MOST_ROWS_OF_MANY_PARAMS] = [1000, 200];
const [SHORT, EPOCHS] = [5000, 1000];

class Playground {
  constructor(catalogue) {
    this.families = catalogue.models;
    this.optimizers = catalogue.optimizers;
    this.stage = new Stage(this.optimizers);
    this.unknowns = new Unknowns();
    this.predictions = new PredictBox();
    this.comparison = new Comparison(this.families, (name) => this.#use(name));
    this.take = new Take({ curl: () => this.#settled(() => this.#curl()), state: () => this.#settled(() => this.#state()) });
    this.story = new Story({ begin: () => this.data.example("thermometer"), show: (request) => this.#show(request), run: () => this.run() });
    this.version = 0;
    this.job = this.fit = null;
    this.form = new Form(catalogue, (request, complete) => this.#edited(request, complete));
    this.preview = settled(() => this.#preview(), 200);
    this.data = new DataField((found) => this.#newData(found), () => this.#noData());
    this.#listen();
    this.#begin();
  }

  /** Shows what the address holds, or an example. */
  async #begin() {
    try {
      const state = await stateOf(location.hash);
      if (state) return await this.data.restore(state, state.request);
      this.data.example("thermometer");
    } catch (error) {
      this.data.example("thermometer");
      problem(error);
    }
    if (location.hash === "#story") this.story.open();
  }

  #listen() {
    byId("controls").addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault(); // of opening the list that has the focus
        this.run();
      }
      if (event.key === "Escape" && this.job) this.cancel();
    });
    byId("cancel").addEventListener("click", () => this.cancel());
    addEventListener("hashchange", () => location.hash.startsWith("#request=") && this.#begin());
    NARROW.addEventListener("change", () => arrange(this.fit || this.job));
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
  #edited(request, complete = true) {
    this.request = request;
    if (this.data.refused) return;
    clearProblems();
    byId("curl").textContent = this.#curl();
    this.#showStale();
    if (!this.job && complete) this.preview();
  }

  #showStale() {
    byId("stale").hidden = !this.fit || JSON.stringify(this.#body()) === this.sent;
  }

  #scene() {
    const { request, columns, units, version } = this;
    const { model, params, scaling, loss, likelihood, sigma, sigma_x, weights, group_by } = request;
    const key = JSON.stringify([model, params, scaling, loss, likelihood, sigma, sigma_x, weights, group_by, version]);
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
    for (const part of [this.unknowns, this.predictions, this.comparison, this.take]) part.show(null);
    byId("stale").hidden = true;
    arrange(this.fit || this.job);
  }

  /** What `made` makes of the request, once all that stands in the fields is in it. */
  async #settled(made) {
    await this.data.commit();
    this.form.commit();
    return made();
  }

  async run() {
    if (this.job || this.starting) return;
    this.starting = true;
    await this.#settled(() => {});
    this.starting = false;
    if (this.data.refused) return this.#noData();
    if (this.form.badRest) return byId("more").focus();
    clearProblems();
    this.scene = this.#scene();
    this.#forget();
    const every = this.#recordEvery();
    const epochs = this.request.epochs ?? EPOCHS;
    this.sent = JSON.stringify(this.#body());
    const asked = { ...this.#body(), ...every, background: true };
    this.#working(true);
    try {
      this.job = await call("fit", { body: asked });
      const rows = Math.ceil(epochs / (every.record_every ?? Math.max(1, Math.floor(epochs / MOST_ROWS))));
      this.stage.run(this.scene, epochs, this.#descends() ? rows : 0);
      arrange(this.fit || this.job);
      comeIntoView();
      await this.#finished(await watch(this.job.job_id, (event) => this.#progress(event)));
    } catch (error) {
      this.#failed(error);
    } finally {
      this.job = null;
      arrange(this.fit || this.job);
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
    if (this.request.record_every || !this.#descends() || this.request.group_by) return {};
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
      this.cameFrom = document.activeElement;
      byId("progress").value = 0;
      report.status("Running…", "idle");
      if (!byId("story").contains(this.cameFrom)) byId("cancel").focus({ preventScroll: true });
    } else if ([byId("cancel"), document.body].includes(document.activeElement)) {
      const back = this.cameFrom.isConnected && this.cameFrom !== document.body ? this.cameFrom : byId("run");
      (NARROW.matches && this.fit ? byId("results") : back).focus({ preventScroll: true });
    }
  }

  #progress({ progress, history, queue_position: ahead }) {
    if (history?.epoch.length) this.stage.grow(history);
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
    for (const part of [this.unknowns, this.predictions, this.comparison, this.take]) part.show(this.fit, this.scene);
    this.#showStale();
    document.body.dataset.stopReason = this.fit.stop_reason;
    document.body.dataset.verdict = this.fit.verdict;
    this.story.ended(this.fit);
    await this.stage.ended(this.fit);
  }

  #failed(error) {
    const marked = problem(error);
    const where = marked ? " See the fields marked in red." : "";
    report.status(`The request is not valid.${where}`, "bad");
    if (!(error instanceof Problem)) console.warn(error);
  }

  #apply(suggestion) {
    this.#show(withFix(this.request, suggestion));
    this.run();
  }

  /** Puts a request into the form. */
  #show(request) {
    this.form.show(request);
    this.#edited(request);
  }

  /** Fits a family of a comparison as it was fitted there. */
  #use(name) {
    const { inputs, target } = this.scene.understood;
    const kept = ["sigma", "sigma_absolute", "weights"].filter((key) => this.request[key] !== undefined);
    const noise = Object.fromEntries(kept.map((key) => [key, this.request[key]]));
    this.#show({ model: { name, inputs, target }, params: {}, optimizer: "auto", ...noise });
    this.run();
  }

  async cancel() {
    if (!this.job) return;
    await call(`jobs/${this.job.job_id}/cancel`, { method: "POST" }).catch(problem);
  }

  /** The request, with the reports of its family where it has some. */
  #body() {
    const { model, report, group_by } = this.request;
    const family = this.families.get(typeof model === "string" ? model : model.name);
    const own = report === undefined && !group_by && family?.reports?.length ? { report: "default" } : {};
    return { ...body(this.request, this.columns, this.units), ...own };
  }

  #curl() {
    return asCurl(this.#body(), new URL("fit", document.baseURI).href, hasKey());
  }

  #state() {
    return { ...this.data.state, request: this.request };
  }
}

async function begin() {
  const byName = (entries) => new Map(entries.map((entry) => [entry.name, entry]));
  const [{ models }, { optimizers }, { losses }, { likelihoods }] = await Promise.all(
    ["models", "optimizers", "losses", "likelihoods"].map((path) => call(path)),
  );
  const [of, by] = [byName(models), byName(optimizers)];
  new Playground({ models: of, optimizers: by, losses: byName(losses), likelihoods: byName(likelihoods) });
}

begin().catch((error) => {
  if (error.status === 401) return askForKey(begin);
  report.status("The page could not be loaded.", "bad");
  problem(error);
});
