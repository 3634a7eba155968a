"""Scripts over sockets: the sandbox and the answers beside redis-server's, and atomicity over shards."""
import hashlib
import shutil
import tempfile
import threading
import time

from support.orbit import Error, RedisServer, Server, Skipped, encode

LIBRARIES = ("redis", "string", "table", "math", "cjson", "struct", "bit", "coroutine")

# Each is a script without keys; said to both, in RESP2 and RESP3.
SCRIPTS = r"""
return 1
return -1.9
return 3.99
return 1e300
return -1e300
return 0/0
return 'text'
return ''
return nil
return
return true
return false
return {}
return {1, 2, 3}
return {1, 2, nil, 3}
return {1, {2, {3, {}}}, 'x', true, false}
return {a = 1}
return {ok = 'fine'}
return {ok = 'a\r\nb'}
return {err = 'BAD thing'}
return {err = 'BAD'}
return {err = 'ERR a\r\nb'}
return {ok = 1}
return {err = 1}
return {double = 3.5}
return {map = {a = 1}}
return {map = {[1] = {2}}}
return {set = {a = true}}
return {big_number = '123456789012345678901234567890'}
return {verbatim_string = {format = 'txt', string = 'hello'}}
return {verbatim_string = {format = 'txt'}}
return {verbatim_string = {string = 'hello', format = 7}}
return {1, {err = 'X y'}, {ok = 'z'}}
return function() end
return redis
return coroutine.create(function() end)
redis.setresp(3) return true
redis.setresp(3) return false
redis.setresp(3) return {true, false}
redis.setresp(3) return nil
redis.setresp(3) return redis.call('get', 'nokey')
redis.setresp(3) return redis.call('get', 'nokey') == nil
redis.setresp(2) return redis.call('get', 'nokey') == false
return redis.call('get', 'nokey')
return type(redis.call('get', 'nokey'))
return redis.call('set', 'a', 1).ok
return redis.call('set', 'a', '1')
return redis.call('set', 'a', 1, 'get')
return redis.call('incrbyfloat', 'float', 0.5)
return redis.call('zadd', 'scores', 0.1, 'a', '-inf', 'b', 1e20, 'c')
return redis.call('zscore', 'scores', 'a')
return redis.call('zrange', 'scores', 0, -1, 'withscores')
redis.setresp(3) return redis.call('zrange', 'scores', 0, -1, 'withscores')
return redis.call('geoadd', 'places', 13.36, 38.11, 'here')
return redis.call('geopos', 'places', 'here', 'nowhere')
redis.setresp(3) return redis.call('geopos', 'places', 'here', 'nowhere')
redis.setresp(3) return type(redis.call('geopos', 'places', 'here')[1][1])
return redis.call('xadd', 'stream', '1-1', 'a', 'b')
return redis.call('xgroup', 'create', 'stream', 'group', 0)
return redis.call('xread', 'block', 0, 'streams', 'stream', '$')
return redis.pcall('XREAD', 'count', 1, 'BLOCK', 'x', 'streams', 'stream', 0)
return redis.call('xreadgroup', 'group', 'group', 'me', 'block', 0, 'streams', 'stream', '>')
return redis.call('xreadgroup', 'group', 'group', 'me', 'streams', 'stream', '>')
return redis.call('mget', 'a', 'nokey', 'float')
return redis.call('set', 'a', 1.5) and redis.call('get', 'a')
return redis.call('set', 'a', 1e20) and redis.call('get', 'a')
return redis.call('set', 'a', 12345678901234) and redis.call('get', 'a')
return redis.call('set', 'a', 0.1) and redis.call('get', 'a')
return redis.call('set', 'a', -0) and redis.call('get', 'a')
return redis.call('set', 'a', 1/0) and redis.call('get', 'a')
return redis.call('set', 'a', 2^53) and redis.call('get', 'a')
return redis.call('echo', 'with\0zero')
return redis.call('ping')
return redis.call('PiNg', 'x')
return redis.call('select', 3)
redis.call('select', 3) redis.call('set', 'there', 1) return redis.call('exists', 'there')
return redis.call('exists', 'there')
return redis.call('time')[1] == redis.call('time')[1]
return redis.call('rpush', 'list', 1, 2, 3)
return redis.call('lrange', 'list', 0, -1)
return redis.call('sadd', 'set', 'b', 'aa', 'a', 'c', '10', '9')
return redis.call('sort', 'set', 'by', '_')
return redis.call('sort', 'set', 'by', '_', 'desc', 'limit', 1, 2)
return redis.call('incr', 'list')
return redis.pcall('incr', 'list')
return redis.pcall('incr', 'list').err
return {redis.pcall('incr', 'list')}
return {pcall(redis.call, 'incr', 'list')}
return {pcall(function() return redis.call('incr', 'list') end)}
return redis.pcall('nope')
return redis.call('nope')
return redis.call('get')
return redis.pcall('get')
return redis.call('config', 'nope')
return redis.call('object', 'encoding', 'nokey')
return redis.call()
return redis.pcall()
return redis.call({})
return redis.pcall('set', 'a', {})
return redis.call('set', 'a', true)
return redis.call('set', 'a', nil)
return redis.call('eval', 'return 1', 0)
return redis.call('subscribe', 'a')
return redis.call('multi')
return redis.call('watch', 'a')
return redis.call('script', 'flush')
return redis.call('set', 'k', 1, 'bad')
return redis.call('publish', 'nobody', 'x')
return redis.error_reply('My Err')
return redis.error_reply('-My Err')
return redis.error_reply('MY')
return redis.error_reply('')
return redis.error_reply('A b\r\n')
return redis.error_reply({})
return redis.error_reply('a', 'b')
return redis.error_reply('A b').err
return redis.status_reply('fine')
return redis.status_reply()
return redis.status_reply('a').ok
return redis.sha1hex('')
return redis.sha1hex('abc')
return redis.sha1hex(1.5)
return redis.sha1hex()
return redis.sha1hex(nil)
redis.log(1)
redis.log('a', 'b')
redis.log(10, 'b')
redis.log(-1, 'b')
redis.log(redis.LOG_DEBUG, 'quiet', 1, nil, {})
redis.setresp(4)
redis.setresp()
redis.setresp(1, 2)
return redis.replicate_commands()
return redis.set_repl(redis.REPL_ALL)
return redis.set_repl(9)
return redis.set_repl()
return redis.breakpoint()
return redis.acl_check_cmd('get', 'a')
return redis.acl_check_cmd('nope')
return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING}
return {redis.REPL_ALL, redis.REPL_AOF, redis.REPL_NONE, redis.REPL_REPLICA, redis.REPL_SLAVE}
return type(redis.REDIS_VERSION)
error('x')
error('x', 0)
error('x', 2)
error()
error(nil)
error(true)
error(12)
error({err = 'E x'})
error({err = 'x'})
error({err = 'E x', line = 7})
return {pcall(error, 'x')}
return {pcall(error, {err = 'E x'})}
return {pcall(error)}
return select('#', pcall(function() return 1, nil, 3 end))
return {xpcall(function() error('hi') end, function(e) return 'H' .. tostring(e) end)}
local function f() error('deep') end f()
local t = {} return t.x.y
local t = {} t[nil] = 1
return nil + 1
return 'a' + 1
return #5
return {} .. 'x'
return ('x'):nope()
x = 1
return x
_G.x = 1
local x = 5 return x
function named() end
redis.x = 1
return redis.x
string.x = 1
redis.call = nil
rawset(_G, 'x', 1)
rawset(redis, 'x', 1)
table.insert(redis, 1)
table.insert(_G, 1)
setmetatable(_G, {})
setmetatable(redis, {__index = {x = 1}})
getmetatable('').__index = 1
getmetatable('').__index.x = 1
return getmetatable('').__index == string
return tostring(getmetatable(redis))
return {type(getmetatable(_G)), type(getmetatable(_G).__index), type(getmetatable(_G).__newindex)}
getmetatable(_G).__index = 1
local g = getmetatable(_G) g.__index = {} return nope
return tostring(rawget(_G, 'nope'))
return type(rawget(_G, 'redis'))
return _G == _G._G
return type(_G.redis.call)
return getmetatable(setmetatable({}, {__metatable = 'mine'}))
setmetatable(setmetatable({}, {__metatable = 'mine'}), {})
return setmetatable({}, {__index = function(t, k) return k .. '!' end}).hello
return #setmetatable({}, {__len = function() return 3 end})
return tostring(setmetatable({}, {__tostring = function() return 'me' end}))
return type(print)
return type(os)
return type(io)
return type(debug)
return type(require)
return type(package)
return type(dofile)
return type(loadfile)
return type(getfenv)
return type(setfenv)
return type(newproxy)
return type(module)
return _VERSION
return loadstring('return 5')()
return loadstring('x = 1')()
return select(2, loadstring('return +'))
return select(2, loadstring('return +', '=name'))
return select(2, loadstring('\27Lua'))
return select(2, loadstring(string.dump(function() end)))
local done = false return load(function() if done then return nil end done = true return 'return 8' end)()
return load('return 1')
return unpack({1, 2, 3})
return {unpack({1, 2, 3}, 2)}
return {unpack({1, 2, 3}, 2, 5)}
return {unpack({}, 1, 1e8)}
return {unpack({}, 0, 2147483647)}
return {unpack({}, -2147483648, 2147483647)}
return select('#', unpack({}, 1, 3))
return collectgarbage('count') > 1
return collectgarbage('nope')
return type(gcinfo())
return next({})
return next({7})
return type(next(_G))
local n = 0 for k, v in ipairs({1, 2, nil, 4}) do n = n + v end return n
local n = 0 for k, v in pairs({1, 2, nil, 4}) do n = n + v end return n
return {rawequal('a', 'a'), rawequal({}, {})}
return {tonumber('10'), tonumber('ff', 16), tonumber('x'), tonumber('0x10'), tonumber(' 5 ')}
return {tostring(1), tostring(1.5), tostring(nil), tostring(true), tostring(1e15), tostring(1e16), tostring(-0)}
return {type(1), type('1'), type(nil), type({}), type(true), type(type)}
return select(2, 'a', 'b', 'c')
return select(-1, 'a', 'b', 'c')
return select('#')
return assert(false, 'why')
return assert(nil)
return assert(1, 2)
local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end) return {select(2, coroutine.resume(co, 1)), select(2, coroutine.resume(co, 10)), coroutine.status(co)}
return coroutine.wrap(function() return redis.call('echo', 'inside') end)()
return coroutine.wrap(function() error('in there') end)()
coroutine.yield()
return string.byte('abc', 1, -1)
return {string.byte('abc', 1, -1)}
return string.char(72, 105, 0)
return {string.find('hello', 'l+')}
return {string.find('a.b', '.', 1, true)}
return string.find('hello')
return string.format('%d %5.2f %s %q %x %c %%', 42, 3.14159, 'str', 'a"b', 255, 65)
return string.format('%d', 'x')
return string.format('%y', 1)
return {string.gsub('hello world', 'o', '0')}
return string.gsub('abc', '%w', '%0%0')
return string.gsub('abc', '%w', function(c) return redis.call('echo', c .. c) end)
return string.gsub('$name', '%$(%w+)', {name = 'x'})
local t = {} for w in string.gmatch('one two', '%a+') do t[#t + 1] = w end return t
return {string.match('key = value', '(%w+) = (%w+)')}
return string.match('x', '(()')
return string.match('x', '[a')
return string.match('x', '%')
return string.rep('ab', 3)
return string.rep('ab', 0)
return string.rep('ab', -1)
return string.rep('', 1000)
return string.rep('ab', 'x')
return string.reverse('abc')
return string.upper('aé') .. string.lower('ÀB')
return string.sub('hello', 2, -2)
return string.len('a\0b')
return ('x'):rep(3)
return #string.dump(function() end) > 10
return table.concat({1, 2, 'x'}, '-')
return table.concat({{}}, '-')
local t = {3, 1, 2} table.sort(t) return t
local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return t
table.sort({1, 'x'})
local t = {1, 2} table.insert(t, 1, 0) table.insert(t, 9) return t
local t = {1, 2, 3} return {table.remove(t), table.remove(t, 1), #t}
return table.maxn({[10] = 1})
return table.getn({1, 2})
table.setn({}, 1)
local s = '' table.foreach({5, 6}, function(k, v) s = s .. k .. v end) return s
return {math.floor(1.5), math.ceil(1.5), math.max(1, 2), math.min(1, 2), math.abs(-1), math.fmod(7, 3), math.pow(2, 3)}
math.randomseed(42) return {math.random(1000), math.random(5, 10), math.random(1000)}
math.randomseed(0) return tostring(math.random())
return math.random(0)
return math.random(2, 1)
return math.random(1, 2, 3)
return tostring(math.pi)
return cjson.encode({1, 2, {a = 1}})
return cjson.encode({})
return cjson.encode('')
return cjson.encode('a"b\\c/d\n\r\t\b\f\1\127é')
return cjson.encode(1/3)
return cjson.encode({1.5, 100, 1e20, -0.1, 1e-7, 123456789012})
return cjson.encode(0/0)
return cjson.encode(1/0)
return cjson.encode({[1] = 1, [3] = 3})
return cjson.encode({[1] = 1, [20] = 3})
return cjson.encode({[1.5] = 1})
return cjson.encode({[-1] = 1})
return cjson.encode({[true] = 1})
return cjson.encode(function() end)
return cjson.encode({redis.call})
return cjson.encode(cjson.null)
return cjson.encode({cjson.null, nil, true, false})
return cjson.encode()
return cjson.encode(1, 2)
return cjson.encode(nil)
local t = {} t[1] = t return cjson.encode(t)
local t = {} for i = 1, 999 do t = {t} end return #cjson.encode(t)
local t = {} for i = 1, 1000 do t = {t} end return #cjson.encode(t)
return cjson.decode('[1,2,{"a":"b"}]')
return cjson.decode('{"a":{"b":[1]}}').a.b[1]
return cjson.decode('"x"')
return cjson.decode('1.5e3')
return cjson.decode('null') == cjson.null
return type(cjson.decode('null'))
return cjson.decode('true')
return cjson.decode(' \t\r\n[ ] ')
return cjson.decode('"\\u00e9\\ud83d\\ude00\\n\\/"')
return cjson.decode('"\\ud83d"')
return cjson.decode('"\\udc00"')
return cjson.decode('"\\x"')
return cjson.decode('"\\u12"')
return cjson.decode('"abc')
return cjson.decode('"a\0b"')
return cjson.decode('[1,]')
return cjson.decode('{"a":1,}')
return cjson.decode('{"a" 1}')
return cjson.decode('{a:1}')
return cjson.decode('{1:1}')
return cjson.decode('[1 2]')
return cjson.decode('[1')
return cjson.decode('{')
return cjson.decode('{"a"')
return cjson.decode('')
return cjson.decode('nope')
return cjson.decode('1 2')
return cjson.decode('-')
return cjson.decode('+1')
return cjson.decode('01')
return cjson.decode('0x10')
return cjson.decode('nan') ~= cjson.decode('nan')
return tostring(cjson.decode('-inf'))
return cjson.decode('\0a')
return cjson.decode('a\0')
return cjson.decode()
return cjson.decode({})
return cjson.decode(5)
return cjson.decode('1', 2)
return cjson.decode(('['):rep(1000) .. (']'):rep(1000)) ~= nil
return cjson.decode(('['):rep(1001) .. (']'):rep(1001))
return cjson.decode(('{"a":'):rep(1001))
return {cjson.encode_sparse_array()}
return {cjson.encode_max_depth()}
return {cjson.encode_max_depth(0)}
return {cjson.encode_number_precision()}
return {cjson.encode_invalid_numbers()}
return {cjson.decode_invalid_numbers()}
return cjson.encode_max_depth(1, 2)
return {cjson._NAME, cjson._VERSION}
return type(cjson.new().encode)
return cjson.encode(cjson.decode('{"x":[1,2,3],"y":null}').x)
return cmsgpack.pack({1, 2, 'x', true})
return cmsgpack.unpack(cmsgpack.pack({1, {2}, 'x'}))
return cmsgpack.unpack('\193')
return cmsgpack.pack()
return struct.pack('>I2', 258)
return struct.unpack('>I2', '\1\2')
return {struct.unpack('bHs', struct.pack('bHs', 1, 2, 'x'))}
return struct.pack('X', 1)
return struct.size('>I2i4')
return {bit.band(255, 15), bit.bor(1, 2), bit.bxor(3, 1), bit.bnot(0), bit.lshift(1, 4), bit.rshift(256, 4)}
return bit.tohex(255, -4)
return bit.band()
""".strip().split("\n")

