/* Segments: how they fill, grow, split, shrink and join. dict_private.h has the picture.
 *
 * A segment grows by about a quarter at a time, so that little room is ever empty, and splits
 * when it has LINES_LIMIT. */
#include "engine/base/rare.h"
#include "engine/memory/slab.h"
#include "storage/keyspace/keyspace_private.h"

enum {
	LINES_MIN = 2,             /* the header and one bucket */
	LINES_LIMIT = RARE(48, 3), /* where a segment splits */
	LINES_MAX = 96,            /* beyond it only the stash grows: many equal hashes */
	FILL_PERCENT = 82,         /* of the entries of a segment that is made for a known count */
	FILL_AHEAD = 4,            /* buckets that are fetched before they are copied from */
};

/* ---- geometry ----------------------------------------------------------------------- */

static uint32_t segment_lines(const struct segment *segment) { return 1u + segment->n + segment->stash; }

static size_t lines_size(uint32_t lines) { return (size_t)lines * sizeof(struct bucket); }

/* Whole slab classes, so that nothing is lost to rounding. */
static uint32_t lines_round(uint32_t lines) { return (uint32_t)(slab_size(lines_size(lines)) / sizeof(struct bucket)); }

static uint32_t lines_for(uint32_t count)
{
	return lines_round(1 + (count * 100 + BUCKET_ENTRIES * FILL_PERCENT) / (BUCKET_ENTRIES * FILL_PERCENT));
}

static uint32_t lines_more(uint32_t lines) { return lines_round(lines + (lines + 3) / 4); }

static uint32_t stash_lines(uint32_t lines)
{
	if (lines > LINES_MAX)
		return lines - LINES_MAX + LINES_MAX / 16;
	return lines < 8 ? 0 : lines < 16 ? 1 : lines / 16;
}

static uint32_t segment_buckets(const struct segment *segment) { return segment->n + segment->stash; }

static uint32_t home_of(const struct segment *segment, uint64_t position)
{
	return (uint32_t)((position << segment->depth >> (64 - PLACE_BITS)) * segment->n >> PLACE_BITS);
}

/* The bits of an entry's position that can be told without its object: those above the segment's
 * depth, and the window. */
static uint64_t entry_position(const struct segment *segment, uint64_t entry)
{
	unsigned base = window_base(segment->depth);
	return (segment->prefix & ~(UINT64_MAX >> base)) | (uint64_t)entry_window(entry) << (64 - WINDOW_BITS - base);
}

static uint64_t entry_make(const struct segment *segment, uint64_t position, uint64_t low_bits)
{
	return position << window_base(segment->depth) >> (64 - WINDOW_BITS) << 48 | low_bits;
}

static uint64_t object_bits(const struct object *object)
{
	return (uint64_t)(uintptr_t)object | (expiry_of(object) != EXPIRES_NEVER ? ENTRY_EXPIRES : 0) |
	       (object_form(object) == FORM_COLD ? ENTRY_COLD : 0) |
	       (object_due_ms(object) != EXPIRES_NEVER ? ENTRY_DUE : 0);
}

static uint32_t entry_waits(uint64_t entry) { return (entry & ENTRY_WAITS) != 0; }

/* ---- entries in a segment ----------------------------------------------------------- */

static unsigned bucket_used(const struct bucket *bucket) { return ~bucket_match(bucket, 0) & BUCKET_TAGS; }

static bool bucket_put(struct bucket *bucket, uint8_t tag, uint64_t entry)
{
	unsigned free = bucket_match(bucket, 0);
	if (!free)
		return false;
	unsigned at = (unsigned)__builtin_ctz(free);
	bucket->tags[at] = tag;
	bucket->entries[at] = entry;
	return true;
}

static bool stash_put(struct segment *segment, struct bucket *home, uint8_t tag, uint64_t entry)
{
	for (uint32_t at = segment->n; at < segment_buckets(segment); at++)
		if (bucket_put(&segment->buckets[at], tag, entry)) {
			home->stashed += home->stashed < COUNT_FULL;
			return true;
		}
	return false;
}

