/* What commands on streams mean. */
#include "tests/sim/streams.h"

#include "engine/base/number.h"
#include "tests/sim/model_private.h"

#define GROUP_NAME "g"

/* ---- texts -------------------------------------------------------------------------------------------- */

static struct flow_entry *entry_at(const struct flow *flow, size_t at)
{
	return (struct flow_entry *)(void *)flow->entries.ptr + at;
}

static size_t entry_count(const struct flow *flow) { return flow->entries.len / sizeof(struct flow_entry); }

static struct flow_pending *pending_at(const struct flow *flow, size_t at)
{
	return (struct flow_pending *)(void *)flow->pending.ptr + at;
}

static size_t pending_count(const struct flow *flow) { return flow->pending.len / sizeof(struct flow_pending); }

struct reader {
	struct items items;
	size_t at;
};

static struct slice next(struct reader *reader) { return *items_at(&reader->items, reader->at++); }

static int64_t next_number(struct reader *reader)
{
	int64_t number = 0;
	bool is_number = integer_parse(next(reader), &number);
	assert(is_number);
	return number;
}

struct flow flow_of(struct slice text)
{
	struct flow flow = {0};
	struct reader reader = {.items = items_of(text)};
	if (text.len == 0)
		return flow;
	flow.last = next_number(&reader);
	flow.added = next_number(&reader);
	flow.max_deleted = next_number(&reader);
	for (int64_t n = next_number(&reader); n > 0; n--) {
		struct flow_entry entry = {.id = next_number(&reader)};
		entry.field = next(&reader);
		entry.value = next(&reader);
		buf_append(&flow.entries, slice_of(&entry, sizeof(entry)));
	}
	flow.has_group = next_number(&reader);
	flow.read = next_number(&reader);
	for (int64_t n = next_number(&reader); n > 0; n--)
		items_add(&flow.consumers, next(&reader));
	while (reader.at < items_count(&reader.items)) {
		struct flow_pending pending = {.id = next_number(&reader), .times = next_number(&reader)};
		pending.consumer = next(&reader);
		buf_append(&flow.pending, slice_of(&pending, sizeof(pending)));
	}
	items_fini(&reader.items);
	return flow;
}

void flow_fini(struct flow *flow)
{
	buf_fini(&flow->entries);
	items_fini(&flow->consumers);
	buf_fini(&flow->pending);
}

static void put_item(struct buf *out, struct slice item)
{
	buf_printf(out, "%zu:", item.len);
	buf_append(out, item);
}

static void put_number(struct buf *out, int64_t number)
{
	char digits[INTEGER_TEXT_MAX];
	put_item(out, slice_of(digits, integer_format(number, digits)));
}

void flow_text(const struct flow *flow, struct buf *out)
{
	buf_byte(out, VALUE_STREAM);
	put_number(out, flow->last);
	put_number(out, flow->added);
	put_number(out, flow->max_deleted);
	put_number(out, (int64_t)entry_count(flow));
	for (size_t i = 0; i < entry_count(flow); i++) {
		put_number(out, entry_at(flow, i)->id);
		put_item(out, entry_at(flow, i)->field);
		put_item(out, entry_at(flow, i)->value);
	}
	put_number(out, flow->has_group);
	put_number(out, flow->read);
	put_number(out, (int64_t)items_count(&flow->consumers));
	for (size_t i = 0; i < items_count(&flow->consumers); i++)
		put_item(out, *items_at(&flow->consumers, i));
	for (size_t i = 0; i < pending_count(flow); i++) {
		put_number(out, pending_at(flow, i)->id);
		put_number(out, pending_at(flow, i)->times);
		put_item(out, pending_at(flow, i)->consumer);
	}
}

/* ---- places ------------------------------------------------------------------------------------------- */

/* Of the first entry behind an ID. */
static size_t entry_behind(const struct flow *flow, int64_t id)
{
	size_t at = 0;
	while (at < entry_count(flow) && entry_at(flow, at)->id <= id)
		at++;
	return at;
}

static bool entry_find(const struct flow *flow, int64_t id, size_t *out)
{
	*out = entry_behind(flow, id - 1);
	return *out < entry_count(flow) && entry_at(flow, *out)->id == id;
}

static void cut(struct buf *records, size_t size, size_t at, size_t n)
{
	if (n == 0)
		return;
	memmove(records->ptr + at * size, records->ptr + (at + n) * size, records->len - (at + n) * size);
	records->len -= n * size;
}

/* ---- answers -------------------------------------------------------------------------------------------- */

