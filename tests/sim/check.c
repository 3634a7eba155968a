/* The search goes depth first: at each node it tries those operations that may come next, in
 * the order in which they were seen inside the server. Four things keep it short. An operation
 * whose reply is right now and says that it changes nothing is taken at once: if any order
 * works from here, one that begins with it does. What has nothing to do with the operation
 * whose deadline is next is not tried before that one. A value that a later reply shows, and
 * that nobody can make again, is not lost. And sets of operations done, with the state they
 * lead to, are not tried twice. */
#include "tests/sim/check.h"

#include "engine/base/number.h"
#include "engine/memory/memory.h"
#include "tests/sim/items.h"
#include "tests/sim/model.h"

#include <stdlib.h>

enum { BEFORE_MAX = 24, SHOWN_MAX = 20, PATIENCE_FIRST = 30 * 1000, SEEN_UNITS = 1 << 16 };

static const uint32_t NONE = UINT32_MAX;

static const uint64_t LATEST = 1ull << 60; /* of the moments that order candidates */

/* On the number of a candidate: it is left out. */
static const uint32_t NEVER_DONE = 1u << 31;

/* An operation of the part that is judged. */
struct node {
	const struct operation *operation;
	uint64_t mark;               /* its share of the hash of a set of nodes */
	uint32_t before[BEFORE_MAX]; /* of the same session */
	uint32_t n_before;
	uint64_t slots;
	uint64_t seen;                  /* when it may have been done; NEVER: nobody saw it */
	bool quiet;                     /* changes nothing, as its reply says */
	bool near;                      /* see list_near() */
	uint32_t reads_at, n_reads;     /* needs that its reply names, in `links` */
	uint32_t creates_at, n_creates; /* needs that it may fulfil */
	bool optional;                  /* may not have been done at all */
	uint32_t later;                 /* the next of its session; NONE */
	bool done;
	bool out; /* for it was left out */
};

/* A text that some reply shows as the value of a key: so some key must have it until then. */
struct need {
	uint32_t text;
	uint32_t readers_left, creators_left; /* not done yet */
};

struct search {
	const struct history *history;
	struct model model;
	struct node *nodes;
	uint32_t n, n_done, required_left;
	uint64_t done_hash;
	uint32_t low;          /* all before it are done */
	struct buf needs;      /* of struct need, by text */
	struct buf links;      /* of numbers of needs: those of each node together */
	struct buf left_out;   /* of numbers of nodes: by the last choice, with what it names */
	struct buf candidates; /* of numbers of nodes, those of each level behind those of the last */
	uint64_t *seen;
	uint64_t seen_n, seen_cap;
	uint64_t attempt, steps, steps_max;
	/* The longest way, to be told if none leads through. */
	uint32_t best_n;
	uint8_t *best_done;
	struct state best_state;
};

/* ---- the memory of what was tried --------------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t state_hash(const struct state *state)
{
	const uint64_t *words = (const uint64_t *)(const void *)state;
	uint64_t hash = 0x9e3779b97f4a7c15u;
	for (size_t i = 0; i < sizeof(*state) / sizeof(*words); i++)
		hash = mix(hash ^ words[i]) + i;
	return hash;
}
static_assert(sizeof(struct state) % sizeof(uint64_t) == 0, "hashed by words");

static void seen_grow(struct search *s)
{
	uint64_t *old = s->seen, cap = s->seen_cap;
	s->seen_cap = cap ? cap * 2 : 4096;
	s->seen = memory_zalloc(s->seen_cap * sizeof(*s->seen));
	for (uint64_t i = 0; i < cap; i++) {
		if (!old[i])
			continue;
		uint64_t at = old[i] & (s->seen_cap - 1);
		while (s->seen[at])
			at = (at + 1) & (s->seen_cap - 1);
		s->seen[at] = old[i];
	}
	memory_free(old);
}

/* True: it was there already. */
static bool seen_add(struct search *s, uint64_t hash)
{
	hash |= !hash;
	if (s->seen_n * 2 >= s->seen_cap)
		seen_grow(s);
	uint64_t at = hash & (s->seen_cap - 1);
	for (; s->seen[at]; at = (at + 1) & (s->seen_cap - 1))
		if (s->seen[at] == hash)
			return true;
	s->seen[at] = hash;
	s->seen_n++;
	return false;
}

