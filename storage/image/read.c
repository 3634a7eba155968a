/* Reading an image back: nothing in it is believed before its checksum, its place and its bounds are right. */
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "kernels/checksum/crc32c.h"
#include "storage/image/cover_private.h"
#include "storage/image/format.h"
#include "storage/image/stream_private.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

struct image_reader {
	struct image_in *in;
	ZSTD_DCtx *zstd;
	struct image_head head;
	struct image_cover *cover;
	uint8_t *raw; /* a block's body */
	struct image_entry *entries;
	size_t entries_max;
	struct buf large;  /* an entry in pieces, as far as it is read */
	size_t large_size; /* that it will have */
	struct image_entry large_entry;
	struct image_block last; /* the block before; none while foot.blocks is 0 */
	struct image_foot foot;  /* what was counted so far */
	bool ended, failed;
	char path[PATH_MAX];
	char *why; /* of the running call */
	size_t why_size;
};

/* ---- what is wrong ------------------------------------------------------------------ */

static int bad(struct image_reader *r, const char *what)
{
	r->failed = true;
	snprintf(r->why, r->why_size, "%s: at byte %" PRIu64 ", block %" PRIu64 ": %s", r->path, image_in_at(r->in),
	         r->foot.blocks, what);
	return -EBADMSG;
}

static int next_bytes(struct image_reader *r, size_t size, const uint8_t **out)
{
	int result = image_in_take(r->in, size, out);
	if (result == -ENODATA)
		return bad(r, "the file ends here");
	if (result < 0) {
		r->failed = true;
		snprintf(r->why, r->why_size, "cannot read %s: %s", r->path, strerror(-result));
	}
	return result;
}

/* ---- entries ------------------------------------------------------------------------ */

static struct image_entry *entries_room(struct image_reader *r, size_t n)
{
	if (n > r->entries_max) {
		r->entries_max = n + n / 2;
		r->entries = memory_resize(r->entries, r->entries_max * sizeof(*r->entries));
	}
	return r->entries;
}

/* Each takes two bytes at least, so no count is believed that the body has no room for. */
static int read_entries(struct image_reader *r, const struct image_block *block, struct slice body)
{
	if (block->entries > body.len / 2)
		return bad(r, "more entries than bytes for them");
	struct image_entry *entry = entries_room(r, block->entries);
	for (uint32_t i = 0; i < block->entries; i++, entry++) {
		struct image_entry_size size;
		if (!image_entry_take_head(&body, &size) || size.key_len + size.value_len > body.len)
			return bad(r, "an entry that is longer than the block");
		*entry = (struct image_entry){.space = block->space,
		                              .expires_ms = size.expires_ms,
		                              .key = slice_sub(body, 0, size.key_len),
		                              .value = slice_sub(body, size.key_len, size.key_len + size.value_len)};
		body = slice_sub(body, size.key_len + size.value_len, body.len);
	}
	return body.len ? bad(r, "bytes behind the last entry") : 0;
}

static int begin_large(struct image_reader *r, const struct image_block *block, struct slice *body)
{
	struct image_entry_size size;
	if (block->entries != 1 || !image_entry_take_head(body, &size))
		return bad(r, "the first piece of an entry that is none");
	r->large.len = 0;
	r->large_size = size.key_len + size.value_len;
	r->large_entry = (struct image_entry){.space = block->space, .expires_ms = size.expires_ms};
	r->large_entry.key.len = size.key_len;
	r->large_entry.value.len = size.value_len;
	return 0;
}

/* Room is made for what has come, never for what is said to come. */
static int read_piece(struct image_reader *r, const struct image_block *block, struct slice body)
{
	bool first = r->foot.blocks == 0 || !(r->last.flags & IMAGE_MORE), more = block->flags & IMAGE_MORE;
	int result = first ? begin_large(r, block, &body) : block->entries ? bad(r, "an entry begins in another") : 0;
	if (result < 0)
		return result;
	if (body.len > r->large_size - r->large.len)
		return bad(r, "the pieces of an entry are more than the whole");
	buf_append(&r->large, body);
	if (more == (r->large.len == r->large_size))
		return bad(r, "the pieces of an entry are not the whole");
	return 0;
}

