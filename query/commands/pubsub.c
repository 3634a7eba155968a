/* pubsub.c -- channels, patterns and shard channels.
 *
 * What      Each core keeps a topic for each name that its own sessions listen to. A
 *           membership ties a session to a topic and lies in a list of both. Patterns are
 *           also in a list that every message walks.
 * Over cores  A core's count of memberships is read by all: a message goes only to cores
 *           that have some, side by side, and what it points to stays the publisher's
 *           until the last has answered. A publisher waits for its answers, so its
 *           messages arrive in its order.
 */
#include "query/commands/pubsub.h"

#include "engine/base/glob.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "query/commands/commands.h"
#include "query/commands/rows_private.h"
#include "query/session/session.h"

#include <stdatomic.h>
#include <stdlib.h>

enum kind { KIND_CHANNEL, KIND_PATTERN, KIND_SHARD, KINDS };

/* What is said of a kind. */
static const struct kind_words {
	const char *subscribed, *unsubscribed, *message;
} kind_words[KINDS] = {
        [KIND_CHANNEL] = {"subscribe", "unsubscribe", "message"},
        [KIND_PATTERN] = {"psubscribe", "punsubscribe", "pmessage"},
        [KIND_SHARD] = {"ssubscribe", "sunsubscribe", "smessage"},
};

struct topic {
	struct topic *next;  /* in its slot */
	struct link all;     /* of its kind on this core, oldest first */
	struct link members; /* memberships, oldest first */
	uint32_t n_members;
	uint32_t deliveries; /* on the stack: it must not go */
	uint64_t hash;
	enum kind kind;
	size_t len;
	uint8_t name[];
};

struct membership {
	struct link in_topic, in_session;
	struct topic *topic;
	struct session *session;
};

struct subscriptions {
	struct link of_kind[KINDS];
	uint32_t n[KINDS];
};

enum { SLOTS_FIRST = 64 };

struct channels {
	struct core *core;
	struct topic **slots;
	uint32_t n_slots, n_topics;
	struct link topics[KINDS];
	_Atomic uint32_t memberships; /* written here, read by every publisher */
};

struct channels *channels_new(struct core *core)
{
	struct channels *channels = memory_zalloc(sizeof(*channels));
	channels->core = core;
	channels->n_slots = SLOTS_FIRST;
	channels->slots = memory_zalloc(SLOTS_FIRST * sizeof(struct topic *));
	for (size_t kind = 0; kind < KINDS; kind++)
		list_init(&channels->topics[kind]);
	return channels;
}

void channels_free(struct channels *channels)
{
	if (!channels)
		return;
	assert(channels->n_topics == 0);
	memory_free(channels->slots);
	memory_free(channels);
}

/* ---- topics ----------------------------------------------------------------------- */

static uint64_t topic_hash(const struct channels *channels, enum kind kind, struct slice name)
{
	return key_hash(channels->core->shard->hash_seed, name) + (uint64_t)kind;
}

static struct topic *topic_find(const struct channels *channels, enum kind kind, struct slice name)
{
	uint64_t hash = topic_hash(channels, kind, name);
	for (struct topic *topic = channels->slots[hash % channels->n_slots]; topic; topic = topic->next)
		if (topic->hash == hash && topic->kind == kind && slice_equal(slice_of(topic->name, topic->len), name))
			return topic;
	return NULL;
}

static void topic_link(struct channels *channels, struct topic *topic)
{
	struct topic **slot = &channels->slots[topic->hash % channels->n_slots];
	topic->next = *slot;
	*slot = topic;
}

static void topics_resize(struct channels *channels, uint32_t n_slots)
{
	memory_free(channels->slots);
	channels->slots = memory_zalloc(n_slots * sizeof(struct topic *));
	channels->n_slots = n_slots;
	for (size_t kind = 0; kind < KINDS; kind++)
		list_each (link, &channels->topics[kind])
			topic_link(channels, container_of(link, struct topic, all));
}

