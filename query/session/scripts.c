#include "query/session/scripts.h"

#include "engine/base/buf.h"
#include "engine/base/rare.h"
#include "engine/core/core.h"
#include "engine/memory/memory.h"
#include "query/script/flags.h"
#include "query/session/luas.h"
#include "query/session/shebang.h"
#include "storage/keyspace/key.h"
#include "storage/keyspace/keyspace.h"

enum { CHAINS = 1024, PASSING_MAX = RARE(500, 3) };

struct scripts {
	struct core *core;
	struct script *by_name[CHAINS], *by_text[CHAINS];
	struct link passing; /* EVAL's, least recently used first */
	uint32_t n, n_passing;
	size_t text_bytes;
	struct luas *luas;
};

/* ---- life --------------------------------------------------------------------------- */

struct scripts *scripts_new(struct core *core)
{
	struct scripts *scripts = memory_zalloc(sizeof(*scripts));
	scripts->core = core;
	scripts->luas = luas_new(SCRIPTS_OF_EVAL);
	list_init(&scripts->passing);
	return scripts;
}

void scripts_free(struct scripts *scripts)
{
	if (!scripts)
		return;
	scripts_flush(scripts);
	luas_free(scripts->luas);
	memory_free(scripts);
}

/* ---- finding ------------------------------------------------------------------------ */

static uint64_t hash_of(const struct scripts *scripts, struct slice bytes)
{
	return key_hash(scripts->core->shard->hash_seed, bytes);
}

static struct script **chain_of_name(struct scripts *scripts, const char *name)
{
	return &scripts->by_name[hash_of(scripts, slice_of(name, SHA1_HEX)) % CHAINS];
}

static void was_used(struct scripts *scripts, struct script *script)
{
	if (script->stays)
		return;
	list_remove(&script->used);
	list_push_back(&scripts->passing, &script->used);
}

struct script *scripts_find(struct scripts *scripts, struct slice name)
{
	char lower[SHA1_HEX];
	if (name.len != SHA1_HEX)
		return NULL;
	for (size_t i = 0; i < SHA1_HEX; i++)
		lower[i] = (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 'a' - 'A' : name.ptr[i]);
	struct script *script = *chain_of_name(scripts, lower);
	while (script && memcmp(script->name, lower, SHA1_HEX) != 0)
		script = script->next_of_name;
	if (script)
		was_used(scripts, script);
	return script;
}

struct script *scripts_find_text(struct scripts *scripts, struct slice text)
{
	uint64_t hash = hash_of(scripts, text);
	struct script *script = scripts->by_text[hash % CHAINS];
	while (script && (script->text_hash != hash || !slice_equal(script->text, text)))
		script = script->next_of_text;
	if (script)
		was_used(scripts, script);
	return script;
}

/* ---- the first line ----------------------------------------------------------------- */

static bool add_flags(struct slice list, uint32_t *flags, struct buf *why)
{
	while (list.len > 0) {
		const uint8_t *comma = memchr(list.ptr, ',', list.len);
		size_t len = comma ? (size_t)(comma - list.ptr) : list.len;
		struct slice word = slice_sub(list, 0, len);
		uint32_t flag = script_flag_find(word, false);
		if (!flag) {
			buf_printf(why, "Unexpected flag in script shebang: %.*s", (int)word.len, word.ptr);
			return false;
		}
		*flags |= flag;
		list = slice_sub(list, comma ? len + 1 : len, list.len);
	}
	return true;
}

static bool read_option(struct slice word, uint32_t *flags, struct buf *why)
{
	if (word.len >= 6 && memcmp(word.ptr, "flags=", 6) == 0)
		return add_flags(slice_sub(word, 6, word.len), flags, why);
	buf_printf(why, "Unknown lua shebang option: %.*s", (int)word.len, word.ptr);
	return false;
}

