// Fields of a form whose edits are applied as they are made, and in any case before a run.

import { byId, element } from "./dom.js";

/** What is in an element: its text, or whether it is checked. */
const held = (input) => (input.type === "checkbox" ? input.checked : input.value);

/** The fields, each with the function that applies an edit. */
export class Fields {
  /** @param applied called after an edit, with whether it is complete: nobody writes on in the field */
  constructor(applied) {
    this.applied = applied;
    this.edits = new Map();
    this.shown = new WeakMap();
  }

  /** Adds a field, by its id or as an element. */
  add(field, edit) {
    const input = typeof field === "string" ? byId(field) : field;
    this.edits.set(input, edit);
    this.shown.set(input, held(input));
    for (const event of ["input", "change"]) {
      input.addEventListener(event, () => this.#apply(input, event === "change"));
    }
    return input;
  }

  /** Removes the fields that are no longer in the page. */
  prune() {
    for (const input of this.edits.keys()) if (!input.isConnected) this.edits.delete(input);
  }

  #apply(input, left) {
    if (held(input) === this.shown.get(input)) {
      if (left) this.applied(true); // brings it into its usual notation
      return;
    }
    this.shown.set(input, held(input));
    this.edits.get(input)(held(input));
    this.applied(left || !isWritten(input));
  }

  /** Applies what has been written into any field without an event. */
  commit() {
    for (const [input, edit] of [...this.edits]) {
      if (!input.isConnected || held(input) === this.shown.get(input)) continue;
      this.shown.set(input, held(input));
      edit(held(input));
    }
  }

  /** Writes a value into a field, but not into one in which somebody writes. */
  write(field, value) {
    const input = typeof field === "string" ? byId(field) : field;
    if (input.type === "checkbox") input.checked = Boolean(value);
    else if (document.activeElement === input && isWritten(input) && !this.leaving) return;
    else if (input.value !== String(value)) input.value = String(value);
    this.shown.set(input, held(input));
  }
}

const isWritten = (input) => input.tagName === "TEXTAREA" || (input.tagName === "INPUT" && input.type !== "range");

/** Replaces the options of a list of names. */
export function offer(fields, id, names, chosen) {
  const list = byId(id);
  const have = [...list.options].map((option) => option.value);
  if (have.join("\n") !== names.join("\n")) {
    list.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  }
  fields.write(list, chosen ?? "");
}

/** Check boxes for names; `toggled` gets the checked ones. */
export function checks(fields, id, names, checked, toggled) {
  const host = byId(id);
  const have = [...host.querySelectorAll("input")].map((input) => input.name);
  if (have.join("\n") !== names.join("\n") || !names.length) {
    host.replaceChildren(
      ...names.map((name) => {
        const input = element("input", { type: "checkbox", name });
        return element("label", { class: "check code" }, input, name);
      }),
    );
    fields.prune();
    for (const input of host.querySelectorAll("input")) {
      fields.add(input, () => {
        const all = [...host.querySelectorAll("input:checked")].map((one) => one.name);
        host.toggled(all);
      });
    }
  }
  host.toggled = toggled;
  for (const input of host.querySelectorAll("input")) fields.write(input, checked.includes(input.name));
}

/** The number typed; other text is kept, for the service to refuse. */
export function typed(text) {
  const value = Number(String(text).trim());
  return String(text).trim() === "" || Number.isNaN(value) ? text : value;
}
