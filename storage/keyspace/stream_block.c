/* Entries in bytes. All that is trusted here has passed block_check() once. */
#include "engine/base/number.h"
#include "storage/keyspace/stream_private.h"

enum {
	LISTPACK_EXTRA = 7,        /* bytes of its head and end mark */
	INTEGER_SIZE_MAX = 10,     /* of a packed one */
	BLOCK_BYTES_MAX = 1 << 30, /* as Redis limits it */
	ENTRY_NUMBERS = 5,         /* flags, the ID, fields, elements: integers beside the items */
	ENTRY_ELEMENTS = 3,        /* flags, milliseconds, number */
};

/* ---- reading -------------------------------------------------------------------------- */

/* An integer that is mostly small. */
static inline int64_t take_integer(const uint8_t **at)
{
	if (likely(!(**at & 0x80))) {
		int64_t value = **at;
		*at += 2;
		return value;
	}
	struct packed_element element;
	*at = packed_read(*at, &element);
	return element.integer;
}

static inline const uint8_t *skip(const uint8_t *at, uint64_t n)
{
	while (n-- > 0)
		at = packed_skip(at);
	return at;
}

static const uint8_t *block_end(const struct leaf *leaf) { return leaf->bytes + leaf->len; }
static const uint8_t *place(const struct block_head *head, uint32_t at) { return (const uint8_t *)head + at; }

const uint8_t *block_names(const struct block_head *head) { return (const uint8_t *)(head + 1); }

void entry_read(const struct block_head *head, const uint8_t *at, struct raw_entry *out)
{
	out->at = at;
	out->flags = (uint32_t)take_integer(&at);
	out->id.ms = head->id.ms + (uint64_t)take_integer(&at);
	out->id.seq = head->id.seq + (uint64_t)take_integer(&at);
	out->n_fields = out->flags & ENTRY_SHARED ? head->n_fields : (uint32_t)take_integer(&at);
	out->values = at;
}

const uint8_t *entry_end(const struct raw_entry *entry)
{
	uint64_t n = entry->n_fields;
	return skip(entry->values, entry->flags & ENTRY_SHARED ? n + 1 : 2 * n + 1);
}

const uint8_t *entry_before(const uint8_t *end)
{
	const uint8_t *at = packed_back(end), *number = at;
	for (int64_t n = take_integer(&number); n > 0; n--)
		at = packed_back(at);
	return at;
}

struct stream_id block_last(const struct leaf *leaf)
{
	struct raw_entry entry;
	if (unlikely(leaf->away))
		return block_fence(leaf).last;
	entry_read(block_of(leaf), place(block_of(leaf), block_of(leaf)->last_at), &entry);
	return entry.id;
}

/* ---- fences --------------------------------------------------------------------------- */

/* The bytes need not be aligned. */
static struct block_fence fence_of(struct slice bytes)
{
	struct block_head head;
	struct raw_entry first, last;
	memcpy(&head, bytes.ptr, sizeof(head));
	entry_read(&head, bytes.ptr + head.first_at, &first);
	entry_read(&head, bytes.ptr + head.last_at, &last);
	struct block_fence fence = {.id = head.id, .first = first.id, .last = last.id};
	while (last.flags & ENTRY_DELETED)
		entry_read(&head, entry_before(last.at), &last);
	fence.last_living = last.id;
	return fence;
}

struct block_fence block_fence(const struct leaf *leaf)
{
	struct block_fence fence;
	if (likely(!leaf->away))
		return fence_of(slice_of(leaf->bytes, leaf->len));
	memcpy(&fence, cold_leaf_fence(leaf), sizeof(fence));
	return fence;
}

void block_take_fence(struct slice bytes, uint8_t *out)
{
	struct block_fence fence = fence_of(bytes);
	memcpy(out, &fence, sizeof(fence));
}

