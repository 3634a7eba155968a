/* load.c -- settings from a file's lines, from variables and from flags; and back to a file.
 *
 * A line is "name value ...", with words in "double quotes" (\n \r \t \b \a \xHH \" \\) or
 * 'single quotes' (\') as Redis' files have them; a # begins a comment line.
 */
#include "engine/config/settings.h"
#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <stdio.h>

enum {
	FILE_BYTES_MAX = 1024 * 1024,
	NAME_BYTES_MAX = 64, /* of a name that is compared with the known ones */
	VALUE_WHY_SIZE = 512,
};

static void say(char *why, size_t why_size, const char *format, ...) printf_like(3, 4);
static void say(char *why, size_t why_size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, why_size, format, args);
	va_end(args);
}

/* ---- unknown names ---------------------------------------------------------------- */

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

/* Insertions, deletions and replacements between two names of at most NAME_BYTES_MAX. */
static size_t name_distance(struct slice a, struct slice b)
{
	size_t row[NAME_BYTES_MAX + 1];
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t above = row[j];
			bool same = ascii_lower(a.ptr[i - 1]) == ascii_lower(b.ptr[j - 1]);
			row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + !same);
			diagonal = above;
		}
	}
	return row[b.len];
}

/* Far-off words are no help: at most a third of the letters may differ. */
static const struct setting *nearest_setting(struct slice name)
{
	if (name.len > NAME_BYTES_MAX)
		return NULL;
	const struct setting *nearest = NULL;
	size_t least = name.len / 3 + 2;
	for (size_t i = 0; i < settings_count(); i++) {
		size_t distance = name_distance(name, slice_from_str(setting_at(i)->name));
		if (distance < least) {
			least = distance;
			nearest = setting_at(i);
		}
	}
	return nearest;
}

static const struct setting *known_setting(struct slice name, char *why, size_t why_size)
{
	const struct setting *setting = setting_find(name);
	if (setting)
		return setting;
	const struct setting *nearest = nearest_setting(name);
	int shown = name.len < 128 ? (int)name.len : 128;
	if (nearest)
		say(why, why_size, "unknown setting '%.*s' (did you mean '%s'?)", shown, name.ptr, nearest->name);
	else
		say(why, why_size, "unknown setting '%.*s'", shown, name.ptr);
	return NULL;
}

static bool set_named(struct settings *settings, const struct setting *setting, struct slice value, char *why,
                      size_t why_size)
{
	char wrong[VALUE_WHY_SIZE];
	if (settings_set(settings, setting, value, wrong, sizeof(wrong)))
		return true;
	say(why, why_size, "%s: %s", setting->name, wrong);
	return false;
}

/* ---- lines ------------------------------------------------------------------------ */

static bool is_space(uint8_t c) { return c == ' ' || c == '\t' || c == '\r'; }

/* The character that a backslash and what follows it stand for; `at` goes past them. */
static uint8_t escaped(struct slice line, size_t *at)
{
	uint8_t c = line.ptr[*at + 1];
	if (c == 'x' && *at + 3 < line.len) {
		int high = hex_digit(line.ptr[*at + 2]), low = hex_digit(line.ptr[*at + 3]);
		if (high >= 0 && low >= 0) {
			*at += 4;
			return (uint8_t)(high * 16 + low);
		}
	}
	*at += 2;
	switch (c) {
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'b':
		return '\b';
	case 'a':
		return '\a';
	default:
		return c;
	}
}

/* Reads a quoted word from its opening quote; false if it does not end, or ends amid text. */
static bool quoted_word(struct slice line, size_t *at, struct buf *out)
{
	uint8_t quote = line.ptr[(*at)++];
	while (*at < line.len) {
		uint8_t c = line.ptr[*at];
		if (c == quote) {
			(*at)++;
			return *at == line.len || is_space(line.ptr[*at]);
		}
		bool escape = c == '\\' && *at + 1 < line.len && (quote == '"' || line.ptr[*at + 1] == '\'');
		if (escape) {
			buf_byte(out, escaped(line, at));
		} else {
			buf_byte(out, c);
			(*at)++;
		}
	}
	return false;
}

/* One word into `out`, with the spaces before it skipped. `none` if the line is at its end. */
static bool line_word(struct slice line, size_t *at, struct buf *out, bool *none)
{
	while (*at < line.len && is_space(line.ptr[*at]))
		(*at)++;
	*none = *at == line.len;
	if (*none)
		return true;
	if (line.ptr[*at] == '"' || line.ptr[*at] == '\'')
		return quoted_word(line, at, out);
	for (; *at < line.len && !is_space(line.ptr[*at]); (*at)++)
		buf_byte(out, line.ptr[*at]);
	return true;
}

/* A line taken apart. Words after the first are one value, joined by single spaces. */
struct line {
	bool blank; /* nothing, or a comment */
	struct buf name, value;
	uint32_t n_values;
};

static void line_fini(struct line *line)
{
	buf_fini(&line->name);
	buf_fini(&line->value);
}

