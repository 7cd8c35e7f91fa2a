// Pure functions of the request that the page edits.

const NAME = /[\p{L}_][\p{L}\p{N}_]*/gu;
const EQUALS = /^([^=]*[^=<>!])=(?!=)(.*)$/s;
export const FORMULA = "formula";

/** RFC 7396: `target` merged with `patch`, in which null removes a member. */
export function merge(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

/** Merges a suggestion into the request. The bare name of an optimizer, a loss or a likelihood is first replaced by
 * its object. */
export function withFix(request, suggestion) {
  const whole = { ...request };
  const bare = [["optimizer", "name"], ["loss", "name"], ["likelihood", "name"], ["group_by", "column"]];
  for (const [key, member] of bare) {
    const isBare = whole[key] !== undefined && !isObject(whole[key]);
    if (isBare && isObject(suggestion[key])) whole[key] = { [member]: whole[key] };
    const [old, next] = [whole[key]?.name, suggestion[key]?.name];
    if (next && old && next !== old) delete whole[key]; // options of another do not carry over
  }
  return merge(whole, suggestion);
}

const isObject = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value);

/** Whether an optimizer has a learning rate.
 * @param optimizers the catalogue by name */
export const hasRate = (name, optimizers) =>
  optimizers.get(name)?.options.some((option) => option.name === "learning_rate") ?? false;

export const optimizerOf = (request) =>
  typeof request.optimizer === "string" ? { name: request.optimizer } : request.optimizer;

export const lossOf = (request) =>
  typeof request.loss === "string" ? { name: request.loss } : (request.loss ?? { name: "mse" });

/** The likelihood of counts as an object, or null. */
export const likelihoodOf = (request) =>
  typeof request.likelihood === "string" ? { name: request.likelihood } : (request.likelihood ?? null);

/** What the formula is fitted to: the target, or of counts with a column of weights their ratio.
 * @returns {name, values}; `values` is null where the target is no column */
export function measured(request, columns, target) {
  const { exposure, n } = likelihoodOf(request) ?? {};
  const weights = columns[exposure ?? n];
  const values = columns[target] ?? null;
  if (!weights || !values) return { name: target, values };
  const ratios = values.map((v, i) => (v === null || !weights[i] ? null : v / weights[i]));
  return { name: `${target} / ${exposure ?? n}`, values: ratios };
}

/** A param's initial value, or undefined if it is to be estimated. */
export const startOf = (param) => (isObject(param) ? param.value : param);

/** The initial values, or null if one is to be estimated. */
export function startOfAll({ request, understood }) {
  const entries = (understood.params ?? []).map((name) => [name, startOf(request.params?.[name])]);
  const known = entries.length > 0 && entries.every(([, value]) => Number.isFinite(value));
  return known ? Object.fromEntries(entries) : null;
}

/**
 * How the service interprets a model on these columns, as far as the page can tell.
 * @param families the catalogue by name
 * @returns {kind, text, inputs, target, params}; `params` is null where only the fit knows.
 */
export function understood(model, columns, families) {
  const names = Object.keys(columns);
  const named = typeof model === "string" && families.has(model) ? { name: model } : model;
  if (typeof named === "string") return ofFormula(named, names);
  const family = families.get(named.name);
  const target = named.target ?? (names.includes("y") ? "y" : names.at(-1));
  const others = names.filter((name) => name !== target);
  if (named.name === "mlp") {
    return { kind: "mlp", text: "mlp", inputs: named.inputs ?? others, target, params: null };
  }
  const x = named.inputs?.[0] ?? (others.includes("x") ? "x" : others[0]);
  const params =
    named.name === "polynomial"
      ? Array.from({ length: (named.degree ?? 2) + 1 }, (_, i) => `c${i}`)
      : family.params.map((param) => param.name);
  return { kind: named.name, text: family.formula, inputs: x ? [x] : [], target, params };
}

