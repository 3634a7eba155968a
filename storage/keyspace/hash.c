/* Forms of hashes that change into each other, and the edits that do it. Redis tells its two forms apart by other
 * limits: a block is always a listpack there, a tree may be either. */
#include "engine/base/number.h"
#include "storage/keyspace/hash_private.h"

/* ---- finding -------------------------------------------------------------------------- */

/* Where a pair is, or would be. */
struct spot {
	union {
		uint32_t at; /* packed: its first byte */
		struct slots_place place;
	};
	struct slots_sought sought;
	int64_t time_ms; /* when a field that is there expires; 0: never */
};

static const uint8_t *look_small(const struct object *object, const struct packed_sought *field)
{
	struct slice block = body_slice(object);
	unsigned step = object->encoding == ENCODING_PACKED ? PAIR : TRIPLE;
	return packed_find(block.ptr, block.ptr + block.len, field, step);
}

/* Whether it has expired or not. */
static bool find(struct shard *shard, const struct object *object, const struct packed_sought *field, struct spot *out)
{
	bool there;
	out->time_ms = 0;
	if (likely(object->encoding != ENCODING_TREE)) {
		const uint8_t *at = look_small(object, field);
		out->at = at ? (uint32_t)(at - (const uint8_t *)body_of(object)->ptr) : body_of(object)->len;
		if (at && object->encoding == ENCODING_TIMED)
			out->time_ms = triple_time(at);
		return at;
	}
	struct slots slots = slots_of(shard, object);
	out->sought = slots_seek(&slots, field);
	there = slots_find(&slots, &out->sought, &out->place);
	if (there)
		out->time_ms = slots_time(slots_entry(&slots, &out->place));
	return there;
}

/* ---- reading -------------------------------------------------------------------------- */

static const uint8_t *read_pair(const uint8_t *at, struct hash_pair *out)
{
	out->expires_ms = EXPIRES_NEVER;
	return packed_read(packed_read(at, &out->field), &out->value);
}

static void read_entry(const uint8_t *entry, struct hash_pair *out)
{
	(void)read_pair(slots_name(entry), out);
	out->expires_ms = time_told(slots_time(entry));
}

/* Where its field and value are; NULL: there is none, or it has expired. */
static const uint8_t *look(const struct object *hash, const struct packed_sought *field, int64_t now_ms,
                           int64_t *out_time_ms)
{
	const uint8_t *at;
	*out_time_ms = 0;
	if (hash->encoding == ENCODING_TREE) {
		struct slots slots = slots_of(NULL, hash);
		struct slots_sought sought = slots_seek(&slots, field);
		at = slots_look(&slots, &sought);
		if (at) {
			*out_time_ms = slots_time(at);
			at = slots_name(at);
		}
	} else {
		at = look_small(hash, field);
		if (at && hash->encoding == ENCODING_TIMED)
			*out_time_ms = triple_time(at);
	}
	return likely(!time_is_past(*out_time_ms, now_ms)) ? at : NULL;
}

bool hash_get(const struct object *hash, const struct packed_sought *field, int64_t now_ms, struct packed_element *out)
{
	int64_t time_ms;
	const uint8_t *at = look(hash, field, now_ms, &time_ms);
	if (at)
		(void)packed_read(packed_skip(at), out);
	return at;
}

bool hash_get_pair(const struct object *hash, const struct packed_sought *field, int64_t now_ms, struct hash_pair *out)
{
	int64_t time_ms;
	const uint8_t *at = look(hash, field, now_ms, &time_ms);
	if (!at)
		return false;
	(void)read_pair(at, out);
	out->expires_ms = time_told(time_ms);
	return true;
}

void hash_at(const struct object *hash, uint64_t at, struct hash_pair *out)
{
	const struct body *body = body_of(hash);
	assert(at < collection_count(hash));
	if (hash->encoding == ENCODING_PACKED) {
		(void)read_pair(packed_at(body_slice(hash), PAIR * body->count, PAIR * (uint32_t)at), out);
	} else if (hash->encoding == ENCODING_TIMED) {
		(void)triple_read(packed_at(body_slice(hash), TRIPLE * body->count, TRIPLE * (uint32_t)at), out);
	} else {
		struct slots slots = slots_of(NULL, hash);
		read_entry(slots_at(&slots, at), out);
	}
}

