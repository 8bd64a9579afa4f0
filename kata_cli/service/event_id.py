"""What a client says of the last event that it has seen, before any session is asked whether it had it."""

from __future__ import annotations

from typing import Annotated

import msgspec

EventId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([A-Za-z0-9_-]{1,64}\.[0-9]{1,18})?$",
        description="The id of an event; empty, as for a closed session, is none.",
    ),
]
