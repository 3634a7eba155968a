/* tracking_private.h -- what the parts of tracking share.
 *
 *   tracking.c          who tracks and how, for sessions
 *   tracking_shard.c    a shard's keys that were read, and what is told of their changes
 *   tracking_lanes.c    events on their way to other cores
 *   tracking_tell.c     from events to clients' messages
 *   tracking_prefixes.c who listens to which prefixes
 *
 * A change takes the key out of the shard's table and leaves an event for each core that has readers of it. A task of
 * the same turn sends what was left to each core as one block, which stays the sender's until that core has read it.
 * There the clients are found by their ids; one whose messages go elsewhere leaves an event in turn, for the core of
 * that client.
 */
#pragma once

#include "engine/core/core.h"
#include "query/commands/commands.h"
#include "query/commands/handout.h"
#include "query/commands/readers.h"
#include "query/commands/tracking.h"

#include <string.h>

enum { CORE_BITS = 6 };
static_assert(1 << CORE_BITS == CORES_MAX, "a reader is a client's id and its core's");

/* ---- types ------------------------------------------------------------------------ */

struct tracker {
	struct tracker *next; /* in its slot */
	struct link all;      /* of those that track */
	struct session *session;
	bool on, broken;
	uint32_t options;
	uint64_t redirect;
	uint16_t redirect_core;
	struct link prefixes; /* memberships, ascending */
	uint32_t n_prefixes;
};

/* What somebody on this core listens to. */
struct prefix {
	struct link all; /* ascending */
	struct link members;
	uint32_t len;
	uint8_t text[];
};

struct membership {
	struct link in_prefix, in_tracker;
	struct prefix *prefix;
	struct tracker *tracker;
};

enum event_kind {
	EVENT_READ,       /* a name; its readers' ids */
	EVENT_CHANGED,    /* a name; the id of who has changed it */
	EVENT_REDIRECTED, /* names, or all keys; the client they are for, and the one that tracks them */
	EVENT_BROKEN,     /* the client that tracks, and the one that is no more */
	EVENT_ALL,        /* any key may have changed */
};

#define ALL_NAMES UINT32_MAX /* of n_names */

/* Clients' ids follow, then the names, each behind its length. */
struct event {
	uint32_t size; /* with all of that */
	uint32_t kind;
	uint32_t n_ids;
	uint32_t n_names;
};

/* The way to another core. */
struct lane {
	struct buf events;
	bool lost; /* some of them, since there was too much: all keys count as changed */
};

struct tracking {
	struct core *core;
	struct readers *readers;   /* of this shard's keys; NULL: none */
	struct link doomed;        /* tables that are being freed */
	uint64_t writer;           /* id of the client whose command runs; 0: nobody's */
	uint64_t keeps;            /* that client as a reader, if it is not told of its own changes */
	uint64_t cores, listeners; /* bits: cores with clients that track; that listen to prefixes */
	struct tracker **slots;    /* this core's, by id */
	uint32_t n_slots, n_trackers;
	struct link trackers; /* those that track */
	uint32_t n_on, n_listeners;
	struct link prefixes;
	struct buf changed; /* events for listeners */
	struct lane *lanes; /* by core */
	struct handouts handouts;
	struct task send, trim, free;
};

struct doomed {
	struct link link;
	struct readers *readers;
};

static inline struct tracking *tracking_of(const struct core *core) { return core->commands->tracking; }

/* A reader: a client's id, and its core's. */
static inline uint64_t reader_of(uint64_t id, uint16_t core) { return id << CORE_BITS | core; }
static inline uint16_t core_of_reader(uint64_t reader) { return reader & (CORES_MAX - 1); }
static inline uint64_t id_of_reader(uint64_t reader) { return reader >> CORE_BITS; }

/* ---- events ----------------------------------------------------------------------- */

static inline size_t event_begin(struct buf *to, enum event_kind kind)
{
	struct event event = {.kind = kind};
	buf_append(to, slice_of(&event, sizeof(event)));
	return to->len - sizeof(event);
}

static inline struct event *event_at(const struct buf *events, size_t at) { return (struct event *)(events->ptr + at); }

static inline void event_id(struct buf *to, size_t event, uint64_t id)
{
	buf_append(to, slice_of(&id, sizeof(id)));
	event_at(to, event)->n_ids++;
}

static inline void event_name(struct buf *to, size_t event, struct slice name)
{
	uint32_t len = (uint32_t)name.len;
	buf_append(to, slice_of(&len, sizeof(len)));
	buf_append(to, name);
	event_at(to, event)->n_names++;
}

static inline void event_end(struct buf *to, size_t event)
{
	size_t padding = -to->len & 7;
	memset(buf_reserve(to, padding), 0, padding);
	to->len += padding;
	event_at(to, event)->size = (uint32_t)(to->len - event);
}

static inline const uint64_t *event_ids(const struct event *event) { return (const uint64_t *)(event + 1); }

/* The name at *at, which moves on to the next. */
static inline struct slice next_name(const uint8_t **at)
{
	uint32_t len;
	memcpy(&len, *at, sizeof(len));
	struct slice name = slice_of(*at + sizeof(len), len);
	*at += sizeof(len) + len;
	return name;
}

static inline const uint8_t *event_names(const struct event *event)
{
	return (const uint8_t *)(event_ids(event) + event->n_ids);
}

static inline void lanes_wake(struct tracking *tracking)
{
	core_ready(tracking->core, &tracking->send, CLASS_FOREGROUND);
}

/* ---- tracking.c ------------------------------------------------------------------- */

struct tracker *tracker_find(const struct tracking *tracking, uint64_t id);

/* ---- tracking_shard.c ------------------------------------------------------------- */

/* The shard says what changes while anybody wants to know. */
void tracking_follow_shard(struct tracking *tracking);
void tracking_trim(struct core *core, struct task *task);
void tracking_free_doomed(struct core *core, struct task *task);

/* ---- tracking_lanes.c ------------------------------------------------------------- */

void tracking_send(struct core *core, struct task *task);
void tracking_events_read(struct handouts *handouts, uint16_t by);

/* ---- tracking_tell.c -------------------------------------------------------------- */

/* Names on their way to one client; `all`: every key. */
struct names {
	const struct slice *at;
	size_t n;
	bool all;
};

void tracker_tell(struct tracking *tracking, struct tracker *tracker, struct names names);
void trackers_tell_all(struct tracking *tracking);
void tracking_show_events(struct tracking *tracking, const struct buf *events);

/* ---- tracking_prefixes.c ---------------------------------------------------------- */

/* A key that has changed; `writer` 0: not one client alone has done it. */
struct change {
	struct slice name;
	uint64_t writer;
};

/* Those of `events` as struct change in `out`: each key once, in order; their number. */
size_t tracking_changes(const struct buf *events, struct buf *out);
void tracking_show_changes(struct tracking *tracking, const struct buf *events);

static inline struct slice prefix_text(const struct prefix *prefix) { return slice_of(prefix->text, prefix->len); }

void tracker_joins(struct tracking *tracking, struct tracker *tracker, struct slice text);
void tracker_leaves(struct tracker *tracker);
