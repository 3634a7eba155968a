/* dump_private.h -- what the types' parts of DUMP and RESTORE share.
 *
 * A type reads all of a value first, into packed elements, and puts it then: a payload that is malformed at its end has
 * changed nothing.
 */
#pragma once

#include "query/commands/command.h"
#include "query/commands/dump.h"

/* The first byte of a payload. */
enum dump_type {
	DUMP_STRING = 0,
	DUMP_LIST = 1, /* strings */
	DUMP_SET = 2,
	DUMP_ZSET = 3,   /* strings, and scores as text */
	DUMP_HASH = 4,
	DUMP_ZSET_2 = 5, /* strings, and scores as doubles */
	DUMP_HASH_ZIPMAP = 9,
	DUMP_LIST_ZIPLIST = 10,
	DUMP_SET_INTEGERS = 11,
	DUMP_ZSET_ZIPLIST = 12,
	DUMP_HASH_ZIPLIST = 13,
	DUMP_LIST_QUICKLIST = 14, /* ziplists */
	DUMP_STREAM = 15,
	DUMP_HASH_LISTPACK = 16,
	DUMP_ZSET_LISTPACK = 17,
	DUMP_LIST_QUICKLIST_2 = 18, /* listpacks, and strings too large for them */
	DUMP_STREAM_2 = 19,         /* as Redis 7.0 writes it */
	DUMP_SET_LISTPACK = 20,     /* of 7.2 */
	DUMP_STREAM_3 = 21,         /* of 7.2 */
	DUMP_HASH_TIMED_CANDIDATE = 22, /* of release candidates of 7.4 */
	DUMP_HASH_LISTPACK_TIMED_CANDIDATE = 23,
	DUMP_HASH_TIMED = 24, /* of 7.4 */
	DUMP_HASH_LISTPACK_TIMED = 25,
};

/* ---- forms that several types have: dump_forms.c ----------------------------------------- */

/* Packed elements as a listpack, in a string. */
void dump_put_listpack(struct buf *out, struct slice packed, uint32_t count);

/* A listpack or ziplist, which comes as a string: its elements are appended to `packed`. */
bool dump_take_listpack(struct slice *in, struct buf *packed);
bool dump_take_ziplist(struct slice *in, struct buf *packed);

/* A string becomes one packed element. */
bool dump_take_element(struct slice *in, struct buf *packed);

/* ---- types ----------------------------------------------------------------------------- */

void dump_list(const struct object *list, struct buf *out);
bool restore_list_read(enum dump_type type, struct slice *in, struct buf *packed);
struct object *restore_list_put(struct exec *exec, struct slice packed, int64_t expires_ms);

void dump_set(const struct object *set, struct buf *out);
bool restore_set_read(enum dump_type type, struct slice *in, struct buf *content);
/* False: members are there twice, or out of order; nothing has changed then. */
bool restore_set_put(struct exec *exec, enum dump_type type, struct slice content, int64_t expires_ms);
void dump_zset(const struct object *zset, struct buf *out);
bool restore_zset_read(enum dump_type type, struct slice *in, struct buf *elements);
struct object *restore_zset_put(struct exec *exec, struct slice elements, int64_t expires_ms);

void dump_hash(const struct object *hash, int64_t now_ms, struct buf *out);
bool restore_hash_read(enum dump_type type, struct slice *in, struct buf *packed);
/* False: a field is there twice, or has no value, or no time; nothing has changed then. */
bool restore_hash_put(struct exec *exec, enum dump_type type, struct slice packed, int64_t expires_ms);
/* What is read is in the packed form of objects. */
void dump_stream(const struct object *stream, struct buf *out);
bool restore_stream_read(enum dump_type type, struct slice *in, struct buf *packed);
