#include "protocols/bench/mix.h"

#include "engine/memory/memory.h"

#include <criterion/criterion.h>

static struct speaker *speaker_of(uint64_t n_keys, uint32_t key_size, uint32_t value_size)
{
	struct speaker *speaker = memory_zalloc(sizeof(*speaker));
	keys_init(&speaker->keys, KEYS_SEQUENTIAL, n_keys, 0, 1, 0, 1);
	speaker->random = (struct random){1};
	speaker->key_size = key_size;
	speaker->value_size = value_size;
	speaker->noise = speaker_noise_new(value_size, 1);
	return speaker;
}

static void speaker_free(struct speaker *speaker)
{
	memory_free((void *)speaker->noise);
	memory_free(speaker);
}

static void expect_said(const char *mix_text, uint32_t key_size, const char *expected)
{
	char why[200];
	struct mix mix;
	struct buf out = {0};
	struct speaker *speaker = speaker_of(100, key_size, 0);
	cr_assert(mix_parse(slice_from_str(mix_text), &mix, why, sizeof(why)), "%s", why);
	mix_say(&mix, speaker, &out);
	buf_byte(&out, 0);
	cr_assert_str_eq((const char *)out.ptr, expected);
	buf_fini(&out);
	speaker_free(speaker);
}

Test(mix, says_whole_commands)
{
	expect_said("ping", 16, "*1\r\n$4\r\nPING\r\n");
	expect_said("get", 10, "*2\r\n$3\r\nGET\r\n$10\r\nkey:000000\r\n");
	expect_said("incr", 10, "*2\r\n$4\r\nINCR\r\n$10\r\ncnt:000000\r\n");
	expect_said("set", 3, "*3\r\n$3\r\nSET\r\n$3\r\n000\r\n$0\r\n\r\n");
}

Test(mix, repeats_the_words_of_a_command_of_ten)
{
	expect_said("mget10", 2,
	            "*11\r\n$4\r\nMGET\r\n$2\r\n00\r\n$2\r\n01\r\n$2\r\n02\r\n$2\r\n03\r\n$2\r\n04\r\n$2\r\n05\r\n"
	            "$2\r\n06\r\n$2\r\n07\r\n$2\r\n08\r\n$2\r\n09\r\n");
}

Test(mix, fills_with_and_without_an_end)
{
	struct buf out = {0};
	struct speaker *speaker = speaker_of(100, 9, 0);
	speaker_fill(speaker, 42, 0, &out);
	speaker_fill(speaker, 7, 60, &out);
	buf_byte(&out, 0);
	cr_assert_str_eq((const char *)out.ptr,
	                 "*3\r\n$3\r\nSET\r\n$9\r\nkey:00042\r\n$0\r\n\r\n"
	                 "*5\r\n$3\r\nSET\r\n$9\r\nkey:00007\r\n$0\r\n\r\n$2\r\nEX\r\n$2\r\n60\r\n");
	buf_fini(&out);
	speaker_free(speaker);
}

/* An operation that means nothing to the encoder would go unnoticed until a server refuses it. */
Test(mix, every_operation_names_known_words)
{
	struct speaker *speaker = speaker_of(100, 16, 32);
	for (size_t i = 0; operation_at(i); i++) {
		struct mix mix = {.n = 1, .weights = 1, .parts[0] = {operation_at(i), 1}};
		struct buf out = {0};
		mix_say(&mix, speaker, &out);
		size_t words = 0;
		for (size_t at = 0; at < out.len; at++)
			words += out.ptr[at] == '$';
		cr_assert_eq((size_t)atoi((const char *)out.ptr + 1), words, "%s", operation_at(i)->name);
		buf_fini(&out);
	}
	speaker_free(speaker);
}

Test(mix, follows_the_weights)
{
	enum { N = 100000 };
	char why[200];
	struct mix mix;
	struct buf out = {0};
	struct speaker *speaker = speaker_of(100, 16, 8);
	cr_assert(mix_parse(S("get:90,set:10"), &mix, why, sizeof(why)));
	int gets = 0;
	for (int i = 0; i < N; i++) {
		out.len = 0;
		mix_say(&mix, speaker, &out);
		gets += out.ptr[1] == '2';
	}
	cr_assert_float_eq(gets, N * 0.9, N * 0.01);
	buf_fini(&out);
	speaker_free(speaker);
}

Test(mix, refuses_what_it_does_not_know)
{
	static const struct slice bad[] = {S(""),         S("nothing"), S("get:0"),   S("get:x"),
	                                   S("get,,set"), S(",get"),    S("get:1:2"), S("get:10000000")};
	char why[200];
	struct mix mix;
	for (size_t i = 0; i < array_len(bad); i++)
		cr_assert_not(mix_parse(bad[i], &mix, why, sizeof(why)), "%s", bad[i].ptr);
}

Test(mix, knows_how_many_keys_fit)
{
	cr_assert(key_size_suffices(16, 1000000000000));
	cr_assert_not(key_size_suffices(16, 1000000000001));
	cr_assert(key_size_suffices(3, 1000));
	cr_assert_not(key_size_suffices(3, 1001));
	cr_assert(key_size_suffices(1, 1));
}