/* False: no room, grow. */
static bool segment_put(struct segment *segment, uint64_t position, uint8_t tag, uint64_t low_bits)
{
	uint64_t entry = entry_make(segment, position, low_bits);
	uint32_t at = home_of(segment, position);
	struct bucket *home = &segment->buckets[at];
	if (!bucket_put(home, tag, entry)) {
		if (segment->n > 1 && bucket_put(&segment->buckets[next_bucket(at, segment->n)], tag, entry))
			home->near++;
		else if (!stash_put(segment, home, tag, entry))
			return false;
	}
	segment->count++;
	segment->expiring += entry_waits(low_bits);
	return true;
}

uint64_t *stash_seek(const struct probe *probe, struct slice name)
{
	struct segment *segment = probe->segment;
	for (uint32_t at = probe->n; at < segment_buckets(segment); at++) {
		uint64_t *entry = bucket_seek(&segment->buckets[at], probe, name);
		if (entry)
			return entry;
	}
	return NULL;
}

bool dict_find(const struct dict *dict, uint64_t hash, struct slice name, struct place *out)
{
	if (!dict->directory)
		return false;
	struct probe probe = dict_probe(dict, hash);
	uint64_t *entry = probe_seek(&probe, name);
	if (!entry)
		return false;
	*out = (struct place){.segment = probe.segment, .entry = entry};
	return true;
}

/* Moves one entry of `home` that lies in `from` to the free slot `at` of `home` itself. */
static bool pull(struct segment *segment, uint32_t home, uint32_t from, unsigned at)
{
	struct bucket *bucket = &segment->buckets[from];
	for (unsigned used = bucket_used(bucket); used; used &= used - 1) {
		unsigned i = (unsigned)__builtin_ctz(used);
		if (home_of(segment, entry_position(segment, bucket->entries[i])) != home)
			continue;
		segment->buckets[home].tags[at] = bucket->tags[i];
		segment->buckets[home].entries[at] = bucket->entries[i];
		bucket->tags[i] = 0;
		return true;
	}
	return false;
}

/* Slot `at` of `home` became free: what had to go elsewhere comes home. */
static void pull_home(struct segment *segment, uint32_t home, unsigned at)
{
	struct bucket *bucket = &segment->buckets[home];
	if (bucket->stashed && bucket->stashed < COUNT_FULL) {
		for (uint32_t from = segment->n; from < segment_buckets(segment); from++)
			if (pull(segment, home, from, at)) {
				bucket->stashed--;
				return;
			}
	}
	if (bucket->near && pull(segment, home, next_bucket(home, segment->n), at))
		bucket->near--;
}

static void segment_take_out(struct segment *segment, uint64_t *entry)
{
	uint32_t home = home_of(segment, entry_position(segment, *entry));
	uint32_t at = (uint32_t)((uint8_t *)entry - (uint8_t *)segment->buckets) / sizeof(struct bucket);
	struct bucket *bucket = &segment->buckets[at];
	unsigned slot = (unsigned)(entry - bucket->entries);
	bucket->tags[slot] = 0;
	segment->count--;
	segment->expiring -= entry_waits(*entry);
	if (at == home)
		pull_home(segment, home, slot);
	else if (at < segment->n)
		segment->buckets[home].near--;
	else if (segment->buckets[home].stashed < COUNT_FULL)
		segment->buckets[home].stashed--;
}

/* ---- segments ----------------------------------------------------------------------- */

static struct segment *segment_new(struct shard *shard, struct dict *dict, uint64_t prefix, unsigned depth,
                                   uint32_t lines)
{
	struct segment *segment = table_take(shard, lines_size(lines));
	uint32_t stash = stash_lines(lines);
	*segment = (struct segment){.dict = dict,
	                            .prefix = prefix,
	                            .expires_ms = INT64_MAX,
	                            .swept_ms = INT64_MIN / 2,
	                            .stash = stash,
	                            .n = (uint8_t)(lines - 1 - stash),
	                            .depth = (uint8_t)depth};
	for (uint32_t at = 0; at < segment_buckets(segment); at++)
		memset(&segment->buckets[at], 0, offsetof(struct bucket, entries));
	return segment;
}

