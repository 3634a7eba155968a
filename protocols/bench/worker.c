#include "protocols/bench/worker.h"

#include "engine/io/os.h"
#include "engine/memory/memory.h"

#include <stdio.h>

enum {
	CONNECTING_MAX = 128, /* at once: a listener's backlog is short */
	FILL_PIPELINE = 64,
	PROGRESS_NS = 1000 * 1000 * 1000,
};
static const uint64_t prepared_bytes_max = 1ull << 30;

/* One connection. */
struct client {
	struct io_socket socket;
	struct worker *worker;
	bool open, in_flight, closing;
	uint64_t due;     /* pipelines that may be sent */
	uint64_t awaited; /* replies still to come */
	uint64_t sent_ns; /* closed loop: when the one pipeline went out */
	/* Open loop: pipelines of this connection that became due, those answered, and replies
	 * still to come of the one being answered. */
	uint64_t n_due, n_answered, batch_left;
	struct iovec iov; /* what is being sent */
	/* The ring: pipeline i lies between ends[i - 1] and ends[i]. */
	const uint8_t *ring;
	const size_t *ends;
	uint64_t n_batches, next_batch;
	uint64_t fill_next, fill_end; /* keys */
	struct buf fill;
	struct replies replies;
	struct verifier verifier;
};

static void enter(struct worker *worker, enum phase phase);

