/* sort_steps.c -- what SORT does between its options and its answer. */
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "query/commands/notify.h"
#include "query/commands/sort.h"
#include "storage/keyspace/cold.h"
#include "storage/keyspace/hash.h"
#include "storage/keyspace/list.h"
#include "storage/keyspace/set.h"
#include "storage/keyspace/zset.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct sort_item {
	struct sort_text name, by;
	double score;
};

void sort_fini(struct sort *sort)
{
	for (uint16_t i = 0; i < CORES_MAX; i++)
		buf_fini(&sort->texts[i]);
	buf_fini(&sort->names);
	buf_fini(&sort->wished);
	buf_fini(&sort->taken);
}

/* ---- texts -------------------------------------------------------------------------- */

static uint16_t core_of(const struct exec *exec) { return exec->core ? exec->core->id : 0; }

static struct slice text_slice(const struct sort *sort, struct sort_text text)
{
	return slice_of(sort->texts[text.core].ptr + text.at, text.len);
}

static struct sort_text keep_text(struct sort *sort, uint16_t core, struct slice bytes)
{
	struct buf *texts = &sort->texts[core];
	struct sort_text text = {.at = texts->len, .len = bytes.len, .core = core, .there = true};
	buf_append(texts, bytes);
	return text;
}

static struct sort_text keep_element(struct sort *sort, uint16_t core, const struct packed_element *element)
{
	char scratch[PACKED_SCRATCH];
	return keep_text(sort, core, packed_text(element, scratch));
}

/* ---- what is sorted ----------------------------------------------------------------- */

static void add_item(struct sort *sort, uint16_t core, const struct packed_element *element)
{
	struct sort_item item = {.name = keep_element(sort, core, element)};
	buf_append(&sort->taken, slice_of(&item, sizeof(item)));
	sort->n++;
}

static void take_elements(struct sort *sort, uint16_t core, const struct object *object)
{
	struct packed_element element;
	struct zset_element scored;
	cleanup(list_walk_end) struct list_walk list = {0};
	struct set_walk set;
	struct zset_walk zset;
	if (object_type(object) == OBJECT_LIST)
		for (list_walk(object, 0, &list); list_next(&list, &element);)
			add_item(sort, core, &element);
	else if (object_type(object) == OBJECT_SET)
		for (set_walk(object, &set); set_next(&set, &element);)
			add_item(sort, core, &element);
	else
		for (zset_walk(object, 0, &zset); zset_next(&zset, &scored);)
			add_item(sort, core, &scored.member);
}

static bool can_be_sorted(const struct object *object)
{
	enum object_type type = object_type(object);
	return type == OBJECT_LIST || type == OBJECT_SET || type == OBJECT_ZSET;
}

/* Members of sets are in no order that may be stored, or that a script may rest on. */
static void settle_order(struct sort *sort, const struct exec *exec)
{
	struct sort_options *options = &sort->options;
	bool matters = options->store_at != SORT_NO_STORE || exec->client->scripted;
	if (options->keeps_order && matters && sort->is_set) {
		options->keeps_order = false;
		options->alpha = true;
		options->by = slice_of(NULL, 0);
	}
}

enum err sort_begin(struct sort *sort, struct exec *exec)
{
	TRY(sort_read_options(exec, &sort->options));
	sort->core = exec->core;
	sort->argv = exec->argv;
	struct object *object = exec_find(exec, &exec->first, FIND_READ);
	if (object && !can_be_sorted(object))
		return ERR_WRONG_TYPE;
	sort->is_set = object && object_type(object) == OBJECT_SET;
	settle_order(sort, exec);
	if (object)
		take_elements(sort, core_of(exec), object);
	sort->items = (struct sort_item *)sort->taken.ptr;
	return OK;
}

/* ---- keys made of patterns ------------------------------------------------------------ */

/* Where "->" and a field's name begin behind the star of a pattern; its end: there is none. */
static size_t arrow_in(struct slice pattern, size_t star)
{
	for (size_t at = star + 1; at + 2 < pattern.len; at++)
		if (pattern.ptr[at] == '-' && pattern.ptr[at + 1] == '>')
			return at;
	return pattern.len;
}

/* Asks for what the key has that a pattern makes of an element: "#" is the element, "*" stands for it, what follows
 * "->" is a field. */
