/* What commands on sets, hashes and sorted sets mean. */
#include "tests/sim/model_private.h"

#include "engine/base/number.h"

static struct slice value_of(struct doing *d, int i) { return text_bytes(d->model->texts, d->step->values[i]); }

static struct slice digits_of(struct doing *d, int64_t number)
{
	char digits[INTEGER_TEXT_MAX];
	uint32_t text = text_id(d->model->texts, slice_of(digits, integer_format(number, digits)));
	return text_bytes(d->model->texts, text);
}

static int64_t number_of(struct slice digits)
{
	int64_t number;
	bool is_number = integer_parse(digits, &number);
	assert(is_number);
	return number;
}

static void put_if(struct doing *d, bool has_changed, enum value_type type, const struct items *items)
{
	if (has_changed)
		put_items(d, d->step->keys[0], type, items);
}

/* ---- sets ------------------------------------------------------------------------------------------- */

static bool set_insert(struct items *set, struct slice member)
{
	size_t at;
	if (items_seek(set, 1, member, &at))
		return false;
	items_insert(set, at, member);
	return true;
}

static bool set_take(struct items *set, struct slice member)
{
	size_t at;
	if (!items_seek(set, 1, member, &at))
		return false;
	items_cut(set, at, 1);
	return true;
}

static void do_each_member(struct doing *d, struct items *set, bool (*one)(struct items *, struct slice))
{
	int64_t n = 0;
	for (uint8_t i = 0; i < d->step->n_values; i++)
		n += one(set, value_of(d, i));
	put_if(d, n > 0, VALUE_SET, set);
	answer_integer(d->out, n);
}

static void do_members(struct doing *d, const struct items *set)
{
	buf_printf(d->out, "%c%zu\r\n", d->operation->resp == 3 ? '~' : '*', items_count(set));
	for (size_t i = 0; i < items_count(set); i++)
		answer_bulk(d->out, *items_at(set, i));
}

static void set_on(struct doing *d, struct items *set)
{
	size_t at;
	switch (d->step->verb) {
	case SADD:
		do_each_member(d, set, set_insert);
		break;
	case SREM:
		do_each_member(d, set, set_take);
		break;
	case SCARD:
		answer_integer(d->out, (int64_t)items_count(set));
		break;
	case SISMEMBER:
		answer_integer(d->out, items_seek(set, 1, value_of(d, 0), &at));
		break;
	default:
		do_members(d, set);
	}
}

static enum value_type type_at(struct doing *d, uint8_t key)
{
	return value_type(text_bytes(d->model->texts, *place(d, d->step->db, key)));
}

static struct items items_at_key(struct doing *d, uint8_t key)
{
	return items_of(text_bytes(d->model->texts, *place(d, d->step->db, key)));
}

/* What is not there has no type, and suits. */
static bool suits(struct doing *d, uint8_t key, enum value_type type)
{
	return *place(d, d->step->db, key) == TEXT_NONE || type_at(d, key) == type;
}

static void do_smove(struct doing *d)
{
	const struct step *step = d->step;
	size_t at;
	if (*first(d) == TEXT_NONE) {
		answer_integer(d->out, 0);
		return;
	}
	if (!suits(d, step->keys[0], VALUE_SET) || !suits(d, step->keys[1], VALUE_SET)) {
		answer(d->out, WRONG_TYPE);
		return;
	}
	struct items from = items_at_key(d, step->keys[0]), to = items_at_key(d, step->keys[1]);
	bool is_there = items_seek(&from, 1, value_of(d, 0), &at);
	if (is_there && step->keys[0] != step->keys[1]) {
		items_cut(&from, at, 1);
		put_items(d, step->keys[0], VALUE_SET, &from);
		if (set_insert(&to, value_of(d, 0)))
			put_items(d, step->keys[1], VALUE_SET, &to);
	}
	answer_integer(d->out, is_there);
	items_fini(&from);
	items_fini(&to);
}

