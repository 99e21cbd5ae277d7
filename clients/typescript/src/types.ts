// Made of internal/api/openapi.yaml and clients/advice.yaml by `go test ./test/clients -run Types -update`: change those.

export interface Refusal {
  error: ErrorText;
  /** All that is wrong with a document */
  faults?: {
    /** From 1; 0: of the whole */
    line: number;
    message: string;
  }[];
  /** What was done, or would be */
  plan?: PlanStep[];
  notes?: string[];
  session?: Session;
  /** With session: whose portal would end it */
  developer?: string;
}

/** One thing that a change of settings does. It names keys, and no values. */
export interface PlanStep {
  do: "add" | "change" | "remove";
  developer: string;
  /** Left out: the developer, with all their destinations */
  destination?: string;
  /** That change: of the destination, or paths within its settings */
  keys?: string[];
  /** How many a developer has who is removed */
  destinations?: number;
  /** Deliveries of what is removed; they wait for it to come back */
  pending?: number;
}

export interface DocumentHead {
  developer: string;
  /** Left out: it is a file */
  version?: number;
  at?: Time;
  /** The name of the token that made it, as in Act; the id of the link to the portal */
  by?: string;
  deleted?: true;
  destinations?: number;
  /** Why it is not in force; the last good settings are */
  faults?: string[];
}

export interface DocumentChanged {
  developer: string;
  /** That is the newest now; 0: a dry run of the first */
  version: number;
  dry_run?: true;
  plan: PlanStep[];
  notes?: string[];
  /** Of a rotation: the new secret, shown this once */
  secret?: string;
  /** Of a rotation of ed25519: what the receiver verifies with */
  public_key?: string;
  rotate_at?: Time;
}

export interface DeveloperRemoved {
  developer: string;
  dry_run?: true;
  plan: PlanStep[];
  events_erased?: number;
  cancelled?: number;
  payloads_erased?: number;
  /** What an erasure leaves, and what to do about it */
  left?: string;
}

export interface ErrorText {
  code: string;
  message: string;
}

export type EventID = string;

/** The id of an event, or its first 8 characters and more, where they mean one event; 18 always do */
export type EventRef = string;

/** The acceptance down to which this page has looked; left out on the last page, which has looked at everything */
export type LookedBackTo = string;

export type PayloadID = string;

export type DeliveryID = string;

export type Reference = string;

export type Time = string;

export type State = "pending" | "delivered" | "dead" | "cancelled";

export type DestinationState = "active" | "paused" | "disabled" | "held" | "removed";

export interface Accepted {
  id: EventID;
  reference: Reference;
  /** How many destinations it goes to */
  deliveries: number;
  /** The idempotency key was known: nothing was stored */
  duplicate?: true;
}

/** The event stands in `event`, or, where its bytes cannot stand in one line as they are, as base64 in `body`. */
export interface BatchLine {
  dev_id: string;
  reference?: string | null;
  /** Milliseconds since 1970, with up to three decimals */
  ordering_timestamp?: number | null;
  idempotency_key?: string | null;
  event?: EventBody;
  /** Instead of event: its bytes, with padding */
  body?: string;
}

export interface BatchResult {
  /** Counts every line, empty ones too */
  line: number;
  /** The HTTP status that the event alone would have had */
  status: number;
  id?: EventID;
  reference?: Reference;
  deliveries?: number;
  duplicate?: true;
  error?: ErrorText;
}

/** An event as its producer writes it */
export interface EventBody {
  type: string;
  [member: string]: unknown;
}

export interface Event {
  id: EventID;
  developer: string;
  type: string;
  version?: string;
  user?: string;
  reference: string;
  accepted: Time;
  ordering: Time;
  /** Bytes of the body */
  size: number;
  /** Names of those it was accepted for */
  destinations: string[];
  /** Ids of the deliveries to them, in the same order */
  deliveries: DeliveryID[];
  /** Why there is no body any more */
  gone?: "erased" | "expired";
}

export interface Link {
  id: PayloadID;
  developer: string;
  /** Whoever has it has the payload: treat it as a secret */
  url: string;
  expires: Time;
}