static struct topic *topic_new(struct channels *channels, enum kind kind, struct slice name)
{
	struct topic *topic = memory_zalloc(sizeof(*topic) + name.len);
	topic->hash = topic_hash(channels, kind, name);
	topic->kind = kind;
	topic->len = name.len;
	if (name.len > 0)
		memcpy(topic->name, name.ptr, name.len);
	list_init(&topic->members);
	topic_link(channels, topic);
	list_push_back(&channels->topics[kind], &topic->all);
	if (++channels->n_topics > channels->n_slots)
		topics_resize(channels, channels->n_slots * 2);
	return topic;
}

static void topic_drop_if_unused(struct channels *channels, struct topic *topic)
{
	if (topic->n_members > 0 || topic->deliveries > 0)
		return;
	struct topic **at = &channels->slots[topic->hash % channels->n_slots];
	while (*at != topic)
		at = &(*at)->next;
	*at = topic->next;
	list_remove(&topic->all);
	memory_free(topic);
	channels->n_topics--;
	if (channels->n_slots > SLOTS_FIRST && channels->n_topics < channels->n_slots / 8)
		topics_resize(channels, channels->n_slots / 2);
}

static struct slice topic_name(const struct topic *topic) { return slice_of(topic->name, topic->len); }

/* ---- memberships ------------------------------------------------------------------ */

static struct channels *channels_of(const struct session *session) { return session->core->commands->channels; }

static struct membership *membership_find(const struct session *session, const struct topic *topic)
{
	if (!session->subscriptions)
		return NULL;
	/* The shorter of the two lists: many listen to one name, or one to many names. */
	if (topic->n_members < session->subscriptions->n[topic->kind]) {
		list_each (link, &topic->members) {
			struct membership *membership = container_of(link, struct membership, in_topic);
			if (membership->session == session)
				return membership;
		}
		return NULL;
	}
	list_each (link, &session->subscriptions->of_kind[topic->kind]) {
		struct membership *membership = container_of(link, struct membership, in_session);
		if (membership->topic == topic)
			return membership;
	}
	return NULL;
}

static void subscriptions_begin(struct session *session)
{
	struct subscriptions *subscriptions = memory_zalloc(sizeof(*subscriptions));
	for (size_t kind = 0; kind < KINDS; kind++)
		list_init(&subscriptions->of_kind[kind]);
	session->subscriptions = subscriptions;
}

static void join(struct session *session, enum kind kind, struct slice name)
{
	struct channels *channels = channels_of(session);
	struct topic *topic = topic_find(channels, kind, name);
	if (topic && membership_find(session, topic))
		return;
	if (!topic)
		topic = topic_new(channels, kind, name);
	if (!session->subscriptions)
		subscriptions_begin(session);
	struct membership *membership = memory_zalloc(sizeof(*membership));
	membership->topic = topic;
	membership->session = session;
	list_push_back(&topic->members, &membership->in_topic);
	topic->n_members++;
	list_push_back(&session->subscriptions->of_kind[kind], &membership->in_session);
	session->subscriptions->n[kind]++;
	atomic_fetch_add(&channels->memberships, 1);
}

static void leave(struct membership *membership)
{
	struct channels *channels = channels_of(membership->session);
	struct topic *topic = membership->topic;
	list_remove(&membership->in_topic);
	list_remove(&membership->in_session);
	membership->session->subscriptions->n[topic->kind]--;
	topic->n_members--;
	memory_free(membership);
	topic_drop_if_unused(channels, topic);
	atomic_fetch_sub(&channels->memberships, 1);
}

static struct membership *first_of_kind(const struct session *session, enum kind kind)
{
	struct link *list = &session->subscriptions->of_kind[kind];
	return list_empty(list) ? NULL : container_of(list->next, struct membership, in_session);
}

static void forget_if_none(struct session *session)
{
	if (session->subscriptions && subscriptions_count(session) == 0) {
		memory_free(session->subscriptions);
		session->subscriptions = NULL;
	}
}

void subscriptions_drop(struct session *session)
{
	if (!session->subscriptions)
		return;
	for (enum kind kind = 0; kind < KINDS; kind++)
		for (struct membership *first; (first = first_of_kind(session, kind));)
			leave(first);
	forget_if_none(session);
}

