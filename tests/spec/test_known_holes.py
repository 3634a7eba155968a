"""Patterns that other servers of this protocol have suffered from: each is refused, or does what it says, in bounds, and the
server goes on. Those of scripts are in test_scripts.py, of HyperLogLogs in test_hyperloglog.py too."""
import re
import socket
import time

from support.orbit import Error, encode

MOST, LEAST = 2**63 - 1, -2**63


def refused(c, *words):
    said = c(*words)
    assert isinstance(said, Error), (words, said)
    return str(said)


def test_sizes_do_not_wrap_around(server):
    """CVE-2021-32627, -32628, -32687, -41099, CVE-2022-35977, CVE-2023-41056: large limits, and sums that overflow."""
    with server.connect() as c:
        c("FLUSHALL")
        for name in ("proto-max-bulk-len", "set-max-intset-entries", "hash-max-listpack-entries", "hash-max-listpack-value",
                     "zset-max-listpack-entries", "zset-max-listpack-value", "stream-node-max-bytes", "stream-node-max-entries"):
            was = c("CONFIG", "GET", name)[1]
            for value in (MOST, 2**32 - 1, 2**31):
                c("CONFIG", "SET", name, value)  # taken or refused
            c("SADD", "set", *range(2000)), c("SADD", "set", "no integer")
            c("HSET", "hash", *range(2000)), c("HSET", "hash", "long", b"x" * 70000)
            c("ZADD", "zset", *range(2000)), c("ZADD", "zset", 1, b"x" * 70000)
            c("XADD", "stream", "*", "f", b"x" * 70000), c("XADD", "stream", "*", "f", "v")
            assert c("CONFIG", "SET", name, was) == "OK"
        assert (c("SCARD", "set"), c("HLEN", "hash"), c("ZCARD", "zset")) == (2001, 1001, 1001)
        c("SET", "s", "x")
        for at in (MOST, MOST - 1, 2**63 // 8, 2**32, LEAST, -1):
            for command in ("SETRANGE", "SETBIT"):
                refused(c, command, "s", at, "1" if command == "SETBIT" else "xx")
            refused(c, "BITFIELD", "s", "SET", "u8", f"#{at}", 1)
        for first, n in ((MOST, MOST), (0, MOST), (LEAST, LEAST), (MOST - 1, 2), (1, LEAST)):
            assert isinstance(c("SORT", "set", "ALPHA", "LIMIT", first, n), list)
            assert isinstance(c("LRANGE", "none", first, n), list)
        assert c("GET", "s") == b"x"


def test_counts_of_random_elements_are_bounded(server):
    """CVE-2023-25155, CVE-2023-22458."""
    with server.connect() as c:
        c("FLUSHALL")
        c("SADD", "set", 1, 2, 3), c("HSET", "hash", "f", "v"), c("ZADD", "zset", 1, "m")
        for command, key, *more in (("SRANDMEMBER", "set"), ("HRANDFIELD", "hash"), ("HRANDFIELD", "hash", "WITHVALUES"),
                                    ("ZRANDMEMBER", "zset"), ("ZRANDMEMBER", "zset", "WITHSCORES")):
            refused(c, command, key, LEAST, *more)
            refused(c, command, key, LEAST + 1, *more)
            said = c(command, key, MOST, *more)
            assert isinstance(said, Error) or len(said) <= 3
        refused(c, "SPOP", "set", LEAST)
        assert c("SPOP", "set", MOST) and c("ZPOPMIN", "zset", MOST)


def test_what_only_looks_wrong_stops_nothing(server):
    """CVE-2023-28425: MSETNX that names a key twice; CVE-2023-28856: HINCRBYFLOAT that makes no number."""
    with server.connect() as c:
        c("FLUSHALL")
        assert c("MSETNX", "twice", 1, "twice", 2) == 1 and c("GET", "twice") == b"2"
        assert c("MSETNX", "twice", 1, "twice", 2) == 0
        for value in ("inf", "nan", "-inf", "1e5000", "1e4932", "0x1p16383", "1" * 400):
            c("HINCRBYFLOAT", "hash", "f", value)
            c("INCRBYFLOAT", "text", value)
        for field in c("HGETALL", "hash")[1::2]:
            assert b"n" not in field.lower() and len(field) < 6000
        c("ZADD", "zset", "inf", "m"), refused(c, "ZINCRBY", "zset", "-inf", "m")
        c("ZADD", "other", "-inf", "m"), c("ZUNIONSTORE", "sum", 2, "zset", "other")
        assert c("ZSCORE", "sum", "m") == b"0"


def test_patterns_take_time_in_proportion(server):
    """CVE-2022-36021, CVE-2024-31228: a pattern that is tried in ever more ways, or that nests."""
    with server.connect(timeout=20) as c:
        c("FLUSHALL")
        c("SET", "a" * 5000, 1)
        begun = time.monotonic()
        for pattern in ("a*" * 500 + "b", "*" * 5000 + "b", "a*" * 2000, "[a-" * 2000, "\\" * 5001, "?" * 4999 + "b"):
            c("KEYS", pattern), c("SCAN", 0, "MATCH", pattern), c("CONFIG", "GET", pattern)
            c("PUBSUB", "CHANNELS", pattern), c("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern)
            c("PSUBSCRIBE", pattern), c("PUNSUBSCRIBE", pattern)
        assert time.monotonic() - begun < 15


def test_who_has_not_said_a_password_costs_little(server):
    """CVE-2021-32675, CVE-2025-21605, CVE-2025-48367."""
    with server.connect() as c:
        assert c("CONFIG", "SET", "requirepass", "secret") == "OK"
        try:
            for data in (b"*100000\r\n", b"*2\r\n$1000000\r\n", b"*2\r\n$4\r\nPING\r\n$100000\r\n"):
                with server.connect() as stranger:
                    stranger.send(data)
                    assert stranger.socket.recv(1000).startswith(b"-ERR Protocol error: unauthenticated")
            many = []
            for _ in range(8):  # they never read what they are told
                stranger = socket.create_connection(("127.0.0.1", server.port))
                stranger.setblocking(False)
                many.append(stranger)
                sent, until = 0, time.monotonic() + 0.2
                while time.monotonic() < until and sent < 1 << 24:
                    try:
                        sent += stranger.send(encode("GET", "k") * 2000)
                    except (BlockingIOError, ConnectionError):
                        time.sleep(0.01)
            held = [int(size) for size in re.findall(rb"tot-mem=(\d+)", c("CLIENT", "LIST"))]
            assert len(held) > 1 and sum(held) < 64 << 20, held
            for stranger in many:
                stranger.close()
            assert c("PING") == "PONG"
        finally:
            assert c("CONFIG", "SET", "requirepass", "") == "OK"


def test_hyperloglogs_that_are_none(server):
    """CVE-2025-32023: runs of zeros that pass the end of the registers."""
    head = b"HYLL\x01\0\0\0" + b"\0" * 7 + b"\x80"
    with server.connect() as c:
        c("FLUSHALL")
        c("PFADD", "sound", *range(100))
        for body in (b"\x7f\xff" * 100, b"\x7f\xff\x3f\xff\x80", b"\x40" * 99, b"\x7f", b"", b"\xff" * 5000, b"\x80" + b"\x7f\xff" * 400000):
            c("SET", "bad", head + body)
            for words in (("PFCOUNT", "bad"), ("PFCOUNT", "bad", "sound"), ("PFMERGE", "to", "bad", "sound"), ("PFADD", "bad", 1),
                          ("PFMERGE", "bad", "sound")):
                c(*words)
            c("RESTORE", "bad", 0, c("DUMP", "bad"), "REPLACE")
            c("PFCOUNT", "bad")
        assert abs(c("PFCOUNT", "sound") - 100) < 5


def test_scripts_find_no_way_out(server):
    """CVE-2022-0543: `package` left in reach; CVE-2021-32626: values that nest past the stack; CVE-2025-46819: odd brackets."""
    with server.connect(timeout=30) as c:
        for name in ("package", "require", "io", "dofile", "loadfile", "debug", "newproxy", "module", "os"):
            said = c("EVAL", f"return type({name})", 0)
            assert isinstance(said, Error) or said == b"nil", (name, said)
        for script in ("return cjson.decode(string.rep('[', 100000))", "return cjson.encode(cjson.decode(string.rep('[', 2000)))",
                       "return cmsgpack.unpack(string.rep(string.char(0x91), 100000))", "return struct.unpack(string.rep('b', 100000), 'x')",
                       "local t = {} for i = 1, 100000 do t = {t} end return cmsgpack.pack(t)",
                       "return struct.pack('c2147483648', 'x')", "return loadstring('[' .. string.rep('=', 100000))()",
                       "return loadstring('return [' .. string.rep('=', 5000) .. '[')()"):
            said = c("EVAL", script, 0)
            assert isinstance(said, (Error, list, bytes)), (script, said)
        refused(c, "EVAL", "return loadstring('[' .. string.rep('=', 100000))()", 0)
        assert c("PING") == "PONG"


def test_every_key_is_declared(server):
    """CVE-2023-41053: what SORT reads beside its key is no key that it names."""
    with server.connect() as c:
        assert c("COMMAND", "GETKEYS", "SORT_RO", "key", "GET", "other*") == [b"key"]
        assert c("COMMAND", "GETKEYS", "SORT", "key", "BY", "w*", "STORE", "to") == [b"key", b"to"]
