/* Notes, and the records they become.
 *
 * The common case is one change that put an object: then nothing is copied, the record is made from the
 * object itself at the flush. Otherwise names are kept, and at the flush each key is looked up
 * once more: what is logged is the state that it is in then, however it got there.
 */
#include "storage/journal/journal.h"

#include "engine/base/copy.h"
#include "engine/base/list.h"
#include "engine/memory/memory.h"
#include "storage/keyspace/cold.h"

enum change_kind {
	CHANGE_STATE,  /* whatever it is now */
	CHANGE_EXPIRY, /* the value is as it was */
	CHANGE_GONE,   /* went by itself; what a transaction makes of it meanwhile is not told here */
	CHANGE_PATCH,  /* a string, as it was but for [at, at + len) and zeros behind its end */
	CHANGE_EDIT,   /* a collection, as it was but for what the edits at [at, at + len) do, behind their version */
};

struct change {
	uint64_t hash;
	uint64_t at, len; /* of a patch */
	uint32_t space;
	uint32_t name_len; /* the name follows, then zeros up to a multiple of 8 */
	uint16_t slot;
	uint8_t kind;
	bool merged; /* into an earlier one of the same key */
	bool whole;  /* it is logged whole: no patch */
};

/* Prepared here, and not decided. */
struct open_tx {
	struct link link;
	struct tx_id id;
	struct changes changes;
	uint64_t deaths; /* of the shard, when it was prepared */
};

enum {
	FINGERPRINTS = 16384,
	PATCHED_MIN = 512,    /* values that are shorter are logged whole */
	KEPT_MAX = 64 * 1024, /* bytes of a buffer that stays for the next command */
};

struct journal {
	struct shard *shard;
	struct log *log;
	/* The object of the only change since the last flush, as long as it is the only one. */
	const struct object *only;
	struct change only_change; /* without its name, which lies in the object */
	uint64_t only_at;          /* shard->changes then */
	struct changes own;
	struct changes *into; /* where notes go: `own`, or what a transaction collects */
	uint64_t last_lsn;    /* that wrote a key */
	uint64_t tx_number;
	uint64_t notes;    /* so far, and one */
	struct link open;  /* struct open_tx */
	struct buf head;   /* of the value that is being logged */
	struct buf places; /* of changes, while they are merged */
	uint64_t written[FINGERPRINTS];
};

struct journal *journal_new(struct shard *shard, struct log *log)
{
	struct journal *journal = memory_zalloc(sizeof(*journal));
	journal->shard = shard;
	journal->log = log;
	journal->into = &journal->own;
	journal->notes = 1;
	list_init(&journal->open);
	return journal;
}

static void open_free(struct open_tx *open)
{
	list_remove(&open->link);
	changes_free(&open->changes);
	memory_free(open);
}

void journal_prefetch(const struct journal *journal, uint64_t hash)
{
	prefetch_to_write(&journal->written[hash % FINGERPRINTS]);
}

void journal_free(struct journal *journal)
{
	if (!journal)
		return;
	if (journal->shard->journal == journal)
		journal->shard->journal = NULL;
	list_each (link, &journal->open)
		open_free(container_of(link, struct open_tx, link));
	changes_free(&journal->own);
	buf_fini(&journal->head);
	buf_fini(&journal->places);
	memory_free(journal);
}

struct log *journal_log(struct journal *journal) { return journal->log; }

/* ---- changes ------------------------------------------------------------------------ */

static struct change *change_at(const struct changes *changes, size_t at)
{
	return (struct change *)(changes->keys.ptr + at);
}

static struct slice change_name(const struct change *change) { return slice_of(change + 1, change->name_len); }

static size_t change_size(size_t name_len) { return sizeof(struct change) + (name_len + 7) / 8 * 8; }