bool block_check_fence(const uint8_t *bytes, const struct leaf *before, struct tree_key *out_key)
{
	struct block_fence fence;
	memcpy(&fence, bytes, sizeof(fence));
	*out_key = stream_key(fence.id);
	return (!before || stream_id_compare(block_last(before), fence.id) < 0) &&
	       stream_id_compare(fence.id, fence.first) <= 0 && stream_id_compare(fence.first, fence.last_living) <= 0 &&
	       stream_id_compare(fence.last_living, fence.last) <= 0;
}

/* ---- how large blocks may be ----------------------------------------------------------- */

static size_t names_size(const struct block_head *head)
{
	return (size_t)(skip(block_names(head), head->n_fields) - block_names(head));
}

/* The bytes that this block's listpack has in Redis. */
static size_t listpack_size(const struct leaf *leaf)
{
	const struct block_head *head = block_of(leaf);
	return LISTPACK_EXTRA + packed_size_integer(leaf->count) + packed_size_integer(head->deleted) +
	       packed_size_integer(head->n_fields) + packed_size_integer(0) + leaf->len - sizeof(*head);
}

static bool takes(const struct shard *shard, const struct leaf *leaf, size_t text_len)
{
	int64_t bytes = shard->collections.stream_bytes, entries = shard->collections.stream_entries;
	if (bytes <= 0 || bytes > BLOCK_BYTES_MAX)
		bytes = BLOCK_BYTES_MAX;
	if (listpack_size(leaf) + text_len >= (size_t)bytes)
		return false;
	entries = RARE(entries, entries / 25);
	return entries == 0 || (int64_t)leaf->count + block_of(leaf)->deleted < entries;
}

/* ---- adding --------------------------------------------------------------------------- */

static size_t text_length(const struct stream_item *item)
{
	struct packed_element element;
	char scratch[PACKED_SCRATCH];
	if (!item->packed.ptr)
		return item->text.len;
	(void)packed_read(item->packed.ptr, &element);
	return packed_text(&element, scratch).len;
}

struct stream_items stream_items(const struct stream_item *items, uint32_t n)
{
	struct stream_items all = {.items = items, .n = n};
	for (uint32_t i = 0; i < 2 * n; i++) {
		size_t room = items[i].packed.ptr ? items[i].packed.len : items[i].text.len + PACKED_OVERHEAD_MAX;
		all.text_len += text_length(&items[i]);
		all.room += room;
		all.names_room += i % 2 ? 0 : room;
	}
	return all;
}

static uint8_t *item_write(const struct stream_item *item, uint8_t *to)
{
	if (!item->packed.ptr)
		return packed_write(to, item->text);
	memcpy(to, item->packed.ptr, item->packed.len);
	return to + item->packed.len;
}

static bool is_item(const struct packed_element *element, const struct stream_item *item)
{
	struct packed_element other;
	char scratch[PACKED_SCRATCH], scratch_other[PACKED_SCRATCH];
	if (likely(!item->packed.ptr && element->bytes.ptr))
		return slice_equal(element->bytes, item->text);
	struct slice text = item->text;
	if (item->packed.ptr) {
		(void)packed_read(item->packed.ptr, &other);
		text = packed_text(&other, scratch_other);
	}
	return slice_equal(packed_text(element, scratch), text);
}

static bool names_equal(const struct block_head *head, const struct stream_items *items)
{
	struct packed_element name;
	const uint8_t *at = block_names(head);
	if (head->n_fields != items->n)
		return false;
	for (uint32_t i = 0; i < items->n; i++) {
		at = packed_read(at, &name);
		if (!is_item(&name, &items->items[2 * i]))
			return false;
	}
	return true;
}