struct subscription_counts subscription_counts(const struct session *session)
{
	const struct subscriptions *subscriptions = session->subscriptions;
	if (!subscriptions)
		return (struct subscription_counts){0};
	return (struct subscription_counts){
	        .channels = subscriptions->n[KIND_CHANNEL],
	        .patterns = subscriptions->n[KIND_PATTERN],
	        .shard_channels = subscriptions->n[KIND_SHARD],
	};
}

uint32_t subscriptions_count(const struct session *session)
{
	struct subscription_counts counts = subscription_counts(session);
	return counts.channels + counts.patterns + counts.shard_channels;
}

/* ---- subscribing ------------------------------------------------------------------ */

/* What a confirmation counts: shard channels apart from the others. */
static uint32_t confirmed_count(const struct session *session, enum kind kind)
{
	struct subscription_counts counts = subscription_counts(session);
	return kind == KIND_SHARD ? counts.shard_channels : counts.channels + counts.patterns;
}

/* Confirmations are messages: CLIENT REPLY does not mute them. `name` NULL: of none. */
static void confirm(struct exec *exec, const char *what, enum kind kind, const struct slice *name)
{
	struct session *session = exec->session;
	bool muted = session->flags & (SESSION_REPLY_OFF | SESSION_REPLY_SKIP);
	struct reply pushed, *reply = exec->reply;
	if (muted) {
		session->ops->push(session, &pushed);
		reply = &pushed;
	}
	reply_push(reply, 3);
	reply_str(reply, what);
	if (name)
		reply_bulk(reply, *name);
	else
		reply_null(reply);
	reply_integer(reply, confirmed_count(session, kind));
	if (muted)
		session->ops->pushed(session);
}

static enum err subscribe(struct exec *exec, enum kind kind)
{
	for (uint32_t at = 1; at < exec->argc; at++) {
		join(exec->session, kind, exec->argv[at]);
		confirm(exec, kind_words[kind].subscribed, kind, &exec->argv[at]);
	}
	return OK;
}

static void unsubscribe_one(struct exec *exec, enum kind kind, struct slice name)
{
	struct topic *topic = topic_find(channels_of(exec->session), kind, name);
	struct membership *membership = topic ? membership_find(exec->session, topic) : NULL;
	if (membership)
		leave(membership);
	confirm(exec, kind_words[kind].unsubscribed, kind, &name);
}

static void unsubscribe_all(struct exec *exec, enum kind kind)
{
	struct session *session = exec->session;
	struct membership *membership = session->subscriptions ? first_of_kind(session, kind) : NULL;
	if (!membership)
		confirm(exec, kind_words[kind].unsubscribed, kind, NULL);
	for (; membership; membership = first_of_kind(session, kind)) {
		cleanup(buf_fini) struct buf name = {0}; /* the topic may go with its last member */
		buf_append(&name, topic_name(membership->topic));
		leave(membership);
		struct slice said = buf_slice(&name);
		confirm(exec, kind_words[kind].unsubscribed, kind, &said);
	}
}

static enum err unsubscribe(struct exec *exec, enum kind kind)
{
	if (exec->argc == 1)
		unsubscribe_all(exec, kind);
	for (uint32_t at = 1; at < exec->argc; at++)
		unsubscribe_one(exec, kind, exec->argv[at]);
	forget_if_none(exec->session);
	return OK;
}

