#include "tests/sim/lives.h"

#include "engine/core/fiber.h"
#include "engine/core/reactor_private.h"
#include "engine/memory/memory.h"
#include "storage/check/check.h"
#include "storage/keyspace/keyspace.h"
#include "tests/sim/check.h"
#include "tests/sim/keeper.h"
#include "tests/sim/run_private.h"

#include <sys/wait.h>
#include <unistd.h>

enum { DISK_BYTES = 1 << 30, WHY_SIZE = 400, CORES_MAX_DURABLE = 4 };

enum ending { ENDS_BY_CRASH, ENDS_BY_CUT, ENDS_BY_KILL, ENDS_IN_ORDER };

/* How a life ends, if it does not end in order before that. */
struct plan {
	enum ending ending;
	bool is_aimed;      /* at a moment: `times` that it has begun; else from the start of the life on */
	bool when_open;     /* not aimed: from when it serves on */
	enum moment moment; /* aimed */
	uint32_t times;
	/* Events of the disk; a kill: steps; a cut, when the power fails between events: steps in which something is
	 * not durable. */
	uint64_t after;
};

struct lives {
	const struct command_index *index;
	struct config config; /* of all lives */
	struct sim_disk *disk;
	struct keeper *keeper;
	struct tally *tally;
	uint64_t random;
	uint64_t now_ns; /* when the last life ended */
	/* Of the last life that served: */
	struct history told; /* what its clients know */
	bool was_cut, has_told;
	/* Of lives that went well, to draw from: */
	uint64_t open_events, life_events, life_steps, behind_steps;
	struct outcome outcome;
	FILE *to;
	bool loud;
};

static uint64_t draw(struct lives *lives, uint64_t n)
{
	uint64_t z = lives->random += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) % n;
}

/* What went wrong with the disk so far. */
static uint64_t count_troubles(const struct lives *lives)
{
	const struct sim_disk_counts *c = sim_disk_counts(lives->disk);
	return c->read_fails + c->write_fails + c->sync_fails + c->name_fails + c->write_short + c->full +
	       c->write_lost + c->write_misdirected + c->flip_at_rest;
}

/* ---- plans ------------------------------------------------------------------------------- */

static struct plan draw_plan(struct lives *lives)
{
	struct plan plan = {.times = 1};
	uint64_t how = draw(lives, 100);
	if (how < 12) {
		plan.ending = ENDS_IN_ORDER;
	} else if (how < 24) {
		plan.ending = ENDS_BY_KILL;
		plan.after = 1 + draw(lives, lives->life_steps);
	} else if (how < 42) {
		plan.ending = ENDS_BY_CUT;
		plan.after = 1 + draw(lives, 1 + draw(lives, lives->behind_steps));
	} else if (how < 60) { /* while it starts */
		plan.after = 1 + draw(lives, lives->open_events);
	} else if (how < 75) {
		plan.when_open = true;
		plan.after = 1 + draw(lives, lives->life_events);
	} else {
		static const enum moment moments[] = {MOMENT_OPEN,   MOMENT_MANIFEST, MOMENT_MANIFEST,
		                                      MOMENT_IMAGE,  MOMENT_IMAGE,    MOMENT_COMMIT,
		                                      MOMENT_COMMIT, MOMENT_COMMIT,   MOMENT_CLOSE};
		static const enum moment cold_moments[] = {MOMENT_CLEAN,  MOMENT_CLEAN,  MOMENT_CLEAN,
		                                           MOMENT_CLEAN,  MOMENT_DEMOTE, MOMENT_DEMOTE,
		                                           MOMENT_DEMOTE, MOMENT_FETCH,  MOMENT_IMAGE};
		static_assert(array_len(moments) == array_len(cold_moments), "one draw");
		uint64_t which = draw(lives, array_len(moments));
		plan.is_aimed = true;
		plan.moment = lives->config.memory_bytes ? cold_moments[which] : moments[which];
		bool is_once = plan.moment == MOMENT_OPEN || plan.moment == MOMENT_CLOSE;
		bool is_frequent = plan.moment == MOMENT_COMMIT || plan.moment == MOMENT_FETCH;
		plan.times = 1 + (uint32_t)draw(lives, is_once ? 1 : is_frequent ? 20 : 3);
		plan.after = 1 + draw(lives, draw(lives, 2) ? 40 : 8);
	}
	return plan;
}

