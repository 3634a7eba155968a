/* recorder.h -- a wire that tells replies as text, for tests.
 *
 *   +OK   -ERR why   :3   ,0.5   #t   "bulk"   ="txt:verbatim"   (12   nil   nil*
 *   *2 :1 :2   %1 "key" :1   ~1 :1   >1 :1   |1 ...
 *
 * Items are divided by a space; bytes that don't print are said as \xNN.
 */
#pragma once

#include "query/commands/reply.h"

extern const struct reply_ops recorder_ops;