static void answer_id(struct doing *d, int64_t id)
{
	char text[INTEGER_TEXT_MAX + 2] = "0-";
	answer_bulk(d->out, slice_of(text, 2 + integer_format(id, text + 2)));
}

static void answer_entry(struct doing *d, const struct flow_entry *entry)
{
	answer(d->out, "*2\r\n");
	answer_id(d, entry->id);
	answer(d->out, "*2\r\n");
	answer_bulk(d->out, entry->field);
	answer_bulk(d->out, entry->value);
}

static struct slice key_text(struct doing *d) { return text_bytes(d->model->texts, d->step->name); }

static void answer_no_group(struct doing *d, const char *more)
{
	buf_printf(d->out, "-NOGROUP No such key '%.*s' or consumer group '" GROUP_NAME "'%s\r\n", (int)key_text(d).len,
	           key_text(d).ptr, more);
}

/* ---- commands ------------------------------------------------------------------------------------------- */

static struct slice value_of(struct doing *d, int i) { return text_bytes(d->model->texts, d->step->values[i]); }

/* Groups that read are no change that Redis tells those who watch. */
static void put_flow(struct doing *d, const struct flow *flow)
{
	struct buf *text = &d->model->value;
	text->len = 0;
	flow_text(flow, text);
	uint32_t id = text_id(d->model->texts, buf_slice(text));
	if (d->step->verb == XREADGROUP || d->step->verb == XACK)
		put_quietly(d, d->step->keys[0], id);
	else
		put_edited(d, d->step->keys[0], id);
}

static void do_add(struct doing *d, struct flow *flow)
{
	struct flow_entry entry = {.id = ++flow->last, .field = value_of(d, 0), .value = value_of(d, 1)};
	flow->added++;
	buf_append(&flow->entries, slice_of(&entry, sizeof(entry)));
	put_flow(d, flow);
	answer_id(d, entry.id);
}

static void do_delete(struct doing *d, struct flow *flow)
{
	size_t at;
	bool is_there = entry_find(flow, d->step->number, &at);
	if (is_there) {
		cut(&flow->entries, sizeof(struct flow_entry), at, 1);
		flow->max_deleted = d->step->number > flow->max_deleted ? d->step->number : flow->max_deleted;
		put_flow(d, flow);
	}
	answer_integer(d->out, is_there);
}

static void do_trim(struct doing *d, struct flow *flow)
{
	size_t count = entry_count(flow), kept = (size_t)d->step->number, n = count > kept ? count - kept : 0;
	cut(&flow->entries, sizeof(struct flow_entry), 0, n);
	if (n > 0)
		put_flow(d, flow);
	answer_integer(d->out, (int64_t)n);
}

static void do_range(struct doing *d, const struct flow *flow)
{
	size_t n = entry_count(flow) < (size_t)d->step->number ? entry_count(flow) : (size_t)d->step->number;
	buf_printf(d->out, "*%zu\r\n", n);
	for (size_t i = 0; i < n; i++)
		answer_entry(d, entry_at(flow, i));
}

static void do_group(struct doing *d, struct flow *flow)
{
	if (flow->has_group) {
		answer(d->out, "-BUSYGROUP Consumer Group name already exists\r\n");
		return;
	}
	flow->has_group = true;
	flow->read = d->step->number ? flow->last : 0;
	put_flow(d, flow);
	answer(d->out, "+OK\r\n");
}

static void need_consumer(struct flow *flow, struct slice name)
{
	size_t at;
	if (!items_seek(&flow->consumers, 1, name, &at))
		items_insert(&flow->consumers, at, name);
}

static void answer_stream(struct doing *d, size_t n)
{
	answer(d->out, d->operation->resp == 3 ? "%1\r\n" : "*1\r\n*2\r\n");
	answer_bulk(d->out, key_text(d));
	buf_printf(d->out, "*%zu\r\n", n);
}

static void note_pending(struct flow *flow, int64_t id, struct slice consumer)
{
	struct flow_pending pending = {.id = id, .times = 1, .consumer = consumer};
	size_t at = 0, n = pending_count(flow);
	while (at < n && pending_at(flow, at)->id < id)
		at++;
	buf_append(&flow->pending, slice_of(&pending, sizeof(pending)));
	memmove(pending_at(flow, at + 1), pending_at(flow, at), (n - at) * sizeof(pending));
	*pending_at(flow, at) = pending;
}

static void read_new(struct doing *d, struct flow *flow)
{
	size_t at = entry_behind(flow, flow->read), n = entry_count(flow) - at;
	n = n < (size_t)d->step->number ? n : (size_t)d->step->number;
	if (n == 0) {
		answer_null_array(d->out, d->operation->resp);
		return;
	}
	need_consumer(flow, value_of(d, 0));
	answer_stream(d, n);
	for (size_t i = at; i < at + n; i++) {
		answer_entry(d, entry_at(flow, i));
		flow->read = entry_at(flow, i)->id;
		note_pending(flow, flow->read, value_of(d, 0));
	}
	put_flow(d, flow);
}