static enum err run_subscribe(struct exec *exec) { return subscribe(exec, KIND_CHANNEL); }
static enum err run_psubscribe(struct exec *exec) { return subscribe(exec, KIND_PATTERN); }
static enum err run_ssubscribe(struct exec *exec)
{
	if (exec->session->unit) { /* as Redis, which lets the other two */
		reply_error_fmt(exec->reply, "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
		return OK;
	}
	return subscribe(exec, KIND_SHARD);
}

static enum err run_unsubscribe(struct exec *exec) { return unsubscribe(exec, KIND_CHANNEL); }
static enum err run_punsubscribe(struct exec *exec) { return unsubscribe(exec, KIND_PATTERN); }
static enum err run_sunsubscribe(struct exec *exec) { return unsubscribe(exec, KIND_SHARD); }

/* ---- delivering ------------------------------------------------------------------- */

static void say_message(struct reply *reply, const struct topic *topic, struct slice channel, struct slice message)
{
	bool is_pattern = topic->kind == KIND_PATTERN;
	reply_push(reply, is_pattern ? 4 : 3);
	reply_str(reply, kind_words[topic->kind].message);
	if (is_pattern)
		reply_bulk(reply, topic_name(topic));
	reply_bulk(reply, channel);
	reply_bulk(reply, message);
}

/* A message as a wire has it. Mostly all sessions of a topic speak the same one, and get the same bytes. */
struct said {
	const struct reply_ops *ops;
	struct buf bytes;
};

static void say_again(struct said *said, struct reply *reply, const struct topic *topic, struct slice channel,
                      struct slice message)
{
	if (reply->ops != said->ops) {
		struct reply once = {.ops = reply->ops, .out = &said->bytes};
		said->ops = reply->ops;
		said->bytes.len = 0;
		say_message(&once, topic, channel, message);
	}
	buf_append(reply->out, buf_slice(&said->bytes));
}

static uint64_t deliver_to_topic(struct channels *channels, struct topic *topic, struct slice channel,
                                 struct slice message)
{
	uint64_t n = 0;
	struct said said = {0};
	topic->deliveries++;
	list_each (link, &topic->members) {
		struct session *session = container_of(link, struct membership, in_topic)->session;
		struct reply reply;
		session->ops->push(session, &reply);
		if (topic->n_members == 1)
			say_message(&reply, topic, channel, message);
		else
			say_again(&said, &reply, topic, channel, message);
		session->ops->pushed(session);
		n++;
	}
	buf_fini(&said.bytes);
	topic->deliveries--;
	topic_drop_if_unused(channels, topic);
	return n;
}

/* Shows a message to this core's sessions; how many got it, once for each way. */
static uint64_t deliver(struct core *core, enum kind kind, struct slice channel, struct slice message)
{
	struct channels *channels = core->commands->channels;
	uint64_t n = 0;
	struct topic *topic = topic_find(channels, kind, channel);
	if (topic)
		n += deliver_to_topic(channels, topic, channel, message);
	if (kind != KIND_CHANNEL)
		return n;
	list_each (link, &channels->topics[KIND_PATTERN]) {
		struct topic *pattern = container_of(link, struct topic, all);
		if (glob_fits(topic_name(pattern), channel))
			n += deliver_to_topic(channels, pattern, channel, message);
	}
	return n;
}

uint64_t channels_show(struct core *core, struct slice channel, struct slice message)
{
	return deliver(core, KIND_CHANNEL, channel, message);
}

/* A message on its way over the cores; lies on its publisher's stack. */
struct publication {
	struct slice channel, message;
	enum kind kind;
	uint16_t from;
	uint16_t pending; /* cores that have not answered */
	struct fiber *fiber;
	uint64_t receivers;
};

static void publication_answered(struct core *core, struct message *message)
{
	struct publication *publication = message->args[0].ptr;
	publication->receivers += message->args[1].word;
	if (--publication->pending == 0)
		fiber_wake(core, publication->fiber);
}

static void publication_arrived(struct core *core, struct message *message)
{
	struct publication *publication = message->args[0].ptr;
	uint64_t n = deliver(core, publication->kind, publication->channel, publication->message);
	struct message answer = {.run = publication_answered, .args = {{.ptr = publication}, {.word = n}}};
	core_reply(core, publication->from, &answer);
}

bool channels_any(const struct machine *machine, uint16_t core)
{
	return atomic_load(&machine->cores[core]->commands->channels->memberships) > 0;
}

static enum err publish(struct exec *exec, enum kind kind)
{
	struct core *core = exec->core;
	struct publication publication = {
	        .channel = exec->argv[1],
	        .message = exec->argv[2],
	        .kind = kind,
	        .from = core->id,
	        .fiber = fiber_self(core),
	};
	for (uint16_t to = 0; to < core->n_cores; to++) {
		if (to == core->id || !channels_any(core->machine, to))
			continue;
		struct message message = {.run = publication_arrived, .args[0].ptr = &publication};
		publication.pending++;
		core_request(core, to, &message);
	}
	if (channels_any(core->machine, core->id))
		publication.receivers += deliver(core, kind, publication.channel, publication.message);
	if (publication.pending > 0)
		fiber_wait(core); /* for the last answer */
	metric_add(core, METRIC_PUBLISHED, 1);
	reply_integer(exec->reply, (int64_t)publication.receivers);
	return OK;
}

static enum err run_publish(struct exec *exec) { return publish(exec, KIND_CHANNEL); }
static enum err run_spublish(struct exec *exec) { return publish(exec, KIND_SHARD); }

/* ---- asking who listens ----------------------------------------------------------- */

/* Names of one kind on all cores, each once: copies, sorted. */
struct names {
	enum kind kind;
	const struct slice *pattern; /* NULL: all */
	struct buf found;            /* of struct slice, owned */
};

static void names_there(struct core *there, void *arg)
{
	struct names *names = arg;
	list_each (link, &there->commands->channels->topics[names->kind]) {
		struct slice name = topic_name(container_of(link, struct topic, all)), copy = {0};
		if (names->pattern && !glob_fits(*names->pattern, name))
			continue;
		text_replace(&copy, name);
		buf_append(&names->found, slice_of(&copy, sizeof(copy)));
	}
}

static int by_bytes(const void *a, const void *b)
{
	const struct slice *one = a, *other = b;
	size_t common = one->len < other->len ? one->len : other->len;
	int order = common > 0 ? memcmp(one->ptr, other->ptr, common) : 0;
	return order ? order : (one->len > other->len) - (one->len < other->len);
}

static size_t names_gather(struct core *core, struct names *names, struct slice **out)
{
	commands_each_core(core, names_there, names);
	struct slice *all = (struct slice *)names->found.ptr;
	size_t n = names->found.len / sizeof(*all), kept = 0;
	if (n > 0)
		qsort(all, n, sizeof(*all), by_bytes);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && slice_equal(all[kept - 1], all[i]))
			memory_free((void *)all[i].ptr);
		else
			all[kept++] = all[i];
	}
	names->found.len = kept * sizeof(*all);
	*out = all;
	return kept;
}

