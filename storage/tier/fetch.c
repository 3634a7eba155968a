/* Values back: one read each, and nobody waits here.
 *
 *   tier_fetch --lock granted--> open the file --> read --> check --> into memory --> lock released
 *
 * Those who came meanwhile are in the lock's queue, in order, and run when it is released. */
#include "engine/core/file.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "storage/locks/locks.h"
#include "storage/tier/tier_private.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { RETRY_S = 2 };

struct fetch {
	struct io_op op;
	struct link link;   /* in the tier */
	struct link opener; /* while it waits for the file to be open */
	struct lock_waiter lock;
	struct fetch_waiter *waiter; /* who holds the lock; NULL: the fetch itself */
	struct tier *tier;
	struct reach reach;     /* of a value that is there but for leaves */
	uint64_t leaf_from;     /* no leaf before this element is needed any more */
	bool leaf;              /* one comes, not the value */
	struct tier_file *file; /* that it uses; NULL: none yet */
	struct cold_pointer pointer;
	uint8_t *bytes;
	uint64_t from;  /* where they lie in the file, */
	size_t room, n; /* how many are wanted, and there */
	struct key key;
	uint8_t name[];
};

static uint32_t now_s(const struct tier *tier) { return (uint32_t)(tier->core->now_ns / 1000000000); }

static bool is_lost(const struct tier *tier, const struct cold_pointer *pointer)
{
	return pointer->lost > 0 && now_s(tier) < pointer->lost;
}

/* The first leaf within reach that can be had, from element `from` on. */
static bool leaf_to_fetch(const struct tier *tier, const struct object *object, const struct reach *reach,
                          uint64_t from, struct tree_path *out)
{
	while (reach_away(object, reach, from, out)) {
		struct cold_pointer pointer = cold_leaf_pointer(out->leaf);
		if (!is_lost(tier, &pointer))
			return true;
		from = out->before + out->leaf->count;
	}
	return false;
}

static bool may_fetch(const struct tier *tier, const struct object *object, const struct reach *reach)
{
	struct cold_pointer pointer;
	struct tree_path path;
	if (object_is_cold(object))
		return object_pointer(object, &pointer) && !is_lost(tier, &pointer);
	return leaf_to_fetch(tier, object, reach, 0, &path);
}

bool tier_must_fetch(struct shard *shard, const struct key *key, const struct reach *reach)
{
	struct object *object = shard->tier ? keyspace_peek(shard, key) : NULL;
	if (!object || !may_fetch(shard->tier, object, reach))
		return false;
	int64_t expires_ms = object_expires_ms(object);
	return expires_ms == EXPIRES_NEVER || expires_ms > shard->now_ms;
}

bool tier_lacks(const struct object *object, const struct reach *reach)
{
	struct tree_path path;
	return object_is_cold(object) || reach_away(object, reach, 0, &path);
}

/* ---- the end ---------------------------------------------------------------------------- */

static void fetch_end(struct fetch *fetch)
{
	struct tier *tier = fetch->tier;
	struct fetch_waiter *waiter = fetch->waiter;
	uint64_t hash = fetch->key.hash;
	if (fetch->file)
		fetch->file->users--;
	list_remove(&fetch->link);
	memory_free(fetch->bytes);
	memory_free(fetch);
	if (waiter)
		waiter->done(waiter);
	else
		lock_release(tier->shard, tier->shard->locks, hash);
	tier->n_fetches--;
	tier_may_have_ended(tier);
}

static void fetch_next_leaf(struct fetch *fetch);

/* The leaf that is fetched, unless it is no longer there: a flush may have come first, and the cleaner. */
static bool find_leaf(const struct fetch *fetch, struct tree_path *out)
{
	struct object *object = keyspace_peek(fetch->tier->shard, &fetch->key);
	if (!object || !leaf_to_fetch(fetch->tier, object, &fetch->reach, fetch->leaf_from, out))
		return false;
	struct cold_pointer pointer = cold_leaf_pointer(out->leaf);
	return memcmp(&pointer, &fetch->pointer, sizeof(pointer)) == 0;
}

