/* target.h -- the instruction sets that a kernel's forms are compiled for.
 *
 * One attribute for each CPU_* bit of cpu.h, so that a form and the `needs` of its row
 * say the same thing. What these mark exists on x86-64 only.
 */
#pragma once

#ifdef __x86_64__
#include <immintrin.h>

#define target_sse42  __attribute__((target("sse4.2,popcnt")))
#define target_pclmul __attribute__((target("sse4.2,popcnt,pclmul")))
#define target_avx2   __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define AVX512_SETS \
	"avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,avx512bitalg"
#define target_avx512  __attribute__((target(AVX512_SETS)))
#define target_vpclmul __attribute__((target(AVX512_SETS ",pclmul,vpclmulqdq")))

/* A step of a form: inlined into it, so that vectors never travel through memory. */
#define kernel_step static inline __attribute__((always_inline))
#endif
