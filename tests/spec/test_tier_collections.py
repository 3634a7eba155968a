"""Collections that leave memory: as a whole, and every command sees them all the same."""
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading

from support.orbit import Error, Server, encode

FLAGS = ("--maxmemory", 2 << 20, "--maxmemory-policy", "tier", "--log-segment-size", 262144)
COUNT = 800  # of each type
PAD = "x" * 50


def pipelined(c, calls):
    replies = []
    for at in range(0, len(calls), 50):
        piece = calls[at:at + 50]
        c.send(b"".join(encode(*call) for call in piece))
        replies += [c.reply() for _ in piece]
    return replies


def words(i, n=12):
    return [f"{i}:{k}:{PAD}".encode() for k in range(n)]


def make(i):
    some = words(i)
    return [("RPUSH", f"l{i}", *some), ("SADD", f"s{i}", *some),
            ("HSET", f"h{i}", *[word for k, value in enumerate(some) for word in (k, value)]),
            ("ZADD", f"z{i}", *[word for k, value in enumerate(some) for word in (k, value)]),
            *[("XADD", f"x{i}", f"{k + 1}-0", "f", value) for k, value in enumerate(some[:5])]]


def ask(i):
    return [("LRANGE", f"l{i}", 0, -1), ("SISMEMBER", f"s{i}", words(i)[3]), ("SCARD", f"s{i}"), ("HGET", f"h{i}", 7),
            ("HLEN", f"h{i}"), ("ZRANGE", f"z{i}", 2, 4, "WITHSCORES"), ("ZRANK", f"z{i}", words(i)[9]),
            ("XRANGE", f"x{i}", "2", "2"), ("XLEN", f"x{i}")]


def answers(i):
    some = words(i)
    return [some, 1, 12, some[7], 12, [some[2], b"2", some[3], b"3", some[4], b"4"], 9, [[b"2-0", [b"f", some[1]]]], 5]


def tier_keys(c):
    return int(next(line for line in c("INFO", "all").split(b"\r\n") if line.startswith(b"tier_keys:")).split(b":")[1])


def fill(c):
    replies = pipelined(c, [call for i in range(COUNT) for call in make(i)])
    assert not any(isinstance(reply, Error) for reply in replies), [r for r in replies if isinstance(r, Error)][:1]


def test_they_leave_and_come_back(server):
    with server.connect(timeout=60) as c:
        c("FLUSHALL")
        fill(c)
        assert tier_keys(c) > 2 * COUNT, tier_keys(c)
        for _ in range(2):
            for i in random.sample(range(COUNT), 200):
                assert pipelined(c, ask(i)) == answers(i), i


