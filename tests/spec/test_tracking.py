"""CLIENT TRACKING: who is told of which changes, in which order and in which words."""
import contextlib
import random
import select
import time

from support.orbit import Error, Push, encode


def invalid(*keys):
    return Push([b"invalidate", [key.encode() for key in keys]])


EVERYTHING = Push([b"invalidate", None])


class Client:
    """A RESP3 client that sets messages apart from answers."""

    def __init__(self, server, resp=3):
        self.connection = server.connect(resp=resp)
        self.heard = []
        self.id = self("CLIENT", "ID")

    def __call__(self, *words):
        self.connection.send(encode(*words))
        return self.answer()

    def answer(self):
        while True:
            reply = self.connection.reply()
            if not isinstance(reply, Push):
                return reply
            self.heard.append(reply)

    def pipeline(self, *commands):
        self.connection.send(b"".join(encode(*command) for command in commands))
        return [self.answer() for _ in commands]

    def poll(self):
        """Takes in what has come."""
        while self.connection.buffer or select.select([self.connection.socket], [], [], 0)[0]:
            reply = self.connection.reply()
            assert isinstance(reply, Push), reply
            self.heard.append(reply)

    def take(self):
        """What it was told of since, once all is quiet: changes come within a moment."""
        until = time.monotonic() + 0.03
        while time.monotonic() < until:
            time.sleep(0.005)
            self.poll()
        heard, self.heard = self.heard, []
        return heard

    def wait(self, n=1, patience=10):
        """At least so many messages."""
        until = time.monotonic() + patience
        while len(self.heard) < n and time.monotonic() < until:
            time.sleep(0.001)
            self.poll()
        heard, self.heard = self.heard, []
        return heard

    def close(self):
        self.connection.close()


@contextlib.contextmanager
def clients(server, *resps):
    made = [Client(server, resp) for resp in resps]
    made[0]("FLUSHALL")
    try:
        yield made
    finally:
        for client in made:
            client.close()


KEYS = [f"key:{i}" for i in range(20)]  # on all shards


def test_a_reader_is_told_once(server):
    with clients(server, 3, 3) as (reader, writer):
        assert reader("CLIENT", "TRACKING", "ON") == "OK"
        for key in KEYS:
            assert reader("GET", key) is None
            assert writer("SET", key, 1) == "OK"
            assert reader.wait() == [invalid(key)]
            assert writer("SET", key, 2) == "OK"
        assert reader.take() == []
        assert reader("GET", KEYS[0]) == b"2"
        assert writer("DEL", KEYS[0]) == 1
        assert reader.wait() == [invalid(KEYS[0])]
        assert reader("CLIENT", "TRACKING", "OFF") == "OK"
        assert reader("GET", KEYS[0]) is None
        assert writer("SET", KEYS[0], 2) == "OK"
        assert reader.take() == []


def test_readers_of_all_kinds_of_commands(server):
    with clients(server, 3, 3) as (reader, writer):
        reader("CLIENT", "TRACKING", "ON")
        writer("SET", "s", "abc")
        writer("RPUSH", "l", 1, 2)
        for read, write in ((("STRLEN", "s"), ("APPEND", "s", "x")), (("LRANGE", "l", 0, -1), ("RPUSH", "l", 3)),
                            (("EXISTS", "s"), ("EXPIRE", "s", 100)), (("TTL", "s"), ("PERSIST", "s")),
                            (("GETRANGE", "s", 0, 1), ("SETRANGE", "s", 1, "y")), (("TYPE", "l"), ("LPOP", "l")),
                            (("OBJECT", "ENCODING", "s"), ("SETBIT", "s", 100, 1)), (("DUMP", "s"), ("INCR", "s2")),
                            (("GET", "l"), ("RENAME", "l", "l2")), (("LLEN", "l2"), ("MOVE", "l2", 3))):
            reader(*read)
            writer(*write)
            changed = write[1]
            assert reader.take() == ([invalid(changed)] if changed in read else []), (read, write)
        # What writes is not remembered as a reader.
        reader("GETSET", "s", 1)
        reader.take()
        writer("SET", "s", 2)
        assert reader.take() == []


def test_keys_go_by_name_whatever_the_database(server):
    with clients(server, 3, 3) as (reader, writer):
        reader("CLIENT", "TRACKING", "ON")
        reader("GET", "k")
        writer("SELECT", 7)
        writer("SET", "k", 1)
        assert reader.wait() == [invalid("k")]