/* The leaf is owned and has room. */
static struct stream_added entry_write(struct leaf *leaf, uint8_t *to, struct stream_id id,
                                       const struct stream_items *items, bool shared, uint8_t **out_end)
{
	struct block_head *head = block_of(leaf);
	to = packed_write_integer(to, shared ? ENTRY_SHARED : 0);
	to = packed_write_integer(to, (int64_t)(id.ms - head->id.ms));
	to = packed_write_integer(to, (int64_t)(id.seq - head->id.seq));
	if (!shared)
		to = packed_write_integer(to, items->n);
	uint8_t *values = to;
	for (uint32_t i = shared; i < 2 * items->n; i += 1 + shared)
		to = item_write(&items->items[i], to);
	struct stream_added added = {.values = slice_of(values, (size_t)(to - values))};
	int64_t elements = ENTRY_ELEMENTS + (shared ? (int64_t)items->n : 2 * (int64_t)items->n + 1);
	*out_end = packed_write_integer(to, elements);
	return added;
}

/* A block that grows does so by half, so that it is copied some times and not with each few entries. */
static struct stream_added add_to(struct shard *shard, struct tree_path *path, struct tree_key key, struct stream_id id,
                                  const struct stream_items *items, bool shared)
{
	uint32_t at = path->leaf->len, count = path->leaf->count;
	size_t room = items->room - (shared ? items->names_room : 0) + ENTRY_NUMBERS * INTEGER_SIZE_MAX;
	struct leaf *leaf = tree_own(shard, path, at + room <= path->leaf->room ? 0 : at + room + at / 2);
	struct block_head *head = block_of(leaf);
	uint8_t *end;
	struct stream_added added = entry_write(leaf, leaf->bytes + at, id, items, shared, &end);
	if (shared)
		added.names = slice_of(block_names(head), names_size(head));
	head->last_at = at;
	tree_changed(path, count + 1, (uint32_t)(end - leaf->bytes), key);
	return added;
}

/* A block whose names are those of its first entry. */
static struct stream_added begin(struct shard *shard, struct tree_path *path, struct stream_id id,
                                 const struct stream_items *items)
{
	size_t room = sizeof(struct block_head) + items->room + ENTRY_NUMBERS * INTEGER_SIZE_MAX;
	struct leaf *leaf = tree_insert(shard, path, true, room);
	struct block_head *head = block_of(leaf);
	*head = (struct block_head){.id = id, .n_fields = items->n};
	uint8_t *to = (uint8_t *)(head + 1), *end;
	for (uint32_t i = 0; i < items->n; i++)
		to = item_write(&items->items[2 * i], to);
	head->first_at = head->last_at = (uint32_t)(to - leaf->bytes);
	struct stream_added added = entry_write(leaf, to, id, items, true, &end);
	added.names = slice_of(head + 1, (size_t)(to - (uint8_t *)(head + 1)));
	tree_changed(path, 1, (uint32_t)(end - leaf->bytes), stream_key(id));
	return added;
}

/* The path's block gets no more entries: it lets go of the room for them. */
static void finish(struct shard *shard, struct tree_path *path)
{
	if (path->leaf->room - path->leaf->len > path->leaf->len / 8)
		(void)tree_refit(shard, path, 0);
}

struct stream_added block_add(struct shard *shard, struct tree *tree, struct stream_id id,
                              const struct stream_items *items)
{
	struct tree_path path;
	bool there = tree_last(tree, &path);
	bool away = there && path.leaf->away;
	if (likely(there && !away && takes(shard, path.leaf, items->text_len)))
		return add_to(shard, &path, stream_key(block_of(path.leaf)->id), id, items,
		              names_equal(block_of(path.leaf), items));
	if (!there)
		path = (struct tree_path){.tree = tree};
	else if (!away)
		finish(shard, &path);
	return begin(shard, &path, id, items);
}

/* ---- marks ---------------------------------------------------------------------------- */

/* The first entry from `at` on that is no mark, or the end. */
static uint32_t first_living(const struct leaf *leaf, const uint8_t *at)
{
	struct raw_entry entry;
	while (at != block_end(leaf)) {
		entry_read(block_of(leaf), at, &entry);
		if (!(entry.flags & ENTRY_DELETED))
			break;
		at = entry_end(&entry);
	}
	return (uint32_t)(at - leaf->bytes);
}

