/* introspection.c -- COMMAND: what the table says of its rows, in Redis' forms.
 *
 * Everything comes from the rows: names and flags by their bits, categories of access
 * lists from flags and group, key specifications from key ranges.
 */
#include "engine/base/glob.h"
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "query/commands/commands.h"
#include "query/commands/rows_private.h"

static const struct command_index *index_of(const struct exec *exec) { return exec->core->commands->index; }

/* A command by its full name, "config|get" for a subcommand. */
static const struct command *find_by_full_name(const struct command_index *index, struct slice name)
{
	const uint8_t *bar = name.len > 0 ? memchr(name.ptr, '|', name.len) : NULL;
	if (!bar)
		return command_find(index, name);
	size_t len = (size_t)(bar - name.ptr);
	const struct command *parent = command_find(index, slice_sub(name, 0, len));
	struct slice rest = slice_sub(name, len + 1, name.len);
	for (const struct command *sub = parent ? parent->subcommands : NULL; sub && sub->name; sub++)
		if (slice_equal_nocase(rest, slice_from_str(sub->name)))
			return sub;
	return NULL;
}

static size_t subcommands_count(const struct command *command)
{
	size_t n = 0;
	while (command->subcommands && command->subcommands[n].name)
		n++;
	return n;
}

/* Rows that are no subcommands, one after the other; NULL at the end. */
static const struct command *next_row(const struct command_index *index, uint32_t *number)
{
	while (*number < command_count(index)) {
		const struct command *command = command_by_number(index, (*number)++);
		if (!strchr(command_full_name(index, command), '|'))
			return command;
	}
	return NULL;
}

static size_t rows_count(const struct command_index *index)
{
	size_t n = 0;
	for (uint32_t number = 0; next_row(index, &number);)
		n++;
	return n;
}

/* ---- words ------------------------------------------------------------------------ */

/* A set of words that is said with its length first. */
struct words {
	const char *at[32];
	size_t n;
};

static void words_add(struct words *words, const char *word)
{
	assert(words->n < array_len(words->at));
	words->at[words->n++] = word;
}

static void say_words(struct reply *reply, const struct words *words)
{
	reply_set(reply, words->n);
	for (size_t i = 0; i < words->n; i++)
		reply_simple(reply, slice_from_str(words->at[i]));
}

static struct words flag_words(const struct command *command)
{
	static const struct {
		uint32_t flag;
		const char *word;
	} names[] = {
	        {COMMAND_WRITE, "write"},
	        {COMMAND_READ, "readonly"},
	        {COMMAND_GROWS, "denyoom"},
	        {COMMAND_ADMIN, "admin"},
	        {COMMAND_PUBSUB, "pubsub"},
	        {COMMAND_NO_SCRIPT, "noscript"},
	        {COMMAND_BLOCKING, "blocking"},
	        {COMMAND_LOADING, "loading"},
	        {COMMAND_STALE, "stale"},
	        {COMMAND_SKIP_MONITOR, "skip_monitor"},
	        {COMMAND_SKIP_SLOWLOG, "skip_slowlog"},
	        {COMMAND_FAST, "fast"},
	        {COMMAND_NO_AUTH, "no_auth"},
	        {COMMAND_NO_MULTI, "no_multi"},
	        {COMMAND_SCRIPT | COMMAND_MOVABLE_KEYS, "no_mandatory_keys"},
	        {COMMAND_MOVABLE_KEYS, "movablekeys"},
	};
	struct words words = {0};
	for (size_t i = 0; i < array_len(names); i++)
		if ((command->flags & names[i].flag) == names[i].flag)
			words_add(&words, names[i].word);
	return words;
}

/* Is `word` in a list separated by spaces? */
static bool list_has(const char *list, struct slice word)
{
	while (list && *list) {
		size_t len = strcspn(list, " ");
		if (slice_equal_nocase(word, slice_of(list, len)))
			return true;
		list += len + (list[len] == ' ');
	}
	return false;
}

/* ---- categories ------------------------------------------------------------------- */

/* Categories of access lists in the order that they are shown. Those with flags are of the
 * commands that have one, those with a group are of the commands in it. */