static uint32_t finish_large(struct image_reader *r)
{
	struct image_entry *entry = entries_room(r, 1);
	*entry = r->large_entry;
	entry->key.ptr = r->large.ptr;
	entry->value.ptr = r->large.ptr + entry->key.len;
	return 1;
}

/* ---- blocks ------------------------------------------------------------------------- */

static int check_place(struct image_reader *r, const struct image_block *block)
{
	const struct image_block *last = &r->last;
	bool is_first = r->foot.blocks == 0;
	if (block->index != r->foot.blocks)
		return bad(r, "a block is missing, doubled or out of order");
	if (!is_first && last->flags & IMAGE_MORE && block->kind != IMAGE_PIECE)
		return bad(r, "an entry that does not go on");
	if (block->kind == IMAGE_FOOT)
		return !is_first && last->to != UINT64_MAX ? bad(r, "the last keyspace is not whole") : 0;
	if (!is_first && block->space == last->space && block->from == last->from && block->to == last->to &&
	    block->lsn == last->lsn)
		return 0;
	if (!is_first && last->flags & IMAGE_MORE)
		return bad(r, "an entry that does not go on");
	bool is_new = is_first || (last->to == UINT64_MAX && block->space > last->space && block->from == 0);
	bool goes_on =
	        !is_first && last->to != UINT64_MAX && block->space == last->space && block->from == last->to + 1;
	if (is_first && block->from != 0)
		return bad(r, "the first range does not begin at the first position");
	if (!is_new && !goes_on)
		return bad(r, "a range that does not follow the one before");
	if (block->lsn + 1 < r->head.begin_lsn || (!is_first && block->lsn < last->lsn))
		return bad(r, "an LSN that is smaller than one before");
	image_cover_add(r->cover, block->space, block->from, block->lsn);
	return 0;
}

static int unpack(struct image_reader *r, const struct image_block *block, const uint8_t *stored, struct slice *out)
{
	*out = slice_of(stored, block->stored_length);
	if (block->flags & IMAGE_PLAIN)
		return 0;
	size_t n = ZSTD_decompressDCtx(r->zstd, r->raw, block->raw_length, stored, block->stored_length);
	if (ZSTD_isError(n) || n != block->raw_length)
		return bad(r, "what was compressed cannot be undone");
	*out = slice_of(r->raw, n);
	return 0;
}

/* The next block, its checksum and place right: header and body as it was before it was compressed. */
static int read_block(struct image_reader *r, struct image_block *block, struct slice *body)
{
	const uint8_t *bytes;
	int result = next_bytes(r, sizeof(*block), &bytes);
	if (result < 0)
		return result;
	memcpy(block, bytes, sizeof(*block));
	const char *problem = image_block_problem(block);
	if (problem)
		return bad(r, problem);
	result = next_bytes(r, block->stored_length, &bytes);
	if (result < 0)
		return result;
	if (block->crc != image_block_crc(r->head.number, block, bytes))
		return bad(r, "a block whose checksum is wrong");
	result = check_place(r, block);
	return result < 0 ? result : unpack(r, block, bytes, body);
}

static void count_block(struct image_reader *r, const struct image_block *block)
{
	r->last = *block;
	r->foot.blocks++;
	r->foot.entries += block->entries;
	r->foot.raw_bytes += block->raw_length;
	r->foot.chain = crc32c(r->foot.chain, (const uint8_t *)&block->crc, sizeof(block->crc));
}

/* ---- the end ------------------------------------------------------------------------ */

static int check_rest(struct image_reader *r)
{
	size_t left = (size_t)(image_in_size(r->in) - image_in_at(r->in));
	const uint8_t *bytes;
	if (left >= IMAGE_PAGE)
		return bad(r, "the file goes on behind its foot");
	int result = next_bytes(r, left, &bytes);
	for (size_t i = 0; i < left && result == 0; i++)
		if (bytes[i])
			result = bad(r, "something lies behind the foot");
	return result;
}