static void wish(struct sort *sort, struct slice pattern, struct sort_text name)
{
	struct sort_wish wish = {.state = WISH_ANSWERED, .name_at = sort->names.len};
	if (slice_equal(pattern, S("#"))) {
		wish.answer = name;
	} else if (sort_has_star(pattern)) {
		size_t star = (size_t)((const uint8_t *)memchr(pattern.ptr, '*', pattern.len) - pattern.ptr);
		size_t arrow = arrow_in(pattern, star);
		buf_append(&sort->names, slice_sub(pattern, 0, star));
		buf_append(&sort->names, text_slice(sort, name));
		buf_append(&sort->names, slice_sub(pattern, star + 1, arrow));
		wish.state = WISH_ASKED;
		wish.name_len = sort->names.len - wish.name_at;
		wish.field = slice_sub(pattern, arrow < pattern.len ? arrow + 2 : arrow, pattern.len);
		if (sort->core)
			wish.core = core_of_slot(sort->core, slot_of(sort_wish_name(sort, &wish)));
	}
	buf_append(&sort->wished, slice_of(&wish, sizeof(wish)));
}

static struct sort_text value_text(struct sort *sort, const struct exec *exec, struct object *object,
                                   struct slice field)
{
	char scratch[STRING_SCRATCH];
	struct packed_element value;
	if (field.len == 0)
		return object_type(object) == OBJECT_STRING
		               ? keep_text(sort, core_of(exec), string_value(object, scratch))
		               : (struct sort_text){0};
	struct packed_sought sought = packed_seek(field);
	if (object_type(object) != OBJECT_HASH || !hash_get(object, &sought, exec->shard->now_ms, &value))
		return (struct sort_text){0};
	return keep_element(sort, core_of(exec), &value);
}

static void answer(struct sort *sort, struct exec *exec, struct sort_wish *wish)
{
	struct slice name = sort_wish_name(sort, wish);
	struct key key = {.name = name,
	                  .hash = key_hash(exec->shard->hash_seed, name),
	                  .keyspace = exec->client->keyspace,
	                  .slot = slot_of(name)};
	struct object *object = exec_find(exec, &key, FIND_READ);
	if (object && unlikely(object_is_cold(object))) {
		wish->state = WISH_COLD;
		return;
	}
	wish->state = WISH_ANSWERED;
	if (object)
		wish->answer = value_text(sort, exec, object, wish->field);
}

void sort_answer(struct sort *sort, struct exec *exec, uint64_t from, uint64_t to)
{
	struct sort_wish *wishes = sort_wishes(sort);
	for (uint64_t i = from; i < to; i++)
		if (wishes[i].core == core_of(exec) && wishes[i].state != WISH_ANSWERED) /* others' change meanwhile */
			answer(sort, exec, &wishes[i]);
}

/* ---- order ------------------------------------------------------------------------- */

/* As strtod() reads it up to a zero byte, an empty text is 0. */
static bool read_score(struct slice text, double *out)
{
	char few[64], *end, *many = text.len < sizeof(few) ? few : memory_alloc(text.len + 1);
	if (text.len > 0)
		memcpy(many, text.ptr, text.len);
	many[text.len] = 0;
	errno = 0;
	*out = strtod(many, &end);
	bool sound = *end == 0 && errno != ERANGE && !isnan(*out);
	if (many != few)
		memory_free(many);
	return sound;
}

static int compare(const struct sort *sort, const struct sort_item *a, const struct sort_item *b)
{
	int order;
	if (!sort->options.alpha && a->score != b->score)
		order = a->score < b->score ? -1 : 1;
	else if (!sort->options.alpha || !sort->options.by.ptr)
		order = slice_compare(text_slice(sort, a->name), text_slice(sort, b->name));
	else if (a->by.there && b->by.there)
		order = slice_compare(text_slice(sort, a->by), text_slice(sort, b->by));
	else
		order = a->by.there - b->by.there;
	return sort->options.descending ? -order : order;
}

/* Merges runs of `run` items, two by two. */
static void merge(const struct sort *sort, const struct sort_item *from, struct sort_item *to, uint64_t run)
{
	for (uint64_t at = 0; at < sort->n; at += 2 * run) {
		uint64_t left = at, middle = at + run < sort->n ? at + run : sort->n;
		uint64_t right = middle, end = at + 2 * run < sort->n ? at + 2 * run : sort->n;
		for (uint64_t out = at; out < end; out++) {
			bool takes_left =
			        left < middle && (right == end || compare(sort, &from[left], &from[right]) <= 0);
			to[out] = from[takes_left ? left++ : right++];
		}
	}
}

static void put_in_order(struct sort *sort)
{
	cleanup(buf_fini) struct buf other = {0};
	struct sort_item *from = sort->items, *to = (struct sort_item *)buf_reserve(&other, sort->n * sizeof(*to));
	for (uint64_t run = 1; run < sort->n; run *= 2) {
		merge(sort, from, to, run);
		struct sort_item *old = from;
		from = to;
		to = old;
	}
	if (from != sort->items)
		memcpy(sort->items, from, sort->n * sizeof(*from));
}