/* An entry that was deleted is not delivered once more: its reader hears that it is gone. */
static void answer_again(struct doing *d, const struct flow *flow, struct flow_pending *pending)
{
	size_t at;
	if (entry_find(flow, pending->id, &at)) {
		pending->times++;
		answer_entry(d, entry_at(flow, at));
		return;
	}
	answer(d->out, "*2\r\n");
	answer_id(d, pending->id);
	answer_null_array(d->out, d->operation->resp);
}

static void read_pending(struct doing *d, struct flow *flow)
{
	struct slice consumer = value_of(d, 0);
	size_t n = 0, limit = (size_t)d->step->number;
	for (size_t i = 0; i < pending_count(flow); i++)
		n += slice_equal(pending_at(flow, i)->consumer, consumer);
	n = n < limit ? n : limit;
	need_consumer(flow, consumer);
	answer_stream(d, n);
	for (size_t i = 0; n > 0; i++) {
		if (!slice_equal(pending_at(flow, i)->consumer, consumer))
			continue;
		answer_again(d, flow, pending_at(flow, i));
		n--;
	}
	put_flow(d, flow);
}

static void do_read(struct doing *d, struct flow *flow)
{
	if (!flow->has_group)
		answer_no_group(d, " in XREADGROUP with GROUP option");
	else if (d->step->replace)
		read_pending(d, flow);
	else
		read_new(d, flow);
}

static void do_acknowledge(struct doing *d, struct flow *flow)
{
	bool is_pending = false;
	for (size_t i = 0; i < pending_count(flow) && !is_pending; i++) {
		is_pending = pending_at(flow, i)->id == d->step->number;
		if (is_pending)
			cut(&flow->pending, sizeof(struct flow_pending), i, 1);
	}
	if (is_pending)
		put_flow(d, flow);
	answer_integer(d->out, is_pending);
}

static size_t count_of(const struct flow *flow, struct slice consumer)
{
	size_t n = 0;
	for (size_t i = 0; i < pending_count(flow); i++)
		n += slice_equal(pending_at(flow, i)->consumer, consumer);
	return n;
}

static void do_pending(struct doing *d, const struct flow *flow)
{
	size_t n = 0, count = pending_count(flow);
	if (!flow->has_group) {
		answer_no_group(d, "");
		return;
	}
	buf_printf(d->out, "*4\r\n:%zu\r\n", count);
	if (count == 0) {
		answer_value(d, TEXT_NONE);
		answer_value(d, TEXT_NONE);
		answer_null_array(d->out, d->operation->resp);
		return;
	}
	answer_id(d, pending_at(flow, 0)->id);
	answer_id(d, pending_at(flow, count - 1)->id);
	for (size_t i = 0; i < items_count(&flow->consumers); i++)
		n += count_of(flow, *items_at(&flow->consumers, i)) > 0;
	buf_printf(d->out, "*%zu\r\n", n);
	for (size_t i = 0; i < items_count(&flow->consumers); i++) {
		char digits[INTEGER_TEXT_MAX];
		size_t of_it = count_of(flow, *items_at(&flow->consumers, i));
		if (of_it == 0)
			continue;
		answer(d->out, "*2\r\n");
		answer_bulk(d->out, *items_at(&flow->consumers, i));
		answer_bulk(d->out, slice_of(digits, integer_format((int64_t)of_it, digits)));
	}
}

void stream_step(struct doing *d)
{
	struct slice text = text_bytes(d->model->texts, *first(d));
	if (text.len && value_type(text) != VALUE_STREAM) {
		answer(d->out, WRONG_TYPE);
		return;
	}
	struct flow flow = flow_of(text);
	switch (d->step->verb) {
	case XADD:
		do_add(d, &flow);
		break;
	case XDEL:
		do_delete(d, &flow);
		break;
	case XTRIM:
		do_trim(d, &flow);
		break;
	case XLEN:
		answer_integer(d->out, (int64_t)entry_count(&flow));
		break;
	case XRANGE:
		do_range(d, &flow);
		break;
	case XGROUP_CREATE:
		do_group(d, &flow);
		break;
	case XREADGROUP:
		do_read(d, &flow);
		break;
	case XACK:
		do_acknowledge(d, &flow);
		break;
	default:
		do_pending(d, &flow);
	}
	flow_fini(&flow);
}
