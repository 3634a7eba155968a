/* client_tracking.c -- CLIENT TRACKING and what goes with it, in Redis' words. */
#include "engine/memory/memory.h"
#include "query/commands/rows_private.h"
#include "query/commands/tracking.h"
#include "query/session/session.h"

/* ---- CLIENT TRACKING -------------------------------------------------------------- */

/* What was asked for; `prefixes` is room for as many as there are arguments. */
struct asked {
	struct tracking_choice choice;
	struct slice *prefixes;
};

static bool refuse(struct exec *exec, const char *why)
{
	reply_error_fmt(exec->reply, "ERR %s", why);
	return false;
}

static bool redirect_option(struct exec *exec, uint32_t at, struct asked *asked)
{
	int64_t id;
	if (asked->choice.redirect != 0)
		return refuse(exec, "A client can only redirect to a single other client");
	enum err err = exec_integer(exec, at, &id);
	if (err != OK) {
		reply_err(exec->reply, err);
		return false;
	}
	if (!tracking_client_lives(exec->core, (uint64_t)id))
		return refuse(exec, "The client ID you want redirect to does not exist");
	asked->choice.redirect = (uint64_t)id;
	return true;
}

static bool options(struct exec *exec, struct asked *asked)
{
	static const struct {
		struct slice word;
		enum tracking_options option;
	} words[] = {
	        {{(const uint8_t *)"BCAST", 5}, TRACKING_BROADCAST},
	        {{(const uint8_t *)"OPTIN", 5}, TRACKING_OPT_IN},
	        {{(const uint8_t *)"OPTOUT", 6}, TRACKING_OPT_OUT},
	        {{(const uint8_t *)"NOLOOP", 6}, TRACKING_NO_LOOP},
	};
	for (uint32_t at = 3; at < exec->argc; at++) {
		bool more = at + 1 < exec->argc;
		uint32_t before = asked->choice.options;
		if (exec_is(exec, at, S("REDIRECT")) && more) {
			if (!redirect_option(exec, ++at, asked))
				return false;
			continue;
		}
		if (exec_is(exec, at, S("PREFIX")) && more) {
			asked->prefixes[asked->choice.n_prefixes++] = exec->argv[++at];
			continue;
		}
		size_t word = 0;
		while (word < array_len(words) && !exec_is(exec, at, words[word].word))
			word++;
		if (word == array_len(words)) {
			reply_err(exec->reply, ERR_SYNTAX);
			return false;
		}
		asked->choice.options = before | words[word].option;
	}
	return true;
}

static bool overlap(struct slice one, struct slice other)
{
	size_t n = one.len < other.len ? one.len : other.len;
	return slice_equal(slice_sub(one, 0, n), slice_sub(other, 0, n));
}

struct collision {
	struct slice prefix;
	struct slice with; /* ptr NULL: none */
};

static void look_for_collision(void *arg, struct slice prefix)
{
	struct collision *collision = arg;
	if (!collision->with.ptr && overlap(prefix, collision->prefix))
		collision->with = prefix;
}

static bool refuse_overlap(struct exec *exec, struct slice one, const char *what, struct slice other)
{
	reply_error_fmt(exec->reply,
	                "ERR Prefix '%.*s' overlaps with %s prefix '%.*s'. Prefixes for a single client must not "
	                "overlap.",
	                (int)one.len, one.ptr, what, (int)other.len, other.ptr);
	return false;
}

static bool prefixes_apart(struct exec *exec, const struct tracking_choice *choice)
{
	for (uint32_t i = 0; i < choice->n_prefixes; i++) {
		struct collision collision = {.prefix = choice->prefixes[i]};
		tracking_each_prefix(exec->session, look_for_collision, &collision);
		if (collision.with.ptr)
			return refuse_overlap(exec, collision.prefix, "an existing", collision.with);
		for (uint32_t j = i + 1; j < choice->n_prefixes; j++)
			if (overlap(choice->prefixes[i], choice->prefixes[j]))
				return refuse_overlap(exec, choice->prefixes[i], "another provided",
				                      choice->prefixes[j]);
	}
	return true;
}

