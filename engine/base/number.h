/* number.h -- numbers to text and back, in the forms that the wires demand. */
#pragma once

#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum { INTEGER_TEXT_MAX = 20, REAL_TEXT_MAX = 5 * 1024 };

/* Decimal digits of `value` into `out`; returns how many. */
size_t integer_format(int64_t value, char out[INTEGER_TEXT_MAX]);

/* Only the form integer_format() writes: no spaces, no '+', no leading zeros, no "-0". */
bool integer_parse(struct slice text, int64_t *out);

/* As Redis 7.0 says doubles on the wire: 17 digits at most ("3", "0.10000000000000001", "1e+21", "-0", "inf"). */
size_t real_format_17(double value, char out[32]);

/* Whole text as strtod() reads it, without leading spaces, "nan" or an empty text: a score. */
bool real_parse_double(struct slice text, double *out);

/* Whole text as strtold() reads it, without leading spaces, "nan" or an empty text. */
bool real_parse(struct slice text, long double *out);

/* 17 digits at most, trailing zeros cut, never an exponent: INCRBYFLOAT's result. */
size_t real_format_plain(long double value, char out[REAL_TEXT_MAX]);
