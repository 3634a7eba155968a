/* tracking.c -- who tracks and how; the parts are in tracking_private.h. */
#include "query/commands/tracking_private.h"

#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "query/session/session.h"

enum { SLOTS_FIRST = 16 };

/* ---- clients ---------------------------------------------------------------------- */

static struct tracker **tracker_slot(const struct tracking *tracking, uint64_t id)
{
	return &tracking->slots[id & (tracking->n_slots - 1)];
}

struct tracker *tracker_find(const struct tracking *tracking, uint64_t id)
{
	struct tracker *tracker = tracking->n_slots ? *tracker_slot(tracking, id) : NULL;
	while (tracker && tracker->session->id != id)
		tracker = tracker->next;
	return tracker;
}

static void slots_grow(struct tracking *tracking)
{
	uint32_t n = tracking->n_slots;
	struct tracker **old = tracking->slots;
	tracking->n_slots = n ? 2 * n : SLOTS_FIRST;
	tracking->slots = memory_zalloc(tracking->n_slots * sizeof(struct tracker *));
	for (uint32_t i = 0; i < n; i++) {
		for (struct tracker *tracker = old[i], *next; tracker; tracker = next) {
			struct tracker **slot = tracker_slot(tracking, tracker->session->id);
			next = tracker->next;
			tracker->next = *slot;
			*slot = tracker;
		}
	}
	memory_free(old);
}

static struct tracker *tracker_of(struct session *session)
{
	struct tracking *tracking = tracking_of(session->core);
	if (session->tracker)
		return session->tracker;
	if (tracking->n_trackers == tracking->n_slots)
		slots_grow(tracking);
	struct tracker *tracker = session->tracker = memory_zalloc(sizeof(*tracker));
	struct tracker **slot = tracker_slot(tracking, session->id);
	tracker->session = session;
	list_init(&tracker->prefixes);
	tracker->next = *slot;
	*slot = tracker;
	tracking->n_trackers++;
	return tracker;
}

/* ---- who tracks ------------------------------------------------------------------- */

/* What a core tells of its clients: whether any track, and whether any listen to prefixes. */
static void core_tells(struct core *there, uint16_t from, bool on, bool listens)
{
	struct tracking *tracking = tracking_of(there);
	uint64_t bit = 1ull << from;
	tracking->cores = on ? tracking->cores | bit : tracking->cores & ~bit;
	tracking->listeners = listens ? tracking->listeners | bit : tracking->listeners & ~bit;
	tracking_follow_shard(tracking);
}

static void core_told(struct core *core, struct message *message)
{
	core_tells(core, message->from, message->args[0].word, message->args[1].word);
}

/* Posts and calls of one core arrive in the order sent. */
static void tell_cores(struct tracking *tracking)
{
	struct core *core = tracking->core;
	bool on = tracking->n_on > 0, listens = tracking->n_listeners > 0;
	core_tells(core, core->id, on, listens);
	for (uint16_t to = 0; to < core->n_cores; to++) {
		struct message message = {.run = core_told, .args = {{.word = on}, {.word = listens}}};
		if (to != core->id)
			core_post(core, to, &message);
	}
}

static void nothing_there(struct core *there, void *arg) {}

struct looking {
	uint64_t id;
	bool found;
	uint16_t core;
};

static void look_there(struct core *there, void *arg)
{
	struct looking *looking = arg;
	struct session *session = looking->found ? NULL : session_find(there, looking->id);
	if (!session)
		return;
	looking->found = true;
	looking->core = there->id;
	(void)tracker_of(session);
}

static struct looking look_for(struct core *core, uint64_t id)
{
	struct looking looking = {.id = id};
	commands_each_core(core, look_there, &looking);
	return looking;
}

bool tracking_client_lives(struct core *core, uint64_t id) { return look_for(core, id).found; }

void tracking_begin(struct session *session, const struct tracking_choice *choice)
{
	struct core *core = session->core;
	struct tracking *tracking = tracking_of(core);
	struct looking to = choice->redirect ? look_for(core, choice->redirect) : (struct looking){0};
	struct tracker *tracker = tracker_of(session);
	bool listened = tracker->on && tracker->options & TRACKING_BROADCAST;
	bool listens = choice->options & TRACKING_BROADCAST;
	if (!tracker->on)
		list_push_back(&tracking->trackers, &tracker->all);
	tracking->n_on += !tracker->on;
	tracking->n_listeners += listens - listened;
	tracker->on = true;
	tracker->broken = choice->redirect && !to.found;
	tracker->options = choice->options;
	tracker->redirect = choice->redirect;
	tracker->redirect_core = to.core;
	if (listens && choice->n_prefixes == 0)
		tracker_joins(tracking, tracker, S(""));
	for (uint32_t i = 0; listens && i < choice->n_prefixes; i++)
		tracker_joins(tracking, tracker, choice->prefixes[i]);
	tell_cores(tracking);
	fiber_call_all(core, nothing_there, NULL); /* by now they know */
}

void tracking_end(struct session *session)
{
	struct tracking *tracking = tracking_of(session->core);
	struct tracker *tracker = session->tracker;
	session->flags &= ~(uint32_t)SESSION_CACHING;
	if (!tracker || !tracker->on)
		return;
	tracker_leaves(tracker);
	list_remove(&tracker->all);
	tracking->n_on--;
	tracking->n_listeners -= (tracker->options & TRACKING_BROADCAST) != 0;
	tracker->on = tracker->broken = false;
	tracker->options = 0;
	tracker->redirect = 0;
	tell_cores(tracking);
}

