// The loss, or the likelihood of counts with its column of weights.

import { byId, element } from "./dom.js";
import { offer } from "./fields.js";
import { likelihoodOf, lossOf } from "./request.js";

export class LossField {
  /**
   * @param set changes members of the request
   * @param catalogue {losses, likelihoods}, each a Map by name
   */
  constructor(fields, set, { losses, likelihoods }) {
    Object.assign(this, { fields, set, likelihoods });
    const option = ({ name }, words = name) => element("option", { value: name }, words);
    const counts = [...likelihoods.values()].map((one) => option(one, `${one.name} counts`));
    byId("loss").append(
      ...[...losses.values()].map((one) => option(one)),
      element("optgroup", { label: "Likelihoods" }, ...counts),
    );
    fields.add("loss", (name) => this.#chooseLoss(name));
    fields.add("weight", (column) => this.#chooseWeight(column));
  }

  #chooseLoss(name) {
    const counts = this.likelihoods.has(name);
    this.set({
      likelihood: counts ? name : undefined,
      loss: counts || name === "mse" ? undefined : name,
    });
  }

  #chooseWeight(column) {
    const name = byId("loss").value;
    const option = this.#option(name);
    this.set({ likelihood: column ? { name, [option]: column } : name });
  }

  /** The likelihood of the request, and its option for the weight of a row; or null. */
  #likelihood() {
    const likelihood = likelihoodOf(this.request);
    return likelihood ? { ...likelihood, option: this.#option(likelihood.name) } : null;
  }

  #option(name) {
    return this.likelihoods.get(name)?.options.find((one) => one.name !== "overdispersion").name;
  }

  show(request, target, names) {
    this.request = request;
    const likelihood = this.#likelihood();
    this.fields.write("loss", likelihood?.name ?? lossOf(request).name);
    byId("weight-field").hidden = !likelihood;
    if (!likelihood) return;
    const { option } = likelihood;
    byId("weight-label").textContent = option === "n" ? "Trials (n)" : "Exposure";
    const others = names.filter((name) => name !== target);
    offer(this.fields, "weight", ["", ...others], likelihood[option] ?? "");
    byId("weight").options[0].textContent = "1 in each row";
  }
}
