/* Live records out of files that are mostly dead. A file is read once, front to back; whose key still points to where
 * a record lies is written to the active file, and the log says so. The file goes when no image shows it any more. */
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "storage/tier/tier_private.h"

#include <string.h>

enum {
	CHUNK = RARE(256 * 1024, 16 * 1024),
	REST_NS = 2 * 1000 * 1000, /* after a chunk: some 100 MB a second at most */
	PAYS_BYTES_MIN = 8 * 1024,
};

static bool pays(const struct tier_file *file)
{
	return file->sealed && file->live > 0 && file->live < file->left && file->share > PAYS_BYTES_MIN &&
	       file->live < file->share / 2;
}

struct tier_file *clean_choose(const struct tier *tier)
{
	struct tier_file *best = NULL;
	for (uint32_t i = 0; i < tier->n_files; i++) {
		struct tier_file *file = tier->files[i];
		if (pays(file) && (!best || file->share - file->live > best->share - best->live))
			best = file;
	}
	return best;
}

struct cleaning {
	struct tier *tier;
	struct tier_file *file;
	struct batch batch;
	uint8_t *bytes;
	size_t room;
	uint64_t at; /* of the bytes in the file */
	size_t n;    /* how many there are */
	bool failed;
};

static void keep_record(struct cleaning *c, uint32_t offset, const struct tier_record *record, struct slice name,
                        struct slice packed)
{
	struct shard *shard = c->tier->shard;
	struct key key = {.name = name,
	                  .hash = key_hash(shard->hash_seed, name),
	                  .keyspace = record->space,
	                  .slot = record->slot};
	struct leaving leaving = {.to.length = record->length};
	struct object *object = keyspace_peek(shard, &key);
	if (!object || !object_pointer(object, &leaving.from) || leaving.from.file != c->file->number ||
	    leaving.from.offset != offset || leaving.from.lost)
		return;
	if (!batch_add(c->tier, &c->batch, &key, S(""), packed, &leaving))
		c->failed = true;
}

/* Behind the last record of a write, and behind what cannot be read, the next block begins a write or goes on in one.
 * What lies in the midst of a record is none, by its checksum. How much of the bytes was looked at. */
static size_t look_at_records(struct cleaning *c)
{
	size_t at = 0;
	while (at + sizeof(struct tier_record) <= c->n && !c->failed) {
		struct tier_record record;
		struct slice name, packed;
		uint32_t size;
		memcpy(&size, c->bytes + at + offsetof(struct tier_record, size), sizeof(size));
		bool is_cut = size >= sizeof(record) && size <= COLD_VALUE_MAX + 128 * 1024 && size > c->n - at;
		if (is_cut && c->at + at + size <= c->file->size)
			return at;
		if (tier_record_read(c->bytes + at, c->n - at, c->file->number, (uint32_t)(c->at + at), &record, &name,
		                     &packed)) {
			keep_record(c, (uint32_t)(c->at + at), &record, name, packed);
			at += record.size;
		} else {
			at = (size_t)(((c->at + at) / TIER_BLOCK + 1) * TIER_BLOCK - c->at);
		}
	}
	return at < c->n && c->at + c->n < c->file->size ? at : c->n;
}

