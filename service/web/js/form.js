// The fields of a request. Members without a field are shown as JSON, so that all of the request is
// in the form: what is fitted is what stands there.

import { isText } from "./csv.js";
import { byId, element } from "./dom.js";
import { Fields, checks, offer, typed } from "./fields.js";
import { plain } from "./format.js";
import { Grouping, groupColumns } from "./grouping.js";
import { InputNoise } from "./input_noise.js";
import { LossField } from "./loss_field.js";
import { Noise } from "./noise.js";
import { ParamsTable } from "./params_table.js";
import {
  FORMULA, factorOf, hasRate, optimizerOf, rest, understood, withFix, withoutRest,
} from "./request.js";

const EPOCHS = 1000;
const SEVERAL = "several";

export class Form {
  /**
   * @param catalogue {models, optimizers, losses, likelihoods}, each a Map by name
   * @param onEdit called with the request after each edit, and whether the edit is complete
   */
  constructor(catalogue, onEdit) {
    this.catalogue = catalogue;
    this.onEdit = onEdit;
    this.fields = new Fields((left) => this.#applied(left));
    this.#options("model", [...catalogue.models.values()], (model) => model.title);
    byId("model").prepend(
      element("option", { value: FORMULA }, "A formula"),
      element("option", { value: SEVERAL }, "Linear in several columns"),
    );
    this.#options("optimizer", [...catalogue.optimizers.values()], (one) => one.name);
    const set = (members) => this.#set(members);
    this.params = new ParamsTable(this.fields, set);
    this.noise = new Noise(this.fields, set);
    this.inputNoise = new InputNoise(this.fields, set);
    this.loss = new LossField(this.fields, set, catalogue);
    this.grouping = new Grouping(this.fields, set);
    this.#listen();
  }

  #options(id, entries, title) {
    byId(id).append(
      ...entries.map((entry) => element("option", { value: entry.name }, title(entry))),
    );
  }

  #listen() {
    const on = (id, edit) => this.fields.add(id, edit);
    on("model", (value) => this.#chooseModel(value));
    on("formula", (value) => this.#changeModel(value.trim()));
    on("target", () => this.#changeModel(this.#family()));
    on("input", () => this.#changeModel(this.#family()));
    on("optimizer", (name) => this.#chooseOptimizer(name));
    on("scaling", (kind) => this.#chooseScaling(kind));
    on("more", (text) => this.#setRest(text));
    this.#slider("rate", (rate) => {
      this.#set({ optimizer: { ...optimizerOf(this.request), learning_rate: rate } });
    });
    this.#slider("epochs", (epochs) => this.#set({ epochs: whole(epochs) }));
    this.#slider("factor", (factor) => this.#scaleBy(factor));
  }

  /** A logarithmic slider with a number field. */
  #slider(id, set) {
    this.fields.add(id, (power) => set(Number(plain(10 ** Number(power)))));
    this.fields.add(`${id}-number`, (text) => set(typed(text)));
  }

  #applied(left) {
    this.fields.leaving = left;
    this.show(this.request);
    this.fields.leaving = false;
    this.onEdit(this.request, left);
  }

  /** Applies all that stands in the fields; whether anything was not applied before. */
  commit() {
    const before = this.request;
    this.fields.commit();
    if (this.request === before) return;
    this.show(this.request);
    this.onEdit(this.request, true);
  }

  #set(members) {
    this.request = { ...this.request, ...members };
    for (const [key, value] of Object.entries(members)) {
      if (value === undefined) delete this.request[key];
    }
  }

  /** Sets new columns, with their own request or a default one. */
  setData(columns, request) {
    this.columns = columns;
    const names = this.#numeric();
    const target = names.includes("y") ? "y" : names.at(-1);
    const inputs = names.filter((name) => name !== target).slice(0, 1);
    const line = { model: { name: "linear", inputs, target }, params: {}, optimizer: "auto" };
    this.badRest = "";
    this.show(request ?? (this.#suits() ? this.request : line));
  }

  /** Whether the request is of columns that there are: then it is kept. */
  #suits() {
    if (!this.request) return false;
    const { inputs, target } = this.understood;
    const used = [...inputs, target, ...groupColumns(this.request)];
    return inputs.length > 0 && used.every((name) => name in this.columns);
  }

  #numeric() {
    return Object.keys(this.columns).filter((name) => !isText(this.columns[name]));
  }

  #chooseModel(name) {
    const before = this.understood;
    if (name === SEVERAL) return this.#changeModel(this.#several(before.target));
    if (name !== FORMULA) return this.#changeModel(this.#family());
    // The first formula is the family's, with the columns for x and y.
    const [x, y] = [before.inputs[0], before.target];
    const spelled = (word) => (word === "x" ? (x ?? word) : word === "y" ? y : word);
    const text = before.kind === "mlp" ? `${y} = a * ${x ?? "x"} + b` : before.text;
    return this.#changeModel(text.replace(/[A-Za-z_]\w*/g, spelled));
  }