def test_changes_after_they_came_back_outlive_the_server(server):
    """The log knows what has left by a pointer: the first change must tell it the whole again, and no more than that."""
    directory = tempfile.mkdtemp(prefix="orbit-tier-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, True)
        for life, cores in enumerate((server.cores, 3, 1)):
            own = Server(server.program, *FLAGS, io=server.io, cores=cores, directory=directory)
            stack.callback(own.process.kill)
            with own.connect(timeout=60) as c:
                if life == 0:
                    fill(c)
                else:
                    for i in range(0, COUNT, 3):
                        assert pipelined(c, [("HGET", f"h{i}", "new"), ("LINDEX", f"l{i}", -1), ("ZSCORE", f"z{i}", "new"),
                                             ("SISMEMBER", f"s{i}", "new"), ("XLEN", f"x{i}")]) == [
                                                 b"2", b"newer", b"2", 1, 6], i
                    for i in range(1, COUNT, 3):
                        assert pipelined(c, ask(i)) == answers(i), i
                for i in range(0, COUNT, 3):
                    pipelined(c, [("HSET", f"h{i}", "new", "1"), ("HSET", f"h{i}", "new", "2"), ("RPUSH", f"l{i}", "new"),
                                  ("LSET", f"l{i}", -1, "newer"), ("ZADD", f"z{i}", 1, "new"),
                                  ("ZINCRBY", f"z{i}", 1, "new"), ("SADD", f"s{i}", "new"),
                                  ("XADD", f"x{i}", "9-0", "f", "new")])
                    if i == 300:
                        c("BGSAVE")
                assert tier_keys(c) > COUNT
            own.kill()
            done = subprocess.run([server.program, "check", os.path.join(directory, "data")], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, done.stdout[-2000:]


def cold(c, kind):
    """The key of a collection that is not in memory."""
    sizes = pipelined(c, [("MEMORY", "USAGE", f"{kind}{i}") for i in range(COUNT)])
    return f"{kind}{next(i for i in range(COUNT) if sizes[i] is not None and sizes[i] < 200)}"


def test_waiting_clients_meet_cold_values(server):
    with server.connect(timeout=60) as c, server.connect(timeout=60) as other:
        c("FLUSHALL")
        fill(c)
        for i in range(8):
            target = cold(c, "l")
            wait = threading.Thread(target=lambda: other("BLMOVE", f"none{i}", target, "LEFT", "RIGHT", 20))
            wait.start()
            while b"cmd=blmove" not in c("CLIENT", "LIST"):
                pass
            c("RPUSH", f"none{i}", "moved")
            wait.join()
            assert c("LINDEX", target, -1) == b"moved"
            assert c("LLEN", target) == 13
            c("DEL", target)
            source = cold(c, "z")
            assert c("BZPOPMIN", "none", f"nothing{i}", source, 1)[0] == source.encode()
            stream = cold(c, "x")
            assert c("XREAD", "BLOCK", 1, "STREAMS", f"nothing{i}", stream, "$", "$") is None
            assert c("XREAD", "BLOCK", 1, "STREAMS", f"nothing{i}", stream, "$", "4")[0][0] == stream.encode()


def test_values_that_a_swap_brings_are_fetched_for_who_waits(server):
    with server.connect(timeout=60) as c, server.connect(timeout=60) as other:
        c("FLUSHALL")
        c("SELECT", 1)
        fill(c)
        target = cold(c, "l")
        given = []
        wait = threading.Thread(target=lambda: given.append(other("BLPOP", target, 20)))
        wait.start()
        while b"cmd=blpop" not in c("CLIENT", "LIST"):
            pass
        assert c("SWAPDB", 0, 1) == "OK"
        wait.join()
        assert given == [[target.encode(), words(int(target[1:]))[0]]], given
        c("FLUSHALL")


def test_commands_about_whole_collections(server):
    with server.connect(timeout=60) as c:
        c("FLUSHALL")
        fill(c)
        assert c("OBJECT", "ENCODING", cold(c, "h")) == b"listpack"
        assert c("TYPE", cold(c, "z")) == "zset"
        assert str(c("STRLEN", cold(c, "l"))).startswith("WRONGTYPE")
        assert str(c("GET", cold(c, "s"))).startswith("WRONGTYPE")
        key = cold(c, "h")
        assert c("EXPIRE", key, 1000) == 1
        assert c("RENAME", key, "renamed") == "OK"
        assert c("HLEN", "renamed") == 12 and 0 < c("TTL", "renamed") <= 1000
        one, other = cold(c, "s"), cold(c, "s")
        assert c("SINTERCARD", 2, one, other) == 12
        key = cold(c, "z")
        assert c("COPY", key, "copied") == 1 and c("ZCARD", "copied") == 12
        key = cold(c, "l")
        assert c("EVAL", "return redis.call('llen', KEYS[1])", 1, key) == 12
        key = cold(c, "l")
        assert len(c("SORT", key, "ALPHA")) == 12
        dumped = c("DUMP", cold(c, "x"))
        assert c("RESTORE", "restored", 0, dumped) == "OK" and c("XLEN", "restored") == 5
        key = cold(c, "h")
        assert c("DEL", key) == 1 and c("EXISTS", key) == 0
        assert c("FLUSHALL") == "OK"