static bool read_chunk(struct cleaning *c, uint64_t from, size_t size)
{
	if (size > c->room) {
		memory_free(c->bytes);
		c->bytes = memory_aligned(TIER_BLOCK, size);
		c->room = size;
	}
	uint64_t left = c->file->size - from;
	int64_t n = file_read(c->tier->core, c->file->fd, c->bytes, left < size ? (size_t)left : size, from);
	c->at = from;
	c->n = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* Between chunks, for others; who waits for room comes first. False: nothing can be written. */
static bool rest(struct cleaning *c)
{
	fiber_sleep(c->tier->core, REST_NS);
	if (tier_wants_room(c->tier) && !batch_write(c->tier, &c->batch))
		return false;
	if (tier_wants_room(c->tier)) {
		(void)demote_some(c->tier);
		tier_serve_rooms(c->tier);
	}
	return true;
}

/* A record that begins in one chunk and ends behind it is read again, in a larger one if it must be. */
static void clean_records(struct cleaning *c)
{
	uint64_t from = TIER_BLOCK, size = CHUNK;
	while (from < c->file->size && !c->failed && !c->tier->stopping) {
		if (!read_chunk(c, from / TIER_BLOCK * TIER_BLOCK, size))
			return;
		size_t skip = (size_t)(from - c->at);
		c->bytes += skip;
		c->n -= skip < c->n ? skip : c->n;
		c->at = from;
		size_t used = look_at_records(c);
		c->bytes -= skip;
		if (used == 0 && size > c->file->size)
			return; /* all that can be read was: the file is shorter than it was */
		size = used == 0 ? 2 * size : CHUNK;
		from += used;
		if (!rest(c))
			return;
	}
}

/* ---- leaves --------------------------------------------------------------------------- */

/* Leaves do not know their keys, which may have got other names: they are found by where they point, and read one by
 * one. */
static bool read_leaf(struct cleaning *c, const struct cold_pointer *pointer, struct key *key, struct slice *packed)
{
	struct tier_record record;
	uint64_t from = pointer->offset / TIER_BLOCK * TIER_BLOCK, end = (uint64_t)pointer->offset + pointer->size;
	size_t at = (size_t)(pointer->offset - from);
	if (end > c->file->size ||
	    !read_chunk(c, from, (size_t)((end + TIER_BLOCK - 1) / TIER_BLOCK * TIER_BLOCK - from)) ||
	    c->n < at + pointer->size)
		return false;
	if (!tier_record_read(c->bytes + at, c->n - at, pointer->file, pointer->offset, &record, &key->name, packed) ||
	    record.crc != pointer->crc || record.size != pointer->size)
		return false;
	key->hash = key_hash(c->tier->shard->hash_seed, key->name);
	key->keyspace = record.space;
	key->slot = record.slot;
	return true;
}

static void keep_leaf(struct cleaning *c, struct leaf *leaf)
{
	struct key key;
	struct slice packed;
	struct leaving leaving = {.leaf = leaf_hold(leaf), .from = cold_leaf_pointer(leaf)};
	leaving.to.length = leaving.from.length;
	if (leaving.from.lost || !read_leaf(c, &leaving.from, &key, &packed)) {
		leaf_let_go(c->tier->shard, leaf);
	} else if (!batch_add(c->tier, &c->batch, &key, S(""), packed, &leaving)) {
		leaf_let_go(c->tier->shard, leaf);
		c->failed = true;
	}
}

static void clean_leaves(struct cleaning *c)
{
	uint64_t kept = 0;
	struct leaf *leaf;
	for (uint32_t from = 0; !c->failed && !c->tier->stopping && (leaf = file_leaf_from(c->file, from));) {
		struct cold_pointer pointer = cold_leaf_pointer(leaf);
		from = pointer.offset + 1;
		keep_leaf(c, leaf);
		kept += pointer.size;
		if (kept < CHUNK)
			continue;
		kept = 0;
		if (!rest(c))
			return;
	}
}

static bool open_file(struct tier *tier, struct tier_file *file)
{
	char path[PATH_ROOM];
	if (file->fd >= 0)
		return true;
	if (file->opening)
		return false;
	tier_path(tier->directory, file->number, path, sizeof(path));
	file->opening = true;
	int fd = file_open(tier->core, path, IO_OPEN_READ | IO_OPEN_DIRECT, 0);
	file_has_opened(tier, file, fd);
	return fd >= 0;
}

void clean_file(struct tier *tier, struct tier_file *file)
{
	struct cleaning c = {.tier = tier, .file = file};
	file->users++;
	tier->cleaning = file;
	if (open_file(tier, file)) {
		clean_records(&c);
		clean_leaves(&c);
		if (!c.failed)
			(void)batch_write(tier, &c.batch);
	}
	batch_fini(tier, &c.batch);
	memory_free(c.bytes);
	file->users--;
	file->left = file->live;
	tier->cleaning = NULL;
}
