/* What all collections do alike: being opened, touched and closed, copied and freed, packed and unpacked.
 *
 * Packed form, behind the type:
 *   small   encoding 1 | version 4 | count 4 | the block
 *   large   encoding 1 | version 4 | seed 8 | leaves 4 | each leaf: length 4, count 4, bytes; of one that is away
 *           (cold_leaf.h) the length has its highest bit set, and the bytes are pointer and fence
 *           | of types that have parts, each: 1 | length 4 | bytes | leaves 4 | each leaf; and behind the last: 0
 */
#include "engine/memory/slab.h"
#include "storage/journal/journal.h"
#include "storage/keyspace/access_private.h"
#include "storage/keyspace/cold.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/collection_private.h"
#include "storage/locks/locks.h"

enum { LOCKED_REST_MS = 10 };

static const struct collection_kind *kind_of(const struct object *object)
{
	return object_kind(object->type)->collection;
}

uint64_t collection_count(const struct object *object)
{
	const struct tree *tree = collection_tree(object);
	return tree ? tree->count : body_of(object)->count;
}

uint32_t object_version(const struct object *object) { return kind_of(object) ? body_of(object)->version : 0; }

enum { LARGE_LEAVES = RARE(64, 2) };

bool collection_is_large(const struct object *object)
{
	const struct tree *tree = collection_tree(object);
	const struct collection_kind *kind = kind_of(object);
	return tree && tree->leaves + (kind->rest_leaves ? kind->rest_leaves(tree) : 0) > LARGE_LEAVES;
}

/* ---- opening and closing --------------------------------------------------------------- */

enum err collection_open(struct shard *shard, const struct key *key, enum object_type type, enum find_how how,
                         struct collection *out)
{
	struct object *object = keyspace_find(shard, key, how);
	if (object && object_type(object) != type)
		return ERR_WRONG_TYPE;
	*out = (struct collection){.shard = shard, .key = key, .object = object, .type = type};
	return OK;
}

bool collection_close(struct collection *c)
{
	if (!c->object || c->apart || kind_of(c->object)->stays_empty ||
	    (collection_count(c->object) > 0 && !object_is_over(c->object, c->shard->now_ms)))
		return false;
	keyspace_delete(c->shard, c->key);
	c->object = NULL;
	return true;
}

/* ---- touching -------------------------------------------------------------------------- */

static struct object *empty_new(struct shard *shard, enum object_type type, struct slice name, int64_t expires_ms)
{
	struct object *object = object_new(shard, type, shape_for(FORM_BLOCK, name, true), name, 0, expires_ms);
	object->encoding = ENCODING_PACKED;
	*body_of(object) = (struct body){0};
	return object;
}

/* NULL: nobody is told. */
static struct journal *told(const struct collection *c) { return c->shard->recovering ? NULL : c->shard->journal; }

static uint64_t note_now(const struct collection *c) { return told(c) ? journal_notes(told(c)) : 1; }

static struct object *make(struct collection *c)
{
	struct place place;
	struct object *old = place_find(c->shard, c->key, &place);
	assert(!old);
	c->object = empty_new(c->shard, c->type, c->key->name, EXPIRES_NEVER);
	c->whole = true;
	place_put(c->shard, c->key, &place, NULL, EXPIRES_NEVER, c->object);
	c->note = note_now(c);
	return c->object;
}

struct object *collection_touch(struct collection *c)
{
	if (c->apart)
		return c->object;
	if (!c->object)
		return make(c);
	if (c->note == note_now(c))
		return c->object;
	struct body *body = body_of(c->object);
	body->version++;
	if (unlikely(c->object->backed) && object_unback(c->shard, c->object))
		c->whole = true;
	access_touch(c->shard, c->object);
	shard_key_changed(c->shard, c->key, c->object);
	if (told(c) && !c->whole)
		journal_note_edit(told(c), body->version);
	c->note = note_now(c);
	return c->object;
}

