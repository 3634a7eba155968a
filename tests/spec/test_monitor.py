"""MONITOR: every command that runs, in Redis' words, from all cores."""
import re
import socket

from support.orbit import Connection, Error, encode

LINE = re.compile(r'^(\d{10}\.\d{6}) \[(\d+) (\S+)\] (.*)$')


class Watcher:
    def __init__(self, server, resp=2):
        self.connection = server.connect(resp=resp)
        self.connection.send(encode("MONITOR"))
        assert self.connection.reply() == "OK"

    def seen(self, n):
        """(database, address, command) of as many lines."""
        lines = []
        for _ in range(n):
            line = self.connection.reply()
            found = LINE.match(line)
            assert found, line
            lines.append((int(found[2]), found[3], found[4]))
        return lines

    def close(self):
        self.connection.close()


def address(connection):
    return "%s:%d" % connection.socket.getsockname()


def quiet(connection):
    connection.socket.settimeout(0.05)
    try:
        connection.fill()
        raise AssertionError(connection.buffer)
    except socket.timeout:
        pass
    finally:
        connection.socket.settimeout(20)


def test_lines_have_time_database_address_and_words(server):
    for resp in (2, 3):
        watcher, client = Watcher(server, resp), server.connect()
        here = address(client)
        client("SET", "k", b'a"b\\c\n\r\t\a\b\x00\xff ')
        client("SELECT", 3)
        client("GET", "k")
        assert watcher.seen(3) == [(0, here, r'"SET" "k" "a\"b\\c\n\r\t\a\b\x00\xff "'), (3, here, '"SELECT" "3"'),
                                   (3, here, '"GET" "k"')]
        unix = Connection(path=server.unix)
        unix("gEt", "")
        assert watcher.seen(1) == [(0, "unix:" + server.unix, '"gEt" ""')]
        for connection in (watcher, client, unix):
            connection.close()


def test_pipelines_from_all_cores(server):
    watchers = [Watcher(server) for _ in range(3)]
    clients = [server.connect() for _ in range(4)]
    keys = [f"key:{i}" for i in range(30)]
    for client in clients:
        client.send(b"".join(encode("GET", key) for key in keys))
    for client in clients:
        for _ in keys:
            client.reply()
    for watcher in watchers:
        lines = watcher.seen(len(keys) * len(clients))
        for client in clients:
            mine = [words for _, where, words in lines if where == address(client)]
            assert mine == [f'"GET" "{key}"' for key in keys]
    clients[0]("MGET", *keys)
    for watcher in watchers:
        assert watcher.seen(1) == [(0, address(clients[0]), '"MGET" ' + " ".join(f'"{key}"' for key in keys))]
    for connection in watchers + clients:
        connection.close()


def test_transactions(server):
    watcher, client = Watcher(server), server.connect()
    for words in (("MULTI",), ("SELECT", 2), ("SET", "k", 1), ("CONFIG", "GET", "hz"), ("EXEC",), ("MULTI",), ("NONSENSE",),
                  ("EXEC",), ("MULTI",), ("DISCARD",), ("MULTI",), ("MONITOR",)):
        client(*words)
    assert client("EXEC") == [Error("ERR MONITOR isn't allowed for DENY BLOCKING client")]
    assert [(db, words) for db, _, words in watcher.seen(10)] == [
        (0, '"MULTI"'), (2, '"SELECT" "2"'), (2, '"SET" "k" "1"'), (2, '"EXEC"'), (2, '"MULTI"'), (2, '"EXEC"'),
        (2, '"MULTI"'), (2, '"DISCARD"'), (2, '"MULTI"'), (2, '"EXEC"')]
    for connection in (watcher, client):
        connection.close()


