"""The daemon's answers and what it is asked, as it writes them.

Made of internal/api/openapi.yaml and clients/advice.yaml by `go test ./test/clients -run Types -update`: change those.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, TypedDict, Union

__all__ = [
    "RefusalFaultsItem",
    "Refusal",
    "PlanStep",
    "DocumentHead",
    "DocumentChanged",
    "DeveloperRemoved",
    "ErrorText",
    "EventID",
    "EventRef",
    "LookedBackTo",
    "PayloadID",
    "DeliveryID",
    "Reference",
    "Time",
    "State",
    "DestinationState",
    "Accepted",
    "BatchLine",
    "BatchResult",
    "EventBody",
    "Event",
    "Link",
    "Delivery",
    "Attempt",
    "LiveAttempt",
    "Selection",
    "Step",
    "Replayable",
    "ReplayRequest",
    "ReplayState",
    "Replay",
    "Moved",
    "Destination",
    "Outcomes",
    "DestinationTotalsStates",
    "DestinationTotals",
    "PortalRight",
    "PortalLink",
    "Session",
    "Settings",
    "ExplainedRequest",
    "Explained",
    "Act",
    "AttemptClass",
    "WaitsFor",
    "LastAnswer",
    "CheckFindingsItem",
    "Check",
    "CheckResult",
    "Counts",
    "AuditRow",
    "Daemon",
    "Series",
    "UsageItemsItem",
    "Usage",
    "Readiness",
    "ListEventsQuery",
    "ListDeliveriesQuery",
    "RetryDeliveryRequest",
    "ListReplaysQuery",
    "ListDestinationsQuery",
    "PauseDestinationRequest",
    "RebindDestinationAnswer",
    "TestDestinationQuery",
    "TestDestinationAnswer",
    "GetDestinationHistoryQuery",
    "ExplainEventAnswer",
    "ListEventTypesAnswerItemsItemData",
    "ListEventTypesAnswerItemsItem",
    "ListEventTypesAnswer",
    "GetExampleEventQuery",
    "GetSettingsAnswer",
    "GetDestinationSettingsAnswerFrozenItem",
    "GetDestinationSettingsAnswer",
    "CreateSessionRequest",
    "CreatePortalLinkRequest",
    "ListPortalLinksQuery",
    "ListChangesQuery",
    "ListDevelopersQuery",
    "PutDeveloperQuery",
    "DeleteDeveloperQuery",
    "ListVersionsAnswer",
    "RestoreVersionQuery",
    "RestoreVersionRequest",
    "PutDocumentDestinationQuery",
    "DeleteDocumentDestinationQuery",
    "RotateSecretQuery",
    "RotateSecretRequest",
    "FollowAttemptsQuery",
    "AuditQuery",
    "GetSeriesQuery",
    "GetUsageQuery",
    "EraseUserQuery",
    "EraseUserAnswer",
    "LinkPayloadRequest",
    "ReloadQuery",
    "ReloadAnswer",
    "BackupRequest",
    "BackupAnswer",
    "ListDaemonsAnswer",
    "GetEgressAnswer",
    "GetLimitsAnswerPerDeveloper",
    "GetLimitsAnswer",
    "GetMetricsQuery",
    "GetHealthAnswer",
]


class RefusalFaultsItem(TypedDict):
    # From 1; 0: of the whole
    line: int
    message: str


class _Refusal(TypedDict):
    error: ErrorText


class Refusal(_Refusal, total=False):
    # All that is wrong with a document
    faults: List[RefusalFaultsItem]
    # What was done, or would be
    plan: List[PlanStep]
    notes: List[str]
    session: Session
    # With session: whose portal would end it
    developer: str


class _PlanStep(TypedDict):
    do: Literal["add", "change", "remove"]
    developer: str


class PlanStep(_PlanStep, total=False):
    """One thing that a change of settings does. It names keys, and no values."""

    # Left out: the developer, with all their destinations
    destination: str
    # That change: of the destination, or paths within its settings
    keys: List[str]
    # How many a developer has who is removed
    destinations: int
    # Deliveries of what is removed; they wait for it to come back
    pending: int


class _DocumentHead(TypedDict):
    developer: str


class DocumentHead(_DocumentHead, total=False):
    # Left out: it is a file
    version: int
    at: Time
    # The name of the token that made it, as in Act; the id of the link to the portal
    by: str
    deleted: Literal[True]
    destinations: int
    # Why it is not in force; the last good settings are
    faults: List[str]


class _DocumentChanged(TypedDict):
    developer: str
    # That is the newest now; 0: a dry run of the first
    version: int
    plan: List[PlanStep]


class DocumentChanged(_DocumentChanged, total=False):
    dry_run: Literal[True]
    notes: List[str]
    # Of a rotation: the new secret, shown this once
    secret: str
    # Of a rotation of ed25519: what the receiver verifies with
    public_key: str
    rotate_at: Time


class _DeveloperRemoved(TypedDict):
    developer: str
    plan: List[PlanStep]


class DeveloperRemoved(_DeveloperRemoved, total=False):
    dry_run: Literal[True]
    events_erased: int
    cancelled: int
    payloads_erased: int
    # What an erasure leaves, and what to do about it
    left: str


class ErrorText(TypedDict):
    code: str
    message: str

EventID = str

# The id of an event, or its first 8 characters and more, where they mean one event; 18 always do
EventRef = str

# The acceptance down to which this page has looked; left out on the last page, which has looked at everything
LookedBackTo = str

PayloadID = str

DeliveryID = str

Reference = str

Time = str

State = Literal["pending", "delivered", "dead", "cancelled"]

DestinationState = Literal["active", "paused", "disabled", "held", "removed"]


class _Accepted(TypedDict):
    id: EventID
    reference: Reference
    # How many destinations it goes to
    deliveries: int


class Accepted(_Accepted, total=False):
    # The idempotency key was known: nothing was stored
    duplicate: Literal[True]


class _BatchLine(TypedDict):
    dev_id: str


class BatchLine(_BatchLine, total=False):
    """The event stands in `event`, or, where its bytes cannot stand in one line as they are, as base64 in `body`."""

    reference: Union[str, None]
    # Milliseconds since 1970, with up to three decimals
    ordering_timestamp: Union[float, None]
    idempotency_key: Union[str, None]
    event: EventBody
    # Instead of event: its bytes, with padding
    body: str


class _BatchResult(TypedDict):
    # Counts every line, empty ones too
    line: int
    # The HTTP status that the event alone would have had
    status: int


class BatchResult(_BatchResult, total=False):
    id: EventID
    reference: Reference
    deliveries: int
    duplicate: Literal[True]
    error: ErrorText


class EventBody(TypedDict):
    """An event as its producer writes it"""

    type: str


class _Event(TypedDict):
    id: EventID
    developer: str
    type: str
    reference: str
    accepted: Time
    ordering: Time
    # Bytes of the body
    size: int
    # Names of those it was accepted for
    destinations: List[str]
    # Ids of the deliveries to them, in the same order
    deliveries: List[DeliveryID]


class Event(_Event, total=False):
    version: str
    user: str
    # Why there is no body any more
    gone: Literal["erased", "expired"]


class Link(TypedDict):
    id: PayloadID
    developer: str
    # Whoever has it has the payload: treat it as a secret
    url: str
    expires: Time


class _Delivery(TypedDict):
    id: DeliveryID
    event: EventID
    developer: str
    destination: str
    kind: str
    state: State
    # Attempts of the present schedule that counted
    tried: int
    # It is pending with the settings of its first attempt, which may be older ones
    frozen: bool


class Delivery(_Delivery, total=False):
    # Why it is dead or cancelled
    reason: str
    due: Time
    changed: Time
    # Of the event; in lists only with detail, or where type, user, class or code selects
    type: str
    # Likewise
    user: str
    last_answer: LastAnswer
    waits_for: WaitsFor
    # When that ends, or is looked at again; left out where only a person, or a reload, ends it
    waits_until: str
    waits_reason: str
    # Oldest first; not in lists
    attempts: List[Attempt]

_AttemptClass = TypedDict("_AttemptClass", {"class": "AttemptClass"}, total=True)


class _Attempt(_AttemptClass):
    at: Time
    ms: int
    # What the far side answered with; 0 for nothing
    code: int
    # It used one attempt of the schedule
    counted: bool


class Attempt(_Attempt, total=False):
    # An excerpt, or the error; control bytes are escaped
    answer: str
    # Connected to
    address: str
    # How many requests were made, where that was more than one: a second one goes out when a kept connection had ended before a
    # byte of an answer
    requests: int

_LiveAttemptClass = TypedDict("_LiveAttemptClass", {"class": "AttemptClass"}, total=False)


class LiveAttempt(_LiveAttemptClass, total=False):
    """An attempt that has ended, and what became of its delivery. With `lost` alone it only says that attempts are missing here."""

    # When it ended
    at: str
    delivery: DeliveryID
    developer: str
    destination: str
    kind: str
    # Of the event
    type: str
    user: str
    # Attempts of the present schedule that counted, this one included
    tried: int
    # What the far side answered with; left out for nothing
    code: int
    answer: str
    # Why it failed
    fault: str
    ms: int
    state: State
    # Why the delivery is dead
    reason: str
    # Of the next attempt
    due: str
    # How many attempts just before this one were not told
    lost: int


class Selection(TypedDict, total=False):
    """Says which deliveries are meant. Without a developer or an event it must say "all": true."""

    developer: str
    destination: str
    state: State
    event: EventRef
    since: Time
    until: Time
    all: bool
    # Only with retry
    rebind: bool
    # Only count: nothing is changed, and matched is told
    dry_run: bool
    # Of the event; types, user, classes and codes are in no index, as in a list
    types: List[str]
    # Of the event
    user: str
    # Of the last attempt
    classes: List[AttemptClass]
    # Of the last attempt
    codes: List[int]
    # Of one step
    limit: int
    cursor: str


class Step(TypedDict):
    matched: int
    # Less than matched where a delivery had changed meanwhile, or another one of its event is pending
    changed: int
    next: str

# unmatched: the event was never meant for the destination, which, or whose filter, came later
Replayable = Literal["dead", "delivered", "cancelled", "unmatched"]


class ReplayRequest(TypedDict, total=False):
    """Says which events go where again. Where an event has several deliveries to a destination, the one that changed last counts.
    Without a developer it must say "all": true."""

    developer: str
    # Name; left out: all destinations in the settings
    destination: str
    # Whole ids: these events alone. With a destination they go there whatever its events filter wants
    events: List[str]
    # Left out: what a destination's events filter wants. Without a destination, a type goes only to those that want it
    types: List[str]
    users: List[str]
    states: List[Replayable]
    since: Time
    until: Time
    # Events of all developers
    all: bool
    # Deliveries a second
    rate: float
    # Only count
    dry_run: bool

ReplayState = Literal["running", "finished", "cancelled", "failed"]


class _Replay(TypedDict):
    id: int
    states: List[Replayable]
    rate: float
    dry_run: bool
    # The token that asked, as in Act, or the id of the link to the portal
    by: str
    created: Time
    state: ReplayState
    # Deliveries that are meant
    found: int
    # New deliveries
    made: int
    # Left out: one is on its way already
    pending: int
    # Left out: the body was erased or has expired
    gone: int


class Replay(_Replay, total=False):
    # Left out: all
    developer: str
    destination: str
    events: List[str]
    types: List[str]
    # Forgotten when it ends
    users: List[str]
    since: Time
    until: Time
    ended: Time
    # Why nothing is made just now
    waiting: str
    # Why it failed
    error: str

_MovedFrom = TypedDict("_MovedFrom", {"from": "State"}, total=True)


class Moved(_MovedFrom):
    id: DeliveryID
    to: State


class _Destination(TypedDict):
    developer: str
    name: str
    kind: str
    state: DestinationState
    pending: int
    in_flight: int
    breaker: Literal["closed", "open"]
    # Attempts with the present settings that have failed since one succeeded
    failed_attempts: int
    # Deliveries that died in this hour of the clock and the 23 before it, and not more than are dead now: retrying all of them
    # makes it 0
    dead_24h: int


class Destination(_Destination, total=False):
    # What is wrong, or was asked for: of the pause or hold; of an active one that waits, what its far side answered, or that the
    # process died while it was served; else that its last attempts failed, and how. Left out where the last attempt succeeded, or
    # none was made
    reason: str
    since: Time
    waits_for: WaitsFor
    # No attempt starts before: its far side asked to be left alone until then (Retry-After), which a success ends, and so do
    # resume, retry, rebind and a test; or the process died three times running while it was served, and it waits apart, which
    # changed settings end; or it is held, or its breaker is open, and it is tried then. Left out where an attempt may start, or
    # where only a person, or a reload, ends the wait
    waits_until: str
    oldest_pending: Time
    # When an attempt last succeeded; left out where none is known. Kept over restarts, like the three below; a crash loses ten
    # seconds of it at the most
    last_success: str
    last_answer: LastAnswer
    check: Check
    outcomes_24h: Outcomes

_OutcomesFrom = TypedDict("_OutcomesFrom", {"from": "Time"}, total=True)


class Outcomes(_OutcomesFrom):
    """Attempts over a day, in half hours, the newest last, of the destinations that are recorded (see getSeries); left out of
    others. null: nothing is known"""

    step_seconds: int
    delivered: List[Union[int, None]]
    failed: List[Union[int, None]]


class DestinationTotalsStates(TypedDict, total=False):
    """How many are in which state; one that none is in is left out"""

    active: int
    paused: int
    disabled: int
    held: int
    removed: int


class _DestinationTotals(TypedDict):
    destinations: int
    # How many are in which state; one that none is in is left out
    states: DestinationTotalsStates
    # Active ones whose last attempt failed
    failing: int
    # Active ones that something keeps from starting attempts, other than a rate of the settings
    waiting: int
    pending: int
    in_flight: int
    dead_24h: int


class DestinationTotals(_DestinationTotals, total=False):
    """Of all that developer and q select, whatever page, state and failing select of them"""

    oldest_pending: Time

PortalRight = Literal["read", "configure", "retry", "test", "replay"]


class _PortalLink(TypedDict):
    id: str
    developer: str
    may: List[PortalRight]
    # Name of the token that made it
    by: str
    created: Time
    ends: Time


class PortalLink(_PortalLink, total=False):
    # When it opened a session; left out while it has not
    used: str
    # Shown once
    url: str


class _Session(TypedDict):
    # That of the token; `local` without tokens, `portal` over a link
    name: str
    may: List[Literal["ingest", "read", "operate", "configure", "link", "retry", "test", "replay"]]


class Session(_Session, total=False):
    # Id of the link that the session came over
    via: str
    # Left out for all
    developers: List[str]
    ends: Time
    # The secret, where `bearer` asked for it: shown once
    bearer: str

# As docs/CONFIGURATION.md and the pages of the kinds have them
Settings = Dict[str, Any]


class _ExplainedRequest(TypedDict):
    target: str
    body: str


class ExplainedRequest(_ExplainedRequest, total=False):
    headers: Dict[str, Any]
    # Object or row that would be written
    key: str


class _Explained(TypedDict):
    developer: str
    destination: str
    kind: str
    # It would get the event; would get it later; does not want its type; or the request cannot be made
    decision: Literal["sends", "waits", "filtered", "fails"]


class Explained(_Explained, total=False):
    reason: str
    # Of a delivery alone: by settings that it is frozen to
    frozen: bool
    request: ExplainedRequest

_ActFrom = TypedDict("_ActFrom", {"from": "str"}, total=False)


class _Act(TypedDict):
    at: Time
    # An operationId of this description; `logIn` (refused), `reload` of a signal, `start`, `restore`, or the name of a notice
    call: str
    # `ok`, or the code of the refusal
    result: str
    # How many acts, or deliveries that were changed, the row stands for
    count: int


class Act(_Act, _ActFrom, total=False):
    # Name of the token; `local` without tokens or a daemon, `daemon`, `signal`; left out of a refused log-in. Whoever sees some
    # developers alone reads `operator`, over a link `portal`, in place of tokens that are not theirs
    by: str
    # Id of the link to the portal over which it was done
    via: str
    # Whose it is; left out of what concerns several or the daemon
    developer: str
    # What of theirs: name of a destination, id of a delivery, event or payload
    object: str
    # Why, as whoever did it says (header `Fantail-Reason`); of the daemon, what it saw
    reason: str
    # Of the destination from then on
    state: Literal["active", "paused", "held", "failing", "disabled", "removed"]

AttemptClass = Literal["delivered", "transient", "throttled", "rejected", "misconfigured", "interrupted", "expired"]

# Why no attempt starts: the destination is not in the settings any more, or disabled there; a person paused it; the engine holds
# it, and probes it now and then; it may have killed the process, and waits apart; its far side asked to be left alone; its far
# side fails, and is tried one by one; frozen settings cannot be opened; after a fault of the daemon's own; rate of the settings.
# Left out where nothing keeps it
WaitsFor = Literal["removed", "disabled", "paused", "held", "apart", "throttled", "breaker", "settings", "engine", "rate"]

_LastAnswerClass = TypedDict("_LastAnswerClass", {"class": "AttemptClass"}, total=True)


class _LastAnswer(_LastAnswerClass):
    at: Time
    # What the far side answered with; 0 for nothing
    code: int


class LastAnswer(_LastAnswer, total=False):
    """How the last attempt ended (of a destination, the last with its present settings); left out where there was none"""

    # Excerpt of what it said, at most 256 bytes; left out when it was erased
    answer: str
    # Why the attempt failed, likewise; left out when it succeeded
    fault: str


class _CheckFindingsItem(TypedDict):
    name: Literal["state", "dns", "guard", "connect", "tls", "access", "check"]
    result: CheckResult
    message: str


class CheckFindingsItem(_CheckFindingsItem, total=False):
    # What to do
    advice: str


class _Check(TypedDict):
    at: Time
    ms: int
    result: CheckResult
    findings: List[CheckFindingsItem]


class Check(_Check, total=False):
    """What the last check found; in lists only the findings that are not ok. Left out where none was made since the start."""

    certificate_expires: Time

# warn: deliveries can be made, somebody should look; fail: they cannot
CheckResult = Literal["ok", "warn", "fail"]


class Counts(TypedDict):
    accepted: int
    delivered: int
    pending: int
    dead: int
    cancelled: int


class _AuditRow(TypedDict):
    developer: str
    destination: str
    kind: str
    accepted: int
    delivered: int
    pending: int
    dead: int
    cancelled: int
    # The sum is right and, when deep, the recount agrees
    balanced: bool


class AuditRow(_AuditRow, total=False):
    recounted: Counts


class _Daemon(TypedDict):
    # Made anew at every start
    id: str
    # As store.postgres.name says; else its host's
    name: str
    version: str
    # It is the one that answers
    self: bool
    # False for one that ended without giving its slots back, as long as that is known
    alive: bool
    # By its own clock
    started: str
    # When it renewed its lease last, by the clock of the store
    seen: str
    # Those that it owns: what is pending lies in them
    slots: List[int]
    # How far its clock is from that of the store
    clock_offset_ms: float
    # It has the keys of the daemon that answers
    same_keys: bool
    # It runs on the files of the daemon that answers, but for what is each one's own
    same_files: bool


class Daemon(_Daemon, total=False):
    # Where the others reach its API; left out where they cannot
    api: str

_SeriesFrom = TypedDict("_SeriesFrom", {"from": "str"}, total=True)


class _Series(_SeriesFrom):
    step_seconds: int
    # Deliveries made
    accepted: List[Union[int, None]]
    # Attempts that succeeded
    delivered: List[Union[int, None]]
    # Attempts that failed; what the daemon broke off is none
    failed: List[Union[int, None]]
    # At the end of the step
    pending: List[Union[int, None]]
    # From acceptance to delivery; null also where nothing was delivered. Replays do not count
    latency_p50_ms: List[Union[float, None]]
    latency_p99_ms: List[Union[float, None]]


class Series(_Series, total=False):
    developer: str
    destination: str
    kind: str
    # Those that have series; only in all
    kinds: List[str]


class _UsageItemsItem(TypedDict):
    accepted: int
    delivered: int
    pending: int
    dead: int
    cancelled: int
    # At these deliveries; null: not counted for all of them
    attempts: Union[int, None]
    # Of the bodies of these deliveries; null as attempts
    bytes: Union[int, None]


class UsageItemsItem(_UsageItemsItem, total=False):
    day: str
    developer: str
    destination: str
    kind: str


class _Usage(TypedDict):
    since: str
    # Not included
    until: str
    by: Literal["day", "developer", "destination"]
    items: List[UsageItemsItem]


class Usage(_Usage, total=False):
    # The first day from which on attempts and bytes are counted; left out where they are for all of it
    counted_from: str


class _Readiness(TypedDict):
    ready: bool
    problems: List[str]


class Readiness(_Readiness, total=False):
    warnings: List[str]
    version: str


class ListEventsQuery(TypedDict, total=False):
    developer: str
    # May stand several times
    type: List[str]
    user: str
    # In no index: what the other parameters select is read one by one, up to limit and more, until some are found
    reference: str
    # Accepted then or later
    since: str
    # Accepted before
    until: str
    # Only events that matched no destination
    unmatched: bool
    limit: int

_ListDeliveriesQueryClass = TypedDict("_ListDeliveriesQueryClass", {"class": "List[AttemptClass]"}, total=False)


class ListDeliveriesQuery(_ListDeliveriesQueryClass, total=False):
    developer: str
    # Name
    destination: str
    # May stand several times
    state: List[State]
    event: EventRef
    # Of the event; may stand several times. Type, class and code are in no index: what the other parameters select is read one by
    # one
    type: List[str]
    # Of the event
    user: str
    # That the far side answered the last attempt with, 0 for nothing; may stand several times
    code: List[int]
    # Tell type, user and last_answer, which cost two reads each
    detail: bool
    # Accepted then or later
    since: str
    # Accepted before
    until: str
    limit: int


class RetryDeliveryRequest(TypedDict, total=False):
    # Keep the schedule and only take up current settings
    rebind: bool


class ListReplaysQuery(TypedDict, total=False):
    developer: str
    limit: int


class ListDestinationsQuery(TypedDict, total=False):
    developer: str
    state: DestinationState
    # Only active ones whose last attempt failed
    failing: bool
    # A part of developer/name, or of the kind
    q: str
    # worst: by what is wrong, then by what died, then by what is pending
    sort: Literal["name", "worst"]
    # Tell totals
    totals: bool
    # Tell outcomes_24h
    outcomes: bool
    limit: int


class PauseDestinationRequest(TypedDict, total=False):
    reason: str


class RebindDestinationAnswer(TypedDict):
    rebound: int


class TestDestinationQuery(TypedDict, total=False):
    # Of the event that is made up
    type: str
    # Such as GARMIN
    provider: str
    # user_id; a fresh one when left out
    user: str
    # The same seed makes the same values
    seed: int


class TestDestinationAnswer(TypedDict):
    id: str
    reference: str
    # Its delivery to the destination
    delivery: str
    destination: Destination


class GetDestinationHistoryQuery(TypedDict, total=False):
    # Accepted then or later
    since: str
    # Accepted before
    until: str
    limit: int


class _ExplainEventAnswer(TypedDict):
    type: str
    destinations: List[Explained]


class ExplainEventAnswer(_ExplainEventAnswer, total=False):
    user: str


class _ListEventTypesAnswerItemsItemData(TypedDict):
    member: str


class ListEventTypesAnswerItemsItemData(_ListEventTypesAnswerItemsItemData, total=False):
    """Left out where it is no data: where its items, times and identities lie, as of the setting `types`"""

    start: List[str]
    end: List[str]
    identity: List[str]
    day_identity: bool
    event_identity: bool


class _ListEventTypesAnswerItemsItem(TypedDict):
    type: str
    # `fantail generate`, and a test without a body, make one up
    generated: bool


class ListEventTypesAnswerItemsItem(_ListEventTypesAnswerItemsItem, total=False):
    # Left out where it is no data: where its items, times and identities lie, as of the setting `types`
    data: ListEventTypesAnswerItemsItemData


class ListEventTypesAnswer(TypedDict):
    next: str
    items: List[ListEventTypesAnswerItemsItem]


class GetExampleEventQuery(TypedDict, total=False):
    # Such as GARMIN
    provider: str
    # user_id; a fresh one when left out
    user: str
    # The same seed makes the same values
    seed: int


class GetSettingsAnswer(TypedDict):
    settings: Settings


class _GetDestinationSettingsAnswerFrozenItem(TypedDict):
    id: str
    pending: int


class GetDestinationSettingsAnswerFrozenItem(_GetDestinationSettingsAnswerFrozenItem, total=False):
    # There are more: 10000 are counted
    more: bool
    settings: Settings
    # Why they cannot be shown
    problem: str


class GetDestinationSettingsAnswer(TypedDict):
    settings: Settings
    frozen: List[GetDestinationSettingsAnswerFrozenItem]


class CreateSessionRequest(TypedDict, total=False):
    # The value of a token
    token: str
    # That of a link, after `#link=`
    code: str
    bearer: bool
    # A session that there is may end
    replace: bool


class _CreatePortalLinkRequest(TypedDict):
    developer: str


class CreatePortalLinkRequest(_CreatePortalLinkRequest, total=False):
    # `read` alone when left out
    may: List[PortalRight]
    # Seconds until the link and its session end
    ttl: int


class ListPortalLinksQuery(TypedDict, total=False):
    developer: str
    limit: int


class ListChangesQuery(TypedDict, total=False):
    developer: str
    # Name of the token; `local`, `daemon` or `signal`; as the rows have it for whoever asks
    by: str
    # An operationId of this description; `logIn` (refused), `reload` of a signal, `start`, `restore`, or the name of a notice
    call: str
    # Accepted then or later
    since: str
    # Accepted before
    until: str
    limit: int


class ListDevelopersQuery(TypedDict, total=False):
    # A part of the name
    q: str
    limit: int


class PutDeveloperQuery(TypedDict, total=False):
    # Say what it would do, and change nothing
    dry_run: bool
    # Also if nothing is left, or more than a tenth and two are removed
    allow_removal: bool


class DeleteDeveloperQuery(TypedDict, total=False):
    # What becomes of what they have
    data: Literal["keep", "erase"]
    # Say what it would do, and change nothing
    dry_run: bool


class ListVersionsAnswer(TypedDict):
    items: List[DocumentHead]


class RestoreVersionQuery(TypedDict, total=False):
    # Say what it would do, and change nothing
    dry_run: bool
    # Also if nothing is left, or more than a tenth and two are removed
    allow_removal: bool


class RestoreVersionRequest(TypedDict):
    version: int


class PutDocumentDestinationQuery(TypedDict, total=False):
    # Say what it would do, and change nothing
    dry_run: bool
    # Also if nothing is left, or more than a tenth and two are removed
    allow_removal: bool


class DeleteDocumentDestinationQuery(TypedDict, total=False):
    # Say what it would do, and change nothing
    dry_run: bool
    # Also if nothing is left, or more than a tenth and two are removed
    allow_removal: bool


class RotateSecretQuery(TypedDict, total=False):
    # Say what it would do, and change nothing
    dry_run: bool


class RotateSecretRequest(TypedDict, total=False):
    # Left out: one is made
    secret: str
    rotate_at: str


class FollowAttemptsQuery(TypedDict, total=False):
    developer: str
    # Name; needs developer
    destination: str
    # May stand twice; attempts where it is left out
    tell: List[Literal["attempts", "counters"]]


class AuditQuery(TypedDict, total=False):
    developer: str
    deep: bool


class GetSeriesQuery(TypedDict, total=False):
    developer: str
    destination: str
    kind: str
    range: Literal["1h", "24h", "7d"]


class GetUsageQuery(TypedDict, total=False):
    developer: str
    destination: str
    # The first day, or a moment of it; 30 days before until unless given
    since: str
    # The first day that is not included; of a moment, the next day; all that there is unless given
    until: str
    # What a row is about
    by: Literal["day", "developer", "destination"]


class EraseUserQuery(TypedDict, total=False):
    developer: str


class EraseUserAnswer(TypedDict):
    events: int
    cancelled: int


class LinkPayloadRequest(TypedDict, total=False):
    # Seconds
    ttl: int
    # Whose payload it is; needed when the event itself is not known any more
    developer: str


class ReloadQuery(TypedDict, total=False):
    # Say what it would do, and change nothing
    dry_run: bool
    # Also if nothing is left, or more than a tenth and two are removed
    allow_removal: bool


class _ReloadAnswer(TypedDict):
    # false: it was a dry run
    reloaded: bool
    plan: List[PlanStep]


class ReloadAnswer(_ReloadAnswer, total=False):
    dry_run: Literal[True]
    # What is allowed in the settings, and deserves to be said
    notes: List[str]
    # Changed settings of fantail.yaml that take effect at the next start
    at_next_start: List[str]


class BackupRequest(TypedDict):
    # An absolute path that does not exist
    dir: str


class BackupAnswer(TypedDict):
    dir: str
    ms: int


class ListDaemonsAnswer(TypedDict):
    items: List[Daemon]


class GetEgressAnswer(TypedDict):
    source: List[str]
    proxy: bool


class GetLimitsAnswerPerDeveloper(TypedDict):
    # Events handed in
    rate: float
    # Deliveries that wait
    pending: int
    # Of their bodies
    bytes: int
    # In the developer's file
    destinations: int
    # Over all of their destinations
    attempts: float
    # Of schedules; shorter waits are lengthened
    shortest_wait_ms: int
    # Of RSA keys in settings
    key_bits: int


class GetLimitsAnswer(TypedDict):
    body: int
    # Bytes a second that a body must come with
    body_rate: float
    # Attempts at a time
    in_flight: int
    # Of bodies in attempts
    in_flight_bytes: int
    # How far deliveries may be behind before producers are slowed down
    lag_ms: int
    per_developer: GetLimitsAnswerPerDeveloper

_GetMetricsQueryName = TypedDict("_GetMetricsQueryName", {"name[]": "List[str]"}, total=False)


class GetMetricsQuery(_GetMetricsQueryName, total=False):
    pass


class GetHealthAnswer(TypedDict):
    status: Literal["ok"]
