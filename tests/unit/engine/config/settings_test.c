/* Settings: values to text and back, where they come from, and back to a file. */
#include "engine/config/settings.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <unistd.h>

enum { WHY_SIZE = 512 };

static const char *value_of(const struct settings *settings, const char *name)
{
	static char text[4096];
	struct buf out = {0};
	settings_get(settings, setting_find(slice_from_str(name)), &out);
	snprintf(text, sizeof(text), "%.*s", (int)out.len, out.ptr);
	buf_fini(&out);
	return text;
}

static void same_text(const char *got, const char *wanted)
{
	cr_assert_str_eq(got, wanted, "'%s', not '%s'", got, wanted);
}

/* ---- one value ---------------------------------------------------------------------- */

static const struct {
	const char *name, *value;
	const char *reads; /* NULL: refused */
	const char *why;
} values[] = {
        {"maxmemory", "0", "0", NULL},
        {"maxmemory", "100", "100", NULL},
        {"maxmemory", "100b", "100", NULL},
        {"maxmemory", "1k", "1000", NULL},
        {"maxmemory", "1kb", "1024", NULL},
        {"maxmemory", "100mb", "104857600", NULL},
        {"maxmemory", "3M", "3000000", NULL},
        {"maxmemory", "1GB", "1073741824", NULL},
        {"maxmemory", "2g", "2000000000", NULL},
        {"maxmemory", "9223372036854775807", "9223372036854775807", NULL},
        {"maxmemory", "9223372036854775808", NULL, "argument must be a memory value"},
        {"maxmemory", "9223372036854775807k", NULL, "argument must be a memory value"},
        {"maxmemory", "", NULL, "argument must be a memory value"},
        {"maxmemory", "-1", NULL, "argument must be a memory value"},
        {"maxmemory", "mb", NULL, "argument must be a memory value"},
        {"maxmemory", "1tb", NULL, "argument must be a memory value"},
        {"proto-max-bulk-len", "1k", NULL, "argument must be between 1048576 and 9223372036854775807 inclusive"},
        {"cores", "64", "64", NULL},
        {"cores", "65", NULL, "argument must be between 0 and 64 inclusive"},
        {"cores", "x", NULL, "argument couldn't be parsed into an integer"},
        {"cores", "1 ", NULL, "argument couldn't be parsed into an integer"},
        {"cores", "99999999999999999999", NULL, "argument couldn't be parsed into an integer"},
        {"slowlog-log-slower-than", "-1", "-1", NULL},
        {"slowlog-log-slower-than", "-2", NULL, "argument must be between -1 and 9223372036854775807 inclusive"},
        {"notify-keyspace-events", "KEA", "AKE", NULL},
        {"notify-keyspace-events", "En", "nE", NULL},
        {"notify-keyspace-events", "", "", NULL},
        {"notify-keyspace-events", "Eq", NULL, "Invalid event class character. Use 'Ag$lshzxeKEtmdn'."},
        {"unixsocketperm", "755", "755", NULL},
        {"unixsocketperm", "8", NULL, "argument couldn't be parsed as an octal number"},
        {"unixsocketperm", "1777", NULL, "argument must be between 0 and 777 inclusive"},
        {"pin", "no", "no", NULL},
        {"pin", "YES", "yes", NULL},
        {"pin", "1", NULL, "argument must be 'yes' or 'no'"},
        {"io", "EPOLL", "epoll", NULL},
        {"io", "select", NULL, "argument(s) must be one of the following: auto, uring, epoll"},
        {"io", "", NULL, "argument(s) must be one of the following: auto, uring, epoll"},
        {"maxmemory-policy", "volatile-ttl", "volatile-ttl", NULL},
        {"bind", "", "", NULL},
        {"bind", "127.0.0.1 ::1", "127.0.0.1 ::1", NULL},
};

