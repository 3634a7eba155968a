/* sha1.h -- the names of scripts: SHA-1 of their text, as EVALSHA knows them. Not for secrets.
 *
 * Source  FIPS 180-4, section 6.1.
 */
#pragma once

#include "engine/base/slice.h"

enum { SHA1_HEX = 40 };

/* 40 lower-case hexadecimal digits and a zero byte. */
void sha1_hex(struct slice text, char out[SHA1_HEX + 1]);
