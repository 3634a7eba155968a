/* dump.c -- DUMP and RESTORE: values as Redis serializes them.
 *
 * A payload is a type byte, the value, the version of the format (16 bits) and a CRC-64 of
 * all before it (64 bits), both low byte first. A string is its length and its bytes, or
 * an 8, 16 or 32 bit integer, or an LZF stream with its two lengths. A length tells by its
 * top two bits whether it has 6 or 14 bits, 32 or 64 (high byte first), or is one of those
 * special forms.
 *
 * What is written equals what Redis 7.0 writes, or 7.4 where 7.0 has no form for it. What is
 * read may also come from 7.2 and 7.4, whose strings look the same.
 */
#include "engine/base/lzf.h"
#include "engine/base/number.h"
#include "kernels/bytes.h"
#include "kernels/checksum/crc64.h"
#include "query/commands/dump_private.h"
#include "query/commands/notify.h"
#include "query/commands/string_limit.h"

enum {
	VERSION_WRITTEN = 10,
	VERSION_TIMED = 12, /* of what 7.0 does not know: hashes with fields that expire */
	VERSION_READ_MAX = 12,
	FOOTER_SIZE = 2 + 8,

	LENGTH_6 = 0x00,
	LENGTH_14 = 0x40,
	LENGTH_32 = 0x80,
	LENGTH_64 = 0x81,
	FORM_INT8 = 0xc0,
	FORM_INT16 = 0xc1,
	FORM_INT32 = 0xc2,
	FORM_LZF = 0xc3,

	INTEGER_TRIED_MAX = 11, /* bytes of text: "-2147483648" */
	PACKED_FROM = 21,       /* bytes: shorter strings are never packed */
	PACKING_GAINS = 4,      /* bytes that packing must save */
};

/* ---- writing ---------------------------------------------------------------------- */

void dump_put_number(struct buf *out, uint64_t value, int n_bytes, bool high_first)
{
	for (int i = 0; i < n_bytes; i++)
		buf_byte(out, (uint8_t)(value >> 8 * (high_first ? n_bytes - 1 - i : i)));
}

void dump_put_length(struct buf *out, uint64_t len)
{
	if (len < 1 << 6) {
		buf_byte(out, (uint8_t)(LENGTH_6 | len));
	} else if (len < 1 << 14) {
		dump_put_number(out, LENGTH_14 << 8 | len, 2, true);
	} else if (len <= UINT32_MAX) {
		buf_byte(out, LENGTH_32);
		dump_put_number(out, len, 4, true);
	} else {
		buf_byte(out, LENGTH_64);
		dump_put_number(out, len, 8, true);
	}
}

static bool put_as_integer(struct buf *out, struct slice value)
{
	int64_t integer;
	if (value.len > INTEGER_TRIED_MAX || !integer_parse(value, &integer) || integer != (int32_t)integer)
		return false;
	bool small = integer == (int8_t)integer, middle = integer == (int16_t)integer;
	buf_byte(out, small ? FORM_INT8 : middle ? FORM_INT16 : FORM_INT32);
	dump_put_number(out, (uint64_t)integer, small ? 1 : middle ? 2 : 4, false);
	return true;
}

static bool put_packed(struct buf *out, struct slice value)
{
	if (value.len < PACKED_FROM)
		return false;
	cleanup(buf_fini) struct buf packed = {0};
	size_t room = value.len - PACKING_GAINS;
	packed.len = lzf_pack(value, buf_reserve(&packed, room), room);
	if (packed.len == 0)
		return false;
	buf_byte(out, FORM_LZF);
	dump_put_length(out, packed.len);
	dump_put_length(out, value.len);
	buf_append(out, buf_slice(&packed));
	return true;
}

void dump_put_string(struct buf *out, struct slice value)
{
	if (put_as_integer(out, value) || put_packed(out, value))
		return;
	dump_put_length(out, value.len);
	buf_append(out, value);
}

void dump_seal(struct buf *payload)
{
	uint8_t type = payload->len > 0 ? payload->ptr[0] : DUMP_STRING; /* no functions are nothing */
	bool timed = type == DUMP_HASH_TIMED || type == DUMP_HASH_LISTPACK_TIMED;
	dump_put_number(payload, timed ? VERSION_TIMED : VERSION_WRITTEN, 2, false);
	dump_put_number(payload, crc64(0, payload->ptr, payload->len), 8, false);
}

