/* HyperLogLogs: a hostile string touches nothing outside, and what is added to it stays one. */
#include "query/commands/hll.h"
#include "tests/fuzz/fuzz.h"

static void check_merge(struct slice hll)
{
	static uint8_t registers[HLL_REGISTERS];
	uint64_t count, merged;
	memset(registers, 0, sizeof(registers));
	bool sound = hll_merge(hll, registers);
	fuzz_check(hll_count(hll, &count) == sound);
	merged = hll_count_registers(registers);
	fuzz_check(!sound || merged == count);
}

/* The bytes after the string say what is added. */
static void check_add(struct slice hll, struct slice elements, uint64_t sparse_max)
{
	struct buf own = {0};
	buf_append(&own, hll);
	for (size_t i = 0; i + 2 <= elements.len; i += 2) {
		enum hll_change change = hll_raise(&own, hll_place_of(slice_sub(elements, i, i + 2)), sparse_max);
		if (change == HLL_CORRUPT)
			break;
		fuzz_check(hll_is_one(buf_slice(&own)));
		fuzz_check(change == HLL_SAME || hll_is_dense(buf_slice(&own)) || own.len <= hll.len ||
		           own.len <= sparse_max);
	}
	check_merge(buf_slice(&own));
	if (hll_make_dense(&own))
		fuzz_check(own.len == HLL_DENSE_SIZE);
	buf_fini(&own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *own = fuzz_copy(slice_of(data, size));
	struct slice hll = slice_of(own, size);
	if (hll_is_one(hll)) {
		struct buf text = {0};
		check_merge(hll);
		if (!hll_is_dense(hll))
			hll_decode(hll, &text);
		buf_fini(&text);
		check_add(hll, slice_sub(hll, size / 2, size), 3000);
		check_add(hll, slice_sub(hll, size / 2, size), 0);
	}
	free(own);
	return 0;
}
