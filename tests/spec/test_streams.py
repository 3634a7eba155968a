"""Streams over sockets: several shards, long streams, payloads of redis-server, restarts, IDs made here."""
import contextlib
import random
import shutil
import tempfile
import time

from support.orbit import Error, RedisServer, Server, encode
from support.streams import Draw
from support.talk import Talk, timeless


def fill(c, key, n, first=0):
    for start in range(first, first + n, 500):
        c.pipeline(*[("XADD", key, f"{i + 1}-0", "field", f"value:{i}", "other", "x" * (i % 50))
                     for i in range(start, min(start + 500, first + n))])


def ids(entries):
    return [entry[0] for entry in entries]


def test_ids_are_made_of_the_time(server):
    with server.connect() as c:
        c("FLUSHALL")
        before = time.time() * 1000
        made = [c("XADD", "s", "*", "a", i) for i in range(500)]
        parts = [tuple(map(int, id_.split(b"-"))) for id_ in made]
        assert parts == sorted(set(parts))
        assert before - 5000 < parts[0][0] <= parts[-1][0] < time.time() * 1000 + 5000
        assert c("XADD", "s", "99999999999999-*", "a", 1) == b"99999999999999-0"
        assert c("XADD", "s", "*", "a", 1) == b"99999999999999-1"


def test_reads_over_shards(server):
    with server.connect() as c:
        c("FLUSHALL")
        keys = [f"stream:{i}" for i in range(12)]
        for key in keys[::2]:
            fill(c, key, 30)
            c("XGROUP", "CREATE", key, "g", "10-0")
        for key in keys[1::2]:
            c("XGROUP", "CREATE", key, "g", 0, "MKSTREAM")
        read = c("XREAD", "COUNT", 3, "STREAMS", *keys, *["20"] * 12)
        assert [key for key, _ in read] == [key.encode() for key in keys[::2]]
        assert all(ids(entries) == [b"21-0", b"22-0", b"23-0"] for _, entries in read)
        read = c("XREADGROUP", "GROUP", "g", "me", "COUNT", 3, "STREAMS", *keys, *[">"] * 12)
        assert [key for key, _ in read] == [key.encode() for key in keys[::2]]
        assert all(ids(entries) == [b"11-0", b"12-0", b"13-0"] for _, entries in read)
        assert [c("XPENDING", key, "g")[0] for key in keys] == [3, 0] * 6
        assert c("XREAD", "STREAMS", keys[0], "+")[0][1][0][0] == b"30-0"


def test_long_streams_are_copied_trimmed_and_deleted(server):
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "long", 60_000)
        c("XGROUP", "CREATE", "long", "g", 0)
        for i in range(60):
            c("XREADGROUP", "GROUP", "g", f"c{i % 7}", "COUNT", 1000, "STREAMS", "long", ">")
        assert c("COPY", "long", "other") == 1
        assert c("COPY", "long", "{long}other") == 1
        assert c("XTRIM", "long", "MAXLEN", 100) == 59_900
        assert c("XACK", "long", "g", *[f"{i}-0" for i in range(1, 2001)]) == 2000
        assert c("XLEN", "other") == c("XLEN", "{long}other") == 60_000
        for copy in ("other", "{long}other"):
            assert c("XPENDING", copy, "g")[:3] == [60_000, b"1-0", b"60000-0"]
            assert c("XRANGE", copy, 777, 778)[1] == [b"778-0", [b"field", b"value:777", b"other", b"x" * 27]]
        assert c("XGROUP", "DELCONSUMER", "other", "g", "c3") in range(8000, 10000)
        assert c("UNLINK", "long", "other", "{long}other") == 3
        for _ in range(100):
            if int(c("INFO", "memory").split(b"used_memory_dataset:")[1].split(b"\r")[0]) < 10**6:
                break
            time.sleep(0.05)


def test_payloads_go_both_ways(server):
    with RedisServer() as redis, redis.connect() as there, server.connect() as here:
        for n in (0, 1, 10, 250, 5000):
            for source, target in ((there, here), (here, there)):
                source("DEL", "s")
                source("XGROUP", "CREATE", "s", "g", 0, "MKSTREAM")
                fill(source, "s", n)
                source("XREADGROUP", "GROUP", "g", "me", "COUNT", 70, "STREAMS", "s", ">")
                source("XREADGROUP", "GROUP", "g", "you", "COUNT", 70, "STREAMS", "s", ">")
                if n > 10:
                    source("XDEL", "s", "3-0", "5-0", "200-0")
                    source("XTRIM", "s", "MAXLEN", n - 50)
                payload = source("DUMP", "s")
                assert target("RESTORE", "s", 0, payload, "REPLACE") == "OK"
                assert target("DUMP", "s") == payload
                assert target("XRANGE", "s", "-", "+") == source("XRANGE", "s", "-", "+")
                assert target("XINFO", "GROUPS", "s") == source("XINFO", "GROUPS", "s")
        assert here("RESTORE", "s", 0, payload) == Error("BUSYKEY Target key name already exists.")


def wait_for_blocked(c, n):
    until = time.monotonic() + 20
    while int(c("INFO", "clients").split(b"blocked_clients:")[1].split(b"\r")[0]) != n:
        assert time.monotonic() < until
        time.sleep(0.005)


