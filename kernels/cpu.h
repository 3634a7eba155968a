/* cpu.h -- what this CPU can do, and the shape of a kernel's list of forms.
 *
 * A kernel is a pure function with several forms. Each has a table of `kernel_variant`,
 * best last, and a function pointer that holds the best one for this machine. The
 * pointers start at the scalar form and are set once by kernels_init(), before any core
 * runs; they are the room's only state.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	CPU_ANY = 0,
	CPU_SSE42 = 1 << 0, /* with POPCNT: the base that the whole program is built for on x86-64 */
	CPU_PCLMUL = 1 << 1,
	CPU_AVX2 = 1 << 2,   /* with BMI1, BMI2 */
	CPU_AVX512 = 1 << 3, /* F, BW, DQ, VL, VBMI, VBMI2 and VPOPCNTDQ, BITALG */
	CPU_VPCLMUL = 1 << 4,
};

typedef void kernel_fn(void); /* cast to the kernel's own type before a call */

struct kernel_variant {
	const char *name;
	uint32_t needs; /* CPU_* */
	kernel_fn *run;
};

/* How many forms every kernel has: three on x86-64, the scalar one alone elsewhere. */
#ifdef __x86_64__
enum { KERNEL_VARIANTS = 3 };
#else
enum { KERNEL_VARIANTS = 1 };
#endif

/* A kernel as tests, perf and kernels_init() see it: its forms, and the pointer callers use. */
struct kernel {
	const char *name;
	const struct kernel_variant *variants; /* KERNEL_VARIANTS */
	kernel_fn **chosen;
};

/* Every kernel of the program. The last row has no name. */
extern const struct kernel kernels[];

/* What this machine has, CPU_*. */
uint32_t cpu_features(void);

/* Chooses the best form of every kernel for `features` (cpu_features(), or less). */
void kernels_init(uint32_t features);

/* The last of `variants` that runs with `features`. */
kernel_fn *kernel_choose(const struct kernel_variant *variants, size_t n, uint32_t features);
