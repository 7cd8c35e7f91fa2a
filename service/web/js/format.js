// Number formatting.

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴" };
Object.assign(SUPERSCRIPT, { 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" });
const MINUS = "−";

const raised = (power) => String(power).replace(/./g, (sign) => SUPERSCRIPT[sign]);

/** Significant digits, without trailing zeros: 0.0003, 1,234.5, 6.5·10¹³. */
export function number(value, digits = 4) {
  const x = Number(value);
  if (Number.isNaN(x)) return "not a number";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : `${MINUS}∞`;
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e6 || size < 1e-4) {
    const [mantissa, power] = x.toExponential(Math.max(0, digits - 1)).split("e");
    const short = String(Number(mantissa));
    const power10 = `10${raised(Number(power))}`;
    return (short === "1" ? power10 : `${short}·${power10}`).replace("-", MINUS);
  }
  return grouped(Number(x.toPrecision(digits)));
}

/** With thousands separated. */
export const grouped = (x) =>
  x.toLocaleString("en", { maximumFractionDigits: 12 }).replace("-", MINUS);

/** A value and its standard error, both to the error's second digit: 5.37 ± 0.36. */
export function withError(value, error) {
  const x = Number(value);
  const e = Number(error);
  if (!(e > 0) || !Number.isFinite(e) || !Number.isFinite(x)) return [number(x, 6), null];
  const place = Math.floor(Math.log10(e)) - 1;
  const size = Math.max(Math.abs(x), e);
  if (size >= 1e6 || size < 1e-4) {
    const power = Math.floor(Math.log10(size));
    const digits = Math.min(15, Math.max(0, power - place));
    const by = 10 ** power;
    const shown = (v) => (v / by).toFixed(digits).replace("-", MINUS);
    return [`(${shown(x)}`, `${shown(e)})·10${raised(power)}`];
  }
  const digits = Math.min(15, Math.max(0, -place));
  const shown = (v) => grouped_fixed(v, digits);
  return [shown(x), shown(e)];
}

const grouped_fixed = (v, digits) =>
  v
    .toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .replace("-", MINUS);

/** For a field: plain JavaScript notation, with few digits. */
export const plain = (value) => String(Number(Number(value).toPrecision(3)));

/** 1 epoch, 2 epochs; `many` is an irregular plural. */
export const count = (n, word, many = `${word}s`) => `${grouped(n)} ${n === 1 ? word : many}`;
