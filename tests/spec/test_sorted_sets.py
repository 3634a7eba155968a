"""Sorted sets over sockets: several shards, large sets, random members, payloads of redis-server, restarts."""
import contextlib
import random
import shutil
import tempfile

from support.orbit import Error, RedisServer, Server


def scores_of(n, seed=1):
    rnd = random.Random(seed)
    return {rnd.choice((b"%d", b"member:%d", b"long " * 20 + b"%d")) % i:
            rnd.choice((rnd.randint(-100, 100), rnd.uniform(-1e6, 1e6), rnd.randint(-10**9, 10**9))) for i in range(n)}


def in_order(scores):
    return sorted(scores, key=lambda member: (scores[member], member))


def fill(c, key, scores):
    words = [word for member, score in scores.items() for word in (repr(score), member)]
    for i in range(0, len(words), 1000):
        c("ZADD", key, *words[i:i + 1000])


def pairs(reply):
    return {member: float(score) for member, score in zip(reply[::2], reply[1::2])}


def test_large_sets_are_copied_cut_and_deleted(server):
    scores = scores_of(50_000)
    order = in_order(scores)
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "large", scores)
        assert c("ZCARD", "large") == len(scores)
        assert c("OBJECT", "ENCODING", "large") == b"skiplist"
        assert c("COPY", "large", "other") == 1
        assert c("COPY", "large", "{large}other") == 1
        assert c("ZREMRANGEBYRANK", "large", 10, -11) == len(scores) - 20
        assert c("ZRANGE", "large", 0, -1) == order[:10] + order[-10:]
        assert pairs(c("ZRANGE", "other", 0, -1, "WITHSCORES")) == scores
        assert c("ZRANGE", "{large}other", 0, -1, "REV") == order[::-1]
        for rank in random.Random(3).sample(range(len(order)), 200):
            assert c("ZRANK", "other", order[rank]) == rank
            assert c("ZREVRANK", "{large}other", order[rank]) == len(order) - 1 - rank
            assert float(c("ZSCORE", "other", order[rank])) == scores[order[rank]]
        assert c("RENAME", "other", "third") == "OK"
        assert c("ZRANGE", "third", 100, 110) == order[100:111]
        assert c("ZRANGESTORE", "part", "third", -50, 50, "BYSCORE") == sum(-50 <= s <= 50 for s in scores.values())
        assert c("UNLINK", "large", "third", "{large}other", "part") == 4


def test_pops_over_shards(server):
    with server.connect() as c:
        c("FLUSHALL")
        keys = [f"zset:{i}" for i in range(20)]
        fill(c, keys[7], {b"%d" % i: i for i in range(300)})
        for i in range(0, 300, 3):
            assert c("ZMPOP", 20, *keys, "MIN", "COUNT", 3) == [
                keys[7].encode(), [[b"%d" % j, b"%d" % j] for j in range(i, i + 3)]]
        assert c("ZMPOP", 20, *keys, "MAX") is None


