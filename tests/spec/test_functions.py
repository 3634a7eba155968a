"""Functions over sockets: texts beside redis-server's, payloads both ways, durability, and scripts that are too long."""
import shutil
import tempfile
import threading
import time

from support.orbit import Error, RedisServer, Server, Skipped, encode

ONE = "#!lua name=%s\nredis.register_function('%s', function(keys, args) return {keys, args, '%s'} end)"

# Each is a library's text; said to both, in RESP2 and RESP3, and forgotten again.
LIBRARIES = r"""
|foo
|#!lua name=x
#!lua|x
#!lua name=a name=b|
#!lua foo=bar name=x|
#!js name=x|redis.register_function('f', function() return 1 end)
#! name=x|
#!lua name=|
#!lua name=a-b|
#!lua name=x|
#!lua name="x"|redis.register_function('f', function() return 1 end)
#!lua "name=\x78" |redis.register_function('f', function() return 1 end)
#!lua name='x'y|
#!lua name="x|
#!LUA NAME=x|redis.register_function('f', function() return 1 end)
#!lua name=x|foo(
#!lua name=x|return math.random()
#!lua name=x|return _G
#!lua name=x|return KEYS
#!lua name=x|redis.call('ping')
#!lua name=x|redis.setresp(3)
#!lua name=x|return redis.sha1hex('')
#!lua name=x|return ('x'):rep(3)
#!lua name=x|('x'):nope()
#!lua name=x|redis.log(1)
#!lua name=x|redis.log(redis.LOG_DEBUG, redis.REDIS_VERSION)
#!lua name=x|redis.register_function()
#!lua name=x|redis.register_function(1)
#!lua name=x|redis.register_function(1, 2, 3)
#!lua name=x|redis.register_function('f')
#!lua name=x|redis.register_function('f', 1)
#!lua name=x|redis.register_function({}, function() end)
#!lua name=x|redis.register_function(5, function() return 5 end)
#!lua name=x|redis.register_function('a b', function() end)
#!lua name=x|redis.register_function('', function() end)
#!lua name=x|redis.register_function('f', function() end) redis.register_function('f', function() end)
#!lua name=x|redis.register_function{}
#!lua name=x|redis.register_function{function_name='f'}
#!lua name=x|redis.register_function{callback=function() end}
#!lua name=x|redis.register_function{function_name={}, callback=function() end}
#!lua name=x|redis.register_function{function_name='f', callback=1}
#!lua name=x|redis.register_function{function_name='f', callback=function() end, flags='no-writes'}
#!lua name=x|redis.register_function{function_name='f', callback=function() end, flags={'bogus'}}
#!lua name=x|redis.register_function{function_name='f', callback=function() end, flags={{}}}
#!lua name=x|redis.register_function{function_name='f', callback=function() end, description={}}
#!lua name=x|redis.register_function{function_name='f', callback=function() end, other=1}
#!lua name=x|redis.register_function{[true]=1}
#!lua name=x|redis.register_function{FUNCTION_NAME='f', Callback=function() return 1 end, FLAGS={'No-Writes', 'allow-oom'}}
#!lua name=x|redis.register_function{function_name='f', callback=function() return 1 end, description='what it does', flags={}}
#!lua name=x|a = 1
#!lua name=x|redis.foo = 1
#!lua name=x|return redis.foo
#!lua name=x|error('x')
#!lua name=x|local t t.x = 1
#!lua name=x|local f = redis.register_function f('f', function() return redis.register_function end)
""".strip("\n").split("\n")

# A body of a function, what it is called with.
BODIES = r"""
return {keys, args, #keys, #args}
return KEYS
return ARGV
return redis.call('set', keys[1], args[1])
return redis.call('get', keys[1])
return redis.call('nope')
return redis.pcall('nope')
return redis.pcall('incr', keys[1])
return redis.call('incr', keys[1])
return type(redis.replicate_commands)
return type(redis.breakpoint)
return redis.register_function('x', function() end)
return loaded.call
return loaded.register_function('x', function() end)
x = 1
_G.x = 1
redis.x = 1
redis.setresp(3) return redis.call('get', 'nokey') == nil
return {math.pi > 3, type(cjson.encode), type(string.rep), type(pairs)}
error('it')
error({err = 'CODE it'})
return {err = 'CODE it'}
return {ok = 'fine'}
return redis.error_reply('My Err')
return redis.call('eval', 'return 1', 0)
return redis.call('fcall', 'f', 0)
return redis.call('function', 'flush')
return pcall(redis.call, 'nope')
""".strip().split("\n")

