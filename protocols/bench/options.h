/* options.h -- the flags of `orbit bench`, in one table.
 *
 * Errors    A flag that is unknown, lacks its value or has a wrong one is refused, with the
 *           reason in `why`; so are flags that contradict each other.
 */
#pragma once

#include "protocols/bench/mix.h"

struct options {
	const char *host, *unix_path;
	const char *password;
	uint64_t port, db;
	uint64_t connections, pipeline, threads;
	const char *cpu_list;
	double duration_s, warmup_s;
	uint64_t requests;
	double rate;
	const char *mix_text, *distribution_text;
	double theta;
	uint64_t n_keys, key_size, value_size;
	bool load;
	uint64_t load_from, load_ttl_s;
	uint64_t prepare;
	uint64_t seed;
	const char *io_text;
	uint64_t server_pid;
	bool resp3, verify, json, quiet, help;
	/* Read from the texts: */
	struct mix mix;
	enum distribution distribution;
	int io;               /* enum io_choice */
	int cpus[64], n_cpus; /* one for each thread; none: not pinned */
};

bool options_read(struct options *options, int argc, char **argv, char *why, size_t why_size);

void options_help(struct buf *out);
