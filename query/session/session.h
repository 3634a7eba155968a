/* session.h -- one client of the command table, whatever wire it came by.
 *
 * What      What a client has chosen and begun: database, protocol version, name, a
 *           transaction being queued, keys watched, channels listened to. Commands on
 *           keys never see it; they get a struct client_view, which travels.
 * Owner     The core of its connection. It lies at the start of the wire's own struct.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/list.h"
#include "query/commands/command.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct session;
struct unit;          /* query/session/unit.h */
struct blocked;       /* query/session/block.h */
struct transaction;   /* query/session/transaction.h: MULTI's queue and the watches */
struct subscriptions; /* query/commands/pubsub.c */
struct tracker;       /* query/commands/tracking.c */

/* What the wire does for its session. */
struct session_ops {
	const struct reply_ops *(*reply_ops)(const struct session *session); /* as session->resp says */
	/* A reply for out-of-band messages (pub/sub): begin, say one, end. Never while a
	 * command of this session is being answered on the same buffer, except that
	 * SUBSCRIBE and its kin answer this way. */
	void (*push)(struct session *session, struct reply *out);
	void (*pushed)(struct session *session);
	/* The same for what tells of changed keys: it comes behind the answers that the client still awaits. */
	void (*push_behind)(struct session *session, struct reply *out);
	void (*close)(struct session *session, bool at_once); /* after the output is out, or at once */
	void (*address)(struct session *session, bool local, char *out, size_t size);
	void (*trust)(struct session *session); /* as session->authenticated says */
	size_t (*memory)(const struct session *session, size_t *input, size_t *output);
	int (*descriptor)(const struct session *session);
	/* What it waited for is over, and its answer is in the output: input goes on. The session may be gone after. */
	void (*resume)(struct session *session);
};

enum session_flags {
	SESSION_NO_EVICT = 1 << 0,
	SESSION_NO_TOUCH = 1 << 1,
	SESSION_REPLY_OFF = 1 << 2,
	SESSION_REPLY_SKIP = 1 << 3,      /* the next reply is not sent */
	SESSION_REPLY_SKIP_NEXT = 1 << 4, /* CLIENT REPLY SKIP was just said */
	SESSION_CLOSING = 1 << 5,
	SESSION_UNIX = 1 << 6,
	SESSION_CACHING = 1 << 8, /* CLIENT CACHING was said for the next command */
	SESSION_IN_EXEC = 1 << 7, /* until its round is done: the wire keeps messages back, behind EXEC's answer */
};

/* What this client's answers wait for; the others as the setting `durability` has them. */
enum session_durability { DURABILITY_OF_SERVER, DURABILITY_ALWAYS, DURABILITY_EVERYSEC, DURABILITY_NO };

struct session {
	struct core *core;
	const struct session_ops *ops;
	struct link all;           /* of this core's sessions, oldest first */
	uint64_t id;
	uint64_t opened_ns;
	uint64_t active_ns;        /* last command */
	const struct command *last_command;
	uint16_t db;
	uint8_t resp;              /* 2 or 3 */
	uint8_t durability;        /* enum session_durability */
	bool authenticated;
	uint32_t flags;
	struct slice name;         /* owned, "" if none */
	struct slice lib_name, lib_version;
	struct blocked *blocked;   /* what it waits for: it is given no commands; NULL: nothing */
	struct transaction *transaction; /* NULL: neither MULTI nor WATCH */
	struct unit *unit;         /* of the EXEC that runs; NULL: none */
	struct subscriptions *subscriptions; /* NULL: none */
	struct link watching;      /* of its core's that say MONITOR; in no list: it does not */
	struct tracker *tracker;   /* query/commands/tracking.h; NULL: it does not track, nor hears for others */
	uint64_t n_commands;
	uint64_t bytes_in, bytes_out;
};

/* Joins a session to its core's list and gives it its id; the wire has zeroed it and set
 * core and ops. */
void session_open(struct session *session);

/* Unsubscribes, unwatches and forgets. Called when no command of it runs any more. May
 * leave work behind in messages, never a pointer to the session. */
void session_close(struct session *session);

/* Back to how a fresh connection is (RESET); the wire's version included. */
void session_reset(struct session *session);

/* Does the client await its replies in RESP2 subscriber mode? */
bool session_is_subscribed(const struct session *session);

struct client_view session_view(const struct session *session);

/* The sessions of a core, oldest first, but those that are closing: for others such a client is gone, though what was
 * said to it may still be on its way. `visit` may close the one it is shown. */
void session_each(struct core *core, void (*visit)(void *arg, struct session *session), void *arg);
struct session *session_find(struct core *core, uint64_t id); /* of this core; else NULL */

/* ---- pub/sub: query/commands/pubsub.c ----------------------------------------------- */

void subscriptions_drop(struct session *session); /* all of them, silently */
uint32_t subscriptions_count(const struct session *session);