/* ---- operations ---------------------------------------------------------------------------- */

static bool only_looks(const struct operation *operation)
{
	bool is_exec = operation->steps[0].verb == EXEC || operation->steps[0].verb == EVAL;
	for (uint32_t i = is_exec; i < operation->n_steps; i++)
		if (operation->steps[i].verb > MGET)
			return false;
	return !is_exec || !operation->watched;
}

/* What may change a key and says 0 or nothing all the same. */
static bool changes_in_silence(enum verb verb)
{
	switch (verb) {
	case SET_GET:
	case GETSET:
	case HSET:
	case HINCRBY:
	case ZADD:
	case SUNIONSTORE:
	case ZUNIONSTORE:
		return true;
	default:
		return false;
	}
}

/* Does its reply say that it has changed nothing, whenever it was done? "Nothing changes now"
 * is not enough: on an empty database FLUSHALL is quiet, and later it is not. */
static bool is_quiet(const struct search *s, const struct operation *operation)
{
	struct slice reply = text_bytes(s->history->texts, operation->reply);
	if (only_looks(operation))
		return true;
	if (operation->n_steps > 1 || operation->steps[0].verb >= FLUSHDB || reply.len < 2 ||
	    changes_in_silence(operation->steps[0].verb))
		return false;
	return reply.ptr[0] == '-' || slice_equal(reply, S(":0\r\n")) || slice_equal(reply, S("$-1\r\n")) ||
	       slice_equal(reply, S("_\r\n"));
}

/* ---- the search ---------------------------------------------------------------------------- */

static bool follows_all(const struct search *s, const struct node *node)
{
	for (uint32_t i = 0; i < node->n_before; i++)
		if (!s->nodes[node->before[i]].done)
			return false;
	return true;
}

static struct need *need_at(const struct search *s, uint32_t i)
{
	return (struct need *)s->needs.ptr + ((const uint32_t *)s->links.ptr)[i];
}

static void node_do(struct search *s, struct node *node)
{
	for (uint32_t i = 0; i < node->n_reads; i++)
		need_at(s, node->reads_at + i)->readers_left--;
	for (uint32_t i = 0; i < node->n_creates; i++)
		need_at(s, node->creates_at + i)->creators_left--;
	node->done = true;
	s->done_hash ^= node->mark;
	s->n_done++;
	s->required_left -= !node->optional;
	while (s->low < s->n && s->nodes[s->low].done)
		s->low++;
}

static void node_leave(struct search *s, struct node *node)
{
	node_do(s, node);
	node->out = true;
}

static void node_undo(struct search *s, struct node *node)
{
	for (uint32_t i = 0; i < node->n_reads; i++)
		need_at(s, node->reads_at + i)->readers_left++;
	for (uint32_t i = 0; i < node->n_creates; i++)
		need_at(s, node->creates_at + i)->creators_left++;
	uint32_t at = (uint32_t)(node - s->nodes);
	node->done = node->out = false;
	s->done_hash ^= node->mark;
	s->n_done--;
	s->required_left += !node->optional;
	if (at < s->low)
		s->low = at;
}

/* What is asked later comes behind it. */
static uint64_t deadline(const struct node *node)
{
	return node->optional ? node->operation->dead : node->operation->responded;
}

/* The sooner it was seen, or its deadline is, the sooner it is tried; later attempts trust
 * that less and less. */
static uint64_t order_of(const struct search *s, const struct node *node)
{
	uint64_t at = node->seen, late = node->optional && node->seen == NEVER;
	uint64_t noise = s->attempt ? mix(node->mark + s->attempt) % (s->attempt * 16 * SEEN_UNITS) : 0;
	if (s->attempt % 2)
		at = deadline(node) < LATEST / SEEN_UNITS ? deadline(node) * SEEN_UNITS : LATEST;
	return (late << 62) + (at < LATEST ? at : LATEST) + noise;
}

