/* Libraries of functions: first lines as clients write them, and the bytes of system rows with anything wrong in them.
 * What is taken is known by its names, says the same bytes again, and goes without a trace. */
#include "query/session/functions.h"
#include "tests/fuzz/fuzz.h"

static void check_first_line(struct slice text)
{
	struct buf name = {0}, why = {0};
	bool sound = library_read_name(text, &name, &why);
	fuzz_check(sound == (why.len == 0));
	fuzz_check(!sound || script_name_is_sound(buf_slice(&name)));
	buf_fini(&name);
	buf_fini(&why);
}

static void check_known(struct functions *functions, struct slice form)
{
	const struct library *library = container_of(functions_libraries(functions)->prev, struct library, all);
	fuzz_check(slice_equal(library->form, form));
	fuzz_check(functions_library(functions, library->name) == library);
	fuzz_check(library->body_at < library->text.len && library->text.ptr[library->body_at] == '\n');
	for (uint32_t i = 0; i < library->n_functions; i++)
		fuzz_check(functions_find(functions, library->functions[i].name) == &library->functions[i]);
}

/* Several, one after the other, each behind its length. */
static void check_forms(struct slice input)
{
	struct functions *functions = functions_new();
	while (input.len > 0) {
		size_t len = fuzz_byte(&input) | (size_t)fuzz_byte(&input) << 8;
		len = len < input.len ? len : input.len;
		uint8_t *own = fuzz_copy(slice_sub(input, 0, len));
		input = slice_sub(input, len, input.len);
		if (functions_put(functions, slice_of(own, len)))
			check_known(functions, slice_of(own, len));
		free(own);
	}
	functions_flush(functions);
	uint32_t libraries;
	fuzz_check(functions_count(functions, &libraries) == 0 && libraries == 0);
	fuzz_check(functions_memory(functions) == 0);
	functions_free(functions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	if (fuzz_byte(&input) % 2 == 0) {
		uint8_t *own = fuzz_copy(input);
		check_first_line(slice_of(own, input.len));
		free(own);
	} else {
		check_forms(input);
	}
	return 0;
}
