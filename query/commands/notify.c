/* notify.c -- from a change to the messages that tell of it.
 *
 * Events are noted as they happen, packed one behind the other. A task of the same turn takes all that were noted and,
 * where answers wait for durability, lets them wait for it too, so that nobody is told of what a crash undoes. Then
 * they are handed out to every core that has subscribers.
 */
#include "query/commands/notify.h"

#include "engine/config/settings.h"
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "query/commands/commands.h"
#include "query/commands/handout.h"
#include "query/commands/pubsub.h"
#include "storage/journal/journal.h"

struct notifier {
	struct core *core;
	struct buf *collecting;    /* where events go instead; NULL: nobody collects */
	struct buf noted;          /* what happened since */
	struct buf waiting;        /* what is not durable yet */
	struct log_waiter durable; /* while there is, */
	bool awaited;              /* its run() is to come */
	struct task task;
	struct handouts handouts;
};

/* One event; the key's name lies behind it, rounded up. */
struct event {
	struct slice what; /* a literal */
	uint32_t name_len;
	uint16_t db;
	uint16_t where; /* of EVENT_BY_KEY and EVENT_BY_EVENT */
};

/* ---- noting ------------------------------------------------------------------------ */

static size_t event_size(const struct event *event) { return (sizeof(*event) + event->name_len + 7) & ~(size_t)7; }

static struct slice event_name(const struct event *event) { return slice_of(event + 1, event->name_len); }

/* Of a keyspace that has no number any more nobody can be told. */
static bool find_db(const struct shard *shard, uint32_t keyspace, uint16_t *out)
{
	for (uint16_t db = 0; db < array_len(shard->keyspace_of_db); db++) {
		if (shard->keyspace_of_db[db] == keyspace) {
			*out = db;
			return true;
		}
	}
	return false;
}

static void event_put(struct buf *to, const struct shard *shard, struct slice what, const struct key *key)
{
	struct event event = {.what = what,
	                      .name_len = (uint32_t)key->name.len,
	                      .where = shard->event_classes & (EVENT_BY_KEY | EVENT_BY_EVENT)};
	if (!find_db(shard, key->keyspace, &event.db))
		return;
	uint8_t *at = buf_reserve(to, event_size(&event));
	memcpy(at, &event, sizeof(event));
	if (event.name_len > 0)
		memcpy(at + sizeof(event), key->name.ptr, event.name_len);
	to->len += event_size(&event);
}

static void notifier_wake(struct notifier *notifier)
{
	if (!notifier->awaited)
		core_ready(notifier->core, &notifier->task, CLASS_FOREGROUND);
}

static void note(struct notifier *notifier, const struct shard *shard, struct slice what, const struct key *key)
{
	event_put(&notifier->noted, shard, what, key);
	notifier_wake(notifier);
}

void notify_note(struct exec *exec, struct slice event, const struct key *key)
{
	struct notifier *notifier = exec->core->commands->notifier;
	if (notifier->collecting)
		event_put(notifier->collecting, exec->shard, event, key);
	else
		note(notifier, exec->shard, event, key);
}

static const struct own_event {
	enum event_class class;
	struct slice what;
} own_events[] = {
        [KEY_NEW] = {EVENT_NEW, {(const uint8_t *)"new", 3}},
        [KEY_EXPIRED] = {EVENT_EXPIRED, {(const uint8_t *)"expired", 7}},
        [KEY_EVICTED] = {EVENT_EVICTED, {(const uint8_t *)"evicted", 7}},
        [KEY_ELEMENTS_EXPIRED] = {EVENT_HASH, {(const uint8_t *)"hexpired", 8}},
        [KEY_EMPTIED] = {EVENT_GENERIC, {(const uint8_t *)"del", 3}},
};

/* Deletions by themselves stand alone, whatever is being collected; a key comes to be by a command. */
static void happened(struct shard *shard, const struct key *key, enum key_event event)
{
	const struct own_event *own = &own_events[event];
	struct core *core = shard->core ? shard->core : core_current();
	struct notifier *notifier = core->commands->notifier;
	if (!(shard->event_classes & (uint32_t)own->class))
		return;
	if (notifier->collecting && event == KEY_NEW)
		event_put(notifier->collecting, shard, own->what, key);
	else
		note(notifier, shard, own->what, key);
}

