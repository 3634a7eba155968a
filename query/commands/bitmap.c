/* bitmap.c -- commands on the bits of strings. Bit 0 is the top bit of byte 0. */
#include "engine/base/number.h"
#include "kernels/bytes.h"
#include "kernels/column/bits.h"
#include "query/commands/command.h"
#include "query/commands/notify.h"
#include "query/commands/string_limit.h"
#include "storage/journal/journal.h"

/* ---- one bit ---------------------------------------------------------------------- */

/* An offset in bits; "#n" means n fields of `width` bits where fields are spoken of. */
static enum err read_offset(struct slice text, unsigned width, uint64_t *out)
{
	int64_t offset;
	bool in_fields = width > 0 && text.len > 0 && text.ptr[0] == '#';
	if (in_fields)
		text = slice_sub(text, 1, text.len);
	if (!integer_parse(text, &offset))
		return ERR_BIT_OFFSET;
	if (in_fields && __builtin_mul_overflow(offset, (int64_t)width, &offset))
		return ERR_BIT_OFFSET;
	if (offset < 0 || offset / 8 >= STRING_SIZE_MAX)
		return ERR_BIT_OFFSET;
	*out = (uint64_t)offset;
	return OK;
}

static struct slice value_or_empty(const struct object *object, char scratch[STRING_SCRATCH])
{
	return object ? string_value(object, scratch) : S("");
}

static bool bit_at(struct slice bytes, uint64_t at)
{
	return at / 8 < bytes.len && bytes.ptr[at / 8] >> (7 - at % 8) & 1;
}

static enum err run_getbit(struct exec *exec)
{
	uint64_t at;
	struct object *object;
	char scratch[STRING_SCRATCH];
	TRY(read_offset(exec->argv[2], 0, &at));
	TRY(exec_find_string(exec, &exec->first, FIND_READ, &object));
	reply_integer(exec->reply, bit_at(value_or_empty(object, scratch), at));
	return OK;
}

static enum err run_setbit(struct exec *exec)
{
	uint64_t at;
	int64_t bit;
	struct object *object;
	char scratch[STRING_SCRATCH];
	TRY(read_offset(exec->argv[2], 0, &at));
	if (exec_integer(exec, 3, &bit) != OK || (bit != 0 && bit != 1))
		return ERR_NOT_BIT;
	TRY(exec_find_string(exec, &exec->first, FIND_WRITE, &object));
	struct slice value = value_or_empty(object, scratch);
	bool old = bit_at(value, at);
	size_t size = at / 8 + 1 > value.len ? at / 8 + 1 : value.len;
	/* A bit that is already so, in a value that is long enough, is no change. */
	if (size > value.len || old != bit) {
		uint8_t *byte = string_edit(exec->shard, &exec->first, size) + at / 8;
		*byte = (uint8_t)((*byte & ~(0x80 >> at % 8)) | (bit << (7 - at % 8)));
		shard_note_patch(exec->shard, at / 8, 1);
		exec_notify(exec, EVENT_STRING, S("setbit"), &exec->first);
	}
	reply_integer(exec->reply, old);
	return OK;
}

/* ---- ranges ----------------------------------------------------------------------- */

/* Bits from..to, both included; `to` < `from`: none. */
struct bit_range {
	int64_t from, to;
};

/* Ends in `unit_bits` (1 or 8) that count from the end of the value if negative. */
static struct bit_range bit_range_of(int64_t from, int64_t to, size_t size, unsigned unit_bits)
{
	int64_t n = (int64_t)(size * 8 / unit_bits);
	if (from < 0)
		from = from + n < 0 ? 0 : from + n;
	if (to < 0)
		to = to + n < 0 ? 0 : to + n;
	if (to >= n)
		to = n - 1;
	if (from > to)
		return (struct bit_range){1, 0};
	return (struct bit_range){from * unit_bits, to * unit_bits + unit_bits - 1};
}

