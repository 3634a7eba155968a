"""Fields of hashes that expire, over sockets: answers, what other commands make of them, events, payloads, restarts.

The answers are those that the documentation of Redis 7.4 tells; no server of that version is at hand."""
import contextlib
import random
import shutil
import struct
import tempfile
import time

from support.orbit import Error, RedisServer, Server
from support.streams import dump_payload, listpack, string_of

FAR = 10**7  # seconds
NOT_NUMBER = Error("ERR Parameter `numFields` should be greater than 0")
MISSING = Error("ERR Mandatory argument FIELDS is missing or not at the right position")
MISMATCH = Error("ERR The `numfields` parameter must match the number of arguments")
SHAPES = (3, 100, 400, 2000)  # fields of a hash in each of its forms


def fill(c, key, n):
    c("DEL", key)
    for at in range(0, n, 500):
        c("HSET", key, *[word for i in range(at, min(at + 500, n)) for word in (f"f{i}", f"v{i}")])


def fields(*names):
    return ("FIELDS", len(names), *names)


def all_of(c, key):
    words = c("HGETALL", key)
    return dict(zip(words[::2], words[1::2]))


def info(c, section, name):
    for line in c("INFO", section).decode().splitlines():
        if line.startswith(name + ":"):
            return line[len(name) + 1:]
    return None


def until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_times_are_set_told_and_cleared(server):
    with server.connect() as c:
        for n in SHAPES:
            fill(c, "h", n)
            assert c("HEXPIRE", "h", FAR, *fields("f0", "no", "f1")) == [1, -2, 1]
            assert c("HTTL", "h", *fields("f0", "f2", "no")) == [FAR, -1, -2]
            (left,) = c("HPTTL", "h", *fields("f1"))
            assert FAR * 1000 - 60000 < left <= FAR * 1000
            at = int(time.time()) + FAR
            assert c("HEXPIREAT", "h", at, *fields("f0")) == [1]
            assert c("HEXPIRETIME", "h", *fields("f0")) == [at]
            assert c("HPEXPIRETIME", "h", *fields("f0", "f2", "no")) == [at * 1000, -1, -2]
            assert c("HPEXPIREAT", "h", at * 1000 + 1, *fields("f0")) == [1]
            assert c("HPEXPIRETIME", "h", *fields("f0")) == [at * 1000 + 1]
            assert c("HEXPIRETIME", "h", *fields("f0")) == [at + 1]
            assert c("HPEXPIRE", "h", FAR, *fields("f0")) == [1]
            assert c("HPERSIST", "h", *fields("f0", "f0", "f2", "no")) == [1, -1, -1, -2]
            assert c("HTTL", "h", *fields("f0", "f1")) == [-1, FAR]
            assert c("HLEN", "h") == n
        for name in ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST"):
            assert c(name, "absent", *fields("a", "b")) == [-2, -2]
        assert c("HEXPIRE", "absent", 10, *fields("a", "b")) == [-2, -2] and c("EXISTS", "absent") == 0


def test_conditions(server):
    with server.connect() as c:
        for n in SHAPES:
            fill(c, "h", n)
            expect = lambda words, wanted: (c("HEXPIRE", "h", *words, *fields("f1")), wanted)
            steps = [(100, "XX", 0), (100, "GT", 0), (100, "NX", 1), (200, "NX", 0), (50, "GT", 0), (200, "GT", 1),
                     (200, "LT", 0), (150, "LT", 1), (300, "XX", 1)]
            for seconds, condition, wanted in steps:
                assert expect((seconds, condition), [wanted]) == ([wanted], [wanted]), (n, seconds, condition)
            assert c("HPERSIST", "h", *fields("f1")) == [1]
            assert c("HEXPIRE", "h", 50, "lt", *fields("f1", "f2", "no")) == [1, 1, -2]
            assert c("HEXPIRE", "h", 0, "NX", *fields("f1")) == [0]
            assert c("HEXPIRE", "h", 0, "LT", *fields("f1", "f0")) == [2, 2]
            assert c("HLEN", "h") == n - 2


