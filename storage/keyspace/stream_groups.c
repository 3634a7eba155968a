/* Groups, consumers, and what is pending.
 *
 * Edits name a group and a consumer by their places in the order of names, 4 bytes each; a name is its length 4 and its
 * bytes. Packed, a group is
 *
 *   name | last ID | entries read 8 | numbers 4 | each: name (length 0xffffffff: the number is free) | seen 8
 *
 * and what is pending in it follows in leaves; what is pending at consumers is made from that. */
#include "storage/keyspace/stream_groups.h"

#include "engine/base/buf.h"
#include "engine/memory/slab.h"
#include "storage/keyspace/stream_private.h"

enum { ARRAY_MIN = 4 };
static const uint32_t no_name = UINT32_MAX;
static const size_t pending_size = sizeof(struct pending), id_size = sizeof(struct stream_id);

/* ---- names and arrays ------------------------------------------------------------------- */

static struct slice name_keep(struct shard *shard, struct slice name)
{
	if (name.len == 0)
		return S("");
	uint8_t *kept = value_take(shard, name.len);
	memcpy(kept, name.ptr, name.len);
	return slice_of(kept, name.len);
}

static void name_give(struct shard *shard, struct slice name)
{
	if (name.len > 0)
		value_give(shard, (void *)name.ptr, name.len);
}

/* An array with room for more than `n`. */
static void *array_more(struct shard *shard, void *array, uint32_t n, uint32_t cap, uint32_t new_cap, size_t size)
{
	void *more = value_take(shard, new_cap * size);
	if (cap > 0) {
		memcpy(more, array, n * size);
		value_give(shard, array, cap * size);
	}
	return more;
}

static uint32_t cap_for(uint32_t n) { return n < ARRAY_MIN ? ARRAY_MIN : 2 * n; }

