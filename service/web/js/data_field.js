// The data: an example, pasted text, or a file that is opened or dropped. The service reads it.

import { isText, read, typeOf, write } from "./csv.js";
import { byId, element, settled } from "./dom.js";
import { EXAMPLES } from "./examples.js";
import { count } from "./format.js";

const OWN = "own";
const LONGEST_SHOWN = 200_000;
const OPTIONS = ["separator", "decimal", "header", "units_row", "dates", "dates_unit", "skip_rows", "max_rows", "stack", "missing_values"];
const SIGNS = { ",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces" };

export class DataField {
  /**
   * @param onData called with {columns, units, request, lesson}; request is null for own data
   * @param onRefused called if the field's content cannot be read; `refused` has the reason
   */
  constructor(onData, onRefused) {
    this.onData = onData;
    this.onRefused = onRefused;
    this.refused = "";
    this.version = 0;
    const titles = Object.entries(EXAMPLES).map(([value, { title }]) => [value, title]);
    byId("example").append(
      ...[...titles, [OWN, "Your own data"]].map(([value, title]) =>
        element("option", { value }, title),
      ),
    );
    byId("example").addEventListener("change", (event) => this.example(event.target.value));
    const typed = settled(() => this.commit(), 250);
    byId("csv").addEventListener("input", typed);
    for (const id of OPTIONS) byId(id).addEventListener("change", typed);
    byId("open").addEventListener("click", () => byId("file").click());
    byId("file").addEventListener("change", (event) => this.file(event.target.files[0]));
    this.#drops();
  }

  /** Selects an example; for "own", clears the field. */
  example(name) {
    const found = EXAMPLES[name];
    this.version += 1;
    byId("example").value = name;
    this.#reset();
    if (!found) {
      this.#shows("", null);
      byId("csv").focus();
      this.#say("Paste columns with a header, such as x,y.");
      return this.#refuse("No data yet.");
    }
    const { columns, units, request, lesson } = found;
    this.#shows(write(columns, units), null);
    this.#say(described(columns, units));
    this.onData({ columns, units, request: structuredClone(request), lesson });
  }

  #reset() {
    for (const id of OPTIONS) byId(id).value = "";
    byId("reading-hint").textContent = "";
  }

  /** What the field holds now: its text, or the file that it stands for; and how it is read. */
  #shows(text, source) {
    byId("csv").value = text;
    byId("csv").placeholder = source && !text ? `${source.name} is not shown; what you type replaces it.` : "";
    this.source = source;
    this.shown = byId("csv").value; // with its own line ends
    this.options = this.#options();
    this.pending = undefined;
  }

  #options() {
    return Object.fromEntries(OPTIONS.map((id) => [id, byId(id).value]));
  }

  /** The text and the options, for a link; the text is null where it is too long to be shown. */
  get state() {
    const given = Object.entries(this.options).filter(([, value]) => value !== "");
    return { csv: this.source && !this.shown ? null : this.shown, reading: Object.fromEntries(given) };
  }

  /** Shows what a link holds. */
  async restore({ csv, reading = {} }, request) {
    this.#reset();
    for (const id of OPTIONS) byId(id).value = reading[id] ?? "";
    byId("example").value = OWN;
    byId("csv").value = csv;
    await this.#read({ content: csv, type: "text/csv", name: "" }, csv, request);
  }

  async file(file) {
    if (!file) return;
    this.#reset();
    byId("example").value = OWN;
    const content = await file.arrayBuffer();
    byId("file").value = "";
    await this.#read({ content, type: typeOf(file.name), name: file.name }, null, null);
  }

  /** Reads what the field holds, if that has changed; the last of several calls counts. */
  async commit() {
    const text = byId("csv").value;
    const same = JSON.stringify(this.#options()) === JSON.stringify(this.options);
    if (text === this.shown && same) return this.pending;
    byId("example").value = OWN;
    const file = text === this.shown ? this.source : null;
    const source = file ?? { content: text, type: "text/csv", name: "" };
    this.shown = text;
    this.pending = this.#read(source, text, null);
    return this.pending;
  }

  /** @param text what the field shows; null: to be decoded from the bytes */
  async #read(...given) {
    document.body.dataset.reading = "true";
    const version = ++this.version;
    await this.#readAs(version, ...given);
    if (version === this.version) document.body.dataset.reading = "false";
  }

  async #readAs(version, source, text, request) {
    this.options = this.#options();
    let found;
    try {
      found = await read(source.content, source.type, this.options);
    } catch (error) {
      if (version !== this.version) return;
      if (text === null) this.#shows(decoded(source.content, source.type).slice(0, LONGEST_SHOWN), source);
      else this.shown = text;
      this.#say("");
      this.#fail((error.errors ?? []).map(({ detail }) => detail).join(" ") || error.message);
      return this.#refuse("The data cannot be read.");
    }
    if (version !== this.version) return;
    const { columns, units, reading } = found;
    if (text === null) {
      const { content, type } = source;
      const whole = reading ? decoded(content, type, reading.charset) : write(columns, units);
      this.#shows(whole.length > LONGEST_SHOWN ? "" : whole, source);
    } else Object.assign(this, { shown: text, source: source.name ? source : null });
    this.#say(described(columns, units));
    byId("reading-hint").textContent = understood(reading);
    const numeric = Object.values(columns).some((column) => !isText(column));
    if (!found.n || !numeric) {
      this.#fail(found.n ? "No column has numbers." : "There are no rows of values.");
      return this.#refuse("The data cannot be read.");
    }
    this.onData({ columns, units, request, lesson: "" });
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
    byId("csv").removeAttribute("aria-invalid");
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
  const labels = names.map((name) => {
    if (isText(columns[name])) return `${name} (text)`;
    return units[name] ? `${name} [${units[name]}]` : name;
  });
  return `${count(rows, "row")}: ${labels.join(", ")}`;
}

/** What the service understood of a text. */
function understood(reading) {
  if (!reading) return "";
  const { separator, decimal, charset, left_out: out, header_line: header, dates, marks } = reading;
  const parts = [
    `Separated by ${SIGNS[separator] ?? separator}, decimal ${decimal === "," ? "comma" : "point"}, ${charset}`,
    header ? `named in line ${header}` : "without a header",
  ];
  if (out) parts.push(`${count(out, "line")} left out`);
  for (const [name, { unit, since }] of Object.entries(dates)) {
    parts.push(`${name} in ${unit} since ${since}`);
  }
  for (const [name, n] of Object.entries(marks)) parts.push(`${name}: ${count(n, "mark")} of an instrument as missing`);
  return `${parts.join("; ")}.`;
}

/** Text of a file for the field; none of a binary one. */
function decoded(content, type, charset = "utf-8") {
  if (typeof content === "string") return content;
  if (!type.startsWith("text/")) return "";
  const bytes = new Uint8Array(content);
  const text = new TextDecoder(bytes[0] === 0xfe ? "utf-16be" : charset).decode(content);
  return text.includes("\0") ? "" : text;
}
