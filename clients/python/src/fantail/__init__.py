"""Client of Fantail: hand in events, verify webhooks, make links to the portal."""

from . import types
from .batcher import Batcher
from .client import Changed, Document, Fantail
from .errors import FantailError, SignatureError
from .events import Outcome, SendRequest
from .webhook import Webhook, verify_standard, verify_terra

__all__ = [
    "Batcher",
    "Changed",
    "Document",
    "Fantail",
    "FantailError",
    "Outcome",
    "SendRequest",
    "SignatureError",
    "Webhook",
    "types",
    "verify_standard",
    "verify_terra",
]
