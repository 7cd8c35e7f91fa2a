// Where the results are on screens of different widths.

import { byId } from "./dom.js";

export const NARROW = matchMedia("(max-width: 56rem)");

/** On a narrow screen the results of a fit come before the settings. */
export function arrange(fitted) {
  const [results, settings] = [byId("results"), byId("controls")];
  const first = NARROW.matches && fitted ? results : settings;
  if (first.parentElement.firstElementChild === first) return;
  (first === results ? settings : results).before(first);
}

/** Scrolls to the results where they are out of sight. */
export function comeIntoView() {
  if ("story" in document.body.dataset) return; // its reader stays where the step is
  const { top } = byId("status").getBoundingClientRect();
  if (top >= 0 && top < innerHeight / 2) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  byId("status").scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
}
