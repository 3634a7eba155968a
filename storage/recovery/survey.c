#include "storage/recovery/survey.h"

#include "engine/memory/memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096 };

struct look {
	const char *directory;
	const struct superblock *superblock;
	const struct manifest *manifest;
	struct survey *survey;
	struct faults *faults;
	char path[PATH_ROOM]; /* of the file that is being judged */
};

static struct log_files *files_of(struct survey *survey, uint32_t log)
{
	for (uint32_t i = 0; i < survey->n_logs; i++)
		if (survey->logs[i].log.id == log)
			return &survey->logs[i];
	return NULL;
}

/* ---- one file at a time -------------------------------------------------------------------- */

static void count_up(struct survey *survey, const struct segment_info *info)
{
	uint64_t generation = info->valid_copies ? info->head.generation : info->has_frame ? info->frame.generation : 0;
	survey->n_files++;
	if (info->number >= survey->next_number)
		survey->next_number = info->number + 1;
	if (generation >= survey->next_generation)
		survey->next_generation = generation + 1;
}

/* What no file of this directory and this program may say. */
static bool head_is_ours(struct look *look, const struct segment_info *info)
{
	const struct segment_head *head = &info->head;
	if (head->format != LOG_FORMAT)
		fault(look->faults,
		      "%s: format %" PRIu32 ", this program knows format %d: was it written by a newer one?",
		      look->path, head->format, LOG_FORMAT);
	else if (memcmp(head->directory, look->superblock->id, sizeof(head->directory)) != 0)
		fault(look->faults, "%s: belongs to another data directory", look->path);
	else if (head->epoch > look->manifest->epoch)
		fault(look->faults,
		      "%s: written after start %" PRIu64
		      " of the server, but the newest sound manifest is of start %" PRIu64
		      ": the manifest has been lost, and an older one is in its place",
		      look->path, head->epoch, look->manifest->epoch);
	else
		return true;
	return false;
}

static void sort_in(struct look *look, const struct segment_info *info)
{
	struct log_files *files = info->valid_copies ? files_of(look->survey, info->head.log) : NULL;
	count_up(look->survey, info);
	segment_path(look->directory, info->number, look->path, sizeof(look->path));
	if (info->valid_copies && !head_is_ours(look, info))
		return;
	segment_list_add(files ? &files->segments : &look->survey->spare, info);
}

/* ---- one log at a time --------------------------------------------------------------------- */

/* Of two with the same place the later one first: the other was begun before a crash, and nothing in it counted. */
static int by_place(const void *a, const void *b)
{
	const struct segment_head *x = &((const struct segment_info *)a)->head,
	                          *y = &((const struct segment_info *)b)->head;
	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return x->generation > y->generation ? -1 : x->generation < y->generation;
}

/* Keeps segments [from, n), one for each place; the others are spare. */
static void keep_from(struct survey *survey, struct segment_list *list, uint32_t from)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < list->n; i++) {
		bool again = kept > 0 && list->all[kept - 1].head.place == list->all[i].head.place;
		if (i < from || again)
			segment_list_add(&survey->spare, &list->all[i]);
		else
			list->all[kept++] = list->all[i];
	}
	list->n = kept;
}

/* The segment that holds `lsn`, or would; n: all begin after it. */
static uint32_t first_needed(const struct segment_list *list, uint64_t lsn)
{
	uint32_t first = list->n;
	for (uint32_t i = 0; i < list->n; i++)
		if (list->all[i].head.first_lsn <= lsn &&
		    (i == 0 || list->all[i].head.place != list->all[i - 1].head.place))
			first = i;
	return first;
}

/* Where the places that follow on one another to the end begin. */
static uint32_t last_run(const struct segment_list *list)
{
	uint32_t first = list->n - 1;
	while (first > 0 && list->all[first].head.place - list->all[first - 1].head.place <= 1)
		first--;
	return first;
}

static void judge_gaps(struct look *look, const struct log_files *files)
{
	for (uint32_t i = 1; i < files->segments.n; i++) {
		const struct segment_head *before = &files->segments.all[i - 1].head,
		                          *after = &files->segments.all[i].head;
		if (after->place != before->place + 1)
			fault(look->faults,
			      "log %" PRIu32 ": %" PRIu64 " segments are missing, with the records between LSN %" PRIu64
			      " and LSN %" PRIu64,
			      files->log.id, after->place - before->place - 1, before->first_lsn, after->first_lsn);
	}
}

