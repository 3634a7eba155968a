/* geo.c -- commands on places: members of sorted sets whose scores are hashes of where they are. */
#include "engine/base/number.h"
#include "query/commands/geohash.h"
#include "query/commands/notify.h"
#include "query/commands/sorted_set.h"

#include <math.h>
#include <stdlib.h>

/* ---- words ------------------------------------------------------------------------ */

/* Longitude and latitude at argv[at]; false: the error is said. */
static bool read_place(struct exec *exec, uint32_t at, struct geo_place *out)
{
	if (exec_score(exec, at, &out->longitude) != OK || exec_score(exec, at + 1, &out->latitude) != OK) {
		reply_err(exec->reply, ERR_NOT_FLOAT);
		return false;
	}
	if (geo_is_valid(*out))
		return true;
	reply_error_fmt(exec->reply, "ERR invalid longitude,latitude pair %f,%f", out->longitude, out->latitude);
	return false;
}

static bool read_unit(struct exec *exec, uint32_t at, double *out_m)
{
	static const struct {
		struct slice name;
		double metres;
	} units[] = {{S("m"), 1}, {S("km"), 1000}, {S("ft"), 0.3048}, {S("mi"), 1609.34}};
	for (size_t i = 0; i < array_len(units); i++)
		if (exec_is(exec, at, units[i].name)) {
			*out_m = units[i].metres;
			return true;
		}
	reply_error_fmt(exec->reply, "ERR unsupported unit provided. please use M, KM, FT, MI");
	return false;
}

static bool read_size(struct exec *exec, uint32_t at, const char *what, double *out)
{
	if (exec_score(exec, at, out) == OK)
		return true;
	reply_error_fmt(exec->reply, "ERR need numeric %s", what);
	return false;
}

/* A radius and its unit; false: the error is said. So below. */
static bool read_circle(struct exec *exec, uint32_t at, struct geo_shape *out)
{
	if (!read_size(exec, at, "radius", &out->radius))
		return false;
	if (out->radius < 0) {
		reply_error_fmt(exec->reply, "ERR radius cannot be negative");
		return false;
	}
	out->is_box = false;
	return read_unit(exec, at + 1, &out->unit_m);
}

static bool read_box(struct exec *exec, uint32_t at, struct geo_shape *out)
{
	if (!read_size(exec, at, "width", &out->width) || !read_size(exec, at + 1, "height", &out->height))
		return false;
	if (out->width < 0 || out->height < 0) {
		reply_error_fmt(exec->reply, "ERR height or width cannot be negative");
		return false;
	}
	out->is_box = true;
	return read_unit(exec, at + 2, &out->unit_m);
}

/* Where argv[at] is, a member. */
static bool read_member(struct exec *exec, const struct object *zset, uint32_t at, struct geo_place *out)
{
	double score;
	if (zset_score(exec->shard, zset, exec->argv[at], &score)) {
		*out = geo_place_of(score);
		return true;
	}
	reply_error_fmt(exec->reply, "ERR could not decode requested zset member");
	return false;
}

/* Four digits behind the point. */
static void reply_distance(struct exec *exec, double distance)
{
	char text[INTEGER_TEXT_MAX + 8];
	int64_t parts = llrint(distance * 10000), whole = parts / 10000;
	size_t len = integer_format(whole, text);
	text[len++] = '.';
	for (int64_t unit = 1000, rest = parts % 10000; unit > 0; unit /= 10)
		text[len++] = (char)('0' + rest / unit % 10);
	reply_bulk(exec->reply, slice_of(text, len));
}

static void reply_place(struct exec *exec, struct geo_place place)
{
	char text[REAL_TEXT_MAX];
	reply_array(exec->reply, 2);
	reply_decimal(exec->reply, slice_of(text, real_format_plain(place.longitude, text)));
	reply_decimal(exec->reply, slice_of(text, real_format_plain(place.latitude, text)));
}

