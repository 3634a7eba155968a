"""Sets over sockets: random members, several shards, large sets, scans, payloads of redis-server, restarts."""
import collections
import contextlib
import random
import shutil
import tempfile

from support.orbit import Error, RedisServer, Server
from support.streams import dump_payload, listpack, string_of


def members(n, seed=1, numbers=False):
    rnd = random.Random(seed)
    made = set()
    while len(made) < n:
        made.add(b"%d" % rnd.randint(-10**6, 10**6) if numbers else
                 rnd.choice((b"%d" % rnd.randint(-10**6, 10**6), b"%x" % rnd.getrandbits(80), rnd.randbytes(rnd.randrange(300)))))
    return sorted(made)


def fill(c, key, values):
    for i in range(0, len(values), 500):
        c("SADD", key, *values[i:i + 500])


def test_random_members_are_random(server):
    with server.connect() as c:
        for n, numbers in ((10, True), (10, False), (300, True), (1000, False)):
            c("FLUSHALL")
            values = members(n, numbers=numbers)
            fill(c, "s", values)
            seen = collections.Counter(c("SRANDMEMBER", "s", -20 * n))
            assert set(seen) == set(values) and max(seen.values()) < 60
            assert {c("SRANDMEMBER", "s") for _ in range(20)} <= set(values)
            for count in (1, n // 10, n // 2, n - 1, n, 2 * n):
                some = c("SRANDMEMBER", "s", count)
                assert len(some) == len(set(some)) == min(count, n) and set(some) <= set(values)
            assert c("SCARD", "s") == n
            c("PEXPIRE", "s", 10**8)
            left = set(values)
            for count in (1, 3, None, n // 2, 10**9):
                some = [c("SPOP", "s")] if count is None else c("SPOP", "s", count)
                assert set(some) <= left and len(set(some)) == len(some) == min(1 if count is None else count, len(left))
                left -= set(some)
                assert set(c("SMEMBERS", "s")) == left
                assert not left or c("PTTL", "s") > 0
            assert c("EXISTS", "s") == 0
            fill(c, "s", values)
            c("PEXPIRE", "s", 10**8)
            popped = c("SPOP", "s", n - 1)
            assert c("SMEMBERS", "s") == sorted(set(values) - set(popped)) and c("PTTL", "s") > 0


def test_sets_of_several_shards_are_combined(server):
    with server.connect() as c:
        c("FLUSHALL")
        rnd, sets = random.Random(3), {}
        for i in range(12):
            sets[f"set:{i}"] = set(rnd.sample(range(3000), rnd.choice((5, 300, 2000))))
            fill(c, f"set:{i}", [b"m%d" % m if i % 2 else b"%d" % m for m in sorted(sets[f"set:{i}"])])
        for _ in range(60):
            keys = [f"set:{i}" for i in rnd.sample(range(0, 12, 2) if rnd.random() < 0.5 else range(1, 12, 2), rnd.choice((1, 2, 3)))]
            prefix = b"m" if int(keys[0][4:]) % 2 else b""
            said = {"SUNION": set.union, "SINTER": set.intersection, "SDIFF": set.difference}
            for name, operation in said.items():
                result = {prefix + b"%d" % m for m in operation(*(sets[key] for key in keys))}
                assert set(c(name, *keys)) == result
                assert c(name + "STORE", "result", *keys) == len(result)
                assert set(c("SMEMBERS", "result")) == result
            assert c("SINTERCARD", len(keys), *keys) == len(set.intersection(*(sets[key] for key in keys)))
            assert c("SMOVE", keys[0], "elsewhere", c("SRANDMEMBER", keys[0]) or "x") == bool(sets[keys[0]])
            sets[keys[0]] = {int(m.lstrip(b"m")) for m in c("SMEMBERS", keys[0])}


def scan(c, key, *options, between=lambda: None):
    found, cursor = [], b"0"
    while True:
        cursor, some = c("SSCAN", key, cursor, *options)
        found += some
        between()
        if cursor == b"0":
            return found


def test_scans_of_large_sets(server):
    values = members(20_000)
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "s", values)
        assert sorted(scan(c, "s", "COUNT", 100)) == values
        assert sorted(scan(c, "s", "COUNT", 10**6)) == values
        assert set(scan(c, "s", "MATCH", "1*", "COUNT", 500)) == {value for value in values if value[:1] == b"1"}
        stays, goes = values[::100], [value for i, value in enumerate(values) if i % 100]
        assert set(scan(c, "s", "COUNT", 20, between=lambda: [c("SREM", "s", *goes[-300:]), goes.__delitem__(slice(-300, None))])) >= set(stays)


def test_large_sets_are_copied_and_deleted(server):
    values = members(50_000)
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "long", values)
        assert c("COPY", "long", "other") == 1
        assert c("COPY", "long", "{long}other") == 1
        c("SREM", "long", *values[:10])
        c("SADD", "other", "new")
        assert sorted(c("SMEMBERS", "long")) == values[10:]
        assert sorted(c("SMEMBERS", "other")) == sorted(values + [b"new"])
        assert sorted(c("SMEMBERS", "{long}other")) == values
        assert c("UNLINK", "long", "other", "{long}other") == 3


