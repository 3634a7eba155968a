/* functions.h -- the libraries that one core knows, and their functions.
 *
 * What      A library is a text that registers functions, and what it has registered. All cores know the same: a
 *           change reaches them behind the gate, as rows of the system partition that are durable by then. Each Lua
 *           loads a library when one of its functions first runs there.
 * Form      A library as bytes, in its row and on its way to other cores, numbers low byte first:
 *             name length 4 | name | text length 4 | text | for each function:
 *             flags 4 | described 1 | name length 4 | name | description length 4 | description
 * Owner     The core.
 */
#pragma once

#include "engine/base/list.h"
#include "engine/base/slice.h"
#include "query/session/luas.h"
#include "query/session/scripts.h"

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct core;

/* Rows are called so and the library's name. */
#define LIBRARY_ROW S("library:")

struct library;
struct function {
	struct function *next_of_name; /* in its chain */
	struct library *library;
	struct slice name, description;
	bool is_described;
	struct script_habits habits;
};

struct library {
	struct link all; /* oldest first */
	struct slice name, text;
	struct slice
	        form; /* all of it as bytes, which the others point into; lies behind the struct and its functions */
	uint32_t body_at; /* behind the first line */
	struct lua_place place;
	uint32_t users; /* runs of its functions, now */
	bool forgotten; /* known no more: goes with its last user */
	uint32_t n_functions;
	struct function functions[];
};

struct functions;
struct functions *functions_new(void) must_check;

/* Fiber code of core 0: all cores know the libraries that were there. False: a row is malformed; why. */
struct store;
bool functions_recover(struct core *core, struct store *store, char *why, size_t why_size) must_check;

void functions_free(struct functions *functions); /* NULL is fine */

/* In any case; NULL: there is none. */
struct function *functions_find(const struct functions *functions, struct slice name);
/* As it is written. */
struct library *functions_library(const struct functions *functions, struct slice name);

/* All of them, oldest first: of `struct library`, by `all`. */
const struct link *functions_libraries(const struct functions *functions);

/* A library comes, in the place of one of its name; false: these bytes are none, or a function of another library has
 * the name of one of its. */
bool functions_put(struct functions *functions, struct slice form) must_check;
void functions_delete(struct functions *functions, struct slice name);
void functions_flush(struct functions *functions);

/* What names a library, and what is wrong with a text that should. */
bool library_read_name(struct slice text, struct buf *name, struct buf *why);

/* Fiber code, on a deep stack: runs the text and appends the library's form. False: why. */
bool library_make(struct core *core, struct functions *functions, struct slice text, struct buf *form, struct buf *why);

/* Whoever looks at a function over a wait holds it. */
void function_hold(struct function *function);
void function_let_go(struct functions *functions, struct function *function);

struct luas *functions_luas(const struct functions *functions);
size_t functions_memory(const struct functions *functions); /* of libraries */
uint32_t functions_count(const struct functions *functions, uint32_t *libraries);

/* The functions of a library in this Lua, loaded if need be, asking `host` whether it may go on; -1: why. */
int function_reference(struct lua *lua, const struct library *library, struct script_host *host, struct buf *why);
