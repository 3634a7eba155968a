/* stream_read.c -- XREAD and XREADGROUP: what came to streams behind an ID, or behind what a group has read.
 *
 * First all arguments and keys are looked at, then it is settled what each stream gives, and groups take note, then
 * all is said.
 */
#include "engine/base/number.h"
#include "query/commands/notify.h"
#include "query/commands/stream_private.h"
#include "storage/keyspace/waits.h"

enum { NS_A_MS = 1000 * 1000, WAITED_COUNT = 1000 };

struct reading {
	bool of_group; /* XREADGROUP */
	bool blocks, unnoted;
	int64_t timeout_ms;
	uint64_t count;
	uint32_t group_at;      /* the group's name, the consumer's behind it; 0: not given */
	uint32_t keys_at, keys; /* as many IDs follow */
};

/* What one stream gives. */
struct portion {
	uint32_t at; /* of the key */
	bool history;
	uint64_t n;
	struct stream_consumer *consumer;
	struct object *stream;
	struct stream_id from;
	struct stream_walk walk; /* unless it is history */
};

/* ---- arguments ---------------------------------------------------------------------- */

static bool say(struct exec *exec, const char *text)
{
	reply_error_fmt(exec->reply, "ERR %s", text);
	return false;
}

static bool say_syntax(struct exec *exec)
{
	reply_err(exec->reply, ERR_SYNTAX);
	return false;
}

static bool read_block(struct exec *exec, uint32_t at, struct reading *out)
{
	out->blocks = true;
	if (exec->client->scripted) {
		reply_error_fmt(exec->reply,
		                "ERR " NAME_FORMAT " command is not allowed with BLOCK option from scripts",
		                NAME_ARGUMENTS(exec->argv[0]));
		return false;
	}
	if (!read_integer(exec, at, "timeout is not an integer or out of range", &out->timeout_ms))
		return false;
	if (out->timeout_ms < 0)
		return say(exec, "timeout is negative");
	if (out->timeout_ms > INT64_MAX / NS_A_MS)
		return say(exec, "timeout is out of range");
	return true;
}

static bool read_streams(struct exec *exec, uint32_t at, struct reading *out)
{
	uint32_t n = exec->argc - at;
	if (n % 2 != 0)
		return say(exec,
		           "Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.");
	out->keys_at = at;
	out->keys = n / 2;
	return true;
}

static bool of_group_alone(struct exec *exec, const struct reading *reading, const char *option)
{
	if (!reading->of_group)
		reply_error_fmt(exec->reply,
		                "ERR The %s option is only supported by XREADGROUP. You called XREAD instead.", option);
	return reading->of_group;
}

/* One option, whose last word is at *at then. */
static bool read_option(struct exec *exec, uint32_t *at, struct reading *out)
{
	uint32_t more = exec->argc - *at - 1;
	int64_t count;
	if (more > 0 && exec_is(exec, *at, S("BLOCK")))
		return read_block(exec, ++*at, out);
	if (more > 0 && exec_is(exec, *at, S("COUNT"))) {
		if (!read_integer(exec, ++*at, NULL, &count))
			return false;
		out->count = count > 0 ? (uint64_t)count : UINT64_MAX;
		return true;
	}
	if (more >= 2 && exec_is(exec, *at, S("GROUP"))) {
		out->group_at = *at + 1;
		*at += 2;
		return of_group_alone(exec, out, "GROUP");
	}
	if (exec_is(exec, *at, S("NOACK"))) {
		out->unnoted = true;
		return of_group_alone(exec, out, "NOACK");
	}
	return say_syntax(exec);
}

static bool read_arguments(struct exec *exec, bool of_group, struct reading *out)
{
	*out = (struct reading){.of_group = of_group, .count = UINT64_MAX};
	for (uint32_t at = 1; at < exec->argc; at++) {
		if (at + 1 < exec->argc && exec_is(exec, at, S("STREAMS"))) {
			if (!read_streams(exec, at + 1, out))
				return false;
			break;
		}
		if (!read_option(exec, &at, out))
			return false;
	}
	if (out->keys == 0)
		return say_syntax(exec);
	if (of_group && out->group_at == 0)
		return say(exec, "Missing GROUP option for XREADGROUP");
	return true;
}

int find_xread_keys(const struct slice *argv, uint32_t argc, uint32_t *out, uint32_t room)
{
	uint32_t at = 1, n;
	while (at < argc && !slice_equal_nocase(argv[at], S("STREAMS"))) {
		if (slice_equal_nocase(argv[at], S("BLOCK")) || slice_equal_nocase(argv[at], S("COUNT")))
			at += 2;
		else if (slice_equal_nocase(argv[at], S("GROUP")))
			at += 3;
		else if (slice_equal_nocase(argv[at], S("NOACK")))
			at++;
		else
			return -1;
	}
	if (at >= argc || (n = argc - at - 1) == 0 || n % 2 != 0)
		return -1;
	for (uint32_t i = 0; i < n / 2 && i < room; i++)
		out[i] = at + 1 + i;
	return (int)(n / 2);
}