uint8_t *collection_edit(struct collection *c, size_t len)
{
	if (c->apart || c->whole || !told(c))
		return NULL;
	assert(c->note == note_now(c));
	return journal_edit(told(c), len);
}

/* ---- elements that expire ----------------------------------------------------------------- */

int64_t elements_due_ms(const struct object *object)
{
	const struct collection_kind *kind = kind_of(object);
	return kind && kind->due && !object_is_cold(object) ? kind->due(object) : EXPIRES_NEVER;
}

bool elements_are_over(const struct object *object, int64_t now_ms)
{
	const struct collection_kind *kind = kind_of(object);
	return kind && kind->is_over && !object_is_cold(object) && kind->is_over(object, now_ms);
}

void collection_due_changed(struct collection *c)
{
	if (!c->apart)
		keyspace_due_changed(c->shard, c->key);
}

/* It is nobody's use of the key. */
static uint32_t reap_some(struct shard *shard, const struct key *key, struct object *object, uint32_t most)
{
	struct collection c = {.shard = shard, .key = key, .object = object, .type = object_type(object)};
	uint32_t access = object->access;
	(void)collection_touch(&c);
	uint32_t n = kind_of(object)->reap(&c, most);
	object->access = access;
	keyspace_due_changed(shard, key);
	shard_key_happened(shard, key, KEY_ELEMENTS_EXPIRED);
	return n;
}

uint32_t collection_reap(struct shard *shard, struct keyspace *keyspace, struct object *object, uint32_t most)
{
	struct key key = key_from(shard, keyspace, object);
	uint32_t n;
	if (lock_is_held(shard->locks, key.hash)) { /* what a transaction is about is left alone */
		keyspace_due_later(shard, &key, shard->now_ms + LOCKED_REST_MS);
		return 0;
	}
	if (elements_are_over(object, shard->now_ms)) {
		n = (uint32_t)collection_count(object);
		shard_key_happened(shard, &key, KEY_ELEMENTS_EXPIRED);
		keyspace_forget(shard, keyspace, object, KEY_EMPTIED);
	} else {
		n = reap_some(shard, &key, object, most);
	}
	shard->counters.expired_elements += n;
	return n;
}

/* ---- in no table --------------------------------------------------------------------------- */

struct collection collection_apart(struct shard *shard, const struct key *key, enum object_type type)
{
	return (struct collection){.shard = shard,
	                           .key = key,
	                           .object = empty_new(shard, type, key->name, EXPIRES_NEVER),
	                           .type = type,
	                           .apart = true};
}

struct collection collection_apart_from(struct shard *shard, const struct key *key, const struct object *from)
{
	return (struct collection){.shard = shard,
	                           .key = key,
	                           .object = collection_share(shard, from, key->name, EXPIRES_NEVER),
	                           .type = object_type(from),
	                           .apart = true};
}

static void put_in_place(struct collection *c)
{
	struct place place;
	struct object *old = place_find(c->shard, c->key, &place);
	place_put(c->shard, c->key, &place, old, old ? expiry_of(old) : EXPIRES_NEVER, c->object);
	c->object = NULL;
}

bool collection_put(struct collection *c, int64_t expires_ms)
{
	bool any = collection_count(c->object) > 0 || kind_of(c->object)->stays_empty;
	*object_expiry(c->object) = expires_ms; /* which a block always has room for */
	if (any)
		put_in_place(c);
	else
		(void)keyspace_delete(c->shard, c->key);
	collection_drop(c);
	return any;
}

void collection_drop(struct collection *c)
{
	if (!c->object)
		return;
	collection_free(c->shard, c->object);
	object_free_shell(c->shard, c->object);
	c->object = NULL;
}

/* ---- bodies ---------------------------------------------------------------------------- */

static void move(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len)
		memmove(to, from, len);
}

