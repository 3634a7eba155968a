/* Single bits of a data directory, flipped at random: none that matters goes unnoticed, none is served.
 *
 *   sound directory --flip--> check: must tell --sometimes--> a server: must refuse, or serve what was there --> flip
 * back
 *
 * What matters is told here from the bytes alone, not by the code under test: all of images and superblocks, the copies
 * of manifests, and of a segment that counts both heads and the frames, one behind the other, up to the first place
 * where none of this use of the file begins. What lies behind that, between the copies of a manifest, and in spare
 * segments belongs to nothing; nor does a closing frame in the place of which the log went on elsewhere after a start.
 * Where a crash may have cut as well, a remark is enough: a copy of a manifest, a head of
 * a segment with which a log ended, now or at an earlier stop, and the last frame of a log, behind which nothing says
 * that it was durable.
 *
 * ORBIT_FLIPS in the environment says how many; the line at the end counts them by place and outcome. */
#include "tests/unit/storage/recovery/house.h"

#include "engine/base/buf.h"
#include "storage/disk/format.h"
#include "storage/log/format.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DISK_BYTES = 1 << 30,
	FILES_MAX = 1024,
	FLIPS_USUAL = 400,
	OPEN_ONE_IN = 16,
	CORES = 2,
	SEGMENT_BYTES = 64 * 1024
};

enum place { SUPERBLOCK, MANIFEST_COPY, IMAGE, HEAD, LAST_HEAD, FRAME, LAST_FRAME, UNUSED, SPARE, PLACES };
static const char *const place_names[PLACES] = {
        "superblock", "copy of a manifest", "image",  "segment head", "head of a last segment",
        "frame",      "last frame",         "unused", "spare segment"};

enum outcome { REFUSED, TOLD, SILENT, OUTCOMES };

static const enum outcome worst_allowed[PLACES] = {
        [SUPERBLOCK] = REFUSED, [MANIFEST_COPY] = TOLD, [IMAGE] = REFUSED, [HEAD] = REFUSED, [LAST_HEAD] = TOLD,
        [FRAME] = REFUSED,      [LAST_FRAME] = TOLD,    [UNUSED] = SILENT, [SPARE] = SILENT};

struct file {
	char path[64];
	uint64_t size;
	uint64_t frames_end;            /* of a segment that counts; 0: of another */
	uint64_t last_frame;            /* where its last frame begins */
	bool is_last, is_last_of_start; /* of its log, and what was written of it between two starts */
};

struct subject {
	struct sim_disk *disk;
	struct model *model;
	struct file files[FILES_MAX];
	uint32_t n;
	struct buf sound; /* what the check says of it undamaged */
	uint64_t counts[PLACES][OUTCOMES], opened, refused;
};

/* ---- the directory ------------------------------------------------------------------------- */

static void do_write(struct house *house, void *arg) { house_write(house, *(uint32_t *)arg); }
static void do_image(struct house *house, void *arg)
{
	cr_assert_eq(store_image(house->cores[0].core, house->store), 0);
}

/* Images, and logs of two eras behind them. */
static void make_directory(struct subject *subject)
{
	struct house house = {0};
	uint32_t n = 25;
	subject->model = model_new(1);
	subject->disk = sim_disk_new(DISK_BYTES);
	for (uint64_t life = 1; life <= 3; life++) {
		house = (struct house){.options.segment_size = SEGMENT_BYTES};
		cr_assert(house_open(&house, subject->disk, subject->model, life == 1 ? 3 : CORES, life), "%s",
		          house.why);
		cr_assert(house_run(&house, do_write, &n));
		if (life == 1)
			cr_assert(house_run(&house, do_image, NULL));
		cr_assert(house_run(&house, do_write, &n));
		house_close(&house);
	}
}

static void see_file(void *arg, const char *path, uint64_t size)
{
	struct subject *subject = arg;
	if (size == 0)
		return;
	cr_assert_lt(subject->n, FILES_MAX);
	struct file *file = &subject->files[subject->n++];
	*file = (struct file){.size = size};
	snprintf(file->path, sizeof(file->path), "%s", path);
}

/* ---- which bytes matter ------------------------------------------------------------------------ */

static bool frame_at(const struct subject *subject, const struct file *file, uint64_t at, uint64_t generation,
                     struct frame_header *out)
{
	return sim_disk_read(subject->disk, file->path, at, out, sizeof(*out)) == sizeof(*out) &&
	       out->magic == FRAME_MAGIC && out->generation == generation && out->at == at / LOG_BLOCK;
}

static struct segment_head head_of(const struct subject *subject, const struct file *file)
{
	struct segment_head head = {0};
	(void)sim_disk_read(subject->disk, file->path, 0, &head, sizeof(head));
	return head;
}

static bool counts(const struct file *file, const char *dump)
{
	return strstr(file->path, "log/") && strstr(dump, strstr(file->path, "log/"));
}

/* A later start went on from where this frame begins. */
static bool is_taken_over(const struct subject *subject, const struct segment_head *head,
                          const struct frame_header *frame, const char *dump)
{
	for (uint32_t i = 0; i < subject->n; i++) {
		struct segment_head other = head_of(subject, &subject->files[i]);
		if (counts(&subject->files[i], dump) && other.log == head->log && other.place == head->place + 1 &&
		    other.epoch > head->epoch && other.first_lsn == frame->first_lsn && other.chain == frame->chain)
			return true;
	}
	return false;
}

