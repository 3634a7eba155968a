"""Streams larger than memory: their blocks leave one by one, and every command sees the stream all the same."""
import bisect
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading

from support.orbit import Error, Server, encode

FLAGS = ("--maxmemory", 2 << 20, "--maxmemory-policy", "tier", "--log-segment-size", 262144)
COUNT = 24000


def identity(n):
    return n // 10 + 1, n % 10


def text(at):
    return b"%d-%d" % at


def fields(n):
    name = b"name" if n % 9 else b"other"
    return [name, b"%d:%s" % (n, b"x" * (n * 7 % 300)), b"n", b"%d" % n]


def info(c, name):
    return int(next(line for line in c("INFO", "all").split(b"\r\n") if line.startswith(name + b":")).split(b":")[1])


class Twin:
    """A stream of the server and what it should be; both change alike. Its group knows what is pending."""

    def __init__(self, c, key):
        self.c, self.key, self.new = c, key, 0
        self.ids, self.entries = [], {}
        self.read, self.pending = (0, 0), {}

    def add_many(self, n):
        for at in range(0, n, 500):
            numbers = range(self.new, self.new + min(500, n - at))
            self.c.send(b"".join(encode("XADD", self.key, text(identity(i)), *fields(i)) for i in numbers))
            for i in numbers:
                answer = self.c.reply()
                assert answer == text(identity(i)), answer
                self.ids.append(identity(i))
                self.entries[identity(i)] = fields(i)
            self.new = numbers.stop

    def shown(self, ids):
        return [[text(i), self.entries[i]] for i in ids]

    def drop(self, ids):
        for i in ids:
            del self.entries[i]
        self.ids = [i for i in self.ids if i in self.entries]

    def behind(self, at):
        return bisect.bisect_right(self.ids, at)

    def reached(self, verb):
        at = random.choice(self.ids)
        place = bisect.bisect_left(self.ids, at)
        n = random.choice((1, 30, 300))
        return at, place, n

    def change(self, verb):
        c, key, ids = self.c, self.key, self.ids
        at, place, n = self.reached(verb)
        if verb == "XADD":
            self.add_many(3)
        elif verb == "XRANGE":
            assert c("XRANGE", key, text(at), "+", "COUNT", n) == self.shown(ids[place:place + n])
            assert c("XRANGE", key, b"(" + text(at), text(ids[min(place + 9, len(ids) - 1)])) == \
                self.shown(ids[place + 1:place + 10])
        elif verb == "XREVRANGE":
            assert c("XREVRANGE", key, text(at), "-", "COUNT", n) == self.shown(ids[max(0, place + 1 - n):place + 1][::-1])
        elif verb == "XREAD":
            assert c("XREAD", "COUNT", n, "STREAMS", key, text(at)) == \
                ([[key.encode(), self.shown(ids[place + 1:place + 1 + n])]] if place + 1 < len(ids) else None)
            assert c("XREAD", "STREAMS", key, "$") is None
        elif verb == "XLEN":
            assert c("XLEN", key) == len(ids)
        elif verb == "XDEL":
            gone = list({at, random.choice(ids), random.choice(ids)})
            assert c("XDEL", key, "1-99", *map(text, gone)) == len(gone)
            self.drop(gone)
        elif verb == "XTRIM":
            cut = random.choice((1, 7, 250))
            if random.random() < 0.5:
                assert c("XTRIM", key, "MAXLEN", len(ids) - cut) == cut
            else:
                assert c("XTRIM", key, "MINID", text(ids[cut])) == cut
            self.drop(ids[:cut])
        elif verb == "XTRIM~":
            cut = c("XTRIM", key, "MAXLEN", "~", len(ids) - 300)
            assert 0 < cut <= 300, cut
            self.drop(ids[:cut])
        elif verb == "XADD=":
            assert c("XADD", key, "MAXLEN", "=", len(ids) - 5, text(identity(self.new)), *fields(self.new)) == \
                text(identity(self.new))
            self.ids.append(identity(self.new))
            self.entries[identity(self.new)] = fields(self.new)
            self.new += 1
            self.drop(ids[:6])
        elif verb == "XINFO":
            answer = c("XINFO", "STREAM", key)
            facts = dict(zip(answer[::2], answer[1::2]))
            assert facts[b"length"] == len(ids)
            assert facts[b"first-entry"] == self.shown(ids[:1])[0]
            assert facts[b"last-entry"] == self.shown(ids[-1:])[0]
            assert facts[b"recorded-first-entry-id"] == text(ids[0])
            assert c("XINFO", "STREAM", key, "FULL", "COUNT", 3)[15] == self.shown(ids[:3])
        elif verb == "XREADGROUP":
            place = self.behind(self.read)
            answer = c("XREADGROUP", "GROUP", "g", "c%d" % (n % 4), "COUNT", n, "STREAMS", key, ">")
            given = ids[place:place + n]
            assert answer == ([[key.encode(), self.shown(given)]] if given else None)
            self.pending.update((i, b"c%d" % (n % 4)) for i in given)
            self.read = given[-1] if given else self.read
        elif verb == "HISTORY":
            name = b"c%d" % (n % 4)
            own = sorted(i for i, owner in self.pending.items() if owner == name and i > at)[:n]
            assert c("XREADGROUP", "GROUP", "g", name, "COUNT", n, "STREAMS", key, text(at)) == \
                [[key.encode(), [[text(i), self.entries.get(i)] for i in own]]]
        elif verb == "XACK":
            some = random.sample(sorted(self.pending), min(20, len(self.pending)))
            if some:
                assert c("XACK", key, "g", *map(text, some)) == len(some)
            for i in some:
                del self.pending[i]
        elif verb == "XCLAIM":
            some = random.sample(sorted(self.pending), min(8, len(self.pending)))
            if some:
                there = [i for i in some if i in self.entries]
                assert c("XCLAIM", key, "g", "c9", 0, *map(text, some)) == self.shown(there)
            for i in some:
                if i in self.entries:
                    self.pending[i] = b"c9"
                else:
                    del self.pending[i]
        elif verb == "XAUTOCLAIM":
            answer = c("XAUTOCLAIM", key, "g", "c8", 0, text(at), "COUNT", n)
            some = sorted(i for i in self.pending if i >= at)[:n]
            there, gone = [i for i in some if i in self.entries], [i for i in some if i not in self.entries]
            assert answer[1:] == [self.shown(there), [text(i) for i in gone]], (answer[2], gone)
            self.pending.update((i, b"c8") for i in there)
            for i in gone:
                del self.pending[i]
        elif verb == "SETID":
            self.read = at
            assert c("XGROUP", "SETID", key, "g", text(at)) == "OK"
            assert c("XSETID", key, text(identity(self.new - 1))) == "OK"
        elif verb == "EVAL":
            assert c("EVAL", "return redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', 2)", 1, key, text(at)) == \
                self.shown(ids[place:place + 2])
        else:
            assert False, verb

    def check(self):
        c, key, ids = self.c, self.key, self.ids
        for at in range(0, len(ids), 1000):
            assert c("XRANGE", key, text(ids[at]), "+", "COUNT", 1000) == self.shown(ids[at:at + 1000]), at
        assert c("XLEN", key) == len(ids)
        pending = c("XPENDING", key, "g", "-", "+", 1000000)
        assert [(tuple(map(int, i.split(b"-"))), owner) for i, owner, _, _ in pending] == sorted(self.pending.items())


