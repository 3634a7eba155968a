/* The tree of blocks, what stands beside it, and edits. */
#include "storage/keyspace/stream.h"

#include "engine/base/buf.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/stream_private.h"

/* ---- reading -------------------------------------------------------------------------- */

static struct stream_id first_of(const struct stream_root *root)
{
	struct tree_path path;
	struct raw_entry entry;
	if (!tree_first((struct tree *)&root->tree, &path))
		return (struct stream_id){0};
	if (unlikely(path.leaf->away))
		return block_fence(path.leaf).first;
	entry_read(block_of(path.leaf), path.leaf->bytes + block_of(path.leaf)->first_at, &entry);
	return entry.id;
}

void stream_facts(const struct object *stream, struct stream_facts *out)
{
	const struct stream_root *root = root_of(stream);
	*out = (struct stream_facts){.first = first_of(root),
	                             .last = root->last,
	                             .max_deleted = root->max_deleted,
	                             .length = root->tree.count,
	                             .added = root->added,
	                             .blocks = root->tree.leaves};
}

struct stream_id stream_last_id(const struct object *stream) { return root_of(stream)->last; }

bool stream_last_entry(const struct object *stream, struct stream_id *out)
{
	struct tree_path path;
	bool any = tree_last(collection_tree(stream), &path);
	if (any)
		*out = block_fence(path.leaf).last_living;
	return any;
}

/* Are entries that the walk shows in its block? One without them need not be in memory. */
static bool is_in_block(const struct stream_walk *walk)
{
	struct block_fence fence = block_fence(walk->path.leaf);
	return stream_id_compare(fence.last_living, walk->from) >= 0 && stream_id_compare(fence.first, walk->to) <= 0;
}

static bool lacks_block(const struct stream_walk *walk) { return walk->path.leaf->away && is_in_block(walk); }

/* The walk shows its block from the beginning, or nothing of it. */
static void walk_begin(struct stream_walk *walk)
{
	const struct leaf *leaf = walk->path.leaf;
	walk->at = leaf->bytes + leaf->len;
	if (likely(!leaf->away) && !walk->backwards)
		walk->at = leaf->bytes + block_of(leaf)->first_at;
}

/* Where its block's entries end, in its direction. */
static const uint8_t *walk_end(const struct stream_walk *walk)
{
	const struct leaf *leaf = walk->path.leaf;
	bool to_begin = walk->backwards && likely(!leaf->away);
	return leaf->bytes + (to_begin ? block_of(leaf)->first_at : leaf->len);
}

/* To the first entry that is not before an ID, in the path's block or at the beginning of the next. */
static void skip_to(struct stream_walk *walk, struct stream_id from)
{
	const struct leaf *leaf = walk->path.leaf;
	const struct block_head *head = block_of(leaf);
	struct raw_entry entry;
	entry_read(head, leaf->bytes + head->last_at, &entry);
	int order = stream_id_compare(entry.id, from);
	if (order <= 0) {
		walk->at = order == 0 ? entry.at : leaf->bytes + leaf->len;
		return;
	}
	for (;; walk->at = entry_end(&entry)) {
		entry_read(head, walk->at, &entry);
		if (stream_id_compare(entry.id, from) >= 0)
			return;
	}
}

void stream_walk(const struct object *stream, struct stream_id from, struct stream_id to, bool backwards,
                 struct stream_walk *out)
{
	struct tree *tree = collection_tree(stream);
	out->from = from;
	out->to = to;
	out->backwards = backwards;
	out->path.leaf = NULL;
	if (!tree_seek(tree, stream_key(backwards ? to : from), NULL, NULL, &out->path))
		return;
	walk_begin(out);
	if (!backwards && likely(!out->path.leaf->away))
		skip_to(out, from);
}

/* The block behind the walk's, in its direction. False: there is none that begins within its range, or behind whose
 * beginning it goes on. */
static bool walk_on(struct stream_walk *walk)
{
	struct stream_id id = {tree_path_key(&walk->path).high, tree_path_key(&walk->path).low};
	if (walk->backwards ? stream_id_compare(id, walk->from) <= 0 || !tree_prev(&walk->path)
	                    : !tree_next(&walk->path))
		return false;
	walk_begin(walk);
	return walk->backwards || tree_key_compare(tree_path_key(&walk->path), stream_key(walk->to)) <= 0;
}

enum step { STEP_ENTRY, STEP_END, STEP_LACKS };

