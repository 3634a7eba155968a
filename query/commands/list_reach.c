#include "query/commands/list_reach.h"

#include "engine/base/number.h"
#include "storage/keyspace/list.h"

static struct reach reach_end(enum list_end end, int64_t n)
{
	if (n < 1)
		return reach_none;
	return end == LIST_HEAD ? reach_range(0, n - 1) : reach_range(-n, -1);
}

struct reach needs_none(const struct slice *argv, uint32_t argc, uint32_t at) { return reach_none; }
struct reach needs_head(const struct slice *argv, uint32_t argc, uint32_t at) { return reach_end(LIST_HEAD, 1); }
struct reach needs_tail(const struct slice *argv, uint32_t argc, uint32_t at) { return reach_end(LIST_TAIL, 1); }

struct reach needs_index(const struct slice *argv, uint32_t argc, uint32_t at)
{
	int64_t index;
	return integer_parse(argv[2], &index) ? reach_range(index, index) : reach_none;
}

struct reach needs_range(const struct slice *argv, uint32_t argc, uint32_t at)
{
	int64_t from, to;
	return integer_parse(argv[2], &from) && integer_parse(argv[3], &to) ? reach_range(from, to) : reach_none;
}

/* The leaves that are parted; others go as a whole. */
struct reach needs_edges(const struct slice *argv, uint32_t argc, uint32_t at)
{
	struct reach range = needs_range(argv, argc, at);
	return range.n ? reach_places(range.parts[0].first, range.parts[0].last) : range;
}

static struct reach needs_popped(const struct slice *argv, uint32_t argc, enum list_end end)
{
	int64_t n = 1;
	return argc < 3 || integer_parse(argv[2], &n) ? reach_end(end, n) : reach_none;
}

struct reach needs_left(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return needs_popped(argv, argc, LIST_HEAD);
}

struct reach needs_right(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return needs_popped(argv, argc, LIST_TAIL);
}

static struct reach needs_named_end(struct slice end, int64_t n)
{
	return slice_equal_nocase(end, S("LEFT")) ? reach_end(LIST_HEAD, n) : reach_end(LIST_TAIL, n);
}

/* Of what is moved; where it goes nothing is read. */
struct reach needs_moved(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return at == 1 ? needs_named_end(argv[3], 1) : reach_none;
}

struct reach needs_last(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return at == 1 ? reach_end(LIST_TAIL, 1) : reach_none;
}

/* [numkeys, keys, end, COUNT, n] from argv[first] on. */
static struct reach needs_numbered(const struct slice *argv, uint32_t argc, uint32_t first)
{
	int64_t n_keys, n = 1;
	if (!integer_parse(argv[first], &n_keys) || n_keys < 1 || n_keys > (int64_t)argc - first - 2)
		return reach_none;
	uint32_t end = first + 1 + (uint32_t)n_keys;
	if (end + 2 < argc && !integer_parse(argv[end + 2], &n))
		return reach_none;
	return needs_named_end(argv[end], n);
}

struct reach needs_lmpop(const struct slice *argv, uint32_t argc, uint32_t at) { return needs_numbered(argv, argc, 1); }

struct reach needs_blmpop(const struct slice *argv, uint32_t argc, uint32_t at)
{
	return needs_numbered(argv, argc, 2);
}