/* The first group whose name is not before. */
static uint32_t group_place(const struct stream_root *root, struct slice name)
{
	uint32_t from = 0, to = root->n_groups;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (slice_compare(root->groups[middle]->name, name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static uint32_t consumer_place(const struct stream_group *group, struct slice name)
{
	uint32_t from = 0, to = group->n_consumers;
	while (from < to) {
		uint32_t middle = (from + to) / 2;
		if (slice_compare(group->consumers[group->order[middle]]->name, name) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* ---- reading -------------------------------------------------------------------------- */

uint32_t stream_groups(const struct object *stream) { return root_of(stream)->n_groups; }

struct stream_group *stream_group_at(const struct object *stream, uint32_t at) { return root_of(stream)->groups[at]; }

static struct stream_group *find_group(const struct stream_root *root, struct slice name)
{
	uint32_t at = group_place(root, name);
	return at < root->n_groups && slice_equal(root->groups[at]->name, name) ? root->groups[at] : NULL;
}

struct stream_group *stream_group(const struct object *stream, struct slice name)
{
	return find_group(root_of(stream), name);
}

struct stream_consumer *group_consumer_at(const struct stream_group *group, uint32_t at)
{
	return group->consumers[group->order[at]];
}

struct stream_consumer *group_consumer(const struct stream_group *group, struct slice name)
{
	uint32_t at = consumer_place(group, name);
	if (at == group->n_consumers || !slice_equal(group_consumer_at(group, at)->name, name))
		return NULL;
	return group_consumer_at(group, at);
}

uint64_t stream_group_tag(struct slice name) { return key_hash(0, name); }

const struct stream_group *stream_group_tagged(const struct object *stream, uint64_t tag)
{
	for (uint32_t i = 0; i < stream_groups(stream); i++)
		if (stream_group_tag(stream_group_at(stream, i)->name) == tag)
			return stream_group_at(stream, i);
	return NULL;
}

bool group_pending_from(const struct stream_group *group, uint64_t limit, struct stream_id *from,
                        struct stream_id *out_to)
{
	struct tree pending = group->pending; /* paths may lead to changes, these do not */
	struct ids_walk walk;
	const struct pending *one;
	uint64_t n = 0;
	ids_walk(&pending, pending_size, *from, &walk);
	for (; n < limit && (one = ids_next(&walk, pending_size)); n++) {
		*from = n == 0 ? one->id : *from;
		*out_to = one->id;
	}
	return n > 0;
}

/* ---- how much was read ------------------------------------------------------------------ */

/* May an entry from `id` on have been deleted by name? */
static bool deleted_from(const struct stream_facts *facts, struct stream_id id)
{
	return facts->length > 0 && !stream_id_is_zero(facts->max_deleted) &&
	       stream_id_compare(facts->first, facts->max_deleted) <= 0 &&
	       stream_id_compare(id, facts->max_deleted) <= 0;
}

int64_t stream_entries_up_to(const struct stream_facts *facts, struct stream_id id)
{
	int to_last = stream_id_compare(id, facts->last);
	if (facts->added == 0)
		return 0;
	if ((facts->length == 0 && to_last <= 0) || to_last == 0)
		return (int64_t)facts->added;
	if (to_last > 0)
		return ENTRIES_READ_UNKNOWN;
	int to_first = stream_id_compare(id, facts->first);
	bool whole = stream_id_is_zero(facts->max_deleted) || stream_id_compare(facts->max_deleted, facts->first) < 0;
	if (whole && to_first <= 0)
		return (int64_t)(facts->added - facts->length + (to_first == 0));
	return ENTRIES_READ_UNKNOWN;
}

bool group_lag(const struct object *stream, const struct stream_group *group, int64_t *out)
{
	struct stream_facts facts;
	int64_t read = group->entries_read;
	stream_facts(stream, &facts);
	*out = 0;
	if (facts.added == 0)
		return true;
	if (read == ENTRIES_READ_UNKNOWN || deleted_from(&facts, group->last))
		read = stream_entries_up_to(&facts, group->last);
	*out = (int64_t)(facts.added - (uint64_t)read);
	return read != ENTRIES_READ_UNKNOWN;
}

/* ---- consumers ------------------------------------------------------------------------ */

static void make_numbers(struct shard *shard, struct stream_group *group, uint32_t n)
{
	uint32_t cap = cap_for(n);
	group->consumers = array_more(shard, group->consumers, group->numbers, group->cap, cap, sizeof(void *));
	group->order = array_more(shard, group->order, group->n_consumers, group->cap, cap, sizeof(uint32_t));
	group->cap = cap;
}

static uint32_t free_number(struct shard *shard, struct stream_group *group)
{
	if (group->n_consumers < group->numbers)
		for (uint32_t number = 0;; number++)
			if (!group->consumers[number])
				return number;
	if (group->numbers == group->cap)
		make_numbers(shard, group, group->numbers);
	return group->numbers++;
}

/* As consumer `number`, which is free; there is none of that name. */
static struct stream_consumer *consumer_put(struct shard *shard, struct stream_group *group, uint32_t number,
                                            struct slice name, int64_t seen_ms)
{
	uint32_t at = consumer_place(group, name);
	struct stream_consumer *consumer = value_take(shard, sizeof(*consumer));
	*consumer = (struct stream_consumer){.name = name_keep(shard, name), .seen_ms = seen_ms};
	memmove(group->order + at + 1, group->order + at, (group->n_consumers - at) * sizeof(uint32_t));
	group->order[at] = number;
	group->consumers[number] = consumer;
	group->n_consumers++;
	return consumer;
}

static void consumer_free(struct shard *shard, struct stream_consumer *consumer)
{
	tree_doom(shard, &consumer->pending);
	name_give(shard, consumer->name);
	value_give(shard, consumer, sizeof(*consumer));
}

static uint32_t number_of(const struct stream_group *group, const struct stream_consumer *consumer)
{
	return group->order[consumer_place(group, consumer->name)];
}

/* What is pending at it is pending no more. */
static void consumer_remove(struct shard *shard, struct stream_group *group, struct stream_consumer *consumer)
{
	struct ids_walk walk;
	const struct stream_id *id;
	uint32_t at = consumer_place(group, consumer->name), number = group->order[at];
	if (consumer->pending.count == group->pending.count) {
		tree_doom(shard, &group->pending);
		group->pending = (struct tree){0};
	} else {
		ids_walk(&consumer->pending, id_size, (struct stream_id){0}, &walk);
		while ((id = ids_next(&walk, id_size)))
			(void)ids_remove(shard, &group->pending, pending_size, *id);
	}
	memmove(group->order + at, group->order + at + 1, (group->n_consumers - at - 1) * sizeof(uint32_t));
	group->consumers[number] = NULL;
	group->n_consumers--;
	consumer_free(shard, consumer);
}

/* ---- groups --------------------------------------------------------------------------- */

static struct stream_group *group_put(struct shard *shard, struct stream_root *root, struct slice name,
                                      struct stream_id last, int64_t entries_read)
{
	uint32_t at = group_place(root, name);
	struct stream_group *group = value_take(shard, sizeof(*group));
	*group = (struct stream_group){.name = name_keep(shard, name), .last = last, .entries_read = entries_read};
	if (root->n_groups == root->groups_cap) {
		uint32_t cap = cap_for(root->n_groups);
		root->groups = array_more(shard, root->groups, root->n_groups, root->groups_cap, cap, sizeof(void *));
		root->groups_cap = cap;
	}
	memmove(root->groups + at + 1, root->groups + at, (root->n_groups - at) * sizeof(void *));
	root->groups[at] = group;
	root->n_groups++;
	return group;
}

static void group_free(struct shard *shard, struct stream_group *group)
{
	for (uint32_t number = 0; number < group->numbers; number++)
		if (group->consumers[number])
			consumer_free(shard, group->consumers[number]);
	if (group->cap > 0) {
		value_give(shard, group->consumers, group->cap * sizeof(void *));
		value_give(shard, group->order, group->cap * sizeof(uint32_t));
	}
	tree_doom(shard, &group->pending);
	name_give(shard, group->name);
	value_give(shard, group, sizeof(*group));
}

static void group_remove(struct shard *shard, struct stream_root *root, struct stream_group *group)
{
	uint32_t at = group_place(root, group->name);
	memmove(root->groups + at, root->groups + at + 1, (root->n_groups - at - 1) * sizeof(void *));
	root->n_groups--;
	group_free(shard, group);
}

void groups_let_go(struct shard *shard, struct stream_root *root)
{
	for (uint32_t i = 0; i < root->n_groups; i++)
		group_free(shard, root->groups[i]);
	if (root->groups_cap > 0)
		value_give(shard, root->groups, root->groups_cap * sizeof(void *));
	root->n_groups = root->groups_cap = 0;
}

static struct stream_consumer *consumer_share(struct shard *shard, struct stream_consumer *consumer)
{
	struct stream_consumer *copy = value_take(shard, sizeof(*copy));
	*copy = (struct stream_consumer){.name = name_keep(shard, consumer->name),
	                                 .seen_ms = consumer->seen_ms,
	                                 .pending = tree_share(&consumer->pending)};
	return copy;
}

static struct stream_group *group_share(struct shard *shard, struct stream_group *group)
{
	struct stream_group *copy = value_take(shard, sizeof(*copy));
	*copy = *group;
	copy->name = name_keep(shard, group->name);
	copy->pending = tree_share(&group->pending);
	if (group->cap == 0)
		return copy;
	copy->consumers = value_take(shard, group->cap * sizeof(void *));
	copy->order = value_take(shard, group->cap * sizeof(uint32_t));
	memcpy(copy->order, group->order, group->n_consumers * sizeof(uint32_t));
	for (uint32_t number = 0; number < group->numbers; number++) {
		struct stream_consumer *consumer = group->consumers[number];
		copy->consumers[number] = consumer ? consumer_share(shard, consumer) : NULL;
	}
	return copy;
}

void groups_share(struct shard *shard, const struct stream_root *root, struct stream_root *to)
{
	if (root->groups_cap == 0)
		return;
	to->groups = value_take(shard, root->groups_cap * sizeof(void *));
	for (uint32_t i = 0; i < root->n_groups; i++)
		to->groups[i] = group_share(shard, root->groups[i]);
}

static size_t consumer_memory(const struct stream_consumer *consumer)
{
	return slab_size(sizeof(*consumer)) + (consumer->name.len ? slab_size(consumer->name.len) : 0) +
	       consumer->pending.memory;
}

static size_t group_memory(const struct stream_group *group)
{
	size_t memory =
	        slab_size(sizeof(*group)) + (group->name.len ? slab_size(group->name.len) : 0) + group->pending.memory;
	if (group->cap > 0)
		memory += slab_size(group->cap * sizeof(void *)) + slab_size(group->cap * sizeof(uint32_t));
	for (uint32_t number = 0; number < group->numbers; number++)
		if (group->consumers[number])
			memory += consumer_memory(group->consumers[number]);
	return memory;
}

size_t groups_memory(const struct stream_root *root)
{
	size_t memory = root->groups_cap ? slab_size(root->groups_cap * sizeof(void *)) : 0;
	for (uint32_t i = 0; i < root->n_groups; i++)
		memory += group_memory(root->groups[i]);
	return memory;
}

uint64_t groups_leaves(const struct stream_root *root)
{
	uint64_t leaves = 0;
	for (uint32_t i = 0; i < root->n_groups; i++)
		leaves += root->groups[i]->pending.leaves + root->groups[i]->numbers;
	return leaves;
}

/* ---- pending entries -------------------------------------------------------------------- */

static void claim(struct shard *shard, struct stream_group *group, struct stream_consumer *consumer,
                  struct stream_id id, int64_t delivered_ms, uint64_t deliveries)
{
	uint32_t number = number_of(group, consumer);
	struct pending fresh = {.id = id}, *pending = ids_own(shard, &group->pending, pending_size, id);
	pending_set(&fresh, number, delivered_ms, deliveries);
	if (!pending) {
		(void)ids_insert(shard, &group->pending, pending_size, &fresh);
		(void)ids_insert(shard, &consumer->pending, id_size, &id);
		return;
	}
	struct stream_consumer *before = pending_owner(group, pending);
	memcpy(pending, &fresh, sizeof(fresh));
	if (before == consumer)
		return;
	(void)ids_remove(shard, &before->pending, id_size, id);
	(void)ids_insert(shard, &consumer->pending, id_size, &id);
}

/* What is mostly new is tried as such. */
static void note_pending(struct shard *shard, struct stream_group *group, struct stream_consumer *consumer,
                         uint32_t number, struct stream_id id, int64_t now_ms)
{
	struct pending pending = {.id = id};
	pending_set(&pending, number, now_ms, 1);
	if (likely(ids_insert(shard, &group->pending, pending_size, &pending)))
		(void)ids_insert(shard, &consumer->pending, id_size, &id);
	else
		claim(shard, group, consumer, id, now_ms, 1);
}

static void deliver(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                    struct stream_walk *walk, uint32_t n, bool noted, int64_t now_ms)
{
	struct stream_facts facts;
	struct stream_entry entry;
	uint32_t number = number_of(group, consumer);
	stream_facts(stream->object, &facts);
	consumer->seen_ms = now_ms;
	while (n-- > 0 && stream_next(walk, &entry)) {
		if (group->entries_read != ENTRIES_READ_UNKNOWN && !deleted_from(&facts, entry.id))
			group->entries_read =
			        (int64_t)((uint64_t)group->entries_read + 1); /* it is what a client said */
		else if (facts.added > 0)
			group->entries_read = stream_entries_up_to(&facts, entry.id);
		group->last = entry.id;
		if (noted)
			note_pending(stream->shard, group, consumer, number, entry.id, now_ms);
	}
}

static void repeat(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                   struct stream_id from, uint64_t n, int64_t now_ms)
{
	struct ids_walk walk;
	struct stream_entry entry;
	const struct stream_id *id;
	consumer->seen_ms = now_ms;
	ids_walk(&consumer->pending, id_size, from, &walk);
	while (n-- > 0 && (id = ids_next(&walk, id_size))) {
		if (!stream_find(stream->object, *id, &entry))
			continue;
		struct pending *pending = ids_own(stream->shard, &group->pending, pending_size, *id);
		assert(pending);
		pending_set(pending, pending_consumer(pending), now_ms, pending->deliveries + 1);
	}
}

static void acknowledge(struct shard *shard, struct stream_group *group, const struct pending *pending)
{
	struct stream_id id = pending->id;
	(void)ids_remove(shard, &pending_owner(group, pending)->pending, id_size, id);
	(void)ids_remove(shard, &group->pending, pending_size, id);
}

/* ---- edits ---------------------------------------------------------------------------- */

enum group_edit {
	EDIT_GROUP_CREATE = EDIT_GROUPS, /* name, last ID, entries read 8 */
	EDIT_GROUP_SET,                  /* group, last ID, entries read 8 */
	EDIT_GROUP_DESTROY,              /* group */
	EDIT_CONSUMER_CREATE,            /* group, name, time 8 */
	EDIT_CONSUMER_DELETE,            /* group, consumer */
	EDIT_DELIVER,                    /* group, consumer, how many 4, noted 1, time 8 */
	EDIT_REPEAT,                     /* group, consumer, ID, how many 8, time 8 */
	EDIT_CLAIM,                      /* group, consumer, ID, time 8, deliveries 8 */
	EDIT_ACKNOWLEDGE,                /* group, ID */
};

/* Tells an edit and what it has, one behind the other. */
static void say(struct collection *stream, enum group_edit edit, const struct slice *parts, int n)
{
	size_t len = 1;
	for (int i = 0; i < n; i++)
		len += parts[i].len;
	uint8_t *to = collection_edit(stream, len);
	if (!to)
		return;
	*to++ = (uint8_t)edit;
	for (int i = 0; i < n; i++) {
		if (parts[i].len > 0)
			memcpy(to, parts[i].ptr, parts[i].len);
		to += parts[i].len;
	}
}

#define PART(variable) slice_of(&(variable), sizeof(variable))
#define SAY(stream, edit, ...)                                 \
	say(stream, edit, (const struct slice[]){__VA_ARGS__}, \
	    (int)(sizeof((const struct slice[]){__VA_ARGS__}) / sizeof(struct slice)))

#define TAKE(edits, variable) slice_take(edits, &(variable), sizeof(variable))

static bool take_name(struct slice *edits, struct slice *out)
{
	uint32_t len;
	if (!TAKE(edits, len) || len > edits->len)
		return false;
	*out = slice_sub(*edits, 0, len);
	*edits = slice_sub(*edits, len, edits->len);
	return true;
}

static bool take_group(const struct stream_root *root, struct slice *edits, struct stream_group **out)
{
	uint32_t at;
	if (!TAKE(edits, at) || at >= root->n_groups)
		return false;
	*out = root->groups[at];
	return true;
}

static bool take_both(const struct stream_root *root, struct slice *edits, struct stream_group **group,
                      struct stream_consumer **consumer)
{
	uint32_t at;
	if (!take_group(root, edits, group) || !TAKE(edits, at) || at >= (*group)->n_consumers)
		return false;
	*consumer = group_consumer_at(*group, at);
	return true;
}

static bool apply_create(struct collection *stream, struct slice *edits)
{
	struct stream_root *root = root_of(stream->object);
	struct slice name;
	struct stream_id last;
	int64_t entries_read;
	if (!take_name(edits, &name) || !TAKE(edits, last) || !TAKE(edits, entries_read) || find_group(root, name))
		return false;
	(void)group_put(stream->shard, root, name, last, entries_read);
	return true;
}

static bool apply_group(struct collection *stream, enum group_edit edit, struct slice *edits)
{
	struct stream_root *root = root_of(stream->object);
	struct stream_group *group;
	struct stream_id id;
	int64_t number;
	struct slice name;
	const struct pending *pending;
	if (!take_group(root, edits, &group))
		return false;
	switch (edit) {
	case EDIT_GROUP_SET:
		if (!TAKE(edits, group->last) || !TAKE(edits, group->entries_read))
			return false;
		return true;
	case EDIT_GROUP_DESTROY:
		group_remove(stream->shard, root, group);
		return true;
	case EDIT_CONSUMER_CREATE:
		if (!take_name(edits, &name) || !TAKE(edits, number) || group_consumer(group, name))
			return false;
		(void)consumer_put(stream->shard, group, free_number(stream->shard, group), name, number);
		return true;
	default: /* EDIT_ACKNOWLEDGE */
		if (!TAKE(edits, id) || !(pending = ids_find(&group->pending, pending_size, id)))
			return false;
		acknowledge(stream->shard, group, pending);
		return true;
	}
}

static bool apply_deliver(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                          struct slice *edits)
{
	uint32_t n;
	uint8_t noted;
	int64_t now_ms;
	struct stream_walk walk;
	struct stream_id from = group->last;
	if (!TAKE(edits, n) || !TAKE(edits, noted) || !TAKE(edits, now_ms) || !stream_id_increment(&from))
		return false;
	stream_walk(stream->object, from, STREAM_ID_MAX, false, &walk);
	if (unlikely(object_has_away(stream->object)) && stream_walk_lacks(&walk, n))
		return false;
	deliver(stream, group, consumer, &walk, n, noted, now_ms);
	return true;
}

/* Is there an entry among those that are repeated that may be in a block that is not in memory? */
static bool repeat_lacks(const struct object *stream, struct stream_consumer *consumer, struct stream_id from,
                         uint64_t n)
{
	struct ids_walk ids;
	struct stream_walk walk;
	const struct stream_id *id;
	bool lacks = false;
	ids_walk(&consumer->pending, id_size, from, &ids);
	while (!lacks && n-- > 0 && (id = ids_next(&ids, id_size))) {
		stream_walk(stream, *id, *id, false, &walk);
		lacks = stream_walk_lacks(&walk, 1);
	}
	return lacks;
}

static bool apply_both(struct collection *stream, enum group_edit edit, struct slice *edits)
{
	struct stream_group *group;
	struct stream_consumer *consumer;
	struct stream_id id;
	int64_t time_ms;
	uint64_t n;
	if (!take_both(root_of(stream->object), edits, &group, &consumer))
		return false;
	switch (edit) {
	case EDIT_CONSUMER_DELETE:
		consumer_remove(stream->shard, group, consumer);
		return true;
	case EDIT_DELIVER:
		return apply_deliver(stream, group, consumer, edits);
	case EDIT_REPEAT:
		if (!TAKE(edits, id) || !TAKE(edits, n) || !TAKE(edits, time_ms) ||
		    (unlikely(object_has_away(stream->object)) && repeat_lacks(stream->object, consumer, id, n)))
			return false;
		repeat(stream, group, consumer, id, n, time_ms);
		return true;
	default: /* EDIT_CLAIM */
		if (!TAKE(edits, id) || !TAKE(edits, time_ms) || !TAKE(edits, n))
			return false;
		claim(stream->shard, group, consumer, id, time_ms, n);
		return true;
	}
}

bool groups_apply(struct collection *stream, uint8_t edit, struct slice *edits)
{
	switch (edit) {
	case EDIT_GROUP_CREATE:
		return apply_create(stream, edits);
	case EDIT_GROUP_SET:
	case EDIT_GROUP_DESTROY:
	case EDIT_CONSUMER_CREATE:
	case EDIT_ACKNOWLEDGE:
		return apply_group(stream, edit, edits);
	case EDIT_CONSUMER_DELETE:
	case EDIT_DELIVER:
	case EDIT_REPEAT:
	case EDIT_CLAIM:
		return apply_both(stream, edit, edits);
	}
	return false;
}

/* ---- changing ------------------------------------------------------------------------- */

static uint32_t place_of(const struct collection *stream, const struct stream_group *group)
{
	return group_place(root_of(stream->object), group->name);
}

void group_create(struct collection *stream, struct slice name, struct stream_id last, int64_t entries_read)
{
	struct stream_root *root = stream_touched(stream);
	uint32_t len = (uint32_t)name.len;
	SAY(stream, EDIT_GROUP_CREATE, PART(len), name, PART(last), PART(entries_read));
	(void)group_put(stream->shard, root, name, last, entries_read);
}

void group_set(struct collection *stream, struct stream_group *group, struct stream_id last, int64_t entries_read)
{
	(void)stream_touched(stream);
	uint32_t at = place_of(stream, group);
	SAY(stream, EDIT_GROUP_SET, PART(at), PART(last), PART(entries_read));
	group->last = last;
	group->entries_read = entries_read;
}

void group_destroy(struct collection *stream, struct stream_group *group)
{
	struct stream_root *root = stream_touched(stream);
	uint32_t at = place_of(stream, group);
	SAY(stream, EDIT_GROUP_DESTROY, PART(at));
	group_remove(stream->shard, root, group);
}

struct stream_consumer *consumer_create(struct collection *stream, struct stream_group *group, struct slice name,
                                        int64_t now_ms)
{
	(void)stream_touched(stream);
	uint32_t at = place_of(stream, group), len = (uint32_t)name.len;
	SAY(stream, EDIT_CONSUMER_CREATE, PART(at), PART(len), name, PART(now_ms));
	return consumer_put(stream->shard, group, free_number(stream->shard, group), name, now_ms);
}

void consumer_delete(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer)
{
	(void)stream_touched(stream);
	uint32_t at = place_of(stream, group), which = consumer_place(group, consumer->name);
	SAY(stream, EDIT_CONSUMER_DELETE, PART(at), PART(which));
	consumer_remove(stream->shard, group, consumer);
}

void group_deliver(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                   const struct stream_walk *walk, uint32_t n, bool noted, int64_t now_ms)
{
	struct stream_walk copy = *walk; /* a block that is told may be another then: this one stays while others have it */
	(void)stream_touched(stream);
	stream_tell(stream, walk->from, n);
	uint32_t at = place_of(stream, group), which = consumer_place(group, consumer->name);
	uint8_t flag = noted;
	SAY(stream, EDIT_DELIVER, PART(at), PART(which), PART(n), PART(flag), PART(now_ms));
	deliver(stream, group, consumer, &copy, n, noted, now_ms);
}

/* Whoever applies the edit looks whether the entries are there. */
static void tell_repeated(struct collection *stream, struct stream_consumer *consumer, struct stream_id from,
                          uint64_t n)
{
	struct ids_walk ids;
	const struct stream_id *id;
	ids_walk(&consumer->pending, id_size, from, &ids);
	while (collection_tree(stream->object)->back > 0 && n-- > 0 && (id = ids_next(&ids, id_size)))
		stream_tell(stream, *id, 0);
}

void group_repeat(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                  struct stream_id from, uint64_t n, int64_t now_ms)
{
	(void)stream_touched(stream);
	tell_repeated(stream, consumer, from, n);
	uint32_t at = place_of(stream, group), which = consumer_place(group, consumer->name);
	SAY(stream, EDIT_REPEAT, PART(at), PART(which), PART(from), PART(n), PART(now_ms));
	repeat(stream, group, consumer, from, n, now_ms);
}

void group_claim(struct collection *stream, struct stream_group *group, struct stream_consumer *consumer,
                 struct stream_id id, int64_t delivered_ms, uint64_t deliveries)
{
	(void)stream_touched(stream);
	uint32_t at = place_of(stream, group), which = consumer_place(group, consumer->name);
	SAY(stream, EDIT_CLAIM, PART(at), PART(which), PART(id), PART(delivered_ms), PART(deliveries));
	claim(stream->shard, group, consumer, id, delivered_ms, deliveries);
}

bool group_acknowledge(struct collection *stream, struct stream_group *group, struct stream_id id)
{
	const struct pending *pending = ids_find(&group->pending, pending_size, id);
	if (!pending)
		return false;
	(void)stream_touched(stream);
	uint32_t at = place_of(stream, group);
	SAY(stream, EDIT_ACKNOWLEDGE, PART(at), PART(id));
	acknowledge(stream->shard, group, pending);
	return true;
}

/* ---- packing -------------------------------------------------------------------------- */

static void put(struct buf *out, const void *bytes, size_t size) { buf_append(out, slice_of(bytes, size)); }

static void pack_head(struct buf *out, struct slice name, struct stream_id last, int64_t entries_read, uint32_t numbers)
{
	uint32_t len = (uint32_t)name.len;
	put(out, &len, sizeof(len));
	buf_append(out, name);
	put(out, &last, sizeof(last));
	put(out, &entries_read, sizeof(entries_read));
	put(out, &numbers, sizeof(numbers));
}

static void pack_consumer(struct buf *out, struct slice name, int64_t seen_ms)
{
	uint32_t len = (uint32_t)name.len;
	put(out, &len, sizeof(len));
	buf_append(out, name);
	put(out, &seen_ms, sizeof(seen_ms));
}

void group_pack(const struct stream_group *group, struct buf *out)
{
	pack_head(out, group->name, group->last, group->entries_read, group->numbers);
	for (uint32_t number = 0; number < group->numbers; number++) {
		const struct stream_consumer *consumer = group->consumers[number];
		if (consumer)
			pack_consumer(out, consumer->name, consumer->seen_ms);
		else
			put(out, &no_name, sizeof(no_name));
	}
}

void group_pack_facts(const struct stream_group_facts *group, struct buf *out)
{
	pack_head(out, group->name, group->last, group->entries_read, group->n_consumers);
	for (uint32_t i = 0; i < group->n_consumers; i++)
		pack_consumer(out, group->consumers[i].name, group->consumers[i].seen_ms);
}

static bool unpack_consumer(struct shard *shard, struct stream_group *group, uint32_t number, struct slice *packed)
{
	struct slice name;
	int64_t seen_ms;
	if (packed->len >= sizeof(no_name) && memcmp(packed->ptr, &no_name, sizeof(no_name)) == 0) {
		*packed = slice_sub(*packed, sizeof(no_name), packed->len);
		return true;
	}
	if (!take_name(packed, &name) || !TAKE(packed, seen_ms) || group_consumer(group, name))
		return false;
	(void)consumer_put(shard, group, number, name, seen_ms);
	return true;
}

struct stream_group *group_unpack(struct shard *shard, struct stream_root *root, struct slice packed)
{
	struct slice name;
	struct stream_id last;
	int64_t entries_read;
	uint32_t numbers;
	if (!take_name(&packed, &name) || !TAKE(&packed, last) || !TAKE(&packed, entries_read) ||
	    !TAKE(&packed, numbers) || numbers > packed.len / sizeof(no_name) || find_group(root, name))
		return NULL;
	struct stream_group *group = group_put(shard, root, name, last, entries_read);
	if (numbers > 0) {
		make_numbers(shard, group, numbers);
		memset(group->consumers, 0, numbers * sizeof(void *));
		group->numbers = numbers;
	}
	for (uint32_t number = 0; number < numbers; number++)
		if (!unpack_consumer(shard, group, number, &packed))
			return NULL;
	return packed.len == 0 ? group : NULL;
}

bool group_complete(struct shard *shard, struct stream_group *group)
{
	struct ids_walk walk;
	const struct pending *pending;
	ids_walk(&group->pending, pending_size, (struct stream_id){0}, &walk);
	while ((pending = ids_next(&walk, pending_size))) {
		uint32_t number = pending_consumer(pending);
		if (number >= group->numbers || !group->consumers[number] ||
		    !ids_insert(shard, &group->consumers[number]->pending, id_size, &pending->id))
			return false;
	}
	return true;
}