def test_several_keys_over_shards(server):
    with clients(server, 3, 3) as (reader, writer):
        reader("CLIENT", "TRACKING", "ON")
        reader("MGET", *KEYS)
        writer("MSET", *[word for key in KEYS for word in (key, 1)])
        heard = reader.wait(len(KEYS))
        assert sorted(message[1][0] for message in heard) == sorted(key.encode() for key in KEYS)
        reader("MGET", *KEYS[:3])
        writer("DEL", *KEYS)
        assert len(reader.wait(3)) == 3
        assert reader.take() == []


def test_batches_of_pipelines(server):
    with clients(server, 3, 3) as (reader, writer):
        reader("CLIENT", "TRACKING", "ON")
        reader.pipeline(*[("GET", key) for key in KEYS])
        writer.pipeline(*[("SET", key, 1) for key in KEYS])
        heard = reader.wait(len(KEYS))
        assert sorted(message[1][0] for message in heard) == sorted(key.encode() for key in KEYS)


def test_own_changes_are_told_after_the_answer(server):
    with clients(server, 3) as (client,):
        client("CLIENT", "TRACKING", "ON")
        client.connection.send(encode("GET", "k") + encode("SET", "k", 1))
        assert [client.connection.reply() for _ in range(3)] == [None, "OK", invalid("k")]
        client.connection.send(encode("MULTI") + encode("GET", "k") + encode("SET", "k", 2) + encode("EXEC"))
        assert [client.connection.reply() for _ in range(5)] == ["OK", "QUEUED", "QUEUED", [b"1", "OK"], invalid("k")]


def test_noloop_hides_own_changes_and_only_those(server):
    with clients(server, 3, 3) as (client, other):
        client("CLIENT", "TRACKING", "ON", "NOLOOP")
        for key in KEYS:
            client("GET", key)
            client("SET", key, 1)
            other("SET", key, 2)
            assert client.wait() == [invalid(key)]
        client("GET", "k")
        client("SET", "k", 1)
        client.pipeline(("MULTI",), ("SET", "k", 2), ("SET", KEYS[0], 2), ("EXEC",))
        client("MSET", "k", 3, *[word for key in KEYS for word in (key, 1)])
        assert client.take() == []
        client("GET", "k")
        other("PEXPIRE", "k", 1)
        assert client.wait() == [invalid("k")]
        client("SET", "k", 1, "PX", 50)
        assert client("STRLEN", "k") == 1
        time.sleep(0.05)
        client("GET", "k")  # it may be this that finds it expired: that is nobody's change
        assert client.wait() == [invalid("k")]