static void names_fini(struct names *names)
{
	struct slice *all = (struct slice *)names->found.ptr;
	for (size_t i = 0; i < names->found.len / sizeof(*all); i++)
		memory_free((void *)all[i].ptr);
	buf_fini(&names->found);
}

static uint32_t count_names(struct core *core, enum kind kind)
{
	cleanup(names_fini) struct names names = {.kind = kind};
	struct slice *all;
	return (uint32_t)names_gather(core, &names, &all);
}

struct subscription_counts channels_count_all(struct core *core)
{
	return (struct subscription_counts){
	        .channels = count_names(core, KIND_CHANNEL),
	        .patterns = count_names(core, KIND_PATTERN),
	        .shard_channels = count_names(core, KIND_SHARD),
	};
}

static enum err say_names(struct exec *exec, enum kind kind)
{
	if (exec->argc > 3)
		return reply_subcommand_syntax(exec);
	cleanup(names_fini) struct names names = {.kind = kind};
	if (exec->argc == 3)
		names.pattern = &exec->argv[2];
	struct slice *all;
	size_t n = names_gather(exec->core, &names, &all);
	reply_array(exec->reply, n);
	for (size_t i = 0; i < n; i++)
		reply_bulk(exec->reply, all[i]);
	return OK;
}

/* How many listen to each of the named topics. */
struct counting {
	enum kind kind;
	const struct slice *names;
	uint32_t n;
	uint64_t *counts;
};

static void count_there(struct core *there, void *arg)
{
	const struct counting *counting = arg;
	for (uint32_t i = 0; i < counting->n; i++) {
		struct topic *topic = topic_find(there->commands->channels, counting->kind, counting->names[i]);
		counting->counts[i] += topic ? topic->n_members : 0;
	}
}

