/* Leaves: finding by tag, growing at the end, halving by the median of hashes. */
#include "storage/collections/slots.h"

#include "engine/base/buf.h"
#include "engine/base/copy.h"
#include "kernels/bytes.h"
#include "kernels/hash/tag.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
	LEAF_BYTES_MAX = RARE(4096 - (int)sizeof(struct leaf), 160),
	LEAF_COUNT_MAX = RARE(256, 20), /* tags to look through */
	SLOT_SIZE = 4,
	OFFSET_FAR = 0xffff, /* and whatever lies behind */
	CURSOR_BITS = 52,
};

/* ---- hashes --------------------------------------------------------------------------- */

static inline uint64_t hash_integer(uint64_t seed, int64_t name)
{
	return XXH3_64bits_withSeed(&name, sizeof(name), seed);
}

static inline uint64_t hash_name(uint64_t seed, const struct packed_element *name)
{
	return name->bytes.ptr ? XXH3_64bits_withSeed(name->bytes.ptr, name->bytes.len, seed)
	                       : hash_integer(seed, name->integer);
}

static inline uint64_t hash_entry(uint64_t seed, const uint8_t *entry)
{
	struct packed_element name;
	(void)packed_read(slots_name(entry), &name);
	return hash_name(seed, &name);
}

uint64_t slots_hash(const struct slots *slots, const uint8_t *entry) { return hash_entry(slots->seed, entry); }

static inline uint16_t tag_of(uint64_t hash) { return (uint16_t)hash; }
static inline struct tree_key key_of(uint64_t hash) { return (struct tree_key){.high = hash}; }

/* By which key the path's leaf begins. The first takes all that the others do not, whoever was first before. */
static struct tree_key begin_of(const struct tree_path *path)
{
	return path->before == 0 ? key_of(0) : tree_path_key(path);
}

struct slots_sought slots_seek(const struct slots *slots, const struct packed_sought *name)
{
	uint64_t hash = name->is_integer ? hash_integer(slots->seed, name->integer)
	                                 : XXH3_64bits_withSeed(name->text.ptr, name->text.len, slots->seed);
	return (struct slots_sought){*name, hash};
}

/* ---- the layout ------------------------------------------------------------------------- */

/* The places of a leaf's parts: entries are [0, tags), tags [tags, offsets), offsets [offsets, len). */
struct layout {
	uint32_t count;
	size_t tags, offsets;
};

static inline struct layout layout_of(size_t len, uint32_t count)
{
	size_t tags = len - (size_t)count * SLOT_SIZE;
	return (struct layout){count, tags, tags + (size_t)count * 2};
}

static inline struct layout leaf_layout(const struct leaf *leaf) { return layout_of(leaf->len, leaf->count); }

static inline const uint8_t *skip(const uint8_t *element, unsigned n)
{
	while (n-- > 0)
		element = packed_skip(element);
	return element;
}

static inline const uint8_t *entry_end(const uint8_t *entry, unsigned width) { return skip(slots_name(entry), width); }

static inline const uint8_t *entry_at(const struct leaf *leaf, const struct layout *layout, unsigned width, uint32_t at)
{
	const uint8_t *offsets = leaf->bytes + layout->offsets;
	uint32_t near = at;
	while (unlikely(load_u16(offsets + 2 * (size_t)near) == OFFSET_FAR) && near > 0)
		near--;
	const uint8_t *entry = leaf->bytes + load_u16(offsets + 2 * (size_t)near);
	for (; near < at; near++)
		entry = entry_end(entry, width);
	return entry;
}

static inline void offset_write(uint8_t *offsets, uint32_t at, size_t offset)
{
	store_u16(offsets + 2 * (size_t)at, offset < OFFSET_FAR ? (uint16_t)offset : OFFSET_FAR);
}

