/* kernels.c -- how long each form of each kernel takes on this machine.
 *
 * A row a size. "ns" is the time of one call among many that do not wait for each other;
 * "wait" feeds each result into the next call's address, which is what a caller who needs the
 * answer feels. Best of several rounds: what others do on the machine only adds. Inputs are in
 * the first-level cache up to 16 KiB.
 *
 * With arguments, only kernels whose name contains one of them.
 */
#include "kernels/checksum/crc16.h"
#include "kernels/checksum/crc32c.h"
#include "kernels/checksum/crc64.h"
#include "kernels/column/bits.h"
#include "kernels/hash/tag.h"
#include "kernels/text/find_text.h"
#include "kernels/text/resp_scan.h"
#include "kernels/text/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 9, ROUND_NS = 200000, WARM_UP_NS = 50000000, ROOM = 256 * 1024 };

static uint8_t input[ROOM + 64] __attribute__((aligned(64)));
static uint8_t output[ROOM + 64] __attribute__((aligned(64)));

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A loop for each kernel, so that nothing but its call through a pointer is measured. `bytes` moves by
 * an even number of bytes, so that letters of two bytes stay whole, and within the input's slack. */
typedef uint64_t loop_fn(kernel_fn *run, size_t n, size_t calls, bool wait);

#define LOOP(name, result)                                                             \
	static uint64_t loop_##name(kernel_fn *run, size_t n, size_t calls, bool wait) \
	{                                                                              \
		uint64_t last = 0, sum = 0;                                            \
		for (size_t i = 0; i < calls; i++) {                                   \
			const uint8_t *bytes = input + ((wait ? last : i) & 30);       \
			last = result;                                                 \
			sum += last;                                                   \
		}                                                                      \
		return sum;                                                            \
	}

LOOP(crc16, ((crc16_fn *)run)(bytes, n))
LOOP(crc32c, ((crc32c_fn *)run)(0, bytes, n))
LOOP(crc64, ((crc64_fn *)run)(0, bytes, n))
LOOP(tag_match, ((tag_match_fn *)run)(bytes, (uint8_t)n))
LOOP(tag_match_inline, tag_match_inline(bytes, (uint8_t)n))
LOOP(tag_match_many, ((tag_match_many_fn *)run)(bytes, (uint8_t)n))
LOOP(tag_match_many_inline, tag_match_many_inline(bytes, (uint8_t)n))
LOOP(find_byte, ((find_byte_fn *)run)(bytes, n, '\n'))
LOOP(find_crlf, ((find_crlf_fn *)run)(bytes, n))
LOOP(find_text, ((find_text_fn *)run)(bytes, n, (const uint8_t *)"\7field99", 8))
LOOP(utf8_valid, ((utf8_valid_fn *)run)(bytes, n))
LOOP(bits_count, ((bits_count_fn *)run)(bytes, n))
LOOP(bits_merge, (((bits_merge_fn *)run)(output + 16, bytes, n), output[16]))
LOOP(bits_find, ((bits_find_fn *)run)(bytes, n, 1))

static void fill_random(void)
{
	uint64_t state = 1;
	for (size_t i = 0; i < sizeof(input); i++) {
		state = state * 6364136223846793005 + 1442695040888963407;
		input[i] = (uint8_t)(state >> 56);
	}
}

static void fill_ascii(void) { memset(input, 'a', sizeof(input)); }
static void fill_zeros(void) { memset(input, 0, sizeof(input)); }

/* A packed block of a hash: each text behind its length. What is looked for begins as all fields do. */
static void fill_pairs(void)
{
	for (size_t at = 0, i = 0; at < sizeof(input); i++) {
		char pair[20];
		size_t n = (size_t)snprintf(pair, sizeof(pair), "\7field%02zu\10value%03zu", i % 99, i % 1000);
		for (size_t j = 0; j < n && at < sizeof(input); j++)
			input[at++] = (uint8_t)pair[j];
	}
}

/* Two bytes a letter throughout: no block is plain ASCII. */
static void fill_letters(void)
{
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = i % 2 ? 0xa4 : 0xc3;
}

struct bench {
	const char *kernel; /* its name in the list of kernels */
	const char *input;
	void (*fill)(void);
	loop_fn *loop;
	loop_fn *inlined; /* the form that callers inline, if there is one */
	size_t sizes[7];  /* up to the first 0 */
};

