#include "tests/sim/config.h"

#include <string.h>

/* Its own generator: the world's begins where this one has nothing to say any more. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint32_t between(uint64_t *state, uint32_t low, uint32_t high)
{
	return low + (uint32_t)(draw(state) % (high - low + 1));
}

static bool one_in(uint64_t *state, uint32_t n) { return draw(state) % n == 0; }

/* One of a row of values. */
static uint32_t pick(uint64_t *state, const uint32_t *of, size_t n) { return of[draw(state) % n]; }
#define PICK(state, ...) pick(state, (const uint32_t[]){__VA_ARGS__}, array_len(((const uint32_t[]){__VA_ARGS__})))

static struct sim_faults draw_faults(uint64_t *s)
{
	return (struct sim_faults){
	        .clock_ns = PICK(s, 20, 100, 2000),
	        .delay_ns = PICK(s, 0, 1000, 20000, 500000),
	        .wake_ns = PICK(s, 0, 5000, 50000, 1000000),
	        .piece_bytes = PICK(s, 4, 40, 4000, 100000),
	        .receive_bytes = PICK(s, 1, 16, 300, IO_CHUNK_SIZE),
	        .send_bytes = PICK(s, 3, 50, 5000, 1000000),
	        .window_bytes = PICK(s, 16, 300, 30000, 1000000),
	        .chunks = PICK(s, 1, 2, 8, 256),
	        .held_back = PICK(s, 0, 100, 500),
	        .stragglers = PICK(s, 0, 500),
	};
}

/* Many clients on two or three keys of several shards, and hardly anything but commands that
 * take locks. */
static void contend(uint64_t *s, struct config *c)
{
	static const uint32_t contended[MIX_KINDS] = {
	        [MIX_READ] = 10, [MIX_WRITE] = 10, [MIX_MANY] = 60, [MIX_MOVE] = 20, [MIX_MULTI] = 40,
	};
	if (c->n_cores == 1)
		c->n_cores = 2;
	for (int kind = 0; kind < MIX_KINDS; kind++)
		c->mix[kind] = kind == MIX_MANY || one_in(s, 2) ? contended[kind] : 0;
	if (!c->has_filler && one_in(s, 3))
		c->mix[MIX_GLOBAL] = 10;
	c->n_clients = (uint16_t)between(s, 3, CLIENTS_MAX);
	c->n_keys = (uint16_t)between(s, 2, 3);
	c->n_operations = 400u / c->n_clients;
	c->pipeline = between(s, 1, 16u / c->n_clients);
	c->tagged = false;
	c->think_ns = PICK(s, 0, 5000);
}

/* What stands behind a parked command of its own connection, on the same keys and on others. */
static void lengthen(uint64_t *s, struct config *c)
{
	c->mix[MIX_READ] = c->mix[MIX_WRITE] = 40;
	c->n_clients = 3;
	c->n_operations = 100;
	c->pipeline = between(s, 4, 8);
}

static void draw_mix(uint64_t *s, struct config *c)
{
	static const uint32_t usual[MIX_KINDS] = {
	        [MIX_READ] = 30,  [MIX_WRITE] = 30,  [MIX_COUNT] = 15, [MIX_EDIT] = 15,
	        [MIX_MANY] = 25,  [MIX_MOVE] = 10,   [MIX_MULTI] = 20, [MIX_SELECT] = 4,
	        [MIX_GLOBAL] = 3, [MIX_PUBLISH] = 8, [MIX_ECHO] = 10,
	};
	for (int kind = 0; kind < MIX_KINDS; kind++)
		if (usual[kind] > 0 && (kind <= MIX_WRITE || one_in(s, 2)))
			c->mix[kind] = usual[kind] * PICK(s, 1, 1, 4);
	if (c->has_filler || !one_in(s, 3))
		c->mix[MIX_GLOBAL] = 0;
	/* Nobody hears it. */
	if (c->n_subscribers == 0)
		c->mix[MIX_PUBLISH] /= 4;
}

/* Commands over several keys tie their histories together: the more there are, the fewer keys
 * and clients, or the search for an order would not end. */
