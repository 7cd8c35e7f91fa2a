// A fit in words and tables.

import { cureInWords } from "./cures.js";
import { byId, element } from "./dom.js";
import { count, number, withError } from "./format.js";

/** The sentence about how a fit ended, and its tone. */
export function ending(fit) {
  const n = count(fit.epochs, "epoch");
  const far = fit.verdict === "untrustworthy" ? " It has not arrived." : "";
  const tone = fit.verdict === "trustworthy" ? "good" : "warn";
  const r2 = fit.statistics.r_squared;
  const how = `: loss ${number(fit.loss)}${r2 === null ? "" : `, R² ${number(r2, 3)}`}`;
  const said = {
    converged: [`Converged after ${n}${how}.`, tone],
    max_epochs: [`Done after ${n}${how}.${far}`, tone],
    diverged: [`Diverged at epoch ${fit.epochs.toLocaleString("en")}: the loss ran away.`, "bad"],
    stalled: [`Stalled after ${n}: no step was downhill any more.`, tone],
    time_limit: [`Out of time after ${n}; this is the best so far.`, "warn"],
    cancelled: [`Cancelled after ${n}; this is the best so far.`, "warn"],
  }[fit.stop_reason];
  const cures = fit.diagnostics.filter((one) => one.suggestion).length;
  const cure = cures ? ` ${cures === 1 ? "A cure is" : `${cures} cures are`} offered below.` : "";
  return { text: said[0] + cure, kind: said[1] };
}

export function status(text, kind) {
  byId("said").textContent = text;
  byId("status").dataset.kind = kind;
}

const TITLES = {
  learning_rate_too_high: "The learning rate is too high",
  gradient_imbalance: "One rate does not suit both params",
  not_converged: "It has not arrived",
  non_finite: "Numbers ran out of range",
};
const MOST_PARAMS = 8;
const SEVERITIES = { error: "Error", warning: "Warning", info: "Note" };

/** What was seen, each with the button that applies its cure. */
export function diagnostics(fit, apply) {
  byId("diagnostics").replaceChildren(...(fit?.diagnostics ?? []).map((one) => card(one, fit, apply)));
}

function card(one, fit, apply) {
  const title = TITLES[one.code] ?? sentence(one.code);
  const heading = element(
    "h3",
    {},
    element("span", { class: `severity ${one.severity}` }, `${SEVERITIES[one.severity]}: `),
    title,
  );
  const parts = [heading, element("p", {}, opening(one.message, fit))];
  if (one.suggestion) {
    const words = `${cureInWords(one.suggestion, fit.model.inputs)}: run again`;
    const cure = { type: "button", class: "cure", onclick: () => apply(one.suggestion) };
    parts.push(element("button", { ...cure, "data-code": one.code }, words));
  }
  return element("li", { class: "diagnostic", "data-code": one.code }, ...parts);
}

/** A sentence's first letter, unless the word is a name of the model. */
function opening(message, { model }) {
  const [word] = message.split(/[^\p{L}\p{N}_]/u);
  const names = [...model.params, ...model.inputs, model.target];
  return names.includes(word) ? message : message.charAt(0).toUpperCase() + message.slice(1);
}

function sentence(code) {
  const words = code.replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The answer: the params with their errors, and how good the fit is. */
export function answer(fit) {
  byId("answer").hidden = !fit;
  byId("verdict").textContent = "";
  if (!fit) return;
  byId("verdict").textContent = verdict(fit);
  byId("params").replaceChildren(...paramsTable(fit));
  byId("statistics").replaceChildren(
    ...statistics(fit).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)),
    ),
  );
}

function verdict(fit) {
  const notes = fit.diagnostics.length ? " Mind the notes above." : "";
  return {
    trustworthy: `These numbers can be trusted, within their standard errors.${notes}`,
    doubtful: "These numbers are doubtful: see the warnings above.",
    untrustworthy: "Do not rely on these numbers: see what was found above.",
  }[fit.verdict];
}