def test_random_members_come_evenly(server):
    with server.connect() as c:
        c("FLUSHALL")
        for n in (40, 1000):
            fill(c, "z", {b"member:%d" % i: i for i in range(n)})
            assert len(set(c("ZRANDMEMBER", "z", -20 * n))) > n * 0.99
            for some in (1, 5, n // 4, n // 2, n - 1, n, n + 7):
                drawn = c("ZRANDMEMBER", "z", some)
                assert len(drawn) == len(set(drawn)) == min(some, n)
            drawn = c("ZRANDMEMBER", "z", 9, "WITHSCORES")
            assert all(member == b"member:%s" % score for member, score in zip(drawn[::2], drawn[1::2]))
            seen = {c("ZRANDMEMBER", "z") for _ in range(20 * 40)}
            assert len(seen) > 38
            counts = [0] * n
            for _ in range(300):
                for member in c("ZRANDMEMBER", "z", n // 2):
                    counts[int(member[7:])] += 1
            assert 90 < min(counts) and max(counts) < 210


def test_payloads_go_both_ways(server):
    with RedisServer() as redis, redis.connect() as there, server.connect() as here:
        for number, n in enumerate((1, 2, 100, 128, 129, 3000, 30_000)):
            scores = scores_of(n, seed=number)
            if n < 129:
                scores = {member[:60]: score for member, score in scores.items()}
            order = in_order(scores)
            for source, target in ((there, here), (here, there)):
                source("DEL", "z")
                fill(source, "z", scores)
                payload = source("DUMP", "z")
                assert target("RESTORE", "z", 0, payload, "REPLACE") == "OK"
                assert target("ZRANGE", "z", 0, -1) == order
                assert pairs(target("ZRANGE", "z", 0, -1, "WITHSCORES")) == scores
                assert target("DUMP", "z") == payload
                assert target("OBJECT", "ENCODING", "z") == source("OBJECT", "ENCODING", "z")
        assert here("RESTORE", "z", 0, payload) == Error("BUSYKEY Target key name already exists.")


def test_encodings_follow_the_settings(server):
    with server.connect() as c:
        c("FLUSHALL")
        fill(c, "z", {b"%d" % i: i for i in range(128)})
        assert c("OBJECT", "ENCODING", "z") == b"listpack"
        c("ZADD", "z", 1, "one more")
        assert c("OBJECT", "ENCODING", "z") == b"skiplist"
        c("ZADD", "long", 1, "x" * 65)
        assert c("OBJECT", "ENCODING", "long") == b"skiplist"
        assert c("CONFIG", "SET", "zset-max-ziplist-entries", 2, "zset-max-listpack-value", 3) == "OK"
        assert c("CONFIG", "GET", "zset-max-listpack-entries") == [b"zset-max-listpack-entries", b"2"]
        c("ZADD", "small", 1, "abc", 2, "b")
        assert c("OBJECT", "ENCODING", "small") == b"listpack"
        c("ZADD", "small", 1, "c")
        assert c("OBJECT", "ENCODING", "small") == b"skiplist"
        assert c("CONFIG", "SET", "zset-max-listpack-entries", 128, "zset-max-listpack-value", 64) == "OK"


def test_sorted_sets_outlive_their_server(server):
    directory = tempfile.mkdtemp(prefix="orbit-zsets-")
    flags = ("--log-segment-size", 262144, "--image-log-size", "1mb")
    rnd, model = random.Random(7), {}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for life in range(4):
            own = Server(server.program, *flags, io=server.io, cores=1 + life % 3, directory=directory)
            stack.callback(own.process.kill)
            with own.connect() as c:
                for key, scores in model.items():
                    assert c("ZRANGE", key, 0, -1) == in_order(scores), (life, key)
                    assert pairs(c("ZRANGE", key, 0, -1, "WITHSCORES")) == scores, (life, key)
                    for rank, member in list(enumerate(in_order(scores)))[::97]:
                        assert c("ZRANK", key, member) == rank
                assert c("DBSIZE") == sum(1 for scores in model.values() if scores)
                for step in range(500):
                    change(c, rnd, model, f"z{rnd.randrange(6)}")
                    if life % 2 and step == 300:
                        c("BGSAVE")
            own.kill()


def change(c, rnd, model, key):
    scores = model.setdefault(key, {})
    kind = rnd.random()
    if kind < 0.4 or not scores:
        some = {b"member:%d" % rnd.randrange(3000): round(rnd.uniform(-50, 50), rnd.choice((0, 3)))
                for _ in range(rnd.choice((1, 3, 200)))}
        fill(c, key, some)
        scores.update(some)
    elif kind < 0.6:
        member = rnd.choice(list(scores))
        scores[member] = float(c("ZINCRBY", key, 1.5, member))
    elif kind < 0.8:
        for member in rnd.sample(list(scores), min(5, len(scores))):
            c("ZREM", key, member)
            del scores[member]
    elif kind < 0.9:
        first = rnd.randrange(len(scores))
        last = min(first + rnd.choice((0, 5, 100)), len(scores) - 1)
        for member in in_order(scores)[first:last + 1]:
            del scores[member]
        c("ZREMRANGEBYRANK", key, first, last)
    elif kind < 0.97:
        reply = c("ZPOPMIN", key, 3)
        for member in reply[::2]:
            del scores[member]
    else:
        c("DEL", key)
        scores.clear()


def test_results_that_are_all_of_one_large_sorted_set(server):
    """They share it; neither notices what the other becomes."""
    with server.connect() as c:
        c("FLUSHALL")
        for at in range(0, 20000, 1000):
            c("ZADD", "large", *[word for i in range(at, at + 1000) for word in (i / 4, f"m{i}")])
        ends = (("ZRANGE", 0, 0), ("ZRANGE", -1, -1))
        for command in (("ZUNIONSTORE", "to", 1, "large"), ("ZUNIONSTORE", "to", 2, "none", "large"),
                        ("ZRANGESTORE", "to", "large", 0, -1), ("ZINTERSTORE", "to", 1, "large"), ("ZDIFFSTORE", "to", 2, "large", "none"),
                        ("ZUNIONSTORE", "large", 1, "large", "WEIGHTS", 1)):
            target = command[1]
            assert c(*command) == 20000
            c("ZADD", target, -1, "first")
            c("ZREM", target, "m19999")
            assert [c(name, target, *at) for name, *at in ends] == [[b"first"], [b"m19998"]], command
            if target == "to":
                assert [c(name, "large", *at) for name, *at in ends] == [[b"m0"], [b"m19999"]], command
            assert c("ZSCORE", target, "m7") == b"1.75"
            assert c("ZCARD", target) == 20000
        assert c("ZDIFFSTORE", "to", 2, "none", "large") == 0
        assert c("ZINTERSTORE", "to", 2, "none", "large") == 0
        assert c("ZUNIONSTORE", "to", 1, "large", "WEIGHTS", 2) == 20000
        assert c("ZSCORE", "to", "m7") == b"3.5"
        assert c("ZREMRANGEBYSCORE", "to", "-inf", "+inf") == 20000
        assert c("EXISTS", "to") == 0
        assert c("ZCARD", "large") == 20000