/* The flags are a small integer, with whatever flags. */
static void mark(struct leaf *leaf, const uint8_t *at)
{
	leaf->bytes[at - leaf->bytes] |= ENTRY_DELETED;
	block_of(leaf)->deleted++;
}

void block_mark(struct leaf *leaf, const uint8_t *at)
{
	struct block_head *head = block_of(leaf);
	mark(leaf, at);
	if (at == place(head, head->first_at))
		head->first_at = first_living(leaf, at);
}

uint32_t block_cut(struct leaf *leaf, struct stream_id to)
{
	struct block_head *head = block_of(leaf);
	struct raw_entry entry;
	uint32_t n = 0;
	const uint8_t *at = place(head, head->first_at);
	for (; at != block_end(leaf); at = entry_end(&entry)) {
		entry_read(head, at, &entry);
		if (stream_id_compare(entry.id, to) > 0)
			break;
		if (!(entry.flags & ENTRY_DELETED)) {
			mark(leaf, at);
			n++;
		}
	}
	head->first_at = first_living(leaf, at);
	return n;
}

uint32_t block_shed(struct leaf *leaf, struct stream_id last)
{
	struct block_head *head = block_of(leaf);
	const uint8_t *end = block_end(leaf), *at = place(head, head->last_at);
	struct raw_entry entry;
	for (entry_read(head, at, &entry); stream_id_compare(entry.id, last) > 0; entry_read(head, at, &entry)) {
		assert(entry.flags & ENTRY_DELETED);
		head->deleted--;
		end = at;
		at = entry_before(end);
	}
	head->last_at = (uint32_t)(at - leaf->bytes);
	return (uint32_t)(end - leaf->bytes);
}

/* ---- bytes from elsewhere --------------------------------------------------------------- */

struct scan {
	struct slice left;
	uint64_t count, deleted;
	struct stream_id last;
	const uint8_t *first, *last_at;
};

static bool scan_integer(struct slice *left, int64_t *out)
{
	size_t size;
	struct packed_element element;
	if (!packed_check_first(*left, &size))
		return false;
	(void)packed_read(left->ptr, &element);
	*out = element.integer;
	*left = slice_sub(*left, size, left->len);
	return !element.bytes.ptr;
}

static bool scan_items(struct slice *left, uint64_t n)
{
	for (size_t size; n > 0; n--) {
		if (!packed_check_first(*left, &size))
			return false;
		*left = slice_sub(*left, size, left->len);
	}
	return true;
}

static bool is_number(int64_t n) { return n >= 0 && n <= INT32_MAX; }

/* One entry, behind the last one. */
static bool scan_entry(struct scan *scan, struct stream_id base, uint32_t names)
{
	int64_t flags, ms, seq, n = names, elements;
	const uint8_t *at = scan->left.ptr;
	if (!scan_integer(&scan->left, &flags) || at[0] > (ENTRY_DELETED | ENTRY_SHARED) ||
	    !scan_integer(&scan->left, &ms) || !scan_integer(&scan->left, &seq))
		return false;
	bool shared = flags & ENTRY_SHARED;
	if (!shared && (!scan_integer(&scan->left, &n) || !is_number(n)))
		return false;
	int64_t items = shared ? n : 2 * n;
	if (!scan_items(&scan->left, (uint64_t)items) || !scan_integer(&scan->left, &elements) ||
	    elements != items + ENTRY_ELEMENTS + !shared)
		return false;
	struct stream_id id = {base.ms + (uint64_t)ms, base.seq + (uint64_t)seq};
	bool is_first = !scan->last_at;
	if (is_first ? stream_id_compare(id, base) < 0 : stream_id_compare(id, scan->last) <= 0)
		return false;
	scan->last = id;
	scan->last_at = at;
	if (flags & ENTRY_DELETED) {
		scan->deleted++;
	} else {
		scan->count++;
		if (!scan->first)
			scan->first = at;
	}
	return true;
}

