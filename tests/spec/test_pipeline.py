"""Pipelines over shards: order, atomicity, large values, half-sent input."""
import random
import threading

from support.orbit import Error, encode


def test_replies_come_in_order_over_shards(server):
    with server.connect() as c:
        n = 3000
        got = c.pipeline(*[("SET", f"order:{i}", f"value {i}") for i in range(n)],
                         *[("GET", f"order:{i}") for i in range(n)])
        assert got[:n] == ["OK"] * n
        assert got[n:] == [f"value {i}".encode() for i in range(n)]


def test_one_byte_at_a_time(server):
    with server.connect() as c:
        for byte in encode("SET", "slow", "x" * 40) + encode("GET", "slow") + b"PING\r\n" + encode("STRLEN", "slow"):
            c.send(bytes([byte]))
        assert [c.reply() for _ in range(4)] == ["OK", b"x" * 40, "PONG", 40]


def test_any_split_gives_the_same_answers(server):
    stream = b"".join([encode("SET", "split", "a\r\nb"), b"set split2 'in line'\r\n", encode("MGET", "split", "split2"),
                       encode("APPEND", "split", "z" * 300), encode("INCR", "not a number"), encode("DEL", "split")])
    rng = random.Random(5)
    with server.connect() as c:
        c("SET", "not a number", "x")
        for _ in range(40):
            at = 0
            while at < len(stream):
                to = min(len(stream), at + rng.randint(1, 60))
                c.send(stream[at:to])
                at = to
            assert [c.reply() for _ in range(6)] == [
                "OK", "OK", [b"a\r\nb", b"in line"], 304, Error("ERR value is not an integer or out of range"), 1]


def test_large_values_there_and_back(server):
    with server.connect() as c:
        for size in (1000, 16 * 1024, 16 * 1024 + 1, 100_000, 3_000_000, 40_000_000):
            value = random.Random(size).randbytes(size)
            assert c("SET", "large", value) == "OK"
            assert c("GET", "large") == value
            assert c.pipeline(("GET", "large"), ("STRLEN", "large"), ("DEL", "large")) == [value, size, 1]


def test_a_value_changed_while_it_is_being_sent(server):
    old, new = b"o" * 2_000_000, b"n" * 2_000_000
    with server.connect() as reader, server.connect() as writer:
        writer("SET", "lent", old)
        reader.send(encode("GET", "lent") * 8)
        for _ in range(20):
            writer.pipeline(("SET", "lent", new), ("APPEND", "lent", "x"), ("SETRANGE", "lent", "0", "y"), ("DEL", "lent"),
                            ("SET", "lent", old))
        for _ in range(8):
            value = reader.reply()
            assert value is None or len(set(value)) <= 3


def test_multi_key_commands_are_atomic(server):
    """Writers set all keys to one number by MSET; no reader ever sees two numbers."""
    keys = [f"atom:{i}" for i in range(6)]
    stop, bad = threading.Event(), []

    def write(number):
        with server.connect() as c:
            while not stop.is_set():
                c("MSET", *[w for k in keys for w in (k, number)])

    def write_in_multi(number):
        with server.connect() as c:
            while not stop.is_set():
                c.pipeline(("MULTI",), *[("SET", k, number) for k in keys], ("EXEC",))

    with server.connect() as c:
        c("MSET", *[w for k in keys for w in (k, 0)])
        threads = [threading.Thread(target=f, args=(n,)) for n, f in enumerate((write, write, write_in_multi))]
        for t in threads:
            t.start()
        try:
            for i in range(400):
                got = c("MGET", *keys) if i % 2 else c.pipeline(("MULTI",), *[("GET", k) for k in keys], ("EXEC",))[-1]
                if len(set(got)) != 1:
                    bad.append(got)
        finally:
            stop.set()
            for t in threads:
                t.join()
    assert not bad, bad[:3]