static void segment_free(struct shard *shard, struct segment *segment)
{
	wheel_remove(&shard->tables->wheel, segment);
	table_give(shard, segment, lines_size(segment_lines(segment)));
}

static void prefetch_objects(const struct bucket *bucket)
{
	for (unsigned used = bucket_used(bucket); used; used &= used - 1)
		__builtin_prefetch(entry_object(bucket->entries[__builtin_ctz(used)]));
}

/* Copies to `to` the entries of `from` that lie in its part of the positions. */
static bool segment_fill(const struct shard *shard, struct segment *to, const struct segment *from)
{
	bool ask_objects = window_base(to->depth) > window_base(from->depth);
	uint32_t buckets = segment_buckets(from);
	for (uint32_t at = 0; at < buckets; at++) {
		const struct bucket *bucket = &from->buckets[at];
		__builtin_prefetch(bucket + FILL_AHEAD);
		__builtin_prefetch(&bucket[FILL_AHEAD].entries[6]);
		if (ask_objects && at + 1 < buckets)
			prefetch_objects(bucket + 1);
		for (unsigned used = bucket_used(bucket); used; used &= used - 1) {
			unsigned i = (unsigned)__builtin_ctz(used);
			uint64_t entry = bucket->entries[i], position = entry_position(from, entry);
			if (to->depth > from->depth && (position ^ to->prefix) >> (64 - to->depth))
				continue;
			if (ask_objects)
				position = position_of(key_hash(shard->hash_seed, key_of(entry_object(entry))));
			if (!segment_put(to, position, bucket->tags[i], entry & ~(~(uint64_t)0 << 48)))
				return false;
		}
	}
	if (from->expires_ms < to->expires_ms)
		to->expires_ms = from->expires_ms;
	if (from->swept_ms > to->swept_ms)
		to->swept_ms = from->swept_ms;
	return true;
}

/* A segment of at least `lines` with what `a` and `b` (may be NULL) hold of its positions. */
static struct segment *segment_build(struct shard *shard, struct dict *dict, uint64_t prefix, unsigned depth,
                                     uint32_t lines, const struct segment *a, const struct segment *b)
{
	for (;; lines = lines_more(lines)) {
		struct segment *segment = segment_new(shard, dict, prefix, depth, lines);
		if (segment_fill(shard, segment, a) && (!b || segment_fill(shard, segment, b))) {
			if (!segment->expiring)
				segment->expires_ms = INT64_MAX;
			return segment;
		}
		segment_free(shard, segment);
	}
}

/* ---- directory ---------------------------------------------------------------------- */

static size_t directory_size(unsigned depth) { return sizeof(uint64_t) << depth; }

/* Lets the cells of the segment's positions lead to it. */
static void dict_point(struct shard *shard, struct dict *dict, struct segment *segment)
{
	uint64_t cell = (uint64_t)(uintptr_t)segment | segment->depth | (uint64_t)window_base(segment->depth) << 48 |
	                (uint64_t)segment->n << 56;
	uint64_t first = segment->prefix >> 1 >> (63 - dict->depth);
	for (uint64_t at = 0; at < (uint64_t)1 << (dict->depth - segment->depth); at++)
		dict->directory[first + at] = cell;
	segment_arm(shard, segment);
}

static void dict_count(struct dict *dict, unsigned depth, int change)
{
	dict->segments += (uint32_t)change;
	if (depth == dict->depth)
		dict->deepest += (uint32_t)change;
}

static void directory_double(struct shard *shard, struct dict *dict)
{
	uint64_t cells = (uint64_t)1 << dict->depth, *old = dict->directory;
	dict->directory = table_take(shard, directory_size(dict->depth + 1u));
	for (uint64_t at = 0; at < cells; at++)
		dict->directory[2 * at] = dict->directory[2 * at + 1] = old[at];
	table_give(shard, old, directory_size(dict->depth));
	dict->depth++;
	dict->deepest = 0;
}

