#include "query/session/functions.h"

#include "engine/base/buf.h"
#include "engine/core/core.h"
#include "engine/core/fiber.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "kernels/bytes.h"
#include "query/script/flags.h"
#include "query/session/shebang.h"

enum { CHAINS = 256, LOAD_NS_MAX = 500 * 1000 * 1000, LOAD_SLICE_NS = 200 * 1000 };

struct functions {
	struct function *by_name[CHAINS];
	struct link libraries;
	uint32_t n_libraries, n_functions;
	size_t bytes;
	struct luas *luas;
};

/* ---- life --------------------------------------------------------------------------- */

struct functions *functions_new(void)
{
	struct functions *functions = memory_zalloc(sizeof(*functions));
	list_init(&functions->libraries);
	functions->luas = luas_new(SCRIPTS_OF_LIBRARIES);
	return functions;
}

void functions_free(struct functions *functions)
{
	if (!functions)
		return;
	functions_flush(functions);
	luas_free(functions->luas);
	memory_free(functions);
}

struct luas *functions_luas(const struct functions *functions) { return functions->luas; }
size_t functions_memory(const struct functions *functions) { return functions->bytes; }
const struct link *functions_libraries(const struct functions *functions) { return &functions->libraries; }

uint32_t functions_count(const struct functions *functions, uint32_t *libraries)
{
	*libraries = functions->n_libraries;
	return functions->n_functions;
}

/* ---- finding ------------------------------------------------------------------------ */

/* FNV-1a of the name in lower case. Names are few, and whoever loads libraries chooses them. */
static uint32_t chain_of(struct slice name)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ ascii_lower(name.ptr[i])) * 16777619u;
	return hash % CHAINS;
}

struct function *functions_find(const struct functions *functions, struct slice name)
{
	struct function *function = functions->by_name[chain_of(name)];
	while (function && !slice_equal_nocase(function->name, name))
		function = function->next_of_name;
	return function;
}

struct library *functions_library(const struct functions *functions, struct slice name)
{
	list_each (link, &functions->libraries) {
		struct library *library = container_of(link, struct library, all);
		if (slice_equal(library->name, name))
			return library;
	}
	return NULL;
}

/* ---- the first line ----------------------------------------------------------------- */

/* "name=x"; in `name`. */
static bool read_word(struct slice word, struct buf *name, struct buf *why)
{
	if (word.len < 5 || !slice_equal_nocase(slice_sub(word, 0, 5), S("name="))) {
		buf_printf(why, "Invalid metadata value given: %.*s", (int)word.len, word.ptr);
		return false;
	}
	if (name->len > 0) {
		buf_append(why, S("Invalid metadata value, name argument was given multiple times"));
		return false;
	}
	buf_append(name, word); /* as a whole: it may be "" */
	return true;
}

static bool read_words(struct slice line, struct buf *engine, struct buf *name, struct buf *why)
{
	cleanup(buf_fini) struct buf word = {0};
	enum shebang found = shebang_word(&line, engine);
	name->len = 0;
	while (found == SHEBANG_WORD && (found = shebang_word(&line, &word)) == SHEBANG_WORD)
		if (!read_word(buf_slice(&word), name, why))
			return false;
	if (found == SHEBANG_MALFORMED) {
		buf_append(why, S("Invalid library metadata"));
		return false;
	}
	if (name->len == 0) {
		buf_append(why, S("Library name was not given"));
		return false;
	}
	buf_drop(name, 5);
	buf_drop(engine, 2);
	return true;
}

bool library_read_name(struct slice text, struct buf *name, struct buf *why)
{
	struct slice line;
	uint32_t body_at;
	cleanup(buf_fini) struct buf engine = {0};
	if (text.len < 2 || memcmp(text.ptr, "#!", 2) != 0) {
		buf_append(why, S("Missing library metadata"));
		return false;
	}
	if (!shebang_line(text, &line, &body_at)) {
		buf_append(why, S("Invalid library metadata"));
		return false;
	}
	if (!read_words(line, &engine, name, why))
		return false;
	if (!script_name_is_sound(buf_slice(name))) {
		buf_append(why, S(SCRIPT_NAME_RULE));
		return false;
	}
	if (!slice_equal_nocase(buf_slice(&engine), S("lua"))) {
		buf_printf(why, "Engine '%.*s' not found", (int)engine.len, engine.ptr);
		return false;
	}
	return true;
}

