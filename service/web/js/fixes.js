// The label of the button that applies a suggested fix.

const WORDS = {
  optimizer(value) {
    if (typeof value === "string") return `use ${value}`;
    if (value.learning_rate !== undefined) return `learning rate ${value.learning_rate}`;
    return value.name ? `use ${value.name}` : JSON.stringify(value);
  },
  scaling(value, inputs) {
    const which = inputs.join(" and ") || "the inputs";
    if (value === "standardize") return `standardize ${which}`;
    return `scale by ${JSON.stringify(value)}`;
  },
  loss: (value) => `use the loss ${value.name ?? value}`,
  likelihood: (value) =>
    value.overdispersion ? "estimate the dispersion" : `use the likelihood ${value.name ?? value}`,
  epochs: (value) => `${value.toLocaleString("en")} epochs`,
  params(value) {
    if (value === null) return "estimate the initial values";
    return Object.entries(value).map(paramInWords).join(", ");
  },
};

function paramInWords([name, value]) {
  if (value === null) return `estimate the initial value of ${name}`;
  if (value.fixed) return `fix ${name} at ${Number(Number(value.value).toPrecision(4))}`;
  if (value.min === null || value.max === null) return `remove the bounds of ${name}`;
  return `${name}: ${JSON.stringify(value)}`;
}

/** @param inputs the names of the model's inputs */
export function fixLabel(patch, inputs) {
  const parts = Object.entries(patch).map(
    ([key, value]) => WORDS[key]?.(value, inputs) ?? `${key} ${JSON.stringify(value)}`,
  );
  const words = parts.join(", ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
