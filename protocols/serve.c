#include "protocols/serve.h"

#include "engine/config/settings.h"
#include "engine/core/fiber.h"
#include "engine/core/reactor.h"
#include "engine/io/io.h"
#include "engine/io/os.h"
#include "engine/log/log.h"
#include "engine/memory/memory.h"
#include "engine/metrics/metrics.h"
#include "engine/net/network.h"
#include "engine/net/tls.h"
#include "engine/placement/placement.h"
#include "kernels/cpu.h"
#include "protocols/http/http.h"
#include "protocols/resp/resp.h"
#include "query/commands/commands.h"
#include "query/session/functions.h"
#include "query/session/round.h"
#include "storage/recovery/store.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STOP_LOOK_US = 2000, READY_LOOK_US = 1000, WHY_SIZE = 2048 };

struct server;

/* One core's thread. */
struct core_thread {
	struct server *server;
	pthread_t thread;
	uint16_t id;
	int cpu; /* -1: not pinned */
	char why[WHY_SIZE];
	struct errand drain, cut, stop;
	struct errand close; /* core 0's */
};

struct server {
	struct settings *settings;
	struct machine *machine;
	struct command_index *index;
	struct tls_context *tls;
	struct store *store; /* NULL: nothing is kept on disk */
	uint64_t hash_seed;
	pthread_barrier_t begun;  /* core 0 has looked at the data directory */
	pthread_barrier_t joined; /* all cores made, or not */
	pthread_barrier_t closed; /* core 0 and the main thread: the logs are closed */
	pthread_barrier_t ended;  /* all and the main thread: nobody sends to anybody any more */
	_Atomic bool failed;      /* before the loops run */
	_Atomic bool ready;       /* data is loaded and the listeners are open, or not */
	bool opened;              /* clients are let in; read by the main thread, once it is `ready` */
	bool gives_up;            /* a stop was asked for while it loads; read by core 0 meanwhile */
	_Atomic uint64_t patience_ns; /* with connections, at the end */
	bool started;                 /* the threads run */
	int cpus[CORES_MAX], n_cpus;
	struct core_thread threads[CORES_MAX];
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

/* ---- one core ----------------------------------------------------------------------- */

static bool io_make(struct core_thread *t)
{
	struct server *server = t->server;
	struct io *io = io_new((enum io_choice)server->settings->io, t->why, sizeof(t->why));
	if (!io)
		return false;
	struct core *core = core_new(server->machine, t->id, io);
	core_set_current(core);
	core->settings = server->settings;
	core->metrics = metrics_new();
	if (t->why[0] && t->id == 0)
		log_notice("io_uring is not used: %s; epoll serves instead", t->why);
	reactor_set_poll(core, (enum reactor_poll)server->settings->poll);
	return true;
}

static void rooms_make(struct core_thread *t)
{
	struct server *server = t->server;
	struct core *core = server->machine->cores[t->id];
	core->store = server->store;
	core->shard = shard_new(core, server->hash_seed);
	core->commands = commands_new(core, server->index);
	core->commands->rounds = rounds_new(core);
	commands_follow_settings(core);
	core->network = network_new(core);
	network_follow_settings(core);
}

static void core_unmake(struct core *core)
{
	struct io *io = core->io;
	if (core->network) { /* the rooms were made */
		network_free(core->network);
		rounds_free(core->commands->rounds);
		commands_free(core->commands);
		shard_free(core->shard);
	}
	memory_free(core->metrics);
	core_free(core);
	io_free(io);
}

static bool listen_at(struct core *core, const struct protocol *protocol, const char *address, uint16_t port,
                      struct tls_context *tls, char *why, size_t why_size)
{
	struct listen_address where = {.protocol = protocol, .address = address, .port = port, .tls = tls};
	int result = network_listen(core, &where, NULL);
	if (result == 0) {
		log_notice("%s%s clients: %s port %u", protocol->name, tls ? " over TLS" : "", address, port);
		return true;
	}
	snprintf(why, why_size,
	         "cannot listen for %s on %s port %u: %s (is another server running there? see --%s-port)",
	         protocol->name, address, port, strerror(-result), protocol->name);
	return false;
}

static bool listen_unix(struct core *core, const struct settings *settings, char *why, size_t why_size)
{
	struct listen_address where = {.protocol = &resp_protocol,
	                               .address = settings->unixsocket,
	                               .is_unix = true,
	                               .unix_mode = (unsigned)settings->unixsocketperm};
	int result = network_listen(core, &where, NULL);
	if (result == 0) {
		log_notice("resp clients: Unix socket %s", settings->unixsocket);
		return true;
	}
	snprintf(why, why_size, "cannot listen on the Unix socket %s: %s", settings->unixsocket, strerror(-result));
	return false;
}

static bool listen_address_all(struct core *core, const char *address, struct tls_context *tls, char *why,
                               size_t why_size)
{
	const struct settings *s = core->settings;
	if (s->resp_port && !listen_at(core, &resp_protocol, address, (uint16_t)s->resp_port, NULL, why, why_size))
		return false;
	if (s->tls_port && !listen_at(core, &resp_protocol, address, (uint16_t)s->tls_port, tls, why, why_size))
		return false;
	return !s->http_port || listen_at(core, &http_protocol, address, (uint16_t)s->http_port, NULL, why, why_size);
}

static bool listen_all(struct core_thread *t)
{
	struct core *core = t->server->machine->cores[0];
	const struct settings *settings = core->settings;
	char addresses[1024];
	if (snprintf(addresses, sizeof(addresses), "%s", settings->bind) >= (int)sizeof(addresses)) {
		snprintf(t->why, sizeof(t->why), "--bind names too many addresses");
		return false;
	}
	char *rest = addresses;
	for (char *address; (address = strtok_r(rest, " ", &rest));)
		if (!listen_address_all(core, address, t->server->tls, t->why, sizeof(t->why)))
			return false;
	return !settings->unixsocket[0] || listen_unix(core, settings, t->why, sizeof(t->why));
}

/* ---- the data directory ------------------------------------------------------------- */

/* Looks at the directory before there are shards: keys are hashed with its seed. */
static void store_begins(void *arg)
{
	struct core_thread *t = arg;
	struct server *server = t->server;
	const struct settings *s = server->settings;
	struct store_options options = {.directory = s->data_dir,
	                                .segment_size = (uint64_t)s->log_segment_size,
	                                .image_log_bytes = (uint64_t)s->image_log_size,
	                                .mode = (enum log_mode)s->durability,
	                                .gives_up = &server->gives_up};
	server->store = store_begin(server->machine->cores[0], &options, t->why, sizeof(t->why));
	if (server->store)
		server->hash_seed = store_hash_seed(server->store);
	else
		server->failed = true;
	server->machine->cores[0]->stopped = true; /* of this first loop, which is core 0's alone */
}

static void look_at_store(struct core_thread *t)
{
	struct core *core = t->server->machine->cores[0];
	fiber_start(core, store_begins, t);
	reactor_run(core);
	reactor_restart(core);
}

static void follow_there(struct core *there, void *arg)
{
	commands_follow_names(there, store_keyspace_names(arg));
	commands_follow_settings(there);
}

static bool load(struct core_thread *t)
{
	struct store *store = t->server->store;
	struct core *core = t->server->machine->cores[0];
	if (!store)
		return true;
	if (!store_open(core, store, t->why, sizeof(t->why)))
		return false;
	fiber_call_all(core, follow_there, store);
	return functions_recover(core, store, t->why, sizeof(t->why));
}

/* Loads what is there, then lets clients in. */
static void opens(void *arg)
{
	struct core_thread *t = arg;
	struct server *server = t->server;
	server->opened = load(t) && listen_all(t);
	server->ready = true;
}

static void closes(void *arg)
{
	struct server *server = arg;
	store_close(server->machine->cores[0], server->store);
	pthread_barrier_wait(&server->closed);
}

static void do_close(struct core *core, struct errand *errand)
{
	fiber_start(core, closes, container_of(errand, struct core_thread, close)->server);
}

static void core_run(void *arg)
{
	struct core_thread *t = arg;
	struct server *server = t->server;
	bool made = io_make(t);
	if (!made)
		server->failed = true;
	if (made && t->id == 0 && server->settings->persist)
		look_at_store(t);
	pthread_barrier_wait(&server->begun);
	if (made && !server->failed)
		rooms_make(t);
	pthread_barrier_wait(&server->joined);
	struct core *core = server->machine->cores[t->id];
	if (!server->failed) {
		if (t->id == 0)
			fiber_start(core, opens, t);
		reactor_run(core);
	} else if (t->id == 0) {
		server->ready = true;
	}
	pthread_barrier_wait(&server->ended);
	if (t->id == 0)
		store_free(server->store);
	pthread_barrier_wait(&server->joined);
	if (made)
		core_unmake(core);
}

/* ---- the end ------------------------------------------------------------------------ */

static void do_drain(struct core *core, struct errand *errand)
{
	struct core_thread *t = container_of(errand, struct core_thread, drain);
	if (core->id == 0)
		t->server->patience_ns = (uint64_t)core->settings->shutdown_timeout * 1000000000u;
	core->stopping = true;
	network_drain(core);
}
static void do_cut(struct core *core, struct errand *errand) { network_cut(core); }
static void do_stop(struct core *core, struct errand *errand) { core->stopped = true; }

static bool wait_for_quiet(struct server *server)
{
	uint64_t began_ns = os_now_ns();
	while (!network_is_quiet(server->machine)) {
		if (os_now_ns() - began_ns > server->patience_ns)
			return false;
		os_sleep_us(STOP_LOOK_US);
	}
	return true;
}

static void end_loops(struct server *server)
{
	for (uint16_t i = 0; i < server->machine->n_cores; i++) {
		server->threads[i].stop.run = do_stop;
		core_errand(server->machine->cores[i], &server->threads[i].stop);
	}
}

/* Stops accepting, lets every client have the answers it waits for, then ends the cores. */
static void stop(struct server *server)
{
	server->patience_ns = UINT64_MAX; /* until core 0 says it: settings are read by cores only */
	for (uint16_t i = 0; i < server->machine->n_cores; i++) {
		server->threads[i].drain.run = do_drain;
		core_errand(server->machine->cores[i], &server->threads[i].drain);
	}
	if (!wait_for_quiet(server)) {
		server->patience_ns = UINT64_MAX;
		for (uint16_t i = 0; i < server->machine->n_cores; i++) {
			server->threads[i].cut.run = do_cut;
			core_errand(server->machine->cores[i], &server->threads[i].cut);
		}
		(void)wait_for_quiet(server);
	}
	if (server->store) {
		server->threads[0].close.run = do_close;
		core_errand(server->machine->cores[0], &server->threads[0].close);
		pthread_barrier_wait(&server->closed);
	}
	end_loops(server);
}

/* ---- the beginning ------------------------------------------------------------------ */

/* What is known to be wanted but cannot be had yet. */
static bool is_built(const struct settings *settings, char *why, size_t why_size)
{
	if (!settings->pg_port && !settings->bolt_port)
		return true;
	snprintf(why, why_size, "--%s-port: this listener is not built yet; leave it 0",
	         settings->pg_port ? "pg" : "bolt");
	return false;
}

static bool take_directory(const struct settings *settings, char *why, size_t why_size)
{
	int result = os_directory_make(settings->data_dir);
	if (result == 0)
		result = os_directory_lock(settings->data_dir);
	if (result >= 0)
		return true;
	if (result == -EWOULDBLOCK)
		snprintf(why, why_size,
		         "the data directory %s is in use by another server: stop that one, or name another directory "
		         "(--data-dir)",
		         settings->data_dir);
	else
		snprintf(why, why_size,
		         "cannot use the data directory %s: %s; this process must be able to write there (--data-dir "
		         "names "
		         "another)",
		         settings->data_dir, strerror(-result));
	return false;
}

static bool tls_make(struct server *server, char *why, size_t why_size)
{
	const struct settings *s = server->settings;
	if (!s->tls_port)
		return true;
	struct tls_options options = {.cert_file = s->tls_cert_file,
	                              .key_file = s->tls_key_file,
	                              .ca_file = s->tls_ca_cert_file,
	                              .auth_clients = s->tls_auth_clients};
	server->tls = tls_context_new(&options, why, why_size);
	return server->tls != NULL;
}

static void stop_asked(struct machine *machine) { os_signal_stop(); }

static bool server_init(struct server *server, int argc, char **argv, char *const *environment, char *why,
                        size_t why_size)
{
	server->settings = settings_new();
	if (!settings_load(server->settings, argc, argv, environment, why, why_size) ||
	    !is_built(server->settings, why, why_size) || !take_directory(server->settings, why, why_size) ||
	    !tls_make(server, why, why_size))
		return false;
	server->n_cpus = os_cpus(server->cpus, CORES_MAX);
	uint16_t n = (uint16_t)server->settings->cores;
	if (n == 0)
		n = (uint16_t)(server->n_cpus < CORES_MAX ? server->n_cpus : CORES_MAX);
	server->machine = machine_new(n);
	server->machine->stop = stop_asked;
	server->machine->log_level = server->settings->loglevel;
	server->index = command_index_new();
	os_random(&server->hash_seed, sizeof(server->hash_seed));
	return true;
}

/* A stop that is asked for meanwhile ends the loading. */
static void wait_until_ready(struct server *server)
{
	while (!server->ready) {
		int signal = os_signal_wait_us(READY_LOOK_US);
		if (signal != 0 && signal != SIGHUP)
			__atomic_store_n(&server->gives_up, true, __ATOMIC_RELAXED);
	}
}

static bool start(struct server *server)
{
	uint16_t n = server->machine->n_cores;
	bool pin = server->settings->pin && n <= server->n_cpus;
	pthread_barrier_init(&server->begun, NULL, n);
	pthread_barrier_init(&server->joined, NULL, n);
	pthread_barrier_init(&server->closed, NULL, 2);
	pthread_barrier_init(&server->ended, NULL, n + 1u);
	for (uint16_t i = 0; i < n; i++) {
		struct core_thread *t = &server->threads[i];
		char name[16];
		snprintf(name, sizeof(name), "core %u", i);
		*t = (struct core_thread){.server = server, .id = i, .cpu = pin ? server->cpus[i] : -1};
		if (os_thread_start(&t->thread, t->cpu, name, core_run, t) < 0) {
			say("orbit: cannot start a thread for core %u", i);
			_exit(1); /* the others wait for it: there is no way back */
		}
	}
	server->started = true;
	wait_until_ready(server);
	for (uint16_t i = 0; i < n && !server->opened; i++)
		if (server->threads[i].why[0])
			say("orbit: %s", server->threads[i].why);
	if (!server->opened && !server->failed)
		end_loops(server);
	return server->opened;
}

static void server_fini(struct server *server)
{
	if (server->started) {
		pthread_barrier_wait(&server->ended);
		for (uint16_t i = 0; i < server->machine->n_cores; i++)
			os_thread_join(server->threads[i].thread);
	}
	if (server->machine)
		machine_free(server->machine);
	command_index_free(server->index);
	tls_context_free(server->tls);
	settings_free(server->settings);
}

static void say_ready(const struct server *server)
{
	unsigned n = server->machine->n_cores;
	const char *cores = n == 1 ? "core" : "cores";
	if (server->store)
		say("orbit: ready, %u %s, data in %s", n, cores, server->settings->data_dir);
	else
		say("orbit: ready, %u %s; nothing is kept on disk (--persist no): keys are gone when it stops", n,
		    cores);
}

static void say_stopped(struct server *server)
{
	struct store_facts facts;
	if (!server->store)
		return;
	store_facts(server->store, &facts);
	if (facts.failed_cores == 0)
		say("orbit: stopped, all data is in %s", server->settings->data_dir);
	else
		say("orbit: stopped; the logs of %d cores could not be written to the end: the next start has all that "
		    "was "
		    "acknowledged",
		    facts.failed_cores);
}

int serve_main(int argc, char **argv, char *const *environment)
{
	struct server *server = memory_zalloc(sizeof(*server));
	char why[WHY_SIZE] = "";
	kernels_init(cpu_features());
	os_files_max_raise();
	os_signals_block();
	bool ok = server_init(server, argc, argv, environment, why, sizeof(why));
	if (!ok)
		say("orbit: %s", why);
	ok = ok && start(server);
	if (ok) {
		say_ready(server);
		while (!server->gives_up && os_signal_wait() == SIGHUP)
			; /* nothing is read again yet that a signal could ask for */
		say("orbit: stopping");
		stop(server);
		say_stopped(server);
	}
	bool gave_up = server->gives_up; /* as it was asked to */
	server_fini(server);
	memory_free(server);
	return ok || gave_up ? 0 : 1;
}