static int by_order(const void *a, const void *b, void *arg)
{
	const struct search *s = arg;
	const struct node *one = &s->nodes[*(const uint32_t *)a], *other = &s->nodes[*(const uint32_t *)b];
	uint64_t x = order_of(s, one), y = order_of(s, other);
	return x != y ? (x > y) - (x < y) : (one > other) - (one < other);
}

/* Nodes from `low` on that are asked before the deadline of any that is not done: they end
 * before the place returned. *first: the one with that deadline. */
static uint32_t window_end(const struct search *s, uint32_t *first)
{
	uint64_t bound = UINT64_MAX;
	uint32_t at = s->low;
	*first = at;
	for (; at < s->n && s->nodes[at].operation->invoked < bound; at++) {
		const struct node *node = &s->nodes[at];
		if (node->done || deadline(node) >= bound)
			continue;
		bound = deadline(node);
		*first = at;
	}
	while (at > s->low && s->nodes[at - 1].operation->invoked > bound)
		at--;
	return at;
}

/* Marks what has to do with node `first`, directly or through others of the window, by a
 * common key or the order of a session. The rest may as well come after it: its deadlines
 * are later, and it commutes with all that is marked. */
static void list_near(struct search *s, uint32_t first, uint32_t end)
{
	uint64_t slots = s->nodes[first].slots;
	for (uint32_t at = s->low; at < end; at++)
		s->nodes[at].near = false;
	s->nodes[first].near = true;
	for (bool again = true; again;) {
		again = false;
		for (uint32_t at = end; at-- > s->low;) {
			struct node *node = &s->nodes[at];
			if (node->done || (!node->near && !(node->slots & slots)))
				continue;
			again |= !node->near || node->slots & ~slots;
			node->near = true;
			slots |= node->slots;
			for (uint32_t i = 0; i < node->n_before; i++) {
				struct node *before = &s->nodes[node->before[i]];
				again |= !before->done && !before->near;
				before->near = true;
			}
		}
	}
}

static uint32_t list_window(struct search *s, uint32_t end, bool near_only)
{
	uint32_t n = 0;
	for (uint32_t at = s->low; at < end; at++) {
		const struct node *node = &s->nodes[at];
		if (node->done || (near_only && !node->near) || !follows_all(s, node))
			continue;
		buf_append(&s->candidates, slice_of(&at, sizeof(at)));
		n++;
	}
	return n;
}

/* Those of which one is to come next, behind `candidates`; how many. */
static uint32_t list_next(struct search *s)
{
	uint32_t first, end = window_end(s, &first);
	list_near(s, first, end);
	uint32_t n = list_window(s, end, true);
	if (n > 1)
		qsort_r((uint32_t *)s->candidates.ptr + s->candidates.len / sizeof(uint32_t) - n, n, sizeof(uint32_t),
		        by_order, s);
	if (!s->nodes[first].optional || n == 0)
		return n;
	/* The last moment for it: else it was never done. Likely so if nobody saw it. */
	uint32_t never = first | NEVER_DONE, *all;
	buf_append(&s->candidates, slice_of(&never, sizeof(never)));
	all = (uint32_t *)s->candidates.ptr + s->candidates.len / sizeof(uint32_t) - n - 1;
	if (s->nodes[first].seen == NEVER) {
		memmove(all + 1, all, n * sizeof(*all));
		all[0] = never;
	}
	return n + 1;
}

/* Takes all that changes nothing and is right; the state stays. */
static void take_quiet(struct search *s, const struct state *state, struct buf *taken)
{
	for (bool again = true; again;) {
		again = false;
		size_t len = s->candidates.len;
		uint32_t first, n = list_window(s, window_end(s, &first), false);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t at = ((uint32_t *)(s->candidates.ptr + len))[i];
			struct state after = *state;
			s->steps++;
			if (!s->nodes[at].quiet || !model_explains(&s->model, &after, s->nodes[at].operation) ||
			    memcmp(&after, state, sizeof(after)) != 0)
				continue;
			node_do(s, &s->nodes[at]);
			buf_append(taken, slice_of(&at, sizeof(at)));
			again = true;
		}
		s->candidates.len = len;
	}
}

