/* Three forms of sets.
 *
 *   integers   width 1 (2, 4 or 8) | so many bytes each, ascending
 *   packed     members, packed.h
 *   large      a tree of slots
 *
 * The array of integers grows in width as Redis' does, and never shrinks: DUMP shows it. */
#include "storage/keyspace/set.h"

#include "kernels/bytes.h"
#include "storage/keyspace/collection_private.h"

/* More packed members are looked through more slowly than a tree is. */
enum { PACKED_COUNT_MAX = RARE(32, 4), PACKED_BYTES_MAX = RARE(1024, 128) };

/* ---- integers -------------------------------------------------------------------------- */

static unsigned width_for(int64_t value) { return value == (int16_t)value ? 2 : value == (int32_t)value ? 4 : 8; }

/* By cases: a copy of a length that is not known would be a call for each step of a search. */
static inline int64_t integer_read(const uint8_t *at, unsigned width)
{
	switch (width) {
	case 2:
		return (int16_t)load_u16(at);
	case 4:
		return (int32_t)load_u32(at);
	default:
		return (int64_t)load_u64(at);
	}
}

static void integer_write(uint8_t *at, unsigned width, int64_t value) { memcpy(at, &value, width); }

static unsigned width_of(const struct body *body) { return *(const uint8_t *)body->ptr; }

static int64_t integer_at(const struct body *body, uint32_t at)
{
	unsigned width = width_of(body);
	return integer_read((const uint8_t *)body->ptr + 1 + (size_t)at * width, width);
}

/* Where a value is, or belongs. */
static bool integers_find(const struct body *body, int64_t value, uint32_t *out)
{
	uint32_t from = 0, to = body->count;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		int64_t there = integer_at(body, middle);
		if (there == value) {
			*out = middle;
			return true;
		}
		if (there < value)
			from = middle + 1;
		else
			to = middle;
	}
	*out = from;
	return false;
}

static void integers_widen(struct shard *shard, struct object *object, unsigned width)
{
	struct body *body = body_of(object);
	unsigned old = width_of(body);
	(void)body_splice(shard, object, body->len, 0, (size_t)body->count * (width - old));
	uint8_t *bytes = body->ptr;
	for (uint32_t i = body->count; i-- > 0;)
		integer_write(bytes + 1 + (size_t)i * width, width, integer_read(bytes + 1 + (size_t)i * old, old));
	bytes[0] = (uint8_t)width;
}

static void integers_insert(struct shard *shard, struct object *object, uint32_t at, int64_t value)
{
	struct body *body = body_of(object);
	unsigned width = width_for(value);
	if (body->count == 0)
		*body_splice(shard, object, 0, 0, 1) = (uint8_t)width;
	else if (width > width_of(body))
		integers_widen(shard, object, width);
	width = width_of(body);
	integer_write(body_splice(shard, object, 1 + (size_t)at * width, 0, width), width, value);
	body->count++;
}

/* ---- finding -------------------------------------------------------------------------- */

static struct slots slots_of(struct shard *shard, const struct object *object)
{
	const struct body *body = body_of(object);
	return (struct slots){.shard = shard, .tree = body->ptr, .seed = body->seed, .width = 1};
}

/* Where a member is, or would be. */
struct spot {
	union {
		uint32_t at; /* among integers: its number; packed: its first byte */
		struct slots_place place;
	};
	struct slots_sought sought;
};

static bool find_packed(const struct object *object, const struct packed_sought *member, uint32_t *out)
{
	struct slice block = body_slice(object);
	const uint8_t *at = packed_find(block.ptr, block.ptr + block.len, member, 1);
	*out = at ? (uint32_t)(at - block.ptr) : (uint32_t)block.len;
	return at;
}

static bool find(struct shard *shard, const struct object *object, const struct packed_sought *member, struct spot *out)
{
	switch (object->encoding) {
	case ENCODING_PACKED:
		return find_packed(object, member, &out->at);
	case ENCODING_INTEGERS:
		out->at = 0;
		return member->is_integer && integers_find(body_of(object), member->integer, &out->at);
	}
	struct slots slots = slots_of(shard, object);
	out->sought = slots_seek(&slots, member);
	return slots_find(&slots, &out->sought, &out->place);
}

