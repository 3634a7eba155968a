"""Random command streams: from a grammar of commands, and from arguments that are good, odd or wrong.

A grammar's line is one command. Upper-case words and numbers stand for themselves, lower-case
words are drawn by the method of Draw with that name; [a] or nothing, (a|b) one of them,
{a b} all in any order, a+ one to three times, a* up to three times.
"""
import re
import struct

GROUPS = {
    "string": """
        APPEND key value
        DECR key
        DECRBY key int
        GET key
        GETDEL key
        GETEX key [(EX seconds|PX millis|EXAT at|PXAT at_millis|PERSIST)]
        GETRANGE key index index
        GETSET key value
        INCR key
        INCRBY key int
        INCRBYFLOAT key real
        LCS key key {[LEN] [IDX] [MINMATCHLEN int] [WITHMATCHLEN]}
        MGET key+
        MSET (key value)+
        MSETNX (key value)+
        PSETEX key millis value
        SET key value
        SET key value {[(NX|XX)] [GET] [(EX seconds|PX millis|EXAT at|PXAT at_millis|KEEPTTL)]}
        SETEX key seconds value
        SETNX key value
        SETRANGE key offset value
        STRLEN key
        SUBSTR key index index
    """,
    "bitmap": """
        BITCOUNT key [index index [(BYTE|BIT)]]
        BITFIELD key ((GET bits position|SET bits position int|INCRBY bits position int|OVERFLOW (WRAP|SAT|FAIL)))*
        BITFIELD_RO key (GET bits position)*
        BITOP (AND|OR|XOR) key key+
        BITOP NOT key key
        BITPOS key bit [index [index [(BYTE|BIT)]]]
        GETBIT key position
        SETBIT key position bit
    """,
    "generic": """
        COPY key key {[DB db] [REPLACE]}
        DEL key+
        DUMP key
        EXISTS key+
        EXPIRE key seconds [(NX|XX|GT|LT)] [(NX|XX|GT|LT)]
        EXPIREAT key at [(NX|XX|GT|LT)] [(NX|XX|GT|LT)]
        EXPIRETIME key
        KEYS pattern
        OBJECT ENCODING key
        OBJECT FREQ key
        OBJECT IDLETIME key
        OBJECT HELP
        PERSIST key
        PEXPIRE key millis [(NX|XX|GT|LT)]
        PEXPIREAT key at_millis [(NX|XX|GT|LT)] [(NX|XX|GT|LT)]
        PEXPIRETIME key
        PTTL key
        RANDOMKEY
        RENAME key key
        RENAMENX key key
        RESTORE key restore_ttl payload {[REPLACE] [ABSTTL] [(IDLETIME count|FREQ count)]}
        SCAN cursor {[MATCH pattern] [COUNT count] [TYPE type]}
        SORT key {[BY pattern] [LIMIT index index] [GET pattern] [(ASC|DESC)] [ALPHA] [STORE key]}
        SORT_RO key {[BY pattern] [LIMIT index index] [GET pattern] [(ASC|DESC)] [ALPHA]}
        TOUCH key+
        TTL key
        TYPE key
        UNLINK key+
        WAIT 0 count
    """,
    "databases": """
        DBSIZE
        (FLUSHALL|FLUSHDB) [(ASYNC|SYNC)]
        MOVE key db
        MOVE key db
        COPY key key DB db [REPLACE]
        COPY key key DB db
        COPY key key DB db
        SELECT db
        SELECT db
        SWAPDB db db
        SWAPDB db db
    """,
    "transactions": """
        DISCARD
        EXEC
        MULTI
        UNWATCH
        WATCH key+
    """,
    "connection": """
        AUTH word [word]
        CLIENT CACHING (YES|NO)
        CLIENT GETNAME
        CLIENT GETREDIR
        CLIENT HELP
        CLIENT ID
        CLIENT INFO
        CLIENT KILL (address|ID count|TYPE word|USER word|ADDR address|LADDR address|SKIPME word)+
        CLIENT LIST [(ID count+|TYPE client_type)]
        CLIENT NO-EVICT (ON|OFF|word)
        CLIENT PAUSE word [word]
        CLIENT REPLY word
        CLIENT SETNAME name
        CLIENT TRACKING word
        CLIENT TRACKINGINFO
        CLIENT UNBLOCK count [(TIMEOUT|ERROR|word)]
        CLIENT UNPAUSE
        ECHO value
        HELLO [protocol [AUTH word word] [SETNAME name]]
        PING [value]
        QUIT
        RESET
        SELECT db
    """,
    "pubsub": """
        PSUBSCRIBE channel_pattern+
        PUBLISH channel value
        PUBLISH channel value
        PUBSUB CHANNELS [channel_pattern]
        PUBSUB HELP
        PUBSUB NUMPAT
        PUBSUB NUMSUB channel*
        PUBSUB SHARDCHANNELS [channel_pattern]
        PUBSUB SHARDNUMSUB channel*
        PUNSUBSCRIBE channel_pattern*
        SPUBLISH channel value
        SSUBSCRIBE channel
        SUBSCRIBE channel+
        SUNSUBSCRIBE channel*
        UNSUBSCRIBE channel*
        PING [value]
    """,
    "server": """
        ACL WHOAMI
        COMMAND COUNT
        COMMAND DOCS command_name*
        COMMAND GETKEYS any_command
        COMMAND GETKEYSANDFLAGS any_command
        COMMAND HELP
        COMMAND INFO command_name*
        COMMAND LIST [FILTERBY (ACLCAT word|PATTERN command_pattern|MODULE word)]
        CONFIG GET setting+
        CONFIG HELP
        CONFIG RESETSTAT
        CONFIG SET (setting_and_value)+
        INFO [word]
        LASTSAVE
        LATENCY (HELP|LATEST|HISTORY word|GRAPH word|RESET|DOCTOR)
        LOLWUT [VERSION int]
        MEMORY (HELP|USAGE key|USAGE key SAMPLES count|DOCTOR|STATS)
        MODULE (LIST|HELP)
        ROLE
        SLOWLOG (HELP|LEN|GET count|RESET)
        TIME
    """,
    "nonsense": """
        word
        word word
        NOSUCHCOMMAND value*
        OBJECT word
        OBJECT word key
        CLIENT word
        CONFIG word word
        COMMAND word
        PUBSUB word
        MEMORY word
        SLOWLOG word
        LATENCY word
        SET
        GET
        EXEC word
        OBJECT
        CLIENT
        CONFIG
        PUBSUB
        MEMORY
        SLOWLOG
        COMMAND
    """,
}

