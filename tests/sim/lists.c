/* What commands on lists mean. */
#include "tests/sim/model_private.h"

/* The key has this list now, or is gone if it is empty. */
static void list_put(struct doing *d, uint8_t key, const struct items *list) { put_items(d, key, VALUE_LIST, list); }

/* ---- ranges --------------------------------------------------------------------------------------- */

bool step_range(const struct step *step, size_t count, size_t *from, size_t *n)
{
	int64_t len = (int64_t)count, first = step->number, last = step->number_to;
	first = first < 0 ? first + len : first;
	last = last < 0 ? last + len : last;
	first = first < 0 ? 0 : first;
	last = last >= len ? len - 1 : last;
	*from = (size_t)first;
	*n = first <= last ? (size_t)(last - first + 1) : 0;
	return *n > 0;
}

static bool index_of(const struct step *step, size_t count, size_t *out)
{
	int64_t at = step->number < 0 ? step->number + (int64_t)count : step->number;
	*out = (size_t)at;
	return at >= 0 && at < (int64_t)count;
}

/* ---- commands --------------------------------------------------------------------------------------- */

static struct slice value_of(struct doing *d, int i) { return text_bytes(d->model->texts, d->step->values[i]); }

static void do_push(struct doing *d, struct items *list, bool is_head)
{
	for (uint8_t i = 0; i < d->step->n_values; i++)
		items_insert(list, is_head ? 0 : items_count(list), value_of(d, i));
	list_put(d, d->step->keys[0], list);
	answer_integer(d->out, (int64_t)items_count(list));
}

static void do_pop(struct doing *d, struct items *list, bool is_head)
{
	size_t count = items_count(list), n = (size_t)d->step->number;
	bool counted = n > 0;
	if (count == 0 && counted)
		answer_null_array(d->out, d->operation->resp);
	else if (count == 0)
		answer_value(d, TEXT_NONE);
	if (count == 0)
		return;
	n = !counted ? 1 : n < count ? n : count;
	if (counted)
		buf_printf(d->out, "*%zu\r\n", n);
	for (size_t i = 0; i < n; i++)
		answer_bulk(d->out, *items_at(list, is_head ? i : count - 1 - i));
	items_cut(list, is_head ? 0 : count - n, n);
	list_put(d, d->step->keys[0], list);
}

/* Whether it waited or not: when it was served, or found nothing. */
static void do_waiting_pop(struct doing *d, struct items *list, bool is_head)
{
	size_t count = items_count(list);
	if (count == 0) {
		answer_null_array(d->out, d->operation->resp);
		return;
	}
	answer(d->out, "*2\r\n");
	answer_bulk(d->out, text_bytes(d->model->texts, d->step->name));
	answer_bulk(d->out, *items_at(list, is_head ? 0 : count - 1));
	items_cut(list, is_head ? 0 : count - 1, 1);
	list_put(d, d->step->keys[0], list);
}

static void do_set(struct doing *d, struct items *list)
{
	size_t at;
	if (items_count(list) == 0) {
		answer(d->out, "-ERR no such key\r\n");
	} else if (!index_of(d->step, items_count(list), &at)) {
		answer(d->out, "-ERR index out of range\r\n");
	} else {
		*items_at(list, at) = value_of(d, 0);
		list_put(d, d->step->keys[0], list);
		answer(d->out, "+OK\r\n");
	}
}

static void do_remove(struct doing *d, struct items *list)
{
	int64_t limit = d->step->number, removed = 0;
	bool backwards = limit < 0;
	limit = backwards ? -limit : limit;
	for (size_t left = items_count(list), at = backwards ? left : 0; left > 0; left--) {
		size_t here = backwards ? --at : at;
		bool is_it = (limit == 0 || removed < limit) && slice_equal(*items_at(list, here), value_of(d, 0));
		if (is_it)
			items_cut(list, here, 1);
		removed += is_it;
		at += !backwards && !is_it;
	}
	if (removed)
		list_put(d, d->step->keys[0], list);
	answer_integer(d->out, removed);
}