void notify_tell(struct shard *shard, uint32_t classes)
{
	const uint32_t by_themselves = EVENT_NEW | EVENT_EXPIRED | EVENT_EVICTED | EVENT_HASH | EVENT_GENERIC;
	bool any = classes & (EVENT_BY_KEY | EVENT_BY_EVENT) && classes & ~(uint32_t)(EVENT_BY_KEY | EVENT_BY_EVENT);
	shard->event_classes = any ? classes : 0;
	shard->happened = any && classes & by_themselves ? happened : NULL;
}

void notify_collect(struct core *core, struct buf *events) { core->commands->notifier->collecting = events; }

static void take_events(struct core *core, const struct buf *events, bool of_this_core)
{
	struct notifier *notifier = core->commands->notifier;
	struct buf *to = notifier->collecting ? notifier->collecting : &notifier->noted;
	for (size_t at = 0; at < events->len;) {
		const struct event *event = (const struct event *)(events->ptr + at);
		size_t size = event_size(event);
		if (!of_this_core || core_of_slot(core, slot_of(event_name(event))) == core->id)
			buf_append(to, slice_of(events->ptr + at, size));
		at += size;
	}
	if (notifier->noted.len > 0)
		notifier_wake(notifier);
}

void notify_happened(struct core *core, const struct buf *events) { take_events(core, events, false); }
void notify_happened_here(struct core *core, const struct buf *events) { take_events(core, events, true); }

/* ---- telling ------------------------------------------------------------------------ */

/* The text that all channels of a database begin with. */
static void say_channel(struct buf *channel, const char *kind, uint16_t db, struct slice rest)
{
	channel->len = 0;
	buf_printf(channel, "__%s@%u__:", kind, db);
	buf_append(channel, rest);
}

static void show_events(struct core *core, const struct buf *events)
{
	cleanup(buf_fini) struct buf channel = {0};
	for (size_t at = 0; at < events->len;) {
		const struct event *event = (const struct event *)(events->ptr + at);
		if (event->where & EVENT_BY_KEY) {
			say_channel(&channel, "keyspace", event->db, event_name(event));
			channels_show(core, buf_slice(&channel), event->what);
		}
		if (event->where & EVENT_BY_EVENT) {
			say_channel(&channel, "keyevent", event->db, event->what);
			channels_show(core, buf_slice(&channel), event_name(event));
		}
		at += event_size(event);
	}
}

static void tell(struct notifier *notifier, struct buf events)
{
	struct core *core = notifier->core;
	uint64_t to = 0;
	for (uint16_t i = 0; i < core->n_cores; i++)
		if (channels_any(core->machine, i))
			to |= 1ull << i;
	handout(&notifier->handouts, &events, to, show_events);
}

static void durable(struct log *log, struct log_waiter *waiter)
{
	struct notifier *notifier = container_of(waiter, struct notifier, durable);
	notifier->awaited = false;
	if (unlikely(log_durable(log) < waiter->lsn))
		buf_fini(&notifier->waiting);
	notifier_wake(notifier);
}

/* False: later, then durable() is called. */
static bool may_tell(struct notifier *notifier)
{
	struct journal *journal = notifier->core->shard->journal;
	if (!journal || notifier->core->settings->durability != LOG_ALWAYS)
		return true;
	struct log *log = journal_log(journal);
	notifier->durable = (struct log_waiter){.lsn = log_appended(log), .run = durable};
	notifier->awaited = !log_wait(log, &notifier->durable);
	return !notifier->awaited;
}

static void turn(struct core *core, struct task *task)
{
	struct notifier *notifier = container_of(task, struct notifier, task);
	if (notifier->awaited)
		return;
	if (notifier->waiting.len > 0)
		tell(notifier, buf_take(&notifier->waiting));
	if (notifier->noted.len == 0)
		return;
	notifier->waiting = buf_take(&notifier->noted);
	if (may_tell(notifier))
		tell(notifier, buf_take(&notifier->waiting));
}

/* ---- life --------------------------------------------------------------------------- */

struct notifier *notifier_new(struct core *core)
{
	struct notifier *notifier = memory_zalloc(sizeof(*notifier));
	notifier->core = core;
	notifier->task = (struct task){.run = turn, .name = "notify"};
	handouts_init(&notifier->handouts, core);
	return notifier;
}

void notifier_free(struct notifier *notifier)
{
	if (!notifier)
		return;
	core_forget(notifier->core, &notifier->task);
	handouts_fini(&notifier->handouts);
	buf_fini(&notifier->noted);
	buf_fini(&notifier->waiting);
	memory_free(notifier);
}