static void set_lost(struct fetch *fetch, const struct cold_pointer *pointer)
{
	struct tree_path path;
	if (!fetch->leaf)
		keyspace_repoint(fetch->tier->shard, &fetch->key, pointer);
	else if (find_leaf(fetch, &path))
		cold_leaf_repoint(fetch->tier->shard, path.leaf, pointer);
}

/* The key stays cold, and says so to all who ask, until it is tried again. */
static void fetch_without(struct fetch *fetch, const char *why, uint32_t lost)
{
	struct tier *tier = fetch->tier;
	struct cold_pointer pointer = fetch->pointer;
	struct slice name = fetch->key.name;
	log_warning("the value of key '%.*s' cannot be had: tier/%08x, %" PRIu32 " bytes at %" PRIu32 ": %s",
	            (int)(name.len < 200 ? name.len : 200), (const char *)name.ptr, pointer.file, pointer.size,
	            pointer.offset, why);
	pointer.lost = lost;
	set_lost(fetch, &pointer);
	tier->counters.lost++;
	fetch_end(fetch);
}

static void fetch_lost(struct fetch *fetch, const char *why) { fetch_without(fetch, why, UINT32_MAX); }

/* That may be about the disk, or about this process: what lies there may be sound. */
static void fetch_failed(struct fetch *fetch, int error)
{
	fetch_without(fetch, strerror(error), now_s(fetch->tier) + RETRY_S);
}

/* Expiry, a deletion by no command's doing, or a flush may have come first. */
static bool still_wanted(const struct fetch *fetch)
{
	struct cold_pointer pointer;
	struct tree_path path;
	if (fetch->leaf)
		return find_leaf(fetch, &path);
	struct object *object = keyspace_peek(fetch->tier->shard, &fetch->key);
	return object && object_is_cold(object) && object_pointer(object, &pointer) &&
	       memcmp(&pointer, &fetch->pointer, sizeof(pointer)) == 0;
}

static void leaf_came(struct fetch *fetch, struct slice packed)
{
	struct tree_path path;
	struct shard *shard = fetch->tier->shard;
	if (!find_leaf(fetch, &path)) {
		fetch_end(fetch);
	} else if (!cold_leaf_take(keyspace_peek(shard, &fetch->key), path.leaf, &packed)) {
		fetch_lost(fetch, "it is no block of this value");
	} else {
		cold_leaf_return(shard, &path, packed);
		fetch->leaf_from = path.before + path.leaf->count;
		fetch_next_leaf(fetch);
	}
}

static void value_came(struct fetch *fetch, struct slice packed)
{
	if (keyspace_warm(fetch->tier->shard, &fetch->key, packed) == OK)
		fetch_end(fetch);
	else
		fetch_lost(fetch, "it is no value of this type");
}

/* The value is there, if that is what it is. */
static void has_all(struct fetch *fetch)
{
	struct tier *tier = fetch->tier;
	const struct cold_pointer *pointer = &fetch->pointer;
	struct tier_record record;
	struct slice name, packed;
	uint64_t ahead = pointer->offset - fetch->from;
	if (fetch->n < ahead + pointer->size) {
		fetch_lost(fetch, "the file ends before");
	} else if (!tier_record_read(fetch->bytes + ahead, pointer->size, pointer->file, pointer->offset, &record,
	                             &name, &packed) ||
	           record.size != pointer->size || record.crc != pointer->crc) {
		fetch_lost(fetch, "what lies there is not what was written");
	} else {
		demote_backed(tier, FETCH_PERCENT);
		if (fetch->leaf)
			leaf_came(fetch, packed);
		else
			value_came(fetch, packed);
		tier_look(tier);
	}
}

