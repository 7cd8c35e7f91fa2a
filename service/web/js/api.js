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

/**
 * @param body an object, sent as JSON; or `file`, {content, type}, sent as it is
 * @returns the answer's JSON. Throws Problem, or Error if there is no answer.
 */
export async function call(path, { body, file, method, signal } = {}) {
  const text = await (await answered(path, { body, file, method, signal })).text();
  return text ? JSON.parse(text) : {};
}

/** @returns the answer's bytes as a Blob. Throws as `call` does. */
export const blob = async (path) => (await answered(path, {})).blob();

async function answered(path, { body, file, method, signal }) {
  const sends = body !== undefined || file !== undefined;
  const type = file?.type ?? "application/json";
  const sent = sends ? { body: file?.content ?? JSON.stringify(body) } : {};
  let answer;
  try {
    answer = await fetch(path, {
      method: method || (sends ? "POST" : "GET"),
      headers: { ...authorization(), ...(sends ? { "Content-Type": type } : {}) },
      signal,
      ...sent,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("No answer from the service. Is it running?");
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  throw new Problem(text ? JSON.parse(text) : {}, answer.status);
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
