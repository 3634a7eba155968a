/* dump_hash.c -- hashes in payloads of DUMP.
 *
 *   few short pairs   a listpack; before 7.0 a ziplist; before 2.6 a zipmap
 *   others            how many | each field and value as strings
 *
 * With fields that expire (7.4), behind the time of the first that does, 8 bytes:
 *   few short pairs   a listpack of fields, values and times, in the order of times; 0, at the end: it does not expire
 *   others            how many | each: time, counted from 1 at the first one's, or 0; field and value as strings
 *
 * A zipmap, in a string: how many 1 (254 and more: not told) | each: length, field, length, spare bytes 1, value, spare
 * bytes | 0xff. A length of 254 stands for 4 bytes more. */
#include "query/commands/dump_private.h"
#include "storage/keyspace/hash.h"

#include <stdlib.h>

enum { PAIR = 2, TRIPLE = 3 };
enum { ZIPMAP_LENGTH_LONG = 254, ZIPMAP_END = 255 };

static void put_element(struct buf *out, const struct packed_element *element)
{
	struct packed_sought sought = packed_seek_element(element);
	uint8_t *to = buf_reserve(out, packed_sought_size(&sought));
	out->len += (size_t)(packed_sought_write(to, &sought) - to);
}

/* ---- writing ---------------------------------------------------------------------- */

static void dump_pairs(const struct object *hash, int64_t now_ms, struct buf *out)
{
	cleanup(buf_fini) struct buf packed = {0};
	char scratch[PACKED_SCRATCH];
	struct hash_walk walk;
	struct hash_pair pair;
	bool is_table = hash_is_table(hash);
	uint64_t n = hash_count(hash, now_ms);
	buf_byte(out, is_table ? DUMP_HASH : DUMP_HASH_LISTPACK);
	if (is_table)
		dump_put_length(out, n);
	for (hash_walk(hash, now_ms, &walk); hash_next(&walk, &pair);) {
		if (is_table) {
			dump_put_string(out, packed_text(&pair.field, scratch));
			dump_put_string(out, packed_text(&pair.value, scratch));
		} else {
			put_element(&packed, &pair.field);
			put_element(&packed, &pair.value);
		}
	}
	if (!is_table)
		dump_put_listpack(out, buf_slice(&packed), PAIR * (uint32_t)n);
}

/* A time that orders a pair among others, and the pair. */
struct timed {
	int64_t expires_ms; /* INT64_MAX: never */
	uint64_t at;        /* as it came */
	struct hash_pair pair;
};

static int by_time(const void *a, const void *b)
{
	const struct timed *one = a, *other = b;
	if (one->expires_ms != other->expires_ms)
		return one->expires_ms < other->expires_ms ? -1 : 1;
	return (one->at > other->at) - (one->at < other->at);
}

/* Redis looks for the first to expire at the beginning, and for those that do not at the end. */
static void dump_triples(const struct object *hash, int64_t now_ms, struct buf *out)
{
	cleanup(buf_fini) struct buf room = {0}, packed = {0};
	struct timed *pairs = (struct timed *)buf_reserve(&room, hash_count(hash, now_ms) * sizeof(*pairs));
	struct hash_walk walk;
	uint64_t n = 0;
	for (hash_walk(hash, now_ms, &walk); hash_next(&walk, &pairs[n].pair); n++) {
		int64_t expires_ms = pairs[n].pair.expires_ms;
		pairs[n].expires_ms = expires_ms == EXPIRES_NEVER ? INT64_MAX : expires_ms;
		pairs[n].at = n;
	}
	qsort(pairs, n, sizeof(*pairs), by_time);
	for (uint64_t i = 0; i < n; i++) {
		bool never = pairs[i].expires_ms == INT64_MAX;
		struct packed_element time = {.integer = never ? 0 : pairs[i].expires_ms};
		put_element(&packed, &pairs[i].pair.field);
		put_element(&packed, &pairs[i].pair.value);
		put_element(&packed, &time);
	}
	dump_put_listpack(out, buf_slice(&packed), TRIPLE * (uint32_t)n);
}

