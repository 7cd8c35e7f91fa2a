// The data: an example, pasted text, or a file that is opened or dropped.

import { Unreadable, read, write } from "./csv.js";
import { byId, element, settled } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { count } from "./format.js";

const OWN = "own";
const LONGEST_SHOWN = 200_000;

export class DataField {
  /**
   * @param onData called with {columns, units, request, lesson}; request is null for own data
   * * @param onRefused called if the field's content cannot be read; `refused` has the reason
   */
  constructor(onData, onRefused) {
    this.onData = onData;
    this.onRefused = onRefused;
    this.refused = "";
    const titles = Object.entries(EXAMPLES).map(([value, { title }]) => [value, title]);
    byId("example").append(
      ...[...titles, [OWN, "Your own data"]].map(([value, title]) =>
        element("option", { value }, title),
      ),
    );
    byId("example").addEventListener("change", (event) => this.example(event.target.value));
    byId("csv").addEventListener("input", settled(() => this.text(byId("csv").value), 250));
    byId("open").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", (event) => this.file(event.target.files[0]));
    this.#drops();
  }

  /** Selects an example; for "own", clears the field. */
  example(name) {
    const found = EXAMPLES[name];
    byId("example").value = name;
    if (!found) {
      byId("csv").value = "";
      byId("csv").focus();
      this.#say("Paste columns with a header, such as x,y.");
      return this.#refuse("No data yet.");
    }
    const { columns, units, request, lesson } = found;
    byId("csv").value = write(columns);
    this.#say(described(columns, units));
    this.onData({ columns, units, request: structuredClone(request), lesson });
  }

  async file(file) {
    if (!file) return;
    const text = await file.text();
    const long = text.length > LONGEST_SHOWN;
    byId("csv").value = long ? "" : text;
    byId("csv").placeholder = long ? `${file.name} is too long to be shown` : "";
    this.text(text);
    byId("file").value = "";
  }

  text(text) {
    byId("example").value = OWN;
    try {
      const { columns, units, skipped } = read(text);
      const without = skipped.length ? ` Text columns ignored: ${skipped.join(", ")}.` : "";
      this.#say(described(columns, units) + without);
      this.onData({ columns, units, request: null, lesson: "" });
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      this.#say("");
      this.#fail(error.message);
      this.#refuse("The data cannot be read.");
    }
  }

  #refuse(why) {
    this.refused = why;
    this.onRefused();
  }

  #say(text) {
    this.refused = "";
    byId("data-hint").textContent = text;
    this.#fail("");
  }

  #fail(text) {
    byId("csv-error").textContent = text;
    byId("csv-error").hidden = !text;
    byId("csv").toggleAttribute("aria-invalid", false);
    if (text) byId("csv").setAttribute("aria-invalid", "true");
  }

  #drops() {
    const veil = byId("drop");
    const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragover", (event) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      veil.hidden = false;
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) veil.hidden = true;
    });
    addEventListener("drop", (event) => {
      if (!holdsFile(event)) return;
      event.preventDefault();
      veil.hidden = true;
      this.file(event.dataTransfer.files[0]);
    });
  }
}

function described(columns, units) {
  const names = Object.keys(columns);
  const rows = columns[names[0]].length;
  const labels = names.map((name) => (units[name] ? `${name} [${units[name]}]` : name));
  return `${count(rows, "row")}: ${labels.join(", ")}`;
}
