/* LZF: hostile streams touch nothing they should not, and packing is undone by unpacking. */
#include "engine/base/lzf.h"
#include "tests/fuzz/fuzz.h"

static void check_unpack(struct slice packed)
{
	size_t len;
	if (!lzf_measure(packed, &len))
		return;
	fuzz_check(len <= packed.len * 88 + 264);
	uint8_t *plain = malloc(len > 0 ? len : 1);
	lzf_unpack(packed, plain);
	free(plain);
}

static void check_pack(struct slice plain)
{
	uint8_t *packed = malloc(plain.len + 1), *again = malloc(plain.len + 1);
	size_t n = lzf_pack(plain, packed, plain.len), len;
	fuzz_check(n <= plain.len);
	if (n > 0) {
		fuzz_check(lzf_measure(slice_of(packed, n), &len));
		fuzz_check(len == plain.len);
		lzf_unpack(slice_of(packed, n), again);
		fuzz_check(slice_equal(slice_of(again, len), plain));
	}
	free(packed);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *own = fuzz_copy(slice_of(data, size));
	check_unpack(slice_of(own, size));
	check_pack(slice_of(own, size));
	free(own);
	return 0;
}
