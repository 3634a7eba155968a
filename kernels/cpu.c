#include "kernels/cpu.h"

#include "kernels/checksum/crc16.h"
#include "kernels/checksum/crc32c.h"
#include "kernels/checksum/crc64.h"
#include "kernels/column/bits.h"
#include "kernels/hash/tag.h"
#include "kernels/text/find_text.h"
#include "kernels/text/resp_scan.h"
#include "kernels/text/utf8.h"

#define KERNEL(name)                                        \
	{                                                   \
#name, name##_variants, (kernel_fn **)&name \
	}

const struct kernel kernels[] = {
        KERNEL(crc16),          KERNEL(crc32c),     KERNEL(crc64),     KERNEL(tag_match),
        KERNEL(tag_match_many), KERNEL(find_byte),  KERNEL(find_crlf), KERNEL(find_text),
        KERNEL(utf8_valid),     KERNEL(bits_count), KERNEL(bits_and),  KERNEL(bits_or),
        KERNEL(bits_xor),       KERNEL(bits_not),   KERNEL(bits_find), {0},
};

#ifdef __x86_64__
/* A bit stands for all its sets: a machine, or a hypervisor's mask, with only some has none. */
uint32_t cpu_features(void)
{
	__builtin_cpu_init();
	uint32_t features = CPU_ANY;
	if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))
		features |= CPU_SSE42;
	if (__builtin_cpu_supports("pclmul"))
		features |= CPU_PCLMUL;
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
		features |= CPU_AVX2;
	if ((features & CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
	    __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg"))
		features |= CPU_AVX512;
	if ((features & CPU_AVX512) && __builtin_cpu_supports("vpclmulqdq"))
		features |= CPU_VPCLMUL;
	return features;
}
#else
uint32_t cpu_features(void) { return CPU_ANY; }
#endif

kernel_fn *kernel_choose(const struct kernel_variant *variants, size_t n, uint32_t features)
{
	while (n-- > 1)
		if (!(variants[n].needs & ~features))
			return variants[n].run;
	return variants[0].run;
}

void kernels_init(uint32_t features)
{
	for (const struct kernel *kernel = kernels; kernel->name; kernel++)
		*kernel->chosen = kernel_choose(kernel->variants, KERNEL_VARIANTS, features);
}
