/* history.h -- what clients asked, and what they were told: the checkers' input.
 *
 * Moments are numbers that grow by one with each thing that happens, so that of two moments
 * one is always earlier.
 */
#pragma once

#include "engine/base/buf.h"
#include "tests/sim/config.h"

/* ---- texts: equal bytes have equal ids --------------------------------------------------- */

struct texts;
enum {
	TEXT_NONE = 0,        /* no value at all */
	TEXT_LOST = INT32_MAX /* nobody can tell */
};

struct texts *texts_new(void) must_check;
void texts_free(struct texts *texts);
uint32_t text_id(struct texts *texts, struct slice bytes);
struct slice text_bytes(const struct texts *texts, uint32_t id);

/* ---- operations -------------------------------------------------------------------------- */

enum verb {
	GET,
	STRLEN,
	GETRANGE,
	TYPE,
	EXISTS,
	EXPIRETIME,
	LLEN,
	LINDEX,
	LRANGE,
	SCARD,
	SISMEMBER,
	SMEMBERS,
	HGET,
	HLEN,
	HGETALL,
	ZSCORE,
	ZCARD,
	ZRANGE,
	XLEN,
	XRANGE,
	XPENDING,
	IS,   /* nobody asks it: the whole value, of whatever type */
	MGET, /* change nothing */
	SET,
	SET_NX,
	SET_XX,
	SET_GET,
	SETNX,
	GETSET,
	GETDEL,
	DEL,
	UNLINK,
	INCR,
	DECR,
	INCRBY,
	APPEND,
	SETRANGE,
	EXPIREAT,
	PERSIST,
	MSET,
	MSETNX,
	BECOMES, /* nobody asks it: SET to a value of whatever type */
	RPUSH,
	LPUSH,
	RPUSHX,
	LPOP,
	RPOP,
	LSET,
	LREM,
	LTRIM,
	LINSERT,
	LMOVE,
	BLPOP, /* of one key: what it is answered, and does, is what LPOP would, whether it waits or not */
	BRPOP,
	BLMOVE,
	BZPOPMIN,
	SADD,
	SREM,
	SMOVE,
	SUNIONSTORE, /* into the first key, from the others */
	HSET,
	HDEL,
	HINCRBY,
	ZADD, /* scores count up from the number */
	ZINCRBY,
	ZREM,
	ZPOPMIN,
	ZUNIONSTORE,
	XADD, /* with the next ID */
	XDEL,
	XTRIM,
	XGROUP_CREATE, /* from the beginning on, or with a number from the end */
	XREADGROUP,    /* of one consumer, a number of entries; `replace`: those that are pending */
	XACK,
	RENAME,
	RENAMENX,
	COPY,
	MOVE,
	FLUSHDB,
	FLUSHALL,
	SWAPDB,
	WATCH,
	UNWATCH,
	/* or DISCARD */ EXEC,
	EVAL, /* what follows is one script, which ends with the first step that fails */
	VERBS
};

enum { STEP_KEYS = 4, EXPIRES_MORE_S = 250 };
static const int64_t EXPIRES_FROM_S = 4000000000; /* far in the future */

/* One command as the model sees it. */
struct step {
	enum verb verb;
	uint8_t db, db_to; /* COPY DB, MOVE, SWAPDB */
	uint8_t n;         /* keys */
	bool replace;      /* COPY; WATCH: the first since none is watched; XREADGROUP */
	uint8_t keys[STEP_KEYS];
	uint8_t n_values;           /* RPUSH, SADD, HSET ... */
	uint32_t values[STEP_KEYS]; /* texts, one for each key, or the first alone; elements */
	uint32_t name;              /* BLPOP, XREADGROUP: text of the key's name */
	int64_t number, number_to;  /* INCRBY; offset; range; EXPIREAT: seconds after EXPIRES_FROM_S; count; ends */
};

static inline bool verb_is_of_collection(enum verb verb)
{
	return (verb >= LLEN && verb <= XPENDING) || (verb >= RPUSH && verb <= XACK);
}

static inline bool verb_waits(enum verb verb) { return verb >= BLPOP && verb <= BZPOPMIN; }

static const uint64_t NEVER = UINT64_MAX;

/* A command, or a transaction, on the keys all clients share. */
struct operation {
	uint16_t client;
	uint16_t session;   /* of that client: it may come again */
	uint8_t resp;       /* 2 or 3 */
	uint64_t invoked;   /* before the server could see it; NEVER: it was not sent */
	uint64_t responded; /* after the server has done it; NEVER: maybe not at all, */
	uint64_t dead;      /* ... and not after this */
	bool in_doubt;      /* an error was the answer: done or not, whatever came later */
	uint32_t reply;     /* text; TEXT_NONE: not seen */
	uint32_t n_steps;
	uint64_t watched;   /* EXEC, UNWATCH: slots watched until then */
	struct step *steps; /* owned */
};

/* A message published; its text names its number here. */
struct publication {
	uint16_t client, session;
	uint8_t channel;
	uint64_t invoked, responded;
	int64_t receivers;   /* as the publisher was told */
	uint32_t operations; /* of the history, when it was asked: those of its session come before it */
};

/* A subscriber listens to a channel: asked, confirmed; asked to end it, or gone. */
struct membership {
	uint16_t client, session;
	uint8_t channel;
	uint64_t asked, confirmed, left, left_confirmed;
	bool broke; /* the connection ended so that messages may be lost */
};

/* A message that came, in the order they came in. */
struct delivery {
	uint16_t client, session;
	uint8_t channel;
	uint32_t publication;
	uint64_t moment;
};

/* What an observer inside the server saw: a key has a value, after a step that changed it. It
 * only tells a search where to begin: what it finds has to be right without it. */
struct sighting {
	uint64_t moment;
	uint32_t text;
	uint8_t slot; /* SLOT_ALL: databases were emptied or swapped */
};
enum { SLOT_ALL = 255 };

struct keeper;

struct history {
	struct keeper *keeper; /* the owner's; NULL: none */
	struct texts *texts;
	struct buf sightings;
	struct buf operations; /* of struct operation, in the order of `invoked` within a session */
	struct buf publications, memberships, deliveries;
	uint64_t moment;
	bool is_cut;         /* by a crash, which may take some of what was not answered, and leave the rest */
	bool may_refuse;     /* a command, so that nobody heard of it, and do what came after it */
	uint64_t unadmitted; /* commands, for want of memory */
};

void history_init(struct history *history);
void history_fini(struct history *history);
uint64_t history_moment(struct history *history);

/* Adds an operation with room for its steps; its number. */
uint32_t history_add(struct history *history, uint32_t n_steps);
struct operation *history_at(const struct history *history, uint32_t number);
uint32_t history_count(const struct history *history);

/* "c2.0 [120, 133] MSET k0=... -> +OK" */
void operation_print(const struct history *history, const struct operation *operation, FILE *to);

/* ---- keys -------------------------------------------------------------------------------- */

/* The name of a shared key; `out` has room for 16. */
void key_name(const struct config *config, uint8_t key, char *out);

/* The bit of a key in a database, in sets of them. */
static inline uint64_t slot_bit(uint8_t db, uint8_t key) { return 1ull << (db * KEYS_MAX + key); }
static_assert(DATABASES_USED * KEYS_MAX <= 64, "sets of keys are words");

/* All that an operation reads or writes. */
uint64_t operation_slots(const struct operation *operation);
bool operation_is_barrier(const struct operation *operation);