static void plan_print(const struct lives *lives, const struct config *config, const struct plan *plan)
{
	static const char *const endings[] = {"crash", "cut", "kill", "in order"};
	fprintf(lives->to, "  life %u: %u cores, %s", config->life, config->n_cores, endings[plan->ending]);
	if (plan->is_aimed)
		fprintf(lives->to, " at %s %u", moment_names[plan->moment], plan->times);
	if (plan->ending != ENDS_IN_ORDER)
		fprintf(lives->to, " after %llu%s", (unsigned long long)plan->after, plan->when_open ? " open" : "");
}

/* ---- one life ---------------------------------------------------------------------------- */

struct life {
	struct run run; /* first */
	struct plan plan;
	struct lives *lives;
	bool is_armed, was_open;
	enum disk_trouble trouble;
	bool since_start;     /* it begins with the life, else when it serves */
	uint64_t relieved_at; /* steps: there is room again */
	uint64_t troubles_before;
	enum moment moment;
	uint32_t entered; /* the moment that is aimed at */
	uint64_t began_events, open_events, behind_steps;
	bool may_lose; /* values that are not in memory: nobody else has them */
	uint32_t lost;
};

/* Lets the power fail where the plan says so. */
static void arm(struct life *life)
{
	const struct plan *plan = &life->plan;
	enum moment moment = world_moment(life->run.world);
	if (moment != life->moment && moment == plan->moment)
		life->entered++;
	life->moment = moment;
	if (life->is_armed || plan->ending != ENDS_BY_CRASH)
		return;
	if (plan->is_aimed ? life->entered < plan->times : plan->when_open && !life->was_open)
		return;
	life->is_armed = true;
	sim_disk_crash_after(life->lives->disk, plan->after);
}

static void text_of_bulk(struct history *history, struct slice bytes, uint32_t *out)
{
	struct buf reply = {0};
	buf_printf(&reply, "$%zu\r\n", bytes.len);
	buf_append(&reply, bytes);
	buf_append(&reply, S("\r\n"));
	*out = text_id(history->texts, buf_slice(&reply));
	buf_fini(&reply);
}

/* An operation of nobody's, which was answered at once. */
static struct operation *add_event(struct history *history, enum verb verb, uint8_t db, uint8_t key)
{
	struct operation *operation = history_at(history, history_add(history, 1));
	operation->client = CLIENTS_MAX;
	operation->session = (uint16_t)history_count(history);
	operation->resp = 2;
	operation->steps[0] = (struct step){.verb = verb, .db = db, .n = 1, .keys[0] = key};
	operation->invoked = history_moment(history);
	operation->responded = history_moment(history);
	return operation;
}

static void each_shared_key(struct life *life, struct history *history,
                            void (*see)(struct life *, struct history *, uint8_t db, uint8_t key,
                                        struct object *object))
{
	for (uint8_t db = 0; db < DATABASES_USED; db++)
		for (uint8_t key = 0; key < life->lives->config.n_keys; key++) {
			char name[16];
			key_name(&life->lives->config, key, name);
			see(life, history, db, key, world_object(life->run.world, db, slice_from_str(name)));
		}
}

static int64_t expiry_of(const struct object *object)
{
	int64_t ms = object ? object_expires_ms(object) : EXPIRES_NEVER;
	return ms == EXPIRES_NEVER ? -1 : ms / 1000;
}

/* What a life ends with. */
static void see_found(struct life *life, struct history *history, uint8_t db, uint8_t key, struct object *object)
{
	char text[40];
	uint32_t value = world_text(life->run.world, history->texts, object), reply;
	if (value == TEXT_LOST) {
		life->lost++;
		return;
	}
	if (object)
		text_of_bulk(history, text_bytes(history->texts, value), &reply);
	else
		reply = text_id(history->texts, S("$-1\r\n"));
	add_event(history, IS, db, key)->reply = reply;
	int n = snprintf(text, sizeof(text), ":%lld\r\n", object ? (long long)expiry_of(object) : -2);
	add_event(history, EXPIRETIME, db, key)->reply = text_id(history->texts, slice_of(text, (size_t)n));
}