static const struct category {
	const char *shown; /* with the @ */
	uint32_t flags;
	const char *group;
} categories[] = {
        {"@keyspace", 0, "generic"},
        {"@read", COMMAND_READ, NULL},
        {"@write", COMMAND_WRITE, NULL},
        {"@set", 0, "set"},
        {"@sortedset", 0, "sorted-set"},
        {"@list", 0, "list"},
        {"@hash", 0, "hash"},
        {"@string", 0, "string"},
        {"@bitmap", 0, "bitmap"},
        {"@hyperloglog", 0, "hyperloglog"},
        {"@geo", 0, "geo"},
        {"@stream", 0, "stream"},
        {"@pubsub", COMMAND_PUBSUB, NULL},
        {"@admin", COMMAND_ADMIN, NULL},
        {"@fast", COMMAND_FAST, NULL},
        {"@slow", 0, NULL},
        {"@blocking", COMMAND_BLOCKING, NULL},
        {"@dangerous", COMMAND_ADMIN, NULL},
        {"@connection", 0, "connection"},
        {"@transaction", 0, "transactions"},
        {"@scripting", 0, NULL},
};

static bool is_in_category(const struct command_index *index, const struct command *command,
                           const struct category *category)
{
	struct slice name = slice_from_str(category->shown + 1);
	bool is_script = list_has(command->categories, S("scripting")); /* whatever it says of itself, it may do */
	if ((command->flags & category->flags && !(is_script && category->flags == COMMAND_READ)) ||
	    list_has(command->categories, name))
		return true;
	if (list_has(command->categories, S("-keyspace")) && slice_equal(name, S("keyspace")))
		return false;
	if (slice_equal(name, S("slow")))
		return !(command->flags & COMMAND_FAST);
	bool is_container = !command->run;
	return category->group && !is_container && strcmp(category->group, command_group_name(index, command)) == 0;
}

static struct words category_words(const struct command_index *index, const struct command *command)
{
	struct words words = {0};
	for (size_t i = 0; i < array_len(categories); i++)
		if (is_in_category(index, command, &categories[i]))
			words_add(&words, categories[i].shown);
	return words;
}

/* ---- INFO ------------------------------------------------------------------------- */

/* What a command does with its keys. */
static const char *uses_of(const struct command *command)
{
	if (command->uses)
		return command->uses;
	return command->flags & COMMAND_WRITE ? "RW access update" : "RO access";
}

/* Parts of a list separated by commas. */
static uint32_t parts_of(const char *list)
{
	uint32_t n = 1;
	for (; *list; list++)
		n += *list == ',';
	return n;
}

/* Part `at`, or the last. */
static struct slice part_of(const char *list, uint32_t at)
{
	for (const char *comma; at > 0 && (comma = strchr(list, ',')); at--)
		list = comma + sizeof(", ") - 1;
	return slice_of(list, strcspn(list, ","));
}

static void say_uses(struct reply *reply, struct slice words)
{
	size_t n = 1;
	for (size_t i = 0; i < words.len; i++)
		n += words.ptr[i] == ' ';
	reply_set(reply, n);
	while (n-- > 0) {
		const uint8_t *space = memchr(words.ptr, ' ', words.len);
		size_t len = space ? (size_t)(space - words.ptr) : words.len;
		reply_simple(reply, slice_sub(words, 0, len));
		words = slice_sub(words, space ? len + 1 : len, words.len);
	}
}

/* How many specifications say where its keys are. Keys that lie outside its range are not said. */
static uint32_t key_specifications(const struct command *command)
{
	const struct key_range *keys = &command->keys;
	if (keys->first == 0)
		return 0;
	uint32_t parts = parts_of(uses_of(command));
	uint32_t room = keys->last < 0 ? parts : (uint32_t)((keys->last - keys->first) / keys->step + 1);
	return parts < room ? parts : room;
}