/* The dump of the sound directory names the segments that count. */
static void measure_segment(struct subject *subject, struct file *file, const char *dump)
{
	struct segment_head head = head_of(subject, file);
	struct frame_header frame;
	if (!counts(file, dump))
		return;
	file->frames_end = SEGMENT_FRAMES_AT;
	while (frame_at(subject, file, file->frames_end, head.generation, &frame) &&
	       !is_taken_over(subject, &head, &frame, dump)) {
		file->last_frame = file->frames_end;
		file->frames_end += frame.length;
	}
	file->is_last = file->is_last_of_start = true;
	for (uint32_t i = 0; i < subject->n; i++) {
		struct segment_head other = head_of(subject, &subject->files[i]);
		if (!counts(&subject->files[i], dump) || other.magic != SEGMENT_MAGIC || other.log != head.log ||
		    other.place <= head.place)
			continue;
		file->is_last = false;
		file->is_last_of_start &= other.epoch != head.epoch;
	}
}

static void measure(struct subject *subject)
{
	struct buf dump = {0};
	sim_disk_each(subject->disk, see_file, subject);
	cr_assert(house_dump(subject->disk, "data", 1, &dump));
	buf_byte(&dump, 0);
	for (uint32_t i = 0; i < subject->n; i++)
		if (strstr(subject->files[i].path, "log/"))
			measure_segment(subject, &subject->files[i], (const char *)dump.ptr);
	buf_fini(&dump);
}

static enum place place_of(const struct file *file, uint64_t at)
{
	if (strstr(file->path, "superblock"))
		return SUPERBLOCK;
	if (strstr(file->path, "manifest"))
		return at % MANIFEST_COPY_STRIDE < MANIFEST_COPY_SIZE ? MANIFEST_COPY : UNUSED;
	if (strstr(file->path, "image/"))
		return IMAGE;
	if (!file->frames_end)
		return SPARE;
	if (at < SEGMENT_FRAMES_AT)
		return file->is_last_of_start ? LAST_HEAD : HEAD;
	if (at >= file->frames_end)
		return UNUSED;
	return file->is_last && at >= file->last_frame ? LAST_FRAME : FRAME;
}

/* ---- flipping ---------------------------------------------------------------------------------- */

static enum outcome look(struct subject *subject, struct buf *text)
{
	text->len = 0;
	if (!house_check(subject->disk, "data", 1, text))
		return REFUSED;
	buf_byte(text, 0);
	return strcmp((const char *)text->ptr, (const char *)subject->sound.ptr) == 0 ? SILENT : TOLD;
}

/* A server on a copy refuses it, or serves what was there. */
static void open_copy(struct subject *subject, bool is_sound, const char *what)
{
	struct house house = {.options.segment_size = SEGMENT_BYTES};
	struct sim_disk *copy = sim_disk_copy(subject->disk);
	if (house_open(&house, copy, subject->model, CORES, 9)) {
		house_verify(&house);
		house_close(&house);
		subject->opened++;
	} else {
		cr_assert_not(is_sound, "%s: refused, though the check finds no fault: %s", what, house.why);
		subject->refused++;
	}
	sim_disk_free(copy);
}

static bool is_few(const struct file *file) { return !strstr(file->path, "log/") && !strstr(file->path, "image/"); }

/* Superblock and manifests are three among hundreds: they come more often. */
static const struct file *some_file(const struct subject *subject, uint64_t *random)
{
	bool few = chance(random, 10) == 0;
	for (;;) {
		const struct file *file = &subject->files[chance(random, subject->n)];
		if (!few || is_few(file))
			return file;
	}
}

static void try_one(struct subject *subject, uint64_t *random, uint64_t number, struct buf *text)
{
	const struct file *file = some_file(subject, random);
	uint64_t bit = chance(random, file->size * 8);
	enum place place = place_of(file, bit / 8);
	char what[128];
	snprintf(what, sizeof(what), "%s, bit %lu (%s)", file->path, (unsigned long)bit, place_names[place]);
	sim_disk_flip_bit(subject->disk, file->path, bit);
	enum outcome outcome = look(subject, text);
	cr_assert_leq(outcome, worst_allowed[place], "%s: the check says %s", what, (const char *)text->ptr);
	subject->counts[place][outcome]++;
	if (number % OPEN_ONE_IN == 0 || (outcome == SILENT && place != UNUSED && place != SPARE))
		open_copy(subject, outcome != REFUSED, what);
	sim_disk_flip_bit(subject->disk, file->path, bit);
}

static void report(const struct subject *subject, uint64_t n)
{
	fprintf(stderr, "%lu bits flipped: %lu directories opened and right, %lu refused\n", (unsigned long)n,
	        (unsigned long)subject->opened, (unsigned long)subject->refused);
	for (int place = 0; place < PLACES; place++)
		fprintf(stderr, "  %-24s %7lu faults %7lu remarks %7lu unnoticed\n", place_names[place],
		        (unsigned long)subject->counts[place][REFUSED], (unsigned long)subject->counts[place][TOLD],
		        (unsigned long)subject->counts[place][SILENT]);
}

Test(flips, are_all_noticed_where_they_matter)
{
	static struct subject subject;
	const char *asked = getenv("ORBIT_FLIPS");
	uint64_t n = asked ? strtoull(asked, NULL, 10) : FLIPS_USUAL, random = 1;
	struct buf text = {0};
	make_directory(&subject);
	cr_assert(house_check(subject.disk, "data", 1, &subject.sound));
	buf_byte(&subject.sound, 0);
	measure(&subject);
	for (uint64_t i = 0; i < n; i++)
		try_one(&subject, &random, i, &text);
	if (asked)
		report(&subject, n);
	sim_disk_free(subject.disk);
	buf_fini(&subject.sound);
	buf_fini(&text);
}
