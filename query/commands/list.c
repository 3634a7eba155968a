/* list.c -- commands on lists. */
#include "storage/keyspace/list.h"

#include "engine/base/number.h"
#include "query/commands/command.h"
#include "query/commands/list_reach.h"
#include "query/commands/notify.h"

/* ---- words ------------------------------------------------------------------------ */

/* The list of a key, or NULL, for commands that do not change it. */
static enum err find_list(struct exec *exec, const struct key *key, struct object **out)
{
	struct object *object = exec_find(exec, key, FIND_READ);
	if (object && unlikely(object_type(object) != OBJECT_LIST))
		return ERR_WRONG_TYPE;
	*out = object;
	return OK;
}

static enum err open_list(struct exec *exec, const struct key *key, struct collection *out)
{
	return exec_open(exec, key, OBJECT_LIST, out);
}

static uint64_t length_of(const struct collection *list) { return list->object ? collection_count(list->object) : 0; }

static void reply_element(struct exec *exec, const struct packed_element *element)
{
	char scratch[PACKED_SCRATCH];
	reply_bulk(exec->reply, packed_text(element, scratch));
}

/* Deletes the list if it is empty, and says so. */
static void close_list(struct exec *exec, struct collection *list)
{
	const struct key *key = list->key;
	if (collection_close(list))
		exec_notify(exec, EVENT_GENERIC, S("del"), key);
}

static struct slice push_event(enum list_end end) { return end == LIST_HEAD ? S("lpush") : S("rpush"); }
static struct slice pop_event(enum list_end end) { return end == LIST_HEAD ? S("lpop") : S("rpop"); }

/* A number that is not negative, or `max` at most and `min` at least. False: the error is said. */
static bool read_count(struct exec *exec, uint32_t at, int64_t min, const char *otherwise, int64_t *out)
{
	if (exec_integer(exec, at, out) == OK && *out >= min)
		return true;
	reply_error_fmt(exec->reply, "ERR %s", otherwise);
	return false;
}

static enum err read_end(const struct exec *exec, uint32_t at, enum list_end *out)
{
	if (exec_is(exec, at, S("LEFT")))
		*out = LIST_HEAD;
	else if (exec_is(exec, at, S("RIGHT")))
		*out = LIST_TAIL;
	else
		return ERR_SYNTAX;
	return OK;
}

/* Positions count from the end if negative; both ends belong to the range. */
struct range {
	uint64_t from, n;
};

static enum err read_range(const struct exec *exec, int64_t *from, int64_t *to)
{
	TRY(exec_integer(exec, 2, from));
	return exec_integer(exec, 3, to);
}

static struct range range_in(uint64_t count, int64_t from, int64_t to)
{
	int64_t length = (int64_t)count;
	from = from < 0 ? from + length : from;
	to = to < 0 ? to + length : to;
	from = from < 0 ? 0 : from;
	to = to >= length ? length - 1 : to;
	return from > to ? (struct range){0, 0} : (struct range){(uint64_t)from, (uint64_t)(to - from + 1)};
}

/* ---- pushing ---------------------------------------------------------------------- */

static enum err push(struct exec *exec, enum list_end end, bool only_if_there)
{
	struct collection list;
	TRY(open_list(exec, &exec->first, &list));
	if (!list.object && only_if_there) {
		reply_integer(exec->reply, 0);
		return OK;
	}
	for (uint32_t at = 2; at < exec->argc; at++)
		list_push(&list, end, exec->argv[at]);
	reply_integer(exec->reply, (int64_t)length_of(&list));
	exec_notify(exec, EVENT_LIST, push_event(end), &exec->first);
	close_list(exec, &list);
	return OK;
}

static enum err run_lpush(struct exec *exec) { return push(exec, LIST_HEAD, false); }
static enum err run_rpush(struct exec *exec) { return push(exec, LIST_TAIL, false); }
static enum err run_lpushx(struct exec *exec) { return push(exec, LIST_HEAD, true); }
static enum err run_rpushx(struct exec *exec) { return push(exec, LIST_TAIL, true); }

/* ---- popping ---------------------------------------------------------------------- */