export interface Delivery {
  id: DeliveryID;
  event: EventID;
  developer: string;
  destination: string;
  kind: string;
  state: State;
  /** Why it is dead or cancelled */
  reason?: string;
  due?: Time;
  changed?: Time;
  /** Attempts of the present schedule that counted */
  tried: number;
  /** It is pending with the settings of its first attempt, which may be older ones */
  frozen: boolean;
  /** Of the event; in lists only with detail, or where type, user, class or code selects */
  type?: string;
  /** Likewise */
  user?: string;
  last_answer?: LastAnswer;
  waits_for?: WaitsFor;
  /** When that ends, or is looked at again; left out where only a person, or a reload, ends it */
  waits_until?: string;
  waits_reason?: string;
  /** Oldest first; not in lists */
  attempts?: Attempt[];
}

export interface Attempt {
  at: Time;
  ms: number;
  class: AttemptClass;
  /** What the far side answered with; 0 for nothing */
  code: number;
  /** An excerpt, or the error; control bytes are escaped */
  answer?: string;
  /** Connected to */
  address?: string;
  /** It used one attempt of the schedule */
  counted: boolean;
  /**
   * How many requests were made, where that was more than one: a second one goes out when a kept connection had ended before a
   * byte of an answer
   */
  requests?: number;
}

/** An attempt that has ended, and what became of its delivery. With `lost` alone it only says that attempts are missing here. */
export interface LiveAttempt {
  /** When it ended */
  at?: string;
  delivery?: DeliveryID;
  developer?: string;
  destination?: string;
  kind?: string;
  /** Of the event */
  type?: string;
  user?: string;
  /** Attempts of the present schedule that counted, this one included */
  tried?: number;
  class?: AttemptClass;
  /** What the far side answered with; left out for nothing */
  code?: number;
  answer?: string;
  /** Why it failed */
  fault?: string;
  ms?: number;
  state?: State;
  /** Why the delivery is dead */
  reason?: string;
  /** Of the next attempt */
  due?: string;
  /** How many attempts just before this one were not told */
  lost?: number;
}

/** Says which deliveries are meant. Without a developer or an event it must say "all": true. */
export interface Selection {
  developer?: string;
  destination?: string;
  state?: State;
  event?: EventRef;
  since?: Time;
  until?: Time;
  all?: boolean;
  /** Only with retry */
  rebind?: boolean;
  /** Only count: nothing is changed, and matched is told */
  dry_run?: boolean;
  /** Of the event; types, user, classes and codes are in no index, as in a list */
  types?: string[];
  /** Of the event */
  user?: string;
  /** Of the last attempt */
  classes?: AttemptClass[];
  /** Of the last attempt */
  codes?: number[];
  /** Of one step */
  limit?: number;
  cursor?: string;
}

export interface Step {
  matched: number;
  /** Less than matched where a delivery had changed meanwhile, or another one of its event is pending */
  changed: number;
  next: string;
}

/** unmatched: the event was never meant for the destination, which, or whose filter, came later */
export type Replayable = "dead" | "delivered" | "cancelled" | "unmatched";

/**
 * Says which events go where again. Where an event has several deliveries to a destination, the one that changed last counts.
 * Without a developer it must say "all": true.
 */
export interface ReplayRequest {
  developer?: string;
  /** Name; left out: all destinations in the settings */
  destination?: string;
  /** Whole ids: these events alone. With a destination they go there whatever its events filter wants */
  events?: string[];
  /** Left out: what a destination's events filter wants. Without a destination, a type goes only to those that want it */
  types?: string[];
  users?: string[];
  states?: Replayable[];
  since?: Time;
  until?: Time;
  /** Events of all developers */
  all?: boolean;
  /** Deliveries a second */
  rate?: number;
  /** Only count */
  dry_run?: boolean;
}

export type ReplayState = "running" | "finished" | "cancelled" | "failed";

