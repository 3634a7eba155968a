/* settings.c -- the table of settings: its rows, and one value to text and back.
 *
 * A row knows where its field lies in struct settings and what it may hold; the functions
 * here walk rows and know no setting by name, but for settings_check().
 */
#include "engine/config/settings.h"

#include "engine/base/number.h"
#include "engine/memory/memory.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* A setting, and where and how it lies. */
struct row {
	struct setting setting;
	size_t offset;
	int64_t min, max; /* of numbers; of sizes too, which the table keeps below 2^63 */
	int64_t initial;  /* of all but texts */
	const char *text; /* of texts; of letters: as errors list them */
	const char *letters;
};

#define ROW(field_, name_, type_, change_, meaning_, ...)                                   \
	{.setting = {.name = name_, .type = type_, .change = change_, .meaning = meaning_}, \
	 .offset = offsetof(struct settings, field_),                                       \
	 __VA_ARGS__},
#define SETTING_INT(field, name, value, min_, max_, change, meaning) \
	ROW(field, name, SETTING_IS_INT, change, meaning, .min = min_, .max = max_, .initial = value)
#define SETTING_OCTAL(field, name, value, min_, max_, change, meaning) \
	ROW(field, name, SETTING_IS_OCTAL, change, meaning, .min = min_, .max = max_, .initial = value)
#define SETTING_SIZE(field, name, value, min_, max_, change, meaning) \
	ROW(field, name, SETTING_IS_SIZE, change, meaning, .min = min_, .max = max_, .initial = value)
#define SETTING_BOOL(field, name, value, change, meaning) \
	ROW(field, name, SETTING_IS_BOOL, change, meaning, .initial = value)
#define SETTING_CHOICE(field, name, value, words, change, meaning) \
	ROW(field, name, SETTING_IS_CHOICE, change, meaning, .initial = value, .setting.choices = words)
#define SETTING_TEXT(field, name, value, change, meaning) \
	ROW(field, name, SETTING_IS_TEXT, change, meaning, .text = value)
#define SETTING_LETTERS(field, name, value, letters_, n_all, listed, change, meaning)                              \
	ROW(field, name, SETTING_IS_LETTERS, change, meaning, .initial = value, .letters = letters_, .max = n_all, \
	    .text = listed)

static const struct row rows[] = {
#include "engine/config/settings.def"
};

size_t settings_count(void) { return array_len(rows); }

const struct setting *setting_at(size_t i)
{
	assert(i < array_len(rows));
	return &rows[i].setting;
}

const struct setting *setting_find(struct slice name)
{
	for (size_t i = 0; i < array_len(rows); i++)
		if (slice_equal_nocase(name, slice_from_str(rows[i].setting.name)))
			return &rows[i].setting;
	return NULL;
}

static const struct row *row_of(const struct setting *setting) { return container_of(setting, struct row, setting); }

static void *place(const struct settings *settings, const struct row *row) { return (char *)settings + row->offset; }

static char *text_keep(struct slice text)
{
	char *copy = memory_alloc(text.len + 1);
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = 0;
	return copy;
}

static void number_put(struct settings *settings, const struct row *row, int64_t value)
{
	void *at = place(settings, row);
	switch (row->setting.type) {
	case SETTING_IS_INT:
	case SETTING_IS_OCTAL:
		*(int64_t *)at = value;
		break;
	case SETTING_IS_SIZE:
		*(uint64_t *)at = (uint64_t)value;
		break;
	case SETTING_IS_BOOL:
		*(bool *)at = value != 0;
		break;
	case SETTING_IS_CHOICE:
		*(int *)at = (int)value;
		break;
	case SETTING_IS_LETTERS:
		*(uint32_t *)at = (uint32_t)value;
		break;
	case SETTING_IS_TEXT:
		assert(!"a text is no number");
	}
}

static void text_put(struct settings *settings, const struct row *row, struct slice value)
{
	char **at = place(settings, row);
	char *old = *at;
	*at = text_keep(value); /* `value` may be the old one */
	memory_free(old);
}

/* ---- life ------------------------------------------------------------------------- */

