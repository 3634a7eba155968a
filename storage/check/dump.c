#include "engine/base/buf.h"
#include "engine/memory/memory.h"
#include "storage/check/check_private.h"
#include "storage/log/reader.h"

#include <inttypes.h>

enum { NAME_SHOWN = 80 };

/* ---- one record ---------------------------------------------------------------------------- */

static void put_escaped(struct buf *line, struct slice bytes)
{
	size_t shown = bytes.len < NAME_SHOWN ? bytes.len : NAME_SHOWN;
	buf_byte(line, '"');
	for (size_t i = 0; i < shown; i++) {
		uint8_t c = bytes.ptr[i];
		if (c == '"' || c == '\\')
			buf_printf(line, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f)
			buf_printf(line, "\\x%02x", c);
		else
			buf_byte(line, c);
	}
	buf_byte(line, '"');
	if (shown < bytes.len)
		buf_printf(line, "... (%zu bytes)", bytes.len);
}

static void put_expiry(struct buf *line, int64_t expires_ms)
{
	if (expires_ms >= 0)
		buf_printf(line, ", expires %" PRId64, expires_ms);
}

static void put_tx(struct buf *line, const struct tx_id *tx)
{
	buf_printf(line, " transaction %" PRIu32 ".%" PRIu32 ".%" PRIu64, tx->log, tx->epoch, tx->number);
}

static void put_body(struct buf *line, const struct record *record, const struct record_body *body)
{
	switch (record->kind) {
	case RECORD_KEY_PUT:
	case RECORD_SYSTEM_PUT:
		buf_byte(line, ' ');
		put_escaped(line, body->key);
		buf_printf(line, ", %zu bytes", body->value.len);
		if (record->kind == RECORD_KEY_PUT)
			put_expiry(line, body->expires_ms);
		return;
	case RECORD_KEY_PATCH:
		buf_byte(line, ' ');
		put_escaped(line, body->key);
		buf_printf(line, ", %zu bytes at %" PRIu64 " of %" PRIu64, body->value.len, body->offset,
		           body->whole_length);
		return;
	case RECORD_KEY_EDIT:
		buf_byte(line, ' ');
		put_escaped(line, body->key);
		buf_printf(line, ", %zu bytes of edits, to version %" PRIu32, body->value.len, body->version);
		return;
	case RECORD_KEY_EXPIRE:
		buf_byte(line, ' ');
		put_escaped(line, body->key);
		buf_printf(line, body->expires_ms >= 0 ? "" : ", expires never");
		put_expiry(line, body->expires_ms);
		return;
	case RECORD_TX_PREPARE:
	case RECORD_TX_COMMIT:
		put_tx(line, &body->tx);
		return;
	case RECORD_TX_OUTCOME:
		put_tx(line, &body->tx);
		buf_printf(line, body->committed ? ", committed" : ", dropped");
		return;
	default:
		buf_byte(line, ' ');
		put_escaped(line, body->key);
	}
}

static void say_record(struct check_out *out, const struct record *record)
{
	cleanup(buf_fini) struct buf line = {0};
	struct record_body body;
	const char *kind = record_kind_name(record->kind);
	buf_printf(&line, "    %" PRIu64 " %s", record->lsn, kind ? kind : "(unknown kind)");
	if (record->slot != SLOT_SYSTEM)
		buf_printf(&line, ", slot %u, keyspace %" PRIu32 ":", record->slot, record->space);
	if (kind && record_parse(record, &body))
		put_body(&line, record, &body);
	else
		buf_printf(&line, " %zu bytes that cannot be read", record->body.len);
	if (record->group)
		buf_printf(&line, " +");
	buf_byte(&line, '\n');
	out->write(out, buf_slice(&line));
}

/* ---- logs ---------------------------------------------------------------------------------- */

static void say_frame(struct check_out *out, const struct log_reader *reader, uint64_t *segment)
{
	uint64_t number, at;
	const struct frame_header *frame = log_reader_frame(reader, &number, &at);
	if (number != *segment)
		say(out, "  log/%016" PRIx64 ", generation %" PRIu64 ", start %" PRIu64, number, frame->generation,
		    frame->epoch);
	*segment = number;
	if (frame->flags & FRAME_CLOSING)
		say(out, "   frame at %" PRIu64 ": closing, durable up to %" PRIu64, at, frame->durable_lsn);
	else
		say(out,
		    "   frame at %" PRIu64 ": %" PRIu32 " bytes, LSN %" PRIu64 " to %" PRIu64
		    ", durable up to %" PRIu64,
		    at, frame->length, frame->first_lsn, frame->first_lsn + frame->n_records - 1, frame->durable_lsn);
}

static void dump_run(struct subject *subject, const struct log_files *files, const struct segment_list *run)
{
	struct log_reader *reader = log_reader_new(subject->core, subject->directory, run, files->from_lsn);
	const struct record *records;
	uint32_t n;
	uint64_t segment = UINT64_MAX;
	for (;;) {
		enum log_read result = log_reader_next(reader, &records, &n);
		if (result == LOG_READ_END)
			break;
		if (result != LOG_READ_FRAME) {
			fault(&subject->faults, "%s", log_reader_why(reader));
			if (!log_reader_skip(reader))
				break;
			continue;
		}
		say_frame(subject->out, reader, &segment);
		for (uint32_t i = 0; i < n; i++)
			say_record(subject->out, &records[i]);
	}
	log_reader_free(reader);
}

static void dump_log(struct subject *subject, const struct log_files *files)
{
	const struct segment_list *list = &files->segments;
	say(subject->out, "log %" PRIu32 ", era %" PRIu32 ", core %u, needed from LSN %" PRIu64 " on%s", files->log.id,
	    files->log.era, files->log.core, files->from_lsn, files->only_decisions ? " for its decisions" : "");
	for (uint32_t from = 0, to; from < list->n; from = to) {
		for (to = from + 1; to < list->n && list->all[to].head.place == list->all[to - 1].head.place + 1; to++)
			;
		struct segment_list run = {.all = list->all + from, .n = to - from, .room = to - from};
		dump_run(subject, files, &run);
	}
}

static void dump_partition(struct subject *subject, uint32_t number)
{
	cleanup(buf_fini) struct buf line = {0};
	const struct manifest_partition *partition = &subject->manifest->partitions[number];
	buf_printf(&line, "partition %" PRIu32 ": ", number);
	if (partition->image)
		buf_printf(&line, "image %" PRIu64, partition->image);
	else
		buf_printf(&line, "no image");
	for (uint32_t i = 0; i < partition->n_ranges; i++)
		buf_printf(&line, ", log %" PRIu32 " from LSN %" PRIu64, partition->ranges[i].log,
		           partition->ranges[i].from_lsn);
	buf_byte(&line, '\n');
	subject->out->write(subject->out, buf_slice(&line));
}

bool check_dump(struct core *core, const char *directory, struct check_out *out)
{
	struct subject *subject = memory_alloc(sizeof(*subject));
	subject_init(subject, core, directory, out);
	if (subject_open(subject)) {
		for (uint32_t p = 0; p < PARTITIONS_ALL; p++)
			dump_partition(subject, p);
		for (uint32_t i = 0; i < subject->survey.n_logs; i++)
			dump_log(subject, &subject->survey.logs[i]);
	}
	bool sound = subject->faults.n == 0;
	subject_fini(subject);
	memory_free(subject);
	return sound;
}