def test_payloads_go_both_ways(server):
    with RedisServer() as redis, redis.connect() as there, server.connect() as here:
        for number, (n, numbers) in enumerate(((1, True), (500, True), (600, True), (1, False), (30, False), (5000, False))):
            values = members(n, seed=number, numbers=numbers)
            for source, target in ((there, here), (here, there)):
                source("DEL", "s")
                fill(source, "s", values)
                payload = source("DUMP", "s")
                assert target("RESTORE", "s", 0, payload, "REPLACE") == "OK"
                assert sorted(target("SMEMBERS", "s")) == values
                assert target("OBJECT", "ENCODING", "s") == source("OBJECT", "ENCODING", "s")
        there("SADD", "wide", 1, 2**40)
        there("SREM", "wide", 2**40)
        here("RESTORE", "wide", 0, there("DUMP", "wide"), "REPLACE")
        assert here("DUMP", "wide") == there("DUMP", "wide")
        # Small sets of Redis 7.2, which this redis-server does not know.
        for values in ([b"a", b"7", b"-300", b"x" * 60], [b"%d" % i for i in range(128)]):
            payload = dump_payload(b"\x14" + string_of(listpack(values)), version=11)
            assert here("RESTORE", "s", 0, payload, "REPLACE") == "OK"
            assert sorted(here("SMEMBERS", "s")) == sorted(values)
        payload = dump_payload(b"\x14" + string_of(listpack([b"a", b"a"])), version=11)
        assert here("RESTORE", "s", 0, payload, "REPLACE") == Error("ERR Bad data format")
        assert here("SCARD", "s") == 128


def test_events_are_told(server):
    with server.connect() as c, server.connect() as ear:
        c("FLUSHALL")
        c("CONFIG", "SET", "notify-keyspace-events", "KEA")
        ear("PSUBSCRIBE", "__keyevent@0__:*")
        try:
            for words, events in (
                    (("SADD", "{s}a", 1, 2, 3), ["sadd"]), (("SADD", "{s}a", 1), []), (("SREM", "{s}a", 1), ["srem"]),
                    (("SMOVE", "{s}a", "{s}b", 2), ["srem", "sadd"]), (("SMOVE", "{s}a", "{s}b", 3), ["srem", "del", "sadd"]),
                    (("SUNIONSTORE", "{s}c", "{s}b"), ["sunionstore"]), (("SINTERSTORE", "{s}c", "{s}b", "{s}x"), ["del"]),
                    (("SDIFFSTORE", "{s}c", "{s}b"), ["sdiffstore"]), (("SPOP", "{s}c"), ["spop"]),
                    (("SPOP", "{s}c", 9), ["spop", "del"]), (("SREM", "{s}b", 2, 3), ["srem", "del"])):
                c(*words)
                c("PUBLISH", "__keyevent@0__:end", "x")
                told = []
                while (event := ear.reply()[2].split(b":")[1].decode()) != "end":
                    told.append(event)
                assert told == events, words
        finally:
            c("CONFIG", "SET", "notify-keyspace-events", "")


def test_sets_outlive_their_server(server):
    directory = tempfile.mkdtemp(prefix="orbit-sets-")
    flags = ("--log-segment-size", 262144, "--image-log-size", "1mb")
    rnd, model = random.Random(7), {}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for life in range(4):
            own = Server(server.program, *flags, io=server.io, cores=1 + life % 3, directory=directory)
            stack.callback(own.process.kill)
            with own.connect() as c:
                for key, values in model.items():
                    assert set(c("SMEMBERS", key)) == values, (life, key)
                assert c("DBSIZE") == sum(1 for values in model.values() if values)
                for step in range(700):
                    change(c, rnd, model, f"s{rnd.randrange(6)}")
                    if life % 2 and step == 500:
                        c("BGSAVE")
            own.kill()


def change(c, rnd, model, key):
    values = model.setdefault(key, set())
    kind = rnd.random()
    some = members(rnd.choice((1, 3, 300)), rnd.random(), numbers=rnd.random() < 0.3)
    if kind < 0.5 or not values:
        c("SADD", key, *some)
        values.update(some)
    elif kind < 0.7:
        gone = rnd.sample(sorted(values), min(len(values), rnd.choice((1, 5, 200))))
        assert c("SREM", key, *gone) == len(gone)
        values.difference_update(gone)
    elif kind < 0.85:
        values.difference_update(c("SPOP", key, rnd.choice((1, 10, 500))))
    elif kind < 0.95:
        other = f"s{rnd.randrange(6)}"
        c("SUNIONSTORE", key, key, other)
        values.update(model.get(other, ()))
    else:
        c("DEL", key)
        values.clear()


def test_operations_on_sets_that_results_share(server):
    """Large ones are not added member by member; neither they nor results notice what the other becomes."""
    rnd = random.Random(5)
    sets = {"large": {b"m%d" % i for i in range(20000)}, "integers": {b"%d" % i for i in range(15000)},
            "few": {b"m5", b"m77", b"7", b"new"}, "none": set()}
    with server.connect() as c:
        c("FLUSHALL")
        for name, members in sets.items():
            for at in range(0, len(members), 1000):
                c("SADD", name, *sorted(members)[at:at + 1000])
        for _ in range(12):
            names = rnd.choices(list(sets), k=rnd.randint(1, 3))
            target = rnd.choice(("to", "few", names[0], "large"))
            command, work = rnd.choice((("SUNIONSTORE", set.union), ("SDIFFSTORE", set.difference)))
            wanted = work(*(sets[name] for name in names))
            assert c(command, target, *names) == len(wanted)
            sets[target] = wanted
            changed = rnd.choice((target, *names))
            c.pipeline(("SADD", changed, "another"), ("SREM", changed, "m9", "7"))
            sets[changed] = (sets[changed] | {b"another"}) - {b"m9", b"7"}
            for name in {target, changed}:
                assert set(c("SMEMBERS", name)) == sets[name], (command, target, names, name)
