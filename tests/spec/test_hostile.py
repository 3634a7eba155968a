"""Hostile input: a clear error or a bounded end, and nobody else is harmed."""
import os
import socket
import time

from support.orbit import Error, encode


def healthy(server):
    with server.connect() as c:
        assert c("PING") == "PONG"


def last_words(server, data):
    """What the server says to these bytes before it closes."""
    with server.connect() as c:
        c.send(data)
        said = b""
        try:
            while True:
                got = c.socket.recv(65536)
                if not got:
                    return said
                said += got
        except ConnectionResetError:
            return said


def test_broken_protocol_gets_redis_words(server):
    for data, words in (
        (b"*1048577\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*3000000000\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*x\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"*1\r\n!3\r\n", b"-ERR Protocol error: expected '$', got '!'\r\n"),
        (b"*1\r\n$-5\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*1\r\n$9999999999\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"x" * 70000, b"-ERR Protocol error: too big inline request\r\n"),
        (b'set "x\r\n', b"-ERR Protocol error: unbalanced quotes in request\r\n"),
        (encode("SET", "a", "1") + b"*1\r\n$-5\r\n", b"+OK\r\n-ERR Protocol error: invalid bulk length\r\n"),
    ):
        assert last_words(server, data) == words, data[:40]
    healthy(server)


def test_declared_lengths_cost_nothing(server):
    connections = []
    for _ in range(50):
        c = server.connect()
        c.send(b"*1000000\r\n$500000000\r\nabc")
        connections.append(c)
    healthy(server)
    with open(f"/proc/{server.process.pid}/statm") as f:
        resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    for c in connections:
        c.close()
    assert resident < 1 << 30, resident


def test_junk(server):
    for i in range(60):
        with server.connect() as c:
            c.send(os.urandom(3000))
        with server.connect() as c:
            c.send(b"\0" * i + b"\r\n" * i + b"*0\r\n*-1\r\n" + encode("PING"))
    healthy(server)


def test_half_closed_gets_its_answers(server):
    with server.connect() as c:
        c.send(encode("SET", "half", "1") + encode("GET", "half") * 100)
        c.socket.shutdown(socket.SHUT_WR)
        assert [c.reply() for _ in range(101)] == ["OK"] + [b"1"] * 100
        assert c.is_closed()


def test_gone_before_the_answer(server):
    with server.connect() as c:
        c("SET", "big", "x" * 1_000_000)
    for _ in range(30):
        with server.connect() as c:
            c.send(encode("GET", "big") * 20)
    healthy(server)


def test_a_slow_reader_is_bounded(server):
    with server.connect() as c:
        c("SET", "slow", "x" * 10_000)
        c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.socket.settimeout(1)
        sent = 0
        try:
            for _ in range(4000):
                c.send(encode("GET", "slow") * 10)
                sent += 10
        except (TimeoutError, socket.timeout):
            pass
        with server.connect() as other:
            for _ in range(50):
                assert other("PING") == "PONG"
        with open(f"/proc/{server.process.pid}/statm") as f:
            resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert resident < 1 << 30, resident


def test_many_that_never_speak(server):
    silent = []
    for _ in range(800):
        s = socket.create_connection(("127.0.0.1", server.port))
        silent.append(s)
    healthy(server)
    for s in silent:
        s.close()
    time.sleep(0.1)
    healthy(server)


def test_unknown_and_odd_commands(server):
    with server.connect() as c:
        assert c("NOSUCH", "a", "b") == Error("ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ")
        assert c("GET") == Error("ERR wrong number of arguments for 'get' command")
        assert c("") == Error("ERR unknown command '', with args beginning with: ")
        assert isinstance(c("x" * 100000), Error)
        assert isinstance(c("JSON.GET", "k"), Error)
        assert c("PING") == "PONG"