static enum err run_dump(struct exec *exec)
{
	struct object *object = exec_find(exec, &exec->first, FIND_READ);
	if (!object) {
		reply_null(exec->reply);
		return OK;
	}
	char scratch[STRING_SCRATCH];
	cleanup(buf_fini) struct buf payload = {0};
	if (object_type(object) == OBJECT_LIST) {
		dump_list(object, &payload);
	} else if (object_type(object) == OBJECT_SET) {
		dump_set(object, &payload);
	} else if (object_type(object) == OBJECT_ZSET) {
		dump_zset(object, &payload);
	} else if (object_type(object) == OBJECT_HASH) {
		dump_hash(object, exec->shard->now_ms, &payload);
	} else if (object_type(object) == OBJECT_STREAM) {
		dump_stream(object, &payload);
	} else {
		buf_byte(&payload, DUMP_STRING);
		dump_put_string(&payload, string_value(object, scratch));
	}
	dump_seal(&payload);
	reply_bulk(exec->reply, buf_slice(&payload));
	return OK;
}

/* ---- reading ---------------------------------------------------------------------- */

/* Takes n bytes off the front as a number; false if they are not there. */
bool dump_take_number(struct slice *in, int n_bytes, bool high_first, uint64_t *out)
{
	if (in->len < (size_t)n_bytes)
		return false;
	uint64_t value = 0;
	for (int i = 0; i < n_bytes; i++)
		value |= (uint64_t)in->ptr[i] << 8 * (high_first ? n_bytes - 1 - i : i);
	*in = slice_sub(*in, (size_t)n_bytes, in->len);
	*out = value;
	return true;
}

static bool take_length_after(struct slice *in, uint8_t head, uint64_t *out)
{
	if ((head & 0xc0) == LENGTH_6) {
		*out = head & 0x3f;
		return true;
	}
	if ((head & 0xc0) == LENGTH_14) {
		uint64_t low;
		if (!dump_take_number(in, 1, true, &low))
			return false;
		*out = (uint64_t)(head & 0x3f) << 8 | low;
		return true;
	}
	if (head == LENGTH_32)
		return dump_take_number(in, 4, true, out);
	return head == LENGTH_64 && dump_take_number(in, 8, true, out);
}

bool dump_take_length(struct slice *in, uint64_t *out)
{
	uint64_t head;
	return dump_take_number(in, 1, true, &head) && take_length_after(in, (uint8_t)head, out);
}

bool dump_take_bytes(struct slice *in, uint64_t len, struct slice *out)
{
	if (len > in->len)
		return false;
	*out = slice_sub(*in, 0, len);
	*in = slice_sub(*in, len, in->len);
	return true;
}

static bool take_integer(struct slice *in, int n_bytes, struct buf *text)
{
	uint64_t bits;
	if (!dump_take_number(in, n_bytes, false, &bits))
		return false;
	int shift = 64 - 8 * n_bytes;
	text->len = integer_format((int64_t)(bits << shift) >> shift, (char *)buf_reserve(text, INTEGER_TEXT_MAX));
	return true;
}

/* The stream says itself how long its text is: what is declared is only compared. */
static bool take_packed(struct slice *in, struct buf *text)
{
	uint64_t packed_len, declared_len;
	struct slice packed;
	size_t len;
	if (!dump_take_length(in, &packed_len) || !dump_take_length(in, &declared_len) ||
	    !dump_take_bytes(in, packed_len, &packed))
		return false;
	if (!lzf_measure(packed, &len) || len != declared_len || len > STRING_SIZE_MAX)
		return false;
	lzf_unpack(packed, buf_reserve(text, len));
	text->len = len;
	return true;
}

/* A string's bytes: in the payload itself, or in `room` if they are made up there. */
bool dump_take_string(struct slice *in, struct buf *room, struct slice *out)
{
	uint64_t head, len;
	if (!dump_take_number(in, 1, true, &head))
		return false;
	if ((head & 0xc0) != 0xc0)
		return take_length_after(in, (uint8_t)head, &len) && dump_take_bytes(in, len, out);
	bool taken = head == FORM_LZF ? take_packed(in, room)
	                              : head <= FORM_INT32 && take_integer(in, 1 << (head - FORM_INT8), room);
	*out = buf_slice(room);
	return taken;
}

bool dump_unseal(struct slice *payload)
{
	if (payload->len < FOOTER_SIZE)
		return false;
	struct slice footer = slice_sub(*payload, payload->len - FOOTER_SIZE, payload->len);
	uint64_t version, crc;
	bool whole = dump_take_number(&footer, 2, false, &version) && dump_take_number(&footer, 8, false, &crc);
	if (!whole || version > VERSION_READ_MAX || crc64(0, payload->ptr, payload->len - 8) != crc)
		return false;
	*payload = slice_sub(*payload, 0, payload->len - FOOTER_SIZE);
	return true;
}