def test_errors(server):
    with server.connect() as c:
        fill(c, "h", 2)
        c("SET", "s", 1)
        wrong_type = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
        for words in (("HEXPIRE", "s", 10), ("HPEXPIREAT", "s", 10), ("HTTL", "s"), ("HPERSIST", "s")):
            assert c(*words, *fields("f0")) == wrong_type
        assert c("HEXPIRE", "h", "x", *fields("f0")) == Error("ERR value is not an integer or out of range")
        assert c("HEXPIRE", "h", -1, *fields("f0")) == Error("ERR invalid expire time, must be >= 0")
        for name, most in (("hexpire", 2**46 // 1000), ("hpexpire", 2**46), ("hexpireat", 2**46 // 1000), ("hpexpireat", 2**46)):
            assert c(name, "h", most + 1, *fields("f0")) == Error(f"ERR invalid expire time in '{name}' command")
        assert c("HPEXPIREAT", "h", 2**46 - 1, *fields("f0")) == [1]
        for name, time_word in (("HEXPIRE", (10,)), ("HPERSIST", ())):
            number = NOT_NUMBER if time_word else Error("ERR Number of fields must be a positive integer")
            assert c(name, "h", *time_word, "FIELD", 1, "f0") == MISSING
            assert c(name, "h", *time_word, 1, "f0", "f1") == MISSING
            assert c(name, "h", *time_word, "FIELDS", 0, "f0") == number
            assert c(name, "h", *time_word, "FIELDS", "x", "f0") == number
            assert c(name, "h", *time_word, "FIELDS", 2, "f0") == MISMATCH
            assert c(name, "h", *time_word, "FIELDS", 1, "f0", "f1") == MISMATCH
        assert c("HEXPIRE", "h", 10, "NX", "XX", "FIELDS", 1, "f0") == MISSING
        assert c("HEXPIRE", "h", 10, "FIELDS", 1) == Error("ERR wrong number of arguments for 'hexpire' command")
        assert c("HTTL", "h", "FIELDS", 1) == Error("ERR wrong number of arguments for 'httl' command")


def test_what_has_expired_is_gone_for_all(server):
    with server.connect() as c:
        c("FLUSHALL")
        for n in SHAPES:
            fill(c, "h", n)
            gone, left = {f"f{i}" for i in range(0, n - 1)}, f"f{n - 1}"
            some = sorted(gone)[:200]
            assert c("HPEXPIRE", "h", 1, *fields(*some)) == [1] * len(some)
            time.sleep(0.002)
            living = n - len(some)
            assert c("HLEN", "h") == living
            assert c("HGET", "h", some[0]) is None and c("HMGET", "h", some[0], left) == [None, f"v{n - 1}".encode()]
            assert c("HEXISTS", "h", some[0]) == 0 and c("HSTRLEN", "h", some[0]) == 0
            assert c("HTTL", "h", *fields(some[0], left)) == [-2, -1]
            assert c("HEXPIRE", "h", 10, *fields(some[0])) == [-2] and c("HPERSIST", "h", *fields(some[0])) == [-2]
            assert c("HDEL", "h", some[0]) == 0
            assert len(all_of(c, "h")) == len(c("HKEYS", "h")) == len(c("HVALS", "h")) == living
            assert not set(map(bytes.decode, c("HRANDFIELD", "h", -100))) & set(some)
            assert len(c("HRANDFIELD", "h", n)) == living
            assert c("HSETNX", "h", some[0], "new") == 1 and c("HSET", "h", some[1], "new") == 1
            assert c("HTTL", "h", *fields(some[0], some[1])) == [-1, -1]
            until(lambda: info(c, "keyspace", "db0").endswith("subexpiry=0"))
            assert c("HLEN", "h") == living + 2


def test_a_hash_goes_with_its_last_field(server):
    with server.connect() as c:
        for n in SHAPES:
            fill(c, "h", n)
            assert set(c("HPEXPIRE", "h", 1, *fields(*(f"f{i}" for i in range(n))))) == {1}
            time.sleep(0.002)
            assert c("EXISTS", "h") == 0 and c("TYPE", "h") == "none" and c("HLEN", "h") == 0 and c("DUMP", "h") is None
            assert c("SET", "h", "other") == "OK"
            fill(c, "h", n)
            assert set(c("HEXPIREAT", "h", 0, *fields(*(f"f{i}" for i in range(n))))) == {2}
            assert c("EXISTS", "h") == 0


def test_what_keeps_a_time_and_what_does_not(server):
    with server.connect() as c:
        for n in SHAPES:
            fill(c, "h", n)
            c("HSET", "h", "n", 1, "x", 1.5)
            assert c("HEXPIRE", "h", FAR, *fields("n", "x", "f0", "f1")) == [1] * 4
            assert c("HINCRBY", "h", "n", 5) == 6 and c("HINCRBYFLOAT", "h", "x", 1) == b"2.5"
            assert c("HSET", "h", "f0", "other") == 0 and c("HSETNX", "h", "f1", "other") == 0
            assert c("HTTL", "h", *fields("n", "x", "f0", "f1")) == [FAR, FAR, -1, FAR]
            times = c("HPEXPIRETIME", "h", *fields("n", "x", "f0", "f1"))
            whole = all_of(c, "h")
            for target in ("copy", "{h}copy"):
                assert c("COPY", "h", target, "REPLACE") == 1
                assert c("HPEXPIRETIME", target, *fields("n", "x", "f0", "f1")) == times and all_of(c, target) == whole
            assert c("RENAME", "h", "other") == "OK" and c("RENAME", "other", "h") == "OK"
            assert c("MOVE", "h", 3) == 1 and c("SELECT", 3) == "OK" and c("MOVE", "h", 0) == 1 and c("SELECT", 0) == "OK"
            assert c("HPEXPIRETIME", "h", *fields("n", "x", "f0", "f1")) == times and all_of(c, "h") == whole
            # What is done to one of them does nothing to the other.
            assert c("HPERSIST", "copy", *fields("n")) == [1] and c("HDEL", "{h}copy", "x") == 1
            assert c("HPEXPIRETIME", "h", *fields("n", "x", "f0", "f1")) == times


def test_encodings(server):
    with server.connect() as c:
        for n, wanted in ((3, b"listpackex"), (100, b"listpackex"), (400, b"listpackex"), (2000, b"hashtable")):
            fill(c, "h", n)
            assert c("OBJECT", "ENCODING", "h") in (b"listpack", b"hashtable")
            c("HEXPIRE", "h", FAR, *fields("f0"))
            assert c("OBJECT", "ENCODING", "h") == wanted
            c("HPERSIST", "h", *fields("f0"))
            assert c("OBJECT", "ENCODING", "h") == wanted
        fill(c, "h", 3)
        c("HEXPIRE", "h", FAR, *fields("f0"))
        c("HSET", "h", "long", "x" * 65)
        assert c("OBJECT", "ENCODING", "h") == b"hashtable" and c("HTTL", "h", *fields("f0")) == [FAR]


def test_counts(server):
    with server.connect() as c:
        c("FLUSHALL")
        before = int(info(c, "stats", "expired_subkeys"))
        for key, n in (("small", 10), ("large", 1000), ("none", 10)):
            fill(c, key, n)
        assert info(c, "keyspace", "db0") == "keys=3,expires=0,avg_ttl=0,subexpiry=0"
        small, large = fields("f0", "f1"), fields(*(f"f{i}" for i in range(500)))
        for key, some in (("small", small), ("large", large), ("none", fields("f0"))):
            c("HEXPIRE", key, FAR, *some)
        assert info(c, "keyspace", "db0").endswith("subexpiry=3")
        c("HPERSIST", "none", *fields("f0"))
        assert info(c, "keyspace", "db0").endswith("subexpiry=2")
        c("HPEXPIRE", "small", 20, *small)
        c("HPEXPIRE", "large", 20, *large)
        until(lambda: info(c, "keyspace", "db0").endswith("subexpiry=0"))
        assert int(info(c, "stats", "expired_subkeys")) - before == 502
        assert c("HLEN", "small") == 8 and c("HLEN", "large") == 500


def test_fields_expire_by_themselves(server):
    """A large hash, all of whose fields but a few go at once: nobody waits for it."""
    n = 20_000
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "h", n)
        memory = c("MEMORY", "USAGE", "h")
        at = int(time.time() * 1000) + 2000
        for first in range(10, n, 5000):
            c("HPEXPIREAT", "h", at, *fields(*(f"f{i}" for i in range(first, min(first + 5000, n)))))
        time.sleep(max(0, at / 1000 - time.time()) + 0.002)
        assert c("HLEN", "h") == 10 and len(all_of(c, "h")) == 10 and len(c("HRANDFIELD", "h", 20)) == 10
        until(lambda: info(c, "keyspace", "db0").endswith("subexpiry=0"), seconds=30)
        assert c("HLEN", "h") == 10 and c("MEMORY", "USAGE", "h") < memory / 50


def events(server, flags, work, wanted):
    with server.connect() as c, server.connect() as listener:
        c("CONFIG", "SET", "notify-keyspace-events", flags)
        listener("PSUBSCRIBE", "__keyspace@0__:*")
        work(c)
        heard = []
        while len(heard) < len(wanted):
            message = listener.reply()
            heard.append((message[2].decode().split(":", 1)[1], message[3].decode()))
        c("CONFIG", "SET", "notify-keyspace-events", "")
        assert heard == wanted, heard


def test_events(server):
    def work(c):
        c("HSET", "h", "a", 1, "b", 2, "c", 3)
        c("HEXPIRE", "h", FAR, *fields("a", "b"))
        c("HEXPIRE", "h", FAR, "NX", *fields("a", "no"))
        c("HINCRBY", "h", "a", 1)
        c("HPERSIST", "h", *fields("a", "b", "c"))
        c("HPERSIST", "h", *fields("a"))
        c("HPEXPIRE", "h", 0, *fields("a"))
        c("HPEXPIRE", "h", 20, *fields("b"))
        until(lambda: info(c, "keyspace", "db0").endswith("subexpiry=0"))
        c("HPEXPIRE", "h", 20, *fields("c"))
        until(lambda: c("EXISTS", "h") == 0)
        c("HSET", "h", "d", 4)
        c("HPEXPIRE", "h", 0, *fields("d"))

    with server.connect() as c:
        c("FLUSHALL")
    events(server, "Kgh", work, [("h", event) for event in (
        "hset", "hexpire", "hincrby", "hpersist", "hdel", "hexpire", "hexpired", "hexpire", "hexpired", "del", "hset", "hdel", "del")])


def read_length(data, at):
    head = data[at]
    if head >> 6 == 0:
        return head & 63, at + 1
    if head >> 6 == 1:
        return (head & 63) << 8 | data[at + 1], at + 2
    size = 4 if head == 0x80 else 8
    return int.from_bytes(data[at + 1:at + 1 + size], "big"), at + 1 + size


def test_payloads(server):
    with server.connect() as c:
        for n in SHAPES:
            fill(c, "h", n)
            plain = c("DUMP", "h")
            assert plain[-10:-8] == struct.pack("<H", 10)
            first = int(time.time() * 1000) + FAR
            times = {f"f{i}": first + i * 1000 for i in range(0, n, 2)}
            for field, at in times.items():
                assert c("HPEXPIREAT", "h", at, *fields(field)) == [1]
            payload, whole = c("DUMP", "h"), all_of(c, "h")
            assert payload[-10:-8] == struct.pack("<H", 12)
            assert payload[0] == (24 if n > 512 else 25) and payload[1:9] == struct.pack("<q", first)
            if n > 512:
                assert read_length(payload, 9)[0] == n
            assert c("RESTORE", "other", 0, payload, "REPLACE") == "OK"
            told = dict(zip(times, c("HPEXPIRETIME", "other", *fields(*times))))
            assert told == times and all_of(c, "other") == whole and c("HTTL", "other", *fields("f1")) == [-1]
            assert c("OBJECT", "ENCODING", "other") == c("OBJECT", "ENCODING", "h")
            assert c("HPERSIST", "h", *fields(*times)) == [1] * len(times)
            assert c("DUMP", "h")[-10:-8] == struct.pack("<H", 10)
    with RedisServer() as redis, redis.connect() as there, server.connect() as c:
        fill(c, "h", 600)
        c("HEXPIRE", "h", FAR, *fields("f0"))
        c("HPERSIST", "h", *fields("f0"))
        assert there("RESTORE", "h", 0, c("DUMP", "h")) == "OK" and there("HLEN", "h") == 600


def packed(*values):
    return string_of(listpack([b"%d" % value if isinstance(value, int) else value for value in values]))


def test_payloads_that_others_wrote(server):
    at = int(time.time() * 1000) + 10**9
    listpack_23 = b"\x17" + packed(b"a", b"1", at, b"b", b"2", 0)
    listpack_25 = b"\x19" + struct.pack("<q", at) + packed(b"a", b"1", at, b"b", b"2", 0)
    pair = string_of(b"a") + string_of(b"x"), string_of(b"b") + string_of(b"y")
    table_22 = b"\x16\x02\x81" + struct.pack(">Q", at) + pair[0] + b"\x00" + pair[1]
    table_24 = b"\x18" + struct.pack("<q", at - 5) + b"\x02\x06" + pair[0] + b"\x00" + pair[1]
    bad = Error("ERR Bad data format")
    with server.connect() as c:
        for payload in (table_22, table_24, listpack_23, listpack_25):
            assert c("RESTORE", "h", 0, dump_payload(payload, 12), "REPLACE") == "OK"
            assert c("HPEXPIRETIME", "h", *fields("a", "b")) == [at, -1] and c("HLEN", "h") == 2
        assert c("RESTORE", "h", 0, dump_payload(table_24, 13), "REPLACE") == Error("ERR DUMP payload version or checksum are wrong")
        # What has expired is gone at once.
        gone = b"\x18" + struct.pack("<q", 1000) + b"\x02\x01" + pair[0] + b"\x00" + pair[1]
        assert c("RESTORE", "h", 0, dump_payload(gone, 12), "REPLACE") == "OK" and all_of(c, "h") == {b"b": b"y"}
        gone = b"\x18" + struct.pack("<q", 1000) + b"\x01\x01" + pair[0]
        assert c("RESTORE", "h", 0, dump_payload(gone, 12), "REPLACE") == "OK" and c("EXISTS", "h") == 0
        c("HSET", "h", "kept", 1)
        for hostile in (
                b"\x19" + struct.pack("<q", at) + packed(b"a", b"1", at, b"b", b"2"),  # a time is missing
                b"\x19" + struct.pack("<q", at) + packed(b"a", b"1", b"x"),  # no number
                b"\x19" + struct.pack("<q", at) + packed(b"a", b"1", -1),
                b"\x19" + struct.pack("<q", at) + packed(b"a", b"1", 2**48),
                b"\x19" + struct.pack("<q", at) + packed(b"a", b"1", 0, b"a", b"2", 0),  # twice
                b"\x19" + struct.pack("<q", at) + packed(b"a", b"1", 1, b"a", b"2", 1),  # twice, and expired
                b"\x19" + struct.pack("<q", at) + packed(),
                b"\x19" + struct.pack("<q", -1) + packed(b"a", b"1", at),
                b"\x18" + struct.pack("<q", 2**48 - 2) + b"\x01\x06" + pair[0],  # past the end of time
                b"\x18" + struct.pack("<q", -1) + b"\x01\x01" + pair[0],
                b"\x18" + struct.pack("<q", at) + b"\x02\x01" + pair[0],  # fewer than told
                b"\x18" + struct.pack("<q", at) + b"\x01\x01" + pair[0] + b"\x00",
                b"\x18" + struct.pack("<q", at) + b"\x00",
                b"\x18\x00\x00", b"\x16\x01", b"\x19"):
            assert c("RESTORE", "h", 0, dump_payload(hostile, 12), "REPLACE") == bad, hostile
            assert all_of(c, "h") == {b"kept": b"1"}


def test_times_outlive_their_server(server):
    """Through the log and through images; what has expired meanwhile is gone."""
    directory = tempfile.mkdtemp(prefix="orbit-hash-expiry-")
    at = int(time.time() * 1000) + FAR
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for life in range(4):
            own = Server(server.program, io=server.io, cores=1 + life % 3, directory=directory)
            stack.callback(own.process.kill)
            with own.connect() as c:
                for n in SHAPES:
                    key = f"h{n}"
                    if life == 0:
                        fill(c, key, n)
                        c("HSET", key, "x", 0, "gone", 1)
                        c("HPEXPIREAT", key, at, *fields("f0", "f1", "f2"))
                        c("HPERSIST", key, *fields("f1"))
                        c("HPEXPIREAT", key, at + 5, *fields("x"))
                        c("HPEXPIRE", key, 5, *fields("gone"))
                        time.sleep(0.05)
                    assert c("HPEXPIRETIME", key, *fields("f0", "f1", "f2", "x")) == [at + life, -1, at, at + 5]
                    assert c("HGET", key, "x") == b"%d" % life and c("HLEN", key) == n + 1
                    assert life == 0 or info(c, "keyspace", "db0").endswith(f"subexpiry={len(SHAPES)}")
                    c("HPEXPIREAT", key, at + life + 1, *fields("f0"))
                    c("HINCRBY", key, "x", 1)
                    c("HSET", key, "soon", 1)
                    c("HPEXPIRE", key, 20, *fields("soon"))
                if life % 2:
                    c("BGSAVE")
            own.kill()


def test_random_work_is_what_a_model_says(server):
    """Values and times; what is to expire soon is waited for."""
    rnd = random.Random(7)
    with server.connect() as c:
        for n in (12, 300, 1500):
            c("DEL", "h")
            model = {}  # field: (value, time or None)
            for step in range(500):
                field, kind = f"f{rnd.randrange(n)}", rnd.random()
                there = field in model
                if kind < 0.4:
                    assert c("HSET", "h", field, step) == (not there)
                    model[field] = (step, None)
                elif kind < 0.5:
                    assert c("HINCRBY", "h", field, 1) == model.get(field, (0,))[0] + 1
                    model[field] = (model[field][0] + 1, model[field][1]) if there else (1, None)
                elif kind < 0.6:
                    assert c("HDEL", "h", field) == there
                    model.pop(field, None)
                elif kind < 0.85:
                    at = int(time.time() * 1000) + rnd.choice((10**6, 10**7, 10**8)) + rnd.randrange(1000)
                    condition = rnd.choice((None, None, "NX", "XX", "GT", "LT"))
                    now = model.get(field, (0, None))[1]
                    met = {None: True, "NX": now is None, "XX": now is not None, "GT": now is not None and at > now,
                           "LT": now is None or at < now}[condition]
                    said = c("HPEXPIREAT", "h", at, *([condition] if condition else []), *fields(field))
                    assert said == [int(met) if there else -2]
                    if there and met:
                        model[field] = (model[field][0], at)
                elif kind < 0.95:
                    assert c("HPERSIST", "h", *fields(field)) == [-2 if not there else -1 if model[field][1] is None else 1]
                    if there:
                        model[field] = (model[field][0], None)
                elif there:
                    assert c("HPEXPIRE", "h", 0, *fields(field)) == [2]
                    model.pop(field)
                if step % 100 == 0 and model:
                    assert all_of(c, "h") == {f.encode(): b"%d" % v for f, (v, _) in model.items()}
                    assert c("HPEXPIRETIME", "h", *fields(*model)) == [at or -1 for _, at in model.values()]