/* What a life begins with. */
static void see_given(struct life *life, struct history *history, uint8_t db, uint8_t key, struct object *object)
{
	uint32_t text = world_text(life->run.world, history->texts, object);
	if (text == TEXT_NONE || text == TEXT_LOST)
		return;
	add_event(history, BECOMES, db, key)->steps[0].values[0] = text;
	if (expiry_of(object) >= 0)
		add_event(history, EXPIREAT, db, key)->steps[0].number = expiry_of(object) - EXPIRES_FROM_S;
}

static bool is_lax(const struct lives *lives) { return lives->config.durability != 0 && lives->was_cut; }

/* Did the last life tell the truth? Of what it never confirmed nothing is known. */
static void judge_last(struct life *life)
{
	struct lives *lives = life->lives;
	struct run judged = {.config = lives->config, .history = lives->told, .to = lives->to};
	if (!is_lax(lives))
		each_shared_key(life, &lives->told, see_found);
	for (uint32_t i = 0; i < history_count(&lives->told); i++)
		lives->tally->commits += history_at(&lives->told, i)->responded != NEVER;
	judged.history = lives->told;
	run_check_replies(&judged);
	lives->outcome.search_steps += judged.outcome.search_steps;
	lives->tally->too_hard += judged.outcome.given_up;
	if (judged.outcome.kind)
		life->run.outcome.kind = judged.outcome.kind;
}

static void count_shared(struct life *life, struct history *history, uint8_t db, uint8_t key, struct object *object)
{
	history->moment += object != NULL;
}

static bool has_lied(const struct life *life)
{
	return life->trouble == TROUBLE_LIES && count_troubles(life->lives) > life->troubles_before;
}

/* Values that are not in memory lie on the disk alone. One that lies as soon as it starts may have written over one:
 * then this life ends before it serves. */
static void judge_lost(struct life *life)
{
	if (life->lost == 0 || life->may_lose)
		return;
	if (has_lied(life))
		life->run.is_over = true;
	else
		run_fail(&life->run, "lost", "a value that left memory is not where it should be");
}

/* Between the opening and the first client. */
static void judge(struct life *life)
{
	struct lives *lives = life->lives;
	char why[WHY_SIZE];
	struct history count = {0};
	if (lives->has_told)
		judge_last(life);
	if (lives->has_told)
		history_fini(&lives->told);
	lives->has_told = false;
	if (!keeper_judge(lives->keeper, life->run.world, is_lax(lives), lives->to, why, sizeof(why), &life->lost))
		run_fail(&life->run, "keeper", why);
	judge_lost(life);
	each_shared_key(life, &count, count_shared);
	uint64_t known = count.moment + keeper_keys(lives->keeper), there = world_keys(life->run.world);
	if (known != there && !life->run.outcome.kind) {
		snprintf(why, sizeof(why), "%llu keys are there, and only %llu of them are known",
		         (unsigned long long)there, (unsigned long long)known);
		run_fail(&life->run, "unknown keys", why);
	}
	each_shared_key(life, &life->run.history, see_given);
}

/* ---- trouble ------------------------------------------------------------------------------ */

static struct sim_disk_faults usual_faults(const struct lives *lives)
{
	struct sim_disk_faults faults = {.delay_ns = lives->config.disk_delay_ns};
	if (lives->config.trouble == TROUBLE_SLOW) {
		faults.slow = 30;
		faults.slow_ns = 200ull * 1000 * 1000;
		faults.read_short = 200;
	}
	return faults;
}

static uint32_t draw_chance(struct lives *lives)
{
	static const uint32_t chances[] = {0, 0, 3, 10, 40};
	return chances[draw(lives, array_len(chances))];
}

static void begin_trouble(struct life *life)
{
	struct lives *lives = life->lives;
	struct sim_disk_faults faults = usual_faults(lives);
	switch (life->trouble) {
	case TROUBLE_FAILS:
		faults.write_fails = draw_chance(lives);
		faults.sync_fails = draw_chance(lives);
		faults.name_fails = draw_chance(lives);
		faults.read_fails = draw_chance(lives);
		faults.write_short = draw_chance(lives);
		break;
	case TROUBLE_FULL:
		faults.room_bytes = sim_disk_used_bytes(lives->disk) + 1 + draw(lives, 300 * 1000);
		break;
	case TROUBLE_LIES:
		faults.write_lost = draw(lives, 2) ? 15 : 0;
		faults.write_misdirected = faults.write_lost ? 0 : 15;
		break;
	default:
		break;
	}
	life->troubles_before = count_troubles(lives);
	sim_disk_set_faults(lives->disk, &faults);
}

