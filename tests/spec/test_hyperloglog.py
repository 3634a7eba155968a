"""HyperLogLogs: the same answers and the same bytes as redis-server, command by command."""
import random
import shutil

from support.orbit import Error, RedisServer, Skipped


def both(server):
    if not shutil.which("redis-server"):
        raise Skipped("there is no redis-server to compare with")
    redis = RedisServer()
    one = server.connect()
    one("CONFIG", "SET", "hll-sparse-max-bytes", 3000)
    return redis, one, redis.connect()


def same(one, other, *command):
    mine, theirs = one(*command), other(*command)
    assert mine == theirs, (command[:3], str(mine)[:300], str(theirs)[:300])
    return mine


def test_random_commands_leave_redis_bytes(server):
    redis, one, other = both(server)
    try:
        rng = random.Random(7)
        same(one, other, "FLUSHALL")
        for sparse_max in (3000, 3000, 0, 40, 16000):
            same(one, other, "CONFIG", "SET", "hll-sparse-max-bytes", sparse_max)
            for _ in range(400):
                key = f"{{h}}{rng.randrange(6)}"
                what = rng.random()
                if what < 0.6:
                    many = rng.choice((0, 1, 3, 60, 400))
                    same(one, other, "PFADD", key, *[rng.randrange(10 ** rng.randrange(1, 9)) for _ in range(many)])
                elif what < 0.7:
                    same(one, other, "PFCOUNT", key)
                elif what < 0.8:
                    same(one, other, "PFCOUNT", *[f"{{h}}{rng.randrange(8)}" for _ in range(3)])
                elif what < 0.9:
                    same(one, other, "PFMERGE", key, *[f"{{h}}{rng.randrange(8)}" for _ in range(2)])
                elif what < 0.93:
                    same(one, other, "DEL", key)
                elif what < 0.96:
                    same(one, other, "PFDEBUG", "DECODE", key)
                else:
                    same(one, other, "PFDEBUG", rng.choice(("ENCODING", "TODENSE")), key)
                same(one, other, "GET", key)
        same(one, other, "CONFIG", "SET", "hll-sparse-max-bytes", 3000)
        same(one, other, "PFADD", "{h}1", 1)
        assert len(same(one, other, "PFDEBUG", "GETREG", "{h}1")) == 16384
    finally:
        redis.__exit__(None, None, None)


def test_strings_that_are_none_or_make_no_sense(server):
    redis, one, other = both(server)
    try:
        rng = random.Random(11)
        same(one, other, "FLUSHALL")
        same(one, other, "PFADD", "{c}s", *range(50))
        same(one, other, "PFADD", "{c}d", *range(5000))
        sparse, dense = one("GET", "{c}s"), one("GET", "{c}d")
        texts = [b"", b"123", b"HYLL", b"HYLL" + b"\1" + bytes(11), b"HYLL" + bytes(12), b"HYLL" + b"\2" + bytes(20),
                 dense[:-1], dense + b"x", sparse + b"\0", sparse[:-2], b"hyll" + sparse[4:]]
        for _ in range(300):
            text = bytearray(rng.choice((sparse, sparse, dense)))
            for _ in range(rng.randrange(1, 4)):
                text[rng.randrange(4, min(len(text), 80))] = rng.randrange(256)
            texts.append(bytes(text))
        for text in texts:
            same(one, other, "SET", "{c}", text)
            same(one, other, "PFCOUNT", "{c}")
            same(one, other, "PFCOUNT", "{c}", "{c}s")
            if isinstance(same(one, other, "PFADD", "{c}", rng.random(), 2, 3), int):
                same(one, other, "GET", "{c}")
            same(one, other, "PFMERGE", "{c}m", "{c}", "{c}s")
    finally:
        redis.__exit__(None, None, None)


def test_errors_and_the_table(server):
    redis, one, other = both(server)
    try:
        same(one, other, "FLUSHALL")
        for command in (("PFADD", "x"), ("PFADD", "x"), ("PFADD",), ("PFCOUNT",), ("PFCOUNT", "none"), ("PFMERGE", "y"),
                        ("PFDEBUG", "ENCODING", "none"), ("PFDEBUG", "WHAT", "x"), ("PFDEBUG", "DECODE", "x"),
                        ("PFDEBUG", "TODENSE", "x"), ("PFDEBUG", "TODENSE", "x"), ("PFDEBUG", "DECODE", "x"),
                        ("PFSELFTEST",), ("OBJECT", "ENCODING", "x"), ("TYPE", "x"), ("SETRANGE", "x", 0, "no"),
                        ("PFADD", "x", "a"), ("CONFIG", "GET", "hll-sparse-max-bytes")):
            same(one, other, *command)
        for name in ("PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG", "PFSELFTEST"):
            mine, theirs = one("COMMAND", "INFO", name)[0], other("COMMAND", "INFO", name)[0]
            assert mine[:6] == theirs[:6], (mine, theirs)
    finally:
        redis.__exit__(None, None, None)


def test_a_payload_of_redis_is_counted_alike(server):
    redis, one, other = both(server)
    try:
        for n in (10, 5000):
            key = f"r{n}"
            other("PFADD", key, *range(n))
            one("DEL", key)
            assert one("RESTORE", key, 0, other("DUMP", key)) == "OK"
            same(one, other, "PFCOUNT", key)
            other("DEL", key)
            assert other("RESTORE", key, 0, one("DUMP", key)) == "OK"
            same(one, other, "GET", key)
    finally:
        redis.__exit__(None, None, None)


def test_a_run_that_is_cut_off_is_refused(server):
    """Redis reads the byte behind the value."""
    with server.connect() as c:
        c("DEL", "cut")
        c("PFADD", "cut", *range(50))
        c("SET", "cut", c("GET", "cut")[:18] + b"\x7f")
        for command in (("PFADD", "cut", *range(100)), ("PFCOUNT", "cut"), ("PFMERGE", "cut", "cut")):
            assert c(*command) == Error("INVALIDOBJ Corrupted HLL object detected")


def test_merging_over_shards(server):
    with server.connect() as c:
        names = [f"over{i}" for i in range(16)]
        for i, name in enumerate(names):
            assert c("PFADD", name, *range(i * 100, i * 100 + 100)) == 1
        assert abs(c("PFCOUNT", *names) - 1600) < 50
        assert c("PFMERGE", "over", *names) == "OK"
        assert c("PFCOUNT", "over") == c("PFCOUNT", *names)
        c("SET", "over3", "no")
        assert c("PFMERGE", "over", *names) == Error("WRONGTYPE Key is not a valid HyperLogLog string value.")
