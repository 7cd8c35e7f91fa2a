// Groups: the columns that tell the curves apart, and the params that these share.

import { byId } from "./dom.js";
import { checks } from "./fields.js";

/** The grouping of a request as an object. */
export function groupingOf({ group_by: by }) {
  if (by === undefined || by === null) return null;
  return typeof by === "string" || Array.isArray(by) ? { column: by } : by;
}

const listed = (column) => (Array.isArray(column) ? column : [column]);

/** The columns of a request's grouping. */
export const groupColumns = (request) => {
  const given = groupingOf(request);
  return given ? listed(given.column) : [];
};

export class Grouping {
  /** @param set changes members of the request */
  constructor(fields, set) {
    this.fields = fields;
    this.set = set;
    this.columns = [];
  }

  show(request, columns, { inputs, target, params }) {
    const given = groupingOf(request);
    this.columns = groupColumns(request);
    const offered = Object.keys(columns).filter((name) => name !== target && !inputs.includes(name));
    byId("groups").hidden = !offered.length && !given;
    checks(this.fields, "group-columns", offered, this.columns, (chosen) => {
      const column = chosen.length === 1 ? chosen[0] : chosen;
      this.set({ group_by: chosen.length ? simple({ ...given, column }) : undefined });
    });
    const shared = given?.shared ?? [];
    byId("shared").hidden = byId("shared-label").hidden = !given;
    checks(this.fields, "shared", given ? (params ?? []) : [], shared, (chosen) =>
      this.set({ group_by: simple({ ...given, shared: chosen }) }),
    );
    byId("groups-summary").textContent = this.columns.length ? `by ${this.columns.join(", ")}` : "";
    if (given && !this.seen) byId("groups").open = this.seen = true;
  }
}

/** Only a column where there are no options. */
function simple({ shared, ...given }) {
  const whole = shared?.length ? { ...given, shared } : given;
  return Object.keys(whole).join() === "column" ? whole.column : whole;
}