static void directory_halve(struct shard *shard, struct dict *dict)
{
	uint64_t cells = (uint64_t)1 << (dict->depth - 1), *old = dict->directory;
	dict->directory = table_take(shard, directory_size(dict->depth - 1u));
	dict->deepest = 0;
	for (uint64_t at = 0; at < cells; at++) {
		dict->directory[at] = old[2 * at];
		dict->deepest += (old[2 * at] & 127) == dict->depth - 1u;
	}
	table_give(shard, old, directory_size(dict->depth));
	dict->depth--;
}

static void dict_begin(struct shard *shard, struct dict *dict)
{
	dict->directory = table_take(shard, directory_size(0));
	dict->depth = 0;
	dict->deepest = 0;
	dict->segments = 0;
	dict_count(dict, 0, 1);
	dict_point(shard, dict, segment_new(shard, dict, 0, 0, LINES_MIN));
}

/* The last key is gone. */
static void dict_end(struct shard *shard, struct dict *dict)
{
	for (uint64_t position = 0;;) {
		position = dict_free_segment(shard, dict, position);
		if (position == 0)
			return;
	}
}

/* ---- growing ------------------------------------------------------------------------ */

static void segment_resize(struct shard *shard, struct dict *dict, struct segment *segment, uint32_t lines)
{
	dict_point(shard, dict, segment_build(shard, dict, segment->prefix, segment->depth, lines, segment, NULL));
	segment_free(shard, segment);
}

static uint32_t count_upper_half(const struct segment *segment)
{
	uint32_t count = 0;
	for (uint32_t at = 0; at < segment_buckets(segment); at++) {
		const struct bucket *bucket = &segment->buckets[at];
		for (unsigned used = bucket_used(bucket); used; used &= used - 1)
			count += entry_position(segment, bucket->entries[__builtin_ctz(used)]) << segment->depth >> 63;
	}
	return count;
}

static void segment_split(struct shard *shard, struct dict *dict, struct segment *segment)
{
	if (segment->depth == dict->depth)
		directory_double(shard, dict);
	unsigned depth = segment->depth + 1u;
	uint32_t upper = count_upper_half(segment);
	dict_count(dict, segment->depth, -1);
	for (uint64_t half = 0; half < 2; half++) {
		uint64_t prefix = segment->prefix | half << (64 - depth);
		uint32_t lines = lines_for(half ? upper : segment->count - upper);
		dict_point(shard, dict, segment_build(shard, dict, prefix, depth, lines, segment, NULL));
		dict_count(dict, depth, 1);
	}
	segment_free(shard, segment);
}

/* The directory may not outgrow the segments, whatever hashes somebody has found. */
static bool may_split(const struct dict *dict, const struct segment *segment)
{
	if (segment->depth < dict->depth)
		return true;
	return dict->depth < DICT_DEPTH_MAX && (uint64_t)2 << dict->depth <= 16 * ((uint64_t)dict->segments + 4);
}

static void segment_grow(struct shard *shard, struct dict *dict, struct segment *segment)
{
	uint32_t lines = segment_lines(segment), more = lines_more(lines);
	if (lines >= LINES_LIMIT && may_split(dict, segment)) {
		segment_split(shard, dict, segment);
		return;
	}
	segment_resize(shard, dict, segment, lines < LINES_LIMIT && more > LINES_LIMIT ? LINES_LIMIT : more);
}

/* ---- shrinking ---------------------------------------------------------------------- */

/* Room for a quarter more, lest the next insertions grow it again. */
static uint32_t lines_roomy(uint32_t count) { return lines_for(count + count / 4); }