static void judge_sizes(struct look *look, const struct log_files *files)
{
	for (uint32_t i = 0; i < files->segments.n; i++) {
		const struct segment_info *info = &files->segments.all[i];
		look->survey->log_bytes += info->size;
		if (info->size >= info->head.size)
			continue;
		segment_path(look->directory, info->number, look->path, sizeof(look->path));
		fault(look->faults, "%s: has %" PRIu64 " bytes of %" PRIu64 ": it was cut", look->path, info->size,
		      info->head.size);
	}
}

static void judge_log(struct look *look, struct log_files *files)
{
	struct segment_list *list = &files->segments;
	uint64_t needed = manifest_needs_from(look->manifest, files->log.id);
	files->only_decisions = needed == UINT64_MAX;
	files->from_lsn = files->only_decisions ? 0 : needed;
	if (list->n == 0 && (needed == 0 || files->only_decisions))
		return; /* no record was ever written to it, or none that a partition needs */
	if (list->n == 0) {
		fault(look->faults, "log %" PRIu32 ": all of its segments are missing", files->log.id);
		return;
	}
	qsort(list->all, list->n, sizeof(*list->all), by_place);
	uint32_t first = files->only_decisions ? last_run(list) : first_needed(list, needed ? needed : 1);
	if (first == list->n) {
		fault(look->faults,
		      "log %" PRIu32 ": is needed from LSN %" PRIu64 " on, but what is there begins at LSN %" PRIu64,
		      files->log.id, needed, list->all[0].head.first_lsn);
		first = 0;
	}
	keep_from(look->survey, list, first);
	judge_gaps(look, files);
	judge_sizes(look, files);
}

/* A head that is lost matters if the frames behind it do. A log without any other segment has never given one up. */
static void judge_headless(struct look *look, const struct segment_info *info)
{
	const struct log_files *files = files_of(look->survey, info->frame.log);
	if (!files || (files->segments.n == 0 && files->only_decisions))
		return;
	if (files->segments.n > 0 && info->frame.first_lsn < files->segments.all[0].head.first_lsn)
		return;
	segment_path(look->directory, info->number, look->path, sizeof(look->path));
	fault(look->faults,
	      "%s: both copies of its head are lost, with the records of log %" PRIu32 " from LSN %" PRIu64 " on",
	      look->path, info->frame.log, info->frame.first_lsn);
}

static void survey_init(struct survey *survey, const struct manifest *manifest)
{
	*survey = (struct survey){.n_logs = manifest->n_logs, .next_number = 1, .next_generation = 1};
	survey->logs = memory_zalloc((manifest->n_logs + 1) * sizeof(*survey->logs));
	for (uint32_t i = 0; i < manifest->n_logs; i++)
		survey->logs[i].log = manifest->logs[i];
}

static void look_at(struct look *look, const struct segment_list *all)
{
	for (uint32_t i = 0; i < all->n; i++)
		sort_in(look, &all->all[i]);
	for (uint32_t i = 0; i < look->survey->n_logs; i++)
		judge_log(look, &look->survey->logs[i]);
	for (uint32_t i = 0; i < all->n; i++)
		if (!all->all[i].valid_copies && all->all[i].has_frame)
			judge_headless(look, &all->all[i]);
}

bool survey_take(struct core *core, const char *directory, const struct superblock *superblock,
                 const struct manifest *manifest, struct survey *out, struct faults *faults)
{
	uint32_t before = faults->n;
	struct segment_list all = {0};
	struct look *look = memory_zalloc(sizeof(*look));
	*look = (struct look){.directory = directory,
	                      .superblock = superblock,
	                      .manifest = manifest,
	                      .survey = out,
	                      .faults = faults};
	survey_init(out, manifest);
	int result = segments_survey(core, directory, &all);
	if (result < 0)
		fault(faults, "%s/log: cannot be read: %s", directory, strerror(-result));
	else
		look_at(look, &all);
	segment_list_free(&all);
	memory_free(look);
	return faults->n == before;
}

void survey_fini(struct survey *survey)
{
	for (uint32_t i = 0; i < survey->n_logs; i++)
		segment_list_free(&survey->logs[i].segments);
	memory_free(survey->logs);
	segment_list_free(&survey->spare);
	*survey = (struct survey){0};
}