bool set_has(const struct object *set, const struct packed_sought *member)
{
	uint32_t at;
	switch (set->encoding) {
	case ENCODING_PACKED:
		return find_packed(set, member, &at);
	case ENCODING_INTEGERS:
		return member->is_integer && integers_find(body_of(set), member->integer, &at);
	}
	struct slots slots = slots_of(NULL, set);
	struct slots_sought sought = slots_seek(&slots, member);
	return slots_look(&slots, &sought);
}

/* ---- reading -------------------------------------------------------------------------- */

static void say_integer(struct packed_element *out, int64_t value) { *out = (struct packed_element){.integer = value}; }

void set_at(const struct object *set, uint64_t at, struct packed_element *out)
{
	const struct body *body = body_of(set);
	assert(at < collection_count(set));
	if (set->encoding == ENCODING_INTEGERS) {
		say_integer(out, integer_at(body, (uint32_t)at));
		return;
	}
	struct slots slots = slots_of(NULL, set);
	(void)packed_read(set->encoding == ENCODING_PACKED ? packed_at(body_slice(set), body->count, (uint32_t)at)
	                                                   : slots_at(&slots, at),
	                  out);
}

void set_walk(const struct object *set, struct set_walk *out)
{
	out->large = set->encoding == ENCODING_TREE;
	if (out->large) {
		struct slots slots = slots_of(NULL, set);
		slots_walk(&slots, &out->slots);
		return;
	}
	const struct body *body = body_of(set);
	out->width = set->encoding == ENCODING_INTEGERS ? width_of(body) : 0;
	out->at = (const uint8_t *)body->ptr + (out->width != 0);
	out->end = (const uint8_t *)body->ptr + body->len;
}

bool set_next(struct set_walk *walk, struct packed_element *out)
{
	if (walk->large) {
		const uint8_t *entry = slots_next(&walk->slots);
		if (entry)
			(void)packed_read(entry, out);
		return entry;
	}
	if (walk->at == walk->end)
		return false;
	if (walk->width == 0) {
		walk->at = packed_read(walk->at, out);
	} else {
		say_integer(out, integer_read(walk->at, walk->width));
		walk->at += walk->width;
	}
	return true;
}

struct showing {
	void (*show)(void *arg, const struct packed_element *member);
	void *arg;
};

static void show_entry(void *arg, const uint8_t *entry)
{
	const struct showing *showing = arg;
	struct packed_element member;
	(void)packed_read(entry, &member);
	showing->show(showing->arg, &member);
}

/* Small ones are shown whole: so they are whenever they turn large between two calls. */
uint64_t set_scan(const struct object *set, uint64_t cursor, uint64_t want,
                  void (*show)(void *arg, const struct packed_element *member), void *arg)
{
	struct showing showing = {show, arg};
	struct packed_element member;
	struct set_walk walk;
	if (set->encoding == ENCODING_TREE) {
		struct slots slots = slots_of(NULL, set);
		return slots_scan(&slots, cursor, want, show_entry, &showing);
	}
	for (set_walk(set, &walk); set_next(&walk, &member);)
		show(arg, &member);
	return 0;
}

bool set_integers(const struct object *set, unsigned *width, struct slice *out)
{
	if (set->encoding != ENCODING_INTEGERS)
		return false;
	struct slice block = body_slice(set);
	*width = block.ptr[0];
	*out = slice_sub(block, 1, block.len);
	return true;
}

/* ---- forms ---------------------------------------------------------------------------- */

static void add_to_tree(const struct slots *slots, const struct packed_sought *member)
{
	struct slots_sought sought = slots_seek(slots, member);
	struct slots_place place;
	bool found = slots_find(slots, &sought, &place);
	assert(!found);
	(void)packed_sought_write(slots_add(slots, &sought, &place, packed_sought_size(member)), member);
}

static void become_tree(struct shard *shard, struct object *object)
{
	struct set_walk walk;
	struct packed_element member;
	set_walk(object, &walk);
	struct body small = body_grow(shard, object);
	struct slots slots = slots_of(shard, object);
	while (set_next(&walk, &member)) {
		struct packed_sought sought = packed_seek_element(&member);
		add_to_tree(&slots, &sought);
	}
	body_give(shard, &small);
}

static bool packed_takes(size_t len, uint64_t count) { return count <= PACKED_COUNT_MAX && len <= PACKED_BYTES_MAX; }