export interface Replay {
  id: number;
  /** Left out: all */
  developer?: string;
  destination?: string;
  events?: string[];
  types?: string[];
  /** Forgotten when it ends */
  users?: string[];
  states: Replayable[];
  since?: Time;
  until?: Time;
  rate: number;
  dry_run: boolean;
  /** The token that asked, as in Act, or the id of the link to the portal */
  by: string;
  created: Time;
  state: ReplayState;
  ended?: Time;
  /** Deliveries that are meant */
  found: number;
  /** New deliveries */
  made: number;
  /** Left out: one is on its way already */
  pending: number;
  /** Left out: the body was erased or has expired */
  gone: number;
  /** Why nothing is made just now */
  waiting?: string;
  /** Why it failed */
  error?: string;
}

export interface Moved {
  id: DeliveryID;
  from: State;
  to: State;
}

export interface Destination {
  developer: string;
  name: string;
  kind: string;
  state: DestinationState;
  /**
   * What is wrong, or was asked for: of the pause or hold; of an active one that waits, what its far side answered, or that the
   * process died while it was served; else that its last attempts failed, and how. Left out where the last attempt succeeded, or
   * none was made
   */
  reason?: string;
  since?: Time;
  waits_for?: WaitsFor;
  /**
   * No attempt starts before: its far side asked to be left alone until then (Retry-After), which a success ends, and so do
   * resume, retry, rebind and a test; or the process died three times running while it was served, and it waits apart, which
   * changed settings end; or it is held, or its breaker is open, and it is tried then. Left out where an attempt may start, or
   * where only a person, or a reload, ends the wait
   */
  waits_until?: string;
  pending: number;
  oldest_pending?: Time;
  in_flight: number;
  breaker: "closed" | "open";
  /**
   * When an attempt last succeeded; left out where none is known. Kept over restarts, like the three below; a crash loses ten
   * seconds of it at the most
   */
  last_success?: string;
  last_answer?: LastAnswer;
  /** Attempts with the present settings that have failed since one succeeded */
  failed_attempts: number;
  /**
   * Deliveries that died in this hour of the clock and the 23 before it, and not more than are dead now: retrying all of them
   * makes it 0
   */
  dead_24h: number;
  check?: Check;
  outcomes_24h?: Outcomes;
}

/**
 * Attempts over a day, in half hours, the newest last, of the destinations that are recorded (see getSeries); left out of others.
 * null: nothing is known
 */
export interface Outcomes {
  from: Time;
  step_seconds: number;
  delivered: (number | null)[];
  failed: (number | null)[];
}

/** Of all that developer and q select, whatever page, state and failing select of them */
export interface DestinationTotals {
  destinations: number;
  /** How many are in which state; one that none is in is left out */
  states: {
    active?: number;
    paused?: number;
    disabled?: number;
    held?: number;
    removed?: number;
  };
  /** Active ones whose last attempt failed */
  failing: number;
  /** Active ones that something keeps from starting attempts, other than a rate of the settings */
  waiting: number;
  pending: number;
  oldest_pending?: Time;
  in_flight: number;
  dead_24h: number;
}

export type PortalRight = "read" | "configure" | "retry" | "test" | "replay";

export interface PortalLink {
  id: string;
  developer: string;
  may: PortalRight[];
  /** Name of the token that made it */
  by: string;
  created: Time;
  ends: Time;
  /** When it opened a session; left out while it has not */
  used?: string;
  /** Shown once */
  url?: string;
}

export interface Session {
  /** That of the token; `local` without tokens, `portal` over a link */
  name: string;
  /** Id of the link that the session came over */
  via?: string;
  may: ("ingest" | "read" | "operate" | "configure" | "link" | "retry" | "test" | "replay")[];
  /** Left out for all */
  developers?: string[];
  ends?: Time;
  /** The secret, where `bearer` asked for it: shown once */
  bearer?: string;
}

/** As docs/CONFIGURATION.md and the pages of the kinds have them */
export type Settings = Record<string, unknown>;