/* Specification `at` of `n`: each has a key, the last all that are left. */
static void say_key_specification(struct reply *reply, const struct command *command, uint32_t at, uint32_t n)
{
	const struct key_range *keys = &command->keys;
	bool is_last = at + 1 == n;
	int first = keys->first + (int)at * keys->step, last = keys->last < 0 ? keys->last : keys->last - first;
	reply_map(reply, 3);
	reply_str(reply, "flags");
	say_uses(reply, part_of(uses_of(command), at));
	reply_str(reply, "begin_search");
	reply_map(reply, 2);
	reply_str(reply, "type");
	reply_str(reply, "index");
	reply_str(reply, "spec");
	reply_map(reply, 1);
	reply_str(reply, "index");
	reply_integer(reply, first);
	reply_str(reply, "find_keys");
	reply_map(reply, 2);
	reply_str(reply, "type");
	reply_str(reply, "range");
	reply_str(reply, "spec");
	reply_map(reply, 3);
	reply_str(reply, "lastkey");
	reply_integer(reply, is_last ? last : 0);
	reply_str(reply, "keystep");
	reply_integer(reply, is_last ? keys->step : 1);
	reply_str(reply, "limit");
	reply_integer(reply, 0);
}

static void say_tips(struct reply *reply, const char *tips)
{
	size_t n = 0;
	for (const char *at = tips; at; at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL)
		n++;
	reply_set(reply, n);
	for (const char *at = tips; at;) {
		size_t len = strcspn(at, " ");
		reply_bulk(reply, slice_of(at, len));
		at = at[len] ? at + len + 1 : NULL;
	}
}

static void say_info(struct exec *exec, const struct command *command)
{
	const struct command_index *index = index_of(exec);
	struct reply *reply = exec->reply;
	struct words flags = flag_words(command), in = category_words(index, command);
	uint32_t n_specifications = key_specifications(command);
	reply_array(reply, 10);
	reply_str(reply, command_full_name(index, command));
	reply_integer(reply, command->arity);
	say_words(reply, &flags);
	reply_integer(reply, command->keys.first);
	reply_integer(reply, command->keys.last);
	reply_integer(reply, command->keys.step);
	say_words(reply, &in);
	say_tips(reply, command->tips);
	reply_set(reply, n_specifications);
	for (uint32_t i = 0; i < n_specifications; i++)
		say_key_specification(reply, command, i, n_specifications);
	if (command->subcommands)
		reply_array(reply, subcommands_count(command));
	else
		reply_set(reply, 0);
	for (const struct command *sub = command->subcommands; sub && sub->name; sub++)
		say_info(exec, sub);
}

static void say_info_of_all(struct exec *exec)
{
	const struct command_index *index = index_of(exec);
	reply_array(exec->reply, rows_count(index));
	uint32_t number = 0;
	for (const struct command *command; (command = next_row(index, &number));)
		say_info(exec, command);
}

enum err run_command(struct exec *exec)
{
	say_info_of_all(exec);
	return OK;
}

static enum err run_command_info(struct exec *exec)
{
	if (exec->argc == 2)
		return run_command(exec);
	reply_array(exec->reply, exec->argc - 2);
	for (uint32_t at = 2; at < exec->argc; at++) {
		const struct command *command = find_by_full_name(index_of(exec), exec->argv[at]);
		if (command)
			say_info(exec, command);
		else
			reply_null(exec->reply);
	}
	return OK;
}

static enum err run_command_count(struct exec *exec)
{
	reply_integer(exec->reply, (int64_t)rows_count(index_of(exec)));
	return OK;
}

/* ---- DOCS ------------------------------------------------------------------------- */

static void say_field(struct reply *reply, const char *name, const char *value)
{
	if (!value)
		return;
	reply_str(reply, name);
	reply_str(reply, value);
}

static struct words argument_words(const struct command_argument *argument)
{
	struct words words = {0};
	if (argument->flags & ARG_OPTIONAL)
		words_add(&words, "optional");
	if (argument->flags & ARG_MULTIPLE)
		words_add(&words, "multiple");
	if (argument->flags & ARG_MULTIPLE_TOKEN)
		words_add(&words, "multiple_token");
	return words;
}

/* Which specification the next key among the arguments has. */
struct key_count {
	uint32_t next, n;
};

static uint32_t next_specification(struct key_count *keys)
{
	return keys->next + 1 < keys->n ? keys->next++ : keys->next;
}

static void say_arguments(struct reply *reply, const struct command_argument *arguments, struct key_count *keys);