KEYS = (b"a", b"b", b"c", b"key:1", b"key:2", b"{tag}1", b"{tag}2", b"{}x", b"{", b"", b"\x00\xff\r\n", b"long" * 80,
        b"foo*", b"[ab]", b"\xc3\xa9", b"10")
EDGE_INTEGERS = (0, 1, -1, 2**31 - 1, 2**31, -2**31, 2**32 - 1, 2**32, 2**32 + 1, 2**53, 2**63 - 1, 2**63, -2**63,
                 -2**63 - 1, 2**64 - 1, 2**64, 9223372036854775, 9223372036854776, 10**30, 2**29, 2**29 - 1, 2**62)
ODD_NUMBERS = (b"", b" 1", b"1 ", b"+1", b"01", b"-0", b"0x10", b"1.0", b"1e2", b"--1", b"abc", b"\x00", b"1\x00", b"-",
               b"nan", b"inf", b"1,5", b"9" * 25)
ODD_REALS = (b"inf", b"-inf", b"+inf", b"Infinity", b"nan", b"-nan", b"1e400", b"1e-400", b"0x1p3", b"1.", b".5", b"1e",
             b"3.0e3", b"5.0e-324", b"1.7976931348623157e308", b"-0.0", b"1e17", b"123456789012345678901234567890",
             b"0.1", b"1e5000", b" 1.5", b"1.5 ", b"1.5x", b"0.30000000000000004", b"1e-19")
WORDS = (b"", b"x", b"ON", b"off", b"yes", b"no", b"HELP", b"0", b"-1", b"12", b"default", b"set", b"slow", b"*",
         b"a b", b"\xff", b"SKIP", b"WRITE", b"all", b"server", b"id", b"get", b"count", b"%s%n", b"it's", b"w" * 200)
PATTERNS = (b"*", b"", b"a", b"?", b"key:*", b"{*", b"*[12]", b"[^a]*", b"[a-c]", b"\\*", b"foo\\*", b"[", b"[\\]",
            b"**1", b"[z-a]", b"*\xff*", b"long*", b"?" * 5, b"[^", b"a\\", b"[a-")