export interface Explained {
  developer: string;
  destination: string;
  kind: string;
  /** It would get the event; would get it later; does not want its type; or the request cannot be made */
  decision: "sends" | "waits" | "filtered" | "fails";
  reason?: string;
  /** Of a delivery alone: by settings that it is frozen to */
  frozen?: boolean;
  request?: {
    target: string;
    headers?: Record<string, unknown>;
    /** Object or row that would be written */
    key?: string;
    body: string;
  };
}

export interface Act {
  at: Time;
  /**
   * Name of the token; `local` without tokens or a daemon, `daemon`, `signal`; left out of a refused log-in. Whoever sees some
   * developers alone reads `operator`, over a link `portal`, in place of tokens that are not theirs
   */
  by?: string;
  /** Id of the link to the portal over which it was done */
  via?: string;
  /** The network that a refused log-in came from, such as 192.0.2.0/24 */
  from?: string;
  /** An operationId of this description; `logIn` (refused), `reload` of a signal, `start`, `restore`, or the name of a notice */
  call: string;
  /** Whose it is; left out of what concerns several or the daemon */
  developer?: string;
  /** What of theirs: name of a destination, id of a delivery, event or payload */
  object?: string;
  /** Why, as whoever did it says (header `Fantail-Reason`); of the daemon, what it saw */
  reason?: string;
  /** `ok`, or the code of the refusal */
  result: string;
  /** Of the destination from then on */
  state?: "active" | "paused" | "held" | "failing" | "disabled" | "removed";
  /** How many acts, or deliveries that were changed, the row stands for */
  count: number;
}

export type AttemptClass = "delivered" | "transient" | "throttled" | "rejected" | "misconfigured" | "interrupted" | "expired";

/**
 * Why no attempt starts: the destination is not in the settings any more, or disabled there; a person paused it; the engine holds
 * it, and probes it now and then; it may have killed the process, and waits apart; its far side asked to be left alone; its far
 * side fails, and is tried one by one; frozen settings cannot be opened; after a fault of the daemon's own; rate of the settings.
 * Left out where nothing keeps it
 */
export type WaitsFor = "removed" | "disabled" | "paused" | "held" | "apart" | "throttled" | "breaker" | "settings" | "engine" | "rate";

/** How the last attempt ended (of a destination, the last with its present settings); left out where there was none */
export interface LastAnswer {
  at: Time;
  class: AttemptClass;
  /** What the far side answered with; 0 for nothing */
  code: number;
  /** Excerpt of what it said, at most 256 bytes; left out when it was erased */
  answer?: string;
  /** Why the attempt failed, likewise; left out when it succeeded */
  fault?: string;
}

/** What the last check found; in lists only the findings that are not ok. Left out where none was made since the start. */
export interface Check {
  at: Time;
  ms: number;
  result: CheckResult;
  certificate_expires?: Time;
  findings: ({
    name: "state" | "dns" | "guard" | "connect" | "tls" | "access" | "check";
    result: CheckResult;
    message: string;
    /** What to do */
    advice?: string;
  })[];
}

/** warn: deliveries can be made, somebody should look; fail: they cannot */
export type CheckResult = "ok" | "warn" | "fail";

export interface Counts {
  accepted: number;
  delivered: number;
  pending: number;
  dead: number;
  cancelled: number;
}

export interface AuditRow {
  developer: string;
  destination: string;
  kind: string;
  accepted: number;
  delivered: number;
  pending: number;
  dead: number;
  cancelled: number;
  /** The sum is right and, when deep, the recount agrees */
  balanced: boolean;
  recounted?: Counts;
}

export interface Daemon {
  /** Made anew at every start */
  id: string;
  /** As store.postgres.name says; else its host's */
  name: string;
  /** Where the others reach its API; left out where they cannot */
  api?: string;
  version: string;
  /** It is the one that answers */
  self: boolean;
  /** False for one that ended without giving its slots back, as long as that is known */
  alive: boolean;
  /** By its own clock */
  started: string;
  /** When it renewed its lease last, by the clock of the store */
  seen: string;
  /** Those that it owns: what is pending lies in them */
  slots: number[];
  /** How far its clock is from that of the store */
  clock_offset_ms: number;
  /** It has the keys of the daemon that answers */
  same_keys: boolean;
  /** It runs on the files of the daemon that answers, but for what is each one's own */
  same_files: boolean;
}