static bool scan_entries(struct scan *scan, struct stream_id base, uint32_t names)
{
	while (scan->left.len > 0)
		if (!scan_entry(scan, base, names))
			return false;
	return true;
}

bool block_check(struct slice bytes, uint32_t count, const struct leaf *before, struct stream_id *out_id)
{
	struct block_head head;
	if (bytes.len < sizeof(head))
		return false;
	memcpy(&head, bytes.ptr, sizeof(head));
	*out_id = head.id;
	struct scan scan = {.left = slice_sub(bytes, sizeof(head), bytes.len)};
	if (before && stream_id_compare(block_last(before), head.id) >= 0)
		return false;
	return is_number(head.n_fields) && scan_items(&scan.left, head.n_fields) &&
	       scan_entries(&scan, head.id, head.n_fields) && scan.count > 0 && scan.count == count &&
	       scan.deleted == head.deleted && (size_t)(scan.first - bytes.ptr) == head.first_at &&
	       (size_t)(scan.last_at - bytes.ptr) == head.last_at;
}

static void put_integer(struct buf *out, int64_t value)
{
	uint8_t *at = buf_reserve(out, INTEGER_SIZE_MAX);
	out->len += (size_t)(packed_write_integer(at, value) - at);
}

void block_pack(const struct leaf *leaf, struct buf *out, uint32_t *out_elements)
{
	const struct block_head *head = block_of(leaf);
	const uint8_t *names = block_names(head), *entries = names + names_size(head);
	uint64_t elements = 4 + head->n_fields;
	put_integer(out, leaf->count);
	put_integer(out, head->deleted);
	put_integer(out, head->n_fields);
	buf_append(out, slice_of(names, (size_t)(entries - names)));
	put_integer(out, 0);
	buf_append(out, slice_of(entries, (size_t)(block_end(leaf) - entries)));
	struct raw_entry entry;
	for (const uint8_t *at = entries; at != block_end(leaf); at = entry_end(&entry)) {
		entry_read(head, at, &entry);
		elements += entry.flags & ENTRY_SHARED ? entry.n_fields + 4 : 2 * (uint64_t)entry.n_fields + 5;
	}
	*out_elements = elements < UINT32_MAX ? (uint32_t)elements : UINT32_MAX;
}

bool block_unpack(struct stream_id id, struct slice packed, struct buf *out, uint32_t *out_count)
{
	int64_t count, deleted, names, zero;
	struct scan scan = {.left = packed};
	if (!scan_integer(&scan.left, &count) || !scan_integer(&scan.left, &deleted) ||
	    !scan_integer(&scan.left, &names) || !is_number(names))
		return false;
	const uint8_t *names_at = scan.left.ptr;
	if (!scan_items(&scan.left, (uint64_t)names))
		return false;
	struct slice names_bytes = slice_of(names_at, (size_t)(scan.left.ptr - names_at));
	if (!scan_integer(&scan.left, &zero) || zero != 0)
		return false;
	struct slice entries = scan.left;
	if (!scan_entries(&scan, id, (uint32_t)names) || count != (int64_t)scan.count ||
	    deleted != (int64_t)scan.deleted)
		return false;
	size_t entries_at = sizeof(struct block_head) + names_bytes.len;
	if (entries_at + entries.len > UINT32_MAX || scan.count > UINT32_MAX)
		return false;
	*out_count = (uint32_t)scan.count;
	if (scan.count == 0)
		return true;
	struct block_head head = {.id = id,
	                          .n_fields = (uint32_t)names,
	                          .deleted = (uint32_t)deleted,
	                          .first_at = (uint32_t)(entries_at + (size_t)(scan.first - entries.ptr)),
	                          .last_at = (uint32_t)(entries_at + (size_t)(scan.last_at - entries.ptr))};
	buf_append(out, slice_of(&head, sizeof(head)));
	buf_append(out, names_bytes);
	buf_append(out, entries);
	return true;
}
