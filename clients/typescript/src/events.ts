import { FantailError } from "./errors.js";
import { pauseAfter, sleep, type Transport } from "./http.js";
import type { Accepted, BatchResult } from "./types.js";

/** One event to hand in: an `event` that becomes JSON, or its `body`, which goes out byte for byte. */
export interface SendRequest {
  /** Who owns it. */
  developer: string;
  event?: { type: string; [member: string]: unknown };
  body?: Uint8Array | string;
  /** Up to 128 visible ASCII characters; the daemon makes one when left out. */
  reference?: string;
  /** When it happened, in ms since 1970; the time of acceptance when left out. */
  ordering?: Date | number;
  /** A second event of the developer with this key is not stored. A fresh one is made when left out. */
  idempotencyKey?: string;
  /** W3C Trace Context of the span that it comes from; not in batches. */
  traceparent?: string;
  tracestate?: string;
}

/** What became of one event of a batch. */
export type Outcome = { request: SendRequest; accepted: Accepted; error?: never } | { request: SendRequest; error: FantailError; accepted?: never };

/** Limits of one request: the daemon's own of lines, and well below what it takes by default. */
export const maxLines = 1000;
export const maxBytes = 8 << 20;

export function newKey(): string {
  return globalThis.crypto.randomUUID();
}

const encoder = new TextEncoder();

/** The bytes of an event. */
export function bytesOf(request: Pick<SendRequest, "event" | "body">): Uint8Array {
  if ((request.event === undefined) === (request.body === undefined)) throw new TypeError("give an event or its body");
  if (request.event !== undefined) return encoder.encode(JSON.stringify(request.event));
  const body = typeof request.body === "string" ? encoder.encode(request.body) : request.body!;
  if (body.length === 0) throw new TypeError("the event has no body");
  return body;
}

/** One line of a batch. A body that spans several lines, or has white space around it, goes as base64. */
export function lineOf(request: SendRequest, key: string): Uint8Array {
  const body = bytesOf(request);
  const head = JSON.stringify({
    dev_id: request.developer,
    reference: request.reference,
    ordering_timestamp: request.ordering === undefined ? undefined : Math.trunc(Number(request.ordering)),
    idempotency_key: key,
  }).slice(0, -1);
  const fits = body[0] === 0x7b && body[body.length - 1] === 0x7d && !body.includes(0x0a) && !body.includes(0x0d);
  if (!fits) return encoder.encode(`${head},"body":"${base64(body)}"}\n`);
  const start = encoder.encode(`${head},"event":`);
  const line = new Uint8Array(start.length + body.length + 2);
  line.set(start);
  line.set(body, start.length);
  line.set([0x7d, 0x0a], start.length + body.length);
  return line;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

interface Line {
  at: number;
  bytes: Uint8Array;
}

/** Hands in requests until each has a final answer, or patience ends. */
export async function sendLines(http: Transport, requests: readonly SendRequest[], signal?: AbortSignal): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(requests.length);
  const lines = requests.map((request, at) => ({ at, bytes: lineOf(request, request.idempotencyKey ?? newKey()) }));
  const answer = (at: number, result: BatchResult | FantailError) => {
    const request = requests[at]!;
    if (result instanceof FantailError) outcomes[at] = { request, error: result };
    else if (result.error) outcomes[at] = { request, error: new FantailError(result.error.code, result.error.message, { status: result.status }) };
    else outcomes[at] = { request, accepted: { id: result.id!, reference: result.reference!, deliveries: result.deliveries!, ...(result.duplicate ? { duplicate: true } : {}) } };
  };
  let chunk: Line[] = [];
  let size = 0;
  try {
    for (const line of lines) {
      if (chunk.length === maxLines || (chunk.length > 0 && size + line.bytes.length > maxBytes)) {
        await post(http, chunk, answer, signal);
        chunk = [];
        size = 0;
      }
      chunk.push(line);
      size += line.bytes.length;
    }
    await post(http, chunk, answer, signal);
  } catch (failure) {
    // Whoever were thrown this would not learn what was accepted, and hand that in again under other keys.
    if (!(failure instanceof FantailError) || !outcomes.some(() => true)) throw failure;
    requests.forEach((request, at) => (outcomes[at] ??= { request, error: failure }));
  }
  return outcomes;
}

