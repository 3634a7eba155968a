"""Keyspace notifications: what is told of, in which words, and in which order."""
import time

from support.orbit import Error

PREFIX = len("__keyevent@0__:")


class Listener:
    """What is told between two questions, as (event, key, db)."""

    def __init__(self, server, classes, pattern="__keyevent@*"):
        self.admin = server.connect()
        assert self.admin("CONFIG", "SET", "notify-keyspace-events", classes) == "OK"
        self.client = server.connect()
        self.client("PSUBSCRIBE", pattern)
        self.client("PSUBSCRIBE", "end")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        assert self.admin("CONFIG", "SET", "notify-keyspace-events", "") == "OK"
        self.admin.close()
        self.client.close()

    def heard(self):
        time.sleep(0.02)
        self.admin("PUBLISH", "end", "end")
        events = []
        while True:
            message = list(self.client.reply())
            assert message[0] == b"pmessage", message
            if message[2] == b"end":
                return events
            channel = message[2].decode()
            events.append((channel[PREFIX:], message[3].decode(), int(channel.split("@")[1].split("__")[0])))


# A command, and what Redis 7.0 tells of it with all classes; each finds what those before it left.
STRINGS = (
    (("SET", "a", 1), [("new", "a"), ("set", "a")]),
    (("SET", "a", 2, "EX", 100), [("set", "a"), ("expire", "a")]),
    (("SET", "a", 3, "KEEPTTL"), [("set", "a")]),
    (("SET", "a", 3, "NX"), []),
    (("SET", "b", 3, "XX"), []),
    (("SET", "b", 3, "GET"), [("keymiss", "b"), ("new", "b"), ("set", "b")]),
    (("GETEX", "a", "PERSIST"), [("persist", "a")]),
    (("GETEX", "a", "PERSIST"), []),
    (("GETEX", "a", "EX", 10), [("expire", "a")]),
    (("GETEX", "a", "PXAT", 1), [("del", "a")]),
    (("SET", "c", 1, "PXAT", 1), [("new", "c"), ("set", "c"), ("expire", "c"), ("expired", "c")]),
    (("GET", "c"), [("keymiss", "c")]),
    (("GETDEL", "b"), [("del", "b")]),
    (("GETDEL", "b"), [("keymiss", "b")]),
    (("SETNX", "a", 1), [("new", "a"), ("set", "a")]),
    (("SETNX", "a", 1), []),
    (("SETEX", "a", 100, 1), [("set", "a"), ("expire", "a")]),
    (("PSETEX", "a", 100000, 1), [("set", "a"), ("expire", "a")]),
    (("GETSET", "a", 7), [("set", "a")]),
    (("INCR", "a"), [("incrby", "a")]),
    (("DECRBY", "a", 3), [("incrby", "a")]),
    (("INCRBYFLOAT", "a", "0.5"), [("incrbyfloat", "a")]),
    (("APPEND", "a", "x"), [("append", "a")]),
    (("INCR", "a"), []),
    (("SETRANGE", "a", 2, "zz"), [("setrange", "a")]),
    (("SETRANGE", "a", 2, ""), []),
    (("MSET", "{a}1", 1, "{a}2", 2), [("new", "{a}1"), ("set", "{a}1"), ("new", "{a}2"), ("set", "{a}2")]),
    (("MSETNX", "{a}1", 1, "{a}3", 2), []),
    (("MGET", "{a}1", "{a}9"), [("keymiss", "{a}9")]),
    (("STRLEN", "none"), [("keymiss", "none")]),
    (("GETRANGE", "none", 0, 1), [("keymiss", "none")]),
    (("SETBIT", "bits", 9, 1), [("new", "bits"), ("setbit", "bits")]),
    (("SETBIT", "bits", 9, 1), []),
    (("BITFIELD", "bits", "SET", "u8", 0, 7, "INCRBY", "u8", 8, 1), [("setbit", "bits")]),
    (("BITFIELD", "bits", "GET", "u8", 0), []),
    (("BITOP", "NOT", "{bits}2", "bits"), [("new", "{bits}2"), ("set", "{bits}2")]),
    (("BITOP", "AND", "{bits}2", "{bits}8"), [("keymiss", "{bits}8"), ("del", "{bits}2")]),
    (("BITCOUNT", "{bits}8"), [("keymiss", "{bits}8")]),
)

