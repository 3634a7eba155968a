/* Manifests: version V goes to file V modulo 2, copy after copy, each durable before the next begins. So
 * whenever it is cut off, the other file is whole, and of this one at least one copy is, unless the file is new. */
#include "engine/core/file.h"
#include "engine/io/io.h"
#include "engine/memory/memory.h"
#include "storage/disk/disk_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FILES = 2, COPIES = FILES * MANIFEST_COPIES };

void disk_path(char out[PATH_SIZE], const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(out, PATH_SIZE, format, args);
	va_end(args);
}

/* ---- reading ------------------------------------------------------------------------ */

/* Both files as they lie there. */
struct manifests {
	uint8_t *bytes[FILES];         /* MANIFEST_FILE_SIZE each, zeros where the file is shorter */
	int size[FILES];               /* 0: there is none */
	enum copy_state state[COPIES]; /* file by file */
	struct manifest *decoded;      /* of those that are sound */
	char why[160];                 /* what the last one that is refused is refused for */
	unsigned refused;
};

static const uint8_t *copy_bytes(const struct manifests *m, unsigned copy)
{
	return m->bytes[copy / MANIFEST_COPIES] + copy % MANIFEST_COPIES * MANIFEST_COPY_STRIDE;
}

static int read_file(struct core *core, const char *directory, unsigned file, struct manifests *m)
{
	char path[PATH_SIZE];
	disk_path(path, "%s/manifest.%u", directory, file);
	int n = disk_read(core, path, m->bytes[file], MANIFEST_FILE_SIZE);
	m->size[file] = n < 0 ? 0 : n;
	return n < 0 && n != -ENOENT ? n : 0;
}

static void decode_all(const struct superblock *superblock, struct manifests *m)
{
	for (unsigned copy = 0; copy < COPIES; copy++) {
		m->state[copy] = manifest_decode(copy_bytes(m, copy), superblock, copy % MANIFEST_COPIES,
		                                 &m->decoded[copy], m->why, sizeof(m->why));
		if (m->state[copy] == COPY_SOUND && m->decoded[copy].version % FILES != copy / MANIFEST_COPIES) {
			snprintf(m->why, sizeof(m->why), "has a version that belongs in the other file");
			m->state[copy] = COPY_REFUSED;
		}
		if (m->state[copy] == COPY_REFUSED)
			m->refused = copy / MANIFEST_COPIES;
	}
}

static void manifests_fini(struct manifests *m)
{
	for (unsigned file = 0; file < FILES; file++)
		file_buffer_free(m->bytes[file]);
	memory_free(m->decoded);
}

static int manifests_read(struct core *core, const char *directory, const struct superblock *superblock,
                          struct manifests *out)
{
	*out = (struct manifests){.decoded = memory_zalloc(COPIES * sizeof(*out->decoded)), .refused = FILES};
	int result = 0;
	for (unsigned file = 0; file < FILES; file++) {
		out->bytes[file] = file_buffer_new(MANIFEST_FILE_SIZE);
		if (result == 0)
			result = read_file(core, directory, file, out);
	}
	if (result == 0)
		decode_all(superblock, out);
	return result;
}

static bool has_sound(const struct manifests *m, unsigned file)
{
	return m->state[file * MANIFEST_COPIES] == COPY_SOUND || m->state[file * MANIFEST_COPIES + 1] == COPY_SOUND;
}

/* The newest sound copy; COPIES: there is none. */
static unsigned newest(const struct manifests *m)
{
	unsigned best = COPIES;
	for (unsigned copy = 0; copy < COPIES; copy++)
		if (m->state[copy] == COPY_SOUND &&
		    (best == COPIES || m->decoded[copy].version > m->decoded[best].version))
			best = copy;
	return best;
}

/* Past the copy's own number. */
static bool differ(const uint8_t *a, const uint8_t *b) { return memcmp(a + 16, b + 16, MANIFEST_COPY_SIZE - 16) != 0; }

/* A file has no sound copy while its first one is being written for the first time; but then it does not
 * reach to its last one, and the other file has not been written twice (or once more, if the first attempt failed). */
static const char *file_problem(const struct manifests *m, unsigned file, unsigned best)
{
	unsigned copy = file * MANIFEST_COPIES;
	if (!has_sound(m, file)) {
		if (m->size[file] > MANIFEST_COPY_STRIDE)
			return "has no sound copy";
		return best < COPIES && m->decoded[best].version >= 4 ? "is gone" : NULL;
	}
	if (m->state[copy] == COPY_SOUND && m->state[copy + 1] == COPY_SOUND &&
	    m->decoded[copy].version == m->decoded[copy + 1].version &&
	    differ(copy_bytes(m, copy), copy_bytes(m, copy + 1)))
		return "has sound copies of one version that differ";
	return NULL;
}

static int judge(const struct manifests *m, const char *directory, struct manifest *out, char *why, size_t why_size)
{
	if (m->refused < FILES) {
		snprintf(why, why_size, "%s/manifest.%u %s", directory, m->refused, m->why);
		return -EBADMSG;
	}
	unsigned best = newest(m);
	for (unsigned file = 0; file < FILES; file++) {
		const char *problem = file_problem(m, file, best);
		if (!problem)
			continue;
		snprintf(why, why_size, "%s/manifest.%u %s: which images and logs count cannot be told", directory,
		         file, problem);
		return -EBADMSG;
	}
	if (best == COPIES)
		return -ENOENT;
	*out = m->decoded[best];
	return 0;
}

