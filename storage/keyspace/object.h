/* object.h -- a key and its value: one allocation of the shard's slab.
 *
 * What      Key bytes, type and encoding, expiry if there is one, and the value: small
 *           strings and integers inside, larger strings in a block of their own, other
 *           types behind a pointer.
 * Owner     The shard. A pointer to an object is good until the next change on its shard.
 * Loans     A value may be sent to a client straight from the object: object_lend()
 *           counts it. A lent string is replaced, never changed; a lent object is freed when
 *           the last loan has come back (see keyspace.h, cold.h).
 * Units     Times are milliseconds since 1970.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/err.h"
#include "engine/base/slice.h"

#include <stdint.h>

struct object;
struct shard;
struct key;

/* These numbers are on disk. */
enum object_type {
	OBJECT_STRING,
	OBJECT_LIST,
	OBJECT_SET,
	OBJECT_ZSET,
	OBJECT_HASH,
	OBJECT_STREAM,
	OBJECT_TYPES
};

enum { EXPIRES_NEVER = -1, EXPIRES_KEEP = -2 };

enum object_type object_type(const struct object *object);
struct slice object_key(const struct object *object);
int64_t object_expires_ms(const struct object *object); /* EXPIRES_NEVER if it does not */

/* Bytes of memory the object holds, allocator's rounding included. */
size_t object_memory(const struct object *object);

/* As OBJECT ENCODING says it: "int", "embstr", "raw". */
const char *object_encoding(const struct object *object);

/* As TYPE says it. */
const char *object_type_name(enum object_type type);

/* Seconds since the last access, as exactly as the eviction ranks know; and the
 * logarithmic access counter where the policy keeps one. */
uint64_t object_idle_s(struct shard *shard, const struct object *object);
unsigned object_frequency(struct shard *shard, const struct object *object);

/* What another server knew of an object's use (RESTORE); negative: not told. Kept as far as
 * the policy keeps such. */
void object_set_use(struct shard *shard, struct object *object, int64_t idle_s, int64_t frequency);

/* The value in a form that carries over to other shards and into records: one byte of
 * type, then the value. object_unpack() refuses anything malformed with ERR_SYNTAX and
 * leaves the key as it was; else it creates or replaces the key. */
void object_pack(const struct object *object, struct buf *out);

/* The same in two parts, so that nothing long is copied: what is appended to `out`, then the bytes returned, which
 * are the object's. */
struct slice object_pack_parts(const struct object *object, struct buf *out);

/* The same for a value that lies in its object, as short strings do: the size of its packed form, 0 for any other
 * value; and its bytes. */
size_t object_packed_short(const struct object *object);
void object_pack_short(const struct object *object, uint8_t *to);
enum err object_unpack(struct shard *shard, const struct key *key, struct slice packed, int64_t expires_ms) must_check;

/* A value too large to be packed at once: packed piece by piece, in the state in which it is now, whatever changes
 * meanwhile. On the shard's core. NULL: it is not so large, object_pack_parts() says it. */
struct object_stream;
struct object_stream *object_stream_new(struct shard *shard, const struct object *object) must_check;
size_t object_stream_length(const struct object_stream *stream); /* bytes that are left */
size_t object_stream_read(struct object_stream *stream, uint8_t *to, size_t room);
void object_stream_free(struct shard *shard, struct object_stream *stream); /* NULL is fine */

/* ---- strings -------------------------------------------------------------------- */

enum { STRING_SCRATCH = 24 };

/* The bytes. An integer's digits are written to `scratch`; other bytes are lent. */
struct slice string_value(const struct object *object, char scratch[STRING_SCRATCH]);
size_t string_length(const struct object *object);

/* Is the value a 64-bit integer in its only decimal form? */
bool string_integer(const struct object *object, int64_t *out);

/* Creates or replaces a key of whatever type. Decimal integers up to 20 digits are
 * stored as such. `expires_ms` may be EXPIRES_NEVER or EXPIRES_KEEP. `value` must not
 * point into the shard's own memory. Returns the object. */
struct object *string_put(struct shard *shard, const struct key *key, struct slice value, int64_t expires_ms);
struct object *string_put_integer(struct shard *shard, const struct key *key, int64_t value, int64_t expires_ms);

/* The same, stored as bytes even if they say an integer; `edited`: as string_edit() leaves them. */
struct object *string_put_bytes(struct shard *shard, const struct key *key, struct slice value, int64_t expires_ms,
                                bool edited);

/* Makes the value (created if absent; a string if present) `size` bytes or longer,
 * zero-filled past its end, plain bytes, not lent, and returns them for writing. Room to
 * grow further is kept, so that appending is cheap. Counts as a change of the key. */
uint8_t *string_edit(struct shard *shard, const struct key *key, size_t size);
