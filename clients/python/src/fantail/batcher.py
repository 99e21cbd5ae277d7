"""Gathers events and hands them in together."""

from __future__ import annotations

import threading
import time
from collections import deque
from types import TracebackType
from typing import Callable, Deque, List, Optional, Tuple, Type

from .errors import FantailError
from .events import MAX_BYTES, MAX_LINES, Outcome, SendRequest, keyed


# What an event takes in memory beside its body: without it many small ones would be bounded by nothing.
OVERHEAD = 512


class Batcher:
    """Gathers events and hands them in by hundreds, from a thread of its own.

    ``add`` waits while there is no room, ``flush`` until all that was added has an outcome. One request is under way at
    a time. Events get their idempotency keys when they are added.

    on_outcome: is told, in the batcher's thread, what became of each event. What it raises is raised by ``flush`` and
        ``close``. It may ``add``, and must not ``flush`` or ``close``, which wait for it.
    max_events, max_bytes: of a request.
    max_wait: seconds that an event waits for others.
    max_pending: bytes of the events that wait or are under way, 512 for each beside its body; ``add`` waits for room
        beyond.
    """

    def __init__(
        self,
        send: Callable[[List[SendRequest]], List[Outcome]],
        on_outcome: Callable[[Outcome], None],
        *,
        max_events: int = 500,
        max_bytes: int = 4 << 20,
        max_wait: float = 0.2,
        max_pending: int = 32 << 20,
    ) -> None:
        bounds = (("max_events", max_events, 1), ("max_bytes", max_bytes, 1), ("max_wait", max_wait, 0), ("max_pending", max_pending, 1))
        for name, value, least in bounds:
            if not value >= least:  # with no event in a request it would hand in nothing for ever
                raise ValueError(f"{name} is {value}: it must be a number from {least}")
        self._send = send
        self._on_outcome = on_outcome
        self._max_events = min(max_events, MAX_LINES)
        self._max_bytes = min(max_bytes, MAX_BYTES)
        self._max_wait = max_wait
        self._max_pending = max_pending
        self._changed = threading.Condition()
        self._waiting: Deque[Tuple[SendRequest, int, float]] = deque()
        self._bytes = 0  # waiting
        self._pending = 0  # waiting or under way
        self._busy = False
        self._crowded = False  # somebody waits for room
        self._flushing = 0
        self._failure: Optional[BaseException] = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="fantail-batcher", daemon=True)
        self._thread.start()

    def add(self, request: SendRequest) -> None:
        made = keyed(request)
        size = len(made.body or b"")
        room = size + OVERHEAD
        own = threading.current_thread() is self._thread  # which makes the room
        with self._changed:
            while self._pending and self._pending + room > self._max_pending and not self._closed and not own:
                self._crowded = True
                self._changed.notify_all()
                self._changed.wait()
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.append((made, size, time.monotonic()))
            self._bytes += size
            self._pending += room
            self._changed.notify_all()

    def flush(self) -> None:
        """Hands in what waits. Returns when all of it has an outcome."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("on_outcome cannot flush or close its batcher, which waits for it")
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            while self._waiting or self._busy:
                self._changed.wait()
            self._flushing -= 1
            failure, self._failure = self._failure, None
        if failure:
            raise failure

    def close(self) -> None:
        """Flushes, and takes no more."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("on_outcome cannot flush or close its batcher, which waits for it")
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()
        self.flush()

    def __enter__(self) -> Batcher:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due():
                    if self._closed and not self._waiting:
                        return
                    self._changed.wait(self._waiting[0][2] + self._max_wait - time.monotonic() if self._waiting else None)
                requests, size = self._take()
                self._busy = True
            failure = self._hand_in(requests)
            with self._changed:
                self._busy = False
                self._pending -= size + OVERHEAD * len(requests)
                self._failure = self._failure or failure
                self._changed.notify_all()

    def _due(self) -> bool:
        if not self._waiting:
            return False
        full = len(self._waiting) >= self._max_events or self._bytes >= self._max_bytes or self._pending >= self._max_pending
        return full or self._crowded or self._closed or self._flushing > 0 or self._waiting[0][2] + self._max_wait <= time.monotonic()

    def _take(self) -> Tuple[List[SendRequest], int]:
        requests: List[SendRequest] = []
        size = 0
        while self._waiting and len(requests) < self._max_events and (not requests or size + self._waiting[0][1] <= self._max_bytes):
            request, length, _ = self._waiting.popleft()
            requests.append(request)
            size += length
        self._bytes -= size
        self._crowded = False
        return requests, size

    def _hand_in(self, requests: List[SendRequest]) -> Optional[BaseException]:
        try:
            outcomes = self._send(requests)
        except Exception as cause:
            error = cause if isinstance(cause, FantailError) else FantailError("failed", str(cause))
            outcomes = [Outcome(request, error=error) for request in requests]
        failure: Optional[BaseException] = None
        for outcome in outcomes:
            try:
                self._on_outcome(outcome)
            except BaseException as error:  # sys.exit() too: without its thread every flush would wait for ever
                failure = failure or error
        return failure
