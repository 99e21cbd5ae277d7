import { Batcher, type BatcherOptions } from "./batcher.js";
import { sendLines, type Outcome, type SendRequest, bytesOf, newKey } from "./events.js";
import { parsed, segment, Transport, whole, type CallOptions, type Options, type Params } from "./http.js";
import type * as t from "./types.js";

/** A page of a list ends where `next` is "". */
interface Page<T> {
  items: T[];
  next: string;
}

/** What a change of a document may be bound to. */
export interface ChangeOptions extends CallOptions {
  /** Say what it would do, and change nothing. */
  dryRun?: boolean;
  /** Also if nothing is left, or much is removed. */
  allowRemoval?: boolean;
  /** The version that the change is for; else it is refused with 412. 0: only if there is none yet. */
  ifVersion?: number;
}

/** A developer's document, as YAML. Its secrets stand as `[redacted]`. */
export interface Document {
  text: string;
  /** Its number; undefined where the settings are files. */
  version: number | undefined;
}

/**
 * One daemon. Reads, and events, which have idempotency keys, are tried again after a 429, a 503 or a
 * fault of the network, for as long as `patience` says; everything else is tried once.
 * What is refused is a `FantailError`.
 */
export class Fantail {
  readonly #http: Transport;

  constructor(options: Options) {
    this.#http = new Transport(options);
  }

