#include "protocols/check/check.h"

#include "engine/core/fiber.h"
#include "engine/core/reactor.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "kernels/cpu.h"
#include "storage/check/check.h"

#include <errno.h>
#include <string.h>

enum { EXIT_SOUND, EXIT_FAULT, EXIT_USAGE };
enum { HELD_BACK = 64 * 1024 };

struct call {
	struct check_out out; /* first */
	struct buf text;      /* not printed yet: a dump has many short lines */
	struct core *core;
	const char *directory, *into;
	bool dump, ok;
};

static void say(const char *format, ...) printf_like(1, 2);
static void say(const char *format, ...)
{
	struct buf line = {0};
	va_list args;
	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_byte(&line, '\n');
	os_stderr(buf_slice(&line));
	buf_fini(&line);
}

static void print(struct call *call)
{
	os_stdout(buf_slice(&call->text));
	call->text.len = 0;
}

static void write_out(struct check_out *out, struct slice text)
{
	struct call *call = container_of(out, struct call, out);
	buf_append(&call->text, text);
	if (call->text.len >= HELD_BACK)
		print(call);
}

static void call_main(void *arg)
{
	struct call *call = arg;
	if (call->into)
		call->ok = check_salvage(call->core, call->directory, call->into, &call->out);
	else if (call->dump)
		call->ok = check_dump(call->core, call->directory, &call->out);
	else
		call->ok = check_run(call->core, call->directory, &call->out);
	print(call);
	buf_fini(&call->text);
	call->core->stopped = true;
}

/* A machine with one core, on this thread. */
static bool run(struct call *call)
{
	char why[256] = "";
	struct io *io = io_new(IO_AUTO, why, sizeof(why));
	if (!io) {
		say("orbit check: %s", why);
		return false;
	}
	struct machine *machine = machine_new(1);
	machine->log_level = LOG_WARNING;
	call->core = core_new(machine, 0, io);
	core_set_current(call->core);
	call->core->metrics = metrics_new();
	fiber_start(call->core, call_main, call);
	reactor_run(call->core);
	memory_free(call->core->metrics);
	core_free(call->core);
	machine_free(machine);
	io_free(io);
	return call->ok;
}

static bool lock(const char *directory)
{
	int result = os_directory_lock(directory);
	if (result == -EWOULDBLOCK)
		say("orbit check: the data directory %s is in use by a server: stop it first", directory);
	else if (result < 0)
		say("orbit check: cannot use the data directory %s: %s", directory, strerror(-result));
	return result >= 0;
}

static bool lock_both(const struct call *call)
{
	if (!lock(call->directory))
		return false;
	if (!call->into)
		return true;
	int result = os_directory_make(call->into);
	if (result < 0)
		say("orbit check: cannot make the directory %s: %s", call->into, strerror(-result));
	return result == 0 && lock(call->into);
}

static int usage(void)
{
	say("usage: orbit check DIR                    verify all that is in the data directory\n"
	    "       orbit check DIR --dump             list the records of its logs\n"
	    "       orbit check DIR --salvage NEWDIR   write what can be saved into a new directory");
	return EXIT_USAGE;
}

static bool parse(struct call *call, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--dump") == 0)
			call->dump = true;
		else if (strcmp(argv[i], "--salvage") == 0 && i + 1 < argc && !call->into)
			call->into = argv[++i];
		else if (argv[i][0] != '-' && !call->directory)
			call->directory = argv[i];
		else
			return false;
	}
	return call->directory && !(call->dump && call->into);
}

int check_main(int argc, char **argv, char *const *environment)
{
	struct call call = {.out.write = write_out};
	if (!parse(&call, argc, argv))
		return usage();
	kernels_init(cpu_features());
	os_files_max_raise();
	return lock_both(&call) && run(&call) ? EXIT_SOUND : EXIT_FAULT;
}