/* Those from number `at` on anew, for entries that are in place; that one is at `offset`. */
static void offsets_write(uint8_t *bytes, const struct layout *layout, unsigned width, uint32_t at, size_t offset)
{
	const uint8_t *entry = bytes + offset;
	for (uint32_t i = at; i < layout->count; i++) {
		offset_write(bytes + layout->offsets, i, (size_t)(entry - bytes));
		entry = entry_end(entry, width);
	}
}

static inline bool all_near(const uint8_t *bytes, const struct layout *layout)
{
	return layout->count == 0 || load_u16(bytes + layout->offsets + 2 * (size_t)(layout->count - 1)) != OFFSET_FAR;
}

/* ---- finding -------------------------------------------------------------------------- */

enum { GROUP = 16 };

struct search {
	const struct leaf *leaf;
	struct layout layout;
	const struct slots_sought *sought;
	unsigned width;
};

/* One of the tags that match, from number `at` on, may be the one. */
static const uint8_t *match(const struct search *search, uint32_t matches, uint32_t at, uint32_t *out)
{
	for (; matches; matches &= matches - 1) {
		struct packed_element name;
		*out = at + (uint32_t)__builtin_ctz(matches);
		const uint8_t *entry = entry_at(search->leaf, &search->layout, search->width, *out);
		(void)packed_read(slots_name(entry), &name);
		if (likely(packed_equals(&name, &search->sought->name)))
			return entry;
	}
	return NULL;
}

static uint32_t match_few(const uint8_t *tags, uint32_t count, uint16_t tag)
{
	uint32_t matches = 0;
	for (uint32_t i = 0; i < count; i++)
		matches |= (uint32_t)(load_u16(tags + 2 * (size_t)i) == tag) << i;
	return matches;
}

/* The entry and its number; NULL: it is not there. */
static const uint8_t *leaf_find(const struct leaf *leaf, const struct slots_sought *sought, unsigned width,
                                uint32_t *out)
{
	struct search search = {leaf, leaf_layout(leaf), sought, width};
	const uint8_t *tags = leaf->bytes + search.layout.tags, *entry;
	uint16_t tag = tag_of(sought->hash);
	uint32_t count = leaf->count;
	if (count < GROUP)
		return match(&search, match_few(tags, count, tag), 0, out);
	for (uint32_t at = 0; at < count; at += GROUP) {
		uint32_t matches = tag_match_wide_inline(tags + 2 * (size_t)at, tag);
		if (likely(!matches))
			continue;
		if (count - at < GROUP) /* behind the tags are the offsets, as many */
			matches &= (1u << (count - at)) - 1;
		if ((entry = match(&search, matches, at, out)))
			return entry;
	}
	return NULL;
}

const uint8_t *slots_look(const struct slots *slots, const struct slots_sought *sought)
{
	const struct leaf *leaf = tree_look(slots->tree, key_of(sought->hash));
	uint32_t at;
	return leaf ? leaf_find(leaf, sought, slots->width, &at) : NULL;
}

bool slots_find(const struct slots *slots, const struct slots_sought *sought, struct slots_place *out)
{
	if (!tree_seek(slots->tree, key_of(sought->hash), NULL, NULL, &out->path))
		return false;
	return leaf_find(out->path.leaf, sought, slots->width, &out->at);
}

bool slots_find_timed(const struct slots *slots, uint64_t hash, int64_t time, struct slots_place *out)
{
	if (!tree_seek(slots->tree, key_of(hash), NULL, NULL, &out->path))
		return false;
	const struct leaf *leaf = out->path.leaf;
	struct layout layout = leaf_layout(leaf);
	for (out->at = 0; out->at < leaf->count; out->at++) {
		if (load_u16(leaf->bytes + layout.tags + 2 * (size_t)out->at) != tag_of(hash))
			continue;
		const uint8_t *entry = entry_at(leaf, &layout, slots->width, out->at);
		if (slots_time(entry) == time && hash_entry(slots->seed, entry) == hash)
			return true;
	}
	return false;
}

const uint8_t *slots_entry(const struct slots *slots, const struct slots_place *place)
{
	struct layout layout = leaf_layout(place->path.leaf);
	return entry_at(place->path.leaf, &layout, slots->width, place->at);
}