static bool segment_join(struct shard *shard, struct dict *dict, struct segment *segment)
{
	unsigned depth = segment->depth;
	if (depth == 0)
		return false;
	uint64_t bit = (uint64_t)1 << (64 - depth), prefix = segment->prefix & ~bit;
	struct segment *other = cell_segment(dict_cell(dict, segment->prefix ^ bit));
	if (other->depth != depth)
		return false;
	uint32_t lines = lines_roomy(segment->count + other->count);
	if (lines > LINES_MIN && lines * 2 > LINES_LIMIT)
		return false;
	struct segment *joint = segment_build(shard, dict, prefix, depth - 1, lines, segment, other);
	dict_count(dict, depth, -2);
	dict_count(dict, depth - 1, 1);
	dict_point(shard, dict, joint);
	segment_free(shard, segment);
	segment_free(shard, other);
	while (dict->deepest == 0)
		directory_halve(shard, dict);
	return true;
}

static void segment_shrink(struct shard *shard, struct dict *dict, struct segment *segment)
{
	uint32_t lines = segment_lines(segment), enough = lines_roomy(segment->count);
	uint64_t prefix = segment->prefix;
	if (lines > LINES_MIN + 1) {
		if (enough * 2 > lines)
			return;
		segment_resize(shard, dict, segment, enough);
	}
	while (segment_join(shard, dict, cell_segment(dict_cell(dict, prefix))))
		;
}

/* ---- changes ------------------------------------------------------------------------ */

static void count_expiry(struct shard *shard, struct segment *segment, int64_t before_ms, int64_t after_ms)
{
	struct keyspace *keyspace = dict_keyspace(segment->dict);
	if (before_ms != EXPIRES_NEVER) {
		keyspace->expiring--;
		keyspace->expiry_sum_ms -= before_ms;
	}
	if (after_ms != EXPIRES_NEVER) {
		keyspace->expiring++;
		keyspace->expiry_sum_ms += after_ms;
		segment_expires(shard, segment, after_ms);
	}
}

/* What has not been looked at yet is swept without a rest. */
static void count_due(struct shard *shard, struct segment *segment, uint64_t before, uint64_t after)
{
	if (likely(!((before | after) & ENTRY_DUE)))
		return;
	dict_keyspace(segment->dict)->due += (uint64_t) !!(after & ENTRY_DUE) - (uint64_t) !!(before & ENTRY_DUE);
	if (!(after & ENTRY_DUE))
		return;
	int64_t due_ms = object_due_ms(entry_object(after));
	if (due_ms <= shard->now_ms)
		segment->swept_ms = INT64_MIN / 2;
	segment_expires(shard, segment, due_ms);
}

static void set_entry(struct shard *shard, const struct place *place, const struct object *object, int64_t before_ms)
{
	uint64_t before = *place->entry, after = (before & ~(~(uint64_t)0 >> 16)) | object_bits(object);
	*place->entry = after;
	place->segment->expiring += entry_waits(after) - entry_waits(before);
	int64_t after_ms = expiry_of(object);
	if (before_ms != after_ms)
		count_expiry(shard, place->segment, before_ms, after_ms);
	count_due(shard, place->segment, before, after);
}

void dict_insert(struct shard *shard, struct dict *dict, uint64_t hash, struct object *object)
{
	if (!dict->directory)
		dict_begin(shard, dict);
	uint64_t position = position_of(hash), bits = object_bits(object);
	struct segment *segment = cell_segment(dict_cell(dict, position));
	while (!segment_put(segment, position, tag_of(hash), bits)) {
		segment_grow(shard, dict, segment);
		segment = cell_segment(dict_cell(dict, position));
	}
	dict->count++;
	dict_keyspace(dict)->count++;
	count_expiry(shard, segment, EXPIRES_NEVER, expiry_of(object));
	count_due(shard, segment, 0, bits);
}

void dict_replace(struct shard *shard, const struct place *place, struct object *object)
{
	set_entry(shard, place, object, expiry_of(entry_object(*place->entry)));
}

void dict_expiry_changed(struct shard *shard, const struct place *place, int64_t before_ms)
{
	set_entry(shard, place, entry_object(*place->entry), before_ms);
}

void dict_due_changed(struct shard *shard, const struct place *place)
{
	struct object *object = entry_object(*place->entry);
	set_entry(shard, place, object, expiry_of(object));
}

