/* record.h -- what the bodies of records say, and nothing about where they lie.
 *
 * Records state results: a value, an absolute expiry, bytes at a position. To apply one needs
 * neither a clock nor chance.
 *
 *   KEY_PUT        expires_ms 8 | key length 4 | key | packed value (object_pack())
 *   KEY_DELETE     key
 *   KEY_EXPIRE     expires_ms 8 (-1: never) | key
 *   KEY_PATCH      offset 8 | length of the whole value 8 | key length 4 | key | bytes: a string, these bytes at
 *                  the offset, zeros in what is new besides
 *   KEY_EDIT       type 1 | version 4 | key length 4 | key | edits, as the type has them: a collection, in its next
 *                  version
 *   SYSTEM_PUT     name length 4 | name | value: a row of the system partition
 *   SYSTEM_DELETE  name
 *   TX_PREPARE     struct tx_id: the records of its group behind it take effect with the outcome
 *   TX_COMMIT      struct tx_id: in the coordinator's log, the commit point
 *   TX_OUTCOME     struct tx_id | committed 1: where the prepared records take effect, or none does
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"
#include "storage/log/format.h"

#include <stdbool.h>
#include <stdint.h>

enum record_kind {
#define RECORD(number, NAME, text) RECORD_##NAME = (number),
#include "storage/log/record.def"
#undef RECORD
};

/* NULL: no such kind. */
const char *record_kind_name(unsigned kind);

/* A transaction over several logs. */
struct tx_id {
	uint32_t log;    /* the coordinator's */
	uint32_t epoch;  /* the coordinator's, low bits */
	uint64_t number; /* counts from each start */
};

/* A whole record as it is read back, fragments put together. Slices point into the reader's memory. */
struct record {
	uint8_t kind;
	bool group; /* more of its group follow */
	uint16_t slot;
	uint32_t space;
	uint64_t lsn;
	struct slice body;
};

/* A body, taken apart; which fields count depends on the kind. */
struct record_body {
	int64_t expires_ms;
	struct slice key, value; /* or name and value of a system row */
	uint64_t offset, whole_length;
	uint32_t version; /* of a collection, that the edits make */
	uint8_t type;
	struct tx_id tx;
	bool committed;
};

/* False: malformed, and `out` means nothing. */
bool record_parse(const struct record *record, struct record_body *out) must_check;
