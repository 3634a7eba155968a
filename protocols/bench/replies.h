/* replies.h -- counts RESP replies, without keeping them.
 *
 * What      Bytes in, number of whole replies out; may be cut anywhere. Knows all types of
 *           RESP2 and RESP3, nested ones too. Errors and nulls are counted apart, and the
 *           first error's text is kept. Pushes and attributes are no replies.
 * Lifetime  A zeroed struct stands before the first byte.
 * Source    The count of open elements needs no stack: an aggregate adds its elements to
 *           the one number of values still to come.
 */
#pragma once

#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { REPLIES_ERROR_MAX = 200 };

struct replies {
	uint64_t skip;   /* bytes of a string's body still to come, its line end included */
	uint64_t values; /* of the reply that is open, still to come; 0: between two replies */
	uint8_t type;    /* of the line that is open; 0: between two lines */
	bool negative;   /* what its number is so far */
	uint64_t number;
	bool pushed; /* the open reply answers nothing */
	bool broken;
	uint64_t errors, nulls;
	uint32_t error_len;
	char error[REPLIES_ERROR_MAX]; /* of the first error; cut */
};

/* Returns how many replies these bytes complete. Once `broken` it takes no more. */
uint64_t replies_count(struct replies *replies, struct slice bytes);