static bool line_parse(struct slice text, struct line *out)
{
	*out = (struct line){0};
	size_t at = 0;
	while (at < text.len && is_space(text.ptr[at]))
		at++;
	out->blank = at == text.len || text.ptr[at] == '#';
	if (out->blank)
		return true;
	bool none;
	if (!line_word(text, &at, &out->name, &none))
		return false;
	for (;;) {
		struct buf word = {0};
		bool sound = line_word(text, &at, &word, &none);
		if (sound && !none) {
			if (out->n_values++ > 0)
				buf_byte(&out->value, ' ');
			buf_append(&out->value, buf_slice(&word));
		}
		buf_fini(&word);
		if (!sound || none)
			return sound;
	}
}

/* The next line without its end; `text` goes past it. False when there is none. */
static bool next_line(struct slice *text, struct slice *out)
{
	if (text->len == 0)
		return false;
	const uint8_t *end = memchr(text->ptr, '\n', text->len);
	size_t len = end ? (size_t)(end - text->ptr) : text->len;
	*out = slice_sub(*text, 0, len);
	*text = slice_sub(*text, end ? len + 1 : len, text->len);
	return true;
}

static bool take_line(struct settings *settings, struct slice text, char *why, size_t why_size)
{
	cleanup(line_fini) struct line line;
	if (!line_parse(text, &line)) {
		say(why, why_size, "unbalanced quotes");
		return false;
	}
	if (line.blank)
		return true;
	const struct setting *setting = known_setting(buf_slice(&line.name), why, why_size);
	if (!setting)
		return false;
	if (line.n_values == 0) {
		say(why, why_size, "%s needs a value", setting->name);
		return false;
	}
	return set_named(settings, setting, buf_slice(&line.value), why, why_size);
}

static bool load_file(struct settings *settings, const char *path, char *why, size_t why_size)
{
	cleanup(buf_fini) struct buf content = {0};
	int result = os_file_load(path, FILE_BYTES_MAX, &content);
	if (result < 0) {
		say(why, why_size, "cannot read the configuration file '%s': %s", path, strerror(-result));
		return false;
	}
	size_t len = strlen(path);
	memory_free(settings->file);
	settings->file = memcpy(memory_alloc(len + 1), path, len + 1);

	struct slice rest = buf_slice(&content), text;
	for (unsigned number = 1; next_line(&rest, &text); number++) {
		char wrong[VALUE_WHY_SIZE + NAME_BYTES_MAX];
		if (take_line(settings, text, wrong, sizeof(wrong)))
			continue;
		say(why, why_size, "%s:%u: %s", path, number, wrong);
		return false;
	}
	return true;
}

/* ---- variables -------------------------------------------------------------------- */

static const char variable_prefix[] = "ORBIT_";

/* "ORBIT_DATA_DIR=x" as "data-dir" and "x"; false if it is none of ours. */
static bool variable_split(const char *variable, char name[NAME_BYTES_MAX], struct slice *value)
{
	if (strncmp(variable, variable_prefix, sizeof(variable_prefix) - 1) != 0)
		return false;
	const char *from = variable + sizeof(variable_prefix) - 1, *equals = strchr(from, '=');
	if (!equals || equals - from >= NAME_BYTES_MAX)
		return false;
	size_t len = (size_t)(equals - from);
	for (size_t i = 0; i < len; i++)
		name[i] = from[i] == '_' ? '-' : (char)ascii_lower((uint8_t)from[i]);
	name[len] = 0;
	*value = slice_from_str(equals + 1);
	return true;
}

/* An empty variable is one that was not given: compose files leave them so. Variables with
 * our prefix but no setting's name come from elsewhere (service links), and are no error. */
static bool load_environment(struct settings *settings, char *const *environment, char *why, size_t why_size)
{
	for (char *const *at = environment; at && *at; at++) {
		char name[NAME_BYTES_MAX];
		struct slice value;
		if (!variable_split(*at, name, &value) || value.len == 0)
			continue;
		const struct setting *setting = setting_find(slice_from_str(name));
		if (!setting)
			continue;
		char wrong[VALUE_WHY_SIZE];
		if (set_named(settings, setting, value, wrong, sizeof(wrong)))
			continue;
		say(why, why_size, "in the environment: %s", wrong);
		return false;
	}
	return true;
}

static const char *environment_config(char *const *environment)
{
	static const char prefix[] = "ORBIT_CONFIG=";
	for (char *const *at = environment; at && *at; at++)
		if (strncmp(*at, prefix, sizeof(prefix) - 1) == 0 && (*at)[sizeof(prefix) - 1])
			return *at + sizeof(prefix) - 1;
	return NULL;
}

/* ---- flags ------------------------------------------------------------------------ */

struct flag {
	struct slice name;
	const char *value; /* NULL: given alone */
};

/* The flag at argv[*at], which goes past it. A value that begins with "--" must be joined
 * by "=", so that a forgotten value is seen. */