static bool is_tied(const struct config *c)
{
	return c->mix[MIX_MANY] + c->mix[MIX_MOVE] + c->mix[MIX_MULTI] + c->mix[MIX_GLOBAL] > 0;
}

/* On a kind disk, unless others say more. */
static void keep(uint64_t *s, struct config *c)
{
	c->keeps = true;
	c->segment_size = 4096 * PICK(s, 8, 8, 16, 32);
	c->image_log_bytes = PICK(s, 20000, 60000, 200000, 1000000);
	c->image_growth = 1;
	c->disk_delay_ns = PICK(s, 20000, 100000, 1000000, 5000000);
	c->mix[MIX_SAVE] += PICK(s, 0, 2);
}

/* Memory for a part of the values: the others come and go. Keys, what is too short to leave and what is lent stay. The
 * filler's, all on one core, find room beside that: who refuses it has not sent away what could go. */
static void tier(uint64_t *s, struct config *c)
{
	c->memory_bytes = 1024 * PICK(s, 80, 100, 120, 200);
	if (c->has_filler) {
		c->memory_bytes = 1024 * PICK(s, 40, 48, 64) * c->n_cores;
		c->huge_values = 0;
	}
	c->long_values = PICK(s, 300, 600);
	c->n_operations = c->n_lives ? PICK(s, 20, 40, 80) : c->n_operations;
	c->has_keeper |= c->n_lives > 0;
	c->mix[MIX_READ] += 15;
}

/* From numbers of its own, so that the other draws stay what they were. */
static void draw_lists(struct config *c)
{
	uint64_t state = c->seed * 0xd1342543de82ef95u + 4, *s = &state;
	if (one_in(s, 3))
		c->mix[MIX_LIST] = PICK(s, 20, 60, 200);
	c->list_leaf = (int32_t)PICK(s, (uint32_t)-2, (uint32_t)-2, 1, 2, 5, 40);
	c->list_compress_depth = PICK(s, 0, 0, 1, 2);
	if (c->memory_bytes && one_in(s, 2)) { /* long ones, whose leaves leave memory one by one */
		c->mix[MIX_LIST] = 300;
		c->list_leaf = (int32_t)PICK(s, (uint32_t)-2, 2, 5);
	}
}

/* One type or two, as lists; strings are then few, or they would overwrite all that grows. */
static void draw_collections(struct config *c)
{
	uint64_t state = c->seed * 0xd1342543de82ef95u + 5, *s = &state;
	if (!one_in(s, 2))
		return;
	c->mix[PICK(s, MIX_SET, MIX_HASH, MIX_ZSET, MIX_STREAM)] = PICK(s, 60, 200);
	if (one_in(s, 3))
		c->mix[PICK(s, MIX_SET, MIX_HASH, MIX_ZSET, MIX_STREAM)] = 60;
	c->mix[MIX_WRITE] = (c->mix[MIX_WRITE] + 9) / 10;
	for (enum mix kind = MIX_COUNT; kind <= MIX_MANY; kind++)
		c->mix[kind] /= 4;
}

/* Where memory is short: long ones, whose blocks leave one by one. */
static void draw_streams(struct config *c)
{
	uint64_t state = c->seed * 0xd1342543de82ef95u + 9, *s = &state;
	if (c->memory_bytes && one_in(s, 3))
		c->mix[MIX_STREAM] = 300;
}

/* Clients that mostly wait, for few elements, while others leave, unblock them, or come just then; on a slow disk,
 * half of them, so that what was served is long under way. */
static void starve(uint64_t *s, struct config *c)
{
	memset(c->mix, 0, sizeof(c->mix));
	c->mix[MIX_LIST] = 100;
	c->mix[MIX_MULTI] = PICK(s, 0, 20, 60);
	c->mix[MIX_ZSET] = PICK(s, 0, 0, 50);
	c->hungry = true;
	c->waits = 900;
	c->n_cores = (uint16_t)PICK(s, 1, 1, 2, 3);
	c->n_clients = (uint16_t)PICK(s, 3, 4, 5);
	c->n_keys = (uint16_t)PICK(s, 1, 2, 3);
	c->pipeline = 2;
	c->think_ns = PICK(s, 0, 5000, 1000000);
	c->disconnects = PICK(s, 0, 50, 200);
	c->has_filler = c->has_sulker = false;
}

