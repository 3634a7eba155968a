#include "query/session/session.h"

#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/monitor.h"
#include "query/commands/tracking.h"
#include "query/session/block.h"
#include "query/session/transaction.h"
#include "storage/log/log.h"

void session_open(struct session *session)
{
	struct commands *commands = session->core->commands;
	session->resp = 2;
	session->authenticated = session->core->settings->requirepass[0] == 0;
	session->opened_ns = session->active_ns = session->core->now_ns;
	list_push_back(&commands->sessions, &session->all);
	commands->n_sessions++;
	if (session->authenticated)
		session->ops->trust(session);
}

static void text_forget(struct slice *text)
{
	memory_free((void *)text->ptr);
	*text = (struct slice){0};
}

void session_close(struct session *session)
{
	session_leave(session);
	transaction_drop(session);
	if (session->subscriptions)
		subscriptions_drop(session);
	monitor_end(session);
	tracking_drop(session);
	text_forget(&session->name);
	text_forget(&session->lib_name);
	text_forget(&session->lib_version);
	list_remove(&session->all);
	session->core->commands->n_sessions--;
}

void session_reset(struct session *session)
{
	transaction_drop(session);
	if (session->subscriptions)
		subscriptions_drop(session);
	monitor_end(session);
	tracking_end(session);
	text_forget(&session->name);
	session->db = 0;
	session->resp = 2;
	session->durability = DURABILITY_OF_SERVER;
	session->flags &= ~(uint32_t)(SESSION_NO_EVICT | SESSION_NO_TOUCH | SESSION_REPLY_OFF | SESSION_REPLY_SKIP_NEXT);
	session->authenticated = session->core->settings->requirepass[0] == 0;
	session->ops->trust(session);
}

bool session_is_subscribed(const struct session *session)
{
	return session->resp == 2 && session->subscriptions && subscriptions_count(session) > 0;
}

/* In the order of the settings' words and of the session's. */
static bool answers_wait(const struct session *session)
{
	if (session->durability == DURABILITY_OF_SERVER)
		return session->core->settings->durability == LOG_ALWAYS;
	return session->durability == DURABILITY_ALWAYS;
}

struct client_view session_view(const struct session *session)
{
	struct core *core = session->core;
	return (struct client_view){
		.client_id = session->id,
		.now_us = core->wall_us,
		.now_ms = core->wall_us / 1000,
		.keyspace = core->shard->keyspace_of_db[session->db],
		.db = session->db,
		.resp = session->resp,
		.no_touch = session->flags & SESSION_NO_TOUCH,
		.waits = answers_wait(session),
		.tracks = tracking_view(session),
		.core = core->id,
	};
}

void session_each(struct core *core, void (*visit)(void *arg, struct session *session), void *arg)
{
	list_each(link, &core->commands->sessions) {
		struct session *session = container_of(link, struct session, all);
		if (!(session->flags & SESSION_CLOSING))
			visit(arg, session);
	}
}

struct session *session_find(struct core *core, uint64_t id)
{
	list_each(link, &core->commands->sessions) {
		struct session *session = container_of(link, struct session, all);
		if (session->id == id && !(session->flags & SESSION_CLOSING))
			return session;
	}
	return NULL;
}
