/* stream_private.h -- what the files that implement streams share.
 *
 *   block    head | names of fields, packed | entries
 *   entry    flags | milliseconds | number | (fields that differ: how many | name, value ...) or (values ...) |
 *            elements before this one; each a packed element, the ID counted from the block's
 */
#pragma once

#include "storage/keyspace/cold_leaf.h"
#include "storage/keyspace/collection_private.h"
#include "storage/keyspace/stream.h"
#include "storage/keyspace/stream_groups.h"

struct stream_root {
	union {
		struct tree tree;
		struct leaving_root leaving;
	};
	struct stream_id last, max_deleted;
	uint64_t added;
	struct stream_group **groups; /* in the order of their names */
	uint32_t n_groups, groups_cap;
};
static_assert(offsetof(struct stream_root, tree) == 0, "as every root");

static inline struct stream_root *root_of(const struct object *stream) { return body_of(stream)->ptr; }

/* After collection_touch(): a new stream has a root. */
struct stream_root *stream_touched(struct collection *stream);

/* The first byte of an edit. */
enum stream_edit {
	EDIT_ADD = 1, /* shared 1, ID, how many 4, and then names and values: apart if shared, else by turns; packed */
	EDIT_DELETE,  /* ID */
	EDIT_TRIM,    /* ID: of the first that stays */
	EDIT_SET,     /* last ID, added 8, greatest ID deleted */
	EDIT_GROUPS,  /* this and some behind: see stream_groups.c */
	EDIT_LEAF = 64, /* see cold_leaf_tell() */
};

/* ---- blocks: stream_block.c ------------------------------------------------------------ */

struct block_head {
	struct stream_id id;
	uint32_t n_fields;
	uint32_t deleted;  /* entries that are nothing but marks */
	uint32_t first_at; /* the first entry that is more, counted from the head */
	uint32_t last_at;  /* the last entry, a mark or not */
};
static_assert(sizeof(struct block_head) == 32, "in the log and in images");

static inline struct block_head *block_of(const struct leaf *leaf)
{
	assert(!leaf->away);
	return (struct block_head *)leaf->bytes;
}

/* What is known of any block, whether it is in memory or not. */
struct block_fence {
	struct stream_id id, first, last_living; /* by which the tree finds it; of entries that are more than marks */
	struct stream_id last;                   /* a mark or not */
};
static_assert(sizeof(struct block_fence) <= COLD_FENCE_MAX, "in images");
struct block_fence block_fence(const struct leaf *leaf);

/* A name or value on its way in: text, or in packed form. */
struct stream_item {
	struct slice text;
	struct slice packed; /* ptr NULL: the text says it */
};

/* What is to be added: 2 * n items, names and values by turns. */
struct stream_items {
	const struct stream_item *items;
	uint32_t n;
	size_t text_len; /* of all */
	size_t room;     /* packed, at most; of the names alone */
	size_t names_room;
};
struct stream_items stream_items(const struct stream_item *items, uint32_t n);

/* Adds an entry behind all others, to the last block or a new one. `tree` may be empty. What was added: the packed
 * names and values as they lie in the block: names that are the block's, else by turns. */
struct stream_added {
	struct slice names; /* shared: the block's; ptr NULL: they stand by turns with the values */
	struct slice values;
};
struct stream_added block_add(struct shard *shard, struct tree *tree, struct stream_id id,
                              const struct stream_items *items);

/* An entry as it lies there. */
struct raw_entry {
	const uint8_t *at;
	uint32_t flags, n_fields;
	struct stream_id id;
	const uint8_t *values;
};
enum { ENTRY_DELETED = 1, ENTRY_SHARED = 2 };

void entry_read(const struct block_head *head, const uint8_t *at, struct raw_entry *out);
const uint8_t *entry_end(const struct raw_entry *entry);
const uint8_t *entry_before(const uint8_t *end); /* that ends there */
const uint8_t *block_names(const struct block_head *head);
struct stream_id block_last(const struct leaf *leaf); /* also of one that is away, as in its fence */

/* Makes marks of entries up to `to` (of the one entry at `at`), in an owned leaf; how many were more before. None
 * may be left: the caller removes the leaf then. */
uint32_t block_cut(struct leaf *leaf, struct stream_id to);
void block_mark(struct leaf *leaf, const uint8_t *at);

/* Takes off the end of an owned leaf what is greater than `last`: marks, which entries are before. The length left. */
uint32_t block_shed(struct leaf *leaf, struct stream_id last);

/* Is this a sound block with `count` entries that are more than marks, behind `before`? Such a block's fence; and is
 * this a fence of one behind `before`? */
bool block_check(struct slice bytes, uint32_t count, const struct leaf *before, struct stream_id *out_id);
void block_take_fence(struct slice bytes, uint8_t *out);
bool block_check_fence(const uint8_t *bytes, const struct leaf *before, struct tree_key *out_key);

/* From and to the elements of Redis' listpacks; a block of nothing but marks becomes none: *out_count is 0. */
void block_pack(const struct leaf *leaf, struct buf *out, uint32_t *out_elements);
bool block_unpack(struct stream_id id, struct slice packed, struct buf *out, uint32_t *out_count);

/* ---- groups: stream_groups.c ----------------------------------------------------------- */

void groups_let_go(struct shard *shard, struct stream_root *root);
void groups_share(struct shard *shard, const struct stream_root *root, struct stream_root *to);
size_t groups_memory(const struct stream_root *root);
uint64_t groups_leaves(const struct stream_root *root);
void group_pack(const struct stream_group *group, struct buf *out);
void group_pack_facts(const struct stream_group_facts *group, struct buf *out); /* the same */
struct stream_group *group_unpack(struct shard *shard, struct stream_root *root, struct slice packed);
bool group_complete(struct shard *shard, struct stream_group *group);
bool groups_apply(struct collection *stream, uint8_t edit, struct slice *edits);

/* ---- blocks that are not in memory: stream.c --------------------------------------------- */

/* Are they, of those that a walk shows `n` entries of? For edits that come from disk. */
bool stream_walk_lacks(const struct stream_walk *walk, uint64_t n);

/* An edit is to be told that reads `n` entries from an ID on: the log learns those that it may not know. */
void stream_tell(struct collection *stream, struct stream_id from, uint64_t n);