  /** A formula that is linear in every other column of numbers. */
  #several(target) {
    const used = this.grouping.columns;
    const inputs = this.#numeric().filter((name) => name !== target && !used.includes(name));
    return [`${target} = b0`, ...inputs.map((name, i) => `b${i + 1} * ${name}`)].join(" + ");
  }

  #family() {
    const name = byId("model").value;
    const target = byId("target").value || this.understood.target;
    const names = this.#numeric().filter((column) => column !== target);
    if (name === "mlp") {
      const before = this.understood.kind === "mlp" ? this.understood.inputs : names;
      const inputs = names.filter((column) => before.includes(column));
      return { ...this.#more(name), name, inputs, target };
    }
    const input = byId("input").value;
    const x = names.includes(input) ? input : names[0];
    return { ...this.#more(name), name, ...(x ? { inputs: [x] } : {}), target };
  }

  /** The options of a family that stays, such as a polynomial's degree. */
  #more(name) {
    const { model } = this.request;
    return typeof model === "object" && model.name === name ? model : {};
  }

  #changeModel(model) {
    const { params: known, inputs } = understood(model, this.columns, this.catalogue.models);
    const kept = Object.entries(this.request.params ?? {}).filter(([p]) => known?.includes(p));
    const uncertain = Object.keys(this.request.sigma_x ?? {}).every((name) => inputs.includes(name));
    this.#set({ model, params: Object.fromEntries(kept), scaling: undefined, ...(uncertain ? {} : { sigma_x: undefined }) });
  }

  #chooseOptimizer(name) {
    const rate = optimizerOf(this.request).learning_rate ?? this.#defaultRate(name);
    const descends = hasRate(name, this.catalogue.optimizers);
    this.#set({ optimizer: descends ? { name, learning_rate: rate } : { name } });
    if (name === "exact") this.#set({ epochs: undefined });
  }

  #defaultRate(name) {
    const options = this.catalogue.optimizers.get(name)?.options ?? [];
    return options.find((option) => option.name === "learning_rate")?.default;
  }

  #chooseScaling(kind) {
    if (kind === "own") return;
    if (kind === "factor") this.#scaleBy(0.1);
    else this.#set({ scaling: kind || undefined });
  }

  #scaleBy(scale) {
    const parts = this.understood.inputs.map((name) => [name, { scale }]);
    this.#set({ scaling: Object.fromEntries(parts) });
  }

  #setRest(text) {
    this.badRest = "";
    try {
      const more = text.trim() ? JSON.parse(text) : {};
      if (typeof more !== "object" || more === null || Array.isArray(more)) throw new Error("not an object");
      this.request = withFix(withoutRest(this.request), more);
    } catch (error) {
      this.badRest = `This is not a JSON object: ${error.message}.`;
    }
  }

  /** Writes a request into the fields. */
  show(request) {
    this.request = request;
    this.understood = understood(request.model, this.columns, this.catalogue.models);
    this.#showModel();
    this.params.show(request, this.understood.params);
    this.noise.show(request, this.#numeric());
    this.inputNoise.show(request, this.#numeric(), this.understood.inputs);
    this.grouping.show(request, this.columns, this.understood);
    this.#showDescent();
    this.#showScaling();
    this.loss.show(request, this.understood.target, this.#numeric());
    this.#showRest();
  }

  #showModel() {
    const { kind, inputs, target } = this.understood;
    const names = this.#numeric();
    this.fields.write("model", kind);
    byId("formula-field").hidden = kind !== FORMULA;
    byId("columns").hidden = kind === FORMULA;
    byId("by").hidden = kind === "mlp";
    byId("inputs").hidden = kind !== "mlp";
    if (kind === FORMULA) this.fields.write("formula", this.request.model);
    const entry = this.catalogue.models.get(kind);
    byId("model-hint").textContent = entry
      ? `${entry.formula}. ${entry.when_to_use}`
      : "Names of columns are inputs; other names are params.";
    const others = names.filter((name) => name !== target);
    offer(this.fields, "target", names, target);
    offer(this.fields, "input", others, inputs[0]);
    checks(this.fields, "inputs", kind === "mlp" ? others : [], inputs, (chosen) =>
      this.#changeModel({ ...this.#family(), inputs: chosen }),
    );
  }

  #showDescent() {
    const { name, learning_rate: rate } = optimizerOf(this.request);
    this.fields.write("optimizer", name);
    byId("optimizer-hint").textContent = this.catalogue.optimizers.get(name)?.when_to_use ?? "";
    byId("rate-field").hidden = !hasRate(name, this.catalogue.optimizers);
    byId("epochs-field").hidden = name === "exact";
    this.#slide("rate", rate ?? this.#defaultRate(name) ?? 0.001);
    this.#slide("epochs", this.request.epochs ?? EPOCHS);
  }

  #showScaling() {
    const { scaling } = this.request;
    const factor = factorOf(this.request);
    const own = scaling && typeof scaling === "object" ? "own" : (scaling ?? "");
    this.fields.write("scaling", factor === undefined ? own : "factor");
    byId("factor-field").hidden = factor === undefined;
    if (factor !== undefined) this.#slide("factor", factor);
  }

  #slide(id, value) {
    const slider = byId(id);
    if (Number(value) > 0 && document.activeElement !== slider) this.fields.write(slider, Math.log10(value));
    slider.setAttribute("aria-valuetext", String(value));
    this.fields.write(`${id}-number`, value);
  }

  #showRest() {
    const more = rest(this.request);
    const some = Object.keys(more);
    byId("more-error").textContent = this.badRest;
    byId("more-error").hidden = !this.badRest;
    byId("further-summary").textContent = some.join(", ");
    if (this.badRest) return;
    this.fields.write("more", some.length ? JSON.stringify(more) : "");
    if (some.length && !this.seen) byId("further").open = this.seen = true;
  }
}

const whole = (value) => (typeof value === "number" && value < 1e9 ? Math.round(value) : value);
