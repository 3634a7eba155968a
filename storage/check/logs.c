#include "engine/memory/memory.h"
#include "engine/placement/placement.h"
#include "storage/check/check_private.h"
#include "storage/log/reader.h"

#include <inttypes.h>
#include <stdio.h>

/* One log, as it is read. */
struct log_look {
	struct subject *subject;
	const struct log_files *files;
	uint64_t *attested; /* of each segment: the greatest durable LSN that its frames tell */
	uint64_t records, faulty;
	uint64_t open; /* prepared without an outcome, less those that began before */
};

/* ---- records ------------------------------------------------------------------------------- */

static const char *record_problem(const struct record *record)
{
	struct record_body body;
	if (!record_kind_name(record->kind))
		return "is of a kind that this program does not know";
	if (!record_parse(record, &body))
		return "is malformed";
	if (record->kind >= RECORD_SYSTEM_PUT)
		return record->slot == SLOT_SYSTEM ? NULL : "has a slot that such records do not have";
	return slot_of(body.key) == record->slot ? NULL : "has another slot than its key";
}

static void look_at_value(struct log_look *look, const struct record *record)
{
	struct record_body body;
	char where[64];
	if (record->kind != RECORD_KEY_PUT || !record_parse(record, &body))
		return;
	snprintf(where, sizeof(where), "log %" PRIu32 ": record LSN %" PRIu64, look->files->log.id, record->lsn);
	check_pointer(look->subject, body.key, body.value, where);
}

static void look_at_record(struct log_look *look, const struct record *record)
{
	const char *problem = record_problem(record);
	look->records++;
	if (!problem) {
		look_at_value(look, record);
		return;
	}
	if (look->faulty++ == 0)
		fault(&look->subject->faults, "log %" PRIu32 ": record LSN %" PRIu64 " %s", look->files->log.id,
		      record->lsn, problem);
}

/* ---- frames -------------------------------------------------------------------------------- */

static void look_at_frame(struct log_look *look, const struct log_reader *reader)
{
	uint64_t number, at;
	const struct frame_header *frame = log_reader_frame(reader, &number, &at);
	const struct segment_list *list = &look->files->segments;
	for (uint32_t i = list->n; i-- > 0;)
		if (list->all[i].number == number) {
			if (frame->durable_lsn > look->attested[i])
				look->attested[i] = frame->durable_lsn;
			return;
		}
}

/* Where a crash cut the writing that began a segment, one copy may be left. But not where a frame says that it was
 * durable, or where the log went on behind it without a new start. */
static void judge_heads(struct log_look *look)
{
	const struct segment_list *list = &look->files->segments;
	for (uint32_t i = 0; i < list->n; i++) {
		const struct segment_info *info = &list->all[i];
		bool went_on = i + 1 < list->n && list->all[i + 1].head.epoch == info->head.epoch;
		if (info->valid_copies == 2)
			continue;
		if (went_on || look->attested[i] >= info->head.first_lsn)
			fault(&look->subject->faults, "log/%016" PRIx64 ": one of two copies of its head is sound",
			      info->number);
		else
			say(look->subject->out, "remark: log/%016" PRIx64 ": a crash cut off the writing of its head",
			    info->number);
	}
}

static void look_at_records(struct log_look *look, struct log_reader *reader)
{
	const struct record *records;
	uint32_t n;
	for (;;) {
		enum log_read result = log_reader_next(reader, &records, &n);
		if (result == LOG_READ_END)
			return;
		if (result != LOG_READ_FRAME) {
			fault(&look->subject->faults, "%s", log_reader_why(reader));
			if (!log_reader_skip(reader))
				return;
			continue;
		}
		look_at_frame(look, reader);
		for (uint32_t i = 0; i < n; i++)
			look_at_record(look, &records[i]);
	}
}

/* ---- logs ---------------------------------------------------------------------------------- */

