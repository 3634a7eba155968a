"""Starting, stopping, listeners: each test runs servers of its own."""
import ctypes
import os
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

from support.orbit import Connection, Error, Server, encode

GROUNDS = (("uring", 2), ("epoll", 2))


def test_unix_socket(server):
    with Connection(path=server.unix) as c:
        assert c.pipeline(("SET", "unix", "1"), ("GET", "unix")) == ["OK", b"1"]


def test_http(server):
    def get(path, method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{server.http_port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    assert get("/livez")[0] == 200
    assert get("/readyz")[0] == 200
    status, text = get("/metrics")
    assert status == 200 and "# TYPE orbit_commands_total counter" in text
    assert get("/nothing")[0] == 404
    assert get("/metrics", "DELETE")[0] == 405


def test_drain_answers_what_was_asked(server):
    with Server(server.program, io=server.io) as other:
        with other.connect() as c:
            c.send(encode("SET", "drained", "x" * 100_000) + encode("GET", "drained") * 50)
            time.sleep(0.05)
            stopper = threading.Thread(target=other.stop)
            stopper.start()
            assert c.reply() == "OK"
            for _ in range(50):
                assert len(c.reply()) == 100_000
            assert c.is_closed()
            stopper.join()


def test_help_is_where_it_is_looked_for(server):
    for words in ([], ["help"], ["--help"], ["serve", "--help"], ["serve", "-h"]):
        done = subprocess.run([server.program, *words], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0 and "--data-dir" in done.stdout, words


def test_one_server_for_a_directory(server):
    with Server(server.program, io=server.io) as other:
        again = subprocess.run([server.program, "serve", "--data-dir", os.path.join(other.directory, "data"),
                                "--resp-port", "0", "--http-port", "0"], capture_output=True, text=True, timeout=20)
        assert again.returncode == 1
        assert "in use by another server" in again.stderr


def test_refusals_say_what_to_do(server):
    def refuse(*flags):
        with tempfile.TemporaryDirectory() as directory:
            done = subprocess.run([server.program, "serve", "--data-dir", directory, *flags], capture_output=True, text=True,
                                  timeout=20)
        assert done.returncode != 0
        return done.stderr

    assert "not built yet" in refuse("--pg-port", "5432")
    assert "requirepass" in refuse("--bind", "0.0.0.0")
    assert "tls-cert-file" in refuse("--tls-port", "7000")
    assert "cannot listen" in refuse("--resp-port", str(server.port), "--http-port", "0")
    assert "nosuch" in refuse("--nosuch", "1")
    assert "cores" in refuse("--cores", "4000")


def certificates(directory):
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out",
            "ca.crt", "-subj", "/CN=Orbit test authority", "-days", "2")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
                f"{name}.csr", "-subj", f"/CN={name}")
        with open(os.path.join(directory, "ext"), "w") as f:
            f.write("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                f"{name}.crt", "-days", "2", "-extfile", "ext")


def tls_connect(port, directory, version, with_certificate=True):
    context = ssl.create_default_context(cafile=os.path.join(directory, "ca.crt"))
    context.minimum_version = context.maximum_version = version
    if with_certificate:
        context.load_cert_chain(os.path.join(directory, "client.crt"), os.path.join(directory, "client.key"))
    c = Connection.__new__(Connection)
    c.buffer = b""
    raw = socket.create_connection(("127.0.0.1", port))
    raw.settimeout(20)
    c.socket = context.wrap_socket(raw, server_hostname="127.0.0.1")
    return c


def test_tls(server):
    with tempfile.TemporaryDirectory() as directory:
        certificates(directory)
        from support.orbit import free_port
        port = free_port()
        with Server(server.program, "--tls-port", port, "--tls-cert-file", f"{directory}/server.crt", "--tls-key-file",
                    f"{directory}/server.key", "--tls-ca-cert-file", f"{directory}/ca.crt", "--tls-auth-clients", "yes",
                    io=server.io) as other:
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                with tls_connect(port, directory, version) as c:
                    value = os.urandom(300_000)
                    assert c.pipeline(("SET", "tls", value), ("GET", "tls"), ("STRLEN", "tls")) == ["OK", value, 300_000]
                    assert c.pipeline(*[("GET", "tls")] * 20) == [value] * 20
                    got = c.pipeline(*[("SET", f"t{i}", i) for i in range(500)], *[("GET", f"t{i}") for i in range(500)])
                    assert got[500:] == [str(i).encode() for i in range(500)]
            try:
                with tls_connect(port, directory, ssl.TLSVersion.TLSv1_3, with_certificate=False) as c:
                    c("PING")
                raise AssertionError("let in without a certificate")
            except (ssl.SSLError, ConnectionError):
                pass
            for junk in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x01\x2c" + os.urandom(300), encode("PING")):
                with Connection(port) as c:
                    c.send(junk)
                    assert c.is_closed()
            with other.connect() as c:
                assert c("GET", "tls") is not None


def test_requirepass(server):
    with Server(server.program, "--requirepass", "secret", io=server.io) as other:
        with other.connect() as c:
            assert c("GET", "a") == Error("NOAUTH Authentication required.")
            assert c("AUTH", "wrong") == Error("WRONGPASS invalid username-password pair or user is disabled.")
            c.send(b"*11\r\n")
            assert c.reply() == Error("ERR Protocol error: unauthenticated multibulk length")
            assert c.is_closed()
        with other.connect() as c:
            c.send(b"*2\r\n$20000\r\n")
            assert c.reply() == Error("ERR Protocol error: unauthenticated bulk length")
        with other.connect() as c:
            assert c("AUTH", "secret") == "OK"
            assert c("SET", "a", "x" * 100_000) == "OK"
        with other.connect() as c:
            assert c("HELLO", "3", "AUTH", "default", "secret")[b"proto"] == 3
        assert "secret" not in other.log_text()


def deny_io_uring():
    """A seccomp filter that refuses io_uring_setup, as containers do."""
    def op(code, jt, jf, k):
        return struct.pack("HBBI", code, jt, jf, k)

    program = b"".join([op(0x20, 0, 0, 0), op(0x15, 0, 1, 425), op(0x06, 0, 0, 0x00050001), op(0x06, 0, 0, 0x7FFF0000)])
    libc = ctypes.CDLL(None, use_errno=True)
    room = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxQ", 4, ctypes.addressof(room))
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, header, 0, 0) != 0:
        os._exit(77)


def test_epoll_when_io_uring_is_refused(server):
    original = subprocess.Popen

    def filtered(*args, **how):
        return original(*args, preexec_fn=deny_io_uring, **how)

    subprocess.Popen = filtered
    try:
        other = Server(server.program, io="auto")
    finally:
        subprocess.Popen = original
    with other:
        assert other.log_text().count("io_uring is not used") == 1, other.log_text()
        with other.connect() as c:
            assert c.pipeline(("SET", "e", "1"), ("GET", "e")) == ["OK", b"1"]
            assert b"epoll" in c("INFO", "server")


def test_maxclients(server):
    with Server(server.program, "--maxclients", "5", io=server.io) as other:
        kept = [other.connect() for _ in range(5)]
        for c in kept:
            assert c("PING") == "PONG"
        with other.connect() as c:
            assert c.reply() == Error("ERR max number of clients reached")
            assert c.is_closed()
        kept.pop().close()
        time.sleep(0.2)
        with other.connect() as c:
            assert c("PING") == "PONG"
        for c in kept:
            c.close()
