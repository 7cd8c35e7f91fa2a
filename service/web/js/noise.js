// The uncertainty of the response: a column, a number, or weights.

import { byId } from "./dom.js";
import { offer, typed } from "./fields.js";

const WORDS = { column: "σ from", weights: "weights" };

export class Noise {
  /** @param set changes members of the request */
  constructor(fields, set) {
    this.fields = fields;
    fields.add("sigma-kind", (kind) => this.#choose(kind, set));
    fields.add("sigma-column", (name) => set(this.kind === "weights" ? { weights: name } : { sigma: name }));
    fields.add("sigma-number", (text) => set({ sigma: text.trim() === "" ? undefined : typed(text) }));
    fields.add("sigma-absolute", (on) => set({ sigma_absolute: on || undefined }));
  }

  #choose(kind, set) {
    const none = { sigma: undefined, weights: undefined, sigma_absolute: undefined };
    const [first] = this.others;
    const named = { column: { sigma: first }, weights: { weights: first }, number: { sigma: 1, sigma_absolute: true } };
    set({ ...none, ...named[kind] });
  }

  show(request, names) {
    this.others = [...names].reverse();
    const { sigma, weights } = request;
    const text = typeof sigma === "string" && names.includes(sigma);
    this.kind = weights !== undefined ? "weights" : text ? "column" : sigma === undefined ? "" : "number";
    this.fields.write("sigma-kind", this.kind);
    byId("sigma-column-field").hidden = !["column", "weights"].includes(this.kind);
    byId("sigma-number-field").hidden = this.kind !== "number";
    byId("sigma-absolute-field").hidden = !["column", "number"].includes(this.kind);
    offer(this.fields, "sigma-column", this.others, weights ?? (text ? sigma : ""));
    if (this.kind === "number") this.fields.write("sigma-number", Array.isArray(sigma) ? sigma.join(", ") : sigma);
    this.fields.write("sigma-absolute", request.sigma_absolute ?? false);
    const shown = { "": "", number: `σ = ${sigma}` }[this.kind];
    byId("noise-summary").textContent = shown ?? `${WORDS[this.kind]} ${weights ?? sigma}`;
    if (this.kind && !this.seen) byId("noise").open = this.seen = true;
  }
}