static void remember_best(struct search *s, const struct state *state)
{
	if (s->best_done && s->n_done <= s->best_n)
		return;
	s->best_n = s->n_done;
	s->best_state = *state;
	for (uint32_t i = 0; i < s->n; i++)
		s->best_done[i] = s->nodes[i].done;
}

/* A node of the way: its state, what was taken for nothing, what is to be tried. */
struct level {
	struct state state;
	struct buf quiet; /* of numbers of nodes: done or left out without a choice */
	uint32_t candidates_at, n, next;
	uint32_t chosen; /* the one tried now */
};

static void level_enter(struct search *s, struct level *level, const struct state *state)
{
	*level = (struct level){.state = *state};
	buf_append(&level->quiet, buf_slice(&s->left_out));
	s->left_out.len = 0;
	take_quiet(s, state, &level->quiet);
	remember_best(s, state);
	level->candidates_at = (uint32_t)(s->candidates.len / sizeof(uint32_t));
	if (seen_add(s, s->done_hash ^ state_hash(state)))
		return;
	level->n = list_next(s);
}

static void level_leave(struct search *s, struct level *level)
{
	const uint32_t *quiet = (const uint32_t *)level->quiet.ptr;
	for (size_t i = level->quiet.len / sizeof(*quiet); i-- > 0;)
		node_undo(s, &s->nodes[quiet[i]]);
	buf_fini(&level->quiet);
	s->candidates.len = level->candidates_at * sizeof(uint32_t);
}

static int by_text(const void *a, const void *b)
{
	const struct need *one = a, *other = b;
	return (one->text > other->text) - (one->text < other->text);
}

static struct need *need_of(const struct search *s, uint32_t text)
{
	struct need wanted = {.text = text};
	if (s->needs.len == 0)
		return NULL; /* an empty list has no address to search at */
	return bsearch(&wanted, s->needs.ptr, s->needs.len / sizeof(wanted), sizeof(wanted), by_text);
}

static bool is_there(const struct state *state, uint32_t text)
{
	for (uint32_t slot = 0; slot < DATABASES_USED * KEYS_MAX; slot++)
		if (state->values[slot] == text)
			return true;
	return false;
}

static bool is_lost(const struct need *need, const struct state *state)
{
	return need->readers_left > 0 && need->creators_left == 0 && !is_there(state, need->text);
}

/* Is a value gone for good that a later reply shows? */
static bool loses_something(const struct search *s, const struct node *node, const struct state *before,
                            const struct state *after)
{
	for (uint32_t i = 0; i < node->n_creates; i++)
		if (is_lost(need_at(s, node->creates_at + i), after))
			return true;
	for (uint32_t slot = 0; slot < DATABASES_USED * KEYS_MAX; slot++) {
		if (before->values[slot] == after->values[slot])
			continue;
		const struct need *need = need_of(s, before->values[slot]);
		if (need && is_lost(need, after))
			return true;
	}
	return false;
}

/* The server takes a session's commands in their order: where one was not done, none was that
 * came later. Not so of what a crash may take, shard by shard: then it is those on the same keys; nor where it may
 * have been refused. */
static void list_left_out(struct search *s, uint32_t at)
{
	uint64_t slots = s->history->is_cut ? s->nodes[at].slots : UINT64_MAX;
	s->left_out.len = 0;
	if (s->history->may_refuse)
		return;
	for (uint32_t later = s->nodes[at].later; later != NONE; later = s->nodes[later].later) {
		if (!(s->nodes[later].slots & slots) || !s->nodes[later].optional || s->nodes[later].out)
			continue;
		slots |= s->nodes[later].slots;
		buf_append(&s->left_out, slice_of(&later, sizeof(later)));
	}
}

static bool is_any_done(const struct search *s)
{
	const uint32_t *all = (const uint32_t *)s->left_out.ptr;
	for (size_t i = 0; i < s->left_out.len / sizeof(*all); i++)
		if (s->nodes[all[i]].done)
			return true;
	return false;
}

