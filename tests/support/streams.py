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
    "list": """
        LINDEX key index
        LINSERT key (BEFORE|AFTER) item item
        LLEN key
        LMOVE key key (LEFT|RIGHT) (LEFT|RIGHT)
        LMPOP numkeys_and_keys (LEFT|RIGHT) [COUNT count]
        LPOP key [count]
        LPOS key item {[RANK index] [COUNT count] [MAXLEN count]}
        LPUSH key item+
        LPUSH key items
        LPUSHX key item+
        LRANGE key index index
        LREM key index item
        LSET key index item
        LTRIM key index index
        RESTORE key restore_ttl list_payload [REPLACE]
        RPOP key [count]
        RPOPLPUSH key key
        RPUSH key item+
        RPUSH key items
        SORT key {[BY NOSORT] [LIMIT index index] [(ASC|DESC)] [ALPHA] [STORE key]}
        SORT key {[GET #] [BY NOSORT] [LIMIT index index] [GET NONE] [(ASC|DESC)] [ALPHA]}
        RPUSHX key item+
    """,
    "set": """
        SADD key item+
        SADD key items
        SADD key integers
        SCARD key
        SDIFF key+
        SDIFFSTORE key key+
        SINTER key+
        SINTERCARD numkeys_and_keys [LIMIT count]
        SINTERSTORE key key+
        SISMEMBER key item
        SMEMBERS key
        SMISMEMBER key item+
        SMOVE key key item
        SRANDMEMBER key [count]
        SREM key item+
        SREM key items
        SREM key integers
        SORT key {[LIMIT index index] [(ASC|DESC)] [ALPHA] [STORE key]}
        SSCAN key 0 {[MATCH pattern] [COUNT count]}
        SUNION key+
        SUNIONSTORE key key+
        RESTORE key restore_ttl set_payload [REPLACE]
    """,
    "sorted_set": """
        RESTORE key restore_ttl zset_payload [REPLACE]
        ZADD key (score member)+
        ZADD key {[(NX|XX)] [(GT|LT)] [CH]} (score member)+
        ZADD key {[(NX|XX)] [(GT|LT)] [INCR] [CH]} score member
        ZADD key elements
        ZADD even even_elements
        ZCARD key
        ZCOUNT key bound bound
        ZDIFF numkeys_and_keys [WITHSCORES]
        ZDIFFSTORE key numkeys_and_keys
        ZINCRBY key score member
        ZINTER numkeys_and_keys {[WEIGHTS score+] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]}
        ZINTERCARD numkeys_and_keys [LIMIT count]
        ZINTERSTORE key numkeys_and_keys {[WEIGHTS score+] [AGGREGATE (SUM|MIN|MAX)]}
        ZLEXCOUNT even lex lex
        ZMPOP numkeys_and_keys (MIN|MAX) [COUNT count]
        ZMSCORE key member+
        ZPOPMAX key [count]
        ZPOPMIN key [count]
        ZRANGE even lex lex BYLEX {[REV] [LIMIT index index]}
        ZRANGE key bound bound BYSCORE {[REV] [LIMIT index index] [WITHSCORES]}
        ZRANGE key index index {[REV] [WITHSCORES]}
        ZRANGEBYLEX even lex lex [LIMIT index index]
        ZRANGEBYSCORE key bound bound {[LIMIT index index] [WITHSCORES]}
        ZRANGESTORE even even lex lex BYLEX {[REV] [LIMIT index index]}
        ZRANGESTORE key key bound bound BYSCORE {[REV] [LIMIT index index]}
        ZRANGESTORE key key index index [REV]
        ZRANK key member
        ZREM key member+
        ZREMRANGEBYLEX even lex lex
        ZREMRANGEBYRANK key index index
        ZREMRANGEBYSCORE key bound bound
        ZREVRANGE key index index [WITHSCORES]
        ZREVRANGEBYLEX even lex lex [LIMIT index index]
        ZREVRANGEBYSCORE key bound bound {[LIMIT index index] [WITHSCORES]}
        ZREVRANK key member
        ZSCAN key 0 {[MATCH pattern] [COUNT count]}
        ZSCORE key member
        ZUNION numkeys_and_keys {[WEIGHTS score+] [AGGREGATE (SUM|MIN|MAX)] [WITHSCORES]}
        ZUNIONSTORE key numkeys_and_keys {[WEIGHTS score+] [AGGREGATE (SUM|MIN|MAX)]}
    """,
    "geo": """
        GEOADD key located+
        GEOADD key many_located
        GEOADD key {[(NX|XX)] [CH]} located+
        GEODIST key person person [unit]
        GEOHASH key person+
        GEOPOS key person+
        GEORADIUS key place distance unit {[(ASC|DESC)] [WITHDIST] [WITHHASH] [WITHCOORD] [COUNT count] [STORE key]}
        GEORADIUS key place distance unit {[(ASC|DESC)] [COUNT count [ANY]] [STOREDIST key]}
        GEORADIUSBYMEMBER key person distance unit {[(ASC|DESC)] [WITHDIST] [WITHHASH] [WITHCOORD] [COUNT count]}
        GEORADIUSBYMEMBER key person distance unit {[COUNT count ANY] [STORE key]}
        GEORADIUSBYMEMBER_RO key person distance unit {[WITHDIST] [COUNT count] [(ASC|DESC)]}
        GEORADIUS_RO key place distance unit {[WITHDIST] [WITHHASH] [COUNT count [ANY]] [(ASC|DESC)]}
        GEOSEARCH key {(FROMMEMBER person|FROMLONLAT place) (BYRADIUS distance unit|BYBOX distance distance unit) [(ASC|DESC)] [COUNT count [ANY]] [WITHDIST] [WITHHASH] [WITHCOORD]}
        GEOSEARCHSTORE key key {(FROMMEMBER person|FROMLONLAT place) (BYRADIUS distance unit|BYBOX distance distance unit) [(ASC|DESC)] [COUNT count [ANY]] [STOREDIST]}
        ZADD key score person
        ZRANGE key 0 -1 WITHSCORES
    """,
    "hash": """
        HDEL key field+
        HEXISTS key field
        HGET key field
        HGETALL key
        HINCRBY key field int
        HINCRBYFLOAT key field real
        HKEYS key
        HLEN key
        HMGET key field+
        HMSET key field item
        HRANDFIELD key [count [WITHVALUES]]
        HSCAN key 0 {[MATCH pattern] [COUNT count]}
        HSET key (field item)+
        HSET key pairs
        HSETNX key field item
        HSTRLEN key field
        HVALS key
        RESTORE key restore_ttl hash_payload [REPLACE]
    """,
    "stream": """
        CONFIG SET node_setting
        COPY key key [REPLACE]
        RESTORE key restore_ttl stream_payload [REPLACE]
        XACK key group stream_id+
        XADD key next_id fields
        XADD key next_id fields
        XADD key next_id fields
        XADD key [NOMKSTREAM] [trimming] any_next_id fields
        XADD key {[NOMKSTREAM] [trimming]} any_next_id value+
        XAUTOCLAIM key group consumer idle range_id {[COUNT count] [JUSTID]}
        XCLAIM key group consumer idle stream_id+ {[IDLE idle] [TIME edge] [RETRYCOUNT small] [FORCE] [JUSTID] [LASTID stream_id]}
        XDEL key stream_id+
        XGROUP CREATE key group group_id {[MKSTREAM] [ENTRIESREAD count]}
        XGROUP CREATE key group group_id MKSTREAM
        XGROUP CREATECONSUMER key group consumer
        XGROUP DELCONSUMER key group consumer
        XGROUP DESTROY key group
        XGROUP SETID key group group_id [ENTRIESREAD count]
        XGROUP HELP
        XINFO STREAM key [FULL [COUNT count]]
        XINFO STREAM key FULL
        XINFO GROUPS key
        XINFO CONSUMERS key group
        XLEN key
        XPENDING key group
        XPENDING key group [IDLE idle] range_id range_id count [consumer]
        XRANGE key range_id range_id [COUNT count]
        XREAD {[COUNT count] [BLOCK few]} STREAMS keys_and_ids
        XREADGROUP GROUP group consumer {[COUNT count] [BLOCK few] [NOACK]} STREAMS keys_and_new
        XREADGROUP GROUP group consumer COUNT few STREAMS key new
        XREVRANGE key range_id range_id [COUNT count]
        XSETID key stream_id {[ENTRIESADDED count] [MAXDELETEDID stream_id]}
        XTRIM key trimming
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
    "sorting": """
        RPUSH key sorted+
        RPUSH key sorted+
        SADD key sorted+
        SET weight weighs
        SET weight weighs
        MSET weight weighs weight weighs weight weighs
        HSET weight_hash (F weighs)+
        HSET weight_hash F weighs
        DEL (key|weight|weight_hash)
        PEXPIREAT weight at_millis
        SORT key BY by {[LIMIT few few] [GET asked] [(ASC|DESC)]}
        SORT key BY by {[LIMIT few few] [(ASC|DESC)] [STORE key]}
        SORT key BY by GET asked GET asked {[LIMIT few few] [(ASC|DESC)] [STORE key]}
        SORT key GET asked {[LIMIT few few] [GET asked] [(ASC|DESC)] [ALPHA] [STORE key]}
        SORT key (BY|GET|STORE|LIMIT 1|ALPHA NONE)
        SORT_RO key BY by GET asked {[LIMIT few few] [GET asked] [(ASC|DESC)]}
        SORT_RO key BY by GET asked STORE key
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