CHANNELS = (b"news", b"news.it", b"{tag}c", b"", b"\x00\n", b"a")
CHANNEL_PATTERNS = (b"*", b"news*", b"n?ws", b"[an]*", b"", b"a", b"nothing")
SETTINGS = (b"maxmemory", b"maxmemory-policy", b"maxmemory-samples", b"databases", b"appendonly", b"save", b"timeout",
            b"proto-max-bulk-len", b"notify-keyspace-events", b"slowlog-*", b"maxm*", b"nosuch", b"requirepass",
            b"MAXMEMORY", b"", b"latency-tracking", b"slowlog-max-len", b"[a-c]ppend*", b"cluster-enabled")
SETTING_VALUES = {
    b"maxmemory-policy": (b"noeviction", b"allkeys-lru", b"VOLATILE-TTL", b"sometimes", b""),
    b"maxmemory-samples": (b"5", b"0", b"64", b"x", b"-1"),
    b"slowlog-max-len": (b"128", b"-1", b"x", b"0", b"10"),
    b"slowlog-log-slower-than": (b"10000", b"-1", b"-2", b"x"),
    b"latency-tracking": (b"yes", b"no", b"maybe", b"YES"),
    b"latency-monitor-threshold": (b"0", b"100", b"-1"),
    b"notify-keyspace-events": (b"", b"KEA", b"Kx", b"q", b"Elg$", b"AKE"),
    b"proto-max-bulk-len": (b"512mb", b"1", b"536870912", b"1mb", b"1xb"),
    b"maxmemory": (b"0", b"-1", b"x", b"1zb"),
    b"databases": (b"16", b"4"),
    b"nosuch": (b"1", b""),
    b"timeout": (b"0", b"-1", b"x"),
    b"appendonly": (b"maybe",),
    b"maxclients": (b"10000", b"0", b"x"),
}
POLYNOMIAL = 0x95ac9329ac4bc9b5  # of the Jones CRC-64, reflected


def crc64_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ POLYNOMIAL if byte & 1 else byte >> 1
        table.append(byte)
    return table


CRC64 = crc64_table()


def dump_payload(body, version=10):
    """What DUMP makes of a serialized value: version and checksum behind it."""
    data = body + struct.pack("<H", version)
    crc = 0
    for byte in data:
        crc = CRC64[(crc ^ byte) & 0xff] ^ crc >> 8
    return data + struct.pack("<Q", crc)


def dumped_string(value):
    n = len(value)
    length = bytes([n]) if n < 64 else struct.pack(">H", 0x4000 | n) if n < 16384 else b"\x80" + struct.pack(">I", n)
    return b"\x00" + length + value


def parse_grammar(text):
    """Each line as a tree: a word, or ("all", trees), ("any order", trees), ("one", trees), ("maybe", tree), or
    ("repeat", at least once?, tree)."""
    closing = {"(": ")", "[": "]", "{": "}"}

    def sequence(tokens, until):
        choices, items = [], []
        while tokens[0] != until:
            token = tokens.pop(0)
            if token == "|":
                choices.append(("all", items))
                items = []
            elif token in "*+" and items:
                items.append(("repeat", token == "+", items.pop()))
            elif token in closing:
                inner = sequence(tokens, closing[token])
                if token == "[":
                    inner = ("maybe", inner)
                elif token == "{":
                    inner = ("any order", inner[1])
                items.append(inner)
            else:
                items.append(token)
        tokens.pop(0)
        return ("one", [*choices, ("all", items)]) if choices else ("all", items)

    lines = [line.strip() for line in text.strip().splitlines()]
    return [sequence(re.findall(r"[^\s\[\](){}|*+]+|[\[\](){}|*+]", line) + ["end"], "end") for line in lines]


GRAMMARS = {name: parse_grammar(text) for name, text in GROUPS.items()}