Test(settings, set_then_get)
{
	for (size_t i = 0; i < array_len(values); i++) {
		struct settings *settings = settings_new();
		const struct setting *setting = setting_find(slice_from_str(values[i].name));
		cr_assert_not_null(setting);
		char why[WHY_SIZE] = "";
		char before[256];
		snprintf(before, sizeof(before), "%s", value_of(settings, values[i].name));
		bool taken = settings_set(settings, setting, slice_from_str(values[i].value), why, sizeof(why));
		cr_assert_eq(taken, values[i].reads != NULL, "%s %s", values[i].name, values[i].value);
		same_text(value_of(settings, values[i].name), taken ? values[i].reads : before);
		if (!taken)
			same_text(why, values[i].why);
		settings_free(settings);
	}
}

Test(settings, a_text_with_a_zero_byte_is_refused)
{
	struct settings *settings = settings_new();
	char why[WHY_SIZE];
	cr_assert(not(settings_set(settings, setting_find(S("requirepass")), S("a\0b"), why, sizeof(why))));
	settings_free(settings);
}

Test(settings, every_row_reads_back_what_it_says)
{
	struct settings *settings = settings_new();
	for (size_t i = 0; i < settings_count(); i++) {
		const struct setting *setting = setting_at(i);
		cr_assert_eq(setting_find(slice_from_str(setting->name)), setting, "%s twice?", setting->name);
		char why[WHY_SIZE], text[4096];
		snprintf(text, sizeof(text), "%s", value_of(settings, setting->name));
		cr_assert(settings_set(settings, setting, slice_from_str(text), why, sizeof(why)), "%s: %s",
		          setting->name, why);
		same_text(value_of(settings, setting->name), text);
	}
	cr_assert(settings_check(settings, (char[WHY_SIZE]){0}, WHY_SIZE));
	settings_free(settings);
}

Test(settings, a_copy_is_its_own)
{
	struct settings *settings = settings_new(), *copy = settings_copy(settings);
	char why[WHY_SIZE];
	cr_assert(settings_set(copy, setting_find(S("requirepass")), S("secret"), why, sizeof(why)));
	same_text(settings->requirepass, "");
	same_text(copy->requirepass, "secret");
	cr_assert_gt(copy->version, settings->version);
	settings_free(copy);
	settings_free(settings);
}

/* ---- sources ------------------------------------------------------------------------ */

static char file_path[64];

static void file_write(const char *text)
{
	snprintf(file_path, sizeof(file_path), "/tmp/orbit-settings-%d", (int)getpid());
	FILE *file = fopen(file_path, "w");
	cr_assert_not_null(file);
	fputs(text, file);
	fclose(file);
}

/* Loads with a list of flags that ends with NULL. */
static bool load(struct settings *settings, const char *const *flags, const char *const *environment, char *why)
{
	int argc = 0;
	while (flags && flags[argc])
		argc++;
	return settings_load(settings, argc, (char **)flags, (char **)environment, why, WHY_SIZE);
}

Test(settings, flags_win_over_variables_over_the_file)
{
	file_write("# how this server is set\n"
	           "\n"
	           "  maxmemory 10mb\n"
	           "cores 3\n"
	           "timeout 7\r\n"
	           "bind 127.0.0.1 ::1\n"
	           "requirepass \"a \\\"b\\\" \\x41\\n\"\n"
	           "unixsocket 'it\\'s'");
	struct settings *settings = settings_new();
	char why[WHY_SIZE] = "";
	const char *flags[] = {"--config", file_path, "--cores=5", "--pin", "no", "--insecure", NULL};
	const char *environment[] = {
	        "HOME=/", "ORBIT_CORES=4", "ORBIT_MAXMEMORY=20mb", "ORBIT_SERVICE_HOST=10.0.0.1", "ORBIT_LOGLEVEL=",
	        NULL};
	cr_assert(load(settings, flags, environment, why), "%s", why);
	cr_assert_eq(settings->cores, 5);
	cr_assert_eq(settings->maxmemory, 20 << 20);
	cr_assert_eq(settings->timeout, 7);
	cr_assert(not(settings->pin));
	cr_assert(settings->insecure);
	same_text(settings->bind, "127.0.0.1 ::1");
	same_text(settings->requirepass, "a \"b\" A\n");
	same_text(settings->unixsocket, "it's");
	same_text(settings->file, file_path);
	settings_free(settings);
	unlink(file_path);
}