function paramsTable(fit) {
  const scaled = fit.predict.scaling && Object.keys(fit.predict.scaling).length > 0;
  const raw = scaled ? fit.params_unscaled : null;
  const heads = ["param", "value ± error", "95 % interval"];
  if (raw) heads.push("in scaled units");
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const names = Object.keys(fit.params);
  const rows = names.slice(0, MOST_PARAMS).map((name) => paramRow(fit, name, raw));
  if (names.length > MOST_PARAMS) {
    const more = `and ${names.length - MOST_PARAMS} more, in the download`;
    rows.push(element("tr", {}, element("td", { colspan: heads.length }, more)));
  }
  return [element("thead", {}, head), element("tbody", {}, ...rows)];
}

function paramRow(fit, name, raw) {
  const believed = fit.stop_reason !== "diverged";
  const error = believed ? fit.statistics.stderr?.[name] : null;
  const cells = raw
    ? [valueCell(raw.values[name], believed ? raw.stderr?.[name] : null)]
    : [valueCell(fit.params[name], error)];
  cells.push(element("td", {}, believed ? interval(fit, name, raw) : "–"));
  if (raw) cells.push(valueCell(fit.params[name], error));
  return element("tr", { "data-param": name }, element("th", { scope: "row" }, name), ...cells);
}

/** In raw units it is as many standard errors wide as in scaled ones: that is Student's t. */
function interval(fit, name, raw) {
  const { confidence_interval: found, stderr } = fit.statistics;
  if (!found || !(name in found.lower)) return "–";
  const range = (low, high) => `${number(low, 4)} … ${number(high, 4)}`;
  if (!raw) return range(found.lower[name], found.upper[name]);
  if (found.method !== "t" || !raw.stderr) return "–";
  const times = (Number(found.upper[name]) - Number(fit.params[name])) / Number(stderr[name]);
  const [value, half] = [Number(raw.values[name]), times * Number(raw.stderr[name])];
  return range(value - half, value + half);
}

function valueCell(value, error) {
  const [shown, shownError] = withError(value, error);
  if (shownError === null) return element("td", {}, shown);
  return element("td", {}, shown, element("span", { class: "pm" }, ` ± ${shownError}`));
}

function statistics(fit) {
  const s = fit.statistics;
  const none = fit.stop_reason === "diverged";
  const known = (value, digits) => (none || value === null ? "–" : number(value, digits));
  return [
    ["R²", known(s.r_squared, 4)],
    ["loss", number(fit.loss, 5)],
    ["residual deviation", known(s.residual_std, 4)],
    ["AIC", known(s.aic, 5)],
    ["rows", number(s.n, 9)],
    ["optimizer", fit.optimizer],
  ];
}

/** Problems at the fields that they point at; what points nowhere known goes above the charts.
 * @returns whether a field is marked */
export function problem(error) {
  clearProblems();
  let placed = false;
  const fields = [...document.querySelectorAll("[data-pointer]")].sort(
    (a, b) => b.dataset.pointer.length - a.dataset.pointer.length,
  );
  const elsewhere = [];
  for (const { pointer, detail } of error.errors ?? []) {
    const field = fields.find(
      (one) => pointer === one.dataset.pointer || pointer.startsWith(`${one.dataset.pointer}/`),
    );
    if (field && !field.parentElement.hidden) {
      place(field, pointer, detail);
      placed = true;
    } else elsewhere.push(detail);
  }
  if (!error.errors?.length) elsewhere.push(error.message);
  byId("problem").textContent = elsewhere.join(" ");
  byId("problem").hidden = !elsewhere.length;
  document.querySelector("#controls [aria-invalid='true']")?.focus();
  return placed;
}

function place(field, pointer, detail) {
  field.textContent = field.textContent ? `${field.textContent} ${detail}` : detail;
  field.hidden = false;
  const param = /^\/params\/([^/]+)/.exec(pointer);
  const name = param?.[1].replace(/~1/g, "/").replace(/~0/g, "~");
  const inputs = param
    ? [...byId("start").querySelectorAll("input")].filter((input) => input.name === name)
    : document.querySelectorAll(`[aria-describedby~="${field.id}"]`);
  for (const input of inputs) {
    input.setAttribute("aria-invalid", "true");
    if (param) input.setAttribute("aria-describedby", field.id);
  }
}

export function clearProblems() {
  byId("problem").hidden = true;
  for (const field of document.querySelectorAll("[data-pointer]")) {
    field.hidden = true;
    field.textContent = "";
  }
  for (const input of document.querySelectorAll("#controls [aria-invalid]")) {
    input.removeAttribute("aria-invalid");
  }
}