struct settings *settings_new(void)
{
	struct settings *settings = memory_zalloc(sizeof(*settings));
	for (const struct row *row = rows; row < rows + array_len(rows); row++) {
		if (row->setting.type == SETTING_IS_TEXT)
			text_put(settings, row, slice_from_str(row->text));
		else
			number_put(settings, row, row->initial);
	}
	return settings;
}

struct settings *settings_copy(const struct settings *settings)
{
	struct settings *copy = memory_alloc(sizeof(*copy));
	*copy = *settings;
	copy->version++;
	for (const struct row *row = rows; row < rows + array_len(rows); row++) {
		if (row->setting.type != SETTING_IS_TEXT)
			continue;
		char **at = place(copy, row);
		*at = text_keep(slice_from_str(*at));
	}
	if (settings->file)
		copy->file = text_keep(slice_from_str(settings->file));
	return copy;
}

void settings_free(struct settings *settings)
{
	if (!settings)
		return;
	for (const struct row *row = rows; row < rows + array_len(rows); row++)
		if (row->setting.type == SETTING_IS_TEXT)
			memory_free(*(char **)place(settings, row));
	memory_free(settings->file);
	memory_free(settings);
}

/* ---- values from text ------------------------------------------------------------- */

/* The next word of a list separated by spaces; `list` goes past it. Empty at the end. */
static struct slice next_word(const char **list)
{
	const char *from = *list;
	size_t len = strcspn(from, " ");
	*list = from + len + (from[len] == ' ');
	return slice_of(from, len);
}

static struct slice choice_word(const char *words, int64_t index)
{
	struct slice word = next_word(&words);
	while (index-- > 0)
		word = next_word(&words);
	return word;
}

static bool choice_parse(const char *words, struct slice value, int64_t *out)
{
	int64_t index = 0;
	for (struct slice word = next_word(&words); word.len > 0; word = next_word(&words), index++) {
		if (slice_equal_nocase(word, value)) {
			*out = index;
			return true;
		}
	}
	return false;
}

static bool bool_parse(struct slice value, int64_t *out)
{
	bool yes = slice_equal_nocase(value, S("yes"));
	if (!yes && !slice_equal_nocase(value, S("no")))
		return false;
	*out = yes;
	return true;
}

/* A stands for the first `max` letters together. */
static int64_t letters_all(const struct row *row) { return ((int64_t)1 << row->max) - 1; }

static bool letters_parse(const struct row *row, struct slice value, int64_t *out)
{
	int64_t set = 0;
	for (size_t i = 0; i < value.len; i++) {
		const char *at = value.ptr[i] ? strchr(row->letters, value.ptr[i]) : NULL;
		if (!at && value.ptr[i] != 'A')
			return false;
		set |= at ? (int64_t)1 << (at - row->letters) : letters_all(row);
	}
	*out = set;
	return true;
}

/* As Redis has it: whoever has all has the letter behind them without it being said. */
static void letters_say(const struct row *row, uint32_t set, struct buf *out)
{
	int64_t i = 0;
	if ((set & letters_all(row)) == letters_all(row)) {
		buf_byte(out, 'A');
		i = row->max + 1;
	}
	for (; row->letters[i]; i++)
		if (set & (uint32_t)1 << i)
			buf_byte(out, (uint8_t)row->letters[i]);
}

/* Digits up to the first other character; false if there are none or they overflow. */
static bool digits_parse(struct slice *text, unsigned base, int64_t *out)
{
	int64_t value = 0;
	size_t n = 0;
	for (; n < text->len && text->ptr[n] >= '0' && text->ptr[n] < '0' + base; n++)
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, text->ptr[n] - '0', &value))
			return false;
	if (n == 0)
		return false;
	*text = slice_sub(*text, n, text->len);
	*out = value;
	return true;
}

static bool octal_parse(struct slice value, int64_t *out) { return digits_parse(&value, 8, out) && value.len == 0; }

static const struct unit {
	const char *name;
	int64_t bytes;
} units[] = {
        {"", 1},
        {"b", 1},
        {"k", 1000},
        {"kb", 1024},
        {"m", 1000 * 1000},
        {"mb", 1024 * 1024},
        {"g", 1000 * 1000 * 1000},
        {"gb", 1024 * 1024 * 1024},
};