/* One lie in a life: after two of them nothing can be promised. */
static void look_at_trouble(struct life *life)
{
	struct lives *lives = life->lives;
	bool has_room = life->trouble == TROUBLE_FULL && life->run.outcome.steps >= life->relieved_at;
	if (!has_lied(life) && !has_room)
		return;
	struct sim_disk_faults faults = usual_faults(lives);
	sim_disk_set_faults(lives->disk, &faults);
}

static void end_trouble(struct life *life)
{
	struct sim_disk_faults faults = usual_faults(life->lives);
	sim_disk_set_faults(life->lives->disk, &faults);
}

static void draw_trouble(struct life *life)
{
	struct lives *lives = life->lives;
	enum disk_trouble trouble = lives->config.trouble;
	if ((trouble != TROUBLE_FAILS && trouble != TROUBLE_FULL) || draw(lives, 2) == 0)
		return;
	life->trouble = trouble;
	life->since_start = draw(lives, 3) == 0;
	life->relieved_at = draw(lives, 2 * lives->life_steps);
	life->run.config.may_stop = trouble == TROUBLE_FAILS;
	life->run.config.may_refuse = true;
	life->run.may_be_refused = true;
}

/* ---- a life from its begin to its end ------------------------------------------------------- */

/* Called before each step. */
static void watch(struct run *run)
{
	struct life *life = (struct life *)run;
	struct lives *lives = life->lives;
	if (world_is_open(run->world) && !life->was_open) {
		life->was_open = true;
		life->open_events = sim_disk_events(lives->disk);
		lives->tally->starts++;
		judge(life);
		if (life->trouble && !life->since_start)
			begin_trouble(life);
	}
	look_at_trouble(life);
	arm(life);
	life->behind_steps += world_is_behind(run->world);
	if ((life->plan.ending == ENDS_BY_KILL && run->outcome.steps >= life->plan.after) ||
	    (life->plan.ending == ENDS_BY_CUT && life->behind_steps >= life->plan.after))
		run->is_over = true;
}

static struct config config_of_life(struct lives *lives, uint32_t number)
{
	struct config config = lives->config;
	config.life = number;
	if (draw(lives, 3) == 0)
		config.n_cores = 1 + (uint16_t)draw(lives, CORES_MAX_DURABLE);
	lives->config.n_cores = config.n_cores;
	if (number > config.n_lives)
		config.n_operations = 0;
	return config;
}

static void life_begin(struct life *life, struct lives *lives, uint32_t number)
{
	struct run *run = &life->run;
	*life = (struct life){.lives = lives, .plan = draw_plan(lives), .moment = MOMENTS};
	if (number > lives->config.n_lives)
		life->plan = (struct plan){.ending = ENDS_IN_ORDER};
	run->config = config_of_life(lives, number);
	if (number <= lives->config.n_lives)
		draw_trouble(life);
	run->to = lives->to;
	run->disk = lives->disk;
	run->watch = watch;
	life->began_events = sim_disk_events(lives->disk);
	if (lives->loud)
		plan_print(lives, &run->config, &life->plan);
	run->sim = sim_new(lives->config.seed * 1000 + number, &run->config.faults);
	sim_use_disk(run->sim, lives->disk);
	sim_pass_ns(run->sim, lives->now_ns);
	if (life->trouble && life->since_start)
		begin_trouble(life);
	history_init(&run->history);
	run->history.keeper = lives->keeper;
	run->world = world_new(&run->config, run->sim, lives->index, &run->history);
	run->clients = clients_new(&run->config, run->sim, &run->history);
}

/* What its clients know is for the next life to answer for. */
static void keep_told(struct life *life)
{
	struct lives *lives = life->lives;
	bool is_cut = sim_disk_has_crashed(lives->disk) || life->run.is_over || life->trouble;
	if (!life->was_open) {
		history_fini(&life->run.history);
		return;
	}
	clients_hear_out(life->run.clients);
	lives->told = life->run.history;
	lives->told.is_cut = lives->was_cut = is_cut;
	lives->told.may_refuse = life->run.config.may_refuse || lives->config.memory_bytes > 0;
	lives->has_told = true;
}

