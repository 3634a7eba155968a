/* command.h -- the Redis command table, and what a command sees when it runs.
 *
 * What      One row for each command says everything about it: dispatch, arity, keys,
 *           flags, documentation, code. The rows of a group lie beside their functions
 *           (string.c, bitmap.c, keys.c, ...); table.c joins the groups and checks them.
 * Where     A row with keys runs as shard code on the shard of its keys, to completion.
 *           A row without keys runs on its connection's core at once. A row flagged FIBER
 *           runs there in a fiber, with or without keys, because it must wait.
 *           If the keys of one command lie on several shards, session/spread.c locks
 *           them, brings their values into a scratch shard, runs the same function
 *           there, and takes the changes back: rows need not know. What reads keys that its
 *           arguments do not name (SORT) runs in steps: session/roam.c.
 * Errors    A command answers exactly one reply: it says it through exec->reply and
 *           returns OK, or returns an error of the table before it has said anything.
 * Obeyed    When run() is called, arity is right, keys are hashed, the client may run it,
 *           and GROWS commands have been admitted under maxmemory.
 */
#pragma once

#include "engine/base/err.h"
#include "engine/base/slice.h"
#include "query/commands/reply.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/collection.h"
#include "storage/keyspace/keyspace.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct command;
struct session;

/* What the shard must know of the client; copied with each batch. */
struct client_view {
	uint64_t client_id;
	int64_t now_ms;      /* wall time, taken once for the batch */
	int64_t now_us;
	uint32_t keyspace;   /* id that SELECT's number stands for */
	uint16_t db;         /* that number */
	uint8_t resp;        /* 2 or 3 */
	bool no_touch;       /* CLIENT NO-TOUCH */
	bool waits;          /* answers wait until what they rest on is durable */
	bool scripted;       /* a script's command */
	uint8_t tracks;      /* CLIENT TRACKING: enum tracks, query/commands/tracking.h */
	uint16_t core;       /* of its connection */
};

/* A command at work. */
struct exec {
	struct core *core;
	struct shard *shard;              /* of the keys; the core's own for rows without */
	const struct client_view *client;
	struct session *session;          /* rows without keys only; else NULL */
	const struct command *command;
	const struct slice *argv;         /* argv[0] is the name as the client wrote it */
	uint32_t argc;
	struct key first;                 /* the first key, if the row has one */
	struct reply *reply;
	bool guarded;                     /* not every command may run on this shard now */
	struct blocked *blocked;          /* waits if nothing is found; NULL: it may not */
	bool tracked;                     /* somebody keeps what was read: see tracking_run() */
	bool refused;                     /* it may not run on this shard now: it was no call */
};

typedef enum err command_fn(struct exec *exec);

/* ---- commands that wait for keys (COMMAND_BLOCKING) ----------------------------------- */

struct blocked; /* query/session/block.h: a client that waits */

/* What a call waits for, read from its arguments. */
struct block_wish {
	uint32_t first, n;   /* positions of the keys that may end the wait */
	uint64_t timeout_ns; /* 0: for ever */
	bool fails;          /* an argument is wrong: the whole command says so, or what is wrong before that */
};

enum { PIN_TEXT_MAX = 41 };

/* How a row waits. Its run() is run_blocking(), or ends in exec_block() if it finds nothing. */
struct blocking {
	uint32_t types; /* bits of enum object_type: what ends the wait */
	bool moves;     /* it changes other keys than the one that came */
	/* False: the error has been said. */
	bool (*read)(struct exec *exec, struct block_wish *out);
	/* argv[at] has such a value: is it what is waited for? NULL: always. */
	bool (*fits)(const struct exec *exec, uint32_t at, struct object *object);
	/* What the command does now that argv[at], this key, has what it wants. */
	enum err (*serve)(struct exec *exec, const struct key *key, uint32_t at);
	/* What it answers if it may not wait; when its time is over it is a null array. */
	void (*nothing)(struct reply *reply);
	/* Does this call wait at all? NULL: always. */
	bool (*may)(const struct slice *argv, uint32_t argc);
	/* If it finds something at once it runs as a whole, whichever keys that is on. */
	bool whole;
	/* A key that is not there is an error, said by the whole command. */
	bool needs_keys;
	/* The wait for argv[at] begins: another text for an argument that says "as it is now". 0: there is none, else
	 * the argument's number. `object` NULL: there is no such key. */
	uint32_t (*pin)(const struct exec *exec, uint32_t at, const struct object *object, char text[PIN_TEXT_MAX],
	                size_t *len);
};

/* Serves the first of the keys that has what is wanted; ERR_WRONG_TYPE if one before it has another value. If none
 * has, the client waits. */
enum err run_blocking(struct exec *exec);

/* Nothing was found: the client waits, if it may, and its answer comes later. */
void exec_block(struct exec *exec, const struct block_wish *wish);