void hash_walk(const struct object *hash, int64_t now_ms, struct hash_walk *out)
{
	uint32_t gone;
	out->encoding = hash->encoding;
	out->now_ms = now_ms;
	if (hash->encoding == ENCODING_TREE) {
		struct slots slots = slots_of(NULL, hash);
		slots_walk(&slots, &out->slots);
		return;
	}
	struct slice block = body_slice(hash);
	out->at = hash->encoding == ENCODING_TIMED ? triples_living(hash, now_ms, UINT32_MAX, &gone) : block.ptr;
	out->end = block.ptr + block.len;
}

static bool next_entry(struct hash_walk *walk, struct hash_pair *out)
{
	const uint8_t *entry;
	do
		entry = slots_next(&walk->slots);
	while (entry && time_is_past(slots_time(entry), walk->now_ms));
	if (entry)
		read_entry(entry, out);
	return entry;
}

bool hash_next(struct hash_walk *walk, struct hash_pair *out)
{
	if (walk->encoding == ENCODING_TREE)
		return next_entry(walk, out);
	if (walk->at == walk->end)
		return false;
	walk->at = walk->encoding == ENCODING_PACKED ? read_pair(walk->at, out) : triple_read(walk->at, out);
	return true;
}

struct showing {
	void (*show)(void *arg, const struct hash_pair *pair);
	void *arg;
	int64_t now_ms;
};

static void show_entry(void *arg, const uint8_t *entry)
{
	const struct showing *showing = arg;
	struct hash_pair pair;
	if (time_is_past(slots_time(entry), showing->now_ms))
		return;
	read_entry(entry, &pair);
	showing->show(showing->arg, &pair);
}

/* Small ones are shown whole: so they are whenever they turn large between two calls. */
uint64_t hash_scan(const struct object *hash, uint64_t cursor, uint64_t want, int64_t now_ms,
                   void (*show)(void *arg, const struct hash_pair *pair), void *arg)
{
	struct showing showing = {show, arg, now_ms};
	struct hash_pair pair;
	struct hash_walk walk;
	if (hash->encoding == ENCODING_TREE) {
		struct slots slots = slots_of(NULL, hash);
		return slots_scan(&slots, cursor, want, show_entry, &showing);
	}
	for (hash_walk(hash, now_ms, &walk); hash_next(&walk, &pair);)
		show(arg, &pair);
	return 0;
}

bool hash_is_table(const struct object *hash)
{
	return hash->encoding == ENCODING_TREE && root_of(hash)->times & ROOT_TABLE;
}

/* ---- forms ---------------------------------------------------------------------------- */

static size_t text_length(const struct packed_sought *text)
{
	char scratch[INTEGER_TEXT_MAX];
	return text->is_integer ? integer_format(text->integer, scratch) : text->text.len;
}

/* Does a pair of this make a table of a hash, in Redis? */
static bool is_long(const struct shard *shard, const struct packed_sought *text)
{
	uint64_t most = shard->collections.hash_value_max;
	return (!text->is_integer || most < INTEGER_TEXT_MAX) && text_length(text) > most;
}

/* ---- large ones ------------------------------------------------------------------------- */

static size_t entry_size(const struct packed_sought *field, const struct packed_sought *value, int64_t time_ms)
{
	return pair_size(field, value) + (time_ms ? SLOTS_TIME_SIZE : 0);
}

/* False: too many expire then, see index_add(); the entry is not there. */
static bool entry_add(struct shard *shard, struct object *object, struct slots_sought *sought,
                      struct slots_place *place, const struct packed_sought *value, int64_t time_ms)
{
	struct slots slots = slots_of(shard, object);
	if (time_ms && !index_add(shard, root_of(object), time_ms, sought->hash))
		return false;
	uint8_t *to = slots_add(&slots, sought, place, entry_size(&sought->name, value, time_ms));
	if (time_ms)
		to = slots_time_write(to, time_ms);
	(void)pair_write(to, &sought->name, value);
	return true;
}

