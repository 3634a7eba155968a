"""Values that leave memory: little memory, many values, and every command sees them all the same."""
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time

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


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


@contextlib.contextmanager
def own_server(server, *flags, cores=None):
    """One that no other test has used."""
    directory = tempfile.mkdtemp(prefix="orbit-tier-")
    own = Server(server.program, *FLAGS, *flags, io=server.io, cores=cores or server.cores, directory=directory)
    try:
        own.tier = os.path.join(directory, "data", "tier")
        yield own
    finally:
        own.kill()
        shutil.rmtree(directory, True)


def test_keys_come_and_go_without_their_values(server):
    with filled(server) as c:
        f = facts(c)
        reads, size = int(f["tier_reads"]), c("DBSIZE")
        cold = [f"k{cold_key(c)}"]
        cold += [f"k{i}" for i in range(int(cold[0][1:]) + 1, 400) if c("MEMORY", "USAGE", f"k{i}") < 400][:4]
        assert len(cold) == 5
        assert c("TOUCH", *cold[:2]) == 2
        assert c("OBJECT", "REFCOUNT", cold[0]) == 1
        assert c("OBJECT", "IDLETIME", cold[1]) >= 0
        assert 24 < c("MEMORY", "USAGE", cold[0]) < 100
        assert c("PEXPIRE", cold[0], 20) == 1
        assert c("DEL", cold[1]) == 1
        assert c("UNLINK", cold[2]) == 1
        assert not isinstance(c("SET", cold[3], "short"), Error)
        dumped = c("DUMP", cold[3])
        assert not isinstance(c("RESTORE", cold[4], 0, dumped, "REPLACE"), Error)
        for _ in range(200):
            if c("DBSIZE") == size - 3:
                break
            time.sleep(0.02)
        assert c("DBSIZE") == size - 3
        assert c("EXISTS", *cold[:3]) == 0
        assert int(facts(c)["tier_reads"]) == reads
        assert c("GET", cold[4]) == b"short"
        run(c, [("SET", k, value(int(k[1:]))) for k in cold])


def test_commands_that_need_values(server):
    with filled(server) as c:
        i = cold_key(c)
        dumped = c("DUMP", f"k{i}")
        assert not isinstance(c("RESTORE", "restored", 0, dumped), Error)
        assert c("GET", "restored") == value(i)
        i = cold_key(c)
        assert c("GETDEL", f"k{i}") == value(i)
        c("SET", f"k{i}", value(i))
        i = cold_key(c)
        assert c("GETRANGE", f"k{i}", 3, 9) == value(i)[3:10]
        i = cold_key(c)
        end = len(value(i))
        assert c("SETRANGE", f"k{i}", end - 50, "y" * 100) == end + 50
        assert c("GET", f"k{i}") == value(i)[:-50] + b"y" * 100
        c("SET", f"k{i}", value(i))
        i = cold_key(c)
        assert c("BITCOUNT", f"k{i}") == sum(bin(b).count("1") for b in value(i))
        i = cold_key(c)
        assert str(c("INCR", f"k{i}")).startswith("ERR value is not an integer")
        i = cold_key(c)
        assert c("GETEX", f"k{i}", "PERSIST") == value(i)
        c("DEL", "restored")


def test_a_walk_over_all_keys_reads_nothing(server):
    with filled(server) as c:
        reads, cursor, seen = int(facts(c)["tier_reads"]), "0", set()
        while True:
            cursor, names = c("SCAN", cursor, "COUNT", 500)
            seen.update(names)
            if cursor in (b"0", "0"):
                break
        assert {f"k{i}".encode() for i in range(KEYS)} <= seen
        assert c("RANDOMKEY") in seen
        assert len(c("KEYS", "k1*")) > 1000
        assert int(facts(c)["tier_reads"]) == reads


def test_images_are_written_while_values_move(server):
    with filled(server) as c:
        saved = int(facts(c)["rdb_saves"]) if "rdb_saves" in facts(c) else 0
        c("BGSAVE")
        ask = random.sample(range(KEYS), 2000)
        assert run(c, [("GET", f"k{i}") for i in ask]) == [value(i) for i in ask]
        for _ in range(500):
            f = facts(c)
            if f["rdb_bgsave_in_progress"] == "0":
                break
            time.sleep(0.02)
        assert f["rdb_bgsave_in_progress"] == "0" and f["rdb_last_bgsave_status"] == "ok", saved


