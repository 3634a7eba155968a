/* An image is written range by range:
 *
 *   read      in one step, nothing between: the log's last LSN, and the entries of the next positions of the
 *             table. Small ones are packed; of large ones what they are now is kept, to be written later: strings
 *             are lent, large collections shared, and what is between them copied.
 *   compress  block by block, and the large ones piece by piece; others have their turn between
 *
 * A step is bounded by what it packs and shows: some 20 to 60 us. */
#include "engine/core/core.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "kernels/checksum/crc32c.h"
#include "storage/image/format.h"
#include "storage/image/image.h"
#include "storage/image/stream_private.h"
#include "storage/keyspace/cold.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

enum {
	SCAN_ENTRIES = 16,            /* looked at together, and fetched ahead */
	RANGE_ENTRIES = RARE(256, 2), /* at most in a step, or a bucket more */
	RANGE_BYTES = RARE(16 * 1024, 64),
	BLOCK_BYTES = RARE(16 * 1024, 48), /* from which on a block is full: zstd takes 30 to 80 us for it */
	PIECE_BYTES = RARE(16 * 1024, 40),
	LARGE_BYTES = RARE(8 * 1024, 100), /* an entry of more is written in pieces */
	REST_BYTES = RARE(4 * 1024, 32),
	LENT_BYTES = RARE(1024 * 1024, 300), /* of which a range lends no more: they may be replaced meanwhile */
	ZSTD_LEVEL = 1,
};
static_assert((int)BLOCK_BYTES + (int)LARGE_BYTES <= (int)IMAGE_RAW_MAX, "a block never grows over");

/* An entry that does not fit in a block: what was copied of it, then the rest of a string, or a collection. */
struct large {
	struct buf copied;
	size_t copied_at;    /* written of it */
	struct object *lent; /* NULL: no string */
	struct slice rest;   /* of the lent one */
	struct object_stream *stream;
};

struct writer {
	struct image_out *out;
	const struct image_source *source; /* NULL: rows */
	uint64_t number;
	uint64_t mark; /* of the directory, before the file was made */
	uint16_t partition;
	int error;
	ZSTD_CCtx *zstd;
	uint8_t *stored, *piece;
	size_t stored_max;
	struct image_foot foot;
	/* the range: */
	struct image_block range; /* what its blocks have in common */
	struct buf objects;       /* of struct object *, shown and not packed yet */
	struct buf value;         /* head of a packed value */
	struct buf raw;           /* entries */
	struct buf blocks;        /* of struct cut */
	struct buf large;         /* of struct large */
	uint32_t shown;
	size_t large_bytes;
};

/* Where in `raw` a block ends, and how many entries are in it. */
struct cut {
	size_t end;
	uint32_t entries;
};

/* ---- blocks ------------------------------------------------------------------------- */

static void pause_for(struct writer *w, size_t bytes)
{
	const struct image_source *source = w->source;
	if (!w->error && source && source->pause && !source->pause(source->arg, bytes))
		w->error = -ECANCELED;
}

static void append(struct writer *w, struct slice bytes)
{
	if (!w->error)
		w->error = image_out_append(w->out, bytes);
}

static struct slice compress(struct writer *w, struct slice raw)
{
	size_t n = ZSTD_compressCCtx(w->zstd, w->stored, w->stored_max, raw.ptr, raw.len, ZSTD_LEVEL);
	assert(!ZSTD_isError(n)); /* there is room for whatever it makes */
	return slice_of(w->stored, n);
}

static void write_block(struct writer *w, enum image_kind kind, unsigned flags, uint32_t entries, struct slice raw)
{
	if (w->error)
		return;
	struct slice stored = kind == IMAGE_FOOT ? raw : compress(w, raw);
	if (stored.len >= raw.len) {
		stored = raw;
		flags |= IMAGE_PLAIN;
	}
	struct image_block block = w->range;
	block.kind = (uint8_t)kind;
	block.flags = (uint8_t)flags;
	block.index = (uint32_t)w->foot.blocks;
	block.entries = entries;
	block.raw_length = (uint32_t)raw.len;
	block.stored_length = (uint32_t)stored.len;
	block.crc = image_block_crc(w->number, &block, stored.ptr);
	append(w, slice_of(&block, sizeof(block)));
	append(w, stored);
	w->foot.blocks++;
	w->foot.entries += entries;
	w->foot.raw_bytes += raw.len;
	w->foot.chain = crc32c(w->foot.chain, (const uint8_t *)&block.crc, sizeof(block.crc));
}