/* ---- places of members ---------------------------------------------------------------- */

enum { PLACES_FEW = 16 };

struct addition {
	unsigned conditions;
	bool counts_changes;
	uint32_t places_at;
};

static enum err read_addition(const struct exec *exec, struct addition *out)
{
	*out = (struct addition){.places_at = 2};
	for (; out->places_at < exec->argc; out->places_at++) {
		if (exec_is(exec, out->places_at, S("NX")))
			out->conditions |= ZSET_IF_ABSENT;
		else if (exec_is(exec, out->places_at, S("XX")))
			out->conditions |= ZSET_IF_PRESENT;
		else if (exec_is(exec, out->places_at, S("CH")))
			out->counts_changes = true;
		else
			break;
	}
	uint32_t left = exec->argc - out->places_at;
	bool contradicts = (out->conditions & ZSET_IF_ABSENT) && (out->conditions & ZSET_IF_PRESENT);
	return left == 0 || left % 3 != 0 || contradicts ? ERR_SYNTAX : OK;
}

static enum err run_geoadd(struct exec *exec)
{
	struct addition addition;
	struct collection zset;
	TRY(read_addition(exec, &addition));
	uint32_t n = (exec->argc - addition.places_at) / 3;
	struct geo_place few[PLACES_FEW], *places = few;
	cleanup(buf_fini) struct buf many = {0};
	if (n > PLACES_FEW)
		places = (struct geo_place *)buf_reserve(&many, n * sizeof(*places));
	for (uint32_t i = 0; i < n; i++)
		if (!read_place(exec, addition.places_at + 3 * i, &places[i]))
			return OK;
	TRY(sorted_set_open(exec, &exec->first, &zset));
	int64_t added = 0, changed = 0;
	for (uint32_t i = 0; i < n; i++) {
		double score;
		struct slice member = exec->argv[addition.places_at + 3 * i + 2];
		enum zset_result result = zset_put(&zset, member, geo_score(places[i]), addition.conditions, &score);
		added += result == ZSET_ADDED;
		changed += result == ZSET_CHANGED;
	}
	reply_integer(exec->reply, added + (addition.counts_changes ? changed : 0));
	if (added + changed > 0)
		exec_notify(exec, EVENT_SORTED_SET, S("zadd"), &exec->first);
	return OK;
}

static enum err run_geohash(struct exec *exec)
{
	struct object *zset;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	reply_array(exec->reply, exec->argc - 2);
	for (uint32_t at = 2; at < exec->argc; at++) {
		char text[GEO_TEXT_SIZE];
		double score;
		if (!zset || !zset_score(exec->shard, zset, exec->argv[at], &score)) {
			reply_null(exec->reply);
			continue;
		}
		geo_text(geo_place_of(score), text);
		reply_bulk(exec->reply, slice_of(text, sizeof(text)));
	}
	return OK;
}

static enum err run_geopos(struct exec *exec)
{
	struct object *zset;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	reply_array(exec->reply, exec->argc - 2);
	for (uint32_t at = 2; at < exec->argc; at++) {
		double score;
		if (zset && zset_score(exec->shard, zset, exec->argv[at], &score))
			reply_place(exec, geo_place_of(score));
		else
			reply_null_array(exec->reply);
	}
	return OK;
}

static enum err run_geodist(struct exec *exec)
{
	struct object *zset;
	double unit_m = 1, a, b;
	if (exec->argc > 5)
		return ERR_SYNTAX;
	if (exec->argc == 5 && !read_unit(exec, 4, &unit_m))
		return OK;
	TRY(sorted_set_find(exec, &exec->first, &zset));
	if (zset && zset_score(exec->shard, zset, exec->argv[2], &a) &&
	    zset_score(exec->shard, zset, exec->argv[3], &b))
		reply_distance(exec, geo_distance_m(geo_place_of(a), geo_place_of(b)) / unit_m);
	else
		reply_null(exec->reply);
	return OK;
}