/* ---- making ------------------------------------------------------------------------- */

struct loading {
	struct script_loader loader;
	struct script_host host;
	struct core *core;
	struct buf *form;
	uint32_t n_functions;
	uint64_t began_ns, slice_ns;
};

static bool go_on(struct script_host *host)
{
	struct loading *loading = container_of(host, struct loading, host);
	uint64_t now_ns = io_now_ns(loading->core->io);
	if (now_ns - loading->slice_ns >= LOAD_SLICE_NS) {
		fiber_yield(loading->core);
		loading->slice_ns = io_now_ns(loading->core->io);
	}
	return now_ns - loading->began_ns < LOAD_NS_MAX && !loading->core->stopping;
}

static void say_log(struct script_host *host, int level, struct slice text) { script_log(level, text); }

static void put_number(struct buf *form, uint32_t value) { buf_append(form, slice_of(&value, sizeof(value))); }

static void put_text(struct buf *form, struct slice text)
{
	put_number(form, (uint32_t)text.len);
	buf_append(form, text);
}

static void registered(struct script_loader *loader, const struct script_function *function)
{
	struct loading *loading = container_of(loader, struct loading, loader);
	put_number(loading->form, function->flags);
	buf_byte(loading->form, function->is_described);
	put_text(loading->form, function->name);
	put_text(loading->form, function->description);
	loading->n_functions++;
}

bool library_make(struct core *core, struct functions *functions, struct slice text, struct buf *form, struct buf *why)
{
	struct slice line;
	uint32_t body_at;
	cleanup(buf_fini) struct buf name = {0};
	if (!library_read_name(text, &name, why))
		return false;
	(void)shebang_line(text, &line, &body_at);
	struct loading loading = {.host = {.go_on = go_on, .log = say_log}, .core = core, .form = form};
	loading.loader = (struct script_loader){.host = &loading.host, .registered = registered};
	loading.began_ns = loading.slice_ns = io_now_ns(core->io);
	put_text(form, buf_slice(&name));
	put_text(form, text);
	struct lua *lua = luas_take(functions->luas);
	int loaded = script_load_library(lua_state_of(lua), slice_sub(text, body_at, text.len), &loading.loader, why);
	if (loaded >= 0)
		script_forget(lua_state_of(lua), loaded);
	luas_give(functions->luas, lua);
	if (loaded >= 0 && loading.n_functions == 0)
		buf_append(why, S("No functions registered"));
	return loaded >= 0 && loading.n_functions > 0;
}

static void nothing(struct script_loader *loader, const struct script_function *function) {}

int function_reference(struct lua *lua, const struct library *library, struct script_host *host, struct buf *why)
{
	int loaded = lua_find(lua, library->place);
	if (likely(loaded >= 0))
		return loaded;
	struct script_loader loader = {.host = host, .registered = nothing};
	struct slice body = slice_sub(library->text, library->body_at, library->text.len);
	loaded = script_load_library(lua_state_of(lua), body, &loader, why);
	if (loaded >= 0)
		lua_keep(lua, library->place, loaded);
	return loaded;
}

/* ---- from bytes --------------------------------------------------------------------- */

static bool take_number(struct slice *in, uint32_t *out)
{
	uint8_t bytes[sizeof(*out)];
	if (!slice_take(in, bytes, sizeof(bytes)))
		return false;
	*out = load_u32(bytes);
	return true;
}

static bool take_text(struct slice *in, struct slice *out)
{
	uint32_t len;
	if (!take_number(in, &len) || len > in->len)
		return false;
	*out = slice_sub(*in, 0, len);
	*in = slice_sub(*in, len, in->len);
	return true;
}

static bool take_function(struct slice *in, struct function *out)
{
	uint8_t described;
	if (!take_number(in, &out->habits.flags) || !slice_take(in, &described, 1) || described > 1 ||
	    !take_text(in, &out->name) || !take_text(in, &out->description))
		return false;
	out->is_described = described;
	return script_name_is_sound(out->name) && out->habits.flags < SCRIPT_DECLARES;
}