/* The first key becomes this, whatever it was, and never expires. */
static void store(struct doing *d, enum value_type type, const struct items *items)
{
	bool was_there = *first(d) != TEXT_NONE;
	if (was_there)
		put(d, d->step->db, d->step->keys[0], TEXT_NONE);
	if (items_count(items) > 0)
		put_items(d, d->step->keys[0], type, items);
}

static void do_sunionstore(struct doing *d)
{
	struct items all = {0};
	for (uint8_t i = 1; i < d->step->n; i++) {
		if (!suits(d, d->step->keys[i], VALUE_SET)) {
			answer(d->out, WRONG_TYPE);
			items_fini(&all);
			return;
		}
		struct items one = items_at_key(d, d->step->keys[i]);
		for (size_t at = 0; at < items_count(&one); at++)
			(void)set_insert(&all, *items_at(&one, at));
		items_fini(&one);
	}
	store(d, VALUE_SET, &all);
	answer_integer(d->out, (int64_t)items_count(&all));
	items_fini(&all);
}

/* ---- hashes ------------------------------------------------------------------------------------------- */

enum { PAIR = 2 };

static bool hash_put(struct items *hash, struct slice field, struct slice value)
{
	size_t at;
	bool is_there = items_seek(hash, PAIR, field, &at);
	if (!is_there) {
		items_insert(hash, at, field);
		items_insert(hash, at + 1, value);
	}
	*items_at(hash, at + 1) = value;
	return !is_there;
}

static void do_hset(struct doing *d, struct items *hash)
{
	int64_t n = 0;
	for (uint8_t i = 0; i < d->step->n_values; i += PAIR)
		n += hash_put(hash, value_of(d, i), value_of(d, i + 1));
	put_items(d, d->step->keys[0], VALUE_HASH, hash);
	answer_integer(d->out, n);
}

static void do_hdel(struct doing *d, struct items *hash)
{
	int64_t n = 0;
	for (uint8_t i = 0; i < d->step->n_values; i++) {
		size_t at;
		if (!items_seek(hash, PAIR, value_of(d, i), &at))
			continue;
		items_cut(hash, at, PAIR);
		n++;
	}
	put_if(d, n > 0, VALUE_HASH, hash);
	answer_integer(d->out, n);
}

static void do_hincrby(struct doing *d, struct items *hash)
{
	size_t at;
	int64_t value = 0;
	if (items_seek(hash, PAIR, value_of(d, 0), &at) && !integer_parse(*items_at(hash, at + 1), &value)) {
		answer(d->out, "-ERR hash value is not an integer\r\n");
		return;
	}
	value += d->step->number;
	(void)hash_put(hash, value_of(d, 0), digits_of(d, value));
	put_items(d, d->step->keys[0], VALUE_HASH, hash);
	answer_integer(d->out, value);
}

static void do_hgetall(struct doing *d, const struct items *hash)
{
	size_t n = items_count(hash);
	buf_printf(d->out, "%c%zu\r\n", d->operation->resp == 3 ? '%' : '*', d->operation->resp == 3 ? n / PAIR : n);
	for (size_t i = 0; i < n; i++)
		answer_bulk(d->out, *items_at(hash, i));
}

static void hash_on(struct doing *d, struct items *hash)
{
	size_t at;
	switch (d->step->verb) {
	case HSET:
		do_hset(d, hash);
		break;
	case HDEL:
		do_hdel(d, hash);
		break;
	case HINCRBY:
		do_hincrby(d, hash);
		break;
	case HGET:
		if (items_seek(hash, PAIR, value_of(d, 0), &at))
			answer_bulk(d->out, *items_at(hash, at + 1));
		else
			answer_value(d, TEXT_NONE);
		break;
	case HLEN:
		answer_integer(d->out, (int64_t)items_count(hash) / PAIR);
		break;
	default:
		do_hgetall(d, hash);
	}
}

/* ---- sorted sets: scores are integers --------------------------------------------------------------------- */

static void answer_score(struct doing *d, struct slice score)
{
	if (d->operation->resp == 3)
		buf_printf(d->out, ",%.*s\r\n", (int)score.len, score.ptr);
	else
		answer_bulk(d->out, score);
}