CHANGES = ["XADD", "XRANGE", "XREVRANGE", "XREAD", "XDEL", "XTRIM", "XTRIM~", "XADD=", "XREADGROUP", "XACK", "HISTORY"] * 3 + [
    "XLEN", "XINFO", "XCLAIM", "XAUTOCLAIM", "SETID", "EVAL"]


def fill(c, key="stream"):
    assert c("XGROUP", "CREATE", key, "g", "0", "MKSTREAM") == "OK"
    twin = Twin(c, key)
    twin.add_many(COUNT)
    assert info(c, b"tier_leaves") > 300
    return twin


def test_every_command_sees_the_whole_stream(server):
    own = Server(server.program, *FLAGS, io=server.io, cores=server.cores)
    with contextlib.closing(own), own.connect(timeout=60) as c:
        twin = fill(c)
        assert c("MEMORY", "USAGE", "stream") < 2 << 20
        for verb in random.sample(CHANGES * 3, len(CHANGES) * 3):
            twin.change(verb)
        twin.check()
        assert c("RENAME", "stream", "other") == "OK"
        twin.key = "other"
        twin.check()
        assert c("COPY", "other", "third") == 1
        for verb in CHANGES:
            twin.change(verb)
        twin.check()
        c("DEL", "other", "third")
        assert info(c, b"tier_leaves") == 0


