"""Words the tests of the running program are written in: a server, and raw RESP connections."""
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time


_given = set()


def free_port():
    """A port that nobody listens on, another each time. Below those that the system gives to connections,
    so that none of them takes it meanwhile."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in _given and s.connect_ex(("127.0.0.1", port)) != 0:
                _given.add(port)
                return port


class Skipped(Exception):
    """Raised by a test that cannot run here; says why."""


class Server:
    """`orbit serve` on free ports and a fresh data directory (or one that stays the caller's); kill() is SIGKILL,
    stop() SIGTERM."""

    def __init__(self, program, *flags, cores=2, io="uring", wrap=(), directory=None):
        self.port, self.http_port = free_port(), free_port()
        self.is_lent = directory is not None
        self.directory = directory or tempfile.mkdtemp(prefix="orbit-test-")
        self.unix = os.path.join(self.directory, "sock")
        command = [*wrap, program, "serve", "--data-dir", os.path.join(self.directory, "data"), "--cores", str(cores),
                   "--resp-port", str(self.port), "--http-port", str(self.http_port), "--io", io,
                   "--unixsocket", self.unix, "--pin", "no", *map(str, flags)]
        self.log = tempfile.TemporaryFile()  # not beside the data: that disk may be full
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self._wait_ready()

    def _wait_ready(self):
        until = time.monotonic() + 240  # a machine may be busy
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended at once:\n" + self.log_text())
            if "orbit: ready" in self.log_text():
                return
            time.sleep(0.01)
        self.process.kill()
        raise RuntimeError("the server does not come up:\n" + self.log_text())

    def log_text(self):
        return os.pread(self.log.fileno(), os.fstat(self.log.fileno()).st_size, 0).decode(errors="replace")

    def is_sanitized(self):
        """Such a build is slow, and keeps what was freed."""
        with open(self.program, "rb") as f:
            return b"__asan_init" in f.read()

    def connect(self, **how):
        return Connection(self.port, **how)

    def stop(self, patience=30):
        """Orderly; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise RuntimeError("the server does not stop:\n" + self.log_text())
        return self.process.returncode

    def close(self):
        try:
            status = self.stop()
            if status != 0:
                raise RuntimeError(f"the server ended with {status}:\n" + self.log_text()[-8000:])
        finally:
            self._forget()

    def kill(self):
        """SIGKILL; the data stays if the directory is the caller's."""
        self.process.kill()
        self.process.wait()
        self._forget()

    def _forget(self):
        if not self.is_lent:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
            self.process.wait()
            print(self.log_text()[-4000:])
            self._forget()
        else:
            self.close()


class RedisServer:
    """Debian's redis-server, for comparison."""

    def __init__(self, *flags):
        self.port = free_port()
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--save", "", "--appendonly", "no",
                                         "--bind", "127.0.0.1", *flags], stdout=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.01)
        raise RuntimeError("redis-server does not come up")

    def connect(self, **how):
        return Connection(self.port, **how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Error(Exception):
    """An error reply."""

    def __eq__(self, other):
        return isinstance(other, Error) and str(self) == str(other)

    __hash__ = Exception.__hash__


class Push(list):
    """An out-of-band message of RESP3."""


def encode(*words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, str):
            word = word.encode()
        elif isinstance(word, (int, float)):
            word = str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


class Connection:
    """A RESP client without mercy: raw bytes both ways, replies parsed by the book."""

    def __init__(self, port=None, path=None, timeout=20, resp=2):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection(("127.0.0.1", port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        self.buffer = b""
        if resp == 3:
            self("HELLO", 3)

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        got = self.socket.recv(1 << 16)
        if not got:
            raise ConnectionError("closed")
        self.buffer += got

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, n):
        parts, have = [self.buffer], len(self.buffer)
        while have < n:
            self.buffer = b""
            self.fill()
            parts.append(self.buffer)
            have += len(self.buffer)
        whole = b"".join(parts)
        data, self.buffer = whole[:n], whole[n:]
        return data

    def reply(self):
        line = self.line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Error(rest.decode("utf-8", "replace"))
        if kind == b":":
            return int(rest)
        if kind in b"$=":
            return None if rest == b"-1" else self.exactly(int(rest) + 2)[:-2]
        if kind in b"*~":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        if kind == b">":
            return Push(self.reply() for _ in range(int(rest)))
        if kind == b"%":
            return {self._hashable(self.reply()): self.reply() for _ in range(int(rest))}
        if kind == b"_":
            return None
        if kind == b"#":
            return rest == b"t"
        if kind == b",":
            return float(rest)
        if kind == b"(":
            return int(rest)
        raise ValueError(f"not RESP: {line!r}")

    @staticmethod
    def _hashable(value):
        return tuple(value) if isinstance(value, list) else value

    def raw_reply(self):
        """The bytes of one reply."""
        recorder = _Recorder(self)
        recorder.reply()
        return recorder.bytes

    def __call__(self, *words):
        self.send(encode(*words))
        return self.reply()

    def pipeline(self, *commands):
        self.send(b"".join(encode(*c) for c in commands))
        return [self.reply() for _ in commands]

    def is_closed(self, patience=10):
        """Has the server closed the connection, whatever it said before?"""
        self.socket.settimeout(patience)
        try:
            while self.socket.recv(1 << 16):
                pass
            return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        except (TimeoutError, socket.timeout):
            return False

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Recorder(Connection):
    """Reads one reply of a connection and keeps its bytes."""

    def __init__(self, connection):
        self.socket, self.buffer, self.owner, self.bytes = connection.socket, connection.buffer, connection, b""

    def line(self):
        line = super().line()
        self.bytes += line + b"\r\n"
        self.owner.buffer = self.buffer
        return line

    def exactly(self, n):
        data = super().exactly(n)
        self.bytes += data
        self.owner.buffer = self.buffer
        return data
