"""CLIENT, HELLO, RESET and AUTH beside redis-server 7.0: the same bytes, in RESP2 and RESP3, one by one and in pipelines."""
import re
import shutil
import socket

from support.orbit import Error, RedisServer, Server, Skipped, encode

SEQUENCES = """
CLIENT
CLIENT NONSENSE
CLIENT HELP x
CLIENT CACHING
CLIENT CACHING X
CLIENT CACHING YES x
CLIENT GETNAME | CLIENT SETNAME a | CLIENT GETNAME | CLIENT SETNAME '' | CLIENT GETNAME | CLIENT SETNAME 'a b'
CLIENT SETNAME
CLIENT ID x
CLIENT INFO x
CLIENT KILL
CLIENT KILL x
CLIENT KILL 127.0.0.1:1
CLIENT KILL ID
CLIENT KILL ID x
CLIENT KILL ID 0
CLIENT KILL ID -1
CLIENT KILL ID 99999999999999999999
CLIENT KILL ID 999
CLIENT KILL ID 1 x
CLIENT KILL TYPE x
CLIENT KILL TYPE master
CLIENT KILL TYPE slave
CLIENT KILL TYPE replica
CLIENT KILL TYPE pubsub
CLIENT KILL TYPE normal
CLIENT KILL TYPE NORMAL SKIPME YES
CLIENT KILL TYPE normal SKIPME NO
CLIENT KILL TYPE normal SKIPME x
CLIENT KILL USER x
CLIENT KILL USER default
CLIENT KILL ADDR 1.2.3.4:5
CLIENT KILL ADDR x LADDR
CLIENT KILL x y
CLIENT LIST x
CLIENT LIST TYPE
CLIENT LIST TYPE x
CLIENT LIST TYPE master
CLIENT LIST TYPE replica
CLIENT LIST TYPE pubsub
CLIENT LIST ID
CLIENT LIST ID x
CLIENT LIST ID 0 -1 999
CLIENT LIST ID 1 x
CLIENT NO-EVICT x
CLIENT NO-EVICT on | CLIENT INFO | CLIENT NO-EVICT OFF | CLIENT INFO
CLIENT PAUSE
CLIENT PAUSE x
CLIENT PAUSE -1
CLIENT PAUSE 1 x
CLIENT PAUSE 1 WRITE
CLIENT PAUSE 1 ALL x
CLIENT UNPAUSE x
CLIENT REPLY x
CLIENT REPLY ON
CLIENT REPLY OFF | PING | CLIENT REPLY SKIP | PING | CLIENT REPLY ON | PING
CLIENT REPLY SKIP | PING | PING
CLIENT REPLY SKIP | CLIENT REPLY SKIP | PING | PING | PING
CLIENT REPLY SKIP | NONSENSE | PING
CLIENT REPLY OFF | NONSENSE | SUBSCRIBE x | CLIENT REPLY ON | PING
CLIENT REPLY OFF | RESET | PING
CLIENT REPLY SKIP | RESET | PING
CLIENT REPLY SKIP | MULTI | PING | EXEC
CLIENT UNBLOCK x
CLIENT UNBLOCK 1 x
CLIENT UNBLOCK 999999
CLIENT UNBLOCK 999999 error x
CLIENT TRACKING
CLIENT TRACKING x
CLIENT TRACKINGINFO x
CLIENT GETREDIR x
MULTI | CLIENT TRACKING ON | CLIENT TRACKINGINFO | EXEC
RESET x
RESET | PING
SUBSCRIBE a | RESET | PING
SELECT 3 | CLIENT SETNAME x | RESET | CLIENT INFO
WATCH k | MULTI | RESET | EXEC
MONITOR x
MONITOR | RESET | PING
SUBSCRIBE x | MONITOR | RESET
HELLO
HELLO 1
HELLO 4
HELLO x
HELLO 3 x
HELLO 3 AUTH
HELLO 3 AUTH x
HELLO 3 AUTH x y
HELLO 3 SETNAME
HELLO 3 SETNAME 'a b'
HELLO 3 SETNAME ab | CLIENT GETNAME | HELLO 2
HELLO SETNAME x
AUTH
AUTH x
AUTH default x
AUTH x y
AUTH x y z
CLIENT TRACKING ON | GET k | SET k 1 | PING
CLIENT TRACKING ON | FLUSHALL | PING
CLIENT TRACKING ON | CLIENT INFO | CLIENT TRACKING OFF | CLIENT TRACKING ON BCAST | CLIENT INFO
QUIT
SUBSCRIBE x | QUIT
"""