const uint8_t *slots_at(const struct slots *slots, uint64_t at)
{
	struct slots_place place;
	tree_seek_at(slots->tree, at, &place.path);
	place.at = (uint32_t)(at - place.path.before);
	return slots_entry(slots, &place);
}

/* ---- walking -------------------------------------------------------------------------- */

static void walk_leaf(struct slots_walk *walk, bool there)
{
	walk->left = there ? walk->path.leaf->count : 0;
	walk->at = there ? walk->path.leaf->bytes : NULL;
}

void slots_walk(const struct slots *slots, struct slots_walk *out)
{
	out->slots = *slots;
	walk_leaf(out, tree_first(slots->tree, &out->path));
}

const uint8_t *slots_next(struct slots_walk *walk)
{
	if (unlikely(walk->left == 0)) {
		if (!walk->at || !tree_next(&walk->path))
			return walk->at = NULL;
		walk_leaf(walk, true);
	}
	const uint8_t *entry = walk->at;
	walk->at = entry_end(entry, walk->slots.width);
	walk->left--;
	return entry;
}

/* ---- the hashes of a leaf ----------------------------------------------------------------- */

/* Of an entry. */
struct mark {
	uint64_t hash;
	uint32_t end; /* where in the leaf */
};

/* In the order of the entries; behind them there is room for as many hashes. */
static struct mark *leaf_marks(const struct slots *slots, const struct leaf *leaf, struct buf *room)
{
	struct mark *marks = (struct mark *)buf_reserve(room, leaf->count * (sizeof(struct mark) + sizeof(uint64_t)));
	const uint8_t *entry = leaf->bytes;
	for (uint32_t i = 0; i < leaf->count; i++) {
		struct packed_element name;
		entry = skip(packed_read(slots_name(entry), &name), slots->width - 1);
		marks[i] = (struct mark){hash_name(slots->seed, &name), (uint32_t)(entry - leaf->bytes)};
	}
	return marks;
}

static void swap(uint64_t *a, uint64_t *b)
{
	uint64_t old = *a;
	*a = *b;
	*b = old;
}

/* Number `nth` of them in order; they are mixed up. Hoare, "Algorithm 65: Find", 1961. */
static uint64_t select_nth(uint64_t *hashes, uint32_t n, uint32_t nth)
{
	int64_t from = 0, to = (int64_t)n - 1;
	while (from < to) {
		uint64_t pivot = hashes[(from + to) / 2];
		int64_t left = from, right = to;
		while (left <= right) {
			while (hashes[left] < pivot)
				left++;
			while (hashes[right] > pivot)
				right--;
			if (left <= right)
				swap(&hashes[left++], &hashes[right--]);
		}
		if (nth <= right)
			to = right;
		else if (nth >= left)
			from = left;
		else
			break;
	}
	return hashes[nth];
}

/* ---- splitting ------------------------------------------------------------------------- */

/* A leaf on its way out of another, `n` entries in `end` bytes so far. */
struct part {
	uint8_t *bytes;
	size_t len;
	struct layout layout;
	size_t end;
	uint32_t n;
};

static struct part part_at(uint8_t *bytes, size_t entries_len, uint32_t count)
{
	size_t len = entries_len + (size_t)count * SLOT_SIZE;
	return (struct part){.bytes = bytes, .len = len, .layout = layout_of(len, count)};
}

static inline void part_add(struct part *part, const uint8_t *entry, size_t size, uint64_t hash)
{
	copy_short(part->bytes + part->end, entry, size);
	store_u16(part->bytes + part->layout.tags + 2 * (size_t)part->n, tag_of(hash));
	offset_write(part->bytes + part->layout.offsets, part->n++, part->end);
	part->end += size;
}

