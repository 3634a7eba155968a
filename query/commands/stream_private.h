/* stream_private.h -- what the files of commands on streams share. */
#pragma once

#include "query/commands/command.h"
#include "storage/keyspace/stream.h"
#include "storage/keyspace/stream_groups.h"

/* Rows below XGROUP and XINFO, and the rows of reading. */
extern const struct command xgroup_rows[];
extern const struct command xinfo_rows[];

extern const struct blocking xread_blocking, xreadgroup_blocking;
enum err run_xread(struct exec *exec);
enum err run_xreadgroup(struct exec *exec);
int find_xread_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room);
enum err run_xack(struct exec *exec);
enum err run_xpending(struct exec *exec);
enum err run_xclaim(struct exec *exec);
enum err run_xautoclaim(struct exec *exec);

/* ---- words ------------------------------------------------------------------------- */

/* The stream of a key, or NULL, for commands that do not change it. */
enum err stream_read(struct exec *exec, const struct key *key, struct object **out);

/* An ID as clients say it. "-" and "+" are the ends, if not `strict`; milliseconds alone have number `missing`. With
 * `any_number` the number may be "*", which it then says. False: it is none. */
enum id_words { ID_STRICT = 1 };
bool id_parse(struct slice text, uint64_t missing, enum id_words words, bool *any_number, struct stream_id *out);

/* The same with "(" before it: excluded. */
bool id_parse_bound(struct slice text, uint64_t missing, struct stream_id *out, bool *excluded);

/* What XREAD and XREADGROUP take in place of an ID. */
enum id_special { ID_ITSELF, ID_LAST = '$', ID_NEW = '>', ID_LAST_ENTRY = '+' };
enum id_special id_special(struct slice text);

/* What XAUTOCLAIM takes at once unless told, and how many it looks at for each; what XINFO STREAM FULL shows. */
enum { AUTOCLAIM_COUNT = 100, AUTOCLAIM_LOOKS = 10, INFO_FULL_COUNT = 10 };

/* False: the error is said. */
bool read_id(struct exec *exec, uint32_t at, struct stream_id *out); /* strict, number 0 if missing */
bool read_id_or_end(struct exec *exec, uint32_t at, struct stream_id *out);
/* The ends of an interval: "(" excludes. */
bool read_from(struct exec *exec, uint32_t at, struct stream_id *out);
bool read_to(struct exec *exec, uint32_t at, struct stream_id *out);

/* A number; false: the error is said, `otherwise` or the usual one if that is NULL. */
bool read_integer(struct exec *exec, uint32_t at, const char *otherwise, int64_t *out);

enum { ID_TEXT_MAX = 41 };
struct slice id_text(struct stream_id id, char text[ID_TEXT_MAX]);
void reply_id(struct reply *reply, struct stream_id id);
void reply_entry(struct reply *reply, struct stream_entry *entry);

/* An array of what a walk shows, `limit` entries at most. */
void reply_entries(struct reply *reply, const struct stream_walk *walk, uint64_t limit);

/* What errors repeat of an argument: up to its first zero byte. */
#define NAME_FORMAT          "%.*s"
#define NAME_ARGUMENTS(name) (int)strnlen((const char *)(name).ptr, (name).len), (const char *)(name).ptr

/* "NOGROUP No such key ... or consumer group ...", as most commands say it. */
void reply_no_group(struct exec *exec, struct slice key, struct slice group);
