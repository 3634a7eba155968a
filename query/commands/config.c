/* config.c -- CONFIG: settings while the server runs.
 *
 * Core 0 makes the next version of the settings, so that changes follow one after the
 * other; then every core takes it over, unless a newer one came first. The old version is
 * freed when all have left it.
 */
#include "engine/config/settings.h"

#include "engine/base/glob.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/core/reactor.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network.h"
#include "query/commands/commands.h"
#include "query/commands/latency.h"
#include "query/commands/rows_private.h"

#include <errno.h>

enum { WHY_SIZE = 512 };

/* What Redis' clients ask by names of Redis: another name of a setting, or what is so. */
static const struct alias {
	const char *name, *setting, *value;
} aliases[] = {
        {"appendfsync", .setting = "durability"},
        {"appendonly", .setting = "persist"},
        {"cluster-enabled", .value = "no"},
        {"dir", .setting = "data-dir"},
        {"hash-max-ziplist-entries", .setting = "hash-max-listpack-entries"},
        {"hash-max-ziplist-value", .setting = "hash-max-listpack-value"},
        {"list-max-ziplist-size", .setting = "list-max-listpack-size"},
        {"lua-time-limit", .setting = "busy-reply-threshold"},
        {"port", .setting = "resp-port"},
        {"save", .value = ""},
        {"zset-max-ziplist-entries", .setting = "zset-max-listpack-entries"},
        {"zset-max-ziplist-value", .setting = "zset-max-listpack-value"},
};

static const struct alias *alias_find(struct slice name)
{
	for (size_t i = 0; i < array_len(aliases); i++)
		if (slice_equal_nocase(name, slice_from_str(aliases[i].name)))
			return &aliases[i];
	return NULL;
}

static void alias_get(const struct settings *settings, const struct alias *alias, struct buf *out)
{
	if (alias->setting)
		settings_get(settings, setting_find(slice_from_str(alias->setting)), out);
	else
		buf_append(out, slice_from_str(alias->value));
}

/* ---- GET -------------------------------------------------------------------------- */

/* Settings are numbered first, aliases after them. */
static size_t names_count(void) { return settings_count() + array_len(aliases); }

static const char *name_at(size_t number)
{
	return number < settings_count() ? setting_at(number)->name : aliases[number - settings_count()].name;
}

static void value_at(const struct settings *settings, size_t number, struct buf *out)
{
	if (number < settings_count())
		settings_get(settings, setting_at(number), out);
	else
		alias_get(settings, &aliases[number - settings_count()], out);
}

static bool is_pattern(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr("*?[", text.ptr[i]) && text.ptr[i])
			return true;
	return false;
}

/* Marks the names that an argument means with its own spelling, or theirs if it is a
 * pattern, as Redis has it. */
static size_t mark_names(struct slice asked, struct slice *shown)
{
	bool pattern = is_pattern(asked);
	size_t n = 0;
	for (size_t i = 0; i < names_count(); i++) {
		struct slice name = slice_from_str(name_at(i));
		if (shown[i].ptr)
			continue;
		if (pattern ? !glob_fits_nocase(asked, name) : !slice_equal_nocase(asked, name))
			continue;
		shown[i] = pattern ? name : asked;
		n++;
	}
	return n;
}

static enum err run_config_get(struct exec *exec)
{
	struct slice *shown = memory_zalloc(names_count() * sizeof(*shown));
	size_t n = 0;
	for (uint32_t at = 2; at < exec->argc; at++)
		n += mark_names(exec->argv[at], shown);
	reply_map(exec->reply, n);
	for (size_t i = 0; i < names_count(); i++) {
		if (!shown[i].ptr)
			continue;
		cleanup(buf_fini) struct buf value = {0};
		value_at(exec->core->settings, i, &value);
		reply_bulk(exec->reply, shown[i]);
		reply_bulk(exec->reply, buf_slice(&value));
	}
	memory_free(shown);
	return OK;
}

/* ---- SET -------------------------------------------------------------------------- */

struct change {
	const struct slice *pairs;
	uint32_t n_pairs;
	struct settings *old, *new;
	uint64_t version;   /* of `new`, which may be gone when a late core looks */
	struct slice wrong; /* the name at fault; ptr NULL: none in particular */
	char why[WHY_SIZE];
};

static bool repeats(const struct change *change, uint32_t pair)
{
	for (uint32_t i = 0; i < pair; i++)
		if (slice_equal_nocase(change->pairs[2 * i], change->pairs[2 * pair]))
			return true;
	return false;
}

/* The setting that a name means; NULL: what it means is fixed, or it means nothing. */
static const struct setting *setting_meant(struct slice name)
{
	const struct alias *alias = alias_find(name);
	return alias && alias->setting ? setting_find(slice_from_str(alias->setting)) : setting_find(name);
}

