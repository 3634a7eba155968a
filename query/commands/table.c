/* table.c -- joins the groups of rows, and finds a row by name or a number by row.
 *
 * Names are looked up by their first and last eight letters, folded to lower case: two
 * words and a length say all of a name up to 16 letters, so that a hit costs one compare
 * of words in an open table that is at most a quarter full. Numbers are given in the
 * order of the tables; rows find theirs by address, in a table that is never iterated.
 */
#include "engine/memory/memory.h"
#include "kernels/bytes.h"
#include "query/commands/command.h"

#include <assert.h>

/* clang-format off */
const struct command_group command_groups[] = {
	{"string", string_commands},
	{"list", list_commands},
	{"set", set_commands},
	{"sorted-set", sorted_set_commands},
	{"sorted-set", sorted_set_blocking_commands},
	{"sorted-set", sorted_set_range_commands},
	{"sorted-set", sorted_set_combine_commands},
	{"geo", geo_commands},
	{"hash", hash_commands},
	{"hash", hash_expire_commands},
	{"stream", stream_commands},
	{"bitmap", bitmap_commands},
	{"hyperloglog", hyperloglog_commands},
	{"generic", keys_commands},
	{"generic", expire_commands},
	{"generic", scan_commands},
	{"generic", dump_commands},
	{"generic", sort_commands},
	{"connection", connection_commands},
	{"transactions", transaction_commands},
	{"server", server_commands},
	{"pubsub", pubsub_commands},
	{"scripting", scripting_commands},
	{"scripting", function_commands},
	{0},
};
/* clang-format on */

enum {
	COMMANDS_MAX = 512, /* subcommands included */
	SLOT_BITS = 11,
	SLOTS_MAX = 1 << SLOT_BITS,
	ERROR_NAME_MAX = 128, /* bytes of a name or of arguments that an error repeats */
};
static_assert(SLOTS_MAX >= 4 * COMMANDS_MAX, "probes stay short");

/* A name of up to 16 letters is all in here; short ones have no tail. */
struct folded_name {
	uint64_t head, tail;
	uint64_t len;
};

struct name_slot {
	struct folded_name name;
	const struct command *row; /* NULL: free */
};

struct row_slot {
	const struct command *row; /* NULL: free */
	uint32_t number;
};

struct numbered_row {
	const struct command *row;
	const char *group;
	char *full_name;
};

struct command_index {
	struct name_slot names[SLOTS_MAX];
	struct row_slot rows[SLOTS_MAX];
	struct numbered_row numbered[COMMANDS_MAX];
	uint32_t n;
};

/* ---- names ------------------------------------------------------------------------ */

/* Lower case for eight letters at once; other bytes, those with the top bit too, stay. */
static uint64_t fold_word(uint64_t word)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t low7 = word & (0x7f * ones);
	uint64_t from_a = low7 + (0x80 - 'A') * ones;
	uint64_t past_z = low7 + (0x80 - 'Z' - 1) * ones;
	uint64_t is_upper = from_a & ~past_z & ~word & (0x80 * ones);
	return word | is_upper >> 2;
}

/* The first eight letters, or all of fewer. */
static inline uint64_t head_of(struct slice name)
{
	const uint8_t *at = name.ptr;
	size_t len = name.len;
	if (len >= 8)
		return load_u64(at);
	if (len >= 4)
		return load_u32(at) | (uint64_t)load_u32(at + len - 4) << 32;
	return len == 0 ? 0 : at[0] | (uint64_t)at[len / 2] << 8 | (uint64_t)at[len - 1] << 16;
}

static inline uint64_t tail_of(struct slice name) { return name.len > 8 ? load_u64(name.ptr + name.len - 8) : 0; }

static inline struct folded_name fold_name(struct slice name)
{
	return (struct folded_name){fold_word(head_of(name)), fold_word(tail_of(name)), name.len};
}

/* The hash takes the letters with a coarser folding, which runs beside the exact one. */
static inline size_t name_hash(uint64_t head, uint64_t tail, uint64_t len)
{
	const uint64_t lower = 0x2020202020202020u;
	uint64_t mixed = ((head | lower) + len) * 0xd6e8feb86659fd93u + (tail | lower) * 0x9e3779b97f4a7c15u;
	return mixed >> (64 - SLOT_BITS);
}

