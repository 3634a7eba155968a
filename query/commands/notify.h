/* notify.h -- what happens to keys, told to those who listen (keyspace notifications).
 *
 * What      A command that has changed a key says so by exec_notify(): "set", "del". If the setting
 *           notify-keyspace-events asks for events of that class, they are published, to
 *           __keyspace@<db>__:<key> with the event as the message, to __keyevent@<db>__:<event> with the key, or
 *           to both. Keys that expire, are evicted or come to be are told by the keyspace itself.
 * Order     As things happened on the shard, and only when they are durable, where answers wait for that. What a
 *           transaction or a command over several shards changes is told when it is committed.
 * Cost      One test while nobody has asked.
 * Owner     The shard's core; subscribers on others get copies in one message for each turn.
 */
#pragma once

#include "engine/base/compiler.h"
#include "query/commands/command.h"

/* The letters of the setting, in its order. */
enum event_class {
	EVENT_GENERIC = 1 << 0,
	EVENT_STRING = 1 << 1,
	EVENT_LIST = 1 << 2,
	EVENT_SET = 1 << 3,
	EVENT_HASH = 1 << 4,
	EVENT_SORTED_SET = 1 << 5,
	EVENT_EXPIRED = 1 << 6,
	EVENT_EVICTED = 1 << 7,
	EVENT_STREAM = 1 << 8,
	EVENT_MODULE = 1 << 9,
	EVENT_NEW = 1 << 10,
	EVENT_BY_KEY = 1 << 11, /* where it is told: these two say no class */
	EVENT_BY_EVENT = 1 << 12,
	EVENT_MISS = 1 << 13,
};

void notify_note(struct exec *exec, struct slice event, const struct key *key);

/* Tells that `event`, a literal, has happened to a key, of the client's database or another; said right after the
 * change, once for each event that Redis says. Several events of one command are told in the order said. */
static inline void exec_notify(struct exec *exec, enum event_class class, struct slice event, const struct key *key)
{
	if (unlikely(exec->shard->event_classes & (uint32_t) class))
		notify_note(exec, event, key);
}

/* Is any class told of? Then a write waits for its connection's earlier writes on other shards. */
static inline bool shard_notifies(const struct shard *shard) { return shard->event_classes != 0; }

/* ---- for those who run commands ---------------------------------------------------- */

struct notifier;

struct notifier *notifier_new(struct core *core) must_check;
void notifier_free(struct notifier *notifier);

/* From now on a shard tells of these classes; 0: of nothing. Of a scratch shard too. */
void notify_tell(struct shard *shard, uint32_t classes);

/* What commands on this core note goes to `events` until notify_collect(core, NULL), not out. In one step. */
void notify_collect(struct core *core, struct buf *events);

/* Collected events happened on this core's shard just now. Those of one core only, if they are of several: the keys
 * say which. Leaves `events` as they are. */
void notify_happened(struct core *core, const struct buf *events);
void notify_happened_here(struct core *core, const struct buf *events);
