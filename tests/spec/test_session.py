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


# ---- CLIENT PAUSE ------------------------------------------------------------------------


def test_a_pause_of_writes_holds_transactions_that_write(server):
    with Server(server.program, io=server.io) as other, other.connect() as admin, other.connect() as c, \
            other.connect() as reader:
        admin("SET", "p", "old")
        assert c.pipeline(("MULTI",), ("SET", "p", "new")) == ["OK", "QUEUED"]
        assert reader.pipeline(("MULTI",), ("GET", "p")) == ["OK", "QUEUED"]
        assert admin("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
        c.send(encode("EXEC"))
        assert reader("EXEC") == [b"old"]
        time.sleep(0.1)
        assert reader("GET", "p") == b"old"
        assert admin("CLIENT", "UNPAUSE") == "OK"
        assert c.reply() == ["OK"]
        assert reader("GET", "p") == b"new"


def test_a_paused_pipeline_runs_once_and_in_order(server):
    with Server(server.program, io=server.io) as other, other.connect() as admin, other.connect() as c:
        assert admin("CLIENT", "PAUSE", "400", "WRITE") == "OK"
        commands = b"".join(encode("INCR", f"n:{i % 7}") for i in range(400)) + b"incr inline\r\nget inline\r\n"
        half = encode("SET", "long", "l" * 30_000)
        c.send(commands + half[:20_000])
        time.sleep(0.1)
        c.send(half[20_000:] + encode("STRLEN", "long"))
        began = time.monotonic()
        assert [c.reply() for _ in range(400)] == [i // 7 + 1 for i in range(400)]
        assert time.monotonic() - began > 0.2
        assert [c.reply() for _ in range(4)] == [1, b"1", "OK", 30_000]
        assert b"incr:calls=401," in admin("INFO", "commandstats")


def test_who_is_killed_in_a_pause_has_written_nothing(server):
    with Server(server.program, io=server.io) as other, other.connect() as admin:
        clients = [other.connect() for _ in range(8)]
        ids = [c("CLIENT", "ID") for c in clients]
        assert admin("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
        for i, c in enumerate(clients):
            c.send(encode("SET", f"killed:{i}", "1"))
        time.sleep(0.1)
        for number in ids:
            assert admin("CLIENT", "KILL", "ID", number) == 1
        for c in clients:
            assert c.is_closed()
        assert admin("CLIENT", "UNPAUSE") == "OK"
        time.sleep(0.1)
        assert admin("EXISTS", *[f"killed:{i}" for i in range(8)]) == 0
        for c in clients:
            c.close()


def test_a_pause_does_not_delay_refusals(server):
    with Server(server.program, "--requirepass", "secret", io=server.io) as other, other.connect() as admin:
        assert admin("AUTH", "secret") == "OK"
        assert admin("CLIENT", "PAUSE", "1000") == "OK"
        with other.connect() as c:
            c.socket.settimeout(0.5)
            assert c("GET", "a") == Error("NOAUTH Authentication required.")


def test_a_stop_ends_a_pause(server):
    with Server(server.program, io=server.io) as other:
        clients = [other.connect() for _ in range(6)]
        assert clients[0]("CLIENT", "PAUSE", "60000") == "OK"
        for i, c in enumerate(clients[1:]):
            c.send(encode("SET", f"k{i}", "1") + encode("MGET", *[f"k{j}" for j in range(5)]))
        time.sleep(0.1)
        began = time.monotonic()
        stopper = threading.Thread(target=other.stop)
        stopper.start()
        for c in clients[1:]:
            assert c.reply() == "OK"
        stopper.join()
        assert other.process.returncode == 0
        assert time.monotonic() - began < 5
        for c in clients:
            c.close()