function ofFormula(text, names) {
  const sides = EQUALS.exec(text);
  const [left, right] = sides ? [sides[1].trim(), sides[2]] : ["y", text];
  const found = new Set();
  for (const word of right.normalize("NFKC").matchAll(NAME)) {
    const before = right.normalize("NFKC")[word.index - 1] ?? "";
    const after = right.normalize("NFKC").slice(word.index + word[0].length);
    const partOfNumber = /[\d.]/.test(before) && /^e\d*$/i.test(word[0]);
    if (!partOfNumber && !/^\s*\(/.test(after) && word[0] !== "pi") found.add(word[0]);
  }
  const inputs = [...found].filter((name) => names.includes(name));
  const params = [...found].filter((name) => !names.includes(name));
  return { kind: FORMULA, text, inputs, target: left, params };
}

/** The scaling of these columns as {input: {scale, offset}}, or null. */
export function resolved(scaling, columns, inputs) {
  if (!scaling) return null;
  if (typeof scaling !== "string") return scaling;
  const parts = inputs.map((name) => [name, METHODS[scaling](columns[name] ?? [])]);
  return Object.fromEntries(parts);
}

const METHODS = {
  standardize(column) {
    const mean = column.reduce((sum, v) => sum + v, 0) / column.length;
    const variance = column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / column.length;
    return centred(mean, Math.sqrt(variance));
  },
  min_max(column) {
    const [low, high] = extent(column);
    return centred(low, high - low);
  },
};

const centred = (centre, width) =>
  width > 0 ? { scale: 1 / width, offset: -centre / width } : { scale: 1, offset: 0 };

/** The least and the greatest finite value; [0, 1] where there is none. */
export function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (v === null || !Number.isFinite(v)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return low <= high ? [low, high] : [0, 1];
}

/** A range with margins, also for a single point. */
export function padded([low, high], part = 0.06) {
  const room = (high - low || Math.abs(high) || 1) * part;
  return [low - room, high + room];
}

/** The factor of a scaling that is one factor for all inputs; undefined for others. */
export function factorOf({ scaling }) {
  if (!isObject(scaling)) return undefined;
  const factors = Object.values(scaling).map((one) => (Object.keys(one).join() === "scale" ? one.scale : null));
  return factors.every((one) => one === factors[0] && one !== null) ? factors[0] : undefined;
}

// The members that fields show; of objects, the members of these.
const WHOLE = ["epochs", "sigma_absolute"];
const PARTS = {
  model: ["name", "inputs", "target"],
  optimizer: ["name", "learning_rate"],
  loss: ["name"],
  likelihood: ["name", "exposure", "n"],
  group_by: ["column", "shared"],
};
const OF_PARAM = ["value", "min", "max", "fixed", "prior"];

const pick = (object, test) => Object.fromEntries(Object.entries(object).filter(([key]) => test(key)));

/** The members of a request that no field shows. */
export function rest(request) {
  const more = {};
  for (const [key, value] of Object.entries(request)) {
    if (WHOLE.includes(key) || value === undefined) continue;
    if (key === "params") Object.assign(more, restOfParams(value));
    else if (["sigma", "weights"].includes(key)) {
      if (typeof value === "object") more[key] = value;
    } else if (key === "sigma_x") {
      const values = Object.values(value);
      if (values.length !== 1 || isObject(values[0])) more[key] = value;
    } else if (key === "scaling") {
      if (isObject(value) && factorOf(request) === undefined) more[key] = value;
    } else if (!PARTS[key]) more[key] = value;
    else if (isObject(value)) {
      const left = pick(value, (name) => !PARTS[key].includes(name));
      if (Object.keys(left).length) more[key] = left;
    }
  }
  return more;
}

function restOfParams(params) {
  const left = Object.entries(params)
    .filter(([, param]) => isObject(param))
    .map(([name, param]) => [name, pick(param, (key) => !OF_PARAM.includes(key))])
    .filter(([, param]) => Object.keys(param).length);
  return left.length ? { params: Object.fromEntries(left) } : {};
}

/** The request without these members. */
export function withoutRest(request) {
  const less = { ...request };
  for (const [key, value] of Object.entries(rest(request))) {
    if (key === "params") {
      less.params = { ...request.params };
      for (const name of Object.keys(value)) {
        less.params[name] = pick(request.params[name], (part) => OF_PARAM.includes(part));
        if (!Object.keys(less.params[name]).length) delete less.params[name];
      }
    } else if (PARTS[key]) less[key] = pick(request[key], (name) => PARTS[key].includes(name));
    else delete less[key];
  }
  return less;
}

/** σ for a loss: as a list, where weights are given by a column. */
export function sigmaOf({ sigma, weights }, columns) {
  if (weights === undefined) return isObject(sigma) ? undefined : sigma;
  return columns[weights]?.map((w) => 1 / Math.sqrt(w));
}

/** The standard deviations of the rows, of the target and of the input: {x, y}, each a list or null; null where neither
 * is known, or there is more than one input. */
export function spreads(request, columns, { inputs, target }) {
  const { sigma, weights, sigma_x: x, likelihood } = request;
  if (inputs.length !== 1 || likelihood || !(target in columns)) return null;
  const list = (given) =>
    typeof given === "number" ? columns[target].map(() => given) : typeof given === "string" ? (columns[given] ?? null) : null;
  const found = { x: list(x?.[inputs[0]]), y: (weights === undefined ? list(sigma) : sigmaOf(request, columns)) ?? null };
  return found.x || found.y ? found : null;
}

/** The body to send: the request with its data and their units. */
export function body(request, columns, units = {}) {
  const complete = Object.values(columns).every((column) => !column.includes(null));
  const known = pick(units, (name) => name in columns && units[name]);
  return {
    ...request,
    data: columns,
    ...(Object.keys(known).length ? { units: known } : {}),
    ...(complete || request.missing ? {} : { missing: "drop" }),
  };
}

/** The request as a curl command. */
export function asCurl(request, address, keyed = false) {
  const quoted = JSON.stringify(request).replace(/'/g, "'\\''");
  const key = keyed ? '-H "Authorization: Bearer $DESCENT_API_KEY" ' : "";
  return `curl ${key}-H 'Content-Type: application/json' -d '${quoted}' ${address}`;
}
