"""Hashes over sockets: random fields, large hashes, scans, payloads of redis-server, restarts."""
import collections
import contextlib
import random
import shutil
import tempfile

from support.orbit import Error, RedisServer, Server
from support.streams import dump_payload, string_of


def pairs(n, seed=1, size=30):
    rnd = random.Random(seed)
    made = {}
    while len(made) < n:
        field = rnd.choice((b"%d" % rnd.randint(-10**6, 10**6), b"%x" % rnd.getrandbits(80)))
        made[field] = rnd.choice((b"%d" % rnd.randint(-10**6, 10**6), rnd.randbytes(rnd.randrange(size))))
    return made


def fill(c, key, values):
    words = [word for pair in values.items() for word in pair]
    for i in range(0, len(words), 1000):
        c("HSET", key, *words[i:i + 1000])


def all_of(c, key):
    words = c("HGETALL", key)
    return dict(zip(words[::2], words[1::2]))


def test_random_fields_are_random(server):
    with server.connect() as c:
        for n in (10, 300, 2000):
            c("FLUSHALL")
            values = pairs(n)
            fill(c, "h", values)
            seen = collections.Counter(c("HRANDFIELD", "h", -20 * n))
            assert set(seen) == set(values) and max(seen.values()) < 60
            assert c("HRANDFIELD", "h") in values
            for count in (1, n // 10, n // 2, n - 1, n, 2 * n):
                some = c("HRANDFIELD", "h", count)
                assert len(some) == len(set(some)) == min(count, n) and set(some) <= set(values)
                some = c("HRANDFIELD", "h", count, "WITHVALUES")
                assert len(some) == 2 * min(count, n)
                assert all(values[field] == value for field, value in zip(some[::2], some[1::2]))


def scan(c, key, *options, between=lambda: None):
    found, cursor = [], b"0"
    while True:
        cursor, some = c("HSCAN", key, cursor, *options)
        found += some
        between()
        if cursor == b"0":
            return found


def test_scans_of_large_hashes(server):
    values = pairs(20_000)
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "h", values)
        found = scan(c, "h", "COUNT", 100)
        assert dict(zip(found[::2], found[1::2])) == values and len(found) == 2 * len(values)
        assert sorted(scan(c, "h", "COUNT", 1000, "NOVALUES")) == sorted(values)
        fields = sorted(values)
        stays, goes = fields[::100], [field for i, field in enumerate(fields) if i % 100]
        found = scan(c, "h", "COUNT", 20, "NOVALUES",
                     between=lambda: [c("HDEL", "h", *goes[-300:]), goes.__delitem__(slice(-300, None))])
        assert set(found) >= set(stays)


def test_large_hashes_are_copied_and_deleted(server):
    values = pairs(50_000)
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "long", values)
        assert c("COPY", "long", "other") == 1
        assert c("COPY", "long", "{long}other") == 1
        field = next(iter(values))
        c("HDEL", "long", field)
        c("HSET", "other", field, "new")
        assert all_of(c, "{long}other") == values
        assert all_of(c, "other") == {**values, field: b"new"}
        assert c("HLEN", "long") == len(values) - 1 and c("OBJECT", "ENCODING", "other") == b"hashtable"
        assert c("UNLINK", "long", "other", "{long}other") == 3


def test_payloads_go_both_ways(server):
    with RedisServer() as redis, redis.connect() as there, server.connect() as here:
        for number, (n, size) in enumerate(((1, 30), (100, 30), (400, 60), (10, 300), (600, 60), (5000, 200))):
            values = pairs(n, seed=number, size=size)
            for source, target in ((there, here), (here, there)):
                source("DEL", "h")
                fill(source, "h", values)
                payload = source("DUMP", "h")
                assert target("RESTORE", "h", 0, payload, "REPLACE") == "OK"
                assert all_of(target, "h") == values
                assert target("OBJECT", "ENCODING", "h") == source("OBJECT", "ENCODING", "h")
        # As Redis 2.4 packed them.
        assert here("RESTORE", "h", 0, dump_payload(b"\x09" + string_of(b"\x02\x01a\x01\x00x\x02bb\x01\x02y..\xff")), "REPLACE") == "OK"
        assert all_of(here, "h") == {b"a": b"x", b"bb": b"y"}
        bad = dump_payload(b"\x09" + string_of(b"\x02\x01a\x01\x00x\x01a\x01\x00y\xff"))
        assert here("RESTORE", "h", 0, bad, "REPLACE") == Error("ERR Bad data format")
        assert here("HLEN", "h") == 2