def test_expiry_and_eviction(server):
    with clients(server, 3, 3) as (reader, writer):
        reader("CLIENT", "TRACKING", "ON")
        writer("SET", "k", 1, "PX", 30)
        assert reader("GET", "k") == b"1"
        assert reader.wait() == [invalid("k")]
        try:
            writer.pipeline(*[("SET", f"evicted:{i}", "x" * 1000) for i in range(1000)])
            reader.pipeline(*[("GET", f"evicted:{i}") for i in range(1000)])
            writer("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
            writer("CONFIG", "SET", "maxmemory", "500kb")
            for i in range(400):
                writer("SET", f"new:{i}", "y" * 1000)
            reader.wait(100)
            lost = {f"evicted:{i}".encode() for i in range(1000)} - set(reader("KEYS", "evicted:*"))
            reader("CONFIG", "SET", "maxmemory", 0)
            time.sleep(0.05)
            assert len(lost) > 100
        finally:
            writer("CONFIG", "SET", "maxmemory", 0)
            writer("CONFIG", "SET", "maxmemory-policy", "noeviction")


def test_flushes(server):
    with clients(server, 3, 3, 3) as (reader, listener, writer):
        reader("CLIENT", "TRACKING", "ON")
        listener("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "none")
        for words in (("FLUSHALL",), ("FLUSHDB", "ASYNC"), ("SELECT", 3), ("FLUSHDB", "SYNC"), ("SELECT", 0)):
            reader("GET", "k")
            writer(*words)
            told = [EVERYTHING] if words[0] != "SELECT" else []
            assert reader.take() == told, words
            assert listener.take() == told, words
        reader("MGET", *KEYS)
        reader.connection.send(encode("FLUSHALL"))
        assert reader.connection.reply() == "OK"
        assert reader.connection.reply() == EVERYTHING
        assert writer("INFO", "stats").count(b"tracking_total_keys:0\r\n") == 1
        writer("SET", KEYS[0], 1)
        assert reader.take() == []


def test_optin_and_optout(server):
    with clients(server, 3, 3) as (client, writer):
        assert client("CLIENT", "CACHING", "YES") == Error(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
            "enabled")
        client("CLIENT", "TRACKING", "ON", "OPTIN")
        assert client("CLIENT", "CACHING", "NO") == Error(
            "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
        assert client("CLIENT", "CACHING", "MAYBE") == Error("ERR syntax error")
        client("GET", "a")
        # It counts for one command: in the same pipeline, too.
        client.pipeline(("CLIENT", "CACHING", "YES"), ("GET", "b"), ("GET", "c"), ("GET", "d"))
        client.pipeline(("CLIENT", "CACHING", "YES"), ("CLIENT", "ID"), ("GET", "e"))
        client.pipeline(("CLIENT", "CACHING", "YES"), ("PING",), ("GET", "f"))
        client.pipeline(("CLIENT", "CACHING", "YES"), ("MULTI",), ("GET", "g"), ("GET", "h"), ("EXEC",), ("GET", "i"))
        client.pipeline(("MULTI",), ("GET", "j"), ("CLIENT", "CACHING", "YES"), ("GET", "k"), ("EXEC",), ("GET", "l"))
        client.pipeline(("CLIENT", "CACHING", "YES"), ("NONSENSE",), ("GET", "m"))
        for key in "abcdefghijklm":
            writer("SET", key, 1)
        assert sorted(message[1][0] for message in client.take()) == [b"b", b"e", b"g", b"h", b"k"]
        client("CLIENT", "TRACKING", "OFF")
        client("CLIENT", "TRACKING", "ON", "OPTOUT")
        assert client("CLIENT", "CACHING", "YES") == Error(
            "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
        client.pipeline(("GET", "a"), ("CLIENT", "CACHING", "NO"), ("GET", "b"), ("GET", "c"))
        for key in "abc":
            writer("SET", key, 1)
        assert sorted(message[1][0] for message in client.take()) == [b"a", b"c"]


def test_broadcasts(server):
    with clients(server, 3, 3, 3, 3) as (all_keys, some, own, writer):
        all_keys("CLIENT", "TRACKING", "ON", "BCAST")
        some("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "user:", "PREFIX", "object:")
        own("CLIENT", "TRACKING", "ON", "BCAST", "NOLOOP", "PREFIX", "user:")
        writer("SET", "user:1", 1)
        assert all_keys.wait() == [invalid("user:1")]
        assert some.wait() == [invalid("user:1")]
        assert own.wait() == [invalid("user:1")]
        writer("SET", "other", 1)
        assert all_keys.wait() == [invalid("other")]
        own("SET", "user:2", 1)
        assert some.wait() == [invalid("user:2")]
        assert own.take() == []
        some.pipeline(*[("SET", f"user:{i}", 1) for i in range(100)])
        assert {key for message in own.take() for key in message[1]} == {f"user:{i}".encode() for i in range(100)}
        some.take()
        assert some("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "x") == "OK"
        writer("SET", "x1", 1)
        writer("SET", "object:1", 1)
        assert some.take() == [invalid("x1"), invalid("object:1")]
        assert writer("INFO", "stats").count(b"tracking_total_prefixes:4\r\n") == 1
        assert some("CLIENT", "TRACKING", "OFF") == "OK"
        writer("SET", "user:9", 1)
        assert some.take() == []
        assert writer("INFO", "stats").count(b"tracking_total_prefixes:2\r\n") == 1


def subscribed(client):
    client.connection.send(encode("SUBSCRIBE", "__redis__:invalidate"))
    assert list(client.connection.reply()) == [b"subscribe", b"__redis__:invalidate", 1]


def test_redirection(server):
    with clients(server, 2, 2, 3) as (reader, listener, writer):
        assert reader("CLIENT", "GETREDIR") == -1
        subscribed(listener)
        assert reader("CLIENT", "TRACKING", "ON", "REDIRECT", listener.id) == "OK"
        assert reader("CLIENT", "GETREDIR") == listener.id
        for key in KEYS:
            reader("GET", key)
            writer("SET", key, 1)
            assert listener.connection.reply() == [b"message", b"__redis__:invalidate", [key.encode()]]
        writer("FLUSHALL")
        assert listener.connection.reply() == [b"message", b"__redis__:invalidate", None]
        reader("CLIENT", "TRACKING", "OFF")
        reader("CLIENT", "TRACKING", "ON", "BCAST", "REDIRECT", listener.id)
        writer("SET", "b", 1)
        assert listener.connection.reply() == [b"message", b"__redis__:invalidate", [b"b"]]


def test_a_redirection_that_ends(server):
    with clients(server, 3, 3, 3) as (reader, listener, writer):
        reader("CLIENT", "TRACKING", "ON", "REDIRECT", listener.id)
        reader("GET", "k")
        writer("SET", "k", 1)
        assert listener.wait() == [invalid("k")]
        assert reader.take() == []
        listener.close()
        reader("MGET", *KEYS)
        for key in KEYS:
            writer("SET", key, 1)
        heard = reader.wait(len(KEYS))
        assert heard == [Push([b"tracking-redir-broken", listener.id])] * len(KEYS)
        info = reader("CLIENT", "TRACKINGINFO")
        assert info[b"flags"] == {b"on", b"broken_redirect"} or sorted(info[b"flags"]) == [b"broken_redirect", b"on"]
        line = reader("CLIENT", "INFO").decode()
        assert "flags=tR " in line and f"redir={listener.id} " in line
        assert reader("CLIENT", "TRACKING", "ON") == "OK"
        reader("GET", "k")
        writer("SET", "k", 1)
        assert reader.wait() == [invalid("k")]


def test_who_has_said_quit_is_gone_for_others(server):
    """Though the last words may be on their way for a while, and the other end still open."""
    with clients(server, 3, 3, 3) as (reader, listener, writer):
        reader("CLIENT", "TRACKING", "ON", "REDIRECT", listener.id)
        reader("GET", "k")
        assert listener("QUIT") == "OK"
        assert f"id={listener.id} " not in writer("CLIENT", "LIST").decode()
        writer("SET", "k", 1)
        assert reader.wait() == [Push([b"tracking-redir-broken", listener.id])]


def test_without_a_way_nothing_is_told(server):
    with clients(server, 2, 3) as (reader, writer):
        assert reader("CLIENT", "TRACKING", "ON") == "OK"
        reader("GET", "k")
        writer("SET", "k", 1)
        reader("HELLO", 3)
        assert reader.take() == []


REFUSED = (
    ("TRACKING", "MAYBE"), ("TRACKING", "ON", "REDIRECT"), ("TRACKING", "ON", "REDIRECT", "x"),
    ("TRACKING", "ON", "REDIRECT", "999999"), ("TRACKING", "ON", "REDIRECT", 0),
    ("TRACKING", "OFF", "REDIRECT", "999999"), ("TRACKING", "OFF", "NONSENSE"),
    ("TRACKING", "ON", "PREFIX", "x"), ("TRACKING", "ON", "PREFIX"), ("TRACKING", "ON", "BCAST", "OPTIN"),
    ("TRACKING", "ON", "OPTIN", "OPTOUT"), ("TRACKING", "ON", "BCAST", "PREFIX", "ab", "PREFIX", "a"),
    ("TRACKING",), ("CACHING",), ("CACHING", "YES"), ("GETREDIR", "x"), ("TRACKINGINFO", "x"),
)


def test_refusals_are_those_of_redis(server):
    from support.orbit import RedisServer
    with RedisServer() as redis:
        for resp in (2, 3):
            ours, theirs = Client(server, resp), Client(redis, resp)

            def same(*words):
                answers = [client("CLIENT", *words) for client in (ours, theirs)]
                if isinstance(answers[0], Error) and "unknown subcommand" in str(answers[0]):
                    assert isinstance(answers[1], Error)
                else:
                    assert answers[0] == answers[1], (words, answers)

            for words in REFUSED:
                same(*words)
            for first in ((), ("OPTIN",), ("OPTOUT",), ("BCAST",), ("BCAST", "PREFIX", "user:"), ("NOLOOP",),
                          ("BCAST", "NOLOOP", "PREFIX", "b", "PREFIX", "a")):
                same("TRACKING", "ON", *first)
                same("TRACKINGINFO")
                same("GETREDIR")
                for then in ((), ("OPTIN",), ("OPTOUT",), ("BCAST", "PREFIX", "us"), ("BCAST", "PREFIX", "user:1"),
                             ("NOLOOP",)):
                    same("TRACKING", "ON", *then)
                    same("TRACKINGINFO")
                    same("CACHING", "YES")
                    same("TRACKINGINFO")
                    same("CACHING", "NO")
                    same("CACHING", "X")
                    for client in (ours, theirs):
                        client("PING")
                    same("TRACKINGINFO")
                same("TRACKING", "OFF")
                same("TRACKINGINFO")
            ours.close()
            theirs.close()


def test_what_clients_and_info_show(server):
    with clients(server, 3, 3) as (reader, other):
        def stat(name):
            return int(other("INFO", "everything").decode().split(name + ":")[1].split("\r")[0])

        assert stat("tracking_clients") == 0
        reader("CLIENT", "TRACKING", "ON")
        reader("MGET", *KEYS)
        other("CLIENT", "TRACKING", "ON")
        other("GET", KEYS[0])
        assert stat("tracking_clients") == 2
        assert stat("tracking_total_keys") == len(KEYS)
        assert stat("tracking_total_items") == len(KEYS) + 1
        assert "flags=t " in reader("CLIENT", "INFO").decode() and " redir=0 " in reader("CLIENT", "INFO").decode()
        reader("RESET")
        reader("HELLO", 3)
        assert "flags=N " in reader("CLIENT", "INFO").decode() and " redir=-1 " in reader("CLIENT", "INFO").decode()
        assert stat("tracking_clients") == 1
        reader("CLIENT", "TRACKING", "ON")
        assert stat("tracking_clients") == 2
        assert reader("QUIT") == "OK"
        assert stat("tracking_clients") == 1  # though its end of the connection is still open
        other("CLIENT", "TRACKING", "OFF")
        other("CLIENT", "TRACKING", "ON", "BCAST")
        assert "flags=tB " in other("CLIENT", "INFO").decode()
        other("CLIENT", "TRACKING", "OFF")


def test_the_table_is_bounded(server):
    with clients(server, 3, 3) as (reader, other):
        reader("CLIENT", "TRACKING", "ON")
        assert other("CONFIG", "SET", "tracking-table-max-keys", 100) == "OK"
        try:
            keys = [f"bounded:{i}" for i in range(1000)]
            reader.pipeline(*[("GET", key) for key in keys])
            told = {key for message in reader.wait(900) for key in message[1]}
            stats = other("INFO", "stats").decode()
            kept = int(stats.split("tracking_total_keys:")[1].split("\r")[0])
            assert kept <= 100 and len(told) + kept == 1000, (kept, len(told))
            assert other("CONFIG", "SET", "tracking-table-max-keys", 10) == "OK"
            assert len(told) + len(reader.wait(kept - 10)) >= 990 - server.cores
            assert other("CONFIG", "SET", "tracking-table-max-keys", 1) == "OK"
            until = time.monotonic() + 20
            while "tracking_total_keys:1\r" not in other("INFO", "stats").decode():
                assert time.monotonic() < until
            reader.pipeline(*[("GET", key) for key in keys])
            assert "tracking_total_keys:1\r" in other("INFO", "stats").decode()
        finally:
            other("CONFIG", "SET", "tracking-table-max-keys", 1000000)


def test_reads_of_slow_rounds_come_before_what_changes_them(server):
    """A round over several shards answers late; what it has read may change meanwhile."""
    with clients(server, 3, 3, 3) as (reader, writer, other):
        reader("CLIENT", "TRACKING", "ON")
        rounds = 200
        values = {}
        for i in range(rounds):
            reader.connection.send(b"".join(encode("GET", key) for key in KEYS))
            for client in (writer, other):
                client.connection.send(b"".join(encode("SET", key, f"{client.id}-{i}") for key in KEYS))
            for key in KEYS:
                while True:
                    reply = reader.connection.reply()
                    if not isinstance(reply, Push):
                        break
                    values.pop(reply[1][0].decode(), None)
                values[key] = reply
            for client in (writer, other):
                for _ in KEYS:
                    assert client.answer() == "OK"
            for message in reader.take() if i % 20 == 0 else reader.wait(0):
                values.pop(message[1][0].decode(), None)
        for message in reader.take():
            values.pop(message[1][0].decode(), None)
        for key, value in values.items():
            assert writer("GET", key) == value, key


class Cache:
    """A client with a local cache: what it holds must be what the server has, once all is quiet."""

    def __init__(self, server, rng, *options):
        self.client, self.rng, self.values, self.asked = Client(server), rng, {}, []
        self.noloop = "NOLOOP" in options
        assert self.client("CLIENT", "TRACKING", "ON", *options) == "OK"

    def ask(self, keys):
        """Sends a few commands; reads and writes of its own, one by one or together."""
        for _ in range(self.rng.randrange(1, 12)):
            kind, some = self.rng.randrange(10), self.rng.sample(keys, self.rng.randrange(1, 4))
            value = str(self.rng.randrange(1000000))
            if kind < 5:
                self.asked.append((("GET", some[0]), some[:1]))
            elif kind == 5:
                self.asked.append((("MGET", *some), some))
            elif kind == 6:
                self.asked.append((("SET", some[0], value), None))
            elif kind == 7:
                self.asked.append((("SET", some[0], value, "PX", self.rng.randrange(1, 40)), None))
            elif kind == 8:
                self.asked.append((("MSET", *[word for key in some for word in (key, value)]), None))
            else:
                self.asked.append((("DEL", *some), None))
        self.client.connection.send(b"".join(encode(*words) for words, _ in self.asked))

    def hear(self, message):
        if message[0] != b"invalidate":
            raise AssertionError(message)
        if message[1] is None:
            self.values.clear()
        for key in message[1] or ():
            self.values.pop(key.decode(), None)

    def answers(self):
        for words, keys in self.asked:
            while isinstance(reply := self.client.connection.reply(), Push):
                self.hear(reply)
            assert not isinstance(reply, Error), reply
            if keys is None:
                if self.noloop:  # what it changes itself it knows
                    for key in words[1::2] if words[0] == "MSET" else words[1:] if words[0] == "DEL" else words[1:2]:
                        self.values.pop(key, None)
                continue
            for key, value in zip(keys, reply if words[0] == "MGET" else [reply]):
                self.values[key] = value
        self.asked = []

    def settle(self):
        for message in self.client.take():
            self.hear(message)


def test_caches_agree_with_the_server(server):
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    judge = server.connect()
    judge("FLUSHALL")
    judge("CONFIG", "SET", "tracking-table-max-keys", 60)
    keys = [f"cached:{i}" for i in range(100)]
    caches = [Cache(server, rng, *options) for options in ((), (), ("NOLOOP",), ("BCAST", "PREFIX", "cached:"), ("BCAST",),
                                                            ("OPTOUT",))]
    try:
        for step in range(300):
            for cache in caches:
                cache.ask(keys)
            if rng.randrange(60) == 0:
                judge(rng.choice(("FLUSHALL", "FLUSHDB")))
            for cache in caches:
                cache.answers()
            if step % 30 != 29:
                continue
            time.sleep(0.15)  # until nothing expires any more
            for cache in caches:
                cache.settle()
                for key, value in cache.values.items():
                    assert judge("GET", key) == value, (seed, step, caches.index(cache), key)
    finally:
        judge("CONFIG", "SET", "tracking-table-max-keys", 1000000)
        for cache in caches:
            cache.client.close()
        judge.close()


def test_scripts_read_and_write(server):
    with clients(server, 3, 3) as (reader, writer):
        reader("CLIENT", "TRACKING", "ON")
        for key in KEYS:
            assert reader("EVAL", "return redis.call('get', KEYS[1])", 1, key) is None
            assert writer("EVAL", "return redis.call('set', KEYS[1], 1)", 1, key) == "OK"
            assert reader.wait() == [invalid(key)]
        script = "for i, key in ipairs(KEYS) do redis.call('get', key) end redis.call('mget', unpack(KEYS))"
        assert reader("EVAL", script, len(KEYS), *KEYS) is None
        writer("MSET", *[word for key in KEYS for word in (key, 2)])
        assert sorted(message[1][0] for message in reader.wait(len(KEYS))) == sorted(key.encode() for key in KEYS)


def test_a_script_that_reads_counts_as_having_read_what_it_declared(server):
    with clients(server, 3, 2) as (reader, writer):
        reader("CLIENT", "TRACKING", "ON")
        reader("EVAL", "return redis.call('SET', KEYS[1], 1)", 3, *KEYS[:3])
        writer("MSET", *[word for key in KEYS[:3] for word in (key, 1)])
        assert reader.take() == []
        for command in ("EVAL", "EVAL_RO"):
            reader(command, "return redis.call('GET', KEYS[1])", 3, *KEYS[:3])
            writer("MSET", *[word for key in KEYS[:3] for word in (key, 1)])
            assert sorted(reader.wait(3), key=str) == sorted((invalid(key) for key in KEYS[:3]), key=str)