static bool size_parse(struct slice value, int64_t *out)
{
	int64_t number;
	if (!digits_parse(&value, 10, &number))
		return false;
	for (size_t i = 0; i < array_len(units); i++)
		if (slice_equal_nocase(value, slice_from_str(units[i].name)))
			return !__builtin_mul_overflow(number, units[i].bytes, out);
	return false;
}

static void say_choices(const char *words, char *why, size_t why_size)
{
	int at = snprintf(why, why_size, "argument(s) must be one of the following: ");
	const char *comma = "";
	for (struct slice word = next_word(&words); word.len > 0 && at < (int)why_size; word = next_word(&words)) {
		at += snprintf(why + at, why_size - (size_t)at, "%s%.*s", comma, (int)word.len, word.ptr);
		comma = ", ";
	}
}

/* A text as a number of the row's type; the range is looked at by the caller. */
static bool number_parse(const struct row *row, struct slice value, int64_t *out, char *why, size_t why_size)
{
	const char *wrong = NULL;
	switch (row->setting.type) {
	case SETTING_IS_INT:
		if (!integer_parse(value, out))
			wrong = "argument couldn't be parsed into an integer";
		break;
	case SETTING_IS_OCTAL:
		if (!octal_parse(value, out))
			wrong = "argument couldn't be parsed as an octal number";
		break;
	case SETTING_IS_SIZE:
		if (!size_parse(value, out))
			wrong = "argument must be a memory value";
		break;
	case SETTING_IS_BOOL:
		if (!bool_parse(value, out))
			wrong = "argument must be 'yes' or 'no'";
		break;
	case SETTING_IS_CHOICE:
		if (choice_parse(row->setting.choices, value, out))
			break;
		say_choices(row->setting.choices, why, why_size);
		return false;
	case SETTING_IS_LETTERS:
		if (letters_parse(row, value, out))
			break;
		snprintf(why, why_size, "Invalid event class character. Use '%s'.", row->text);
		return false;
	case SETTING_IS_TEXT:
		assert(!"a text is no number");
	}
	if (wrong)
		snprintf(why, why_size, "%s", wrong);
	return !wrong;
}

static bool in_range(const struct row *row, int64_t value, char *why, size_t why_size)
{
	enum setting_type type = row->setting.type;
	if (type == SETTING_IS_BOOL || type == SETTING_IS_CHOICE || type == SETTING_IS_LETTERS)
		return true;
	if (value >= row->min && value <= row->max)
		return true;
	if (type == SETTING_IS_OCTAL)
		snprintf(why, why_size, "argument must be between %llo and %llo inclusive", (long long)row->min,
		         (long long)row->max);
	else
		snprintf(why, why_size, "argument must be between %lld and %lld inclusive", (long long)row->min,
		         (long long)row->max);
	return false;
}

bool settings_set(struct settings *settings, const struct setting *setting, struct slice value, char *why,
                  size_t why_size)
{
	const struct row *row = row_of(setting);
	if (setting->type == SETTING_IS_TEXT) {
		/* Texts are handed on as C strings: paths, addresses, a password. */
		if (value.len > 0 && memchr(value.ptr, 0, value.len)) {
			snprintf(why, why_size, "argument must not contain a zero byte");
			return false;
		}
		text_put(settings, row, value);
		return true;
	}
	int64_t number = 0;
	if (!number_parse(row, value, &number, why, why_size) || !in_range(row, number, why, why_size))
		return false;
	number_put(settings, row, number);
	return true;
}

/* ---- values to text --------------------------------------------------------------- */