static void say_argument(struct reply *reply, const struct command_argument *argument, struct key_count *keys)
{
	static const char *const types[] = {
	        [ARG_STRING] = "string",         [ARG_INTEGER] = "integer",
	        [ARG_DOUBLE] = "double",         [ARG_KEY] = "key",
	        [ARG_PATTERN] = "pattern",       [ARG_UNIX_TIME] = "unix-time",
	        [ARG_PURE_TOKEN] = "pure-token", [ARG_ONEOF] = "oneof",
	        [ARG_BLOCK] = "block",
	};
	bool is_key = argument->type == ARG_KEY;
	size_t n = 2 + is_key + (argument->token != NULL) + (argument->since != NULL) + (argument->flags != 0) +
	           (argument->inner != NULL);
	reply_map(reply, n);
	say_field(reply, "name", argument->name);
	say_field(reply, "type", types[argument->type]);
	if (is_key) {
		reply_str(reply, "key_spec_index");
		reply_integer(reply, next_specification(keys));
	}
	say_field(reply, "token", argument->token);
	say_field(reply, "since", argument->since);
	if (argument->flags) {
		struct words words = argument_words(argument);
		reply_str(reply, "flags");
		say_words(reply, &words);
	}
	if (argument->inner) {
		reply_str(reply, "arguments");
		say_arguments(reply, argument->inner, keys);
	}
}

static void say_arguments(struct reply *reply, const struct command_argument *arguments, struct key_count *keys)
{
	size_t n = 0;
	while (arguments[n].name)
		n++;
	reply_array(reply, n);
	for (size_t i = 0; i < n; i++)
		say_argument(reply, &arguments[i], keys);
}

static void say_history(struct reply *reply, const struct command_history *history)
{
	size_t n = 0;
	while (history[n].since)
		n++;
	reply_set(reply, n);
	for (size_t i = 0; i < n; i++) {
		reply_array(reply, 2);
		reply_str(reply, history[i].since);
		reply_str(reply, history[i].change);
	}
}

/* Name and documentation: one pair of a map. */
static void say_docs(struct exec *exec, const struct command *command)
{
	const struct command_index *index = index_of(exec);
	struct reply *reply = exec->reply;
	bool deprecated = command->deprecated_since != NULL;
	reply_str(reply, command_full_name(index, command));
	reply_map(reply, 4 + 2 * deprecated + (command->replaced_by != NULL) + (command->history != NULL) +
	                         (command->arguments != NULL) + (command->subcommands != NULL));
	say_field(reply, "summary", command->summary);
	say_field(reply, "since", command->since);
	say_field(reply, "group", command_group_name(index, command));
	say_field(reply, "complexity", command->complexity);
	if (deprecated) {
		struct words words = {{"deprecated"}, 1};
		reply_str(reply, "doc_flags");
		say_words(reply, &words);
	}
	say_field(reply, "deprecated_since", command->deprecated_since);
	say_field(reply, "replaced_by", command->replaced_by);
	if (command->history) {
		reply_str(reply, "history");
		say_history(reply, command->history);
	}
	if (command->arguments) {
		reply_str(reply, "arguments");
		struct key_count keys = {.n = key_specifications(command)};
		say_arguments(reply, command->arguments, &keys);
	}
	if (command->subcommands) {
		reply_str(reply, "subcommands");
		reply_map(reply, subcommands_count(command));
		for (const struct command *sub = command->subcommands; sub->name; sub++)
			say_docs(exec, sub);
	}
}

static void say_docs_of_all(struct exec *exec)
{
	const struct command_index *index = index_of(exec);
	reply_map(exec->reply, rows_count(index));
	uint32_t number = 0;
	for (const struct command *command; (command = next_row(index, &number));)
		say_docs(exec, command);
}

static enum err run_command_docs(struct exec *exec)
{
	const struct command_index *index = index_of(exec);
	if (exec->argc == 2) {
		say_docs_of_all(exec);
		return OK;
	}
	size_t n = 0;
	for (uint32_t at = 2; at < exec->argc; at++)
		n += find_by_full_name(index, exec->argv[at]) != NULL;
	reply_map(exec->reply, n);
	for (uint32_t at = 2; at < exec->argc; at++) {
		const struct command *command = find_by_full_name(index, exec->argv[at]);
		if (command)
			say_docs(exec, command);
	}
	return OK;
}