static void draw_waits(struct config *c, enum play play)
{
	uint64_t state = c->seed * 0xd1342543de82ef95u + 6, *s = &state;
	c->waits = c->mix[MIX_LIST] || c->mix[MIX_ZSET] ? PICK(s, 0, 0, 300, 800) : 0;
	if (c->waits) /* they may leave while they wait */
		c->disconnects += PICK(s, 0, 30, 100);
	if (c->n_lives || (!one_in(s, 8) && play != PLAY_WAITS))
		return;
	starve(s, c);
	if (one_in(s, 2) && !c->keeps)
		keep(s, c);
}

/* Where a step may be refused for reasons that the model does not know a script may end after any of its steps. */
static void draw_scripts(struct config *c, enum play play)
{
	uint64_t state = c->seed * 0xd1342543de82ef95u + 7, *s = &state;
	if ((!one_in(s, 3) && play != PLAY_SCRIPTS) || c->hungry || c->memory_bytes || c->trouble >= TROUBLE_FAILS)
		return;
	if (!is_tied(c)) {
		c->n_clients = c->n_clients > 3 ? 3 : c->n_clients;
		c->n_keys = c->n_keys > 6 ? 6 : c->n_keys;
		c->pipeline = c->pipeline > 8 ? 8 : c->pipeline;
	}
	c->mix[MIX_SCRIPT] = PICK(s, 20, 60, 200);
}

/* Readers of groups change what DUMP says of a stream, and need not tell anybody. */
static void draw_tracking(struct config *c, enum play play)
{
	uint64_t state = c->seed * 0xd1342543de82ef95u + 8, *s = &state;
	if ((!one_in(s, 5) && play != PLAY_TRACKING) || c->mix[MIX_STREAM] || c->memory_bytes || c->drain_at)
		return;
	c->tracking = (enum tracking_mode)PICK(s, TRACKING_READ_KEYS, TRACKING_ALL_KEYS, TRACKING_PREFIX);
	c->n_cachers = (uint16_t)PICK(s, 1, 2);
}

const char *const play_names[PLAYS] = {"anything", "contention", "pipelines", "waits",
                                       "scripts",  "tracking",   "hurry",     "recycling"};

struct config config_draw(uint64_t seed, enum play play)
{
	uint64_t state = seed * 0xd1342543de82ef95u + 1, *s = &state;
	struct config c = {.seed = seed, .faults = draw_faults(s)};
	c.n_cores = (uint16_t)PICK(s, 1, 2, 2, 3, 4);
	c.n_subscribers = (uint16_t)PICK(s, 0, 0, 1, SUBSCRIBERS_MAX);
	c.has_filler = one_in(s, 3);
	draw_mix(s, &c);
	bool tied = is_tied(&c);
	c.n_clients = (uint16_t)(tied ? PICK(s, 1, 2, 3, 5) : PICK(s, 1, 2, 4, 6));
	c.n_keys = (uint16_t)(tied ? between(s, 2, 6) : between(s, 1, KEYS_MAX));
	c.tagged = one_in(s, 3);
	c.n_operations = PICK(s, 20, 40, 80, 160);
	/* What may happen at the same time is what makes a search long. */
	uint32_t most = c.n_clients == 1 ? 40 : tied ? 24 / c.n_clients : 24u * c.n_keys / c.n_clients;
	c.pipeline = between(s, 1, most < 40 ? most : 40);
	c.long_values = PICK(s, 0, 50, 300);
	c.huge_values = PICK(s, 0, 0, 0, 20);
	c.disconnects = PICK(s, 0, 0, 20, 100);
	c.slow_reader = PICK(s, 0, 0, 300, 900);
	c.has_sulker = one_in(s, 4);
	c.fragments = PICK(s, 0, 200, 800);
	c.spurious_wakes = PICK(s, 0, 0, 20, 200);
	c.step_ns = PICK(s, 50, 500, 20000);
	c.moody = PICK(s, 3, 30, 1000);
	c.think_ns = PICK(s, 0, 5000, 200000);
	c.output_limit = PICK(s, 64, 4096, 1048576, 1048576);
	c.strict = one_in(s, 6);
	c.drain_at = one_in(s, 8) ? between(s, 100, 20000) : 0;
	bool contended = play == PLAY_CONTENTION || play == PLAY_PIPELINES;
	if (one_in(s, 4) || contended)
		contend(s, &c);
	if (play == PLAY_PIPELINES)
		lengthen(s, &c);
	if (one_in(s, 4))
		keep(s, &c);
	if (c.keeps && one_in(s, 3))
		tier(s, &c);
	draw_lists(&c);
	if (!contended)
		draw_collections(&c);
	draw_streams(&c);
	draw_waits(&c, play);
	draw_scripts(&c, play);
	draw_tracking(&c, play);
	return c;
}

