// The uncertainty of one predictor: a column or a number.

import { byId } from "./dom.js";
import { offer, typed } from "./fields.js";

export class InputNoise {
  /** @param set changes members of the request */
  constructor(fields, set) {
    this.fields = fields;
    const give = (value) => set({ sigma_x: value === undefined ? undefined : { [this.name]: value } });
    fields.add("sigma-x-kind", (kind) => {
      if (kind !== "own") give({ column: this.others[0], number: 1 }[kind]);
    });
    fields.add("sigma-x-column", give);
    fields.add("sigma-x-number", (text) => give(text.trim() === "" ? 1 : typed(text)));
  }

  show({ sigma_x: given }, names, inputs) {
    const [own] = Object.keys(given ?? {});
    this.name = own ?? inputs[0] ?? "x";
    this.others = names.filter((name) => name !== this.name).reverse();
    const value = given?.[this.name];
    const kind = kindOf(given);
    byId("sigma-x-label").textContent = `σ of ${this.name}`;
    byId("sigma-x-kind").options[0].textContent = `none: ${this.name} is exact`;
    this.fields.write("sigma-x-kind", kind);
    byId("sigma-x-column-field").hidden = kind !== "column";
    byId("sigma-x-number-field").hidden = kind !== "number";
    offer(this.fields, "sigma-x-column", this.others, kind === "column" ? value : "");
    if (kind === "number") this.fields.write("sigma-x-number", value);
    if (kind && !this.seen) byId("noise").open = this.seen = true;
  }
}

function kindOf(given) {
  if (given === undefined) return "";
  const values = Object.values(given);
  if (values.length !== 1 || typeof values[0] === "object") return "own";
  return typeof values[0] === "number" ? "number" : "column";
}
