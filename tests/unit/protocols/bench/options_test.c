#include "protocols/bench/options.h"

#include "engine/io/io.h"

#include <criterion/criterion.h>

static char why[512];

#define READ(options, ...)                                                                     \
	({                                                                                     \
		const char *words_[] = {__VA_ARGS__};                                          \
		options_read(options, (int)array_len(words_), (char **)words_, why, sizeof(why)); \
	})

Test(options, have_sensible_values_without_flags)
{
	struct options o;
	cr_assert(options_read(&o, 0, NULL, why, sizeof(why)), "%s", why);
	cr_assert_eq(o.connections, 50);
	cr_assert_eq(o.mix.n, 2);
	cr_assert_eq(o.n_keys, 1000000);
	cr_assert_eq(o.io, IO_AUTO);
	cr_assert_not(o.load);
}

Test(options, read_flags_of_each_kind)
{
	struct options o;
	cr_assert(READ(&o, "--port", "7000", "--theta", "1.25", "--load", "--distribution", "zipf", "--mix", "get"));
	cr_assert_eq(o.port, 7000);
	cr_assert_float_eq(o.theta, 1.25, 1e-12);
	cr_assert(o.load);
	cr_assert_eq(o.distribution, KEYS_ZIPF);
	cr_assert_eq(o.mix.n, 1);
}

Test(options, read_lists_of_cpus)
{
	struct options o;
	cr_assert(READ(&o, "--cpu", "1,4-6", "--threads", "4"));
	cr_assert_eq(o.n_cpus, 4);
	cr_assert_eq(o.cpus[0], 1);
	cr_assert_eq(o.cpus[3], 6);
	static const char *const bad[] = {"x", "1,", "1-", "3-1", "-1", "0-100", "1 2", "1,,2"};
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(READ(&o, "--cpu", bad[i]), "%s", bad[i]);
	cr_assert_not(READ(&o, "--cpu", "1", "--threads", "2"));
}

Test(options, count_requests_from_the_first)
{
	struct options o;
	cr_assert(READ(&o, "--requests", "1000"));
	cr_assert_float_eq(o.warmup_s, 0, 0);
	cr_assert_gt(o.duration_s, 1000);
	cr_assert(READ(&o, "--requests", "1000", "--duration", "2", "--warmup", "0.5"));
	cr_assert_float_eq(o.duration_s, 2, 0);
	cr_assert_float_eq(o.warmup_s, 0.5, 0);
}

Test(options, refuse_what_makes_no_sense)
{
	struct options o;
	cr_assert_not(READ(&o, "--no-such-flag", "1"));
	cr_assert_not(READ(&o, "port", "1"));
	cr_assert_not(READ(&o, "--port"));
	cr_assert_not(READ(&o, "--port", "65536"));
	cr_assert_not(READ(&o, "--port", "-1"));
	cr_assert_not(READ(&o, "--port", "1.5"));
	cr_assert_not(READ(&o, "--rate", "nan"));
	cr_assert_not(READ(&o, "--duration", "-1"));
	cr_assert_not(READ(&o, "--duration", "0"));
	cr_assert_not(READ(&o, "--key-size", "2"));
	cr_assert_not(READ(&o, "--threads", "3", "--connections", "2"));
	cr_assert_not(READ(&o, "--io", "other"));
}