static bool entry_retime(struct shard *shard, struct object *object, struct spot *spot, int64_t time_ms)
{
	struct slots slots = slots_of(shard, object);
	if (spot->time_ms == time_ms)
		return true;
	if (time_ms && !index_add(shard, root_of(object), time_ms, spot->sought.hash))
		return false;
	if (spot->time_ms)
		index_remove(shard, root_of(object), spot->time_ms, spot->sought.hash);
	uint8_t *to = slots_splice(&slots, &spot->sought, &spot->place, 0, spot->time_ms ? SLOTS_TIME_SIZE : 0,
	                           time_ms ? SLOTS_TIME_SIZE : 0);
	if (time_ms)
		(void)slots_time_write(to, time_ms);
	spot->time_ms = time_ms;
	return true;
}

static void entry_change(struct shard *shard, struct object *object, struct spot *spot,
                         const struct packed_sought *value)
{
	struct slots slots = slots_of(shard, object);
	const uint8_t *entry = slots_entry(&slots, &spot->place), *old = packed_skip(slots_name(entry));
	size_t from = (size_t)(old - entry), old_size = (size_t)(packed_skip(old) - old);
	size_t size = packed_sought_size(value);
	(void)packed_sought_write(slots_splice(&slots, &spot->sought, &spot->place, from, old_size, size), value);
}

/* From a small one, whose fields are not too many for anything. */
static void become_tree(struct shard *shard, struct object *object)
{
	struct hash_walk walk;
	struct hash_pair pair;
	hash_walk(object, 0, &walk);
	bool was_timed = object->encoding == ENCODING_TIMED;
	struct body small = body_grow(shard, object);
	struct slots slots = slots_of(shard, object);
	root_of(object)->times |= was_timed ? ROOT_TIMED : 0;
	while (hash_next(&walk, &pair)) {
		struct packed_sought field = packed_seek_element(&pair.field), value = packed_seek_element(&pair.value);
		struct slots_sought sought = slots_seek(&slots, &field);
		struct slots_place place;
		bool fresh = !slots_find(&slots, &sought, &place) &&
		             entry_add(shard, object, &sought, &place, &value, time_kept(pair.expires_ms));
		assert(fresh);
	}
	body_give(shard, &small);
}

/* ---- changing the content ---------------------------------------------------------------- */

static void put_packed(struct shard *shard, struct object *object, const struct packed_sought *field,
                       const struct packed_sought *value, uint32_t at, bool there)
{
	struct body *body = body_of(object);
	if (!there) {
		(void)pair_write(body_splice(shard, object, at, 0, pair_size(field, value)), field, value);
		body->count++;
		return;
	}
	const uint8_t *old = packed_skip((const uint8_t *)body->ptr + at);
	size_t from = (size_t)(old - (const uint8_t *)body->ptr), size = (size_t)(packed_skip(old) - old);
	(void)packed_sought_write(body_splice(shard, object, from, size, packed_sought_size(value)), value);
}

/* It expires as it did, or not any more, which is always possible. */
static void put_in_tree(struct shard *shard, struct object *object, const struct packed_sought *value,
                        struct spot *spot, bool there, bool keeps_time)
{
	bool done = true;
	if (!there)
		done = entry_add(shard, object, &spot->sought, &spot->place, value, 0);
	else if (!keeps_time)
		done = entry_retime(shard, object, spot, 0);
	assert(done);
	if (there)
		entry_change(shard, object, spot, value);
}

/* Is it a table once the pair is in? */
static bool becomes_table(const struct shard *shard, const struct object *object, const struct packed_sought *field,
                          const struct packed_sought *value, bool there)
{
	return collection_count(object) + !there > shard->collections.hash_entries_max || is_long(shard, field) ||
	       is_long(shard, value);
}

static bool small_takes(const struct object *object, const struct packed_sought *field,
                        const struct packed_sought *value, bool there)
{
	const struct body *body = body_of(object);
	size_t more = pair_size(field, value);
	if (object->encoding == ENCODING_TIMED)
		more = triples_size(&(struct body){.len = (uint32_t)more});
	return body->count + (uint64_t)!there <= PACKED_PAIRS_MAX && body->len + more <= PACKED_BYTES_MAX;
}