LOCKED = """
PING
HELLO
HELLO 3
HELLO 3 SETNAME a
HELLO 3 AUTH default x
HELLO 3 AUTH default pw | PING
CLIENT ID
CLIENT HELP
CLIENT CACHING YES
CLIENT TRACKING ON
RESET
QUIT
MONITOR
AUTH pw | RESET | PING
AUTH pw x
NONSENSE
GET
MULTI
EXEC
"""

DIFFER = ((rb"id=\d+ addr=\S+ laddr=\S+ fd=\d+", b"id"),
          (rb" (age|idle|qbuf|qbuf-free|argv-mem|multi-mem|rbs|rbp|obl|oll|omem|tot-mem)=\d+", b""),
          (rb" lib-name= lib-ver=", b""), (rb"(\$|=)2\d\d\r\n", b"$2xx\r\n"), (rb"version\r\n\$\d+\r\n[^\r]*", b"version"),
          (rb":\d+\r\n\$4\r\nmode", b"mode"), (rb"\+\d{10}\.\d+ \[\d+ \S+\]", b"+time"))


def sequences(text):
    for line in text.strip().splitlines():
        yield [[word.strip("'") for word in re.findall(r"'[^']*'|\S+", command)] for command in line.split(" | ")]


# In these a server speaks or closes unasked: each step is sent when the one before has been answered.
UNASKED = {"SET", "KILL", "QUIT"}


def take(client, patience):
    """What comes until it is quiet for so long, or closed."""
    got = b""
    client.socket.settimeout(patience)
    try:
        while piece := client.socket.recv(1 << 16):
            got += piece
    except OSError:
        pass
    return got


def said(server, sequence, resp):
    """All bytes that are answered; what differs between servers left out."""
    got = b""
    one_by_one = any(word in UNASKED for step in sequence for word in step)
    with server.connect(resp=resp) as client:
        try:
            for step in [*sequence, ("CLIENT", "REPLY", "ON"), ("ECHO", "end")]:
                client.send(encode(*step))
                got += take(client, 0.05) if one_by_one else b""
            client.socket.shutdown(socket.SHUT_WR)  # it is closed once all that came before is answered
        except OSError:
            pass  # the server closed first
        got += take(client, 20)
    for pattern, instead in DIFFER:
        got = re.sub(pattern, instead, got)
    return got


def same(ours, theirs, text, resps):
    for sequence in sequences(text):
        for resp in resps:
            answers = [said(server, sequence, resp) for server in (theirs, ours)]
            assert answers[0] == answers[1], (sequence, resp, *answers)


def test_clients_are_answered_as_by_redis(server):
    if not shutil.which("redis-server"):
        raise Skipped("no redis-server")
    if (server.io, server.cores) != ("uring", 2):
        raise Skipped("once is enough")
    with RedisServer() as redis:
        same(server, redis, SEQUENCES, (2, 3))


def test_strangers_are_answered_as_by_redis(server):
    if not shutil.which("redis-server"):
        raise Skipped("no redis-server")
    if (server.io, server.cores) != ("uring", 2):
        raise Skipped("once is enough")
    with RedisServer("--requirepass", "pw") as redis, Server(server.program, "--requirepass", "pw") as locked:
        same(locked, redis, LOCKED, (2,))


def test_debug_says_errors_for_tests_of_clients(server):
    with server.connect() as client:
        assert client("DEBUG", "ERROR", "LOADING it comes") == Error("LOADING it comes")
        assert client("DEBUG", "ERROR", "a\r\nb") == Error("a  b")
        assert client("DEBUG", "LOG", "a test\r\nbegins") == "OK"
        assert "DEBUG LOG: a test??begins\n" in server.log_text()
        assert client("DEBUG", "ERROR") == Error("ERR DEBUG ERROR is not supported by this server yet. Try DEBUG HELP.")


