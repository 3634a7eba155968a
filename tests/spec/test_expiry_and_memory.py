"""Keys that go by themselves: by time, and for want of memory."""
import time

from support.orbit import Error, Server


def test_expired_keys_are_gone_for_everybody(server):
    with server.connect() as c:
        c.pipeline(*[("SET", f"brief:{i}", i, "PX", 1000 + i % 50) for i in range(2000)])
        assert c("DBSIZE") >= 2000
        time.sleep(1.2)
        assert c.pipeline(*[("GET", f"brief:{i}") for i in range(2000)]) == [None] * 2000
        assert c("EXISTS", *[f"brief:{i}" for i in range(100)]) == 0


def test_the_wheel_takes_what_nobody_reads(server):
    with server.connect() as c:
        c("FLUSHALL")
        c.pipeline(*[("SET", f"unread:{i}", i, "PX", 100) for i in range(5000)])
        for _ in range(100):
            time.sleep(0.1)
            if c("DBSIZE") == 0:
                return
        raise AssertionError(f"{c('DBSIZE')} keys are left after ten seconds")


def test_noeviction_refuses_growth_only(server):
    with server.connect() as c:
        c("FLUSHALL")
        assert c("CONFIG", "SET", "maxmemory", "8mb") == "OK"
        refused = None
        for i in range(200):
            got = c.pipeline(*[("SET", f"fill:{i}:{j}", "x" * 100) for j in range(1000)])
            refused = next((g for g in got if isinstance(g, Error)), None)
            if refused:
                break
        assert refused == Error("OOM command not allowed when used memory > 'maxmemory'.")
        assert c("GET", "fill:0:0") == b"x" * 100
        assert c("DEL", "fill:0:0") == 1
        assert c("CONFIG", "SET", "maxmemory", "0") == "OK"
        assert c("SET", "more", "1") == "OK"
        c("FLUSHALL")


def test_eviction_keeps_memory_bounded(server):
    with server.connect() as c:
        for policy in ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-ttl", "volatile-lru"):
            c("FLUSHALL")
            c.pipeline(("CONFIG", "SET", "maxmemory-policy", policy), ("CONFIG", "SET", "maxmemory", "8mb"))
            for i in range(100):
                got = c.pipeline(*[("SET", f"{policy}:{i}:{j}", "x" * 100, "EX", 1000) for j in range(1000)])
                assert got == ["OK"] * 1000, (policy, [g for g in got if g != "OK"][:2])
            size = c("DBSIZE")
            assert 10_000 < size < 80_000, (policy, size)
        c.pipeline(("CONFIG", "SET", "maxmemory", "0"), ("CONFIG", "SET", "maxmemory-policy", "noeviction"), ("FLUSHALL",))


def test_reads_evict_what_a_large_write_has_made_too_much(server):
    with server.connect() as c:
        c("FLUSHALL")
        used = int(c("INFO", "memory").decode().split("used_memory:")[1].split()[0])
        c.pipeline(("CONFIG", "SET", "maxmemory-policy", "volatile-random"), ("CONFIG", "SET", "maxmemory", used + 100 * 1024))
        try:
            assert c("SET", "{t}volatile", "x", "EX", 1000) == "OK"
            assert c("SETBIT", "{t}large", 1600000, 0) == 0
            assert c("GETBIT", "{t}large", 0) == 0
            assert c("DBSIZE") == 1
            assert c("EXISTS", "{t}volatile") == 0
        finally:
            c.pipeline(("CONFIG", "SET", "maxmemory", "0"), ("CONFIG", "SET", "maxmemory-policy", "noeviction"))
            c("FLUSHALL")


def test_a_lower_limit_frees_memory_by_itself(server):
    with server.connect() as c:
        c("FLUSHALL")
        c("MSET", *[word for i in range(100) for word in (f"key:{i}", "x" * 1000)])
        c("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        try:
            c("CONFIG", "SET", "maxmemory", 1)
            for _ in range(1000):
                if c("DBSIZE") == 0:
                    break
                time.sleep(0.005)
            assert c("DBSIZE") == 0
        finally:
            c("CONFIG", "SET", "maxmemory", 0)
            c("CONFIG", "SET", "maxmemory-policy", "noeviction")