/* False: it cannot be, since something was done that came later. */
static bool leave_out(struct search *s, uint32_t at, const struct state *state)
{
	list_left_out(s, at);
	if (is_any_done(s)) {
		s->left_out.len = 0;
		return false;
	}
	const uint32_t *all = (const uint32_t *)s->left_out.ptr;
	size_t n = s->left_out.len / sizeof(*all);
	node_leave(s, &s->nodes[at]);
	bool loses = loses_something(s, &s->nodes[at], state, state);
	for (size_t i = 0; i < n; i++) {
		node_leave(s, &s->nodes[all[i]]);
		loses |= loses_something(s, &s->nodes[all[i]], state, state);
	}
	if (!loses)
		return true;
	node_undo(s, &s->nodes[at]);
	for (size_t i = 0; i < n; i++)
		node_undo(s, &s->nodes[all[i]]);
	s->left_out.len = 0;
	return false;
}

static bool try_one(struct search *s, uint32_t at, const struct state *before, struct state *after)
{
	struct node *node = &s->nodes[at];
	s->steps++;
	s->left_out.len = 0;
	if (!model_explains(&s->model, after, node->operation))
		return false;
	node_do(s, node);
	if (!loses_something(s, node, before, after))
		return true;
	node_undo(s, node);
	return false;
}

/* The next candidate that fits; false: none is left. */
static bool level_choose(struct search *s, struct level *level, struct state *out)
{
	while (level->next < level->n) {
		uint32_t at = ((uint32_t *)s->candidates.ptr)[level->candidates_at + level->next++];
		*out = level->state;
		level->chosen = at & ~NEVER_DONE;
		if (at & NEVER_DONE ? leave_out(s, level->chosen, out) : try_one(s, at, &level->state, out))
			return true;
	}
	return false;
}

static enum verdict search_run(struct search *s)
{
	struct level *levels = memory_alloc((s->n + 2) * sizeof(*levels));
	struct state state = {0};
	uint32_t depth = 0;
	enum verdict verdict = NOT_LINEARIZABLE;
	level_enter(s, &levels[depth++], &state);
	for (;;) {
		if (s->required_left == 0) {
			verdict = LINEARIZABLE;
			break;
		}
		if (s->steps > s->steps_max) {
			verdict = TOO_HARD;
			break;
		}
		struct level *level = &levels[depth - 1];
		if (level_choose(s, level, &state)) {
			level_enter(s, &levels[depth++], &state);
			continue;
		}
		level_leave(s, level);
		if (--depth == 0)
			break;
		node_undo(s, &s->nodes[levels[depth - 1].chosen]);
	}
	while (depth > 0) {
		level_leave(s, &levels[--depth]);
		if (depth > 0)
			node_undo(s, &s->nodes[levels[depth - 1].chosen]);
	}
	memory_free(levels);
	return verdict;
}

/* Bad luck at the first choices makes a search endless that another order ends at once: so
 * it begins anew, with more patience each time. */
static enum verdict search_patiently(struct search *s, uint64_t steps_max)
{
	enum verdict verdict = TOO_HARD;
	for (uint64_t patience = PATIENCE_FIRST; verdict == TOO_HARD && s->steps < steps_max; patience *= 2) {
		s->steps_max = s->steps + patience;
		verdict = search_run(s);
		memory_free(take(s->seen));
		s->seen_n = s->seen_cap = 0;
		s->attempt++;
	}
	return verdict;
}

/* ---- one part -------------------------------------------------------------------------------- */

/* What nobody was told and nobody can see. */
static bool is_void(const struct operation *operation)
{
	if (operation->invoked == NEVER)
		return true;
	if (operation->reply != TEXT_NONE || operation->responded != NEVER)
		return false;
	return only_looks(operation) || operation->steps[0].verb == WATCH || operation->steps[0].verb == UNWATCH;
}

static int by_invocation(const void *a, const void *b)
{
	const struct node *one = a, *other = b;
	uint64_t x = one->operation->invoked, y = other->operation->invoked;
	return (x > y) - (x < y);
}

