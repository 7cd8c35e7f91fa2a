// A fit as text and tables.

import { fixLabel } from "./fixes.js";
import { byId, element } from "./dom.js";
import { count, number, withError } from "./format.js";

/** The message about how a fit ended, and its kind. */
export function ending(fit) {
  const n = count(fit.epochs, "epoch");
  const far = fit.verdict === "untrustworthy" ? " Not converged." : "";
  const tone = fit.verdict === "trustworthy" ? "good" : "warn";
  const r2 = fit.statistics.r_squared;
  const how = `: loss ${number(fit.loss)}${r2 === null ? "" : `, R² ${number(r2, 3)}`}`;
  const message = {
    converged: [`Converged after ${n}${how}.`, tone],
    max_epochs: [`Done after ${n}${how}.${far}`, tone],
    diverged: [`Diverged at epoch ${fit.epochs.toLocaleString("en")}: the loss grew without bound.`, "bad"],
    stalled: [`Stalled after ${n}: no step reduced the loss further.`, tone],
    time_limit: [`Out of time after ${n}; this is the best so far.`, "warn"],
    cancelled: [`Cancelled after ${n}; this is the best so far.`, "warn"],
  }[fit.stop_reason];
  const fixes = fit.diagnostics.filter((one) => one.suggestion).length;
  const hint = fixes ? ` ${count(fixes, "suggested fix", "suggested fixes")} below.` : "";
  return { text: message[0] + hint, kind: message[1] };
}

export function status(text, kind) {
  byId("status-text").textContent = text;
  byId("status").dataset.kind = kind;
}

const TITLES = {
  learning_rate_too_high: "The learning rate is too high",
  gradient_imbalance: "The gradients of the params differ widely",
  not_converged: "Not converged",
  non_finite: "Non-finite numbers",
};
const MOST_PARAMS = 8;
const SEVERITIES = { error: "Error", warning: "Warning", info: "Note" };

/** The diagnostics, each with a button that applies its suggested fix. */
export function diagnostics(fit, apply) {
  byId("diagnostics").replaceChildren(...(fit?.diagnostics ?? []).map((one) => card(one, fit, apply)));
}

function card(one, fit, apply) {
  const title = TITLES[one.code] ?? titleOf(one.code);
  const heading = element(
    "h3",
    {},
    element("span", { class: `severity ${one.severity}` }, `${SEVERITIES[one.severity]}: `),
    title,
  );
  const parts = [heading, element("p", {}, opening(one.message, fit))];
  if (one.suggestion) {
    const words = `${fixLabel(one.suggestion, fit.model.inputs)}: run again`;
    const button = { type: "button", class: "fix", onclick: () => apply(one.suggestion) };
    parts.push(element("button", { ...button, "data-code": one.code }, words));
  }
  return element("li", { class: "diagnostic", "data-code": one.code }, ...parts);
}

/** The message with a capital first letter, unless its first word is a name of the model. */
function opening(message, { model }) {
  const [word] = message.split(/[^\p{L}\p{N}_]/u);
  const names = [...model.params, ...model.inputs, model.target];
  return names.includes(word) ? message : message.charAt(0).toUpperCase() + message.slice(1);
}

function titleOf(code) {
  const words = code.replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The results: the params with their standard errors, and the statistics of the fit. */
export function answer(fit) {
  byId("answer").hidden = !fit;
  byId("verdict").textContent = "";
  if (!fit) return;
  byId("verdict").textContent = verdict(fit);
  byId("params").replaceChildren(...paramsTable(fit));
  byId("report").hidden = !fit.report;
  byId("report").replaceChildren(...reportTable(fit.report ?? {}));
  byId("statistics").replaceChildren(
    ...statistics(fit).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value)),
    ),
  );
}

function verdict(fit) {
  const found = fit.diagnostics.length ? "See the notes above" : "No issues found";
  return {
    trustworthy: `${found}: the estimates can be trusted within their standard errors.`,
    doubtful: "The estimates are doubtful: see the warnings above.",
    untrustworthy: "Do not rely on these estimates: see the errors above.",
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

/** The quantities derived from the params; the reason for a missing interval in its place. */
function reportTable(report) {
  const heads = ["report", "value ± error", "interval"];
  const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
  const rows = Object.entries(report).map(([name, one]) =>
    element(
      "tr",
      { "data-report": name },
      element("th", { scope: "row", title: one.meaning ?? one.expr }, name),
      valueCell(one.value, one.stderr),
      element("td", {}, one.reason ?? `${number(one.lower, 4)} … ${number(one.upper, 4)}`),
    ),
  );
  return [element("thead", {}, head), element("tbody", {}, ...rows)];
}

function paramRow(fit, name, raw) {
  const valid = fit.stop_reason !== "diverged";
  const error = valid ? fit.statistics.stderr?.[name] : null;
  const cells = raw
    ? [valueCell(raw.values[name], valid ? raw.stderr?.[name] : null)]
    : [valueCell(fit.params[name], error)];
  cells.push(element("td", {}, valid ? interval(fit, name, raw) : "–"));
  if (raw) cells.push(valueCell(fit.params[name], error));
  return element("tr", { "data-param": name }, element("th", { scope: "row" }, name), ...cells);
}

/** In raw units it has the same width in standard errors as in scaled units, by Student's t. */
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
  if (s.likelihood) {
    return [
      ["deviance", known(s.likelihood.deviance, 5)],
      ["degrees of freedom", number(s.degrees_of_freedom, 9)],
      ["dispersion", known(s.likelihood.dispersion, 4)],
      ["AIC", known(s.aic, 5)],
      ["rows", number(s.n, 9)],
      ["optimizer", fit.optimizer],
    ];
  }
  return [
    ["R²", known(s.r_squared, 4)],
    ["loss", number(fit.loss, 5)],
    ["residual std. dev.", known(s.residual_std, 4)],
    ["AIC", known(s.aic, 5)],
    ["rows", number(s.n, 9)],
    ["optimizer", fit.optimizer],
  ];
}

/** Shows errors at the fields that they point at; the others above the charts.
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