static void put(struct shard *shard, struct object *object, const struct packed_sought *field,
                const struct packed_sought *value, struct spot *spot, bool there, bool keeps_time)
{
	bool is_table = becomes_table(shard, object, field, value, there);
	if (object->encoding != ENCODING_TREE && (is_table || !small_takes(object, field, value, there))) {
		become_tree(shard, object);
		bool found = find(shard, object, field, spot);
		assert(found == there);
	}
	if (object->encoding == ENCODING_PACKED) {
		put_packed(shard, object, field, value, spot->at, there);
	} else if (object->encoding == ENCODING_TIMED) {
		triples_put(shard, object, spot->at, there, field, value, keeps_time ? spot->time_ms : 0);
	} else {
		put_in_tree(shard, object, value, spot, there, keeps_time);
		root_of(object)->times |= is_table ? ROOT_TABLE : 0;
	}
}

static void take_out_small(struct shard *shard, struct object *object, uint32_t at)
{
	struct body *body = body_of(object);
	const uint8_t *from = (const uint8_t *)body->ptr + at, *end = packed_skip(packed_skip(from));
	if (object->encoding == ENCODING_TIMED)
		end = packed_skip(end);
	(void)body_splice(shard, object, at, (size_t)(end - from), 0);
	body->count--;
}

static void take_out(struct shard *shard, struct object *object, struct spot *spot)
{
	if (object->encoding != ENCODING_TREE) {
		take_out_small(shard, object, spot->at);
		return;
	}
	struct slots slots = slots_of(shard, object);
	if (unlikely(spot->time_ms))
		index_remove(shard, root_of(object), spot->time_ms, spot->sought.hash);
	slots_remove(&slots, &spot->place);
}

/* A field that is there. False: impossible, see index_add(). */
static bool retime(struct shard *shard, struct object *object, const struct packed_sought *field, struct spot *spot,
                   int64_t time_ms)
{
	if (object->encoding == ENCODING_PACKED) {
		if (time_ms == 0)
			return true;
		if (triples_size(body_of(object)) <= PACKED_BYTES_MAX)
			triples_make(shard, object);
		else
			become_tree(shard, object);
		(void)find(shard, object, field, spot);
	} else if (object->encoding == ENCODING_TIMED &&
	           triples_size(&(struct body){.len = body_of(object)->len}) > PACKED_BYTES_MAX) {
		become_tree(shard, object);
		(void)find(shard, object, field, spot);
	}
	if (object->encoding == ENCODING_TREE)
		return entry_retime(shard, object, spot, time_ms);
	if (spot->time_ms != time_ms)
		triples_retime(shard, object, spot->at, time_ms);
	return true;
}

/* ---- edits ---------------------------------------------------------------------------- */

/* An edit is one of these bytes, a packed field, and what is said behind it. */
enum edit {
	EDIT_SET = 1, /* packed value */
	EDIT_REMOVE,
	EDIT_CHANGE, /* packed value */
	EDIT_EXPIRE, /* packed time; 0: never */
	EDITS
};

/* Without what is said behind the field if `more` is NULL. */
static void note(struct collection *hash, enum edit edit, const struct packed_sought *field,
                 const struct packed_sought *more)
{
	uint8_t *to = collection_edit(hash, 1 + packed_sought_size(field) + (more ? packed_sought_size(more) : 0));
	if (!to)
		return;
	*to = (uint8_t)edit;
	to = packed_sought_write(to + 1, field);
	if (more)
		(void)packed_sought_write(to, more);
}

static bool take_element(struct slice *edits, struct packed_sought *out)
{
	size_t size;
	struct packed_element element;
	if (!packed_check_first(*edits, &size))
		return false;
	(void)packed_read(edits->ptr, &element);
	*out = packed_seek_element(&element);
	*edits = slice_sub(*edits, size, edits->len);
	return true;
}

static bool is_time(const struct packed_sought *said)
{
	return said->is_integer && said->integer >= 0 && said->integer <= HASH_EXPIRES_MAX;
}

