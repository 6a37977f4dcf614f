"""E-mail addresses to which something may be sent: HTML's rule for them, and no more than SMTP carries."""

from __future__ import annotations

import re
from typing import Any, Final

#: The longest address that fits into SMTP's path (RFC 5321, 4.5.3.1.3).
MAX_ADDRESS: Final = 254
#: https://html.spec.whatwg.org/#valid-e-mail-address, with a domain of at least two labels. ASCII alone: no
#: line end, no second address, no name beside it.
_ADDRESS: Final = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])\Z"
)


def address_of(value: Any) -> str:
    """The address, if ``value`` is one and nothing else but spaces around it; else ""."""
    if not isinstance(value, str):
        return ""
    found = value.strip()
    return found if len(found) <= MAX_ADDRESS and _ADDRESS.match(found) else ""
