// The story of the thermometer: steps, each with a live request that the reader can change.

import { call } from "./api.js";
import { byId, element } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { STEPS } from "./story_steps.js";

export class Story {
  /** @param page {begin(), show(request), run()} */
  constructor(page) {
    this.page = page;
    this.texts = STEPS.map(({ request }) => JSON.stringify(request, null, 1).replace(/\n\s*/g, " "));
    byId("story-open").addEventListener("click", () => (byId("story").hidden ? this.open() : this.close()));
  }

  open() {
    byId("story").hidden = false;
    byId("story-open").setAttribute("aria-expanded", "true");
    document.body.dataset.story = "";
    this.#go(0);
  }

  close() {
    byId("story").hidden = true;
    byId("story-open").setAttribute("aria-expanded", "false");
    delete document.body.dataset.story;
    byId("story-open").focus();
  }

  /** Shows a fit that has ended, if it is the step's. */
  ended(fit) {
    if (byId("story").hidden || STEPS[this.at].path !== "fit" || !this.waiting) return;
    this.waiting = false;
    this.#answer(STEPS[this.at].seen(fit));
  }

  #go(step) {
    this.at = step;
    this.waiting = false;
    const { title, text, path } = STEPS[step];
    const heading = element("h3", { id: "story-step", tabindex: "-1" }, `${step + 1}. ${title}`);
    const request = element("textarea", {
      id: "story-request",
      rows: 3,
      spellcheck: "false",
      autocomplete: "off",
      "aria-describedby": "story-error",
      oninput: (event) => (this.texts[this.at] = event.target.value),
    });
    request.value = this.texts[step];
    byId("story").replaceChildren(
      element(
        "div",
        { class: "row" },
        element("h2", { id: "story-title" }, "The unlabelled thermometer"),
        element("button", { type: "button", class: "quiet", id: "story-close", onclick: () => this.close() }, "Close"),
      ),
      this.#places(),
      heading,
      ...text.map((paragraph) => element("p", {}, ...coded(paragraph))),
      element("label", { for: "story-request" }, `POST /${path}, with the eleven rows: change what you like`),
      request,
      element("p", { id: "story-error", class: "error", role: "alert", hidden: true }),
      this.#buttons(),
      element("div", { id: "story-answer", role: "status" }),
    );
    heading.focus({ preventScroll: true });
    this.#illustrate(JSON.parse(JSON.stringify(STEPS[step].request)));
  }

  #places() {
    const places = STEPS.map(({ title }, i) =>
      element(
        "li",
        {},
        element(
          "button",
          { type: "button", class: "quiet", "aria-current": i === this.at ? "step" : null, "aria-label": `${i + 1}: ${title}`, onclick: () => this.#go(i) },
          String(i + 1),
        ),
      ),
    );
    return element("ol", { id: "story-places", "aria-label": "Steps" }, ...places);
  }

  #buttons() {
    const button = (id, words, action, more = {}) => element("button", { type: "button", id, onclick: action, ...more }, words);
    const last = this.at === STEPS.length - 1;
    return element(
      "div",
      { class: "act" },
      button("story-send", "Send it", () => this.#send(), { class: "primary" }),
      button("story-reset", "As it was", () => this.#reset()),
      button("story-back", "Back", () => this.#go(this.at - 1), { disabled: this.at === 0 }),
      button("story-next", last ? "Begin again" : `Next: ${STEPS[this.at + 1].title}`, () => this.#go(last ? 0 : this.at + 1)),
    );
  }

  #reset() {
    this.texts[this.at] = JSON.stringify(STEPS[this.at].request, null, 1).replace(/\n\s*/g, " ");
    byId("story-request").value = this.texts[this.at];
    this.#fail("");
  }

  /** Shows a request's model and params in the charts below. */
  #illustrate({ model, params, scaling, optimizer = "auto", epochs }) {
    if (byId("example").value !== "thermometer") this.page.begin();
    const descent = { ...(scaling ? { scaling } : {}), ...(epochs ? { epochs } : {}) };
    const given = STEPS[this.at].path === "fit" ? { optimizer, ...descent } : { optimizer: { name: "sgd", learning_rate: 0.0001 } };
    this.page.show({ model, params, ...given });
  }

  async #send() {
    const { path, seen } = STEPS[this.at];
    const { columns } = EXAMPLES.thermometer;
    const at = this.at;
    this.#fail("");
    try {
      const asked = parsed(byId("story-request").value);
      this.#illustrate(asked);
      if (path === "fit") {
        this.page.show(asked);
        this.waiting = true;
        return await this.page.run();
      }
      const found = await call(path, { body: { data: columns, ...asked } });
      if (at === this.at) this.#answer(seen(found, columns));
    } catch (error) {
      this.#fail((error.errors ?? []).map(({ detail }) => detail).join(" ") || error.message);
    }
  }

  #answer(pairs) {
    const rows = pairs.map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", { class: "code" }, value)),
    );
    byId("story-answer").replaceChildren(
      element("dl", {}, ...rows),
      element("p", { class: "story-next" }, ...coded(STEPS[this.at].next)),
    );
  }

  #fail(text) {
    byId("story-answer").replaceChildren();
    byId("story-error").textContent = text;
    byId("story-error").hidden = !text;
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}.`);
  }
}

/** Text with `code`. */
const coded = (text) => text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part));