/* ---- many lives ---------------------------------------------------------------------- */

static void draw_durable_mix(uint64_t *s, struct config *c)
{
	static const uint32_t usual[MIX_KINDS] = {
	        [MIX_READ] = 15,  [MIX_WRITE] = 40, [MIX_COUNT] = 5,  [MIX_EDIT] = 25,
	        [MIX_MANY] = 25,  [MIX_MOVE] = 10,  [MIX_MULTI] = 15, [MIX_SELECT] = 3,
	        [MIX_GLOBAL] = 6, [MIX_EXPIRE] = 8, [MIX_SAVE] = 2,
	};
	for (int kind = 0; kind < MIX_KINDS; kind++)
		c->mix[kind] = kind <= MIX_WRITE || one_in(s, 2) ? usual[kind] * PICK(s, 1, 1, 4) : 0;
}

/* Reads and copies, over shards, of what others have just written and the disk has not: two or three keys, a slow
 * disk, and clients that do not wait. */
static void hurry(uint64_t *s, struct config *c)
{
	memset(c->mix, 0, sizeof(c->mix));
	c->mix[MIX_WRITE] = 40;
	c->mix[MIX_READ] = PICK(s, 10, 40);
	c->mix[MIX_MOVE] = PICK(s, 10, 60);
	c->n_cores = (uint16_t)PICK(s, 2, 3, 4);
	c->n_clients = (uint16_t)PICK(s, 2, 3);
	c->n_keys = (uint16_t)between(s, 2, 4);
	c->tagged = false;
	c->pipeline = between(s, 2, 4);
	c->n_operations = PICK(s, 10, 20);
	c->think_ns = 0;
	c->disk_delay_ns = PICK(s, 1000000, 5000000);
	c->durability = 0;
	c->n_lives = 20;
}

/* Segments are full soon, images follow at once, and what they free is used again, in many lives. */
static void recycle(struct config *c)
{
	c->segment_size = 4096 * 8;
	c->image_log_bytes = 20000;
	c->image_growth = 1;
	c->n_lives = 20;
	c->has_keeper = true;
	c->n_operations = 40;
}

const char *const trouble_names[TROUBLES] = {"none", "slow", "fails", "full", "lies", "flips"};

/* What may be lost without any trouble would hide what it does. */
void config_make_trouble(struct config *config, enum disk_trouble trouble)
{
	config->trouble = trouble;
	if (trouble >= TROUBLE_FAILS)
		config->durability = 0;
}