static void read_on(struct fetch *fetch)
{
	io_file_read(fetch->tier->core->io, &fetch->op, fetch->file->fd, fetch->bytes + fetch->n,
	             fetch->room - fetch->n, fetch->from + fetch->n);
}

/* What came in part is read on from the last whole block. */
static void has_read(struct io_op *op)
{
	struct fetch *fetch = container_of(op, struct fetch, op);
	struct tier *tier = fetch->tier;
	size_t before = fetch->n;
	tier->shard->now_ms = tier->core->wall_us / 1000;
	if (op->result > 0)
		fetch->n += (size_t)op->result / TIER_BLOCK * TIER_BLOCK;
	if (!still_wanted(fetch)) {
		fetch_end(fetch);
	} else if (op->result < 0) {
		fetch_failed(fetch, (int)-op->result);
	} else if (fetch->n > before && fetch->n < fetch->room) {
		read_on(fetch);
	} else {
		tier->counters.reads++;
		has_all(fetch);
	}
}

/* ---- the file --------------------------------------------------------------------------- */

static void read_record(struct fetch *fetch)
{
	const struct cold_pointer *pointer = &fetch->pointer;
	uint64_t end = ((uint64_t)pointer->offset + pointer->size + TIER_BLOCK - 1) / TIER_BLOCK * TIER_BLOCK;
	fetch->from = pointer->offset / TIER_BLOCK * TIER_BLOCK;
	if (end > fetch->file->size) { /* what the pointer says need not be true: nothing is allocated for it */
		fetch_lost(fetch, "the file ends before");
		return;
	}
	fetch->room = end - fetch->from;
	fetch->bytes = memory_aligned(TIER_BLOCK, fetch->room);
	fetch->op.done = has_read;
	read_on(fetch);
}

void file_has_opened(struct tier *tier, struct tier_file *file, int result)
{
	struct link openers;
	list_init(&openers);
	for (struct link *link; (link = list_pop_front(&file->openers));)
		list_push_back(&openers, link);
	file->opening = false;
	if (result >= 0)
		file_opened(tier, file, result);
	for (struct link *link; (link = list_pop_front(&openers));) {
		struct fetch *one = container_of(link, struct fetch, opener);
		if (result >= 0)
			read_record(one);
		else
			fetch_failed(one, -result);
	}
}

static void has_opened(struct io_op *op)
{
	struct fetch *fetch = container_of(op, struct fetch, op);
	file_has_opened(fetch->tier, fetch->file, (int)op->result);
}

