#include "tests/sim/caches.h"

#include "tests/sim/replies.h"

static bool has_collections(const struct config *config)
{
	for (enum mix kind = MIX_LIST; kind <= MIX_STREAM; kind++)
		if (config->mix[kind] > 0)
			return true;
	return false;
}

static void begin(struct client *c)
{
	static const char *const modes[] = {[TRACKING_READ_KEYS] = "CLIENT TRACKING ON",
	                                    [TRACKING_ALL_KEYS] = "CLIENT TRACKING ON BCAST",
	                                    [TRACKING_PREFIX] = "CLIENT TRACKING ON BCAST PREFIX k PREFIX {"};
	ask_hello(c);
	ask_begin(c, AWAIT_TEXT, text_id(c->history->texts, S("+OK\r\n")), 0);
	ask_words(c, 0, modes[c->config->tracking]);
}

/* Any value, whatever its type. */
void ask_as_cacher(struct client *c)
{
	if (c->stage == 0)
		begin(c);
	c->stage = 1;
	uint32_t key = c->looks_back ? c->left - 1 : (uint32_t)sim_below(c->sim, c->config->n_keys);
	ask_begin(c, AWAIT_CACHED, key, 0);
	ask_words(c, 1, has_collections(c->config) ? "DUMP" : "GET");
	ask_word(c, text_bytes(c->history->texts, key_text(c, (uint8_t)key)));
}

bool cache_take(struct client *c, uint8_t key, struct slice reply)
{
	uint32_t text = text_id(c->history->texts, reply), kept = c->cached[key];
	c->cached[key] = text;
	return !c->looks_back || kept == TEXT_NONE || kept == text;
}

bool cache_drop(struct client *c, struct slice reply)
{
	if (!begins_with(reply, S(">2\r\n$10\r\ninvalidate\r\n")))
		return false;
	struct slice names = slice_sub(reply, sizeof(">2\r\n$10\r\ninvalidate\r\n") - 1, reply.len);
	for (uint8_t key = 0; key < c->config->n_keys; key++) {
		char name[16], said[32];
		key_name(c->config, key, name);
		int n = snprintf(said, sizeof(said), "$%zu\r\n%s\r\n", strlen(name), name);
		if (begins_with(names, S("_")) || memmem(names.ptr, names.len, said, (size_t)n))
			c->cached[key] = TEXT_NONE;
	}
	return true;
}