export interface Series {
  developer?: string;
  destination?: string;
  kind?: string;
  /** Those that have series; only in all */
  kinds?: string[];
  /** The beginning of the first step */
  from: string;
  step_seconds: number;
  /** Deliveries made */
  accepted: (number | null)[];
  /** Attempts that succeeded */
  delivered: (number | null)[];
  /** Attempts that failed; what the daemon broke off is none */
  failed: (number | null)[];
  /** At the end of the step */
  pending: (number | null)[];
  /** From acceptance to delivery; null also where nothing was delivered. Replays do not count */
  latency_p50_ms: (number | null)[];
  latency_p99_ms: (number | null)[];
}

export interface Usage {
  since: string;
  /** Not included */
  until: string;
  by: "day" | "developer" | "destination";
  /** The first day from which on attempts and bytes are counted; left out where they are for all of it */
  counted_from?: string;
  items: ({
    day?: string;
    developer?: string;
    destination?: string;
    kind?: string;
    accepted: number;
    delivered: number;
    pending: number;
    dead: number;
    cancelled: number;
    /** At these deliveries; null: not counted for all of them */
    attempts: number | null;
    /** Of the bodies of these deliveries; null as attempts */
    bytes: number | null;
  })[];
}

export interface Readiness {
  ready: boolean;
  problems: string[];
  warnings?: string[];
  version?: string;
}

export interface ListEventsQuery {
  developer?: string;
  /** May stand several times */
  type?: string[];
  user?: string;
  /** In no index: what the other parameters select is read one by one, up to limit and more, until some are found */
  reference?: string;
  /** Accepted then or later */
  since?: string;
  /** Accepted before */
  until?: string;
  /** Only events that matched no destination */
  unmatched?: boolean;
  limit?: number;
}

export interface ListDeliveriesQuery {
  developer?: string;
  /** Name */
  destination?: string;
  /** May stand several times */
  state?: State[];
  event?: EventRef;
  /**
   * Of the event; may stand several times. Type, class and code are in no index: what the other parameters select is read one by
   * one
   */
  type?: string[];
  /** Of the event */
  user?: string;
  /** Of the last attempt; may stand several times */
  class?: AttemptClass[];
  /** That the far side answered the last attempt with, 0 for nothing; may stand several times */
  code?: number[];
  /** Tell type, user and last_answer, which cost two reads each */
  detail?: boolean;
  /** Accepted then or later */
  since?: string;
  /** Accepted before */
  until?: string;
  limit?: number;
}

export interface RetryDeliveryRequest {
  /** Keep the schedule and only take up current settings */
  rebind?: boolean;
}

export interface ListReplaysQuery {
  developer?: string;
  limit?: number;
}

export interface ListDestinationsQuery {
  developer?: string;
  state?: DestinationState;
  /** Only active ones whose last attempt failed */
  failing?: boolean;
  /** A part of developer/name, or of the kind */
  q?: string;
  /** worst: by what is wrong, then by what died, then by what is pending */
  sort?: "name" | "worst";
  /** Tell totals */
  totals?: boolean;
  /** Tell outcomes_24h */
  outcomes?: boolean;
  limit?: number;
}

export interface PauseDestinationRequest {
  reason?: string;
}

export interface RebindDestinationAnswer {
  rebound: number;
}

export interface TestDestinationQuery {
  /** Of the event that is made up */
  type?: string;
  /** Such as GARMIN */
  provider?: string;
  /** user_id; a fresh one when left out */
  user?: string;
  /** The same seed makes the same values */
  seed?: number;
}

export interface TestDestinationAnswer {
  id: string;
  reference: string;
  /** Its delivery to the destination */
  delivery: string;
  destination: Destination;
}

export interface GetDestinationHistoryQuery {
  /** Accepted then or later */
  since?: string;
  /** Accepted before */
  until?: string;
  limit?: number;
}