/* ---- IDs ------------------------------------------------------------------------------ */

/* Entries behind the last one but one. */
static struct stream_id before_last(const struct object *stream)
{
	struct stream_id last;
	if (!stream || !stream_last_entry(stream, &last))
		return (struct stream_id){0};
	(void)stream_id_decrement(&last);
	return last;
}

enum id_special id_special(struct slice text)
{
	bool is_special = text.len > 0 && (text.len == 1 || text.ptr[1] == 0) &&
	                  (text.ptr[0] == '$' || text.ptr[0] == '>' || text.ptr[0] == '+');
	return is_special ? (enum id_special)text.ptr[0] : ID_ITSELF;
}

/* Behind what argv[at] says; of a group's new entries it is the greatest ID. */
static bool read_after(struct exec *exec, uint32_t at, bool of_group, const struct object *stream,
                       struct stream_id *out)
{
	switch (id_special(exec->argv[at])) {
	case ID_LAST:
		if (of_group)
			return say(exec,
			           "The $ ID is meaningless in the context of XREADGROUP: you want to read the "
			           "history of this consumer by specifying a proper ID, or use the > ID to get new "
			           "messages. The $ ID would just return an empty result set.");
		*out = stream ? stream_last_id(stream) : (struct stream_id){0};
		return true;
	case ID_LAST_ENTRY:
		if (of_group)
			return say(exec,
			           "The + ID is meaningless in the context of XREADGROUP: you want to read the "
			           "history of this consumer by specifying a proper ID, or use the > ID to get new "
			           "messages. The + ID would just return an empty result set.");
		*out = before_last(stream);
		return true;
	case ID_NEW:
		if (!of_group)
			return say(exec,
			           "The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
			           "<consumer> option.");
		*out = STREAM_ID_MAX;
		return true;
	case ID_ITSELF:
		break;
	}
	return read_id(exec, at, out);
}

/* The IDs of all keys; OK with *said: an error is said. */
static enum err read_all(struct exec *exec, const struct reading *reading, struct stream_id *ids, bool *said)
{
	*said = true;
	for (uint32_t i = 0; i < reading->keys; i++) {
		struct key key = exec_key(exec, reading->keys_at + i);
		struct object *stream;
		TRY(stream_read(exec, &key, &stream));
		if (reading->of_group) {
			struct slice group = exec->argv[reading->group_at];
			if (!stream || !stream_group(stream, group)) {
				reply_error_fmt(exec->reply,
				                "NOGROUP No such key '" NAME_FORMAT "' or consumer group '" NAME_FORMAT
				                "' in XREADGROUP with GROUP option",
				                NAME_ARGUMENTS(key.name), NAME_ARGUMENTS(group));
				return OK;
			}
		}
		if (!read_after(exec, reading->keys_at + reading->keys + i, reading->of_group, stream, &ids[i]))
			return OK;
	}
	*said = false;
	return OK;
}

/* ---- what each stream gives ------------------------------------------------------------- */

/* False: nothing. */
static bool take_new(struct object *stream, struct stream_id after, uint64_t count, struct portion *out)
{
	if (collection_count(stream) == 0 || !stream_id_increment(&after))
		return false;
	out->from = after;
	out->stream = stream;
	stream_walk(stream, after, STREAM_ID_MAX, false, &out->walk);
	out->n = stream_count(&out->walk, count);
	return out->n > 0;
}

static uint64_t count_pending(struct stream_consumer *consumer, struct stream_id from, uint64_t limit)
{
	struct ids_walk walk;
	uint64_t n = 0;
	ids_walk(&consumer->pending, sizeof(from), from, &walk);
	while (n < limit && ids_next(&walk, sizeof(from)))
		n++;
	return n;
}

static struct stream_consumer *seen(struct exec *exec, struct collection *stream, struct stream_group *group,
                                    struct slice name)
{
	struct stream_consumer *consumer = group_consumer(group, name);
	if (consumer) {
		consumer_seen(consumer, exec->client->now_ms);
		return consumer;
	}
	consumer = consumer_create(stream, group, name, exec->client->now_ms);
	exec_notify(exec, EVENT_STREAM, S("xgroup-createconsumer"), stream->key);
	return consumer;
}

