// The params: initial values, bounds, and which are fixed.

import { byId, element } from "./dom.js";
import { typed } from "./fields.js";

const PARTS = [
  ["value", "start"],
  ["min", "min"],
  ["max", "max"],
];

export class ParamsTable {
  /** @param set changes members of the request */
  constructor(fields, set) {
    this.fields = fields;
    this.set = set;
  }

  show(request, names) {
    this.request = request;
    byId("start-field").hidden = !names?.length;
    const shown = [...byId("start").querySelectorAll("input[data-part=value]")].map((one) => one.name);
    if (shown.join() !== (names ?? []).join()) this.#build(names ?? []);
    for (const input of byId("start").querySelectorAll("input")) {
      const { part } = input.dataset;
      this.fields.write(input, asObject(request.params?.[input.name])[part] ?? "");
    }
  }

  #build(names) {
    const head = ["", "start", "min", "max", "fixed"].map((text) => element("span", { class: "head", "aria-hidden": "true" }, text));
    byId("start").replaceChildren(...head, ...names.flatMap((name) => this.#row(name)));
    this.fields.prune();
    for (const input of byId("start").querySelectorAll("input")) {
      this.fields.add(input, (value) => this.#edit(input, value));
    }
  }

  #row(name) {
    const inputs = PARTS.map(([part, word]) =>
      element("input", {
        name,
        "data-part": part,
        class: "code",
        inputmode: "decimal",
        "aria-label": `${name}, ${word}`,
      }),
    );
    const fixed = element("input", { type: "checkbox", name, "data-part": "fixed", "aria-label": `${name}, fixed` });
    return [element("span", { class: "code name" }, name), ...inputs, fixed];
  }

  #edit(input, value) {
    const { name, dataset } = input;
    const param = { ...asObject(this.request.params?.[name]) };
    if (value === false || String(value).trim() === "") delete param[dataset.part];
    else param[dataset.part] = value === true ? true : typed(value);
    const params = { ...this.request.params };
    const parts = Object.keys(param);
    if (!parts.length) delete params[name];
    else params[name] = parts.join() === "value" ? param.value : param;
    this.request = { ...this.request, params };
    this.set({ params });
  }
}

const asObject = (param) =>
  param === undefined || param === null ? {} : typeof param === "object" ? param : { value: param };
