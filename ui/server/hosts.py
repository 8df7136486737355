"""Which Host headers this server answers: protection against DNS rebinding.

A page of another site that points its own name at this machine sends that name in the Host header,
and is refused.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from functools import lru_cache

REFUSAL = "This host name is not allowed; add it to CORESET_ALLOWED_HOSTS."


def is_trusted(host: str) -> bool:
    """Whether a Host header is an IP address, localhost, our name or in CORESET_ALLOWED_HOSTS."""
    name = re.sub(r":\d+$", "", host.strip().lower()).strip("[]")
    allowed = os.environ.get("CORESET_ALLOWED_HOSTS", "").lower().replace(",", " ").split()
    if name in {"localhost", *_own_names(), *allowed}:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=1)
def _own_names() -> frozenset[str]:
    """This machine's host name and the names it was configured to listen on."""
    from streamlit import config

    names = (
        config.get_option("server.address"),
        config.get_option("browser.serverAddress"),
        socket.gethostname(),
    )
    return frozenset(str(name).lower() for name in names if name)