static bool apply(struct collection *hash, struct slice *edits)
{
	struct packed_sought field, more;
	if (edits->len == 0)
		return false;
	enum edit edit = edits->ptr[0];
	*edits = slice_sub(*edits, 1, edits->len);
	if (!take_element(edits, &field) || (edit != EDIT_REMOVE && !take_element(edits, &more)))
		return false;
	struct spot spot;
	bool there = find(hash->shard, hash->object, &field, &spot);
	if (edit < EDIT_SET || edit >= EDITS || (edit != EDIT_SET && !there))
		return false;
	if (edit == EDIT_EXPIRE)
		return is_time(&more) && retime(hash->shard, hash->object, &field, &spot, more.integer);
	if (edit == EDIT_REMOVE)
		take_out(hash->shard, hash->object, &spot);
	else
		put(hash->shard, hash->object, &field, &more, &spot, there, edit == EDIT_CHANGE);
	return true;
}

/* ---- the calls ------------------------------------------------------------------------ */

/* Whether it has expired or not; touched if it is there. */
static bool find_to_change(struct collection *hash, const struct packed_sought *field, struct spot *out)
{
	bool there = hash->object && find(hash->shard, hash->object, field, out);
	if (there)
		(void)collection_touch(hash);
	return there;
}

bool hash_set(struct collection *hash, const struct packed_sought *field, const struct packed_sought *value)
{
	struct spot spot = {.at = 0};
	bool there = hash->object && find(hash->shard, hash->object, field, &spot);
	struct object *object = collection_touch(hash);
	bool lives = there && !time_is_past(spot.time_ms, hash->shard->now_ms), timed = spot.time_ms;
	note(hash, EDIT_SET, field, value);
	put(hash->shard, object, field, value, &spot, there, false);
	if (unlikely(timed))
		collection_due_changed(hash);
	return !lives;
}

void hash_change(struct collection *hash, const struct packed_sought *field, const struct packed_sought *value)
{
	struct spot spot;
	bool there = find_to_change(hash, field, &spot);
	assert(there);
	note(hash, EDIT_CHANGE, field, value);
	put(hash->shard, hash->object, field, value, &spot, true, true);
}

bool hash_remove(struct collection *hash, const struct packed_sought *field)
{
	struct spot spot;
	if (!hash->object || !find(hash->shard, hash->object, field, &spot) ||
	    time_is_past(spot.time_ms, hash->shard->now_ms))
		return false;
	struct object *object = collection_touch(hash);
	bool timed = spot.time_ms;
	note(hash, EDIT_REMOVE, field, NULL);
	take_out(hash->shard, object, &spot);
	if (unlikely(timed))
		collection_due_changed(hash);
	return true;
}

void hash_expire(struct collection *hash, const struct packed_sought *field, int64_t expires_ms)
{
	struct spot spot;
	struct packed_sought time = {.is_integer = true, .integer = time_kept(expires_ms)};
	bool there = find_to_change(hash, field, &spot);
	assert(there && is_time(&time));
	note(hash, EDIT_EXPIRE, field, &time);
	bool done = retime(hash->shard, hash->object, field, &spot, time.integer);
	assert(done);
	collection_due_changed(hash);
}

void hash_reap_triple(struct collection *hash)
{
	struct packed_element element;
	(void)packed_read(body_of(hash->object)->ptr, &element);
	struct packed_sought field = packed_seek_element(&element);
	note(hash, EDIT_REMOVE, &field, NULL);
	take_out_small(hash->shard, hash->object, 0);
}

void hash_reap_entry(struct collection *hash, const struct slots *slots, struct slots_place *place)
{
	const uint8_t *entry = slots_entry(slots, place);
	struct packed_element element;
	(void)packed_read(slots_name(entry), &element);
	struct packed_sought field = packed_seek_element(&element);
	note(hash, EDIT_REMOVE, &field, NULL);
	index_remove(hash->shard, root_of(hash->object), slots_time(entry), slots_hash(slots, entry));
	slots_remove(slots, place);
}

/* ---- the rows ------------------------------------------------------------------------- */

static const char *encoding(const struct object *object)
{
	if (hash_is_table(object))
		return "hashtable";
	bool timed = object->encoding == ENCODING_TREE ? root_of(object)->times & ROOT_TIMED
	                                               : object->encoding == ENCODING_TIMED;
	return timed ? "listpackex" : "listpack";
}