static void order_session(struct search *s, uint32_t at)
{
	struct node *node = &s->nodes[at];
	uint64_t open = operation_slots(node->operation);
	bool is_barrier = operation_is_barrier(node->operation);
	for (uint32_t i = at; i-- > 0 && node->n_before < BEFORE_MAX;) {
		const struct operation *earlier = s->nodes[i].operation;
		if (earlier->client != node->operation->client || earlier->session != node->operation->session ||
		    earlier->in_doubt)
			continue;
		uint64_t slots = operation_slots(earlier);
		bool ends = operation_is_barrier(earlier);
		if (!is_barrier && !ends && !(slots & open))
			continue;
		node->before[node->n_before++] = i;
		if (ends)
			return; /* it follows all that is earlier */
		open &= ~slots;
		if (!open && !is_barrier)
			return;
	}
}

/* ---- needs ------------------------------------------------------------------------------------ */

/* Calls `visit` for each text that the reply shows as a whole value. */
static void each_value_shown(struct search *s, const struct operation *operation,
                             void (*visit)(struct search *, uint32_t text))
{
	for (uint32_t i = 0; i < operation->n_steps; i++)
		if (operation->steps[i].verb == GETRANGE || verb_is_of_collection(operation->steps[i].verb))
			return; /* parts of one; it is as well to miss the others */
	struct slice reply = text_bytes(s->history->texts, operation->reply);
	for (size_t at = 0; at < reply.len;) {
		const uint8_t *end = memchr(reply.ptr + at, '\n', reply.len - at);
		size_t line = at;
		at = (size_t)(end - reply.ptr) + 1;
		if (reply.ptr[line] != '$' || reply.ptr[line + 1] == '-')
			continue;
		size_t len = strtoul((const char *)reply.ptr + line + 1, NULL, 10);
		visit(s, text_id(s->history->texts, slice_of(reply.ptr + at, len)));
		reply = text_bytes(s->history->texts, operation->reply);
		at += len + 2;
	}
}

static void add_need(struct search *s, uint32_t text)
{
	struct need need = {.text = text};
	buf_append(&s->needs, slice_of(&need, sizeof(need)));
}

static void sort_needs(struct search *s)
{
	struct need *all = (struct need *)s->needs.ptr;
	size_t n = s->needs.len / sizeof(*all), kept = 0;
	if (n > 0)
		qsort(all, n, sizeof(*all), by_text);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || all[kept - 1].text != all[i].text)
			all[kept++] = all[i];
	s->needs.len = kept * sizeof(*all);
}

static void add_reader(struct search *s, uint32_t text)
{
	struct need *need = need_of(s, text);
	uint32_t number = (uint32_t)(need - (struct need *)s->needs.ptr);
	need->readers_left++;
	buf_append(&s->links, slice_of(&number, sizeof(number)));
}

/* Can the step make a value of the text? Copies do not make it: they find it somewhere. */
static bool may_create(const struct history *history, const struct step *step, uint32_t text)
{
	struct slice whole = text_bytes(history->texts, text);
	int64_t number;
	if (verb_is_of_collection(step->verb))
		return value_type(whole) != VALUE_STRING;
	switch (step->verb) {
	case INCR:
	case DECR:
	case INCRBY:
		return integer_parse(whole, &number);
	case APPEND:
	case SETRANGE: {
		struct slice part = text_bytes(history->texts, step->values[0]);
		return memmem(whole.ptr, whole.len, part.ptr, part.len) != NULL;
	}
	default:
		for (uint8_t i = 0; i < step->n; i++)
			if (step->values[i] == text)
				return true;
		return false;
	}
}

static void link_needs(struct search *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		each_value_shown(s, s->nodes[i].operation, add_need);
	sort_needs(s);
	struct need *all = (struct need *)s->needs.ptr;
	for (uint32_t i = 0; i < s->n; i++) {
		struct node *node = &s->nodes[i];
		node->reads_at = (uint32_t)(s->links.len / sizeof(uint32_t));
		each_value_shown(s, node->operation, add_reader);
		node->creates_at = (uint32_t)(s->links.len / sizeof(uint32_t));
		node->n_reads = node->creates_at - node->reads_at;
		for (uint32_t need = 0; need < s->needs.len / sizeof(*all); need++)
			for (uint32_t j = 0; j < node->operation->n_steps; j++) {
				if (!may_create(s->history, &node->operation->steps[j], all[need].text))
					continue;
				all[need].creators_left++;
				buf_append(&s->links, slice_of(&need, sizeof(need)));
				break;
			}
		node->n_creates = (uint32_t)(s->links.len / sizeof(uint32_t)) - node->creates_at;
	}
}

