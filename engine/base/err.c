#include "engine/base/err.h"

#include <assert.h>

static const struct err_text texts[ERR_COUNT] = {
	[OK] = {"OK", "00000", "", ""},
#define ERR(name, sqlstate, resp, text) [ERR_##name] = {#name, sqlstate, resp, text},
#include "engine/base/err.def"
#undef ERR
};

const struct err_text *err_text(enum err err)
{
	assert(err > OK);
	assert(err < ERR_COUNT);
	return &texts[err];
}
