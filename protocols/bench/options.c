#include "protocols/bench/options.h"

#include "engine/base/number.h"
#include "engine/core/core.h"
#include "engine/io/io.h"
#include "protocols/bench/verify.h"

#include <stdio.h>

enum kind { NUMBER, REAL, TEXT, SWITCH };

struct flag {
	const char *name;
	enum kind kind;
	size_t at; /* in struct options */
	double least, most;
	const char *initial, *meaning;
};

#define FLAG(name, kind, field, least, most, initial, meaning)                             \
	{                                                                                  \
		name, kind, offsetof(struct options, field), least, most, initial, meaning \
	}

enum { PIPELINE_MAX = 4096, CONNECTIONS_MAX = 100000, VALUE_SIZE_MAX = 64 * 1024 * 1024 };

static const struct flag flags[] = {
        FLAG("host", TEXT, host, 0, 0, "127.0.0.1", "address of the server"),
        FLAG("port", NUMBER, port, 1, 65535, "6379", "port of the server"),
        FLAG("unix", TEXT, unix_path, 0, 0, "", "path of its Unix socket, instead of host and port"),
        FLAG("password", TEXT, password, 0, 0, "", "said by AUTH on each connection"),
        FLAG("db", NUMBER, db, 0, 1e6, "0", "said by SELECT on each connection"),
        FLAG("resp3", SWITCH, resp3, 0, 0, "no", "speak RESP3"),
        FLAG("connections", NUMBER, connections, 1, CONNECTIONS_MAX, "50", "connections, over all threads"),
        FLAG("pipeline", NUMBER, pipeline, 1, PIPELINE_MAX, "1", "requests that a connection sends at once"),
        FLAG("threads", NUMBER, threads, 1, CORES_MAX, "1", "threads, each with its share of the connections"),
        FLAG("cpu", TEXT, cpu_list, 0, 0, "", "CPUs of the threads, such as 1,2 or 4-7; empty: not pinned"),
        FLAG("mix", TEXT, mix_text, 0, 0, "get:50,set:50", "operations with their weights; see below"),
        FLAG("keys", NUMBER, n_keys, 1, 1e12, "1000000", "how many different keys"),
        FLAG("distribution", TEXT, distribution_text, 0, 0, "uniform", "of keys: uniform, zipf or sequential"),
        FLAG("theta", REAL, theta, 0.01, 10, "0.99", "skew of zipf"),
        FLAG("key-size", NUMBER, key_size, 1, KEY_SIZE_MAX, "16", "bytes of a key"),
        FLAG("value-size", NUMBER, value_size, 0, VALUE_SIZE_MAX, "32", "bytes of a value"),
        FLAG("load", SWITCH, load, 0, 0, "no", "set every key once before anything else"),
        FLAG("load-from", NUMBER, load_from, 0, 1e12, "0", "first key to set: those below it are there already"),
        FLAG("load-ttl", NUMBER, load_ttl_s, 0, 1e9, "0", "seconds that loaded keys live; 0: for ever"),
        FLAG("duration", REAL, duration_s, 0, 1e6, "10", "seconds that are measured; 0 with --load: none"),
        FLAG("warmup", REAL, warmup_s, 0, 1e6, "1", "seconds before that"),
        FLAG("requests", NUMBER, requests, 0, 1e15, "0",
             "stop after so many, rounded up to whole pipelines; 0: by the duration"),
        FLAG("rate", REAL, rate, 0, 1e9, "0", "requests a second, sent whatever the server does; 0: closed loop"),
        FLAG("prepare", NUMBER, prepare, 1, 1e9, "1000000", "requests encoded beforehand, then repeated"),
        FLAG("seed", NUMBER, seed, 0, 1e15, "1", "of keys and values: the same seed, the same requests"),
        FLAG("verify", SWITCH, verify, 0, 0, "no",
             "values tell their keys, and each reply is compared; get and set alone"),
        FLAG("io", TEXT, io_text, 0, 0, "auto", "I/O back end: auto, uring or epoll"),
        FLAG("server-pid", NUMBER, server_pid, 0, 1e9, "0", "process whose CPU time is read over the same window"),
        FLAG("json", SWITCH, json, 0, 0, "no", "report as one JSON object"),
        FLAG("quiet", SWITCH, quiet, 0, 0, "no", "no progress line"),
        FLAG("help", SWITCH, help, 0, 0, "no", "show this"),
};

/* ---- one flag ------------------------------------------------------------------------- */

static void *field_of(struct options *options, const struct flag *flag) { return (char *)options + flag->at; }

static bool refuse(const struct flag *flag, const char *reason, char *why, size_t why_size)
{
	snprintf(why, why_size, "--%s: %s", flag->name, reason);
	return false;
}

static bool real_from(const char *text, double *out)
{
	long double value;
	if (!real_parse(slice_from_str(text), &value))
		return false;
	*out = (double)value;
	return true;
}

static bool flag_set(struct options *options, const struct flag *flag, const char *text, char *why, size_t why_size)
{
	void *field = field_of(options, flag);
	int64_t number;
	double real = 0;
	switch (flag->kind) {
	case TEXT:
		*(const char **)field = text;
		return true;
	case SWITCH:
		*(bool *)field = strcmp(text, "yes") == 0;
		return true;
	case NUMBER:
		if (!integer_parse(slice_from_str(text), &number))
			return refuse(flag, "a whole number is needed", why, why_size);
		real = (double)number;
		*(uint64_t *)field = (uint64_t)number;
		break;
	case REAL:
		if (!real_from(text, &real))
			return refuse(flag, "a number is needed", why, why_size);
		*(double *)field = real;
		break;
	}
	if (real >= flag->least && real <= flag->most)
		return true;
	snprintf(why, why_size, "--%s: %s is not from %.15g to %.15g", flag->name, text, flag->least, flag->most);
	return false;
}

