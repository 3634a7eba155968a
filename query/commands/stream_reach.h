/* stream_reach.h -- what calls need of streams that are not all in memory: for the field `reach` of their rows.
 *
 * What      Of the stream at argv[at], the entries that the call reads, or some of whose block it removes. Arguments
 *           may be anything: of a call that will be refused nothing is needed.
 */
#pragma once

#include "storage/keyspace/cold_leaf.h"

/* Where trimming cuts a block; others go as a whole, and an entry that is added needs none. */
struct reach needs_xadd(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_xtrim(const struct slice *argv, uint32_t argc, uint32_t at);

struct reach needs_xrange(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_xrevrange(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_xread(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_xreadgroup(const struct slice *argv, uint32_t argc, uint32_t at);

/* The entries with these IDs. */
struct reach needs_xdel(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_xclaim(const struct slice *argv, uint32_t argc, uint32_t at);
struct reach needs_xautoclaim(const struct slice *argv, uint32_t argc, uint32_t at);

/* The ends, or what is shown in full. */
struct reach needs_xinfo_stream(const struct slice *argv, uint32_t argc, uint32_t at);