/* ---- LIST ------------------------------------------------------------------------- */

/* Which names LIST shows, subcommands' included. */
struct filter {
	struct slice pattern;            /* ptr NULL: any */
	const struct category *category; /* NULL: any */
	bool none;
};

static const struct category *category_find(struct slice name)
{
	for (size_t i = 0; i < array_len(categories); i++)
		if (slice_equal_nocase(name, slice_from_str(categories[i].shown + 1)))
			return &categories[i];
	return NULL;
}

static bool filter_parse(struct exec *exec, struct filter *out)
{
	*out = (struct filter){0};
	if (exec->argc == 2)
		return true;
	if (exec->argc != 5 || !exec_is(exec, 2, S("FILTERBY")))
		return false;
	struct slice value = exec->argv[4];
	if (exec_is(exec, 3, S("PATTERN"))) {
		out->pattern = value;
	} else if (exec_is(exec, 3, S("ACLCAT"))) {
		out->category = category_find(value);
		out->none = !out->category;
	} else {
		out->none = true; /* there are no modules */
		return exec_is(exec, 3, S("MODULE"));
	}
	return true;
}

static bool is_listed(const struct command_index *index, const struct command *command, const struct filter *filter)
{
	struct slice name = slice_from_str(command_full_name(index, command));
	if (filter->none)
		return false;
	if (filter->category)
		return is_in_category(index, command, filter->category);
	return !filter->pattern.ptr || glob_fits_nocase(filter->pattern, name);
}

static enum err run_command_list(struct exec *exec)
{
	const struct command_index *index = index_of(exec);
	struct filter filter;
	if (!filter_parse(exec, &filter))
		return ERR_SYNTAX;
	size_t n = 0;
	for (uint32_t i = 0; i < command_count(index); i++)
		n += is_listed(index, command_by_number(index, i), &filter);
	reply_array(exec->reply, n);
	for (uint32_t i = 0; i < command_count(index); i++) {
		const struct command *command = command_by_number(index, i);
		if (is_listed(index, command, &filter))
			reply_str(exec->reply, command_full_name(index, command));
	}
	return OK;
}

/* ---- GETKEYS ---------------------------------------------------------------------- */

/* The row that a whole call, given as arguments, would run. */
static const struct command *call_row(struct exec *exec, const struct slice *argv, uint32_t argc)
{
	const struct command *command = command_find(index_of(exec), argv[0]);
	if (!command || !command->subcommands || argc < 2)
		return command;
	for (const struct command *sub = command->subcommands; sub->name; sub++)
		if (slice_equal_nocase(argv[1], slice_from_str(sub->name)))
			return sub;
	return NULL;
}

static void say_keys(struct exec *exec, const struct command *command, const struct slice *argv, uint32_t argc,
                     bool with_flags)
{
	struct reply *reply = exec->reply;
	uint32_t *at = memory_alloc(argc * sizeof(*at));
	int n = command_keys(command, argv, argc, at, argc);
	if (n < 0 || (n == 0 && !(command->flags & COMMAND_SCRIPT))) /* which may do without keys */
		reply_error_fmt(reply, "ERR Invalid arguments specified for command");
	else
		reply_array(reply, (size_t)n);
	const char *uses = command->uses_by ? command->uses_by(argv, argc) : uses_of(command);
	for (int i = 0; i < n; i++) {
		if (with_flags)
			reply_array(reply, 2);
		reply_bulk(reply, argv[at[i]]);
		if (with_flags)
			say_uses(reply, part_of(uses, (uint32_t)i));
	}
	memory_free(at);
}

static enum err get_keys(struct exec *exec, bool with_flags)
{
	const struct slice *argv = exec->argv + 2;
	uint32_t argc = exec->argc - 2;
	const struct command *command = call_row(exec, argv, argc);
	const char *wrong = NULL;
	if (!command)
		wrong = "Invalid command specified";
	else if (command->keys.first == 0 && !(command->flags & COMMAND_MOVABLE_KEYS))
		wrong = "The command has no key arguments";
	else if (!command_arity_fits(command, argc))
		wrong = "Invalid number of arguments specified for command";
	if (wrong)
		reply_error_fmt(exec->reply, "ERR %s", wrong);
	else
		say_keys(exec, command, argv, argc, with_flags);
	return OK;
}

