/* scan.c -- commands that look over all keys: SCAN, KEYS, RANDOMKEY.
 *
 * The keys lie in partitions, each owned by some core. A walk goes through them in order,
 * visiting owners from the client's fiber. A visit shows a bounded number of keys and
 * spends a bounded number of steps on their names, so that no core is held up; names that
 * it has not decided by then come along, and the fiber decides them at home, in portions.
 * The answer is said in portions too.
 *
 * SCAN's cursor is a walk's place: the partition in the low bits, above it the position in
 * the partition's table. A position is a prefix of a hash, so only its upper bits are ever
 * set, and those that are packed are more than a table can use. All of it stays below
 * 2^53, since there are clients that keep cursors as floating-point numbers.
 */
#include "query/commands/scan.h"
#include "engine/base/glob.h"
#include "engine/base/number.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/placement/placement.h"

enum {
	VISIT_KEYS = 256,      /* shown by one visit */
	VISIT_STEPS = 1 << 15, /* of matching names in one visit, about 100 us */
	HOME_STEPS = 1 << 15,  /* in the fiber between two yields */
	HOME_VISITS = 8,       /* whose names are said between two yields */
	NAME_LIKELY = 32,      /* bytes to make room for ahead */
	PARTITION_BITS = 6,
	POSITION_BITS = 46,
};
static_assert(PARTITIONS == 1 << PARTITION_BITS, "a cursor holds any partition");
static_assert(PARTITION_BITS + POSITION_BITS < 53, "a cursor is exact as a double");

/* ---- the walk --------------------------------------------------------------------- */

struct place {
	uint16_t partition; /* PARTITIONS: the end */
	uint64_t position;
};

/* A name in walk.names: this, then its bytes. */
struct found {
	size_t len;
	bool undecided;
};

struct walk {
	struct place place;
	int64_t now_ms;
	uint16_t db;
	struct slice pattern;
	struct slice type;   /* its name; empty: any */
	uint64_t steps_left; /* of this visit */
	uint64_t shown;      /* keys, whether they fit or not */
	bool any_undecided;  /* in this visit */
	struct buf names;    /* of this visit */
	/* What earlier visits found; kept apart, since a buffer for all would be copied in one
	 * piece whenever it grows. */
	struct buf harvest; /* of struct buf */
	uint64_t n_found;
	size_t found_bytes;
};

static bool type_fits(const struct walk *walk, const struct object *object)
{
	return walk->type.len == 0 ||
	       slice_equal_nocase(walk->type, slice_from_str(object_type_name(object_type(object))));
}

static enum glob_verdict name_fits(struct walk *walk, struct slice name)
{
	if (slice_equal(walk->pattern, S("*")))
		return GLOB_YES;
	struct glob glob = glob_of(walk->pattern, name, false);
	return glob_go_on(&glob, &walk->steps_left);
}

static void take_if_fits(void *arg, struct object *object)
{
	struct walk *walk = arg;
	walk->shown++;
	if (!type_fits(walk, object))
		return;
	struct slice name = object_key(object);
	enum glob_verdict verdict = name_fits(walk, name);
	if (verdict == GLOB_NO)
		return;
	struct found found = {.len = name.len, .undecided = verdict == GLOB_UNDECIDED};
	buf_append(&walk->names, slice_of(&found, sizeof(found)));
	buf_append(&walk->names, name);
	walk->any_undecided |= found.undecided;
}

struct visit {
	struct walk *walk;
	uint64_t want; /* keys shown in the end */
};

/* On the owner's core: its partitions from the walk's place on, as far as they follow. What
 * does not end a partition has cost its share of the visit, even if no key was shown. */
static void visit_owner(struct core *there, void *arg)
{
	const struct visit *visit = arg;
	struct walk *walk = visit->walk;
	struct place *place = &walk->place;
	struct shard *shard = there->shard;
	uint64_t budget = VISIT_KEYS;
	shard->now_ms = walk->now_ms;
	walk->steps_left = VISIT_STEPS;
	do {
		uint64_t before = walk->shown, left = visit->want - before;
		uint32_t want = (uint32_t)(left < budget ? left : budget);
		place->position = keyspace_scan(shard, shard->keyspace_of_db[walk->db], place->partition,
		                                place->position, want, take_if_fits, walk);
		uint64_t cost = walk->shown - before;
		if (place->position == 0)
			place->partition++;
		else if (cost < want)
			cost = want;
		budget -= cost < budget ? cost : budget;
	} while (place->partition < PARTITIONS && walk->shown < visit->want && budget > 0 && walk->steps_left > 0 &&
	         there->machine->placement->core_of[place->partition] == there->id);
}