int manifest_load(struct core *core, const char *directory, const struct superblock *superblock, struct manifest *out,
                  char *why, size_t why_size)
{
	struct manifests m;
	int result = manifests_read(core, directory, superblock, &m);
	if (result < 0)
		disk_fail(result, directory, why, why_size);
	else
		result = judge(&m, directory, out, why, why_size);
	manifests_fini(&m);
	return result;
}

/* ---- writing ------------------------------------------------------------------------ */

static int write_copies(struct core *core, int fd, const struct superblock *superblock, const struct manifest *manifest)
{
	uint8_t *bytes = file_buffer_new(MANIFEST_COPY_SIZE);
	int result = 0;
	for (unsigned copy = 0; copy < MANIFEST_COPIES && result == 0; copy++) {
		manifest_encode(superblock, manifest, copy, bytes);
		result = file_write(core, fd, bytes, MANIFEST_COPY_SIZE, copy * MANIFEST_COPY_STRIDE, IO_WRITE_DURABLE);
	}
	file_buffer_free(bytes);
	return result;
}

int manifest_store(struct core *core, const char *directory, const struct superblock *superblock,
                   struct manifest *manifest)
{
	char path[PATH_SIZE];
	manifest->version++;
	assert(!manifest_problem(manifest));
	disk_path(path, "%s/manifest.%u", directory, (unsigned)(manifest->version % FILES));
	uint64_t mark = dir_mark(core);
	int fd = file_open(core, path, IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_DIRECT, 0600);
	int result = fd < 0 ? fd : write_copies(core, fd, superblock, manifest);
	if (fd >= 0)
		file_close(core, fd);
	if (result == 0)
		result = dir_sync(core, directory, mark);
	/* Some of it may be there. The next attempt is another version, and goes to the same file again, since the
	 * other one holds what counts. */
	manifest->version += result < 0;
	return result;
}

/* ---- asking ------------------------------------------------------------------------- */

const struct manifest_log *manifest_find_log(const struct manifest *manifest, uint32_t id)
{
	for (uint32_t i = 0; i < manifest->n_logs; i++)
		if (manifest->logs[i].id == id)
			return &manifest->logs[i];
	return NULL;
}

bool manifest_saw_durable(struct manifest *manifest, uint32_t log, uint64_t lsn)
{
	for (uint32_t i = 0; i < manifest->n_logs; i++)
		if (manifest->logs[i].id == log && manifest->logs[i].durable_lsn < lsn) {
			manifest->logs[i].durable_lsn = lsn;
			return true;
		}
	return false;
}

uint64_t manifest_needs_from(const struct manifest *manifest, uint32_t log)
{
	uint64_t from_lsn = UINT64_MAX;
	for (const struct manifest_partition *p = manifest->partitions; p < manifest->partitions + PARTITIONS_ALL; p++)
		for (uint32_t i = 0; i < p->n_ranges; i++)
			if (p->ranges[i].log == log && p->ranges[i].from_lsn < from_lsn)
				from_lsn = p->ranges[i].from_lsn;
	return from_lsn;
}

static bool era_is_needed(const struct manifest *manifest, uint32_t era)
{
	if (era + 1 == manifest->next_era) /* it is being written */
		return true;
	for (uint32_t i = 0; i < manifest->n_logs; i++)
		if (manifest->logs[i].era == era && manifest_needs_from(manifest, manifest->logs[i].id) != UINT64_MAX)
			return true;
	return false;
}

uint32_t manifest_drop_logs(struct manifest *manifest)
{
	uint32_t kept = 0, n = manifest->n_logs;
	struct manifest_log logs[LOGS_MAX];
	for (uint32_t i = 0; i < n; i++)
		if (era_is_needed(manifest, manifest->logs[i].era))
			logs[kept++] = manifest->logs[i];
	memcpy(manifest->logs, logs, kept * sizeof(*logs));
	manifest->n_logs = kept;
	return n - kept;
}

int directory_copies(struct core *core, const char *directory, struct directory_copies *out)
{
	struct directory_copies copies = {.superblock_all = SUPERBLOCK_COPIES, .manifest_all = MANIFEST_COPIES};
	struct superblock superblock = {0};
	int result = superblock_count_copies(core, directory, &superblock, &copies.superblock);
	if (result < 0)
		return result;
	struct manifests m;
	result = manifests_read(core, directory, &superblock, &m);
	for (unsigned copy = 0; copy < COPIES && result == 0; copy++) {
		unsigned file = copy / MANIFEST_COPIES;
		copies.manifest[file] += m.state[copy] != COPY_UNSOUND;
		if (m.state[copy] == COPY_SOUND && m.decoded[copy].version > copies.manifest_version[file])
			copies.manifest_version[file] = m.decoded[copy].version;
	}
	manifests_fini(&m);
	if (result == 0)
		*out = copies;
	return result;
}