/* A value on its way in: it is whole, and nothing is changed yet. */
struct restored {
	enum object_type type;
	enum dump_type form;
	struct slice string;
	struct buf room; /* of the string, or elements in their type's form */
};

static bool take_value(struct slice in, struct restored *out)
{
	uint64_t type;
	if (!dump_take_number(&in, 1, true, &type))
		return false;
	out->form = (enum dump_type)type;
	switch (type) {
	case DUMP_STRING:
		out->type = OBJECT_STRING;
		return dump_take_string(&in, &out->room, &out->string) && in.len == 0;
	case DUMP_LIST:
	case DUMP_LIST_ZIPLIST:
	case DUMP_LIST_QUICKLIST:
	case DUMP_LIST_QUICKLIST_2:
		out->type = OBJECT_LIST;
		return restore_list_read((enum dump_type)type, &in, &out->room) && in.len == 0;
	case DUMP_SET:
	case DUMP_SET_INTEGERS:
	case DUMP_SET_LISTPACK:
		out->type = OBJECT_SET;
		return restore_set_read((enum dump_type)type, &in, &out->room) && in.len == 0;
	case DUMP_ZSET:
	case DUMP_ZSET_2:
	case DUMP_ZSET_ZIPLIST:
	case DUMP_ZSET_LISTPACK:
		out->type = OBJECT_ZSET;
		return restore_zset_read((enum dump_type)type, &in, &out->room) && in.len == 0;
	case DUMP_HASH:
	case DUMP_HASH_ZIPMAP:
	case DUMP_HASH_ZIPLIST:
	case DUMP_HASH_LISTPACK:
	case DUMP_HASH_TIMED_CANDIDATE:
	case DUMP_HASH_LISTPACK_TIMED_CANDIDATE:
	case DUMP_HASH_TIMED:
	case DUMP_HASH_LISTPACK_TIMED:
		out->type = OBJECT_HASH;
		return restore_hash_read((enum dump_type)type, &in, &out->room) && in.len == 0;
	case DUMP_STREAM:
	case DUMP_STREAM_2:
	case DUMP_STREAM_3:
		out->type = OBJECT_STREAM;
		return restore_stream_read((enum dump_type)type, &in, &out->room) && in.len == 0;
	}
	return false;
}

/* In packed form already; NULL: it cannot be. */
static struct object *put_packed_value(struct exec *exec, struct slice packed, int64_t expires_ms)
{
	if (object_unpack(exec->shard, &exec->first, packed, expires_ms) != OK)
		return NULL;
	return keyspace_find(exec->shard, &exec->first, FIND_QUIET);
}

/* NULL: it is none after all. */
static struct object *put_value(struct exec *exec, const struct restored *value, int64_t expires_ms)
{
	if (value->type == OBJECT_STREAM)
		return put_packed_value(exec, buf_slice(&value->room), expires_ms);
	if (value->type == OBJECT_LIST)
		return restore_list_put(exec, buf_slice(&value->room), expires_ms);
	if (value->type == OBJECT_SET) {
		bool sound = restore_set_put(exec, value->form, buf_slice(&value->room), expires_ms);
		return sound ? keyspace_find(exec->shard, &exec->first, FIND_QUIET) : NULL;
	}
	if (value->type == OBJECT_ZSET)
		return restore_zset_put(exec, buf_slice(&value->room), expires_ms);
	if (value->type == OBJECT_HASH) {
		bool sound = restore_hash_put(exec, value->form, buf_slice(&value->room), expires_ms);
		return sound ? keyspace_peek(exec->shard, &exec->first) : NULL; /* its fields may have expired */
	}
	return string_put(exec->shard, &exec->first, value->string, expires_ms);
}

static void restored_fini(struct restored *value) { buf_fini(&value->room); }

/* A number from 0 to `max`; false: the error is said. */
static bool read_hint(struct exec *exec, uint32_t at, int64_t max, const char *otherwise, int64_t *out)
{
	if (exec_integer(exec, at, out) != OK) {
		reply_err(exec->reply, ERR_NOT_INTEGER);
		return false;
	}
	if (*out < 0 || *out > max) {
		reply_error_fmt(exec->reply, "ERR Invalid %s", otherwise);
		return false;
	}
	return true;
}

struct restore_options {
	bool replace, absolute;
	int64_t idle_s, frequency; /* -1: not given */
};