class Draw:
    """Draws commands and arguments. `lasting`: expiries relative to now may be drawn, so that
    replies about them are only nearly the same on two servers."""

    def __init__(self, rng, lasting=False):
        self.rng, self.lasting = rng, lasting
        self.keys = rng.sample(KEYS, rng.choice((3, 6, len(KEYS))))

    # ---- arguments

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def chance(self, p):
        return self.rng.random() < p

    def key(self):
        return self.rng.choice(self.keys)

    def value(self):
        rng = self.rng
        kind = rng.random()
        if kind < 0.25:
            return b"%d" % rng.randint(-20, 1000)
        if kind < 0.35:
            return b"%d" % rng.choice(EDGE_INTEGERS)
        if kind < 0.45:
            return rng.choice(ODD_NUMBERS + ODD_REALS)
        if kind < 0.6:
            return b"%.*f" % (rng.randint(0, 17), rng.uniform(-1000, 1000))
        if kind < 0.75:
            return rng.randbytes(rng.randint(0, 24))
        if kind < 0.9:
            return bytes(rng.choices(b"abc ", k=rng.choice((1, 5, 30, 43, 44, 45, 64))))
        if kind < 0.99:
            return rng.randbytes(rng.randint(1, 9)) * rng.randint(1, 60)
        return rng.choice((rng.randbytes(rng.randint(1000, 3000)), b"ab" * rng.randint(8000, 40000)))

    def small(self):
        return b"%d" % self.rng.randint(-12, 100)

    def edge(self):
        return b"%d" % self.rng.choice(EDGE_INTEGERS) if self.chance(0.7) else self.rng.choice(ODD_NUMBERS)

    def int(self):
        return self.small() if self.chance(0.75) else self.edge()

    index = int
    count = int

    def real(self):
        kind = self.rng.random()
        if kind < 0.3:
            return self.int()
        if kind < 0.6:
            return b"%.*f" % (self.rng.randint(0, 20), self.rng.uniform(-100, 100))
        if kind < 0.7:
            return b"%.*e" % (self.rng.randint(0, 20), self.rng.uniform(-1, 1) * 10.0 ** self.rng.randint(-30, 30))
        return self.rng.choice(ODD_REALS)

    def bit(self):
        return self.one_of(b"0", b"1", b"0", b"1", self.int())

    def offset(self):
        return b"%d" % self.rng.randint(0, 200) if self.chance(0.85) else self.edge()

    def position(self):
        if self.chance(0.2):
            return b"#%d" % self.rng.randint(-1, 30)
        return b"%d" % self.rng.randint(0, 600) if self.chance(0.85) else self.edge()

    def bits(self):
        if self.chance(0.9):
            return b"%c%d" % (self.rng.choice(b"iu"), self.rng.choice((1, 2, 5, 8, 16, 31, 32, 33, 63, 64, 8, 8)))
        return self.one_of(b"u64", b"i65", b"u0", b"i0", b"u", b"", b"x8", b"I8", b"u-1", b"u08", b"i 8")

    def seconds(self):
        return b"%d" % self.rng.randint(100, 10**6) if self.lasting and self.chance(0.8) else self.edge()

    def millis(self):
        return b"%d" % self.rng.randint(10**5, 10**10) if self.lasting and self.chance(0.8) else self.edge()

    def at(self):
        if self.chance(0.8):
            return b"%d" % self.rng.choice((1, 4_000_000_000, 4_000_000_001, 9_999_999_999))
        return self.edge()

    def at_millis(self):
        if self.chance(0.8):
            return b"%d" % self.rng.choice((1, 4_000_000_000_000, 4_000_000_000_499, 4_000_000_000_500, 10**13))
        return self.edge()

    def restore_ttl(self):
        return self.one_of(b"0", b"0", self.at_millis(), self.millis())

    def payload(self):
        value = self.value()[:16000]
        kind = self.rng.random()
        if kind < 0.3:
            return dump_payload(dumped_string(value))
        if kind < 0.5:
            n = self.rng.randint(-2**31, 2**31 - 1) >> self.rng.randint(0, 31)
            return dump_payload(b"\x00" + self.one_of(b"\xc0" + struct.pack("b", max(-128, min(127, n))),
                                                      b"\xc1" + struct.pack("<h", max(-2**15, min(2**15 - 1, n))),
                                                      b"\xc2" + struct.pack("<i", n)))
        if kind < 0.6:  # "a" once, then 65 times from one back
            return dump_payload(b"\x00\xc3\x05\x40\x42\x00a\xe0\x38\x00")
        if kind < 0.7:
            return dump_payload(dumped_string(value), self.rng.choice((1, 6, 9, 10, 12, 600)))
        if kind < 0.8:
            return dump_payload(self.one_of(b"", b"\x00", b"\x00\xc3", b"\x00\x40", b"\xff\x01a", b"\x00\x3fab",
                                            b"\x00\xc3\x03\x05\xff\xff\xff", b"\x00\xc4a", b"\x00\x80\xff\xff\xff\xff"))
        good = dump_payload(dumped_string(value))
        cut = self.rng.randint(0, len(good))
        return self.one_of(good[:cut], good[:-1] + b"\x00", self.rng.randbytes(12), b"", good + b"x")

    def db(self):
        if self.chance(0.93):
            return b"%d" % self.rng.choice((0, 0, 0, 1, 1, 1, 2, 15))
        return self.one_of(b"16", self.edge())

    def cursor(self):
        return b"0" if self.chance(0.85) else self.edge().rstrip(b"\0")

    def type(self):
        return self.one_of(b"string", b"STRING", b"list", b"hash", b"nosuchtype", b"")

    def word(self):
        return self.rng.choice(WORDS)

    def pattern(self):
        return self.rng.choice(PATTERNS)

    def channel(self):
        return self.rng.choice(CHANNELS)

    def channel_pattern(self):
        return self.rng.choice(CHANNEL_PATTERNS)

    def name(self):
        return self.one_of(b"worker", b"", b"two words", b"a\nb", b"\xff", b"ok-2")

    def address(self):
        return self.one_of(b"127.0.0.1:1", b"nowhere", b"1.2.3.4:5")

    def client_type(self):
        return self.one_of(b"normal", b"PUBSUB", b"replica", b"nosuch")

    def protocol(self):
        return self.one_of(b"2", b"3", b"2", b"3", b"4", b"1", b"x", b"-3")

    def setting(self):
        return self.rng.choice(SETTINGS)

    def setting_and_value(self):
        name = self.rng.choice(list(SETTING_VALUES))
        return [name, self.rng.choice(SETTING_VALUES[name])]

    def command_name(self):
        return self.one_of(b"get", b"SET", b"bitop", b"object", b"object|encoding", b"client|list", b"nosuch", b"",
                           b"multi", b"config|", b"mset", b"copy",
                           b"eXpire", b"publish", b"restore", b"getex", b"sort", b"lcs")

    def command_pattern(self):
        return self.one_of(b"get*", b"nosuch*", b"set", b"SET*", b"bit*", b"[", b"")

    def any_command(self):
        return self.words(self.one_of("string", "bitmap", "generic", "databases", "connection"))

    # ---- commands

    def expand(self, node, out):
        if isinstance(node, str):
            if node[0].islower():
                drawn = getattr(self, node)()
                out.extend(drawn if isinstance(drawn, list) else [drawn])
            else:
                out.append(self.any_case(node.encode()))
            return
        kind, inner = node[0], node[-1]
        if kind == "all":
            for item in inner:
                self.expand(item, out)
        elif kind == "one":
            self.expand(self.rng.choice(inner), out)
        elif kind == "maybe":
            if self.chance(0.5):
                self.expand(inner, out)
        elif kind == "repeat":
            for _ in range(self.rng.choice((1, 1, 2, 3)) if node[1] else self.rng.randint(0, 3)):
                self.expand(inner, out)
        else:
            for item in self.rng.sample(inner, len(inner)):
                self.expand(item, out)

    def any_case(self, word):
        kind = self.rng.random()
        if kind < 0.8:
            return word
        return word.lower() if kind < 0.95 else word.swapcase().title()

    def words(self, group):
        out = []
        self.expand(self.rng.choice(GRAMMARS[group]), out)
        return out

    def spoil(self, words):
        """One thing wrong or odd: a word gone, added, doubled, swapped, or another in its place."""
        words = list(words)
        at = self.rng.randrange(len(words))
        kind = self.rng.randrange(6)
        if kind == 0 and len(words) > 1:
            del words[max(1, at)]
        elif kind == 1:
            words.insert(at + 1, self.one_of(self.word(), self.edge(), self.value()[:50]))
        elif kind == 2 and at > 0:
            words[at] = self.one_of(self.edge(), self.word(), self.value()[:50])
        elif kind == 3:
            words.insert(at + 1, words[at])
        elif kind == 4 and len(words) > 2:
            other = self.rng.randrange(1, len(words))
            at = max(1, at)
            words[at], words[other] = words[other], words[at]
        else:
            words.append(self.one_of(b"", b"NX", b"GET", b"REPLACE", b"1", b"BIT", b"LIMIT", b"PX"))
        return words

    def command(self, group, spoilt=0.15):
        """A command of the group that two servers can be asked."""
        while True:
            words = self.words(group)
            if self.chance(spoilt):
                words = self.spoil(words)
            if not harmful(words, self.lasting):
                return words

    def command_on(self, keys, group):
        """A command that is likely to touch these keys."""
        usual, self.keys = self.keys, keys + self.keys[:1]
        try:
            return self.command(group)
        finally:
            self.keys = usual

    def inline(self, words):
        """The words as a line of text."""
        return b" ".join(self.quoted(word) for word in words) + self.one_of(b"\r\n", b"\n")

    def quoted(self, word):
        if word and re.fullmatch(rb"[\w:*.{}-]+", word) and self.chance(0.6):
            return word
        if b"'" not in word and re.fullmatch(rb"[ -~]*", word) and self.chance(0.3) and b"\\" not in word:
            return b"'" + word + b"'"
        out = b""
        for byte in word:
            char = bytes([byte])
            if char in b"\"\\":
                out += b"\\" + char
            elif char == b"\n" and self.chance(0.5):
                out += b"\\n"
            elif not 32 <= byte < 127 or self.chance(0.02):
                out += b"\\x%02x" % byte
            else:
                out += char
        return b'"' + out + b'"'


