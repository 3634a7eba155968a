#include "kernels/checksum/crc16.h"
#include "kernels/cpu.h"
#include "tests/unit/kernels/places.h"

#include <string.h>

Test(kernels, each_has_a_name_of_its_own)
{
	for (const struct kernel *one = kernels; one->name; one++)
		for (const struct kernel *other = kernels; other < one; other++) {
			cr_assert_str_neq(one->name, other->name);
			cr_assert_neq(one->chosen, other->chosen);
			cr_assert_neq(one->variants, other->variants);
		}
}

Test(kernels, the_scalar_form_comes_first_and_runs_anywhere)
{
	for (const struct kernel *kernel = kernels; kernel->name; kernel++) {
		cr_assert_str_eq(kernel->variants[0].name, "scalar");
		cr_assert_eq(kernel->variants[0].needs, CPU_ANY);
		cr_assert_eq(*kernel->chosen, kernel->variants[0].run, "%s starts at another form", kernel->name);
		for (size_t v = 0; v < KERNEL_VARIANTS; v++)
			cr_assert_not_null(kernel->variants[v].run);
	}
}

/* With every set of features that this machine can take: nothing is chosen that needs more,
 * and nothing better is left aside. */
Test(kernels, init_chooses_the_best_form_that_runs)
{
	for (uint32_t features = 0; features < CPU_VPCLMUL << 1; features++) {
		if (features & ~cpu_features())
			continue;
		kernels_init(features);
		for (const struct kernel *kernel = kernels; kernel->name; kernel++) {
			size_t best = 0;
			for (size_t v = 1; v < KERNEL_VARIANTS; v++)
				if ((kernel->variants[v].needs & features) == kernel->variants[v].needs)
					best = v;
			cr_assert_eq(*kernel->chosen, kernel->variants[best].run, "%s with features %u", kernel->name,
			             features);
		}
	}
}

Test(kernels, what_is_chosen_answers)
{
	kernels_init(cpu_features());
	cr_assert_eq(crc16((const uint8_t *)"123456789", 9), 0x31c3);
}
