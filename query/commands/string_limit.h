/* string_limit.h -- how long a string value may become.
 *
 * proto-max-bulk-len bounds what a client may send; the commands that make a value longer
 * than what was sent (APPEND, SETRANGE, SETBIT, BITFIELD) keep to the same bound.
 */
#pragma once

enum { STRING_SIZE_MAX = 512 * 1024 * 1024 };
