export { Fantail, type ChangeOptions, type Document } from "./client.js";
export { FantailError, SignatureError } from "./errors.js";
export type { CallOptions, Options } from "./http.js";
export type { Outcome, SendRequest } from "./events.js";
export { Batcher, type BatcherOptions } from "./batcher.js";
export { verifyStandard, verifyTerra, type HeadersLike, type VerifyOptions, type Webhook } from "./webhook.js";
export * from "./types.js";
