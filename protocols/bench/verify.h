/* verify.h -- are these the values that were written?
 *
 * What      With --verify a value is a function of its key's number: so each reply to GET and SET is known
 *           beforehand, and compared byte by byte as it comes, cut anywhere.
 * Limits    Mixes of get and set alone; keys that are not there are a difference.
 */
#pragma once

#include "protocols/bench/mix.h"

struct verifier {
	struct buf asked; /* uint64_t: of each request of the ring, in order, the key's number, times two; odd: SET */
	uint64_t next;    /* request whose reply comes, or is coming */
	struct buf expected; /* its reply, */
	size_t at;           /* of which so much has come */
};

void verifier_fini(struct verifier *verifier);

/* The request that mix_say() has just said comes next in the ring. */
void verifier_note(struct verifier *verifier, const struct speaker *speaker);

/* False: there is a difference, in the reply about *key. */
bool verifier_compare(struct verifier *verifier, struct speaker *speaker, struct slice bytes, uint64_t *key) must_check;

/* Does the mix ask for nothing else than what can be verified? */
bool verifier_knows(const struct mix *mix);