/* Says `n` elements from an end on, in the order in which they are popped. */
static void reply_from(struct exec *exec, const struct object *list, enum list_end end, uint64_t n)
{
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element;
	list_walk(list, end == LIST_HEAD ? 0 : collection_count(list), &walk);
	while (n-- > 0 && (end == LIST_HEAD ? list_next(&walk, &element) : list_prev(&walk, &element)))
		reply_element(exec, &element);
}

static void remove_from(struct collection *list, enum list_end end, uint64_t n)
{
	list_cut(list, end == LIST_HEAD ? 0 : length_of(list) - n, n);
}

/* They have been said. */
static void pop(struct exec *exec, struct collection *list, enum list_end end, uint64_t n)
{
	remove_from(list, end, n);
	exec_notify(exec, EVENT_LIST, pop_event(end), list->key);
	close_list(exec, list);
}

static void pop_several(struct exec *exec, struct collection *list, enum list_end end, uint64_t n)
{
	uint64_t count = length_of(list);
	n = n < count ? n : count;
	reply_array(exec->reply, n);
	reply_from(exec, list->object, end, n);
	if (n > 0)
		pop(exec, list, end, n);
}

static enum err pop_command(struct exec *exec, enum list_end end)
{
	struct collection list;
	int64_t n = 0;
	bool several = exec->argc == 3;
	if (exec->argc > 3) {
		reply_error_fmt(exec->reply, "ERR wrong number of arguments for '%s' command",
		                end == LIST_HEAD ? "lpop" : "rpop");
		return OK;
	}
	if (several && !read_count(exec, 2, 0, "value is out of range, must be positive", &n))
		return OK;
	TRY(open_list(exec, &exec->first, &list));
	if (!list.object && several) {
		reply_null_array(exec->reply);
	} else if (!list.object) {
		reply_null(exec->reply);
	} else if (several) {
		pop_several(exec, &list, end, (uint64_t)n);
	} else {
		reply_from(exec, list.object, end, 1);
		pop(exec, &list, end, 1);
	}
	return OK;
}

static enum err run_lpop(struct exec *exec) { return pop_command(exec, LIST_HEAD); }
static enum err run_rpop(struct exec *exec) { return pop_command(exec, LIST_TAIL); }

/* Keys behind their number at `at`. */
static int find_numbered_keys(const struct slice *argv, uint32_t argc, uint32_t at, uint32_t *out, uint32_t room)
{
	int64_t n;
	if (argc < at + 2 || !integer_parse(argv[at], &n) || n < 1 || n > (int64_t)argc - at - 1)
		return -1;
	for (uint32_t i = 0; i < (uint32_t)n && i < room; i++)
		out[i] = at + 1 + i;
	return (int)n;
}

static int find_lmpop_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	return find_numbered_keys(argv, argc, 1, out, room);
}

static int find_blmpop_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	return find_numbered_keys(argv, argc, 2, out, room);
}

/* LMPOP and BLMPOP from the number of keys on. */
struct popping {
	uint32_t n_keys;
	enum list_end end;
	uint64_t n;
};

static bool say_syntax(struct exec *exec)
{
	reply_err(exec->reply, ERR_SYNTAX);
	return false;
}

/* False: the error is said. */
static bool read_popping(struct exec *exec, uint32_t at, struct popping *out)
{
	int64_t n_keys, n = 1;
	if (!read_count(exec, at, 1, "numkeys should be greater than 0", &n_keys))
		return false;
	if (n_keys > (int64_t)exec->argc - at - 2)
		return say_syntax(exec);
	out->n_keys = (uint32_t)n_keys;
	at += 1 + out->n_keys;
	if (read_end(exec, at++, &out->end) != OK)
		return say_syntax(exec);
	if (at < exec->argc && (!exec_is(exec, at, S("COUNT")) || at + 1 == exec->argc))
		return say_syntax(exec);
	if (at < exec->argc && !read_count(exec, at + 1, 1, "count should be greater than 0", &n))
		return false;
	if (at + 2 < exec->argc)
		return say_syntax(exec);
	out->n = (uint64_t)n;
	return true;
}

static enum err pop_named(struct exec *exec, const struct key *key, const struct popping *popping)
{
	struct collection list;
	TRY(open_list(exec, key, &list));
	reply_array(exec->reply, 2);
	reply_bulk(exec->reply, key->name);
	pop_several(exec, &list, popping->end, popping->n);
	return OK;
}