static bool fits_after_all(struct core *core, struct slice pattern, struct slice name)
{
	struct glob glob = glob_of(pattern, name, false);
	for (;;) {
		uint64_t steps = HOME_STEPS;
		enum glob_verdict verdict = glob_go_on(&glob, &steps);
		if (verdict != GLOB_UNDECIDED)
			return verdict == GLOB_YES;
		fiber_yield(core);
	}
}

static struct found found_at(const struct buf *names, size_t at, struct slice *name)
{
	struct found found;
	memcpy(&found, names->ptr + at, sizeof(found));
	*name = slice_of(names->ptr + at + sizeof(found), found.len);
	return found;
}

/* Decides the names that a visit left; those that do not fit move out. */
static void decide_at_home(struct core *core, struct walk *walk)
{
	struct buf *names = &walk->names;
	size_t kept = 0;
	for (size_t at = 0; at < names->len;) {
		struct slice name;
		struct found found = found_at(names, at, &name);
		size_t size = sizeof(found) + found.len;
		if (!found.undecided || fits_after_all(core, walk->pattern, name)) {
			memmove(names->ptr + kept, names->ptr + at, size);
			kept += size;
		}
		at += size;
	}
	names->len = kept;
	walk->any_undecided = false;
}

static void bring_in(struct walk *walk)
{
	if (walk->names.len == 0)
		return;
	struct slice name;
	for (size_t at = 0; at < walk->names.len; walk->n_found++)
		at += sizeof(struct found) + found_at(&walk->names, at, &name).len;
	walk->found_bytes += walk->names.len;
	struct buf names = buf_take(&walk->names);
	buf_append(&walk->harvest, slice_of(&names, sizeof(names)));
}

/* Goes on until about `want` more keys were shown, or to the end. */
static void walk_on(struct core *core, struct walk *walk, uint64_t want)
{
	uint64_t until;
	if (__builtin_add_overflow(walk->shown, want, &until))
		until = UINT64_MAX;
	for (;;) {
		uint64_t left = until - walk->shown, wanted = left < VISIT_KEYS ? left : VISIT_KEYS;
		struct visit visit = {walk, walk->shown + wanted};
		(void)buf_reserve(&walk->names, wanted * (sizeof(struct found) + NAME_LIKELY));
		fiber_call(core, core->machine->placement->core_of[walk->place.partition], visit_owner, &visit);
		if (walk->any_undecided)
			decide_at_home(core, walk);
		bring_in(walk);
		if (walk->place.partition == PARTITIONS || walk->shown >= until)
			return;
		fiber_yield(core);
	}
}

static struct buf *harvest_at(const struct walk *walk, size_t i) { return (struct buf *)walk->harvest.ptr + i; }
static size_t harvest_count(const struct walk *walk) { return walk->harvest.len / sizeof(struct buf); }

static void say_names(struct reply *reply, const struct buf *names)
{
	for (size_t at = 0; at < names->len;) {
		struct slice name;
		struct found found = found_at(names, at, &name);
		reply_bulk(reply, name);
		at += sizeof(found) + found.len;
	}
}

static void say_harvest(const struct exec *exec, const struct walk *walk)
{
	(void)buf_reserve(exec->reply->out, walk->found_bytes); /* grown once */
	reply_array(exec->reply, walk->n_found);
	for (size_t i = 0; i < harvest_count(walk); i++) {
		say_names(exec->reply, harvest_at(walk, i));
		buf_fini(harvest_at(walk, i));
		if (i % HOME_VISITS == HOME_VISITS - 1)
			fiber_yield(exec->core);
	}
}

static struct walk walk_of(const struct exec *exec)
{
	return (struct walk){.now_ms = exec->client->now_ms, .db = exec->client->db, .pattern = S("*")};
}

static void walk_fini(struct walk *walk)
{
	for (size_t i = 0; i < harvest_count(walk); i++)
		buf_fini(harvest_at(walk, i));
	buf_fini(&walk->harvest);
	buf_fini(&walk->names);
}

/* ---- KEYS ------------------------------------------------------------------------- */

