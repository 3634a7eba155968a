"""Values that leave memory: little memory, many values, and every command sees them all the same."""
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading

from support.orbit import Error, Server, encode

MEMORY = 2 << 20
FLAGS = ("--maxmemory", MEMORY, "--maxmemory-policy", "tier", "--log-segment-size", 262144)
KEYS = 12000


def value(i):
    return (f"{i}:" * 150)[:700].encode()


def run(c, calls):
    """Pipelined in pieces."""
    replies = []
    for at in range(0, len(calls), 100):
        piece = calls[at:at + 100]
        c.send(b"".join(encode(*call) for call in piece))
        replies += [c.reply() for _ in piece]
    return replies


def filled(server):
    """A connection to a server that has all values."""
    c = server.connect(timeout=60)
    if c("EXISTS", "k0", f"k{KEYS - 1}") < 2:
        replies = run(c, [("SET", f"k{i}", value(i)) for i in range(KEYS)])
        assert all(not isinstance(r, Error) for r in replies), next(r for r in replies if isinstance(r, Error))
    return c


def facts(c):
    lines = c("INFO", "all").decode().split("\r\n")
    return {name: text for name, _, text in (line.partition(":") for line in lines) if name}


def cold_key(c):
    """A key whose value is not in memory: what nobody has asked for for longest."""
    usage = run(c, [("MEMORY", "USAGE", f"k{i}") for i in range(400)])
    return next(i for i in range(400) if usage[i] < 400)


def test_more_values_than_memory(server):
    with filled(server) as c:
        f = facts(c)
        assert int(f["tier_keys"]) > KEYS // 2, f["tier_keys"]
        assert int(f["tier_demotions"]) >= int(f["tier_keys"])
        assert int(f["used_memory"]) < MEMORY * 1.1, f["used_memory"]
        for _ in range(2):
            ask = random.sample(range(KEYS), 3000)
            assert run(c, [("GET", f"k{i}") for i in ask]) == [value(i) for i in ask]
        assert int(facts(c)["tier_reads"]) > 1000
        assert int(facts(c)["used_memory"]) < MEMORY * 1.1


