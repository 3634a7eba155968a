/* Images made from the input: blocks that follow one another or do not, bodies of any bytes, heads and feet with
 * one thing wrong, all checksums right. Whatever they say, reading ends, twice alike, and what is given lies
 * within bounds and is no more than the blocks have room for. */
#include "storage/image/image.h"

#include "engine/core/fiber.h"
#include "engine/core/reactor_private.h"
#include "engine/io/sim.h"
#include "engine/io/sim_disk.h"
#include "kernels/checksum/crc32c.h"
#include "storage/image/format.h"
#include "tests/fuzz/fuzz.h"

#include <zstd.h>

enum { NUMBER = 5, PARTITION = 3, BLOCKS_MAX = 64, DISK_BYTES = 64 * 1024 * 1024 };

static const struct superblock superblock = {.id = "an id of sixteen"};

/* What is being made. */
struct making {
	struct slice input;
	struct buf file;
	struct image_block block; /* the last */
	struct image_foot foot;
};

struct told {
	uint64_t entries, bytes, sum;
	int result;
};

/* ---- making an image ----------------------------------------------------------------------- */

static uint64_t number_from(struct slice *input)
{
	uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value |= (uint64_t)fuzz_byte(input) << 8 * i;
	return value;
}

/* One field, any value; the checksum is made after it. */
static void spoil(struct making *m, struct image_block *block)
{
	uint64_t value = number_from(&m->input);
	switch (fuzz_byte(&m->input) % 10) {
	case 0:
		block->kind = (uint8_t)value;
		break;
	case 1:
		block->flags = (uint8_t)value;
		break;
	case 2:
		block->index = (uint32_t)value;
		break;
	case 3:
		block->space = (uint32_t)value;
		break;
	case 4:
		block->from = value;
		break;
	case 5:
		block->to = value;
		break;
	case 6:
		block->lsn = value;
		break;
	case 7:
		block->entries = (uint32_t)value;
		break;
	case 8:
		block->raw_length = (uint32_t)value;
		break;
	case 9:
		block->stored_length = (uint32_t)value;
		break;
	}
}

static void add_block(struct making *m, struct image_block *block, struct slice raw, bool compress)
{
	cleanup(buf_fini) struct buf stored = {0};
	size_t bound = ZSTD_compressBound(raw.len);
	size_t n = compress ? ZSTD_compress(buf_reserve(&stored, bound), bound, raw.ptr, raw.len, 1) : raw.len;
	if (compress && n < raw.len) {
		stored.len = n;
	} else {
		stored.len = 0;
		buf_append(&stored, raw);
		block->flags |= IMAGE_PLAIN;
	}
	block->index = (uint32_t)m->foot.blocks;
	block->raw_length = (uint32_t)raw.len;
	block->stored_length = (uint32_t)stored.len;
	if (fuzz_byte(&m->input) == 255)
		spoil(m, block);
	if (block->stored_length <= stored.len)
		block->crc = image_block_crc(NUMBER, block, stored.ptr);
	buf_append(&m->file, slice_of(block, sizeof(*block)));
	buf_append(&m->file, buf_slice(&stored));
}

/* The range of the block before again, the one after it, or another keyspace. */
static void next_range(struct making *m, struct image_block *block, uint8_t what)
{
	*block = (struct image_block){
	        .space = m->block.space, .from = m->block.from, .to = m->block.to, .lsn = m->block.lsn};
	bool is_first = m->foot.blocks == 0;
	if (!is_first && what & 1)
		return;
	block->lsn += what >> 1 & 1;
	if (is_first || block->to == UINT64_MAX) {
		block->space += !is_first;
		block->from = 0;
	} else {
		block->from = block->to + 1;
	}
	uint64_t more = number_from(&m->input);
	block->to = what & 4 || more > UINT64_MAX - block->from ? UINT64_MAX : block->from + more;
}

static void make_block(struct making *m)
{
	struct image_block block;
	uint8_t what = fuzz_byte(&m->input), size = fuzz_byte(&m->input);
	next_range(m, &block, what);
	block.kind = what & 8 ? IMAGE_PIECE : IMAGE_ENTRIES;
	block.flags = what & 16 ? IMAGE_MORE : 0;
	block.entries = what & 8 ? what >> 5 & 1 : fuzz_byte(&m->input) % 8;
	/* Few bytes of the input, many in the body. */
	cleanup(buf_fini) struct buf raw = {0};
	size_t n = size < m->input.len ? size : m->input.len;
	for (unsigned times = what & 64 ? 100 : 1; times; times--)
		buf_append(&raw, slice_sub(m->input, 0, n));
	m->input = slice_sub(m->input, n, m->input.len);
	add_block(m, &block, buf_slice(&raw), what & 128);
	m->block = block;
	m->foot.blocks++;
	m->foot.entries += block.entries;
	m->foot.raw_bytes += block.raw_length;
	m->foot.chain = crc32c(m->foot.chain, (const uint8_t *)&block.crc, sizeof(block.crc));
}

