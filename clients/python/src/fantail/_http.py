"""One daemon, as requests reach it."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, TypeVar, Union
from urllib.parse import quote, urlencode, urlsplit

from .errors import FantailError

T = TypeVar("T")
FIRST_WAIT = 0.25
LONGEST_WAIT = 15.0
IDLE = 8  # connections that are kept
MOST_ANSWER = 256 << 20  # bytes: more than a full page of a list with all its details


def installed() -> str:
    """The version of this package; "dev" where it runs from its sources."""
    try:
        return metadata.version("fantail-client")
    except metadata.PackageNotFoundError:
        return "dev"


@dataclass
class Call:
    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, Optional[str]] = field(default_factory=dict)
    body: Optional[bytes] = None
    safe: bool = False  # repeating it does no harm
    accept: int = 0  # a status besides 2xx that is an answer


class Transport:
    def __init__(
        self, url: str, token: Optional[str], timeout: float, patience: float, reason: Optional[str], brand: str, context: Optional[ssl.SSLContext]
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("the daemon's address must be of the form http://host:port or https://host:port")
        if parts.username is not None or parts.password is not None:
            raise ValueError("the daemon's address holds a user name: give the token apart")
        self.url = url.rstrip("/")
        self.timeout = timeout
        self.patience = patience
        self.brand = brand
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = (context or ssl.create_default_context()) if parts.scheme == "https" else None
        self._headers: Dict[str, str] = {"user-agent": "fantail-client-python/" + installed()}
        if token:
            self._headers["authorization"] = "Bearer " + token
        if reason:
            self._headers["fantail-reason"] = quote(reason, safe="")
        self._idle: List[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def call(self, call: Call, read: Callable[[http.client.HTTPResponse], T]) -> T:
        """Makes the request, and where it is safe again until it succeeds, fails for good, or patience ends."""
        began, wait = time.monotonic(), FIRST_WAIT
        while True:
            try:
                return self.once(call, read)
            except FantailError as error:
                pause = pause_after(error, wait)
                if not call.safe or not error.temporary or time.monotonic() - began + pause > self.patience:
                    raise
            time.sleep(min(pause, threading.TIMEOUT_MAX))
            wait = min(2 * wait, LONGEST_WAIT)

    def once(self, call: Call, read: Callable[[http.client.HTTPResponse], T]) -> T:
        """Makes the request one time."""
        target = self._prefix + call.path
        query = encode(call.query)
        if query:
            target += "?" + query
        headers = dict(self._headers)
        headers.update({name: value for name, value in call.headers.items() if value is not None})
        for name, value in headers.items():
            if any(c in value for c in "\r\n\0"):
                raise ValueError(f"a control character cannot stand in a header: {name} has one")  # the value may be a token
        with self._answer(call, target, headers) as answer:
            if not 200 <= answer.status <= 299 and answer.status != call.accept:
                raise refusal(answer)
            return read(answer)

    @contextmanager
    def _answer(self, call: Call, target: str, headers: Dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        # A kept connection may have ended meanwhile, which nobody can tell from a request that was lost:
        # only what does no harm twice goes over one.
        connection = self._kept() if call.safe else None
        kept = connection is not None
        connection = connection or self._fresh()
        done = False
        try:
            try:
                answer = self._ask(connection, call, target, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()
                if not kept:
                    raise
                connection = self._fresh()
                answer = self._ask(connection, call, target, headers)
            yield answer
            whole(answer)  # what follows belongs to the next
            done = not answer.will_close
        except (socket.timeout, TimeoutError) as cause:
            raise FantailError("timeout", f"the daemon did not answer within {self.timeout:g} s") from cause
        except (OSError, http.client.HTTPException) as cause:
            raise FantailError("no_answer", f"the daemon at {self.url} did not answer: {cause or type(cause).__name__}") from cause
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, TooStrange) as cause:
            raise FantailError("unreadable_answer", f"the answer is not what Fantail sends; is {self.url} the daemon?", status=502) from cause
        finally:
            if done:
                self._keep(connection)
            else:
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection, call: Call, target: str, headers: Dict[str, str]) -> http.client.HTTPResponse:
        connection.request(call.method, target, call.body, headers)
        return connection.getresponse()

    def _kept(self) -> Optional[http.client.HTTPConnection]:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _fresh(self) -> http.client.HTTPConnection:
        if self._tls:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self.timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self.timeout)

    def _keep(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def json(self, call: Call) -> Any:
        return self.call(call, lambda answer: json.loads(whole(answer)))


class TooStrange(Exception):
    """An answer that the daemon would not make."""


def whole(answer: http.client.HTTPResponse, most: int = MOST_ANSWER) -> bytes:
    """An answer to its end."""
    chunks: List[bytes] = []
    size = 0
    while True:
        chunk = answer.read(1 << 20)
        if not chunk:
            if answer.length:  # read with a size does not tell that it was cut short
                raise http.client.IncompleteRead(b"", answer.length)
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            raise TooStrange(f"the answer is larger than {most} bytes")


def pause_after(error: FantailError, wait: float) -> float:
    """Seconds to wait after a refusal: what the daemon asks for, or longer."""
    return max(error.retry_after, wait / 2 + random.random() * wait)


def segment(text: str) -> str:
    """One part of a path."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def encode(query: Mapping[str, object]) -> str:
    pairs: List["tuple[str, str]"] = []
    for name, value in query.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is not None:
                pairs.append((name, text_of(one)))
    return urlencode(pairs)


def text_of(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def refusal(answer: http.client.HTTPResponse) -> FantailError:
    text = whole(answer, 16 << 20)
    retry_after = seconds(answer.getheader("retry-after"))
    try:
        body: Dict[str, Any] = json.loads(text)
        error = body["error"]
        if not isinstance(error["code"], str) or not isinstance(error["message"], str):
            raise TypeError("no refusal of Fantail")
        return FantailError(error["code"], error["message"], status=answer.status, retry_after=retry_after, faults=body.get("faults"))
    except (ValueError, KeyError, TypeError, RecursionError):
        message = "" if text.startswith(b"<") else text[:200].decode("utf-8", "replace").strip()
        return FantailError("refused", message or f"answered {answer.status} {answer.reason}", status=answer.status, retry_after=retry_after)


def seconds(text: Union[str, None]) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0
