/* HyperLogLogs against an array of registers. */
#include "query/commands/hll.h"

#include <criterion/criterion.h>

static struct slice number(const uint64_t *n) { return slice_of(n, sizeof(*n)); }

/* Registers in an array are the model: both forms and their counts must agree with it after each step. */
Test(hll, both_forms_agree_with_an_array)
{
	static uint8_t model[HLL_REGISTERS], of_sparse[HLL_REGISTERS], of_dense[HLL_REGISTERS];
	struct buf sparse = {0}, dense = {0};
	hll_make_empty(&sparse);
	hll_make_empty(&dense);
	cr_assert(hll_make_dense(&dense));
	for (uint64_t n = 0; n < 3000; n++) {
		uint64_t element = n % 2500 * 0x9e3779b97f4a7c15u;
		struct hll_place place = hll_place_of(number(&element));
		enum hll_change wanted = model[place.index] < place.count ? HLL_CHANGED : HLL_SAME;
		model[place.index] = place.count > model[place.index] ? place.count : model[place.index];
		cr_assert_eq(hll_raise(&sparse, place, UINT64_MAX), wanted);
		cr_assert_eq(hll_raise(&dense, place, 0), wanted);
		if (n % 100 > 0)
			continue;
		uint64_t a = 0, b = 0;
		memset(of_sparse, 0, sizeof(of_sparse));
		memset(of_dense, 0, sizeof(of_dense));
		cr_assert(hll_merge(buf_slice(&sparse), of_sparse));
		cr_assert(hll_merge(buf_slice(&dense), of_dense));
		cr_assert_arr_eq(of_sparse, model, sizeof(model));
		cr_assert_arr_eq(of_dense, model, sizeof(model));
		cr_assert(hll_count(buf_slice(&sparse), &a) && hll_count(buf_slice(&dense), &b));
		cr_assert_eq(a, hll_count_registers(model));
		cr_assert_eq(b, a);
	}
	cr_assert_not(hll_is_dense(buf_slice(&sparse)));
	buf_fini(&sparse);
	buf_fini(&dense);
}

Test(hll, counts_within_its_error)
{
	struct buf hll = {0};
	uint64_t count;
	hll_make_empty(&hll);
	for (uint64_t n = 1; n <= 200000; n++) {
		(void)hll_raise(&hll, hll_place_of(number(&n)), 3000);
		if (n != 100 && n != 10000 && n != 200000)
			continue;
		cr_assert(hll_count(buf_slice(&hll), &count));
		double off = (double)count / (double)n - 1;
		cr_assert(off > -0.03 && off < 0.03, "%lu counts as %lu", (unsigned long)n, (unsigned long)count);
	}
	cr_assert(hll_is_dense(buf_slice(&hll)));
	buf_fini(&hll);
}

Test(hll, what_is_none_is_refused)
{
	struct buf hll = {0};
	uint64_t count;
	hll_make_empty(&hll);
	cr_assert(hll_is_one(buf_slice(&hll)));
	cr_assert(hll_count(buf_slice(&hll), &count) && count == 0);
	hll.ptr[hll.len - 1]--; /* one register is missing */
	cr_assert(hll_is_one(buf_slice(&hll)));
	cr_assert_not(hll_count(buf_slice(&hll), &count));
	cr_assert_not(hll_make_dense(&hll));
	hll.ptr[4] = 0; /* dense, and too short */
	cr_assert_not(hll_is_one(buf_slice(&hll)));
	cr_assert_not(hll_is_one(S("HYLL")));
	buf_fini(&hll);
}