/* ---- what is searched for -------------------------------------------------------------- */

enum order { UNORDERED, NEAREST_FIRST, FARTHEST_FIRST };

struct search {
	bool is_geosearch;   /* places and shapes are options */
	bool stores;         /* of it: argv[1] is where to */
	bool may_store;      /* of the others: an option says where to */
	struct object *zset; /* NULL: there is none, but arguments are read all the same */
	struct geo_shape shape;
	bool has_member, has_place, has_circle, has_box;
	bool with_distance, with_hash, with_place;
	enum order order;
	bool any;          /* the first that are found */
	int64_t limit;     /* 0: all */
	uint32_t store_at; /* 0: nowhere */
	bool stores_distance;
};

/* A word without a value. */
static bool read_flag(const struct exec *exec, uint32_t at, struct search *out)
{
	if (exec_is(exec, at, S("WITHDIST")))
		out->with_distance = true;
	else if (exec_is(exec, at, S("WITHHASH")))
		out->with_hash = true;
	else if (exec_is(exec, at, S("WITHCOORD")))
		out->with_place = true;
	else if (exec_is(exec, at, S("ANY")))
		out->any = true;
	else if (exec_is(exec, at, S("ASC")))
		out->order = NEAREST_FIRST;
	else if (exec_is(exec, at, S("DESC")))
		out->order = FARTHEST_FIRST;
	else if (out->stores && exec_is(exec, at, S("STOREDIST")))
		out->stores_distance = true;
	else
		return false;
	return true;
}

enum { NO_SUCH_OPTION = -1, ERROR_SAID = -2 };

static int taken(bool read, int n) { return read ? n : ERROR_SAID; }

static int read_limit(struct exec *exec, uint32_t at, struct search *out)
{
	if (exec_integer(exec, at, &out->limit) != OK)
		reply_err(exec->reply, ERR_NOT_INTEGER);
	else if (out->limit <= 0)
		reply_error_fmt(exec->reply, "ERR COUNT must be > 0");
	else
		return 1;
	return ERROR_SAID;
}

/* Of GEOSEARCH: where, and what shape. How many values it takes. */
static int read_shape_option(struct exec *exec, uint32_t at, uint32_t left, struct search *out)
{
	if (left >= 1 && !out->has_place && exec_is(exec, at, S("FROMMEMBER"))) {
		out->has_member = true;
		return taken(!out->zset || read_member(exec, out->zset, at + 1, &out->shape.center), 1);
	}
	if (left >= 2 && !out->has_member && exec_is(exec, at, S("FROMLONLAT"))) {
		out->has_place = true;
		return taken(read_place(exec, at + 1, &out->shape.center), 2);
	}
	if (left >= 2 && !out->has_box && exec_is(exec, at, S("BYRADIUS"))) {
		out->has_circle = true;
		return taken(read_circle(exec, at + 1, &out->shape), 2);
	}
	if (left >= 3 && !out->has_circle && exec_is(exec, at, S("BYBOX"))) {
		out->has_box = true;
		return taken(read_box(exec, at + 1, &out->shape), 3);
	}
	return NO_SUCH_OPTION;
}

/* Behind argv[at] `left` arguments follow; how many of them it takes. */
static int read_option(struct exec *exec, uint32_t at, uint32_t left, struct search *out)
{
	if (read_flag(exec, at, out))
		return 0;
	if (left >= 1 && exec_is(exec, at, S("COUNT")))
		return read_limit(exec, at + 1, out);
	if (out->is_geosearch)
		return read_shape_option(exec, at, left, out);
	bool distance = exec_is(exec, at, S("STOREDIST"));
	if (left < 1 || !out->may_store || !(distance || exec_is(exec, at, S("STORE"))))
		return NO_SUCH_OPTION;
	out->store_at = at + 1;
	out->stores_distance = distance;
	return 1;
}

