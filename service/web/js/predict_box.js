// Predictions of the fit shown at values that are typed.

import { call } from "./api.js";
import { byId, element, settled } from "./dom.js";
import { number, withError } from "./format.js";
import { groupColumns } from "./grouping.js";

const PAUSE = 250;

export class PredictBox {
  constructor() {
    this.version = 0;
    const update = settled(() => this.#update(), PAUSE);
    for (const id of ["predict-at", "predict-group", "predict-interval"]) byId(id).addEventListener("input", update);
  }

  /** Shows the box for a fit; hides it without one. */
  show(fit, scene) {
    const usable = Boolean(fit) && fit.stop_reason !== "diverged" && scene.understood.inputs.length > 0;
    byId("predict").hidden = !usable;
    this.fit = usable ? fit : null;
    if (!usable) return this.#update();
    this.inputs = fit.model.inputs;
    this.by = fit.groups ? groupColumns(scene.request) : [];
    const several = this.inputs.length > 1;
    byId("predict-label").textContent = several
      ? `At ${this.inputs.join(", ")}: their values side by side, a prediction a line`
      : `At ${this.inputs[0]}, one in a line`;
    byId("predict-group-field").hidden = !fit.groups;
    byId("predict-group").replaceChildren(
      ...(fit.groups?.key ?? []).map((key, i) => element("option", { value: i }, [key].flat().join(", "))),
    );
    const banded = fit.groups ? Boolean(fit.groups.covariance) : Boolean(fit.predict.covariance);
    this.banded = banded;
    byId("predict-interval").disabled = !banded;
    return this.#update();
  }

  async #update() {
    this.version += 1;
    const { version } = this;
    const text = byId("predict-at").value;
    if (!this.fit || !text.trim()) return this.#say(null, "");
    try {
      const data = this.#data(text);
      const { fit } = this;
      const interval = this.banded ? { interval: byId("predict-interval").value } : {};
      const from = fit.groups ? { job_id: fit.job_id } : fit.predict;
      const found = await call("predict", { body: { ...from, data, ...interval } });
      if (version === this.version) this.#say({ data, found }, "");
    } catch (error) {
      if (version !== this.version) return;
      this.#say(null, (error.errors ?? []).map(({ detail }) => detail).join(" ") || error.message);
    }
  }

  #data(text) {
    const lines = text.split("\n").map((line, i) => [line.trim(), i + 1]).filter(([line]) => line);
    const rows = lines.map(([line, place]) => {
      const cells = line.split(/[\s;,]+/).filter(Boolean).map(Number);
      if (cells.length !== this.inputs.length || cells.some(Number.isNaN)) {
        const wanted = this.inputs.length === 1 ? "a number, with a decimal point" : `${this.inputs.length} numbers`;
        throw new Error(`Line ${place}: “${line}” is not ${wanted}.`);
      }
      return cells;
    });
    const data = Object.fromEntries(this.inputs.map((name, i) => [name, rows.map((row) => row[i])]));
    const key = [this.fit.groups?.key[Number(byId("predict-group").value)]].flat();
    this.by.forEach((name, i) => (data[name] = rows.map(() => key[i])));
    return data;
  }

  #say(shown, problem) {
    byId("predict-error").textContent = problem;
    byId("predict-error").hidden = !problem;
    byId("predict-scroll").hidden = !shown;
    byId("predict-table").replaceChildren(...(shown ? this.#table(shown) : []));
    byId("predict-at").setAttribute("aria-invalid", String(Boolean(problem)));
  }

  #table({ data, found }) {
    const unit = (name) => (this.fit.units?.[name] ? `${name} [${this.fit.units[name]}]` : name);
    const heads = [...this.inputs.map(unit), unit(found.target), ...(found.lower ? ["interval"] : [])];
    const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
    const rows = found.predictions.map((value, i) => {
      const [shown, error] = found.stderr ? withError(value, found.stderr[i]) : [number(value, 6), null];
      const cells = this.inputs.map((name) => element("td", {}, number(data[name][i], 8)));
      cells.push(element("td", {}, shown, ...(error ? [element("span", { class: "pm" }, ` ± ${error}`)] : [])));
      if (found.lower) cells.push(element("td", {}, `${number(found.lower[i])} … ${number(found.upper[i])}`));
      return element("tr", {}, ...cells);
    });
    return [element("thead", {}, head), element("tbody", {}, ...rows)];
  }
}