KEYS = (
    (("SET", "a", 1), [("new", "a"), ("set", "a")]),
    (("EXPIRE", "a", 100), [("expire", "a")]),
    (("PEXPIREAT", "a", 99999999999999), [("expire", "a")]),
    (("EXPIRE", "a", 100, "NX"), []),
    (("PERSIST", "a"), [("persist", "a")]),
    (("PERSIST", "a"), []),
    (("EXPIRE", "a", -1), [("del", "a")]),
    (("EXPIRE", "a", 10), []),
    (("TTL", "a"), [("keymiss", "a")]),
    (("EXISTS", "a", "a"), [("keymiss", "a"), ("keymiss", "a")]),
    (("TYPE", "a"), [("keymiss", "a")]),
    (("TOUCH", "a"), [("keymiss", "a")]),
    (("OBJECT", "ENCODING", "a"), []),
    (("DUMP", "a"), [("keymiss", "a")]),
    (("SORT", "a"), [("keymiss", "a")]),
    (("DEL", "a"), []),
    (("SET", "a", 1), [("new", "a"), ("set", "a")]),
    (("RENAME", "a", "{a}b"), [("new", "{a}b"), ("rename_from", "a"), ("rename_to", "{a}b")]),
    (("SET", "a", 1), [("new", "a"), ("set", "a")]),
    (("RENAME", "a", "{a}b"), [("new", "{a}b"), ("rename_from", "a"), ("rename_to", "{a}b")]),
    (("RENAME", "{a}b", "{a}b"), None),
    (("RENAME", "none", "{none}b"), []),
    (("COPY", "{a}b", "a"), [("new", "a"), ("copy_to", "a")]),
    (("COPY", "{a}b", "a"), []),
    (("COPY", "{a}b", "a", "REPLACE"), [("new", "a"), ("copy_to", "a")]),
    (("COPY", "a", "a", "DB", 3), [("new", "a", 3), ("copy_to", "a", 3)]),
    (("MOVE", "{a}b", 4), [("new", "{a}b", 4), ("move_from", "{a}b", 0), ("move_to", "{a}b", 4)]),
    (("RENAMENX", "a", "{a}c"), [("new", "{a}c"), ("rename_from", "a"), ("rename_to", "{a}c")]),
    (("RESTORE", "r", 0, b"\x00\xc0\n\n\x00n\x9f\xdf\xd4\x9c\xb1{4"), None),
    (("SORT", "none", "STORE", "{none}2"), [("keymiss", "none")]),
    (("SET", "{none}2", 1), [("new", "{none}2"), ("set", "{none}2")]),
    (("SORT", "none", "STORE", "{none}2"), [("keymiss", "none"), ("del", "{none}2")]),
    (("UNLINK", "{a}c"), [("del", "{a}c")]),
    (("FLUSHALL",), []),
)


def check_all(server, steps):
    with Listener(server, "AKEmn") as listener, server.connect() as c:
        c("FLUSHALL")
        listener.heard()
        for command, expected in steps:
            c(*command)
            heard = listener.heard()
            if expected is not None:
                assert heard == [(*e, 0)[:3] for e in expected], (command, heard)


def test_commands_on_strings_tell_what_redis_tells(server):
    check_all(server, STRINGS)


def test_commands_on_keys_tell_what_redis_tells(server):
    check_all(server, KEYS)


def test_the_setting_is_said_in_its_own_order(server):
    with server.connect() as c:
        for said, kept in (("KEA", "AKE"), ("An", "A"), ("KEn", "nKE"), ("Elg$", "g$lE"), ("Ktm", "tKm"),
                           ("KEAmn", "AKEm"), ("", "")):
            assert c("CONFIG", "SET", "notify-keyspace-events", said) == "OK"
            assert c("CONFIG", "GET", "notify-keyspace-events") == [b"notify-keyspace-events", kept.encode()]
        assert c("CONFIG", "SET", "notify-keyspace-events", "q") == Error(
            "ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - "
            "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")