# Without SORT, which does not sort lists yet.
GROUPS["unsorted"] = "\n".join(line for line in GROUPS["generic"].splitlines() if "SORT" not in line)

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


def dumped_length(n):
    return bytes([n]) if n < 64 else struct.pack(">H", 0x4000 | n) if n < 16384 else b"\x80" + struct.pack(">I", n)


def string_of(value):
    return dumped_length(len(value)) + value


def dumped_string(value):
    return b"\x00" + string_of(value)


def listpack(values):
    """As Redis packs elements since 7.0."""
    elements = b"".join(map(listpack_element, values))
    return struct.pack("<IH", len(elements) + 7, min(len(values), 65535)) + elements + b"\xff"


def listpack_element(value):
    n, number = len(value), as_integer(value) if len(value) <= 20 else None
    if number is None or not -2**63 <= number < 2**63 or value != b"%d" % number:
        body = bytes([0x80 | n]) if n < 64 else struct.pack(">H", 0xe000 | n) if n < 4096 else b"\xf0" + struct.pack("<I", n)
        body += value
    elif 0 <= number < 128:
        body = bytes([number])
    elif -2**12 <= number < 2**12:
        body = struct.pack(">H", 0xc000 | number & 0x1fff)
    else:
        n_bytes, head = next((size, head) for size, head in ((2, 0xf1), (3, 0xf2), (4, 0xf3), (8, 0xf4))
                             if -2**(8 * size - 1) <= number < 2**(8 * size - 1))
        body = bytes([head]) + (number % 2**64).to_bytes(8, "little")[:n_bytes]
    n, size = len(body), 1 if len(body) <= 127 else 2 if len(body) < 16383 else 3
    return body + bytes(n >> 7 * (size - 1 - i) & 127 | (128 if i else 0) for i in range(size))