/* The next entry of the walk's block, or of another that it leads to. */
static enum step walk_step(struct stream_walk *walk, struct raw_entry *out)
{
	for (;;) {
		if (unlikely(lacks_block(walk)))
			return STEP_LACKS;
		if (walk->at != walk_end(walk))
			break;
		if (!walk_on(walk))
			return STEP_END;
	}
	walk->at = walk->backwards ? entry_before(walk->at) : walk->at;
	entry_read(block_of(walk->path.leaf), walk->at, out);
	walk->at = walk->backwards ? walk->at : entry_end(out);
	return STEP_ENTRY;
}

static void show(const struct block_head *head, const struct raw_entry *raw, struct stream_entry *out)
{
	out->id = raw->id;
	out->n_fields = raw->n_fields;
	out->shared = raw->flags & ENTRY_SHARED;
	out->field = block_names(head);
	out->value = raw->values;
}

/* The next entry of the range that is no mark. */
static enum step walk_shown(struct stream_walk *walk, struct raw_entry *out)
{
	enum step step = STEP_END;
	while (walk->path.leaf && (step = walk_step(walk, out)) == STEP_ENTRY) {
		bool before = stream_id_compare(out->id, walk->from) < 0;
		bool behind = stream_id_compare(out->id, walk->to) > 0;
		if (walk->backwards ? before : behind)
			step = STEP_END;
		else if (before || behind || out->flags & ENTRY_DELETED)
			continue;
		break;
	}
	if (step == STEP_END)
		walk->path.leaf = NULL;
	return step;
}

bool stream_next(struct stream_walk *walk, struct stream_entry *out)
{
	struct raw_entry raw;
	enum step step = walk_shown(walk, &raw);
	assert(step != STEP_LACKS); /* whoever walks has what it needs in memory */
	if (step == STEP_ENTRY)
		show(block_of(walk->path.leaf), &raw, out);
	return step == STEP_ENTRY;
}

bool stream_walk_lacks(const struct stream_walk *walk, uint64_t n)
{
	struct stream_walk copy = *walk;
	struct raw_entry raw;
	enum step step = STEP_ENTRY;
	while (n-- > 0 && (step = walk_shown(&copy, &raw)) == STEP_ENTRY)
		;
	return step == STEP_LACKS;
}

void stream_field(struct stream_entry *entry, struct packed_element *field, struct packed_element *value)
{
	const uint8_t **names = entry->shared ? &entry->field : &entry->value;
	*names = packed_read(*names, field);
	entry->value = packed_read(entry->value, value);
}

uint64_t stream_count(const struct stream_walk *walk, uint64_t limit)
{
	struct stream_walk copy = *walk;
	struct stream_entry entry;
	uint64_t n = 0;
	while (n < limit && stream_next(&copy, &entry))
		n++;
	return n;
}

bool stream_find(const struct object *stream, struct stream_id id, struct stream_entry *out)
{
	struct stream_walk walk;
	stream_walk(stream, id, id, false, &walk);
	return stream_next(&walk, out);
}

void stream_each_block(const struct object *stream,
                       void (*show_block)(void *arg, struct stream_id id, struct slice packed, uint32_t elements),
                       void *arg)
{
	struct tree_path path;
	cleanup(buf_fini) struct buf packed = {0};
	for (bool more = tree_first(collection_tree(stream), &path); more; more = tree_next(&path)) {
		uint32_t elements;
		packed.len = 0;
		block_pack(path.leaf, &packed, &elements);
		show_block(arg, block_of(path.leaf)->id, buf_slice(&packed), elements);
	}
}

/* ---- changing, without telling ---------------------------------------------------------- */

static struct stream_added add(struct shard *shard, struct stream_root *root, struct stream_id id,
                               const struct stream_items *items)
{
	struct stream_added added = block_add(shard, &root->tree, id, items);
	root->last = id;
	root->added++;
	return added;
}

/* The path leads to the block of the entry, which is in memory. */
static bool find_path(struct stream_root *root, struct stream_id id, struct tree_path *path, struct raw_entry *out)
{
	if (!tree_seek(&root->tree, stream_key(id), NULL, NULL, path) || path->leaf->away)
		return false;
	const struct block_head *head = block_of(path->leaf);
	const uint8_t *end = path->leaf->bytes + path->leaf->len;
	for (const uint8_t *at = path->leaf->bytes + head->first_at; at != end; at = entry_end(out)) {
		entry_read(head, at, out);
		int order = stream_id_compare(out->id, id);
		if (order >= 0)
			return order == 0 && !(out->flags & ENTRY_DELETED);
	}
	return false;
}