def test_what_is_a_listpack_is_a_setting(server):
    with server.connect() as c:
        c("FLUSHALL")
        try:
            assert c("CONFIG", "GET", "hash-max-ziplist-entries") == [b"hash-max-ziplist-entries", b"512"]
            c("CONFIG", "SET", "hash-max-listpack-entries", 2, "hash-max-ziplist-value", 3)
            for words, encoding in (("a 1 b 2", b"listpack"), ("a 1 b 2 c 3", b"hashtable"), ("a 333", b"listpack"),
                                    ("a 4444", b"hashtable"), ("long 1", b"hashtable")):
                c("DEL", "h")
                c("HSET", "h", *words.split())
                assert c("OBJECT", "ENCODING", "h") == encoding, words
        finally:
            c("CONFIG", "SET", "hash-max-listpack-entries", 512, "hash-max-listpack-value", 64)


def test_events_are_told(server):
    with server.connect() as c, server.connect() as ear:
        c("FLUSHALL")
        c("CONFIG", "SET", "notify-keyspace-events", "KEA")
        ear("PSUBSCRIBE", "__keyevent@0__:*")
        try:
            for words, events in (
                    ("HSET h a 1 b 2", ["hset"]), ("HSET h a 1", ["hset"]), ("HMSET h a 1", ["hset"]),
                    ("HSETNX h a 1", []), ("HSETNX h c 1", ["hset"]), ("HINCRBY h a 1", ["hincrby"]),
                    ("HINCRBYFLOAT h a 1", ["hincrbyfloat"]), ("HDEL h x", []), ("HDEL h a", ["hdel"]),
                    ("HDEL h b c", ["hdel", "del"])):
                c(*words.split())
                c("PUBLISH", "__keyevent@0__:end", "x")
                told = []
                while (event := ear.reply()[2].split(b":")[1].decode()) != "end":
                    told.append(event)
                assert told == events, words
        finally:
            c("CONFIG", "SET", "notify-keyspace-events", "")


def test_hashes_outlive_their_server(server):
    directory = tempfile.mkdtemp(prefix="orbit-hashes-")
    flags = ("--log-segment-size", 262144, "--image-log-size", "1mb")
    rnd, model = random.Random(7), {}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for life in range(4):
            own = Server(server.program, *flags, io=server.io, cores=1 + life % 3, directory=directory)
            stack.callback(own.process.kill)
            with own.connect() as c:
                for key, values in model.items():
                    assert all_of(c, key) == values, (life, key)
                assert c("DBSIZE") == sum(1 for values in model.values() if values)
                for step in range(700):
                    change(c, rnd, model, f"h{rnd.randrange(6)}")
                    if life % 2 and step == 500:
                        c("BGSAVE")
            own.kill()


def change(c, rnd, model, key):
    values = model.setdefault(key, {})
    kind, some = rnd.random(), pairs(rnd.choice((1, 3, 300)), rnd.random(), size=rnd.choice((30, 200)))
    if kind < 0.5 or not values:
        fill(c, key, some)
        values.update(some)
    elif kind < 0.7:
        gone = rnd.sample(sorted(values), min(len(values), rnd.choice((1, 5, 200))))
        assert c("HDEL", key, *gone) == len(gone)
        for field in gone:
            del values[field]
    elif kind < 0.9:
        field = rnd.choice(sorted(values))
        values[field] = rnd.randbytes(rnd.choice((0, 5, 90, 9000)))
        assert c("HSET", key, field, values[field]) == 0
    elif kind < 0.95:
        n = c("HINCRBY", key, "count", 7)
        values[b"count"] = b"%d" % n
    else:
        c("DEL", key)
        values.clear()