# ---- what is not asked ------------------------------------------------------------------

def as_integer(word):
    return int(word) if re.fullmatch(rb"-?(0|[1-9][0-9]*)", word) else None


def within(word, low, high):
    number = as_integer(word)
    return number is not None and low < number < high


def huge(words):
    """Would it make a value of many megabytes?"""
    name = words[0].upper()
    if name == b"SETBIT":
        return any(within(word, 2**24, 2**32) for word in words[2:])
    if name == b"SETRANGE":
        return any(within(word, 2**21, 2**29) for word in words[2:])
    if name == b"BITFIELD":
        return any(within(words[i + 1].removeprefix(b"#"), 2**15, 2**36)
                   for i in range(2, len(words) - 1) if re.fullmatch(rb"[ui][0-9]+", words[i]))
    return False


def after(option, words):
    """The words behind each `option`."""
    return [words[i + 1] for i, word in enumerate(words[:-1]) if word.upper() == option]


def fleeting(words, lasting):
    """Would a key expire while the stream runs, at a time that is not the same on two servers, or before it is born?"""
    name = words[0].upper()
    seconds = words[2:3] if name in (b"EXPIRE", b"SETEX") else []
    millis = words[2:3] if name in (b"PEXPIRE", b"PSETEX") else []
    stillborn = False
    if name in (b"SET", b"GETEX"):
        seconds, millis = after(b"EX", words), after(b"PX", words)
    if name == b"SET":
        stillborn = (any(within(word, 0, 2 * 10**9) for word in after(b"EXAT", words))
                     or any(within(word, 0, 2 * 10**12) for word in after(b"PXAT", words)))
    if name == b"RESTORE" and b"ABSTTL" not in [word.upper() for word in words]:
        millis = words[2:3]
        stillborn = any(within(word, 2**62, 2**63) for word in millis)  # past what a sum can hold
    # Other commands refuse such sums.
    return (stillborn or any(within(word, 0, 100 if lasting else 2**63 // 1000) for word in seconds)
            or any(within(word, 0, 100_000 if lasting else 2**63 - 1) for word in millis))


def harmful(words, lasting):
    """Not asked: what costs hundreds of megabytes, ends or stalls the server, cuts off other
    connections, or is about the present moment."""
    name, rest = words[0].upper(), [word.upper() for word in words[1:]]
    if huge(words) or fleeting(words, lasting):
        return True
    if name in (b"SHUTDOWN", b"DEBUG", b"MONITOR", b"SAVE", b"BGSAVE", b"SYNC", b"PSYNC", b"REPLICAOF", b"FAILOVER"):
        return True
    if name == b"WAIT":
        return len(rest) == 2 and (rest[0] != b"0" or not within(rest[1], -1, 30))
    if name == b"CLIENT" and rest:
        if rest[0] == b"PAUSE":
            return any(within(word, -1, 2**64) for word in rest[1:])
        if rest[0] == b"KILL":
            return (any(word in rest for word in (b"SKIPME", b"TYPE", b"USER"))
                    or any(within(word, 0, 10**6) for word in rest[1:]))
        if rest[0] == b"TRACKING":
            return b"ON" in rest[1:]
        if rest[0] == b"REPLY":
            return len(rest) == 2 and rest[1] in (b"ON", b"OFF", b"SKIP")
    if name == b"CONFIG" and rest[:1] == [b"SET"]:
        return unwise_settings(rest[1:])
    return False


def unwise_settings(pairs):
    """Only the values of the table, so that the next commands are still answered."""
    if len(pairs) % 2:
        return False
    known = {name.upper(): {value.upper() for value in values} for name, values in SETTING_VALUES.items()}
    return any(value not in known.get(name, ()) for name, value in zip(pairs[::2], pairs[1::2]))
