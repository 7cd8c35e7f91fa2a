// What was checked before the verdict, and what each check found.

import { call } from "./api.js";
import { byId, element } from "./dom.js";

let catalogue = null;

/** Fills the list when it is opened. */
export function showChecks(fit) {
  const list = byId("checks");
  list.open = false;
  byId("checks-list").replaceChildren();
  list.ontoggle = () => list.open && fill(fit);
}

async function fill(fit) {
  catalogue ??= (await call("diagnostics")).diagnostics;
  const found = new Map(fit.diagnostics.map((one) => [one.code, one.severity]));
  const items = catalogue.map(({ code, seen }) => {
    const severity = found.get(code);
    const words = severity ? element("span", { class: `severity ${severity}` }, "found") : "not found";
    return element("li", { "data-code": code, "data-found": Boolean(severity) }, element("b", {}, titled(code)), ": ", words, element("span", { class: "hint" }, `. Looked for: ${seen}.`));
  });
  items.sort((a, b) => Number(b.hasAttribute("data-found")) - Number(a.hasAttribute("data-found")));
  byId("checks-list").replaceChildren(...items);
}

const titled = (code) => code.charAt(0).toUpperCase() + code.slice(1).replace(/_/g, " ");
