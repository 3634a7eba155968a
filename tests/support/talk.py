"""Clients that talk with one server in raw bytes: which of them answer which command, which come unasked."""
import collections
import socket
import time

from support.orbit import encode

PATIENCE = 10  # seconds for a reply


class Incomplete(Exception):
    """More bytes are needed."""


class Lost(Exception):
    """No reply came in time."""


def parse(data, at):
    """The value that begins at `at`, and where it ends: (kind, [elements]) or (kind, bytes); None for nothing."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, text, at = data[at:at + 1], data[at + 1:end], end + 2
    if kind in b"$=":
        if text == b"-1":
            return (kind, None), at
        end = at + int(text)
        if len(data) < end + 2:
            raise Incomplete
        return (kind, data[at:end]), end + 2
    if kind in b"*~>%":
        if text == b"-1":
            return (kind, None), at
        elements = []
        for _ in range(int(text) * (2 if kind == b"%" else 1)):
            element, at = parse(data, at)
            elements.append(element)
        return (kind, elements), at
    if not kind or kind not in b"+-:_#,(":
        raise ValueError(f"not RESP: {kind + data[end - len(text):at + 80]!r}")
    return (kind, text), at


# As a server is when it has just started.
DEFAULTS = ("requirepass", "", "maxmemory", "0", "maxmemory-policy", "noeviction", "maxmemory-samples", "5",
            "notify-keyspace-events", "", "proto-max-bulk-len", "536870912", "slowlog-max-len", "128",
            "slowlog-log-slower-than", "10000", "latency-tracking", "yes", "latency-monitor-threshold", "0",
            "maxclients", "10000", "timeout", "0", "stream-node-max-entries", "100", "stream-node-max-bytes", "4096")

SUBSCRIBING = {b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE"}
UNSUBSCRIBING = {b"UNSUBSCRIBE": b"SUBSCRIBE", b"PUNSUBSCRIBE": b"PSUBSCRIBE", b"SUNSUBSCRIBE": b"SSUBSCRIBE"}
AT_ONCE = {b"EXEC", b"DISCARD", b"MULTI", b"WATCH", b"QUIT", b"RESET"}
MESSAGES = {b"message", b"pmessage", b"smessage"}

# What came: for an entry or, without one, unasked; `queued` are the entries that an EXEC ran.
Heard = collections.namedtuple("Heard", "entry value raw queued", defaults=[()])


class Talk:
    """One connection. Knows as much of the protocol as is needed to tell which bytes answer which command."""

    def __init__(self, port, patience):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(patience)
        self.buffer, self.at, self.closed = b"", 0, False
        self.heard = []
        self.queue = None  # entries of an open transaction
        self.subscribed = collections.defaultdict(set)
        self.muted = self.skips = False

    def send(self, pieces):
        try:
            for piece in pieces:
                self.socket.sendall(piece)
                if len(pieces) > 1:
                    time.sleep(0.0002)
        except (BrokenPipeError, ConnectionResetError):
            pass  # what was answered before is still read

    def frame(self):
        """The next value and its bytes, or None when the server has closed."""
        while not self.closed:
            try:
                value, end = parse(self.buffer, self.at)
                raw, self.at = self.buffer[self.at:end], end
                return value, raw
            except Incomplete:
                self.fill()
        return None

    def fill(self):
        try:
            got = self.socket.recv(1 << 18)
        except ConnectionResetError:
            got = b""
        except socket.timeout:
            raise Lost(f"no reply; unfinished: {self.buffer[self.at:self.at + 100]!r}") from None
        self.buffer, self.at = self.buffer[self.at:] + got, 0
        self.closed = not got

    def is_message(self, value):
        if value[0] == b">" or (value[0] == b"*" and any(self.subscribed.values())):
            return bool(value[1]) and value[1][0][0] == b"$" and value[1][0][1] in MESSAGES
        return False

    def reply(self, entry):
        """Hears the next frame that is no message, and messages before it."""
        while got := self.frame():
            if not self.is_message(got[0]):
                self.heard.append(Heard(entry, *got))
                return got
            self.heard.append(Heard(None, *got))
        self.heard.append(Heard(entry, None, b"(closed)"))
        return None

    def answers(self, entries):
        """All that comes in answer to the entries."""
        self.heard = []
        for entry in entries:
            if not self.closed and not entry.silent and not self.stays_silent(entry):
                self.answer(entry)
        if entries[-1].closing:
            self.reply(entries[-1])
        return self.heard

    def stays_silent(self, entry):
        words = [word.upper() for word in entry.words]
        if words[:2] == [b"CLIENT", b"REPLY"] and len(words) == 3 and self.queue is None:
            self.muted = {b"OFF": True, b"ON": False}.get(words[2], self.muted)
            self.skips = words[2] == b"SKIP"
            return words[2] in (b"OFF", b"SKIP")
        skipped, self.skips = self.skips, False
        return self.muted or skipped

    def answer(self, entry):
        got = self.reply(entry)
        if got is None or not entry.words:
            return
        name, (value, raw) = entry.words[0].upper(), got
        if self.queue is not None and name not in AT_ONCE:
            if raw == b"+QUEUED\r\n":
                self.queue.append(entry)
        elif name == b"MULTI" and raw == b"+OK\r\n":
            self.queue = []
        elif name == b"EXEC":
            if self.queue and value[0] == b"*":
                self.heard[-1] = self.heard[-1]._replace(queued=self.queue)
            self.queue = None
        elif name == b"DISCARD" and value[0] == b"+":
            self.queue = None
        elif name == b"RESET" and value[0] == b"+":
            self.queue = None
            self.subscribed.clear()
        elif value[0] in b"*>" and (name in SUBSCRIBING or name in UNSUBSCRIBING):
            self.follow(entry, name, value)

    def follow(self, entry, name, value):
        """SUBSCRIBE a b, or UNSUBSCRIBE from two, is answered by two frames; one has come."""
        n = len(entry.words) - 1
        names = self.subscribed[UNSUBSCRIBING.get(name, name)]
        for i in range(n or max(1, len(names))):
            if i > 0:
                got = self.reply(entry)
                if got is None:
                    return
                value = got[0]
            if len(value[1] or []) != 3:
                raise ValueError(f"no answer to {name.decode()}: {value}")
            if name in SUBSCRIBING:
                names.add(value[1][1][1])
            elif n:
                names.discard(value[1][1][1])
        if not n:
            names.clear()

    def messages(self):
        """Everything said to a subscriber so far."""
        if self.closed or self.queue is not None or not any(self.subscribed.values()):
            return []
        self.heard = []
        self.send([encode("PING", "mark")])
        self.reply(None)
        return self.heard

    def close(self):
        """No trace of the connection is left in the server when this returns."""
        if not self.closed:
            self.send([encode("RESET")])
            self.socket.settimeout(1)
            try:
                while not self.closed and b"+RESET\r\n" not in self.buffer[self.at:]:
                    self.fill()
            except Lost:
                pass
        self.socket.close()


# How to ask for all of a value, where DUMP may say it in several ways.
CONTENT = {
    b"list": lambda name: ("LRANGE", name, 0, -1),
    b"set": lambda name: ("SMEMBERS", name),
    b"hash": lambda name: ("HGETALL", name),
    b"stream": lambda name: ("XINFO", "STREAM", name, "FULL", "COUNT", 0),
}
IN_ORDER = {b"set": 1, b"hash": 2}  # words of an element, where they are in no order


def in_order(reply, n):
    words = reply[1] or []
    return reply[0], sorted(words[i:i + n] for i in range(0, len(words), n))


def timeless(value):
    """What XINFO says of a stream without times, and without the nodes of trees, which are a server's own."""
    kind, content = value
    if not isinstance(content, (list, tuple)):
        return (kind, b"some time") if kind == b":" and int(content) > 10**12 else value
    rest = [timeless(item) for item in content]
    for i, item in enumerate(rest[:-1]):
        if item[1] == b"radix-tree-nodes":
            rest[i + 1] = None
    return kind, rest