/* Lives are short: there are many of them. */
struct config config_draw_durable(uint64_t seed, enum play play)
{
	uint64_t state = seed * 0xd1342543de82ef95u + 77, *s = &state;
	struct config c = {.seed = seed, .faults = draw_faults(s)};
	/* What makes the network slow is none of this; it is played elsewhere. */
	c.faults.piece_bytes = PICK(s, 4000, 100000);
	c.faults.receive_bytes = PICK(s, 300, IO_CHUNK_SIZE);
	c.faults.send_bytes = PICK(s, 5000, 1000000);
	c.faults.window_bytes = 1000000;
	c.faults.chunks = PICK(s, 8, 256);
	c.faults.wake_ns = PICK(s, 0, 5000, 50000);
	c.n_cores = (uint16_t)PICK(s, 1, 2, 2, 3, 4);
	c.has_keeper = !one_in(s, 3);
	draw_durable_mix(s, &c);
	c.n_clients = (uint16_t)PICK(s, 1, 2, 2, 3);
	c.n_keys = (uint16_t)between(s, 2, 8);
	c.tagged = one_in(s, 4);
	c.n_operations = PICK(s, 10, 20, 40);
	c.pipeline = between(s, 1, c.n_clients > 1 ? 5 : 8);
	c.long_values = PICK(s, 0, 50, 300);
	c.huge_values = PICK(s, 0, 0, 20, 100);
	c.fragments = PICK(s, 0, 0, 200);
	c.spurious_wakes = PICK(s, 0, 0, 20);
	c.step_ns = PICK(s, 500, 5000, 20000);
	c.moody = PICK(s, 30, 1000);
	c.think_ns = PICK(s, 0, 5000, 200000, 2000000);
	c.output_limit = 1048576;
	c.strict = one_in(s, 8);
	keep(s, &c);
	c.image_growth = PICK(s, 1, 1, 2);
	c.durability = (int)PICK(s, 0, 0, 0, 0, 0, 0, 0, 1, 2);
	c.n_lives = PICK(s, 2, 6, 12, 20);
	if (one_in(s, 4) || play == PLAY_HURRY)
		hurry(s, &c);
	if (play == PLAY_RECYCLING)
		recycle(&c);
	config_make_trouble(&c, (enum disk_trouble)PICK(s, 0, 0, 0, 0, TROUBLE_SLOW, TROUBLE_FAILS, TROUBLE_FAILS,
	                                                TROUBLE_FULL, TROUBLE_LIES, TROUBLE_FLIPS));
	if (one_in(s, 3))
		tier(s, &c);
	draw_lists(&c);
	if (play != PLAY_HURRY)
		draw_collections(&c);
	draw_streams(&c);
	draw_waits(&c, PLAY_ANYTHING);
	draw_scripts(&c, PLAY_ANYTHING);
	return c;
}

void config_print(const struct config *c, FILE *to)
{
	const struct sim_faults *f = &c->faults;
	fprintf(to,
	        "seed %llu: cores %u clients %u subscribers %u filler %d sulker %d keys %u tagged %d operations %u "
	        "pipeline %u "
	        "strict %d drain at %u waits %u leaf %d compress %u\n",
	        (unsigned long long)c->seed, c->n_cores, c->n_clients, c->n_subscribers, c->has_filler, c->has_sulker,
	        c->n_keys, c->tagged, c->n_operations, c->pipeline, c->strict, c->drain_at, c->waits, c->list_leaf,
	        c->list_compress_depth);
	fprintf(to, "  mix:");
	for (int kind = 0; kind < MIX_KINDS; kind++)
		fprintf(to, " %u", c->mix[kind]);
	fprintf(to,
	        "; long %u huge %u disconnects %u slow %u fragments %u spurious %u step %u moody %u think %u output "
	        "%llu\n",
	        c->long_values, c->huge_values, c->disconnects, c->slow_reader, c->fragments, c->spurious_wakes,
	        c->step_ns, c->moody, c->think_ns, (unsigned long long)c->output_limit);
	fprintf(to,
	        "  faults: clock %u delay %u wake %u piece %u receive %u send %u window %u chunks %u held %u "
	        "stragglers %u\n",
	        f->clock_ns, f->delay_ns, f->wake_ns, f->piece_bytes, f->receive_bytes, f->send_bytes, f->window_bytes,
	        f->chunks, f->held_back, f->stragglers);
	if (c->keeps)
		fprintf(to,
		        "  store: durability %d segments %llu images from %llu growth %u delay %u keeper %d lives %u "
		        "trouble %s memory %llu\n",
		        c->durability, (unsigned long long)c->segment_size, (unsigned long long)c->image_log_bytes,
		        c->image_growth, c->disk_delay_ns, c->has_keeper, c->n_lives, trouble_names[c->trouble],
		        (unsigned long long)c->memory_bytes);
}