static const struct flag *flag_find(const char *name)
{
	for (size_t i = 0; i < array_len(flags); i++)
		if (strcmp(name, flags[i].name) == 0)
			return &flags[i];
	return NULL;
}

static bool flag_given(int argc, char **argv, const char *name)
{
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, name) == 0)
			return true;
	return false;
}

static bool flags_read(struct options *options, int argc, char **argv, char *why, size_t why_size)
{
	for (int i = 0; i < argc; i++) {
		const struct flag *flag = strncmp(argv[i], "--", 2) == 0 ? flag_find(argv[i] + 2) : NULL;
		if (!flag) {
			snprintf(why, why_size, "unknown flag '%.100s' (see orbit bench --help)", argv[i]);
			return false;
		}
		if (flag->kind != SWITCH && i + 1 == argc)
			return refuse(flag, "a value is needed", why, why_size);
		if (!flag_set(options, flag, flag->kind == SWITCH ? "yes" : argv[++i], why, why_size))
			return false;
	}
	return true;
}

/* ---- what the texts mean -------------------------------------------------------------- */

static const char *const distribution_names[] = {
        [KEYS_UNIFORM] = "uniform", [KEYS_ZIPF] = "zipf", [KEYS_SEQUENTIAL] = "sequential"};
static const char *const io_names[] = {[IO_AUTO] = "auto", [IO_URING] = "uring", [IO_EPOLL] = "epoll"};

static int name_in(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;
	return -1;
}

/* "1,2,4-7", a word at a time. */
static bool cpus_read(struct options *options)
{
	const char *at = options->cpu_list;
	while (*at) {
		int first, last, used = 0;
		if (sscanf(at, "%d%n", &first, &used) != 1)
			return false;
		at += used;
		last = first;
		if (*at == '-') {
			if (sscanf(at + 1, "%d%n", &last, &used) != 1)
				return false;
			at += used + 1;
		}
		if (first < 0 || last < first || last - first >= (int)array_len(options->cpus) - options->n_cpus)
			return false;
		while (first <= last)
			options->cpus[options->n_cpus++] = first++;
		if (*at == ',' && at[1])
			at++;
		else if (*at)
			return false;
	}
	return options->n_cpus == 0 || options->n_cpus >= (int)options->threads;
}

static bool texts_read(struct options *o, char *why, size_t why_size)
{
	char wrong[256];
	if (!mix_parse(slice_from_str(o->mix_text), &o->mix, wrong, sizeof(wrong))) {
		snprintf(why, why_size, "--mix: %s", wrong);
		return false;
	}
	int distribution = name_in(distribution_names, array_len(distribution_names), o->distribution_text);
	o->io = name_in(io_names, array_len(io_names), o->io_text);
	o->distribution = distribution < 0 ? KEYS_UNIFORM : (enum distribution)distribution;
	if (distribution < 0)
		return refuse(flag_find("distribution"), "uniform, zipf or sequential", why, why_size);
	if (o->io < 0)
		return refuse(flag_find("io"), "auto, uring or epoll", why, why_size);
	if (!cpus_read(o))
		return refuse(flag_find("cpu"), "a list such as 1,2 or 4-7, with a CPU for each thread", why, why_size);
	return true;
}

static bool agree(const struct options *o, char *why, size_t why_size)
{
	if (!key_size_suffices((uint32_t)o->key_size, o->n_keys))
		return refuse(flag_find("key-size"), "too small to tell so many keys apart", why, why_size);
	if (o->load_from >= o->n_keys)
		return refuse(flag_find("load-from"), "not below --keys", why, why_size);
	if (o->verify && !verifier_knows(&o->mix))
		return refuse(flag_find("verify"), "for get and set alone", why, why_size);
	if (o->threads > o->connections)
		return refuse(flag_find("threads"), "more than connections", why, why_size);
	if (o->duration_s == 0 && o->requests == 0 && !o->load)
		return refuse(flag_find("duration"), "0 is for --load or --requests only", why, why_size);
	return true;
}

bool options_read(struct options *options, int argc, char **argv, char *why, size_t why_size)
{
	*options = (struct options){0};
	for (size_t i = 0; i < array_len(flags); i++) {
		bool fine = flag_set(options, &flags[i], flags[i].initial, why, why_size);
		assert(fine);
	}
	if (!flags_read(options, argc, argv, why, why_size))
		return false;
	if (options->requests > 0 && !flag_given(argc, argv, "duration"))
		options->duration_s = 1e6;
	/* A count of requests means those on the wire. */
	if (options->requests > 0 && !flag_given(argc, argv, "warmup"))
		options->warmup_s = 0;
	return texts_read(options, why, why_size) && agree(options, why, why_size);
}

void options_help(struct buf *out)
{
	static const char *const kinds[] = {[NUMBER] = "NUMBER", [REAL] = "NUMBER", [TEXT] = "TEXT", [SWITCH] = ""};
	buf_printf(out, "usage: orbit bench [--flag value ...]\n\n");
	for (size_t i = 0; i < array_len(flags); i++) {
		char head[64];
		snprintf(head, sizeof(head), "--%s %s", flags[i].name, kinds[flags[i].kind]);
		buf_printf(out, "  %-22s %s", head, flags[i].meaning);
		if (flags[i].kind != SWITCH)
			buf_printf(out, " [%s]", flags[i].initial);
		buf_byte(out, '\n');
	}
	buf_printf(out, "\noperations of a mix, such as get:90,set:10:\n\n");
	for (size_t i = 0; operation_at(i); i++)
		buf_printf(out, "  %-10s %s\n", operation_at(i)->name, operation_at(i)->meaning);
}