static bool zset_seek(const struct items *zset, struct slice member, size_t *out)
{
	for (*out = 0; *out < items_count(zset); *out += PAIR)
		if (slice_equal(*items_at(zset, *out), member))
			return true;
	return false;
}

static void zset_insert(struct items *zset, struct slice member, struct slice score)
{
	size_t at = 0;
	for (; at < items_count(zset); at += PAIR) {
		int64_t other = number_of(*items_at(zset, at + 1));
		if (other > number_of(score) ||
		    (other == number_of(score) && bytes_compare(*items_at(zset, at), member) > 0))
			break;
	}
	items_insert(zset, at, member);
	items_insert(zset, at + 1, score);
}

enum put { PUT_NEW, PUT_MOVED, PUT_SAME };

static enum put zset_set(struct items *zset, struct slice member, struct slice score)
{
	size_t at;
	bool is_there = zset_seek(zset, member, &at);
	if (is_there && slice_equal(*items_at(zset, at + 1), score))
		return PUT_SAME;
	if (is_there)
		items_cut(zset, at, PAIR);
	zset_insert(zset, member, score);
	return is_there ? PUT_MOVED : PUT_NEW;
}

/* The members' scores count up. */
static void do_zadd(struct doing *d, struct items *zset)
{
	int64_t n = 0;
	bool has_changed = false;
	for (uint8_t i = 0; i < d->step->n_values; i++) {
		enum put put = zset_set(zset, value_of(d, i), digits_of(d, d->step->number + i));
		has_changed |= put != PUT_SAME;
		n += put == PUT_NEW;
	}
	put_if(d, has_changed, VALUE_ZSET, zset);
	answer_integer(d->out, n);
}

static void do_zincrby(struct doing *d, struct items *zset)
{
	size_t at;
	int64_t score = d->step->number;
	if (zset_seek(zset, value_of(d, 0), &at))
		score += number_of(*items_at(zset, at + 1));
	put_if(d, zset_set(zset, value_of(d, 0), digits_of(d, score)) != PUT_SAME, VALUE_ZSET, zset);
	answer_score(d, digits_of(d, score));
}

static void do_zrem(struct doing *d, struct items *zset)
{
	int64_t n = 0;
	for (uint8_t i = 0; i < d->step->n_values; i++) {
		size_t at;
		if (!zset_seek(zset, value_of(d, i), &at))
			continue;
		items_cut(zset, at, PAIR);
		n++;
	}
	put_if(d, n > 0, VALUE_ZSET, zset);
	answer_integer(d->out, n);
}

static void answer_elements(struct doing *d, const struct items *zset, size_t from, size_t n, bool nested)
{
	buf_printf(d->out, "*%zu\r\n", nested ? n : n * PAIR);
	for (size_t i = from; i < from + n; i++) {
		if (nested)
			answer(d->out, "*2\r\n");
		answer_bulk(d->out, *items_at(zset, i * PAIR));
		answer_score(d, *items_at(zset, i * PAIR + 1));
	}
}

/* Of a number, which 0 leaves away. */
static void do_zpopmin(struct doing *d, struct items *zset)
{
	size_t count = items_count(zset) / PAIR, n = d->step->number ? (size_t)d->step->number : 1;
	n = n < count ? n : count;
	answer_elements(d, zset, 0, n, d->operation->resp == 3 && d->step->number);
	items_cut(zset, 0, n * PAIR);
	put_if(d, n > 0, VALUE_ZSET, zset);
}

/* Whether it waited or not: when it was served, or found nothing. */
static void do_waiting_pop(struct doing *d, struct items *zset)
{
	if (items_count(zset) == 0) {
		answer_null_array(d->out, d->operation->resp);
		return;
	}
	answer(d->out, "*3\r\n");
	answer_bulk(d->out, text_bytes(d->model->texts, d->step->name));
	answer_bulk(d->out, *items_at(zset, 0));
	answer_score(d, *items_at(zset, 1));
	items_cut(zset, 0, PAIR);
	put_items(d, d->step->keys[0], VALUE_ZSET, zset);
}