static void counted_less(struct tree_path *path, uint32_t less)
{
	const struct leaf *leaf = path->leaf;
	tree_changed(path, leaf->count - less, leaf->len, stream_key(block_of(leaf)->id));
}

static void delete_at(struct shard *shard, struct stream_root *root, struct tree_path *path,
                      const struct raw_entry *entry)
{
	size_t at = (size_t)(entry->at - path->leaf->bytes);
	if (path->leaf->count == 1) {
		(void)tree_remove(shard, path);
	} else {
		struct leaf *leaf = tree_own(shard, path, 0);
		block_mark(leaf, leaf->bytes + at);
		counted_less(path, 1);
	}
	if (stream_id_compare(entry->id, root->max_deleted) > 0)
		root->max_deleted = entry->id;
}

/* Goes some of the block, but not all, if nothing up to `to` stays? */
static bool cuts(const struct leaf *leaf, struct stream_id to)
{
	struct block_fence fence = block_fence(leaf);
	return stream_id_compare(fence.first, to) <= 0 && stream_id_compare(fence.last, to) > 0;
}

/* The block that is cut then; false: none is. */
static bool find_cut(struct tree *tree, struct stream_id to, struct tree_path *out)
{
	return tree_seek(tree, stream_key(to), NULL, NULL, out) && cuts(out->leaf, to);
}

/* Nothing up to `to` stays. The block that is cut is in memory. */
static void trim(struct shard *shard, struct stream_root *root, struct stream_id to)
{
	struct tree_path path;
	if (!tree_last(&root->tree, &path))
		return;
	if (stream_id_compare(block_last(path.leaf), to) <= 0) {
		tree_doom(shard, &root->tree);
		root->tree = (struct tree){0};
		return;
	}
	bool more = tree_first(&root->tree, &path);
	while (more && stream_id_compare(block_last(path.leaf), to) <= 0)
		more = tree_remove(shard, &path);
	if (!more || !cuts(path.leaf, to))
		return;
	struct leaf *leaf = tree_own(shard, &path, 0);
	uint32_t n = block_cut(leaf, to);
	if (n == leaf->count)
		(void)tree_remove(shard, &path);
	else if (n > 0)
		counted_less(&path, n);
}

/* No entry is greater than `last`, but marks at the end may be: then they go, as entries that come are put behind. */
static bool sheds(const struct leaf *leaf, struct stream_id last)
{
	return stream_id_compare(block_last(leaf), last) > 0;
}

static void shed_marks(struct shard *shard, struct tree *tree, struct stream_id last)
{
	struct tree_path path;
	if (!tree_last(tree, &path) || !sheds(path.leaf, last))
		return;
	struct leaf *leaf = tree_own(shard, &path, 0);
	uint32_t len = block_shed(leaf, last);
	tree_changed(&path, leaf->count, len, stream_key(block_of(leaf)->id));
}

static void set(struct shard *shard, struct stream_root *root, struct stream_id last, uint64_t added,
                struct stream_id max_deleted)
{
	shed_marks(shard, &root->tree, last);
	root->last = last;
	root->added = added;
	root->max_deleted = max_deleted;
}

/* ---- edits ---------------------------------------------------------------------------- */

static uint8_t *put(uint8_t *to, const void *from, size_t size)
{
	if (size)
		memcpy(to, from, size);
	return to + size;
}

static void note_add(struct collection *stream, struct stream_id id, const struct stream_added *added, uint32_t n)
{
	uint8_t shared = added->names.ptr != NULL;
	uint8_t *to = collection_edit(stream, 2 + sizeof(id) + sizeof(n) + added->names.len + added->values.len);
	if (!to)
		return;
	*to++ = EDIT_ADD;
	*to++ = shared;
	to = put(to, &id, sizeof(id));
	to = put(to, &n, sizeof(n));
	to = put(to, added->names.ptr, added->names.len);
	(void)put(to, added->values.ptr, added->values.len);
}

static void note_id(struct collection *stream, enum stream_edit edit, struct stream_id id)
{
	uint8_t *to = collection_edit(stream, 1 + sizeof(id));
	if (!to)
		return;
	to[0] = (uint8_t)edit;
	memcpy(to + 1, &id, sizeof(id));
}