static enum err run_keys(struct exec *exec)
{
	cleanup(walk_fini) struct walk walk = walk_of(exec);
	walk.pattern = exec->argv[1];
	walk_on(exec->core, &walk, UINT64_MAX);
	say_harvest(exec, &walk);
	return OK;
}

/* ---- SCAN ------------------------------------------------------------------------- */

static uint64_t cursor_of(struct place place)
{
	if (place.partition == PARTITIONS)
		return 0;
	uint64_t upper = place.position >> (64 - POSITION_BITS);
	assert(upper << (64 - POSITION_BITS) == place.position);
	return upper << PARTITION_BITS | place.partition;
}

static struct place place_of(uint64_t cursor)
{
	return (struct place){
	        .partition = cursor % PARTITIONS,
	        .position = cursor >> PARTITION_BITS << (64 - POSITION_BITS),
	};
}

bool scan_cursor(struct slice text, uint64_t *out)
{
	bool sign = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
	bool negative = sign && text.ptr[0] == '-';
	if (sign && text.len == 1)
		return false;
	uint64_t cursor = 0;
	for (size_t i = sign; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(cursor, 10, &cursor) ||
		    __builtin_add_overflow(cursor, text.ptr[i] - '0', &cursor))
			return false;
	}
	*out = negative ? -cursor : cursor;
	return true;
}

enum err scan_options(const struct exec *exec, uint32_t at, unsigned which, struct scan_options *out)
{
	*out = (struct scan_options){.pattern = S("*"), .count = 10};
	for (; at < exec->argc; at++) {
		bool has_value = at + 1 < exec->argc;
		if (exec_is(exec, at, S("COUNT")) && has_value) {
			TRY(exec_integer(exec, ++at, &out->count));
			if (out->count < 1)
				return ERR_SYNTAX;
		} else if (exec_is(exec, at, S("MATCH")) && has_value) {
			out->pattern = exec->argv[++at];
		} else if (which & SCAN_TYPE && exec_is(exec, at, S("TYPE")) && has_value) {
			out->type = exec->argv[++at];
		} else if (which & SCAN_NOVALUES && exec_is(exec, at, S("NOVALUES"))) {
			out->no_values = true;
		} else {
			return ERR_SYNTAX;
		}
	}
	return OK;
}

/* Half a millisecond's work at most: an element of a set takes 0.25 us, one of a sorted set, whose members are not in the
 * order of hashes, up to 4; more where neighbours use the caches. */
enum { SET_ELEMENTS_MAX = 1024, HASH_ELEMENTS_MAX = 512, ZSET_ELEMENTS_MAX = 128 };

uint64_t scan_want(const struct scan_options *options, const struct object *object)
{
	uint64_t want = (uint64_t)options->count, most = SET_ELEMENTS_MAX;
	if (object_type(object) == OBJECT_HASH)
		most = HASH_ELEMENTS_MAX;
	else if (object_type(object) == OBJECT_ZSET)
		most = ZSET_ELEMENTS_MAX;
	return want > most && collection_is_large(object) ? most : want;
}

bool scan_fits(const struct scan_options *options, struct slice name)
{
	uint64_t steps = UINT64_MAX;
	if (slice_equal(options->pattern, S("*")))
		return true;
	struct glob glob = glob_of(options->pattern, name, false);
	return glob_go_on(&glob, &steps) == GLOB_YES;
}

void scan_reply(struct reply *reply, uint64_t cursor, uint64_t n, const struct buf *found)
{
	char digits[INTEGER_TEXT_MAX];
	reply_array(reply, 2);
	reply_bulk(reply, slice_of(digits, integer_format((int64_t)cursor, digits)));
	reply_array(reply, n);
	for (struct slice left = buf_slice(found); left.len > 0;) {
		struct packed_element element;
		char scratch[PACKED_SCRATCH];
		const uint8_t *next = packed_read(left.ptr, &element);
		reply_bulk(reply, packed_text(&element, scratch));
		left = slice_sub(left, (size_t)(next - left.ptr), left.len);
	}
}

static enum err run_scan(struct exec *exec)
{
	uint64_t cursor;
	if (!scan_cursor(exec->argv[1], &cursor)) {
		reply_error_fmt(exec->reply, "ERR invalid cursor");
		return OK;
	}
	struct scan_options options;
	TRY(scan_options(exec, 2, SCAN_TYPE, &options));
	cleanup(walk_fini) struct walk walk = walk_of(exec);
	walk.place = place_of(cursor);
	walk.pattern = options.pattern;
	walk.type = options.type;
	walk_on(exec->core, &walk, (uint64_t)options.count);
	char digits[INTEGER_TEXT_MAX];
	size_t n = integer_format((int64_t)cursor_of(walk.place), digits);
	reply_array(exec->reply, 2);
	reply_bulk(exec->reply, slice_of(digits, n));
	say_harvest(exec, &walk);
	return OK;
}

