"""Lists over sockets: several shards, long lists, payloads of redis-server, restarts."""
import contextlib
import random
import shutil
import tempfile
import time

from support.orbit import Error, RedisServer, Server


def elements(n, seed=1):
    rnd = random.Random(seed)
    return [rnd.choice((b"%d" % rnd.randint(-10**6, 10**6), b"x" * rnd.randrange(40), rnd.randbytes(rnd.randrange(300))))
            for _ in range(n)]


def fill(c, key, values):
    for i in range(0, len(values), 500):
        c("RPUSH", key, *values[i:i + 500])


def test_moves_between_shards(server):
    with server.connect() as c:
        c("FLUSHALL")
        keys = [f"list:{i}" for i in range(12)]  # on any shard
        fill(c, keys[0], [b"%d" % i for i in range(150)])
        for source, target in zip(keys, keys[1:]):
            for i in range(150):
                assert c("LMOVE", source, target, "LEFT", "RIGHT") == b"%d" % i
            assert c("EXISTS", source) == 0
        assert c("LRANGE", keys[-1], 0, -1) == [b"%d" % i for i in range(150)]
        assert c("LMPOP", 12, *keys, "RIGHT", "COUNT", 2) == [keys[-1].encode(), [b"149", b"148"]]
        assert c("RPOPLPUSH", keys[-1], keys[3]) == b"147"
        assert c("LMPOP", 12, *keys, "RIGHT", "COUNT", 2) == [keys[3].encode(), [b"147"]]


def test_transactions_over_shards_take_all_or_nothing(server):
    with server.connect() as c, server.connect() as other:
        c("FLUSHALL")
        c("WATCH", "a")
        other("RPUSH", "a", "x")
        c.pipeline(("MULTI",), ("RPUSH", "a", "y"), ("RPUSH", "b", "y"))
        assert c("EXEC") is None
        c.pipeline(("MULTI",), ("RPUSH", "a", "y"), ("LPOP", "a"), ("RPUSH", "b", "z"), ("LRANGE", "a", 0, -1))
        assert c("EXEC") == [2, b"x", 1, [b"y"]]


def test_long_lists_are_copied_and_deleted(server):
    values = elements(100_000)
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "long", values)
        assert c("LLEN", "long") == len(values)
        assert c("COPY", "long", "other") == 1
        assert c("COPY", "long", "{long}other") == 1
        c("LTRIM", "long", 10, -10)
        c("LSET", "other", 50_000, "set")
        assert c("LRANGE", "long", 0, -1) == values[10:-9]
        assert c("LRANGE", "other", 0, -1) == values[:50_000] + [b"set"] + values[50_001:]
        assert c("LRANGE", "{long}other", 0, -1) == values
        assert c("RENAME", "other", "third") == "OK"
        assert c("UNLINK", "long", "third", "{long}other") == 3
        for _ in range(100):
            if int(c("INFO", "memory").split(b"used_memory_dataset:")[1].split(b"\r")[0]) < 10**6:
                break
            time.sleep(0.05)


def test_payloads_go_both_ways(server):
    """Blocks and elements of many sizes, compressed or not."""
    with RedisServer("--list-compress-depth", "1") as redis, redis.connect() as there, server.connect() as here:
        for number, n in enumerate((1, 2, 100, 3000, 30_000)):
            assert here("CONFIG", "SET", "list-compress-depth", number % 3) == "OK"
            values = elements(n, seed=number) + [b"large" * 5000] * (n > 2)
            for source, target in ((there, here), (here, there)):
                source("DEL", "l")
                fill(source, "l", values)
                payload = source("DUMP", "l")
                assert target("RESTORE", "l", 0, payload, "REPLACE") == "OK"
                assert target("LRANGE", "l", 0, -1) == values
        assert here("RESTORE", "l", 0, payload) == Error("BUSYKEY Target key name already exists.")
        assert here("CONFIG", "SET", "list-compress-depth", 0) == "OK"


def test_blocks_are_as_large_as_the_setting_says(server):
    with server.connect() as c:
        c("FLUSHALL")
        for size in (-1, -5, 1, 100):
            assert c("CONFIG", "SET", "list-max-listpack-size", size) == "OK"
            fill(c, "l", [b"element:%d" % i for i in range(1000)])
        assert c("LRANGE", "l", 0, -1) == [b"element:%d" % i for i in range(1000)] * 4
        assert c("CONFIG", "GET", "list-max-ziplist-size") == [b"list-max-ziplist-size", b"100"]
        assert c("CONFIG", "SET", "list-max-ziplist-size", "-2") == "OK"


def test_lists_outlive_their_server(server):
    directory = tempfile.mkdtemp(prefix="orbit-lists-")
    flags = ("--log-segment-size", 262144, "--image-log-size", "1mb")
    rnd, model = random.Random(7), {}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for life in range(4):
            own = Server(server.program, *flags, io=server.io, cores=1 + life % 3, directory=directory)
            stack.callback(own.process.kill)
            with own.connect() as c:
                for key, values in model.items():
                    assert c("LRANGE", key, 0, -1) == values, (life, key)
                assert c("DBSIZE") == sum(1 for values in model.values() if values)
                for step in range(700):
                    change(c, rnd, model, f"l{rnd.randrange(6)}")
                    if life % 2 and step == 500:
                        c("BGSAVE")
            own.kill()


def change(c, rnd, model, key):
    values = model.setdefault(key, [])
    kind, some = rnd.random(), elements(rnd.choice((1, 3, 300)), rnd.random())
    at = rnd.randrange(len(values)) if values else 0
    if kind < 0.3 or not values:
        c("RPUSH", key, *some)
        values.extend(some)
    elif kind < 0.45:
        c("LPUSH", key, *some)
        values[:0] = some[::-1]
    elif kind < 0.6:
        n = rnd.choice((1, 5, 400))
        assert c("LPOP", key, n) == values[:n]
        del values[:n]
    elif kind < 0.7:
        n = rnd.choice((1, 5, 400))
        assert c("RPOP", key, n) == values[::-1][:n]
        del values[-n:]
    elif kind < 0.8:
        c("LSET", key, at, some[0])
        values[at] = some[0]
    elif kind < 0.85:
        at = values.index(values[at])
        c("LINSERT", key, "BEFORE", values[at], some[0])
        values.insert(at, some[0])
    elif kind < 0.9:
        removed = values[at]
        n = c("LREM", key, 0, removed)
        values[:] = [value for value in values if value != removed]
        assert n > 0
    elif kind < 0.95 and len(values) > 600:
        c("LTRIM", key, 100, -100)
        values[:] = values[100:-99]
    else:
        c("PEXPIRE", key, 10**9)