def test_clients_at_the_same_time(server):
    faults = []

    def client(number):
        rnd = random.Random(number)
        try:
            with server.connect(timeout=60) as c:
                for _ in range(30):
                    ask = [rnd.randrange(KEYS) for _ in range(40)]
                    if run(c, [("GET", f"k{i}") for i in ask]) != [value(i) for i in ask]:
                        faults.append("another value")
                    mine = [f"own{number}:{rnd.randrange(50)}" for _ in range(20)]
                    run(c, [("SET", k, k.encode() * 60) for k in mine])
                    if run(c, [("GET", k) for k in mine]) != [k.encode() * 60 for k in mine]:
                        faults.append("another value of its own")
        except Exception as fault:
            faults.append(fault)

    filled(server).close()
    threads = [threading.Thread(target=client, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, faults[0]


def test_a_pipeline_keeps_its_order(server):
    with filled(server) as c:
        for _ in range(20):
            k = f"k{cold_key(c)}"
            before = c("STRLEN", k)
            c.send(encode("APPEND", k, "x") + encode("GET", k) + encode("SET", k, "short") + encode("GET", k) +
                   encode("SET", k, value(int(k[1:]))) + encode("STRLEN", k))
            replies = [c.reply() for _ in range(6)]
            assert replies[0] == before + 1
            assert replies[1] == value(int(k[1:])) + b"x"
            assert replies[3] == b"short"
            assert replies[5] == before


def test_commands_that_need_no_value(server):
    with filled(server) as c:
        k = f"k{cold_key(c)}"
        reads = int(facts(c)["tier_reads"])
        assert c("EXISTS", k) == 1
        assert c("TYPE", k) in ("string", b"string")
        assert c("STRLEN", k) == len(value(int(k[1:])))
        assert c("OBJECT", "ENCODING", k) == b"raw"
        assert c("EXPIRE", k, 1000) == 1
        assert 990 < c("TTL", k) <= 1000
        assert c("PERSIST", k) == 1
        assert int(facts(c)["tier_reads"]) == reads
        assert c("GET", k) == value(int(k[1:]))
        k = f"k{cold_key(c)}"
        assert c("SET", k, "new", "GET") == value(int(k[1:]))
        c("SET", k, value(int(k[1:])))


def test_several_keys(server):
    with filled(server) as c:
        ask = random.sample(range(KEYS), 200)
        assert c("MGET", *[f"k{i}" for i in ask]) == [value(i) for i in ask]
        i = cold_key(c)
        assert not isinstance(c("RENAME", f"k{i}", "renamed"), Error)
        assert c("GET", "renamed") == value(i)
        assert c("COPY", "renamed", f"k{i}") == 1
        assert c("GET", f"k{i}") == value(i)
        assert c("DEL", "renamed") == 1
        i = cold_key(c)
        assert c("MOVE", f"k{i}", 3) == 1
        c("SELECT", 3)
        assert c("GET", f"k{i}") == value(i)
        assert c("MOVE", f"k{i}", 0) == 1
        c("SELECT", 0)
        assert c("GET", f"k{i}") == value(i)


def test_transactions(server):
    with filled(server) as c:
        for n in range(10):
            ask = random.sample(range(KEYS), 5)
            c.send(encode("MULTI") + b"".join(encode("GET", f"k{i}") for i in ask) +
                   encode("APPEND", f"k{ask[0]}", "x") + encode("SET", f"k{ask[0]}", value(ask[0])) + encode("EXEC"))
            replies = [c.reply() for _ in range(9)]
            assert replies[-1][:5] == [value(i) for i in ask], replies[-1]
            assert replies[-1][5] == len(value(ask[0])) + 1


def test_watch_sees_no_change_in_leaving_and_coming_back(server):
    with filled(server) as c, server.connect(timeout=60) as other:
        i = cold_key(c)
        reads = int(facts(c)["tier_reads"])
        assert not isinstance(c("WATCH", f"k{i}", "none", "GET"), Error)
        assert int(facts(c)["tier_reads"]) == reads
        assert other("GET", f"k{i}") == value(i)
        run(other, [("GET", f"k{j}") for j in range(2000)])
        c("MULTI")
        c("PING")
        assert c("EXEC") is not None


def test_no_memory_at_all(server):
    with filled(server) as c:
        replies = run(c, [("SET", f"tiny{i}", "1") for i in range(60000)])
        assert any(isinstance(r, Error) and str(r).startswith("OOM") for r in replies)
        run(c, [("DEL", f"tiny{i}") for i in range(60000)])
        assert not isinstance(c("SET", "again", "x" * 500), Error)
        assert c("GET", "k1") == value(1)


def test_restart(server):
    """Killed and started with another number of cores; then one bit of a cold value is wrong."""
    directory = tempfile.mkdtemp(prefix="orbit-tier-")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, True)
        for cores in (server.cores, 3, 1):
            own = Server(server.program, *FLAGS, io=server.io, cores=cores, directory=directory)
            try:
                with own.connect(timeout=60) as c:
                    if cores == server.cores:
                        run(c, [("SET", f"k{i}", value(i)) for i in range(6000)])
                        c("SAVE")
                        run(c, [("SET", f"k{i}", value(i)) for i in range(1000)])
                    assert int(facts(c)["used_memory"]) < MEMORY * 1.2
                    assert run(c, [("GET", f"k{i}") for i in range(6000)]) == [value(i) for i in range(6000)]
            finally:
                own.kill()
            done = subprocess.run([server.program, "check", os.path.join(directory, "data")], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, done.stdout[-2000:]
        saved = os.path.join(directory, "saved")
        os.mkdir(saved)
        done = subprocess.run([server.program, "check", os.path.join(directory, "data"), "--salvage",
                               os.path.join(saved, "data")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-2000:]
        own = Server(server.program, *FLAGS, io=server.io, cores=2, directory=saved)
        try:
            with own.connect(timeout=60) as c:
                assert run(c, [("GET", f"k{i}") for i in range(6000)]) == [value(i) for i in range(6000)]
        finally:
            own.kill()
        damage(os.path.join(directory, "data", "tier"))
        done = subprocess.run([server.program, "check", os.path.join(directory, "data")], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode != 0
        own = Server(server.program, *FLAGS, io=server.io, cores=server.cores, directory=directory)
        try:
            with own.connect(timeout=60) as c:
                replies = run(c, [("GET", f"k{i}") for i in range(6000)])
                lost = [i for i in range(6000) if isinstance(replies[i], Error)]
                assert 0 < len(lost) < 6000
                assert all(replies[i] == value(i) for i in range(6000) if i not in set(lost))
                assert str(replies[lost[0]]).startswith("IOERR")
                assert c("EXISTS", f"k{lost[0]}") == 1
                assert not isinstance(c("SET", f"k{lost[0]}", "new"), Error)
                assert c("GET", f"k{lost[0]}") == b"new"
                assert c("DEL", f"k{lost[-1]}") == 1
        finally:
            own.kill()


def damage(folder):
    """One bit in each block of each file."""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "r+b") as f:
            data = bytearray(f.read())
            for at in range(4096 + 1000, len(data), 8192):
                data[at] ^= 16
            f.seek(0)
            f.write(data)
