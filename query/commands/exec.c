/* exec.c -- the words that rows are written with. */
#include "engine/base/number.h"
#include "engine/core/core.h"
#include "engine/placement/placement.h"
#include "query/commands/command.h"
#include "query/commands/notify.h"

struct key exec_key(const struct exec *exec, uint32_t at)
{
	struct slice name = exec->argv[at];
	return (struct key){
	        .name = name,
	        .hash = key_hash(exec->shard->hash_seed, name),
	        .keyspace = exec->client->keyspace,
	        .slot = slot_of(name),
	};
}

bool exec_is(const struct exec *exec, uint32_t at, struct slice word)
{
	return slice_equal_nocase(exec->argv[at], word);
}

enum err exec_integer(const struct exec *exec, uint32_t at, int64_t *out)
{
	return likely(integer_parse(exec->argv[at], out)) ? OK : ERR_NOT_INTEGER;
}

enum err exec_real(const struct exec *exec, uint32_t at, long double *out)
{
	return likely(real_parse(exec->argv[at], out)) ? OK : ERR_NOT_FLOAT;
}

/* CLIENT NO-TOUCH hides an access from eviction, but hits and misses still count. */
static struct object *find_untouched(struct shard *shard, const struct key *key, enum find_how how)
{
	struct object *object = keyspace_find(shard, key, FIND_QUIET);
	if (how == FIND_READ) {
		shard->counters.hits += object != NULL;
		shard->counters.misses += object == NULL;
	}
	return object;
}

static void tell_miss(struct exec *exec, const struct key *key, enum find_how how)
{
	if (how == FIND_READ)
		exec_notify(exec, EVENT_MISS, S("keymiss"), key);
}

struct object *exec_find(struct exec *exec, const struct key *key, enum find_how how)
{
	struct object *object = unlikely(exec->client->no_touch) ? find_untouched(exec->shard, key, how)
	                                                         : keyspace_find(exec->shard, key, how);
	if (!object)
		tell_miss(exec, key, how);
	return object;
}

struct object *exec_look(struct exec *exec, const struct key *key)
{
	struct object *object = exec_inspect(exec, key);
	if (!object)
		tell_miss(exec, key, FIND_READ);
	return object;
}

struct object *exec_inspect(struct exec *exec, const struct key *key)
{
	return find_untouched(exec->shard, key, FIND_READ);
}

enum err exec_find_string(struct exec *exec, const struct key *key, enum find_how how, struct object **out)
{
	struct object *object = exec_find(exec, key, how);
	if (object && unlikely(object_type(object) != OBJECT_STRING))
		return ERR_WRONG_TYPE;
	*out = object;
	return OK;
}

enum err exec_open(struct exec *exec, const struct key *key, enum object_type type, struct collection *out)
{
	enum find_how how = unlikely(exec->client->no_touch) ? FIND_QUIET : FIND_WRITE;
	return collection_open(exec->shard, key, type, how, out);
}

void exec_reply_bytes(struct exec *exec, struct object *object, struct slice bytes)
{
	struct reply *reply = exec->reply;
	/* A scratch shard is gone before the reply is sent: nothing of it may be lent. */
	if (likely(bytes.len < REPLY_LEND_MIN) || !reply->loans || !exec->shard->core) {
		reply_bulk(reply, bytes);
		return;
	}
	object_lend(exec->shard, object);
	struct loan loan = {.bytes = bytes, .object = object, .core = exec->shard->core->id};
	reply->ops->lent(reply, loan);
}

void exec_reply_string(struct exec *exec, struct object *object)
{
	char scratch[STRING_SCRATCH];
	exec_reply_bytes(exec, object, string_value(object, scratch));
}