Test(settings, the_environment_may_name_the_file)
{
	file_write("cores 3\n");
	char variable[128], why[WHY_SIZE];
	snprintf(variable, sizeof(variable), "ORBIT_CONFIG=%s", file_path);
	struct settings *settings = settings_new();
	cr_assert(load(settings, NULL, (const char *[]){variable, NULL}, why), "%s", why);
	cr_assert_eq(settings->cores, 3);
	settings_free(settings);
	unlink(file_path);
}

#define CLEAR                                                                                               \
	"--bind names more than loopback addresses, and passwords would travel in the clear: serve over " \
	"--tls-port alone (--resp-port 0 --http-port 0), or say --insecure"

static const struct {
	const char *file;
	const char *flags[14];
	const char *variable;
	const char *why; /* "%s" stands for the file's path */
} refusals[] = {
        {.flags = {"--core", "3"}, .why = "unknown setting 'core' (did you mean 'cores'?)"},
        {.flags = {"--maxmemory_policy", "x"},
         .why = "unknown setting 'maxmemory_policy' (did you mean 'maxmemory-policy'?)"},
        {.flags = {"--zzzzzzzzzz=1"}, .why = "unknown setting 'zzzzzzzzzz'"},
        {.flags = {"serve"}, .why = "'serve' is no setting: settings are given as --name value"},
        {.flags = {"--"}, .why = "'--' is no setting: settings are given as --name value"},
        {.flags = {"--cores"}, .why = "--cores needs a value"},
        {.flags = {"--cores", "--pin"}, .why = "--cores needs a value"},
        {.flags = {"--config"}, .why = "--config needs a value"},
        {.flags = {"--cores", "99"}, .why = "cores: argument must be between 0 and 64 inclusive"},
        {.flags = {"--config", "/nowhere/at/all"},
         .why = "cannot read the configuration file '/nowhere/at/all': No such file or directory"},
        {.variable = "ORBIT_CORES=x", .why = "in the environment: cores: argument couldn't be parsed into an integer"},
        {.file = "cores 1\ncors 2\n", .why = "%s:2: unknown setting 'cors' (did you mean 'cores'?)"},
        {.file = "cores\n", .why = "%s:1: cores needs a value"},
        {.file = "\nrequirepass \"x\n", .why = "%s:2: unbalanced quotes"},
        {.file = "requirepass \"x\"y\n", .why = "%s:1: unbalanced quotes"},
        {.flags = {"--tls-port", "7000"}, .why = "tls-port needs tls-cert-file and tls-key-file"},
        {.flags = {"--bind", "127.0.0.1 0.0.0.0"},
         .why = "--bind names more than loopback addresses, and anybody could come in: set --requirepass and serve "
                "over --tls-port alone (--resp-port 0 --http-port 0), or say --insecure"},
        {.flags = {"--bind", "0.0.0.0", "--requirepass", "x"}, .why = CLEAR},
        {.flags = {"--bind", "0.0.0.0", "--requirepass", "x", "--tls-port", "7000", "--tls-cert-file", "c",
                   "--tls-key-file", "k", "--http-port", "0"},
         .why = CLEAR},
        {.flags = {"--bind", "0.0.0.0", "--requirepass", "x", "--tls-port", "7000", "--tls-cert-file", "c",
                   "--tls-key-file", "k", "--resp-port", "0"},
         .why = CLEAR},
        {.flags = {"--client-output-soft-limit", "1gb"},
         .why = "client-output-soft-limit must not be above client-output-hard-limit"},
};

Test(settings, mistakes_are_named)
{
	for (size_t i = 0; i < array_len(refusals); i++) {
		struct settings *settings = settings_new();
		char why[WHY_SIZE] = "", wanted[WHY_SIZE];
		const char *with_file[] = {"--config", file_path, NULL};
		if (refusals[i].file)
			file_write(refusals[i].file);
		const char *environment[] = {refusals[i].variable, NULL};
		bool loaded = load(settings, refusals[i].file ? with_file : refusals[i].flags, environment, why);
		cr_assert(not(loaded), "%s", refusals[i].why);
		snprintf(wanted, sizeof(wanted), refusals[i].why, file_path);
		same_text(why, wanted);
		settings_free(settings);
	}
	unlink(file_path);
}