static const struct bench benches[] = {
        {"crc16", "random", fill_random, loop_crc16, NULL, {8, 16, 24, 32, 40, 100, 1024}},
        {"crc32c", "random", fill_random, loop_crc32c, NULL, {16, 64, 256, 1024, 4096, 65536, ROOM}},
        {"crc64", "random", fill_random, loop_crc64, NULL, {16, 64, 256, 1024, 16384}},
        {"tag_match", "random", fill_random, loop_tag_match, loop_tag_match_inline, {16}},
        {"tag_match_many", "random", fill_random, loop_tag_match_many, loop_tag_match_many_inline, {400}},
        {"find_byte", "no match", fill_ascii, loop_find_byte, NULL, {16, 40, 100, 1024, 16384}},
        {"find_crlf", "no match", fill_ascii, loop_find_crlf, NULL, {16, 40, 100, 1024, 16384}},
        {"find_text", "pairs, no match", fill_pairs, loop_find_text, NULL, {16, 100, 1024, 16384}},
        {"utf8_valid", "ASCII", fill_ascii, loop_utf8_valid, NULL, {16, 40, 100, 1024, 16384}},
        {"utf8_valid", "letters", fill_letters, loop_utf8_valid, NULL, {16, 40, 100, 1024, 16384}},
        {"bits_count", "random", fill_random, loop_bits_count, NULL, {16, 100, 1024, 16384}},
        {"bits_and", "random", fill_random, loop_bits_merge, NULL, {16, 100, 1024, 16384}},
        {"bits_or", "random", fill_random, loop_bits_merge, NULL, {16, 100, 1024, 16384}},
        {"bits_xor", "random", fill_random, loop_bits_merge, NULL, {16, 100, 1024, 16384}},
        {"bits_not", "random", fill_random, loop_bits_merge, NULL, {16, 100, 1024, 16384}},
        {"bits_find", "zeros", fill_zeros, loop_bits_find, NULL, {16, 100, 1024, 16384}},
};

static volatile uint64_t sink;

static double best_ns(loop_fn *loop, kernel_fn *run, size_t n, bool wait)
{
	double best = 0;
	size_t calls = 100;
	for (size_t i = 0; i <= ROUNDS; i++) {
		uint64_t from = now_ns();
		sink = loop(run, n, calls, wait);
		double ns = (double)(now_ns() - from) / (double)calls;
		best = i == 0 || ns < best ? ns : best;
		calls = (size_t)(ROUND_NS / best) + 1; /* the first round was a guess */
	}
	return best;
}

static void print_form(const char *name, loop_fn *loop, kernel_fn *run, size_t n)
{
	double ns = best_ns(loop, run, n, false), wait_ns = best_ns(loop, run, n, true);
	printf(" | %-6s %8.1f %8.1f %6.1f", name, ns, wait_ns, (double)n / ns);
}

static void print_row(const struct bench *bench, const struct kernel *kernel, size_t n)
{
	printf("%-14s %-8s %6zu", bench->kernel, bench->input, n);
	for (size_t v = 0; v < KERNEL_VARIANTS; v++)
		if (!(kernel->variants[v].needs & ~cpu_features()))
			print_form(kernel->variants[v].name, bench->loop, kernel->variants[v].run, n);
	if (bench->inlined)
		print_form("inline", bench->inlined, NULL, n);
	printf("\n");
	fflush(stdout);
}

static void print_bench(const struct bench *bench, const struct kernel *kernel)
{
	bench->fill();
	for (size_t i = 0; i < sizeof(bench->sizes) / sizeof(bench->sizes[0]) && bench->sizes[i]; i++)
		print_row(bench, kernel, bench->sizes[i]);
}

static bool wanted(const char *name, char **words)
{
	bool any = !*words;
	for (; *words; words++)
		any |= strstr(name, *words) != NULL;
	return any;
}

/* Every kernel of the list has its row here: a new one without is said, not passed over. */
static int print_kernel(const struct kernel *kernel)
{
	int found = 0;
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		if (strcmp(benches[i].kernel, kernel->name) == 0) {
			print_bench(&benches[i], kernel);
			found++;
		}
	if (!found)
		fprintf(stderr, "%s has no measurement\n", kernel->name);
	return found ? 0 : 1;
}

int main(int argc, char **argv)
{
	int missing = 0;
	for (uint64_t until = now_ns() + WARM_UP_NS; now_ns() < until;)
		sink++; /* the clock of an idle core rises first */
	printf("%-14s %-8s %6s | %-6s %8s %8s %6s | ...\n", "kernel", "input", "bytes", "form", "ns", "wait ns",
	       "B/ns");
	for (const struct kernel *kernel = kernels; kernel->name; kernel++)
		if (wanted(kernel->name, argv + 1))
			missing += print_kernel(kernel);
	return missing ? 1 : 0;
}
