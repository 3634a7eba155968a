/* Random operations and crashes on the simulated disk; models say what each crash may leave.
 *
 * The models know nothing of sectors' states: they keep, of each piece of a file and of each name, all
 * that it has been since it last was durable.
 */
#include "engine/io/sim.h"
#include "engine/io/sim_disk.h"
#include "engine/memory/memory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

enum {
	DISK_BYTES = 32 * 1024 * 1024,
	PIECE = SIM_PIECE_SIZE,
	SECTOR_PIECES = SIM_SECTOR_SIZE / PIECE,
	FLIGHTS = 5,
	PAST_MAX = 128, /* values since the last durable one */
	LIVES = 12,
	STEPS = 60, /* operations of a life */
};

static const struct sim_faults kind = {.clock_ns = 10, .chunks = 1};
static const struct sim_disk_faults delays = {.delay_ns = 10000};

static uint64_t random_state;

static uint64_t draw(uint64_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % n;
}

/* ---- what something has been ---------------------------------------------------------------------- */

struct past {
	int n;
	uint64_t values[PAST_MAX], seqs[PAST_MAX];
	int waits[PAST_MAX]; /* the directory whose sync it waits for */
};

static uint64_t past_last(const struct past *past) { return past->values[past->n - 1]; }

static void past_begin(struct past *past, uint64_t value)
{
	past->n = 1;
	past->values[0] = value;
	past->seqs[0] = 0;
}

static void past_add(struct past *past, uint64_t value, uint64_t seq, int waits)
{
	cr_assert_lt(past->n, PAST_MAX);
	past->values[past->n] = value;
	past->seqs[past->n] = seq;
	past->waits[past->n++] = waits;
}

/* What came before `at` cannot come back. */
static void past_forget(struct past *past, int at)
{
	past->n -= at;
	memmove(past->values, past->values + at, (size_t)past->n * sizeof(past->values[0]));
	memmove(past->seqs, past->seqs + at, (size_t)past->n * sizeof(past->seqs[0]));
	memmove(past->waits, past->waits + at, (size_t)past->n * sizeof(past->waits[0]));
}

static void past_forget_before(struct past *past, uint64_t seq)
{
	int at = past->n - 1;
	while (at > 0 && past->seqs[at] > seq)
		at--;
	past_forget(past, at);
}

static bool past_has(const struct past *past, uint64_t value)
{
	for (int i = 0; i < past->n; i++)
		if (past->values[i] == value)
			return true;
	return false;
}

/* ==== contents ====================================================================================== */

enum { FILES = 3, FILE_PIECES = 6 * SECTOR_PIECES };

enum what { WRITE, DURABLE_WRITE, SYNC, READ };

struct file {
	char path[8];
	int fd;
	struct past pieces[FILE_PIECES];
	uint64_t length, durable_length; /* in pieces */
};

struct data_flight {
	struct io_op op; /* first */
	struct data *data;
	bool is_used;
	enum what what;
	struct file *file;
	uint64_t at, n, id; /* pieces */
	uint64_t staged, length;
	uint8_t bytes[FILE_PIECES * PIECE];
};

struct data {
	struct sim *sim;
	struct io *io;
	struct sim_disk *disk;
	struct file files[FILES];
	struct data_flight flights[FLIGHTS];
	uint64_t seq, next_id;
	uint64_t crashes, garbled, sectors_checked;
};

static void fill(uint8_t *to, uint64_t id, uint64_t pieces)
{
	for (uint64_t i = 0; i < pieces * PIECE / sizeof(id); i++)
		memcpy(to + i * sizeof(id), &id, sizeof(id));
}

static bool is_filled(const uint8_t *bytes, uint64_t id, size_t n)
{
	uint8_t expected[PIECE];
	fill(expected, id, 1);
	return memcmp(bytes, expected, n) == 0;
}

static void write_is_done(struct data *data, const struct data_flight *flight)
{
	struct file *file = flight->file;
	uint64_t end = flight->at + flight->n;
	data->seq++;
	for (uint64_t i = flight->at; i < end; i++)
		past_add(&file->pieces[i], flight->id, data->seq, 0);
	file->length = end > file->length ? end : file->length;
	if (flight->what != DURABLE_WRITE)
		return;
	uint64_t first = flight->at / SECTOR_PIECES * SECTOR_PIECES;
	for (uint64_t i = first; i < end || i % SECTOR_PIECES != 0; i++)
		past_forget_before(&file->pieces[i], data->seq);
	file->durable_length = end > file->durable_length ? end : file->durable_length;
}

