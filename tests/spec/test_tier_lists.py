"""Lists larger than memory: their leaves leave one by one, and every command sees the list all the same."""
import contextlib
import os
import random
import shutil
import subprocess
import tempfile

from support.orbit import Error, Server, encode

FLAGS = ("--maxmemory", 2 << 20, "--maxmemory-policy", "tier", "--log-segment-size", 262144)
COUNT = 40000


def value(i):
    return f"{i}:{'x' * (i * 7 % 300)}".encode()


def tier_leaves(c):
    return int(next(line for line in c("INFO", "all").split(b"\r\n") if line.startswith(b"tier_leaves:")).split(b":")[1])


def push(c, key, numbers, verb="RPUSH"):
    """How many there are then."""
    pieces = [numbers[at:at + 50] for at in range(0, len(numbers), 50)]
    last = None
    for at in range(0, len(pieces), 20):
        c.send(b"".join(encode(verb, key, *map(value, piece)) for piece in pieces[at:at + 20]))
        for _ in pieces[at:at + 20]:
            last = c.reply()
            assert not isinstance(last, Error), last
    return last


class Twin:
    """A list of the server and what it should be; both change alike."""

    def __init__(self, c, key, list_):
        self.c, self.key, self.list, self.new = c, key, list_, COUNT

    def fresh(self):
        self.new += 1
        return value(self.new)

    def change(self, verb):
        c, key, own = self.c, self.key, self.list
        at = random.randrange(len(own))
        if verb == "LSET":
            own[at] = self.fresh()
            answer = c("LSET", key, at - len(own) if at % 2 else at, own[at])
            assert answer == "OK", answer
        elif verb == "LINDEX":
            assert c("LINDEX", key, at) == own[at]
        elif verb == "LRANGE":
            assert c("LRANGE", key, at, at + 300) == own[at:at + 301]
        elif verb == "LPOP":
            n = random.choice((1, 30, 500))
            assert c("LPOP", key, n) == own[:n]
            del own[:n]
        elif verb == "RPOP":
            n = random.choice((1, 30, 500))
            assert c("RPOP", key, n) == own[:-n - 1:-1]
            del own[-n:]
        elif verb == "LPUSH":
            own.insert(0, self.fresh())
            assert c("LPUSH", key, own[0]) == len(own)
        elif verb == "RPUSH":
            own.append(self.fresh())
            assert c("RPUSH", key, own[-1]) == len(own)
        elif verb == "LMOVE":
            own.append(own.pop(0))
            assert c("LMOVE", key, key, "LEFT", "RIGHT") == own[-1]
        elif verb == "LTRIM":
            first, last = random.randrange(200), len(own) - random.randrange(1, 200)
            assert c("LTRIM", key, first, last) == "OK"
            self.list = own[first:last + 1]
        elif verb == "LINSERT":
            own.insert(at, self.fresh())
            assert c("LINSERT", key, "BEFORE", own[at + 1], own[at]) == len(own)
        elif verb == "LREM":
            assert c("LREM", key, -1, own.pop(at)) == 1
        elif verb == "MULTI":
            c("MULTI"), c("RPUSH", key, value(0)), c("LINDEX", key, at), c("LPOP", key)
            own.append(value(0))
            assert c("EXEC") == [len(own), own[at], own.pop(0)]
        elif verb == "EVAL":
            assert c("EVAL", "return redis.call('LRANGE', KEYS[1], ARGV[1], ARGV[1])", 1, key, at) == [own[at]]
        elif verb == "BLPOP":
            assert c("BLPOP", "none", key, 0) == [key.encode(), own.pop(0)]

    def check(self):
        for at in range(0, len(self.list), 1000):
            assert self.c("LRANGE", self.key, at, at + 999) == self.list[at:at + 1000], at
        assert self.c("LLEN", self.key) == len(self.list)


CHANGES = ["LSET", "LINDEX", "LRANGE", "LPOP", "RPOP", "LPUSH", "RPUSH", "LMOVE", "LTRIM", "BLPOP"] * 4 + ["MULTI", "EVAL"]


def fill(c, key="list"):
    assert push(c, key, range(COUNT)) == COUNT
    assert tier_leaves(c) > 300, tier_leaves(c)
    return Twin(c, key, [value(i) for i in range(COUNT)])


def test_every_command_sees_the_whole_list(server):
    own = Server(server.program, *FLAGS, io=server.io, cores=server.cores)
    with contextlib.closing(own), own.connect(timeout=60) as c:
        twin = fill(c)
        assert c("MEMORY", "USAGE", "list") < 2 << 20
        for verb in random.sample(CHANGES * 3, len(CHANGES) * 3) + ["LINSERT", "LREM"]:
            twin.change(verb)
        twin.check()
        assert c("LPOS", "list", twin.list[9000]) == 9000
        assert c("OBJECT", "ENCODING", "list") == b"quicklist"
        assert c("RENAME", "list", "other") == "OK"
        twin.key = "other"
        twin.check()
        assert c("COPY", "other", "third") == 1
        twin.change("LSET")
        twin.check()
        c("DEL", "other", "third")
        assert tier_leaves(c) == 0


def test_changes_outlive_the_server(server):
    """Images hold pointers of leaves: what changes such a leaf later must be told by the log."""
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
                    push(c, f"other{turn}", range(3000))
                    c("DEL", f"other{turn}")
            own.kill()
            done = subprocess.run([server.program, "check", os.path.join(directory, "data")], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, done.stdout[-2000:]