static bool check_pairs(struct slice bytes, uint32_t *out_count)
{
	uint32_t n;
	if (!packed_check(bytes, &n) || n % PAIR != 0)
		return false;
	*out_count = n / PAIR;
	return true;
}

/* Few enough to compare each with each. */
static bool fields_differ(struct slice bytes, unsigned step)
{
	const uint8_t *end = bytes.ptr + bytes.len;
	for (const uint8_t *at = bytes.ptr; at != end;) {
		struct packed_element element;
		(void)packed_read(at, &element);
		struct packed_sought field = packed_seek_element(&element);
		for (unsigned i = 0; i < step; i++)
			at = packed_skip(at);
		if (packed_find(at, end, &field, step))
			return false;
	}
	return true;
}

static bool check_small(struct slice bytes, enum collection_encoding encoding, uint32_t *out_count)
{
	if (encoding != ENCODING_PACKED && encoding != ENCODING_TIMED)
		return false;
	bool timed = encoding == ENCODING_TIMED;
	return (timed ? triples_check(bytes, out_count) : check_pairs(bytes, out_count)) &&
	       *out_count <= PACKED_PAIRS_MAX && fields_differ(bytes, timed ? TRIPLE : PAIR);
}

static bool check_leaf(struct shard *shard, struct slice bytes, uint32_t count, const struct leaf *before,
                       struct tree_key *out_key)
{
	return slots_check_leaf(shard->hash_seed, bytes, count, PAIR, true, before, out_key);
}

/* Fields that expire are put as such again. */
static bool add_entry(struct collection *hash, const struct hash_pair *pair)
{
	struct packed_sought field = packed_seek_element(&pair->field), value = packed_seek_element(&pair->value);
	struct spot spot;
	if (find(hash->shard, hash->object, &field, &spot))
		return false;
	put(hash->shard, hash->object, &field, &value, &spot, false, false);
	return pair->expires_ms == EXPIRES_NEVER ||
	       (find(hash->shard, hash->object, &field, &spot) &&
	        retime(hash->shard, hash->object, &field, &spot, pair->expires_ms));
}

static bool add_leaf(struct collection *hash, struct slice bytes, uint32_t count)
{
	struct slice entries;
	if (!slots_check(bytes, count, PAIR, true, &entries))
		return false;
	for (const uint8_t *at = entries.ptr; at != entries.ptr + entries.len;) {
		struct hash_pair pair;
		read_entry(at, &pair);
		at = packed_skip(packed_skip(slots_name(at)));
		if (!add_entry(hash, &pair))
			return false;
	}
	return true;
}

static bool is_table_for(const struct shard *shard, const uint8_t *entry)
{
	struct hash_pair pair;
	read_entry(entry, &pair);
	struct packed_sought field = packed_seek_element(&pair.field), value = packed_seek_element(&pair.value);
	return is_long(shard, &field) || is_long(shard, &value);
}

/* The index is made of the entries. What it was in Redis' words is not on disk: a hash that has shrunk is what its
 * pairs make of it, as in Redis. */
static bool complete(struct shard *shard, void *at)
{
	struct root *root = at;
	struct slots slots = {.shard = shard, .tree = &root->tree, .seed = shard->hash_seed, .width = PAIR};
	struct slots_walk walk;
	const uint8_t *entry;
	bool is_table = root->tree.count > shard->collections.hash_entries_max;
	for (slots_walk(&slots, &walk); (entry = slots_next(&walk));) {
		int64_t time_ms = slots_time(entry);
		if (unlikely(time_ms) && !index_add(shard, root, time_ms, slots_hash(&slots, entry)))
			return false;
		is_table = is_table || is_table_for(shard, entry);
	}
	root->times |= is_table ? ROOT_TABLE : 0;
	return true;
}

static const struct collection_kind pairs = {
        .root_size = sizeof(struct root),
        .check_small = check_small,
        .check_leaf = check_leaf,
        .complete = complete,
        .let_go = hash_let_go,
        .share = hash_share,
        .memory = hash_memory,
        .hashed = true,
        .add_leaf = add_leaf,
        .apply = apply,
        .due = hash_due,
        .is_over = hash_is_over,
        .reap = hash_reap,
};

const struct object_kind hash_kind = COLLECTION_KIND("hash", encoding, &pairs);
