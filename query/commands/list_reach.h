/* list_reach.h -- what calls need of lists that are not all in memory: for the field `reach` of their rows.
 *
 * What      Of the list at argv[at], the elements that the call reads, or beside which it parts a leaf. Arguments may be
 *           anything: of a call that will be refused nothing is needed.
 */
#pragma once

#include "storage/keyspace/cold_leaf.h"

struct reach needs_none(const struct slice *argv, uint32_t argc, uint32_t at);

/* The element at an end. */
struct reach needs_head(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_tail(const struct slice *argv, uint32_t argc, uint32_t at);

/* argv[2] is one, argv[2] and argv[3] are a range. */
struct reach needs_index(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_range(const struct slice *argv, uint32_t argc, uint32_t at);

/* Of such a range, what is left of leaves that are cut; others go as a whole. */
struct reach needs_edges(const struct slice *argv, uint32_t argc, uint32_t at);

/* As many as argv[2] says, or one. */
struct reach needs_left(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_right(const struct slice *argv, uint32_t argc, uint32_t at);

/* Of the first key, what is moved: from the end that argv[3] names, or from the last. */
struct reach needs_moved(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_last(const struct slice *argv, uint32_t argc, uint32_t at);

/* Keys behind their number; COUNT at the end. */
struct reach needs_lmpop(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_blmpop(const struct slice *argv, uint32_t argc, uint32_t at);