def test_readers_wait(server):
    with server.connect() as c, server.connect() as reader, server.connect() as worker:
        c("FLUSHALL")
        keys = [f"waited:{i}" for i in range(6)]
        assert reader("XREAD", "BLOCK", 20, "STREAMS", *keys, *["$"] * 6) is None
        fill(c, keys[0], 5)
        reader.send(encode("XREAD", "BLOCK", 0, "STREAMS", *keys, *["$"] * 6))
        worker.send(encode("XREAD", "BLOCK", 0, "STREAMS", keys[2], "5-5"))
        wait_for_blocked(c, 2)
        c("XADD", keys[2], "5-5", "too", "early")
        c("XADD", keys[2], "6-0", "a", "b")
        assert reader.reply() == [[keys[2].encode(), [[b"5-5", [b"too", b"early"]]]]]
        assert worker.reply() == [[keys[2].encode(), [[b"6-0", [b"a", b"b"]]]]]
        reader.send(encode("XREAD", "BLOCK", 0, "COUNT", 1, "STREAMS", keys[0], "$"))
        wait_for_blocked(c, 1)
        c.pipeline(("MULTI",), ("XADD", keys[0], "7-0", "a", 1), ("XADD", keys[0], "7-1", "a", 2), ("EXEC",))
        assert reader.reply() == [[keys[0].encode(), [[b"7-0", [b"a", b"1"]]]]]
        assert ids(reader("XREAD", "BLOCK", 0, "STREAMS", *keys, *["6"] * 6)[0][1]) == [b"7-0", b"7-1"]


def test_consumers_wait(server):
    with server.connect() as c, server.connect() as one, server.connect() as other:
        c("FLUSHALL")
        keys = [f"work:{i}" for i in range(4)]
        for key in keys:
            c("XGROUP", "CREATE", key, "g", "$", "MKSTREAM")
        assert one("XREADGROUP", "GROUP", "g", "one", "BLOCK", 20, "STREAMS", *keys, *[">"] * 4) is None
        one.send(encode("XREADGROUP", "GROUP", "g", "one", "BLOCK", 0, "STREAMS", *keys, *[">"] * 4))
        wait_for_blocked(c, 1)
        other.send(encode("XREADGROUP", "GROUP", "g", "other", "BLOCK", 0, "STREAMS", keys[1], ">"))
        wait_for_blocked(c, 2)
        c("XADD", keys[1], "1-0", "a", 1)
        assert one.reply() == [[keys[1].encode(), [[b"1-0", [b"a", b"1"]]]]]
        wait_for_blocked(c, 1)
        c("XADD", keys[1], "2-0", "a", 1)
        assert other.reply() == [[keys[1].encode(), [[b"2-0", [b"a", b"1"]]]]]
        assert c("XPENDING", keys[1], "g") == [2, b"1-0", b"2-0", [[b"one", b"1"], [b"other", b"1"]]]
        assert one("XREADGROUP", "GROUP", "g", "one", "BLOCK", 0, "STREAMS", keys[1], "0") == [
            [keys[1].encode(), [[b"1-0", [b"a", b"1"]]]]]
        one.send(encode("XREADGROUP", "GROUP", "g", "one", "BLOCK", 0, "STREAMS", keys[1], ">"))
        wait_for_blocked(c, 1)
        c("XGROUP", "DESTROY", keys[1], "g")
        assert isinstance(one.reply(), Error)
        assert isinstance(one("XREADGROUP", "GROUP", "g", "one", "BLOCK", 0, "STREAMS", *keys, *[">"] * 4), Error)


def contents(port):
    """Of all streams, but for times."""
    talk = Talk(port, 30)

    def ask(*words):
        talk.send([b"".join(b"$%d\r\n%b\r\n" % (len(word), word) if i else b"*%d\r\n$%d\r\n%b\r\n" % (len(words), len(word), word)
                            for i, word in enumerate(words))])
        return talk.frame()[0]

    names = sorted(name for _, name in ask(b"KEYS", b"*")[1])
    found = {name: timeless(ask(b"XINFO", b"STREAM", name, b"FULL", b"COUNT", b"0")) for name in names
             if ask(b"TYPE", name)[1] == b"stream"}
    talk.close()
    return found


def test_streams_outlive_their_server(server):
    """Any commands, then what is there before and after a kill: groups and what is pending too."""
    directory = tempfile.mkdtemp(prefix="orbit-streams-")
    flags = ("--log-segment-size", 262144, "--image-log-size", "1mb")
    before, rng = {}, random.Random(11)
    draw = Draw(rng)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for life in range(5):
            own = Server(server.program, *flags, io=server.io, cores=1 + life % 3, directory=directory)
            stack.callback(own.process.kill)
            assert contents(own.port) == before, life
            with own.connect() as c:
                for step in range(1500):
                    words = draw.words("stream")
                    if words[0].upper() not in (b"XREAD", b"CONFIG"):  # blocks are as large as settings say at the time
                        try:
                            c(*words)
                        except ConnectionError:
                            raise RuntimeError(f"life {life}, step {step}: {words}\n" + own.log_text()[-8000:])
                    if life % 2 and step == 900:
                        c("BGSAVE")
                before = contents(own.port)
            own.kill()
    assert len(before) > 3