static enum err run_command_getkeys(struct exec *exec) { return get_keys(exec, false); }
static enum err run_command_getkeysandflags(struct exec *exec) { return get_keys(exec, true); }

static enum err run_command_help(struct exec *exec)
{
	static const char *const lines[] = {
	        "(no subcommand)",
	        "    Return details about all Redis commands.",
	        "COUNT",
	        "    Return the total number of commands in this Redis server.",
	        "LIST",
	        "    Return a list of all commands in this Redis server.",
	        "INFO [<command-name> ...]",
	        "    Return details about multiple Redis commands.",
	        "    If no command names are given, documentation details for all",
	        "    commands are returned.",
	        "DOCS [<command-name> ...]",
	        "    Return documentation details about multiple Redis commands.",
	        "    If no command names are given, documentation details for all",
	        "    commands are returned.",
	        "GETKEYS <full-command>",
	        "    Return the keys from a full Redis command.",
	        "GETKEYSANDFLAGS <full-command>",
	        "    Return the keys and the access flags from a full Redis command.",
	        NULL,
	};
	return reply_help(exec, "COMMAND", lines);
}

/* ---- rows ------------------------------------------------------------------------- */

static const struct command_argument command_docs_args[] = {
        {"command-name", NULL, NULL, ARG_STRING, ARG_OPTIONAL | ARG_MULTIPLE},
        {0},
};

static const struct command_argument command_list_filterby_args[] = {
        {"module-name", "MODULE", NULL, ARG_STRING},
        {"category", "ACLCAT", NULL, ARG_STRING},
        {"pattern", "PATTERN", NULL, ARG_PATTERN},
        {0},
};

static const struct command_argument command_list_args[] = {
        {"filterby", "FILTERBY", NULL, ARG_ONEOF, ARG_OPTIONAL, command_list_filterby_args},
        {0},
};

static const struct command_history command_info_history[] = {
        {"7.0.0", "Allowed to be called with no argument to get info on all commands."},
        {0},
};

/* clang-format off */
const struct command introspection_rows[] = {
	/* name, arity, keys, flags, since, cost, summary, code, arguments */
	{"COUNT", 2, {0}, ROW_ALWAYS, "2.8.13", "O(1)", "How many commands there are.", run_command_count,
	 .categories = "connection"},
	{"DOCS", -2, {0}, ROW_ALWAYS, "7.0.0", "O(N) where N is the number of commands to look up",
	 "Documentation of commands.", run_command_docs, command_docs_args,
	 .tips = "nondeterministic_output_order", .categories = "connection"},
	{"GETKEYS", -4, {0}, ROW_ALWAYS, "2.8.13", "O(N) where N is the number of arguments to the command",
	 "The keys among the arguments of a command.", run_command_getkeys, .categories = "connection"},
	{"GETKEYSANDFLAGS", -4, {0}, ROW_ALWAYS, "7.0.0",
	 "O(N) where N is the number of arguments to the command",
	 "The keys among the arguments of a command, and what it does with them.", run_command_getkeysandflags,
	 .categories = "connection"},
	{"HELP", 2, {0}, ROW_ALWAYS, "5.0.0", "O(1)", "Explains the subcommands.", run_command_help,
	 .categories = "connection"},
	{"INFO", -2, {0}, ROW_ALWAYS, "2.8.13", "O(N) where N is the number of commands to look up",
	 "What is to know of commands before they are sent.", run_command_info, command_docs_args,
	 .history = command_info_history, .tips = "nondeterministic_output_order", .categories = "connection"},
	{"LIST", -2, {0}, ROW_ALWAYS, "7.0.0", "O(N) where N is the total number of Redis commands",
	 "The names of commands.", run_command_list, command_list_args, .tips = "nondeterministic_output_order",
	 .categories = "connection"},
	{0},
};
/* clang-format on */
