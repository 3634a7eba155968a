"""Sessions: what one client's commands do to each other while they wait for cores, locks and fibers."""
import random
import socket
import threading
import time

from support.orbit import Error, Push, Server, encode


def test_a_fiber_that_never_waits_after_calls_that_do(server):
    """The last call of a round begins when another core has answered, and ends at once."""
    with server.connect() as c:
        for i in range(200):
            key = f"last:{i}"
            got = c.pipeline(("SET", key, i), ("GET", key), ("PUBLISH", "nobody", "m"), ("STRLEN", key), ("EXEC",),
                             ("GET", key), ("CLIENT", "LIST", "ID", "x"))
            assert got == ["OK", str(i).encode(), 0, len(str(i)), Error("ERR EXEC without MULTI"), str(i).encode(),
                           Error("ERR Invalid client ID")], got
