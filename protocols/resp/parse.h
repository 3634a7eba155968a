/* parse.h -- RESP requests: bytes in, arguments out.
 *
 * What      Takes one command at a time off the front of a window: an array of bulk
 *           strings, or an inline line with Redis' quoting. Arguments point into the
 *           window (inline ones with escapes into `unquoted`); nothing is copied.
 * State     Incremental and restartable at every byte: a half command costs no second
 *           look at what was already understood. Positions are kept as offsets, so the
 *           window may move between calls as long as its bytes stay the same.
 * Errors    Redis' own texts ("ERR Protocol error: invalid bulk length"); after one the
 *           connection is of no more use and is closed once the error is sent.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stdint.h>

enum resp_parsed {
	RESP_COMMAND, /* args hold one; `used` bytes of the window are its */
	RESP_NOTHING, /* an empty line or array: `used` bytes to drop, no answer */
	RESP_PARTIAL, /* more bytes are needed */
	RESP_BROKEN,  /* `error` says why */
};

struct resp_limits {
	uint64_t bulk_max;      /* longest argument: proto-max-bulk-len, or 16 KiB before authentication */
	uint32_t arguments_max; /* 1024 * 1024, or 10 before authentication */
	uint32_t inline_max;    /* 64 KiB */
	bool authenticated;     /* chooses the error texts */
};

/* Where one argument lies, as offsets: the window may move while a command is partial. */
struct resp_place {
	uint64_t at;
	uint32_t len;
	bool unquoted; /* in `unquoted`, not in the window */
};

struct resp_parser {
	struct buf places;      /* of struct resp_place: arguments understood so far */
	struct buf unquoted;
	uint64_t at;            /* bytes of the window understood so far */
	uint64_t scanned;       /* bytes past `at` known not to end the line that is awaited */
	int64_t arguments_left; /* of a multi-bulk; 0: at a command's start */
	int64_t bulk_left;      /* length of the argument being awaited, -1: its header */
	const char *error;      /* after RESP_BROKEN: "Protocol error: ..." without "ERR " */
	char error_room[64];
};

void resp_parser_fini(struct resp_parser *parser);

/* One command off the front of `window`, which begins with the first byte not yet `used`:
 * until a command is whole, the next call is given the same bytes and more. *n is the
 * number of its arguments. Up to `room` of them are written into `args`; if there are
 * more, none is, and resp_arguments() gives them. Whole multi-bulk commands of up to
 * `room` arguments touch no heap. *n and *used are set with RESP_COMMAND and RESP_NOTHING
 * only. A call with an empty window at a command's start lets go of what a long command
 * left behind. */
enum resp_parsed resp_parse(struct resp_parser *parser, const struct resp_limits *limits, struct slice window,
			    struct slice *args, uint32_t room, uint32_t *n, size_t *used);

/* After RESP_COMMAND with *n > room, before the next resp_parse(): writes the *n arguments
 * into `args`. `window` has the same bytes, and may have moved. */
void resp_arguments(const struct resp_parser *parser, struct slice window, struct slice *args);
