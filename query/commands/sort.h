/* sort.h -- SORT in steps, since what it reads may lie on several shards.
 *
 *   sort_begin()    on the key's shard: reads the options, copies the elements
 *   sort_ask()      which keys are to be read now: those that BY makes of the elements, then those of GET; until it
 *                   asks for none
 *   sort_answer()   on each shard that has some of them
 *   sort_end()      on the shard of the key that is stored, if one is: stores or says what was found
 *
 * Where     run_sort() takes the steps in one, where one shard has all keys (sort_roams()); else session/roam.c takes
 *           them one by one while all shards stand still.
 * Errors    Said by sort_end(), or returned by sort_begin(), before anything is changed.
 * Memory    Texts are copied; those that a core has found lie in a buffer that no other core writes.
 */
#pragma once

#include "engine/core/core.h"
#include "query/commands/command.h"

#include <stdbool.h>
#include <stdint.h>

enum { SORT_NO_STORE = 0 };

struct sort_options {
	struct slice by;  /* ptr NULL: the elements themselves */
	bool keeps_order; /* BY something that is the same for all */
	bool descending, alpha;
	int64_t offset, count;
	uint32_t store_at;
	uint32_t n_gets;
};

/* A text among those that a core has found. */
struct sort_text {
	size_t at, len;
	uint16_t core;
	bool there;
};

/* What a pattern asks for about an element. */
struct sort_wish {
	size_t name_at, name_len; /* of a key, among the names */
	struct slice field;       /* of a hash; empty: the string itself */
	struct sort_text answer;
	uint16_t core; /* that the key lies on */
	enum { WISH_ASKED, WISH_COLD, WISH_ANSWERED } state;
};

struct sort_item;

struct sort {
	const struct core *core; /* NULL: no server, all keys are on one shard */
	const struct slice *argv;
	struct sort_options options;
	struct buf texts[CORES_MAX];
	struct buf names, wished; /* what is asked for now: bytes; struct sort_wish */
	struct buf taken;         /* struct sort_item */
	struct sort_item *items;
	uint64_t n;
	uint64_t from, to; /* of those, what is answered */
	bool is_set;
	bool unsound; /* something is no number */
	bool lost;    /* a value is cold, and could not be had */
	enum { SORT_BEGUN, SORT_WEIGHS, SORT_GETS } step;
};

void sort_fini(struct sort *sort); /* of a zeroed one too */

enum err sort_begin(struct sort *sort, struct exec *exec) must_check;

/* How many keys are asked for; 0: sort_end() is next. All that was asked for is answered. */
uint64_t sort_ask(struct sort *sort);

static inline struct sort_wish *sort_wishes(const struct sort *sort) { return (struct sort_wish *)sort->wished.ptr; }
static inline struct slice sort_wish_name(const struct sort *sort, const struct sort_wish *wish)
{
	return slice_of(sort->names.ptr + wish->name_at, wish->name_len);
}

/* Answers those of the wishes [from, to) whose keys lie on this shard; of cold ones it says that they are. Other cores
 * may answer theirs at the same time. */
void sort_answer(struct sort *sort, struct exec *exec, uint64_t from, uint64_t to);

void sort_end(struct sort *sort, struct exec *exec);

/* ---- options (sort.c) ----------------------------------------------------------------- */

enum err sort_read_options(const struct exec *exec, struct sort_options *out) must_check;

/* The pattern of the GET from argv[*at] on, which is counted up past it. */
struct slice sort_next_get(const struct slice *argv, uint32_t *at);

static inline bool sort_has_star(struct slice pattern)
{
	return pattern.len > 0 && memchr(pattern.ptr, '*', pattern.len);
}
