"""TCP_NODELAY for the server's connections.

Streamlit binds the listening socket itself, with protocol 0, and asyncio sets TCP_NODELAY only on
connections whose protocol says TCP. Without it each small answer on a connection that is kept alive
waits some 40 ms for the browser's delayed acknowledgement: ten answers in a row on each of six
connections while a new browser loads the scripts. Accepted connections inherit the option from the
listening socket, so it is set there.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

_OPEN_FILES = "/dev/fd"  # Linux and macOS


@asynccontextmanager
async def send_at_once(app: Any) -> AsyncIterator[None]:
    """For `st.App(lifespan=...)`: the server's socket is bound by the time that it starts."""
    set_no_delay()
    yield


def set_no_delay() -> int:
    """Set TCP_NODELAY on every listening TCP socket of this process; how many there are."""
    changed = 0
    for listening in _listening_sockets():
        with listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        changed += 1
    return changed


def _listening_sockets() -> Iterator[socket.socket]:
    """Duplicates of the listening TCP sockets, to be closed by the caller."""
    for number in _open_files():
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            duplicate = socket.socket(fileno=os.dup(number))
        except OSError:  # closed in the meantime
            continue
        if _listens(duplicate):
            yield duplicate
        else:
            duplicate.close()


def _open_files() -> list[int]:
    try:
        return [int(name) for name in os.listdir(_OPEN_FILES)]
    except OSError:  # Windows has no such folder, and its loop no such delay worth the name
        return []


def _listens(one: socket.socket) -> bool:
    if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
        return False
    try:
        return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