uint8_t *body_splice(struct shard *shard, struct object *object, size_t at, size_t remove, size_t insert)
{
	struct body *body = body_of(object);
	assert(object->encoding != ENCODING_TREE);
	assert(at <= body->len);
	assert(remove <= body->len - at);
	size_t len = body->len - remove + insert, rest = body->len - at - remove;
	uint8_t *from = body->ptr, *to = from;
	bool fits = len <= body->cap && body->cap <= 2 * len;
	if (!fits) {
		size_t cap = slab_size(len ? len : 1);
		to = value_take(shard, cap);
		move(to, from, at);
		move(to + at + insert, from + at + remove, rest);
		body_give(shard, body);
		body->ptr = to;
		body->cap = (uint32_t)cap;
	} else {
		move(to + at + insert, from + at + remove, rest);
	}
	body->len = (uint32_t)len;
	return to + at;
}

struct body body_grow(struct shard *shard, struct object *object)
{
	struct body *body = body_of(object), small = *body;
	size_t size = kind_of(object)->root_size;
	assert(object->encoding != ENCODING_TREE);
	*body = (struct body){.ptr = value_take(shard, size), .seed = shard->hash_seed, .version = small.version};
	memset(body->ptr, 0, size);
	object->encoding = ENCODING_TREE;
	return small;
}

void body_give(struct shard *shard, const struct body *small)
{
	if (small->ptr)
		value_give(shard, small->ptr, small->cap);
}

struct leaf *tree_append(struct shard *shard, struct tree *tree, struct tree_path *path, size_t room)
{
	if (!tree_last(tree, path))
		*path = (struct tree_path){.tree = tree};
	return tree_insert(shard, path, true, room);
}

/* ---- rows ------------------------------------------------------------------------------ */

size_t collection_memory(const struct object *object)
{
	const struct collection_kind *kind = kind_of(object);
	const struct tree *tree = collection_tree(object);
	if (!tree)
		return body_of(object)->cap;
	return slab_size(kind->root_size) + tree->memory + (kind->memory ? kind->memory(tree) : 0);
}

/* What is larger would take too long to put together again in one go. */
enum { LEAVES_MAX = 128 * 1024 };

size_t collection_chillable(const struct object *object)
{
	const struct collection_kind *kind = kind_of(object);
	const struct tree *tree = collection_tree(object);
	if (elements_due_ms(object) != EXPIRES_NEVER) /* which is looked up in the object */
		return 0;
	if (!tree)
		return body_of(object)->len;
	size_t size = tree->len + (kind->memory ? kind->memory(tree) : 0);
	if (object_leaves_by_leaf(object))
		return cold_leaves_chillable(kind, tree);
	return size <= LEAVES_MAX ? size : 0;
}

static void root_free(struct shard *shard, const struct collection_kind *kind, void *root)
{
	if (kind->let_go)
		kind->let_go(shard, root);
	tree_doom(shard, root);
	value_give(shard, root, kind->root_size);
}

/* The bytes of a root whose trees are shared. */
static void *root_share(struct shard *shard, const struct collection_kind *kind, void *root)
{
	void *copy = value_take(shard, kind->root_size);
	memcpy(copy, root, kind->root_size);
	*(struct tree *)copy = tree_share(root);
	if (kind->share)
		kind->share(shard, root, copy);
	return copy;
}

void collection_free(struct shard *shard, struct object *object)
{
	if (collection_tree(object))
		root_free(shard, kind_of(object), body_of(object)->ptr);
	else
		body_give(shard, body_of(object));
}

struct object *collection_share(struct shard *shard, const struct object *object, struct slice name, int64_t expires_ms)
{
	struct object *copy = empty_new(shard, object_type(object), name, expires_ms);
	const struct body *from = body_of(object);
	struct body *to = body_of(copy);
	copy->encoding = object->encoding;
	*to = *from;
	if (collection_tree(object)) {
		to->ptr = root_share(shard, kind_of(object), from->ptr);
	} else if (from->ptr) {
		to->ptr = value_take(shard, from->cap);
		memcpy(to->ptr, from->ptr, from->len);
	}
	return copy;
}

/* ---- packing --------------------------------------------------------------------------- */

static void put(struct buf *out, const void *number, size_t size) { buf_append(out, slice_of(number, size)); }