/* ---- sightings --------------------------------------------------------------------------------- */

/* Where in what was seen the step's value lies, if it can have left that: what was written
 * first in one step of a core mostly lies before what was written last. -1: it cannot. */
static long place_in(const struct history *history, const struct sighting *seen, uint32_t value)
{
	struct slice whole = text_bytes(history->texts, seen->text), bytes = text_bytes(history->texts, value);
	const uint8_t *at = bytes.len > 0 && whole.len > 0 ? memmem(whole.ptr, whole.len, bytes.ptr, bytes.len) : NULL;
	return at ? at - whole.ptr : -1;
}

/* The value that a key was seen with last, before. */
static uint32_t value_before(const struct history *history, const struct sighting *seen, uint8_t db, uint8_t key)
{
	const struct sighting *first = (const struct sighting *)history->sightings.ptr;
	while (seen-- > first)
		if (seen->slot == db * KEYS_MAX + key && seen->text != TEXT_NONE)
			return seen->text;
	return TEXT_NONE;
}

static bool is_copy(const struct history *history, const struct step *step, const struct sighting *seen)
{
	uint8_t to = step->verb == MOVE ? step->keys[0] : step->keys[1];
	return seen->slot == step->db_to * KEYS_MAX + to && seen->text != TEXT_NONE &&
	       value_before(history, seen, step->db, step->keys[0]) == seen->text;
}

static long may_have_left(const struct history *history, const struct step *step, const struct sighting *seen)
{
	if (step->verb >= RENAME && step->verb <= MOVE)
		return is_copy(history, step, seen) ? 0 : -1;
	for (uint8_t i = step->n; i-- > 0;) {
		if (seen->slot != step->db * KEYS_MAX + step->keys[i])
			continue;
		if (verb_is_of_collection(step->verb) && !step->values[i])
			return 0;
		if (step->values[i])
			return place_in(history, seen, step->values[i]);
		return (step->verb >= INCR) == (seen->text != TEXT_NONE) ? 0 : -1;
	}
	return -1;
}

/* When it was seen, a smaller number for an earlier time. Who was not seen was overwritten at
 * once, before anybody looked: just before a change of one of its keys, the first that there
 * was, or so we guess. */
static uint64_t when_seen(const struct history *history, const struct operation *operation)
{
	const struct sighting *all = (const struct sighting *)history->sightings.ptr;
	size_t n = history->sightings.len / sizeof(*all), low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (all[middle].moment < operation->invoked)
			low = middle + 1;
		else
			high = middle;
	}
	uint64_t until = operation->responded == NEVER ? operation->dead : operation->responded;
	uint64_t slots = operation_slots(operation), overwritten = NEVER;
	for (; low < n && all[low].moment <= until; low++) {
		const struct sighting *seen = &all[low];
		bool is_global = operation->steps[0].verb >= FLUSHDB && operation->steps[0].verb <= SWAPDB;
		if (seen->slot == SLOT_ALL && is_global)
			return seen->moment * SEEN_UNITS;
		if (seen->slot == SLOT_ALL || !(slots & 1ull << seen->slot))
			continue;
		if (overwritten == NEVER)
			overwritten = seen->moment * SEEN_UNITS;
		for (uint32_t i = operation->n_steps; i-- > 0;) {
			long place = may_have_left(history, &operation->steps[i], seen);
			if (place >= 0)
				return seen->moment * SEEN_UNITS + 1 +
				       (place < SEEN_UNITS - 2 ? place : SEEN_UNITS - 2);
		}
	}
	return overwritten != NEVER ? overwritten : operation->responded * SEEN_UNITS;
}

