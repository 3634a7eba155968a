/* Room that is kept for the day when the disk is full: a file `reserve` that nobody writes to.
 *
 *   kept --what frees room finds none: the part of the logs goes--> short
 *        --a start or an image finds none: the file goes----------> given --there is room again--> kept
 *
 * It has room for files of each log and for what new images would take more than those that they replace. That part
 * no log gets while the server runs: so images can always be written, and let go of the logs that fill the disk. As
 * long as it is short of all that, nothing may grow. Core 0 owns it.
 */
#include "engine/core/fiber.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/log/log.h"
#include "storage/recovery/crew.h"
#include "storage/recovery/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	PATH_ROOM = 4096,
	LOG_FILES = 2,   /* of each log: one for deletions, one that is written while more room is being kept */
	SPARE_FILES = 2, /* besides: for images */
	STEP_FILES = 4,  /* it grows by these at once */
	WAIT_NS = 1000 * 1000,
};

static void path_of(const struct store *store, char out[PATH_ROOM])
{
	snprintf(out, PATH_ROOM, "%s/reserve", store->directory);
}

/* The part that logs may have. */
static uint64_t logs_part(const struct store *store)
{
	return store->n_cores * LOG_FILES * store->options.segment_size;
}

static uint64_t least_bytes(const struct store *store)
{
	return logs_part(store) + SPARE_FILES * store->options.segment_size;
}

static uint64_t wanted_bytes(const struct store *store)
{
	uint64_t least = least_bytes(store), step = STEP_FILES * store->options.segment_size, more = 0;
	for (uint16_t id = 0; id < store->n_cores; id++)
		more += told(store->cores[id].image_growth);
	return least + (more + step - 1) / step * step;
}

/* ---- what the logs are told ------------------------------------------------------------------ */

static void log_told(struct core *core, struct message *message)
{
	struct store_core *own = message->args[0].ptr;
	if (own->log)
		log_set_kept(own->log, told(own->store->reserve.kept));
}

static void say_change(const struct store *store, enum log_kept before, enum log_kept now)
{
	const struct reserve *reserve = &store->reserve;
	if (now == LOG_KEPT_ALL && before > LOG_KEPT_ALL)
		log_notice("there is room again on the disk of %s", store->directory);
	else if (now > LOG_KEPT_ALL && before <= LOG_KEPT_ALL)
		log_warning(
		        "the disk of %s is full: keys can be read and deleted, other writes are refused until %" PRIu64
		        " MB are free; FLUSHALL and FLUSHDB make room as well",
		        store->directory, ((reserve->wanted - reserve->bytes) >> 20) + 1);
}

static uint64_t images_part(const struct store *store) { return store->reserve.wanted - logs_part(store); }

/* If something was given, in any case: it may be the rest of what was. */
static void tell_cores(struct core *core, struct store *store, bool given)
{
	struct reserve *reserve = &store->reserve;
	enum log_kept before = reserve->kept;
	enum log_kept now = reserve->bytes >= reserve->wanted     ? LOG_KEPT_ALL
	                    : reserve->bytes > images_part(store) ? LOG_KEPT_SHORT
	                                                          : LOG_KEPT_GIVEN;
	if (now == before && !given)
		return;
	tell(reserve->kept, now);
	say_change(store, before, now);
	for (uint16_t id = 0; id < store->n_cores; id++)
		core_post(core, id, &(struct message){.run = log_told, .args[0].ptr = &store->cores[id]});
}

/* ---- the file ---------------------------------------------------------------------------------- */

static int remove_file(struct core *core, struct store *store)
{
	char path[PATH_ROOM];
	uint64_t mark = dir_mark(core);
	path_of(store, path);
	int result = file_remove(core, path);
	store->reserve.bytes = 0;
	return result == 0 || result == -ENOENT ? dir_sync(core, store->directory, mark) : result;
}

/* `mark`: of the directory, before the file was made. */
static int reserve_open_file(struct core *core, struct store *store, int fd, uint64_t wanted, uint64_t mark)
{
	struct reserve *reserve = &store->reserve;
	int result = file_reserve(core, fd, wanted);
	int64_t size = file_size(core, fd);
	reserve->bytes = size > 0 ? (uint64_t)size : 0;
	if (result == 0)
		result = file_sync(core, fd);
	return result == 0 ? dir_sync(core, store->directory, mark) : result;
}