static enum err read_unit(const struct exec *exec, uint32_t at, unsigned *out)
{
	if (at >= exec->argc || exec_is(exec, at, S("BYTE")))
		*out = 8;
	else if (exec_is(exec, at, S("BIT")))
		*out = 1;
	else
		return ERR_SYNTAX;
	return OK;
}

static int64_t count_range(struct slice bytes, struct bit_range range)
{
	if (range.from > range.to)
		return 0;
	size_t first = (size_t)range.from / 8, last = (size_t)range.to / 8;
	unsigned before = bytes.ptr[first] >> (8 - range.from % 8);
	unsigned after = bytes.ptr[last] & ((1u << (7 - range.to % 8)) - 1);
	return (int64_t)bits_count(bytes.ptr + first, last - first + 1) - __builtin_popcount(before) -
	       __builtin_popcount(after);
}

/* The first such bit of the range; -1 if there is none. */
static int64_t find_in_range(struct slice bytes, struct bit_range range, unsigned bit)
{
	if (range.from > range.to)
		return -1;
	size_t first = (size_t)range.from / 8, last = (size_t)range.to / 8;
	unsigned head = (bit ? bytes.ptr[first] : ~bytes.ptr[first]) & (0xffu >> range.from % 8);
	int64_t at;
	if (head) {
		at = (int64_t)first * 8 + __builtin_clz(head) - 24;
	} else {
		size_t found = bits_find(bytes.ptr + first + 1, last - first, bit);
		if (found == SIZE_MAX)
			return -1;
		at = (int64_t)((first + 1) * 8 + found);
	}
	return at <= range.to ? at : -1;
}

/* Absence and type come before bad arguments, here and in BITPOS, as in Redis 7.0. */
static enum err run_bitcount(struct exec *exec)
{
	struct object *object;
	char scratch[STRING_SCRATCH];
	int64_t from = 0, to = -1, n = 0;
	unsigned unit_bits = 8;
	TRY(exec_find_string(exec, &exec->first, FIND_READ, &object));
	if (object) {
		struct slice value = string_value(object, scratch);
		if (exec->argc == 3 || exec->argc > 5)
			return ERR_SYNTAX;
		if (exec->argc > 3) {
			TRY(exec_integer(exec, 2, &from));
			TRY(exec_integer(exec, 3, &to));
		}
		bool is_backward = from < 0 && to < 0 && from > to;
		if (!is_backward) {
			TRY(read_unit(exec, 4, &unit_bits));
			n = count_range(value, bit_range_of(from, to, value.len, unit_bits));
		}
	}
	reply_integer(exec->reply, n);
	return OK;
}

static enum err run_bitpos(struct exec *exec)
{
	struct object *object;
	char scratch[STRING_SCRATCH];
	int64_t bit, from = 0, to = -1;
	unsigned unit_bits;
	TRY(exec_integer(exec, 2, &bit));
	if (bit != 0 && bit != 1) {
		reply_error_fmt(exec->reply, "ERR The bit argument must be 1 or 0.");
		return OK;
	}
	TRY(exec_find_string(exec, &exec->first, FIND_READ, &object));
	if (!object) {
		reply_integer(exec->reply, -bit);
		return OK;
	}
	if (exec->argc > 6)
		return ERR_SYNTAX;
	if (exec->argc > 3)
		TRY(exec_integer(exec, 3, &from));
	TRY(read_unit(exec, 5, &unit_bits));
	if (exec->argc > 4)
		TRY(exec_integer(exec, 4, &to));
	struct slice value = string_value(object, scratch);
	struct bit_range range = bit_range_of(from, to, value.len, unit_bits);
	int64_t at = find_in_range(value, range, (unsigned)bit);
	/* Without an end the value is taken to go on with clear bits. */
	if (at < 0 && bit == 0 && exec->argc <= 4 && range.from <= range.to)
		at = (int64_t)value.len * 8;
	reply_integer(exec->reply, at);
	return OK;
}

/* ---- BITOP ------------------------------------------------------------------------ */

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR, BIT_NOT, BIT_OPERATIONS };