static const struct command *find_short(const struct command_index *index, struct slice name)
{
	uint64_t head = head_of(name), folded = fold_word(head);
	for (size_t at = name_hash(head, 0, name.len);; at = (at + 1) % SLOTS_MAX) {
		const struct name_slot *slot = &index->names[at];
		if (likely(slot->name.head == folded && slot->name.len == name.len) || !slot->row)
			return slot->row;
	}
}

static bool name_fits(const struct name_slot *slot, const struct folded_name *folded, struct slice name)
{
	if (slot->name.head != folded->head || slot->name.len != folded->len || slot->name.tail != folded->tail)
		return false;
	return likely(name.len <= 16) || slice_equal_nocase(slice_from_str(slot->row->name), name);
}

static const struct command *find_long(const struct command_index *index, struct slice name)
{
	struct folded_name folded = fold_name(name);
	for (size_t at = name_hash(head_of(name), tail_of(name), name.len);; at = (at + 1) % SLOTS_MAX) {
		const struct name_slot *slot = &index->names[at];
		if (!slot->row || likely(name_fits(slot, &folded, name)))
			return slot->row;
	}
}

const struct command *command_find(const struct command_index *index, struct slice name)
{
	return likely(name.len <= 8) ? find_short(index, name) : find_long(index, name);
}

static void add_name(struct command_index *index, const struct command *row)
{
	struct slice name = slice_from_str(row->name);
	assert(!command_find(index, name)); /* names are unique */
	size_t at = name_hash(head_of(name), tail_of(name), name.len);
	while (index->names[at].row)
		at = (at + 1) % SLOTS_MAX;
	index->names[at] = (struct name_slot){fold_name(name), row};
}

static const struct command *find_subcommand(const struct command *rows, struct slice name)
{
	for (; rows->name; rows++)
		if (slice_equal_nocase(slice_from_str(rows->name), name))
			return rows;
	return NULL;
}

/* ---- numbers ---------------------------------------------------------------------- */

static size_t row_hash(const struct command *row)
{
	return (uint64_t)(uintptr_t)row * 0x9e3779b97f4a7c15u >> (64 - SLOT_BITS);
}

static const struct row_slot *find_row(const struct command_index *index, const struct command *row)
{
	size_t at = row_hash(row);
	while (index->rows[at].row && index->rows[at].row != row)
		at = (at + 1) % SLOTS_MAX;
	return &index->rows[at];
}

uint32_t command_number(const struct command_index *index, const struct command *command)
{
	const struct row_slot *slot = find_row(index, command);
	assert(slot->row);
	return slot->number;
}

uint32_t command_count(const struct command_index *index) { return index->n; }

const struct command *command_by_number(const struct command_index *index, uint32_t number)
{
	assert(number < index->n);
	return index->numbered[number].row;
}

const char *command_group_name(const struct command_index *index, const struct command *command)
{
	return index->numbered[command_number(index, command)].group;
}

const char *command_full_name(const struct command_index *index, const struct command *command)
{
	return index->numbered[command_number(index, command)].full_name;
}

/* ---- building --------------------------------------------------------------------- */

static char *full_name_new(const struct command *parent, const struct command *row)
{
	size_t parent_len = parent ? strlen(parent->name) + 1 : 0;
	size_t len = strlen(row->name);
	char *name = memory_alloc(parent_len + len + 1);
	if (parent) {
		memcpy(name, parent->name, parent_len - 1);
		name[parent_len - 1] = '|';
	}
	memcpy(name + parent_len, row->name, len + 1);
	for (char *c = name; *c; c++)
		*c = (char)ascii_lower((uint8_t)*c);
	return name;
}

static void assert_name_sound(const char *name)
{
	assert(*name);
	for (; *name; name++)
		assert(ascii_lower((uint8_t)*name) == (uint8_t)*name || (*name >= 'A' && *name <= 'Z'));
}

static void assert_keys_sound(const struct command *row)
{
	const struct key_range *keys = &row->keys;
	assert(keys->first >= 0);
	assert(keys->first == 0 || keys->step > 0);
	assert(keys->first == 0 || keys->last < 0 || keys->last >= keys->first);
	assert(!!(row->flags & COMMAND_MOVABLE_KEYS) == !!row->find_keys);
}