USES = (
    ("SET", "k", "v"), ("SET", "k", "v", "XX", "get"), ("MSET", "a", 1, "b", 2), ("MSETNX", "a", 1), ("DEL", "a", "b"),
    ("BITFIELD", "k", "GET", "u8", 0), ("BITFIELD", "k", "INCRBY", "u8", 0, 1), ("BITOP", "AND", "to", "a", "b"),
    ("LMOVE", "a", "b", "LEFT", "RIGHT"), ("LMPOP", 2, "a", "b", "LEFT"), ("BLPOP", "a", "b", 0), ("RENAME", "a", "b"),
    ("SORT", "a", "STORE", "b"), ("SORT", "a"), ("GEORADIUS", "a", 0, 0, 1, "m", "STORE", "b"), ("COPY", "a", "b"),
    ("ZUNIONSTORE", "to", 2, "a", "b"), ("ZUNION", 2, "a", "b"), ("SDIFFSTORE", "to", "a", "b"), ("SCARD", "a"),
    ("EVAL", "return", 1, "a"), ("EVAL_RO", "return", 1, "a"), ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", ">"),
    ("PFMERGE", "to", "a", "b"), ("OBJECT", "FREQ", "a"), ("XGROUP", "DESTROY", "a", "g"), ("TYPE", "a"), ("GET", "a"),
)


def key_places(docs):
    """Which specification each argument has that is a key."""
    arguments = dict(zip(docs[::2], docs[1::2]))[b"arguments"]
    return [dict(zip(a[::2], a[1::2])).get(b"key_spec_index") for a in arguments]


def test_what_is_done_with_keys_is_said_as_by_redis(server):
    if not shutil.which("redis-server"):
        raise Skipped("no redis-server")
    with RedisServer() as redis, server.connect() as ours, redis.connect() as theirs:
        for call in USES:
            assert ours("COMMAND", "GETKEYSANDFLAGS", *call) == theirs("COMMAND", "GETKEYSANDFLAGS", *call), call
        rows = [{row[0]: row for row in client("COMMAND")} for client in (ours, theirs)]
        both = [name for name in rows[0].keys() & rows[1].keys() if rows[0][name][8]]
        assert len(both) > 150
        for name in both:
            mine, other = (dict(zip(row[name][8][0][::2], row[name][8][0][1::2])) for row in rows)
            other.pop(b"notes", None)
            assert mine == other, name
        for name in (b"lmove", b"bitop", b"sdiffstore", b"rename", b"pfmerge"):
            assert rows[0][name][8] == rows[1][name][8], name
            docs = [client("COMMAND", "DOCS", name)[1] for client in (ours, theirs)]
            assert key_places(docs[0]) == key_places(docs[1]), name


def counted(client):
    """Calls, refusals and failures of commands, and errors."""
    text = client("INFO", "commandstats", "errorstats", "stats").decode()
    calls = re.findall(r"^cmdstat_(set|get|eval|eval_ro):calls=(\d+),.*(rejected_calls=\d+,failed_calls=\d+)", text, re.M)
    return sorted(calls), sorted(re.findall(r"^(?:errorstat_|total_error_)\S+", text, re.M))


def test_what_is_refused_is_counted_as_by_redis(server):
    if not shutil.which("redis-server"):
        raise Skipped("no redis-server")
    with RedisServer() as redis, server.connect() as ours, redis.connect() as theirs:
        for calls in (
            [("SET", "a", 1)], [("SET", "a", 1)] * 20 + [("GET", "a")] * 3 + [("SET", "b", 1)], [("SET", "a")],
            [("EVAL", "return redis.call('set', KEYS[1], 1)", 1, "a")],
            [("EVAL", "return redis.pcall('set', KEYS[1], 1)", 1, "a")],
            [("EVAL", "redis.pcall('set', KEYS[1], 1) return 1", 1, "a")],
            [("EVAL", "return redis.error_reply('MINE is this')", 0)],
            [("EVAL", "redis.pcall('set', 1) redis.pcall('get', KEYS[1]) return redis.call('nothing')", 1, "a")],
            [("EVAL_RO", "return redis.call('set', KEYS[1], 1)", 1, "a")],
            [("EVAL_RO", "redis.pcall('set', KEYS[1], 1) return 1", 1, "a")],
        ):
            answers = []
            for client in (ours, theirs):
                client("FLUSHALL"), client("CONFIG", "SET", "maxmemory", 1), client("CONFIG", "RESETSTAT")
                client.pipeline(*calls)
                answers.append(counted(client))
                client("CONFIG", "SET", "maxmemory", 0)
            assert answers[0] == answers[1], (calls[0], *answers)