static void sync_is_done(const struct data_flight *flight)
{
	struct file *file = flight->file;
	for (int i = 0; i < FILE_PIECES; i++)
		past_forget_before(&file->pieces[i], flight->staged);
	file->durable_length = flight->length > file->durable_length ? flight->length : file->durable_length;
}

static void check_read(const struct data_flight *flight)
{
	const struct file *file = flight->file;
	uint64_t there = file->length > flight->at ? file->length - flight->at : 0;
	uint64_t n = flight->n < there ? flight->n : there;
	cr_assert_eq(flight->op.result, (int64_t)n * PIECE);
	for (uint64_t i = 0; i < n; i++)
		cr_assert(is_filled(flight->bytes + i * PIECE, past_last(&file->pieces[flight->at + i]), PIECE));
}

static void data_done(struct io_op *op)
{
	struct data_flight *flight = (struct data_flight *)op;
	flight->is_used = false;
	switch (flight->what) {
	case WRITE:
	case DURABLE_WRITE:
		cr_assert_eq(op->result, (int64_t)flight->n * PIECE);
		write_is_done(flight->data, flight);
		break;
	case SYNC:
		cr_assert_eq(op->result, 0);
		sync_is_done(flight);
		break;
	case READ:
		check_read(flight);
		break;
	}
}

static void data_stage(struct data *data, struct data_flight *flight)
{
	struct file *file = &data->files[draw(FILES)];
	uint64_t at = draw(FILE_PIECES), n = 1 + draw(draw(2) ? 4 : FILE_PIECES);
	*flight = (struct data_flight){.op.done = data_done, .data = data, .is_used = true, .file = file};
	static const enum what whats[] = {WRITE, WRITE, WRITE, WRITE, DURABLE_WRITE, DURABLE_WRITE, SYNC, SYNC, READ};
	flight->what = whats[draw(array_len(whats))];
	flight->at = at;
	flight->n = n < FILE_PIECES - at ? n : FILE_PIECES - at;
	flight->id = ++data->next_id;
	flight->staged = data->seq;
	flight->length = file->length;
	if (flight->what == SYNC) {
		io_file_sync(data->io, &flight->op, file->fd);
	} else if (flight->what == READ) {
		io_file_read(data->io, &flight->op, file->fd, flight->bytes, flight->n * PIECE, at * PIECE);
	} else {
		fill(flight->bytes, flight->id, flight->n);
		io_file_write(data->io, &flight->op, file->fd, flight->bytes, flight->n * PIECE, at * PIECE,
		              flight->what == DURABLE_WRITE ? IO_WRITE_DURABLE : 0);
	}
}

/* Lets one or more operations end; false: there are none. */
static bool pass(struct sim *sim, struct io *io)
{
	if (!sim_io_due(io)) {
		uint64_t next_ns = sim_io_next_ns(io);
		if (next_ns == UINT64_MAX)
			return false;
		sim_pass_ns(sim, next_ns - sim_now_ns(sim));
	}
	io_poll(io, 0);
	return true;
}

static int64_t result_of(struct sim *sim, struct io *io, struct io_op *op)
{
	op->result = INT64_MIN;
	while (op->result == INT64_MIN)
		cr_assert(pass(sim, io));
	return op->result;
}

static void ignore(struct io_op *op) {}