static enum err run_lmpop(struct exec *exec)
{
	struct popping popping;
	if (!read_popping(exec, 1, &popping))
		return OK;
	for (uint32_t i = 2; i < 2 + popping.n_keys; i++) {
		struct key key = exec_key(exec, i);
		struct collection list;
		TRY(open_list(exec, &key, &list));
		if (list.object)
			return pop_named(exec, &key, &popping);
	}
	reply_null_array(exec->reply);
	return OK;
}

/* ---- moving ----------------------------------------------------------------------- */

static void take_value(const struct object *list, enum list_end end, struct buf *out)
{
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element = {0};
	char scratch[PACKED_SCRATCH];
	list_walk(list, end == LIST_HEAD ? 0 : collection_count(list), &walk);
	(void)(end == LIST_HEAD ? list_next(&walk, &element) : list_prev(&walk, &element));
	buf_append(out, packed_text(&element, scratch));
}

/* Within one list it is never empty in between, so that it stays the same list. */
static enum err rotate(struct exec *exec, struct collection *list, enum list_end from, enum list_end to,
                       struct slice value)
{
	list_push(list, to, value);
	uint64_t at = from == LIST_HEAD ? 0 : length_of(list) - 1;
	if (from == to) /* what is popped is below what was pushed */
		at = from == LIST_HEAD ? 1 : at - 1;
	list_cut(list, at, 1);
	return OK;
}

static enum err move(struct exec *exec, const struct key *from_key, enum list_end from, enum list_end to)
{
	struct collection source, target;
	struct key to_key = exec_key(exec, 2);
	TRY(open_list(exec, from_key, &source));
	if (!source.object) {
		reply_null(exec->reply);
		return OK;
	}
	cleanup(buf_fini) struct buf value = {0};
	take_value(source.object, from, &value);
	bool same = slice_equal(exec->argv[1], exec->argv[2]);
	if (same) {
		TRY(rotate(exec, &source, from, to, buf_slice(&value)));
	} else {
		TRY(open_list(exec, &to_key, &target));
		list_push(&target, to, buf_slice(&value));
		(void)collection_close(&target);
		TRY(open_list(exec, from_key, &source));
		remove_from(&source, from, 1);
	}
	reply_bulk(exec->reply, buf_slice(&value));
	exec_notify(exec, EVENT_LIST, push_event(to), &to_key);
	exec_notify(exec, EVENT_LIST, pop_event(from), from_key);
	close_list(exec, &source);
	return OK;
}

static enum err run_lmove(struct exec *exec)
{
	enum list_end from, to;
	TRY(read_end(exec, 3, &from));
	TRY(read_end(exec, 4, &to));
	return move(exec, &exec->first, from, to);
}

static enum err run_rpoplpush(struct exec *exec) { return move(exec, &exec->first, LIST_TAIL, LIST_HEAD); }

/* ---- waiting ---------------------------------------------------------------------- */

static bool read_keys_and_timeout(struct exec *exec, struct block_wish *out)
{
	*out = (struct block_wish){.first = 1, .n = exec->argc - 2};
	return exec_timeout(exec, exec->argc - 1, &out->timeout_ns);
}

static enum err pop_for(struct exec *exec, const struct key *key, enum list_end end)
{
	struct collection list;
	TRY(open_list(exec, key, &list));
	reply_array(exec->reply, 2);
	reply_bulk(exec->reply, key->name);
	reply_from(exec, list.object, end, 1);
	pop(exec, &list, end, 1);
	return OK;
}

static enum err serve_blpop(struct exec *exec, const struct key *key, uint32_t at)
{
	return pop_for(exec, key, LIST_HEAD);
}

static enum err serve_brpop(struct exec *exec, const struct key *key, uint32_t at)
{
	return pop_for(exec, key, LIST_TAIL);
}

static bool read_blmpop(struct exec *exec, struct block_wish *out)
{
	struct popping popping;
	if (!read_popping(exec, 2, &popping))
		return false;
	*out = (struct block_wish){.first = 3, .n = popping.n_keys};
	return exec_timeout(exec, 1, &out->timeout_ns);
}