/* Where a leaf is cut: those of this hash and greater ones go to the right. False: all are of one hash. */
static bool cut_of(const struct mark *marks, uint32_t n, uint64_t *mixed, uint64_t *out)
{
	for (uint32_t i = 0; i < n; i++)
		mixed[i] = marks[i].hash;
	uint64_t cut = select_nth(mixed, n, n / 2), least = cut, above = UINT64_MAX;
	bool any_above = false;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash = marks[i].hash;
		least = hash < least ? hash : least;
		above = hash > cut && hash < above ? hash : above;
		any_above |= hash > cut;
	}
	*out = cut > least ? cut : above;
	return cut > least || any_above;
}

/* Those less than the cut, and the others, one behind the other in `room`, which is as long as the leaf. */
static void divide(const struct leaf *leaf, const struct mark *marks, uint64_t cut, uint8_t *room, struct part out[2])
{
	uint32_t left_len = 0, left_count = 0;
	for (uint32_t i = 0, at = 0; i < leaf->count; at = marks[i++].end) {
		left_len += marks[i].hash < cut ? marks[i].end - at : 0;
		left_count += marks[i].hash < cut;
	}
	out[0] = part_at(room, left_len, left_count);
	out[1] = part_at(room + out[0].len, leaf_layout(leaf).tags - left_len, leaf->count - left_count);
	for (uint32_t i = 0, at = 0; i < leaf->count; at = marks[i++].end)
		part_add(&out[marks[i].hash >= cut], leaf->bytes + at, marks[i].end - at, marks[i].hash);
}

/* Halves the path's leaf; the path means nothing afterwards. False: all of it is of one hash. */
static bool split(const struct slots *slots, struct tree_path *path)
{
	cleanup(buf_fini) struct buf numbers = {0}, room = {0};
	struct part parts[2];
	uint32_t count = path->leaf->count;
	struct mark *marks = leaf_marks(slots, path->leaf, &numbers);
	uint64_t cut;
	if (!cut_of(marks, count, (uint64_t *)(marks + count), &cut))
		return false;
	divide(path->leaf, marks, cut, buf_reserve(&room, path->leaf->len), parts);
	struct leaf *leaf = tree_own(slots->shard, path, 0);
	memcpy(leaf->bytes, parts[0].bytes, parts[0].len);
	tree_changed(path, parts[0].n, (uint32_t)parts[0].len, begin_of(path));
	(void)tree_refit(slots->shard, path, 0);
	leaf = tree_insert(slots->shard, path, true, parts[1].len);
	memcpy(leaf->bytes, parts[1].bytes, parts[1].len);
	tree_changed(path, parts[1].n, (uint32_t)parts[1].len, key_of(cut));
	return true;
}

/* The path's leaf has one entry, which another cannot be beside: a new, empty leaf for that, and the key by which it
 * begins. */
static struct tree_key step_aside(const struct slots *slots, struct tree_path *path, uint64_t hash, size_t size)
{
	struct tree_key key = begin_of(path);
	uint64_t old = hash_entry(slots->seed, path->leaf->bytes);
	if (old == hash)
		return key;
	if (hash < old) {
		(void)tree_own(slots->shard, path, 0);
		tree_changed(path, 1, path->leaf->len, key_of(old));
	} else {
		key = key_of(hash);
	}
	(void)tree_insert(slots->shard, path, hash > old, size);
	return key;
}

/* ---- adding ---------------------------------------------------------------------------- */

static bool would_fit(const struct leaf *leaf, size_t more) { return leaf->len + more <= LEAF_BYTES_MAX; }

static bool would_take(const struct leaf *leaf, size_t more)
{
	return would_fit(leaf, more) && leaf->count < LEAF_COUNT_MAX;
}

/* The leaf for an entry that is to come, and by which key it begins then. */
static struct tree_key make_room(const struct slots *slots, uint64_t hash, struct tree_path *path, size_t size)
{
	if (!path->leaf) {
		*path = (struct tree_path){.tree = slots->tree};
		(void)tree_insert(slots->shard, path, true, size);
		return key_of(0);
	}
	while (unlikely(!would_take(path->leaf, size))) {
		if (path->leaf->count == 1)
			return step_aside(slots, path, hash, size);
		if (!split(slots, path))
			break;
		(void)tree_seek(slots->tree, key_of(hash), NULL, NULL, path);
	}
	return begin_of(path);
}