/* Integers become packed members, if they are not too many. */
static bool become_packed(struct shard *shard, struct object *object)
{
	uint8_t block[PACKED_COUNT_MAX * PACKED_OVERHEAD_MAX], *end = block;
	struct body *body = body_of(object);
	if (body->count > PACKED_COUNT_MAX)
		return false;
	for (uint32_t i = 0; i < body->count; i++)
		end = packed_write_integer(end, integer_at(body, i));
	size_t len = (size_t)(end - block);
	if (!packed_takes(len, body->count))
		return false;
	object->encoding = ENCODING_PACKED;
	memcpy(body_splice(shard, object, 0, body->len, len), block, len);
	return true;
}

static void leave_integers(struct shard *shard, struct object *object)
{
	if (!become_packed(shard, object))
		become_tree(shard, object);
}

/* Puts a member in that is not there; `spot` is where it would be. */
static void put(struct shard *shard, struct object *object, const struct packed_sought *member, struct spot *spot)
{
	struct body *body = body_of(object);
	bool first = collection_count(object) == 0;
	if (first && object->encoding != ENCODING_TREE) {
		(void)body_splice(shard, object, 0, body->len, 0);
		object->encoding = member->is_integer ? ENCODING_INTEGERS : ENCODING_PACKED;
		spot->at = 0;
	}
	if (object->encoding == ENCODING_INTEGERS && member->is_integer) {
		integers_insert(shard, object, spot->at, member->integer);
		if (body->count > shard->collections.set_integers_max || body->len > SMALL_BYTES_MAX)
			leave_integers(shard, object);
		return;
	}
	if (object->encoding == ENCODING_TREE) {
		struct slots slots = slots_of(shard, object);
		uint8_t *to = slots_add(&slots, &spot->sought, &spot->place, packed_sought_size(member));
		(void)packed_sought_write(to, member);
		return;
	}
	if (object->encoding == ENCODING_INTEGERS)
		leave_integers(shard, object);
	size_t size = packed_sought_size(member);
	if (object->encoding == ENCODING_PACKED && packed_takes(body->len + size, body->count + (uint64_t)1)) {
		(void)packed_sought_write(body_splice(shard, object, body->len, 0, size), member);
		body->count++;
		return;
	}
	if (object->encoding == ENCODING_PACKED)
		become_tree(shard, object);
	struct slots slots = slots_of(shard, object);
	add_to_tree(&slots, member);
}

static void take_out(struct shard *shard, struct object *object, struct spot *spot)
{
	struct body *body = body_of(object);
	if (object->encoding == ENCODING_TREE) {
		struct slots slots = slots_of(shard, object);
		slots_remove(&slots, &spot->place);
		return;
	}
	size_t at = spot->at, size = 0;
	if (object->encoding == ENCODING_INTEGERS) {
		size = width_of(body);
		at = 1 + at * size;
	} else {
		const uint8_t *from = (const uint8_t *)body->ptr + at;
		size = (size_t)(packed_skip(from) - from);
	}
	(void)body_splice(shard, object, at, size, 0);
	body->count--;
}

/* ---- edits ---------------------------------------------------------------------------- */

/* An edit is one of these bytes and a packed member. */
enum edit { EDIT_ADD = 1, EDIT_REMOVE };

static void note(struct collection *set, enum edit edit, const struct packed_sought *member)
{
	uint8_t *to = collection_edit(set, 1 + packed_sought_size(member));
	if (!to)
		return;
	to[0] = (uint8_t)edit;
	(void)packed_sought_write(to + 1, member);
}

static bool apply(struct collection *set, struct slice *edits)
{
	size_t size;
	if (edits->len < 2 || !packed_check_first(slice_sub(*edits, 1, edits->len), &size))
		return false;
	enum edit edit = edits->ptr[0];
	struct packed_element element;
	(void)packed_read(edits->ptr + 1, &element);
	*edits = slice_sub(*edits, 1 + size, edits->len);
	struct packed_sought member = packed_seek_element(&element);
	struct spot spot;
	bool there = find(set->shard, set->object, &member, &spot);
	if (edit == EDIT_ADD && !there)
		put(set->shard, set->object, &member, &spot);
	else if (edit == EDIT_REMOVE && there)
		take_out(set->shard, set->object, &spot);
	else
		return false;
	return true;
}

