"""The client of one daemon."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Type, Union, cast

from . import types as t
from ._http import Call, Transport, segment, whole
from .batcher import Batcher
from .events import Outcome, SendRequest, Sending, bytes_of, keyed, ordering_of

Body = Union[bytes, str]


@dataclass(frozen=True)
class Document:
    """A developer's document, as YAML. Its secrets stand as ``[redacted]``.

    version: its number; None where the settings are files.
    """

    text: str
    version: Optional[int]


@dataclass(frozen=True)
class Changed:
    """How many deliveries a change was about, and how many it changed."""

    matched: int
    changed: int


class Fantail:
    """One daemon. Its methods may be called from several threads at once.

    url: of the daemon, such as ``http://127.0.0.1:8080``. Proxies of the environment are not used.
    timeout: seconds that the daemon may say nothing.
    patience: seconds for which a call that is safe to repeat goes on after a 429, a 503 or a fault of the network; 0: one
        try. Safe are reads, and events, which have idempotency keys.
    reason: why, for whoever reads the daemon's list of changes; at most 500 bytes.
    brand: the daemon's setting of that name, for the headers of an event.
    context: of TLS.

    What is refused is a FantailError.
    """

    def __init__(
        self,
        url: str,
        token: Optional[str] = None,
        *,
        timeout: float = 30,
        patience: float = 30,
        reason: Optional[str] = None,
        brand: str = "terra",
        context: Optional[ssl.SSLContext] = None,
    ) -> None:
        self._http = Transport(url, token, timeout, patience, reason, brand, context)

    def close(self) -> None:
        """Closes connections that are kept."""
        self._http.close()

    def __enter__(self) -> Fantail:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    # Events

    def send(
        self,
        developer: str,
        event: Optional[Mapping[str, Any]] = None,
        *,
        body: Optional[Body] = None,
        reference: Optional[str] = None,
        ordering: Optional[Union[datetime, int]] = None,
        idempotency_key: Optional[str] = None,
        traceparent: Optional[str] = None,
        tracestate: Optional[str] = None,
    ) -> t.Accepted:
        """Hands in one event. It is on the daemon's disk when this returns. The arguments are those of SendRequest."""
        request = keyed(SendRequest(developer, event, body, reference, ordering, idempotency_key))
        at, brand = ordering_of(ordering), self._http.brand
        headers = {
            "content-type": "application/json",
            "dev-id": developer,
            brand + "-reference": reference,
            brand + "-ordering-timestamp": None if at is None else str(at),
            "idempotency-key": request.idempotency_key,
            "traceparent": traceparent,
            "tracestate": tracestate,
        }
        return cast(t.Accepted, self._http.json(Call("POST", "/v1/events", headers=headers, body=cast(bytes, request.body), safe=True)))

    def send_batch(self, requests: Sequence[SendRequest]) -> List[Outcome]:
        """Hands in many events, over as many requests as it takes, and returns what became of each, in their order.

        Events stand alone: some may be refused. Raises where the daemon refuses all of them, as for a wrong token. Once it
        has answered for one, a failure is told as the outcome of the others.
        """
        return Sending(self._http, requests).run()

    def batcher(
        self, on_outcome: Callable[[Outcome], None], *, max_events: int = 500, max_bytes: int = 4 << 20, max_wait: float = 0.2, max_pending: int = 32 << 20
    ) -> Batcher:
        """Gathers events and hands them in by hundreds. See Batcher."""
        return Batcher(self.send_batch, on_outcome, max_events=max_events, max_bytes=max_bytes, max_wait=max_wait, max_pending=max_pending)

    def events(self, query: Optional[t.ListEventsQuery] = None) -> Iterator[t.Event]:
        """Events, newest first."""
        return self._list("/v1/events", query)

    def event(self, id: str) -> t.Event:
        return cast(t.Event, self._get("/v1/events/" + segment(id)))

    def event_body(self, id: str) -> bytes:
        """The body of an event, byte for byte."""
        return self._http.call(Call("GET", f"/v1/events/{segment(id)}/body", safe=True), whole)

    def explain(self, developer: str, event: Optional[Mapping[str, Any]] = None, *, body: Optional[Body] = None) -> t.ExplainEventAnswer:
        """Who would get an event, and what exactly. Nothing is stored or sent."""
        headers = {"content-type": "application/json", "dev-id": developer}
        return cast(t.ExplainEventAnswer, self._http.json(Call("POST", "/v1/explain", headers=headers, body=bytes_of(event, body), safe=True)))

    def event_types(self) -> List[t.ListEventTypesAnswerItemsItem]:
        """The catalogue of types. Others may be sent, too."""
        return cast(t.ListEventTypesAnswer, self._get("/v1/event-types"))["items"]

    def payload_link(self, id: str, request: Optional[t.LinkPayloadRequest] = None) -> t.Link:
        """A URL of a payload that needs no other credential until it expires."""
        return cast(t.Link, self._post(f"/v1/payloads/{segment(id)}/link", request or {}))

    # Deliveries

    def deliveries(self, query: Optional[t.ListDeliveriesQuery] = None) -> Iterator[t.Delivery]:
        """Deliveries, newest first, without their attempts."""
        return self._list("/v1/deliveries", query)

    def delivery(self, id: str) -> t.Delivery:
        """One delivery with its attempts, oldest first."""
        return cast(t.Delivery, self._get("/v1/deliveries/" + segment(id)))

    def retry_delivery(self, id: str, request: Optional[t.RetryDeliveryRequest] = None) -> t.Moved:
        return cast(t.Moved, self._post(f"/v1/deliveries/{segment(id)}/retry", request or {}))

    def cancel_delivery(self, id: str) -> t.Moved:
        return cast(t.Moved, self._post(f"/v1/deliveries/{segment(id)}/cancel"))

    def retry_deliveries(self, selection: t.Selection) -> Changed:
        """Retries all that is selected, step by step."""
        return self._steps("/v1/deliveries/retry", selection)

    def cancel_deliveries(self, selection: t.Selection) -> Changed:
        """Cancels all that is selected and pending, step by step."""
        return self._steps("/v1/deliveries/cancel", selection)

    def replay(self, request: t.ReplayRequest) -> t.Replay:
        """Begins a replay, which goes on in the daemon: ask get_replay how far it is."""
        return cast(t.Replay, self._post("/v1/replays", request))

    def replays(self, query: Optional[t.ListReplaysQuery] = None) -> Iterator[t.Replay]:
        return self._list("/v1/replays", query)

    def get_replay(self, id: int) -> t.Replay:
        return cast(t.Replay, self._get(f"/v1/replays/{int(id)}"))

    def cancel_replay(self, id: int) -> t.Replay:
        return cast(t.Replay, self._http.json(Call("DELETE", f"/v1/replays/{int(id)}")))

    # Destinations

    def destinations(self, query: Optional[t.ListDestinationsQuery] = None) -> Iterator[t.Destination]:
        """Destinations as they run."""
        return self._list("/v1/destinations", query)

    def pause(self, developer: str, destination: str, reason: Optional[str] = None) -> t.Destination:
        return cast(t.Destination, self._post(at(developer, destination, "pause"), {"reason": reason} if reason else None))

    def resume(self, developer: str, destination: str) -> t.Destination:
        return cast(t.Destination, self._post(at(developer, destination, "resume")))

    def rebind(self, developer: str, destination: str) -> t.RebindDestinationAnswer:
        """Moves deliveries that are frozen to older settings to the current ones."""
        return cast(t.RebindDestinationAnswer, self._post(at(developer, destination, "rebind")))

    def check(self, developer: str, destination: str) -> t.Destination:
        """Looks at a destination without sending it an event: up to 30 s."""
        return cast(t.Destination, self._post(at(developer, destination, "check")))

    def test(self, developer: str, destination: str, query: Optional[t.TestDestinationQuery] = None) -> t.TestDestinationAnswer:
        """Sends a made-up event to one destination."""
        return cast(t.TestDestinationAnswer, self._http.json(Call("POST", at(developer, destination, "test"), query=plain(query))))

    def history(self, developer: str, destination: str, query: Optional[t.GetDestinationHistoryQuery] = None) -> Iterator[t.Act]:
        return self._list(at(developer, destination, "history"), query)

    def destination_settings(self, developer: str, destination: str) -> t.GetDestinationSettingsAnswer:
        """The settings of a destination as they count, secrets redacted."""
        return cast(t.GetDestinationSettingsAnswer, self._get(at(developer, destination, "settings")))

    # Developers' documents. A change takes:
    #   dry_run: say what it would do, and change nothing.
    #   allow_removal: also if nothing is left, or much is removed.
    #   if_version: the version that the change is for; else it is refused with 412. 0: only if there is none yet.

    def developers(self, query: Optional[t.ListDevelopersQuery] = None) -> Iterator[t.DocumentHead]:
        """Developers who have a document, by their names."""
        return self._list("/v1/developers", query)

    def developer(self, developer: str) -> Document:
        return self._document("/v1/developers/" + segment(developer))

    def put_developer(
        self, developer: str, document: Union[str, Mapping[str, Any]], *, dry_run: bool = False, allow_removal: bool = False, if_version: Optional[int] = None
    ) -> t.DocumentChanged:
        """Replaces a developer's document, or makes one: YAML as a text, or a mapping."""
        return cast(t.DocumentChanged, self._change("PUT", "/v1/developers/" + segment(developer), document, dry_run, allow_removal, if_version))

    def delete_developer(self, developer: str, data: Optional[str] = None, *, dry_run: bool = False, if_version: Optional[int] = None) -> t.DeveloperRemoved:
        """Removes a developer. data is ``keep`` or ``erase``; without it, it is refused, with what is pending."""
        return cast(t.DeveloperRemoved, self._change("DELETE", "/v1/developers/" + segment(developer), None, dry_run, False, if_version, data=data))

    def versions(self, developer: str) -> List[t.DocumentHead]:
        return cast(List[t.DocumentHead], self._get(f"/v1/developers/{segment(developer)}/versions")["items"])

    def version(self, developer: str, version: int) -> Document:
        return self._document(f"/v1/developers/{segment(developer)}/versions/{int(version)}")

    def restore(
        self, developer: str, version: int, *, dry_run: bool = False, allow_removal: bool = False, if_version: Optional[int] = None
    ) -> t.DocumentChanged:
        """Makes a version of a document the newest again."""
        path = f"/v1/developers/{segment(developer)}/restore"
        return cast(t.DocumentChanged, self._change("POST", path, {"version": version}, dry_run, allow_removal, if_version))

    def destination(self, developer: str, destination: str) -> Document:
        return self._document(of(developer, destination))

    def put_destination(
        self,
        developer: str,
        destination: str,
        document: Union[str, Mapping[str, Any]],
        *,
        dry_run: bool = False,
        allow_removal: bool = False,
        if_version: Optional[int] = None,
    ) -> t.DocumentChanged:
        """Sets one destination of a document, which is made where there is none."""
        return cast(t.DocumentChanged, self._change("PUT", of(developer, destination), document, dry_run, allow_removal, if_version))

    def delete_destination(self, developer: str, destination: str, *, dry_run: bool = False, if_version: Optional[int] = None) -> t.DocumentChanged:
        return cast(t.DocumentChanged, self._change("DELETE", of(developer, destination), None, dry_run, False, if_version))

    def rotate_secret(
        self,
        developer: str,
        destination: str,
        request: Optional[t.RotateSecretRequest] = None,
        *,
        dry_run: bool = False,
        if_version: Optional[int] = None,
    ) -> t.DocumentChanged:
        """Gives a destination a new secret, which is shown in this answer alone."""
        path = of(developer, destination) + "/rotate-secret"
        return cast(t.DocumentChanged, self._change("POST", path, request or {}, dry_run, False, if_version))

    # The portal, and the daemon

    def portal_link(self, developer: str, may: Optional[Sequence[t.PortalRight]] = None, ttl: Optional[int] = None) -> t.PortalLink:
        """Makes a link that opens one session of a developer's portal. ``url`` is shown once.

        may: read alone when left out. ttl: seconds until the link and its session end.
        """
        request: Dict[str, object] = {"developer": developer}
        if may is not None:
            request["may"] = list(may)
        if ttl is not None:
            request["ttl"] = ttl
        return cast(t.PortalLink, self._post("/v1/portal-links", request))

    def portal_links(self, query: Optional[t.ListPortalLinksQuery] = None) -> Iterator[t.PortalLink]:
        return self._list("/v1/portal-links", query)

    def revoke_portal_link(self, id: str) -> None:
        """Ends a link, and the session that it opened."""
        self._http.call(Call("DELETE", "/v1/portal-links/" + segment(id)), whole)

    def erase_user(self, developer: str, user: str) -> t.EraseUserAnswer:
        """Erases what is stored of a user. It cannot be undone; again is harmless."""
        call = Call("DELETE", f"/v1/users/{segment(user)}/data", query={"developer": developer}, safe=True)
        return cast(t.EraseUserAnswer, self._http.json(call))

    def audit(self, query: Optional[t.AuditQuery] = None) -> List[t.AuditRow]:
        return cast(List[t.AuditRow], self._get("/v1/audit", query))

    def usage(self, query: Optional[t.GetUsageQuery] = None) -> t.Usage:
        return cast(t.Usage, self._get("/v1/usage", query))

    def series(self, query: Optional[t.GetSeriesQuery] = None) -> t.Series:
        return cast(t.Series, self._get("/v1/series", query))

    def changes(self, query: Optional[t.ListChangesQuery] = None) -> Iterator[t.Act]:
        """Who did what, newest first."""
        return self._list("/v1/changes", query)

    def egress(self) -> t.GetEgressAnswer:
        return cast(t.GetEgressAnswer, self._get("/v1/egress"))

    def limits(self) -> t.GetLimitsAnswer:
        return cast(t.GetLimitsAnswer, self._get("/v1/limits"))

    def ready(self) -> t.Readiness:
        """Whether the daemon can take events, and if not, why. One try."""
        return cast(t.Readiness, self._http.once(Call("GET", "/readyz", accept=503), lambda answer: json.loads(whole(answer))))

    def _get(self, path: str, query: Optional[object] = None) -> Any:
        return self._http.json(Call("GET", path, query=plain(query), safe=True))

    def _post(self, path: str, body: Optional[Mapping[str, Any]] = None) -> Any:
        if body is None:
            return self._http.json(Call("POST", path))
        return self._http.json(Call("POST", path, headers={"content-type": "application/json"}, body=json.dumps(body).encode()))

    def _list(self, path: str, query: Optional[object]) -> Iterator[Any]:
        """Follows the cursors of a list. A page may be empty and not the last."""
        q = plain(query)
        left: Optional[int] = q.pop("limit", None)
        while True:
            page = self._get(path, {**q, "limit": 1000 if left is None else min(1000, left)})
            for item in page["items"]:
                yield item
                if left is not None:
                    left -= 1
                    if left == 0:
                        return
            if page["next"] == "":
                return
            if page["next"] == q.get("cursor"):
                raise RuntimeError(f"the list at {path} does not move on")
            q["cursor"] = page["next"]

    def _steps(self, path: str, selection: t.Selection) -> Changed:
        q, sum = plain(selection), Changed(0, 0)
        while True:
            step: t.Step = self._post(path, q)
            sum = Changed(sum.matched + step["matched"], sum.changed + step["changed"])
            if step["next"] == "":
                return sum
            if step["next"] == q.get("cursor"):
                raise RuntimeError(f"the change at {path} does not move on")
            q["cursor"] = step["next"]

    def _document(self, path: str) -> Document:
        def read(answer: http.client.HTTPResponse) -> Document:
            version = re.search(r"\d+", answer.getheader("etag") or "")
            return Document(whole(answer).decode(), int(version[0]) if version else None)

        return self._http.call(Call("GET", path, headers={"accept": "application/yaml"}, safe=True), read)

    def _change(
        self,
        method: str,
        path: str,
        document: Optional[Union[str, Mapping[str, Any]]],
        dry_run: bool,
        allow_removal: bool,
        if_version: Optional[int],
        **query: object,
    ) -> Any:
        headers: Dict[str, Optional[str]] = {}
        body: Optional[bytes] = None
        if isinstance(document, str):
            headers["content-type"], body = "application/yaml", document.encode()
        elif document is not None:
            headers["content-type"], body = "application/json", json.dumps(document).encode()
        if if_version:
            headers["if-match"] = f'"{int(if_version)}"'
        elif if_version == 0:
            headers["if-none-match"] = "*"
        query = {**query, "dry_run": dry_run or None, "allow_removal": allow_removal or None}
        return self._http.json(Call(method, path, query=query, headers=headers, body=body))


def plain(query: Optional[object]) -> Dict[str, Any]:
    return dict(cast(Mapping[str, Any], query or {}))


def at(developer: str, destination: str, what: str) -> str:
    return f"/v1/destinations/{segment(developer)}/{segment(destination)}/{what}"


def of(developer: str, destination: str) -> str:
    return f"/v1/developers/{segment(developer)}/destinations/{segment(destination)}"