static enum err serve_blmpop(struct exec *exec, const struct key *key, uint32_t at)
{
	struct popping popping;
	return read_popping(exec, 2, &popping) ? pop_named(exec, key, &popping) : OK;
}

static bool read_blmove(struct exec *exec, struct block_wish *out)
{
	enum list_end end;
	*out = (struct block_wish){.first = 1, .n = 1};
	if (read_end(exec, 3, &end) != OK || read_end(exec, 4, &end) != OK) {
		reply_err(exec->reply, ERR_SYNTAX);
		return false;
	}
	return exec_timeout(exec, 5, &out->timeout_ns);
}

static enum err serve_blmove(struct exec *exec, const struct key *key, uint32_t at)
{
	enum list_end from, to;
	TRY(read_end(exec, 3, &from));
	TRY(read_end(exec, 4, &to));
	return move(exec, key, from, to);
}

static bool read_brpoplpush(struct exec *exec, struct block_wish *out)
{
	*out = (struct block_wish){.first = 1, .n = 1};
	return exec_timeout(exec, 3, &out->timeout_ns);
}

static enum err serve_brpoplpush(struct exec *exec, const struct key *key, uint32_t at)
{
	return move(exec, key, LIST_TAIL, LIST_HEAD);
}

enum { LISTS = 1 << OBJECT_LIST };
static const struct blocking blpop = {LISTS, false, read_keys_and_timeout, NULL, serve_blpop, reply_null_array};
static const struct blocking brpop = {LISTS, false, read_keys_and_timeout, NULL, serve_brpop, reply_null_array};
static const struct blocking blmpop = {LISTS, false, read_blmpop, NULL, serve_blmpop, reply_null_array};
static const struct blocking blmove = {LISTS, true, read_blmove, NULL, serve_blmove, reply_null};
static const struct blocking brpoplpush = {LISTS, true, read_brpoplpush, NULL, serve_brpoplpush, reply_null};

/* ---- reading ---------------------------------------------------------------------- */

static enum err run_llen(struct exec *exec)
{
	struct object *list;
	TRY(find_list(exec, &exec->first, &list));
	reply_integer(exec->reply, list ? (int64_t)collection_count(list) : 0);
	return OK;
}

static enum err run_lrange(struct exec *exec)
{
	struct object *list;
	int64_t from, to;
	TRY(read_range(exec, &from, &to));
	TRY(find_list(exec, &exec->first, &list));
	struct range range = list ? range_in(collection_count(list), from, to) : (struct range){0, 0};
	reply_array(exec->reply, range.n);
	if (range.n == 0)
		return OK;
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element;
	list_walk(list, range.from, &walk);
	for (uint64_t i = 0; i < range.n && list_next(&walk, &element); i++)
		reply_element(exec, &element);
	return OK;
}

/* False: there is no such element. */
static bool place_of(uint64_t count, int64_t at, uint64_t *out)
{
	int64_t place = at < 0 ? at + (int64_t)count : at;
	*out = (uint64_t)place;
	return place >= 0 && place < (int64_t)count;
}

static enum err run_lindex(struct exec *exec)
{
	struct object *list;
	cleanup(list_walk_end) struct list_walk walk = {0};
	struct packed_element element;
	int64_t at;
	uint64_t place;
	TRY(find_list(exec, &exec->first, &list));
	if (!list) {
		reply_null(exec->reply);
		return OK;
	}
	TRY(exec_integer(exec, 2, &at));
	if (!place_of(collection_count(list), at, &place)) {
		reply_null(exec->reply);
		return OK;
	}
	list_walk(list, place, &walk);
	(void)list_next(&walk, &element);
	reply_element(exec, &element);
	return OK;
}

/* ---- LPOS ------------------------------------------------------------------------- */

struct search {
	uint64_t rank;     /* the first match that counts */
	uint64_t wanted;   /* matches; UINT64_MAX: all */
	uint64_t compared; /* elements at most */
	bool backwards, several;
};

