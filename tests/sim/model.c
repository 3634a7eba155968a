#include "tests/sim/model_private.h"

#include "engine/base/number.h"

/* ---- replies ------------------------------------------------------------------------------ */

void answer(struct buf *out, const char *text) { buf_append(out, slice_from_str(text)); }
void answer_integer(struct buf *out, int64_t value) { buf_printf(out, ":%lld\r\n", (long long)value); }

void answer_bulk(struct buf *out, struct slice bytes)
{
	buf_printf(out, "$%zu\r\n", bytes.len);
	buf_append(out, bytes);
	answer(out, "\r\n");
}

void answer_value(struct doing *d, uint32_t text)
{
	if (text == TEXT_NONE)
		answer(d->out, d->operation->resp == 3 ? "_\r\n" : "$-1\r\n");
	else
		answer_bulk(d->out, text_bytes(d->model->texts, text));
}

void answer_null_array(struct buf *out, uint8_t resp) { answer(out, resp == 3 ? "_\r\n" : "*-1\r\n"); }

/* ---- keys --------------------------------------------------------------------------------- */

uint32_t *place(struct doing *d, uint8_t db, uint8_t key) { return &d->state->values[db * KEYS_MAX + key]; }
uint32_t *first(struct doing *d) { return place(d, d->step->db, d->step->keys[0]); }

static void changed(struct doing *d, uint8_t db, uint8_t key)
{
	for (int client = 0; client < CLIENTS_MAX; client++)
		d->state->broken[client] |= d->state->watched[client] & slot_bit(db, key);
}

static uint8_t *expiry(struct doing *d, uint8_t db, uint8_t key) { return &d->state->expires[db * KEYS_MAX + key]; }

/* It never expires; what changes a value in place keeps its expiry. */
void put(struct doing *d, uint8_t db, uint8_t key, uint32_t text)
{
	*place(d, db, key) = text;
	*expiry(d, db, key) = 0;
	changed(d, db, key);
}

void put_edited(struct doing *d, uint8_t key, uint32_t text)
{
	uint8_t *expires = expiry(d, d->step->db, key), kept = *expires;
	put(d, d->step->db, key, text);
	*expires = text ? kept : 0;
}

void put_items(struct doing *d, uint8_t key, enum value_type type, const struct items *items)
{
	struct buf *text = &d->model->value;
	text->len = 0;
	items_text(items, type, text);
	put_edited(d, key, items_count(items) ? text_id(d->model->texts, buf_slice(text)) : TEXT_NONE);
}

static void put_first(struct doing *d, uint32_t text) { put(d, d->step->db, d->step->keys[0], text); }

static enum value_type type_of(struct doing *d, uint32_t text) { return value_type(text_bytes(d->model->texts, text)); }

static struct slice first_bytes(struct doing *d) { return text_bytes(d->model->texts, *first(d)); }

static void do_range(struct doing *d)
{
	struct slice bytes = first_bytes(d);
	size_t from = (size_t)d->step->number, to = (size_t)d->step->number_to + 1;
	to = to < bytes.len ? to : bytes.len;
	answer_bulk(d->out, from < to ? slice_sub(bytes, from, to) : S(""));
}

static void do_count(struct doing *d, int64_t by)
{
	int64_t value = 0;
	if (*first(d) && !integer_parse(first_bytes(d), &value)) {
		answer(d->out, "-ERR value is not an integer or out of range\r\n");
		return;
	}
	char digits[INTEGER_TEXT_MAX];
	value += by;
	put_edited(d, d->step->keys[0], text_id(d->model->texts, slice_of(digits, integer_format(value, digits))));
	answer_integer(d->out, value);
}

static void do_edit(struct doing *d, size_t offset, struct slice more)
{
	struct buf *value = &d->model->value;
	value->len = 0;
	buf_append(value, first_bytes(d));
	size_t end = offset + more.len;
	if (end > value->len) {
		size_t grow = end - value->len;
		memset(buf_reserve(value, grow), 0, grow);
		value->len += grow;
	}
	memcpy(value->ptr + offset, more.ptr, more.len);
	put_edited(d, d->step->keys[0], text_id(d->model->texts, buf_slice(value)));
	answer_integer(d->out, (int64_t)value->len);
}

static void do_delete(struct doing *d)
{
	int64_t n = 0;
	for (uint8_t i = 0; i < d->step->n; i++) {
		if (*place(d, d->step->db, d->step->keys[i]) == TEXT_NONE)
			continue;
		put(d, d->step->db, d->step->keys[i], TEXT_NONE);
		n++;
	}
	answer_integer(d->out, n);
}

static bool any_exists(struct doing *d)
{
	for (uint8_t i = 0; i < d->step->n; i++)
		if (*place(d, d->step->db, d->step->keys[i]))
			return true;
	return false;
}

