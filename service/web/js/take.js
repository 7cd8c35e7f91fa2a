// What can be taken away: the fit, predictions, pictures, a link, a command.

import { blob, call } from "./api.js";
import { write } from "./csv.js";
import { byId, copy, download, element } from "./dom.js";
import { linkTo } from "./link.js";

const VIEWS = { fit: "the fit", residuals: "the residuals", loss: "the loss by epoch", path: "the path of two params" };

export class Take {
  /** @param page has `curl()` and `state()`, of the request that stands in the form */
  constructor(page) {
    this.page = page;
    this.fit = null;
    byId("picture").append(...Object.entries(VIEWS).map(([value, title]) => element("option", { value }, title)));
    const on = (id, action) =>
      byId(id).addEventListener("click", async () => {
        try {
          byId("taken").textContent = (await action()) ?? "";
        } catch (error) {
          byId("taken").textContent = error.message;
        }
      });
    on("link", () => this.#link());
    on("download-fit", () => download("fit.json", `${JSON.stringify(this.fit, null, 2)}\n`, "application/json"));
    on("download-predictions", () => this.#predictions());
    on("download-picture", () => this.#picture());
    byId("copy").addEventListener("click", () => this.#copy());
  }

  /** Offers what there is of a fit. */
  show(fit, scene) {
    if (fit !== this.fit) byId("taken").textContent = "";
    Object.assign(this, { fit, scene });
    for (const button of document.querySelectorAll("[data-fit]")) button.hidden = !fit;
    byId("download-predictions").hidden = !fit || Boolean(fit.groups);
    byId("pictures").hidden = !fit || Boolean(fit.groups);
  }

  async #link() {
    const state = await this.page.state();
    if (state.csv === null) throw new Error("The file is too long for a link: send it instead.");
    const link = await linkTo(state);
    const done = await copy(link);
    history.replaceState(null, "", link);
    return done
      ? `Copied: ${link.length.toLocaleString("en")} characters. It holds the data and the request; the server keeps nothing of it.`
      : "The address of this page is now the link.";
  }

  async #copy() {
    const done = await copy(await this.page.curl());
    byId("copied").textContent = done ? "Copied." : "Could not copy: select the text above.";
  }

  async #picture() {
    const [view, format] = [byId("picture").value, byId("picture-format").value];
    const theme = descentTheme.isDark() ? "dark" : "light";
    const drawn = await blob(`jobs/${this.fit.job_id}/plot/${view}.${format}?theme=${theme}`);
    download(`${view}.${format}`, drawn, drawn.type);
    return `${view}.${format}: in the ${theme} theme.`;
  }

  async #predictions() {
    const names = this.fit.model.inputs;
    const { columns, units } = this.scene;
    const inputs = Object.fromEntries(names.map((name) => [name, columns[name]]));
    const banded = this.fit.predict.covariance ? { interval: "confidence" } : {};
    const found = await call("predict", { body: { ...this.fit.predict, data: inputs, ...banded } });
    const { predictions, target, lower, upper } = found;
    const measured = columns[target] ? { [target]: columns[target] } : {};
    const band = lower ? { lower, upper } : {};
    download("predictions.csv", write({ ...inputs, ...measured, predicted: predictions, ...band }, units), "text/csv");
  }
}
