// The uncertainty of the response: a column, a number, or weights.

import { byId } from "./dom.js";
import { offer, typed } from "./fields.js";

const WORDS = { column: "σ from", weights: "weights" };

export class Noise {
  /** @param set changes members of the request */
  constructor(fields, set) {
    this.fields = fields;
    fields.add("sigma-kind", (kind) => this.#choose(kind, set));
    fields.add("sigma-column", (name) => set(byId("sigma-kind").value === "weights" ? { weights: name } : { sigma: name }));
    fields.add("sigma-number", (text) => set({ sigma: text.trim() === "" ? 1 : typed(text) }));
    fields.add("sigma-absolute", (on) => set({ sigma_absolute: on || undefined }));
  }

  #choose(kind, set) {
    if (kind === "own") return;
    const none = { sigma: undefined, weights: undefined, sigma_absolute: undefined };
    const [first] = this.others;
    const named = { column: { sigma: first }, weights: { weights: first }, number: { sigma: 1, sigma_absolute: true } };
    set({ ...none, ...named[kind] });
  }

  show(request, names) {
    this.others = [...names].reverse();
    const { sigma, weights } = request;
    const given = weights ?? sigma;
    const named = typeof given === "string";
    this.kind = kindOf(given, weights !== undefined);
    this.fields.write("sigma-kind", this.kind);
    byId("sigma-column-field").hidden = !["column", "weights"].includes(this.kind);
    byId("sigma-number-field").hidden = this.kind !== "number";
    byId("sigma-absolute-field").hidden = !["column", "number"].includes(this.kind);
    // A name may also be an expression of columns, which a link or a suggestion has brought.
    const offered = named && !names.includes(given) ? [given, ...this.others] : this.others;
    offer(this.fields, "sigma-column", offered, named ? given : "");
    if (this.kind === "number") this.fields.write("sigma-number", sigma);
    this.fields.write("sigma-absolute", request.sigma_absolute ?? false);
    const shown = { "": "", number: `σ = ${sigma}`, own: "as in “Further fields”" }[this.kind];
    byId("noise-summary").textContent = shown ?? `${WORDS[this.kind]} ${given}`;
    if (this.kind && !this.seen) byId("noise").open = this.seen = true;
  }
}

function kindOf(given, isWeight) {
  if (given === undefined) return "";
  if (typeof given === "object") return "own";
  if (typeof given === "number") return "number";
  return isWeight ? "weights" : "column";
}