/* "#!lua flags=no-writes,allow-oom". Sets where the script itself begins. */
static bool read_first_line(struct slice text, uint32_t *flags, uint32_t *body_at, struct buf *why)
{
	*flags = 0;
	*body_at = 0;
	if (text.len < 2 || memcmp(text.ptr, "#!", 2) != 0)
		return true;
	struct slice line;
	if (!shebang_line(text, &line, body_at)) {
		buf_append(why, S("Invalid script shebang"));
		return false;
	}
	cleanup(buf_fini) struct buf word = {0};
	enum shebang found = shebang_word(&line, &word);
	if (found == SHEBANG_WORD && !slice_equal(buf_slice(&word), S("#!lua"))) {
		buf_printf(why, "Unexpected engine in script shebang: %.*s", (int)word.len, word.ptr);
		return false;
	}
	*flags = SCRIPT_DECLARES;
	while (found == SHEBANG_WORD && (found = shebang_word(&line, &word)) == SHEBANG_WORD)
		if (!read_option(buf_slice(&word), flags, why))
			return false;
	if (found == SHEBANG_MALFORMED)
		buf_append(why, S("Invalid engine in script shebang"));
	return found == SHEBANG_END;
}

/* ---- coming and going --------------------------------------------------------------- */

static void unlink_script(struct scripts *scripts, struct script *script)
{
	struct script **at = chain_of_name(scripts, script->name);
	while (*at != script)
		at = &(*at)->next_of_name;
	*at = script->next_of_name;
	at = &scripts->by_text[script->text_hash % CHAINS];
	while (*at != script)
		at = &(*at)->next_of_text;
	*at = script->next_of_text;
	if (!script->stays) {
		list_remove(&script->used);
		scripts->n_passing--;
	}
	scripts->n--;
	scripts->text_bytes -= script->text.len;
}

static void forget(struct scripts *scripts, struct script *script)
{
	unlink_script(scripts, script);
	script->forgotten = true;
	if (script->users == 0) {
		luas_give_place(scripts->luas, script->place);
		memory_free(script);
	}
}

static void forget_old(struct scripts *scripts)
{
	while (scripts->n_passing > PASSING_MAX)
		forget(scripts, container_of(scripts->passing.next, struct script, used));
}

struct script *scripts_add(struct scripts *scripts, struct slice text, struct buf *why)
{
	uint32_t flags, body_at;
	if (!read_first_line(text, &flags, &body_at, why))
		return NULL;
	struct script *script = memory_zalloc(sizeof(*script) + text.len);
	if (text.len > 0)
		memcpy(script + 1, text.ptr, text.len);
	script->text = slice_of(script + 1, text.len);
	script->text_hash = hash_of(scripts, text);
	script->habits.flags = flags;
	script->body_at = body_at;
	script->place = luas_place(scripts->luas);
	sha1_hex(text, script->name);
	struct script **chain = chain_of_name(scripts, script->name);
	script->next_of_name = *chain;
	*chain = script;
	chain = &scripts->by_text[script->text_hash % CHAINS];
	script->next_of_text = *chain;
	*chain = script;
	scripts->n++;
	scripts->text_bytes += text.len;
	list_push_back(&scripts->passing, &script->used);
	scripts->n_passing++;
	script->users++;
	forget_old(scripts);
	script->users--;
	return script;
}

void scripts_keep(struct scripts *scripts, struct script *script)
{
	if (script->stays)
		return;
	list_remove(&script->used);
	scripts->n_passing--;
	script->stays = true;
}

void scripts_flush(struct scripts *scripts)
{
	for (uint32_t i = 0; i < CHAINS; i++)
		while (scripts->by_name[i])
			forget(scripts, scripts->by_name[i]);
	luas_renew(scripts->luas);
}

void script_hold(struct script *script) { script->users++; }

void script_let_go(struct scripts *scripts, struct script *script)
{
	assert(script->users > 0);
	if (--script->users > 0 || !script->forgotten)
		return;
	luas_give_place(scripts->luas, script->place);
	memory_free(script);
}

uint32_t scripts_names(const struct scripts *scripts, struct buf *names)
{
	list_each (link, &scripts->passing)
		buf_append(names, slice_of(container_of(link, struct script, used)->name, SHA1_HEX));
	return scripts->n - scripts->n_passing;
}

size_t scripts_memory(const struct scripts *scripts)
{
	return scripts->text_bytes + scripts->n * sizeof(struct script);
}

struct luas *scripts_luas(const struct scripts *scripts) { return scripts->luas; }

int script_function(struct lua *lua, const struct script *script, struct buf *error)
{
	int function = lua_find(lua, script->place);
	if (likely(function >= 0))
		return function;
	struct slice body = slice_sub(script->text, script->body_at, script->text.len);
	function = script_compile(lua_state_of(lua), body, error);
	if (function >= 0)
		lua_keep(lua, script->place, function);
	return function;
}