/* ---- what a range holds ------------------------------------------------------------- */

static size_t block_begin(const struct writer *w)
{
	const struct cut *cuts = (const struct cut *)(const void *)w->blocks.ptr;
	size_t n = w->blocks.len / sizeof(*cuts);
	return n ? cuts[n - 1].end : 0;
}

static void cut_block(struct writer *w)
{
	struct cut cut = {.end = w->raw.len, .entries = w->range.entries};
	if (w->raw.len == block_begin(w))
		return;
	buf_append(&w->blocks, slice_of(&cut, sizeof(cut)));
	w->range.entries = 0;
}

static void pack_small(struct writer *w, struct slice head, struct slice key, struct slice packed, struct slice tail)
{
	uint8_t *at = buf_reserve(&w->raw, head.len + key.len + packed.len + tail.len);
	const struct slice parts[] = {head, key, packed, tail};
	for (size_t i = 0; i < array_len(parts); at += parts[i++].len)
		if (parts[i].len)
			memcpy(at, parts[i].ptr, parts[i].len);
	w->raw.len = (size_t)(at - w->raw.ptr);
	w->range.entries++;
	if (w->raw.len - block_begin(w) >= BLOCK_BYTES)
		cut_block(w);
}

static struct large *keep_large(struct writer *w, struct slice head, struct slice key)
{
	struct large large = {0};
	buf_append(&large.copied, head);
	buf_append(&large.copied, key);
	buf_append(&large.copied, buf_slice(&w->value));
	w->large_bytes += large.copied.len;
	buf_append(&w->large, slice_of(&large, sizeof(large)));
	return (struct large *)(void *)(w->large.ptr + w->large.len) - 1;
}

/* A lent string is replaced, never changed; a collection may be changed by the next command. */
static void keep_rest(struct writer *w, struct large *large, struct object *object, struct slice rest)
{
	if (object && object_type(object) == OBJECT_STRING) {
		object_lend(w->source->shard, object);
		large->lent = object;
		large->rest = rest;
	} else {
		buf_append(&large->copied, rest);
	}
	w->large_bytes += rest.len;
}

/* The value is what `w->value` has, then `tail`. */
static void take_entry(struct writer *w, struct object *object, struct slice key, struct slice tail, int64_t expires_ms)
{
	uint8_t head[IMAGE_ENTRY_HEAD_MAX];
	size_t value_len = w->value.len + tail.len;
	size_t head_len = image_entry_head(key.len, value_len, expires_ms, head);
	if (key.len + value_len > LARGE_BYTES)
		keep_rest(w, keep_large(w, slice_of(head, head_len), key), object, tail);
	else
		pack_small(w, slice_of(head, head_len), key, buf_slice(&w->value), tail);
}

static void take_stream(struct writer *w, struct object_stream *stream, struct slice key, int64_t expires_ms)
{
	uint8_t head[IMAGE_ENTRY_HEAD_MAX];
	size_t head_len = image_entry_head(key.len, object_stream_length(stream), expires_ms, head);
	keep_large(w, slice_of(head, head_len), key)->stream = stream;
}

/* ---- reading a range ---------------------------------------------------------------- */

static void show_object(void *arg, struct object *object)
{
	struct writer *w = arg;
	__builtin_prefetch(object);
	__builtin_prefetch((uint8_t *)object + 64);
	buf_append(&w->objects, slice_of(&object, sizeof(struct object *)));
}

static void take_object(struct writer *w, struct object *object, struct slice key)
{
	w->value.len = 0;
	struct object_stream *stream = object_stream_new(w->source->shard, object);
	if (stream)
		take_stream(w, stream, key, object_expires_ms(object));
	else
		take_entry(w, object, key, object_pack_kept(object, &w->value), object_expires_ms(object));
}

static void take_objects(struct writer *w)
{
	struct object **objects = (struct object **)(void *)w->objects.ptr;
	size_t n = w->objects.len / sizeof(*objects);
	for (size_t i = 0; i < n; i++) {
		struct slice key = object_key(objects[i]);
		/* After segments have joined a scan begins a little earlier; that was written already. */
		if (key_position(key_hash(w->source->shard->hash_seed, key)) < w->range.from)
			continue;
		take_object(w, objects[i], key);
	}
	w->shown += (uint32_t)n;
	w->objects.len = 0;
}