static void data_boot(struct data *data)
{
	struct io_op op = {.done = ignore};
	data->sim = sim_new(draw(UINT64_MAX), &kind);
	data->io = sim_io_new(data->sim);
	sim_use_disk(data->sim, data->disk);
	for (int i = 0; i < FILES; i++) {
		struct file *file = &data->files[i];
		snprintf(file->path, sizeof(file->path), "f%d", i);
		io_file_open(data->io, &op, file->path, IO_OPEN_READ | IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
		file->fd = (int)result_of(data->sim, data->io, &op);
		cr_assert_geq(file->fd, 0);
	}
	io_dir_sync(data->io, &op, "");
	cr_assert_eq(result_of(data->sim, data->io, &op), 0);
}

/* ---- what may be there ------------------------------------------------------------------------------- */

static bool touches(const struct data_flight *flight, const struct file *file, uint64_t first, uint64_t end)
{
	return flight->is_used && flight->what <= DURABLE_WRITE && flight->file == file && flight->at < end &&
	       first < flight->at + flight->n;
}

static bool is_in_flight(const struct data *data, const struct file *file, uint64_t first, uint64_t end)
{
	for (int i = 0; i < FLIGHTS; i++)
		if (touches(&data->flights[i], file, first, end))
			return true;
	return false;
}

static bool sector_is_settled(const struct data *data, const struct file *file, uint64_t piece)
{
	uint64_t first = piece / SECTOR_PIECES * SECTOR_PIECES, end = first + SECTOR_PIECES;
	for (uint64_t i = first; i < end; i++)
		if (file->pieces[i].n > 1)
			return false;
	return !is_in_flight(data, file, first, end);
}

static void check_piece(struct data *data, const struct file *file, uint64_t i, const uint8_t *bytes, size_t n)
{
	const struct past *past = &file->pieces[i];
	for (int k = 0; k < past->n; k++)
		if (is_filled(bytes, past->values[k], n))
			return;
	for (int k = 0; k < FLIGHTS; k++)
		if (touches(&data->flights[k], file, i, i + 1) && is_filled(bytes, data->flights[k].id, n))
			return;
	cr_assert_not(sector_is_settled(data, file, i), "%s: piece %d is not what was durable", file->path, (int)i);
	uint64_t id = 0;
	memcpy(&id, bytes, n < sizeof(id) ? n : sizeof(id));
	cr_assert_not(n > sizeof(id) && is_filled(bytes, id, n), "%s: piece %d is from before", file->path, (int)i);
	data->garbled++;
}

static uint64_t longest(const struct data *data, const struct file *file)
{
	uint64_t length = file->length;
	for (int i = 0; i < FLIGHTS; i++) {
		const struct data_flight *flight = &data->flights[i];
		if (touches(flight, file, 0, UINT64_MAX) && flight->at + flight->n > length)
			length = flight->at + flight->n;
	}
	return length;
}

static void check_file(struct data *data, const struct file *file)
{
	uint8_t bytes[FILE_PIECES * PIECE];
	size_t n = sim_disk_read(data->disk, file->path, 0, bytes, sizeof(bytes));
	cr_assert_eq((int64_t)n, sim_disk_size(data->disk, file->path));
	cr_assert_geq(n, file->durable_length * PIECE);
	cr_assert_leq(n, longest(data, file) * PIECE);
	for (uint64_t i = 0; i * PIECE < n; i++)
		check_piece(data, file, i, bytes + i * PIECE, n - i * PIECE < PIECE ? n - i * PIECE : PIECE);
	data->sectors_checked += n / SIM_SECTOR_SIZE;
}

/* What is there now is where the next life begins; pieces of garbage get a name. */
static void file_again(struct data *data, struct file *file)
{
	uint8_t bytes[PIECE];
	uint64_t size = (uint64_t)sim_disk_size(data->disk, file->path), id;
	sim_disk_cut(data->disk, file->path, size / PIECE * PIECE);
	file->length = file->durable_length = size / PIECE;
	for (uint64_t i = 0; i < FILE_PIECES; i++) {
		past_begin(&file->pieces[i], 0);
		if (i >= file->length)
			continue;
		cr_assert_eq(sim_disk_read(data->disk, file->path, i * PIECE, bytes, PIECE), PIECE);
		memcpy(&id, bytes, sizeof(id));
		if (!is_filled(bytes, id, PIECE)) {
			fill(bytes, id = ++data->next_id, 1);
			sim_disk_write(data->disk, file->path, i * PIECE, slice_of(bytes, PIECE));
		}
		past_begin(&file->pieces[i], id);
	}
}

/* ---- what the disk itself says ---------------------------------------------------------------------------- */

struct claim {
	struct file *file;
	uint64_t at, n;
	uint8_t bytes[FILE_PIECES * PIECE];
};

/* Of a range that the disk calls durable, or should. */
static bool claim_durable(struct data *data, struct claim *claim)
{
	claim->file = &data->files[draw(FILES)];
	claim->at = draw(FILE_PIECES);
	claim->n = 1 + draw(FILE_PIECES - claim->at);
	bool settled = claim->at + claim->n <= claim->file->durable_length;
	for (uint64_t i = 0; i < claim->n && settled; i++)
		settled = sector_is_settled(data, claim->file, claim->at + i);
	bool durable = sim_disk_is_durable(data->disk, claim->file->path, claim->at * PIECE, claim->n * PIECE);
	cr_assert(durable || !settled);
	size_t n = sim_disk_read(data->disk, claim->file->path, claim->at * PIECE, claim->bytes, claim->n * PIECE);
	cr_assert(!durable || n == claim->n * PIECE);
	return durable;
}

static void check_claim(struct data *data, const struct claim *claim)
{
	uint8_t bytes[FILE_PIECES * PIECE];
	size_t n = sim_disk_read(data->disk, claim->file->path, claim->at * PIECE, bytes, claim->n * PIECE);
	cr_assert_eq(n, claim->n * PIECE);
	cr_assert_eq(memcmp(bytes, claim->bytes, n), 0);
}

/* ---- lives ---------------------------------------------------------------------------------------------------- */

static void data_work(struct data *data)
{
	for (int step = 0; step < STEPS; step++) {
		struct data_flight *flight = &data->flights[draw(FLIGHTS)];
		if (!flight->is_used)
			data_stage(data, flight);
		else if (!pass(data->sim, data->io))
			return;
	}
}

static void data_life(struct data *data)
{
	static struct claim claims[20];
	int n_claims = 0;
	data_boot(data);
	if (draw(2))
		sim_disk_crash_after(data->disk, 1 + draw(STEPS));
	data_work(data);
	for (int i = 0; i < 20; i++)
		n_claims += claim_durable(data, &claims[n_claims]);
	sim_disk_crash(data->disk, draw(UINT64_MAX));
	sim_disk_verify(data->disk);
	data->crashes++;
	for (int i = 0; i < FILES; i++)
		check_file(data, &data->files[i]);
	for (int i = 0; i < n_claims; i++)
		check_claim(data, &claims[i]);
	for (int i = 0; i < FILES; i++)
		file_again(data, &data->files[i]);
	memset(data->flights, 0, sizeof(data->flights));
	io_free(data->io);
	sim_free(data->sim);
}

static void data_run(struct data *data, uint64_t seed)
{
	random_state = seed * 2654435761u + 1;
	*data = (struct data){.disk = sim_disk_new(DISK_BYTES)};
	sim_disk_set_faults(data->disk, &delays);
	for (int i = 0; i < FILES; i++)
		for (int k = 0; k < FILE_PIECES; k++)
			past_begin(&data->files[i].pieces[k], 0);
	for (int life = 0; life < LIVES; life++)
		data_life(data);
}

Test(sim_disk_model, contents_are_what_they_may_be, .timeout = 100)
{
	struct data *data = memory_alloc(sizeof(*data));
	uint64_t garbled = 0, sectors = 0, torn = 0;
	for (uint64_t seed = 0; seed < 400; seed++) {
		data_run(data, seed);
		garbled += data->garbled;
		sectors += data->sectors_checked;
		torn += sim_disk_counts(data->disk)->sectors_torn;
		sim_disk_free(data->disk);
	}
	cr_assert(garbled > 100 && garbled < torn && torn < sectors, "%d garbled, %d torn, %d in all", (int)garbled,
	          (int)torn, (int)sectors);
	memory_free(data);
}

Test(sim_disk_model, a_seed_decides_all, .timeout = 60)
{
	struct data *one = memory_alloc(sizeof(*one)), *two = memory_alloc(sizeof(*two));
	uint8_t a[FILE_PIECES * PIECE], b[FILE_PIECES * PIECE];
	for (uint64_t seed = 500; seed < 510; seed++) {
		data_run(one, seed);
		data_run(two, seed);
		cr_assert_eq(
		        memcmp(sim_disk_counts(one->disk), sim_disk_counts(two->disk), sizeof(struct sim_disk_counts)),
		        0);
		for (int i = 0; i < FILES; i++) {
			size_t n = sim_disk_read(one->disk, one->files[i].path, 0, a, sizeof(a));
			cr_assert_eq(n, sim_disk_read(two->disk, two->files[i].path, 0, b, sizeof(b)));
			cr_assert_eq(memcmp(a, b, n), 0);
		}
		sim_disk_free(one->disk);
		sim_disk_free(two->disk);
	}
	memory_free(one);
	memory_free(two);
}

/* ==== names ========================================================================================= */

enum { DIRS = 2, NAMES = 4, PLACES = DIRS * NAMES };

enum change { CREATE, REMOVE, RENAME, DIR_SYNC };

struct name_flight {
	struct io_op op; /* first */
	struct names *names;
	bool is_used, is_write; /* a write: of its number, into a new file */
	enum change change;
	int from, to; /* places; of a sync, the directory */
	uint64_t id, staged;
};

struct names {
	struct sim *sim;
	struct io *io;
	struct sim_disk *disk;
	struct past places[PLACES]; /* the file that is there, or 0 */
	struct name_flight flights[FLIGHTS];
	uint64_t seq, next_id;
	uint64_t gone[4096], n_gone; /* removed or replaced, or about to be */
};

static const char *path_of(int place)
{
	static const char *const paths[PLACES] = {"x/a", "x/b", "x/c", "x/d", "y/a", "y/b", "y/c", "y/d"};
	return paths[place];
}

static int dir_of(int place) { return place / NAMES; }
static const char *dir_path(int dir) { return dir ? "y" : "x"; }

static void set_gone(struct names *names, uint64_t id)
{
	cr_assert_lt(names->n_gone, array_len(names->gone));
	if (id)
		names->gone[names->n_gone++] = id;
}

static bool may_be_gone(const struct names *names, uint64_t id)
{
	for (uint64_t i = 0; i < names->n_gone; i++)
		if (names->gone[i] == id)
			return true;
	return false;
}

static void file_is_open(struct names *names, struct name_flight *flight)
{
	struct past *past = &names->places[flight->to];
	cr_assert_geq(flight->op.result, 0);
	if (past_last(past))
		return;
	past_add(past, flight->id, ++names->seq, dir_of(flight->to));
	flight->is_used = flight->is_write = true;
	io_file_write(names->io, &flight->op, (int)flight->op.result, &flight->id, sizeof(flight->id), 0,
	              IO_WRITE_DURABLE);
}

static void file_is_removed(struct names *names, const struct name_flight *flight)
{
	struct past *past = &names->places[flight->to];
	cr_assert_eq(flight->op.result, past_last(past) ? 0 : -ENOENT);
	if (flight->op.result != 0)
		return;
	set_gone(names, past_last(past));
	past_add(past, 0, ++names->seq, dir_of(flight->to));
}

static void file_is_renamed(struct names *names, const struct name_flight *flight)
{
	struct past *from = &names->places[flight->from], *to = &names->places[flight->to];
	uint64_t id = past_last(from);
	cr_assert_eq(flight->op.result, id ? 0 : -ENOENT);
	if (!id || from == to)
		return;
	set_gone(names, past_last(to));
	past_add(from, 0, ++names->seq, dir_of(flight->to));
	past_add(to, id, names->seq, dir_of(flight->to));
}

static void dir_is_synced(struct names *names, const struct name_flight *flight)
{
	cr_assert_eq(flight->op.result, 0);
	for (int place = 0; place < PLACES; place++) {
		struct past *past = &names->places[place];
		for (int i = past->n - 1; i > 0; i--)
			if (past->waits[i] == flight->to && past->seqs[i] <= flight->staged) {
				past_forget(past, i);
				break;
			}
	}
}

static void name_done(struct io_op *op)
{
	struct name_flight *flight = (struct name_flight *)op;
	struct names *names = flight->names;
	flight->is_used = false;
	if (flight->is_write) {
		cr_assert_eq(op->result, sizeof(flight->id));
		return;
	}
	switch (flight->change) {
	case CREATE:
		file_is_open(names, flight);
		break;
	case REMOVE:
		file_is_removed(names, flight);
		break;
	case RENAME:
		file_is_renamed(names, flight);
		break;
	case DIR_SYNC:
		dir_is_synced(names, flight);
		break;
	}
}

static void name_stage(struct names *names, struct name_flight *flight)
{
	*flight = (struct name_flight){.op.done = name_done,
	                               .names = names,
	                               .is_used = true,
	                               .change = (enum change)draw(4),
	                               .from = (int)draw(PLACES),
	                               .to = (int)draw(PLACES),
	                               .id = ++names->next_id,
	                               .staged = names->seq};
	switch (flight->change) {
	case CREATE:
		io_file_open(names->io, &flight->op, path_of(flight->to), IO_OPEN_WRITE | IO_OPEN_CREATE, 0600);
		break;
	case REMOVE:
		io_file_remove(names->io, &flight->op, path_of(flight->to));
		break;
	case RENAME:
		io_file_rename(names->io, &flight->op, path_of(flight->from), path_of(flight->to));
		break;
	case DIR_SYNC:
		flight->to = (int)draw(DIRS);
		io_dir_sync(names->io, &flight->op, dir_path(flight->to));
		break;
	}
}

/* ---- what may be there ------------------------------------------------------------------------------- */

/* UINT64_MAX: its number was not written yet, or in part. */
static uint64_t id_at(const struct names *names, int place)
{
	uint64_t id = 0;
	if (sim_disk_size(names->disk, path_of(place)) < 0)
		return 0;
	bool whole = sim_disk_read(names->disk, path_of(place), 0, &id, sizeof(id)) == sizeof(id);
	return whole && id > 0 && id <= names->next_id ? id : UINT64_MAX;
}

/* Operations in flight may have happened in any order, or not: what they name may be anything. */
static bool is_in_doubt(const struct names *names, int place)
{
	for (int i = 0; i < FLIGHTS; i++) {
		const struct name_flight *flight = &names->flights[i];
		if (flight->is_used && !flight->is_write && flight->change != DIR_SYNC &&
		    (flight->to == place || (flight->change == RENAME && flight->from == place)))
			return true;
	}
	return false;
}

/* Its number is on its way, or was never sent. */
static bool has_no_number(const struct names *names, const struct past *past)
{
	for (int i = 0; i < FLIGHTS; i++)
		if (names->flights[i].is_used && names->flights[i].is_write && past_has(past, names->flights[i].id))
			return true;
	return false;
}

static void check_place(const struct names *names, int place)
{
	const struct past *past = &names->places[place];
	uint64_t id = id_at(names, place);
	if (past_has(past, id) || is_in_doubt(names, place))
		return;
	cr_assert(id == UINT64_MAX && has_no_number(names, past), "%s has become another", path_of(place));
}

static bool is_anywhere(const struct names *names, uint64_t id)
{
	int n = 0;
	for (int place = 0; place < PLACES; place++)
		n += id_at(names, place) == id;
	cr_assert_leq(n, 1, "two names for one file");
	return n > 0;
}

/* What was there for certain, and was never told to go, is there. */
static void check_survivors(const struct names *names)
{
	for (int place = 0; place < PLACES; place++) {
		uint64_t id = names->places[place].values[0];
		if (!id || id == UINT64_MAX || may_be_gone(names, id) || has_no_number(names, &names->places[place]))
			continue;
		cr_assert(is_anywhere(names, id), "the file that was %s is lost", path_of(place));
	}
}

/* What is in flight may have done so. */
static void expect_losses(struct names *names)
{
	for (int place = 0; place < PLACES; place++)
		for (int i = 0; i < names->places[place].n && is_in_doubt(names, place); i++)
			set_gone(names, names->places[place].values[i]);
}

static void forget_numberless(struct names *names)
{
	for (int place = 0; place < PLACES; place++)
		if (id_at(names, place) == UINT64_MAX)
			sim_disk_remove(names->disk, path_of(place));
}

static void names_life(struct names *names)
{
	names->sim = sim_new(draw(UINT64_MAX), &kind);
	names->io = sim_io_new(names->sim);
	names->n_gone = 0;
	sim_use_disk(names->sim, names->disk);
	for (int step = 0; step < STEPS; step++) {
		struct name_flight *flight = &names->flights[draw(FLIGHTS)];
		if (!flight->is_used)
			name_stage(names, flight);
		else
			pass(names->sim, names->io);
	}
	/* Often nothing is in flight, so that nothing is in doubt. */
	while (draw(8) && pass(names->sim, names->io))
		;
	expect_losses(names);
	sim_disk_crash(names->disk, draw(UINT64_MAX));
	sim_disk_verify(names->disk);
	for (int place = 0; place < PLACES; place++)
		check_place(names, place);
	check_survivors(names);
	forget_numberless(names);
	for (int place = 0; place < PLACES; place++)
		past_begin(&names->places[place], id_at(names, place));
	memset(names->flights, 0, sizeof(names->flights));
	io_free(names->io);
	sim_free(names->sim);
}

Test(sim_disk_model, names_are_what_they_may_be, .timeout = 100)
{
	struct names *names = memory_alloc(sizeof(*names));
	uint64_t kept = 0, undone = 0;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		random_state = seed * 2654435761u + 1;
		*names = (struct names){.disk = sim_disk_new(DISK_BYTES)};
		sim_disk_set_faults(names->disk, &delays);
		for (int dir = 0; dir < DIRS; dir++) {
			char path[8];
			snprintf(path, sizeof(path), "%s/here", dir_path(dir));
			sim_disk_write(names->disk, path, 0, S("!"));
		}
		for (int place = 0; place < PLACES; place++)
			past_begin(&names->places[place], 0);
		for (int life = 0; life < LIVES; life++)
			names_life(names);
		kept += sim_disk_counts(names->disk)->changes_kept;
		undone += sim_disk_counts(names->disk)->changes_undone;
		sim_disk_free(names->disk);
	}
	cr_assert(kept > 1000 && undone > 1000);
	memory_free(names);
}