void tracking_drop(struct session *session)
{
	struct tracking *tracking = tracking_of(session->core);
	struct tracker *tracker = session->tracker;
	if (!tracker)
		return;
	tracking_end(session);
	struct tracker **at = tracker_slot(tracking, session->id);
	while (*at != tracker)
		at = &(*at)->next;
	*at = tracker->next;
	tracking->n_trackers--;
	memory_free(tracker);
	session->tracker = NULL;
}

/* ---- what sessions say of themselves ---------------------------------------------- */

bool tracking_is_on(const struct session *session) { return session->tracker && session->tracker->on; }
bool tracking_is_broken(const struct session *session) { return session->tracker && session->tracker->broken; }
uint32_t tracking_options(const struct session *session) { return session->tracker ? session->tracker->options : 0; }
uint64_t tracking_redirect(const struct session *session) { return session->tracker ? session->tracker->redirect : 0; }

bool tracking_anywhere(const struct core *core) { return tracking_of(core)->cores != 0; }

static bool remembers(uint32_t options, bool caching)
{
	if (options & TRACKING_BROADCAST)
		return false;
	if (options & TRACKING_OPT_IN)
		return caching;
	return !(options & TRACKING_OPT_OUT) || !caching;
}

uint8_t tracking_view(const struct session *session)
{
	const struct tracker *tracker = session->tracker;
	if (likely(!tracker) || !tracker->on)
		return 0;
	return (remembers(tracker->options, session->flags & SESSION_CACHING) ? TRACKS_READS : 0) |
	       (tracker->options & TRACKING_NO_LOOP ? TRACKS_NO_LOOP : 0);
}

void tracking_each_prefix(const struct session *session, void (*visit)(void *arg, struct slice prefix), void *arg)
{
	const struct tracker *tracker = session->tracker;
	if (!tracker)
		return;
	list_each (link, &tracker->prefixes)
		visit(arg, prefix_text(container_of(link, struct membership, in_tracker)->prefix));
}

uint32_t tracking_count_prefixes(const struct session *session)
{
	return session->tracker ? session->tracker->n_prefixes : 0;
}

/* ---- sums ------------------------------------------------------------------------- */

struct summing {
	struct tracking_sums sums;
	struct buf prefixes; /* as events, whose names they are */
};

static void add_prefixes(const struct tracking *tracking, struct buf *out)
{
	list_each (link, &tracking->prefixes) {
		size_t event = event_begin(out, EVENT_CHANGED);
		event_id(out, event, 0);
		event_name(out, event, prefix_text(container_of(link, struct prefix, all)));
		event_end(out, event);
	}
}

static void sum_there(struct core *there, void *arg)
{
	struct summing *summing = arg;
	const struct tracking *tracking = tracking_of(there);
	summing->sums.clients += tracking->n_on;
	if (tracking->readers) {
		summing->sums.keys += readers_keys(tracking->readers);
		summing->sums.items += readers_items(tracking->readers);
	}
	add_prefixes(tracking, &summing->prefixes);
}

struct tracking_sums tracking_sum(struct core *core)
{
	struct summing summing = {0};
	cleanup(buf_fini) struct buf different = {0};
	commands_each_core(core, sum_there, &summing);
	summing.sums.prefixes = tracking_changes(&summing.prefixes, &different);
	buf_fini(&summing.prefixes);
	return summing.sums;
}

/* ---- life ------------------------------------------------------------------------- */

struct tracking *tracking_new(struct core *core)
{
	struct tracking *tracking = memory_zalloc(sizeof(*tracking));
	tracking->core = core;
	tracking->lanes = memory_zalloc(core->n_cores * sizeof(*tracking->lanes));
	tracking->send = (struct task){.run = tracking_send, .name = "tracking"};
	tracking->trim = (struct task){.run = tracking_trim, .name = "tracking: trim"};
	tracking->free = (struct task){.run = tracking_free_doomed, .name = "tracking: free"};
	list_init(&tracking->doomed);
	list_init(&tracking->trackers);
	list_init(&tracking->prefixes);
	handouts_init(&tracking->handouts, core);
	tracking->handouts.read = tracking_events_read;
	return tracking;
}

void tracking_free(struct tracking *tracking)
{
	if (!tracking)
		return;
	assert(tracking->n_trackers == 0);
	core_forget(tracking->core, &tracking->send);
	core_forget(tracking->core, &tracking->trim);
	core_forget(tracking->core, &tracking->free);
	tracking->core->shard->tracked = NULL;
	while (!list_empty(&tracking->doomed)) {
		struct doomed *doomed = container_of(list_pop_front(&tracking->doomed), struct doomed, link);
		readers_free(doomed->readers);
		memory_free(doomed);
	}
	handouts_fini(&tracking->handouts);
	for (uint16_t to = 0; to < tracking->core->n_cores; to++)
		buf_fini(&tracking->lanes[to].events);
	buf_fini(&tracking->changed);
	readers_free(tracking->readers);
	memory_free(tracking->lanes);
	memory_free(tracking->slots);
	memory_free(tracking);
}