static bool take_item(struct slice *edits, struct stream_item *out)
{
	size_t size;
	if (!packed_check_first(*edits, &size))
		return false;
	*out = (struct stream_item){.packed = slice_sub(*edits, 0, size)};
	*edits = slice_sub(*edits, size, edits->len);
	return true;
}

static bool take_items(struct slice *edits, bool shared, struct stream_item *items, uint32_t n)
{
	for (uint32_t pass = 0; pass < 1u + shared; pass++)
		for (uint32_t i = pass; i < 2 * n; i += 1 + shared)
			if (!take_item(edits, &items[i]))
				return false;
	return true;
}

static bool apply_add(struct collection *stream, struct slice *edits)
{
	struct stream_root *root = root_of(stream->object);
	uint8_t shared;
	struct stream_id id;
	uint32_t n;
	/* An item has two bytes at least: what is declared is there. */
	if (!slice_take(edits, &shared, 1) || shared > 1 || !slice_take(edits, &id, sizeof(id)) ||
	    !slice_take(edits, &n, sizeof(n)) || n > edits->len / 4 || stream_id_compare(id, root->last) <= 0)
		return false;
	cleanup(buf_fini) struct buf room = {0};
	struct stream_item *items = (struct stream_item *)buf_reserve(&room, 2 * n * sizeof(*items) + 1);
	if (!take_items(edits, shared, items, n))
		return false;
	struct stream_items all = stream_items(items, n);
	(void)add(stream->shard, root, id, &all);
	return true;
}

static bool apply_delete(struct collection *stream, struct slice *edits)
{
	struct stream_root *root = root_of(stream->object);
	struct stream_id id;
	struct tree_path path;
	struct raw_entry entry;
	if (!slice_take(edits, &id, sizeof(id)) || !find_path(root, id, &path, &entry))
		return false;
	delete_at(stream->shard, root, &path, &entry);
	return true;
}

static bool apply_trim(struct collection *stream, struct slice *edits)
{
	struct stream_id id;
	struct tree_path path;
	if (!slice_take(edits, &id, sizeof(id)) ||
	    (find_cut(&root_of(stream->object)->tree, id, &path) && path.leaf->away))
		return false;
	trim(stream->shard, root_of(stream->object), id);
	return true;
}

static bool apply_set(struct collection *stream, struct slice *edits)
{
	struct stream_root *root = root_of(stream->object);
	struct stream_id last, max_deleted, entry;
	struct tree_path path;
	uint64_t added;
	if (!slice_take(edits, &last, sizeof(last)) || !slice_take(edits, &added, sizeof(added)) ||
	    !slice_take(edits, &max_deleted, sizeof(max_deleted)))
		return false;
	if (stream_last_entry(stream->object, &entry) && stream_id_compare(last, entry) < 0)
		return false;
	if (tree_last(&root->tree, &path) && path.leaf->away && sheds(path.leaf, last))
		return false;
	set(stream->shard, root, last, added, max_deleted);
	return true;
}

static bool apply(struct collection *stream, struct slice *edits)
{
	uint8_t edit;
	if (!collection_tree(stream->object) || !slice_take(edits, &edit, 1))
		return false;
	switch (edit) {
	case EDIT_ADD:
		return apply_add(stream, edits);
	case EDIT_DELETE:
		return apply_delete(stream, edits);
	case EDIT_TRIM:
		return apply_trim(stream, edits);
	case EDIT_SET:
		return apply_set(stream, edits);
	case EDIT_LEAF:
		return cold_leaf_apply(stream, edits);
	}
	return groups_apply(stream, edit, edits);
}

/* ---- changing ------------------------------------------------------------------------- */

struct stream_root *stream_touched(struct collection *stream)
{
	struct object *object = collection_touch(stream);
	if (unlikely(!collection_tree(object)))
		(void)body_grow(stream->shard, object);
	return root_of(object);
}

void stream_touch(struct collection *stream) { (void)stream_touched(stream); }

/* ---- blocks that are not in memory, or were not ------------------------------------------- */

void stream_tell(struct collection *stream, struct stream_id from, uint64_t n)
{
	struct tree *tree = collection_tree(stream->object);
	struct tree_path path;
	if (likely(tree->back == 0) || !tree_seek(tree, stream_key(from), NULL, NULL, &path))
		return;
	uint64_t behind = path.before + path.leaf->count - 1; /* whole blocks: none of the first one's may be read */
	cold_leaves_tell(stream, EDIT_LEAF, path.before, n < UINT64_MAX - behind ? behind + n : UINT64_MAX);
}