type Answer = (at: number, result: BatchResult | FantailError) => void;

async function post(http: Transport, lines: Line[], answer: Answer, signal: AbortSignal | undefined): Promise<void> {
  let last = Date.now();
  let wait = 250;
  for (let left = lines; left.length > 0; ) {
    const { rest, error } = await once(http, left, answer, signal);
    if (error?.status === 413 && rest.length === left.length) {
      if (left.length === 1) return answer(left[0]!.at, error);
      const half = left.length >> 1;
      await post(http, left.slice(0, half), answer, signal);
      return post(http, left.slice(half), answer, signal);
    }
    if (rest.length < left.length) {
      last = Date.now();
      wait = 250;
    }
    left = rest;
    if (left.length === 0) return;
    const failure = error ?? new FantailError("no_answer", "the daemon broke off its answer");
    if (failure.status === 413) continue; // the rest goes in a request of its own, at once
    if (!failure.temporary && !unjudged(failure)) throw failure;
    const pause = pauseAfter(failure, wait);
    if (Date.now() - last + pause > http.patience) {
      for (const line of left) answer(line.at, failure);
      return;
    }
    await sleep(pause, signal);
    wait = Math.min(2 * wait, 15_000);
  }
}

/** Not judged: the daemon did not get or read so far. */
function unjudged(error: { status: number; code: string }): boolean {
  return error.status === 408 || error.code === "incomplete_body";
}

/** Makes one request and returns the lines that have no final answer, and why. */
async function once(http: Transport, lines: Line[], answer: Answer, signal: AbortSignal | undefined): Promise<{ rest: Line[]; error: FantailError | undefined }> {
  const answered = new Set<number>();
  let error: FantailError | undefined;
  try {
    const body = new Uint8Array(lines.reduce((sum, line) => sum + line.bytes.length, 0));
    let end = 0;
    for (const line of lines) {
      body.set(line.bytes, end);
      end += line.bytes.length;
    }
    await http.once({ method: "POST", path: "/v1/events/batch", headers: { "content-type": "application/x-ndjson" }, body, signal }, async (response) => {
      const retryAfter = Number(response.headers.get("retry-after")) || 0;
      for await (const text of linesOf(response)) {
        const result = JSON.parse(text) as BatchResult | null;
        // Believed, it would be an event that is nowhere.
        if (!result || (result.error ? typeof result.error.code !== "string" : typeof result.id !== "string")) throw new SyntaxError("no result of Fantail");
        const line = lines[result.line - 1];
        if (!line || answered.has(line.at)) continue;
        const refused = result.error && new FantailError(result.error.code, result.error.message, { status: result.status, retryAfter });
        if (refused && (refused.temporary || unjudged(refused) || (refused.status === 413 && result.line > 1))) {
          error = refused;
          continue;
        }
        answered.add(line.at);
        answer(line.at, result);
      }
    });
  } catch (failure) {
    if (!(failure instanceof FantailError)) throw failure;
    error = failure;
  }
  return { rest: lines.filter((line) => !answered.has(line.at)), error };
}

/** Characters of a result that has no end so far. */
const mostUnread = 64 << 10;

/** The lines of an answer, as they come; one that is cut short is left out. */
async function* linesOf(response: Response): AsyncGenerator<string, void, undefined> {
  if (!response.body) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      if (text.length > mostUnread + value.length) throw new SyntaxError("a result without an end");
      for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) yield text.slice(0, end);
    }
  } finally {
    reader.releaseLock();
  }
}
