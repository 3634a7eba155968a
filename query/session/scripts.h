/* scripts.h -- the scripts that one core knows, and the Luas that run them.
 *
 * What      A script is its text, known by its SHA-1. Those that EVAL brought go when they are many and have not been
 *           used for long; those of SCRIPT LOAD stay until SCRIPT FLUSH. Each Lua compiles a script when it first
 *           runs it.
 * Owner     The core. Texts are copied between cores, never shared.
 */
#pragma once

#include "engine/base/list.h"
#include "engine/base/slice.h"
#include "query/script/sha1.h"
#include "query/session/luas.h"

#include <stdbool.h>
#include <stdint.h>

struct core;
struct buf;

/* What is known of a script, or of a function. */
struct script_habits {
	uint32_t flags; /* query/script/flags.h */
	uint64_t runs;
	bool strays;    /* it has touched what it did not declare */
	bool needs_all; /* and what others held then, in the midst of changes */
};

struct script {
	struct script *next_of_name, *next_of_text; /* in their chains */
	struct link used;                           /* among those that may go, oldest use first */
	char name[SHA1_HEX + 1];
	uint64_t text_hash;
	struct lua_place place;
	struct slice text; /* lies behind the struct */
	uint32_t body_at;  /* behind the first line, if that says flags */
	struct script_habits habits;
	uint32_t users; /* runs of it, now */
	bool stays;     /* SCRIPT LOAD */
	bool forgotten; /* known no more: goes with its last user */
};

struct scripts;
struct scripts *scripts_new(struct core *core) must_check;
void scripts_free(struct scripts *scripts);

/* By its SHA-1 (any case) or its text; NULL: not known here. */
struct script *scripts_find(struct scripts *scripts, struct slice name);
struct script *scripts_find_text(struct scripts *scripts, struct slice text);

/* Makes a script known that is not. NULL: its first line makes no sense, *why says so (to be freed by buf_fini()). */
struct script *scripts_add(struct scripts *scripts, struct slice text, struct buf *why);

void scripts_keep(struct scripts *scripts, struct script *script); /* until SCRIPT FLUSH */
void scripts_flush(struct scripts *scripts);

/* Whoever looks at a script over a wait holds it. */
void script_hold(struct script *script);
void script_let_go(struct scripts *scripts, struct script *script);

/* How many stay, which all cores know; the names of the others are added, SHA1_HEX bytes each. */
uint32_t scripts_names(const struct scripts *scripts, struct buf *names);
size_t scripts_memory(const struct scripts *scripts); /* of texts */

struct luas *scripts_luas(const struct scripts *scripts);

/* The script's function in this Lua, compiled if need be; -1 with what the compiler says in `error`. */
int script_function(struct lua *lua, const struct script *script, struct buf *error);