CALLS = (
    ("FUNCTION",), ("FUNCTION", "NOPE"), ("FUNCTION", "HELP"), ("FUNCTION", "LOAD"), ("FUNCTION", "LOAD", "REPLACE"),
    ("FUNCTION", "LOAD", "x", "y"), ("FUNCTION", "LOAD", "REPLACE", "REPLACE", ONE % ("lib", "f", 1)),
    ("FUNCTION", "LOAD", ONE % ("lib", "f", 2)), ("FUNCTION", "LOAD", ONE % ("other", "F", 2)),
    ("FUNCTION", "LOAD", "REPLACE", ONE % ("lib", "g", 3)), ("FCALL", "f", 0), ("FCALL", "G", 1, "k", "a"),
    ("FUNCTION", "LOAD", "REPLACE", "#!lua name=lib\nfoo("), ("FCALL", "g", 0),
    ("FUNCTION", "LOAD", ONE % ("other", "h", 4)), ("FUNCTION", "LOAD", "REPLACE", ONE % ("lib", "h", 5)),
    ("FCALL", "g", 0), ("FUNCTION", "STATS"), ("FUNCTION", "LIST", "LIBRARYNAME", "LIB"),
    ("FUNCTION", "LIST", "WITHCODE", "LIBRARYNAME", "ot*"), ("FUNCTION", "LIST", "LIBRARYNAME"),
    ("FUNCTION", "LIST", "LIBRARYNAME", "nope"), ("FUNCTION", "LIST", "x"), ("FUNCTION", "LIST", "WITHCODE", "WITHCODE"),
    ("FUNCTION", "LIST", "LIBRARYNAME", "a", "LIBRARYNAME", "b"), ("FUNCTION", "DELETE", "LIB"), ("FUNCTION", "DELETE"),
    ("FUNCTION", "DELETE", ""), ("FUNCTION", "DELETE", "other"), ("FUNCTION", "DELETE", "other"), ("FCALL", "h", 0),
    ("FUNCTION", "KILL"), ("SCRIPT", "KILL"), ("FUNCTION", "DUMP"), ("FUNCTION", "DUMP", "x"),
    ("FUNCTION", "RESTORE"), ("FUNCTION", "RESTORE", "x"), ("FUNCTION", "RESTORE", "x", "bogus"),
    ("FUNCTION", "RESTORE", "x", "FLUSH", "y"), ("FUNCTION", "FLUSH", "x"), ("FUNCTION", "FLUSH", "SYNC", "x"),
    ("FUNCTION", "FLUSH", "SYNC"), ("FUNCTION", "LIST"), ("FUNCTION", "FLUSH", "ASYNC"), ("FUNCTION", "FLUSH"),
    ("FUNCTION", "DUMP"),
    ("FCALL",), ("FCALL", "f"), ("FCALL", "f", 0), ("FCALL_RO", "f", 0),
    ("FUNCTION", "LOAD", "#!lua name=ro\nredis.register_function('rw', function() return 1 end)\n"
                         "redis.register_function{function_name='ro', callback=function(k) return redis.call('get', k[1]) end,"
                         " flags={'no-writes'}}\nredis.register_function{function_name='liar', callback=function(k) return "
                         "redis.call('set', k[1], 1) end, flags={'no-writes'}}"),
    ("FCALL", "rw", "x"), ("FCALL", "rw", -1), ("FCALL", "rw", 1), ("FCALL", "rw", 5, "a"), ("FCALL", "rw", "0 "),
    ("FCALL_RO", "rw", 0), ("FCALL_RO", "ro", 1, "k"), ("FCALL", "ro", 1, "k"), ("FCALL_RO", "liar", 1, "k"),
    ("FCALL", "liar", 1, "k"), ("COMMAND", "GETKEYS", "FCALL", "f", 2, "a", "b", "c"),
    ("COMMAND", "GETKEYS", "FCALL_RO", "f", 1, "a", "b"),
    ("MULTI",), ("FUNCTION", "LOAD", ONE % ("within", "w", 1)), ("FCALL", "w", 1, "k"), ("FUNCTION", "LIST", "LIBRARYNAME", "w*"),
    ("FUNCTION", "DELETE", "within"), ("FCALL", "w", 0), ("FUNCTION", "DELETE", "within"), ("EXEC",),
    ("FLUSHALL",), ("FCALL", "rw", 0),
)