/* Do the options fit together, and with how the client tracks already? */
static bool fits(struct exec *exec, const struct tracking_choice *choice)
{
	uint32_t options = choice->options, before = tracking_options(exec->session);
	uint32_t opts = TRACKING_OPT_IN | TRACKING_OPT_OUT;
	if (!(options & TRACKING_BROADCAST) && choice->n_prefixes > 0)
		return refuse(exec, "PREFIX option requires BCAST mode to be enabled");
	if (tracking_is_on(exec->session) && (options ^ before) & TRACKING_BROADCAST)
		return refuse(exec, "You can't switch BCAST mode on/off before disabling tracking for this client, and "
		                    "then re-enabling it with a different mode.");
	if (options & TRACKING_BROADCAST && options & opts)
		return refuse(exec, "OPTIN and OPTOUT are not compatible with BCAST");
	if ((options & opts) == opts)
		return refuse(exec, "You can't specify both OPTIN mode and OPTOUT mode");
	if (((options | before) & opts) == opts)
		return refuse(exec, "You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
		                    "then re-enabling it with a different mode.");
	return !(options & TRACKING_BROADCAST) || prefixes_apart(exec, choice);
}

enum err run_client_tracking(struct exec *exec)
{
	struct asked asked = {0};
	asked.prefixes = memory_alloc(exec->argc * sizeof(*asked.prefixes));
	asked.choice.prefixes = asked.prefixes;
	bool on = exec_is(exec, 2, S("ON")), ok = options(exec, &asked);
	if (ok && !on && !exec_is(exec, 2, S("OFF"))) {
		reply_err(exec->reply, ERR_SYNTAX);
		ok = false;
	}
	if (ok && on && (ok = fits(exec, &asked.choice)))
		tracking_begin(exec->session, &asked.choice);
	else if (ok)
		tracking_end(exec->session);
	if (ok)
		reply_ok(exec->reply);
	memory_free(asked.prefixes);
	return OK;
}

/* ---- the others ------------------------------------------------------------------- */

enum err run_client_caching(struct exec *exec)
{
	uint32_t options = tracking_options(exec->session);
	bool yes = exec_is(exec, 2, S("YES"));
	const char *wrong = NULL;
	if (!tracking_is_on(exec->session))
		wrong = "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT "
		        "mode enabled";
	else if (!yes && !exec_is(exec, 2, S("NO")))
		return ERR_SYNTAX;
	else if (yes && !(options & TRACKING_OPT_IN))
		wrong = "CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
	else if (!yes && !(options & TRACKING_OPT_OUT))
		wrong = "CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
	if (wrong) {
		reply_error_fmt(exec->reply, "ERR %s", wrong);
		return OK;
	}
	exec->session->flags |= SESSION_CACHING;
	reply_ok(exec->reply);
	return OK;
}

/* As Redis: 0 is itself, -1 that it does not track. */
static int64_t redirect_of(const struct session *session)
{
	return tracking_is_on(session) ? (int64_t)tracking_redirect(session) : -1;
}

enum err run_client_getredir(struct exec *exec)
{
	reply_integer(exec->reply, redirect_of(exec->session));
	return OK;
}

static void say_prefix(void *arg, struct slice prefix) { reply_bulk(arg, prefix); }

enum err run_client_trackinginfo(struct exec *exec)
{
	const struct session *session = exec->session;
	struct reply *reply = exec->reply;
	uint32_t options = tracking_options(session);
	bool caching = session->flags & SESSION_CACHING;
	const char *words[8];
	size_t n = 0;
	words[n++] = tracking_is_on(session) ? "on" : "off";
	if (options & TRACKING_BROADCAST)
		words[n++] = "bcast";
	if (options & TRACKING_OPT_IN)
		words[n++] = "optin";
	if (options & TRACKING_OPT_IN && caching)
		words[n++] = "caching-yes";
	if (options & TRACKING_OPT_OUT)
		words[n++] = "optout";
	if (options & TRACKING_OPT_OUT && caching)
		words[n++] = "caching-no";
	if (options & TRACKING_NO_LOOP)
		words[n++] = "noloop";
	if (tracking_is_broken(session))
		words[n++] = "broken_redirect";
	reply_map(reply, 3);
	reply_str(reply, "flags");
	reply_set(reply, n);
	for (size_t i = 0; i < n; i++)
		reply_str(reply, words[i]);
	reply_str(reply, "redirect");
	reply_integer(reply, redirect_of(session));
	reply_str(reply, "prefixes");
	reply_array(reply, tracking_count_prefixes(session));
	tracking_each_prefix(session, say_prefix, reply);
	return OK;
}

/* As Redis: of all commands only CLIENT's own do not use it up. */
void tracking_caching_over(struct session *session, const struct command *command)
{
	for (const struct command *row = client_rows; row->name; row++)
		if (command == row)
			return;
	session->flags &= ~(uint32_t)SESSION_CACHING;
}
