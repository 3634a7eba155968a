/* state.h -- one Lua 5.1 that runs Redis' scripts, behind their sandbox.
 *
 * What      Globals are those of Redis 7.0, read-only and shared by all scripts that run here; a script's own
 *           variables die with it. No files, no clock, no bytecode; memory is bounded. Commands are the host's:
 *           a script reaches nothing but what `struct script_host` gives it.
 * Where     Whoever calls has SCRIPT_STACK bytes of stack: Lua's own depth is bounded by them, not by the script.
 * Owner     One core, one script at a time. While a command runs, the host may wait, and others use other states.
 * Errors    Said as replies, in Redis' words. Nothing that a script does raises an error out of these functions.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reply;
struct script_state;

enum { SCRIPT_STACK = 8 * 1024 * 1024, SCRIPT_MEMORY_MAX = 256 * 1024 * 1024 };

/* Whose code runs in a Lua: the globals differ. */
enum script_source { SCRIPTS_OF_EVAL, SCRIPTS_OF_LIBRARIES };

/* Who runs a script. */
struct script_host {
	/* Runs a command and says its answer. False: the script is to end at once, its answer is not wanted. */
	bool (*call)(struct script_host *host, const struct slice *argv, uint32_t argc, uint8_t resp,
	             struct reply *reply);
	/* Asked every few microseconds of the script's own work. False: it was killed. */
	bool (*go_on)(struct script_host *host);
	void (*log)(struct script_host *host, int level, struct slice text); /* level as in redis.LOG_... */
	bool (*knows)(struct script_host *host, const struct slice *argv, uint32_t argc); /* such a command */
};

struct script_call {
	int function;        /* script_compile()'s; or script_load_library()'s, */
	struct slice member; /* whose function has this name */
	struct slice name;   /* for errors */
	const struct slice *keys, *args;
	uint32_t n_keys, n_args;
	uint64_t seed; /* of math.random */
	struct script_host *host;
};

struct script_state *script_state_new(enum script_source source) must_check;
void script_state_free(struct script_state *state); /* NULL is fine; runs nothing */
size_t script_state_memory(const struct script_state *state);

/* Should it rather be freed than used again? */
bool script_state_is_spent(const struct script_state *state);

/* Text to a function of this state; -1 with why in `error`. */
int script_compile(struct script_state *state, struct slice text, struct buf *error);
void script_forget(struct script_state *state, int function);

/* A function that a library registers. */
struct script_function {
	struct slice name, description;
	bool is_described;
	uint32_t flags; /* query/script/flags.h */
};

/* Who loads a library. Its host is asked whether it may go on, and to log; there are no commands. */
struct script_loader {
	struct script_host *host;
	void (*registered)(struct script_loader *loader, const struct script_function *function);
};

/* Runs a library's text, without its first line's words; a reference to its functions by name, for script_run() and
 * script_forget(). -1: with why in `error`. */
int script_load_library(struct script_state *state, struct slice text, struct script_loader *loader, struct buf *error);

/* Letters, digits and underscores: the names of libraries and functions. */
bool script_name_is_sound(struct slice name);
#define SCRIPT_NAME_RULE                                                                               \
	"Library names can only contain letters, numbers, or underscores(_) and must be at least one " \
	"character long"

/* Runs a function; appends what it returned to a record (values.h). False: the host ended it, nothing is there. */
bool script_run(struct script_state *state, const struct script_call *call, struct buf *answer);