/* What comes before the block or the leaves. */
static void pack_head(const struct object *object, struct buf *out)
{
	const struct body *body = body_of(object);
	const struct tree *tree = collection_tree(object);
	buf_byte(out, object->encoding);
	put(out, &body->version, sizeof(body->version));
	if (tree) {
		put(out, &body->seed, sizeof(body->seed));
		put(out, &tree->leaves, sizeof(tree->leaves));
	} else {
		put(out, &body->count, sizeof(body->count));
	}
}

static const uint32_t length_away = UINT32_C(1) << 31; /* leaves are shorter */

static struct slice leaf_head(const struct leaf *leaf, uint32_t head[2])
{
	head[0] = leaf->len | (leaf->away ? length_away : 0);
	head[1] = leaf->count;
	return slice_of(head, 2 * sizeof(head[0]));
}

static void pack_leaves(struct tree *tree, struct buf *out)
{
	struct tree_path path;
	uint32_t head[2];
	for (bool more = tree_first(tree, &path); more; more = tree_next(&path)) {
		buf_append(out, leaf_head(path.leaf, head));
		buf_append(out, slice_of(path.leaf->bytes, path.leaf->len));
	}
}

/* What comes before the leaves of part `i`, if any, of a tree that may be shared meanwhile; false: it was the end. */
static bool pack_part_head(const struct collection_kind *kind, const void *root, uint32_t i, struct buf *out,
                           struct tree **out_tree)
{
	size_t at = out->len;
	uint32_t length = 0, leaves = 0;
	buf_byte(out, 1);
	put(out, &length, sizeof(length));
	if (!kind->part(root, i, out, out_tree)) {
		out->len = at;
		buf_byte(out, 0);
		return false;
	}
	length = (uint32_t)(out->len - at - 1 - sizeof(length));
	memcpy(out->ptr + at + 1, &length, sizeof(length));
	if (*out_tree)
		leaves = (*out_tree)->leaves;
	put(out, &leaves, sizeof(leaves));
	return true;
}

struct slice collection_pack(const struct object *object, struct buf *out)
{
	struct tree *tree = collection_tree(object), *more;
	const struct collection_kind *kind = kind_of(object);
	pack_head(object, out);
	if (!tree)
		return body_slice(object);
	pack_leaves(tree, out);
	for (uint32_t i = 0; kind->part && pack_part_head(kind, tree, i, out, &more); i++)
		if (more)
			pack_leaves(more, out);
	return S("");
}

static void pack_no_leaves(struct buf *out, size_t *leaves_at)
{
	static const uint32_t none;
	*leaves_at = out->len;
	put(out, &none, sizeof(none));
}

void pack_new(struct buf *out, enum object_type type, size_t *leaves_at)
{
	static const uint32_t version;
	static const uint64_t seed;
	buf_byte(out, type);
	buf_byte(out, ENCODING_TREE);
	put(out, &version, sizeof(version));
	put(out, &seed, sizeof(seed));
	pack_no_leaves(out, leaves_at);
}

void pack_part(struct buf *out, struct slice bytes, size_t *leaves_at)
{
	uint32_t length = (uint32_t)bytes.len;
	buf_byte(out, 1);
	put(out, &length, sizeof(length));
	buf_append(out, bytes);
	pack_no_leaves(out, leaves_at);
}

void pack_leaf(struct buf *out, size_t leaves_at, struct slice bytes, uint32_t count)
{
	uint32_t head[2] = {(uint32_t)bytes.len, count}, leaves;
	put(out, head, sizeof(head));
	buf_append(out, bytes);
	memcpy(&leaves, out->ptr + leaves_at, sizeof(leaves));
	leaves++;
	memcpy(out->ptr + leaves_at, &leaves, sizeof(leaves));
}

void pack_end(struct buf *out) { buf_byte(out, 0); }

/* ---- packing piece by piece ------------------------------------------------------------- */

