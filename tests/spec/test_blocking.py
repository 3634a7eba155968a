"""Commands that wait for keys: the same scripts against redis-server, then what only a server of several shards can get
wrong, and several clients at random against what must hold.

A script is given a `World`: named clients of one server, and a trace of all that they were told. The trace must be the
same on both servers."""
import random
import select
import socket
import threading
import time

from support.orbit import Error, RedisServer, encode

SOON = 0.03  # an answer that has not come by then is not on its way


class World:
    """Named clients of one server; what they are told goes to `trace`."""

    def __init__(self, server, resp=2):
        self.server, self.resp = server, resp
        self.clients, self.trace = {}, []
        self.admin = server.connect()
        self.admin("FLUSHALL")

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = self.server.connect(resp=self.resp)
        return self.clients[name]

    def __call__(self, name, *words):
        """One command and its answer."""
        self.send(name, *words)
        self.get(name)

    def send(self, name, *words):
        self.client(name).send(encode(*words))

    def get(self, name):
        self.trace.append((name, self.client(name).raw_reply()))

    def id(self, name):
        return self.client(name)("CLIENT", "ID")

    def quiet(self, *names):
        """They are told nothing."""
        time.sleep(SOON)
        for name in names:
            c = self.client(name)
            told = bool(c.buffer) or bool(select.select([c.socket], [], [], 0)[0])
            self.trace.append((name, "told" if told else "quiet"))

    def waiting(self, n):
        """Goes on when `n` clients wait."""
        for _ in range(2000):
            info = self.admin("INFO", "clients")
            if b"\r\nblocked_clients:%d\r\n" % n in info:
                return
            time.sleep(0.002)
        raise AssertionError(f"not {n} clients wait: {info}")

    def wait(self, name, *words):
        """A command that is to wait; returns when it does."""
        before = self.n_waiting()
        self.send(name, *words)
        self.waiting(before + 1)

    def n_waiting(self):
        return int(self.admin("INFO", "clients").split(b"blocked_clients:")[1].split(b"\r")[0])

    def note(self, what):
        self.trace.append(what)

    def close(self):
        for c in self.clients.values():
            c.close()
        self.admin.close()


def same_on_both(server, script, resp=2):
    traces = []
    with RedisServer() as redis:
        for one in (redis, server):
            world = World(one, resp)
            try:
                script(world)
                world.waiting(0)
            except Exception:
                print("so far:", *world.trace, sep="\n  ")
                raise
            finally:
                world.close()
            traces.append(world.trace)
    for i, (theirs, ours) in enumerate(zip(*traces)):
        assert theirs == ours, f"step {i}: {theirs} there, {ours} here"
    assert len(traces[0]) == len(traces[1])


# Keys on either of two shards; whichever it is, nothing may change.
KEYS = [f"key:{i}" for i in range(8)]


# ---- the same as Redis ---------------------------------------------------------------------


def served_at_once(w):
    w("c", "RPUSH", "a", 1, 2, 3, 4, 5)
    for words in (("BLPOP", "a", 0), ("BRPOP", "a", 0), ("BLPOP", "none", "a", 1), ("BLMPOP", 0, 1, "a", "LEFT"),
                  ("BRPOPLPUSH", "a", "b", 1), ("BLMOVE", "b", "a", "LEFT", "RIGHT", 1),
                  ("BLMPOP", 0.5, 2, "none", "a", "RIGHT", "COUNT", 10)):
        w("c", *words)
    w("c", "KEYS", "*")