static void zset_on(struct doing *d, struct items *zset)
{
	size_t from, n;
	switch (d->step->verb) {
	case ZADD:
		do_zadd(d, zset);
		break;
	case ZINCRBY:
		do_zincrby(d, zset);
		break;
	case ZREM:
		do_zrem(d, zset);
		break;
	case ZPOPMIN:
		do_zpopmin(d, zset);
		break;
	case BZPOPMIN:
		do_waiting_pop(d, zset);
		break;
	case ZSCORE:
		if (zset_seek(zset, value_of(d, 0), &from))
			answer_score(d, *items_at(zset, from + 1));
		else
			answer_value(d, TEXT_NONE);
		break;
	case ZCARD:
		answer_integer(d->out, (int64_t)items_count(zset) / PAIR);
		break;
	default:
		if (!step_range(d->step, items_count(zset) / PAIR, &from, &n))
			n = 0;
		answer_elements(d, zset, from, n, d->operation->resp == 3);
	}
}

/* Scores are added up; members of sets have 1. */
static void unite(struct doing *d, struct items *all, const struct items *one, enum value_type type)
{
	size_t stride = type == VALUE_ZSET ? PAIR : 1, at;
	for (size_t i = 0; i < items_count(one); i += stride) {
		int64_t score = type == VALUE_ZSET ? number_of(*items_at(one, i + 1)) : 1;
		if (zset_seek(all, *items_at(one, i), &at))
			score += number_of(*items_at(all, at + 1));
		(void)zset_set(all, *items_at(one, i), digits_of(d, score));
	}
}

static void do_zunionstore(struct doing *d)
{
	struct items all = {0};
	for (uint8_t i = 1; i < d->step->n; i++) {
		uint8_t key = d->step->keys[i];
		if (!suits(d, key, VALUE_ZSET) && !suits(d, key, VALUE_SET)) {
			answer(d->out, WRONG_TYPE);
			items_fini(&all);
			return;
		}
		struct items one = items_at_key(d, key);
		unite(d, &all, &one, type_at(d, key));
		items_fini(&one);
	}
	store(d, VALUE_ZSET, &all);
	answer_integer(d->out, (int64_t)items_count(&all) / PAIR);
	items_fini(&all);
}

/* ---- all of them -------------------------------------------------------------------------------------------- */

void collection_step(struct doing *d)
{
	static const struct {
		enum value_type type;
		void (*on)(struct doing *, struct items *);
	} of_verb[VERBS] = {
	        [SCARD] = {VALUE_SET, set_on},      [SISMEMBER] = {VALUE_SET, set_on},
	        [SMEMBERS] = {VALUE_SET, set_on},   [SADD] = {VALUE_SET, set_on},
	        [SREM] = {VALUE_SET, set_on},       [HGET] = {VALUE_HASH, hash_on},
	        [HLEN] = {VALUE_HASH, hash_on},     [HGETALL] = {VALUE_HASH, hash_on},
	        [HSET] = {VALUE_HASH, hash_on},     [HDEL] = {VALUE_HASH, hash_on},
	        [HINCRBY] = {VALUE_HASH, hash_on},  [ZSCORE] = {VALUE_ZSET, zset_on},
	        [ZCARD] = {VALUE_ZSET, zset_on},    [ZRANGE] = {VALUE_ZSET, zset_on},
	        [ZADD] = {VALUE_ZSET, zset_on},     [ZINCRBY] = {VALUE_ZSET, zset_on},
	        [ZREM] = {VALUE_ZSET, zset_on},     [ZPOPMIN] = {VALUE_ZSET, zset_on},
	        [BZPOPMIN] = {VALUE_ZSET, zset_on},
	};
	switch (d->step->verb) {
	case SMOVE:
		do_smove(d);
		return;
	case SUNIONSTORE:
		do_sunionstore(d);
		return;
	case ZUNIONSTORE:
		do_zunionstore(d);
		return;
	default:
		break;
	}
	if (!suits(d, d->step->keys[0], of_verb[d->step->verb].type)) {
		answer(d->out, WRONG_TYPE);
		return;
	}
	struct items items = items_at_key(d, d->step->keys[0]);
	of_verb[d->step->verb].on(d, &items);
	items_fini(&items);
}