def test_watch_sees_changes_and_only_changes(server):
    with server.connect() as a, server.connect() as b:
        for change in (("SET", "w", "2"), ("DEL", "w"), ("APPEND", "w", "x"), ("EXPIRE", "w", "100"), ("FLUSHALL",),
                       ("RENAME", "w", "w2")):
            a("SET", "w", "1")
            a("WATCH", "w", "other")
            b(*change)
            assert a.pipeline(("MULTI",), ("SET", "w", "mine"), ("EXEC",))[-1] is None, change
        a("SET", "w", "1")
        a("WATCH", "w")
        b("GET", "w")
        assert a.pipeline(("MULTI",), ("SET", "w", "mine"), ("EXEC",)) == ["OK", "QUEUED", ["OK"]]
        a("WATCH", "w")
        b("SET", "w", "theirs")
        assert a("UNWATCH") == "OK"
        assert a.pipeline(("MULTI",), ("GET", "w"), ("EXEC",))[-1] == [b"theirs"]


def test_watch_holds_where_nothing_is_changed(server):
    with server.connect() as a, server.connect() as b:
        b("FLUSHALL")
        for no_change in (("FLUSHALL",), ("SWAPDB", "0", "1"), ("DEL", "w"), ("PERSIST", "w"), ("GETEX", "w", "EX", "10")):
            a("WATCH", "w")
            b(*no_change)
            assert a.pipeline(("MULTI",), ("EXISTS", "w"), ("EXEC",))[-1] == [0], no_change
        b("SET", "bits", "a")
        for no_change in (("SETBIT", "bits", "1", "1"), ("BITFIELD", "bits", "SET", "u8", "0", "97")):
            a("WATCH", "bits")
            b(*no_change)
            assert a.pipeline(("MULTI",), ("GET", "bits"), ("EXEC",))[-1] == [b"a"], no_change
        for _ in range(2):  # there and back
            a("WATCH", "bits")
            b("SWAPDB", "0", "1")
            assert a.pipeline(("MULTI",), ("GET", "bits"), ("EXEC",))[-1] is None
        b("FLUSHALL")


def test_multi_rules(server):
    with server.connect() as c:
        assert c("EXEC") == Error("ERR EXEC without MULTI")
        assert c("DISCARD") == Error("ERR DISCARD without MULTI")
        assert c("MULTI") == "OK"
        assert c("MULTI") == Error("ERR MULTI calls can not be nested")
        assert c("WATCH", "x") == Error("ERR WATCH inside MULTI is not allowed")
        assert c("GET") == Error("ERR wrong number of arguments for 'get' command")
        assert c("SET", "k", "v") == "QUEUED"
        assert c("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
        assert c.pipeline(("MULTI",), ("EXEC", "now"), ("DISCARD",)) == [
            "OK", Error("EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"),
            Error("ERR DISCARD without MULTI")]
        got = c.pipeline(("SET", "s", "abc"), ("MULTI",), ("INCR", "s"), ("SELECT", "1"), ("SET", "s", "one"),
                         ("SELECT", "0"), ("GET", "s"), ("FLUSHDB",), ("DBSIZE",), ("PING",), ("EXEC",))
        assert got[-1] == [Error("ERR value is not an integer or out of range"), "OK", "OK", "OK", b"abc", "OK", 0, "PONG"]
        assert c.pipeline(("SELECT", "1"), ("GET", "s"), ("FLUSHALL",), ("SELECT", "0")) == ["OK", b"one", "OK", "OK"]


def test_rename_and_copy_over_shards(server):
    with server.connect() as c:
        for i in range(60):
            c("SET", f"from:{i}", i, "PX", 1_000_000)
            assert c("RENAME", f"from:{i}", f"to:{i}") == "OK"
            assert c("GET", f"to:{i}") == str(i).encode()
            assert 0 < c("PTTL", f"to:{i}") <= 1_000_000
            assert c("COPY", f"to:{i}", f"copy:{i}") == 1
            assert c("COPY", f"to:{i}", f"copy:{i}") == 0
            assert c("COPY", f"to:{i}", f"copy:{i}", "DB", "3") == 1
            assert c("EXISTS", f"from:{i}", f"to:{i}", f"copy:{i}", f"to:{i}") == 3
            assert c("BITOP", "OR", f"or:{i}", f"to:{i}", f"copy:{i}") == len(str(i))
            assert c("UNLINK", f"to:{i}", f"copy:{i}", f"or:{i}") == 3
        assert c("RENAME", "nothing", "x") == Error("ERR no such key")
        c("FLUSHALL")
