// Example data, each with a request and an explanation.

const noise = (seed) => {
  // Park and Miller's minimal generator, for reproducible data.
  let state = seed;
  const uniform = () => (state = (state * 48271) % 2147483647) / 2147483647;
  return (size) => size * (uniform() + uniform() + uniform() + uniform() - 2);
};

const column = (n, of) => Array.from({ length: n }, (_, i) => Number(of(i).toPrecision(4)));

function decay() {
  const error = noise(7);
  const t = column(24, (i) => i * 0.5);
  return { t, counts: t.map((s) => Number((90 * Math.exp(-0.42 * s) + 8 + error(4)).toFixed(1))) };
}

function pendulum() {
  const error = noise(11);
  const t = column(60, (i) => i * 0.1);
  const swing = (s) => 12 * Math.exp(-0.35 * s) * Math.sin(2 * Math.PI * 0.6 * s + 0.4);
  return { t, angle: t.map((s) => Number((swing(s) + error(0.6)).toFixed(2))) };
}

/** By the value of their option in the list. */
export const EXAMPLES = {
  thermometer: {
    title: "Thermometer",
    columns: {
      t_u: [35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4],
      t_c: [0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0],
    },
    units: { t_c: "°C" },
    request: {
      model: "t_c = w * t_u + b",
      params: { w: 1, b: 0 },
      optimizer: { name: "sgd", learning_rate: 0.01 },
      epochs: 1000,
    },
    lesson:
      "A thermometer with an unknown scale, t_u, against degrees Celsius. Press Run: the learning " +
      "rate is too high, on purpose.",
  },
  decay: {
    title: "Radioactive decay",
    columns: decay(),
    units: { t: "s" },
    request: { model: "exponential_decay", params: {}, optimizer: { name: "auto" } },
    lesson:
      "Counts that decay to a background. The family estimates its initial values from the data, and " +
      "Levenberg-Marquardt needs a few steps. Compare it with adam.",
  },
  pendulum: {
    title: "Damped pendulum",
    columns: pendulum(),
    units: { t: "s", angle: "°" },
    request: {
      model: { name: "mlp", hidden: [16, 16] },
      params: {},
      optimizer: { name: "adam", learning_rate: 0.01 },
      epochs: 10000,
    },
    lesson:
      "A small neural network adapts to the data without a physical model. Then choose the family " +
      "“Damped sine”, whose params are those of the pendulum.",
  },
};