/* Before the last block is changed. */
static void tell_last(struct collection *stream)
{
	struct tree_path path;
	if (unlikely(collection_tree(stream->object)->back > 0) && tree_last(collection_tree(stream->object), &path))
		cold_leaf_tell(stream, EDIT_LEAF, &path);
}

/* What a group has not read; what is pending in one from an ID on, in `limit` entries of any consumer. */
static bool reach_own(const struct object *object, const struct reach_part *part, struct reach_part *out)
{
	const struct stream_group *group = stream_group_tagged(object, part->tag);
	struct stream_id from = {part->from.high, part->from.low}, to = STREAM_ID_MAX;
	if (!group)
		return false;
	if (part->own == STREAM_REACH_UNREAD) {
		from = group->last;
		if (!stream_id_increment(&from))
			return false;
	} else if (!group_pending_from(group, part->limit, &from, &to)) {
		return false;
	}
	*out = (struct reach_part){.by = REACH_KEYS,
	                           .from = stream_key(from),
	                           .to = stream_key(to),
	                           .limit = part->own == STREAM_REACH_UNREAD ? part->limit : UINT64_MAX};
	return true;
}

struct reach stream_reach(struct stream_id from, struct stream_id to, bool backwards, uint64_t limit)
{
	return (struct reach){1,
	                      {{.by = REACH_KEYS,
	                        .from = stream_key(from),
	                        .to = stream_key(to),
	                        .backwards = backwards,
	                        .limit = limit}}};
}

struct reach stream_reach_group(enum stream_reach what, struct slice group, struct stream_id from, uint64_t limit)
{
	return (struct reach){1,
	                      {{.by = REACH_OWN,
	                        .own = what,
	                        .from = stream_key(from),
	                        .limit = limit,
	                        .tag = stream_group_tag(group)}}};
}

/* ---- adding and deleting -------------------------------------------------------------------- */

enum { ITEMS_NEAR = 32 };

void stream_add(struct collection *stream, struct stream_id id, const struct slice *fields, uint32_t n_fields)
{
	struct stream_item near[ITEMS_NEAR], *items = near;
	cleanup(buf_fini) struct buf room = {0};
	if (2 * n_fields > ITEMS_NEAR)
		items = (struct stream_item *)buf_reserve(&room, 2 * n_fields * sizeof(*items));
	for (uint32_t i = 0; i < 2 * n_fields; i++)
		items[i] = (struct stream_item){.text = fields[i]};
	struct stream_items all = stream_items(items, n_fields);
	struct stream_root *root = stream_touched(stream);
	tell_last(stream);
	struct stream_added added = add(stream->shard, root, id, &all);
	note_add(stream, id, &added, n_fields);
}

bool stream_delete(struct collection *stream, struct stream_id id)
{
	struct tree_path path;
	struct raw_entry entry;
	if (!find_path(root_of(stream->object), id, &path, &entry))
		return false;
	struct stream_root *root = stream_touched(stream);
	if (unlikely(path.leaf->back)) {
		cold_leaf_tell(stream, EDIT_LEAF, &path);
		(void)find_path(root, id, &path, &entry);
	}
	note_id(stream, EDIT_DELETE, id);
	delete_at(stream->shard, root, &path, &entry);
	return true;
}

/* How a block is trimmed, before anything is. */
struct plan {
	uint64_t removed;
	struct stream_id to; /* the last that goes */
};

static void plan_block(struct plan *plan, const struct leaf *leaf)
{
	plan->removed += leaf->count;
	plan->to = block_last(leaf);
}

static bool goes_whole(const struct stream_trim *how, const struct leaf *leaf, uint64_t left)
{
	return how->by_id ? stream_id_compare(block_last(leaf), how->least) < 0
	                  : left >= leaf->count && left - leaf->count >= how->length;
}

/* By ID; what is told by length is cut within it. */
static bool stays_whole(const struct stream_trim *how, const struct leaf *leaf)
{
	return how->by_id && stream_id_compare(block_fence(leaf).first, how->least) >= 0;
}

