#include "query/session/parcel.h"

#include "engine/core/core.h"
#include "engine/memory/memory.h"

enum {
	ARGUMENTS_PACKED_MAX = RARE(16, 3), /* of one call; more are copied there, as slices */
	BYTES_PACKED_MAX = RARE(64, 8),     /* of one argument; longer ones are referred to */
	GUESTS_FREE_MAX = 64,
	CALLS_KEPT_MAX = RARE(256, 3),
	ARGUMENTS_KEPT_MAX = RARE(4096, 8),
};
#define LONG_ARGUMENT UINT32_MAX /* instead of a length: a slice follows */

struct parcel_head {
	struct client_view client;
	const struct reply_ops *ops;
	struct batch *host;
	struct blocked *blocked;
	uint32_t n, n_arguments;
};

/* Followed by its arguments: their slices' address if they are many; else the lengths of
 * all, then their bytes or slices. */
struct parcel_call {
	const struct command *command;
	uint64_t hash;
	uint32_t argc;
	uint16_t slot;
	uint8_t first_key;
	bool many_keys;
};

enum {
	ARGUMENT_SIZE_MAX =
	        sizeof(uint32_t) + (BYTES_PACKED_MAX > sizeof(struct slice) ? BYTES_PACKED_MAX : sizeof(struct slice)),
	CALL_SIZE_MAX = sizeof(struct parcel_call) + ARGUMENTS_PACKED_MAX * ARGUMENT_SIZE_MAX + 8,
};

static size_t rounded(size_t size) { return (size + 7) & ~(size_t)7; }

/* ---- packing ---------------------------------------------------------------------- */

static uint8_t *put(uint8_t *to, const void *bytes, size_t n)
{
	memcpy(to, bytes, n);
	return to + n;
}

static uint8_t *pack_arguments(uint8_t *to, const struct slice *argv, uint32_t argc)
{
	uint32_t *lengths = (uint32_t *)to;
	to += argc * sizeof(*lengths);
	for (uint32_t i = 0; i < argc; i++) {
		bool is_long = argv[i].len > BYTES_PACKED_MAX;
		lengths[i] = is_long ? LONG_ARGUMENT : (uint32_t)argv[i].len;
		to = is_long ? put(to, &argv[i], sizeof(argv[i])) : put(to, argv[i].ptr, argv[i].len);
	}
	return to;
}

static void pack_call(struct buf *parcel, const struct call *call, const struct slice *argv)
{
	uint8_t *start = buf_reserve(parcel, CALL_SIZE_MAX), *to = start;
	*(struct parcel_call *)to = (struct parcel_call){.command = call->command,
	                                                 .hash = call->hash,
	                                                 .argc = call->argc,
	                                                 .slot = call->slot,
	                                                 .first_key = call->first_key,
	                                                 .many_keys = call->many_keys};
	to += sizeof(struct parcel_call);
	to = call->argc > ARGUMENTS_PACKED_MAX ? put(to, &argv, sizeof(argv)) : pack_arguments(to, argv, call->argc);
	parcel->len += rounded((size_t)(to - start));
}

void parcel_pack(struct batch *batch, const struct client_view *client, struct message *out)
{
	struct buf *parcel = &batch->parcel;
	struct parcel_head head = {.client = *client, .ops = batch->ops, .host = batch, .blocked = batch->blocked, .n = batch->n};
	parcel->len = 0;
	buf_reserve(parcel, sizeof(head));
	parcel->len = sizeof(head);
	for (const struct call *call = batch->first; call; call = call->next) {
		pack_call(parcel, call, batch->arguments + call->args_at);
		head.n_arguments += call->argc;
	}
	memcpy(parcel->ptr, &head, sizeof(head));
	message_fetch_ahead(out, parcel->len);
	out->args[0].ptr = parcel->ptr;
	out->args[1].ptr = batch->out.ptr;
	out->args[2].word = batch->out.cap;
}

/* ---- unpacking -------------------------------------------------------------------- */

void guest_free(struct guest *guest)
{
	memory_free(guest->calls);
	memory_free(guest->arguments);
	memory_free(guest);
}

static struct guest *guest_new(struct rounds *rounds, uint32_t n_calls, uint32_t n_arguments)
{
	struct guest *guest = rounds->guests;
	if (guest) {
		rounds->guests = guest->next_free;
		rounds->n_guests--;
	} else {
		guest = memory_zalloc(sizeof(*guest));
	}
	if (unlikely(guest->calls_room < n_calls)) {
		guest->calls_room = n_calls * 2;
		guest->calls = memory_resize(guest->calls, guest->calls_room * sizeof(*guest->calls));
	}
	if (unlikely(guest->arguments_room < n_arguments)) {
		guest->arguments_room = n_arguments * 2;
		guest->arguments = memory_resize(guest->arguments, guest->arguments_room * sizeof(*guest->arguments));
	}
	return guest;
}