struct object_stream {
	const struct collection_kind *kind;
	void *root; /* shared: what it was when the stream began */
	struct tree_path path;
	struct buf head; /* to be read before the leaves */
	size_t head_at;  /* of `head`, or of the leaf's head, read so far */
	size_t leaf_at;
	size_t left;
	uint32_t parts; /* so far */
	bool more;      /* the path leads to a leaf */
	bool has_parts; /* there are more */
};

static size_t leaves_length(const struct tree *tree) { return tree->len + (size_t)tree->leaves * 2 * sizeof(uint32_t); }

static size_t parts_length(const struct collection_kind *kind, const void *root)
{
	cleanup(buf_fini) struct buf head = {0};
	struct tree *tree;
	size_t length = 0;
	for (uint32_t i = 0;; i++) {
		head.len = 0;
		bool more = pack_part_head(kind, root, i, &head, &tree);
		length += head.len;
		if (!more)
			return length;
		length += tree ? leaves_length(tree) : 0;
	}
}

struct object_stream *object_stream_new(struct shard *shard, const struct object *object)
{
	const struct collection_kind *kind = object_kind(object->type)->collection;
	if (!kind || object_is_cold(object) || object->backed || !collection_is_large(object))
		return NULL;
	struct object_stream *stream = value_take(shard, sizeof(*stream));
	shard->counters.streams++;
	*stream = (struct object_stream){
	        .kind = kind, .root = root_share(shard, kind, body_of(object)->ptr), .has_parts = kind->part};
	buf_byte(&stream->head, object->type);
	pack_head(object, &stream->head);
	stream->left = stream->head.len + leaves_length(stream->root);
	if (kind->part)
		stream->left += parts_length(kind, stream->root);
	stream->more = tree_first(stream->root, &stream->path);
	return stream;
}

size_t object_stream_length(const struct object_stream *stream) { return stream->left; }

/* Copies what fits of `from`, from `*at` on. */
static size_t take_some(struct slice from, size_t *at, uint8_t *to, size_t room)
{
	size_t n = from.len - *at < room ? from.len - *at : room;
	move(to, from.ptr + *at, n);
	*at += n;
	return n;
}

/* A pointer may change before the rest of it is read: it is taken as a whole. */
static void take_away_leaf(struct object_stream *stream)
{
	uint32_t head[2];
	const struct leaf *leaf = stream->path.leaf;
	buf_append(&stream->head, leaf_head(leaf, head));
	buf_append(&stream->head, slice_of(leaf->bytes, leaf->len));
	stream->more = tree_next(&stream->path);
}

static size_t read_leaf(struct object_stream *stream, uint8_t *to, size_t room)
{
	const struct leaf *leaf = stream->path.leaf;
	uint32_t numbers[2];
	struct slice head = leaf_head(leaf, numbers), bytes = slice_of(leaf->bytes, leaf->len);
	size_t n = take_some(head, &stream->head_at, to, room);
	n += take_some(bytes, &stream->leaf_at, to + n, room - n);
	if (stream->head_at == head.len && stream->leaf_at == bytes.len) {
		stream->head_at = stream->leaf_at = 0;
		stream->more = tree_next(&stream->path);
	}
	return n;
}

static void next_part(struct object_stream *stream)
{
	struct tree *tree = NULL;
	stream->has_parts = pack_part_head(stream->kind, stream->root, stream->parts++, &stream->head, &tree);
	stream->more = stream->has_parts && tree && tree_first(tree, &stream->path);
}

size_t object_stream_read(struct object_stream *stream, uint8_t *to, size_t room)
{
	size_t n = 0;
	while (n < room) {
		if (stream->head.len) {
			n += take_some(buf_slice(&stream->head), &stream->head_at, to + n, room - n);
			if (stream->head_at == stream->head.len) {
				buf_fini(&stream->head);
				stream->head_at = 0;
			}
		} else if (stream->more && stream->path.leaf->away) {
			take_away_leaf(stream);
		} else if (stream->more) {
			n += read_leaf(stream, to + n, room - n);
		} else if (stream->has_parts) {
			next_part(stream);
		} else {
			break;
		}
	}
	stream->left -= n;
	return n;
}