static void plan_entries(const struct stream_trim *how, const struct leaf *leaf, uint64_t left, struct plan *plan)
{
	struct raw_entry entry;
	const struct block_head *head = block_of(leaf);
	const uint8_t *at = leaf->bytes + head->first_at;
	for (; at != leaf->bytes + leaf->len; at = entry_end(&entry)) {
		entry_read(head, at, &entry);
		if (how->by_id ? stream_id_compare(entry.id, how->least) >= 0 : left <= how->length)
			return;
		if (entry.flags & ENTRY_DELETED)
			continue;
		plan->to = entry.id;
		plan->removed++;
		left--;
	}
}

static struct plan plan_trim(struct tree *tree, const struct stream_trim *how)
{
	struct plan plan = {0};
	struct tree_path path;
	for (bool more = tree_first(tree, &path); more; more = tree_next(&path)) {
		const struct leaf *leaf = path.leaf;
		uint64_t left = tree->count - plan.removed;
		if ((!how->by_id && left <= how->length) || (how->limit && plan.removed + leaf->count > how->limit))
			break;
		if (goes_whole(how, leaf, left)) {
			plan_block(&plan, leaf);
			continue;
		}
		if (!how->whole_blocks && (!leaf->away || !stays_whole(how, leaf)))
			plan_entries(how, leaf, left, &plan);
		break;
	}
	return plan;
}

uint64_t stream_trim(struct collection *stream, const struct stream_trim *how)
{
	struct plan plan = plan_trim(collection_tree(stream->object), how);
	struct tree_path path;
	if (plan.removed == 0)
		return 0;
	struct stream_root *root = stream_touched(stream);
	if (unlikely(root->tree.back > 0) && find_cut(&root->tree, plan.to, &path))
		cold_leaf_tell(stream, EDIT_LEAF, &path);
	note_id(stream, EDIT_TRIM, plan.to);
	trim(stream->shard, root, plan.to);
	return plan.removed;
}

void stream_set(struct collection *stream, struct stream_id last, uint64_t added, struct stream_id max_deleted)
{
	struct stream_root *root = stream_touched(stream);
	tell_last(stream);
	uint8_t *to = collection_edit(stream, 1 + 2 * sizeof(last) + sizeof(added));
	if (to) {
		*to++ = EDIT_SET;
		to = put(to, &last, sizeof(last));
		to = put(to, &added, sizeof(added));
		(void)put(to, &max_deleted, sizeof(max_deleted));
	}
	set(stream->shard, root, last, added, max_deleted);
}

/* ---- from payloads --------------------------------------------------------------------- */

static void pack_numbers(struct buf *out, struct stream_id last, uint64_t added, struct stream_id max_deleted)
{
	buf_append(out, slice_of(&last, sizeof(last)));
	buf_append(out, slice_of(&added, sizeof(added)));
	buf_append(out, slice_of(&max_deleted, sizeof(max_deleted)));
}

void stream_pack_begin(struct stream_pack *pack) { pack_new(&pack->packed, OBJECT_STREAM, &pack->leaves_at); }

/* Where the first entry and the last one that may be a mark are. */
static void pack_ends(struct stream_pack *pack, const uint8_t *bytes)
{
	struct raw_entry entry;
	const struct block_head *head = (const struct block_head *)bytes;
	if (pack->facts.blocks == 0) {
		entry_read(head, bytes + head->first_at, &entry);
		pack->facts.first = entry.id;
	}
	entry_read(head, bytes + head->last_at, &entry);
	pack->last = entry.id;
}

bool stream_pack_block(struct stream_pack *pack, struct stream_id id, struct slice packed)
{
	cleanup(buf_fini) struct buf bytes = {0};
	uint32_t count;
	if ((pack->facts.blocks > 0 && stream_id_compare(pack->last, id) >= 0) ||
	    !block_unpack(id, packed, &bytes, &count))
		return false;
	if (count == 0)
		return true;
	pack_ends(pack, bytes.ptr);
	pack_leaf(&pack->packed, pack->leaves_at, buf_slice(&bytes), count);
	pack->facts.blocks++;
	pack->facts.length += count;
	return true;
}

void stream_pack_facts(struct stream_pack *pack)
{
	cleanup(buf_fini) struct buf numbers = {0};
	pack_numbers(&numbers, pack->facts.last, pack->facts.added, pack->facts.max_deleted);
	pack_part(&pack->packed, buf_slice(&numbers), &pack->leaves_at);
}

