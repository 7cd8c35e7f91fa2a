// The steps of the story: what is asked of the service, and what to see in its answers.

import { number } from "./format.js";

const MODEL = "t_c = w * t_u + b";
const GUESS = { model: MODEL, params: { w: 1, b: 0 } };
const SCALED = { model: MODEL, params: { w: 0.1, b: 0 }, scaling: { t_u: { scale: 0.1 } } };
const sgd = (rate) => ({ name: "sgd", learning_rate: rate });

const pair = (values, digits = 4) => Object.entries(values).map(([name, v]) => `${name} ${number(v, digits)}`).join(", ");
const few = (values, digits = 3) => `${values.slice(0, 4).map((v) => number(v, digits)).join(", ")}, …`;

/** What a fit answers, in a line each. */
function ofFit(fit) {
  const { history, diagnostics } = fit;
  const limit = fit.curvature?.learning_rate_limit;
  return [
    ["after the first step", pair(Object.fromEntries(Object.entries(history.params).map(([k, v]) => [k, v[0]])))],
    [`after ${number(fit.epochs, 9)} epochs`, `loss ${number(fit.loss, 6)}; ${pair(fit.params, 5)}`],
    ...(limit ? [["largest stable rate", number(limit, 3)], ["condition number", number(fit.curvature.condition_number, 5)]] : []),
    ["verdict", `${fit.verdict}${diagnostics.length ? `: ${diagnostics.map(({ code }) => code.replace(/_/g, " ")).join(", ")}` : ""}`],
  ];
}

export const STEPS = [
  {
    title: "A model",
    text: [
      "A thermometer hangs on a wall. Its scale has no unit. You noted eleven of its readings, `t_u`, and beside each the temperature in degrees Celsius, `t_c`. Which unit does it show?",
      "The two scales should differ by a stretch and a shift: `t_c = w * t_u + b`. The first guess, `w` = 1 and `b` = 0, says that it shows Celsius. What would it predict?",
    ],
    path: "predict",
    request: GUESS,
    seen: ({ predictions }, { t_c: measured }) => [["predicted", few(predictions)], ["measured", few(measured)]],
    next: "Far too high. Try w = 0.5 and b = −10: the dashed line in the chart follows.",
  },
  {
    title: "The loss",
    text: [
      "How wrong is a guess? Take the differences of prediction and measurement, the residuals; square them, so that too high and too low both count; and take the mean. That is the loss: the lower, the better.",
    ],
    path: "loss",
    request: { ...GUESS, residuals: true },
    seen: ({ loss, residuals }) => [["loss", number(loss, 6)], ["residuals", few(residuals)]],
    next: "Change w and b: can you bring the loss below 100? The surface shows the loss of every pair.",
  },
  {
    title: "Which way is down?",
    text: [
      "The gradient says how the loss changes with each param. The plain way to it is to try: the loss a little to the right, less the loss a little to the left, divided by the distance. That is `numeric`, here with 0.1 to either side.",
    ],
    path: "gradient",
    request: { ...GUESS, gradient: { method: "numeric", delta: 0.1 }, check: true },
    seen: ({ gradient, check }) => [
      ["numeric", pair(gradient, 7)],
      ["by the derivative", pair(check.analytic, 7)],
      ["agree", check.agree ? "yes" : "no"],
    ],
    next: "Try a `delta` of 10, then 1e-9. For a parabola, such as this loss, a wide one is exact; a tiny one loses digits.",
  },
  {
    title: "The chain rule",
    text: [
      "The derivative needs no trying. The loss depends on the prediction `t_p`, and the prediction on the params; so the gradient is the product of both derivatives. `explain` writes them out.",
    ],
    path: "gradient",
    request: { ...GUESS, explain: true },
    seen: ({ gradient, explain }) => [["gradient", pair(gradient, 7)], ["", explain.text]],
    next: "Twice the residual, times the reading for w, times 1 for b. The readings are around 50, so the gradient in w is some 50 times that in b: remember that. Try the model `t_c = w * t_u**2 + b`.",
  },
  {
    title: "The loop",
    text: [
      "Now go downhill. Each epoch takes one step: param − learning rate · gradient. A hundred steps with a learning rate of 0.0001:",
    ],
    path: "fit",
    request: { ...GUESS, optimizer: sgd(1e-4), epochs: 100 },
    seen: ofFit,
    next: "It falls into the valley in ten epochs, and then it creeps. Replay it, and look at the path on the surface.",
  },
  {
    title: "Too fast",
    text: ["Impatient? Take longer steps: a learning rate of 0.01."],
    path: "fit",
    request: { ...GUESS, optimizer: sgd(0.01), epochs: 100 },
    seen: ofFit,
    next: "The first step throws w from 1 to −44, to the far side of the valley and higher up. Each step is longer than the last. The largest stable rate is a fact about the data: find it by trying rates between 0.0003 and 0.0004.",
  },
  {
    title: "Scaling",
    text: [
      "There were two troubles: the rate was too high, and w and b want different rates, since their gradients differ by a factor of 50. Make the readings smaller, and both matter alike. Scaled by 0.1, the rate that failed works.",
    ],
    path: "fit",
    request: { ...SCALED, optimizer: sgd(0.01), epochs: 100 },
    seen: ofFit,
    next: "The limit is a hundred times higher, the valley rounder. What is left: it needs more epochs. Try `\"scaling\": \"standardize\"`.",
  },
  {
    title: "5,000 epochs",
    text: ["All the way:"],
    path: "fit",
    request: { ...SCALED, optimizer: sgd(0.01), epochs: 5000 },
    seen: ofFit,
    next: "w is 5.367 for the scaled readings, so 0.537 for yours, and b is −17.3, at a loss of 2.93. Choose the optimizer `auto` in the form: a line needs no descent.",
  },
  {
    title: "The answer",
    text: [
      "Celsius = 0.537 · reading − 17.3. Where would this thermometer have ice and boiling water, if it showed Fahrenheit? There they are 32 and 212.",
    ],
    path: "predict",
    request: { model: MODEL, params: { w: 0.53671, b: -17.3012 }, data: { t_u: [32, 212] } },
    seen: ({ predictions }) => [["at 32 and 212", predictions.map((v) => `${number(v, 3)} °C`).join(", ")]],
    next: "Fahrenheit to Celsius is 5/9 · reading − 17.78, and 5/9 is 0.556: both lie within the 95 % intervals of w and b. It is a thermometer in degrees Fahrenheit, read with errors of about two degrees. Now bring data of your own.",
  },
];