static void guest_put(struct rounds *rounds, struct guest *guest)
{
	if (rounds->n_guests == GUESTS_FREE_MAX || guest->calls_room > CALLS_KEPT_MAX * 2 ||
	    guest->arguments_room > ARGUMENTS_KEPT_MAX) {
		guest_free(guest);
		return;
	}
	guest->next_free = rounds->guests;
	rounds->guests = guest;
	rounds->n_guests++;
}

static const uint8_t *unpack_arguments(const uint8_t *from, struct slice *argv, uint32_t argc)
{
	const uint32_t *lengths = (const uint32_t *)from;
	from += argc * sizeof(*lengths);
	for (uint32_t i = 0; i < argc; i++) {
		if (unlikely(lengths[i] == LONG_ARGUMENT)) {
			memcpy(&argv[i], from, sizeof(argv[i]));
			from += sizeof(argv[i]);
		} else {
			argv[i] = slice_of(from, lengths[i]);
			from += lengths[i];
		}
	}
	return from;
}

static const uint8_t *unpack_call(const uint8_t *from, struct call *call, struct slice *argv)
{
	const struct parcel_call *packed = (const struct parcel_call *)from;
	const uint8_t *start = from;
	call->command = packed->command;
	call->hash = packed->hash;
	call->argc = packed->argc;
	call->slot = packed->slot;
	call->first_key = packed->first_key;
	call->many_keys = packed->many_keys;
	call->direct = call->failed = call->refused = false;
	from += sizeof(*packed);
	if (likely(call->argc <= ARGUMENTS_PACKED_MAX)) {
		from = unpack_arguments(from, argv, call->argc);
	} else {
		const struct slice *there;
		memcpy(&there, from, sizeof(there));
		memcpy(argv, there, call->argc * sizeof(*argv));
		from += sizeof(there);
	}
	return start + rounded((size_t)(from - start));
}

/* Room for where the answers end, and where they begin; see parcel.h. */
static size_t places_size(uint32_t n) { return 2 * sizeof(uint64_t) * n; }

struct guest *parcel_unpack(struct core *core, const struct message *message)
{
	const uint8_t *from = message->args[0].ptr;
	const struct parcel_head *head = (const struct parcel_head *)from;
	struct guest *guest = guest_new(core->commands->rounds, head->n, head->n_arguments);
	struct batch *batch = &guest->batch;
	guest->from = message->from;
	guest->host = head->host;
	batch->client = head->client;
	batch->client.keyspace = core->shard->keyspace_of_db[batch->client.db];
	batch->ops = head->ops;
	batch->blocked = head->blocked;
	batch->n = head->n;
	batch->core = core->id;
	batch->first = guest->calls;
	batch->arguments = guest->arguments;
	batch->out = (struct buf){.ptr = message->args[1].ptr, .cap = message->args[2].word};
	buf_reserve(&batch->out, places_size(batch->n));
	batch->out.len = places_size(batch->n);
	from += sizeof(*head);
	uint32_t at = 0;
	for (uint32_t i = 0; i < batch->n; i++) {
		struct call *call = &guest->calls[i];
		from = unpack_call(from, call, guest->arguments + at);
		call->args_at = at;
		call->next = call + 1;
		at += call->argc;
		if (call->first_key)
			keyspace_prefetch_bucket(core->shard, &(struct key){.hash = call->hash,
			                                                    .slot = call->slot,
			                                                    .keyspace = batch->client.keyspace});
	}
	guest->calls[batch->n - 1].next = NULL;
	return guest;
}

/* ---- and back --------------------------------------------------------------------- */

void parcel_answer(struct core *core, struct guest *guest, struct message *out)
{
	struct batch *batch = &guest->batch;
	uint64_t *to = (uint64_t *)batch->out.ptr, *from = to + batch->n;
	for (uint32_t i = 0; i < batch->n; i++)
		to[i] = guest->calls[i].to;
	if (unlikely(batch->disordered))
		for (uint32_t i = 0; i < batch->n; i++)
			from[i] = guest->calls[i].from;
	message_fetch_ahead(out, batch->out.len);
	out->number = batch->disordered;
	out->args[0].ptr = batch->out.ptr;
	out->args[1].ptr = guest->host;
	out->args[2].word = batch->out.len;
	out->args[3].word = batch->out.cap;
	struct buf loans = buf_take(&batch->loans);
	out->args[4].ptr = loans.ptr;
	out->args[5].word = loans.len;
	guest_put(core->commands->rounds, guest);
}

struct batch *parcel_answered(const struct message *message)
{
	struct batch *batch = message->args[1].ptr;
	batch->out =
	        (struct buf){.ptr = message->args[0].ptr, .len = message->args[2].word, .cap = message->args[3].word};
	buf_fini(&batch->loans);
	batch->loans =
	        (struct buf){.ptr = message->args[4].ptr, .len = message->args[5].word, .cap = message->args[5].word};
	const uint64_t *to = (const uint64_t *)batch->out.ptr, *from = to + batch->n;
	size_t end = places_size(batch->n);
	uint32_t i = 0;
	for (struct call *call = batch->first; call; call = call->next, i++) {
		call->from = message->number ? from[i] : end;
		end = call->to = to[i];
	}
	return batch;
}
