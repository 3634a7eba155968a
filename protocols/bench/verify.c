#include "protocols/bench/verify.h"

void verifier_fini(struct verifier *verifier)
{
	buf_fini(&verifier->asked);
	buf_fini(&verifier->expected);
}

static bool is_set(const struct operation *operation) { return strcmp(operation->name, "set") == 0; }

bool verifier_knows(const struct mix *mix)
{
	for (int i = 0; i < mix->n; i++)
		if (!is_set(mix->parts[i].operation) && strcmp(mix->parts[i].operation->name, "get") != 0)
			return false;
	return true;
}

void verifier_note(struct verifier *verifier, const struct speaker *speaker)
{
	uint64_t asked = speaker->last_key * 2 + is_set(speaker->last);
	buf_append(&verifier->asked, slice_of(&asked, sizeof(asked)));
}

static uint64_t asked_at(const struct verifier *verifier, uint64_t i)
{
	return ((const uint64_t *)(const void *)verifier->asked.ptr)[i];
}

static void expect_next(struct verifier *verifier, struct speaker *speaker)
{
	uint64_t asked = asked_at(verifier, verifier->next);
	verifier->expected.len = verifier->at = 0;
	if (asked % 2)
		buf_append(&verifier->expected, S("+OK\r\n"));
	else
		speaker_value_of(speaker, asked / 2, &verifier->expected);
}

bool verifier_compare(struct verifier *verifier, struct speaker *speaker, struct slice bytes, uint64_t *key)
{
	while (bytes.len > 0) {
		if (verifier->at == 0)
			expect_next(verifier, speaker);
		size_t left = verifier->expected.len - verifier->at, n = left < bytes.len ? left : bytes.len;
		if (memcmp(verifier->expected.ptr + verifier->at, bytes.ptr, n) != 0) {
			*key = asked_at(verifier, verifier->next) / 2;
			return false;
		}
		bytes = slice_sub(bytes, n, bytes.len);
		verifier->at += n;
		if (n < left)
			break;
		verifier->at = 0;
		if (++verifier->next == verifier->asked.len / sizeof(uint64_t))
			verifier->next = 0;
	}
	return true;
}