def test_only_what_was_asked_for_is_told(server):
    with Listener(server, "Eg") as listener, server.connect() as c:
        c("SET", "k", 1)
        c("DEL", "k")
        assert listener.heard() == [("del", "k", 0)]
    with Listener(server, "K$", "__keyspace@*") as listener, server.connect() as c:
        c("SET", "k", 1)
        c("DEL", "k")
        assert listener.heard() == [("k", "set", 0)]
    with Listener(server, "A") as listener, server.connect() as c:
        c("SET", "k", 1)
        assert listener.heard() == []


def test_keys_that_go_by_themselves_are_told(server):
    with Listener(server, "Ex") as listener, server.connect() as c:
        for i in range(20):
            c("SET", f"e{i}", 1, "PX", 5)
        c("SELECT", 2)
        c("SET", "lazy", 1, "PX", 1)
        time.sleep(0.05)
        c("GET", "lazy")
        time.sleep(0.3)
        heard = listener.heard()
        assert sorted(heard) == sorted([("expired", f"e{i}", 0) for i in range(20)] + [("expired", "lazy", 2)]), heard


def test_evicted_keys_are_told(server):
    with Listener(server, "Ee") as listener, server.connect() as c:
        try:
            c("FLUSHALL")
            c("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", "20mb")
            for i in range(400):
                c("SET", f"big:{i}", "x" * 100_000)
            evicted = {key for event, key, _ in listener.heard() if event == "evicted"}
            left = {k.decode() for k in c("KEYS", "big:*")}
            assert evicted and not evicted & left and len(evicted | left) == 400, (len(evicted), len(left))
        finally:
            c("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
            c("FLUSHALL")


def test_events_of_commands_over_shards_are_told_once(server):
    """The keys of these lie on several cores: the command runs apart, and its changes are put back."""
    with Listener(server, "AEn") as listener, server.connect() as c:
        c("FLUSHALL")
        keys = [f"k{i}" for i in range(12)]
        c("MSET", *[word for key in keys for word in (key, 1)])
        assert sorted(listener.heard()) == sorted([(e, key, 0) for key in keys for e in ("new", "set")])
        c("DEL", *keys, "none")
        assert sorted(listener.heard()) == sorted([("del", key, 0) for key in keys])
        for a, b in zip(keys, keys[1:]):
            c("SET", a, 1)
            listener.heard()
            c("RENAME", a, b)
            assert sorted(listener.heard()) == sorted([("new", b, 0), ("rename_from", a, 0), ("rename_to", b, 0)])


def test_events_of_a_transaction_come_after_it_and_once(server):
    with Listener(server, "AE") as listener, server.connect() as c:
        for keys in (["{t}1", "{t}2"], [f"t{i}" for i in range(8)]):
            c("MULTI")
            for key in keys:
                c("SET", key, 1)
            assert listener.heard() == []
            c("INCR", keys[0])
            c("DEL", *keys)
            c("EXEC")
            heard = listener.heard()
            for key in keys:
                mine = [event for event, name, _ in heard if name == key]
                assert mine == (["set", "incrby", "del"] if key == keys[0] else ["set", "del"]), heard


def test_a_connections_events_are_in_its_order_of_one_shard(server):
    with Listener(server, "AE") as listener, server.connect() as c:
        c.pipeline(*[("SET", f"{{o}}{i}", i) for i in range(500)])
        assert listener.heard() == [("set", f"{{o}}{i}", 0) for i in range(500)]


def test_who_is_told_finds_what_was_written_before(server):
    """A pipeline's writes wait for its earlier ones on other shards while changes are told of."""
    with Listener(server, "E$"), server.connect() as reader, server.connect() as c:
        reader("SUBSCRIBE", "__keyevent@0__:set")
        with server.connect() as looker:
            for i in range(100):
                c.pipeline(("SET", f"data{i % 7}", i), ("SET", f"flag{i % 5}", i))
                seen = set()
                while f"flag{i % 5}" not in seen:
                    seen.add(list(reader.reply())[2].decode())
                assert int(looker("GET", f"data{i % 7}")) == i