def errors(w):
    w("c", "SET", "s", 1)
    for words in (("BLPOP", "s", 0), ("BLPOP", "a", "x"), ("BLPOP", "a", -1), ("BLPOP", "a"),
                  ("BLPOP", "a", "0x"), ("BLPOP", "a", ""), ("BLPOP", "a", " 1"), ("BLPOP", "a", "nan"),
                  ("BRPOP", "none", "s", "a", 0), ("BLMOVE", "s", "a", "LEFT", "LEFT", 0),
                  ("BLMOVE", "a", "b", "UP", "LEFT", 0), ("BLMOVE", "a", "b", "LEFT", "DOWN", "x"),
                  ("BLMOVE", "a", "b", "LEFT", "LEFT", "x"), ("BLMOVE", "a", "b", "LEFT", "LEFT", -5),
                  ("BRPOPLPUSH", "a", "b", "x"), ("BRPOPLPUSH", "s", "b", 1), ("BLMPOP", "x", 1, "a", "LEFT"),
                  ("BLMPOP", 0, 0, "a", "LEFT"), ("BLMPOP", 0, "x", "a", "LEFT"), ("BLMPOP", 0, 2, "a", "LEFT"),
                  ("BLMPOP", 0, 1, "a", "UP"), ("BLMPOP", 0, 1, "a", "LEFT", "COUNT"),
                  ("BLMPOP", 0, 1, "a", "LEFT", "COUNT", 0), ("BLMPOP", 0, 1, "a", "LEFT", "COUNT", "x"),
                  ("BLMPOP", 0, 1, "a", "LEFT", "COUNT", 1, 2), ("BLMPOP", 0, 1, "s", "LEFT"), ("BLMPOP", 0, 1),
                  ("BLMPOP", -1, 1, "a", "LEFT"), ("BLMPOP", "x", 1, "a", "UP"),
                  ("CLIENT", "UNBLOCK", "x"), ("CLIENT", "UNBLOCK", 1, "NEVER"), ("CLIENT", "UNBLOCK", 999999),
                  ("CLIENT", "UNBLOCK"), ("CLIENT", "UNBLOCK", 1, 2, 3)):
        w("c", *words)
    w("c", "RPUSH", "a", 1)
    w("c", "BLMOVE", "a", "s", "LEFT", "LEFT", 0)
    w("c", "LRANGE", "a", 0, -1)