/* False: the error is said. */
static bool is_whole(struct exec *exec, const struct search *search)
{
	int len = (int)exec->argv[0].len;
	const char *name = (const char *)exec->argv[0].ptr;
	bool with = search->with_distance || search->with_hash || search->with_place;
	if (search->store_at && with)
		reply_error_fmt(exec->reply, "ERR %s is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
		                search->stores ? "GEOSEARCHSTORE" : "STORE option in GEORADIUS");
	else if (search->is_geosearch && !search->has_member && !search->has_place)
		reply_error_fmt(exec->reply, "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for %.*s",
		                len, name);
	else if (search->is_geosearch && !search->has_circle && !search->has_box)
		reply_error_fmt(exec->reply, "ERR exactly one of BYRADIUS and BYBOX can be specified for %.*s", len,
		                name);
	else if (search->any && search->limit == 0)
		reply_error_fmt(exec->reply, "ERR the ANY argument requires COUNT argument");
	else
		return true;
	return false;
}

static bool read_options(struct exec *exec, uint32_t at, struct search *out)
{
	for (; at < exec->argc; at++) {
		int n = read_option(exec, at, exec->argc - at - 1, out);
		if (n == NO_SUCH_OPTION)
			reply_err(exec->reply, ERR_SYNTAX);
		if (n < 0)
			return false;
		at += (uint32_t)n;
	}
	if (out->limit > 0 && out->order == UNORDERED && !out->any)
		out->order = NEAREST_FIRST; /* some of them must be the nearest */
	return is_whole(exec, out);
}

/* ---- what is found -------------------------------------------------------------------- */

struct point {
	double distance_m, score;
	uint64_t rank; /* who it is */
	struct geo_place place;
};

static const struct point *points_of(const struct buf *found, uint64_t *n)
{
	*n = found->len / sizeof(struct point);
	return (const struct point *)found->ptr;
}

/* Members of one cell; false: there are enough. */
static bool search_cell(const struct search *search, struct geo_cell cell, uint64_t enough, struct buf *found)
{
	struct zset_walk walk;
	struct zset_element element;
	uint64_t rank = zset_count_below(search->zset, cell.from, false), n;
	zset_walk(search->zset, rank, &walk);
	for (; zset_next(&walk, &element) && element.score < cell.to; rank++) {
		struct point point = {.score = element.score, .rank = rank, .place = geo_place_of(element.score)};
		if (geo_is_within(&search->shape, point.place, &point.distance_m))
			buf_append(found, slice_of(&point, sizeof(point)));
		(void)points_of(found, &n);
		if (enough > 0 && n >= enough)
			return false;
	}
	return true;
}

static int by_distance(const void *a, const void *b)
{
	const struct point *x = a, *y = b;
	return (x->distance_m > y->distance_m) - (x->distance_m < y->distance_m);
}

static int by_distance_back(const void *a, const void *b) { return -by_distance(a, b); }

static void search_all(const struct search *search, struct buf *found)
{
	struct geo_cell cells[GEO_CELLS_MAX];
	int n_cells = geo_cover(&search->shape, cells);
	uint64_t n;
	for (int i = 0; i < n_cells; i++)
		if (!search_cell(search, cells[i], search->any ? (uint64_t)search->limit : 0, found))
			break;
	(void)points_of(found, &n);
	if (search->order != UNORDERED && n > 0)
		qsort(found->ptr, n, sizeof(struct point),
		      search->order == NEAREST_FIRST ? by_distance : by_distance_back);
	if (search->limit > 0 && n > (uint64_t)search->limit)
		found->len = (size_t)search->limit * sizeof(struct point);
}

static struct slice name_at(const struct search *search, uint64_t rank, char scratch[PACKED_SCRATCH])
{
	struct zset_walk walk;
	struct zset_element element;
	zset_walk(search->zset, rank, &walk);
	(void)zset_next(&walk, &element);
	return packed_text(&element.member, scratch);
}