  /** Hands in one event. It is on the daemon's disk when this resolves. */
  send(request: SendRequest, options: CallOptions = {}): Promise<t.Accepted> {
    const brand = this.#http.brand;
    return this.#http.json({
      method: "POST",
      path: "/v1/events",
      headers: {
        "content-type": "application/json",
        "dev-id": request.developer,
        [`${brand}-reference`]: request.reference,
        [`${brand}-ordering-timestamp`]: request.ordering === undefined ? undefined : String(Math.trunc(Number(request.ordering))),
        "idempotency-key": request.idempotencyKey ?? newKey(),
        traceparent: request.traceparent,
        tracestate: request.tracestate,
      },
      body: bytesOf(request),
      safe: true,
      ...options,
    });
  }

  /**
   * Hands in many events, over as many requests as it takes, and returns what became of each, in their
   * order. Events stand alone: some may be refused. Throws where the daemon refuses all of them, as for
   * a wrong token. Once it has answered for one, a failure is told as the outcome of the others.
   */
  sendBatch(requests: readonly SendRequest[], options: CallOptions = {}): Promise<Outcome[]> {
    return sendLines(this.#http, requests, options.signal);
  }

  /** Gathers events and hands them in by hundreds. */
  batcher(options: BatcherOptions): Batcher {
    return new Batcher((requests) => this.sendBatch(requests), options);
  }

  /** Events, newest first. */
  events(query: t.ListEventsQuery = {}, options: CallOptions = {}): AsyncGenerator<t.Event, void, undefined> {
    return this.#list("/v1/events", query, options);
  }
  event(id: string, options: CallOptions = {}): Promise<t.Event> {
    return this.#get(`/v1/events/${segment(id)}`, {}, options);
  }
  /** The body of an event, byte for byte. */
  eventBody(id: string, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#http.call({ method: "GET", path: `/v1/events/${segment(id)}/body`, safe: true, ...options }, whole);
  }
  /** Who would get an event, and what exactly. Nothing is stored or sent. */
  explain(request: Pick<SendRequest, "developer" | "event" | "body">, options: CallOptions = {}): Promise<t.ExplainEventAnswer> {
    const headers = { "content-type": "application/json", "dev-id": request.developer };
    return this.#http.json({ method: "POST", path: "/v1/explain", headers, body: bytesOf(request), safe: true, ...options });
  }
  /** The catalogue of types. Others may be sent, too. */
  async eventTypes(options: CallOptions = {}): Promise<t.ListEventTypesAnswer["items"]> {
    return (await this.#get<t.ListEventTypesAnswer>("/v1/event-types", {}, options)).items;
  }
  /** A URL of a payload that needs no other credential until it expires. */
  payloadLink(id: string, request: t.LinkPayloadRequest = {}, options: CallOptions = {}): Promise<t.Link> {
    return this.#post(`/v1/payloads/${segment(id)}/link`, request, options);
  }

  /** Deliveries, newest first, without their attempts. */
  deliveries(query: t.ListDeliveriesQuery = {}, options: CallOptions = {}): AsyncGenerator<t.Delivery, void, undefined> {
    return this.#list("/v1/deliveries", query, options);
  }
  /** One delivery with its attempts, oldest first. */
  delivery(id: string, options: CallOptions = {}): Promise<t.Delivery> {
    return this.#get(`/v1/deliveries/${segment(id)}`, {}, options);
  }
  retryDelivery(id: string, request: t.RetryDeliveryRequest = {}, options: CallOptions = {}): Promise<t.Moved> {
    return this.#post(`/v1/deliveries/${segment(id)}/retry`, request, options);
  }
  cancelDelivery(id: string, options: CallOptions = {}): Promise<t.Moved> {
    return this.#post(`/v1/deliveries/${segment(id)}/cancel`, undefined, options);
  }
  /** Retries all that is selected, step by step. */
  retryDeliveries(selection: t.Selection, options: CallOptions = {}): Promise<{ matched: number; changed: number }> {
    return this.#steps("/v1/deliveries/retry", selection, options);
  }
  /** Cancels all that is selected and pending, step by step. */
  cancelDeliveries(selection: t.Selection, options: CallOptions = {}): Promise<{ matched: number; changed: number }> {
    return this.#steps("/v1/deliveries/cancel", selection, options);
  }

  /** Begins a replay, which goes on in the daemon: ask `getReplay` how far it is. */
  replay(request: t.ReplayRequest, options: CallOptions = {}): Promise<t.Replay> {
    return this.#post("/v1/replays", request, options);
  }
  replays(query: t.ListReplaysQuery = {}, options: CallOptions = {}): AsyncGenerator<t.Replay, void, undefined> {
    return this.#list("/v1/replays", query, options);
  }
  getReplay(id: number, options: CallOptions = {}): Promise<t.Replay> {
    return this.#get(`/v1/replays/${id}`, {}, options);
  }
  cancelReplay(id: number, options: CallOptions = {}): Promise<t.Replay> {
    return this.#http.json({ method: "DELETE", path: `/v1/replays/${id}`, ...options });
  }

  /** Destinations as they run. */
  destinations(query: t.ListDestinationsQuery = {}, options: CallOptions = {}): AsyncGenerator<t.Destination, void, undefined> {
    return this.#list("/v1/destinations", query, options);
  }
  pause(developer: string, destination: string, reason?: string, options: CallOptions = {}): Promise<t.Destination> {
    return this.#post(at(developer, destination, "pause"), reason ? { reason } : undefined, options);
  }
  resume(developer: string, destination: string, options: CallOptions = {}): Promise<t.Destination> {
    return this.#post(at(developer, destination, "resume"), undefined, options);
  }
  /** Moves deliveries that are frozen to older settings to the current ones. */
  rebind(developer: string, destination: string, options: CallOptions = {}): Promise<t.RebindDestinationAnswer> {
    return this.#post(at(developer, destination, "rebind"), undefined, options);
  }
  /** Looks at a destination without sending it an event: up to 30 s. */
  check(developer: string, destination: string, options: CallOptions = {}): Promise<t.Destination> {
    return this.#post(at(developer, destination, "check"), undefined, options);
  }
  /** Sends a made-up event to one destination. */
  test(developer: string, destination: string, query: t.TestDestinationQuery = {}, options: CallOptions = {}): Promise<t.TestDestinationAnswer> {
    return this.#http.json({ method: "POST", path: at(developer, destination, "test"), query: query as Params, ...options });
  }
  history(developer: string, destination: string, query: t.GetDestinationHistoryQuery = {}, options: CallOptions = {}): AsyncGenerator<t.Act, void, undefined> {
    return this.#list(at(developer, destination, "history"), query, options);
  }
  /** The settings of a destination as they count, secrets redacted. */
  destinationSettings(developer: string, destination: string, options: CallOptions = {}): Promise<t.GetDestinationSettingsAnswer> {
    return this.#get(at(developer, destination, "settings"), {}, options);
  }

  /** Developers who have a document, by their names. */
  developers(query: t.ListDevelopersQuery = {}, options: CallOptions = {}): AsyncGenerator<t.DocumentHead, void, undefined> {
    return this.#list("/v1/developers", query, options);
  }
  developer(developer: string, options: CallOptions = {}): Promise<Document> {
    return this.#document(`/v1/developers/${segment(developer)}`, options);
  }
  /** Replaces a developer's document, or makes one: YAML as a text, or an object. */
  putDeveloper(developer: string, document: string | object, options: ChangeOptions = {}): Promise<t.DocumentChanged> {
    return this.#change("PUT", `/v1/developers/${segment(developer)}`, document, options);
  }
  /** Removes a developer. Without `data` it is refused, with what is pending. */
  deleteDeveloper(developer: string, data: "keep" | "erase" | undefined, options: ChangeOptions = {}): Promise<t.DeveloperRemoved> {
    return this.#change("DELETE", `/v1/developers/${segment(developer)}`, undefined, options, { data });
  }
  async versions(developer: string, options: CallOptions = {}): Promise<t.DocumentHead[]> {
    return (await this.#get<{ items: t.DocumentHead[] }>(`/v1/developers/${segment(developer)}/versions`, {}, options)).items;
  }
  version(developer: string, version: number, options: CallOptions = {}): Promise<Document> {
    return this.#document(`/v1/developers/${segment(developer)}/versions/${version}`, options);
  }
  /** Makes a version of a document the newest again. */
  restore(developer: string, version: number, options: ChangeOptions = {}): Promise<t.DocumentChanged> {
    return this.#change("POST", `/v1/developers/${segment(developer)}/restore`, { version }, options);
  }
  destination(developer: string, destination: string, options: CallOptions = {}): Promise<Document> {
    return this.#document(of(developer, destination), options);
  }
  /** Sets one destination of a document, which is made where there is none. */
  putDestination(developer: string, destination: string, document: string | object, options: ChangeOptions = {}): Promise<t.DocumentChanged> {
    return this.#change("PUT", of(developer, destination), document, options);
  }
  deleteDestination(developer: string, destination: string, options: ChangeOptions = {}): Promise<t.DocumentChanged> {
    return this.#change("DELETE", of(developer, destination), undefined, options);
  }
  /** Gives a destination a new secret, which is shown in this answer alone. */
  rotateSecret(developer: string, destination: string, request: t.RotateSecretRequest = {}, options: ChangeOptions = {}): Promise<t.DocumentChanged> {
    return this.#change("POST", `${of(developer, destination)}/rotate-secret`, request, options);
  }

  /** Makes a link that opens one session of a developer's portal. `url` is shown once. */
  portalLink(request: t.CreatePortalLinkRequest, options: CallOptions = {}): Promise<t.PortalLink> {
    return this.#post("/v1/portal-links", request, options);
  }
  portalLinks(query: t.ListPortalLinksQuery = {}, options: CallOptions = {}): AsyncGenerator<t.PortalLink, void, undefined> {
    return this.#list("/v1/portal-links", query, options);
  }
  /** Ends a link, and the session that it opened. */
  revokePortalLink(id: string, options: CallOptions = {}): Promise<void> {
    return this.#http.nothing({ method: "DELETE", path: `/v1/portal-links/${segment(id)}`, ...options });
  }

  /** Erases what is stored of a user. It cannot be undone; again is harmless. */
  eraseUser(developer: string, user: string, options: CallOptions = {}): Promise<t.EraseUserAnswer> {
    return this.#http.json({ method: "DELETE", path: `/v1/users/${segment(user)}/data`, query: { developer }, safe: true, ...options });
  }
  audit(query: t.AuditQuery = {}, options: CallOptions = {}): Promise<t.AuditRow[]> {
    return this.#get("/v1/audit", query, options);
  }
  usage(query: t.GetUsageQuery = {}, options: CallOptions = {}): Promise<t.Usage> {
    return this.#get("/v1/usage", query, options);
  }
  series(query: t.GetSeriesQuery = {}, options: CallOptions = {}): Promise<t.Series> {
    return this.#get("/v1/series", query, options);
  }
  /** Who did what, newest first. */
  changes(query: t.ListChangesQuery = {}, options: CallOptions = {}): AsyncGenerator<t.Act, void, undefined> {
    return this.#list("/v1/changes", query, options);
  }
  egress(options: CallOptions = {}): Promise<t.GetEgressAnswer> {
    return this.#get("/v1/egress", {}, options);
  }
  limits(options: CallOptions = {}): Promise<t.GetLimitsAnswer> {
    return this.#get("/v1/limits", {}, options);
  }
  /** Whether the daemon can take events, and if not, why. One try. */
  ready(options: CallOptions = {}): Promise<t.Readiness> {
    return this.#http.once({ method: "GET", path: "/readyz", accept: 503, ...options }, (answer) => parsed<t.Readiness>(answer));
  }

  #get<T>(path: string, query: object, options: CallOptions): Promise<T> {
    return this.#http.json({ method: "GET", path, query: query as Params, safe: true, ...options });
  }

  #post<T>(path: string, body: object | undefined, options: CallOptions): Promise<T> {
    const given = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    return this.#http.json({ method: "POST", path, ...given, ...options });
  }

  /** Follows the cursors of a list. A page may be empty and not the last. */
  async *#list<T>(path: string, query: { limit?: number }, options: CallOptions): AsyncGenerator<T, void, undefined> {
    const most = query.limit ?? Infinity;
    let cursor: string | undefined;
    for (let seen = 0; ; ) {
      const page: Page<T> = await this.#get(path, { ...query, limit: Math.min(1000, most - seen), cursor }, options);
      for (const item of page.items) {
        yield item;
        if (++seen >= most) return;
      }
      if (page.next === "") return;
      if (page.next === cursor) throw new Error(`the list at ${path} does not move on`);
      cursor = page.next;
    }
  }

  async #steps(path: string, selection: t.Selection, options: CallOptions): Promise<{ matched: number; changed: number }> {
    const sum = { matched: 0, changed: 0 };
    for (let cursor = selection.cursor; ; ) {
      const step: t.Step = await this.#post(path, cursor === undefined ? selection : { ...selection, cursor }, options);
      sum.matched += step.matched;
      sum.changed += step.changed;
      if (step.next === "") return sum;
      if (step.next === cursor) throw new Error(`the change at ${path} does not move on`);
      cursor = step.next;
    }
  }

  #document(path: string, options: CallOptions): Promise<Document> {
    return this.#http.call({ method: "GET", path, headers: { accept: "application/yaml" }, safe: true, ...options }, async (answer) => {
      const version = /\d+/.exec(answer.headers.get("etag") ?? "");
      return { text: new TextDecoder().decode(await whole(answer)), version: version ? Number(version[0]) : undefined };
    });
  }

  #change<T>(method: string, path: string, document: string | object | undefined, options: ChangeOptions, query: Params = {}): Promise<T> {
    const yaml = typeof document === "string";
    return this.#http.json({
      method,
      path,
      query: { ...query, dry_run: options.dryRun, allow_removal: options.allowRemoval },
      headers: {
        "content-type": document === undefined ? undefined : yaml ? "application/yaml" : "application/json",
        "if-match": options.ifVersion ? `"${options.ifVersion}"` : undefined,
        "if-none-match": options.ifVersion === 0 ? "*" : undefined,
      },
      body: document === undefined ? undefined : yaml ? document : JSON.stringify(document),
      signal: options.signal,
    });
  }
}

function at(developer: string, destination: string, what: string): string {
  return `/v1/destinations/${segment(developer)}/${segment(destination)}/${what}`;
}

function of(developer: string, destination: string): string {
  return `/v1/developers/${segment(developer)}/destinations/${segment(destination)}`;
}