static void make_head(struct making *m)
{
	uint8_t page[IMAGE_PAGE], what = fuzz_byte(&m->input);
	struct image_head head = {.partition = PARTITION, .number = NUMBER, .begin_lsn = what & 3};
	memcpy(head.directory, superblock.id, sizeof(head.directory));
	image_head_encode(&head, page);
	page[9] = what == 255; /* a format that is not known */
	if (what == 255) {
		uint32_t crc = crc32c(0, page + 8, IMAGE_PAGE - 8);
		memcpy(page + 4, &crc, sizeof(crc));
	}
	buf_append(&m->file, slice_of(page, sizeof(page)));
}

static void make_foot(struct making *m, uint8_t what)
{
	struct image_block block = {.kind = IMAGE_FOOT, .lsn = m->block.lsn};
	struct image_foot foot = m->foot;
	foot.end_lsn = m->block.lsn + (what == 1);
	foot.blocks += what == 2;
	foot.entries += what == 3;
	foot.raw_bytes += what == 4;
	foot.chain ^= what == 5;
	foot.file_size = m->file.len + sizeof(block) + sizeof(foot);
	foot.file_size = (foot.file_size + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE + (what == 6);
	add_block(m, &block, slice_of(&foot, sizeof(foot)), false);
	while (m->file.len % IMAGE_PAGE)
		buf_byte(&m->file, what == 7);
}

/* ---- reading it ---------------------------------------------------------------------------- */

struct reading {
	struct core *core;
	struct told told;
};

static void look_at(struct told *told, const struct image_entry *entry)
{
	told->entries++;
	told->bytes += entry->key.len + entry->value.len;
	told->sum = told->sum * 31 + crc32c(entry->space, entry->key.ptr, entry->key.len);
	told->sum = told->sum * 31 + crc32c((uint32_t)entry->expires_ms, entry->value.ptr, entry->value.len);
}

static void read_image(void *arg)
{
	struct reading *reading = arg;
	struct told *told = &reading->told;
	char why[300] = "";
	struct image_reader *reader;
	const struct image_entry *entries;
	uint32_t n;
	told->result = image_open(reading->core, "data", &superblock, NUMBER, PARTITION, &reader, why, sizeof(why));
	if (told->result == 0) {
		while ((told->result = image_next(reader, &entries, &n, why, sizeof(why))) > 0)
			for (uint32_t i = 0; i < n; i++)
				look_at(told, &entries[i]);
		if (told->result == 0) {
			struct image_cover *cover = image_take_cover(reader);
			for (uint32_t space = 0; space < 4; space++)
				told->sum += image_covers(cover, space, told->sum, 1);
			image_cover_free(cover);
		}
		image_close(reader);
	}
	fuzz_check((told->result < 0) == (why[0] != 0));
	reading->core->stopped = true;
}

static struct told tell(struct sim_disk *disk)
{
	const struct sim_faults faults = {.clock_ns = 100, .chunks = 2};
	struct sim *sim = sim_new(1, &faults);
	sim_use_disk(sim, disk);
	struct io *io = sim_io_new(sim);
	struct machine *machine = machine_new(1);
	struct reading reading = {.core = core_new(machine, 0, io)};
	reactor_set_poll(reading.core, REACTOR_POLL_NEVER);
	fiber_start(reading.core, read_image, &reading);
	for (enum reactor_stage stage = REACTOR_WORK; stage != REACTOR_STOPPED;) {
		if (stage == REACTOR_SLEEP && !sim_io_due(io))
			sim_pass_ns(sim, sim_io_next_ns(io) - sim_now_ns(sim));
		stage = reactor_step(reading.core);
	}
	core_free(reading.core);
	machine_free(machine);
	io_free(io);
	sim_free(sim);
	return reading.told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct making m = {.input = slice_of(data, size)};
	uint8_t foot = fuzz_byte(&m.input);
	make_head(&m);
	while (m.input.len > 0 && m.foot.blocks < BLOCKS_MAX)
		make_block(&m);
	if (foot != 255)
		make_foot(&m, foot);
	struct sim_disk *disk = sim_disk_new(DISK_BYTES);
	char path[100];
	image_path("data", PARTITION, NUMBER, path, sizeof(path));
	sim_disk_write(disk, path, 0, buf_slice(&m.file));
	struct told once = tell(disk), again = tell(disk);
	fuzz_check(once.result == again.result && once.entries == again.entries && once.sum == again.sum);
	fuzz_check(once.bytes <= m.foot.blocks * IMAGE_RAW_MAX);
	if (once.result == 0)
		fuzz_check(once.entries == m.foot.entries);
	sim_disk_free(disk);
	buf_fini(&m.file);
	return 0;
}