/* From `from` on, in one step; the position behind it, 0 after the last. */
static uint64_t read_range(struct writer *w, uint32_t space, uint64_t from)
{
	const struct image_source *source = w->source;
	w->range = (struct image_block){.space = space, .from = from, .lsn = source->lsn(source->arg)};
	w->raw.len = w->blocks.len = w->large_bytes = w->shown = 0;
	uint64_t next = from;
	do {
		next = keyspace_scan_all(source->shard, space, w->partition, next, SCAN_ENTRIES, show_object, w);
		w->shown += SCAN_ENTRIES * (w->objects.len == 0); /* empty buckets are work too */
		take_objects(w);
	} while (next != 0 && w->shown < RANGE_ENTRIES && w->raw.len < RANGE_BYTES && w->large_bytes < LENT_BYTES);
	cut_block(w);
	w->range.to = next - 1;
	return next;
}

/* ---- writing it --------------------------------------------------------------------- */

static size_t large_left(const struct large *large)
{
	return large->copied.len - large->copied_at + large->rest.len +
	       (large->stream ? object_stream_length(large->stream) : 0);
}

/* Copies up to `size` bytes of what is left; how many. */
static size_t take_piece(struct large *large, uint8_t *to, size_t size)
{
	size_t n = large->copied.len - large->copied_at < size ? large->copied.len - large->copied_at : size;
	if (n)
		memcpy(to, large->copied.ptr + large->copied_at, n);
	large->copied_at += n;
	if (large->stream)
		return n + object_stream_read(large->stream, to + n, size - n);
	size_t some = large->rest.len < size - n ? large->rest.len : size - n;
	if (some)
		memcpy(to + n, large->rest.ptr, some);
	large->rest = slice_sub(large->rest, some, large->rest.len);
	return n + some;
}

static void write_large(struct writer *w, struct large *large)
{
	uint32_t entries = 1;
	for (bool more = true; more && !w->error; entries = 0) {
		size_t n = take_piece(large, w->piece, PIECE_BYTES);
		more = large_left(large) > 0;
		write_block(w, IMAGE_PIECE, more ? IMAGE_MORE : 0, entries, slice_of(w->piece, n));
		pause_for(w, n);
	}
}

static void drop_large(struct writer *w, struct large *large)
{
	if (large->lent)
		object_return(w->source->shard, large->lent);
	if (large->stream)
		object_stream_free(w->source->shard, large->stream);
	buf_fini(&large->copied);
}

static void write_range(struct writer *w)
{
	const struct cut *cuts = (const struct cut *)(const void *)w->blocks.ptr;
	struct large *large = (struct large *)(void *)w->large.ptr;
	size_t n_cuts = w->blocks.len / sizeof(*cuts), n_large = w->large.len / sizeof(*large), begin = 0;
	if (w->raw.len + w->large_bytes >= REST_BYTES) /* reading it was a step of its own */
		pause_for(w, 0);
	for (size_t i = 0; i < n_cuts; begin = cuts[i++].end) {
		struct slice raw = slice_sub(buf_slice(&w->raw), begin, cuts[i].end);
		write_block(w, IMAGE_ENTRIES, 0, cuts[i].entries, raw);
		pause_for(w, raw.len);
	}
	for (size_t i = 0; i < n_large; i++) {
		write_large(w, &large[i]);
		drop_large(w, &large[i]);
	}
	w->large.len = 0;
	if (n_cuts + n_large == 0) { /* that nothing is there must be known too */
		write_block(w, IMAGE_ENTRIES, 0, 0, S(""));
		pause_for(w, 0);
	}
}

static void write_space(struct writer *w, uint32_t space)
{
	uint64_t next = 0;
	do {
		next = read_range(w, space, next);
		w->foot.end_lsn = w->range.lsn;
		write_range(w);
	} while (next != 0 && !w->error);
}

/* ---- the file ----------------------------------------------------------------------- */

static void write_head(struct writer *w, const struct superblock *superblock, uint64_t begin_lsn)
{
	uint8_t page[IMAGE_PAGE];
	struct image_head head = {.partition = w->partition, .number = w->number, .begin_lsn = begin_lsn};
	memcpy(head.directory, superblock->id, sizeof(head.directory));
	image_head_encode(&head, page);
	append(w, slice_of(page, sizeof(page)));
}