void dict_remove(struct shard *shard, const struct place *place)
{
	struct segment *segment = place->segment;
	struct dict *dict = segment->dict;
	count_expiry(shard, segment, expiry_of(entry_object(*place->entry)), EXPIRES_NEVER);
	count_due(shard, segment, *place->entry, 0);
	segment_take_out(segment, place->entry);
	dict_keyspace(dict)->count--;
	if (--dict->count == 0)
		dict_end(shard, dict);
	else
		segment_shrink(shard, dict, segment);
}

uint64_t dict_free_segment(struct shard *shard, struct dict *dict, uint64_t position)
{
	struct segment *segment = cell_segment(dict_cell(dict, position));
	for (uint32_t at = 0; at < segment_buckets(segment); at++) {
		struct bucket *bucket = &segment->buckets[at];
		prefetch_objects(bucket);
		for (unsigned used = bucket_used(bucket); used; used &= used - 1)
			object_discard(shard, entry_object(bucket->entries[__builtin_ctz(used)]));
	}
	dict->count -= segment->count;
	uint64_t next = segment->depth ? segment->prefix + ((uint64_t)1 << (64 - segment->depth)) : 0;
	segment_free(shard, segment);
	if (next == 0) {
		table_give(shard, take(dict->directory), directory_size(dict->depth));
		*dict = (struct dict){.partition = dict->partition, .count = dict->count};
	}
	return next;
}

/* ---- walks -------------------------------------------------------------------------- */

/* The first of the 2^PLACE_BITS places of a segment that belongs to bucket `at`. */
static uint64_t bucket_begin(const struct segment *segment, uint32_t at)
{
	return (((uint64_t)at << PLACE_BITS) + segment->n - 1) / segment->n;
}

static void walk_bucket(const struct segment *segment, uint32_t at, uint32_t home, uint64_t from,
                        void (*show)(void *arg, uint64_t entry), void *arg)
{
	const struct bucket *bucket = &segment->buckets[at];
	for (unsigned used = bucket_used(bucket); used; used &= used - 1) {
		uint64_t entry = bucket->entries[__builtin_ctz(used)], position = entry_position(segment, entry);
		if (home_of(segment, position) == home && position << segment->depth >> (64 - PLACE_BITS) >= from)
			show(arg, entry);
	}
}

uint64_t dict_walk(const struct dict *dict, uint64_t position, void (*show)(void *arg, uint64_t entry), void *arg)
{
	if (!dict->directory)
		return 0;
	struct segment *segment = cell_segment(dict_cell(dict, position));
	uint64_t from = position << segment->depth >> (64 - PLACE_BITS);
	uint32_t home = home_of(segment, position);
	const struct bucket *bucket = &segment->buckets[home];
	walk_bucket(segment, home, home, from, show, arg);
	if (bucket->near)
		walk_bucket(segment, next_bucket(home, segment->n), home, from, show, arg);
	if (bucket->stashed)
		for (uint32_t at = segment->n; at < segment_buckets(segment); at++)
			walk_bucket(segment, at, home, from, show, arg);
	if (home + 1 < segment->n)
		return segment->prefix + (bucket_begin(segment, home + 1) << (64 - PLACE_BITS - segment->depth));
	return segment->depth ? segment->prefix + ((uint64_t)1 << (64 - segment->depth)) : 0;
}

/* Slots of a segment are drawn until one is taken, so all its entries are equally likely; the
 * segment is drawn by its share of the hashes, which is near its share of the keys. */
uint64_t dict_random(const struct dict *dict, uint64_t random)
{
	if (!dict->directory)
		return 0;
	struct segment *segment = cell_segment(dict_cell(dict, position_of(random)));
	for (int tries = 0; tries < 64; tries++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint64_t slots = (uint64_t)segment_buckets(segment) * BUCKET_ENTRIES,
		         slot = (random >> 32) * slots >> 32;
		const struct bucket *bucket = &segment->buckets[slot / BUCKET_ENTRIES];
		if (bucket->tags[slot % BUCKET_ENTRIES])
			return bucket->entries[slot % BUCKET_ENTRIES];
	}
	return 0;
}

