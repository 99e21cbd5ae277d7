import { FantailError } from "./errors.js";

export interface Options {
  /** Address of the daemon, such as `http://127.0.0.1:8080`. */
  url: string;
  /** Bearer token. */
  token?: string | undefined;
  /** Milliseconds that one request may take, its answer included; 30,000 when left out. */
  timeout?: number;
  /** Milliseconds for which a call that is safe to repeat goes on after a 429, a 503 or a fault of the network; 30,000 when left out, 0: one try. */
  patience?: number;
  /** Why, for whoever reads the daemon's list of changes; at most 500 bytes. */
  reason?: string | undefined;
  /** The daemon's setting of that name, for the headers of an event; `terra` when left out. */
  brand?: string;
  /** `fetch` of your own. It must not follow redirects. */
  fetch?: typeof globalThis.fetch;
}

export interface CallOptions {
  /** Ends the call, its waits included. */
  signal?: AbortSignal | undefined;
}

export type Params = Record<string, string | number | boolean | readonly (string | number)[] | undefined>;

export interface Call {
  method: string;
  path: string;
  query?: Params | undefined;
  headers?: Record<string, string | undefined>;
  body?: Uint8Array | string | undefined;
  /** Repeating it does no harm. */
  safe?: boolean;
  /** A status besides 2xx that is an answer. */
  accept?: number;
  signal?: AbortSignal | undefined;
}

const firstWait = 250;
const longestWait = 15_000;

/** One daemon, as requests reach it. */
export class Transport {
  readonly timeout: number;
  readonly patience: number;
  readonly brand: string;
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof globalThis.fetch;

  constructor(options: Options) {
    let url: URL;
    try {
      url = new URL(options.url);
    } catch {
      throw new TypeError(`the daemon's address is not of the form http://host:port: ${options.url}`);
    }
    if (!/^https?:$/.test(url.protocol) || url.search || url.hash) throw new TypeError("the daemon's address must be of the form http://host:port or https://host:port");
    if (url.username || url.password) throw new TypeError("the daemon's address holds a user name: give the token apart");
    this.#url = url.href.replace(/\/+$/, "");
    this.timeout = options.timeout ?? 30_000;
    this.patience = options.patience ?? 30_000;
    this.brand = options.brand ?? "terra";
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#headers = {};
    if (options.token) this.#headers["authorization"] = `Bearer ${options.token}`;
    if (options.reason) this.#headers["fantail-reason"] = encodeURIComponent(options.reason);
  }

  /** Makes the request, and where it is safe again until it succeeds, fails for good, or patience ends. */
  async call<T>(call: Call, read: (answer: Response) => Promise<T>): Promise<T> {
    const began = Date.now();
    for (let wait = firstWait; ; wait = Math.min(2 * wait, longestWait)) {
      try {
        return await this.once(call, read);
      } catch (error) {
        if (!call.safe || !(error instanceof FantailError) || !error.temporary) throw error;
        const pause = pauseAfter(error, wait);
        if (Date.now() - began + pause > this.patience) throw error;
        await sleep(pause, call.signal);
      }
    }
  }

  /** Makes the request one time. */
  async once<T>(call: Call, read: (answer: Response) => Promise<T>): Promise<T> {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value === undefined) continue;
      for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one));
    }
    const headers: Record<string, string> = { ...this.#headers };
    for (const [name, value] of Object.entries(call.headers ?? {})) if (value !== undefined) headers[name] = value;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new FantailError("timeout", `the daemon did not answer within ${this.timeout} ms`)), this.timeout);
    const stop = () => limit.abort(call.signal?.reason);
    if (call.signal?.aborted) stop();
    call.signal?.addEventListener("abort", stop, { once: true });
    try {
      const answer = await this.#fetch(this.#url + call.path + (query.size ? `?${query}` : ""), {
        method: call.method,
        headers,
        body: (call.body as BodyInit | undefined) ?? null,
        signal: limit.signal,
        redirect: "manual", // a token goes nowhere else
      });
      if (!answer.ok && answer.status !== call.accept) throw await refusal(answer);
      return await read(answer);
    } catch (error) {
      if (call.signal?.aborted) throw call.signal.reason;
      if (limit.signal.aborted) throw limit.signal.reason;
      if (error instanceof FantailError) throw error;
      if (error instanceof SyntaxError) throw new FantailError("unreadable_answer", `the answer is not what Fantail sends; is ${this.#url} the daemon?`, { status: 502, cause: error });
      if (error instanceof TypeError && isInvalidHeader(error)) throw error;
      throw new FantailError("no_answer", `the daemon at ${this.#url} did not answer: ${why(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      limit.abort(); // what is left of an answer that was not read to its end
      call.signal?.removeEventListener("abort", stop);
    }
  }

  json<T>(call: Call): Promise<T> {
    return this.call(call, (answer) => parsed<T>(answer));
  }

  async nothing(call: Call): Promise<void> {
    await this.call(call, whole);
  }
}

/** Bytes that are read of an answer: more than a full page of a list with all its details. */
const mostAnswer = 256 << 20;

/** An answer to its end. */
export async function whole(answer: Response, most = mostAnswer): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = answer.body?.getReader();
  for (let part; reader && !(part = await reader.read()).done; ) {
    if ((size += part.value.length) > most) throw new SyntaxError(`the answer is larger than ${most} bytes`);
    chunks.push(part.value);
  }
  const all = new Uint8Array(size);
  let end = 0;
  for (const chunk of chunks) {
    all.set(chunk, end);
    end += chunk.length;
  }
  return all;
}

/** An answer that is JSON. */
export async function parsed<T>(answer: Response): Promise<T> {
  return JSON.parse(new TextDecoder().decode(await whole(answer))) as T;
}

/** Milliseconds to wait after a refusal: what the daemon asks for, or longer. */
export function pauseAfter(error: unknown, wait: number): number {
  const asked = error instanceof FantailError ? error.retryAfter * 1000 : 0;
  return Math.max(asked, wait / 2 + Math.random() * wait);
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    if (signal?.aborted) return reject(signal.reason);
    const longest = 2 ** 31 - 1; // a timer that is longer ends at once
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, Math.min(ms, longest));
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** One part of a path. */
export function segment(text: string): string {
  return text === "." || text === ".." ? text.replaceAll(".", "%2E") : encodeURIComponent(text);
}

async function refusal(answer: Response): Promise<FantailError> {
  const text = new TextDecoder().decode(await whole(answer, 16 << 20));
  const retryAfter = Math.max(0, Number(answer.headers.get("retry-after")) || 0);
  try {
    const { error, faults } = JSON.parse(text) as { error: { code: string; message: string }; faults?: { line: number; message: string }[] };
    if (typeof error.code !== "string" || typeof error.message !== "string") throw new TypeError("no refusal of Fantail");
    return new FantailError(error.code, error.message, { status: answer.status, retryAfter, ...(faults ? { faults } : {}) });
  } catch {
    const message = text.startsWith("<") ? "" : text.slice(0, 200).trim();
    return new FantailError("refused", message || `answered ${answer.status} ${answer.statusText}`, { status: answer.status, retryAfter });
  }
}

/** The cause that fetch hides behind "fetch failed". */
function why(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message || ((cause as { code?: string }).code ?? cause.name) : String(cause);
}

/** A header that cannot be sent is the caller's fault, and no fault of the network. */
function isInvalidHeader(error: TypeError): boolean {
  return /header/i.test(error.message);
}