static void say_found(struct exec *exec, const struct search *search, const struct buf *found)
{
	uint64_t n;
	const struct point *points = points_of(found, &n);
	size_t extras = (size_t)search->with_distance + search->with_hash + search->with_place;
	char scratch[PACKED_SCRATCH];
	reply_array(exec->reply, n);
	for (uint64_t i = 0; i < n; i++) {
		if (extras)
			reply_array(exec->reply, 1 + extras);
		reply_bulk(exec->reply, name_at(search, points[i].rank, scratch));
		if (search->with_distance)
			reply_distance(exec, points[i].distance_m / search->shape.unit_m);
		if (search->with_hash)
			reply_integer(exec->reply, (int64_t)points[i].score);
		if (search->with_place)
			reply_place(exec, points[i].place);
	}
}

static void store_found(struct exec *exec, const struct search *search, const struct buf *found)
{
	uint64_t n;
	const struct point *points = points_of(found, &n);
	struct key key = exec_key(exec, search->store_at);
	struct collection made = collection_apart(exec->shard, &key, OBJECT_ZSET);
	char scratch[PACKED_SCRATCH];
	double score;
	for (uint64_t i = 0; i < n; i++) {
		score = search->stores_distance ? points[i].distance_m / search->shape.unit_m : points[i].score;
		(void)zset_put(&made, name_at(search, points[i].rank, scratch), score, ZSET_ALWAYS, &score);
	}
	sorted_set_store(exec, &made, search->is_geosearch ? S("geosearchstore") : S("georadiusstore"));
}

/* Options are read from argv[at] on. */
static enum err search(struct exec *exec, struct search *search, uint32_t at)
{
	cleanup(buf_fini) struct buf found = {0};
	if (!read_options(exec, at, search))
		return OK;
	if (search->zset)
		search_all(search, &found);
	if (search->store_at)
		store_found(exec, search, &found);
	else
		say_found(exec, search, &found);
	return OK;
}

/* ---- searching -------------------------------------------------------------------- */

static enum err search_around_place(struct exec *exec, bool may_store)
{
	struct search s = {.may_store = may_store};
	TRY(sorted_set_find(exec, &exec->first, &s.zset));
	if (!read_place(exec, 2, &s.shape.center) || !read_circle(exec, 4, &s.shape))
		return OK;
	return search(exec, &s, 6);
}

static enum err search_around_member(struct exec *exec, bool may_store)
{
	struct search s = {.may_store = may_store};
	TRY(sorted_set_find(exec, &exec->first, &s.zset));
	if (s.zset && (!read_member(exec, s.zset, 2, &s.shape.center) || !read_circle(exec, 3, &s.shape)))
		return OK;
	return search(exec, &s, 5);
}

static enum err run_georadius(struct exec *exec) { return search_around_place(exec, true); }
static enum err run_georadius_ro(struct exec *exec) { return search_around_place(exec, false); }
static enum err run_georadiusbymember(struct exec *exec) { return search_around_member(exec, true); }
static enum err run_georadiusbymember_ro(struct exec *exec) { return search_around_member(exec, false); }

static enum err run_geosearch(struct exec *exec)
{
	struct search s = {.is_geosearch = true};
	TRY(sorted_set_find(exec, &exec->first, &s.zset));
	return search(exec, &s, 2);
}

static enum err run_geosearchstore(struct exec *exec)
{
	struct search s = {.is_geosearch = true, .stores = true, .store_at = 1};
	struct key key = exec_key(exec, 2);
	TRY(sorted_set_find(exec, &key, &s.zset));
	return search(exec, &s, 3);
}

/* ---- keys ------------------------------------------------------------------------- */