/* As large as is wanted, or as the disk lets it. */
static int grow_file(struct core *core, struct store *store, uint64_t wanted)
{
	char path[PATH_ROOM];
	uint64_t mark = dir_mark(core);
	path_of(store, path);
	int fd = file_open(core, path, IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
	if (fd < 0)
		return fd;
	int result = reserve_open_file(core, store, fd, wanted, mark);
	file_close(core, fd);
	return result;
}

static bool is_much_too_large(const struct reserve *reserve) { return reserve->bytes / 2 > reserve->wanted; }

static void resize(struct core *core, struct store *store)
{
	struct reserve *reserve = &store->reserve;
	int result = is_much_too_large(reserve) ? remove_file(core, store) : 0;
	if (result == 0)
		result = grow_file(core, store, reserve->wanted);
	if (result < 0 && result != -ENOSPC && result != -EDQUOT && result != reserve->error)
		log_warning("no room can be kept in %s/reserve: %s", store->directory, strerror(-result));
	reserve->error = result;
	/* Where files cannot be given room without being written, or cannot be made for another reason, there is none
	 * to wait for. */
	if (result < 0 && result != -ENOSPC && result != -EDQUOT)
		reserve->bytes = reserve->wanted;
	tell_cores(core, store, false);
}

static void begin_work(struct core *core, struct store *store)
{
	store->reserve.n_workers++;
	while (store->reserve.busy)
		fiber_sleep(core, WAIT_NS);
	store->reserve.busy = true;
}

static void end_work(struct core *core, struct store *store)
{
	store->reserve.busy = false;
	store->reserve.n_workers--;
	round_may_have_ended(core, store);
}

/* ---- giving ------------------------------------------------------------------------------------ */

struct giving {
	struct store *store;
	bool spares_images; /* only what is not theirs */
	bool given;
};

static bool give_all_but(struct core *core, struct store *store, uint64_t kept)
{
	if (store->reserve.bytes <= kept || remove_file(core, store) < 0)
		return false;
	if (kept > 0)
		(void)grow_file(core, store, kept);
	return true;
}

static void give_here(struct core *core, void *arg)
{
	struct giving *giving = arg;
	struct store *store = giving->store;
	begin_work(core, store);
	giving->given = give_all_but(core, store, giving->spares_images ? images_part(store) : 0);
	tell_cores(core, store, giving->given);
	end_work(core, store);
}

bool reserve_give(struct core *core, struct store *store)
{
	struct giving giving = {.store = store};
	crew_run_on(core, 0, give_here, &giving);
	return giving.given;
}

static void wait_for_files(struct core *core, void *arg)
{
	const struct store *store = arg;
	const struct log *log = store->cores[core->id].log;
	while (log_makes_files(log) && !told(store->closing))
		fiber_sleep(core, WAIT_NS);
}

void reserve_give_to_images(struct core *core, struct store *store)
{
	(void)reserve_give(core, store);
	crew_run(core, wait_for_files, store);
}

static bool give(struct core *core, struct log_room_giver *giver)
{
	return reserve_give(core, container_of(giver, struct store, reserve.giver));
}

static void tend_asked(struct core *core, struct message *message) { reserve_tend(core, message->args[0].ptr); }

static void grew(struct core *core, struct log_room_giver *giver)
{
	struct store *store = container_of(giver, struct store, reserve.giver);
	if (told(store->closing))
		return;
	store_core_tell(&store->cores[core->id]);
	core_post(core, 0, &(struct message){.run = tend_asked, .args[0].ptr = store});
}

static void give_part(void *arg)
{
	struct giving giving = {.store = arg, .spares_images = true};
	give_here(core_current(), &giving);
}

static void give_rest(void *arg)
{
	struct giving giving = {.store = arg};
	give_here(core_current(), &giving);
}

static void asked(struct core *core, struct message *message)
{
	fiber_start(core, message->args[1].word ? give_rest : give_part, message->args[0].ptr);
}

static void ask(struct core *core, struct log_room_giver *giver, bool all)
{
	struct store *store = container_of(giver, struct store, reserve.giver);
	core_post(core, 0, &(struct message){.run = asked, .args[0].ptr = store, .args[1].word = all});
}

/* ---- keeping ----------------------------------------------------------------------------------- */

/* Files that logs had ready and never used, mostly. */
static void remove_spare(struct core *core, struct store *store)
{
	char path[PATH_ROOM];
	for (uint32_t i = 0; i < store->survey.spare.n; i++) {
		segment_path(store->directory, store->survey.spare.all[i].number, path, sizeof(path));
		int result = file_remove(core, path);
		if (result < 0 && result != -ENOENT)
			log_warning("%s, which is not needed any more, cannot be removed: %s", path, strerror(-result));
	}
	segment_list_free(&store->survey.spare);
}

/* What a start may write besides: the end of each log there is goes to a file of its own. */
static uint64_t ends_bytes(const struct store *store)
{
	uint64_t n = 0;
	for (uint32_t i = 0; i < store->survey.n_logs; i++)
		n += store->survey.logs[i].segments.n > 0;
	return n * store->options.segment_size;
}

void reserve_open(struct core *core, struct store *store)
{
	struct reserve *reserve = &store->reserve;
	reserve->giver = (struct log_room_giver){.give = give, .ask = ask, .grew = grew};
	reserve->wanted = least_bytes(store) + ends_bytes(store);
	int result = grow_file(core, store, reserve->wanted);
	if (result == -ENOSPC || result == -EDQUOT)
		remove_spare(core, store);
	resize(core, store);
}

static void tend(void *arg)
{
	struct store *store = arg;
	struct core *core = core_current();
	begin_work(core, store);
	resize(core, store);
	end_work(core, store);
}

/* While a round writes, what was given is its. */
void reserve_tend(struct core *core, struct store *store)
{
	struct reserve *reserve = &store->reserve;
	if (reserve->busy || told(store->closing) || (reserve->bytes == 0 && store->round.running))
		return;
	reserve->wanted = wanted_bytes(store);
	if (reserve->bytes < reserve->wanted || is_much_too_large(reserve))
		fiber_start(core, tend, store);
	else
		tell_cores(core, store, false);
}