void object_stream_free(struct shard *shard, struct object_stream *stream)
{
	if (!stream)
		return;
	shard->counters.streams--;
	buf_fini(&stream->head);
	root_free(shard, stream->kind, stream->root);
	value_give(shard, stream, sizeof(*stream));
}

/* ---- unpacking: bytes that may be anything ---------------------------------------------- */

static bool unpack_small(struct collection *c, struct slice packed)
{
	uint32_t count, found;
	struct body *body = body_of(c->object);
	enum collection_encoding encoding = c->object->encoding;
	if (!slice_take(&packed, &count, sizeof(count)) || packed.len == 0 || packed.len > UINT32_MAX ||
	    !kind_of(c->object)->check_small(packed, encoding, &found) || found != count || count == 0)
		return false;
	memcpy(body_splice(c->shard, c->object, 0, 0, packed.len), packed.ptr, packed.len);
	body->count = count;
	return true;
}

bool packed_take_leaf(struct slice *packed, struct packed_leaf *out)
{
	uint32_t head[2];
	if (!slice_take(packed, head, sizeof(head)))
		return false;
	uint32_t length = head[0] & ~length_away;
	if (length == 0 || length > packed->len || head[1] == 0)
		return false;
	*out = (struct packed_leaf){slice_sub(*packed, 0, length), head[1], head[0] & length_away};
	*packed = slice_sub(*packed, length, packed->len);
	return true;
}

static bool check_away(const struct collection_kind *kind, struct slice bytes, const struct leaf *before,
                       struct tree_key *out_key)
{
	struct cold_pointer pointer;
	return cold_leaf_read(kind, bytes, &pointer) &&
	       (!kind->check_fence || kind->check_fence(bytes.ptr + COLD_LEAF_POINTER, before, out_key));
}

static bool check_leaf(struct collection *c, const struct tree *tree, const struct packed_leaf *packed,
                       const struct leaf *before, struct tree_key *out_key)
{
	const struct collection_kind *kind = kind_of(c->object);
	if (tree != collection_tree(c->object))
		return !packed->away && kind->check_part_leaf(packed->bytes, packed->count, before, out_key);
	if (unlikely(packed->away))
		return check_away(kind, packed->bytes, before, out_key);
	return kind->check_leaf(c->shard, packed->bytes, packed->count, before, out_key);
}

static bool add_leaf(struct collection *c, const struct packed_leaf *packed, struct tree_path *last)
{
	struct tree *tree = last->tree;
	struct tree_key key = {0};
	if (!check_leaf(c, tree, packed, tree->leaves == 0 ? NULL : last->leaf, &key))
		return false;
	struct leaf *leaf = tree_insert(c->shard, last, true, packed->bytes.len);
	memcpy(leaf->bytes, packed->bytes.ptr, packed->bytes.len);
	tree_changed(last, packed->count, (uint32_t)packed->bytes.len, key);
	if (unlikely(packed->away))
		cold_leaf_load(c->shard, last, packed->bytes);
	return true;
}

/* Each with its length and count, off the front; into `tree`, or one by one if that is NULL. */
static bool take_leaves(struct collection *c, struct tree *tree, uint32_t leaves, struct slice *packed)
{
	struct tree_path last = {.tree = tree};
	struct packed_leaf leaf;
	for (; leaves > 0; leaves--)
		if (!packed_take_leaf(packed, &leaf) ||
		    !(tree ? add_leaf(c, &leaf, &last)
		           : !leaf.away && kind_of(c->object)->add_leaf(c, leaf.bytes, leaf.count)))
			return false;
	return true;
}