def test_another_policy_and_back(server):
    with own_server(server) as own, own.connect(timeout=60) as c:
        run(c, [("SET", f"k{i}", value(i)) for i in range(6000)])
        assert int(facts(c)["tier_keys"]) > 2000
        c("CONFIG", "SET", "maxmemory-policy", "noeviction")
        replies = run(c, [("SET", f"more{i}", "x" * 700) for i in range(2000)])
        assert str(replies[-1]).startswith("OOM")
        c("CONFIG", "SET", "maxmemory", 0)
        assert run(c, [("GET", f"k{i}") for i in range(6000)]) == [value(i) for i in range(6000)]
        assert int(facts(c)["tier_keys"]) == 0
        c("CONFIG", "SET", "maxmemory", MEMORY)
        c("CONFIG", "SET", "maxmemory-policy", "tier")
        replies = run(c, [("SET", f"more{i}", "x" * 700) for i in range(100)])
        assert not any(isinstance(r, Error) for r in replies), replies
        assert int(facts(c)["tier_keys"]) > 2000
        assert run(c, [("GET", f"k{i}") for i in range(6000)]) == [value(i) for i in range(6000)]
        c("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        run(c, [("SET", f"other{i}", "x" * 700) for i in range(3000)])
        assert c("DBSIZE") < 9000
        assert int(facts(c)["used_memory"]) < MEMORY * 1.1
        for i in range(0, 6000, 50):
            assert c("GET", f"k{i}") in (None, value(i))


def test_files_go_when_all_is_flushed(server):
    with own_server(server) as own, own.connect(timeout=60) as c:
        run(c, [("SET", f"k{i}", value(i)) for i in range(9000)])
        before = sum(os.path.getsize(os.path.join(own.tier, name)) for name in os.listdir(own.tier))
        assert before > 3 << 20
        c("FLUSHALL")
        for _ in range(50): # keys are freed in the background
            c("SAVE")
            after = sum(os.path.getsize(os.path.join(own.tier, name)) for name in os.listdir(own.tier))
            if after <= server.cores * (2 << 20):
                break
            time.sleep(0.05)
        assert after <= server.cores * (2 << 20), (before, after)
        assert int(facts(c)["tier_keys"]) == 0


def test_a_burst_of_writes_is_held_back(server):
    """Many connections write as fast as they can: nobody is refused, and memory stays what was allowed."""
    with own_server(server) as own:
        own.connect(timeout=60).close()
        begin, faults, most = resident(own), [], [0]

        def client(number):
            try:
                with own.connect(timeout=120) as c:
                    for at in range(0, 400, 20):
                        c.send(b"".join(encode("SET", f"b{number}:{at + i}", str(number) * 3000) for i in range(20)))
                        for _ in range(20):
                            reply = c.reply()
                            if isinstance(reply, Error):
                                raise RuntimeError(str(reply))
            except Exception as fault:
                faults.append(fault)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(40)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            most[0] = max(most[0], resident(own))
            time.sleep(0.01)
        assert not faults, faults[0]
        # Of 80 MB; 40 times 20 values of up to 6 KB are on their way at a time, and buffers grow in steps.
        allowed = MEMORY + (38 << 20)
        assert server.is_sanitized() or most[0] - begin < allowed, (begin, most[0])
        with own.connect(timeout=60) as c:
            assert all(c("GET", f"b{n}:{i}") == (str(n) * 3000).encode() for n in range(40) for i in (0, 199, 399))


def test_long_values(server):
    with own_server(server, "--maxmemory", 16 << 20) as own, own.connect(timeout=60) as c:
        long = [bytes([65 + i]) * (1 << 20) for i in range(40)]
        for i in range(40):
            assert not isinstance(c("SET", f"long{i}", long[i]), Error)
        assert int(facts(c)["tier_keys"]) >= 20
        assert int(facts(c)["used_memory"]) < 24 << 20
        for i in random.sample(range(40), 40):
            assert c("GET", f"long{i}") == long[i]
        assert c("MGET", "long1", "long39") == [long[1], long[39]]
        assert c("APPEND", "long0", "x") == (1 << 20) + 1
        assert c("STRLEN", "long5") == 1 << 20


def damage(folder):
    """One bit in each block of each file."""
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "r+b") as f:
            data = bytearray(f.read())
            for at in range(4096 + 1000, len(data), 8192):
                data[at] ^= 16
            f.seek(0)
            f.write(data)