static void assert_sound(const struct command *row)
{
	assert_name_sound(row->name);
	assert_keys_sound(row);
	assert(row->since);
	assert(row->complexity);
	assert(row->summary);
	assert(row->arity != 0);
	assert(row->run || row->subcommands);
	/* The bare name of a row that has only subcommands must fail by arity. */
	assert(row->run || row->arity <= -2);
	assert(!(row->flags & COMMAND_WRITE) || !(row->flags & COMMAND_READ));
	assert(!(row->flags & COMMAND_GROWS) || (row->flags & COMMAND_WRITE) || row->keys.first == 0);
}

static void add_row(struct command_index *index, const char *group, const struct command *parent,
                    const struct command *row)
{
	assert_sound(row);
	assert(index->n < COMMANDS_MAX);
	uint32_t number = index->n++;
	index->numbered[number] = (struct numbered_row){row, group, full_name_new(parent, row)};
	size_t at = row_hash(row);
	while (index->rows[at].row)
		at = (at + 1) % SLOTS_MAX;
	index->rows[at] = (struct row_slot){row, number};
}

static void add_subcommands(struct command_index *index, const char *group, const struct command *parent)
{
	for (const struct command *sub = parent->subcommands; sub->name; sub++) {
		assert(find_subcommand(parent->subcommands, slice_from_str(sub->name)) == sub); /* unique */
		assert(!sub->subcommands);
		add_row(index, group, parent, sub);
	}
}

struct command_index *command_index_new(void)
{
	struct command_index *index = memory_zalloc(sizeof(*index));
	for (const struct command_group *group = command_groups; group->name; group++) {
		for (const struct command *row = group->rows; row->name; row++) {
			add_name(index, row);
			add_row(index, group->name, NULL, row);
			if (row->subcommands)
				add_subcommands(index, group->name, row);
		}
	}
	return index;
}

void command_index_free(struct command_index *index)
{
	if (!index)
		return;
	for (uint32_t i = 0; i < index->n; i++)
		memory_free(index->numbered[i].full_name);
	memory_free(index);
}

/* ---- from arguments to a row ------------------------------------------------------ */

/* What an error repeats of a client's bytes: up to `max`, and to the first NUL. */
static int repeatable(struct slice text, size_t max)
{
	return (int)strnlen((const char *)text.ptr, text.len < max ? text.len : max);
}

static void say_unknown(struct reply *reply, const struct slice *argv, uint32_t argc)
{
	cleanup(buf_fini) struct buf args = {0};
	for (uint32_t i = 1; i < argc && args.len < ERROR_NAME_MAX; i++)
		buf_printf(&args, "'%.*s' ", repeatable(argv[i], ERROR_NAME_MAX - args.len), argv[i].ptr);
	reply_error_fmt(reply, "ERR unknown command '%.*s', with args beginning with: %.*s",
	                repeatable(argv[0], ERROR_NAME_MAX), argv[0].ptr, (int)args.len, args.ptr);
}

static void say_unknown_subcommand(struct reply *reply, const struct command *parent, struct slice name)
{
	reply_error_fmt(reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", repeatable(name, ERROR_NAME_MAX),
	                name.ptr, parent->name);
}

const struct command *command_resolve(const struct command_index *index, const struct slice *argv, uint32_t argc,
                                      struct reply *reply)
{
	const struct command *row = command_find(index, argv[0]);
	if (unlikely(!row)) {
		if (reply)
			say_unknown(reply, argv, argc);
		return NULL;
	}
	if (row->subcommands && argc > 1) {
		const struct command *sub = find_subcommand(row->subcommands, argv[1]);
		if (!sub) {
			if (reply)
				say_unknown_subcommand(reply, row, argv[1]);
			return NULL;
		}
		row = sub;
	}
	if (unlikely(!command_arity_fits(row, argc))) {
		if (reply)
			reply_error_fmt(reply, "ERR wrong number of arguments for '%s' command", command_full_name(index, row));
		return NULL;
	}
	return row;
}

int command_keys(const struct command *command, const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	if (command->find_keys)
		return command->find_keys(argv, argc, out, room);
	const struct key_range *keys = &command->keys;
	if (keys->first == 0)
		return 0;
	int64_t last = keys->last < 0 ? (int64_t)argc + keys->last : keys->last;
	uint32_t n = 0;
	for (int64_t at = keys->first; at <= last; at += keys->step, n++)
		if (n < room)
			out[n] = (uint32_t)at;
	return (int)n;
}
