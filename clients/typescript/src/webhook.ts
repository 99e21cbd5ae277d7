import { SignatureError } from "./errors.js";

/** Headers of a request, as fetch or Node.js has them. */
export type HeadersLike = { get(name: string): string | null | undefined } | Record<string, string | readonly string[] | undefined>;

export interface VerifyOptions {
  /** Several while a secret is replaced: the old and the new one. */
  secret: string | readonly string[];
  headers: HeadersLike;
  /** The raw bytes, or the raw text: JSON that was parsed and printed again has another signature. */
  body: Uint8Array | string;
  /** Seconds that the signature's time may be from now; 300 when left out. */
  tolerance?: number;
  /** Now, in ms since 1970. */
  now?: number;
  /** The sender's setting of that name; `terra` when left out. */
  brand?: string;
}

/** A delivery that is what it says. */
export interface Webhook {
  event: { type: string; [member: string]: unknown };
  /** The same on every try of a delivery: by it a repeat is known. `signing: terra` does not sign it. */
  id: string;
}

const encoder = new TextEncoder();
const maxSignatures = 32;

/**
 * Verifies a delivery with `signing: terra`, and returns the event. It throws a `SignatureError` for
 * anything that none of the secrets signed, or that is too old.
 */
export async function verifyTerra(options: VerifyOptions): Promise<Webhook> {
  const brand = options.brand ?? "terra";
  const [, time, hex] = /^t=(0|[1-9][0-9]{0,11}),v1=([0-9a-f]{64})$/.exec(header(options.headers, `${brand}-signature`)) ?? [];
  if (!time || !hex) throw new SignatureError("malformed", `the header ${brand}-signature is not of the form t=...,v1=...`);
  const sum = Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16));
  const body = bytes(options.body);
  const content = join(encoder.encode(`${time}.`), body);
  const tries = secrets(options).map((secret) => hmac(encoder.encode(secret), sum, content));
  await settle(tries, time, options);
  return { event: parse(body), id: header(options.headers, `x-${brand}-trace-id`) };
}

/**
 * Verifies a delivery with `signing: standard-webhooks`, and returns the event. Secrets are
 * `whsec_...` (HMAC) or `whpk_...` (ed25519). It throws a `SignatureError` for anything that none of
 * them signed, or that is too old.
 */
export async function verifyStandard(options: VerifyOptions): Promise<Webhook> {
  const id = header(options.headers, "webhook-id");
  const time = header(options.headers, "webhook-timestamp");
  const signatures = header(options.headers, "webhook-signature").split(" ");
  if (!id || id.includes(".") || !/^(0|[1-9][0-9]{0,11})$/.test(time) || signatures.length > maxSignatures) {
    throw new SignatureError("malformed", "the headers webhook-id, webhook-timestamp and webhook-signature are not those of a signature");
  }
  const body = bytes(options.body);
  const content = join(encoder.encode(`${id}.${time}.`), body);
  const tries: Promise<boolean>[] = [];
  for (const secret of secrets(options)) {
    const [, kind, text] = /^(whsec_|whpk_)([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
    if (!kind || !text) throw new TypeError("a secret of Standard Webhooks begins with whsec_ or whpk_, and base64 follows");
    const key = decode(text);
    if (!key || (kind === "whsec_" ? key.length < 24 || key.length > 64 : key.length !== 32)) throw new TypeError(`what follows ${kind} has another length than such a key`);
    const version = kind === "whsec_" ? "v1," : "v1a,";
    for (const one of signatures) {
      const sum = one.startsWith(version) ? decode(one.slice(version.length)) : undefined;
      if (sum) tries.push(kind === "whsec_" ? hmac(key, sum, content) : ed25519(key, sum, content));
    }
  }
  await settle(tries, time, options);
  return { event: parse(body), id };
}

async function settle(tries: Promise<boolean>[], time: string, options: VerifyOptions): Promise<void> {
  if (!(await Promise.all(tries)).includes(true)) throw new SignatureError("mismatch", "none of the secrets made this signature of this body");
  const age = (options.now ?? Date.now()) / 1000 - Number(time);
  if (!(Math.abs(age) <= (options.tolerance ?? 300))) throw new SignatureError("time", "the signature is too old, or of the future");
}

/** Compares in constant time, as WebCrypto promises of verify. */
async function hmac(key: Uint8Array, sum: Uint8Array, content: Uint8Array): Promise<boolean> {
  const imported = await crypto.subtle.importKey("raw", key as BufferSource, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  return crypto.subtle.verify("HMAC", imported, sum as BufferSource, content as BufferSource);
}

async function ed25519(key: Uint8Array, sum: Uint8Array, content: Uint8Array): Promise<boolean> {
  const imported = await crypto.subtle.importKey("raw", key as BufferSource, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify("Ed25519", imported, sum as BufferSource, content as BufferSource);
}

function secrets(options: VerifyOptions): readonly string[] {
  const all = typeof options.secret === "string" ? [options.secret] : options.secret;
  if (!all || all.length === 0 || !all.every((one) => typeof one === "string" && one !== "")) throw new TypeError("a secret is empty or missing: whoever signs with an empty one would be believed");
  return all;
}

function header(headers: HeadersLike, name: string): string {
  if (typeof headers.get === "function") return (headers as { get(name: string): string | null | undefined }).get(name) ?? "";
  // Node.js has them in lower case, gateways as they were sent. Of two none is believed.
  const values = Object.entries(headers).filter(([key]) => key.toLowerCase() === name);
  const value = values.length === 1 ? values[0]![1] : "";
  return typeof value === "string" ? value : "";
}

function bytes(body: Uint8Array | string): Uint8Array {
  if (typeof body !== "string" && !(body instanceof Uint8Array)) throw new TypeError("the body must be the raw bytes or text, before anything parses it");
  return typeof body === "string" ? encoder.encode(body) : body;
}

function join(head: Uint8Array, body: Uint8Array): Uint8Array {
  const all = new Uint8Array(head.length + body.length);
  all.set(head);
  all.set(body, head.length);
  return all;
}

/** Base64 as it is always printed; undefined for anything else. */
function decode(text: string): Uint8Array | undefined {
  try {
    const raw = atob(text);
    return btoa(raw) === text ? Uint8Array.from(raw, (c) => c.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}

function parse(body: Uint8Array): Webhook["event"] {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as Webhook["event"];
  } catch {
    throw new SignatureError("body", "the body is signed, and no JSON");
  }
}