/* How much happens in a life that comes to its end. */
static void note_extent(struct life *life)
{
	struct lives *lives = life->lives;
	lives->open_events = life->open_events - life->began_events + 1;
	lives->life_events = sim_disk_events(lives->disk) - life->open_events + 1;
	lives->life_steps = life->run.outcome.steps + 1;
	lives->behind_steps = life->behind_steps + 1;
}

/* The world of a crashed disk stands still, and cannot be taken apart: it goes with the process. */
static void life_end(struct life *life)
{
	struct lives *lives = life->lives;
	struct run *run = &life->run;
	bool is_cut = run->is_over && !run->is_refused && life->plan.ending == ENDS_BY_CUT;
	bool has_crashed = sim_disk_has_crashed(lives->disk) || is_cut;
	lives->now_ns = sim_now_ns(run->sim);
	lives->outcome.trace = lives->outcome.trace * 31 + sim_trace(run->sim);
	lives->outcome.steps += run->outcome.steps;
	lives->outcome.operations += history_count(&run->history);
	lives->tally->lives++;
	if (has_crashed)
		lives->tally->crashes[world_moment(run->world)]++;
	else if (run->is_refused)
		lives->tally->refused++;
	else if (run->is_over)
		lives->tally->kills++;
	else
		lives->tally->stops++;
	if (lives->loud)
		fprintf(lives->to, ": %s in %s, %llu steps, %llu events\n",
		        has_crashed       ? "crashed"
		        : run->is_refused ? "refused"
		        : run->is_over    ? "killed"
		                          : "stopped",
		        moment_names[world_moment(run->world)], (unsigned long long)run->outcome.steps,
		        (unsigned long long)(sim_disk_events(lives->disk) - life->began_events));
	world_add_tiers(run->world, &lives->tally->tiers);
	lives->tally->unadmitted += run->history.unadmitted;
	keep_told(life);
	if (life->trouble)
		end_trouble(life);
	if (has_crashed) {
		sim_disk_crash(lives->disk, draw(lives, UINT64_MAX));
	} else if (run->is_over) {
		sim_disk_kill(lives->disk, draw(lives, UINT64_MAX));
	} else {
		if (!life->trouble)
			note_extent(life);
		clients_free(run->clients);
		world_free(run->world);
		sim_free(run->sim);
		sim_disk_crash_after(lives->disk, 0);
		if (draw(lives, 2) == 0)
			sim_disk_crash(lives->disk, draw(lives, UINT64_MAX));
	}
}

static bool life_run(struct lives *lives, struct life *life)
{
	if (run_serve(&life->run))
		run_stop(&life->run);
	if (life->run.is_refused && life->trouble && count_troubles(lives) == life->troubles_before)
		run_fail(&life->run, "refused", world_refused(life->run.world));
	if (!life->run.outcome.kind)
		return true;
	lives->outcome.kind = life->run.outcome.kind;
	fprintf(lives->to, "  in life %u, at %s\n", life->run.config.life, moment_names[world_moment(life->run.world)]);
	return false;
}

static bool play_life(struct lives *lives, uint32_t number)
{
	struct life life;
	life_begin(&life, lives, number);
	if (!life_run(lives, &life))
		return false;
	life_end(&life);
	return true;
}

/* ---- what `orbit check` says --------------------------------------------------------------- */

struct look {
	struct check_out out; /* first */
	struct buf text;
	struct core *core;
	bool is_sound, is_done;
};

static void write_text(struct check_out *out, struct slice text) { buf_append(&((struct look *)out)->text, text); }

static void looks(void *arg)
{
	struct look *look = arg;
	look->is_sound = check_run(look->core, WORLD_DIRECTORY, &look->out);
	look->is_done = true;
}