/* As Redis looks for them, whether the options make sense or not. */
static int find_georadius_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	uint32_t store_at = 0;
	for (uint32_t at = 5; at + 1 < argc; at++)
		if (slice_equal_nocase(argv[at], S("STORE")) || slice_equal_nocase(argv[at], S("STOREDIST")))
			store_at = ++at;
	if (room > 0)
		out[0] = 1;
	if (room > 1)
		out[1] = store_at;
	return store_at ? 2 : 1;
}

/* ---- rows ------------------------------------------------------------------------- */

typedef const struct command_argument arguments;

/* clang-format off */
static const struct command_history geoadd_history[] = {{"6.2.0", "Added the `CH`, `NX` and `XX` options."}, {0}};
static arguments geoadd_arguments_condition[] = {
	{"nx", "NX", .type = ARG_PURE_TOKEN},
	{"xx", "XX", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments geoadd_arguments_longitude_latitude_member[] = {
	{"longitude", .type = ARG_DOUBLE},
	{"latitude", .type = ARG_DOUBLE},
	{"member", .type = ARG_STRING},
	{0},
};
static arguments geoadd_arguments[] = {
	{"key", .type = ARG_KEY},
	{"condition", NULL, "6.2.0", ARG_ONEOF, ARG_OPTIONAL, geoadd_arguments_condition},
	{"change", "CH", "6.2.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"longitude_latitude_member", .type = ARG_BLOCK, .flags = ARG_MULTIPLE, .inner = geoadd_arguments_longitude_latitude_member},
	{0},
};
static arguments geodist_arguments_unit[] = {
	{"m", "m", .type = ARG_PURE_TOKEN},
	{"km", "km", .type = ARG_PURE_TOKEN},
	{"ft", "ft", .type = ARG_PURE_TOKEN},
	{"mi", "mi", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments geodist_arguments[] = {
	{"key", .type = ARG_KEY},
	{"member1", .type = ARG_STRING},
	{"member2", .type = ARG_STRING},
	{"unit", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = geodist_arguments_unit},
	{0},
};
static arguments geohash_arguments[] = {
	{"key", .type = ARG_KEY},
	{"member", .type = ARG_STRING, .flags = ARG_MULTIPLE},
	{0},
};
static const struct command_history georadius_history[] = {
	{"6.2.0", "Added the `ANY` option for `COUNT`."},
	{"7.0.0", "Added support for uppercase unit names."},
	{0},
};
static arguments georadius_arguments_count[] = {
	{"count", "COUNT", .type = ARG_INTEGER},
	{"any", "ANY", "6.2.0", ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments georadius_arguments_order[] = {
	{"asc", "ASC", .type = ARG_PURE_TOKEN},
	{"desc", "DESC", .type = ARG_PURE_TOKEN},
	{0},
};
static arguments georadius_arguments[] = {
	{"key", .type = ARG_KEY},
	{"longitude", .type = ARG_DOUBLE},
	{"latitude", .type = ARG_DOUBLE},
	{"radius", .type = ARG_DOUBLE},
	{"unit", .type = ARG_ONEOF, .inner = geodist_arguments_unit},
	{"withcoord", "WITHCOORD", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withdist", "WITHDIST", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withhash", "WITHHASH", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"count", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = georadius_arguments_count},
	{"order", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = georadius_arguments_order},
	{"key", "STORE", NULL, ARG_KEY, ARG_OPTIONAL},
	{"key", "STOREDIST", NULL, ARG_KEY, ARG_OPTIONAL},
	{0},
};
static const struct command_history georadiusbymember_history[] = {
	{"7.0.0", "Added support for uppercase unit names."},
	{0},
};
static arguments georadiusbymember_arguments_count[] = {
	{"count", "COUNT", .type = ARG_INTEGER},
	{"any", "ANY", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments georadiusbymember_arguments[] = {
	{"key", .type = ARG_KEY},
	{"member", .type = ARG_STRING},
	{"radius", .type = ARG_DOUBLE},
	{"unit", .type = ARG_ONEOF, .inner = geodist_arguments_unit},
	{"withcoord", "WITHCOORD", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withdist", "WITHDIST", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withhash", "WITHHASH", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"count", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = georadiusbymember_arguments_count},
	{"order", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = georadius_arguments_order},
	{"key", "STORE", NULL, ARG_KEY, ARG_OPTIONAL},
	{"key", "STOREDIST", NULL, ARG_KEY, ARG_OPTIONAL},
	{0},
};
static arguments georadiusbymember_ro_arguments[] = {
	{"key", .type = ARG_KEY},
	{"member", .type = ARG_STRING},
	{"radius", .type = ARG_DOUBLE},
	{"unit", .type = ARG_ONEOF, .inner = geodist_arguments_unit},
	{"withcoord", "WITHCOORD", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withdist", "WITHDIST", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withhash", "WITHHASH", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"count", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = georadiusbymember_arguments_count},
	{"order", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = georadius_arguments_order},
	{0},
};
static const struct command_history georadius_ro_history[] = {{"6.2.0", "Added the `ANY` option for `COUNT`."}, {0}};
static arguments georadius_ro_arguments[] = {
	{"key", .type = ARG_KEY},
	{"longitude", .type = ARG_DOUBLE},
	{"latitude", .type = ARG_DOUBLE},
	{"radius", .type = ARG_DOUBLE},
	{"unit", .type = ARG_ONEOF, .inner = geodist_arguments_unit},
	{"withcoord", "WITHCOORD", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withdist", "WITHDIST", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withhash", "WITHHASH", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"count", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = georadius_arguments_count},
	{"order", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = georadius_arguments_order},
	{0},
};
static arguments geosearch_arguments_from_longitude_latitude[] = {
	{"longitude", .type = ARG_DOUBLE},
	{"latitude", .type = ARG_DOUBLE},
	{0},
};
static arguments geosearch_arguments_from[] = {
	{"member", "FROMMEMBER", .type = ARG_STRING},
	{"longitude_latitude", "FROMLONLAT", .type = ARG_BLOCK, .inner = geosearch_arguments_from_longitude_latitude},
	{0},
};
static arguments geosearch_arguments_by_circle[] = {
	{"radius", "BYRADIUS", .type = ARG_DOUBLE},
	{"unit", .type = ARG_ONEOF, .inner = geodist_arguments_unit},
	{0},
};
static arguments geosearch_arguments_by_box[] = {
	{"width", "BYBOX", .type = ARG_DOUBLE},
	{"height", .type = ARG_DOUBLE},
	{"unit", .type = ARG_ONEOF, .inner = geodist_arguments_unit},
	{0},
};
static arguments geosearch_arguments_by[] = {
	{"circle", .type = ARG_BLOCK, .inner = geosearch_arguments_by_circle},
	{"box", .type = ARG_BLOCK, .inner = geosearch_arguments_by_box},
	{0},
};
static arguments geosearch_arguments[] = {
	{"key", .type = ARG_KEY},
	{"from", .type = ARG_ONEOF, .inner = geosearch_arguments_from},
	{"by", .type = ARG_ONEOF, .inner = geosearch_arguments_by},
	{"order", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = georadius_arguments_order},
	{"count", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = georadiusbymember_arguments_count},
	{"withcoord", "WITHCOORD", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withdist", "WITHDIST", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{"withhash", "WITHHASH", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};
static arguments geosearchstore_arguments[] = {
	{"destination", .type = ARG_KEY},
	{"source", .type = ARG_KEY},
	{"from", .type = ARG_ONEOF, .inner = geosearch_arguments_from},
	{"by", .type = ARG_ONEOF, .inner = geosearch_arguments_by},
	{"order", .type = ARG_ONEOF, .flags = ARG_OPTIONAL, .inner = georadius_arguments_order},
	{"count", .type = ARG_BLOCK, .flags = ARG_OPTIONAL, .inner = georadiusbymember_arguments_count},
	{"storedist", "STOREDIST", NULL, ARG_PURE_TOKEN, ARG_OPTIONAL},
	{0},
};

enum {
	READ = COMMAND_READ,
	WRITE = COMMAND_WRITE,
	GROWS = COMMAND_GROWS,
	FAST = COMMAND_FAST,
};

const struct command geo_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"GEOADD", -5, {1, 1, 1}, WRITE | GROWS, "3.2.0",
	 "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
	 "Add one or more geospatial items in the geospatial index represented using a sorted set", run_geoadd,
	 geoadd_arguments, .history = geoadd_history, .uses = "RW update"},
	{"GEODIST", -4, {1, 1, 1}, READ, "3.2.0", "O(log(N))",
	 "Returns the distance between two members of a geospatial index", run_geodist, geodist_arguments},
	{"GEOHASH", -2, {1, 1, 1}, READ, "3.2.0",
	 "O(log(N)) for each member requested, where N is the number of elements in the sorted set.",
	 "Returns members of a geospatial index as standard geohash strings", run_geohash, geohash_arguments},
	{"GEOPOS", -2, {1, 1, 1}, READ, "3.2.0", "O(N) where N is the number of members requested.",
	 "Returns longitude and latitude of members of a geospatial index", run_geopos, geohash_arguments},
	{"GEORADIUS", -6, {1, 1, 1}, WRITE | GROWS | COMMAND_MOVABLE_KEYS, "3.2.0",
	 "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by "
	 "center and radius and M is the number of items inside the index.",
	 "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance "
	 "from a point", run_georadius, georadius_arguments, .find_keys = find_georadius_keys,
	 .history = georadius_history, .deprecated_since = "6.2.0",
	 .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
	 .uses = "RO access, OW update"},
	{"GEORADIUSBYMEMBER", -5, {1, 1, 1}, WRITE | GROWS | COMMAND_MOVABLE_KEYS, "3.2.0",
	 "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by "
	 "center and radius and M is the number of items inside the index.",
	 "Query a sorted set representing a geospatial index to fetch members matching a given maximum distance "
	 "from a member", run_georadiusbymember, georadiusbymember_arguments,
	 .find_keys = find_georadius_keys, .history = georadiusbymember_history, .deprecated_since = "6.2.0",
	 .replaced_by = "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
	 .uses = "RO access, OW update"},
	{"GEORADIUSBYMEMBER_RO", -5, {1, 1, 1}, READ, "3.2.10",
	 "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by "
	 "center and radius and M is the number of items inside the index.",
	 "A read-only variant for GEORADIUSBYMEMBER", run_georadiusbymember_ro, georadiusbymember_ro_arguments,
	 .deprecated_since = "6.2.0", .replaced_by = "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"},
	{"GEORADIUS_RO", -6, {1, 1, 1}, READ, "3.2.10",
	 "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by "
	 "center and radius and M is the number of items inside the index.",
	 "A read-only variant for GEORADIUS", run_georadius_ro, georadius_ro_arguments,
	 .history = georadius_ro_history, .deprecated_since = "6.2.0",
	 .replaced_by = "`GEOSEARCH` with the `BYRADIUS` argument"},
	{"GEOSEARCH", -7, {1, 1, 1}, READ, "6.2.0",
	 "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape "
	 "provided as the filter and M is the number of items inside the shape",
	 "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle.",
	 run_geosearch, geosearch_arguments, .history = georadiusbymember_history},
	{"GEOSEARCHSTORE", -8, {1, 2, 1}, WRITE | GROWS, "6.2.0",
	 "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape "
	 "provided as the filter and M is the number of items inside the shape",
	 "Query a sorted set representing a geospatial index to fetch members inside an area of a box or a circle, "
	 "and store the result in another key.", run_geosearchstore, geosearchstore_arguments,
	 .history = georadiusbymember_history, .uses = "OW update, RO access"},
	{0},
};
/* clang-format on */