def compare(c, r, call):
    c.send(encode(*call)), r.send(encode(*call))
    ours, theirs = c.raw_reply(), r.raw_reply()
    assert ours == theirs, f"{call}:\n  {ours[:600]!r}, redis-server:\n  {theirs[:600]!r}"


def test_functions_answer_as_in_redis(server):
    if not shutil.which("redis-server"):
        raise Skipped("there is no redis-server to compare with")
    with RedisServer() as redis:
        for resp in (2, 3):
            with server.connect(resp=resp) as c, redis.connect(resp=resp) as r:
                for connection in (c, r):
                    connection("FLUSHALL"), connection("FUNCTION", "FLUSH")
                for text in LIBRARIES:
                    compare(c, r, ("FUNCTION", "LOAD", text.replace("|", "\n", 1)))
                    compare(c, r, ("FUNCTION", "STATS"))
                    compare(c, r, ("FCALL", "f", 0))
                    compare(c, r, ("FUNCTION", "FLUSH"))
                for body in BODIES:
                    text = f"#!lua name=lib\nlocal loaded = redis\nredis.register_function('f', function(keys, args) {body} end)"
                    compare(c, r, ("FUNCTION", "LOAD", "REPLACE", text))
                    compare(c, r, ("FUNCTION", "LIST", "WITHCODE"))
                    compare(c, r, ("FCALL", "f", 2, "one", "two", "three"))
                    compare(c, r, ("FUNCTION", "DUMP"))
                compare(c, r, ("FUNCTION", "FLUSH"))
                for call in CALLS:
                    compare(c, r, call)


def loaded(c):
    return {name: (text, sorted(f["name"] for f in functions)) for name, functions, text in (
        (one["library_name"], one["functions"], one["library_code"])
        for one in (_map(library) for library in c("FUNCTION", "LIST", "WITHCODE")))}


def _map(flat):
    pairs = dict(zip((k.decode() for k in flat[::2]), flat[1::2]))
    return {k: [_map(f) for f in v] if k == "functions" else v for k, v in pairs.items()}


def test_payloads_travel_both_ways(server):
    if not shutil.which("redis-server"):
        raise Skipped("there is no redis-server to compare with")
    long = "#!lua name=long\n" + "".join(f"redis.register_function('f{i}', function() return {i} end)\n" for i in range(50))
    with RedisServer() as redis, redis.connect() as r, server.connect() as c:
        for source, target in ((c, r), (r, c)):
            source("FUNCTION", "FLUSH"), target("FUNCTION", "FLUSH")
            for text in (ONE % ("a", "f", 1), ONE % ("b", "g", 2), long):
                source("FUNCTION", "LOAD", text)
            payload = source("FUNCTION", "DUMP")
            assert target("FUNCTION", "RESTORE", payload) == "OK"
            assert loaded(source) == loaded(target)
            assert target("FCALL", "f49", 0) == 49
            assert str(target("FUNCTION", "RESTORE", payload)).startswith("ERR Library ")
            assert target("FUNCTION", "RESTORE", payload, "REPLACE") == "OK"
            assert target("FUNCTION", "DELETE", "b") == "OK" and target("FUNCTION", "LOAD", ONE % ("c", "g", 3)) == b"c"
            assert str(target("FUNCTION", "RESTORE", payload, "REPLACE")) == "ERR Function g already exists"
            assert target("FCALL", "g", 0)[2] == b"3"
            assert target("FUNCTION", "RESTORE", payload, "FLUSH") == "OK"
            assert loaded(source) == loaded(target)
            broken = payload[:10] + bytes([payload[10] ^ 1]) + payload[11:]
            assert "checksum" in str(target("FUNCTION", "RESTORE", broken))
        # Two libraries change places.
        c("FUNCTION", "FLUSH")
        for pair in (("f", "g"), ("g", "f")):
            c("FUNCTION", "LOAD", ONE % ("a", pair[0], 1)), c("FUNCTION", "LOAD", ONE % ("b", pair[1], 1))
            payload = c("FUNCTION", "DUMP")
            if pair[0] == "f":
                first = payload
                c("FUNCTION", "FLUSH")
        assert c("FUNCTION", "RESTORE", first, "REPLACE") == "OK"
        c("FUNCTION", "FLUSH")