static const char *const operation_words[BIT_OPERATIONS] = {
        [BIT_AND] = "AND", [BIT_OR] = "OR", [BIT_XOR] = "XOR", [BIT_NOT] = "NOT"};

static enum err read_operation(struct slice word, enum bit_operation *out)
{
	for (enum bit_operation i = 0; i < BIT_OPERATIONS; i++) {
		if (slice_equal_nocase(word, slice_from_str(operation_words[i]))) {
			*out = i;
			return OK;
		}
	}
	return ERR_SYNTAX;
}

/* The length of the longest source. */
static enum err measure_sources(struct exec *exec, size_t *out)
{
	size_t longest = 0;
	for (uint32_t at = 3; at < exec->argc; at++) {
		struct key key = exec_key(exec, at);
		struct object *object;
		TRY(exec_find_string(exec, &key, FIND_READ, &object));
		size_t size = object ? string_length(object) : 0;
		longest = size > longest ? size : longest;
	}
	*out = longest;
	return OK;
}

/* A source that is shorter than the result goes on with zero bytes. */
static void merge_source(enum bit_operation operation, uint8_t *result, size_t size, struct slice source)
{
	switch (operation) {
	case BIT_AND:
		bits_and(result, source.ptr, source.len);
		memset(result + source.len, 0, size - source.len);
		break;
	case BIT_OR:
		bits_or(result, source.ptr, source.len);
		break;
	case BIT_XOR:
		bits_xor(result, source.ptr, source.len);
		break;
	default:
		assert(!"NOT has one source");
	}
}

static void merge_sources(struct exec *exec, enum bit_operation operation, uint8_t *result, size_t size)
{
	for (uint32_t at = 3; at < exec->argc; at++) {
		struct key key = exec_key(exec, at);
		char scratch[STRING_SCRATCH];
		struct slice source = value_or_empty(keyspace_find(exec->shard, &key, FIND_QUIET), scratch);
		if (at == 3) {
			memset(result + source.len, 0, size - source.len);
			if (source.len > 0)
				memcpy(result, source.ptr, source.len);
		} else {
			merge_source(operation, result, size, source);
		}
	}
	if (operation == BIT_NOT)
		bits_not(result, result, size);
}

static enum err run_bitop(struct exec *exec)
{
	enum bit_operation operation;
	size_t size;
	TRY(read_operation(exec->argv[1], &operation));
	if (operation == BIT_NOT && exec->argc != 4) {
		reply_error_fmt(exec->reply, "ERR BITOP NOT must be called with a single source key.");
		return OK;
	}
	TRY(measure_sources(exec, &size));
	if (size == 0) {
		if (keyspace_delete(exec->shard, &exec->first))
			exec_notify(exec, EVENT_GENERIC, S("del"), &exec->first);
	} else {
		/* Apart from the destination, which may be a source too. */
		cleanup(buf_fini) struct buf result = {0};
		merge_sources(exec, operation, buf_reserve(&result, size), size);
		string_put_bytes(exec->shard, &exec->first, slice_of(result.ptr, size), EXPIRES_NEVER, true);
		exec_notify(exec, EVENT_STRING, S("set"), &exec->first);
	}
	reply_integer(exec->reply, (int64_t)size);
	return OK;
}

/* ---- BITFIELD --------------------------------------------------------------------- */