/* What a consumer is given; the group takes note. False: nothing. */
static bool take_of_group(struct exec *exec, const struct reading *reading, struct collection *stream,
                          struct stream_id after, struct portion *out)
{
	struct stream_group *group = stream_group(stream->object, exec->argv[reading->group_at]);
	struct slice name = exec->argv[reading->group_at + 1];
	int64_t now_ms = exec->client->now_ms;
	out->history = !stream_id_equal(after, STREAM_ID_MAX);
	if (!out->history) {
		if (!take_new(stream->object, group->last, reading->count, out))
			return false;
		out->consumer = seen(exec, stream, group, name);
		group_deliver(stream, group, out->consumer, &out->walk, (uint32_t)out->n, !reading->unnoted, now_ms);
		return true;
	}
	(void)stream_id_increment(&after);
	out->from = after;
	out->stream = stream->object;
	out->consumer = seen(exec, stream, group, name);
	out->n = count_pending(out->consumer, after, reading->count);
	if (out->n > 0)
		group_repeat(stream, group, out->consumer, after, out->n, now_ms);
	return true;
}

static bool take_portion(struct exec *exec, const struct reading *reading, const struct key *key,
                         struct stream_id after, struct portion *out)
{
	struct collection stream;
	struct object *object = exec_find(exec, key, FIND_READ);
	if (!object)
		return false;
	if (!reading->of_group)
		return take_new(object, after, reading->count, out);
	enum err err = collection_open(exec->shard, key, OBJECT_STREAM, FIND_QUIET, &stream);
	assert(err == OK);
	return take_of_group(exec, reading, &stream, after, out);
}

/* ---- the answer ------------------------------------------------------------------------- */

static void reply_history(struct reply *reply, const struct portion *portion)
{
	struct ids_walk walk;
	struct stream_entry entry;
	const struct stream_id *id;
	uint64_t n = portion->n;
	reply_array(reply, n);
	ids_walk(&portion->consumer->pending, sizeof(*id), portion->from, &walk);
	for (; n > 0 && (id = ids_next(&walk, sizeof(*id))); n--) {
		if (stream_find(portion->stream, *id, &entry)) {
			reply_entry(reply, &entry);
			continue;
		}
		reply_array(reply, 2);
		reply_id(reply, *id);
		reply_null_array(reply);
	}
}

static void reply_new(struct reply *reply, struct portion *portion)
{
	struct stream_entry entry;
	uint64_t n = portion->n;
	reply_array(reply, n);
	for (; n > 0 && stream_next(&portion->walk, &entry); n--)
		reply_entry(reply, &entry);
}

static void reply_portions(struct exec *exec, struct portion *portions, uint32_t n)
{
	struct reply *reply = exec->reply;
	if (exec->client->resp == 2)
		reply_array(reply, n);
	else
		reply_map(reply, n);
	for (uint32_t i = 0; i < n; i++) {
		if (exec->client->resp == 2)
			reply_array(reply, 2);
		reply_bulk(reply, exec->argv[portions[i].at]);
		if (portions[i].history)
			reply_history(reply, &portions[i]);
		else
			reply_new(reply, &portions[i]);
	}
}

static struct block_wish wish_of(const struct reading *reading)
{
	return (struct block_wish){
	        .first = reading->keys_at, .n = reading->keys, .timeout_ns = (uint64_t)reading->timeout_ms * NS_A_MS};
}

static void nothing(struct exec *exec, const struct reading *reading)
{
	struct block_wish wish = wish_of(reading);
	if (reading->blocks && exec->blocked)
		exec_block(exec, &wish);
	else
		reply_null_array(exec->reply);
}

static void answer(struct exec *exec, const struct reading *reading, const struct stream_id *after)
{
	struct portion near;
	cleanup(buf_fini) struct buf room = {0};
	struct portion *portions = &near;
	uint32_t n = 0;
	if (reading->keys > 1)
		portions = (struct portion *)buf_reserve(&room, reading->keys * sizeof(*portions));
	for (uint32_t i = 0; i < reading->keys; i++) {
		struct key key = exec_key(exec, reading->keys_at + i);
		portions[n].at = reading->keys_at + i;
		portions[n].history = false;
		n += take_portion(exec, reading, &key, after[i], &portions[n]);
	}
	if (n > 0)
		reply_portions(exec, portions, n);
	else
		nothing(exec, reading);
}

static enum err run(struct exec *exec, bool of_group)
{
	struct reading reading;
	struct stream_id near, *after = &near;
	cleanup(buf_fini) struct buf room = {0};
	bool said;
	if (!read_arguments(exec, of_group, &reading))
		return OK;
	if (reading.keys > 1)
		after = (struct stream_id *)buf_reserve(&room, reading.keys * sizeof(*after));
	TRY(read_all(exec, &reading, after, &said));
	if (!said)
		answer(exec, &reading, after);
	return OK;
}

