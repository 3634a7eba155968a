/* main.c -- the program: one subcommand each line. */
#include "engine/base/buf.h"
#include "engine/config/settings.h"
#include "engine/io/os.h"
#include "protocols/bench/bench.h"
#include "protocols/check/check.h"
#include "protocols/serve.h"

#include <string.h>
#include <unistd.h>

struct subcommand {
	const char *name, *meaning;
	int (*run)(int argc, char **argv, char *const *environment);
};

static int help_main(int argc, char **argv, char *const *environment);
static int version_main(int argc, char **argv, char *const *environment);

static const struct subcommand subcommands[] = {
	{"serve", "run the server", serve_main},
	{"bench", "measure a server that speaks RESP", bench_main},
	{"check", "verify a data directory, or save what is left of it", check_main},
	{"help", "show this", help_main},
	{"version", "show the version", version_main},
};

static void usage(struct buf *out)
{
	buf_printf(out, "usage: orbit SUBCOMMAND [--setting value ...]\n\n");
	for (size_t i = 0; i < array_len(subcommands); i++)
		buf_printf(out, "  %-8s %s\n", subcommands[i].name, subcommands[i].meaning);
}

static int help_main(int argc, char **argv, char *const *environment)
{
	struct buf out = {0};
	usage(&out);
	buf_printf(&out, "\nsettings of serve (also in the file of --config, or as ORBIT_NAME in the environment):\n\n");
	settings_help(&out);
	os_stdout(buf_slice(&out));
	buf_fini(&out);
	return 0;
}

static int version_main(int argc, char **argv, char *const *environment)
{
	os_stdout(S("orbit " ORBIT_VERSION "\n"));
	return 0;
}

static bool is_help(const char *word) { return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0; }

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "help";
	if (is_help(name) || (strcmp(name, "serve") == 0 && argc > 2 && is_help(argv[2])))
		name = "help";
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (size_t i = 0; i < array_len(subcommands); i++)
		if (strcmp(name, subcommands[i].name) == 0)
			return subcommands[i].run(argc > 2 ? argc - 2 : 0, argv + (argc > 2 ? 2 : argc), environ);
	struct buf out = {0};
	buf_printf(&out, "orbit: there is no subcommand %s\n\n", name);
	usage(&out);
	os_stderr(buf_slice(&out));
	buf_fini(&out);
	return 2;
}