/* May this pair be tried? What is fixed may be set to what it is. */
static bool may_change(struct exec *exec, struct change *change, uint32_t pair)
{
	struct slice name = change->pairs[2 * pair], value = change->pairs[2 * pair + 1];
	const struct setting *setting = setting_meant(name);
	const struct alias *alias = alias_find(name);
	if (!setting && !alias) {
		reply_error_fmt(exec->reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
		                (int)name.len, name.ptr);
		return false;
	}
	const char *wrong = NULL;
	cleanup(buf_fini) struct buf now = {0};
	if (alias)
		alias_get(exec->core->settings, alias, &now);
	bool fixed = !setting || setting->change == SETTING_AT_START;
	if (fixed && !(alias && slice_equal_nocase(value, buf_slice(&now))))
		wrong = "can't set immutable config";
	else if (repeats(change, pair))
		wrong = "duplicate parameter";
	if (wrong)
		reply_error_fmt(exec->reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
		                (int)name.len, name.ptr, wrong);
	return !wrong;
}

static bool change_all(struct change *change)
{
	for (uint32_t pair = 0; pair < change->n_pairs; pair++) {
		struct slice name = change->pairs[2 * pair];
		const struct setting *setting = setting_meant(name);
		if (!setting || setting->change == SETTING_AT_START ||
		    settings_set(change->new, setting, change->pairs[2 * pair + 1], change->why, WHY_SIZE))
			continue;
		change->wrong = name;
		return false;
	}
	return settings_check(change->new, change->why, WHY_SIZE);
}

/* On core 0. */
static void make_version(struct core *first, void *arg)
{
	struct change *change = arg;
	change->old = (struct settings *)first->settings;
	change->new = settings_copy(first->settings);
	change->version = change->new->version;
	if (change_all(change)) {
		first->settings = change->new;
		return;
	}
	settings_free(change->new);
	change->new = NULL;
}

static void take_version(struct core *there, void *arg)
{
	const struct change *change = arg;
	if (there->settings->version < change->version)
		there->settings = change->new;
	commands_follow_settings(there);
	network_follow_settings(there);
}

static enum err run_config_set(struct exec *exec)
{
	if (exec->argc % 2 == 1)
		return ERR_SYNTAX;
	struct change change = {.pairs = exec->argv + 2, .n_pairs = (exec->argc - 2) / 2};
	for (uint32_t pair = 0; pair < change.n_pairs; pair++)
		if (!may_change(exec, &change, pair))
			return OK;
	fiber_call(exec->core, 0, make_version, &change);
	if (!change.new) {
		if (change.wrong.ptr)
			reply_error_fmt(exec->reply, "ERR CONFIG SET failed (possibly related to argument '%.*s') - %s",
			                (int)change.wrong.len, change.wrong.ptr, change.why);
		else
			reply_error_fmt(exec->reply, "ERR CONFIG SET failed - %s", change.why);
		return OK;
	}
	fiber_call_all(exec->core, take_version, &change);
	if (change.old->version > 0) /* the first is its maker's */
		settings_free(change.old);
	reply_ok(exec->reply);
	return OK;
}

/* ---- REWRITE ---------------------------------------------------------------------- */

/* A file operation that a fiber waits for. */
struct file_wait {
	struct io_op op;
	struct core *core;
	struct fiber *fiber;
};

static void file_done(struct io_op *op)
{
	struct file_wait *wait = container_of(op, struct file_wait, op);
	fiber_wake(wait->core, wait->fiber);
}

static struct file_wait file_wait_of(struct core *core)
{
	return (struct file_wait){.op.done = file_done, .core = core, .fiber = fiber_self(core)};
}

static int64_t file_result(struct file_wait *wait)
{
	fiber_wait(wait->core);
	return wait->op.result;
}

static int64_t file_open(struct core *core, const char *path, unsigned flags)
{
	enum { OWNER_ONLY = 0600 }; /* there is a password in it */
	struct file_wait wait = file_wait_of(core);
	io_file_open(core->io, &wait.op, path, flags, OWNER_ONLY);
	return file_result(&wait);
}

static int64_t file_close(struct core *core, int fd)
{
	struct file_wait wait = file_wait_of(core);
	io_file_close(core->io, &wait.op, fd);
	return file_result(&wait);
}

static int64_t read_whole(struct core *core, int fd, struct buf *out)
{
	enum { PART = 16 * 1024, WHOLE_MAX = 1024 * 1024 };
	for (;;) {
		struct file_wait wait = file_wait_of(core);
		io_file_read(core->io, &wait.op, fd, buf_reserve(out, PART), PART, out->len);
		int64_t n = file_result(&wait);
		if (n <= 0)
			return n;
		out->len += (size_t)n;
		if (out->len > WHOLE_MAX)
			return -EFBIG;
	}
}

static int64_t write_whole(struct core *core, int fd, const struct buf *text)
{
	for (size_t at = 0; at < text->len;) {
		struct file_wait wait = file_wait_of(core);
		io_file_write(core->io, &wait.op, fd, text->ptr + at, text->len - at, at, IO_WRITE_DURABLE);
		int64_t n = file_result(&wait);
		if (n <= 0)
			return n < 0 ? n : -EIO;
		at += (size_t)n;
	}
	return 0;
}

/* A file that is gone is as good as an empty one. */
static int64_t load_old(struct core *core, const char *path, struct buf *out)
{
	int64_t fd = file_open(core, path, IO_OPEN_READ);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	int64_t result = read_whole(core, (int)fd, out);
	(void)file_close(core, (int)fd);
	return result;
}