static void explain(const struct search *s, enum verdict verdict, FILE *to)
{
	fprintf(to, verdict == TOO_HARD ? "no order found in %llu steps" : "no order explains the replies (%llu steps)",
	        (unsigned long long)s->steps);
	fprintf(to, "; the longest try did %u of %u, then the keys were\n", s->best_n, s->n);
	for (uint32_t slot = 0; slot < DATABASES_USED * KEYS_MAX; slot++) {
		struct slice value = text_bytes(s->history->texts, s->best_state.values[slot]);
		if (s->best_state.values[slot])
			fprintf(to, "    %u:%u = %.*s%s\n", slot / KEYS_MAX, slot % KEYS_MAX,
			        (int)(value.len < 60 ? value.len : 60), value.ptr, value.len < 60 ? "" : "...");
	}
	fprintf(to, "  and these were to come:\n");
	uint32_t shown = 0, first = 0;
	while (first < s->n && (s->best_done[first] || s->nodes[first].optional))
		first++;
	for (uint32_t i = first > SHOWN_MAX ? first - SHOWN_MAX : 0; i < s->n && shown < 2 * SHOWN_MAX; i++, shown++) {
		fprintf(to, "  %s ", s->best_done[i] ? "done" : "    ");
		operation_print(s->history, s->nodes[i].operation, to);
	}
}

static void judge(const struct history *history, uint64_t slots, uint64_t steps_max, struct checked *out, FILE *to)
{
	struct search s = {.history = history, .model.texts = history->texts};
	s.nodes = memory_zalloc((history_count(history) + 1) * sizeof(*s.nodes));
	for (uint32_t i = 0; i < history_count(history); i++) {
		const struct operation *operation = history_at(history, i);
		if (!(operation_slots(operation) & slots) || is_void(operation))
			continue;
		s.nodes[s.n++] = (struct node){.operation = operation,
		                               .slots = operation_slots(operation),
		                               .seen = when_seen(history, operation),
		                               .optional = operation->responded == NEVER};
	}
	qsort(s.nodes, s.n, sizeof(*s.nodes), by_invocation);
	for (uint32_t i = 0; i < s.n; i++) {
		s.nodes[i].mark = mix(i + 0x51ed2701u);
		s.nodes[i].quiet = !s.nodes[i].optional && is_quiet(&s, s.nodes[i].operation);
		s.required_left += !s.nodes[i].optional;
		order_session(&s, i);
		s.nodes[i].later = NONE;
		for (uint32_t later = i + 1; later < s.n && s.nodes[i].later == NONE; later++)
			if (s.nodes[later].operation->client == s.nodes[i].operation->client &&
			    s.nodes[later].operation->session == s.nodes[i].operation->session)
				s.nodes[i].later = later;
	}
	link_needs(&s);
	s.best_done = memory_zalloc(s.n + 1);
	enum verdict verdict = search_patiently(&s, steps_max);
	if (verdict != LINEARIZABLE) {
		out->verdict = verdict;
		if (verdict == NOT_LINEARIZABLE || !history->is_cut)
			explain(&s, verdict, to);
	}
	out->steps += s.steps;
	out->parts++;
	out->part_longest = s.n > out->part_longest ? s.n : out->part_longest;
	memory_free(s.best_done);
	memory_free(s.nodes);
	memory_free(s.seen);
	buf_fini(&s.candidates);
	buf_fini(&s.left_out);
	buf_fini(&s.needs);
	buf_fini(&s.links);
	model_fini(&s.model);
}

/* Slots that some chain of operations ties to `seed`. */
static uint64_t tied_to(const struct history *history, uint64_t seed)
{
	for (uint64_t before = 0; before != seed;) {
		before = seed;
		for (uint32_t i = 0; i < history_count(history); i++) {
			uint64_t slots = operation_slots(history_at(history, i));
			if (slots & seed)
				seed |= slots;
		}
	}
	return seed;
}

struct checked check_history(const struct history *history, uint64_t steps_max, FILE *to)
{
	struct checked out = {.verdict = LINEARIZABLE};
	uint64_t left = 0;
	for (uint32_t i = 0; i < history_count(history); i++)
		left |= operation_slots(history_at(history, i));
	while (left && out.verdict == LINEARIZABLE) {
		uint64_t part = tied_to(history, left & -left);
		left &= ~part;
		judge(history, part, steps_max, &out, to);
	}
	return out;
}