static bool take_parts(struct collection *c, struct slice *packed)
{
	const struct collection_kind *kind = kind_of(c->object);
	uint8_t more;
	uint32_t length, leaves;
	for (uint32_t i = 0; slice_take(packed, &more, 1); i++) {
		struct tree *tree;
		if (more == 0)
			return i > 0;
		if (more != 1 || !slice_take(packed, &length, sizeof(length)) || length > packed->len)
			return false;
		struct slice bytes = slice_sub(*packed, 0, length);
		*packed = slice_sub(*packed, length, packed->len);
		if (!slice_take(packed, &leaves, sizeof(leaves)) ||
		    !kind->add_part(c->shard, body_of(c->object)->ptr, i, bytes, &tree) || (!tree && leaves > 0) ||
		    !take_leaves(c, tree, leaves, packed))
			return false;
	}
	return false;
}

static bool unpack_leaves(struct collection *c, struct slice packed)
{
	const struct collection_kind *kind = kind_of(c->object);
	uint64_t seed;
	uint32_t leaves;
	if (!slice_take(&packed, &seed, sizeof(seed)) || !slice_take(&packed, &leaves, sizeof(leaves)) ||
	    (leaves == 0 && !kind->stays_empty))
		return false;
	bool anew = kind->hashed && seed != c->shard->hash_seed;
	if (!anew)
		(void)body_grow(c->shard, c->object);
	if (!take_leaves(c, anew ? NULL : collection_tree(c->object), leaves, &packed) ||
	    (kind->part && !take_parts(c, &packed)))
		return false;
	return packed.len == 0 && (anew || !kind->complete || kind->complete(c->shard, body_of(c->object)->ptr));
}

static bool unpack_content(struct collection *c, struct slice packed)
{
	uint8_t encoding;
	uint32_t version;
	if (!slice_take(&packed, &encoding, 1) || encoding >= ENCODINGS ||
	    !slice_take(&packed, &version, sizeof(version)))
		return false;
	if (encoding == ENCODING_TREE ? !unpack_leaves(c, packed)
	                              : (c->object->encoding = encoding & 3, !unpack_small(c, packed)))
		return false;
	body_of(c->object)->version = version;
	return true;
}

enum err collection_unpack(struct shard *shard, const struct key *key, enum object_type type, struct slice packed,
                           int64_t expires_ms)
{
	struct collection c = collection_apart(shard, key, type);
	if (!unpack_content(&c, packed)) {
		collection_drop(&c);
		return ERR_SYNTAX;
	}
	(void)collection_put(&c, expires_ms);
	return OK;
}

struct object *collection_warm(struct shard *shard, const struct object *cold, struct slice packed)
{
	struct cold_pointer pointer;
	struct slice name = key_of(cold);
	struct key key = {.name = name, .hash = key_hash(shard->hash_seed, name), .slot = slot_of(name)};
	(void)object_pointer(cold, &pointer);
	struct object *warm = object_new_backed(shard, cold->type, shape_for(FORM_BLOCK, name, true), name, 0,
	                                        expiry_of(cold), &pointer);
	struct collection c = {.shard = shard, .key = &key, .object = warm, .type = cold->type, .apart = true};
	*body_of(warm) = (struct body){0};
	if (unpack_content(&c, packed))
		return warm;
	collection_drop(&c);
	return NULL;
}

/* ---- edits ----------------------------------------------------------------------------- */

bool collection_apply(struct shard *shard, const struct key *key, struct object *object, enum object_type type,
                      uint32_t version, struct slice edits)
{
	if (object_type(object) != type || !object_kind(type)->collection || object_is_cold(object))
		return false;
	int32_t ahead = (int32_t)(version - body_of(object)->version);
	if (ahead <= 0)
		return true;
	struct collection c = {.shard = shard, .key = key, .object = object, .type = type, .apart = true};
	int64_t due_ms = object_due_ms(object);
	bool applied = true;
	while (applied && ahead == 1 && edits.len > 0)
		applied = kind_of(object)->apply(&c, &edits);
	if (object_due_ms(object) != due_ms)
		keyspace_due_changed(shard, key);
	if (!applied)
		return false;
	body_of(object)->version = version;
	return ahead == 1 && (collection_count(object) > 0 || kind_of(object)->stays_empty);
}
