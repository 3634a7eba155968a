#include "query/commands/handout.h"

#include "engine/core/core.h"
#include "engine/memory/memory.h"

struct sheet {
	struct link link;
	struct handouts *handouts;
	struct buf bytes;
	uint16_t readers; /* cores that have not answered */
};

void handouts_init(struct handouts *handouts, struct core *core)
{
	handouts->core = core;
	handouts->bytes_to = memory_zalloc(core->n_cores * sizeof(*handouts->bytes_to));
	list_init(&handouts->under_way);
}

static void sheet_free(struct sheet *sheet)
{
	list_remove(&sheet->link);
	buf_fini(&sheet->bytes);
	memory_free(sheet);
}

void handouts_fini(struct handouts *handouts)
{
	while (!list_empty(&handouts->under_way))
		sheet_free(container_of(handouts->under_way.next, struct sheet, link));
	memory_free(handouts->bytes_to);
}

static void sheet_read(struct core *core, struct message *message)
{
	struct sheet *sheet = message->args[0].ptr;
	struct handouts *handouts = sheet->handouts;
	handouts->bytes_to[message->from] -= sheet->bytes.len;
	if (--sheet->readers == 0)
		sheet_free(sheet);
	if (handouts->read)
		handouts->read(handouts, message->from);
}

static void sheet_arrived(struct core *core, struct message *message)
{
	const struct sheet *sheet = message->args[0].ptr;
	handout_show *show = (handout_show *)message->args[1].word;
	struct message answer = {.run = sheet_read, .args[0].ptr = message->args[0].ptr};
	uint16_t from = message->from;
	show(core, &sheet->bytes);
	core_reply(core, from, &answer);
}

/* To others first: the sheet is theirs until they answer, which none can before this returns. */
void handout(struct handouts *handouts, struct buf *bytes, uint64_t cores, handout_show *show)
{
	struct core *core = handouts->core;
	struct sheet *sheet = memory_alloc(sizeof(*sheet));
	*sheet = (struct sheet){.handouts = handouts, .bytes = buf_take(bytes)};
	list_push_back(&handouts->under_way, &sheet->link);
	struct message message = {.run = sheet_arrived, .args = {{.ptr = sheet}, {.word = (uintptr_t)show}}};
	for (uint16_t to = 0; to < core->n_cores; to++) {
		if (!(cores & 1ull << to) || to == core->id)
			continue;
		sheet->readers++;
		handouts->bytes_to[to] += sheet->bytes.len;
		core_request(core, to, &message);
	}
	if (cores & 1ull << core->id)
		show(core, &sheet->bytes);
	if (sheet->readers == 0)
		sheet_free(sheet);
}
