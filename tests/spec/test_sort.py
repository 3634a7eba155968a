"""SORT reads keys that it does not name, on whatever core they lie: as one step, wherever it is said."""
import itertools
import tempfile
import threading

from support.orbit import Error, Server, encode

N = 200
FALLING = [b"%d" % i for i in range(N - 1, -1, -1)]


def lay(c, prefix="w"):
    c("FLUSHALL")
    c("RPUSH", "list", *range(N))
    c.pipeline(*[("SET", f"{prefix}{i}", -i) for i in range(N)], *[("HSET", f"h{i}", "f", f"of {i}") for i in range(N)])


def test_patterns_reach_keys_of_all_cores(server):
    with server.connect() as c:
        lay(c)
        assert c("SORT", "list", "BY", "w*") == FALLING
        assert c("SORT_RO", "list", "BY", "w*", "LIMIT", 1, 2, "GET", "#", "GET", "h*->f", "GET", "none*") == \
            [b"198", b"of 198", None, b"197", b"of 197", None]
        assert c("SORT", "list", "GET", "w*", "DESC", "LIMIT", 0, 2) == [b"-199", b"-198"]
        for target in ("a", "b", "list"):
            assert c("SORT", "list", "BY", "w*", "GET", "#", "STORE", target) == N
            assert c("LRANGE", target, 0, -1) == FALLING


def test_patterns_with_a_hash_tag(server):
    with server.connect() as c:
        lay(c, "{list}w")
        assert c("SORT", "list", "BY", "{list}w*", "GET", "{list}w*", "LIMIT", 0, 1) == [b"-199"]
        assert c("SORT", "list", "BY", "{list}w*", "STORE", "far away") == N
        assert c("LRANGE", "far away", 0, -1) == FALLING


def test_refused_before_anything_changes(server):
    with server.connect() as c:
        lay(c)
        c("MSET", "w7", "seven", "text", "x")
        c("RPUSH", "target", "old")
        assert c("SORT", "list", "BY", "w*", "STORE", "target") == Error("ERR One or more scores can't be converted into double")
        assert c("LRANGE", "target", 0, -1) == [b"old"]
        assert str(c("SORT", "text", "BY", "w*")).startswith("WRONGTYPE")
        assert c("SORT", "list", "BY", "w*", "FOO") == Error("ERR syntax error")
        assert c("SORT_RO", "list", "BY", "w*", "STORE", "target") == Error("ERR syntax error")
        assert c("SORT", "missing", "BY", "w*", "STORE", "target") == 0
        assert c("EXISTS", "target") == 0


def test_in_transactions_and_scripts(server):
    with server.connect() as c:
        lay(c)
        assert c.pipeline(("MULTI",), ("SET", "w3", "-1000"), ("SORT", "list", "BY", "w*", "LIMIT", 0, 1),
                          ("SORT", "list", "BY", "w*", "STORE", "target"), ("LINDEX", "target", 0),
                          ("EXEC",))[-1] == ["OK", [b"3"], N, b"3"]
        script = "redis.call('SET', KEYS[2], '-2000') return redis.call('SORT', KEYS[1], 'BY', 'w*', 'GET', 'w*', 'LIMIT', 0, 1)"
        for _ in range(3):
            assert c("EVAL", script, 2, "list", "w5") == [b"-2000"]
        assert c.pipeline(("MULTI",), ("EVAL", script, 2, "list", "w5"), ("EXEC",))[-1] == [[b"-2000"]]


def test_what_it_reads_is_of_one_moment(server):
    n = 3000  # more than are asked for at once
    with server.connect() as c, server.connect() as writer:
        c("FLUSHALL")
        c("RPUSH", "list", *range(n))
        rounds = [encode("MSET", *[word for i in range(n) for word in (f"w{i}", number)]) for number in range(20)]
        stop = threading.Event()

        def write():
            for words in itertools.cycle(rounds):
                if stop.is_set():
                    return
                writer.send(words)
                assert writer.reply() == "OK"

        writer.send(rounds[0])
        assert writer.reply() == "OK"
        thread = threading.Thread(target=write)
        thread.start()
        try:
            seen = set()
            for _ in range(15):
                seen_now = set(c("SORT", "list", "BY", "w*", "GET", "w*"))
                assert len(seen_now) == 1, seen_now
                seen |= seen_now
        finally:
            stop.set()
            thread.join()
        assert len(seen) > 1


def test_who_waits_for_what_it_stores(server):
    with server.connect() as c, server.connect() as waiter:
        lay(c)
        waiter.send(b"*3\r\n$5\r\nBLPOP\r\n$6\r\nqueued\r\n$1\r\n0\r\n")
        assert c("SORT", "list", "BY", "w*", "STORE", "queued") == N
        assert waiter.reply() == [b"queued", b"199"]


def test_what_it_stores_lasts(server):
    with tempfile.TemporaryDirectory() as directory:
        how = {"io": server.io, "cores": server.cores, "directory": directory}
        killed = Server(server.program, **how)
        with killed.connect() as c:
            lay(c)
            assert c("SORT", "list", "BY", "w*", "STORE", "target") == N
        killed.kill()
        with Server(server.program, **how) as again, again.connect() as c:
            assert c("LRANGE", "target", 0, -1) == FALLING


def test_values_that_are_cold_come_back(server):
    flags = ("--maxmemory", 4 << 20, "--maxmemory-policy", "tier", "--log-segment-size", 262144)
    with Server(server.program, *flags, io=server.io, cores=server.cores) as other, other.connect(timeout=60) as c:
        n, pad = 3000, "x" * 3000
        c("RPUSH", "list", *range(n))
        for i in range(0, n, 50):
            replies = c.pipeline(*[("SET", f"v{k}", f"{k}:{pad}") for k in range(i, i + 50)])
            assert replies == ["OK"] * 50, replies[:1]
        got = c("SORT", "list", "BY", "none*", "LIMIT", 0, n, "GET", "#", "GET", "v*")
        assert got[1::2] == [b"%s:%s" % (name, pad.encode()) for name in got[::2]]
        assert len(got) == 2 * n
