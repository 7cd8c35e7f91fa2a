// The fields of a request. Members without a field, such as those of a suggestion, are kept.

import { byId, element } from "./dom.js";
import { plain } from "./format.js";
import { FORMULA, hasRate, likelihoodOf, lossOf, optimizerOf, startOf, understood } from "./request.js";

const EPOCHS = 1000;

export class Form {
  /**
   * @param catalogue {models, optimizers, losses, likelihoods}, each a Map by name
   * @param onEdit called with the request after each edit
   */
  constructor(catalogue, onEdit) {
    this.catalogue = catalogue;
    this.onEdit = onEdit;
    this.#options("model", [...catalogue.models.values()], (model) => model.title);
    byId("model").prepend(element("option", { value: FORMULA }, "A formula"));
    this.#options("optimizer", [...catalogue.optimizers.values()], (one) => one.name);
    this.#options("loss", [...catalogue.losses.values()], (one) => one.name);
    const counts = [...catalogue.likelihoods.values()].map(({ name }) =>
      element("option", { value: name }, `${name} counts`),
    );
    byId("loss").append(element("optgroup", { label: "Likelihoods" }, ...counts));
    this.#listen();
  }

  #options(id, entries, title) {
    byId(id).append(
      ...entries.map((entry) => element("option", { value: entry.name }, title(entry))),
    );
  }

  #listen() {
    const on = (id, event, edit) =>
      byId(id).addEventListener(event, (happened) => {
        edit(happened.target.value);
        this.onEdit(this.request);
        this.show(this.request);
      });
    on("model", "change", (value) => this.#chooseModel(value));
    on("formula", "change", (value) => this.#changeModel(value.trim()));
    on("target", "change", () => this.#changeModel(this.#family()));
    on("input", "change", () => this.#changeModel(this.#family()));
    on("optimizer", "change", (name) => this.#chooseOptimizer(name));
    on("scaling", "change", (kind) => this.#chooseScaling(kind));
    on("loss", "change", (name) => this.#chooseLoss(name));
    on("weight", "change", (column) => this.#chooseWeight(column));
    this.#slider(on, "rate", (rate) => {
      this.#set({ optimizer: { ...optimizerOf(this.request), learning_rate: rate } });
    });
    this.#slider(on, "epochs", (epochs) => this.#set({ epochs: whole(epochs) }));
    this.#slider(on, "factor", (factor) => this.#scaleBy(factor));
  }

  /** A logarithmic slider with a number field. */
  #slider(on, id, set) {
    on(id, "input", (power) => set(Number(plain(10 ** Number(power)))));
    on(`${id}-number`, "change", (text) => set(typed(text)));
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
    const names = Object.keys(columns);
    const target = names.includes("y") ? "y" : names.at(-1);
    const inputs = names.filter((name) => name !== target).slice(0, 1);
    const line = { model: { name: "linear", inputs, target }, params: {}, optimizer: "auto" };
    this.show(request ?? line);
  }

  #chooseModel(name) {
    const before = this.understood;
    if (name !== FORMULA) {
      this.#changeModel(this.#family());
      return;
    }
    // The first formula is the family's, with the columns for x and y.
    const [x, y] = [before.inputs[0], before.target];
    const spelled = (word) => (word === "x" ? (x ?? word) : word === "y" ? y : word);
    const text = before.kind === "mlp" ? `${y} = a * ${x ?? "x"} + b` : before.text;
    this.#changeModel(text.replace(/[A-Za-z_]\w*/g, spelled));
  }

  #family() {
    const name = byId("model").value;
    const target = byId("target").value;
    if (name === "mlp") return { name, target };
    const names = Object.keys(this.columns).filter((column) => column !== target);
    const input = byId("input").value;
    const x = names.includes(input) ? input : names[0];
    return { name, ...(x ? { inputs: [x] } : {}), target };
  }

  #changeModel(model) {
    const { params: known } = understood(model, this.columns, this.catalogue.models);
    const kept = Object.entries(this.request.params ?? {}).filter(([p]) => known?.includes(p));
    this.#set({ model, params: Object.fromEntries(kept), scaling: undefined });
  }

  #chooseOptimizer(name) {
    const rate = optimizerOf(this.request).learning_rate ?? this.#defaultRate(name);
    const descends = hasRate(name, this.catalogue.optimizers);
    this.#set({ optimizer: descends ? { name, learning_rate: rate } : { name } });
    if (name === "exact") this.#set({ epochs: undefined });
  }

  #chooseLoss(name) {
    const counts = this.catalogue.likelihoods.has(name);
    this.#set({
      likelihood: counts ? name : undefined,
      loss: counts || name === "mse" ? undefined : name,
    });
  }

  #chooseWeight(column) {
    const { name, option } = this.#likelihood();
    this.#set({ likelihood: column ? { name, [option]: column } : name });
  }

  /** The likelihood of the request, and its option for the weight of a row; or null. */
  #likelihood() {
    const likelihood = likelihoodOf(this.request);
    const entry = this.catalogue.likelihoods.get(likelihood?.name);
    const option = entry?.options.find(({ name }) => name !== "overdispersion").name;
    return entry ? { ...likelihood, option } : null;
  }

  #showLoss() {
    const likelihood = this.#likelihood();
    set("loss", likelihood?.name ?? lossOf(this.request).name);
    byId("weight-field").hidden = !likelihood;
    if (!likelihood) return;
    const { option } = likelihood;
    byId("weight-label").textContent = option === "n" ? "Trials (n)" : "Exposure";
    const others = Object.keys(this.columns).filter((name) => name !== this.understood.target);
    choose("weight", ["", ...others], likelihood[option] ?? "");
    byId("weight").options[0].textContent = "1 in each row";
  }

  #defaultRate(name) {
    const options = this.catalogue.optimizers.get(name).options;
    return options.find((option) => option.name === "learning_rate")?.default;
  }

  #chooseScaling(kind) {
    if (kind === "factor") this.#scaleBy(0.1);
    else this.#set({ scaling: kind || undefined });
  }

  #scaleBy(scale) {
    const parts = this.understood.inputs.map((name) => [name, { scale }]);
    this.#set({ scaling: Object.fromEntries(parts) });
  }

  #start(name, text) {
    const params = { ...this.request.params };
    if (text.trim() === "") delete params[name];
    else params[name] = typed(text); // also frees a fixed one
    this.#set({ params });
    this.onEdit(this.request);
  }

  /** Writes a request into the fields. */
  show(request) {
    this.request = request;
    this.understood = understood(request.model, this.columns, this.catalogue.models);
    this.#showModel();
    this.#showStart();
    this.#showDescent();
    this.#showScaling();
    this.#showLoss();
  }

  #showModel() {
    const { kind, inputs, target } = this.understood;
    const names = Object.keys(this.columns);
    set("model", kind);
    byId("formula-field").hidden = kind !== FORMULA;
    byId("columns").hidden = kind === FORMULA;
    byId("by").hidden = kind === "mlp";
    if (kind === FORMULA) set("formula", this.request.model);
    const entry = this.catalogue.models.get(kind);
    byId("model-hint").textContent = entry
      ? `${entry.formula}. ${entry.when_to_use}`
      : "Names of columns are inputs; other names are params.";
    choose("target", names, target);
    choose(
      "input",
      names.filter((name) => name !== target),
      inputs[0],
    );
  }

  #showStart() {
    const { params } = this.understood;
    byId("start-field").hidden = !params?.length;
    const shown = [...byId("start").querySelectorAll("input")].map((input) => input.name);
    if (shown.join() !== (params ?? []).join()) {
      byId("start").replaceChildren(
        ...(params ?? []).map((name) =>
          element(
            "label",
            { class: "code" },
            element("span", {}, name),
            element("input", {
              name,
              class: "code",
              inputmode: "decimal",
              autocomplete: "off",
              onchange: (event) => this.#start(name, event.target.value),
            }),
          ),
        ),
      );
    }
    for (const input of byId("start").querySelectorAll("input")) {
      const param = this.request.params?.[input.name];
      write(input, startOf(param) ?? "");
      input.previousElementSibling.textContent = `${input.name}${param?.fixed ? ", fixed" : ""}`;
    }
  }

  #showDescent() {
    const { name, learning_rate: rate } = optimizerOf(this.request);
    set("optimizer", name);
    byId("optimizer-hint").textContent = this.catalogue.optimizers.get(name)?.when_to_use ?? "";
    byId("rate-field").hidden = !hasRate(name, this.catalogue.optimizers);
    byId("epochs-field").hidden = name === "exact";
    slide("rate", rate ?? this.#defaultRate(name) ?? 0.001);
    slide("epochs", this.request.epochs ?? EPOCHS);
  }

  #showScaling() {
    const { scaling } = this.request;
    const given = scaling && typeof scaling === "object";
    set("scaling", given ? "factor" : (scaling ?? ""));
    byId("factor-field").hidden = !given;
    if (given) slide("factor", Object.values(scaling)[0]?.scale ?? 1);
  }
}

/** The number typed; other text is kept, for the service to refuse. */
function typed(text) {
  const value = Number(text.trim());
  return text.trim() === "" || Number.isNaN(value) ? text : value;
}

const whole = (value) => (typeof value === "number" && value < 1e9 ? Math.round(value) : value);

/** Sets a field's value, unless it has the focus. */
function write(input, value) {
  const text = String(value);
  if (input.value !== text && (document.activeElement !== input || input.type === "range")) {
    input.value = text;
  }
}

const set = (id, value) => write(byId(id), value);

function choose(id, names, chosen) {
  byId(id).replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  byId(id).value = chosen ?? "";
}

function slide(id, value) {
  const slider = byId(id);
  if (Number(value) > 0 && document.activeElement !== slider) slider.value = Math.log10(value);
  slider.setAttribute("aria-valuetext", String(value));
  byId(`${id}-number`).value = String(value);
}