enum field_verb { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum overflow { OVERFLOW_WRAP, OVERFLOW_SAT, OVERFLOW_FAIL };

/* An operation on `width` bits from bit `at` on. */
struct field {
	enum field_verb verb;
	enum overflow overflow;
	bool is_signed;
	unsigned width;
	uint64_t at;
	int64_t operand; /* of SET and INCRBY */
};

/* Where the reading of BITFIELD's arguments is. OVERFLOW holds for what follows it. */
struct field_reader {
	uint32_t at;
	enum overflow overflow;
};

static const struct field_reader field_reader_start = {.at = 2, .overflow = OVERFLOW_WRAP};

static enum err read_overflow(struct exec *exec, struct field_reader *reader, bool *said)
{
	if (reader->at + 1 >= exec->argc)
		return ERR_SYNTAX;
	if (exec_is(exec, reader->at + 1, S("WRAP"))) {
		reader->overflow = OVERFLOW_WRAP;
	} else if (exec_is(exec, reader->at + 1, S("SAT"))) {
		reader->overflow = OVERFLOW_SAT;
	} else if (exec_is(exec, reader->at + 1, S("FAIL"))) {
		reader->overflow = OVERFLOW_FAIL;
	} else {
		reply_error_fmt(exec->reply, "ERR Invalid OVERFLOW type specified");
		*said = true;
	}
	reader->at += 2;
	return OK;
}

static bool read_field_type(struct slice text, struct field *field)
{
	int64_t width;
	if (text.len < 2 || (text.ptr[0] != 'i' && text.ptr[0] != 'u'))
		return false;
	field->is_signed = text.ptr[0] == 'i';
	if (!integer_parse(slice_sub(text, 1, text.len), &width))
		return false;
	if (width < 1 || width > (field->is_signed ? 64 : 63))
		return false;
	field->width = (unsigned)width;
	return true;
}

static bool read_verb(const struct exec *exec, uint32_t at, struct field *field)
{
	uint32_t n_more = exec->argc - at - 1;
	if (exec_is(exec, at, S("GET")) && n_more >= 2)
		field->verb = FIELD_GET;
	else if (exec_is(exec, at, S("SET")) && n_more >= 3)
		field->verb = FIELD_SET;
	else if (exec_is(exec, at, S("INCRBY")) && n_more >= 3)
		field->verb = FIELD_INCRBY;
	else
		return false;
	return true;
}

static enum err read_field(struct exec *exec, struct field_reader *reader, struct field *field, bool *said)
{
	uint32_t at = reader->at;
	if (!read_verb(exec, at, field))
		return ERR_SYNTAX;
	if (!read_field_type(exec->argv[at + 1], field)) {
		reply_error_fmt(exec->reply, "ERR Invalid bitfield type. Use something like i16 u8. "
		                             "Note that u64 is not supported but i64 is.");
		*said = true;
		return OK;
	}
	TRY(read_offset(exec->argv[at + 2], field->width, &field->at));
	if (field->verb != FIELD_GET)
		TRY(exec_integer(exec, at + 3, &field->operand));
	field->overflow = reader->overflow;
	reader->at = at + (field->verb == FIELD_GET ? 3 : 4);
	return OK;
}

/* The next operation; false at the end, and when an error was said (then *said). */
static bool next_field(struct exec *exec, struct field_reader *reader, struct field *field, bool *said)
{
	enum err err = OK;
	while (err == OK && !*said && reader->at < exec->argc) {
		if (exec_is(exec, reader->at, S("OVERFLOW"))) {
			err = read_overflow(exec, reader, said);
		} else {
			err = read_field(exec, reader, field, said);
			if (err == OK && !*said)
				return true;
		}
	}
	if (err != OK) {
		reply_err(exec->reply, err);
		*said = true;
	}
	return false;
}

/* What all operations together need. */
struct field_plan {
	uint32_t n;
	bool writes;
	size_t size; /* that the writing ones reach to */
};

/* False with the error said. The arguments are read twice, first to refuse, then to do:
 * that is cheaper than to keep them. */
static bool plan_fields(struct exec *exec, struct field_plan *plan)
{
	struct field_reader reader = field_reader_start;
	struct field field;
	bool said = false;
	*plan = (struct field_plan){0};
	while (next_field(exec, &reader, &field, &said)) {
		plan->n++;
		if (field.verb == FIELD_GET)
			continue;
		size_t end = (field.at + field.width - 1) / 8 + 1;
		plan->writes = true;
		plan->size = end > plan->size ? end : plan->size;
	}
	return !said;
}

typedef unsigned __int128 window; /* 16 bytes from the byte of a field's first bit on */

static window load_window(struct slice bytes, size_t from)
{
	uint8_t copy[16] = {0};
	if (from < bytes.len)
		memcpy(copy, bytes.ptr + from, bytes.len - from < 16 ? bytes.len - from : 16);
	return (window)load_be64(copy) << 64 | load_be64(copy + 8);
}

static unsigned window_shift(const struct field *field) { return 128 - (unsigned)(field->at % 8) - field->width; }

static uint64_t field_mask(const struct field *field) { return UINT64_MAX >> (64 - field->width); }

static uint64_t get_bits(struct slice bytes, const struct field *field)
{
	return (uint64_t)(load_window(bytes, field->at / 8) >> window_shift(field)) & field_mask(field);
}

static size_t field_first_byte(const struct field *field) { return field->at / 8; }
static size_t field_last_byte(const struct field *field) { return (field->at + field->width - 1) / 8; }

static void put_bits(uint8_t *bytes, const struct field *field, uint64_t bits)
{
	size_t first = field_first_byte(field), last = field_last_byte(field);
	window mask = (window)field_mask(field) << window_shift(field);
	window merged = load_window(slice_of(bytes, last + 1), first) & ~mask;
	merged |= (window)bits << window_shift(field) & mask;
	for (size_t i = first; i <= last; i++, merged <<= 8)
		bytes[i] = (uint8_t)(merged >> 120);
}

static int64_t field_value(const struct field *field, uint64_t bits)
{
	unsigned unused = 64 - field->width;
	return field->is_signed ? (int64_t)(bits << unused) >> unused : (int64_t)bits;
}

/* The bits to write; false if the value does not fit and the operation is to fail then. */
static bool fit(const struct field *field, __int128 exact, uint64_t *out)
{
	__int128 max = field->is_signed ? (__int128)(field_mask(field) >> 1) : (__int128)field_mask(field);
	__int128 min = field->is_signed ? -max - 1 : 0;
	if (exact < min || exact > max) {
		if (field->overflow == OVERFLOW_FAIL)
			return false;
		if (field->overflow == OVERFLOW_SAT)
			exact = exact < min ? min : max;
	}
	*out = (uint64_t)exact & field_mask(field);
	return true;
}

/* A negative number to set is a huge one to an unsigned field, as in Redis. */
static __int128 wanted_value(const struct field *field, int64_t old)
{
	if (field->verb == FIELD_INCRBY)
		return (__int128)old + field->operand;
	return field->is_signed ? (__int128)field->operand : (__int128)(uint64_t)field->operand;
}

/* A value that operations read, and that becomes writable with the first one that writes. */
struct field_target {
	struct slice value;
	uint8_t *bytes; /* NULL: nothing is written so far */
};

static void target_edit(struct exec *exec, struct field_target *target, size_t size)
{
	if (target->bytes)
		return;
	size = size > target->value.len ? size : target->value.len;
	target->bytes = string_edit(exec->shard, &exec->first, size);
	shard_note_patch(exec->shard, 0, 0); /* what is written will be said */
	target->value = slice_of(target->bytes, size);
}

static void run_field(struct exec *exec, const struct field *field, struct field_target *target)
{
	uint64_t before = get_bits(target->value, field), bits;
	int64_t old = field_value(field, before);
	if (field->verb == FIELD_GET) {
		reply_integer(exec->reply, old);
	} else if (fit(field, wanted_value(field, old), &bits)) {
		/* Bits that are so already are no change of the key. */
		if (bits != before) {
			target_edit(exec, target, 0);
			put_bits(target->bytes, field, bits);
			shard_note_patch(exec->shard, field_first_byte(field),
			                 field_last_byte(field) - field_first_byte(field) + 1);
		}
		reply_integer(exec->reply, field->verb == FIELD_SET ? old : field_value(field, bits));
	} else {
		reply_null(exec->reply);
	}
}

static enum err run_planned(struct exec *exec, const struct field_plan *plan)
{
	struct object *object;
	char scratch[STRING_SCRATCH];
	TRY(exec_find_string(exec, &exec->first, plan->writes ? FIND_WRITE : FIND_READ, &object));
	struct field_target target = {.value = value_or_empty(object, scratch)};
	/* Growth is no matter of overflow: the key is there even if every operation fails. */
	if (plan->size > target.value.len)
		target_edit(exec, &target, plan->size);