/* ---- RANDOMKEY -------------------------------------------------------------------- */

struct census {
	uint16_t db;
	uint64_t keys[CORES_MAX];
};

static void count_owned(struct core *there, void *arg)
{
	struct census *census = arg;
	struct shard *shard = there->shard;
	census->keys[there->id] = keyspace_count(shard, shard->keyspace_of_db[census->db]);
}

/* The core of one key among all; CORES_MAX if there is none. */
static uint16_t pick_core(const struct census *census, uint16_t n_cores, uint64_t random)
{
	uint64_t total = 0;
	for (uint16_t i = 0; i < n_cores; i++)
		total += census->keys[i];
	if (total == 0)
		return CORES_MAX;
	uint64_t nth = random % total;
	uint16_t core = 0;
	for (; nth >= census->keys[core]; core++)
		nth -= census->keys[core];
	return core;
}

struct pick {
	uint16_t db;
	int64_t now_ms;
	uint64_t random;
	bool found;
	struct buf name;
};

static void pick_owned(struct core *there, void *arg)
{
	struct pick *pick = arg;
	struct shard *shard = there->shard;
	shard->now_ms = pick->now_ms;
	struct object *object = keyspace_random(shard, shard->keyspace_of_db[pick->db], pick->random);
	pick->found = object != NULL;
	if (object)
		buf_append(&pick->name, object_key(object));
}

static void pick_fini(struct pick *pick) { buf_fini(&pick->name); }

/* Keys that expired are still counted, and a core's last one may go between the count and
 * the pick: then another count is asked for, a few times. */
static enum err run_randomkey(struct exec *exec)
{
	enum { TRIES = 4 };
	struct core *core = exec->core;
	uint16_t db = exec->client->db;
	cleanup(pick_fini) struct pick pick = {.db = db, .now_ms = exec->client->now_ms};
	for (int i = 0; i < TRIES && !pick.found; i++) {
		struct census census = {.db = db};
		fiber_call_all(core, count_owned, &census);
		uint16_t from = pick_core(&census, core->n_cores, core_random(core));
		if (from == CORES_MAX)
			break;
		pick.random = core_random(core);
		fiber_call(core, from, pick_owned, &pick);
	}
	if (pick.found)
		reply_bulk(exec->reply, buf_slice(&pick.name));
	else
		reply_null(exec->reply);
	return OK;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

static arguments keys_arguments[] = {{"pattern", .type = ARG_PATTERN}, {0}};
static arguments scan_arguments[] = {
        {"cursor", .type = ARG_INTEGER},
        {"pattern", "MATCH", NULL, ARG_PATTERN, ARG_OPTIONAL},
        {"count", "COUNT", NULL, ARG_INTEGER, ARG_OPTIONAL},
        {"type", "TYPE", "6.0.0", ARG_STRING, ARG_OPTIONAL},
        {0},
};

static const struct command_history scan_history[] = {{"6.0.0", "Added the `TYPE` subcommand."}, {0}};

/* clang-format off */
const struct command scan_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"KEYS", 2, {0}, COMMAND_READ | COMMAND_FIBER, "1.0.0",
	 "O(N) with N being the number of keys in the database, under the assumption that the key names in the "
	 "database and the given pattern have limited length.",
	 "Find all keys matching the given pattern", run_keys, keys_arguments,
	 .tips = "request_policy:all_shards nondeterministic_output_order", .categories = "dangerous"},
	{"RANDOMKEY", 1, {0}, COMMAND_READ | COMMAND_FIBER, "1.0.0", "O(1)",
	 "Return a random key from the keyspace", run_randomkey,
	 .tips = "request_policy:all_shards nondeterministic_output"},
	{"SCAN", -2, {0}, COMMAND_READ | COMMAND_FIBER, "2.8.0",
	 "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return "
	 "back to 0. N is the number of elements inside the collection.",
	 "Incrementally iterate the keys space", run_scan, scan_arguments, .history = scan_history,
	 .tips = "nondeterministic_output request_policy:special"},
	{0},
};
/* clang-format on */