#define changes_each(change, changes)                                                                                \
	for (struct change *change = change_at(changes, 0), *end_##change = change_at(changes, (changes)->keys.len); \
	     change != end_##change; change = (struct change *)((uint8_t *)change + change_size(change->name_len)))

static void changes_add(struct changes *changes, const struct change *change, struct slice name)
{
	size_t size = change_size(name.len);
	struct change *added = (struct change *)buf_reserve(&changes->keys, size);
	*added = *change;
	added->name_len = (uint32_t)name.len;
	memcpy(added + 1, name.ptr, name.len);
	changes->last = changes->keys.len;
	changes->keys.len += size;
	changes->n++;
}

static void buf_empty(struct buf *buf)
{
	buf->len = 0;
	if (unlikely(buf->cap > KEPT_MAX))
		buf_fini(buf);
}

static void changes_empty(struct changes *changes)
{
	buf_empty(&changes->keys);
	buf_empty(&changes->edits);
	buf_empty(&changes->rows);
	changes->n = 0;
}

/* What becomes of a row; name and value lie behind it. */
struct row_change {
	uint32_t name_len, value_len;
	enum record_kind kind; /* RECORD_SYSTEM_PUT or _DELETE */
};

static void add_row(struct changes *changes, enum record_kind kind, struct slice name, struct slice value)
{
	struct row_change change = {.name_len = (uint32_t)name.len, .value_len = (uint32_t)value.len, .kind = kind};
	buf_append(&changes->rows, slice_of(&change, sizeof(change)));
	buf_append(&changes->rows, name);
	buf_append(&changes->rows, value);
}

void changes_put_row(struct changes *changes, struct slice name, struct slice value)
{
	add_row(changes, RECORD_SYSTEM_PUT, name, value);
}

void changes_delete_row(struct changes *changes, struct slice name)
{
	add_row(changes, RECORD_SYSTEM_DELETE, name, S(""));
}

void changes_free(struct changes *changes)
{
	buf_fini(&changes->keys);
	buf_fini(&changes->edits);
	buf_fini(&changes->rows);
	*changes = (struct changes){0};
}

/* ---- noting ------------------------------------------------------------------------- */

/* Field by field: a struct made first and copied then is read back before its parts are written, which takes
 * three times as long as all the rest of a note. */
static inline void change_set(struct change *change, const struct key *key, enum change_kind kind)
{
	change->hash = key->hash;
	change->at = 0;
	change->len = 0;
	change->space = key->keyspace;
	change->slot = key->slot;
	change->kind = (uint8_t)kind;
	change->merged = false;
	change->whole = false;
}

void journal_keep_names(struct journal *journal)
{
	if (journal->only)
		changes_add(&journal->own, &journal->only_change, object_key(take(journal->only)));
}

static void note_in(struct journal *journal, struct changes *into, const struct key *key, enum change_kind kind)
{
	struct change change;
	journal->notes++;
	change_set(&change, key, kind);
	journal_keep_names(journal);
	changes_add(into, &change, key->name);
}

void journal_note(struct journal *journal, const struct key *key, const struct object *object)
{
	bool is_only = object && !journal->only && journal->own.n == 0 && journal->into == &journal->own;
	if (unlikely(!is_only)) {
		note_in(journal, journal->into, key, CHANGE_STATE);
		return;
	}
	journal->notes++;
	journal->only = object;
	change_set(&journal->only_change, key, CHANGE_STATE);
	journal->only_at = journal->shard->changes;
}

void journal_note_gone(struct journal *journal, const struct key *key)
{
	note_in(journal, &journal->own, key, journal->into == &journal->own ? CHANGE_STATE : CHANGE_GONE);
}

static struct change *last_change(struct journal *journal)
{
	return journal->only ? &journal->only_change : change_at(journal->into, journal->into->last);
}

void journal_note_expiry(struct journal *journal) { last_change(journal)->kind = CHANGE_EXPIRY; }

uint64_t journal_notes(const struct journal *journal) { return journal->notes; }

uint8_t *journal_edit(struct journal *journal, size_t len)
{
	struct change *change = last_change(journal);
	struct buf *edits = &journal->into->edits;
	assert(change->kind == CHANGE_EDIT);
	assert(change->at + change->len == edits->len);
	uint8_t *room = buf_reserve(edits, len);
	edits->len += len;
	change->len += len;
	return room;
}

void journal_note_edit(struct journal *journal, uint32_t version)
{
	struct change *change = last_change(journal);
	change->kind = CHANGE_EDIT;
	change->at = journal->into->edits.len;
	change->len = 0;
	memcpy(journal_edit(journal, sizeof(version)), &version, sizeof(version));
}

void journal_note_whole(struct journal *journal) { last_change(journal)->whole = true; }

static void patch_widen(struct change *change, uint64_t at, uint64_t len)
{
	if (len == 0)
		return;
	if (change->len == 0)
		change->at = at;
	uint64_t end = change->at + change->len > at + len ? change->at + change->len : at + len;
	change->at = change->at < at ? change->at : at;
	change->len = end - change->at;
}

void journal_note_patch(struct journal *journal, uint64_t at, uint64_t len)
{
	struct change *change = last_change(journal);
	if (unlikely(change->whole))
		return;
	change->kind = CHANGE_PATCH;
	patch_widen(change, at, len);
}

void journal_collect(struct journal *journal, struct changes *changes)
{
	assert(!changes || journal->into == &journal->own);
	journal_flush(journal);
	journal->into = changes ? changes : &journal->own;
}

/* ---- merging ------------------------------------------------------------------------ */

/* Edits are told one after the other, and beside a change of the expiry. */
static bool told_apart(const struct change *first, const struct change *later)
{
	bool edits = first->kind == CHANGE_EDIT || later->kind == CHANGE_EDIT;
	return edits && (first->kind == CHANGE_EDIT || first->kind == CHANGE_EXPIRY) &&
	       (later->kind == CHANGE_EDIT || later->kind == CHANGE_EXPIRY);
}

static void change_merge(struct change *first, struct change *later)
{
	later->merged = true;
	if (first->kind != later->kind)
		first->kind = CHANGE_STATE;
	else if (first->kind == CHANGE_PATCH)
		patch_widen(first, later->at, later->len);
}

static bool same_key(const struct change *a, const struct change *b)
{
	return a->hash == b->hash && a->space == b->space && slice_equal(change_name(a), change_name(b));
}

/* The place of the first change of this key, or where it goes: places hold offsets, 0 for none, counted from 1. */
static uint64_t *place_of(const struct changes *changes, const struct change *change, uint64_t *places, uint64_t mask)
{
	uint64_t at = change->hash & mask;
	while (places[at] && !same_key(change_at(changes, places[at] - 1), change))
		at = (at + 1) & mask;
	return &places[at];
}

/* Leaves one change of each key unmerged, the first; returns how many keys there are. */
static uint32_t changes_merge(struct journal *journal, struct changes *changes)
{
	uint32_t n = changes->n;
	if (n < 2)
		return n;
	uint64_t cap = (uint64_t)2 << (64 - __builtin_clzll(n - 1));
	uint64_t *places = (uint64_t *)buf_reserve(&journal->places, cap * sizeof(*places));
	memset(places, 0, cap * sizeof(*places));
	bool apart = false;
	changes_each(change, changes)
	{
		uint64_t *place = place_of(changes, change, places, cap - 1);
		if (!*place) {
			*place = (uint64_t)((uint8_t *)change - changes->keys.ptr) + 1;
		} else if (told_apart(change_at(changes, *place - 1), change)) {
			apart = true;
		} else {
			change_merge(change_at(changes, *place - 1), change);
			n--;
		}
	}
	/* What was told apart is part of a state that came later. */
	if (apart)
		changes_each(change, changes)
		{
			uint64_t *place = place_of(changes, change, places, cap - 1);
			struct change *first = change_at(changes, *place - 1);
			if (!change->merged && first != change && first->kind == CHANGE_STATE) {
				change->merged = true;
				n--;
			}
		}
	buf_empty(&journal->places);
	return n;
}

/* ---- records ------------------------------------------------------------------------ */

static const struct change of_no_key = {.slot = SLOT_SYSTEM};

static uint64_t append(struct journal *journal, enum record_kind kind, const struct change *change,
                       const struct slice *parts, int n, bool more)
{
	return log_append(journal->log, kind, change->slot, change->space, parts, n, more);
}

/* The common case: a short value is made into a record where the log wants it. False: it is not such a one. */
static bool log_put_short(struct journal *journal, const struct change *change, struct slice name,
                          const struct object *object, bool more, uint64_t *lsn)
{
	int64_t expires_ms = object_expires_ms(object);
	uint32_t length = (uint32_t)name.len;
	size_t head = sizeof(expires_ms) + sizeof(length), packed = object_packed_short(object);
	uint8_t *to = packed ? log_place(journal->log, head + name.len + packed) : NULL;
	if (unlikely(!to))
		return false;
	memcpy(to, &expires_ms, sizeof(expires_ms));
	memcpy(to + sizeof(expires_ms), &length, sizeof(length));
	copy_short(to + head, name.ptr, name.len);
	object_pack_short(object, to + head + name.len);
	*lsn = log_append_placed(journal->log, RECORD_KEY_PUT, change->slot, change->space, head + name.len + packed,
	                         more);
	return true;
}

/* A value too large to be packed in one go: in the state in which it is now, while the log makes its frames. */
struct large_put {
	struct log_source source;
	struct shard *shard;
	struct object_stream *value;
	struct buf head; /* of the body, to be read before the value */
	size_t head_at;
};

static void large_read(struct log_source *source, uint8_t *to, size_t n)
{
	struct large_put *put = container_of(source, struct large_put, source);
	size_t left = put->head.len - put->head_at, some = n < left ? n : left;
	copy_short(to, put->head.ptr + put->head_at, some);
	put->head_at += some;
	size_t got = object_stream_read(put->value, to + some, n - some);
	assert(got == n - some);
}

static void large_free(struct log_source *source)
{
	struct large_put *put = container_of(source, struct large_put, source);
	object_stream_free(put->shard, put->value);
	buf_fini(&put->head);
	memory_free(put);
}

/* False: it is not so large. */
static bool log_put_large(struct journal *journal, const struct change *change, struct slice name,
                          const struct object *object, bool more, uint64_t *lsn)
{
	struct object_stream *value = object_stream_new(journal->shard, object);
	if (likely(!value))
		return false;
	if (object_stream_length(value) <= FRAGMENT_MAX) {
		object_stream_free(journal->shard, value);
		return false;
	}
	int64_t expires_ms = object_expires_ms(object);
	uint32_t length = (uint32_t)name.len;
	struct large_put *put = memory_zalloc(sizeof(*put));
	buf_append(&put->head, slice_of(&expires_ms, sizeof(expires_ms)));
	buf_append(&put->head, slice_of(&length, sizeof(length)));
	buf_append(&put->head, name);
	put->source = (struct log_source){
	        .length = put->head.len + object_stream_length(value), .read = large_read, .free = large_free};
	put->shard = journal->shard;
	put->value = value;
	*lsn = log_append_later(journal->log, RECORD_KEY_PUT, change->slot, change->space, &put->source, more);
	return true;
}

static uint64_t log_put(struct journal *journal, const struct change *change, struct slice name,
                        const struct object *object, bool more)
{
	uint64_t lsn;
	if (likely(log_put_short(journal, change, name, object, more, &lsn)) ||
	    log_put_large(journal, change, name, object, more, &lsn))
		return lsn;
	int64_t expires_ms = object_expires_ms(object);
	uint32_t length = (uint32_t)name.len;
	struct slice value = object_pack_parts(object, &journal->head);
	struct slice parts[] = {slice_of(&expires_ms, sizeof(expires_ms)), slice_of(&length, sizeof(length)), name,
	                        buf_slice(&journal->head), value};
	lsn = append(journal, RECORD_KEY_PUT, change, parts, 5, more);
	buf_empty(&journal->head);
	return lsn;
}

void journal_note_pointer(struct journal *journal, const struct key *key, const struct object *object)
{
	int64_t expires_ms = object_expires_ms(object);
	uint32_t length = (uint32_t)key->name.len;
	journal_flush(journal);
	struct slice value = object_pack_kept(object, &journal->head);
	assert(value.len == 0);
	struct slice parts[] = {slice_of(&expires_ms, sizeof(expires_ms)), slice_of(&length, sizeof(length)), key->name,
	                        buf_slice(&journal->head)};
	(void)log_append(journal->log, RECORD_KEY_PUT, key->slot, key->keyspace, parts, 4, false);
	buf_empty(&journal->head);
}

static uint64_t log_expiry(struct journal *journal, const struct change *change, struct slice name, int64_t expires_ms,
                           bool more)
{
	struct slice parts[] = {slice_of(&expires_ms, sizeof(expires_ms)), name};
	return append(journal, RECORD_KEY_EXPIRE, change, parts, 2, more);
}

static bool patch_pays(const struct change *change, const struct object *object)
{
	size_t length = string_length(object);
	return length > PATCHED_MIN && change->len < length / 2;
}

static uint64_t log_patch(struct journal *journal, const struct change *change, struct slice name,
                          const struct object *object, bool more)
{
	char scratch[STRING_SCRATCH];
	struct slice value = string_value(object, scratch);
	uint64_t lengths[] = {change->at, value.len};
	uint32_t length = (uint32_t)name.len;
	struct slice parts[] = {slice_of(lengths, sizeof(lengths)), slice_of(&length, sizeof(length)), name,
	                        slice_sub(value, change->at, change->at + change->len)};
	return append(journal, RECORD_KEY_PATCH, change, parts, 4, more);
}

static uint64_t log_edit(struct journal *journal, const struct change *change, struct slice name,
                         const struct object *object, struct slice edits, bool more)
{
	uint32_t length = (uint32_t)name.len;
	uint8_t type = (uint8_t)object_type(object);
	struct slice said = slice_sub(edits, change->at, change->at + change->len);
	struct slice parts[] = {slice_of(&type, 1), slice_sub(said, 0, sizeof(uint32_t)),
	                        slice_of(&length, sizeof(length)), name, slice_sub(said, sizeof(uint32_t), said.len)};
	return append(journal, RECORD_KEY_EDIT, change, parts, 5, more);
}

/* The state of a key; NULL: it is gone. */
static uint64_t log_change(struct journal *journal, const struct change *change, struct slice name,
                           const struct object *object, struct slice edits, bool more)
{
	if (!object || change->kind == CHANGE_GONE)
		return append(journal, RECORD_KEY_DELETE, change, &name, 1, more);
	if (change->kind == CHANGE_EXPIRY)
		return log_expiry(journal, change, name, object_expires_ms(object), more);
	if (change->kind == CHANGE_EDIT)
		return log_edit(journal, change, name, object, edits, more);
	if (change->kind == CHANGE_PATCH && patch_pays(change, object))
		return log_patch(journal, change, name, object, more);
	return log_put(journal, change, name, object, more);
}

static const struct object *object_of(struct journal *journal, const struct change *change)
{
	struct key key = {
	        .name = change_name(change), .hash = change->hash, .keyspace = change->space, .slot = change->slot};
	return keyspace_peek(journal->shard, &key);
}

static uint64_t log_row(struct journal *journal, struct slice name, struct slice value, bool more)
{
	uint32_t length = (uint32_t)name.len;
	struct slice parts[] = {slice_of(&length, sizeof(length)), name, value};
	return append(journal, RECORD_SYSTEM_PUT, &of_no_key, parts, 3, more);
}

static uint64_t log_row_gone(struct journal *journal, struct slice name, bool more)
{
	return append(journal, RECORD_SYSTEM_DELETE, &of_no_key, &name, 1, more);
}

static uint64_t log_rows(struct journal *journal, struct slice rows, bool more)
{
	uint64_t lsn = 0;
	while (rows.len > 0) {
		struct row_change change;
		memcpy(&change, rows.ptr, sizeof(change));
		size_t name_at = sizeof(change), value_at = name_at + change.name_len,
		       end = value_at + change.value_len;
		struct slice name = slice_sub(rows, name_at, value_at), value = slice_sub(rows, value_at, end);
		rows = slice_sub(rows, end, rows.len);
		bool more_rows = more || rows.len > 0;
		lsn = change.kind == RECORD_SYSTEM_PUT ? log_row(journal, name, value, more_rows)
		                                       : log_row_gone(journal, name, more_rows);
	}
	return lsn;
}

static uint64_t log_changes(struct journal *journal, struct changes *changes)
{
	uint32_t left = changes_merge(journal, changes);
	uint64_t lsn = 0;
	if (changes->rows.len > 0)
		lsn = log_rows(journal, buf_slice(&changes->rows), left > 0);
	changes_each(change, changes) if (!change->merged) lsn =
	        log_change(journal, change, change_name(change), object_of(journal, change), buf_slice(&changes->edits),
	                   --left > 0);
	assert(left == 0);
	return lsn;
}

/* ---- what wrote a key last ---------------------------------------------------------- */

static void wrote(struct journal *journal, uint64_t hash, uint64_t lsn)
{
	journal->written[hash % FINGERPRINTS] = lsn;
	journal->last_lsn = lsn;
}

/* A group counts when its last record does. */
static void wrote_all(struct journal *journal, const struct changes *changes, uint64_t lsn)
{
	changes_each(change, changes) wrote(journal, change->hash, lsn);
}

uint64_t journal_rests_on(const struct journal *journal, uint64_t hash)
{
	uint64_t durable = log_durable(journal->log);
	if (journal->last_lsn <= durable)
		return 0;
	uint64_t lsn = journal->written[hash % FINGERPRINTS];
	return lsn > durable ? lsn : 0;
}

uint64_t journal_rests_on_all(const struct journal *journal)
{
	return journal->last_lsn > log_durable(journal->log) ? journal->last_lsn : 0;
}

enum err journal_refuses(const struct journal *journal, enum shard_use use)
{
	if (unlikely(log_failed(journal->log)))
		return ERR_SHARD_STOPPED;
	if (use == SHARD_READS)
		return OK;
	enum log_room room = log_room(journal->log);
	if (likely(room == LOG_ROOM_YES))
		return OK;
	static const enum log_room refused_from[] = {
	        [SHARD_WRITES] = LOG_ROOM_NONE, [SHARD_GROWS] = LOG_ROOM_LOW, [SHARD_FREES] = LOG_ROOM_NOTHING};
	return room >= refused_from[use] ? ERR_NO_ROOM : OK;
}

/* ---- the flush ---------------------------------------------------------------------- */

static uint64_t flush_only(struct journal *journal)
{
	const struct object *object = take(journal->only);
	assert(journal->only_at == journal->shard->changes);
	uint64_t lsn = log_change(journal, &journal->only_change, object_key(object), object,
	                          buf_slice(&journal->own.edits), false);
	buf_empty(&journal->own.edits);
	wrote(journal, journal->only_change.hash, lsn);
	return lsn;
}

uint64_t journal_flush(struct journal *journal)
{
	if (likely(journal->only != NULL))
		return flush_only(journal);
	if (journal->own.n == 0)
		return 0;
	uint64_t lsn = log_changes(journal, &journal->own);
	wrote_all(journal, &journal->own, lsn);
	changes_empty(&journal->own);
	return lsn;
}

uint64_t journal_flush_changes(struct journal *journal, struct changes *changes)
{
	journal_flush(journal); /* what went by itself meanwhile comes before */
	if (!changes_any(changes))
		return 0;
	uint64_t lsn = log_changes(journal, changes);
	wrote_all(journal, changes, lsn);
	changes_empty(changes);
	return lsn;
}

/* ---- transactions over several shards ----------------------------------------------- */

static uint64_t deaths_of(const struct shard *shard)
{
	return shard->counters.expired + shard->counters.expired_elements + shard->counters.evicted;
}

uint64_t journal_prepare(struct journal *journal, const struct changes *changes, const struct tx_id *tx)
{
	journal_flush(journal); /* what went by itself meanwhile comes before */
	struct open_tx *open = memory_zalloc(sizeof(*open));
	*open = (struct open_tx){.id = *tx, .deaths = deaths_of(journal->shard)};
	open->changes.n = changes->n;
	buf_append(&open->changes.keys, buf_slice(&changes->keys));
	buf_append(&open->changes.edits, buf_slice(&changes->edits));
	buf_append(&open->changes.rows, buf_slice(&changes->rows));
	list_push_back(&journal->open, &open->link);

	struct slice id = slice_of(tx, sizeof(*tx));
	uint64_t lsn = append(journal, RECORD_TX_PREPARE, &of_no_key, &id, 1, changes_any(changes));
	return changes_any(changes) ? log_changes(journal, &open->changes) : lsn;
}

uint64_t journal_commit(struct journal *journal, const struct tx_id *tx)
{
	struct slice id = slice_of(tx, sizeof(*tx));
	return append(journal, RECORD_TX_COMMIT, &of_no_key, &id, 1, false);
}

static struct open_tx *open_find(struct journal *journal, const struct tx_id *tx)
{
	list_each (link, &journal->open) {
		struct open_tx *open = container_of(link, struct open_tx, link);
		if (open->id.log == tx->log && open->id.epoch == tx->epoch && open->id.number == tx->number)
			return open;
	}
	return NULL;
}

/* Those of its keys that are not there, and merged all others. */
static uint32_t keep_gone(struct journal *journal, struct changes *changes)
{
	uint32_t n = 0;
	changes_each(change, changes)
	{
		change->merged |= object_of(journal, change) != NULL;
		n += !change->merged;
	}
	return n;
}

uint64_t journal_outcome(struct journal *journal, const struct tx_id *tx, bool committed)
{
	journal_flush(journal);
	struct open_tx *open = open_find(journal, tx);
	bool any_died = open && committed && open->deaths != deaths_of(journal->shard);
	uint32_t gone = any_died ? keep_gone(journal, &open->changes) : 0;
	uint8_t how = committed;
	struct slice parts[] = {slice_of(tx, sizeof(*tx)), slice_of(&how, 1)};
	uint64_t lsn = append(journal, RECORD_TX_OUTCOME, &of_no_key, parts, 2, gone > 0);
	if (gone > 0)
		changes_each(change, &open->changes) if (!change->merged) lsn =
		        log_change(journal, change, change_name(change), NULL, S(""), --gone > 0);
	if (!open)
		return lsn;
	wrote_all(journal, &open->changes, lsn);
	open_free(open);
	return lsn;
}

struct tx_id journal_next_tx(struct journal *journal)
{
	return (struct tx_id){.log = log_id(journal->log),
	                      .epoch = (uint32_t)log_epoch(journal->log),
	                      .number = ++journal->tx_number};
}

/* ---- system rows -------------------------------------------------------------------- */

uint64_t journal_put_row(struct journal *journal, struct slice name, struct slice value)
{
	return log_row(journal, name, value, false);
}
