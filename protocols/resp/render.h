/* render.h -- replies in RESP2 and RESP3. */
#pragma once

#include "query/commands/reply.h"

extern const struct reply_ops resp2_ops;
extern const struct reply_ops resp3_ops;