uint8_t *slots_add(const struct slots *slots, const struct slots_sought *sought, struct slots_place *place, size_t size)
{
	struct tree_path *path = &place->path;
	struct tree_key key = make_room(slots, sought->hash, path, size + SLOT_SIZE);
	size_t len = path->leaf->len + size + SLOT_SIZE;
	struct leaf *leaf = tree_own(slots->shard, path, len);
	struct layout old = leaf_layout(leaf), now = layout_of(len, leaf->count + 1);
	memmove(leaf->bytes + now.offsets, leaf->bytes + old.offsets, 2 * (size_t)old.count);
	memmove(leaf->bytes + now.tags, leaf->bytes + old.tags, 2 * (size_t)old.count);
	store_u16(leaf->bytes + now.tags + 2 * (size_t)old.count, tag_of(sought->hash));
	offset_write(leaf->bytes + now.offsets, old.count, old.tags);
	place->at = old.count;
	tree_changed(path, now.count, (uint32_t)len, key);
	return leaf->bytes + old.tags;
}

/* ---- changing and removing ----------------------------------------------------------------- */

/* Entry `at` and those behind it have moved; modulo 2^16. */
static void offsets_shift(uint8_t *offsets, uint32_t at, uint32_t count, uint16_t by)
{
	for (uint32_t i = at; i < count; i++)
		store_u16(offsets + 2 * (size_t)i, (uint16_t)(load_u16(offsets + 2 * (size_t)i) + by));
}

uint8_t *slots_splice(const struct slots *slots, const struct slots_sought *sought, struct slots_place *place,
                      size_t from, size_t remove, size_t insert)
{
	struct tree_path *path = &place->path;
	while (insert > remove && !would_fit(path->leaf, insert - remove) && path->leaf->count > 1 &&
	       split(slots, path)) {
		bool found = slots_find(slots, sought, place);
		assert(found);
	}
	size_t len = path->leaf->len - remove + insert;
	struct leaf *leaf = tree_own(slots->shard, path, insert > remove ? len : 0);
	struct layout old = leaf_layout(leaf), now = layout_of(len, leaf->count);
	const uint8_t *entry = entry_at(leaf, &old, slots->width, place->at);
	size_t at = (size_t)(entry - leaf->bytes) + from;
	size_t end = (size_t)(entry_end(entry, slots->width) - leaf->bytes) - remove + insert;
	bool near = all_near(leaf->bytes, &old) && now.tags < OFFSET_FAR;
	memmove(leaf->bytes + at + insert, leaf->bytes + at + remove, leaf->len - at - remove);
	if (likely(near))
		offsets_shift(leaf->bytes + now.offsets, place->at + 1, now.count, (uint16_t)(insert - remove));
	else
		offsets_write(leaf->bytes, &now, slots->width, place->at + 1, end);
	tree_changed(path, now.count, (uint32_t)len, begin_of(path));
	return tree_own(slots->shard, path, len)->bytes + at;
}

/* With room to grow, or else the next entry would part them again. */
static bool may_join(const struct leaf *a, const struct leaf *b)
{
	return 2 * ((size_t)a->len + b->len) <= LEAF_BYTES_MAX && 2 * ((uint64_t)a->count + b->count) <= LEAF_COUNT_MAX;
}