static void dump_table(const struct object *hash, int64_t now_ms, int64_t first_ms, struct buf *out)
{
	char scratch[PACKED_SCRATCH];
	struct hash_walk walk;
	struct hash_pair pair;
	dump_put_length(out, hash_count(hash, now_ms));
	for (hash_walk(hash, now_ms, &walk); hash_next(&walk, &pair);) {
		bool never = pair.expires_ms == EXPIRES_NEVER;
		dump_put_length(out, never ? 0 : (uint64_t)(pair.expires_ms - first_ms) + 1);
		dump_put_string(out, packed_text(&pair.field, scratch));
		dump_put_string(out, packed_text(&pair.value, scratch));
	}
}

/* When the first field expires; EXPIRES_NEVER: none does. */
static int64_t first_expiry(const struct object *hash, int64_t now_ms)
{
	struct hash_walk walk;
	struct hash_pair pair;
	int64_t first_ms = EXPIRES_NEVER;
	for (hash_walk(hash, now_ms, &walk); hash_next(&walk, &pair);)
		if (pair.expires_ms != EXPIRES_NEVER && (first_ms == EXPIRES_NEVER || pair.expires_ms < first_ms))
			first_ms = pair.expires_ms;
	return first_ms;
}

void dump_hash(const struct object *hash, int64_t now_ms, struct buf *out)
{
	int64_t first_ms = first_expiry(hash, now_ms);
	if (first_ms == EXPIRES_NEVER) {
		dump_pairs(hash, now_ms, out);
		return;
	}
	bool is_table = hash_is_table(hash);
	buf_byte(out, is_table ? DUMP_HASH_TIMED : DUMP_HASH_LISTPACK_TIMED);
	dump_put_number(out, (uint64_t)first_ms, sizeof(first_ms), false);
	if (is_table)
		dump_table(hash, now_ms, first_ms, out);
	else
		dump_triples(hash, now_ms, out);
}

/* ---- reading ---------------------------------------------------------------------- */

static bool take_zipmap_length(struct slice *in, uint64_t *out)
{
	return dump_take_number(in, 1, false, out) && *out != ZIPMAP_END &&
	       (*out != ZIPMAP_LENGTH_LONG || dump_take_number(in, 4, false, out));
}

static bool take_zipmap_text(struct slice *in, bool is_value, struct buf *packed)
{
	uint64_t len, spare = 0;
	struct slice text, left_out;
	if (!take_zipmap_length(in, &len) || (is_value && !dump_take_number(in, 1, false, &spare)) ||
	    !dump_take_bytes(in, len, &text) || !dump_take_bytes(in, spare, &left_out))
		return false;
	struct packed_sought sought = packed_seek(text);
	uint8_t *to = buf_reserve(packed, packed_sought_size(&sought));
	packed->len += (size_t)(packed_sought_write(to, &sought) - to);
	return true;
}

static bool take_zipmap(struct slice *in, struct buf *packed)
{
	cleanup(buf_fini) struct buf room = {0};
	struct slice map;
	uint64_t told, n = 0;
	if (!dump_take_string(in, &room, &map) || !dump_take_number(&map, 1, false, &told))
		return false;
	for (; map.len > 1; n++)
		if (!take_zipmap_text(&map, false, packed) || !take_zipmap_text(&map, true, packed))
			return false;
	return map.len == 1 && map.ptr[0] == ZIPMAP_END && (told >= ZIPMAP_LENGTH_LONG || told == n);
}

static bool take_pairs(struct slice *in, struct buf *packed)
{
	uint64_t n;
	if (!dump_take_length(in, &n))
		return false;
	for (; n > 0; n--)
		if (!dump_take_element(in, packed) || !dump_take_element(in, packed))
			return false;
	return true;
}