/* argv[at] as seconds, in Redis' way; false: the error has been said. */
bool exec_timeout(struct exec *exec, uint32_t at, uint64_t *out_ns);

enum command_flags {
	COMMAND_WRITE = 1 << 0,
	COMMAND_READ = 1 << 1,
	COMMAND_GROWS = 1 << 2,     /* denied over maxmemory ("denyoom") */
	COMMAND_ADMIN = 1 << 3,
	COMMAND_PUBSUB = 1 << 4,
	COMMAND_NO_SCRIPT = 1 << 5,
	COMMAND_BLOCKING = 1 << 6,
	COMMAND_LOADING = 1 << 7,
	COMMAND_STALE = 1 << 8,
	COMMAND_FAST = 1 << 9,
	COMMAND_NO_AUTH = 1 << 10,   /* may run before authentication */
	COMMAND_NO_MULTI = 1 << 11,
	COMMAND_FIBER = 1 << 12,     /* waits: run in a fiber */
	COMMAND_BARRIER = 1 << 13,   /* earlier writes of this connection run first on all shards */
	COMMAND_SUBSCRIBED = 1 << 14, /* allowed in RESP2 subscriber mode */
	COMMAND_MOVABLE_KEYS = 1 << 15, /* find_keys() tells them */
	COMMAND_SKIP_MONITOR = 1 << 16,
	COMMAND_SKIP_SLOWLOG = 1 << 17,
	COMMAND_ALL_SLOTS = 1 << 18,  /* its effect is on every key: FLUSHALL, SWAPDB */
	COMMAND_MAY_REPLICATE = 1 << 19,
	COMMAND_IN_MULTI = 1 << 20,   /* runs at once between MULTI and EXEC, instead of being queued */
	COMMAND_OTHER_DB = 1 << 21,   /* may touch its keys in other databases: COPY, MOVE */
	COMMAND_COLD = 1 << 22,       /* needs no value that its keys have: runs while they are not in memory */
	COMMAND_MAY_GET = 1 << 23,    /* ... unless an option says GET */
	COMMAND_SCRIPT = 1 << 24,     /* runs Lua, in a deep fiber: session/script.h */
};

/* Key positions as COMMAND INFO gives them: argv[first], argv[first + step], ... up to
 * argv[last]; negative `last` counts from the end. first 0: no keys. */
struct key_range {
	int8_t first, last, step;
};

/* Documentation of arguments, for COMMAND DOCS; ends with a zeroed row. */
enum argument_type {
	ARG_STRING, ARG_INTEGER, ARG_DOUBLE, ARG_KEY, ARG_PATTERN, ARG_UNIX_TIME, ARG_PURE_TOKEN, ARG_ONEOF, ARG_BLOCK
};
enum argument_flags { ARG_OPTIONAL = 1, ARG_MULTIPLE = 2, ARG_MULTIPLE_TOKEN = 4 };
struct command_argument {
	const char *name;
	const char *token; /* NULL: none */
	const char *since; /* NULL: as the command */
	enum argument_type type;
	uint8_t flags;
	const struct command_argument *inner; /* of ONEOF and BLOCK */
};

/* What a later version changed; a list of them ends with a zeroed row. */
struct command_history {
	const char *since;
	const char *change;
};

struct command {
	const char *name; /* upper case; a subcommand: "CLIENT|LIST" is {"LIST"} among CLIENT's */
	int16_t arity;    /* with the name; negative: at least. A subcommand counts its parent */
	struct key_range keys;
	uint32_t flags;
	const char *since;
	const char *complexity;
	const char *summary;
	command_fn *run;
	const struct command_argument *arguments; /* NULL: none */
	const struct command *subcommands;        /* ends with a zeroed row; NULL: none */
	/* For MOVABLE_KEYS: writes the positions of the keys into `out`; their number, or -1
	 * if the arguments make no sense (the command then says its syntax error). */
	int (*find_keys)(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room);
	const struct command_history *history; /* NULL: none */
	const char *deprecated_since;          /* NULL: it is not */
	const char *replaced_by;               /* of a deprecated one, in COMMAND DOCS' words */
	const char *tips;                      /* for COMMAND INFO, separated by spaces; NULL: none */
	const struct blocking *blocking;       /* NULL: it never waits for keys */
	/* Do these arguments make it read keys that they do not name, and that may lie on any core, or have to be
	 * fetched? Then session/roam.c runs it. NULL: never. */
	bool (*roams)(const struct core *core, const struct slice *argv, uint32_t argc);
	/* Of a large collection at argv[at], what it needs in memory; NULL: all of it. */
	struct reach (*reach)(const struct slice *argv, uint32_t argc, uint32_t at);
	const char *categories;                /* of ACLs, besides those that flags and group say, or
	                                        * "-keyspace" against the group; the same way */
	/* What it does with its keys, in the words of COMMAND INFO: with the first, after a comma with the second, the
	 * last for all behind it. NULL: what the flags say. */
	const char *uses;
	/* The same of a call, where its arguments decide. NULL: always as above. */
	const char *(*uses_by)(const struct slice *argv, uint32_t argc);
};