void settings_get(const struct settings *settings, const struct setting *setting, struct buf *out)
{
	const void *at = place(settings, row_of(setting));
	switch (setting->type) {
	case SETTING_IS_INT:
		buf_printf(out, "%lld", (long long)*(const int64_t *)at);
		break;
	case SETTING_IS_OCTAL:
		buf_printf(out, "%llo", (long long)*(const int64_t *)at);
		break;
	case SETTING_IS_SIZE:
		buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
		break;
	case SETTING_IS_BOOL:
		buf_append(out, *(const bool *)at ? S("yes") : S("no"));
		break;
	case SETTING_IS_CHOICE:
		buf_append(out, choice_word(setting->choices, *(const int *)at));
		break;
	case SETTING_IS_TEXT:
		buf_append(out, slice_from_str(*(char *const *)at));
		break;
	case SETTING_IS_LETTERS:
		letters_say(row_of(setting), *(const uint32_t *)at, out);
		break;
	}
}

/* ---- soundness -------------------------------------------------------------------- */

static bool address_is_loopback(struct slice address)
{
	return (address.len >= 4 && memcmp(address.ptr, "127.", 4) == 0) || slice_equal(address, S("::1")) ||
	       slice_equal_nocase(address, S("localhost"));
}

static bool binds_loopback_only(const char *addresses)
{
	while (*addresses) {
		struct slice address = next_word(&addresses);
		if (address.len > 0 && !address_is_loopback(address))
			return false;
	}
	return true;
}

/* Does it serve others than this machine's users, and by what must not leave it? */
static const char *exposed(const struct settings *settings)
{
	if (settings->insecure || binds_loopback_only(settings->bind))
		return NULL;
	if (!*settings->requirepass)
		return "--bind names more than loopback addresses, and anybody could come in: set --requirepass and "
		       "serve over --tls-port alone (--resp-port 0 --http-port 0), or say --insecure";
	if (settings->tls_port == 0 || settings->resp_port != 0 || settings->http_port != 0)
		return "--bind names more than loopback addresses, and passwords would travel in the clear: serve over "
		       "--tls-port alone (--resp-port 0 --http-port 0), or say --insecure";
	return NULL;
}

bool settings_check(const struct settings *settings, char *why, size_t why_size)
{
	const char *wrong = NULL;
	if (settings->client_output_soft_limit > settings->client_output_hard_limit)
		wrong = "client-output-soft-limit must not be above client-output-hard-limit";
	else if (settings->tls_port != 0 && (!*settings->tls_cert_file || !*settings->tls_key_file))
		wrong = "tls-port needs tls-cert-file and tls-key-file";
	else if (settings->tls_auth_clients != 0 && !*settings->tls_ca_cert_file)
		wrong = "tls-auth-clients needs tls-ca-cert-file";
	else
		wrong = exposed(settings);
	if (wrong)
		snprintf(why, why_size, "%s", wrong);
	return !wrong;
}

/* ---- help ------------------------------------------------------------------------- */

static const char *type_word(const struct setting *setting)
{
	static const char *const words[] = {
	        [SETTING_IS_INT] = "NUMBER",      [SETTING_IS_OCTAL] = "OCTAL",   [SETTING_IS_SIZE] = "SIZE",
	        [SETTING_IS_BOOL] = "yes|no",     [SETTING_IS_CHOICE] = "CHOICE", [SETTING_IS_TEXT] = "TEXT",
	        [SETTING_IS_LETTERS] = "LETTERS",
	};
	return words[setting->type];
}

void settings_help(struct buf *out)
{
	struct settings *defaults = settings_new();
	buf_printf(out, "  %-44s %s\n", "--config FILE", "file with a line \"name value\" for each setting");
	for (size_t i = 0; i < settings_count(); i++) {
		const struct setting *setting = setting_at(i);
		struct buf flag = {0};
		buf_printf(&flag, "--%s %s", setting->name, type_word(setting));
		buf_printf(out, "  %-44.*s %s", (int)flag.len, flag.ptr, setting->meaning);
		buf_fini(&flag);
		if (setting->choices)
			buf_printf(out, "; one of: %s", setting->choices);
		buf_printf(out, " [");
		settings_get(defaults, setting, out);
		buf_printf(out, "]\n");
	}
	buf_printf(out, "\nEach is also the variable ORBIT_NAME (ORBIT_DATA_DIR for --data-dir). Flags win over\n"
	                "variables, variables over the file. Sizes: 100b, 1k = 1000, 1kb = 1024, mb, gb.\n");
	settings_free(defaults);
}
