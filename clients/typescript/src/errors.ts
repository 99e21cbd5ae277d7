import { advice } from "./types.js";

/** What went wrong, in the words of the daemon or of the way to it. */
export class FantailError extends Error {
  override readonly name: string = "FantailError";
  /** Stable: `unknown_developer`, `invalid_json`, ...; of the client itself `no_answer`, `timeout`, `unreadable_answer`. */
  readonly code: string;
  /** HTTP status, in a batch that of one event; 0 where nothing was answered. */
  readonly status: number;
  /** What to do about it; "" where there is nothing to say beyond the message. */
  readonly advice: string;
  /** Seconds that the daemon asked to wait; 0 when it did not. */
  readonly retryAfter: number;
  /** Of a refused document: every fault, with its line. */
  readonly faults: readonly { line: number; message: string }[];

  constructor(
    code: string,
    message: string,
    more: { status?: number; retryAfter?: number; cause?: unknown; faults?: readonly { line: number; message: string }[] } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.status = more.status ?? 0;
    this.retryAfter = more.retryAfter ?? 0;
    this.faults = more.faults ?? [];
    this.advice = adviceOn(code) ?? adviceOn(String(this.status)) ?? "";
  }

  /** Whether the same may go well later: 429, 503, no answer, the 502 or 504 of a proxy whose daemon is away. */
  get temporary(): boolean {
    if (this.status === 502 || this.status === 504) return this.code === "refused";
    return this.status === 429 || this.status === 503 || this.status === 0;
  }
}

/** Codes come from outside: `constructor` is none. */
function adviceOn(code: string): string | undefined {
  return Object.hasOwn(advice, code) ? advice[code] : undefined;
}

/** A webhook that nobody should believe. */
export class SignatureError extends Error {
  override readonly name = "SignatureError";
  /** `malformed`: no signature; `mismatch`: no secret made it of this body; `time`: too old, or of the future; `body`: signed, and no JSON. */
  readonly code: "malformed" | "mismatch" | "time" | "body";

  constructor(code: "malformed" | "mismatch" | "time" | "body", message: string) {
    super(message);
    this.code = code;
  }
}