static bool next_flag(int argc, char **argv, int *at, struct flag *out, char *why, size_t why_size)
{
	const char *text = argv[(*at)++];
	if (strncmp(text, "--", 2) != 0 || !text[2]) {
		say(why, why_size, "'%s' is no setting: settings are given as --name value", text);
		return false;
	}
	const char *name = text + 2, *equals = strchr(name, '=');
	*out = (struct flag){.name = equals ? slice_of(name, (size_t)(equals - name)) : slice_from_str(name)};
	if (equals)
		out->value = equals + 1;
	else if (*at < argc && strncmp(argv[*at], "--", 2) != 0)
		out->value = argv[(*at)++];
	return true;
}

static bool take_flag(struct settings *settings, const struct flag *flag, char *why, size_t why_size)
{
	if (slice_equal(flag->name, S("config")))
		return true; /* was read first */
	const struct setting *setting = known_setting(flag->name, why, why_size);
	if (!setting)
		return false;
	const char *value = flag->value;
	if (!value && setting->type == SETTING_IS_BOOL)
		value = "yes";
	if (!value) {
		say(why, why_size, "--%s needs a value", setting->name);
		return false;
	}
	return set_named(settings, setting, slice_from_str(value), why, why_size);
}

static bool find_config_flag(int argc, char **argv, const char **out, char *why, size_t why_size)
{
	for (int at = 0; at < argc;) {
		struct flag flag;
		if (!next_flag(argc, argv, &at, &flag, why, why_size))
			return false;
		if (!slice_equal(flag.name, S("config")))
			continue;
		if (!flag.value) {
			say(why, why_size, "--config needs a value");
			return false;
		}
		*out = flag.value;
	}
	return true;
}

bool settings_load(struct settings *settings, int argc, char **argv, char *const *environment, char *why,
                   size_t why_size)
{
	const char *file = environment_config(environment);
	if (!find_config_flag(argc, argv, &file, why, why_size))
		return false;
	if (file && !load_file(settings, file, why, why_size))
		return false;
	if (!load_environment(settings, environment, why, why_size))
		return false;
	for (int at = 0; at < argc;) {
		struct flag flag;
		if (!next_flag(argc, argv, &at, &flag, why, why_size) || !take_flag(settings, &flag, why, why_size))
			return false;
	}
	return settings_check(settings, why, why_size);
}

/* ---- back to a file --------------------------------------------------------------- */

static bool is_plain(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if (value.ptr[i] <= ' ' || value.ptr[i] > '~' || strchr("\"'\\#", value.ptr[i]))
			return false;
	return value.len > 0;
}

static void append_quoted(struct buf *out, struct slice value)
{
	buf_byte(out, '"');
	for (size_t i = 0; i < value.len; i++) {
		uint8_t c = value.ptr[i];
		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < ' ' || c > '~')
			buf_printf(out, "\\x%02x", c);
		else
			buf_byte(out, c);
	}
	buf_byte(out, '"');
}

static void append_line(struct buf *out, const struct settings *settings, const struct setting *setting)
{
	cleanup(buf_fini) struct buf value = {0};
	settings_get(settings, setting, &value);
	buf_printf(out, "%s ", setting->name);
	if (is_plain(buf_slice(&value)))
		buf_append(out, buf_slice(&value));
	else
		append_quoted(out, buf_slice(&value));
	buf_byte(out, '\n');
}

static bool same_value(const struct settings *a, const struct settings *b, const struct setting *setting)
{
	cleanup(buf_fini) struct buf one = {0};
	cleanup(buf_fini) struct buf other = {0};
	settings_get(a, setting, &one);
	settings_get(b, setting, &other);
	return slice_equal(buf_slice(&one), buf_slice(&other));
}

/* Does this line alone give the setting the value it has? */
static bool line_says(const struct line *line, const struct settings *settings, const struct setting *setting)
{
	char why[VALUE_WHY_SIZE];
	struct settings *alone = settings_new();
	bool says = line->n_values > 0 && settings_set(alone, setting, buf_slice(&line->value), why, sizeof(why)) &&
	            same_value(alone, settings, setting);
	settings_free(alone);
	return says;
}

void settings_rewrite(const struct settings *settings, struct slice old_text, struct buf *out)
{
	const struct slice heading = S("# Generated by CONFIG REWRITE");
	bool *written = memory_zalloc(settings_count());
	bool headed = false;
	struct slice text;
	while (next_line(&old_text, &text)) {
		cleanup(line_fini) struct line line;
		headed |= slice_equal(text, heading);
		bool sound = line_parse(text, &line);
		const struct setting *setting = sound && !line.blank ? setting_find(buf_slice(&line.name)) : NULL;
		size_t number = 0;
		while (setting && setting_at(number) != setting)
			number++;
		if (setting && written[number])
			continue; /* said before: the first place of several stays */
		if (setting && !line_says(&line, settings, setting)) {
			append_line(out, settings, setting);
		} else {
			buf_append(out, text);
			buf_byte(out, '\n');
		}
		if (setting)
			written[number] = true;
	}

	struct settings *defaults = settings_new();
	for (size_t i = 0; i < settings_count(); i++) {
		if (written[i] || same_value(settings, defaults, setting_at(i)))
			continue;
		if (!headed)
			buf_printf(out, "%.*s\n", (int)heading.len, heading.ptr);
		headed = true;
		append_line(out, settings, setting_at(i));
	}
	settings_free(defaults);
	memory_free(written);
}
