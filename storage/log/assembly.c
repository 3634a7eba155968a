#include "storage/log/assembly_private.h"

#include "storage/log/frame_private.h"

/* A whole record. `owned`: its body lies in `held`, at `at`. */
struct item {
	struct record record;
	bool owned;
	size_t at;
};

enum { FLAGS_KNOWN = RECORD_CONTINUES | RECORD_CONTINUED | RECORD_GROUP };

static struct item *items(const struct assembly *assembly) { return (struct item *)(void *)assembly->items.ptr; }
static uint32_t n_items(const struct assembly *assembly)
{
	return (uint32_t)(assembly->items.len / sizeof(struct item));
}

void assembly_init(struct assembly *assembly, uint32_t log, uint64_t from_lsn)
{
	*assembly = (struct assembly){.from_lsn = from_lsn, .log = log, .seed = record_seed(log), .headless = true};
}

void assembly_fini(struct assembly *assembly)
{
	buf_fini(&assembly->items);
	buf_fini(&assembly->out);
	buf_fini(&assembly->held);
}

void assembly_break(struct assembly *assembly, bool lost)
{
	assembly->items.len = assembly->held.len = 0;
	assembly->n_given = 0;
	assembly->partial = false;
	assembly->headless = lost;
	assembly->lost = lost;
}

/* ---- what waits ------------------------------------------------------------------------------ */

/* Copies what is not complete out of the frame. */
static void own_rest(struct assembly *assembly)
{
	for (uint32_t i = assembly->n_given; i < n_items(assembly); i++) {
		struct item *item = &items(assembly)[i];
		if (item->owned)
			continue;
		item->owned = true;
		item->at = assembly->held.len;
		buf_append(&assembly->held, item->record.body);
	}
}

/* Lets go of what was given, and of the bytes that only it needed. */
static void drop_given(struct assembly *assembly)
{
	uint32_t n = assembly->n_given;
	buf_drop(&assembly->items, n * sizeof(struct item));
	assembly->n_given = 0;
	size_t needed = n_items(assembly) > 0 ? items(assembly)[0].at
	                : assembly->partial   ? assembly->partial_at
	                                      : assembly->held.len;
	buf_drop(&assembly->held, needed);
	for (uint32_t i = 0; i < n_items(assembly); i++)
		items(assembly)[i].at -= needed;
	assembly->partial_at -= assembly->partial ? needed : 0;
}

static void give(struct assembly *assembly)
{
	assembly->out.len = 0;
	for (uint32_t i = 0; i < assembly->n_given; i++) {
		struct item *item = &items(assembly)[i];
		if (item->owned)
			item->record.body.ptr = assembly->held.ptr + item->at;
		buf_append(&assembly->out, slice_of(&item->record, sizeof(item->record)));
	}
}

const struct record *assembly_records(const struct assembly *assembly, uint32_t *n)
{
	*n = (uint32_t)(assembly->out.len / sizeof(struct record));
	return (const struct record *)(const void *)assembly->out.ptr;
}

/* ---- records ---------------------------------------------------------------------------------- */

static void add_item(struct assembly *assembly, const struct record_header *header, uint64_t lsn, struct slice body,
                     bool owned, size_t at)
{
	bool group = header->flags & RECORD_GROUP;
	assembly->headless = false;
	if (assembly->lost || lsn < assembly->from_lsn) {
		assembly->lost &= group;
		return;
	}
	struct item item = {.record = {.kind = header->kind,
	                               .group = group,
	                               .slot = header->slot,
	                               .space = header->space,
	                               .lsn = lsn,
	                               .body = body},
	                    .owned = owned,
	                    .at = at};
	buf_append(&assembly->items, slice_of(&item, sizeof(item)));
	if (!group)
		assembly->n_given = n_items(assembly);
}

static bool goes_together(const struct record_header *a, const struct record_header *b)
{
	return a->kind == b->kind && a->slot == b->slot && a->space == b->space &&
	       !((a->flags ^ b->flags) & RECORD_GROUP);
}

/* A fragment that is not the first of its record. */
static bool add_rest(struct assembly *assembly, const struct record_header *header, uint64_t lsn, struct slice body,
                     struct buf *why)
{
	bool last = !(header->flags & RECORD_CONTINUES);
	if (!assembly->partial) {
		if (assembly->headless && (assembly->lost || lsn < assembly->from_lsn || assembly->from_lsn == 0)) {
			assembly->lost &= !last || header->flags & RECORD_GROUP;
			assembly->headless = !last;
			return true;
		}
		buf_printf(why, "the beginning of record %llu is missing", (unsigned long long)lsn);
		return false;
	}
	if (!goes_together(&assembly->partial_header, header)) {
		buf_printf(why, "record %llu does not continue the one before it", (unsigned long long)lsn);
		return false;
	}
	buf_append(&assembly->held, body);
	if (last) {
		size_t at = assembly->partial_at;
		assembly->partial = false;
		add_item(assembly, header, lsn, slice_of(NULL, assembly->held.len - at), true, at);
	}
	return true;
}

static bool add_record(struct assembly *assembly, const struct record_header *header, uint64_t lsn, struct slice body,
                       struct buf *why)
{
	if (header->flags & RECORD_CONTINUED)
		return add_rest(assembly, header, lsn, body, why);
	if (assembly->partial) {
		buf_printf(why, "record %llu comes before the one before it is whole", (unsigned long long)lsn);
		return false;
	}
	if (!(header->flags & RECORD_CONTINUES)) {
		add_item(assembly, header, lsn, body, false, 0);
		return true;
	}
	own_rest(assembly);
	assembly->headless = false;
	assembly->partial = true;
	assembly->partial_at = assembly->held.len;
	assembly->partial_header = *header;
	buf_append(&assembly->held, body);
	return true;
}

static bool check_record(const struct assembly *assembly, const uint8_t *at, size_t room, uint64_t lsn,
                         struct record_header *out, struct buf *why)
{
	if (room < sizeof(*out)) {
		buf_printf(why, "record %llu is cut off", (unsigned long long)lsn);
		return false;
	}
	memcpy(out, at, sizeof(*out));
	if (out->length > room - sizeof(*out) || out->crc != record_crc(assembly->seed, lsn, at, out->length)) {
		buf_printf(why, "the checksum of record %llu is wrong", (unsigned long long)lsn);
		return false;
	}
	if (!record_kind_name(out->kind) || out->flags & ~FLAGS_KNOWN) {
		buf_printf(why,
		           "record %llu is of kind %u with flags %#x, which this program does not know: "
		           "it was written by a newer one",
		           (unsigned long long)lsn, out->kind, out->flags);
		return false;
	}
	return true;
}

bool assembly_add(struct assembly *assembly, const uint8_t *frame, const struct frame_header *header, struct buf *why)
{
	uint32_t at = sizeof(*header);
	drop_given(assembly);
	assembly->out.len = 0;
	for (uint32_t i = 0; i < header->n_records; i++) {
		struct record_header record;
		uint64_t lsn = header->first_lsn + i;
		if (!check_record(assembly, frame + at, header->used - at, lsn, &record, why))
			return false;
		struct slice body = slice_of(frame + at + sizeof(record), record.length);
		if (!add_record(assembly, &record, lsn, body, why))
			return false;
		at += (uint32_t)sizeof(record) + record.length;
	}
	if (at != header->used || (header->n_records == 0) != !!(header->flags & FRAME_CLOSING)) {
		buf_printf(why, "the frame has %u records, which do not fill it", header->n_records);
		return false;
	}
	if (!assembly->partial)
		own_rest(assembly);
	give(assembly);
	return true;
}
