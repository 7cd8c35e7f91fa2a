// Tables to columns, read by the service as it reads every body; and columns to CSV.

import { call } from "./api.js";

const TYPES = {
  tsv: "text/tab-separated-values",
  npz: "application/x-npz",
  arrow: "application/vnd.apache.arrow.file",
  feather: "application/vnd.apache.arrow.file",
  arrows: "application/vnd.apache.arrow.stream",
};

/** The Content-Type for a file's name. */
export const typeOf = (name) => TYPES[name.split(".").at(-1).toLowerCase()] ?? "text/csv";

/**
 * @param content text or bytes
 * @param options of the reading, by name; empty ones are left out
 * @returns {columns: {name: (number|string|null)[]}, units: {name: string}, n, reading}
 *   Throws Problem.
 */
export async function read(content, type, options) {
  const given = Object.entries(options).filter(([, value]) => value !== "");
  const query = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  const path = query ? `read?${query}` : "read";
  const { data, ...found } = await call(path, { file: { content, type } });
  return { columns: data, ...found };
}

/** Whether a column holds text. */
export const isText = (column) => column.some((value) => typeof value === "string");

/** The columns as CSV, numbers with all digits, and their units in the header. */
export function write(columns, units = {}) {
  const names = Object.keys(columns);
  const header = names.map((name) => (units[name] ? `${name} [${units[name]}]` : name));
  const rows = columns[names[0]].map((_, i) => names.map((name) => columns[name][i] ?? ""));
  return [header, ...rows].map((cells) => `${cells.map(quoted).join(",")}\n`).join("");
}

const quoted = (cell) =>
  /[",\n\r]|^\s|\s$/.test(String(cell)) ? `"${String(cell).replace(/"/g, '""')}"` : String(cell);