def ziplist(values):
    """As Redis packed elements before 7.0."""
    elements, before, last = b"", 0, 10
    for value in values:
        element = (bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)) + ziplist_value(value)
        last, before = 10 + len(elements), len(element)
        elements += element
    return struct.pack("<IIH", len(elements) + 11, last, len(values)) + elements + b"\xff"


def ziplist_value(value):
    n, number = len(value), as_integer(value) if len(value) <= 20 else None
    if number is None or not -2**63 <= number < 2**63 or value != b"%d" % number:
        return (bytes([n]) if n < 64 else struct.pack(">H", 0x4000 | n) if n < 16384 else b"\x80" + struct.pack(">I", n)) + value
    if 0 <= number <= 12:
        return bytes([0xf1 + number])
    n_bytes, head = next((size, head) for size, head in ((1, 0xfe), (2, 0xc0), (3, 0xf0), (4, 0xd0), (8, 0xe0))
                         if -2**(8 * size - 1) <= number < 2**(8 * size - 1))
    return bytes([head]) + (number % 2**64).to_bytes(8, "little")[:n_bytes]


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
        self.stream_ms, self.stream_serial = 5, 0

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

    def item(self):
        """Of a list; most are few, so that they are found again."""
        return self.one_of(b"a", b"b", b"7", b"-129", b"007", b"longer " * 12) if self.chance(0.7) else self.value()

    def items(self):
        return [self.item() for _ in range(self.rng.randint(5, 60))]

    def list_payload(self):
        """Of all forms that lists have had; whole, for redis-server believes what a right checksum is on."""
        blocks = [self.items() for _ in range(self.rng.randint(1, 4))]
        kind = self.rng.random()
        if kind < 0.2:
            return dump_payload(b"\x01" + dumped_length(len(blocks[0])) + b"".join(map(string_of, blocks[0])))
        if kind < 0.4:
            return dump_payload(b"\x0a" + string_of(ziplist(blocks[0])))
        if kind < 0.6:
            return dump_payload(b"\x0e" + dumped_length(len(blocks)) + b"".join(string_of(ziplist(b)) for b in blocks))
        if kind < 0.9:
            nodes = [b"\x01" + string_of(block[0]) if self.chance(0.2) else b"\x02" + string_of(listpack(block))
                     for block in blocks]
            return dump_payload(b"\x12" + dumped_length(len(nodes)) + b"".join(nodes))
        return dump_payload(self.one_of(b"\x01\x00", b"\x01\x02\x01a", b"\x0e\x00", b"\x12\x00", b"\x12\x01\x03\x01a",
                                        b"\x12\x02\x01\x01a", b"\x0b\x01a"))

    def integers(self):
        """Sometimes more than redis-server keeps in an array."""
        first, step = self.one_of(0, 0, -300, 30000, 2**31 - 100, 10**15), self.one_of(1, 1, 7)
        return [b"%d" % (first + step * i) for i in range(self.one_of(3, 100, 400, 600))]

    def set_payload(self):
        members, kind = list(dict.fromkeys(self.items())), self.rng.random()
        if kind < 0.4:
            return dump_payload(b"\x02" + dumped_length(len(members)) + b"".join(map(string_of, members)))
        if kind < 0.8:
            width = self.one_of(2, 4, 8)
            numbers = sorted({self.rng.randint(-2**(8 * width - 1), 2**(8 * width - 1) - 1) for _ in range(self.one_of(1, 20, 600))})
            array = b"".join(n.to_bytes(width, "little", signed=True) for n in numbers)
            return dump_payload(b"\x0b" + string_of(struct.pack("<II", width, len(numbers)) + array))
        return dump_payload(self.one_of(b"\x02\x00", b"\x02\x02\x01a", b"\x02\x02\x01a\x01a", b"\x0b\x01a", b"\x02\x02\x017\x017"))

    def score(self):
        """Most are few, so that members share them."""
        return self.one_of(b"0", b"1", b"-1", b"2.5", b"-0", b"inf", b"-inf", b"3") if self.chance(0.6) else self.real()

    def member(self):
        return self.item()

    def bound(self):
        return (b"(" if self.chance(0.3) else b"") + self.one_of(b"-inf", b"+inf", self.score())

    def even(self):
        """A sorted set whose scores are all equal, where ranges of members mean something."""
        return self.one_of(b"even:1", b"even:2") if self.chance(0.95) else b"nosuch"

    def lex(self):
        return self.one_of(b"-", b"+", b"[" + self.member(), b"(" + self.member()) if self.chance(0.95) else self.member()

    def person(self):
        return b"p%d" % self.rng.randint(0, 400) if self.chance(0.3) else b"p%d" % self.rng.randint(0, 9)

    def place(self):
        """Two hardly ever are equally far from a third."""
        if self.chance(0.05):
            return [self.real(), self.real()]
        near = self.one_of((13.4, 38.1, 0.5), (0, 0, 90), (-179.9, 70, 3), (0, 84.5, 2), (100, -40, 20), (0, 0, 180))
        return [b"%.*f" % (self.rng.randint(4, 15), max(-180, min(180, near[0] + self.rng.uniform(-near[2], near[2])))),
                b"%.*f" % (self.rng.randint(4, 15), max(-85, min(85, near[1] + self.rng.uniform(-near[2], near[2]) / 2)))]

    def located(self):
        return [*self.place(), self.person()]

    def many_located(self):
        return [word for _ in range(self.rng.randint(5, 150)) for word in self.located()]

    def distance(self):
        if self.chance(0.05):
            return self.real()
        return b"%.*f" % (self.rng.randint(0, 3), 10 ** self.rng.uniform(0, 7))

    def unit(self):
        return self.one_of(b"m", b"km", b"ft", b"mi", b"M", b"KM", b"km", b"km") if self.chance(0.97) else self.word()

    def elements(self):
        return [word for _ in range(self.rng.randint(5, 80)) for word in (self.score(), b"%d" % self.rng.randint(0, 200))]

    def even_elements(self):
        return [word for _ in range(self.rng.randint(1, 40)) for word in (b"0", self.member())]

    def zset_payload(self):
        """Of all forms that sorted sets have had, in order, no member twice."""
        pairs = {b"%d" % self.rng.randint(0, 300): self.rng.choice((0, 1, -1, 7, 2.5, 1e20, -3e-7))
                 for _ in range(self.rng.randint(1, 200))}
        pairs = sorted(pairs.items(), key=lambda pair: (pair[1], pair[0]))
        texts = [word for member, number in pairs for word in (member, b"%.17g" % number)]
        kind = self.rng.random()
        if kind < 0.2:
            return dump_payload(b"\x03" + dumped_length(len(pairs)) + b"".join(
                string_of(member) + bytes([len(b"%.17g" % number)]) + b"%.17g" % number for member, number in pairs))
        if kind < 0.5:
            return dump_payload(b"\x05" + dumped_length(len(pairs)) + b"".join(
                string_of(member) + struct.pack("<d", number) for member, number in pairs))
        if kind < 0.7:
            return dump_payload(b"\x0c" + string_of(ziplist(texts)))
        if kind < 0.9:
            return dump_payload(b"\x11" + string_of(listpack(texts)))
        return dump_payload(self.one_of(b"\x03\x01\x01a\xfe", b"\x03\x01\x01a\xff", b"\x03\x01\x01a\x011", b"\x05\x00",
                                        b"\x05\x02\x01a" + bytes(8) + b"\x01a" + bytes(8)))

    def field(self):
        return self.one_of(b"a", b"b", b"7", b"field:1", b"12", b"-5") if self.chance(0.8) else self.item()

    def pairs(self):
        """Sometimes more than redis-server keeps in a listpack."""
        n, first = self.one_of(3, 100, 200, 450, 600), self.one_of(0, 0, 0, 200)
        return [word for i in range(n) for word in (b"field:%d" % (first + i), b"%d" % i)]

    def hash_payload(self):
        fields, kind = list(dict.fromkeys(self.items())), self.rng.random()
        words = [word for field in fields for word in (field, self.one_of(b"7", b"value", b"v" * 60))]
        short = [word[:60] for word in words] if all(len(word) <= 64 for word in words) else [b"a", b"1", b"b", b"-700"]
        if kind < 0.3:
            return dump_payload(b"\x04" + dumped_length(len(fields)) + b"".join(map(string_of, words)))
        if kind < 0.5:
            return dump_payload(b"\x10" + string_of(listpack(short)))
        if kind < 0.7:
            return dump_payload(b"\x0d" + string_of(ziplist(short)))
        if kind < 0.8:
            parts = [bytes([len(word)]) + (bytes([0]) if i % 2 else b"") + word for i, word in enumerate(short)]
            return dump_payload(b"\x09" + string_of(bytes([len(short) // 2]) + b"".join(parts) + b"\xff"))
        return dump_payload(self.one_of(b"\x04\x00", b"\x04\x01\x01a", b"\x10\x01a", b"\x09\x01\xff", b"\x0d\x01a"))

    # ---- of streams

    def ms(self):
        """Few, that only grow now and then."""
        if self.chance(0.02):
            self.stream_ms = self.rng.choice((100, 2**40, 2**63, 2**64 - 3))
        return min(self.stream_ms + self.rng.choice((-3, -2, -1, 0, 0, 0)), 2**64 - 1)

    def next_id(self):
        if self.chance(0.3):
            self.stream_ms += 1
        return self.one_of(b"%d-%d" % (self.stream_ms, self.serial()), b"%d-*" % self.stream_ms)

    def serial(self):
        self.stream_serial += self.rng.choice((1, 1, 1, 70, 5000))
        return self.stream_serial

    def any_next_id(self):
        return self.next_id() if self.chance(0.7) else self.stream_id() if self.chance(0.9) else self.one_of(
            b"-", b"+", b"*-1", b"0-0", b"0-*", b"0", b"18446744073709551615-18446744073709551615", b"")

    def stream_id(self):
        kind = self.rng.random()
        if kind < 0.4:
            return b"%d-%d" % (self.ms(), self.rng.randint(0, self.stream_serial + 1))
        if kind < 0.8:
            return b"%d-%d" % (self.ms(), self.rng.randint(0, 12))
        if kind < 0.9:
            return b"%d" % self.ms()
        return self.one_of(b"0", b"0-0", b"1-1", b"007-01", b" 5-+3", b"5--1", b"5--01", b"a-1", b"1-a", b"-1-1", b"1-1-1",
                           b"18446744073709551615-18446744073709551615", b"18446744073709551616-0", b"-", b"+", b"",
                           b"5\x00-1")

    def range_id(self):
        return self.one_of(b"-", b"+", self.stream_id(), b"(" + self.stream_id(), b"(")

    def group_id(self):
        return self.one_of(b"0", b"$", self.stream_id())

    def new(self):
        return b">"

    def few(self):
        return b"%d" % self.rng.randint(1, 5)

    def group(self):
        return self.one_of(b"g", b"g", b"h", b"other")

    def consumer(self):
        return self.one_of(b"alice", b"bob", b"", b"carl")

    def idle(self):
        return self.one_of(b"0", b"0", b"3600000", b"-1", self.edge())

    def fields(self):
        names = self.one_of([b"a"], [b"a", b"b"], [b"a", b"b", b"7"], [self.item()])
        return [word for name in names for word in (name, self.item())]

    def trimming(self):
        sign = self.one_of([], [b"="], [b"~"], [b"~"])
        how = self.one_of([b"MAXLEN", *sign, self.count()], [b"MINID", *sign, self.stream_id()])
        return how + ([b"LIMIT", self.int()] if self.chance(0.15) else [])

    def node_setting(self):
        return self.one_of([b"stream-node-max-entries", self.one_of(b"100", b"3", b"10", b"0", b"1")],
                           [b"stream-node-max-bytes", self.one_of(b"4096", b"100", b"0", b"1000")])

    def keys_and_ids(self):
        keys = [self.key() for _ in range(self.one_of(1, 1, 2, 3))]
        return keys + [self.one_of(b"$", b"0", b"0", self.stream_id(), b">") if self.chance(0.9) else b"" for _ in keys]

    def keys_and_new(self):
        keys = [self.key() for _ in range(self.one_of(1, 1, 1, 2))]
        return keys + [self.one_of(b">", b">", b">", b"0", self.stream_id(), b"$") for _ in keys]

    def stream_payload(self):
        """Of all forms that streams have had, with a group or without; some malformed, but not so that redis-server
        would believe them."""
        base, n = self.rng.randint(1, 50), self.rng.randint(1, 20)
        names = self.one_of([b"a"], [b"a", b"b"])
        elements = [b"%d" % n, b"0", b"%d" % len(names), *names, b"0"]
        for i in range(n):
            elements += [b"2", b"%d" % i, b"0", *[self.item() for _ in names], b"%d" % (len(names) + 3)]
        version = self.one_of(b"\x0f", b"\x13")
        id_ = struct.pack(">QQ", base, 3)
        body = version + b"\x01" + string_of(id_) + string_of(listpack(elements)) + dumped_length(n)
        body += dumped_length(base + n) + b"\x07"
        if version == b"\x13":
            body += dumped_length(base) + b"\x03" + b"\x00\x00" + dumped_length(n + 5)
        if self.chance(0.5):
            return dump_payload(body + b"\x00")
        body += b"\x01" + string_of(b"g") + dumped_length(base) + b"\x03" + (b"\x01" if version == b"\x13" else b"")
        when = struct.pack("<Q", 1_700_000_000_000)
        body += b"\x01" + id_ + when + b"\x02" + b"\x01" + string_of(b"alice") + when + b"\x01" + id_
        return dump_payload(body if self.chance(0.9) else body[:-self.rng.randint(1, 30)])

    def numkeys_and_keys(self):
        keys = [self.key() for _ in range(self.rng.randint(1, 3))]
        return [b"%d" % len(keys) if self.chance(0.9) else self.int(), *keys]

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
            return dump_payload(dumped_string(value), self.rng.choice((1, 6, 9, 10, 13, 600)))
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

    # What is sorted, and by what: numbers whose keys mostly are there.

    def sorted(self):
        return b"%d" % self.rng.randint(0, 12) if self.chance(0.97) else self.one_of(b"", b"x", b"1.5", b"*", b"-0")

    def few(self):
        return b"%d" % self.rng.randint(-1, 7) if self.chance(0.97) else self.edge()

    def weight(self):
        return self.one_of(b"w_%d", b"{tag}w%d") % self.rng.randint(0, 12)

    def weight_hash(self):
        return b"h_%d" % self.rng.randint(0, 12)

    def weighs(self):
        return b"%d" % self.rng.randint(-5, 40) if self.chance(0.98) else self.value()

    def by(self):
        return self.one_of(b"w_*", b"{tag}w*", b"h_*->F", b"w_*->F", b"h_*->", b"w_*x", b"*", b"{tag}*->F")

    def asked(self):
        return self.one_of(b"#", b"w_*", b"{tag}w*", b"h_*->F", b"h_*->->", b"h_*", b"#*", b"nothing", b"")

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
    if name in (b"ZRANK", b"ZREVRANK") and len(words) > 3:
        return True  # an option of Redis 7.2
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