static void look_run(struct lives *lives, struct look *look)
{
	struct sim *sim = sim_new(lives->config.seed, &lives->config.faults);
	sim_use_disk(sim, lives->disk);
	struct machine *machine = machine_new(1);
	struct io *io = sim_io_new(sim);
	look->core = core_new(machine, 0, io);
	core_set_current(look->core);
	reactor_set_poll(look->core, REACTOR_POLL_NEVER);
	fiber_start(look->core, looks, look);
	for (enum reactor_stage stage = REACTOR_WORK; !look->is_done; stage = reactor_step(look->core))
		if (stage == REACTOR_SLEEP && !sim_io_due(io)) {
			uint64_t now_ns = sim_now_ns(sim), next_ns = sim_io_next_ns(io);
			sim_pass_ns(sim, next_ns > now_ns && next_ns != UINT64_MAX ? next_ns - now_ns : 1);
		}
	core_free(look->core);
	io_free(io);
	machine_free(machine);
	sim_free(sim);
}

static bool is_sound(struct lives *lives, bool loud)
{
	struct look look = {.out.write = write_text};
	if (sim_disk_size(lives->disk, WORLD_DIRECTORY "/superblock") < 0)
		return true; /* it has not begun */
	look_run(lives, &look);
	lives->tally->checks++;
	if (!look.is_sound && loud) {
		fprintf(lives->to, "seed %llu: check: finds faults\n%.*s", (unsigned long long)lives->config.seed,
		        (int)look.text.len, (const char *)look.text.ptr);
		lives->outcome.kind = "check";
	}
	buf_fini(&look.text);
	return look.is_sound;
}

/* ---- trials: a copy of the disk that lies or loses bits ------------------------------------ */

enum verdict_of_trial { TRIAL_HARMLESS, TRIAL_DETECTED, TRIAL_CHECKED, TRIAL_FAILED, TRIAL_VERDICTS };

struct pick_file {
	bool head; /* of the directory: of what is there there are copies */
	uint64_t left;
	char path[64];
	uint64_t size;
};

static bool is_head(const char *path) { return strstr(path, "superblock") || strstr(path, "manifest"); }

static void pick(void *arg, const char *path, uint64_t size)
{
	struct pick_file *file = arg;
	if (size == 0 || file->left == UINT64_MAX || (file->head && !is_head(path)))
		return;
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->size = size;
	if (file->left-- == 0)
		file->left = UINT64_MAX;
}

/* True: it was where a copy stands in for it. */
static bool flip_some_bit(struct lives *lives)
{
	struct pick_file file = {.left = draw(lives, 40), .head = draw(lives, 4) == 0};
	while (file.left != UINT64_MAX)
		sim_disk_each(lives->disk, pick, &file);
	sim_disk_flip_bit(lives->disk, file.path, draw(lives, file.size * 8));
	return is_head(file.path);
}

/* What the disk has overwritten in a life that just began must be missed by `orbit check`. */
static enum verdict_of_trial judge_overwritten(struct lives *lives)
{
	sim_disk_kill(lives->disk, draw(lives, UINT64_MAX));
	if (!is_sound(lives, false))
		return TRIAL_DETECTED;
	fprintf(lives->to, "seed %llu: check: sees no fault where a value is lost\n",
	        (unsigned long long)lives->config.seed);
	fflush(NULL);
	return TRIAL_FAILED;
}

/* A life that ends in order, so that the log's last frame attests all others: what a lying disk then lacks is missed.
 */
static bool live_with_lies(struct lives *lives, uint32_t number)
{
	struct life life;
	life_begin(&life, lives, number);
	life.plan = (struct plan){.ending = ENDS_IN_ORDER};
	life.trouble = TROUBLE_LIES;
	life.run.config.may_stop = lives->config.memory_bytes > 0; /* a value that was not written cannot come back */
	life.since_start = draw(lives, 3) == 0;
	life.run.may_be_refused = true;
	if (life.since_start)
		begin_trouble(&life);
	bool fine = life_run(lives, &life);
	if (fine && life.run.is_refused)
		_exit(TRIAL_DETECTED);
	if (fine && life.lost > 0)
		_exit(judge_overwritten(lives));
	if (fine && count_troubles(lives) > life.troubles_before + 1)
		_exit(TRIAL_HARMLESS); /* or not: nothing is promised */
	if (fine)
		life_end(&life);
	return fine;
}

