// CSV text to columns. Papa Parse detects the delimiter and handles quotes.

const UNIT = /^(.*?)\s*[[(]\s*([^\])]*?)\s*[\])]$/u;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const DECIMAL_COMMA = /^[+-]?\d+,\d+(e[+-]?\d+)?$/i;
const MISSING = new Set(["", "na", "n/a", "nan", "null", "-"]);

/** An error in a CSV, with a message for the user. */
export class Unreadable extends Error {}

/**
 * @param text comma, semicolon or tab; with a header or without; # starts a comment
 * @returns {columns: {name: (number|null)[]}, units: {name: string}, rows, skipped: [name]}
 *   `skipped` are columns that hold text.
 */
export function read(text) {
  const lines = table(text);
  const header = lines[0].some((cell) => !isNumber(cell) && !MISSING.has(cell.toLowerCase()));
  const heads = header ? lines.shift().map(head) : unnamed(lines[0].length);
  if (!lines.length) throw new Unreadable("The header is not followed by rows of numbers.");
  const columns = {};
  const units = {};
  const skipped = [];
  heads.forEach(({ name, unit }, i) => {
    if (name in columns) throw new Unreadable(`Two columns are named “${name}”.`);
    const column = numbersOf(lines, i, name, header);
    if (!column) return skipped.push(name);
    columns[name] = column;
    if (unit) units[name] = unit;
  });
  if (!Object.keys(columns).length) throw new Unreadable("No column has numbers.");
  return { columns, units, rows: lines.length, skipped };
}

function table(text) {
  const { data } = Papa.parse(text.replace(/^\uFEFF/, "").trim(), {
    skipEmptyLines: "greedy",
    comments: "#",
    delimitersToGuess: [",", ";", "\t", "|"],
  });
  const lines = data.map((line) => line.map((cell) => cell.trim()));
  if (!lines.length) throw new Unreadable("Paste a CSV, drop a file, or choose an example.");
  const width = lines[0].length;
  const ragged = lines.findIndex((line) => line.length !== width);
  if (ragged > 0) {
    const has = lines[ragged].length;
    throw new Unreadable(`Row ${ragged + 1} has ${has} values, but the first has ${width}.`);
  }
  return lines;
}

/** "Temp. (°C)" becomes the column Temp with the unit °C, a valid name in a formula. */
function head(cell, place) {
  const found = UNIT.exec(cell);
  const label = found ? found[1] : cell;
  let name = label.normalize("NFKC").replace(/[^\p{L}\p{N}_]+/gu, "_").replace(/^_+|_+$/g, "");
  if (!name) name = `column_${place + 1}`;
  if (/^\p{N}/u.test(name)) name = `_${name}`;
  return { name, unit: found ? found[2] : "" };
}

function unnamed(width) {
  if (width === 1) return [{ name: "y" }];
  if (width === 2) return [{ name: "x" }, { name: "y" }];
  const inputs = Array.from({ length: width - 1 }, (_, i) => ({ name: `x${i + 1}` }));
  return [...inputs, { name: "y" }];
}

const isNumber = (cell) => NUMBER.test(cell) || DECIMAL_COMMA.test(cell);

/** The column's numbers, null for a missing one; undefined for a column of text. */
function numbersOf(lines, i, name, header) {
  const cells = lines.map((line) => line[i]);
  const comma = cells.findIndex((cell) => DECIMAL_COMMA.test(cell));
  if (comma >= 0) {
    const row = comma + (header ? 2 : 1);
    throw new Unreadable(
      `Column ${name}, line ${row}: “${cells[comma]}” has a decimal comma; write a point instead.`,
    );
  }
  const wrong = cells.findIndex((cell) => !NUMBER.test(cell) && !MISSING.has(cell.toLowerCase()));
  const right = cells.filter((cell) => NUMBER.test(cell)).length;
  if (!right) return undefined;
  if (wrong >= 0 && right < cells.length / 2) return undefined;
  if (wrong >= 0) {
    const row = wrong + (header ? 2 : 1);
    throw new Unreadable(`Column ${name}, line ${row}: “${cells[wrong]}” is not a number.`);
  }
  return cells.map((cell) => (NUMBER.test(cell) ? Number(cell) : null));
}

/** The columns as CSV, numbers with all digits. */
export function write(columns) {
  const names = Object.keys(columns);
  const rows = columns[names[0]].map((_, i) => names.map((name) => columns[name][i] ?? ""));
  return `${Papa.unparse([names, ...rows], { newline: "\n" })}\n`;
}
