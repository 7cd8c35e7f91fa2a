// The families of the catalogue on the data shown: which model?

import { call } from "./api.js";
import { byId, element } from "./dom.js";
import { count, number } from "./format.js";

const MOST = 10;
const HEADS = ["model", "k", "AICc", "Δ", "weight", "verdict"];

export class Comparison {
  /** @param use called with the name of the family that is chosen */
  constructor(families, use) {
    this.families = families;
    this.use = use;
    this.version = 0;
    byId("compare").addEventListener("click", () => this.#compare());
  }

  /** Offers a comparison for a fit of one column by another; else hides it. */
  show(fit, scene) {
    this.version += 1;
    const { inputs, target } = scene?.understood ?? { inputs: [] };
    const usable = Boolean(fit) && !fit.groups && inputs.length === 1 && target in scene.columns;
    byId("comparison").hidden = !usable;
    this.asked = usable ? asked(scene, inputs, target) : null;
    this.#table(null);
    this.#say("", "");
  }

  async #compare() {
    this.version += 1;
    const { version } = this;
    byId("compare").disabled = true;
    this.#say("Comparing…", "");
    try {
      const found = await call("compare", { body: this.asked });
      if (version !== this.version) return;
      this.#table(found);
      this.#say(this.#summary(found), "");
    } catch (error) {
      if (version !== this.version) return;
      this.#table(null);
      this.#say("", error.errors?.map(({ detail }) => detail).join(" ") || error.message);
    } finally {
      byId("compare").disabled = false;
    }
  }

  #say(hint, problem) {
    byId("comparison-status").textContent = hint;
    byId("comparison-error").textContent = problem;
    byId("comparison-error").hidden = !problem;
  }

  #table(found) {
    byId("comparison-scroll").hidden = !found;
    byId("comparison-table").replaceChildren(...(found ? this.#rows(found) : []));
    byId("comparison-notes").replaceChildren(
      ...(found?.diagnostics ?? []).map(({ severity, message }) =>
        element("li", {}, element("span", { class: `severity ${severity}` }, severity), ` ${message}`),
      ),
    );
  }

  #rows(found) {
    const head = element("tr", {}, ...HEADS.map((text) => element("th", { scope: "col" }, text)));
    const rows = found.models.slice(0, MOST).map((model) => this.#row(model));
    if (found.models.length > MOST) {
      const more = `and ${count(found.models.length - MOST, "more family", "more families")}`;
      rows.push(element("tr", {}, element("td", { colspan: HEADS.length }, more)));
    }
    return [element("thead", {}, head), element("tbody", {}, ...rows)];
  }

  #title(name) {
    return this.families.get(name)?.title ?? name;
  }

  #summary({ best, models, n }) {
    const what = `${count(models.length, "family", "families")} on ${count(n, "row")}`;
    return best
      ? `${what}; by AICc the first is “${this.#title(best)}”.`
      : `${what}; none of them is first.`;
  }

  #row(model) {
    const name = element(
      "button",
      { type: "button", class: "quiet", title: "Fit this model", onclick: () => this.use(model.label) },
      this.#title(model.label),
    );
    return element(
      "tr",
      { "data-model": model.label, "data-rank": model.rank },
      element("th", { scope: "row" }, name),
      element("td", {}, number(model.k)),
      element("td", {}, known(model.aicc, 6)),
      element("td", {}, known(model.delta, 3)),
      element("td", {}, weight(model.weight)),
      element("td", { class: model.verdict }, model.verdict),
    );
  }
}

/** The request: the family's place is the fit's, and so are the noise and the rows. */
function asked({ request, columns }, inputs, target) {
  const { sigma, sigma_absolute, weights } = request;
  const complete = [inputs[0], target].every((name) => !columns[name].includes(null));
  return {
    data: columns,
    models: { name: "catalogue", inputs, target },
    ...(sigma === undefined ? {} : { sigma }),
    ...(weights === undefined ? {} : { weights }),
    ...(sigma_absolute === undefined ? {} : { sigma_absolute }),
    ...(complete ? {} : { missing: "drop" }),
  };
}

const known = (value, digits) => (value === null ? "–" : number(value, digits));

function weight(value) {
  if (value === null) return "–";
  return value < 0.001 ? "< 0.001" : value.toFixed(3);
}
