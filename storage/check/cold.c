#include "engine/core/core.h"
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "storage/check/check_private.h"
#include "storage/keyspace/cold_leaf.h"
#include "storage/tier/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PATH_ROOM = 4096, PIECE = 1024 * 1024 };

/* ---- pointers ------------------------------------------------------------------------------ */

static void say_bad(struct subject *subject, const char *where, const struct cold_pointer *pointer, int result)
{
	if (subject->bad_pointers++ == 0)
		fault(&subject->faults,
		      "%s: tier/%08x, %" PRIu32 " bytes at %" PRIu32 ", is not the value of its key: %s", where,
		      pointer->file, pointer->size, pointer->offset,
		      result == 0          ? "it is another's"
		      : result == -EBADMSG ? "damaged or missing"
		                           : strerror(-result));
}

struct leaves_look {
	struct subject *subject;
	const char *where;
};

/* Its key may have had another name. */
static void check_leaf(void *arg, const struct packed_away *away)
{
	const struct leaves_look *look = arg;
	const struct cold_pointer *pointer = &away->pointer;
	struct subject *subject = look->subject;
	struct slice there, value;
	subject->pointers++;
	int result = tier_read(subject->core, subject->directory, pointer, &subject->cold_record, &there, &value);
	if (result != 0 || !cold_leaf_is(value, away))
		say_bad(subject, look->where, pointer, result);
}

void check_pointer(struct subject *subject, struct slice key, struct slice packed, const char *where)
{
	struct cold_pointer pointer;
	struct slice there, value;
	struct leaves_look look = {subject, where};
	packed_each_away(packed, check_leaf, &look);
	if (!packed_pointer(packed, &pointer))
		return;
	subject->pointers++;
	int result = tier_read(subject->core, subject->directory, &pointer, &subject->cold_record, &there, &value);
	if (result != 0 || !slice_equal(there, key))
		say_bad(subject, where, &pointer, result);
}

void check_cold(struct subject *subject)
{
	struct tier_list list;
	int result = tier_survey(subject->core, subject->directory, &list);
	if (result < 0) {
		fault(&subject->faults, "%s/tier: cannot be read: %s", subject->directory, strerror(-result));
		return;
	}
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < list.n; i++)
		bytes += list.all[i].size;
	if (list.n > 0 || subject->pointers > 0)
		say(subject->out, "cold values    %" PRIu32 " files, %" PRIu64 " bytes, %" PRIu64 " pointers", list.n,
		    bytes, subject->pointers);
	if (subject->bad_pointers > 1)
		fault(&subject->faults, "%" PRIu64 " more pointers like that", subject->bad_pointers - 1);
	tier_list_fini(&list);
}

/* ---- copies for salvage ---------------------------------------------------------------------- */

static int copy_bytes(struct core *core, int from, int to)
{
	uint8_t *piece = file_buffer_new(PIECE);
	int result = 0;
	for (uint64_t at = 0; result == 0; at += PIECE) {
		int64_t n = file_read(core, from, piece, PIECE, at);
		if (n <= 0) {
			result = n < 0 ? (int)n : file_sync(core, to);
			break;
		}
		result = file_write(core, to, piece, (size_t)n, at, 0);
	}
	file_buffer_free(piece);
	return result;
}

static int copy_file(struct core *core, const char *from, const char *to)
{
	int in = file_open(core, from, IO_OPEN_READ, 0);
	if (in < 0)
		return in;
	int out = file_open(core, to, IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
	int result = out < 0 ? out : copy_bytes(core, in, out);
	if (out >= 0)
		file_close(core, out);
	file_close(core, in);
	return result;
}

static int copy_all(struct core *core, const char *directory, const char *into, const struct tier_list *list)
{
	char from[PATH_ROOM], to[PATH_ROOM];
	uint64_t mark = dir_mark(core);
	snprintf(to, sizeof(to), "%s/tier", into);
	int result = list->n > 0 ? dir_make(core, to) : 0;
	for (uint32_t i = 0; i < list->n && result >= 0; i++) {
		tier_path(directory, list->all[i].number, from, sizeof(from));
		tier_path(into, list->all[i].number, to, sizeof(to));
		result = copy_file(core, from, to);
	}
	snprintf(to, sizeof(to), "%s/tier", into);
	if (list->n > 0 && result >= 0)
		result = dir_sync(core, to, mark);
	return result < 0 ? result : dir_sync(core, into, mark);
}

bool copy_cold(struct subject *subject, const char *into)
{
	struct tier_list list;
	int result = tier_survey(subject->core, subject->directory, &list);
	if (result == 0) {
		result = copy_all(subject->core, subject->directory, into, &list);
		tier_list_fini(&list);
	}
	if (result < 0)
		say(subject->out, "the values that are not in memory cannot be copied to %s/tier: %s", into,
		    strerror(-result));
	return result == 0;
}