def errors_of_reads(w):
    """Keys on several cores: the first that is wrong is said, the group before the ID."""
    w("c", "XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    w("c", "SET", "text", 1)
    for keys in (("s", "a"), ("a", "s"), ("a", "b"), ("s", "b"), ("text", "s"), ("b", "text")):
        for ids in (("$", 0), (0, "$"), ("x", ">"), (">", "-"), (">", ">")):
            w("c", "XREADGROUP", "GROUP", "g", "me", "BLOCK", 5, "STREAMS", *keys, *ids)
            w("c", "XREAD", "BLOCK", 5, "STREAMS", *keys, *ids)


def timeouts(w):
    for words in (("BLPOP", "a", 0.01), ("BRPOP", "a", "b", "0.001"), ("BLMOVE", "a", "b", "LEFT", "LEFT", "1e-2"),
                  ("BRPOPLPUSH", "a", "b", 0.02), ("BLMPOP", "0.01", 2, "a", "b", "LEFT"), ("BLPOP", "a", "0x.02")):
        w("c", *words)
    began = time.monotonic()
    w("c", "BLPOP", "a", 0.2)
    w.note(0.19 < time.monotonic() - began < 0.6)


def first_come_first_served(w):
    for name in "abcde":
        w.wait(name, "BLPOP", "q", 0)
    w("p", "RPUSH", "q", 1, 2)
    for name in "ab":
        w.get(name)
    w.quiet("c", "d", "e")
    w("p", "LPUSH", "q", 3, 4, 5, 6)
    for name in "cde":
        w.get(name)
    w("p", "LRANGE", "q", 0, -1)


def every_kind_in_one_line(w):
    w.wait("a", "BRPOP", "q", 0)
    w.wait("b", "BLMPOP", 0, 1, "q", "LEFT", "COUNT", 2)
    w.wait("c", "BLMOVE", "q", "{q}to", "LEFT", "RIGHT", 0)
    w.wait("d", "BRPOPLPUSH", "q", "{q}to", 0)
    w.wait("e", "BLPOP", "q", 0)
    w("p", "RPUSH", "q", 1, 2, 3, 4, 5, 6, 7)
    for name in "abcde":
        w.get(name)
    w("p", "LRANGE", "q", 0, -1)
    w("p", "LRANGE", "{q}to", 0, -1)


def several_keys(w):
    for first, second in ((0, 1), (1, 0), (2, 2), (3, 4)):
        w.wait("a", "BLPOP", KEYS[first], KEYS[second], KEYS[first], 0)
        w("p", "RPUSH", KEYS[second], "x", "y")
        w.get("a")
        w("p", "LRANGE", KEYS[second], 0, -1)
        w("p", "DEL", *KEYS)
    w.wait("a", "BLPOP", *KEYS, 0)
    w.wait("b", "BRPOP", *reversed(KEYS), 0)
    w("p", "RPUSH", KEYS[3], 1)
    w.get("a")
    w("p", "RPUSH", KEYS[5], 2)
    w.get("b")
    w("p", "RPUSH", KEYS[6], 3)
    w("p", "RPUSH", KEYS[1], 4)
    w("a", "BRPOP", *KEYS, 0)  # the first in the order of its arguments
    w("a", "BRPOP", *KEYS, 0)


def other_ways_to_come(w):
    """Every write path that can make a list."""
    w("p", "RPUSH", "src", 1)
    payload = w.client("p")("DUMP", "src")
    ways = (
        (("RPUSHX", "q", 1), ("RPUSH", "q", 1)),
        (("LPUSH", "q", 1),),
        (("RPUSH", "r", 1), ("RENAME", "r", "q")),
        (("RPUSH", "r", 1), ("RENAMENX", "r", "q")),
        (("RPUSH", "r", 1), ("COPY", "r", "q"), ("DEL", "r")),
        (("RESTORE", "q", 0, payload),),
        (("RPUSH", "r", 1), ("SORT", "r", "STORE", "q"), ("DEL", "r")),
        (("RPUSH", "r", 1), ("LMOVE", "r", "q", "LEFT", "LEFT")),
        (("RPUSH", "r", 1), ("RPOPLPUSH", "r", "q")),
        (("RPUSH", "r", 1), ("BLMOVE", "r", "q", "LEFT", "LEFT", 0)),
        (("SELECT", 1), ("RPUSH", "q", 1), ("MOVE", "q", 0), ("SELECT", 0)),
        (("SELECT", 1), ("RPUSH", "q", 1), ("SWAPDB", 0, 1), ("SELECT", 0)),
        (("SELECT", 1), ("RPUSH", "q", 1), ("COPY", "q", "q", "DB", 0), ("DEL", "q"), ("SELECT", 0)),
        (("MULTI",), ("RPUSH", "q", 1), ("EXEC",)),
        (("SET", "q", "s"), ("DEL", "q"), ("RPUSH", "q", 1)),
        (("SET", "q", "s"), ("RPUSH", "r", 1), ("RENAME", "r", "q")),
    )
    for way in ways:
        w.wait("a", "BLPOP", "q", 0)
        for words in way:
            w("p", *words)
        w.get("a")
        w("p", "EXISTS", "q", "r")


def whole_transactions_first(w):
    """Nobody is served in the middle of a transaction."""
    for middle in ((("DEL", "q"),), (("LPOP", "q"), ("RPUSH", "other", 1)), (("DEL", "q"), ("SET", "q", 1))):
        w.wait("a", "BLPOP", "q", 0)
        w("p", "MULTI")
        w("p", "RPUSH", "q", 1)
        for words in middle:
            w("p", *words)
        w("p", "EXEC")
        w.quiet("a")
        w("p", "DEL", "q", "other")
        w("p", "LPUSH", "q", "after")
        w.get("a")
    w.wait("a", "BLPOP", "q", 0)
    w.wait("b", "BLPOP", "q", 0)
    w("p", "MULTI")
    w("p", "RPUSH", "q", 1)
    w("p", "RPUSH", "q", 2)
    w("p", "LPUSH", "q", 0)
    w("p", "EXEC")
    w.get("a")
    w.get("b")
    w("p", "LRANGE", "q", 0, -1)


def not_inside_transactions(w):
    w("c", "SET", "s", 1)
    w("c", "MULTI")
    for words in (("BLPOP", "none", 0), ("BRPOP", "none", "also", 0), ("BLMOVE", "none", "b", "LEFT", "LEFT", 0),
                  ("BRPOPLPUSH", "none", "b", 0), ("BLMPOP", 0, 2, "none", "also", "LEFT"), ("BLPOP", "s", 0),
                  ("RPUSH", "q", 1, 2, 3), ("BLPOP", "none", "q", 0), ("BRPOP", "q", 0), ("BLPOP", "q", "x"),
                  ("BLMOVE", "q", "b", "LEFT", "LEFT", 0), ("BLMPOP", 0, 2, "q", "b", "LEFT")):
        w("c", *words)
    w("c", "EXEC")


def wrong_types_do_not_wake(w):
    w.wait("a", "BLPOP", "q", 0)
    w("p", "SET", "q", 1)
    w.quiet("a")
    w("p", "DEL", "q")
    w("p", "RPUSH", "q", 1)
    w.get("a")
    w("p", "SET", "to", 1)
    w.wait("a", "BLMOVE", "q", "to", "LEFT", "LEFT", 0)
    w.wait("b", "BLPOP", "q", 0)
    w("p", "RPUSH", "q", 1)
    w.get("a")
    w.get("b")
    w("p", "EXISTS", "q")


def one_wakes_the_next(w):
    """What a move brings serves who waits there, over many keys."""
    for source, target in zip(KEYS, KEYS[1:]):
        w.wait(source, "BLMOVE", source, target, "LEFT", "RIGHT", 0)
    w.wait("last", "BLPOP", KEYS[-1], 0)
    w("p", "RPUSH", KEYS[0], "it")
    for source in KEYS[:-1]:
        w.get(source)
    w.get("last")
    w("p", "EXISTS", *KEYS)


def circles(w):
    w.wait("a", "BRPOPLPUSH", "q", "q", 0)
    w("p", "RPUSH", "q", 1)
    w.get("a")
    w("p", "LRANGE", "q", 0, -1)
    w("p", "DEL", "q")
    w.wait("a", "BLMOVE", KEYS[0], KEYS[1], "LEFT", "LEFT", 0)
    w.wait("b", "BLMOVE", KEYS[1], KEYS[0], "LEFT", "LEFT", 0)
    w("p", "RPUSH", KEYS[0], 1)
    w.get("a")
    w.get("b")
    w("p", "LRANGE", KEYS[0], 0, -1)
    w("p", "EXISTS", KEYS[1])


def unblocked(w):
    w.wait("a", "BLPOP", "q", 0)
    a = w.id("c") and None
    for reason in ((), ("TIMEOUT",), ("ERROR",)):
        for words in (("BLPOP", "q", 0), ("BLMOVE", "q", "r", "LEFT", "LEFT", 0), ("BLMPOP", 0, 2, *KEYS[:2], "LEFT")):
            number = w.id("u")
            w.wait("u", *words)
            w("p", "CLIENT", "UNBLOCK", number, *reason)
            w.get("u")
            w("p", "CLIENT", "UNBLOCK", number, *reason)
    assert a is None
    w("p", "RPUSH", "q", 1)
    w.get("a")


def next_commands_wait(w):
    w.client("a").send(encode("SET", "x", 1) + encode("BLPOP", "q", 0) + encode("INCR", "x") + encode("BLPOP", "q", "0.01") +
                       encode("INCR", "x"))
    w.get("a")
    w.waiting(1)
    w("p", "GET", "x")
    w("p", "RPUSH", "q", 1)
    for _ in range(4):
        w.get("a")
    w.client("a").send(b"".join(encode("BLPOP", "q", 0) for _ in range(3)) + encode("GET", "x"))
    for i in range(3):
        w.waiting(1)
        w("p", "RPUSH", "q", i)
        w.get("a")
    w.get("a")


def others_in_a_pipeline_are_served_at_once(w):
    """A waiter is served before the pusher's next command."""
    w.wait("a", "BLPOP", "q", 0)
    w.client("p").send(encode("RPUSH", "q", 1) + encode("LPOP", "q") + encode("LLEN", "q") + encode("RPUSH", "q", 2))
    for _ in range(4):
        w.get("p")
    w.get("a")
    w("p", "LRANGE", "q", 0, -1)


def killed(w):
    w.client("k")
    number = w.id("k")
    w.wait("k", "BLPOP", "q", "r", 0)
    w("p", "CLIENT", "KILL", "ID", number)
    w.waiting(0)
    w("p", "RPUSH", "q", 1)
    w("p", "LRANGE", "q", 0, -1)


def gone(w):
    for how in ("close", "shutdown", "reset"):
        w.wait("g", "BLPOP", *KEYS, 0)
        w.wait("h", "BLPOP", *KEYS, 0)
        c = w.clients.pop("g")
        if how == "shutdown":
            c.socket.shutdown(socket.SHUT_WR)
        elif how == "reset":
            c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if how != "shutdown":
            c.close()
        w.waiting(1)
        w("p", "RPUSH", KEYS[2], how)
        w.get("h")
        c.close()
    w("p", "EXISTS", *KEYS)


def muted(w):
    w.client("m").send(encode("CLIENT", "REPLY", "SKIP") + encode("BLPOP", "q", 0) + encode("PING"))
    w.waiting(1)
    w("p", "RPUSH", "q", 1)
    w.get("m")
    w.client("m").send(encode("CLIENT", "REPLY", "OFF") + encode("BLPOP", "q", 0) + encode("CLIENT", "REPLY", "ON"))
    w.waiting(1)
    w("p", "RPUSH", "q", 1)
    w.get("m")
    w.client("m").send(encode("CLIENT", "REPLY", "SKIP") + encode("BLPOP", "q", "0.01") + encode("PING"))
    w.get("m")


def paused(w):
    w.wait("a", "BLPOP", "q", 0)
    w.wait("t", "BLPOP", "q", "0.05")
    w("p", "CLIENT", "PAUSE", 300, "WRITE")
    began = time.monotonic()
    w.get("t")
    w.note(time.monotonic() - began < 0.2)
    w.send("b", "BLPOP", "q", 0)
    w("p", "CLIENT", "UNPAUSE")
    w.waiting(2)
    w("p", "RPUSH", "q", 1, 2)
    w.get("a")
    w.get("b")


def databases(w):
    w("a", "SELECT", 3)
    w.wait("a", "BLPOP", "q", 0)
    w.wait("b", "BLPOP", "q", 0)
    w("p", "SELECT", 3)
    w("p", "RPUSH", "q", "in3")
    w.get("a")
    w.quiet("b")
    w("p", "RPUSH", "q", "swapped")
    w("p", "SWAPDB", 3, 0)
    w.get("b")
    w.wait("b", "BLPOP", "q", 0)
    w("p", "FLUSHDB")
    w("p", "FLUSHALL")
    w("p", "SELECT", 0)
    w("p", "RPUSH", "q", "flushed")
    w.get("b")
    w("p", "DBSIZE")


def streams_that_go(w):
    """Who reads for a group learns that its stream, or its group, is no more."""
    w("p", "SET", "s", "text")
    payload = w.client("p")("DUMP", "s")
    ends = (("DEL", "s"), ("SET", "s", 1), ("RENAME", "s", "{s}t"), ("XGROUP", "DESTROY", "s", "g"), ("FLUSHALL",), ("FLUSHDB",),
            ("SWAPDB", 0, 3), ("PEXPIRE", "s", 0), ("RESTORE", "s", 0, payload, "REPLACE"))
    for end in ends:
        w("p", "FLUSHALL")
        w("p", "XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        w.wait("a", "XREAD", "BLOCK", 0, "STREAMS", "s", "$")
        w.wait("b", "XREADGROUP", "GROUP", "g", "me", "BLOCK", 0, "STREAMS", "s", ">")
        w.wait("c", "XREADGROUP", "GROUP", "g", "you", "BLOCK", 0, "STREAMS", "s", ">")
        w("p", *end)
        w.get("b")
        w.get("c")
        w.quiet("a")
        w("p", "FLUSHALL")
        w("p", "XADD", "s", "5-5", "f", "v")
        w.get("a")


def streams_that_change(w):
    """Nobody sees the middle of a transaction; a stream in another's place is asked for the group."""
    for words in ((("DEL", "s"), ("SADD", "s", 1)), (("DEL", "s"), ("XADD", "s", "1-1", "f", "v")),
                  (("DEL", "s"), ("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM"), ("XADD", "s", "1-1", "f", "v"))):
        w("p", "FLUSHALL")
        w("p", "XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
        w.wait("a", "XREADGROUP", "GROUP", "g", "me", "BLOCK", 0, "STREAMS", "s", ">")
        w("p", "MULTI")
        for command in words:
            w("p", *command)
        w("p", "EXEC")
        w.get("a")


def notifications(w):
    w("p", "CONFIG", "SET", "notify-keyspace-events", "KEA")
    w("l", "PSUBSCRIBE", "__keyevent@0__:*")
    w.wait("a", "BLPOP", "q", 0)
    w("p", "RPUSH", "q", 1)
    w.get("a")
    w.wait("a", "BLMOVE", "q", "{q}r", "LEFT", "RIGHT", 0)
    w("p", "RPUSH", "q", 1)
    w.get("a")
    w("p", "SET", "end", 1)
    for _ in range(7):
        w.get("l")
    w("p", "CONFIG", "SET", "notify-keyspace-events", "")


def watched(w):
    """What is served is a change."""
    w.wait("a", "BLPOP", "q", 0)
    w("w", "WATCH", "q")
    w("p", "RPUSH", "q", 1)
    w.get("a")
    w("w", "MULTI")
    w("w", "PING")
    w("w", "EXEC")
    w("c", "INFO", "nothing")


def shown(w):
    w.client("a")("CLIENT", "SETNAME", "waiter")
    w.wait("a", "BLPOP", "q", 0)
    line = next(x for x in w.client("p")("CLIENT", "LIST").split(b"\n") if b"name=waiter " in x)
    w.note([x for x in line.split() if x.startswith((b"flags=", b"cmd="))])
    w("p", "RPUSH", "q", 1)
    w.get("a")
    line = next(x for x in w.client("p")("CLIENT", "LIST").split(b"\n") if b"name=waiter " in x)
    w.note([x for x in line.split() if x.startswith((b"flags=", b"cmd="))])


def sorted_sets(w):
    w("c", "ZADD", "z", 1, "a", 2, "b", 3, "c", 4.5, "d", "inf", "e")
    for words in (("BZPOPMIN", "z", 0), ("BZPOPMAX", "none", "z", 0), ("BZMPOP", 0, 1, "z", "MAX"),
                  ("BZMPOP", "0.5", 2, "none", "z", "MIN", "COUNT", 9), ("EXISTS", "z"), ("BZPOPMIN", "z", "0.01"),
                  ("BZPOPMAX", "z", "y", "0.01"), ("BZMPOP", "0.01", 2, "z", "y", "MIN"), ("RPUSH", "l", 1),
                  ("BZPOPMIN", "l", 0), ("BLPOP", "none", "l", 0), ("BZPOPMAX", "z", "x"), ("BZPOPMIN", "z", -1), ("BZPOPMIN", "z"),
                  ("BZMPOP", 0, 0, "z", "MIN"), ("BZMPOP", 0, 1, "z", "LEFT"), ("BZMPOP", 0, 2, "z", "MIN"),
                  ("BZMPOP", 0, 1, "z", "MIN", "COUNT"), ("BZMPOP", 0, 1, "z", "MIN", "COUNT", 0),
                  ("BZMPOP", 0, 1, "z", "MAX", "COUNT", 1, 1), ("BZMPOP", "x", 1, "z", "MIN"), ("RPUSH", "l", 1), ("BZMPOP", 0, 1, "l", "MIN"),
                  ("MULTI",), ("BZPOPMIN", "z", 0), ("BZPOPMAX", "z", 0), ("BZMPOP", 0, 1, "z", "MIN"), ("EXEC",)):
        w("c", *words)
    w.wait("a", "BZPOPMIN", *KEYS, 0)
    w.wait("b", "BZMPOP", 0, 2, KEYS[1], KEYS[2], "MAX", "COUNT", 2)
    w.wait("d", "BZPOPMAX", KEYS[2], 0)
    w.wait("l", "BLPOP", *KEYS, 0)
    w("p", "ZADD", KEYS[2], 1, "one", 2, "two", 3, "three", 4, "four")
    for name in "abd":
        w.get(name)
    w.quiet("l")
    w.wait("a", "BZPOPMIN", *KEYS, 0)
    w("p", "RPUSH", KEYS[2], "x")
    w.get("l")
    w.wait("b", "BZPOPMIN", KEYS[0], 0)
    w("p", "ZADD", "other", 5, "five", 6, "six")
    w("p", "RENAME", "other", KEYS[0])
    w.get("a")
    w.get("b")
    w("p", "EXISTS", *KEYS)


SCRIPTS = (served_at_once, errors, errors_of_reads, timeouts, first_come_first_served, every_kind_in_one_line, several_keys,
           other_ways_to_come, whole_transactions_first, not_inside_transactions, wrong_types_do_not_wake,
           one_wakes_the_next, circles, unblocked, next_commands_wait, others_in_a_pipeline_are_served_at_once, killed,
           gone, muted, paused, databases, streams_that_go, streams_that_change, notifications, watched, shown, sorted_sets)


def test_scripts_run_as_on_redis(server):
    for script in SCRIPTS:
        try:
            same_on_both(server, script)
        except Exception:
            print("script:", script.__name__)
            raise


def test_scripts_run_as_on_redis_in_resp3(server):
    for script in (served_at_once, errors, timeouts, not_inside_transactions, first_come_first_served, unblocked,
                   sorted_sets):
        try:
            same_on_both(server, script, resp=3)
        except Exception:
            print("script:", script.__name__)
            raise


# ---- several clients at random ---------------------------------------------------------------

QUEUES = [f"queue:{i}" for i in range(6)]


class Crowd:
    """Producers and consumers; what each was told, for what must hold at the end."""

    def __init__(self, server, seed, seconds):
        self.server, self.until = server, time.monotonic() + seconds
        self.pushed, self.taken, self.doubtful = set(), [], 0
        self.lock = threading.Lock()
        self.failures = []
        self.threads = [threading.Thread(target=self.guard, args=(work, f"{seed}:{n}"))
                        for n, work in enumerate([self.produce] * 3 + [self.consume] * 8 + [self.move] * 3 + [self.leave] * 2)]
        self.ids = []

    def guard(self, work, seed):
        try:
            work(random.Random(seed), seed)
        except Exception as why:
            self.failures.append((work.__name__, repr(why)))

    def going(self):
        return time.monotonic() < self.until and not self.failures

    def produce(self, rnd, seed):
        n = 0
        with self.server.connect() as c:
            while self.going():
                values = [f"{seed}:{n + i}".encode() for i in range(rnd.choice((1, 1, 1, 2, 5)))]
                n += len(values)
                with self.lock:
                    self.pushed.update(values)
                queue, other = rnd.sample(QUEUES, 2)
                way = rnd.randrange(6)
                if way == 0:
                    c.pipeline(("MULTI",), *(("RPUSH", rnd.choice(QUEUES), v) for v in values), ("EXEC",))
                elif way == 1:
                    c("RPUSH", f"side:{seed}", *values)
                    while not c("RENAMENX", f"side:{seed}", queue) and c("LMOVE", f"side:{seed}", other, "LEFT", "LEFT"):
                        pass
                    while c("LMOVE", f"side:{seed}", queue, "LEFT", "RIGHT"):
                        pass
                elif way == 2:
                    c.pipeline(*((rnd.choice(("LPUSH", "RPUSH")), rnd.choice(QUEUES), v) for v in values))
                elif way == 3:
                    number = rnd.choice(self.ids or [0])
                    c("RPUSH", queue, *values)
                    c("CLIENT", "UNBLOCK", number, rnd.choice(("TIMEOUT", "ERROR")))
                else:
                    c(rnd.choice(("LPUSH", "RPUSH")), queue, *values)
                if rnd.random() < 0.5:
                    time.sleep(rnd.random() * 0.004)

    def wish(self, rnd):
        queues = rnd.sample(QUEUES, rnd.choice((1, 1, 2, 3, 6)))
        timeout = rnd.choice((0.001, 0.004, 0.02, 0.2, 1))
        if rnd.random() < 0.3:
            return ("BLMPOP", timeout, len(queues), *queues, rnd.choice(("LEFT", "RIGHT")), "COUNT", rnd.choice((1, 3)))
        return (rnd.choice(("BLPOP", "BRPOP")), *queues, timeout)

    def keep(self, got, queues):
        if got is None or got == Error("UNBLOCKED client unblocked via CLIENT UNBLOCK"):
            return
        key, values = got
        assert key.decode() in queues, got
        with self.lock:
            self.taken += values if isinstance(values, list) else [values]

    def consume(self, rnd, seed):
        with self.server.connect() as c:
            self.ids.append(c("CLIENT", "ID"))
            while self.going():
                wishes = [self.wish(rnd) for _ in range(rnd.choice((1, 1, 3)))]
                for wish, got in zip(wishes, c.pipeline(*wishes)):
                    self.keep(got, wish)

    def move(self, rnd, seed):
        with self.server.connect() as c:
            self.ids.append(c("CLIENT", "ID"))
            while self.going():
                source, target = rnd.choice(QUEUES), rnd.choice(QUEUES)
                got = c("BLMOVE", source, target, rnd.choice(("LEFT", "RIGHT")), rnd.choice(("LEFT", "RIGHT")),
                        rnd.choice((0.001, 0.02, 0.2)))
                with self.lock:
                    assert got is None or isinstance(got, Error) or got in self.pushed, got

    def leave(self, rnd, seed):
        """What was on its way to somebody who leaves may be lost with him: not more."""
        while self.going():
            c = self.server.connect()
            if rnd.random() < 0.3:
                c.send(encode("BLMOVE", rnd.choice(QUEUES), rnd.choice(QUEUES), "LEFT", "LEFT", 1))
                time.sleep(rnd.random() * 0.003)
            else:
                c.send(encode("BLPOP", *rnd.sample(QUEUES, 3), 1))
                time.sleep(rnd.random() * 0.003)
                if not select.select([c.socket], [], [], 0)[0]:
                    with self.lock:
                        self.doubtful += 1
                else:
                    self.keep(c.reply(), QUEUES)
            c.close()

    def run(self):
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "a client hangs"
        assert not self.failures, self.failures
        with self.server.connect() as c:
            for _ in range(1000):
                if b"\r\nblocked_clients:0\r\n" in c("INFO", "clients"):
                    break
                time.sleep(0.002)
            left = [v for q in QUEUES for v in c("LRANGE", q, 0, -1)]
        told = self.taken + left
        assert len(told) == len(set(told)), "somebody got what another got"
        assert set(told) <= self.pushed
        lost = len(self.pushed) - len(told)
        assert lost <= self.doubtful, (lost, self.doubtful)
        assert len(self.taken) > 100
        return len(self.taken), lost


def test_nothing_is_lost_or_told_twice(server):
    with server.connect() as c:
        c("FLUSHALL")
    Crowd(server, seed=server.cores, seconds=3).run()


def test_no_one_waits_for_what_is_there(server):
    """When all is quiet, whoever still waits has nothing to take; and each who comes first is served first."""
    rnd = random.Random(5)
    with server.connect() as admin:
        admin("FLUSHALL")
        for _ in range(6):
            clients = [(server.connect(), rnd.sample(KEYS, rnd.randrange(1, 5))) for _ in range(20)]
            world = World(server)
            for i, (c, keys) in enumerate(clients):
                c.send(encode("BLPOP", *keys, 0))
                world.waiting(i + 1)
            line = list(clients)
            for n in range(30):
                key = rnd.choice(KEYS)
                admin("RPUSH", key, n)
                first = next((x for x in line if key in x[1]), None)
                if first is None:
                    admin("DEL", key)
                    continue
                assert first[0].reply() == [key.encode(), b"%d" % n]
                line.remove(first)
            world.waiting(len(line))
            for c, _ in clients:
                c.close()
            world.waiting(0)
            world.close()


def test_a_push_that_waited_for_a_lock_serves(server):
    """Nothing comes after it that would: the push itself must."""
    with server.connect() as waiter, server.connect() as pusher, server.connect() as holder:
        holder("FLUSHALL")
        rnd = random.Random(7)
        many = encode("MULTI") + b"".join(encode("LLEN", k) for k in KEYS)
        many += b"".join(encode("SET", f"other:{n}", n) for n in range(200)) + encode("EXEC")
        for n in range(200):
            key = rnd.choice(KEYS)
            waiter.send(encode("BLPOP", key, 0))
            time.sleep(0.0005)
            holder.send(many)
            pusher.send(encode("RPUSH", key, n))
            waiter.socket.settimeout(5)
            assert waiter.reply() == [key.encode(), b"%d" % n], n
            assert pusher.reply() == 1
            for _ in range(len(KEYS) + 202):
                holder.reply()


def test_what_was_served_is_in_the_slow_log(server):
    """With the words that the client used, once, and no more entries than the setting says."""
    with server.connect() as waiter, server.connect() as c:
        for name, value in (("slowlog-log-slower-than", 0), ("slowlog-max-len", 5)):
            c("CONFIG", "SET", name, value)
        waiter.send(encode("BLPOP", "slow", 0))
        while b"blocked_clients:1" not in c("INFO", "clients"):
            time.sleep(0.002)
        c("SLOWLOG", "RESET")
        c("RPUSH", "slow", 1)
        assert waiter.reply() == [b"slow", b"1"]
        assert [b"BLPOP", b"slow", b"0"] in [entry[3] for entry in c("SLOWLOG", "GET", -1)]
        for key in KEYS:
            c("SET", key, 1)
        assert c("SLOWLOG", "LEN") == len(c("SLOWLOG", "GET", -1)) == len(c("SLOWLOG", "GET", 10)) == 5
        for name, value in (("slowlog-log-slower-than", 10000), ("slowlog-max-len", 128)):
            c("CONFIG", "SET", name, value)


def test_who_waits_for_the_end_of_a_pause_is_counted(server):
    with server.connect() as waiter, server.connect() as c:
        c("CLIENT", "PAUSE", 10000, "WRITE")
        waiter.send(encode("SET", "paused", 1))
        while b"blocked_clients:1\r" not in c("INFO", "clients"):
            time.sleep(0.002)
        c("CLIENT", "UNPAUSE")
        assert waiter.reply() == "OK" and b"blocked_clients:0\r" in c("INFO", "clients")