/* Name and text, and what is behind them. */
static bool take_head(struct slice *in, struct library *out)
{
	struct slice line;
	cleanup(buf_fini) struct buf name = {0}, why = {0};
	return take_text(in, &out->name) && take_text(in, &out->text) && library_read_name(out->text, &name, &why) &&
	       slice_equal(buf_slice(&name), out->name) && shebang_line(out->text, &line, &out->body_at);
}

/* How many functions these bytes hold; 0: they are malformed. */
static uint32_t count_functions(struct slice in)
{
	struct function function;
	uint32_t n = 0;
	while (in.len > 0) {
		if (!take_function(&in, &function))
			return 0;
		n++;
	}
	return n;
}

static struct library *library_read(struct slice form)
{
	struct library head = {0};
	struct slice rest = form;
	uint32_t n = take_head(&rest, &head) ? count_functions(rest) : 0;
	if (n == 0)
		return NULL;
	size_t size = sizeof(struct library) + n * sizeof(struct function);
	struct library *library = memory_zalloc(size + form.len);
	memcpy((uint8_t *)library + size, form.ptr, form.len);
	library->form = rest = slice_of((uint8_t *)library + size, form.len);
	library->n_functions = n;
	bool sound = take_head(&rest, library);
	for (uint32_t i = 0; i < n; i++) {
		sound &= take_function(&rest, &library->functions[i]);
		library->functions[i].library = library;
		library->functions[i].habits.flags |= SCRIPT_DECLARES;
	}
	assert(sound);
	return library;
}

/* ---- coming and going --------------------------------------------------------------- */

static void drop(struct functions *functions, struct library *library)
{
	luas_give_place(functions->luas, library->place);
	memory_free(library);
}

static void unlink_function(struct functions *functions, struct function *function)
{
	struct function **at = &functions->by_name[chain_of(function->name)];
	while (*at != function)
		at = &(*at)->next_of_name;
	*at = function->next_of_name;
}

static size_t size_of(const struct library *library)
{
	return sizeof(*library) + library->n_functions * sizeof(struct function) + library->form.len;
}

static void forget(struct functions *functions, struct library *library)
{
	for (uint32_t i = 0; i < library->n_functions; i++)
		unlink_function(functions, &library->functions[i]);
	list_remove(&library->all);
	functions->n_libraries--;
	functions->n_functions -= library->n_functions;
	functions->bytes -= size_of(library);
	library->forgotten = true;
	if (library->users == 0)
		drop(functions, library);
}

/* True: all of its functions' names are its own now. */
static bool link_functions(struct functions *functions, struct library *library)
{
	for (uint32_t i = 0; i < library->n_functions; i++) {
		struct function *function = &library->functions[i];
		if (functions_find(functions, function->name)) {
			while (i-- > 0)
				unlink_function(functions, &library->functions[i]);
			return false;
		}
		struct function **chain = &functions->by_name[chain_of(function->name)];
		function->next_of_name = *chain;
		*chain = function;
	}
	return true;
}

bool functions_put(struct functions *functions, struct slice form)
{
	struct library *library = library_read(form);
	if (!library)
		return false;
	functions_delete(functions, library->name);
	if (!link_functions(functions, library)) {
		memory_free(library);
		return false;
	}
	library->place = luas_place(functions->luas);
	list_push_back(&functions->libraries, &library->all);
	functions->n_libraries++;
	functions->n_functions += library->n_functions;
	functions->bytes += size_of(library);
	return true;
}

void functions_delete(struct functions *functions, struct slice name)
{
	struct library *library = functions_library(functions, name);
	if (library)
		forget(functions, library);
}

void functions_flush(struct functions *functions)
{
	while (!list_empty(&functions->libraries))
		forget(functions, container_of(functions->libraries.next, struct library, all));
	luas_renew(functions->luas);
}

void function_hold(struct function *function) { function->library->users++; }

void function_let_go(struct functions *functions, struct function *function)
{
	struct library *library = function->library;
	assert(library->users > 0);
	if (--library->users == 0 && library->forgotten)
		drop(functions, library);
}