static int check_foot(struct image_reader *r, struct slice body)
{
	struct image_foot foot;
	if (body.len != sizeof(foot))
		return bad(r, "a foot of another length");
	memcpy(&foot, body.ptr, sizeof(foot));
	if (foot.blocks != r->foot.blocks || foot.entries != r->foot.entries || foot.raw_bytes != r->foot.raw_bytes ||
	    foot.chain != r->foot.chain)
		return bad(r, "the foot has counted other blocks");
	if (foot.file_size != image_in_size(r->in))
		return bad(r, "the file has another size than its foot says");
	if (r->foot.blocks && foot.end_lsn != r->last.lsn)
		return bad(r, "the foot ends at another LSN");
	int result = check_rest(r);
	r->ended = result == 0;
	return result;
}

/* ---- the calls ---------------------------------------------------------------------- */

int image_next(struct image_reader *r, const struct image_entry **entries, uint32_t *n, char *why, size_t why_size)
{
	r->why = why;
	r->why_size = why_size;
	if (r->failed)
		return bad(r, "was found damaged before");
	for (uint32_t found = 0; !r->ended;) {
		struct image_block block;
		struct slice body;
		int result = read_block(r, &block, &body);
		if (result < 0)
			return result;
		if (block.kind == IMAGE_FOOT)
			result = check_foot(r, body);
		else if (block.kind == IMAGE_PIECE)
			result = read_piece(r, &block, body);
		else
			result = block.flags & IMAGE_MORE ? bad(r, "whole entries that go on")
			                                  : read_entries(r, &block, body);
		if (result < 0)
			return result;
		if (block.kind == IMAGE_FOOT)
			break;
		count_block(r, &block);
		found = block.kind == IMAGE_ENTRIES ? block.entries : block.flags & IMAGE_MORE ? 0 : finish_large(r);
		if (found) {
			*entries = r->entries;
			*n = found;
			return 1;
		}
	}
	return 0;
}

static int check_head(struct image_reader *r, const struct superblock *superblock, uint64_t number, uint16_t partition)
{
	const uint8_t *page;
	int result = next_bytes(r, IMAGE_PAGE, &page);
	if (result < 0)
		return result;
	if (!image_head_decode(page, &r->head))
		return bad(r, "the head is damaged, or this is no image");
	if (r->head.format != IMAGE_FORMAT) {
		char text[96];
		snprintf(text, sizeof(text), "format %" PRIu32 ", this program knows format %d only", r->head.format,
		         IMAGE_FORMAT);
		return bad(r, text);
	}
	if (memcmp(r->head.directory, superblock->id, sizeof(superblock->id)) != 0)
		return bad(r, "it belongs to another data directory");
	if (r->head.number != number || r->head.partition != partition)
		return bad(r, "it is another image than its name says");
	if (r->head.key_id)
		return bad(r, "it is encrypted, which this program does not know");
	return 0;
}

int image_open(struct core *core, const char *directory, const struct superblock *superblock, uint64_t number,
               uint16_t partition, struct image_reader **out, char *why, size_t why_size)
{
	struct image_reader *r = memory_zalloc(sizeof(*r));
	int error = 0;
	r->why = why;
	r->why_size = why_size;
	image_path(directory, partition, number, r->path, sizeof(r->path));
	r->in = image_in_new(core, r->path, &error);
	if (!r->in) {
		snprintf(why, why_size, "cannot read %s: %s", r->path, strerror(-error));
		image_close(r);
		return error;
	}
	r->zstd = ZSTD_createDCtx();
	assert(r->zstd);
	r->raw = memory_alloc(IMAGE_RAW_MAX);
	r->cover = memory_zalloc(sizeof(*r->cover));
	error = check_head(r, superblock, number, partition);
	if (error < 0) {
		image_close(r);
		return error;
	}
	*out = r;
	return 0;
}

uint64_t image_begin_lsn(const struct image_reader *reader) { return reader->head.begin_lsn; }

struct image_cover *image_take_cover(struct image_reader *reader)
{
	assert(reader->ended);
	return take(reader->cover);
}

void image_close(struct image_reader *r)
{
	if (!r)
		return;
	image_in_free(r->in);
	ZSTD_freeDCtx(r->zstd);
	image_cover_free(r->cover);
	memory_free(r->raw);
	memory_free(r->entries);
	buf_fini(&r->large);
	memory_free(r);
}