static void count(uint64_t *counter, uint64_t n)
{
	/* Only the owner writes; relaxed stores keep other cores' readings whole. */
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* ---- phases, together ------------------------------------------------------------------- */

static void on_go(struct core *core, struct message *message)
{
	struct bench *bench = message->args[0].ptr;
	enter(&bench->workers[core->id], (enum phase)message->number);
}

static void on_leave(struct core *core, struct message *message) { core->stopped = true; }

static void tell_all(struct worker *worker, message_fn *run, enum phase phase)
{
	struct message message = {.run = run, .number = phase, .args[0].ptr = worker->bench};
	for (uint16_t id = 0; id < worker->core->n_cores; id++)
		core_post(worker->core, id, &message);
}

static void arrive(struct worker *worker, enum phase phase)
{
	struct bench *bench = worker->bench;
	if (atomic_fetch_add(&bench->arrived[phase], 1) + 1 < bench->options.threads)
		return;
	if (phase < PHASE_END) {
		tell_all(worker, on_go, phase + 1);
		return;
	}
	atomic_store(&bench->finished, true);
	os_signal_stop();
	tell_all(worker, on_leave, phase);
}

static void client_ready(struct worker *worker)
{
	if (++worker->n_ready == worker->n_clients)
		arrive(worker, worker->phase);
}

static void fail(struct worker *worker, const char *what, const char *detail)
{
	struct bench *bench = worker->bench;
	if (worker->phase == PHASE_END)
		return;
	if (atomic_exchange(&bench->failed, true))
		return;
	snprintf(bench->why, sizeof(bench->why), "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
	tell_all(worker, on_go, PHASE_END);
}

/* ---- encoding --------------------------------------------------------------------------- */

static void client_encode(struct client *client, struct worker *worker, uint64_t number)
{
	const struct options *o = &worker->bench->options;
	struct speaker *speaker = &worker->speaker;
	struct buf bytes = {0};
	size_t *ends = memory_alloc((client->n_batches + 1) * sizeof(*ends));
	keys_init(&speaker->keys, o->distribution, o->n_keys, o->theta, o->seed, number, o->connections);
	speaker->random = (struct random){random_next(&speaker->keys.random)};
	for (uint64_t batch = 0; batch < client->n_batches; batch++) {
		ends[batch] = bytes.len;
		for (uint64_t i = 0; i < o->pipeline; i++) {
			mix_say(&o->mix, speaker, &bytes);
			if (o->verify)
				verifier_note(&client->verifier, speaker);
		}
	}
	ends[client->n_batches] = bytes.len;
	client->ring = bytes.ptr;
	client->ends = ends;
}

/* How many pipelines each connection repeats: as many as asked for, but within bounds. */
static uint64_t batches_for(const struct worker *worker)
{
	const struct options *o = &worker->bench->options;
	struct buf one = {0};
	struct speaker *speaker = memory_alloc(sizeof(*speaker));
	*speaker = worker->speaker;
	keys_init(&speaker->keys, KEYS_UNIFORM, o->n_keys, 0, o->seed, 0, 1);
	for (int i = 0; i < 16; i++)
		mix_say(&o->mix, speaker, &one);
	uint64_t batch_bytes = (one.len / 16 + 1) * o->pipeline, wanted = o->prepare / (o->connections * o->pipeline);
	uint64_t most = prepared_bytes_max / (batch_bytes * o->connections);
	buf_fini(&one);
	memory_free(speaker);
	wanted = wanted < most ? wanted : most;
	return wanted ? wanted : 1;
}

/* The first key that connection `number` fills. */
static uint64_t fill_share(const struct options *o, uint64_t number)
{
	unsigned __int128 n = o->n_keys - o->load_from;
	return o->load_from + (uint64_t)(n * number / o->connections);
}

static void encode(struct worker *worker)
{
	const struct options *o = &worker->bench->options;
	worker->speaker.key_size = (uint32_t)o->key_size;
	worker->speaker.value_size = (uint32_t)o->value_size;
	worker->speaker.noise = worker->bench->noise;
	worker->speaker.random = (struct random){o->seed};
	worker->speaker.is_keyed = o->verify;
	uint64_t n_batches = batches_for(worker);
	for (uint64_t i = 0; i < worker->n_clients; i++) {
		struct client *client = &worker->clients[i];
		uint64_t number = worker->client_first + i;
		client->worker = worker;
		client->n_batches = n_batches;
		client->fill_next = fill_share(o, number);
		client->fill_end = fill_share(o, number + 1);
		client_encode(client, worker, number);
	}
}

/* ---- sending ---------------------------------------------------------------------------- */

static void send_bytes(struct client *client, const uint8_t *bytes, size_t size)
{
	client->iov = (struct iovec){(void *)bytes, size};
	client->in_flight = true;
	io_send(&client->socket, &client->iov, 1);
}

static uint64_t take_batches(struct worker *worker, uint64_t wanted)
{
	uint64_t got = wanted < worker->batches_left ? wanted : worker->batches_left;
	worker->batches_left -= got;
	worker->n_taken += got;
	return got;
}

/* Sends what is due, in one piece up to the ring's end. */
static void pump(struct client *client)
{
	struct worker *worker = client->worker;
	if (client->in_flight || client->due == 0 || worker->over)
		return;
	uint64_t to_end = client->n_batches - client->next_batch;
	uint64_t n = client->due < to_end ? client->due : to_end;
	size_t from = client->ends[client->next_batch], to = client->ends[client->next_batch + n];
	client->due -= n;
	client->next_batch = n == to_end ? 0 : client->next_batch + n;
	client->awaited += n * worker->bench->options.pipeline;
	client->sent_ns = worker->core->now_ns;
	send_bytes(client, client->ring + from, to - from);
}

/* The next keys of this connection's share. */
static void pump_fill(struct client *client)
{
	struct worker *worker = client->worker;
	if (client->in_flight || client->awaited > 0)
		return;
	if (client->fill_next == client->fill_end) {
		client_ready(worker);
		return;
	}
	client->fill.len = 0;
	for (int i = 0; i < FILL_PIPELINE && client->fill_next < client->fill_end; i++, client->awaited++)
		speaker_fill(&worker->speaker, client->fill_next++, worker->bench->options.load_ttl_s, &client->fill);
	send_bytes(client, client->fill.ptr, client->fill.len);
}

static void on_sent(struct io_socket *socket, ssize_t result)
{
	struct client *client = container_of(socket, struct client, socket);
	client->in_flight = false;
	if (client->closing)
		return;
	if (result <= 0) {
		fail(client->worker, "cannot send", strerror((int)-result));
		return;
	}
	if ((size_t)result < client->iov.iov_len) {
		send_bytes(client, (const uint8_t *)client->iov.iov_base + result,
		           client->iov.iov_len - (size_t)result);
		return;
	}
	/* The replies may have overtaken the news that their requests were sent. */
	if (client->worker->phase == PHASE_FILL)
		pump_fill(client);
	else if (client->worker->phase == PHASE_RUN)
		pump(client);
}

/* ---- the window ------------------------------------------------------------------------- */

static uint64_t server_cpu_ns(const struct worker *worker)
{
	uint64_t pid = worker->bench->options.server_pid;
	return worker->id == 0 && pid ? os_cpu_ns_of((int)pid) : 0;
}

/* Counters are stored as they stand now, and turned into differences when it closes. */
static void window_open(struct core *core, struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, open_at);
	struct measure *m = &worker->measure;
	if (worker->over)
		return;
	*m = (struct measure){.opened = true,
	                      .replies = worker->replies,
	                      .errors = worker->errors,
	                      .nulls = worker->nulls,
	                      .spin_ns = reactor_stats(core)->spin_ns,
	                      .enters = worker->io->enters,
	                      .server_cpu_ns = server_cpu_ns(worker)};
	m->cpu_ns = os_thread_cpu_ns();
	m->from_ns = io_now_ns(worker->io);
}

static uint64_t due_ns(const struct worker *worker, const struct client *client, uint64_t batch)
{
	uint64_t k = batch * worker->n_clients + (uint64_t)(client - worker->clients);
	return worker->start_ns + (uint64_t)((double)k * worker->gap_ns);
}

/* What was due and has no answer has waited at least until now: leaving it out would hide
 * just the worst. */
static void record_unanswered(struct worker *worker)
{
	struct measure *m = &worker->measure;
	for (uint64_t i = 0; i < worker->n_clients; i++) {
		struct client *client = &worker->clients[i];
		uint64_t left = client->batch_left;
		for (uint64_t batch = client->n_answered; batch < client->n_due; batch++) {
			uint64_t from_ns = due_ns(worker, client, batch);
			if (from_ns < m->to_ns)
				histogram_record(&m->latency, m->to_ns - from_ns, left);
			m->unanswered += left;
			left = worker->bench->options.pipeline;
		}
	}
}

static void window_close(struct worker *worker)
{
	struct measure *m = &worker->measure;
	if (!m->opened || m->closed)
		return;
	m->to_ns = io_now_ns(worker->io);
	m->cpu_ns = os_thread_cpu_ns() - m->cpu_ns;
	m->server_cpu_ns = server_cpu_ns(worker) - m->server_cpu_ns;
	m->spin_ns = reactor_stats(worker->core)->spin_ns - m->spin_ns;
	m->enters = worker->io->enters - m->enters;
	m->replies = worker->replies - m->replies;
	m->errors = worker->errors - m->errors;
	m->nulls = worker->nulls - m->nulls;
	m->closed = true;
	if (worker->gap_ns > 0)
		record_unanswered(worker);
}

static void run_over(struct worker *worker)
{
	if (worker->over)
		return;
	worker->over = true;
	window_close(worker);
	arrive(worker, PHASE_RUN);
}

static void on_window_end(struct core *core, struct timer *timer)
{
	run_over(container_of(timer, struct worker, close_at));
}

/* ---- replies ---------------------------------------------------------------------------- */

static void record(struct worker *worker, uint64_t from_ns, uint64_t times)
{
	uint64_t now_ns = worker->core->now_ns;
	histogram_record(&worker->measure.latency, now_ns > from_ns ? now_ns - from_ns : 0, times);
}

static void answered_open_loop(struct client *client, uint64_t n)
{
	struct worker *worker = client->worker;
	while (n > 0) {
		uint64_t here = n < client->batch_left ? n : client->batch_left;
		record(worker, due_ns(worker, client, client->n_answered), here);
		n -= here;
		client->batch_left -= here;
		if (client->batch_left > 0)
			return;
		client->batch_left = worker->bench->options.pipeline;
		client->n_answered++;
		worker->n_answered++;
	}
}

static void answered_in_run(struct client *client, uint64_t n)
{
	struct worker *worker = client->worker;
	if (worker->over)
		return;
	if (worker->gap_ns > 0) {
		answered_open_loop(client, n);
	} else {
		record(worker, client->sent_ns, n);
		if (client->awaited > 0)
			return;
		worker->n_answered++;
		client->due = take_batches(worker, 1);
		pump(client);
	}
	if (unlikely(worker->batches_left == 0) && worker->n_answered == worker->n_taken)
		run_over(worker);
}

static void answered(struct client *client, uint64_t n)
{
	struct worker *worker = client->worker;
	if (n > client->awaited) {
		fail(worker, "the server sent more replies than it got requests", NULL);
		return;
	}
	client->awaited -= n;
	count(&worker->replies, n);
	if (worker->phase == PHASE_RUN)
		answered_in_run(client, n);
	else if (client->awaited > 0)
		return;
	else if (worker->phase == PHASE_FILL)
		pump_fill(client);
	else if (worker->phase == PHASE_GREET)
		client_ready(worker);
}

/* Errors and nulls are rare: moved to the worker's counters when there are some. */
static void count_oddities(struct client *client)
{
	struct worker *worker = client->worker;
	struct replies *r = &client->replies;
	if (likely(!(r->errors | r->nulls)))
		return;
	if (r->errors && worker->errors == 0 && worker->id == 0)
		snprintf(worker->bench->server_error, sizeof(worker->bench->server_error), "%.*s", (int)r->error_len,
		         r->error);
	count(&worker->errors, r->errors);
	count(&worker->nulls, r->nulls);
	if (r->errors && worker->phase == PHASE_GREET) {
		char text[REPLIES_ERROR_MAX + 1];
		snprintf(text, sizeof(text), "%.*s", (int)r->error_len, r->error);
		fail(worker, "the server does not let us in", text);
	}
	r->errors = r->nulls = 0;
	r->error_len = 0;
}

static void verify(struct client *client, struct slice bytes)
{
	struct worker *worker = client->worker;
	uint64_t key;
	char which[128];
	if (client->closing || worker->phase != PHASE_RUN || !worker->bench->options.verify ||
	    verifier_compare(&client->verifier, &worker->speaker, bytes, &key))
		return;
	snprintf(which, sizeof(which), "key %llu, %.*s", (unsigned long long)key,
	         (int)(bytes.len < 80 ? bytes.len : 80), (const char *)bytes.ptr);
	fail(worker, "the server does not say what was written", which);
}

static void on_data(struct io_socket *socket, struct io_chunk chunk)
{
	struct client *client = container_of(socket, struct client, socket);
	struct worker *worker = client->worker;
	uint64_t n = 0;
	if (!client->closing)
		n = replies_count(&client->replies, slice_of(chunk.ptr, chunk.len));
	verify(client, slice_of(chunk.ptr, chunk.len));
	io_chunk_release(worker->io, chunk);
	if (unlikely(client->replies.broken)) {
		fail(worker, "the server's reply is not RESP", NULL);
		return;
	}
	count_oddities(client);
	if (n > 0)
		answered(client, n);
}

static void on_end(struct io_socket *socket, int error)
{
	struct client *client = container_of(socket, struct client, socket);
	if (client->closing || client->worker->phase == PHASE_END)
		return;
	if (client->worker->bench->server_error[0])
		fail(client->worker, "the server closed a connection", client->worker->bench->server_error);
	else
		fail(client->worker, "the server closed a connection", error ? strerror(-error) : NULL);
}

/* ---- connecting ------------------------------------------------------------------------- */

static void connect_some(struct worker *worker);

static void on_connected(struct io_socket *socket, int result)
{
	struct client *client = container_of(socket, struct client, socket);
	struct worker *worker = client->worker;
	if (client->closing)
		return;
	if (result < 0) {
		fail(worker, "cannot connect", strerror(-result));
		return;
	}
	io_recv(socket);
	client_ready(worker);
	connect_some(worker);
}

static void on_closed(struct io_socket *socket)
{
	struct client *client = container_of(socket, struct client, socket);
	struct worker *worker = client->worker;
	client->open = false;
	if (--worker->n_open == 0)
		arrive(worker, PHASE_END);
}

static const struct io_socket_events client_events = {
        .data = on_data, .end = on_end, .sent = on_sent, .connected = on_connected, .closed = on_closed};

static int client_connect(struct client *client)
{
	const struct options *o = &client->worker->bench->options;
	io_socket_init(&client->socket, client->worker->io, &client_events);
	if (o->unix_path[0])
		return io_connect_unix(&client->socket, o->unix_path);
	return io_connect_tcp(&client->socket, o->host, (uint16_t)o->port);
}

static void connect_some(struct worker *worker)
{
	while (worker->phase == PHASE_CONNECT && worker->n_opened < worker->n_clients &&
	       worker->n_opened - worker->n_ready < CONNECTING_MAX) {
		struct client *client = &worker->clients[worker->n_opened];
		int result = client_connect(client);
		if (result < 0) {
			fail(worker, "cannot connect", strerror(-result));
			return;
		}
		client->open = true;
		worker->n_opened++;
		worker->n_open++;
	}
}

/* ---- the phases ------------------------------------------------------------------------- */

static void enter_greet(struct worker *worker)
{
	const struct bench *bench = worker->bench;
	if (bench->greeting.len == 0) {
		arrive(worker, PHASE_GREET);
		return;
	}
	for (uint64_t i = 0; i < worker->n_clients; i++) {
		worker->clients[i].awaited = bench->greeting_replies;
		send_bytes(&worker->clients[i], bench->greeting.ptr, bench->greeting.len);
	}
}

static void on_progress(struct core *core, struct timer *timer)
{
	struct worker *worker = container_of(timer, struct worker, progress_at);
	struct bench *bench = worker->bench;
	uint64_t replies = 0, errors = 0;
	for (uint64_t i = 0; i < bench->options.threads; i++) {
		replies += __atomic_load_n(&bench->workers[i].replies, __ATOMIC_RELAXED);
		errors += __atomic_load_n(&bench->workers[i].errors, __ATOMIC_RELAXED);
	}
	char line[128];
	int n = snprintf(line, sizeof(line), "\r\033[K%s  %llu replies, %llu a second, %llu errors",
	                 worker->phase == PHASE_FILL ? "filling"
	                 : worker->measure.opened    ? "measuring"
	                                             : "warming up",
	                 (unsigned long long)replies, (unsigned long long)(replies - worker->progress_seen),
	                 (unsigned long long)errors);
	os_stderr(slice_of(line, (size_t)n));
	worker->progress_seen = replies;
	timer_start(&core->timers, timer, core->now_ns + PROGRESS_NS);
}

static void progress_begin(struct worker *worker)
{
	if (!worker->bench->progress || worker->id != 0)
		return;
	worker->progress_seen = 0;
	worker->progress_at.run = on_progress;
	timer_start(&worker->core->timers, &worker->progress_at, worker->core->now_ns + PROGRESS_NS);
}

static void enter_fill(struct worker *worker)
{
	struct bench *bench = worker->bench;
	if (!bench->options.load) {
		arrive(worker, PHASE_FILL);
		return;
	}
	uint64_t never = 0;
	atomic_compare_exchange_strong(&bench->fill_from_ns, &never, worker->core->now_ns);
	worker->replies = 0; /* the greeting's */
	progress_begin(worker);
	for (uint64_t i = 0; i < worker->n_clients; i++)
		pump_fill(&worker->clients[i]);
}

/* The figures of the fill are kept before the run counts from 0, or nothing more comes. */
static void leave_fill(struct worker *worker)
{
	struct bench *bench = worker->bench;
	if (bench->options.load) {
		__atomic_fetch_add(&bench->filled, worker->replies - worker->errors, __ATOMIC_RELAXED);
		__atomic_fetch_add(&bench->fill_errors, worker->errors, __ATOMIC_RELAXED);
		atomic_store(&bench->fill_to_ns, worker->core->now_ns);
	}
	worker->replies = worker->errors = worker->nulls = 0;
}

static void schedule(struct core *core, struct turn_end *hook)
{
	struct worker *worker = container_of(hook, struct worker, schedule);
	if (worker->phase != PHASE_RUN || worker->over)
		return;
	for (;;) {
		uint64_t at_ns = worker->start_ns + (uint64_t)((double)worker->n_due * worker->gap_ns);
		if (at_ns > core->now_ns || take_batches(worker, 1) == 0)
			return;
		struct client *client = &worker->clients[worker->next_client];
		worker->next_client = worker->next_client + 1 == worker->n_clients ? 0 : worker->next_client + 1;
		worker->n_due++;
		client->n_due++;
		client->due++;
		pump(client);
	}
}

/* This core's share of the rate, its pipelines evenly spaced. The loop never sleeps: a timer
 * is a thousand times too coarse. */
static void open_loop_begin(struct worker *worker)
{
	const struct options *o = &worker->bench->options;
	double share = o->rate * (double)worker->n_clients / (double)o->connections;
	worker->gap_ns = (double)o->pipeline * 1e9 / share;
	worker->schedule.run = schedule;
	for (uint64_t i = 0; i < worker->n_clients; i++)
		worker->clients[i].batch_left = o->pipeline;
	core_at_turn_end(worker->core, &worker->schedule);
	reactor_set_poll(worker->core, REACTOR_POLL_ALWAYS);
}

static void closed_loop_begin(struct worker *worker)
{
	for (uint64_t i = 0; i < worker->n_clients; i++) {
		struct client *client = &worker->clients[i];
		client->due = take_batches(worker, 1);
		pump(client);
	}
}

static uint64_t batches_share(const struct worker *worker)
{
	const struct options *o = &worker->bench->options;
	if (o->requests == 0)
		return UINT64_MAX;
	uint64_t all = (o->requests + o->pipeline - 1) / o->pipeline;
	return all / o->threads + (worker->id < all % o->threads);
}

static void window_plan(struct worker *worker)
{
	const struct options *o = &worker->bench->options;
	struct core *core = worker->core;
	uint64_t open_ns = worker->start_ns + (uint64_t)(o->warmup_s * 1e9);
	worker->open_at.run = window_open;
	worker->close_at.run = on_window_end;
	if (o->warmup_s > 0)
		timer_start(&core->timers, &worker->open_at, open_ns);
	else
		window_open(core, &worker->open_at);
	timer_start(&core->timers, &worker->close_at, open_ns + (uint64_t)(o->duration_s * 1e9));
}

static void enter_run(struct worker *worker)
{
	const struct options *o = &worker->bench->options;
	if (o->duration_s == 0 && o->requests == 0) {
		arrive(worker, PHASE_RUN);
		return;
	}
	progress_begin(worker);
	worker->batches_left = batches_share(worker);
	worker->start_ns = worker->core->now_ns;
	window_plan(worker);
	if (worker->batches_left == 0)
		run_over(worker);
	else if (o->rate > 0)
		open_loop_begin(worker);
	else
		closed_loop_begin(worker);
}

static void enter_end(struct worker *worker)
{
	struct timer_wheel *timers = &worker->core->timers;
	window_close(worker);
	worker->over = true;
	timer_stop(timers, &worker->open_at);
	timer_stop(timers, &worker->close_at);
	timer_stop(timers, &worker->progress_at);
	reactor_set_poll(worker->core, REACTOR_POLL_AUTO);
	if (worker->n_open == 0) {
		arrive(worker, PHASE_END);
		return;
	}
	for (uint64_t i = 0; i < worker->n_clients; i++) {
		struct client *client = &worker->clients[i];
		if (!client->open)
			continue;
		client->closing = true;
		io_socket_close(&client->socket);
	}
}

static void enter(struct worker *worker, enum phase phase)
{
	if (worker->phase == PHASE_END)
		return; /* somebody has failed while this was on its way */
	if (worker->phase == PHASE_FILL)
		leave_fill(worker);
	worker->phase = phase;
	worker->n_ready = 0;
	static void (*const enters[PHASE_COUNT])(struct worker *) = {
	        [PHASE_CONNECT] = connect_some, [PHASE_GREET] = enter_greet, [PHASE_FILL] = enter_fill,
	        [PHASE_RUN] = enter_run,        [PHASE_END] = enter_end,
	};
	enters[phase](worker);
}

void worker_interrupt(struct core *core, struct errand *errand)
{
	enter(container_of(errand, struct worker, interrupt), PHASE_END);
}

/* ---- the thread ------------------------------------------------------------------------- */

static void clients_free(struct worker *worker)
{
	for (uint64_t i = 0; i < worker->n_clients; i++) {
		memory_free((void *)worker->clients[i].ring);
		memory_free((void *)worker->clients[i].ends);
		buf_fini(&worker->clients[i].fill);
		verifier_fini(&worker->clients[i].verifier);
	}
	memory_free(worker->clients);
}

void worker_main(void *arg)
{
	struct worker *worker = arg;
	struct bench *bench = worker->bench;
	char why[200];
	worker->io = io_new((enum io_choice)bench->options.io, why, sizeof(why));
	if (worker->io) {
		worker->core = core_new(bench->machine, worker->id, worker->io);
		worker->clients = memory_zalloc(worker->n_clients * sizeof(*worker->clients));
		encode(worker);
	} else if (!atomic_exchange(&bench->unmade, true)) {
		snprintf(bench->why, sizeof(bench->why), "%s", why);
	}
	pthread_barrier_wait(&bench->joined);
	if (!atomic_load(&bench->unmade)) {
		enter(worker, PHASE_CONNECT);
		reactor_run(worker->core);
	}
	pthread_barrier_wait(&bench->left); /* nobody sends to anybody any more */
	if (!worker->io)
		return;
	core_free(worker->core);
	io_free(worker->io);
	clients_free(worker);
}