enum err run_xread(struct exec *exec) { return run(exec, false); }
enum err run_xreadgroup(struct exec *exec) { return run(exec, true); }

/* ---- waiting -------------------------------------------------------------------------- */

static bool may_wait(const struct slice *argv, uint32_t argc)
{
	for (uint32_t at = 1; at < argc && !slice_equal_nocase(argv[at], S("STREAMS")); at++)
		if (slice_equal_nocase(argv[at], S("BLOCK")))
			return true;
	return false;
}

static bool is_of_group(const struct exec *exec) { return exec->command->flags & COMMAND_WRITE; }

/* Of arguments that were read before. */
static struct reading read_again(struct exec *exec)
{
	struct reading reading;
	bool sound = read_arguments(exec, is_of_group(exec), &reading);
	assert(sound);
	return reading;
}

/* Would read_after() say an error? */
static bool is_no_id(struct slice text, bool of_group)
{
	struct stream_id id;
	enum id_special special = id_special(text);
	if (special == ID_ITSELF)
		return !id_parse(text, 0, ID_STRICT, NULL, &id);
	return of_group != (special == ID_NEW);
}

static bool read_wish(struct exec *exec, struct block_wish *out)
{
	struct reading reading;
	if (!read_arguments(exec, is_of_group(exec), &reading))
		return false;
	*out = wish_of(&reading);
	for (uint32_t i = 0; i < reading.keys && !out->fails; i++)
		out->fails = is_no_id(exec->argv[reading.keys_at + reading.keys + i], reading.of_group);
	return true;
}

static bool is_behind(const struct object *stream, struct stream_id after)
{
	struct stream_id last;
	return stream_last_entry(stream, &last) && stream_id_compare(last, after) > 0;
}

/* A group that is not there, or history, ends the wait at once. */
static bool fits(const struct exec *exec, uint32_t at, struct object *stream)
{
	struct exec copy = *exec;
	struct reading reading = read_again(&copy);
	struct stream_id after;
	uint32_t id_at = at + reading.keys;
	if (!read_after(&copy, id_at, reading.of_group, stream, &after))
		return true;
	if (!reading.of_group)
		return is_behind(stream, after);
	const struct stream_group *group = stream_group(stream, exec->argv[reading.group_at]);
	return !group || !stream_id_equal(after, STREAM_ID_MAX) || is_behind(stream, group->last);
}

static enum err serve(struct exec *exec, const struct key *key, uint32_t at)
{
	struct reading reading = read_again(exec);
	struct portion portion = {.at = at};
	struct stream_id after;
	struct object *stream = keyspace_find(exec->shard, key, FIND_QUIET);
	if (!stream || object_type(stream) != OBJECT_STREAM) {
		reply_error_fmt(exec->reply, "UNBLOCKED the stream key no longer exists");
		return OK;
	}
	if (reading.count == UINT64_MAX)
		reading.count = WAITED_COUNT;
	if (!read_after(exec, at + reading.keys, reading.of_group, stream, &after))
		return OK;
	if (reading.of_group && !stream_group(stream, exec->argv[reading.group_at]))
		reply_error_fmt(exec->reply, "NOGROUP the consumer group this client was blocked on no longer exists");
	else if (take_portion(exec, &reading, key, after, &portion))
		reply_portions(exec, &portion, 1);
	else
		reply_null_array(exec->reply);
	return OK;
}

/* What "$" and "+" say now. */
static uint32_t pin(const struct exec *exec, uint32_t at, const struct object *stream, char text[PIN_TEXT_MAX],
                    size_t *len)
{
	struct exec copy = *exec;
	struct reading reading = read_again(&copy);
	uint32_t id_at = at + reading.keys;
	enum id_special special = id_special(exec->argv[id_at]);
	if (special != ID_LAST && special != ID_LAST_ENTRY)
		return 0;
	bool is_stream = stream && object_type(stream) == OBJECT_STREAM;
	struct stream_id id = is_stream ? stream_last_id(stream) : (struct stream_id){0};
	*len = id_text(id, text).len;
	return id_at;
}

const struct blocking xread_blocking = {.types = 1u << OBJECT_STREAM,
                                        .read = read_wish,
                                        .fits = fits,
                                        .serve = serve,
                                        .nothing = reply_null_array,
                                        .may = may_wait,
                                        .whole = true,
                                        .pin = pin};
const struct blocking xreadgroup_blocking = {.types = 1u << OBJECT_STREAM | WAITS_FOR_LOSS,
                                             .read = read_wish,
                                             .fits = fits,
                                             .serve = serve,
                                             .nothing = reply_null_array,
                                             .may = may_wait,
                                             .whole = true,
                                             .needs_keys = true};