def test_what_is_elsewhere_is_not_read(server):
    own = Server(server.program, *FLAGS, io=server.io, cores=server.cores)
    with contextlib.closing(own), own.connect(timeout=60) as c:
        twin = fill(c)
        reads = info(c, b"tier_reads")
        twin.add_many(50)
        assert c("XLEN", "stream") == len(twin.ids)
        assert c("XTRIM", "stream", "MAXLEN", "~", len(twin.ids) - 2000) > 1000
        twin.ids = twin.ids[-c("XLEN", "stream"):]
        c("XINFO", "GROUPS", "stream"), c("XPENDING", "stream", "g")
        assert c("XREAD", "STREAMS", "stream", "$") is None
        assert c("XREVRANGE", "stream", "+", "-", "COUNT", 20) == twin.shown(twin.ids[:-21:-1])
        assert info(c, b"tier_reads") == reads
        assert c("XRANGE", "stream", text(twin.ids[9000]), "+", "COUNT", 10) == twin.shown(twin.ids[9000:9010])
        assert 0 < info(c, b"tier_reads") - reads <= 3


def test_changes_outlive_the_server(server):
    """Images hold pointers of blocks: what changes or reads such a block later must be told by the log."""
    directory = tempfile.mkdtemp(prefix="orbit-tier-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, True)
        twin = None
        for cores in (server.cores, 3, 1):
            own = Server(server.program, *FLAGS, io=server.io, cores=cores, directory=directory)
            stack.callback(own.process.kill)
            with own.connect(timeout=60) as c:
                if twin:
                    twin.c = c
                    twin.check()
                else:
                    twin = fill(c)
                for turn in range(3):
                    for verb in random.sample(CHANGES, len(CHANGES)):
                        twin.change(verb)
                    c("BGSAVE")
                    other = Twin(c, f"other{turn}")
                    other.add_many(2000)
                    c("DEL", other.key)
            own.kill()
            done = subprocess.run([server.program, "check", os.path.join(directory, "data")], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, done.stdout[-2000:]


def test_who_waits_is_given_what_is_not_in_memory(server):
    """Blocks leave though somebody waits for the stream; what a change makes them wait for no more may be away."""
    own = Server(server.program, *FLAGS, io=server.io, cores=server.cores)
    with contextlib.closing(own), own.connect(timeout=60) as c, own.connect(timeout=60) as waiter:
        given = []
        twin = Twin(c, "stream")
        assert c("XGROUP", "CREATE", "stream", "g", "0", "MKSTREAM") == "OK"
        thread = threading.Thread(target=lambda: given.append(
            waiter("XREAD", "COUNT", 2, "BLOCK", 0, "STREAMS", "stream", "%d-0" % (COUNT // 20))))
        thread.start()
        twin.add_many(COUNT // 2)
        thread.join()
        assert not isinstance(given[0], Error), given
        thread = threading.Thread(target=lambda: given.append(
            waiter("XREADGROUP", "GROUP", "g", "c", "COUNT", 2, "BLOCK", 0, "STREAMS", "stream", ">")))
        assert c("XGROUP", "SETID", "stream", "g", "$") == "OK"
        thread.start()
        while info(c, b"blocked_clients") == 0:
            pass
        leaves = info(c, b"tier_leaves")
        other = Twin(c, "other")
        other.add_many(COUNT)
        assert info(c, b"tier_leaves") > leaves
        middle = twin.ids[COUNT // 4]
        assert c("XGROUP", "SETID", "stream", "g", text(middle)) == "OK"
        twin.add_many(1)
        thread.join()
        at = twin.behind(middle)
        assert given[1] == [[b"stream", twin.shown(twin.ids[at:at + 2])]]