export interface ExplainEventAnswer {
  type: string;
  user?: string;
  destinations: Explained[];
}

export interface ListEventTypesAnswer {
  next: string;
  items: {
    type: string;
    /** `fantail generate`, and a test without a body, make one up */
    generated: boolean;
    /** Left out where it is no data: where its items, times and identities lie, as of the setting `types` */
    data?: {
      member: string;
      start?: string[];
      end?: string[];
      identity?: string[];
      day_identity?: boolean;
      event_identity?: boolean;
    };
  }[];
}

export interface GetExampleEventQuery {
  /** Such as GARMIN */
  provider?: string;
  /** user_id; a fresh one when left out */
  user?: string;
  /** The same seed makes the same values */
  seed?: number;
}

export interface GetSettingsAnswer {
  settings: Settings;
}

export interface GetDestinationSettingsAnswer {
  settings: Settings;
  frozen: {
    id: string;
    pending: number;
    /** There are more: 10000 are counted */
    more?: boolean;
    settings?: Settings;
    /** Why they cannot be shown */
    problem?: string;
  }[];
}

export interface CreateSessionRequest {
  /** The value of a token */
  token?: string;
  /** That of a link, after `#link=` */
  code?: string;
  bearer?: boolean;
  /** A session that there is may end */
  replace?: boolean;
}

export interface CreatePortalLinkRequest {
  developer: string;
  /** `read` alone when left out */
  may?: PortalRight[];
  /** Seconds until the link and its session end */
  ttl?: number;
}

export interface ListPortalLinksQuery {
  developer?: string;
  limit?: number;
}

export interface ListChangesQuery {
  developer?: string;
  /** Name of the token; `local`, `daemon` or `signal`; as the rows have it for whoever asks */
  by?: string;
  /** An operationId of this description; `logIn` (refused), `reload` of a signal, `start`, `restore`, or the name of a notice */
  call?: string;
  /** Accepted then or later */
  since?: string;
  /** Accepted before */
  until?: string;
  limit?: number;
}

export interface ListDevelopersQuery {
  /** A part of the name */
  q?: string;
  limit?: number;
}

export interface PutDeveloperQuery {
  /** Say what it would do, and change nothing */
  dry_run?: boolean;
  /** Also if nothing is left, or more than a tenth and two are removed */
  allow_removal?: boolean;
}

export interface DeleteDeveloperQuery {
  /** What becomes of what they have */
  data?: "keep" | "erase";
  /** Say what it would do, and change nothing */
  dry_run?: boolean;
}

export interface ListVersionsAnswer {
  items: DocumentHead[];
}

export interface RestoreVersionQuery {
  /** Say what it would do, and change nothing */
  dry_run?: boolean;
  /** Also if nothing is left, or more than a tenth and two are removed */
  allow_removal?: boolean;
}

export interface RestoreVersionRequest {
  version: number;
}

export interface PutDocumentDestinationQuery {
  /** Say what it would do, and change nothing */
  dry_run?: boolean;
  /** Also if nothing is left, or more than a tenth and two are removed */
  allow_removal?: boolean;
}

export interface DeleteDocumentDestinationQuery {
  /** Say what it would do, and change nothing */
  dry_run?: boolean;
  /** Also if nothing is left, or more than a tenth and two are removed */
  allow_removal?: boolean;
}

export interface RotateSecretQuery {
  /** Say what it would do, and change nothing */
  dry_run?: boolean;
}

export interface RotateSecretRequest {
  /** Left out: one is made */
  secret?: string;
  rotate_at?: string;
}

export interface FollowAttemptsQuery {
  developer?: string;
  /** Name; needs developer */
  destination?: string;
  /** May stand twice; attempts where it is left out */
  tell?: ("attempts" | "counters")[];
}

export interface AuditQuery {
  developer?: string;
  deep?: boolean;
}

export interface GetSeriesQuery {
  developer?: string;
  destination?: string;
  kind?: string;
  range?: "1h" | "24h" | "7d";
}

