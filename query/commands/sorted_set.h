/* sorted_set.h -- what the files of the sorted_set and geo groups share. */
#pragma once

#include "query/commands/command.h"
#include "storage/keyspace/zset.h"

/* The sorted set of a key, or NULL, for commands that do not change it: ERR_WRONG_TYPE, or OK. */
enum err sorted_set_find(struct exec *exec, const struct key *key, struct object **out) must_check;
enum err sorted_set_open(struct exec *exec, const struct key *key, struct collection *out) must_check;

/* Deletes it if it is empty, and says so. */
void sorted_set_close(struct exec *exec, struct collection *zset);

/* What a command has made takes the place of a key's value, or deletes it if it is empty; `event` is told, and how many
 * elements it has is answered. */
void sorted_set_store(struct exec *exec, struct collection *made, struct slice event);

/* argv[at] as a score: ERR_NOT_FLOAT, or OK. */
enum err exec_score(const struct exec *exec, uint32_t at, double *out) must_check;

/* argv[at] as a positive number ("must be positive"), or one that is at least `min`; false: `otherwise` is said. */
bool exec_count(struct exec *exec, uint32_t at, int64_t min, const char *otherwise, int64_t *out);

/* `n` elements will be said; one of them. With scores RESP3 has an array for each. */
void reply_elements(struct exec *exec, uint64_t n, bool with_scores);
void reply_element(struct exec *exec, const struct zset_element *element, bool with_scores);

/* Says and removes up to `n` elements of a set that is there, from its front or end on, and closes it. `nested`: in an
 * array each. The array around them is said too. */
enum zset_end { ZSET_MIN, ZSET_MAX };
void sorted_set_pop(struct exec *exec, struct collection *zset, enum zset_end end, uint64_t n, bool nested);

/* The keys whose number is at argv[at], behind `before` keys that have been found: as find_keys says them. */
int find_numbered_keys(const struct slice *argv, uint32_t argc, uint32_t at, uint32_t *out, uint32_t room);