bool set_add(struct collection *set, const struct packed_sought *member)
{
	struct spot spot;
	if (set->object && find(set->shard, set->object, member, &spot))
		return false;
	struct object *object = collection_touch(set);
	note(set, EDIT_ADD, member);
	put(set->shard, object, member, &spot);
	return true;
}

bool set_remove(struct collection *set, const struct packed_sought *member)
{
	struct spot spot;
	if (!set->object || !find(set->shard, set->object, member, &spot))
		return false;
	struct object *object = collection_touch(set);
	note(set, EDIT_REMOVE, member);
	take_out(set->shard, object, &spot);
	return true;
}

/* ---- the rows ------------------------------------------------------------------------- */

/* Redis 7.0 has two forms. */
static const char *encoding(const struct object *object)
{
	return object->encoding == ENCODING_INTEGERS ? "intset" : "hashtable";
}

static bool check_array(unsigned width, struct slice array)
{
	if ((width != 2 && width != 4 && width != 8) || array.len % width != 0)
		return false;
	for (size_t at = width; at < array.len; at += width)
		if (integer_read(array.ptr + at - width, width) >= integer_read(array.ptr + at, width))
			return false;
	return true;
}

static bool check_integers(struct slice bytes, uint32_t *out_count)
{
	if (bytes.len == 0 || !check_array(bytes.ptr[0], slice_sub(bytes, 1, bytes.len)))
		return false;
	*out_count = (uint32_t)((bytes.len - 1) / bytes.ptr[0]);
	return true;
}

bool set_put_integers(struct collection *set, unsigned width, struct slice array)
{
	struct object *object = set->object;
	if (array.len == 0 || !check_array(width, array))
		return false;
	if (array.len / width <= set->shard->collections.set_integers_max && array.len < SMALL_BYTES_MAX) {
		assert(set->apart);
		object->encoding = ENCODING_INTEGERS;
		uint8_t *to = body_splice(set->shard, object, 0, 0, 1 + array.len);
		to[0] = (uint8_t)width;
		memcpy(to + 1, array.ptr, array.len);
		body_of(object)->count = (uint32_t)(array.len / width);
		return true;
	}
	for (size_t at = 0; at < array.len; at += width) {
		struct packed_sought member = {.is_integer = true, .integer = integer_read(array.ptr + at, width)};
		(void)set_add(set, &member);
	}
	return true;
}

/* Few enough to compare each with each. */
static bool check_packed(struct slice bytes, uint32_t *out_count)
{
	if (!packed_check(bytes, out_count) || *out_count > PACKED_COUNT_MAX)
		return false;
	const uint8_t *end = bytes.ptr + bytes.len;
	for (const uint8_t *at = bytes.ptr; at != end;) {
		struct packed_element member;
		at = packed_read(at, &member);
		struct packed_sought sought = packed_seek_element(&member);
		if (packed_find(at, end, &sought, 1))
			return false;
	}
	return true;
}

static bool check_small(struct slice bytes, enum collection_encoding encoding, uint32_t *out_count)
{
	return encoding == ENCODING_INTEGERS ? check_integers(bytes, out_count) : check_packed(bytes, out_count);
}

static bool check_leaf(struct shard *shard, struct slice bytes, uint32_t count, const struct leaf *before,
                       struct tree_key *out_key)
{
	return slots_check_leaf(shard->hash_seed, bytes, count, 1, false, before, out_key);
}

static bool add_leaf(struct collection *set, struct slice bytes, uint32_t count)
{
	struct slice entries;
	if (!slots_check(bytes, count, 1, false, &entries))
		return false;
	for (const uint8_t *at = entries.ptr; at != entries.ptr + entries.len;) {
		struct packed_element member;
		at = packed_read(at, &member);
		struct packed_sought sought = packed_seek_element(&member);
		if (!set_add(set, &sought))
			return false;
	}
	return true;
}

static const struct collection_kind members = {
        .root_size = sizeof(struct tree),
        .check_small = check_small,
        .check_leaf = check_leaf,
        .hashed = true,
        .add_leaf = add_leaf,
        .apply = apply,
};

const struct object_kind set_kind = COLLECTION_KIND("set", encoding, &members);