static enum err say_counts(struct exec *exec, enum kind kind)
{
	struct counting counting = {kind, exec->argv + 2, exec->argc - 2, NULL};
	counting.counts = memory_zalloc((counting.n + 1) * sizeof(*counting.counts));
	commands_each_core(exec->core, count_there, &counting);
	reply_array(exec->reply, (size_t)counting.n * 2);
	for (uint32_t i = 0; i < counting.n; i++) {
		reply_bulk(exec->reply, counting.names[i]);
		reply_integer(exec->reply, (int64_t)counting.counts[i]);
	}
	memory_free(counting.counts);
	return OK;
}

static enum err run_pubsub_channels(struct exec *exec) { return say_names(exec, KIND_CHANNEL); }
static enum err run_pubsub_shardchannels(struct exec *exec) { return say_names(exec, KIND_SHARD); }
static enum err run_pubsub_numsub(struct exec *exec) { return say_counts(exec, KIND_CHANNEL); }
static enum err run_pubsub_shardnumsub(struct exec *exec) { return say_counts(exec, KIND_SHARD); }

static enum err run_pubsub_numpat(struct exec *exec)
{
	reply_integer(exec->reply, count_names(exec->core, KIND_PATTERN));
	return OK;
}

static enum err run_pubsub_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "CHANNELS [<pattern>]",
	        "    Return the currently active channels matching a <pattern> (default: '*').",
	        "NUMPAT",
	        "    Return number of subscriptions to patterns.",
	        "NUMSUB [<channel> ...]",
	        "    Return the number of subscribers for the specified channels, excluding",
	        "    pattern subscriptions(default: no channels).",
	        "SHARDCHANNELS [<pattern>]",
	        "    Return the currently active shard level channels matching a <pattern> (default: '*').",
	        "SHARDNUMSUB [<shardchannel> ...]",
	        "    Return the number of subscribers for the specified shard level channel(s)",
	        NULL,
	};
	return reply_help(exec, "PUBSUB", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument pubsub_channels_args[] = {
        {"pattern", NULL, NULL, ARG_PATTERN, ARG_OPTIONAL},
        {0},
};

static const struct command_argument pubsub_numsub_args[] = {
        {"channel", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

static const struct command_argument pubsub_shardnumsub_args[] = {
        {"shardchannel", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

/* clang-format off */
static const struct command pubsub_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"CHANNELS", -2, {0}, ROW_ALWAYS | COMMAND_PUBSUB | COMMAND_FIBER, "2.8.0",
	 "O(N) where N is the number of active channels", "The channels that somebody listens to.",
	 run_pubsub_channels, pubsub_channels_args},
	{"HELP", 2, {0}, ROW_ALWAYS, "6.2.0", "O(1)", "Explains the subcommands.", run_pubsub_help},
	{"NUMPAT", 2, {0}, ROW_ALWAYS | COMMAND_PUBSUB | COMMAND_FIBER, "2.8.0", "O(1)",
	 "How many patterns somebody listens to.", run_pubsub_numpat},
	{"NUMSUB", -2, {0}, ROW_ALWAYS | COMMAND_PUBSUB | COMMAND_FIBER, "2.8.0",
	 "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
	 "How many listen to channels by name.", run_pubsub_numsub, pubsub_numsub_args},
	{"SHARDCHANNELS", -2, {0}, ROW_ALWAYS | COMMAND_PUBSUB | COMMAND_FIBER, "7.0.0",
	 "O(N) where N is the number of active shard channels", "The shard channels that somebody listens to.",
	 run_pubsub_shardchannels, pubsub_channels_args},
	{"SHARDNUMSUB", -2, {0}, ROW_ALWAYS | COMMAND_PUBSUB | COMMAND_FIBER, "7.0.0",
	 "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
	 "How many listen to shard channels.", run_pubsub_shardnumsub, pubsub_shardnumsub_args},
	{0},
};
/* clang-format on */

static const struct command_argument psubscribe_pattern_args[] = {
        {"pattern", .type = ARG_PATTERN},
        {0},
};

static const struct command_argument psubscribe_args[] = {
        {"pattern", NULL, NULL, ARG_BLOCK, ARG_MULTIPLE, psubscribe_pattern_args},
        {0},
};

static const struct command_argument publish_args[] = {
        {"channel", .type = ARG_STRING},
        {"message", .type = ARG_STRING},
        {0},
};

static const struct command_argument punsubscribe_args[] = {
        {"pattern", NULL, NULL, ARG_PATTERN, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

static const struct command_argument spublish_args[] = {
        {"shardchannel", .type = ARG_STRING},
        {"message", .type = ARG_STRING},
        {0},
};

static const struct command_argument ssubscribe_args[] = {
        {"shardchannel", NULL, NULL, ARG_STRING, ARG_MULTIPLE},
        {0},
};

static const struct command_argument subscribe_args[] = {
        {"channel", NULL, NULL, ARG_STRING, ARG_MULTIPLE},
        {0},
};

static const struct command_argument sunsubscribe_args[] = {
        {"shardchannel", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

static const struct command_argument unsubscribe_args[] = {
        {"channel", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

/* clang-format off */
const struct command pubsub_commands[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"PSUBSCRIBE", -2, {0}, ROW_CLIENT | COMMAND_PUBSUB | COMMAND_SUBSCRIBED, "2.0.0",
	 "O(N) where N is the number of patterns the client is already subscribed to.",
	 "Listens to the channels that match patterns.", run_psubscribe, psubscribe_args},
	{"PUBLISH", 3, {0},
	 ROW_ALWAYS | COMMAND_PUBSUB | COMMAND_FAST | COMMAND_MAY_REPLICATE | COMMAND_FIBER | COMMAND_BARRIER,
	 "2.0.0", "O(N+M) where N is the number of clients subscribed to the receiving channel",
	 "Sends a message to those who listen to a channel.", run_publish, publish_args},
	{"PUBSUB", -2, {0}, 0, "2.8.0", "Depends on subcommand.", "Commands about who listens to what.", NULL,
	 .subcommands = pubsub_rows},
	{"PUNSUBSCRIBE", -1, {0}, ROW_CLIENT | COMMAND_PUBSUB | COMMAND_SUBSCRIBED, "2.0.0",
	 "O(N+M) where N is the number of patterns the client is already subscribed",
	 "Listens no longer to the channels that match patterns.", run_punsubscribe, punsubscribe_args},
	{"SPUBLISH", 3, {0},
	 ROW_ALWAYS | COMMAND_PUBSUB | COMMAND_FAST | COMMAND_MAY_REPLICATE | COMMAND_FIBER | COMMAND_BARRIER,
	 "7.0.0", "O(N) where N is the number of clients subscribed to the receiving shard channel.",
	 "Sends a message to those who listen to a shard channel.", run_spublish, spublish_args},
	{"SSUBSCRIBE", -2, {0}, ROW_CLIENT | COMMAND_PUBSUB | COMMAND_SUBSCRIBED, "7.0.0",
	 "O(N) where N is the number of shard channels to subscribe to.", "Listens to shard channels.",
	 run_ssubscribe, ssubscribe_args},
	{"SUBSCRIBE", -2, {0}, ROW_CLIENT | COMMAND_PUBSUB | COMMAND_SUBSCRIBED, "2.0.0",
	 "O(N) where N is the number of channels to subscribe to.", "Listens to channels.", run_subscribe,
	 subscribe_args},
	{"SUNSUBSCRIBE", -1, {0}, ROW_CLIENT | COMMAND_PUBSUB | COMMAND_SUBSCRIBED, "7.0.0",
	 "O(N) where N is the number of clients already subscribed to a shard channel.",
	 "Listens no longer to shard channels.", run_sunsubscribe, sunsubscribe_args},
	{"UNSUBSCRIBE", -1, {0}, ROW_CLIENT | COMMAND_PUBSUB | COMMAND_SUBSCRIBED, "2.0.0",
	 "O(N) where N is the number of clients already subscribed to a channel.",
	 "Listens no longer to channels.", run_unsubscribe, unsubscribe_args},
	{0},
};
/* clang-format on */
