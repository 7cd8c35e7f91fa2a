// Calls of the service. URLs are relative, so a proxy may serve it under any path.

import { authorization, hasKey } from "./key.js";

/** An RFC 9457 problem answered by the service. */
export class Problem extends Error {
  constructor(body, status) {
    super(body.detail || body.title || `the service answered ${status}`);
    this.status = status;
    /** [{pointer, detail}], each pointer into the request. */
    this.errors = body.errors || [];
  }
}

/** @returns the answer's JSON. Throws Problem, or Error if there is no answer. */
export async function call(path, { body, method, signal } = {}) {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, {
      method: method || (body === undefined ? "GET" : "POST"),
      headers: { ...authorization(), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      signal,
      ...sent,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("No answer from the service. Is it running?");
  }
  const text = await answer.text();
  const read = text ? JSON.parse(text) : {};
  if (!answer.ok) throw new Problem(read, answer.status);
  return read;
}

/**
 * Watches a job to its end.
 * @param id the job's
 * @param onProgress called with each progress event's data
 * @returns a promise of the job with its result, or its error
 */
export function watch(id, onProgress) {
  // EventSource cannot send headers, so with a key the events are read as JSON lines.
  if (hasKey()) return lines(id, onProgress).catch(() => {}).then(() => poll(id));
  return new Promise((resolve, reject) => {
    const finish = () => call(`jobs/${id}`).then(resolve, reject);
    const source = new EventSource(`jobs/${id}/events`);
    source.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
    source.addEventListener("done", () => {
      source.close();
      finish();
    });
    source.onerror = () => {
      // EventSource reconnects a broken stream, but not a refused one.
      if (source.readyState === EventSource.CLOSED) poll(id).then(resolve, reject);
    };
  });
}

async function lines(id, onProgress) {
  const headers = { ...authorization(), Accept: "application/jsonl" };
  const answer = await fetch(`jobs/${id}/events`, { headers });
  if (!answer.ok) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    for (const event of whole.filter(Boolean).map((line) => JSON.parse(line))) {
      if (event.event === "progress") onProgress(event);
    }
  }
}

async function poll(id) {
  for (;;) {
    const job = await call(`jobs/${id}?wait=20`);
    if (!["queued", "running"].includes(job.status)) return job;
  }
}

/** The numbers of an answer, where "NaN" and "Infinity" are strings. */
export const numbers = (values) => values.map(Number);

/** Numbers that a chart can draw: non-finite ones are null. */
export const drawable = (values) => numbers(values).map((v) => (Number.isFinite(v) ? v : null));