Test(settings, others_are_served_over_tls_and_with_a_password_or_on_demand)
{
	const char *const sound[][16] = {
	        {"--bind", "0.0.0.0", "--insecure"},
	        {"--bind", "127.0.0.1 ::1 localhost 127.1.2.3"},
	        {"--bind", "0.0.0.0 ::", "--requirepass", "x", "--tls-port", "7000", "--tls-cert-file", "c",
	         "--tls-key-file", "k", "--resp-port", "0", "--http-port", "0"},
	};
	for (size_t i = 0; i < array_len(sound); i++) {
		struct settings *settings = settings_new();
		char why[WHY_SIZE] = "";
		cr_assert(load(settings, (const char **)sound[i], NULL, why), "%s", why);
		settings_free(settings);
	}
}

/* ---- back to a file ----------------------------------------------------------------- */

static void rewrites_to(const struct settings *settings, const char *old_text, const char *wanted)
{
	struct buf out = {0};
	settings_rewrite(settings, slice_from_str(old_text), &out);
	buf_byte(&out, 0);
	same_text((const char *)out.ptr, wanted);
	buf_fini(&out);
}

Test(settings, a_rewrite_keeps_what_people_wrote)
{
	struct settings *settings = settings_new();
	char why[WHY_SIZE];
	rewrites_to(settings, "", "");
	rewrites_to(settings, "# mine\n\ncores 0\nwhat is this\n", "# mine\n\ncores 0\nwhat is this\n");
	cr_assert(settings_set(settings, setting_find(S("maxmemory")), S("1kb"), why, sizeof(why)));
	cr_assert(settings_set(settings, setting_find(S("requirepass")), S("a \"b\"\n"), why, sizeof(why)));
	rewrites_to(settings, "maxmemory 1kb # no comment here\nMAXMEMORY 2kb\ncores 2",
	            "maxmemory 1024\ncores 0\n# Generated by CONFIG REWRITE\nrequirepass \"a \\\"b\\\"\\x0a\"\n");
	rewrites_to(settings, "# Generated by CONFIG REWRITE\nmaxmemory 1kb\n",
	            "# Generated by CONFIG REWRITE\nmaxmemory 1kb\nrequirepass \"a \\\"b\\\"\\x0a\"\n");
	rewrites_to(settings, "maxmemory   1kb\nmaxmemory 5",
	            "maxmemory   1kb\n# Generated by CONFIG REWRITE\n"
	            "requirepass \"a \\\"b\\\"\\x0a\"\n");
	settings_free(settings);
}

Test(settings, a_rewritten_file_loads_to_the_same)
{
	struct settings *settings = settings_new(), *again = settings_new();
	char why[WHY_SIZE];
	const char *flags[] = {
	        "--maxmemory=3gb", "--requirepass=\x01 \xff'\"\\", "--bind", "127.0.0.1 ::1", "--pin", "no", NULL};
	cr_assert(load(settings, flags, NULL, why), "%s", why);
	struct buf text = {0};
	settings_rewrite(settings, S(""), &text);
	buf_byte(&text, 0);
	file_write((const char *)text.ptr);
	cr_assert(load(again, (const char *[]){"--config", file_path, NULL}, NULL, why), "%s", why);
	for (size_t i = 0; i < settings_count(); i++) {
		char one[4096];
		snprintf(one, sizeof(one), "%s", value_of(settings, setting_at(i)->name));
		same_text(value_of(again, setting_at(i)->name), one);
	}
	buf_fini(&text);
	settings_free(again);
	settings_free(settings);
	unlink(file_path);
}

Test(settings, help_names_every_flag)
{
	struct buf out = {0};
	settings_help(&out);
	buf_byte(&out, 0);
	for (size_t i = 0; i < settings_count(); i++) {
		char flag[128];
		snprintf(flag, sizeof(flag), "--%s ", setting_at(i)->name);
		cr_assert_not_null(strstr((const char *)out.ptr, flag), "%s", flag);
	}
	buf_fini(&out);
}