# Besides those: scripts of several lines, with keys and arguments, and words that are wrong.
CALLS = (
    ("EVAL", "return {KEYS[1], KEYS[2], ARGV[1], ARGV[2], KEYS[3], #ARGV}", 2, "a", "b", "c"),
    ("EVAL", "return {#KEYS, #ARGV}", 0, "x"), ("EVAL", "return #KEYS..#ARGV", 1, "x", "y"),
    ("EVAL", "return 1"), ("EVAL", "return 1", "x"), ("EVAL", "return 1", -1), ("EVAL", "return 1", 5),
    ("EVAL", "return 1", 1), ("EVAL", "return 1", "0 "), ("EVAL", "", 0), ("EVAL", "return", 0),
    ("EVAL", "\n\nreturn redis.call('incr', 'list')", 0), ("EVAL", "return 1 +", 0), ("EVAL", "\n\n@", 0),
    ("EVAL", "\x1bLua", 0), ("EVAL", "local t = {}\nt.x.y = 1", 0),
    ("EVAL", "local function f()\n return redis.call('nope')\nend\nreturn f()", 0),
    ("EVAL", "#!lua\nreturn 1", 0), ("EVAL", "#!lua \nreturn 1", 0), ("EVAL", "#!lua", 0), ("EVAL", "#!", 0),
    ("EVAL", "#!py\nreturn 1", 0), ("EVAL", "#!lua flags=\nreturn 1", 0), ("EVAL", "#!lua foo\nreturn 1", 0),
    ("EVAL", "#!lua flags=no-writes\nreturn redis.call('set', 'a', 1)", 0),
    ("EVAL", "#!lua flags=no-writes,allow-oom\nreturn redis.call('get', 'a')", 0),
    ("EVAL", "#!lua flags=allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1", 0),
    ("EVAL", "#!lua \"flags=no-writes\"\nreturn 1", 0), ("EVAL", "#!lua flags='x\nreturn 1", 0),
    ("EVAL", "#!lua flags=bogus\nreturn 1", 0), ("EVAL", "#!lua\nreturn redis.call('nope')", 0),
    ("EVAL_RO", "return redis.call('set', 'a', 1)", 0), ("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "a"),
    ("EVAL_RO", "#!lua\nreturn 1", 0), ("EVAL_RO", "#!lua flags=no-writes\nreturn 1", 0),
    ("EVAL_RO", "return redis.pcall('publish', 'c', 'm').err", 0),
    ("EVALSHA", "short", 0), ("EVALSHA", "f" * 40, 0), ("EVALSHA", "short", "x"), ("EVALSHA", "f" * 40, "x"),
    ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", 0),  # return 1
    ("EVALSHA", "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", 0),
    ("EVALSHA_RO", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", 0), ("EVALSHA_RO", "f" * 40, 0),
    ("SCRIPT", "LOAD", "return 'loaded'"), ("SCRIPT", "LOAD", "return +"), ("SCRIPT", "LOAD", "#!py\nreturn 1"),
    ("SCRIPT", "LOAD"), ("SCRIPT", "EXISTS"), ("SCRIPT", "EXISTS", "a", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"),
    ("SCRIPT", "KILL"), ("SCRIPT", "DEBUG", "NO"), ("SCRIPT", "DEBUG", "x"), ("SCRIPT", "HELP"), ("SCRIPT",),
    ("SCRIPT", "NOPE"), ("SCRIPT", "FLUSH", "x"), ("SCRIPT", "FLUSH", "SYNC", "x"), ("SCRIPT", "FLUSH", "ASYNC"),
    ("SCRIPT", "EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), ("SCRIPT", "FLUSH", "SYNC"), ("SCRIPT", "FLUSH"),
    ("COMMAND", "GETKEYS", "EVAL", "return 1", 2, "a", "b", "c"),
    ("COMMAND", "DOCS", "eval", "evalsha"),
)


def compare(c, r, call):
    c.send_words(call), r.send_words(call)
    ours, theirs = c.raw_reply(), r.raw_reply()
    assert ours == theirs, f"{call}:\n  {ours[:600]!r}, redis-server:\n  {theirs[:600]!r}"


def test_scripts_answer_as_in_redis(server):
    if not shutil.which("redis-server"):
        raise Skipped("there is no redis-server to compare with")
    with RedisServer() as redis:
        for resp in (2, 3):
            with server.connect(resp=resp) as c, redis.connect(resp=resp) as r:
                for connection in (c, r):
                    connection.send_words = lambda words, to=connection: to.send(encode(*words))
                    connection("FLUSHALL"), connection("SCRIPT", "FLUSH")
                for script in SCRIPTS:
                    compare(c, r, ("EVAL", script, 0))
                for name in LIBRARIES:
                    compare(c, r, ("EVAL", f"local t = {{}} for k in pairs({name}) do t[#t + 1] = k end table.sort(t) "
                                           "return t", 0))
                for call in CALLS:
                    if call[0] != "COMMAND" or resp == 3:
                        compare(c, r, call)
                # In MULTI, and by the name of what EVAL brought.
                for call in (("MULTI",), ("EVAL", "return redis.call('incr', 'n')", 0), ("EVALSHA", "f" * 40, 0),
                             ("EVAL", "return redis.call('nope')", 0), ("SCRIPT", "LOAD", "return 9"),
                             ("EVALSHA", hashlib.sha1(b"return 9").hexdigest(), 0), ("EXEC",)):
                    compare(c, r, call)


def test_scripts_over_shards_are_atomic(server):
    """Declared and undeclared keys, and the counters never apart."""
    script = """local a = redis.call('incr', 'count:A') local b = redis.call('incr', KEYS[1])
                local c = redis.call('incr', 'count:C')
                if a ~= b or b ~= c then return redis.error_reply('APART ' .. a .. ' ' .. b .. ' ' .. c) end return a"""
    with server.connect() as c:
        c("FLUSHALL")
    errors = []

    def work():
        with server.connect(timeout=60) as c:
            for i in range(100):
                got = c("EVAL", script, 1, "count:B")
                if isinstance(got, Error):
                    errors.append(got)
                values = c("MGET", "count:A", "count:B", "count:C")
                if len(set(values)) != 1:
                    errors.append(values)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[:5]
    with server.connect() as c:
        assert c("MGET", "count:A", "count:B", "count:C") == [b"600"] * 3


def test_scripts_see_all_keys(server):
    with server.connect() as c:
        c("FLUSHALL")
        c("MSET", *[w for i in range(40) for w in (f"key:{i}", i)])
        assert c("EVAL", "return #redis.call('keys', 'key:*')", 0) == 40
        assert c("EVAL", "return redis.call('dbsize')", 0) == 40
        assert c("EVAL", "redis.call('set', 'own', 1) for _, k in ipairs(redis.call('keys', '*')) do "
                         "redis.call('del', k) end return redis.call('dbsize')", 0) == 0
        c("MSET", "a", 1, "b", 2)
        assert c("EVAL", "redis.call('set', 'c', 1) redis.call('flushall') redis.call('set', 'd', 1) "
                         "return redis.call('dbsize')", 0) == 1
        assert c("EVAL", "redis.call('set', 'c', 1) redis.call('swapdb', 0, 1) return redis.call('dbsize')", 0) == 0
        c("FLUSHALL")


def test_pipelines_keep_their_order(server):
    script = "return redis.call('incr', KEYS[1])"
    with server.connect() as c:
        c("FLUSHALL")
        calls, expected = [], []
        for i in range(60):
            calls += [("EVAL", script, 1, "n"), ("GET", "n"), ("EVAL", "return redis.call('mget', KEYS[1], KEYS[2])", 2,
                                                                "n", f"other:{i}"), ("SET", f"other:{i}", i)]
            expected += [i + 1, b"%d" % (i + 1), [b"%d" % (i + 1), None], "OK"]
        assert c.pipeline(*calls) == expected


def test_pipelines_keep_their_order_also_by_keys_that_scripts_do_not_declare(server):
    both = "redis.call('set', ARGV[1], 'v') return redis.call('incr', ARGV[2])"
    with server.connect() as c:
        c("FLUSHALL")
        for i in range(40):
            one, other = f"one:{i}", f"other:{i}"
            assert c.pipeline(("SET", one, "before"), ("EVAL", both, 0, one, other), ("GET", one), ("INCR", other),
                              ("EVAL", "return redis.call('incr', ARGV[1])", 1, one, other), ("SET", other, "5"),
                              ("EVAL", "return redis.call('incr', ARGV[1])", 0, other)) == [
                                  "OK", 1, b"v", 2, 3, "OK", 6], i


def test_long_scripts_let_others_run_and_can_be_killed(server):
    with server.connect() as c, server.connect() as other:
        c("FLUSHALL"), c("SET", "key", "before")
        c.send(b"".join(encode(*w) for w in (
            ("EVAL", "while true do pcall(function() while true do end end) end", 0), ("PING",))))
        time.sleep(0.1)
        assert other("PING") == "PONG" and other("SET", "somewhere", 1) == "OK"
        assert other("SCRIPT", "KILL") == "OK"
        assert "Script killed by user with SCRIPT KILL..." in str(c.reply())
        assert c.reply() == "PONG"
        assert "NOTBUSY" in str(other("SCRIPT", "KILL"))
        c.send(encode("EVAL", "local t = {} t[1] = t t[2] = t return t", 0))  # it has no end
        time.sleep(0.1)
        assert other("SCRIPT", "KILL") == "OK"
        assert "killed" in str(c.reply())
        # Nobody sees the middle.
        c.send(encode(
            "EVAL", "redis.call('set', KEYS[1], 'middle') local n = 0 for i = 1, 1e7 do n = n + i end "
                    "redis.call('set', KEYS[1], 'after') return 1", 1, "key"))
        time.sleep(0.03)
        assert "UNKILLABLE" in str(other("SCRIPT", "KILL"))
        assert other("GET", "key") == b"after"
        assert c.reply() == 1


def test_scripts_wake_who_waits(server):
    with server.connect() as c, server.connect() as waiting:
        c("FLUSHALL")
        for keys in (("queue",), ("queue", "other:1", "other:2")):
            waiting.send(encode("BLPOP", "queue", 0))
            time.sleep(0.05)
            assert c("EVAL", "redis.call('rpush', KEYS[1], 'a', 'b') return redis.call('llen', KEYS[1])", len(keys),
                     *keys) == 2
            assert waiting.reply() == [b"queue", b"a"]
            assert c("EVAL", "return redis.call('lpop', 'queue')", 0) == b"b"


def test_known_holes_are_closed(server):
    """Patterns of what Redis' scripts have suffered from."""
    with server.connect(timeout=60) as c:
        def fails(script, why):
            got = c("EVAL", script, 0)
            assert isinstance(got, Error) and why in str(got), (script, got)

        fails("return {unpack({}, -2147483648, 2147483647)}", "too many results to unpack")  # CVE-2025-46817
        fails("getmetatable('').__index = 1", "readonly")  # CVE-2025-46818
        fails("return string.rep('x', 1e9)", "not enough memory")
        fails("local t = {} while true do t[#t + 1] = string.rep('x', 1e6) .. #t end", "not enough memory")
        fails("return cjson.encode(string.rep('\\1', 1e8))", "not enough memory")  # CVE-2022-24834
        fails("return ('x'):match(('(.-)*'):rep(5000))", "pattern too complex")
        fails("return cmsgpack.pack(string.rep('x', 3e8))", "not enough memory")
        fails("local function f() return 1 + f() end return f()", "stack overflow")
        fails("local f f = function() return (('x'):gsub('x', f)) end return f()", "C stack overflow")
        fails("return loadstring(('('):rep(100000))()", "")
        assert c("EVAL", "return bit.tohex(65535, -2147483648)", 0) == b"0000FFFF"  # CVE-2024-31449
        # The collector at work while text is parsed: CVE-2025-49844, CVE-2024-46981.
        assert c("EVAL", "for i = 1, 300 do loadstring(string.rep('local a = {} ', 50), string.rep('n', 500) .. i) "
                         "collectgarbage('step', 100) end return 1", 0) == 1
        assert isinstance(c("EVAL", "return " + "(" * 10000 + "1" + ")" * 10000, 0), Error)
        assert c("PING") == "PONG"


def test_a_script_is_kept_whole_or_not_at_all(server):
    """kill -9 in the midst of scripts that write to several shards."""
    directory = tempfile.mkdtemp(prefix="orbit-test-")
    script = "for i = 1, 8 do redis.call('set', 'part:' .. i, ARGV[1]) end return ARGV[1]"
    try:
        said = 0
        for life in range(4):
            one = Server(server.program, io="uring", cores=2, directory=directory)
            with one.connect() as c:
                values = set(c("MGET", *[f"part:{i}" for i in range(1, 9)]))
                assert len(values) == 1, values
                kept = int(values.pop() or 0)
                assert kept >= said, (kept, said)
                said = kept
                until = time.monotonic() + 0.3
                while time.monotonic() < until:
                    said = int(c("EVAL", script, 0, said + 1))
                c.send(encode("EVAL", script, 0, said + 1))
                time.sleep(0.0005 * life)
            one.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