void stream_pack_group(struct stream_pack *pack, const struct stream_group_facts *group)
{
	cleanup(buf_fini) struct buf head = {0};
	const struct pending *at = group->pending;
	group_pack_facts(group, &head);
	pack_part(&pack->packed, buf_slice(&head), &pack->leaves_at);
	for (uint64_t left = group->n_pending; left > 0;) {
		uint32_t n = left < IDS_LEAF ? (uint32_t)left : IDS_LEAF;
		pack_leaf(&pack->packed, pack->leaves_at, slice_of(at, n * sizeof(*at)), n);
		at += n;
		left -= n;
	}
}

void stream_pack_end(struct stream_pack *pack) { pack_end(&pack->packed); }

/* ---- the rows ------------------------------------------------------------------------- */

static const char *encoding(const struct object *object) { return "stream"; }

/* There are none. */
static bool check_small(struct slice bytes, enum collection_encoding form, uint32_t *out_count)
{
	(void)bytes, (void)form, (void)out_count;
	return false;
}

static bool check_leaf(struct shard *shard, struct slice bytes, uint32_t count, const struct leaf *before,
                       struct tree_key *out_key)
{
	struct stream_id id;
	(void)shard;
	if (!block_check(bytes, count, before, &id))
		return false;
	*out_key = stream_key(id);
	return true;
}

static bool check_away(struct slice bytes, uint32_t count)
{
	struct stream_id id;
	return block_check(bytes, count, NULL, &id);
}

enum { PART_STREAM, PART_GROUPS };

/* IDs and counts, then each group with what is pending in it. */
static bool part(const void *root_bytes, uint32_t i, struct buf *out, struct tree **out_tree)
{
	const struct stream_root *root = root_bytes;
	*out_tree = NULL;
	if (i >= PART_GROUPS + root->n_groups)
		return false;
	if (i == PART_STREAM) {
		pack_numbers(out, root->last, root->added, root->max_deleted);
		return true;
	}
	struct stream_group *group = root->groups[i - PART_GROUPS];
	group_pack(group, out);
	*out_tree = &group->pending;
	return true;
}

static bool add_part(struct shard *shard, void *root_bytes, uint32_t i, struct slice bytes, struct tree **out_tree)
{
	struct stream_root *root = root_bytes;
	*out_tree = NULL;
	if (i == PART_STREAM)
		return slice_take(&bytes, &root->last, sizeof(root->last)) &&
		       slice_take(&bytes, &root->added, sizeof(root->added)) &&
		       slice_take(&bytes, &root->max_deleted, sizeof(root->max_deleted)) && bytes.len == 0;
	struct stream_group *group = group_unpack(shard, root, bytes);
	if (!group)
		return false;
	*out_tree = &group->pending;
	return true;
}

static bool check_part_leaf(struct slice bytes, uint32_t count, const struct leaf *before, struct tree_key *out_key)
{
	struct stream_id id;
	if (!ids_check(bytes, count, sizeof(struct pending), before))
		return false;
	memcpy(&id, bytes.ptr, sizeof(id));
	*out_key = stream_key(id);
	return true;
}

static bool complete(struct shard *shard, void *root_bytes)
{
	struct stream_root *root = root_bytes;
	struct tree_path path;
	for (uint32_t i = 0; i < root->n_groups; i++)
		if (!group_complete(shard, root->groups[i]))
			return false;
	return !tree_last(&root->tree, &path) || stream_id_compare(block_last(path.leaf), root->last) <= 0;
}

static void let_go(struct shard *shard, void *root) { groups_let_go(shard, root); }
static void share(struct shard *shard, void *root, void *to) { groups_share(shard, root, to); }
static size_t rest_memory(const void *root) { return groups_memory(root); }
static uint64_t rest_leaves(const void *root) { return groups_leaves(root); }

static const struct collection_kind entries = {
        .root_size = sizeof(struct stream_root),
        .check_small = check_small,
        .check_leaf = check_leaf,
        .check_away = check_away,
        .fence_size = sizeof(struct block_fence),
        .fence = block_take_fence,
        .check_fence = block_check_fence,
        .reach = reach_own,
        .complete = complete,
        .let_go = let_go,
        .share = share,
        .stays_empty = true,
        .part = part,
        .add_part = add_part,
        .check_part_leaf = check_part_leaf,
        .memory = rest_memory,
        .rest_leaves = rest_leaves,
        .apply = apply,
};

const struct object_kind stream_kind = COLLECTION_KIND("stream", encoding, &entries);
