#include "tests/sim/replies.h"

#include "engine/base/number.h"

#include <stdlib.h>

int64_t reply_number(struct slice line)
{
	int64_t value = 0;
	(void)integer_parse(line, &value);
	return value;
}

/* With its end; 0: it is not whole yet. */
static size_t line_length(struct slice bytes)
{
	const uint8_t *end = bytes.len > 0 ? memchr(bytes.ptr, '\n', bytes.len) : NULL;
	return end ? (size_t)(end - bytes.ptr) + 1 : 0;
}

/* How many replies follow the line that an aggregate begins with; -1: it is none. */
static int64_t members_of(struct slice bytes, size_t line)
{
	int64_t n = line > 3 ? reply_number(slice_sub(bytes, 1, line - 2)) : 0;
	switch (bytes.ptr[0]) {
	case '%':
		return 2 * n;
	case '*':
	case '>':
	case '~':
		return n < 0 ? 0 : n;
	default:
		return -1;
	}
}

size_t reply_length(struct slice bytes)
{
	size_t line = line_length(bytes);
	if (line == 0)
		return 0;
	int64_t n = members_of(bytes, line);
	if (n < 0 && bytes.ptr[0] != '$' && bytes.ptr[0] != '=')
		return line;
	if (n < 0) {
		int64_t content = reply_number(slice_sub(bytes, 1, line - 2));
		size_t length = content < 0 ? line : line + (size_t)content + 2;
		return length <= bytes.len ? length : 0;
	}
	for (; n > 0; n--) {
		size_t member = reply_length(slice_sub(bytes, line, bytes.len));
		if (member == 0)
			return 0;
		line += member;
	}
	return line;
}

/* ---- order ---------------------------------------------------------------------------------- */

/* One element, or a field and its value. */
struct group {
	struct slice name; /* the content of the first */
	struct slice all;
};

static int by_name(const void *a, const void *b)
{
	struct slice one = ((const struct group *)a)->name, other = ((const struct group *)b)->name;
	size_t common = one.len < other.len ? one.len : other.len;
	int order = common > 0 ? memcmp(one.ptr, other.ptr, common) : 0;
	return order ? order : (one.len > other.len) - (one.len < other.len);
}

static void sort_groups(struct slice reply, uint32_t stride, struct buf *out)
{
	size_t line = line_length(reply);
	int64_t n = members_of(reply, line);
	cleanup(buf_fini) struct buf groups = {0};
	buf_append(out, slice_sub(reply, 0, line));
	for (size_t at = line; n > 0; n -= stride) {
		struct slice rest = slice_sub(reply, at, reply.len);
		size_t head = line_length(rest), length = reply_length(rest);
		struct group group = {.name = slice_sub(rest, head, length)};
		if (stride == 2)
			length += reply_length(slice_sub(rest, length, rest.len));
		group.all = slice_sub(rest, 0, length);
		buf_append(&groups, slice_of(&group, sizeof(group)));
		at += length;
	}
	struct group *all = (struct group *)(void *)groups.ptr;
	size_t count = groups.len / sizeof(*all);
	if (count > 0)
		qsort(all, count, sizeof(*all), by_name);
	for (size_t i = 0; i < count; i++)
		buf_append(out, all[i].all);
}

static void put_in_order(enum verb verb, struct slice reply, struct buf *out)
{
	bool is_aggregate = reply.len > 0 && members_of(reply, line_length(reply)) > 0;
	if (is_aggregate && verb == SMEMBERS)
		sort_groups(reply, 1, out);
	else if (is_aggregate && verb == HGETALL)
		sort_groups(reply, 2, out);
	else
		buf_append(out, reply);
}

/* Without the name of the script and the place in it. */
static void put_error_alone(struct slice reply, struct buf *out)
{
	struct slice behind = S(" script: ");
	const uint8_t *end = memmem(reply.ptr, reply.len, behind.ptr, behind.len);
	buf_append(out, end ? slice_of(reply.ptr, (size_t)(end - reply.ptr)) : reply);
	if (end)
		buf_append(out, S("\r\n"));
}

void reply_in_order(const struct operation *operation, struct slice reply, struct buf *out)
{
	if (operation->n_steps == 1) {
		put_in_order(operation->steps[0].verb, reply, out);
		return;
	}
	size_t at = line_length(reply);
	int64_t n = members_of(reply, at);
	if (operation->steps[0].verb == EVAL && reply.ptr[0] == '-') {
		put_error_alone(reply, out);
		return;
	}
	buf_append(out, slice_sub(reply, 0, at));
	for (uint32_t i = 1; i <= n && i < operation->n_steps; i++) {
		size_t length = reply_length(slice_sub(reply, at, reply.len));
		put_in_order(operation->steps[i].verb, slice_sub(reply, at, at + length), out);
		at += length;
	}
	buf_append(out, slice_sub(reply, at, reply.len));
}