/* ---- proof -------------------------------------------------------------------------- */

/* Entries away from home, by home. */
struct away {
	uint32_t near[256], stashed[256];
};

static void verify_entry(struct shard *shard, struct segment *segment, uint32_t at, unsigned slot, struct away *away)
{
	struct bucket *bucket = &segment->buckets[at];
	uint64_t entry = bucket->entries[slot];
	uint64_t hash = key_hash(shard->hash_seed, key_of(entry_object(entry)));
	uint64_t position = position_of(hash);
	uint32_t home = home_of(segment, position);
	assert(bucket->tags[slot] == tag_of(hash));
	assert(entry_make(segment, position, object_bits(entry_object(entry))) == entry);
	assert(segment->depth == 0 || (position ^ segment->prefix) >> (64 - segment->depth) == 0);
	assert(home_of(segment, entry_position(segment, entry)) == home);
	assert(at == home || at >= segment->n || at == next_bucket(home, segment->n));
	away->near[home] += at != home && at < segment->n;
	away->stashed[home] += at >= segment->n;
}

static void tally_entry(const struct segment *segment, uint64_t entry, struct dict_tally *tally)
{
	tally->count++;
	if (entry & ENTRY_DUE) {
		tally->due++;
		assert(segment->expires_ms <= object_due_ms(entry_object(entry)));
	}
	if (!(entry & ENTRY_EXPIRES))
		return;
	int64_t expires_ms = expiry_of(entry_object(entry));
	assert(segment->expires_ms <= expires_ms);
	tally->expiring++;
	tally->expiry_sum_ms += expires_ms;
}

static void verify_segment(struct shard *shard, struct segment *segment, struct dict_tally *total)
{
	struct away away = {0};
	struct dict_tally tally = {0};
	uint32_t waiting = 0;
	for (uint32_t at = 0; at < segment_buckets(segment); at++)
		for (unsigned used = bucket_used(&segment->buckets[at]); used; used &= used - 1) {
			unsigned slot = (unsigned)__builtin_ctz(used);
			verify_entry(shard, segment, at, slot, &away);
			tally_entry(segment, segment->buckets[at].entries[slot], &tally);
			waiting += entry_waits(segment->buckets[at].entries[slot]);
		}
	for (uint32_t at = 0; at < segment->n; at++) {
		assert(segment->buckets[at].near == away.near[at]);
		assert(segment->buckets[at].stashed == away.stashed[at] || segment->buckets[at].stashed == COUNT_FULL);
	}
	assert(segment->count == tally.count);
	assert(segment->expiring == waiting);
	assert(!segment->expiring || segment->expires_ms == INT64_MAX || link_linked(&segment->due));
	assert(stash_lines(segment_lines(segment)) == segment->stash);
	total->count += tally.count;
	total->expiring += tally.expiring;
	total->due += tally.due;
	total->expiry_sum_ms += tally.expiry_sum_ms;
	total->segments_due += link_linked(&segment->due);
}

void dict_verify(struct shard *shard, struct dict *dict, struct dict_tally *total)
{
	if (!dict->directory) {
		assert(dict->count == 0);
		return;
	}
	uint64_t count_before = total->count;
	uint32_t segments = 0, deepest = 0;
	for (uint64_t at = 0, cells; at < (uint64_t)1 << dict->depth; at += cells) {
		struct segment *segment = cell_segment(dict->directory[at]);
		cells = (uint64_t)1 << (dict->depth - segment->depth);
		assert(segment->dict == dict);
		assert(segment->prefix >> 1 >> (63 - dict->depth) == at);
		for (uint64_t i = 1; i < cells; i++)
			assert(dict->directory[at + i] == dict->directory[at]);
		assert((dict->directory[at] & 127) == segment->depth);
		assert(dict->directory[at] >> 56 == segment->n);
		verify_segment(shard, segment, total);
		segments++;
		deepest += segment->depth == dict->depth;
	}
	assert(segments == dict->segments);
	assert(deepest == dict->deepest);
	assert(deepest > 0);
	assert(total->count - count_before == dict->count);
}
