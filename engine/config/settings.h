/* settings.h -- what can be set: one table for flags, environment, file and CONFIG.
 *
 * What      settings.def has a row for each setting: field, type, name, default, bounds,
 *           when it may change, and what it means. `maxmemory` is the flag --maxmemory,
 *           the variable ORBIT_MAXMEMORY, the file's line "maxmemory 100mb", and
 *           CONFIG GET maxmemory. Flags win over variables, variables over the file.
 * Owner     A version is immutable. CONFIG SET makes a new one (settings_copy, change,
 *           settings_check) and shows it to every core in turn (core->settings); the old
 *           one is freed when all have changed over. So a fiber reads core->settings anew
 *           after each wait. The first version stays its maker's; later ones are the
 *           command room's, which frees the last when core 0 ends.
 * Errors    A text for people that names the setting and what would be right.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct settings {
#define SETTING_INT(field, ...) int64_t field;
#define SETTING_OCTAL(field, ...) int64_t field; /* "700": permissions */
#define SETTING_SIZE(field, ...) uint64_t field; /* bytes; "100mb" */
#define SETTING_BOOL(field, ...) bool field;     /* yes, no */
#define SETTING_CHOICE(field, ...) int field;    /* one of a list of words: its index */
#define SETTING_TEXT(field, ...) char *field;    /* owned; "" by default */
#define SETTING_LETTERS(field, ...) uint32_t field; /* a set of letters: bit i for the i-th */
#include "engine/config/settings.def"
#undef SETTING_INT
#undef SETTING_OCTAL
#undef SETTING_SIZE
#undef SETTING_BOOL
#undef SETTING_CHOICE
#undef SETTING_TEXT
#undef SETTING_LETTERS
	char *file;       /* the configuration file it came from; NULL: none */
	uint64_t version; /* grows with each change: a core that has a newer one ignores an older */
};

enum setting_change {
	SETTING_AT_START, /* CONFIG SET refuses it as Redis refuses an immutable one */
	SETTING_LIVE,
};

enum setting_type {
	SETTING_IS_INT,
	SETTING_IS_OCTAL,
	SETTING_IS_SIZE,
	SETTING_IS_BOOL,
	SETTING_IS_CHOICE,
	SETTING_IS_TEXT,
	SETTING_IS_LETTERS
};

/* A row, for those that walk the table (CONFIG GET *, --help). */
struct setting {
	const char *name;
	enum setting_type type;
	enum setting_change change;
	const char *meaning;
	const char *choices; /* of SETTING_IS_CHOICE: its words, separated by spaces */
};

size_t settings_count(void);
const struct setting *setting_at(size_t i);
const struct setting *setting_find(struct slice name); /* any case; NULL: no such setting */

struct settings *settings_new(void) must_check; /* defaults */
struct settings *settings_copy(const struct settings *settings) must_check; /* the next version */
void settings_free(struct settings *settings);

/* Sets one value from its text; false with `why` ("argument must be between 1 and 64"),
 * in CONFIG SET's words. */
bool settings_set(struct settings *settings, const struct setting *setting, struct slice value, char *why,
		  size_t why_size) must_check;
void settings_get(const struct settings *settings, const struct setting *setting, struct buf *out);

/* Are the values sound together? False with `why` if not. */
bool settings_check(const struct settings *settings, char *why, size_t why_size) must_check;

/* Reads file, environment and flags ("--name value", "--name=value", and "--name" alone for
 * yes) over the defaults, and checks them. `argv` has the flags alone, without the program's
 * name; `environment` may be NULL. `--config FILE` or ORBIT_CONFIG names the file. Variables
 * that name no setting are left alone. False with `why` set. */
bool settings_load(struct settings *settings, int argc, char **argv, char *const *environment, char *why,
		   size_t why_size) must_check;

/* Rewrites `settings->file`: keeps its comments and order, changes what differs, appends
 * the rest that is not default (CONFIG REWRITE). The new text. */
void settings_rewrite(const struct settings *settings, struct slice old_text, struct buf *out);

/* For --help: every flag, its default and meaning. */
void settings_help(struct buf *out);
