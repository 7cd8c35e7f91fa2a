// Errors of a request, shown at the fields that they point at.

import { byId } from "./dom.js";

/** Shows errors at the fields that they point at; the others above the charts.
 * @returns whether a field is marked */
export function problem(error) {
  clearProblems();
  let placed = false;
  const fields = [...document.querySelectorAll("[data-pointer]")].sort(
    (a, b) => b.dataset.pointer.length - a.dataset.pointer.length,
  );
  const elsewhere = [];
  for (const { pointer, detail } of error.errors ?? []) {
    const field = fields.find(
      (one) => pointer === one.dataset.pointer || pointer.startsWith(`${one.dataset.pointer}/`),
    );
    if (field?.dataset.pointer && !field.parentElement.hidden) {
      const folded = field.closest("details");
      if (folded) folded.open = true;
      place(field, pointer, detail);
      placed = true;
    } else elsewhere.push(detail);
  }
  if (!error.errors?.length) elsewhere.push(error.message);
  byId("problem").textContent = elsewhere.join(" ");
  byId("problem").hidden = !elsewhere.length;
  document.querySelector("#controls [aria-invalid='true']")?.focus();
  return placed;
}

function place(field, pointer, detail) {
  field.textContent = field.textContent ? `${field.textContent} ${detail}` : detail;
  field.hidden = false;
  const param = /^\/params\/([^/]+)/.exec(pointer);
  const name = param?.[1].replace(/~1/g, "/").replace(/~0/g, "~");
  const part = /^\/params\/[^/]+\/([^/]+)/.exec(pointer)?.[1] ?? "value";
  const inputs = param
    ? [...byId("start").querySelectorAll("input")].filter((one) => one.name === name && one.dataset.part === part)
    : document.querySelectorAll(`[aria-describedby~="${field.id}"]`);
  for (const input of inputs) {
    input.setAttribute("aria-invalid", "true");
    if (param) input.setAttribute("aria-describedby", field.id);
  }
}

export function clearProblems() {
  byId("problem").hidden = true;
  for (const field of document.querySelectorAll("[data-pointer]")) {
    field.hidden = true;
    field.textContent = "";
  }
  for (const input of document.querySelectorAll("#controls [aria-invalid]")) {
    input.removeAttribute("aria-invalid");
  }
}