/* Does the next start know what was true, or refuse? */
static enum verdict_of_trial try_start(struct lives *lives, bool may_be_refused)
{
	struct life life;
	bool sound = is_sound(lives, false);
	life_begin(&life, lives, lives->config.n_lives + 1);
	life.run.may_be_refused = may_be_refused;
	life.may_lose = true;
	if (!life_run(lives, &life))
		return TRIAL_FAILED;
	bool has_lost = !life.run.is_refused && life.lost > 0;
	if (!life.run.is_refused && !has_lost)
		return sound ? TRIAL_HARMLESS : TRIAL_CHECKED;
	if (!sound)
		return TRIAL_DETECTED;
	fprintf(lives->to, "seed %llu: check: sees no fault where %s%s\n", (unsigned long long)lives->config.seed,
	        has_lost ? "a value is lost" : "a start is refused: ", has_lost ? "" : world_refused(life.run.world));
	return TRIAL_FAILED;
}

static enum verdict_of_trial trial(struct lives *lives, uint32_t number)
{
	lives->disk = sim_disk_copy(lives->disk);
	lives->loud = false;
	if (lives->config.trouble == TROUBLE_LIES && !live_with_lies(lives, number))
		return TRIAL_FAILED;
	if (lives->config.trouble == TROUBLE_LIES)
		return try_start(lives, true);
	uint64_t n = 1 + draw(lives, 3);
	bool has_copy = flip_some_bit(lives);
	for (uint64_t i = 1; i < n; i++)
		(void)flip_some_bit(lives);
	return try_start(lives, n > 1 || !has_copy);
}

/* In a process of its own, which may die of it. */
static bool try_trouble(struct lives *lives, uint32_t number)
{
	struct tally *tally = lives->tally;
	enum disk_trouble trouble = lives->config.trouble;
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		enum verdict_of_trial verdict = trial(lives, number);
		fflush(NULL);
		_exit(verdict);
	}
	waitpid(child, &status, 0);
	tally->trials[trouble]++;
	if (!WIFEXITED(status) || WEXITSTATUS(status) >= TRIAL_FAILED) {
		lives->outcome.kind = "trouble";
		fprintf(lives->to, "seed %llu: trouble: before life %u, %s\n", (unsigned long long)lives->config.seed,
		        number, WIFEXITED(status) ? "see above" : "it died of it");
		return false;
	}
	tally->harmless[trouble] += WEXITSTATUS(status) == TRIAL_HARMLESS;
	tally->detected[trouble] += WEXITSTATUS(status) == TRIAL_DETECTED;
	tally->by_check_alone[trouble] += WEXITSTATUS(status) == TRIAL_CHECKED;
	return true;
}

static bool try_troubles(struct lives *lives, uint32_t number)
{
	bool lies = lives->config.trouble == TROUBLE_LIES, flips = lives->config.trouble == TROUBLE_FLIPS;
	int trials = lies ? 1 : 5;
	if (!lies && !(flips && lives->has_told && !lives->was_cut))
		return true;
	for (int i = 0; i < trials; i++) {
		(void)draw(lives, 2); /* or they would be alike */
		if (!try_trouble(lives, number))
			return false;
	}
	return true;
}

/* ---- a seed ------------------------------------------------------------------------------- */

static void add_counts(struct sim_disk_counts *to, const struct sim_disk_counts *counts)
{
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *all = (const uint64_t *)counts;
	for (size_t i = 0; i < sizeof(*counts) / sizeof(*all); i++)
		sum[i] += all[i];
}

struct outcome run_lives(uint64_t seed, enum disk_trouble trouble, enum play play, const struct command_index *index,
                         struct tally *tally, bool loud, FILE *to)
{
	struct lives lives = {.index = index,
	                      .config = config_draw_durable(seed, play),
	                      .tally = tally,
	                      .random = seed ^ 0x11fe5,
	                      .to = to,
	                      .loud = loud,
	                      .open_events = 300,
	                      .life_events = 300,
	                      .life_steps = 6000,
	                      .behind_steps = 500};
	if (trouble < TROUBLES)
		config_make_trouble(&lives.config, trouble);
	if (loud)
		config_print(&lives.config, to);
	lives.disk = sim_disk_new(DISK_BYTES);
	/* As os_directory_make() and os_directory_lock() leave it before there is a core. */
	sim_disk_write(lives.disk, WORLD_DIRECTORY "/lock", 0, S(""));
	lives.keeper = keeper_new();
	struct sim_disk_faults faults = usual_faults(&lives);
	sim_disk_set_faults(lives.disk, &faults);
	/* The last one only looks at what the others have left. */
	for (uint32_t number = 1; number <= lives.config.n_lives + 1; number++)
		if (!try_troubles(&lives, number) || !play_life(&lives, number) ||
		    (draw(&lives, 3) == 0 && !is_sound(&lives, true)))
			break;
	if (lives.outcome.kind && !loud)
		config_print(&lives.config, to);
	tally->commits += keeper_judged(lives.keeper);
	add_counts(&tally->disk, sim_disk_counts(lives.disk));
	if (lives.has_told)
		history_fini(&lives.told);
	keeper_free(lives.keeper);
	lives.outcome.passed = !lives.outcome.kind;
	if (lives.outcome.passed)
		sim_disk_free(lives.disk);
	return lives.outcome;
}

