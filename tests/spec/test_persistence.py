"""What is on disk: each test has a data directory of its own, whose server comes and goes."""
import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

from support.disk import SmallDisk, traced
from support.orbit import Connection, Error, RedisServer, Server, Skipped, encode

SEGMENT = 262144


class House:
    """A data directory; start() makes a server for it, with the back end and the cores of the tests' ground."""

    def __init__(self, ground, *flags, directory=None):
        self.ground, self.flags = ground, ("--log-segment-size", SEGMENT, *flags)
        self.is_lent = directory is not None
        self.directory = directory or tempfile.mkdtemp(prefix="orbit-house-")
        self.data = os.path.join(self.directory, "data")
        self.server = None

    def start(self, *flags, cores=None, io=None, wrap=()):
        self.server = Server(self.ground.program, *self.flags, *flags, cores=cores or self.ground.cores,
                             io=io or self.ground.io, directory=self.directory, wrap=wrap)
        return self.server

    def kill(self):
        if self.server:
            self.server.kill()

    def stop(self):
        assert self.server.stop() == 0, self.server.log_text()
        self.server.kill()

    def restart(self, *flags, **how):
        self.kill()
        return self.start(*flags, **how)

    def orbit(self, *words):
        done = subprocess.run([self.ground.program, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=120)
        return done.returncode, done.stdout

    def check(self, *words):
        return self.orbit("check", self.data, *words)

    def refusal(self, *flags):
        """What a server says that does not start."""
        status, text = self.orbit("serve", "--data-dir", self.data, "--resp-port", "0", "--http-port", "0", "--io",
                                  self.ground.io, "--cores", str(self.ground.cores), "--pin", "no", *map(str, flags))
        assert status == 1, text
        return text

    def files(self, what):
        return [os.path.join(self.data, what, name) for name in sorted(os.listdir(os.path.join(self.data, what)))]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and self.server:
            print(self.server.log_text()[-4000:])
        self.kill()
        if not self.is_lent:
            shutil.rmtree(self.directory, ignore_errors=True)


def contents(server):
    """All databases: name -> (value, absolute expiry, type)."""
    found = {}
    with server.connect(timeout=60) as c:
        for db in range(16):
            assert c("SELECT", db) == "OK"
            names, cursor = set(), b"0"
            while True:
                cursor, some = c("SCAN", cursor, "COUNT", 1000)
                names.update(some)
                if cursor == b"0":
                    break
            for name in sorted(names):
                value, at, kind = c.pipeline(("GET", name), ("PEXPIRETIME", name), ("TYPE", name))
                found[db, name] = (value, at, kind)
    return found


def same(one, other):
    for key in one.keys() | other.keys():
        a, b = one.get(key), other.get(key)
        assert a == b, f"{key[0]}:{key[1][:60]!r} was {str(a)[:100]}, is {str(b)[:100]}"


def value_of(c, name):
    return c("GET", name)


def info(c, section="persistence"):
    lines = must(c, "INFO", section).decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def wait_for_images(c, patience=240):
    until = time.monotonic() + patience
    while info(c)["rdb_bgsave_in_progress"] != "0":
        assert time.monotonic() < until
        time.sleep(0.01)


def fill(c, n=400, prefix="k"):
    """Keys on all shards, whose values say where they belong."""
    words = [word for i in range(n) for word in (f"{prefix}:{i}", f"{prefix}:{i}:" + "v" * (i % 50))]
    for at in range(0, len(words), 200):
        assert c("MSET", *words[at:at + 200]) == "OK"


# ---- what is kept --------------------------------------------------------------------------


def populate(c, rnd):
    """Something of every kind, made in every way."""
    ok = lambda *words: (lambda reply: reply)(must(c, *words))  # noqa: E731
    for i in range(300):
        ok("SET", f"s:{i}", rnd.randbytes(rnd.choice((0, 1, 7, 12, 43, 44, 45, 100, 3000))))
    for text in ("0", "-1", "9223372036854775807", "-9223372036854775808", "00012", "1e5", " 7", "", "-0"):
        ok("SET", "n:" + text, text)
    ok("INCRBY", "counter", 41), ok("INCR", "counter"), ok("DECRBY", "n:0", 10), ok("INCRBYFLOAT", "float", "10.5")
    ok("SET", bytes(range(256)), bytes(range(256)) * 3)
    ok("SET", "", "the key without a name")
    for size in (255, 256, 257, 10_000, 70_000, 300_000):
        ok("SET", b"long" + b"\0k" * (size // 2), f"key of {size}")
    for size in (65_535, 65_536, 65_537, 1 << 20, 5 << 20):
        ok("SET", f"big:{size}", rnd.randbytes(16) * (size // 16) + b"e" * (size % 16))
    ok("APPEND", "big:1048576", "one more"), ok("SETRANGE", "big:1048576", 500_000, "in the middle")
    ok("SETRANGE", "patch", 70_000, "end"), ok("SETRANGE", "patch", 3, "begin"), ok("APPEND", "patch", "tail")
    ok("SETRANGE", "s:7", 10, "behind"), ok("APPEND", "fresh", "a"), ok("APPEND", "fresh", "b")
    ok("SETBIT", "bits", 100_003, 1), ok("SETBIT", "bits", 5, 1), ok("SETBIT", "bits", 5, 0)
    ok("BITFIELD", "fields", "SET", "u8", "#3", 200, "INCRBY", "i5", 100, 1)
    for i in range(8):
        ok("BITOP", ("AND", "OR", "XOR", "NOT")[i % 4], f"bitop:{i}", *([f"s:{i}"] if i % 4 == 3 else [f"s:{i}", f"s:{i + 9}"]))
    now = int(time.time())
    ok("SET", "e:px", "1", "PX", 7_777_777), ok("SET", "e:exat", "2", "EXAT", now + 5000)
    ok("SET", "e:expire", "3"), ok("EXPIREAT", "e:expire", now + 6000), ok("PEXPIRE", "s:11", 12_345_678)
    ok("SET", "e:kept", "4", "EX", 4000), ok("SET", "e:kept", "5", "KEEPTTL"), ok("APPEND", "e:kept", "6")
    ok("SET", "e:gone", "7", "EX", 4000), ok("GETEX", "e:gone", "PERSIST"), ok("SET", "e:set", "8", "EX", 4000), ok("SET", "e:set", "9")
    ok("SET", "e:getex", "10"), ok("GETEX", "e:getex", "EX", 9000), ok("SETEX", "e:setex", 3000, "11")
    ok("SET", "e:past", "12"), ok("EXPIREAT", "e:past", 1)
    for i in range(20, 40):
        ok("RENAME", f"s:{i}", f"renamed:{i}"), ok("COPY", f"s:{i + 20}", f"copied:{i}"), ok("COPY", f"s:{i + 20}", f"copied:{i}", "DB", 3)
        ok("MOVE", f"s:{i + 40}", 1 + i % 15)
    ok("RENAME", "e:px", "e:px renamed"), ok("COPY", "e:exat", "e:exat copied", "DB", 9)
    ok("MSET", *[f"m:{i}" for i in range(200)]), ok("MSETNX", "nx:1", "1", "nx:2", "2"), ok("SETNX", "nx:3", "3")
    ok("DEL", *[f"m:{i}" for i in range(0, 60, 2)]), ok("UNLINK", "s:100", "s:101", "nosuch"), ok("GETDEL", "s:102")
    ok("GETSET", "s:103", "new"), ok("RENAMENX", "s:104", "s:104 renamed"), ok("SORT", "nosuch", "STORE", "s:105")
    for db in range(1, 16):
        ok("SELECT", db)
        for i in range(12):
            ok("SET", f"d:{i}", f"{db}/{i}")
    ok("SELECT", 0)
    dumped = ok("DUMP", "counter")
    ok("RESTORE", "restored", 1_000_000, dumped)


def must(c, *words):
    reply = c(*words)
    assert not isinstance(reply, Error), (words[:2], reply)
    return reply


def test_everything_is_there_after_kill_stop_and_other_cores(server):
    rnd = random.Random(7)
    with House(server) as house:
        house.start()
        with house.server.connect(timeout=60) as c:
            populate(c, rnd)
            must(c, "SET", "big:20", os.urandom(1 << 20) * 20)
        before = contents(house.server)
        assert len(before) > 600
        for turn, cores in enumerate((server.cores, 1, 3, 2, server.cores)):
            if turn == 2:
                house.stop()
                assert house.check()[0] == 0, house.check()[1]
                house.start(cores=cores)
            else:
                house.restart(cores=cores)
            same(before, contents(house.server))
            with house.server.connect() as c:
                if turn == 0:
                    must(c, "DEL", "big:20", "big:5242880")
                if turn == 1:
                    assert c("SAVE") == "OK"
                if turn == 3:
                    assert c("BGSAVE") == "Background saving started"
                for i in range(30):
                    must(c, "SET", f"turn:{turn}:{i}", i), must(c, "APPEND", f"s:{i}", "+"), must(c, "DEL", f"turn:{turn - 1}:{i}")
            before = contents(house.server)
        house.kill()
        status, text = house.check()
        assert status == 0, text


def test_databases_flushed_and_swapped(server):
    with House(server) as house:
        house.start()
        with house.server.connect() as c:
            for db in range(16):
                must(c, "SELECT", db), fill(c, 40, f"db{db}")
            must(c, "SWAPDB", 0, 5), must(c, "SWAPDB", 5, 6)
            must(c, "SELECT", 2), must(c, "FLUSHDB"), must(c, "SET", "after", "flush")
            must(c, "SELECT", 3), must(c, "FLUSHDB", "SYNC")
            must(c, "SELECT", 4)
            got = c.pipeline(("MULTI",), ("SET", "gone", "1"), ("FLUSHDB",), ("SET", "kept", "2"), ("SWAPDB", 4, 7), ("EXEC",))
            assert got[-1] == ["OK", "OK", "OK", "OK"], got
        before = contents(house.server)
        assert (7, b"kept") in before and (4, b"db7:0") in before and (0, b"db5:1") in before
        assert (2, b"after") in before and not any(db == 3 for db, _ in before)
        same(before, contents(house.restart(cores=2)))
        with house.server.connect() as c:
            must(c, "SAVE"), must(c, "SELECT", 7), must(c, "FLUSHDB"), must(c, "SET", "third", "life")
        before = contents(house.server)
        same(before, contents(house.restart(cores=1)))
        with house.server.connect() as c:
            must(c, "SELECT", 9)
            got = c.pipeline(("MULTI",), ("FLUSHALL",), ("SET", "only", "one"), ("EXEC",))
            assert got[-1] == ["OK", "OK"], got
        assert contents(house.restart(cores=2)) == {(9, b"only"): (b"one", -1, "string")}
        with house.server.connect() as c:
            must(c, "FLUSHALL")
        assert contents(house.restart()) == {}


def test_a_transaction_is_whole(server):
    with House(server) as house:
        house.start()
        with house.server.connect() as c:
            c.send(encode("MULTI") + b"".join(encode("SET", f"t:{i}", i) for i in range(50)) + encode("EXEC"))
            assert [c.reply() for _ in range(52)][-1] == ["OK"] * 50
            c.send(encode("MULTI") + encode("SET", "t:0", "never"))
            assert c.reply() == "OK" and c.reply() == "QUEUED"
        house.restart()
        with house.server.connect() as c:
            assert c("MGET", *[f"t:{i}" for i in range(50)]) == [str(i).encode() for i in range(50)]


def test_expiries_pass_while_the_server_is_down(server):
    with House(server) as house:
        house.start()
        with house.server.connect() as c:
            fill(c, 50, "stay")
            for i in range(50):
                must(c, "SET", f"go:{i}", "x", "PX", 400 + i)
            must(c, "SET", "long", "y", "PX", 50_000)
            at = c("PEXPIRETIME", "long")
        house.kill()
        time.sleep(0.5)
        house.start()
        with house.server.connect() as c:
            assert c("GET", "go:7") is None and c("PEXPIRETIME", "long") == at
            until = time.monotonic() + 10
            while c("DBSIZE") != 51 and time.monotonic() < until:
                time.sleep(0.02)
            assert c("DBSIZE") == 51


def test_every_way_to_stop_keeps_everything(server):
    with House(server) as house:
        ways = [("SHUTDOWN",), ("SHUTDOWN", "NOSAVE"), ("SHUTDOWN", "SAVE"), None]
        for number, (way, mode) in enumerate((way, mode) for mode in ("always", "everysec", "no") for way in ways):
            house.start("--durability", mode)
            with house.server.connect() as c:
                assert c("DBSIZE") == number * 100, (number, c("DBSIZE"))
                assert info(c)["durability"] == mode
                fill(c, 100, f"w{number}")
                if way:
                    c.send(encode(*way))
                    assert c.is_closed()
            if not way:
                house.server.process.send_signal(signal.SIGTERM)
            assert house.server.process.wait(20) == 0
            assert "stopped, all data is in" in house.server.log_text()
        status, text = house.check()
        assert status == 0 and "remark" not in text, text


# ---- durability -----------------------------------------------------------------------------


def acknowledged_until_killed(house, seconds):
    """Counts up over one connection, kills in the middle; what was acknowledged, and when."""
    times = []

    def count():
        with contextlib.suppress(OSError), house.server.connect() as c:
            while c("SET", "count", len(times) + 1) == "OK":
                times.append(time.monotonic())

    with house.server.connect() as c:
        must(c, "SET", "count", 0)
    thread = threading.Thread(target=count)
    thread.start()
    time.sleep(seconds)
    killed = time.monotonic()
    house.server.process.kill()
    thread.join()
    return times, killed


def test_what_each_durability_may_lose(server):
    with House(server) as house:
        for mode in ("always", "everysec", "no"):
            house.start("--durability", mode)
            times, killed = acknowledged_until_killed(house, 0.6)
            house.restart()
            with house.server.connect() as c:
                kept = int(c("GET", "count"))
                assert kept >= (len(times) if mode == "always" else 0)
                # What was acknowledged and is gone is younger than a second, and the beat of the log.
                if mode == "everysec" and kept < len(times):
                    assert killed - times[kept] < 2, (kept, len(times))
            house.kill()


def test_answers_wait_for_the_device(server):
    """Writes take long: whoever writes or reads what is not durable waits, others do not."""
    if server.io != "epoll":
        return
    late = 0.4
    with House(server) as house, contextlib.ExitStack() as stack:
        house.start()
        with house.server.connect() as c:
            fill(c, 100)
        house.kill()
        house.start(wrap=traced(f"pwritev2:delay_exit={int(late * 1e6)}"))
        connect = lambda: stack.enter_context(house.server.connect())  # noqa: E731
        writer, reader, other, lazy = connect(), connect(), connect(), connect()
        pid = int(info(writer, "server")["process_id"])
        try:
            time.sleep(1)  # what the start still writes
            began = time.monotonic()
            writer.send(encode("SET", "k:1", "new"))
            time.sleep(0.1)
            assert other("GET", "k:2") == b"k:2:vv" and time.monotonic() - began < late * 0.9
            reader.send(encode("GET", "k:1"))
            assert other("GET", "k:3") == b"k:3:vvv" and time.monotonic() - began < late * 0.9
            assert writer.reply() == "OK" and time.monotonic() - began >= late * 0.9
            assert reader.reply() == b"new" and time.monotonic() - began >= late * 0.9
            assert must(lazy, "CLIENT", "DURABILITY", "EVERYSEC") == "OK"
            began = time.monotonic()
            assert lazy("SET", "k:4", "lazy") == "OK" and lazy("GET", "k:4") == b"lazy"
            assert lazy("WAITAOF", 0, 0, 0) == [0, 0] and lazy("WAITAOF", 1, 0, 50) == [0, 0]
            assert time.monotonic() - began < late * 0.9
            assert lazy("WAITAOF", 1, 0, 0) == [1, 0] and time.monotonic() - began >= late * 0.9
            assert lazy("WAITAOF", 0, 0, 0) == [1, 0]
        finally:
            os.kill(pid, signal.SIGKILL)


def test_durability_can_be_changed(server):
    with House(server) as house:
        house.start()
        with house.server.connect() as c, house.server.connect() as d:
            assert c("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"always"]
            assert c("CONFIG", "GET", "durability") == [b"durability", b"always"]
            assert c("CONFIG", "GET", "appendonly") == [b"appendonly", b"yes"]
            assert c("CONFIG", "GET", "save") == [b"save", b""]
            assert c("CONFIG", "SET", "appendfsync", "everysec") == "OK"
            assert c("CONFIG", "GET", "durability") == [b"durability", b"everysec"]
            assert info(c)["durability"] == "everysec"
            assert c("CONFIG", "SET", "durability", "NO") == "OK"
            assert c("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"no"]
            assert "argument(s) must be one of the following" in str(c("CONFIG", "SET", "appendfsync", "sometimes"))
            assert "duplicate parameter" in str(c("CONFIG", "SET", "appendfsync", "no", "appendfsync", "always"))
            assert c("CONFIG", "SET", "appendonly", "yes") == "OK"
            assert "immutable" in str(c("CONFIG", "SET", "appendonly", "no"))
            assert "immutable" in str(c("CONFIG", "SET", "dir", "/elsewhere"))
            assert c("CONFIG", "SET", "save", "") == "OK"
            assert c("CLIENT", "DURABILITY") == b"server"
            for word in ("always", "everysec", "no", "server"):
                assert c("CLIENT", "DURABILITY", word) == "OK" and c("CLIENT", "DURABILITY") == word.encode()
                assert c.pipeline(("SET", "a", word), ("GET", "a")) == ["OK", word.encode()]
            assert d("CLIENT", "DURABILITY") == b"server"
            assert isinstance(c("CLIENT", "DURABILITY", "perhaps"), Error)
            c("CLIENT", "DURABILITY", "no")
            assert c("RESET") == "RESET" and c("CLIENT", "DURABILITY") == b"server"


def test_waitaof(server):
    with House(server) as house:
        house.start("--durability", "everysec")
        with house.server.connect() as c:
            for i in range(20):
                assert c.pipeline(("SET", f"a:{i}", i), ("WAITAOF", 1, 0, 0)) == ["OK", [1, 0]]
            assert c("WAITAOF", 1, 3, 20_000) == [1, 0]
            assert c.pipeline(("MULTI",), ("SET", "b", 1), ("WAITAOF", 1, 0, 0), ("EXEC",))[-1][1][1] == 0
            assert c("WAITAOF", 1, 0, "9223372036854775807") == [1, 0]
            for words, text in (((2, 0, 0), "value is out of range, value must between 0 and 1"),
                                ((1, -1, 0), "value is out of range, must be positive"),
                                ((1, 0, -1), "timeout is negative"), ((1, 0, "x"), "timeout is not an integer or out of range"),
                                (("x", 0, 0), "value is not an integer or out of range")):
                assert c("WAITAOF", *words) == Error("ERR " + text)
            must(c, "MSET", *[f"m:{i}" for i in range(100)])
            assert c("WAITAOF", 1, 0, 0) == [1, 0]
        house.restart()
        with house.server.connect() as c:
            assert c("MGET", *[f"a:{i}" for i in range(20)]) == [str(i).encode() for i in range(20)]
            assert c("EXISTS", *[f"m:{i}" for i in range(0, 100, 2)]) == 50


# ---- as Redis says it -------------------------------------------------------------------------


def is_first_ground(server):
    return server.io == "uring" and server.cores == 2


def fill_much(connection):
    """So much that an image takes a while."""
    for i in range(20):
        connection("MSET", *[word for k in range(1000) for word in (f"{i}:{k}", os.urandom(300))])


def test_replies_are_those_of_redis(server):
    if not is_first_ground(server):
        return
    conversations = [
        [("BGSAVE", "x"), ("BGSAVE", "SCHEDULE", "x"), ("SAVE", "x"), ("BGREWRITEAOF", "x"), ("LASTSAVE", "x"), ("SAVE",)],
        [("BGSAVE",), ("BGSAVE",), ("BGSAVE", "schedule"), ("SAVE",)],
        [("BGSAVE", "SCHEDULE"), ("BGSAVE",)],
        [("BGREWRITEAOF",), ("BGREWRITEAOF",)],
        [("MULTI",), ("SAVE",), ("EXEC",)],
        [("MULTI",), ("BGSAVE",), ("EXEC",)],
        [("MULTI",), ("BGREWRITEAOF",), ("EXEC",)],
        [("MULTI",), ("SHUTDOWN",), ("DISCARD",)],
        [("SHUTDOWN", "x"), ("SHUTDOWN", "SAVE", "x"), ("SHUTDOWN", "ABORT")],
        [("CONFIG", "SET", "appendonly", "yes"), ("CONFIG", "SET", "appendfsync", "always")],
        [("CONFIG", "GET", "appendfsync"), ("CONFIG", "GET", "appendonly"), ("CONFIG", "GET", "APPENDFSYNC")],
    ]
    with House(server) as house, RedisServer("--appendonly", "yes", "--dir", house.directory) as redis:
        house.start()
        with house.server.connect(timeout=60) as ours, redis.connect(timeout=60) as theirs:
            fill_much(ours), fill_much(theirs)
            for conversation in conversations:
                got, wanted = ours.pipeline(*conversation), theirs.pipeline(*conversation)
                assert got == wanted, (conversation, got, wanted)
                for c in (ours, theirs):
                    wait_for_images(c)
                    while info(c)["aof_rewrite_in_progress"] != "0":
                        time.sleep(0.01)
            for c in (ours, theirs):
                began = int(time.time())
                assert c("SAVE") == "OK" and began <= c("LASTSAVE") <= time.time()


def kind_of(text):
    for kind, convert in (("integer", int), ("number", float)):
        with contextlib.suppress(ValueError):
            convert(text)
            return kind
    return text


def test_info_has_the_fields_of_redis(server):
    if not is_first_ground(server):
        return
    with House(server) as house, RedisServer("--appendonly", "yes", "--dir", house.directory) as redis:
        house.start()
        with house.server.connect() as ours, redis.connect() as theirs:
            for c in (ours, theirs):
                must(c, "SET", "a", "b"), must(c, "SAVE")
            got, wanted = info(ours), info(theirs)
            assert not [name for name in wanted if name not in got], [name for name in wanted if name not in got]
            for name, value in wanted.items():
                assert kind_of(got[name]) == kind_of(value), (name, got[name], value)


def test_info_follows_what_happens(server):
    with House(server) as house:
        house.start()
        with house.server.connect(timeout=60) as c:
            fill(c, 100)
            facts = info(c)
            assert facts["rdb_changes_since_last_save"] == "100" and facts["rdb_saves"] == "0"
            assert facts["aof_enabled"] == "1"
            assert c("SAVE") == "OK"
            facts = info(c)
            assert facts["rdb_changes_since_last_save"] == "0" and facts["rdb_saves"] == "1"
            assert facts["rdb_last_bgsave_status"] == "ok" and facts["rdb_last_bgsave_time_sec"] != "-1"
            fill_much(c)
            assert c("BGSAVE") == "Background saving started"
            facts = info(c)
            assert facts["rdb_bgsave_in_progress"] == "1" and int(facts["rdb_current_bgsave_time_sec"]) >= 0
            wait_for_images(c)
            facts = info(c)
            assert facts["rdb_saves"] == "2" and facts["rdb_current_bgsave_time_sec"] == "-1"
            while info(c)["aof_current_size"] == "0":
                time.sleep(0.1)
        house.restart()
        with house.server.connect() as c:
            assert info(c)["rdb_last_load_keys_loaded"] == str(c("DBSIZE"))
        assert "loaded " in house.server.log_text()


def test_nothing_is_kept_where_that_is_asked_for(server):
    with House(server, "--persist", "no") as house:
        house.start()
        with house.server.connect() as c:
            fill(c, 50)
            assert info(c)["aof_enabled"] == "0" and info(c)["durability"] == "none"
            assert c("CONFIG", "GET", "appendonly") == [b"appendonly", b"no"]
            for words in (("SAVE",), ("BGSAVE",), ("BGREWRITEAOF",)):
                assert "keeps nothing on disk" in str(c(*words))
            assert c("WAITAOF", 1, 0, 0) == \
                Error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
            assert c("WAITAOF", 0, 0, 0) == [0, 0]
        assert "nothing is kept on disk" in house.server.log_text()
        assert os.listdir(house.data) == ["lock"]
        house.restart()
        with house.server.connect() as c:
            assert c("DBSIZE") == 0


# ---- damage -----------------------------------------------------------------------------------


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def change_superblock(path, at, layout, value):
    """In all copies, with sound checksums."""
    with open(path, "r+b") as f:
        blocks = bytearray(f.read())
        for copy in range(0, 4 * 4096, 4096):
            struct.pack_into(layout, blocks, copy + at, value)
            struct.pack_into("<I", blocks, copy + 4, crc32c(blocks[copy + 8:copy + 4096]))
        f.seek(0)
        f.write(blocks)


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x10]))


def cut(path, size):
    with open(path, "r+b") as f:
        f.truncate(size)


@contextlib.contextmanager
def full_house(server):
    """Images of some keys, and logs of several segments behind them; nobody serves it."""
    with House(server) as house:
        house.start("--durability", "no")
        with house.server.connect(timeout=60) as c:
            for i in range(0, 600):
                must(c, "SET", f"image:{i}", f"{i}:" + "i" * 300)
            must(c, "SAVE")
            c.pipeline(*[("SET", f"log:{i}", f"{i}:" + "l" * 1000) for i in range(1500)])
        house.before = contents(house.server)
        house.stop()
        assert house.check()[0] == 0, house.check()[1]
        yield house


@contextlib.contextmanager
def copy_of(house):
    with tempfile.TemporaryDirectory(prefix="orbit-copy-") as directory:
        shutil.copytree(house.data, os.path.join(directory, "data"))
        copy = House(house.ground, directory=directory)
        copy.before = house.before
        yield copy


def sealed_segment(house):
    """One that is neither the first nor the last of its log: behind it the log goes on."""
    heads = []
    for path in house.files("log"):
        with open(path, "rb") as f:
            magic, _, _, log, number, generation, place = struct.unpack("<IIIIQQQ", f.read(40))
        if magic == 0x4753524F:
            heads.append((log, place, path))
    heads.sort()
    inner = [b for a, b, c in zip(heads, heads[1:], heads[2:]) if a[0] == b[0] == c[0] and a[1] + 2 == b[1] + 1 == c[1]]
    return inner[0][2]


def some_image(house):
    return max(house.files("image"), key=os.path.getsize)


def salvaged(house, least):
    """What is saved is true, and enough of it."""
    with tempfile.TemporaryDirectory(prefix="orbit-saved-") as directory:
        status, text = house.check("--salvage", os.path.join(directory, "data"))
        assert status == 0 and "saved:" in text, text
        saved = House(house.ground, directory=directory)
        assert saved.check()[0] == 0, saved.check()[1]
        saved.start()
        try:
            found = contents(saved.server)
            for key, facts in found.items():
                assert house.before[key] == facts, key
            assert len(found) >= least, len(found)
            with saved.server.connect() as c:
                must(c, "SET", "goes", "on")
        finally:
            saved.kill()


def test_damage_is_refused_told_and_survived(server):
    with full_house(server) as house:
        cases = (  # two for each ground
            ("a sealed segment is cut", sealed_segment, lambda path: cut(path, SEGMENT // 2), 900),
            ("a bit of a sealed segment", sealed_segment, lambda path: flip(path, 100_001), 900),
            ("a sealed segment is gone", sealed_segment, os.unlink, 900),
            ("a bit of an image", some_image, lambda path: flip(path, os.path.getsize(path) // 3), 1400),
            ("an image is cut", some_image, lambda path: cut(path, os.path.getsize(path) // 2), 1400),
            ("an image is gone", some_image, os.unlink, 1400),
        )
        mine = {("uring", 2): 0, ("epoll", 2): 1, ("uring", 1): 2}[server.io, server.cores]
        for name, which, damage, least in cases[mine::3]:
            with copy_of(house) as copy:
                path = which(copy)
                damage(path)
                wanted = "segments are missing" if name == "a sealed segment is gone" else "/".join(path.split("/")[-2:])
                said = copy.refusal()
                assert wanted in said, (name, said)
                assert "Nothing was changed" in said and "--salvage" in said, (name, said)
                status, text = copy.check()
                assert status == 1 and wanted in text, (name, text)
                salvaged(copy, least)


def test_a_torn_tail_is_no_damage(server):
    """What a crash leaves behind the last frame that counts."""
    with full_house(server) as house:
        house.start()
        with house.server.connect() as c:
            must(c, "SET", "last", "words")
        house.server.process.kill()
        before = dict(house.before)
        before[0, b"last"] = (b"words", -1, "string")
        house.restart()
        same(before, contents(house.server))


def test_other_formats_are_refused(server):
    if not is_first_ground(server):
        return
    with full_house(server) as house:
        for at, layout, value, word in ((8, "<I", 2, "format 2"), (16, "<Q", 1 << 40, "features")):
            with copy_of(house) as copy:
                change_superblock(os.path.join(copy.data, "superblock"), at, layout, value)
                said = copy.refusal()
                assert word in said and "newer" in said, said
                assert copy.check()[0] == 1 and word in copy.check()[1]
        with copy_of(house) as copy:
            os.unlink(os.path.join(copy.data, "superblock"))
            assert "no sound copy" in copy.refusal() and copy.check()[0] == 1
        for damage in (os.unlink, lambda path: cut(path, 0)):
            with copy_of(house) as copy:
                for number in (0, 1):
                    damage(os.path.join(copy.data, f"manifest.{number}"))
                assert "manifest" in copy.refusal() and copy.check()[0] == 1


def test_one_bad_copy_is_told_and_used_around(server):
    if not is_first_ground(server):
        return
    with full_house(server) as house, copy_of(house) as copy:
        flip(os.path.join(copy.data, "superblock"), 4096 + 20)
        status, text = copy.check()
        assert status == 1 and "3 of 4 copies" in text, text
        same(copy.before, contents(copy.start()))
        copy.kill()


def test_directories_that_cannot_be_used(server):
    if not is_first_ground(server):
        return
    with House(server) as house:
        with open(house.data, "w") as f:
            f.write("a file")
        said = house.refusal()
        assert house.data in said and "--data-dir" in said, said
        assert house.orbit("check", "/nowhere/at/all")[0] == 1
        assert "/nowhere/at/all" in house.orbit("check", "/nowhere/at/all")[1]
    with SmallDisk(16) as disk, House(server, directory=disk.path) as house:
        house.start()
        with house.server.connect() as c:
            must(c, "SET", "a", "b")
        house.stop()
        disk.read_only(True)
        assert "Read-only" in house.refusal()
        disk.read_only(False)
        house.start()
        with house.server.connect() as c:
            assert c("GET", "a") == b"b"


# ---- disks that are full or fail --------------------------------------------------------------


FULL = "MISCONF Errors writing to the AOF file: No space left on device"


class Filler:
    """Writes keys until the disk is full; knows what was acknowledged, and what is in doubt."""

    def __init__(self, house):
        self.house, self.kept, self.n = house, {}, 0

    def write(self, c, n=50):
        """The replies that are errors."""
        names = [f"f:{self.n + i}" for i in range(n)]
        self.n += n
        values = [os.urandom(1000) for _ in names]
        replies = c.pipeline(*[("SET", name, value) for name, value in zip(names, values)])
        self.kept.update({name: value for name, value, reply in zip(names, values, replies) if reply == "OK"})
        return [reply for reply in replies if reply != "OK"]

    def until_full(self, c, patience=240):
        until = time.monotonic() + patience
        while not (errors := self.write(c)):
            assert time.monotonic() < until
        assert set(map(str, errors)) == {FULL}, errors[:3]

    def until_room(self, c, patience=120):
        """Both shards take writes again, by themselves."""
        until = time.monotonic() + patience
        while errors := self.write(c):
            assert set(map(str, errors)) == {FULL}, errors[:3]
            assert time.monotonic() < until, "there is no room again"
            time.sleep(0.1)

    def delete(self, c, n):
        for name in sorted(self.kept)[:n]:
            assert c("DEL", name) == 1, name
            del self.kept[name]

    def compare(self, c):
        names = sorted(self.kept)
        for at in range(0, len(names), 500):
            some = names[at:at + 500]
            for name, value in zip(some, c("MGET", *some)):
                assert value == self.kept[name], name
        assert c("DBSIZE") == len(names)


def test_a_full_disk(server):
    with SmallDisk(24) as disk, House(server, "--image-log-size", "1mb", directory=disk.path) as house:
        house.start()
        disk.load_ballast(10 << 20)
        filler = Filler(house)
        with house.server.connect(timeout=60) as c:
            filler.until_full(c)
            names = sorted(filler.kept)
            assert c("GET", names[0]) == filler.kept[names[0]]
            # An image that could not be written to its end leaves room for a while.
            while (reply := c("MSET", "a", "1", "b", "2", "c", "3")) == "OK":
                filler.kept.update({"a": b"1", "b": b"2", "c": b"3"})
                filler.until_full(c)
            assert reply == Error(FULL)
            got = c.pipeline(("MULTI",), ("SET", "a", "1"), ("SET", "b", "2"), ("SET", "c", "3"), ("EXEC",))
            assert got[-1] == Error("EXECABORT Transaction discarded because of: " + FULL), got
            filler.delete(c, 20)
            filler.compare(c)
        house.kill()
        house.start()
        with house.server.connect(timeout=60) as c:
            filler.compare(c)
            filler.delete(c, 20)
            disk.drop_ballast()
            filler.until_room(c)
        house.restart()
        with house.server.connect(timeout=60) as c:
            filler.compare(c)
        house.stop()
        assert house.check()[0] == 0, house.check()[1]


def test_a_disk_that_the_log_fills(server):
    """No image is due for a long time; a few keys are written again and again."""
    with SmallDisk(16) as disk, House(server, directory=disk.path) as house:
        house.start()
        kept, refused = {}, 0
        with house.server.connect(timeout=60) as c:
            for i in range(150):
                pairs = [(f"k:{i % 2 * 50 + n}", os.urandom(4000)) for n in range(50)]
                until = time.monotonic() + 60
                while errors := [reply for reply in c.pipeline(*[("SET", *pair) for pair in pairs]) if reply != "OK"]:
                    assert set(map(str, errors)) == {FULL}, errors[:3]
                    assert time.monotonic() < until, "there is never room again"
                    refused += 1
                    time.sleep(0.1)
                kept.update(pairs)
            for name, value in kept.items():
                assert c("GET", name) == value
        assert refused > 0 and "there is room again" in house.server.log_text()
        house.restart()
        with house.server.connect(timeout=60) as c:
            for name, value in kept.items():
                assert c("GET", name) == value
        house.stop()
        assert house.check()[0] == 0, house.check()[1]


def test_a_full_disk_can_be_emptied(server):
    with SmallDisk(16) as disk, House(server, directory=disk.path) as house:
        house.start()
        filler = Filler(house)
        with house.server.connect(timeout=60) as c:
            filler.until_full(c)
            must(c, "FLUSHALL")
            filler.kept = {}
            filler.until_room(c, 30)
            filler.compare(c)
        house.stop()
        assert house.check()[0] == 0, house.check()[1]


def active_segment(house, log):
    """The file that this log is written to."""
    heads = []
    for path in house.files("log"):
        with open(path, "rb") as f:
            magic, _, _, its_log, _, _, place = struct.unpack("<IIIIQQQ", f.read(40))
        if magic == 0x4753524F and its_log == log:
            heads.append((place, path))
    return max(heads)[1]


@contextlib.contextmanager
def failing_writes(server, path):
    """Every write to this file fails from now on."""
    pid = server.process.pid
    words = traced("pwritev2:error=EIO")
    tracer = subprocess.Popen([word for word in words if word != "--seccomp-bpf"] + ["-P", path, "-p", str(pid)])
    try:
        until = time.monotonic() + 10
        while not all("TracerPid:\t0\n" not in open(f"/proc/{pid}/task/{task}/status").read()
                      for task in os.listdir(f"/proc/{pid}/task")):
            assert time.monotonic() < until and tracer.poll() is None
            time.sleep(0.02)
        yield
    finally:
        server.process.kill()
        tracer.wait()


def test_a_shard_whose_log_cannot_be_written_stops_and_others_go_on(server):
    if server.io != "epoll":
        return
    stopped = "IOERR the log of this shard has stopped after a write error, restart the server to recover what was acknowledged"
    with House(server) as house:
        house.start()
        kept = {}
        with house.server.connect() as c, house.server.connect() as quiet:
            for i in range(200):
                must(c, "SET", f"k:{i}", i)
                kept[f"k:{i}"] = str(i).encode()
            assert quiet("PING") == "PONG"
            with failing_writes(house.server, active_segment(house, 1)):
                failed, went_on = set(), set()
                for i in range(200):
                    reply = c("SET", f"k:{i}", f"new {i}")
                    if reply == "OK":
                        kept[f"k:{i}"] = b"new %d" % i
                        went_on.add(i)
                    else:
                        assert str(reply) == stopped, reply
                        kept[f"k:{i}"] = (kept[f"k:{i}"], b"new %d" % i)
                        failed.add(i)
                assert len(failed) > 50 and len(went_on) > 50, (len(failed), len(went_on))
                for i in range(200):
                    reply = quiet("GET", f"k:{i}")
                    assert reply == (Error(stopped) if i in failed else kept[f"k:{i}"]), (i, reply)
                some, other = min(failed), min(went_on)
                for words in (("DEL", f"k:{some}"), ("MSET", f"k:{some}", "x", f"k:{other}", "x"), ("MGET", f"k:{some}", f"k:{other}"),
                              ("EXISTS", f"k:{some}"), ("RENAME", f"k:{some}", f"k:{other}"), ("FLUSHALL",), ("WAITAOF", 1, 0, 0)):
                    assert c(*words) == Error(stopped), (words, c(*words))
                got = c.pipeline(("MULTI",), ("SET", f"k:{some}", "y"), ("SET", f"k:{other}", "y"), ("EXEC",))
                assert stopped in str(got[-1]), got
                for reply in (c("PING"), quiet("PING")):
                    assert reply == "PONG"
                assert "Images could not be written" in str(c("SAVE"))
                until = time.monotonic() + 5
                while info(c)["aof_last_write_status"] != "err" and time.monotonic() < until:
                    time.sleep(0.1)
                facts = info(c)
                assert facts["aof_last_write_status"] == "err" and facts["log_stopped_cores"] == "1", facts
                said = house.server.log_text()
                assert "log" in said and "Input/output error" in said, said
        house.restart(io="uring")
        with house.server.connect() as c:
            for name, value in kept.items():
                got = c("GET", name)
                assert got in value if isinstance(value, tuple) else got == value, (name, got, value)
        house.stop()
        assert house.check()[0] == 0, house.check()[1]