/* A group of rows, as COMMAND DOCS names it. Ends with a zeroed row. */
struct command_group {
	const char *name; /* "string", "bitmap", "generic", "connection", "server", "transactions", "pubsub" */
	const struct command *rows;
};

/* All groups; ends with a zeroed one. Each group file defines one of them. */
extern const struct command_group command_groups[];
extern const struct command string_commands[];
extern const struct command list_commands[];
extern const struct command set_commands[];
extern const struct command sorted_set_commands[];
extern const struct command sorted_set_blocking_commands[];
extern const struct command sorted_set_range_commands[];
extern const struct command sorted_set_combine_commands[];
extern const struct command geo_commands[];
extern const struct command hash_commands[];
extern const struct command hash_expire_commands[];
extern const struct command stream_commands[];
extern const struct command bitmap_commands[];
extern const struct command hyperloglog_commands[];
extern const struct command keys_commands[];
extern const struct command expire_commands[];
extern const struct command scan_commands[];
extern const struct command dump_commands[];
extern const struct command sort_commands[];
extern const struct command connection_commands[];
extern const struct command server_commands[];
extern const struct command transaction_commands[];
extern const struct command pubsub_commands[];
extern const struct command scripting_commands[];
extern const struct command function_commands[];

/* Dispatch: a perfect-enough hash over (length, letters), built once, const afterwards. */
struct command_index;
struct command_index *command_index_new(void) must_check; /* asserts that rows are sound */
void command_index_free(struct command_index *index);
const struct command *command_find(const struct command_index *index, struct slice name);

/* Number of a command, 0 .. command_count() - 1, for statistics; subcommands have their own. */
uint32_t command_number(const struct command_index *index, const struct command *command);
uint32_t command_count(const struct command_index *index);
const struct command *command_by_number(const struct command_index *index, uint32_t number);
const char *command_group_name(const struct command_index *index, const struct command *command);
/* "client|list", lower case; lives as long as the index. */
const char *command_full_name(const struct command_index *index, const struct command *command);

/* The row that runs for these arguments (a subcommand's where there are some), or NULL with
 * the error said: "ERR unknown command ...", "ERR wrong number of arguments ...", or
 * "ERR unknown subcommand ...", in Redis' words. `reply` NULL: nothing is said. */
const struct command *command_resolve(const struct command_index *index, const struct slice *argv, uint32_t argc,
				      struct reply *reply);

static inline bool command_arity_fits(const struct command *command, uint32_t argc)
{
	return command->arity >= 0 ? argc == (uint32_t)command->arity : argc >= (uint32_t)-command->arity;
}

/* Positions of the keys in argv; their number, at most `room` written; -1: see find_keys. */
int command_keys(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room);

/* ---- what rows are written with ---------------------------------------------------- */

/* argv[at] as a key of the client's keyspace, hashed. */
struct key exec_key(const struct exec *exec, uint32_t at);

/* Does argv[at] say this word, in any case? */
bool exec_is(const struct exec *exec, uint32_t at, struct slice word);

/* Whole-argument numbers in Redis' strict form (no spaces, no "+", no leading zeros). */
enum err exec_integer(const struct exec *exec, uint32_t at, int64_t *out) must_check;
enum err exec_real(const struct exec *exec, uint32_t at, long double *out) must_check;

/* The object of a key, or NULL; leaves no trace for eviction if the client wants none. */
struct object *exec_find(struct exec *exec, const struct key *key, enum find_how how);

/* The same for those who ask about the key and not for its value (EXISTS, TTL): counts as
 * hit or miss, never as an access. */
struct object *exec_look(struct exec *exec, const struct key *key);

/* The same, and nobody is told that the key is missing (OBJECT). */
struct object *exec_inspect(struct exec *exec, const struct key *key);

/* The object of a key that must be a string: ERR_WRONG_TYPE, or OK with NULL if absent. */
enum err exec_find_string(struct exec *exec, const struct key *key, enum find_how how, struct object **out) must_check;

/* Opens a key's collection for a command that may change it: ERR_WRONG_TYPE, or OK. `key` must outlive it. */
enum err exec_open(struct exec *exec, const struct key *key, enum object_type type, struct collection *out) must_check;

/* Says a string object's value, or a part of it: lent if large and the reply allows, else copied. */
void exec_reply_string(struct exec *exec, struct object *object);
void exec_reply_bytes(struct exec *exec, struct object *object, struct slice bytes);

/* "X HELP": the lines under Redis' heading, and the two about HELP itself. `lines` ends
 * with NULL. */
enum err reply_help(struct exec *exec, const char *name, const char *const *lines);