	struct field_reader reader = field_reader_start;
	struct field field;
	bool said = false;
	reply_array(exec->reply, plan->n);
	while (next_field(exec, &reader, &field, &said))
		run_field(exec, &field, &target);
	assert(!said);
	if (target.bytes)
		exec_notify(exec, EVENT_STRING, S("setbit"), &exec->first);
	return OK;
}

static enum err run_bitfield(struct exec *exec)
{
	struct field_plan plan;
	return plan_fields(exec, &plan) ? run_planned(exec, &plan) : OK;
}

static const char *bitfield_uses(const struct slice *argv, uint32_t argc)
{
	for (uint32_t i = 2; i < argc; i++)
		if (slice_equal_nocase(argv[i], S("SET")) || slice_equal_nocase(argv[i], S("INCRBY")))
			return "RW access update";
	return "RO access";
}

static enum err run_bitfield_ro(struct exec *exec)
{
	struct field_plan plan;
	if (!plan_fields(exec, &plan))
		return OK;
	if (plan.writes) {
		reply_error_fmt(exec->reply, "ERR BITFIELD_RO only supports the GET subcommand");
		return OK;
	}
	return run_planned(exec, &plan);
}

/* ---- the rows --------------------------------------------------------------------- */

enum { READ = COMMAND_READ, WRITE = COMMAND_WRITE, GROWS = COMMAND_GROWS, FAST = COMMAND_FAST };

typedef const struct command_argument arguments;

static arguments getbit_arguments[] = {{"key", .type = ARG_KEY}, {"offset", .type = ARG_INTEGER}, {0}};
static arguments setbit_arguments[] = {
        {"key", .type = ARG_KEY}, {"offset", .type = ARG_INTEGER}, {"value", .type = ARG_INTEGER}, {0}};

static arguments units[] = {
        {"byte", "BYTE", .type = ARG_PURE_TOKEN},
        {"bit", "BIT", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments bitcount_range[] = {
        {"start", .type = ARG_INTEGER},
        {"end", .type = ARG_INTEGER},
        {"unit", NULL, "7.0.0", ARG_ONEOF, ARG_OPTIONAL, units},
        {0},
};
static arguments bitcount_arguments[] = {
        {"key", .type = ARG_KEY},
        {"range", NULL, NULL, ARG_BLOCK, ARG_OPTIONAL, bitcount_range},
        {0},
};
static arguments bitpos_end[] = {
        {"end", .type = ARG_INTEGER},
        {"unit", NULL, "7.0.0", ARG_ONEOF, ARG_OPTIONAL, units},
        {0},
};
static arguments bitpos_range[] = {
        {"start", .type = ARG_INTEGER},
        {"end-unit-block", NULL, NULL, ARG_BLOCK, ARG_OPTIONAL, bitpos_end},
        {0},
};
static arguments bitpos_arguments[] = {
        {"key", .type = ARG_KEY},
        {"bit", .type = ARG_INTEGER},
        {"range", NULL, NULL, ARG_BLOCK, ARG_OPTIONAL, bitpos_range},
        {0},
};
static const struct command_history unit_history[] = {{"7.0.0", "Added the `BYTE|BIT` option."}, {0}};

static arguments operations[] = {
        {"and", "AND", .type = ARG_PURE_TOKEN},
        {"or", "OR", .type = ARG_PURE_TOKEN},
        {"xor", "XOR", .type = ARG_PURE_TOKEN},
        {"not", "NOT", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments bitop_arguments[] = {
        {"operation", NULL, NULL, ARG_ONEOF, 0, operations},
        {"destkey", .type = ARG_KEY},
        {"key", .type = ARG_KEY, .flags = ARG_MULTIPLE},
        {0},
};

static arguments field_place[] = {{"encoding", .type = ARG_STRING}, {"offset", .type = ARG_INTEGER}, {0}};
static arguments field_set[] = {
        {"encoding", .type = ARG_STRING}, {"offset", .type = ARG_INTEGER}, {"value", .type = ARG_INTEGER}, {0}};
static arguments field_increment[] = {
        {"encoding", .type = ARG_STRING}, {"offset", .type = ARG_INTEGER}, {"increment", .type = ARG_INTEGER}, {0}};
static arguments field_overflows[] = {
        {"wrap", "WRAP", .type = ARG_PURE_TOKEN},
        {"sat", "SAT", .type = ARG_PURE_TOKEN},
        {"fail", "FAIL", .type = ARG_PURE_TOKEN},
        {0},
};
static arguments field_writes[] = {
        {"set-block", "SET", NULL, ARG_BLOCK, 0, field_set},
        {"increment-block", "INCRBY", NULL, ARG_BLOCK, 0, field_increment},
        {0},
};
static arguments field_write[] = {
        {"overflow-block", "OVERFLOW", NULL, ARG_ONEOF, ARG_OPTIONAL, field_overflows},
        {"write-operation", NULL, NULL, ARG_ONEOF, 0, field_writes},
        {0},
};
static arguments field_operations[] = {
        {"get-block", "GET", NULL, ARG_BLOCK, 0, field_place},
        {"write", NULL, NULL, ARG_BLOCK, 0, field_write},
        {0},
};
static arguments bitfield_arguments[] = {
        {"key", .type = ARG_KEY},
        {"operation", NULL, NULL, ARG_ONEOF, ARG_OPTIONAL | ARG_MULTIPLE, field_operations},
        {0},
};
static arguments bitfield_ro_arguments[] = {
        {"key", .type = ARG_KEY},
        {"get-block", "GET", NULL, ARG_BLOCK, ARG_OPTIONAL | ARG_MULTIPLE | ARG_MULTIPLE_TOKEN, field_place},
        {0},
};

/* clang-format off */
const struct command bitmap_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"BITCOUNT", -2, {1, 1, 1}, READ, "2.6.0", "O(N) where N is the length of the range",
	 "How many bits of the value of a key, or of a part of it, are set.", run_bitcount, bitcount_arguments,
	 .history = unit_history},
	{"BITFIELD", -2, {1, 1, 1}, WRITE | GROWS, "3.2.0", "O(1) for each operation",
	 "Reads and changes integers of any width in the value of a key.", run_bitfield, bitfield_arguments,
	 .uses = "RW access update variable_flags", .uses_by = bitfield_uses},
	{"BITFIELD_RO", -2, {1, 1, 1}, READ | FAST, "6.0.0", "O(1) for each operation",
	 "Reads integers of any width in the value of a key.", run_bitfield_ro, bitfield_ro_arguments},
	{"BITOP", -4, {2, -1, 1}, WRITE | GROWS, "2.6.0", "O(N) where N is the length of the longest value",
	 "Combines the values of keys bit by bit, and gives the result to another key.", run_bitop, bitop_arguments,
	 .uses = "OW update, RO access"},
	{"BITPOS", -3, {1, 1, 1}, READ, "2.8.7", "O(N) where N is the length of the range",
	 "The first bit of the value of a key, or of a part of it, that is set or clear.", run_bitpos,
	 bitpos_arguments, .history = unit_history},
	{"GETBIT", 3, {1, 1, 1}, READ | FAST, "2.2.0", "O(1)",
	 "A bit of the value of a key.", run_getbit, getbit_arguments},
	{"SETBIT", 4, {1, 1, 1}, WRITE | GROWS, "2.2.0", "O(1)",
	 "Sets or clears a bit of the value of a key, which grows by zero bytes as needed.", run_setbit,
	 setbit_arguments},
	{0},
};
/* clang-format on */
