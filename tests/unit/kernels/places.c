#include "tests/unit/kernels/places.h"

#include "kernels/target.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <sys/mman.h>

enum { PAGE = 4096, LARGE_ONES = 60 };

bool can_run(const struct kernel_variant *variant) { return !(variant->needs & ~cpu_features()); }

uint64_t random_u64(void)
{
	static uint64_t state = 88172645463325252;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 2685821657736338717;
}

void random_fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(random_u64() >> 56);
}

/* PLACES_MAX readable bytes between two pages that aren't. */
static uint8_t *fenced(void)
{
	size_t size = PLACES_MAX + 2 * PAGE;
	uint8_t *pages = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(pages, MAP_FAILED);
	cr_assert_eq(mprotect(pages + PAGE, PLACES_MAX, PROT_READ | PROT_WRITE), 0);
	return pages + PAGE;
}

#ifdef __x86_64__
/* Are the upper halves of vector registers in use? (XGETBV with ECX = 1, where the CPU has it.) */
__attribute__((target("xsave"))) static bool upper_halves_in_use(void) { return _xgetbv(1) & (1 << 2 | 1 << 6); }

/* Does the CPU keep track, so that the question has an answer? */
target_avx2 static bool upper_halves_tracked(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid_count(0xd, 1, &a, &b, &c, &d) || !(a & 1 << 2))
		return false;
	_mm256_zeroupper();
	return !upper_halves_in_use();
}

/* A form that leaves them in use slows down all code without AVX that comes after it. */
static void check_upper_halves(const struct kernel_variant *variant)
{
	if ((cpu_features() & CPU_AVX2) && upper_halves_in_use() && upper_halves_tracked())
		cr_assert_fail("%s leaves the upper halves of registers in use", variant->name);
}
#else
static void check_upper_halves(const struct kernel_variant *variant) { (void)variant; }
#endif

static void look_and_check(const struct kernel_variant *variant, uint8_t *bytes, size_t n, place_fn *look)
{
	look(variant, bytes, n);
	check_upper_halves(variant);
}

static void at_both_fences(const struct kernel_variant *variant, uint8_t *room, size_t n, place_fn *look)
{
	for (size_t gap = 0; gap < 16 && n + gap <= PLACES_MAX; gap++) {
		look_and_check(variant, room + gap, n, look);
		look_and_check(variant, room + PLACES_MAX - gap - n, n, look);
	}
}

void at_every_place(const struct kernel_variant *variants, place_fn *look)
{
	uint8_t *room = fenced();
	for (size_t v = 0; v < KERNEL_VARIANTS; v++) {
		if (!can_run(&variants[v]))
			continue;
		for (size_t n = 0; n <= PLACES_EVERY; n++)
			at_both_fences(&variants[v], room, n, look);
		for (size_t i = 0; i < LARGE_ONES; i++) {
			size_t n = random_u64() % (PLACES_MAX - 16), gap = random_u64() % 16;
			look_and_check(&variants[v], room + gap, n, look);
			look_and_check(&variants[v], room + PLACES_MAX - gap - n, n, look);
		}
		look_and_check(&variants[v], room, PLACES_MAX, look);
	}
	munmap(room - PAGE, PLACES_MAX + 2 * PAGE);
}