/* The new text takes the old one's place whole, or not at all. */
static int64_t replace_file(struct core *core, const char *path, const struct buf *text)
{
	cleanup(buf_fini) struct buf beside = {0};
	buf_printf(&beside, "%s.%016llx", path, (unsigned long long)core_random(core));
	buf_byte(&beside, 0);
	int64_t fd = file_open(core, (const char *)beside.ptr, IO_OPEN_WRITE | IO_OPEN_CREATE);
	if (fd < 0)
		return fd;
	int64_t result = write_whole(core, (int)fd, text);
	(void)file_close(core, (int)fd);
	if (result < 0)
		return result;
	struct file_wait wait = file_wait_of(core);
	io_file_rename(core->io, &wait.op, (const char *)beside.ptr, path);
	return file_result(&wait);
}

static enum err run_config_rewrite(struct exec *exec)
{
	struct core *core = exec->core;
	if (!core->settings->file) {
		reply_error_fmt(exec->reply, "ERR The server is running without a config file");
		return OK;
	}
	struct settings *settings = settings_copy(core->settings); /* others may change them meanwhile */
	cleanup(buf_fini) struct buf old = {0};
	cleanup(buf_fini) struct buf new = {0};
	int64_t result = load_old(core, settings->file, &old);
	if (result >= 0) {
		settings_rewrite(settings, buf_slice(&old), &new);
		result = replace_file(core, settings->file, &new);
	}
	settings_free(settings);
	if (result < 0)
		reply_error_fmt(exec->reply, "ERR Rewriting config file: %s", strerror((int)-result));
	else
		reply_ok(exec->reply);
	return OK;
}

/* ---- RESETSTAT -------------------------------------------------------------------- */

static void forget_there(struct core *there, void *arg)
{
	struct commands *commands = there->commands;
	struct shard_counters *counters = &there->shard->counters;
	metrics_reset_counters(there);
	reactor_forget_longest(there);
	counters->hits = counters->misses = counters->expired = counters->expired_elements = 0;
	counters->evicted = counters->freed = 0;
	memset(commands->statistics, 0, command_count(commands->index) * sizeof(*commands->statistics));
	latency_forget_counts(commands->latency);
	commands->n_errors = 0;
	commands->rates = (struct rate_mark){.at_ns = there->now_ns};
}

static enum err run_config_resetstat(struct exec *exec)
{
	fiber_call_all(exec->core, forget_there, NULL);
	reply_ok(exec->reply);
	return OK;
}

static enum err run_config_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "GET <pattern>",
	        "    Return parameters matching the glob-like <pattern> and their values.",
	        "SET <directive> <value>",
	        "    Set the configuration <directive> to <value>.",
	        "RESETSTAT",
	        "    Reset statistics reported by the INFO command.",
	        "REWRITE",
	        "    Rewrite the configuration file.",
	        NULL,
	};
	return reply_help(exec, "CONFIG", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument config_get_parameter_args[] = {
        {"parameter", .type = ARG_STRING},
        {0},
};

static const struct command_argument config_get_args[] = {
        {"parameter", NULL, NULL, ARG_BLOCK, ARG_MULTIPLE, config_get_parameter_args},
        {0},
};

static const struct command_argument config_set_parameter_value_args[] = {
        {"parameter", .type = ARG_STRING},
        {"value", .type = ARG_STRING},
        {0},
};

static const struct command_argument config_set_args[] = {
        {"parameter_value", NULL, NULL, ARG_BLOCK, ARG_MULTIPLE, config_set_parameter_value_args},
        {0},
};

static const struct command_history config_get_history[] = {
        {"7.0.0", "Added the ability to pass multiple pattern parameters in one call"},
        {0},
};

static const struct command_history config_set_history[] = {
        {"7.0.0", "Added the ability to set multiple parameters in one call."},
        {0},
};

/* clang-format off */
const struct command config_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"GET", -3, {0}, ROW_ADMIN, "2.0.0", "O(N) when N is the number of configuration parameters provided",
	 "The values of settings whose names match.", run_config_get, config_get_args,
	 .history = config_get_history},
	{"HELP", 2, {0}, ROW_ALWAYS, "5.0.0", "O(1)", "Explains the subcommands.", run_config_help},
	{"RESETSTAT", 2, {0}, ROW_ADMIN | COMMAND_FIBER, "2.0.0", "O(1)",
	 "Starts the counters that INFO shows anew.", run_config_resetstat},
	{"REWRITE", 2, {0}, ROW_ADMIN | COMMAND_FIBER, "2.8.0", "O(1)",
	 "Writes the settings in force to the configuration file.", run_config_rewrite},
	{"SET", -4, {0}, ROW_ADMIN | COMMAND_FIBER, "2.0.0",
	 "O(N) when N is the number of configuration parameters provided",
	 "Changes settings, all of them or none.", run_config_set, config_set_args,
	 .history = config_set_history, .tips = "request_policy:all_nodes response_policy:all_succeeded"},
	{0},
};
/* clang-format on */