/* The manifest and the partitions that were imaged beside this log say how far it went at least. */
static void judge_end(const struct log_look *look, uint64_t next_lsn)
{
	const struct manifest *manifest = look->subject->manifest;
	const struct manifest_log *log = &look->files->log;
	if (log->durable_lsn >= next_lsn) {
		fault(&look->subject->faults,
		      "log %" PRIu32 ": ends before LSN %" PRIu64 ", but was durable up to LSN %" PRIu64, log->id,
		      next_lsn, log->durable_lsn);
		return;
	}
	for (uint32_t p = 0; p < PARTITIONS_ALL; p++)
		for (uint32_t i = 0; i < manifest->partitions[p].n_ranges; i++) {
			const struct manifest_range *range = &manifest->partitions[p].ranges[i];
			if (range->log != look->files->log.id || range->from_lsn <= next_lsn)
				continue;
			fault(&look->subject->faults,
			      "log %" PRIu32 ": ends before LSN %" PRIu64 ", but partition %" PRIu32
			      " needs it from LSN %" PRIu64 " on",
			      range->log, next_lsn, p, range->from_lsn);
			return;
		}
}

static void say_log(const struct log_look *look, const struct log_end *end, uint64_t bytes)
{
	const struct manifest_log *log = &look->files->log;
	const struct segment_list *list = &look->files->segments;
	say(look->subject->out,
	    "  %-6" PRIu32 " %-5" PRIu32 " %-5u %-9" PRIu32 " %-10" PRIu64 " %-12" PRIu64 " %-14" PRIu64 " %-14" PRIu64
	    " %" PRIu64,
	    log->id, log->era, log->core, list->n, end->frames, look->records,
	    list->n ? list->all[0].head.first_lsn : 0, end->next_lsn - 1, bytes);
	if (end->torn_bytes)
		say(look->subject->out,
		    "remark: log %" PRIu32 ": a torn tail of %" PRIu64
		    " bytes, as a crash leaves it; nothing in it was acknowledged",
		    log->id, end->torn_bytes);
}

/* Segments [from, to) follow on one another. */
static struct log_end look_at_run(struct log_look *look, uint32_t from, uint32_t to)
{
	struct segment_list run = {.all = look->files->segments.all + from, .n = to - from, .room = to - from};
	struct log_reader *reader =
	        log_reader_new(look->subject->core, look->subject->directory, &run, look->files->from_lsn);
	look_at_records(look, reader);
	struct log_end end = *log_reader_end(reader);
	log_reader_free(reader);
	return end;
}

static void check_log(struct subject *subject, const struct log_files *files)
{
	const struct segment_list *list = &files->segments;
	struct log_look look = {.subject = subject, .files = files};
	struct log_end all = {.next_lsn = 1};
	uint64_t bytes = 0;
	look.attested = memory_zalloc((list->n + 1) * sizeof(*look.attested));
	for (uint32_t from = 0, to; from < list->n; from = to) {
		for (to = from + 1; to < list->n && list->all[to].head.place == list->all[to - 1].head.place + 1; to++)
			;
		struct log_end end = look_at_run(&look, from, to);
		end.frames += all.frames;
		all = end;
	}
	for (uint32_t i = 0; i < list->n; i++)
		bytes += list->all[i].size;
	say_log(&look, &all, bytes);
	judge_heads(&look);
	if (list->n > 0)
		judge_end(&look, all.next_lsn);
	if (look.faulty > 1)
		fault(&subject->faults, "log %" PRIu32 ": %" PRIu64 " more records like that", files->log.id,
		      look.faulty - 1);
	memory_free(look.attested);
}

void check_logs(struct subject *subject)
{
	say(subject->out,
	    "logs\n  id     era   core  segments  frames     records      first LSN      last LSN       bytes");
	for (uint32_t i = 0; i < subject->survey.n_logs; i++)
		check_log(subject, &subject->survey.logs[i]);
}