def test_functions_are_known_to_all_cores_and_survive(server):
    """kill -9, other numbers of cores, images, FLUSHALL."""
    directory = tempfile.mkdtemp(prefix="orbit-test-")
    try:
        for life, cores in enumerate((2, 1, 3)):
            one = Server(server.program, io="uring", cores=cores, directory=directory)
            connections = [one.connect() for _ in range(6)]
            c = connections[0]
            expected = {b"kept%d" % i for i in range(life)} | ({b"b"} if life else set())
            assert set(loaded(c)) == expected, (life, loaded(c))
            for i in range(life):
                for other in connections:
                    assert other("FCALL", f"kept{i}", 1, "k", "a") == [[b"k"], [b"a"], b"%d" % i]
            assert c("FUNCTION", "LOAD", "REPLACE", ONE % (f"kept{life}", f"kept{life}", life)) == b"kept%d" % life
            assert c("FUNCTION", "LOAD", "REPLACE", ONE % ("gone", "gone", life)) == b"gone"
            assert all(other("FCALL", "gone", 0)[2] == b"%d" % life for other in connections)
            assert c("SAVE") == "OK"
            assert c("FUNCTION", "DELETE", "gone") == "OK"
            assert c.pipeline(("MULTI",), ("FUNCTION", "LOAD", "REPLACE", ONE % ("b", "b", life)), ("SET", "in", life),
                              ("FLUSHALL",), ("EXEC",))[-1] == [b"b", "OK", "OK"]
            assert "not found" in str(connections[-1]("FCALL", "gone", 0))
            one.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def test_changes_beside_calls(server):
    """Libraries are replaced while their functions run, and every call sees one of them whole."""
    text = "#!lua name=lib\nlocal v = '%d' redis.register_function('one', function() return v end)\n" \
           "redis.register_function('both', function(k) local n = redis.call('incr', k[1]) for i = 1, 2000 do end return v end)"
    stop, errors = threading.Event(), []
    with server.connect() as c:
        c("FLUSHALL"), c("FUNCTION", "FLUSH"), c("FUNCTION", "LOAD", text % 0)

        def call(k):
            with server.connect(timeout=60) as mine:
                while not stop.is_set():
                    got = mine("FCALL", "both", 1, f"key{k}"), mine("FCALL", "one", 0)
                    if any(isinstance(one, Error) for one in got):
                        errors.append(got)

        threads = [threading.Thread(target=call, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for i in range(1, 40):
            assert c("FUNCTION", "LOAD", "REPLACE", text % i) == b"lib"
            assert c("FCALL", "one", 0) == b"%d" % i
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors, errors[:3]
        c("FUNCTION", "FLUSH")


# ---- scripts that are too long ----------------------------------------------------------

LOOPS = """#!lua name=loops
redis.register_function('writes', function(k) redis.call('set', k[1], 1) while true do end end)
redis.register_function{function_name='reads', callback=function(k) while true do redis.call('get', k[1]) end end, flags={'no-writes'}}"""


def busy(got, how):
    return str(got) == f"BUSY Redis is busy running a script. You can only call {how} KILL or SHUTDOWN NOSAVE."


def wait_until_busy(c, how):
    """The script has begun, and kept this client waiting until it was too long."""
    until = time.monotonic() + 20
    got = c("GET", "key")
    while not isinstance(got, Error) and time.monotonic() < until:
        got = c("GET", "key")
    assert busy(got, how), got


def test_busy_scripts_turn_others_away(server):
    with server.connect() as c, server.connect() as other, server.connect() as third:
        c("FLUSHALL"), c("FUNCTION", "FLUSH"), c("FUNCTION", "LOAD", LOOPS), c("MSET", "key", 1, "free", 2)
        assert c("CONFIG", "SET", "lua-time-limit", 150) == "OK"
        assert c("CONFIG", "GET", "busy-reply-threshold") == [b"busy-reply-threshold", b"150"]
        for how, call in (("SCRIPT", ("EVAL", "while true do redis.call('get', KEYS[1]) end", 1, "key")),
                          ("FUNCTION", ("FCALL", "reads", 1, "key")),
                          ("SCRIPT", ("EVAL", "redis.call('keys', '*') while true do end", 0))):
            by_gate = call[-1] == 0
            c.send(encode(*call))
            wait_until_busy(other, how)
            for words in (("GET", "key"), ("MGET", "free", "key", "a", "b", "c"), ("FLUSHALL",), ("BLPOP", "key", 0),
                          ("EVAL", "return redis.call('get', KEYS[1])", 1, "key"), ("SWAPDB", 0, 1),
                          ("FUNCTION", "LOAD", ONE % ("x", "x", 1))):
                got = other(*words)
                assert busy(got, how), (words, got)
            got = other.pipeline(("MULTI",), ("SET", "key", 2), ("EXEC",))[-1]
            assert str(got).startswith("EXECABORT Transaction discarded because of: BUSY Redis is busy"), got
            got = other.pipeline(("GET", "key"), ("PING",), ("GET", "free"))
            assert busy(got[0], how) and got[1] == "PONG", got
            assert busy(got[2], how) if by_gate else got[2] == b"2", got
            # Those who need not wait are served.
            assert other("PING") == "PONG"
            if not by_gate:
                assert other("GET", "free") == b"2" and other("SET", "free", 2) == "OK"
            wrong = "FUNCTION" if how == "SCRIPT" else "SCRIPT"
            assert busy(third(wrong, "KILL"), how)
            if how == "FUNCTION":
                running = third("FUNCTION", "STATS")[1]
                assert running[:4] == [b"name", b"reads", b"command", [b"FCALL", b"reads", b"1", b"key"]]
                assert running[5] >= 150
            else:
                assert busy(third("FUNCTION", "STATS"), how)
            assert third(how, "KILL") == "OK"
            assert "Script killed by user" in str(c.reply())
            assert other("GET", "key") == b"1"
            assert other("FUNCTION", "STATS")[1] is None
        assert c("CONFIG", "SET", "busy-reply-threshold", 5000) == "OK"
        c("FUNCTION", "FLUSH")


def test_the_server_ends_beside_a_script_that_writes(server):
    """What it wrote is undone; what others wrote before stays."""
    calls = (("FCALL", "writes", 1, "key"),  # one key, which is put back
             ("EVAL", "for i = 1, 100 do redis.call('set', 'key:' .. i, 2) end redis.call('set', 'key', 2) "
                      "while true do end", 0),  # more than can be put back
             ("EVAL", "redis.call('keys', '*') redis.call('set', 'key', 2) while true do end", 0))
    for call in calls:
        for ending in ("SIGTERM", ("SHUTDOWN", "NOSAVE")):
            directory = tempfile.mkdtemp(prefix="orbit-test-")
            try:
                one = Server(server.program, "--busy-reply-threshold", 100, cores=2, directory=directory)
                with one.connect() as c, one.connect() as other:
                    c("FUNCTION", "LOAD", LOOPS), c("SET", "key", "before")
                    c.send(encode(*call))
                    wait_until_busy(other, "FUNCTION" if call[0] == "FCALL" else "SCRIPT")
                    for how in ("FUNCTION", "SCRIPT"):
                        got = str(other(how, "KILL"))
                        assert got.startswith("UNKILLABLE Sorry the script already executed write commands"), got
                    got = str(other("SHUTDOWN"))
                    assert got.startswith("BUSY Redis is busy running a script."), got
                    began = time.monotonic()
                    if ending == "SIGTERM":
                        assert one.stop() == 0, one.log_text()
                    else:
                        other.send(encode(*ending))
                        assert other.is_closed()
                    assert time.monotonic() - began < 5
                one.kill()
                one = Server(server.program, cores=2, directory=directory)
                with one.connect() as c:
                    assert c("GET", "key") == b"before" and c("DBSIZE") == 1
                one.kill()
            finally:
                shutil.rmtree(directory, ignore_errors=True)
