#include "protocols/bench/verify.h"

#include "engine/memory/memory.h"

#include <criterion/criterion.h>

enum { REQUESTS = 50 };

struct play {
	struct mix mix;
	struct speaker speaker;
	struct verifier verifier;
	struct buf replies; /* of a server that keeps all it is given */
};

static void begin(struct play *play, const char *mix)
{
	char why[200];
	*play = (struct play){.speaker = {.key_size = 16, .value_size = 100, .is_keyed = true}};
	keys_init(&play->speaker.keys, KEYS_UNIFORM, 1000, 0, 1, 0, 1);
	play->speaker.random = (struct random){1};
	play->speaker.noise = speaker_noise_new(100, 1);
	cr_assert(mix_parse(slice_from_str(mix), &play->mix, why, sizeof(why)), "%s", why);
	struct buf asked = {0};
	for (int i = 0; i < REQUESTS; i++) {
		mix_say(&play->mix, &play->speaker, &asked);
		verifier_note(&play->verifier, &play->speaker);
		if (play->speaker.last == operation_find(S("set")))
			buf_append(&play->replies, S("+OK\r\n"));
		else
			speaker_value_of(&play->speaker, play->speaker.last_key, &play->replies);
	}
	buf_fini(&asked);
}

static void end(struct play *play)
{
	verifier_fini(&play->verifier);
	buf_fini(&play->replies);
	memory_free((void *)play->speaker.noise);
}

/* All of it `rounds` times, in pieces. */
static bool is_right(struct play *play, size_t piece, int rounds)
{
	uint64_t key;
	for (; rounds > 0; rounds--)
		for (size_t at = 0; at < play->replies.len; at += piece) {
			size_t to = at + piece < play->replies.len ? at + piece : play->replies.len;
			if (!verifier_compare(&play->verifier, &play->speaker,
			                      slice_sub(buf_slice(&play->replies), at, to), &key))
				return false;
		}
	return true;
}

Test(verify, takes_what_was_written_cut_anywhere_and_round_and_round)
{
	for (size_t piece = 1; piece < 300; piece += 7) {
		struct play play;
		begin(&play, "get:3,set:1");
		cr_assert(is_right(&play, piece, 3), "pieces of %zu", piece);
		end(&play);
	}
}

Test(verify, sees_each_byte_that_differs)
{
	struct play play;
	begin(&play, "get:3,set:1");
	for (size_t at = 0; at < play.replies.len; at += 11) {
		play.replies.ptr[at] ^= 1;
		play.verifier.next = play.verifier.at = 0;
		cr_assert_not(is_right(&play, 64, 1), "byte %zu", at);
		play.replies.ptr[at] ^= 1;
	}
	end(&play);
}

Test(verify, tells_values_of_different_keys_apart)
{
	struct play play;
	struct buf one = {0}, other = {0};
	begin(&play, "get");
	speaker_value_of(&play.speaker, 1, &one);
	speaker_value_of(&play.speaker, 2, &other);
	cr_assert_eq(one.len, other.len);
	cr_assert(memcmp(one.ptr, other.ptr, one.len) != 0);
	buf_fini(&one);
	buf_fini(&other);
	end(&play);
}

Test(verify, knows_get_and_set_alone)
{
	char why[200];
	struct mix mix;
	cr_assert(mix_parse(S("get:9,set:1"), &mix, why, sizeof(why)) && verifier_knows(&mix));
	cr_assert(mix_parse(S("get:9,incr:1"), &mix, why, sizeof(why)) && !verifier_knows(&mix));
}