/* False: the error is said. */
static bool read_search_option(struct exec *exec, uint32_t at, struct search *out)
{
	int64_t value;
	if (exec_is(exec, at, S("RANK"))) {
		if (exec_integer(exec, at + 1, &value) != OK) {
			reply_err(exec->reply, ERR_NOT_INTEGER);
			return false;
		}
		if (value == 0) {
			reply_error_fmt(exec->reply,
			                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the "
			                "second ... or use negative to start from the end of the list");
			return false;
		}
		out->backwards = value < 0;
		out->rank = value < 0 ? -(uint64_t)value : (uint64_t)value;
		return true;
	}
	if (exec_is(exec, at, S("COUNT"))) {
		if (!read_count(exec, at + 1, 0, "COUNT can't be negative", &value))
			return false;
		out->several = true;
		out->wanted = value ? (uint64_t)value : UINT64_MAX;
		return true;
	}
	if (exec_is(exec, at, S("MAXLEN"))) {
		if (!read_count(exec, at + 1, 0, "MAXLEN can't be negative", &value))
			return false;
		out->compared = value ? (uint64_t)value : UINT64_MAX;
		return true;
	}
	reply_err(exec->reply, ERR_SYNTAX);
	return false;
}

static bool read_search(struct exec *exec, struct search *out)
{
	*out = (struct search){.rank = 1, .wanted = 1, .compared = UINT64_MAX};
	for (uint32_t at = 3; at < exec->argc; at += 2) {
		if (at + 1 == exec->argc) {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
		if (!read_search_option(exec, at, out))
			return false;
	}
	return true;
}

/* The positions of what was looked for, 8 bytes each. */
static void search(const struct object *list, const struct search *search, struct slice value, struct buf *out)
{
	struct packed_sought sought = packed_seek(value);
	struct packed_element element;
	cleanup(list_walk_end) struct list_walk walk = {0};
	uint64_t count = collection_count(list), matches = 0;
	list_walk(list, search->backwards ? count : 0, &walk);
	for (uint64_t i = 0; i < search->compared; i++) {
		if (!(search->backwards ? list_prev(&walk, &element) : list_next(&walk, &element)))
			return;
		if (!packed_equals(&element, &sought) || ++matches < search->rank)
			continue;
		uint64_t at = search->backwards ? count - 1 - i : i;
		buf_append(out, slice_of(&at, sizeof(at)));
		if (matches - search->rank + 1 == search->wanted)
			return;
	}
}

static enum err run_lpos(struct exec *exec)
{
	struct search options;
	struct object *list;
	cleanup(buf_fini) struct buf found = {0};
	if (!read_search(exec, &options))
		return OK;
	TRY(find_list(exec, &exec->first, &list));
	if (list)
		search(list, &options, exec->argv[2], &found);
	const int64_t *places = (const int64_t *)found.ptr;
	uint64_t n = found.len / sizeof(*places);
	if (options.several)
		reply_array(exec->reply, n);
	else if (n == 0)
		reply_null(exec->reply);
	for (uint64_t i = 0; i < n; i++)
		reply_integer(exec->reply, places[i]);
	return OK;
}

/* ---- changing --------------------------------------------------------------------- */

static enum err run_lset(struct exec *exec)
{
	struct collection list;
	int64_t at;
	uint64_t place;
	TRY(open_list(exec, &exec->first, &list));
	if (!list.object)
		return ERR_NOT_FOUND;
	TRY(exec_integer(exec, 2, &at));
	if (!place_of(length_of(&list), at, &place))
		return ERR_INDEX_RANGE;
	list_set(&list, place, exec->argv[3]);
	reply_ok(exec->reply);
	exec_notify(exec, EVENT_LIST, S("lset"), &exec->first);
	close_list(exec, &list);
	return OK;
}

static enum err run_linsert(struct exec *exec)
{
	struct collection list;
	struct search pivot = {.rank = 1, .wanted = 1, .compared = UINT64_MAX};
	bool behind = exec_is(exec, 2, S("AFTER"));
	if (!behind && !exec_is(exec, 2, S("BEFORE")))
		return ERR_SYNTAX;
	TRY(open_list(exec, &exec->first, &list));
	if (!list.object) {
		reply_integer(exec->reply, 0);
		return OK;
	}
	cleanup(buf_fini) struct buf found = {0};
	search(list.object, &pivot, exec->argv[3], &found);
	if (found.len == 0) {
		reply_integer(exec->reply, -1);
		return OK;
	}
	list_insert(&list, *(const uint64_t *)found.ptr + behind, exec->argv[4]);
	reply_integer(exec->reply, (int64_t)length_of(&list));
	exec_notify(exec, EVENT_LIST, S("linsert"), &exec->first);
	close_list(exec, &list);
	return OK;
}

static enum err run_lrem(struct exec *exec)
{
	struct collection list;
	int64_t n;
	TRY(exec_integer(exec, 2, &n));
	TRY(open_list(exec, &exec->first, &list));
	uint64_t limit = n == 0 ? UINT64_MAX : n < 0 ? -(uint64_t)n : (uint64_t)n, removed = 0;
	if (list.object)
		removed = list_cut_equal(&list, n < 0 ? LIST_TAIL : LIST_HEAD, limit, exec->argv[3]);
	reply_integer(exec->reply, (int64_t)removed);
	if (removed > 0) {
		exec_notify(exec, EVENT_LIST, S("lrem"), &exec->first);
		close_list(exec, &list);
	}
	return OK;
}

static enum err run_ltrim(struct exec *exec)
{
	struct collection list;
	int64_t from, to;
	TRY(read_range(exec, &from, &to));
	TRY(open_list(exec, &exec->first, &list));
	reply_ok(exec->reply);
	if (!list.object)
		return OK;
	uint64_t count = length_of(&list);
	struct range kept = range_in(count, from, to);
	if (kept.n > 0)
		list_cut(&list, kept.from + kept.n, count - kept.from - kept.n);
	list_cut(&list, 0, kept.n > 0 ? kept.from : count);
	exec_notify(exec, EVENT_LIST, S("ltrim"), &exec->first);
	close_list(exec, &list);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments key_alone[] = {{"key", .type = ARG_KEY}, {0}};
static arguments key_and_elements[] = {
        {"key", .type = ARG_KEY}, {"element", .type = ARG_STRING, .flags = ARG_MULTIPLE}, {0}};
static arguments key_and_count[] = {{"key", .type = ARG_KEY}, {"count", NULL, "6.2.0", ARG_INTEGER, ARG_OPTIONAL}, {0}};
static arguments key_and_range[] = {
        {"key", .type = ARG_KEY}, {"start", .type = ARG_INTEGER}, {"stop", .type = ARG_INTEGER}, {0}};
static arguments lindex_arguments[] = {{"key", .type = ARG_KEY}, {"index", .type = ARG_INTEGER}, {0}};
static arguments lset_arguments[] = {
        {"key", .type = ARG_KEY}, {"index", .type = ARG_INTEGER}, {"element", .type = ARG_STRING}, {0}};
static arguments lrem_arguments[] = {
        {"key", .type = ARG_KEY}, {"count", .type = ARG_INTEGER}, {"element", .type = ARG_STRING}, {0}};

static arguments sides[] = {
        {"before", "BEFORE", .type = ARG_PURE_TOKEN}, {"after", "AFTER", .type = ARG_PURE_TOKEN}, {0}};
static arguments linsert_arguments[] = {
        {"key", .type = ARG_KEY},
        {"where", .type = ARG_ONEOF, .inner = sides},
        {"pivot", .type = ARG_STRING},
        {"element", .type = ARG_STRING},
        {0},
};
static arguments lpos_arguments[] = {
        {"key", .type = ARG_KEY},
        {"element", .type = ARG_STRING},
        {"rank", "RANK", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {"num-matches", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {"len", "MAXLEN", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static arguments ends[] = {{"left", "LEFT", .type = ARG_PURE_TOKEN}, {"right", "RIGHT", .type = ARG_PURE_TOKEN}, {0}};
static arguments source_and_target[] = {{"source", .type = ARG_KEY}, {"destination", .type = ARG_KEY}, {0}};
static arguments lmove_arguments[] = {
        {"source", .type = ARG_KEY},
        {"destination", .type = ARG_KEY},
        {"wherefrom", .type = ARG_ONEOF, .inner = ends},
        {"whereto", .type = ARG_ONEOF, .inner = ends},
        {0},
};
static arguments lmpop_arguments[] = {
        {"numkeys", .type = ARG_INTEGER},
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {"where", .type = ARG_ONEOF, .inner = ends},
        {"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static arguments keys_and_timeout[] = {
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE}, {"timeout", .type = ARG_DOUBLE}, {0}};
static arguments blmove_arguments[] = {
        {"source", .type = ARG_KEY},
        {"destination", .type = ARG_KEY},
        {"wherefrom", .type = ARG_ONEOF, .inner = ends},
        {"whereto", .type = ARG_ONEOF, .inner = ends},
        {"timeout", .type = ARG_DOUBLE},
        {0},
};
static arguments brpoplpush_arguments[] = {
        {"source", .type = ARG_KEY}, {"destination", .type = ARG_KEY}, {"timeout", .type = ARG_DOUBLE}, {0}};
static arguments blmpop_arguments[] = {
        {"timeout", .type = ARG_DOUBLE},
        {"numkeys", .type = ARG_INTEGER},
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {"where", .type = ARG_ONEOF, .inner = ends},
        {"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static const struct command_history timeout_history[] = {
        {"6.0.0", "`timeout` is interpreted as a double instead of an integer."}, {0}};
static const struct command_history push_history[] = {{"2.4.0", "Accepts multiple `element` arguments."}, {0}};
static const struct command_history pushx_history[] = {{"4.0.0", "Accepts multiple `element` arguments."}, {0}};
static const struct command_history pop_history[] = {{"6.2.0", "Added the `count` argument."}, {0}};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
	BLOCKING = COMMAND_BLOCKING,
	NO_SCRIPT = COMMAND_NO_SCRIPT,
};

#define PUSH_COST \
	"O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments."

/* clang-format off */
const struct command list_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"BLMOVE", 6, {1, 2, 1}, WRITE | GROWS | NO_SCRIPT | BLOCKING, "6.2.0", "O(1)",
	 "Pop an element from a list, push it to another list and return it; or block until one is available",
	 run_blocking, blmove_arguments, .blocking = &blmove, .reach = needs_moved,
	 .uses = "RW access delete, RW insert"},
	{"BLMPOP", -5, {0, 0, 0}, WRITE | BLOCKING | COMMAND_MOVABLE_KEYS, "7.0.0",
	 "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
	 "Pop elements from a list, or block until one is available", run_blocking, blmpop_arguments,
	 .find_keys = find_blmpop_keys, .blocking = &blmpop, .reach = needs_blmpop, .uses = "RW access delete"},
	{"BLPOP", -3, {1, -2, 1}, WRITE | NO_SCRIPT | BLOCKING, "2.0.0", "O(N) where N is the number of provided keys.",
	 "Remove and get the first element in a list, or block until one is available", run_blocking, keys_and_timeout,
	 .history = timeout_history, .blocking = &blpop, .reach = needs_head, .uses = "RW access delete"},
	{"BRPOP", -3, {1, -2, 1}, WRITE | NO_SCRIPT | BLOCKING, "2.0.0", "O(N) where N is the number of provided keys.",
	 "Remove and get the last element in a list, or block until one is available", run_blocking, keys_and_timeout,
	 .history = timeout_history, .blocking = &brpop, .reach = needs_tail, .uses = "RW access delete"},
	{"BRPOPLPUSH", 4, {1, 2, 1}, WRITE | GROWS | NO_SCRIPT | BLOCKING, "2.2.0", "O(1)",
	 "Pop an element from a list, push it to another list and return it; or block until one is available",
	 run_blocking, brpoplpush_arguments, .history = timeout_history, .blocking = &brpoplpush,
	 .deprecated_since = "6.2.0", .replaced_by = "`BLMOVE` with the `RIGHT` and `LEFT` arguments", .reach = needs_last,
	 .uses = "RW access delete, RW insert"},
	{"LINDEX", 3, {1, 1, 1}, READ, "1.0.0",
	 "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the "
	 "first or the last element of the list O(1).",
	 "Get an element from a list by its index", run_lindex, lindex_arguments, .reach = needs_index},
	{"LINSERT", 5, {1, 1, 1}, WRITE | GROWS, "2.2.0",
	 "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting "
	 "somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end "
	 "(tail) is O(N).",
	 "Insert an element before or after another element in a list", run_linsert, linsert_arguments,
	 .uses = "RW insert"},
	{"LLEN", 2, {1, 1, 1}, READ | FAST, "1.0.0", "O(1)", "Get the length of a list", run_llen, key_alone, .reach = needs_none,
	 .uses = "RO"},
	{"LMOVE", 5, {1, 2, 1}, WRITE | GROWS, "6.2.0", "O(1)",
	 "Pop an element from a list, push it to another list and return it", run_lmove, lmove_arguments, .reach = needs_moved,
	 .uses = "RW access delete, RW insert"},
	{"LMPOP", -4, {0, 0, 0}, WRITE | COMMAND_MOVABLE_KEYS, "7.0.0",
	 "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
	 "Pop elements from a list", run_lmpop, lmpop_arguments, .find_keys = find_lmpop_keys, .reach = needs_lmpop,
	 .uses = "RW access delete"},
	{"LPOP", -2, {1, 1, 1}, WRITE | FAST, "1.0.0", "O(N) where N is the number of elements returned",
	 "Remove and get the first elements in a list", run_lpop, key_and_count, .history = pop_history, .reach = needs_left,
	 .uses = "RW access delete"},
	{"LPOS", -3, {1, 1, 1}, READ, "6.0.6",
	 "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the "
	 "head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
	 "Return the index of matching elements on a list", run_lpos, lpos_arguments},
	{"LPUSH", -3, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0", PUSH_COST,
	 "Prepend one or multiple elements to a list", run_lpush, key_and_elements, .history = push_history, .reach = needs_none,
	 .uses = "RW insert"},
	{"LPUSHX", -3, {1, 1, 1}, WRITE | GROWS | FAST, "2.2.0", PUSH_COST,
	 "Prepend an element to a list, only if the list exists", run_lpushx, key_and_elements, .history = pushx_history, .reach = needs_none,
	 .uses = "RW insert"},
	{"LRANGE", 4, {1, 1, 1}, READ, "1.0.0",
	 "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for "
	 "large lists; and N is the number of elements in the specified range.",
	 "Get a range of elements from a list", run_lrange, key_and_range, .reach = needs_range},
	{"LREM", 4, {1, 1, 1}, WRITE, "1.0.0",
	 "O(N+M) where N is the length of the list and M is the number of elements removed.",
	 "Remove elements from a list", run_lrem, lrem_arguments, .uses = "RW delete"},
	{"LSET", 4, {1, 1, 1}, WRITE | GROWS, "1.0.0",
	 "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
	 "Set the value of an element in a list by its index", run_lset, lset_arguments, .reach = needs_index,
	 .uses = "RW update"},
	{"LTRIM", 4, {1, 1, 1}, WRITE, "1.0.0",
	 "O(N) where N is the number of elements to be removed by the operation.",
	 "Trim a list to the specified range", run_ltrim, key_and_range, .reach = needs_edges, .uses = "RW delete"},
	{"RPOP", -2, {1, 1, 1}, WRITE | FAST, "1.0.0", "O(N) where N is the number of elements returned",
	 "Remove and get the last elements in a list", run_rpop, key_and_count, .history = pop_history, .reach = needs_right,
	 .uses = "RW access delete"},
	{"RPOPLPUSH", 3, {1, 2, 1}, WRITE | GROWS, "1.2.0", "O(1)",
	 "Remove the last element in a list, prepend it to another list and return it", run_rpoplpush, source_and_target,
	 .deprecated_since = "6.2.0", .replaced_by = "`LMOVE` with the `RIGHT` and `LEFT` arguments", .reach = needs_last,
	 .uses = "RW access delete, RW insert"},
	{"RPUSH", -3, {1, 1, 1}, WRITE | GROWS | FAST, "1.0.0", PUSH_COST,
	 "Append one or multiple elements to a list", run_rpush, key_and_elements, .history = push_history, .reach = needs_none,
	 .uses = "RW insert"},
	{"RPUSHX", -3, {1, 1, 1}, WRITE | GROWS | FAST, "2.2.0", PUSH_COST,
	 "Append an element to a list, only if the list exists", run_rpushx, key_and_elements, .history = pushx_history, .reach = needs_none,
	 .uses = "RW insert"},
	{0},
};
/* clang-format on */
