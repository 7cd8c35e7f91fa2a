// Unknowns from the curve shown: readings in, estimates with intervals out.

import { call } from "./api.js";
import { byId, element, settled } from "./dom.js";
import { count, number, withError } from "./format.js";

const PAUSE = 250;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const DECIMAL_COMMA = /^[+-]?\d+,\d+(e[+-]?\d+)?$/i;
const LINE = /^(?:(.*?)[\s,;]+)?([^\s,;]+)$/u;
const NAMES = /[\p{L}_][\p{L}\p{N}_]*/gu;
const MOST = 200;
const WORDS = {
  ok: "ok",
  below_curve: "below the curve",
  above_curve: "above the curve",
  extrapolated: "extrapolated",
  not_monotone: "several solutions",
  unbounded: "interval without an end",
  no_curve: "no curve",
};

export class Unknowns {
  constructor() {
    this.fit = null;
    this.version = 0;
    const update = settled(() => this.#update(), PAUSE);
    byId("readings").addEventListener("input", update);
  }

  /** Shows the box for a fit that has one input and one column of readings; else hides it. */
  show(fit, scene) {
    this.fit = fit;
    this.column = fit ? readingsColumn(scene) : null;
    const inputs = Object.keys(fit?.predict.input_range ?? {});
    const usable = this.column && !fit.groups && inputs.length === 1 && fit.stop_reason !== "diverged";
    byId("unknowns").hidden = !usable;
    if (!usable) this.fit = null;
    else byId("readings-label").textContent = `Readings of ${this.column}, one in a line`;
    return this.#update();
  }

  async #update() {
    this.version += 1;
    const { version } = this;
    const text = byId("readings").value;
    this.#say("", "");
    if (!this.fit || !text.trim()) return this.#table(null);
    try {
      const found = await call("invert", { body: { ...this.fit.predict, data: this.#data(text) } });
      if (version !== this.version) return;
      this.#table(found);
      this.#say(counted(found), "");
    } catch (error) {
      if (version !== this.version) return;
      this.#table(null);
      this.#say("", error.errors?.map(({ detail }) => detail).join(" ") || error.message);
    }
  }

  /** The lines as columns. Throws Error for a line without a number. */
  #data(text) {
    const lines = text
      .split("\n")
      .map((line, i) => [line.trim(), i + 1])
      .filter(([line]) => line)
      .map(([line, place]) => parsed(line, place));
    const data = { [this.column]: lines.map(({ reading }) => reading) };
    const named = lines.some(({ sample }) => sample !== null);
    return named ? { ...data, [nameBeside(this.column)]: lines.map(({ sample }) => sample) } : data;
  }

  #say(hint, problem) {
    byId("unknowns-status").textContent = hint;
    byId("unknowns-error").textContent = problem;
    byId("unknowns-error").hidden = !problem;
    byId("readings").setAttribute("aria-invalid", String(Boolean(problem)));
  }

  #table(found) {
    byId("unknowns-scroll").hidden = !found;
    byId("unknowns-table").replaceChildren(...(found ? table(found) : []));
  }
}

/** The column in the formula's left side; null where it has several. */
function readingsColumn({ understood, columns }) {
  const { target } = understood;
  if (target in columns) return target;
  const found = [...new Set(target.match(NAMES))].filter((name) => name in columns);
  return found.length === 1 ? found[0] : null;
}

/** `sample`, unless the readings are called that. */
const nameBeside = (column) => (column === "sample" ? "sample_" : "sample");

/** A line: a reading, or the name of a sample and its reading. */
function parsed(line, place) {
  const last = line.split(/[\s;]+/).at(-1);
  if (DECIMAL_COMMA.test(last)) {
    throw new Error(`Line ${place}: “${last}” has a decimal comma; write a point instead.`);
  }
  const [, sample, reading] = LINE.exec(line) ?? [];
  if (!NUMBER.test(reading)) throw new Error(`Line ${place}: “${line}” does not end with a number.`);
  return { sample: sample || null, reading: Number(reading) };
}

function counted({ key, interval }) {
  const level = `${number(100 * interval.level)} % ${interval.kind} intervals`;
  const samples = count(key.length, "sample");
  return interval.kind === "none" ? `${samples}, without intervals.` : `${samples}, ${level}.`;
}

function table(found) {
  const first = found.replicates_by ? "sample" : "line";
  const heads = [first, "n", `${found.solve_for} ± error`, "interval"];
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const shown = Math.min(found.key.length, MOST);
  const rows = Array.from({ length: shown }, (_, i) => rowsOf(found, i)).flat();
  if (shown < found.key.length) {
    const more = `and ${count(found.key.length - shown, "more sample")}`;
    rows.push(element("tr", {}, element("td", { colspan: heads.length }, more)));
  }
  return [element("thead", {}, head), element("tbody", {}, ...rows)];
}

/** A sample's row, and below it what is wrong with it, if anything is. */
function rowsOf(found, i) {
  const status = found.status[i];
  const made = [row(found, i)];
  if (status !== "ok" || found.detail[i]) {
    const word = element("span", { class: "word" }, WORDS[status] ?? status);
    const why = found.detail[i] ? `: ${found.detail[i]}` : "";
    made.push(element("tr", { class: "detail" }, element("td", { colspan: 4 }, word, why)));
  }
  return made;
}

function row(found, i) {
  const [value, error] = estimate(found, i);
  const [lower, upper] = [found.lower[i], found.upper[i]];
  return element(
    "tr",
    { "data-status": found.status[i] },
    element("th", { scope: "row" }, String(found.key[i] ?? "–")),
    element("td", {}, number(found.n[i])),
    element("td", {}, value, ...(error ? [element("span", { class: "pm" }, ` ± ${error}`)] : [])),
    element("td", {}, lower === null && upper === null ? "–" : `${end(lower)} … ${end(upper)}`),
  );
}

function estimate(found, i) {
  if (found.estimate[i] === null) {
    const roots = found.roots?.[i];
    return [roots ? roots.map((root) => number(root)).join(", ") : "–", null];
  }
  return found.stderr[i] === null
    ? [number(found.estimate[i]), null]
    : withError(found.estimate[i], found.stderr[i]);
}

const end = (value) => (value === null ? "–" : number(value, 4));
