// How a fit got to its minimum: the charts of its path, or why there are none.

import { byId } from "./dom.js";

/** Shows the charts, or the reason in their place. */
export function showWay(shown, why) {
  byId("way-charts").hidden = !shown;
  byId("way-none").hidden = shown || !why;
  byId("way-none").textContent = why;
  byId("way").hidden = !shown && !why;
}

/** Why there is no way to be seen. */
export function wayless(fit) {
  return fit.optimizer === "exact"
    ? "The minimum was computed in one step (exact): there is no descent to be seen. Choose an optimizer with a learning rate, such as sgd, to see one."
    : `One step of ${fit.optimizer} was enough: there is no path to be seen.`;
}
