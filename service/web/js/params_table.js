// The params: initial values, bounds, which are fixed, and what is known of them before.

import { byId, element } from "./dom.js";
import { typed } from "./fields.js";

const PARTS = [
  ["value", "start"],
  ["min", "min"],
  ["max", "max"],
];
const PRIOR = [
  ["mean", "prior mean"],
  ["sd", "prior standard deviation"],
];
const isPrior = (part) => part === "mean" || part === "sd";
const inputsOf = () => document.querySelectorAll("#start input, #prior-rows input");

export class ParamsTable {
  /** @param set changes members of the request */
  constructor(fields, set) {
    this.fields = fields;
    this.set = set;
  }

  show(request, names) {
    this.request = request;
    byId("start-field").hidden = byId("priors").hidden = !names?.length;
    const shown = [...byId("start").querySelectorAll("input[data-part=value]")].map((one) => one.name);
    if (shown.join() !== (names ?? []).join()) this.#build(names ?? []);
    for (const input of inputsOf()) {
      const { part } = input.dataset;
      const param = asObject(request.params?.[input.name]);
      this.fields.write(input, (isPrior(part) ? param.prior?.[part] : param[part]) ?? "");
    }
    const known = (names ?? []).filter((name) => asObject(request.params?.[name]).prior);
    byId("priors-summary").textContent = known.join(", ");
    if (known.length && !this.seen) byId("priors").open = this.seen = true;
  }

  #build(names) {
    const head = ["", "start", "min", "max", "fixed"].map((text) => element("span", { class: "head", "aria-hidden": "true" }, text));
    byId("start").replaceChildren(...head, ...names.flatMap((name) => this.#row(name)));
    const priorHead = ["", "mean", "std. deviation"].map((text) => element("span", { class: "head", "aria-hidden": "true" }, text));
    byId("prior-rows").replaceChildren(...priorHead, ...names.flatMap((name) => [named(name), ...numbers(name, PRIOR)]));
    this.fields.prune();
    for (const input of inputsOf()) {
      this.fields.add(input, (value) => this.#edit(input, value));
    }
  }

  #row(name) {
    const fixed = element("input", { type: "checkbox", name, "data-part": "fixed", "aria-label": `${name}, fixed` });
    return [named(name), ...numbers(name, PARTS), fixed];
  }

  #edit(input, value) {
    const { name, dataset } = input;
    const param = { ...asObject(this.request.params?.[name]) };
    const of = isPrior(dataset.part) ? { ...param.prior } : param;
    if (value === false || String(value).trim() === "") delete of[dataset.part];
    else of[dataset.part] = value === true ? true : typed(value);
    if (isPrior(dataset.part)) {
      if (Object.keys(of).length) param.prior = of;
      else delete param.prior;
    }
    const params = { ...this.request.params };
    const parts = Object.keys(param);
    if (!parts.length) delete params[name];
    else params[name] = parts.join() === "value" ? param.value : param;
    this.request = { ...this.request, params };
    this.set({ params });
  }
}

const named = (name) => element("span", { class: "code name" }, name);

const numbers = (name, parts) =>
  parts.map(([part, word]) =>
    element("input", { name, "data-part": part, class: "code", inputmode: "decimal", "aria-label": `${name}, ${word}` }),
  );

const asObject = (param) =>
  param === undefined || param === null ? {} : typeof param === "object" ? param : { value: param };