static void write_foot(struct writer *w)
{
	struct image_foot foot = w->foot;
	foot.file_size = image_out_size(w->out) + sizeof(struct image_block) + sizeof(foot);
	foot.file_size = (foot.file_size + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE;
	w->range = (struct image_block){.lsn = foot.end_lsn};
	write_block(w, IMAGE_FOOT, 0, 0, slice_of(&foot, sizeof(foot)));
	w->foot = foot;
}

static int writer_init(struct writer *w, struct core *core, const char *path)
{
	w->mark = dir_mark(core);
	w->out = image_out_new(core, path, &w->error);
	if (!w->out)
		return w->error;
	w->zstd = ZSTD_createCCtx();
	assert(w->zstd);
	w->stored_max = ZSTD_compressBound(IMAGE_RAW_MAX);
	w->stored = memory_alloc(w->stored_max);
	w->piece = memory_alloc(PIECE_BYTES);
	return 0;
}

static void writer_fini(struct writer *w)
{
	image_out_free(w->out);
	ZSTD_freeCCtx(w->zstd);
	memory_free(w->stored);
	memory_free(w->piece);
	buf_fini(&w->objects);
	buf_fini(&w->value);
	buf_fini(&w->raw);
	buf_fini(&w->blocks);
	buf_fini(&w->large);
}

/* Foot, sync, name; or the file is removed. */
static int complete(struct writer *w, struct core *core, const char *directory, const char *path,
                    struct image_written *out)
{
	write_foot(w);
	int result = w->error ? w->error : image_out_finish(w->out);
	out->entries = w->foot.entries;
	out->raw_bytes = w->foot.raw_bytes;
	out->bytes = image_out_size(w->out);
	out->end_lsn = w->foot.end_lsn;
	uint64_t mark = w->mark;
	writer_fini(w);
	if (result == 0) {
		char folder[PATH_MAX];
		snprintf(folder, sizeof(folder), "%s/image", directory);
		result = dir_sync(core, folder, mark);
	}
	if (result < 0) {
		int removed = file_remove(core, path);
		(void)removed; /* what stays nobody will ever name */
	}
	return result;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* In the order in which the file has them. */
static void write_spaces(struct writer *w, const uint32_t *keyspaces, uint32_t n)
{
	uint32_t *sorted = memory_alloc((n + 1) * sizeof(*sorted));
	memcpy(sorted, keyspaces, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_id);
	for (uint32_t i = 0; i < n && !w->error; i++)
		if (i == 0 || sorted[i] != sorted[i - 1])
			write_space(w, sorted[i]);
	memory_free(sorted);
}

int image_write(struct core *core, const char *directory, const struct superblock *superblock, uint64_t number,
                uint16_t partition, const struct image_source *source, const uint32_t *keyspaces, uint32_t n_keyspaces,
                struct image_written *out)
{
	char path[PATH_MAX];
	image_path(directory, partition, number, path, sizeof(path));
	struct writer w = {.source = source, .number = number, .partition = partition};
	int result = writer_init(&w, core, path);
	if (result < 0)
		return result;
	struct image_written written = {.begin_lsn = source->lsn(source->arg) + 1};
	w.foot.end_lsn = written.begin_lsn - 1;
	write_head(&w, superblock, written.begin_lsn);
	write_spaces(&w, keyspaces, n_keyspaces);
	result = complete(&w, core, directory, path, &written);
	if (result == 0)
		*out = written;
	return result;
}

int image_write_rows(struct core *core, const char *directory, const struct superblock *superblock, uint64_t number,
                     uint64_t lsn, const struct slice *names, const struct slice *values, uint32_t n,
                     struct image_written *out)
{
	char path[PATH_MAX];
	image_path(directory, PARTITION_SYSTEM, number, path, sizeof(path));
	struct writer w = {.number = number, .partition = PARTITION_SYSTEM, .foot.end_lsn = lsn};
	int result = writer_init(&w, core, path);
	if (result < 0)
		return result;
	struct image_written written = {.begin_lsn = lsn + 1};
	write_head(&w, superblock, written.begin_lsn);
	w.range = (struct image_block){.to = UINT64_MAX, .lsn = lsn};
	for (uint32_t i = 0; i < n; i++)
		take_entry(&w, NULL, names[i], values[i], EXPIRES_NEVER);
	cut_block(&w);
	write_range(&w);
	result = complete(&w, core, directory, path, &written);
	if (result == 0)
		*out = written;
	return result;
}

void image_path(const char *directory, uint16_t partition, uint64_t number, char *out, size_t size)
{
	snprintf(out, size, "%s/image/%02u-%016" PRIx64, directory, partition, number);
}