static void reverse(struct sort *sort)
{
	for (uint64_t i = 0; i < sort->n / 2; i++) {
		struct sort_item old = sort->items[i];
		sort->items[i] = sort->items[sort->n - 1 - i];
		sort->items[sort->n - 1 - i] = old;
	}
}

/* What each item is sorted by is known: by what the wishes say, or by itself. */
static void weigh(struct sort *sort)
{
	const struct sort_wish *wishes = sort_wishes(sort);
	for (uint64_t i = 0; i < sort->n; i++) {
		struct sort_item *item = &sort->items[i];
		item->by = sort->options.by.ptr ? wishes[i].answer : item->name;
		if (item->by.there && !sort->options.alpha && !read_score(text_slice(sort, item->by), &item->score))
			sort->unsound = true;
	}
}

static void cut(struct sort *sort)
{
	int64_t n = (int64_t)sort->n, from = sort->options.offset, count = sort->options.count;
	from = from < 0 ? 0 : from > n ? n : from;
	count = count < 0 || count > n - from ? n - from : count;
	sort->from = (uint64_t)from;
	sort->to = (uint64_t)(from + count);
}

static void arrange(struct sort *sort)
{
	if (!sort->options.keeps_order) {
		weigh(sort);
		put_in_order(sort);
	} else if (sort->options.descending && !sort->is_set) {
		reverse(sort);
	}
	cut(sort);
}

/* ---- asking -------------------------------------------------------------------------- */

static void wish_for_weights(struct sort *sort)
{
	if (sort->options.keeps_order || !sort->options.by.ptr)
		return;
	for (uint64_t i = 0; i < sort->n; i++)
		wish(sort, sort->options.by, sort->items[i].name);
}

static void wish_for_values(struct sort *sort)
{
	for (uint64_t i = sort->from; i < sort->to && !sort->unsound; i++) {
		uint32_t at = 2;
		for (uint32_t get = 0; get < sort->options.n_gets; get++)
			wish(sort, sort_next_get(sort->argv, &at), sort->items[i].name);
	}
}

static uint64_t n_wishes(const struct sort *sort) { return sort->wished.len / sizeof(struct sort_wish); }

static void look_for_lost(struct sort *sort)
{
	for (uint64_t i = 0; i < n_wishes(sort); i++)
		sort->lost |= sort_wishes(sort)[i].state != WISH_ANSWERED;
}

uint64_t sort_ask(struct sort *sort)
{
	if (sort->step == SORT_BEGUN) {
		sort->step = SORT_WEIGHS;
		wish_for_weights(sort);
		if (n_wishes(sort) > 0)
			return n_wishes(sort);
	}
	if (sort->step == SORT_GETS)
		return 0;
	sort->step = SORT_GETS;
	look_for_lost(sort);
	arrange(sort);
	sort->names.len = sort->wished.len = 0;
	wish_for_values(sort);
	return n_wishes(sort);
}

/* ---- the answer ---------------------------------------------------------------------- */

static uint64_t n_results(const struct sort *sort)
{
	return sort->options.n_gets > 0 ? n_wishes(sort) : sort->to - sort->from;
}

static struct sort_text result(const struct sort *sort, uint64_t i)
{
	return sort->options.n_gets > 0 ? sort_wishes(sort)[i].answer : sort->items[sort->from + i].name;
}

static void reply_results(const struct sort *sort, struct reply *reply)
{
	uint64_t n = n_results(sort);
	reply_array(reply, n);
	for (uint64_t i = 0; i < n; i++) {
		struct sort_text text = result(sort, i);
		if (text.there)
			reply_bulk(reply, text_slice(sort, text));
		else
			reply_null(reply);
	}
}

static void store_results(const struct sort *sort, struct exec *exec)
{
	uint64_t n = n_results(sort);
	struct key to = exec_key(exec, sort->options.store_at);
	bool existed = keyspace_find(exec->shard, &to, FIND_QUIET);
	struct collection list = collection_apart(exec->shard, &to, OBJECT_LIST);
	for (uint64_t i = 0; i < n; i++)
		list_push(&list, LIST_TAIL, text_slice(sort, result(sort, i)));
	if (collection_put(&list, EXPIRES_NEVER))
		exec_notify(exec, EVENT_LIST, S("sortstore"), &to);
	else if (existed)
		exec_notify(exec, EVENT_GENERIC, S("del"), &to);
	reply_integer(exec->reply, (int64_t)n);
}

void sort_end(struct sort *sort, struct exec *exec)
{
	look_for_lost(sort);
	if (sort->unsound)
		reply_error_fmt(exec->reply, "ERR One or more scores can't be converted into double");
	else if (sort->lost)
		reply_err(exec->reply, ERR_VALUE_LOST);
	else if (sort->options.store_at != SORT_NO_STORE)
		store_results(sort, exec);
	else
		reply_results(sort, exec->reply);
}