class Peer:
    """One server and a stream's connections to it."""

    def __init__(self, server):
        self.server, self.talks, self.patience = server, {}, PATIENCE
        self.control = Talk(server.port, PATIENCE)

    def talk(self, number):
        talk = self.talks.get(number)
        if talk is None or talk.closed:
            talk = self.talks[number] = Talk(self.server.port, self.patience)
        return talk

    def listeners(self, speaker):
        return [number for number in sorted(self.talks) if number != speaker]

    def ask(self, *commands):
        self.control.send([b"".join(encode(*command) for command in commands)])
        got = [self.control.frame() for _ in commands]
        if None in got:
            raise Lost("the server closes its connections")
        return [value for value, _ in got]

    def keyspaces(self):
        """Everything that is stored, as [(db, key, content, PEXPIRETIME, OBJECT ENCODING)], and what SCAN sees. The
        content is what DUMP says, but for lists, whose blocks may be parted in any way, and sets and hashes, whose
        members are in no order."""
        rows = []
        keys = self.ask(*[command for db in range(16) for command in (("SELECT", db), ("KEYS", "*"))])[1::2]
        for db, (_, names) in enumerate(keys):
            if not names:
                continue
            names = sorted(name for _, name in names)
            types = self.ask(("SELECT", db), *[("TYPE", name) for name in names])[1:]
            facts = self.ask(("SELECT", db), ("DBSIZE",), *[fact for name, type in zip(names, types) for fact in (
                CONTENT.get(type[1], lambda name: ("DUMP", name))(name),
                ("PEXPIRETIME", name), ("OBJECT", "ENCODING", name))])
            rows.append((db, "DBSIZE", facts[1], "SCAN", self.scan()))
            contents = [in_order(fact, IN_ORDER[type[1]]) if type[1] in IN_ORDER else timeless(fact) if type[1] == b"stream" else
                        fact for fact, type in zip(facts[2::3], types)]
            rows += [(db, name, contents[i], *facts[3 * i + 3:3 * i + 5]) for i, name in enumerate(names)]
        return rows

    def scan(self):
        found, cursor = set(), b"0"
        while True:
            (_, cursor), (_, names) = self.ask(("SCAN", cursor, "COUNT", 3))[0][1]
            found.update(name for _, name in names)
            if cursor == b"0":
                return sorted(found)

    def reset(self):
        """As it was before the stream."""
        for talk in self.talks.values():
            talk.close()
        self.talks = {}
        self.ask(("CONFIG", "SET", *DEFAULTS), ("FLUSHALL",))

    def close(self):
        for talk in [self.control, *self.talks.values()]:
            talk.socket.close()