void tally_print(const struct tally *tally, FILE *to)
{
	uint64_t crashes = 0;
	for (int moment = 0; moment < MOMENTS; moment++)
		crashes += tally->crashes[moment];
	fprintf(to, "%llu lives: %llu starts, %llu crashes (", (unsigned long long)tally->lives,
	        (unsigned long long)tally->starts, (unsigned long long)crashes);
	for (int moment = 0; moment < MOMENTS; moment++)
		fprintf(to, "%s%llu in %s", moment ? ", " : "", (unsigned long long)tally->crashes[moment],
		        moment_names[moment]);
	fprintf(to,
	        "), %llu kills, %llu orderly ends, %llu starts refused, %llu checks of the disk; %llu commits checked, "
	        "%llu searches given "
	        "up\n",
	        (unsigned long long)tally->kills, (unsigned long long)tally->stops, (unsigned long long)tally->refused,
	        (unsigned long long)tally->checks, (unsigned long long)tally->commits,
	        (unsigned long long)tally->too_hard);
	const struct tier_counters *t = &tally->tiers;
	fprintf(to,
	        "tier: %llu values left memory with a write (%llu of them leaves), %llu without, %llu reads, %llu "
	        "bytes moved by the "
	        "cleaner, %llu "
	        "values lost, %llu commands refused\n",
	        (unsigned long long)t->demotions, (unsigned long long)t->leaves, (unsigned long long)t->dropped,
	        (unsigned long long)t->reads, (unsigned long long)t->cleaned_bytes, (unsigned long long)t->lost,
	        (unsigned long long)tally->unadmitted);
	const struct sim_disk_counts *d = &tally->disk;
	fprintf(to,
	        "disk: %llu operations (%llu writes, %llu durable, %llu syncs, %llu changes of names), %llu done out "
	        "of order; "
	        "in crashes: %llu sectors kept, %llu lost, %llu torn, %llu garbled, %llu operations in flight, %llu "
	        "changes "
	        "of names undone\n",
	        (unsigned long long)d->operations, (unsigned long long)d->writes, (unsigned long long)d->durable_writes,
	        (unsigned long long)d->syncs, (unsigned long long)d->name_changes, (unsigned long long)d->reordered,
	        (unsigned long long)d->sectors_kept, (unsigned long long)d->sectors_lost,
	        (unsigned long long)d->sectors_torn, (unsigned long long)d->sectors_garbled,
	        (unsigned long long)d->in_flight, (unsigned long long)d->changes_undone);
	fprintf(to,
	        "trouble: %llu reads, %llu writes, %llu syncs, %llu changes of names failed, %llu short reads, %llu "
	        "short "
	        "writes, %llu without room, %llu slow\n",
	        (unsigned long long)d->read_fails, (unsigned long long)d->write_fails,
	        (unsigned long long)d->sync_fails, (unsigned long long)d->name_fails, (unsigned long long)d->read_short,
	        (unsigned long long)d->write_short, (unsigned long long)d->full, (unsigned long long)d->slow);
	for (int trouble = TROUBLE_LIES; trouble < TROUBLES; trouble++)
		fprintf(to, "%s: %llu tried, %llu harmless, %llu refused by the next start, %llu seen by check alone\n",
		        trouble == TROUBLE_LIES ? "lies" : "changed bits", (unsigned long long)tally->trials[trouble],
		        (unsigned long long)tally->harmless[trouble], (unsigned long long)tally->detected[trouble],
		        (unsigned long long)tally->by_check_alone[trouble]);
}