static void put_all(struct doing *d)
{
	for (uint8_t i = 0; i < d->step->n; i++)
		put(d, d->step->db, d->step->keys[i], d->step->values[i]);
}

static void do_rename(struct doing *d, bool only_if_free)
{
	const struct step *step = d->step;
	uint32_t text = *first(d);
	if (!text) {
		answer(d->out, "-ERR no such key\r\n");
		return;
	}
	bool moves = step->keys[0] != step->keys[1] && !(only_if_free && *place(d, step->db, step->keys[1]));
	if (moves) {
		uint8_t expires = *expiry(d, step->db, step->keys[0]);
		put_first(d, TEXT_NONE);
		put(d, step->db, step->keys[1], text);
		*expiry(d, step->db, step->keys[1]) = expires;
	}
	if (only_if_free)
		answer_integer(d->out, moves);
	else
		answer(d->out, "+OK\r\n");
}

static void do_copy(struct doing *d)
{
	const struct step *step = d->step;
	if (step->db == step->db_to && step->keys[0] == step->keys[1]) {
		answer(d->out, "-ERR source and destination objects are the same\r\n");
		return;
	}
	bool copies = *first(d) && (step->replace || !*place(d, step->db_to, step->keys[1]));
	if (copies) {
		put(d, step->db_to, step->keys[1], *first(d));
		*expiry(d, step->db_to, step->keys[1]) = *expiry(d, step->db, step->keys[0]);
	}
	answer_integer(d->out, copies);
}

static void do_move(struct doing *d)
{
	const struct step *step = d->step;
	if (step->db == step->db_to) {
		answer(d->out, "-ERR source and destination objects are the same\r\n");
		return;
	}
	bool moves = *first(d) && !*place(d, step->db_to, step->keys[0]);
	if (moves) {
		uint8_t expires = *expiry(d, step->db, step->keys[0]);
		put(d, step->db_to, step->keys[0], *first(d));
		put_first(d, TEXT_NONE);
		*expiry(d, step->db_to, step->keys[0]) = expires;
	}
	answer_integer(d->out, moves);
}

static void do_expire(struct doing *d, uint8_t seconds, bool changes)
{
	if (changes) {
		*expiry(d, d->step->db, d->step->keys[0]) = seconds;
		changed(d, d->step->db, d->step->keys[0]);
	}
	answer_integer(d->out, changes);
}

static void do_expiretime(struct doing *d)
{
	uint8_t seconds = *expiry(d, d->step->db, d->step->keys[0]);
	answer_integer(d->out, !*first(d) ? -2 : !seconds ? -1 : EXPIRES_FROM_S + seconds);
}

/* ---- databases and watches ------------------------------------------------------------------ */

static uint64_t database_slots(uint8_t db)
{
	uint64_t slots = 0;
	for (uint8_t key = 0; key < KEYS_MAX; key++)
		slots |= slot_bit(db, key);
	return slots;
}

/* Watches on a database that means something else now hold no more, but say so in their way. */
static void doubt(struct state *state, uint64_t slots)
{
	for (int client = 0; client < CLIENTS_MAX; client++) {
		state->doubtful[client] |= state->watched[client] & slots;
		state->watched[client] &= ~slots;
	}
}

void put_quietly(struct doing *d, uint8_t key, uint32_t text)
{
	*place(d, d->step->db, key) = text;
	doubt(d->state, slot_bit(d->step->db, key));
}

static void empty(struct state *state, uint8_t db)
{
	for (int client = 0; client < CLIENTS_MAX; client++)
		for (uint8_t key = 0; key < KEYS_MAX; key++)
			if (state->values[db * KEYS_MAX + key])
				state->broken[client] |= state->watched[client] & slot_bit(db, key);
	memset(&state->values[db * KEYS_MAX], 0, KEYS_MAX * sizeof(state->values[0]));
	memset(&state->expires[db * KEYS_MAX], 0, KEYS_MAX);
	doubt(state, database_slots(db));
}

static void do_swap(struct state *state, uint8_t one, uint8_t other)
{
	if (one == other)
		return;
	for (uint8_t key = 0; key < KEYS_MAX; key++) {
		uint8_t here = (uint8_t)(one * KEYS_MAX + key), there = (uint8_t)(other * KEYS_MAX + key);
		uint32_t kept = state->values[here];
		uint8_t kept_expiry = state->expires[here];
		state->values[here] = state->values[there];
		state->values[there] = kept;
		state->expires[here] = state->expires[there];
		state->expires[there] = kept_expiry;
	}
	doubt(state, database_slots(one) | database_slots(other));
}

static void watches_forget(struct state *state, uint16_t client)
{
	state->watched[client] = state->broken[client] = state->doubtful[client] = 0;
}

