import { FantailError } from "./errors.js";
import { bytesOf, maxBytes, maxLines, newKey, type Outcome, type SendRequest } from "./events.js";

export interface BatcherOptions {
  /**
   * Is told what became of each event. What it throws is thrown by `flush` and `close`. An `add` in it does
   * not wait for room, which it makes itself. It must not `flush` or `close`, which wait for it: they are
   * refused where the runtime can tell who calls (Node.js from 20.16 and 22.3, Deno, Bun). Elsewhere it must
   * not await any of the three.
   */
  onOutcome: (outcome: Outcome) => void | Promise<void>;
  /** Events of a request; 500 when left out, 1,000 at most. */
  maxEvents?: number;
  /** Bytes of their bodies; 4 MiB when left out. */
  maxBytes?: number;
  /** Milliseconds that an event waits for others; 200 when left out. */
  maxWait?: number;
  /** Bytes of the events that wait or are under way, 512 for each beside its body; `add` waits for room beyond. 32 MiB when left out. */
  maxPending?: number;
}

interface Waiting {
  request: SendRequest;
  size: number; // of its body
  room: number; // what it takes in memory
}

/** Tells what an asynchronous call was begun by. It is asked for in a way that does no harm in browsers, which lack it. */
interface Origin<T> {
  run<R>(value: T, call: () => R): R;
  getStore(): T | undefined;
}
type Runtime = { process?: { getBuiltinModule?: (name: string) => { AsyncLocalStorage: new <T>() => Origin<T> } | undefined } };
const Origins = (globalThis as Runtime).process?.getBuiltinModule?.("node:async_hooks")?.AsyncLocalStorage;

/** What an event takes in memory beside its body: without it many small ones would be bounded by nothing. */
const overhead = 512;

/**
 * Gathers events and hands them in together. `add` resolves when there is room for the event, `flush`
 * when all that was added has an outcome. One request is under way at a time. Events get their
 * idempotency keys when they are added.
 */
export class Batcher {
  readonly #send: (requests: SendRequest[]) => Promise<Outcome[]>;
  readonly #options: Required<BatcherOptions>;
  #waiting: Waiting[] = [];
  #bytes = 0; // waiting
  #pending = 0; // waiting or under way
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #room: (() => void)[] = [];
  #failure: unknown;
  #closed = false;
  readonly #calls = Origins && new Origins<{ over: boolean }>(); // of the callback

  constructor(send: (requests: SendRequest[]) => Promise<Outcome[]>, options: BatcherOptions) {
    const { onOutcome, maxEvents = 500, maxBytes: bytes = 4 << 20, maxWait = 200, maxPending = 32 << 20 } = options;
    // With no event in a request it would hand in nothing for ever; with NaN nothing would bound anything.
    for (const [name, value, least] of [["maxEvents", maxEvents, 1], ["maxBytes", bytes, 1], ["maxWait", maxWait, 0], ["maxPending", maxPending, 1]] as const)
      if (!(value >= least)) throw new RangeError(`${name} is ${value}: it must be a number from ${least}`);
    this.#send = send;
    this.#options = { onOutcome, maxEvents: Math.min(maxEvents, maxLines), maxBytes: Math.min(bytes, maxBytes), maxWait, maxPending };
  }

  async add(request: SendRequest): Promise<void> {
    const body = bytesOf(request);
    const room = body.length + overhead;
    while (!this.#called() && this.#pending > 0 && this.#pending + room > this.#options.maxPending) {
      this.#start();
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    if (this.#closed) throw new Error("the batcher is closed");
    const { event: _, ...rest } = request;
    this.#waiting.push({ request: { ...rest, body, idempotencyKey: request.idempotencyKey ?? newKey() }, size: body.length, room });
    this.#bytes += body.length;
    this.#pending += room;
    if (this.#waiting.length >= this.#options.maxEvents || this.#bytes >= this.#options.maxBytes || this.#pending >= this.#options.maxPending) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#options.maxWait);
  }

  /** Hands in what waits. Resolves when all of it has an outcome. */
  async flush(): Promise<void> {
    this.#refuseCallback();
    while (this.#waiting.length > 0 || this.#running) {
      this.#start();
      await this.#running;
    }
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      throw failure;
    }
  }

  /** Flushes, and takes no more. */
  async close(): Promise<void> {
    this.#refuseCallback();
    this.#closed = true;
    await this.flush();
  }

  /** Tells whether the callback is what asks: the batcher goes on when it has returned. */
  #called(): boolean {
    return this.#calls?.getStore()?.over === false;
  }

  #refuseCallback(): void {
    if (this.#called()) throw new Error("onOutcome cannot flush or close its batcher, which waits for it");
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    do {
      let size = 0;
      let n = 0;
      while (n < this.#waiting.length && n < this.#options.maxEvents && (n === 0 || size + this.#waiting[n]!.size <= this.#options.maxBytes)) size += this.#waiting[n++]!.size;
      const taken = this.#waiting.splice(0, n);
      this.#bytes -= size;
      await this.#handIn(taken.map((waiting) => waiting.request));
      for (const waiting of taken) this.#pending -= waiting.room;
      for (const resolve of this.#room.splice(0)) resolve();
    } while (this.#waiting.length > 0);
    this.#running = undefined; // at once: what is added after this look starts the next
  }

  async #handIn(requests: SendRequest[]): Promise<void> {
    let outcomes: Outcome[];
    try {
      outcomes = await this.#send(requests);
    } catch (cause) {
      const error = cause instanceof FantailError ? cause : new FantailError("failed", String(cause), { cause });
      outcomes = requests.map((request) => ({ request, error }));
    }
    for (const outcome of outcomes) {
      const call = { over: false }; // what it leaves running may flush afterwards
      const tell = () => this.#options.onOutcome(outcome);
      try {
        await (this.#calls ? this.#calls.run(call, tell) : tell());
      } catch (error) {
        this.#failure ??= error;
      } finally {
        call.over = true;
      }
    }
  }
}