static void do_trim(struct doing *d, struct items *list)
{
	size_t from, n, count = items_count(list);
	if (count > 0) {
		if (!step_range(d->step, count, &from, &n))
			from = count;
		items_cut(list, from + n, count - from - n);
		items_cut(list, 0, from);
		list_put(d, d->step->keys[0], list);
	}
	answer(d->out, "+OK\r\n");
}

static void do_insert(struct doing *d, struct items *list)
{
	size_t at = 0, count = items_count(list);
	while (at < count && !slice_equal(*items_at(list, at), value_of(d, 1)))
		at++;
	if (at == count) {
		answer_integer(d->out, count ? -1 : 0);
		return;
	}
	items_insert(list, at + (d->step->number > 0), value_of(d, 0));
	list_put(d, d->step->keys[0], list);
	answer_integer(d->out, (int64_t)count + 1);
}

static void do_range(struct doing *d, const struct items *list)
{
	size_t from, n;
	if (!step_range(d->step, items_count(list), &from, &n))
		n = 0;
	buf_printf(d->out, "*%zu\r\n", n);
	for (size_t i = 0; i < n; i++)
		answer_bulk(d->out, *items_at(list, from + i));
}

/* From one end of the first key's list to one of the second's, which may be the same. */
static void do_move(struct doing *d, struct items *from)
{
	const struct step *step = d->step;
	struct slice to_text = text_bytes(d->model->texts, *place(d, step->db, step->keys[1]));
	bool is_same = step->keys[0] == step->keys[1];
	bool waited = step->verb == BLMOVE && d->operation->n_steps == 1; /* in vain, if nothing is there */
	if (items_count(from) == 0 && waited)
		answer_null_array(d->out, d->operation->resp);
	else if (items_count(from) == 0)
		answer_value(d, TEXT_NONE);
	if (items_count(from) == 0)
		return;
	if (to_text.len && value_type(to_text) != VALUE_LIST) {
		answer(d->out, WRONG_TYPE);
		return;
	}
	size_t at = step->number ? items_count(from) - 1 : 0;
	struct slice element = *items_at(from, at);
	struct items other = is_same ? (struct items){0} : items_of(to_text), *to = is_same ? from : &other;
	answer_bulk(d->out, element);
	items_cut(from, at, 1);
	items_insert(to, step->number_to ? items_count(to) : 0, element);
	if (!is_same)
		list_put(d, step->keys[0], from);
	list_put(d, step->keys[1], to);
	items_fini(&other);
}

static void do_on(struct doing *d, struct items *list)
{
	size_t at, count = items_count(list);
	switch (d->step->verb) {
	case LLEN:
		answer_integer(d->out, (int64_t)count);
		break;
	case LINDEX:
		if (index_of(d->step, count, &at))
			answer_bulk(d->out, *items_at(list, at));
		else
			answer_value(d, TEXT_NONE);
		break;
	case LRANGE:
		do_range(d, list);
		break;
	case RPUSHX:
		if (count == 0) {
			answer_integer(d->out, 0);
			break;
		}
		/* fallthrough */
	case RPUSH:
	case LPUSH:
		do_push(d, list, d->step->verb == LPUSH);
		break;
	case LPOP:
	case RPOP:
		do_pop(d, list, d->step->verb == LPOP);
		break;
	case BLPOP:
	case BRPOP:
		do_waiting_pop(d, list, d->step->verb == BLPOP);
		break;
	case LSET:
		do_set(d, list);
		break;
	case LREM:
		do_remove(d, list);
		break;
	case LTRIM:
		do_trim(d, list);
		break;
	case LINSERT:
		do_insert(d, list);
		break;
	default:
		do_move(d, list);
	}
}

void list_step(struct doing *d)
{
	struct slice text = text_bytes(d->model->texts, *first(d));
	if (text.len && value_type(text) != VALUE_LIST) {
		answer(d->out, WRONG_TYPE);
		return;
	}
	struct items list = items_of(text);
	do_on(d, &list);
	items_fini(&list);
}