static void open_file(struct fetch *fetch)
{
	char path[PATH_ROOM];
	struct tier_file *file = fetch->file;
	list_push_back(&file->openers, &fetch->opener);
	if (file->opening)
		return;
	file->opening = true;
	fetch->op.done = has_opened;
	tier_path(fetch->tier->directory, file->number, path, sizeof(path));
	io_file_open(fetch->tier->core->io, &fetch->op, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
}

/* What lies at the pointer. */
static void fetch_pointed(struct fetch *fetch)
{
	fetch->file = file_find(fetch->tier, fetch->pointer.file);
	fetch->file->users++;
	if (fetch->file->fd >= 0)
		read_record(fetch);
	else
		open_file(fetch);
}

/* As long as there is another; the lock is held all the time, so none of them leaves again. */
static void fetch_next_leaf(struct fetch *fetch)
{
	struct tree_path path;
	struct object *object = keyspace_peek(fetch->tier->shard, &fetch->key);
	if (!object || !leaf_to_fetch(fetch->tier, object, &fetch->reach, fetch->leaf_from, &path)) {
		fetch_end(fetch);
		return;
	}
	if (fetch->file)
		fetch->file->users--;
	memory_free(fetch->bytes);
	fetch->bytes = NULL;
	fetch->n = 0;
	fetch->leaf = true;
	fetch->pointer = cold_leaf_pointer(path.leaf);
	fetch_pointed(fetch);
}

/* The lock is held. */
static void fetch_begin(struct fetch *fetch)
{
	struct tier *tier = fetch->tier;
	struct object *object = keyspace_peek(tier->shard, &fetch->key);
	if (!object || !object_is_cold(object))
		fetch_next_leaf(fetch);
	else if (object_pointer(object, &fetch->pointer) && !is_lost(tier, &fetch->pointer))
		fetch_pointed(fetch);
	else
		fetch_end(fetch);
}

static void lock_granted(struct shard *shard, struct lock_waiter *waiter)
{
	fetch_begin(container_of(waiter, struct fetch, lock));
}

/* ---- asking for it ------------------------------------------------------------------------ */

/* Of a value that is there but for leaves, each call fetches its own. */
static bool is_under_way(const struct tier *tier, const struct key *key)
{
	const struct object *object = keyspace_peek(tier->shard, key);
	if (!object || !object_is_cold(object))
		return false;
	list_each (link, &tier->fetches[key->hash % FETCH_LISTS]) {
		const struct fetch *fetch = container_of(link, struct fetch, link);
		if (!fetch->waiter && fetch->key.keyspace == key->keyspace && slice_equal(fetch->key.name, key->name))
			return true;
	}
	return false;
}

static struct fetch *fetch_new(struct shard *shard, const struct key *key, const struct reach *reach)
{
	struct tier *tier = shard->tier;
	struct fetch *fetch = memory_zalloc(sizeof(*fetch) + key->name.len);
	fetch->tier = tier;
	fetch->key = *key;
	fetch->reach = *reach;
	if (key->name.len > 0)
		memcpy(fetch->name, key->name.ptr, key->name.len);
	fetch->key.name = slice_of(fetch->name, key->name.len);
	list_push_back(&tier->fetches[key->hash % FETCH_LISTS], &fetch->link);
	tier->n_fetches++;
	return fetch;
}

bool tier_fetch(struct shard *shard, const struct key *key, const struct reach *reach, bool inside, bool first)
{
	if (is_under_way(shard->tier, key))
		return false;
	struct fetch *fetch = fetch_new(shard, key, reach);
	fetch->lock = (struct lock_waiter){.fingerprint = key->hash,
	                                   .kind = LOCK_HOLD,
	                                   .inside = inside,
	                                   .place = first ? LOCK_FIRST : LOCK_LAST,
	                                   .run = lock_granted};
	if (lock_take(shard->locks, &fetch->lock))
		fetch_begin(fetch);
	return true;
}

void tier_fetch_held(struct shard *shard, const struct key *key, const struct reach *reach, struct fetch_waiter *waiter)
{
	struct fetch *fetch = fetch_new(shard, key, reach);
	fetch->waiter = waiter;
	fetch_begin(fetch);
}

/* ---- for tools ------------------------------------------------------------------------------ */

int tier_read(struct core *core, const char *directory, const struct cold_pointer *pointer, struct buf *out,
              struct slice *key, struct slice *packed)
{
	char path[PATH_ROOM];
	struct tier_record record;
	tier_path(directory, pointer->file, path, sizeof(path));
	int fd = file_open(core, path, IO_OPEN_READ, 0);
	if (fd < 0)
		return fd == -ENOENT ? -EBADMSG : fd;
	int64_t n = file_size(core, fd);
	if (n >= 0 && (uint64_t)pointer->offset + pointer->size > (uint64_t)n)
		n = -EBADMSG;
	if (n >= 0) {
		out->len = 0;
		n = file_read(core, fd, buf_reserve(out, pointer->size), pointer->size, pointer->offset);
	}
	file_close(core, fd);
	if (n < 0)
		return (int)n;
	out->len = (size_t)n;
	bool sound = tier_record_read(out->ptr, out->len, pointer->file, pointer->offset, &record, key, packed) &&
	             record.crc == pointer->crc && record.size == pointer->size;
	return sound ? 0 : -EBADMSG;
}