def test_what_is_not_shown(server):
    watcher, client = Watcher(server), server.connect()
    for words in (("CONFIG", "GET", "port"), ("CLIENT", "LIST"), ("SLOWLOG", "LEN"), ("GET",), ("NONSENSE",), ("MONITORS",),
                  ("LATENCY", "RESET"), ("LASTSAVE",), ("AUTH", "secret"), ("AUTH", "who", "secret"),
                  ("HELLO", 3, "AUTH", "default", "secret")):
        client(*words)
    assert [words for _, _, words in watcher.seen(4)] == [
        '"LASTSAVE"', '"AUTH" "(redacted)"', '"AUTH" "(redacted)" "(redacted)"',
        '"HELLO" "3" "AUTH" "(redacted)" "(redacted)"']
    quiet(watcher.connection)
    for connection in (watcher, client):
        connection.close()


def test_who_watches_may_do_little_else(server):
    watcher, client = Watcher(server), server.connect()
    here = watcher.connection
    for words in (("GET", "k"), ("SET", "k", 1), ("PUBLISH", "a", "b")):
        assert here(*words) == Error("ERR Replica can't interact with the keyspace")
    assert here("PING") == "PONG"
    assert watcher.seen(1)[0][2] == '"PING"'
    here.send(encode("MONITOR") + encode("PING"))
    assert here.reply() == "PONG"
    assert watcher.seen(1)[0][2] == '"PING"'
    assert " flags=O " in client("CLIENT", "LIST").decode()
    assert here("RESET") == "RESET"
    client("GET", "k")
    quiet(here)
    assert here("GET", "nothing") is None
    assert " flags=O " not in client("CLIENT", "LIST").decode()
    for connection in (watcher, client):
        connection.close()


def test_who_goes_watches_no_more(server):
    client = server.connect()
    for _ in range(20):
        watcher = Watcher(server)
        client("PING")
        assert watcher.seen(1)[0][2] == '"PING"'
        watcher.close()
    assert client("PING") == "PONG"
    client.close()


def test_who_does_not_read_is_closed(server):
    client, watcher = server.connect(), Watcher(server)
    try:
        assert client("CONFIG", "SET", "client-output-hard-limit", 1 << 20) == "OK"
        for _ in range(1000):
            client("SET", "k", "x" * 100000)
            if " flags=O " not in client("CLIENT", "LIST").decode():
                break
        assert " flags=O " not in client("CLIENT", "LIST").decode()
    finally:
        client("CONFIG", "SET", "client-output-hard-limit", 1 << 28)
        watcher.close()
        client("DEL", "k")
        client.close()


def test_scripts_and_what_they_call(server):
    watcher, client = Watcher(server), server.connect()
    client("SELECT", 1)
    client("EVAL", "redis.call('set', KEYS[1], ARGV[1]) return redis.call('ping')", 1, "k", "v")
    seen = watcher.seen(4)[1:]
    assert sorted(words for _, _, words in seen if not words.startswith('"EVAL"')) == ['"ping"', '"set" "k" "v"']
    assert [where for _, where, words in seen if words.startswith('"EVAL"')] == [address(client)]
    assert all(db == 1 and (where == "lua" or words.startswith('"EVAL"')) for db, where, words in seen)
    code = "redis.call('set', KEYS[1] or 'other', 1)"
    for keys in (("k",), ("other",), ("k", "other"), ()):
        call = " ".join(f'"{word}"' for word in ("EVAL", code, len(keys), *keys))
        lua = '"set" "%s" "1"' % (keys or ("other",))[0]
        client("EVAL", code, len(keys), *keys)
        assert [words for _, _, words in watcher.seen(2)] == [call, lua]
        client("MULTI")
        client("EVAL", code, len(keys), *keys)
        client("EXEC")
        assert [words for _, _, words in watcher.seen(4)] == ['"MULTI"', call, lua, '"EXEC"']
        client.send(encode("SET", "k", 2) + encode("EVAL", code, len(keys), *keys))
        client.reply(), client.reply()
        assert [words for _, _, words in watcher.seen(3)] == ['"SET" "k" "2"', call, lua]
    for connection in (watcher, client):
        connection.close()