/* Times count from 1 at the first one's. */
static bool take_time(struct slice *in, int64_t first_ms, struct packed_element *out)
{
	uint64_t told;
	*out = (struct packed_element){0};
	if (!dump_take_length(in, &told) || told > HASH_EXPIRES_MAX)
		return false;
	if (told > 0)
		out->integer = first_ms + (int64_t)told - 1;
	return true;
}

static bool take_table(struct slice *in, int64_t first_ms, struct buf *packed)
{
	uint64_t n;
	struct packed_element time;
	if (!dump_take_length(in, &n))
		return false;
	for (; n > 0; n--) {
		if (!take_time(in, first_ms, &time) || !dump_take_element(in, packed) || !dump_take_element(in, packed))
			return false;
		put_element(packed, &time);
	}
	return true;
}

/* Candidates of 7.4 did not tell the first expiry: times stood for themselves. */
static bool take_first_expiry(enum dump_type type, struct slice *in, int64_t *out)
{
	uint64_t first_ms;
	*out = 1;
	if (type == DUMP_HASH_TIMED_CANDIDATE || type == DUMP_HASH_LISTPACK_TIMED_CANDIDATE)
		return true;
	bool taken = dump_take_number(in, sizeof(first_ms), false, &first_ms) && first_ms <= HASH_EXPIRES_MAX;
	*out = (int64_t)first_ms;
	return taken;
}

static bool is_timed(enum dump_type type)
{
	return type >= DUMP_HASH_TIMED_CANDIDATE && type <= DUMP_HASH_LISTPACK_TIMED;
}

static bool take_timed(enum dump_type type, struct slice *in, struct buf *packed)
{
	int64_t first_ms;
	if (!take_first_expiry(type, in, &first_ms))
		return false;
	return type == DUMP_HASH_TIMED || type == DUMP_HASH_TIMED_CANDIDATE ? take_table(in, first_ms, packed)
	                                                                    : dump_take_listpack(in, packed);
}

bool restore_hash_read(enum dump_type type, struct slice *in, struct buf *packed)
{
	bool taken = type == DUMP_HASH           ? take_pairs(in, packed)
	             : type == DUMP_HASH_ZIPMAP  ? take_zipmap(in, packed)
	             : type == DUMP_HASH_ZIPLIST ? dump_take_ziplist(in, packed)
	             : is_timed(type)            ? take_timed(type, in, packed)
	                                         : dump_take_listpack(in, packed);
	return taken && packed->len > 0;
}

/* ---- putting ---------------------------------------------------------------------- */

/* The elements of one field; false: some are missing. */
static bool next_elements(struct slice *packed, struct packed_element *out, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (packed->len == 0)
			return false;
		const uint8_t *next = packed_read(packed->ptr, &out[i]);
		*packed = slice_sub(*packed, (size_t)(next - packed->ptr), packed->len);
	}
	return true;
}

static bool is_time(const struct packed_element *time)
{
	return !time->bytes.ptr && time->integer >= 0 && time->integer <= HASH_EXPIRES_MAX;
}

static bool set_all(struct collection *hash, struct slice packed, bool timed)
{
	struct packed_element elements[TRIPLE];
	while (packed.len > 0) {
		if (!next_elements(&packed, elements, timed ? TRIPLE : PAIR) || (timed && !is_time(&elements[2])))
			return false;
		struct packed_sought field = packed_seek_element(&elements[0]),
		                     value = packed_seek_element(&elements[1]);
		uint64_t before = collection_count(hash->object);
		(void)hash_set(hash, &field, &value);
		if (collection_count(hash->object) == before)
			return false;
		if (timed && elements[2].integer != 0)
			hash_expire(hash, &field, elements[2].integer);
	}
	return true;
}

bool restore_hash_put(struct exec *exec, enum dump_type type, struct slice packed, int64_t expires_ms)
{
	struct collection hash = collection_apart(exec->shard, &exec->first, OBJECT_HASH);
	bool sound = set_all(&hash, packed, is_timed(type));
	if (sound)
		(void)collection_put(&hash, expires_ms);
	collection_drop(&hash);
	return sound;
}
