"""Sessions: what one client's commands do to each other while they wait for cores, locks and fibers."""
import random
import socket
import threading
import time

from support.orbit import Error, Push, Server, encode


def test_a_fiber_that_never_waits_after_calls_that_do(server):
    """The last call of a round begins when another core has answered, and ends at once."""
    with server.connect() as c:
        for i in range(200):
            key = f"last:{i}"
            got = c.pipeline(("SET", key, i), ("GET", key), ("PUBLISH", "nobody", "m"), ("STRLEN", key), ("EXEC",),
                             ("GET", key), ("CLIENT", "LIST", "ID", "x"))
            assert got == ["OK", str(i).encode(), 0, len(str(i)), Error("ERR EXEC without MULTI"), str(i).encode(),
                           Error("ERR Invalid client ID")], got


# ---- CLIENT PAUSE ------------------------------------------------------------------------


def test_a_pause_of_writes_holds_transactions_that_write(server):
    with Server(server.program, io=server.io) as other, other.connect() as admin, other.connect() as c, \
            other.connect() as reader:
        admin("SET", "p", "old")
        assert c.pipeline(("MULTI",), ("SET", "p", "new")) == ["OK", "QUEUED"]
        assert reader.pipeline(("MULTI",), ("GET", "p")) == ["OK", "QUEUED"]
        assert admin("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
        c.send(encode("EXEC"))
        assert reader("EXEC") == [b"old"]
        time.sleep(0.1)
        assert reader("GET", "p") == b"old"
        assert admin("CLIENT", "UNPAUSE") == "OK"
        assert c.reply() == ["OK"]
        assert reader("GET", "p") == b"new"


def test_a_pause_of_writes_lets_scripts_pass_that_declare_none(server):
    reads = "#!lua flags=no-writes\nreturn %d"
    library = "#!lua name=pausing\nredis.register_function{function_name='reads', callback=function() return 4 end, " \
              "flags={'no-writes'}} redis.register_function('writes', function() return 5 end)"
    with Server(server.program, io=server.io) as other, other.connect() as admin, other.connect() as c, \
            other.connect() as held, other.connect() as late:
        admin("SET", "p", "here")
        assert late.pipeline(("MULTI",), ("EVAL", "#!lua\nreturn 7", 0)) == ["OK", "QUEUED"]
        admin("FUNCTION", "LOAD", library)
        sha = admin("SCRIPT", "LOAD", reads % 2)
        assert admin("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
        for _ in range(2):
            assert c("EVAL", reads % 1, 0) == 1
            assert c("EVALSHA", sha, 0) == 2
            assert c("EVAL_RO", "return redis.call('get', 'p')", 1, "p") == b"here"
            assert c("FCALL", "reads", 0) == 4
            assert c.pipeline(("MULTI",), ("EVAL", reads % 1, 0), ("FCALL", "READS", 0), ("EXEC",))[-1] == [1, 4]
        for call in (("EVAL", "return 6", 0), ("EVAL", "#!lua\nreturn 7", 0), ("FCALL", "writes", 0)):
            held.send(encode(*call))
        late.send(encode("EXEC"))
        time.sleep(0.1)
        assert "blocked_clients:2\r" in admin("INFO", "clients").decode()
        assert admin("CLIENT", "UNPAUSE") == "OK"
        assert [held.reply() for _ in range(3)] == [6, 7, 5] and late.reply() == [7]


def test_a_paused_pipeline_runs_once_and_in_order(server):
    with Server(server.program, io=server.io) as other, other.connect() as admin, other.connect() as c:
        assert admin("CLIENT", "PAUSE", "400", "WRITE") == "OK"
        commands = b"".join(encode("INCR", f"n:{i % 7}") for i in range(400)) + b"incr inline\r\nget inline\r\n"
        half = encode("SET", "long", "l" * 30_000)
        c.send(commands + half[:20_000])
        time.sleep(0.1)
        c.send(half[20_000:] + encode("STRLEN", "long"))
        began = time.monotonic()
        assert [c.reply() for _ in range(400)] == [i // 7 + 1 for i in range(400)]
        assert time.monotonic() - began > 0.2
        assert [c.reply() for _ in range(4)] == [1, b"1", "OK", 30_000]
        assert b"incr:calls=401," in admin("INFO", "commandstats")


def test_who_is_killed_in_a_pause_has_written_nothing(server):
    with Server(server.program, io=server.io) as other, other.connect() as admin:
        clients = [other.connect() for _ in range(8)]
        ids = [c("CLIENT", "ID") for c in clients]
        assert admin("CLIENT", "PAUSE", "60000", "WRITE") == "OK"
        for i, c in enumerate(clients):
            c.send(encode("SET", f"killed:{i}", "1"))
        time.sleep(0.1)
        for number in ids:
            assert admin("CLIENT", "KILL", "ID", number) == 1
        for c in clients:
            assert c.is_closed()
        assert admin("CLIENT", "UNPAUSE") == "OK"
        time.sleep(0.1)
        assert admin("EXISTS", *[f"killed:{i}" for i in range(8)]) == 0
        for c in clients:
            c.close()


def test_a_pause_does_not_delay_refusals(server):
    with Server(server.program, "--requirepass", "secret", io=server.io) as other, other.connect() as admin:
        assert admin("AUTH", "secret") == "OK"
        assert admin("CLIENT", "PAUSE", "1000") == "OK"
        with other.connect() as c:
            c.socket.settimeout(0.5)
            assert c("GET", "a") == Error("NOAUTH Authentication required.")


def test_a_stop_ends_a_pause(server):
    with Server(server.program, io=server.io) as other:
        clients = [other.connect() for _ in range(6)]
        assert clients[0]("CLIENT", "PAUSE", "60000") == "OK"
        for i, c in enumerate(clients[1:]):
            c.send(encode("SET", f"k{i}", "1") + encode("MGET", *[f"k{j}" for j in range(5)]))
        time.sleep(0.1)
        began = time.monotonic()
        stopper = threading.Thread(target=other.stop)
        stopper.start()
        for c in clients[1:]:
            assert c.reply() == "OK"
        stopper.join()
        assert other.process.returncode == 0
        assert time.monotonic() - began < 5
        for c in clients:
            c.close()


# ---- words -------------------------------------------------------------------------------


def core_of(key, cores=2):
    crc = 0
    for byte in key.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return (crc % 16384) // 256 % cores


def keys_on(core, name, n):
    """n keys on one of two cores."""
    return [k for k in (f"{name}:{i}" for i in range(20 * n)) if core_of(k) == core][:n]


def hold_locks(client, one, other, rounds=150):
    """A transaction over two shards, some milliseconds a command; others may run in between."""
    client("SET", one, "ab" * 3000)
    client("SET", other, "ba" * 3000)
    client.send(encode("MULTI") + encode("LCS", one, other, "LEN") * rounds + encode("EXEC"))


def replies_and_pushes(c, n):
    replies, pushes = [], []
    while len(replies) < n:
        got = c.reply()
        (pushes if isinstance(got, Push) else replies).append(got)
    return replies, pushes


# ---- replies, pushes, silence --------------------------------------------------------------


def test_messages_come_between_replies_never_inside(server):
    stop = threading.Event()
    rng = random.Random(7)

    def publish(name):
        with server.connect() as p:
            i = 0
            while not stop.is_set():
                p.pipeline(*[("PUBLISH", "news", f"{name} {i + j} " + "m" * ((i + j) % 300)) for j in range(20)])
                i += 20
                time.sleep(0.002)

    subscribers = [server.connect(resp=3) for _ in range(4)]
    with server.connect() as setter:
        setter("MSET", *[w for i in range(30) for w in (f"news:{i}", f"value {i}")])
        setter("SET", "news:big", "b" * 100_000)
    for c in subscribers:
        assert c("SUBSCRIBE", "news") == Push([b"subscribe", b"news", 1])
    threads = [threading.Thread(target=publish, args=(n,)) for n in "ab"]
    for t in threads:
        t.start()
    try:
        for _ in range(60):
            commands, expected = [], []

            def add(command, reply):
                commands.append(command)
                expected.append(reply)

            for _ in range(rng.randint(1, 40)):
                kind = rng.randint(0, 6)
                i = rng.randint(0, 29)
                if kind < 3:
                    add(("GET", f"news:{i}"), f"value {i}".encode())
                elif kind == 3:
                    add(("MGET", f"news:{i}", f"news:{(i + 1) % 30}", "news:0"),
                        [f"value {i}".encode(), f"value {(i + 1) % 30}".encode(), b"value 0"])
                elif kind == 4:
                    add(("GET", "news:big"), b"b" * 100_000)
                elif kind == 5:
                    add(("ECHO", str(i)), str(i).encode())
                else:
                    add(("MULTI",), "OK")
                    add(("GET", f"news:{i}"), "QUEUED")
                    add(("GET", f"news:{i ^ 1}"), "QUEUED")
                    add(("EXEC",), [f"value {i}".encode(), f"value {i ^ 1}".encode()])
            for c in subscribers:
                c.send(b"".join(encode(*command) for command in commands))
            for c in subscribers:
                replies, pushes = replies_and_pushes(c, len(expected))
                assert replies == expected
                c.seen = getattr(c, "seen", {"a": -1, "b": -1})
                for push in pushes:
                    assert push[:2] == [b"message", b"news"], push
                    name, number, text = push[2].decode().split(" ")
                    assert int(number) == c.seen[name] + 1 or c.seen[name] == -1
                    assert text == "m" * (int(number) % 300)
                    c.seen[name] = int(number)
    finally:
        stop.set()
        for t in threads:
            t.join()
        for c in subscribers:
            c.close()


def test_messages_wait_for_the_end_of_a_transaction(server):
    """A client that subscribes in a transaction would take a message for EXEC's reply."""
    one, other = keys_on(0, "wait", 1)[0], keys_on(1, "wait", 1)[0]
    stop = threading.Event()

    def publish():
        with server.connect() as p:
            while not stop.is_set():
                p.pipeline(*[("PUBLISH", "wait", "m")] * 10)

    threads = [threading.Thread(target=publish) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        for i in range(40):
            with server.connect(resp=2 + i % 2) as c:
                c("MSET", one, "1", other, "2")
                got = c.pipeline(("MULTI",), ("SUBSCRIBE", "wait"), *[("MGET", one, other)] * 20, ("EXEC",))
                assert got[:22] == ["OK"] + ["QUEUED"] * 21
                assert got[22] == [[b"subscribe", b"wait", 1]] + [[b"1", b"2"]] * 20, got[22]
    finally:
        stop.set()
        for t in threads:
            t.join()
    for i in range(40):
        with server.connect(resp=2 + i % 2) as c:
            self = f"self{i}"  # the server may not have seen yet that the client before is gone
            got = c.pipeline(("MULTI",), ("SUBSCRIBE", self), ("GET", one), ("PUBLISH", self, "a"), ("GET", other),
                             ("PUBLISH", self, "b"), ("EXEC",))
            assert got[-1] == [[b"subscribe", self.encode(), 1], b"1", 1, b"2", 1], got[-1]
            assert [c.reply() for _ in range(2)] == [[b"message", self.encode(), m] for m in (b"a", b"b")]


def test_silence_in_pipelines_over_shards(server):
    keys = [k for pair in zip(keys_on(0, "mute", 20), keys_on(1, "mute", 20)) for k in pair]
    with server.connect() as c:
        c.send(b"".join([encode("CLIENT", "REPLY", "OFF"), *[encode("SET", k, "1") for k in keys], encode("MGET", *keys),
                         encode("MULTI"), *[encode("INCR", k) for k in keys], encode("EXEC"), encode("NOSUCH"),
                         encode("PUBLISH", "mute", "m"), encode("CLIENT", "REPLY", "ON"), encode("GET", keys[0])]))
        assert [c.reply() for _ in range(2)] == ["OK", b"2"]
        for spoken_of in (("GET", keys[0]), ("GET", keys[1]), ("MGET", *keys), ("NOSUCH",), ("MULTI",), ("PING",)):
            c.send(b"".join([encode("GET", keys[3]), encode("CLIENT", "REPLY", "SKIP"), encode(*spoken_of),
                             encode("GET", keys[1])]))
            assert c.reply() == b"2"
            assert c.reply() == ("QUEUED" if spoken_of == ("MULTI",) else b"2"), spoken_of
            if spoken_of == ("MULTI",):
                assert c("EXEC") == [b"2"]
        c.send(encode("CLIENT", "REPLY", "SKIP") * 2 + encode("PING") + encode("ECHO", "heard"))
        assert c.reply() == b"heard"


def test_muted_large_values_are_given_back(server):
    one, other = keys_on(0, "lent", 1)[0], keys_on(1, "lent", 1)[0]
    with server.connect() as c:
        for k in (one, other):
            c("SET", k, "x" * 200_000)
        c.send(encode("CLIENT", "REPLY", "OFF") + (encode("GET", one) + encode("GET", other)) * 50 +
               encode("CLIENT", "REPLY", "ON"))
        assert c.reply() == "OK"
        assert c.pipeline(("APPEND", one, "y"), ("APPEND", other, "y"), ("DEL", one, other)) == [200_001, 200_001, 2]


def test_choices_take_effect_where_they_stand_in_a_pipeline(server):
    keys = keys_on(0, "db", 3) + keys_on(1, "db", 3)
    with server.connect() as c:
        commands, expected = [], []
        for db in (3, 0, 5, 3):
            commands += [("SELECT", db), *[("GETSET", k, f"{db} {k}") for k in keys], ("MGET", *keys)]
        got = c.pipeline(*commands)
        assert got[1:7] == [None] * 6 and got[0] == "OK"
        assert got[7] == [f"3 {k}".encode() for k in keys]
        assert got[8:15] == ["OK"] + [None] * 6
        assert got[23] == [f"5 {k}".encode() for k in keys]
        assert got[25:31] == [f"3 {k}".encode() for k in keys]
        del expected
        raw = []
        c.send(b"".join([encode("SELECT", 0), encode("GET", "db:none"), encode("HELLO", 3), encode("GET", "db:none"),
                         encode("MGET", "db:none", keys[0]), encode("HELLO", 2), encode("GET", "db:none")]))
        for _ in range(7):
            raw.append(c.raw_reply())
        assert raw[1] == b"$-1\r\n" and raw[2][:1] == b"%" and raw[3] == b"_\r\n"
        assert raw[4].startswith(b"*2\r\n_\r\n$") and raw[5][:1] == b"*" and raw[6] == b"$-1\r\n"
        c.send(b"".join([encode("HELLO", 3), encode("MULTI"), encode("GET", "db:none"), encode("HELLO", 2),
                         encode("GET", "db:none"), encode("EXEC")]))
        raw = [c.raw_reply() for _ in range(6)]
        assert raw[5].startswith(b"*3\r\n_\r\n*14\r\n") and raw[5].endswith(b"$-1\r\n"), raw[5]


def test_quit_and_reset_in_the_middle_of_a_pipeline(server):
    one, other = keys_on(0, "end", 1)[0], keys_on(1, "end", 1)[0]
    with server.connect() as c:
        c("MSET", one, "1", other, "1")
        c.send(encode("INCR", one) + encode("INCR", other) + encode("QUIT") + encode("INCR", one) + encode("INCR", other))
        assert [c.reply() for _ in range(3)] == [2, 2, "OK"]
        assert c.is_closed()
    with server.connect(resp=3) as c, server.connect() as p:
        c.send(encode("SUBSCRIBE", "end") + encode("SELECT", 4) + encode("CLIENT", "SETNAME", "me") + encode("MULTI") +
               encode("INCR", one) + encode("RESET") + encode("GET", one) + encode("GET", other) + encode("CLIENT", "GETNAME") +
               encode("GET", "end:none") + encode("EXEC"))
        got = [c.reply() for _ in range(10)]
        assert got[4:10] == ["QUEUED", "RESET", b"2", b"2", None, None]
        assert c.reply() == Error("ERR EXEC without MULTI")
        assert p("PUBLISH", "end", "m") == 0
        assert c("PING") == "PONG"


# ---- ends ----------------------------------------------------------------------------------


def test_clients_that_go_while_they_wait(server):
    """Killed, reset, half-closed or gone, with rounds parked on locks of both cores."""
    ones, others = keys_on(0, "gone", 4), keys_on(1, "gone", 4)
    rng = random.Random(3)
    with server.connect() as holder, server.connect() as admin, server.connect() as stayer:
        for _ in range(4):
            admin("MSET", *[w for k in ones + others for w in (k, "x" * 30_000)])
            hold_locks(holder, ones[0], others[0], 40)
            clients = []
            for i in range(60):
                c = server.connect()
                number = c("CLIENT", "ID")
                c.send(rng.choice([
                    encode("GET", ones[0]) + encode("GET", others[0]) * 5 + encode("GET", ones[1]),
                    encode("MGET", ones[0], others[1]) + encode("SET", ones[2], "y"),
                    encode("MULTI") + encode("GET", ones[1]) + encode("APPEND", others[0], "z") + encode("EXEC"),
                    encode("WATCH", ones[0], others[0]) + encode("GET", others[1]),
                    encode("DEL", others[0], ones[3]) + encode("PUBLISH", "gone", "m"),
                    encode("SELECT", 1) + encode("FLUSHDB") + encode("SELECT", 0),
                ]))
                clients.append((c, number))
            stayer.send(encode("STRLEN", ones[1]) + encode("STRLEN", ones[0]))
            time.sleep(0.02)
            for i, (c, number) in enumerate(clients):
                if i % 4 == 0:
                    assert admin("CLIENT", "KILL", "ID", number) == 1
                elif i % 4 == 1:
                    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                elif i % 4 == 2:
                    c.socket.shutdown(socket.SHUT_WR)
            for i, (c, number) in enumerate(clients):
                if i % 4 != 2:
                    c.close()
            assert holder.reply() == "OK"
            assert [holder.reply() for _ in range(40)] == ["QUEUED"] * 40
            assert len(holder.reply()) == 40
            assert isinstance(stayer.reply(), int) and isinstance(stayer.reply(), int)
            for i, (c, number) in enumerate(clients):
                if i % 4 == 2:
                    assert c.is_closed()
                    c.close()
            for k in ones + others:
                stayer("SET", k, "free again")
            assert stayer("MGET", *ones, *others) == [b"free again"] * 8
        time.sleep(0.2)
        assert b"connected_clients:3\r" in admin("INFO", "clients")


def test_a_stop_in_the_midst_of_everything(server):
    for seed in range(5):
        rng = random.Random(seed)
        ones, others = keys_on(0, "stop", 4), keys_on(1, "stop", 4)
        with Server(server.program, "--shutdown-timeout", "5", io=server.io) as other:
            with other.connect() as c:
                c("MSET", *[w for k in ones + others for w in (k, "x" * 20_000)])
            subscribers = [other.connect(resp=3) for _ in range(4)]
            for c in subscribers:
                c("SUBSCRIBE", "stop")
            clients = [other.connect() for _ in range(40)]
            hold_locks(clients[0], ones[3], others[3], 20)
            if seed % 2:
                clients[1].send(encode("CLIENT", "PAUSE", "60000", rng.choice(["WRITE", "ALL"])))
            for c in clients[2:]:
                c.send(b"".join(rng.choice([
                    encode("MULTI") + encode("APPEND", ones[0], "1") + encode("APPEND", others[0], "1") + encode("EXEC"),
                    encode("PUBLISH", "stop", "m" * 500), encode("MGET", *ones, *others), encode("GET", ones[1]),
                    encode("WATCH", ones[2], others[2]), encode("FLUSHALL"), encode("MSET", ones[1], "1", others[1], "2"),
                    encode("SWAPDB", 0, 1), encode("CLIENT", "LIST"), encode("COPY", ones[3], others[2], "REPLACE"),
                ]) for _ in range(30)))
            time.sleep(rng.random() * 0.05)
            began = time.monotonic()
            assert other.stop() == 0, other.log_text()
            assert time.monotonic() - began < 8
            for c in clients + subscribers:
                c.close()


def test_reading_what_was_asked_before_the_stop(server):
    """Whole transactions, whole replies; then the end."""
    with Server(server.program, io=server.io) as other:
        ones, others = keys_on(0, "whole", 2), keys_on(1, "whole", 2)
        clients = [other.connect() for _ in range(10)]
        hold_locks(clients[0], ones[0], others[0], 40)
        assert clients[0].reply() == "OK"
        for c in clients[1:]:
            c.send(encode("INCRBY", ones[1], 1) + encode("GET", others[0]) + encode("MGET", ones[0], others[0]))
        time.sleep(0.05)
        stopper = threading.Thread(target=other.stop)
        stopper.start()
        for c in clients[1:]:
            assert isinstance(c.reply(), int)
            assert c.reply() == b"ba" * 3000
            assert c.reply() == [b"ab" * 3000, b"ba" * 3000]
            assert c.is_closed()
        stopper.join()
        assert other.process.returncode == 0
        for c in clients:
            c.close()


# ---- messages ----------------------------------------------------------------------------


def test_a_message_reaches_each_subscriber_in_its_own_wire(server):
    """Those of a topic share what was said to the one before, if that speaks the same."""
    wires = [2, 2, 3, 2, 3, 3, 2, 3] * 4
    with server.connect() as publisher:
        for command, kind, topic in (("SUBSCRIBE", b"message", "wire:1"), ("PSUBSCRIBE", b"pmessage", "wire:*")):
            listeners = [server.connect(resp=wire) for wire in wires]
            for c in listeners:
                assert c(command, topic)[1:] == [topic.encode(), 1]
            for text in (b"one", b"", b"x" * 100_000, b"two"):
                assert publisher("PUBLISH", "wire:1", text) == len(wires)
                expected = [kind, topic.encode(), b"wire:1", text] if kind == b"pmessage" else [kind, b"wire:1", text]
                for wire, c in zip(wires, listeners):
                    message = c.reply()
                    assert message == expected
                    assert isinstance(message, Push) == (wire == 3)
            for c in listeners:
                c.close()
            while publisher("PUBLISH", "wire:1", "") > 0:
                pass


# ---- shard channels ----------------------------------------------------------------------


def test_shard_channels_are_apart_from_the_others(server):
    with server.connect(resp=3) as c, server.connect() as other:
        assert c("SSUBSCRIBE", "one") == Push([b"ssubscribe", b"one", 1])
        assert c("SUBSCRIBE", "one") == Push([b"subscribe", b"one", 1])
        assert other("PUBSUB", "SHARDNUMSUB", "one", "two") == [b"one", 1, b"two", 0]
        assert other("PUBSUB", "SHARDCHANNELS", "o*") == [b"one"]
        assert other("PUBSUB", "SHARDCHANNELS", "x*") == []
        assert other("SPUBLISH", "one", "m") == 1
        assert c.reply() == Push([b"smessage", b"one", b"m"])
        assert other("PUBLISH", "one", "m") == 1
        assert c.reply() == Push([b"message", b"one", b"m"])
        assert c("SUNSUBSCRIBE") == Push([b"sunsubscribe", b"one", 0])
        assert other("SPUBLISH", "one", "m") == 0


def test_a_transaction_does_not_listen_to_shard_channels(server):
    with server.connect() as c:
        assert c.pipeline(("MULTI",), ("SSUBSCRIBE", "t"), ("PING",), ("EXEC",)) == [
            "OK", "QUEUED", "QUEUED", [Error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"), "PONG"]]
        assert c("PUBSUB", "SHARDCHANNELS") == []
