"""What can go wrong."""

from __future__ import annotations

from typing import List, Optional, TypedDict

from ._advice import advice


class Fault(TypedDict):
    line: int
    message: str


class FantailError(Exception):
    """What went wrong, in the words of the daemon or of the way to it.

    code: stable: ``unknown_developer``, ``invalid_json``, ...; of the client itself ``no_answer``, ``timeout``,
        ``unreadable_answer``.
    status: HTTP status, in a batch that of one event; 0 where nothing was answered.
    retry_after: seconds that the daemon asked to wait; 0 when it did not.
    faults: of a refused document: every fault, with its line.
    advice: what to do about it; "" where there is nothing to say beyond the message.
    """

    def __init__(self, code: str, message: str, *, status: int = 0, retry_after: float = 0, faults: Optional[List[Fault]] = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.retry_after = retry_after
        self.faults: List[Fault] = faults or []
        self.advice = advice.get(code) or advice.get(str(status)) or ""

    @property
    def temporary(self) -> bool:
        """Whether the same may go well later: 429, 503, no answer, the 502 or 504 of a proxy whose daemon is away."""
        if self.status in (502, 504):
            return self.code == "refused"
        return self.status in (0, 429, 503)


class SignatureError(Exception):
    """A webhook that nobody should believe.

    code: ``malformed``: no signature; ``mismatch``: no secret made it of this body; ``time``: too old, or of the
        future; ``body``: signed, and no JSON.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
