#include "storage/log/record.h"

#include <string.h>

const char *record_kind_name(unsigned kind)
{
	switch (kind) {
#define RECORD(number, NAME, text) \
	case number:               \
		return text;
#include "storage/log/record.def"
#undef RECORD
	}
	return NULL;
}

/* ---- taking bodies apart ------------------------------------------------------------- */

static bool take_slice(struct slice *rest, struct slice *out)
{
	uint32_t n;
	if (!slice_take(rest, &n, sizeof(n)) || rest->len < n)
		return false;
	*out = slice_sub(*rest, 0, n);
	*rest = slice_sub(*rest, n, rest->len);
	return true;
}

static bool take_tx(struct slice *rest, struct tx_id *out)
{
	return slice_take(rest, &out->log, sizeof(out->log)) && slice_take(rest, &out->epoch, sizeof(out->epoch)) &&
	       slice_take(rest, &out->number, sizeof(out->number));
}

static bool parse_patch(struct slice rest, struct record_body *out)
{
	if (!slice_take(&rest, &out->offset, sizeof(out->offset)) ||
	    !slice_take(&rest, &out->whole_length, sizeof(out->whole_length)) || !take_slice(&rest, &out->key))
		return false;
	out->value = rest;
	return out->offset <= out->whole_length && rest.len <= out->whole_length - out->offset;
}

static bool parse_outcome(struct slice rest, struct record_body *out)
{
	uint8_t committed;
	if (!take_tx(&rest, &out->tx) || !slice_take(&rest, &committed, sizeof(committed)))
		return false;
	out->committed = committed == 1;
	return committed <= 1 && rest.len == 0;
}

static bool parse(uint8_t kind, struct slice rest, struct record_body *out)
{
	switch (kind) {
	case RECORD_KEY_PUT:
		if (!slice_take(&rest, &out->expires_ms, sizeof(out->expires_ms)) || !take_slice(&rest, &out->key))
			return false;
		out->value = rest;
		return true;
	case RECORD_KEY_EXPIRE:
		if (!slice_take(&rest, &out->expires_ms, sizeof(out->expires_ms)))
			return false;
		out->key = rest;
		return true;
	case RECORD_KEY_DELETE:
	case RECORD_SYSTEM_DELETE:
		out->key = rest;
		return true;
	case RECORD_KEY_EDIT:
		if (!slice_take(&rest, &out->type, sizeof(out->type)) ||
		    !slice_take(&rest, &out->version, sizeof(out->version)) || !take_slice(&rest, &out->key))
			return false;
		out->value = rest;
		return true;
	case RECORD_KEY_PATCH:
		return parse_patch(rest, out);
	case RECORD_SYSTEM_PUT:
		if (!take_slice(&rest, &out->key))
			return false;
		out->value = rest;
		return true;
	case RECORD_TX_PREPARE:
	case RECORD_TX_COMMIT:
		return take_tx(&rest, &out->tx) && rest.len == 0;
	case RECORD_TX_OUTCOME:
		return parse_outcome(rest, out);
	}
	return false;
}

bool record_parse(const struct record *record, struct record_body *out)
{
	/* Taken apart where it is wanted: a copy of what was just written in small pieces waits for all of them. */
	*out = (struct record_body){0};
	return parse(record->kind, record->body, out);
}
