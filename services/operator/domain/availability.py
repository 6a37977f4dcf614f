"""Whether operators take conversations: what they have chosen, as long as they are there. Pure."""

from __future__ import annotations

from typing import Literal

#: Online: gives me more. Busy: no more for now. Away: I am not at the desk, or nobody hears of me.
Availability = Literal["online", "busy", "away"]


def availability(chosen: Availability, present: bool) -> Availability:
    """What holds of an operator. Who comes back is what they have chosen before."""
    return chosen if present else "away"