/* `replace` says that nothing is watched yet: what an earlier session left counts no more. */
static void do_watch(struct doing *d)
{
	uint16_t client = d->operation->client;
	if (d->step->replace)
		watches_forget(d->state, client);
	d->state->sessions[client] = d->operation->session;
	for (uint8_t i = 0; i < d->step->n; i++)
		d->state->watched[client] |= slot_bit(d->step->db, d->step->keys[i]) & ~d->state->doubtful[client];
	answer(d->out, "+OK\r\n");
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Of those that want a string. */
static bool wants_string(enum verb verb)
{
	return verb == GET || verb == STRLEN || verb == GETRANGE || verb == SET_GET || verb == GETSET ||
	       verb == GETDEL || (verb >= INCR && verb <= SETRANGE);
}

static void do_step(struct doing *d)
{
	const struct step *step = d->step;
	uint32_t old = step->n > 0 ? *first(d) : TEXT_NONE;
	if (type_of(d, old) != VALUE_STRING && wants_string(step->verb)) {
		answer(d->out, WRONG_TYPE);
		return;
	}
	switch (step->verb) {
	case IS:
		answer_value(d, old);
		break;
	case BECOMES:
		put_first(d, step->values[0]);
		answer(d->out, "+OK\r\n");
		break;
	case LLEN ... LRANGE:
	case RPUSH ... BLMOVE:
		list_step(d);
		break;
	case SCARD ... ZRANGE:
	case BZPOPMIN ... ZUNIONSTORE:
		collection_step(d);
		break;
	case XLEN ... XPENDING:
	case XADD ... XACK:
		stream_step(d);
		break;
	case GET:
		answer_value(d, old);
		break;
	case STRLEN:
		answer_integer(d->out, (int64_t)first_bytes(d).len);
		break;
	case GETRANGE:
		do_range(d);
		break;
	case TYPE:
		buf_printf(d->out, "+%s\r\n", old ? value_type_name(type_of(d, old)) : "none");
		break;
	case EXISTS: {
		int64_t n = 0;
		for (uint8_t i = 0; i < step->n; i++)
			n += *place(d, step->db, step->keys[i]) != TEXT_NONE;
		answer_integer(d->out, n);
		break;
	}
	case MGET:
		buf_printf(d->out, "*%u\r\n", step->n);
		for (uint8_t i = 0; i < step->n; i++)
			answer_value(d, type_of(d, *place(d, step->db, step->keys[i])) == VALUE_STRING
			                        ? *place(d, step->db, step->keys[i])
			                        : TEXT_NONE);
		break;
	case SET:
		put_first(d, step->values[0]);
		answer(d->out, "+OK\r\n");
		break;
	case SET_NX:
	case SET_XX:
		if ((old != TEXT_NONE) == (step->verb == SET_XX)) {
			put_first(d, step->values[0]);
			answer(d->out, "+OK\r\n");
		} else {
			answer_value(d, TEXT_NONE);
		}
		break;
	case SETNX:
		if (!old)
			put_first(d, step->values[0]);
		answer_integer(d->out, old == TEXT_NONE);
		break;
	case SET_GET:
	case GETSET:
		answer_value(d, old);
		put_first(d, step->values[0]);
		break;
	case GETDEL:
		answer_value(d, old);
		if (old)
			put_first(d, TEXT_NONE);
		break;
	case DEL:
	case UNLINK:
		do_delete(d);
		break;
	case INCR:
		do_count(d, 1);
		break;
	case DECR:
		do_count(d, -1);
		break;
	case INCRBY:
		do_count(d, step->number);
		break;
	case APPEND:
		do_edit(d, first_bytes(d).len, text_bytes(d->model->texts, step->values[0]));
		break;
	case SETRANGE:
		do_edit(d, (size_t)step->number, text_bytes(d->model->texts, step->values[0]));
		break;
	case EXPIREAT:
		do_expire(d, (uint8_t)step->number, old != TEXT_NONE);
		break;
	case PERSIST:
		do_expire(d, 0, old != TEXT_NONE && *expiry(d, step->db, step->keys[0]));
		break;
	case EXPIRETIME:
		do_expiretime(d);
		break;
	case MSET:
		put_all(d);
		answer(d->out, "+OK\r\n");
		break;
	case MSETNX: {
		bool free = !any_exists(d);
		if (free)
			put_all(d);
		answer_integer(d->out, free);
		break;
	}
	case RENAME:
		do_rename(d, false);
		break;
	case RENAMENX:
		do_rename(d, true);
		break;
	case COPY:
		do_copy(d);
		break;
	case MOVE:
		do_move(d);
		break;
	case FLUSHDB:
		empty(d->state, step->db);
		answer(d->out, "+OK\r\n");
		break;
	case FLUSHALL:
		for (uint8_t db = 0; db < DATABASES_USED; db++)
			empty(d->state, db);
		answer(d->out, "+OK\r\n");
		break;
	case SWAPDB:
		do_swap(d->state, step->db, step->db_to);
		answer(d->out, "+OK\r\n");
		break;
	case WATCH:
		do_watch(d);
		break;
	case UNWATCH:
		watches_forget(d->state, d->operation->client);
		answer(d->out, "+OK\r\n");
		break;
	default:
		assert(!"not a step");
	}
}

static bool is_said(const struct doing *d, struct slice reply)
{
	return d->operation->reply == TEXT_NONE || slice_equal(buf_slice(d->out), reply);
}

/* A step in a transaction whose value cannot be read changes nothing, and the others count all the same. A log that has
 * stopped refuses all of them. */
static bool repeat_refusal(struct doing *d, struct slice reply)
{
	size_t at = d->out->len;
	struct slice refusal = S("-IOERR the value ");
	if (reply.len < at + refusal.len || memcmp(reply.ptr + at, refusal.ptr, refusal.len) != 0)
		return false;
	const uint8_t *end = memchr(reply.ptr + at, '\n', reply.len - at);
	buf_append(d->out, slice_sub(reply, at, (size_t)(end + 1 - reply.ptr)));
	return true;
}

/* The first step is EXEC itself. */
static bool exec_explains(struct doing *d)
{
	const struct operation *operation = d->operation;
	struct slice reply = text_bytes(d->model->texts, operation->reply);
	/* Not so if a later session of the client watches already: then nobody hears the reply. */
	bool has_watches = operation->watched && d->state->sessions[operation->client] == operation->session;
	uint64_t broken = has_watches ? d->state->broken[operation->client] : 0;
	uint64_t doubtful = has_watches ? d->state->doubtful[operation->client] : 0;
	if (has_watches)
		watches_forget(d->state, operation->client);
	answer_null_array(d->out, operation->resp);
	bool was_refused = operation->reply && slice_equal(buf_slice(d->out), reply);
	if (was_refused)
		return broken | doubtful;
	if (broken)
		return operation->reply == TEXT_NONE;
	d->out->len = 0;
	buf_printf(d->out, "*%u\r\n", operation->n_steps - 1);
	for (uint32_t i = 1; i < operation->n_steps; i++) {
		d->step = &operation->steps[i];
		if (!repeat_refusal(d, reply))
			do_step(d);
	}
	return is_said(d, reply);
}

/* A script says nothing in one way, whatever it was that was not there. */
static void append_with_nulls(struct buf *out, struct slice reply, uint8_t resp)
{
	for (size_t at = 0; at < reply.len;) {
		size_t end = (size_t)((const uint8_t *)memchr(reply.ptr + at, '\n', reply.len - at) - reply.ptr) + 1;
		struct slice line = slice_sub(reply, at, end);
		bool is_null = slice_equal(line, S("$-1\r\n")) || slice_equal(line, S("*-1\r\n"));
		buf_append(out, !is_null ? line : resp == 3 ? S("_\r\n") : S("$-1\r\n"));
		at = end;
	}
}

/* What was done before the step that failed stays. */
static bool script_explains(struct doing *d)
{
	const struct operation *operation = d->operation;
	struct operation as_lua_hears = *operation;
	struct buf *out = &d->model->script;
	as_lua_hears.resp = 2;
	d->operation = &as_lua_hears;
	out->len = 0;
	buf_printf(out, "*%u\r\n", operation->n_steps - 1);
	for (uint32_t i = 1; i < operation->n_steps; i++) {
		d->step = &operation->steps[i];
		d->out->len = 0;
		do_step(d);
		if (d->out->ptr[0] == '-')
			return is_said(d, text_bytes(d->model->texts, operation->reply));
		append_with_nulls(out, buf_slice(d->out), operation->resp);
	}
	d->out = out;
	return is_said(d, text_bytes(d->model->texts, operation->reply));
}

bool model_explains(struct model *model, struct state *state, const struct operation *operation)
{
	struct doing d = {
	        .model = model, .state = state, .operation = operation, .step = operation->steps, .out = &model->said};
	model->said.len = 0;
	if (operation->steps[0].verb == EXEC)
		return exec_explains(&d);
	if (operation->steps[0].verb == EVAL)
		return script_explains(&d);
	do_step(&d);
	return is_said(&d, text_bytes(model->texts, operation->reply));
}

void model_do(struct model *model, const struct step *step, uint32_t *text, struct buf *out)
{
	struct state state = {.values[0] = *text};
	struct operation operation = {.resp = 2, .n_steps = 1};
	struct doing d = {.model = model, .state = &state, .operation = &operation, .step = step, .out = out};
	assert(step->n == 1 && step->db == 0 && step->keys[0] == 0);
	do_step(&d);
	*text = state.values[0];
}

void model_fini(struct model *model)
{
	buf_fini(&model->said);
	buf_fini(&model->value);
	buf_fini(&model->script);
}