/* The path's leaf and the one before become one, if both are small; else nothing changes. */
static bool join_before(const struct slots *slots, struct tree_path *path)
{
	struct tree_path left = *path;
	if (!tree_prev(&left) || !may_join(left.leaf, path->leaf))
		return false;
	cleanup(buf_fini) struct buf bytes = {0};
	uint32_t count = path->leaf->count;
	struct tree_key key = begin_of(&left);
	buf_append(&bytes, slice_of(path->leaf->bytes, path->leaf->len));
	(void)tree_remove(slots->shard, path);
	(void)tree_seek(slots->tree, key, NULL, NULL, path);
	size_t len = path->leaf->len + bytes.len;
	struct leaf *leaf = tree_own(slots->shard, path, len);
	struct layout old = leaf_layout(leaf), now = layout_of(len, leaf->count + count);
	struct layout right = layout_of(bytes.len, count);
	memmove(leaf->bytes + now.offsets, leaf->bytes + old.offsets, 2 * (size_t)old.count);
	memmove(leaf->bytes + now.tags, leaf->bytes + old.tags, 2 * (size_t)old.count);
	memcpy(leaf->bytes + now.tags + 2 * (size_t)old.count, bytes.ptr + right.tags, 2 * (size_t)count);
	memcpy(leaf->bytes + old.tags, bytes.ptr, right.tags);
	offsets_write(leaf->bytes, &now, slots->width, old.count, old.tags);
	tree_changed(path, now.count, (uint32_t)len, key);
	return true;
}

void slots_remove(const struct slots *slots, struct slots_place *place)
{
	struct tree_path *path = &place->path;
	if (path->leaf->count == 1) {
		(void)tree_remove(slots->shard, path);
		return;
	}
	struct leaf *leaf = tree_own(slots->shard, path, 0);
	struct layout old = leaf_layout(leaf);
	const uint8_t *entry = entry_at(leaf, &old, slots->width, place->at);
	size_t at = (size_t)(entry - leaf->bytes), size = (size_t)(entry_end(entry, slots->width) - entry);
	size_t before = 2 * (size_t)place->at, behind = 2 * (size_t)(old.count - place->at - 1);
	struct layout now = layout_of(leaf->len - size - SLOT_SIZE, old.count - 1);
	bool near = all_near(leaf->bytes, &old);
	uint8_t *bytes = leaf->bytes;
	memmove(bytes + at, bytes + at + size, old.tags - at - size);
	memmove(bytes + now.tags, bytes + old.tags, before);
	memmove(bytes + now.tags + before, bytes + old.tags + before + 2, behind);
	memmove(bytes + now.offsets, bytes + old.offsets, before);
	memmove(bytes + now.offsets + before, bytes + old.offsets + before + 2, behind);
	if (likely(near))
		offsets_shift(bytes + now.offsets, place->at, now.count, (uint16_t)-size);
	else
		offsets_write(bytes, &now, slots->width, place->at, at);
	size_t len = leaf->len - size - SLOT_SIZE;
	tree_changed(path, now.count, (uint32_t)len, begin_of(path));
	(void)tree_own(slots->shard, path, len);
	if ((len < LEAF_BYTES_MAX / 4 || now.count < LEAF_COUNT_MAX / 4) && !join_before(slots, path) &&
	    tree_next(path))
		(void)join_before(slots, path);
}

/* ---- scanning ---------------------------------------------------------------------------- */

static uint64_t cursor_of(uint64_t hash) { return hash >> (64 - CURSOR_BITS); }

struct scan {
	const struct slots *slots;
	void (*show)(void *arg, const uint8_t *entry);
	void *arg;
	uint64_t from, want;
};

/* The cursor of the last of the entries that are shown of a leaf: all that are not before the scan's cursor, or the
 * `want` first of them. Counts them. */
static uint64_t last_shown(struct scan *scan, const struct mark *marks, uint32_t n, uint64_t *mixed)
{
	uint32_t there = 0;
	for (uint32_t i = 0; i < n; i++)
		if (cursor_of(marks[i].hash) >= scan->from)
			mixed[there++] = marks[i].hash;
	if (there <= scan->want) {
		scan->want -= there;
		return UINT64_MAX;
	}
	uint64_t last = cursor_of(select_nth(mixed, there, (uint32_t)scan->want - 1));
	scan->want = 0;
	return last;
}

