#include "kernels/cpu.h"
kernel_fn *kernel_choose(const struct kernel_variant *variants, size_t n, uint32_t features)
{
	while (n-- > 1)
		if (!(variants[n].needs & ~features))
			return variants[n].run;
	return variants[0].run;
}
