"""Events on their way to the daemon."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from ._http import FIRST_WAIT, LONGEST_WAIT, Call, TooStrange, Transport, pause_after, seconds
from .errors import FantailError
from .types import Accepted

# Limits of one request: the daemon's own of lines, and well below what it takes by default.
MAX_LINES = 1000
MAX_BYTES = 8 << 20
MOST_RESULT = 64 << 10  # bytes of one line of the answer


@dataclass(frozen=True)
class SendRequest:
    """One event to hand in: an ``event`` that becomes JSON, or its ``body``, which goes out byte for byte.

    developer: who owns it.
    reference: up to 128 visible ASCII characters; the daemon makes one when left out.
    ordering: when it happened, as a datetime with a zone or in ms since 1970; the time of acceptance when left out.
    idempotency_key: a second event of the developer with this key is not stored. A fresh one is made when left out.
    """

    developer: str
    event: Optional[Mapping[str, Any]] = None
    body: Optional[Union[bytes, str]] = None
    reference: Optional[str] = None
    ordering: Optional[Union[datetime, int]] = None
    idempotency_key: Optional[str] = None


@dataclass(frozen=True)
class Outcome:
    """What became of one event of a batch: accepted, or an error."""

    request: SendRequest
    accepted: Optional[Accepted] = None
    error: Optional[FantailError] = None


def bytes_of(event: Optional[Mapping[str, Any]], body: Optional[Union[bytes, str]]) -> bytes:
    """The bytes of an event."""
    if (event is None) == (body is None):
        raise TypeError("give an event or its body")
    if event is not None:
        return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    made = body.encode() if isinstance(body, str) else bytes(body or b"")
    if not made:
        raise ValueError("the event has no body")
    return made


def ordering_of(at: Optional[Union[datetime, int]]) -> Optional[int]:
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ValueError("the ordering time has no zone")
        return int(at.timestamp() * 1000)
    return at


def keyed(request: SendRequest) -> SendRequest:
    """The request with its bytes and with a key, so that it can be handed in again."""
    return replace(request, event=None, body=bytes_of(request.event, request.body), idempotency_key=request.idempotency_key or str(uuid.uuid4()))


def line_of(request: SendRequest) -> bytes:
    """One line of a batch. A body that spans several lines, or has white space around it, goes as base64."""
    body = bytes_of(request.event, request.body)
    members: Dict[str, object] = {"dev_id": request.developer, "reference": request.reference, "ordering_timestamp": ordering_of(request.ordering)}
    members["idempotency_key"] = request.idempotency_key
    head = json.dumps({name: value for name, value in members.items() if value is not None}).encode()[:-1]
    if body[:1] == b"{" and body[-1:] == b"}" and b"\n" not in body and b"\r" not in body:
        return head + b',"event":' + body + b"}\n"
    return head + b',"body":"' + base64.b64encode(body) + b'"}\n'


Line = Tuple[int, bytes]


class Sending:
    """Hands in requests until each has a final answer, or patience ends."""

    def __init__(self, transport: Transport, requests: Sequence[SendRequest]) -> None:
        self.http = transport
        self.requests = requests
        self.outcomes: List[Optional[Outcome]] = [None] * len(requests)

    def run(self) -> List[Outcome]:
        try:
            self.post_all()
        except FantailError as failure:
            # Whoever were raised this would not learn what was accepted, and hand that in again under other keys.
            if not any(self.outcomes):
                raise
            for at, outcome in enumerate(self.outcomes):
                if outcome is None:
                    self.refused(at, failure)
        return [outcome for outcome in self.outcomes if outcome is not None]

    def post_all(self) -> None:
        chunk: List[Line] = []
        size = 0
        for at, request in enumerate(self.requests):
            line = line_of(keyed(request))
            if len(chunk) == MAX_LINES or (chunk and size + len(line) > MAX_BYTES):
                self.post(chunk)
                chunk, size = [], 0
            chunk.append((at, line))
            size += len(line)
        self.post(chunk)

    def post(self, left: List[Line]) -> None:
        last, wait = time.monotonic(), FIRST_WAIT
        while left:
            rest, error = self.once(left)
            if error and error.status == 413 and len(rest) == len(left):
                if len(left) == 1:
                    self.refused(left[0][0], error)
                    return
                half = len(left) // 2
                self.post(left[:half])
                self.post(left[half:])
                return
            if len(rest) < len(left):
                last, wait = time.monotonic(), FIRST_WAIT
            left = rest
            if not left:
                return
            failure = error or FantailError("no_answer", "the daemon broke off its answer")
            if failure.status == 413:
                continue  # the rest goes in a request of its own, at once
            if not failure.temporary and not unjudged(failure):
                raise failure
            pause = pause_after(failure, wait)
            if time.monotonic() - last + pause > self.http.patience:
                for at, _ in left:
                    self.refused(at, failure)
                return
            time.sleep(min(pause, threading.TIMEOUT_MAX))
            wait = min(2 * wait, LONGEST_WAIT)

    def once(self, lines: List[Line]) -> Tuple[List[Line], Optional[FantailError]]:
        """Makes one request and returns the lines that have no final answer, and why."""
        answered = [False] * len(lines)
        failures: List[FantailError] = []

        def read(answer: http.client.HTTPResponse) -> None:
            retry_after = seconds(answer.getheader("retry-after"))
            for text in lines_of(answer):
                result = result_of(text)
                number = result["line"] - 1
                if not 0 <= number < len(lines) or answered[number]:
                    continue
                at = lines[number][0]
                if "error" in result:
                    error = FantailError(result["error"]["code"], result["error"]["message"], status=result["status"], retry_after=retry_after)
                    if error.temporary or unjudged(error) or (error.status == 413 and number > 0):
                        failures.append(error)
                        continue
                    self.refused(at, error)
                else:
                    accepted: Any = {name: value for name, value in result.items() if name not in ("line", "status")}
                    self.outcomes[at] = Outcome(self.requests[at], accepted=accepted)
                answered[number] = True

        try:
            body = b"".join(line for _, line in lines)
            self.http.once(Call("POST", "/v1/events/batch", headers={"content-type": "application/x-ndjson"}, body=body, safe=True), read)
        except FantailError as error:
            failures.append(error)
        rest = [line for line, done in zip(lines, answered) if not done]
        return rest, failures[-1] if failures else None

    def refused(self, at: int, error: FantailError) -> None:
        self.outcomes[at] = Outcome(self.requests[at], error=error)


def unjudged(error: FantailError) -> bool:
    """The daemon did not get or read so far."""
    return error.status == 408 or error.code == "incomplete_body"


def result_of(text: bytes) -> Dict[str, Any]:
    """What became of one line. Believed without an id, it would be an event that is nowhere."""
    result = json.loads(text)
    if isinstance(result, dict) and type(result.get("line")) is int and type(result.get("status")) is int:
        error = result.get("error")
        if isinstance(error, dict) and isinstance(error.get("code"), str) and isinstance(error.get("message"), str):
            return result
        if "error" not in result and isinstance(result.get("id"), str):
            return result
    raise TooStrange("no result of Fantail")


def lines_of(answer: http.client.HTTPResponse) -> Iterable[bytes]:
    """The lines of an answer; one that is cut short is left out."""
    while True:
        line = answer.readline(MOST_RESULT)
        if line.endswith(b"\n"):
            yield line
        elif len(line) == MOST_RESULT:
            raise TooStrange("a result without an end")
        else:
            return