export interface GetUsageQuery {
  developer?: string;
  destination?: string;
  /** The first day, or a moment of it; 30 days before until unless given */
  since?: string;
  /** The first day that is not included; of a moment, the next day; all that there is unless given */
  until?: string;
  /** What a row is about */
  by?: "day" | "developer" | "destination";
}

export interface EraseUserQuery {
  developer?: string;
}

export interface EraseUserAnswer {
  events: number;
  cancelled: number;
}

export interface LinkPayloadRequest {
  /** Seconds */
  ttl?: number;
  /** Whose payload it is; needed when the event itself is not known any more */
  developer?: string;
}

export interface ReloadQuery {
  /** Say what it would do, and change nothing */
  dry_run?: boolean;
  /** Also if nothing is left, or more than a tenth and two are removed */
  allow_removal?: boolean;
}

export interface ReloadAnswer {
  /** false: it was a dry run */
  reloaded: boolean;
  dry_run?: true;
  plan: PlanStep[];
  /** What is allowed in the settings, and deserves to be said */
  notes?: string[];
  /** Changed settings of fantail.yaml that take effect at the next start */
  at_next_start?: string[];
}

export interface BackupRequest {
  /** An absolute path that does not exist */
  dir: string;
}

export interface BackupAnswer {
  dir: string;
  ms: number;
}

export interface ListDaemonsAnswer {
  items: Daemon[];
}

export interface GetEgressAnswer {
  source: string[];
  proxy: boolean;
}

export interface GetLimitsAnswer {
  body: number;
  /** Bytes a second that a body must come with */
  body_rate: number;
  /** Attempts at a time */
  in_flight: number;
  /** Of bodies in attempts */
  in_flight_bytes: number;
  /** How far deliveries may be behind before producers are slowed down */
  lag_ms: number;
  per_developer: {
    /** Events handed in */
    rate: number;
    /** Deliveries that wait */
    pending: number;
    /** Of their bodies */
    bytes: number;
    /** In the developer's file */
    destinations: number;
    /** Over all of their destinations */
    attempts: number;
    /** Of schedules; shorter waits are lengthened */
    shortest_wait_ms: number;
    /** Of RSA keys in settings */
    key_bits: number;
  };
}

export interface GetMetricsQuery {
  /** Only the metrics of this name. May stand several times */
  "name[]"?: string[];
}

export interface GetHealthAnswer {
  status: "ok";
}

/** What to do about an error, by its code or status. */
export const advice: Readonly<Record<string, string>> = {
  "401": "Give the token that the daemon's fantail.yaml names (tokens).",
  "403": "This token may not do that: see may and developers of tokens in the daemon's fantail.yaml.",
  "unknown_developer": "Make the developer's document first, or mend the name.",
  "missing_developer": "Say whose event it is.",
  "invalid_json": "Send one JSON object in UTF-8, and no name twice in it.",
  "too_large": "Send fewer bytes at a time, or raise limits.body of the daemon.",
  "idempotency_mismatch": "Use a key for one event alone: this one belongs to another body.",
  "limited": "Send more slowly: limits.per_developer bounds the developer's rate, and what may wait for them.",
  "token_rate": "Make fewer requests with this token, or raise its rate in the daemon's fantail.yaml.",
  "behind": "Wait: the daemon is behind with deliveries.",
  "busy": "Wait: the daemon holds as many bodies as it may.",
  "busy_developer": "Wait, and send fewer large bodies of this developer at a time.",
  "busy_token": "Wait, and send fewer large bodies with this token at a time.",
  "unavailable": "Wait; where it lasts, look at the daemon's log and disk.",
  "own_delivery": "A webhook of the daemon leads back to the daemon: mend its url.",
  "stale": "Read the document again, and make the change to the newest version.",
  "removal_not_allowed": "Look at the plan, and allow the removal if it is meant.",
  "ambiguous_id": "Give more of the id.",
  "no_answer": "See that the daemon runs, and that its address is right.",
  "timeout": "Try again, or give the call more time.",
  "unreadable_answer": "See that the address is the daemon's, and no proxy's page stands in its place.",
};