/* False: the error is said. */
static bool read_options(struct exec *exec, struct restore_options *out)
{
	*out = (struct restore_options){.idle_s = -1, .frequency = -1};
	for (uint32_t at = 4; at < exec->argc; at++) {
		bool has_value = at + 1 < exec->argc;
		if (exec_is(exec, at, S("REPLACE"))) {
			out->replace = true;
		} else if (exec_is(exec, at, S("ABSTTL"))) {
			out->absolute = true;
		} else if (exec_is(exec, at, S("IDLETIME")) && has_value && out->frequency < 0) {
			if (!read_hint(exec, ++at, INT64_MAX, "IDLETIME value, must be >= 0", &out->idle_s))
				return false;
		} else if (exec_is(exec, at, S("FREQ")) && has_value && out->idle_s < 0) {
			if (!read_hint(exec, ++at, 255, "FREQ value, must be >= 0 and <= 255", &out->frequency))
				return false;
		} else {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
	}
	return true;
}

/* 0 stays: no expiry. What lies past the end of time stays there. */
static int64_t expiry_of(const struct exec *exec, int64_t ttl_ms, bool absolute)
{
	int64_t expires_ms = ttl_ms;
	if (ttl_ms == 0)
		return EXPIRES_NEVER;
	if (!absolute && __builtin_add_overflow(ttl_ms, exec->client->now_ms, &expires_ms))
		return INT64_MAX;
	return expires_ms;
}

/* Puts the value of a payload without its footer; false: there is none in it. */
static bool restore(struct exec *exec, struct slice payload, const struct restore_options *options, int64_t expires_ms)
{
	cleanup(restored_fini) struct restored value = {0};
	if (!take_value(payload, &value))
		return false;
	if (expires_ms != EXPIRES_NEVER && expires_ms <= exec->client->now_ms) {
		if (keyspace_delete(exec->shard, &exec->first))
			exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
		return true;
	}
	bool existed = exec_find(exec, &exec->first, FIND_WRITE);
	struct object *object = put_value(exec, &value, expires_ms);
	if (!object)
		return false;
	object_set_use(exec->shard, object, options->idle_s, options->frequency);
	if (existed)
		exec_notify(exec, EVENT_NEW, S("new"), &exec->first);
	exec_notify(exec, EVENT_GENERIC, S("restore"), &exec->first);
	return true;
}

static enum err run_restore(struct exec *exec)
{
	struct restore_options options;
	int64_t ttl_ms;
	if (!read_options(exec, &options))
		return OK;
	if (!options.replace && exec_find(exec, &exec->first, FIND_WRITE))
		return ERR_BUSY_KEY;
	if (!read_hint(exec, 2, INT64_MAX, "TTL value, must be >= 0", &ttl_ms))
		return OK;
	struct slice payload = exec->argv[3];
	if (!dump_unseal(&payload))
		reply_error_fmt(exec->reply, "ERR DUMP payload version or checksum are wrong");
	else if (!restore(exec, payload, &options, expiry_of(exec, ttl_ms, options.absolute)))
		reply_error_fmt(exec->reply, "ERR Bad data format");
	else
		reply_ok(exec->reply);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments dump_arguments[] = {{"key", .type = ARG_KEY}, {0}};
static arguments restore_arguments[] = {
        {"key", .type = ARG_KEY},
        {"ttl", .type = ARG_INTEGER},
        {"serialized-value", .type = ARG_STRING},
        {"replace", "REPLACE", "3.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"absttl", "ABSTTL", "5.0.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
        {"seconds", "IDLETIME", "5.0.0", ARG_INTEGER, ARG_OPTIONAL},
        {"frequency", "FREQ", "5.0.0", ARG_INTEGER, ARG_OPTIONAL},
        {0},
};

static const struct command_history restore_history[] = {
        {"3.0.0", "Added the `REPLACE` modifier."},
        {"5.0.0", "Added the `ABSTTL` modifier."},
        {"5.0.0", "Added the `IDLETIME` and `FREQ` options."},
        {0},
};

/* clang-format off */
const struct command dump_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"DUMP", 2, {1, 1, 1}, COMMAND_READ, "2.6.0",
	 "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects "
	 "composing the value and M their average size. For small string values the time complexity is thus "
	 "O(1)+O(1*M) where M is small, so simply O(1).",
	 "Return a serialized version of the value stored at the specified key.", run_dump, dump_arguments,
	 .tips = "nondeterministic_output"},
	{"RESTORE", -4, {1, 1, 1}, COMMAND_WRITE | COMMAND_GROWS | COMMAND_COLD, "2.6.0",
	 "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number "
	 "of Redis objects composing the value and M their average size. For small string values the time complexity "
	 "is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is "
	 "O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
	 "Create a key using the provided serialized value, previously obtained using DUMP.", run_restore,
	 restore_arguments, .history = restore_history, .categories = "dangerous", .uses = "OW update"},
	{0},
};
/* clang-format on */