/* The cursor behind what was shown; UINT64_MAX: all of the leaf was. */
static uint64_t scan_leaf(struct scan *scan, const struct leaf *leaf)
{
	cleanup(buf_fini) struct buf room = {0};
	struct mark *marks = leaf_marks(scan->slots, leaf, &room);
	uint64_t last = last_shown(scan, marks, leaf->count, (uint64_t *)(marks + leaf->count));
	for (uint32_t i = 0, at = 0; i < leaf->count; at = marks[i++].end)
		if (cursor_of(marks[i].hash) >= scan->from && cursor_of(marks[i].hash) <= last)
			scan->show(scan->arg, leaf->bytes + at);
	return last == UINT64_MAX ? last : last + 1;
}

uint64_t slots_scan(const struct slots *slots, uint64_t cursor, uint64_t want,
                    void (*show)(void *arg, const uint8_t *entry), void *arg)
{
	struct scan scan = {slots, show, arg, cursor, want};
	struct tree_path path;
	if (cursor >> CURSOR_BITS || !tree_seek(slots->tree, key_of(cursor << (64 - CURSOR_BITS)), NULL, NULL, &path))
		return 0;
	for (;;) {
		uint64_t next = scan_leaf(&scan, path.leaf);
		if (next != UINT64_MAX)
			return next >> CURSOR_BITS ? 0 : next;
		if (!tree_next(&path))
			return 0;
		uint64_t begins = cursor_of(tree_path_key(&path).high);
		if (scan.want == 0 && begins > scan.from)
			return begins;
		scan.want += scan.want == 0; /* cursors must move on */
	}
}

/* ---- bytes that may be anything ---------------------------------------------------------- */

static bool check_time(struct slice *entries)
{
	if (entries->len < SLOTS_TIME_SIZE)
		return false;
	int64_t time = slots_time(entries->ptr);
	*entries = slice_sub(*entries, SLOTS_TIME_SIZE, entries->len);
	return time > 0 && time <= SLOTS_TIME_MAX;
}

static bool check_entry(struct slice *entries, unsigned width, bool timed)
{
	size_t size;
	if (timed && entries->len > 0 && *entries->ptr == SLOTS_TIME && !check_time(entries))
		return false;
	for (; width > 0; width--) {
		if (!packed_check_first(*entries, &size))
			return false;
		*entries = slice_sub(*entries, size, entries->len);
	}
	return true;
}

bool slots_check(struct slice bytes, uint32_t count, unsigned width, bool timed, struct slice *out)
{
	if (count == 0 || bytes.len / SLOT_SIZE < count)
		return false;
	struct slice left = *out = slice_sub(bytes, 0, layout_of(bytes.len, count).tags);
	for (; count > 0; count--)
		if (!check_entry(&left, width, timed))
			return false;
	return left.len == 0;
}

bool slots_check_leaf(uint64_t seed, struct slice bytes, uint32_t count, unsigned width, bool timed,
                      const struct leaf *before, struct tree_key *out)
{
	struct slice entries;
	if (!slots_check(bytes, count, width, timed, &entries))
		return false;
	struct layout layout = layout_of(bytes.len, count);
	const uint8_t *entry = bytes.ptr;
	uint64_t least = UINT64_MAX;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t hash = hash_entry(seed, entry);
		size_t offset = (size_t)(entry - bytes.ptr);
		if (load_u16(bytes.ptr + layout.tags + 2 * (size_t)i) != tag_of(hash) ||
		    load_u16(bytes.ptr + layout.offsets + 2 * (size_t)i) != (offset < OFFSET_FAR ? offset : OFFSET_FAR))
			return false;
		least = hash < least ? hash : least;
		entry = entry_end(entry, width);
	}
	*out = key_of(before ? least : 0);
	if (!before)
		return true;
	entry = before->bytes;
	for (uint32_t i = 0; i < before->count; i++) {
		if (hash_entry(seed, entry) >= least)
			return false;
		entry = entry_end(entry, width);
	}
	return true;
}
