/* Directories. What is there now is in their entries; changes that are not durable are kept in the
 * order in which they were made, each with what it changed: so what is durable is what is there with
 * all of them undone, and a crash undoes all and makes some again.
 */
#include "engine/io/sim_disk_private.h"

#include <errno.h>

static struct change *changes_of(const struct sim_disk *disk) { return heap_at(disk, disk->changes.items); }

/* ---- entries ----------------------------------------------------------------------------------------- */

/* The ref of the first entry whose name is not before `name`: where it is, or belongs. */
static uint32_t *entry_place(const struct sim_disk *disk, uint32_t dir, struct slice name)
{
	uint32_t *place = &file_at(disk, dir)->entries;
	while (*place) {
		struct disk_entry *entry = heap_at(disk, *place);
		struct slice other = slice_from_str(text_at(disk, entry->name));
		size_t n = name.len < other.len ? name.len : other.len;
		int order = memcmp(other.ptr, name.ptr, n);
		if (order > 0 || (order == 0 && other.len >= name.len))
			break;
		place = &entry->next;
	}
	return place;
}

static bool has_name(const struct sim_disk *disk, uint32_t ref, struct slice name)
{
	const struct disk_entry *entry = heap_at(disk, ref);
	return ref && slice_equal(slice_from_str(text_at(disk, entry->name)), name);
}

static uint32_t entry_get(const struct sim_disk *disk, uint32_t dir, struct slice name)
{
	uint32_t ref = *entry_place(disk, dir, name);
	return has_name(disk, ref, name) ? ((struct disk_entry *)heap_at(disk, ref))->file : 0;
}

static void entry_drop(struct sim_disk *disk, uint32_t *place)
{
	uint32_t ref = *place;
	struct disk_entry *entry = heap_at(disk, ref);
	*place = entry->next;
	heap_text_give(disk, entry->name);
	heap_give(disk, ref, sizeof(*entry));
}

/* `file` 0: no such name. */
static void entry_set(struct sim_disk *disk, uint32_t dir, struct slice name, uint32_t file)
{
	uint32_t *place = entry_place(disk, dir, name);
	bool there = has_name(disk, *place, name);
	if (!file) {
		if (there)
			entry_drop(disk, place);
		return;
	}
	if (!there) {
		uint32_t ref = heap_take(disk, sizeof(struct disk_entry));
		struct disk_entry *entry = heap_at(disk, ref);
		entry->name = heap_text(disk, name);
		entry->next = *place;
		*place = ref;
	}
	((struct disk_entry *)heap_at(disk, *place))->file = file;
}

/* ---- paths --------------------------------------------------------------------------------------------- */

static struct slice next_part(const char **path)
{
	while (**path == '/')
		(*path)++;
	size_t n = strcspn(*path, "/");
	struct slice part = slice_of(*path, n);
	*path += n;
	return part;
}

int names_place(const struct sim_disk *disk, const char *path, struct place *out)
{
	struct place place = {.dir = disk->root, .file = disk->root};
	for (struct slice part; (part = next_part(&path)).len > 0;) {
		if (slice_equal(part, S(".")))
			continue;
		if (slice_equal(part, S("..")))
			return -EINVAL; /* nobody needs it */
		if (!place.file)
			return -ENOENT;
		if (!file_at(disk, place.file)->is_directory)
			return -ENOTDIR;
		place.dir = place.file;
		place.name = part;
		place.file = entry_get(disk, place.dir, part);
	}
	*out = place;
	return 0;
}

bool names_touch(const struct sim_disk *disk, const char *path, const char *other)
{
	struct place a, b;
	return names_place(disk, path, &a) == 0 && names_place(disk, other, &b) == 0 && a.dir == b.dir &&
	       slice_equal(a.name, b.name);
}

/* ---- changes ------------------------------------------------------------------------------------------- */

static struct slot slot_of(struct sim_disk *disk, const struct place *place, uint32_t after)
{
	return (struct slot){place->dir, heap_text(disk, place->name), place->file, after};
}

static struct slice slot_name(const struct sim_disk *disk, const struct slot *slot)
{
	return slice_from_str(text_at(disk, slot->name));
}

static void change_apply(struct sim_disk *disk, const struct change *change)
{
	for (int i = 0; i < change->n_slots; i++)
		entry_set(disk, change->slots[i].dir, slot_name(disk, &change->slots[i]), change->slots[i].after);
}

static void change_undo(struct sim_disk *disk, const struct change *change)
{
	for (int i = change->n_slots; i-- > 0;)
		entry_set(disk, change->slots[i].dir, slot_name(disk, &change->slots[i]), change->slots[i].before);
}

static void change_add(struct sim_disk *disk, struct change change)
{
	change.done = disk->clock;
	change_apply(disk, &change);
	*(struct change *)array_add(disk, &disk->changes, sizeof(change)) = change;
	disk->counts.name_changes++;
}

static void change_free(struct sim_disk *disk, struct change *change)
{
	for (int i = 0; i < change->n_slots; i++)
		heap_text_give(disk, change->slots[i].name);
}

static bool same_slot(const struct sim_disk *disk, const struct slot *a, const struct slot *b)
{
	return a->dir == b->dir && slice_equal(slot_name(disk, a), slot_name(disk, b));
}

static bool builds_on(const struct sim_disk *disk, const struct change *later, const struct change *earlier)
{
	for (int i = 0; i < later->n_slots; i++)
		for (int k = 0; k < earlier->n_slots; k++)
			if (same_slot(disk, &later->slots[i], &earlier->slots[k]))
				return true;
	return false;
}

/* Makes the change at `at` durable, with all that it builds on. */
static void change_settle(struct sim_disk *disk, uint32_t at)
{
	struct change *changes = changes_of(disk);
	uint32_t kept = disk->changes.n;
	for (uint32_t i = disk->changes.n; i-- > 0;) {
		bool settles = i == at;
		/* Those found so far lie between `kept` and the ones that stay, as they are moved there. */
		for (uint32_t k = kept; k < disk->changes.n && i < at && !settles; k++)
			settles = builds_on(disk, &changes[k], &changes[i]);
		if (!settles)
			continue;
		struct change found = changes[i];
		memmove(&changes[i], &changes[i + 1], (kept - i - 1) * sizeof(found));
		changes[--kept] = found;
	}
	for (uint32_t k = kept; k < disk->changes.n; k++)
		change_free(disk, &changes[k]);
	disk->changes.n = kept;
}

/* A rename waits for the directory of the new name. */
static bool waits_for(const struct change *change, uint32_t dir)
{
	return change->slots[change->n_slots - 1].dir == dir;
}

static void settle_all(struct sim_disk *disk, uint32_t dir, uint64_t staged, bool fails)
{
	for (uint32_t i = disk->changes.n; i-- > 0;) {
		if (i >= disk->changes.n)
			continue; /* some went together */
		struct change *change = &changes_of(disk)[i];
		if (!waits_for(change, dir) || change->done > staged || change->is_lost)
			continue;
		if (fails && disk_chance(disk, 500))
			change->is_lost = true;
		else
			change_settle(disk, i);
	}
}

void names_sync(struct sim_disk *disk, uint32_t dir, uint64_t staged) { settle_all(disk, dir, staged, false); }

void names_sync_fails(struct sim_disk *disk, uint32_t dir, uint64_t staged) { settle_all(disk, dir, staged, true); }

static bool is_volatile(const struct sim_disk *disk, const struct change *change, const char *path)
{
	struct place place = {.dir = disk->root, .file = disk->root};
	for (struct slice part; place.file && (part = next_part(&path)).len > 0;) {
		if (slice_equal(part, S(".")))
			continue;
		for (int i = 0; i < change->n_slots; i++)
			if (change->slots[i].dir == place.file && slice_equal(slot_name(disk, &change->slots[i]), part))
				return true;
		place.file = entry_get(disk, place.file, part);
	}
	return false;
}

bool names_are_durable(const struct sim_disk *disk, const char *path)
{
	for (uint32_t i = 0; i < disk->changes.n; i++)
		if (is_volatile(disk, &changes_of(disk)[i], path))
			return false;
	return true;
}

void names_sync_path(struct sim_disk *disk, const char *path)
{
	for (uint32_t i = disk->changes.n; i-- > 0;)
		if (i < disk->changes.n && is_volatile(disk, &changes_of(disk)[i], path))
			change_settle(disk, i);
}

/* ---- making changes --------------------------------------------------------------------------------------- */

static uint32_t file_new(struct sim_disk *disk, bool directory)
{
	uint32_t ref = heap_take(disk, sizeof(struct disk_file));
	struct disk_file *file = file_at(disk, ref);
	file->is_directory = directory;
	file->next = disk->files;
	disk->files = ref;
	return ref;
}

/* A directory that is there is fine. */
int64_t names_create(struct sim_disk *disk, const char *path, bool directory, uint32_t *out)
{
	struct place place;
	int err = names_place(disk, path, &place);
	if (err)
		return err;
	if (place.file && file_at(disk, place.file)->is_directory != directory)
		return directory ? -ENOTDIR : -EISDIR;
	*out = place.file ? place.file : file_new(disk, directory);
	if (!place.file)
		change_add(disk, (struct change){.n_slots = 1, .slots = {slot_of(disk, &place, *out)}});
	return 0;
}

int64_t names_remove(struct sim_disk *disk, const char *path)
{
	struct place place;
	int err = names_place(disk, path, &place);
	if (err || !place.file)
		return err ? err : -ENOENT;
	if (file_at(disk, place.file)->is_directory)
		return -EISDIR;
	change_add(disk, (struct change){.n_slots = 1, .slots = {slot_of(disk, &place, 0)}});
	return 0;
}

static int may_rename(const struct sim_disk *disk, const struct place *from, const struct place *to)
{
	if (!from->file)
		return -ENOENT;
	bool directory = file_at(disk, from->file)->is_directory;
	if (directory && (from->name.len == 0 || from->dir != to->dir))
		return -EINVAL; /* none ever comes to lie in itself, whatever a crash undoes */
	if (!to->file)
		return 0;
	if (!file_at(disk, to->file)->is_directory)
		return directory ? -ENOTDIR : 0;
	return !directory ? -EISDIR : file_at(disk, to->file)->entries ? -ENOTEMPTY : 0;
}

int64_t names_rename(struct sim_disk *disk, const char *from, const char *to)
{
	struct place old, new;
	int err = names_place(disk, from, &old);
	if (!err)
		err = names_place(disk, to, &new);
	if (!err && old.file && old.file == new.file)
		return 0;
	if (!err)
		err = may_rename(disk, &old, &new);
	if (err)
		return err;
	change_add(disk,
	           (struct change){.n_slots = 2, .slots = {slot_of(disk, &old, 0), slot_of(disk, &new, old.file)}});
	return 0;
}

int64_t names_list(const struct sim_disk *disk, const char *path, struct buf *names)
{
	struct place place;
	int err = names_place(disk, path, &place);
	if (err || !place.file)
		return err ? err : -ENOENT;
	if (!file_at(disk, place.file)->is_directory)
		return -ENOTDIR;
	for (uint32_t ref = file_at(disk, place.file)->entries; ref;) {
		const struct disk_entry *entry = heap_at(disk, ref);
		const char *name = text_at(disk, entry->name);
		buf_append(names, slice_of(name, strlen(name) + 1));
		ref = entry->next;
	}
	return 0;
}

/* ---- a crash ------------------------------------------------------------------------------------------------- */

/* Are its names as it found them? Else something that it builds on was undone. */
static bool may_apply(const struct sim_disk *disk, const struct change *change)
{
	for (int i = 0; i < change->n_slots; i++) {
		const struct slot *slot = &change->slots[i];
		if (entry_get(disk, slot->dir, slot_name(disk, slot)) != slot->before)
			return false;
	}
	return true;
}

void names_crash(struct sim_disk *disk)
{
	struct change *changes = changes_of(disk);
	uint32_t n = disk->changes.n;
	/* All, none, or each as it comes; see the moods of data. */
	uint64_t mood = disk_below(disk, 4);
	uint32_t keeps_in_1000 = mood == 0 ? 1000 : mood == 1 ? 0 : 500;
	for (uint32_t i = n; i-- > 0;)
		change_undo(disk, &changes[i]);
	for (uint32_t i = 0; i < n; i++) {
		bool kept = !changes[i].is_lost && disk_chance(disk, keeps_in_1000) && may_apply(disk, &changes[i]);
		if (kept)
			change_apply(disk, &changes[i]);
		disk->counts.changes_kept += kept;
		disk->counts.changes_undone += !kept;
		change_free(disk, &changes[i]);
	}
	array_give(disk, &disk->changes, sizeof(struct change));
}

/* ---- who can be reached ----------------------------------------------------------------------------------------- */

static void mark(const struct sim_disk *disk, uint32_t ref)
{
	if (!ref || file_at(disk, ref)->is_marked)
		return;
	file_at(disk, ref)->is_marked = true;
	for (uint32_t at = file_at(disk, ref)->entries; at;) {
		const struct disk_entry *entry = heap_at(disk, at);
		mark(disk, entry->file);
		at = entry->next;
	}
}

/* By a name, or by somebody who has it open. */
static void mark_present(const struct sim_disk *disk)
{
	mark(disk, disk->root);
	for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
		mark(disk, disk->descriptors[fd].file);
}

static void mark_past(const struct sim_disk *disk)
{
	for (uint32_t i = 0; i < disk->changes.n; i++)
		for (int s = 0; s < changes_of(disk)[i].n_slots; s++) {
			const struct slot *slot = &changes_of(disk)[i].slots[s];
			mark(disk, slot->dir);
			mark(disk, slot->before);
			mark(disk, slot->after);
		}
	for (uint32_t ref = disk->ops; ref; ref = ((struct disk_op *)heap_at(disk, ref))->next)
		mark(disk, ((struct disk_op *)heap_at(disk, ref))->file);
}

static void unmark_all(const struct sim_disk *disk)
{
	for (uint32_t ref = disk->files; ref; ref = file_at(disk, ref)->next)
		file_at(disk, ref)->is_marked = false;
}

static void file_free(struct sim_disk *disk, uint32_t ref)
{
	struct disk_file *file = file_at(disk, ref);
	while (file->entries)
		entry_drop(disk, &file->entries);
	data_cut(disk, file, 0);
	heap_give(disk, ref, sizeof(*file));
}

void names_sweep(struct sim_disk *disk)
{
	mark_present(disk);
	mark_past(disk);
	for (uint32_t *place = &disk->files; *place;) {
		uint32_t ref = *place;
		if (file_at(disk, ref)->is_marked) {
			place = &file_at(disk, ref)->next;
			continue;
		}
		*place = file_at(disk, ref)->next;
		file_free(disk, ref);
	}
	unmark_all(disk);
}

uint64_t names_sectors_used(struct sim_disk *disk)
{
	uint64_t used = 0;
	mark_present(disk);
	for (uint32_t ref = disk->files; ref; ref = file_at(disk, ref)->next)
		if (file_at(disk, ref)->is_marked)
			used += file_at(disk, ref)->sectors_used;
	unmark_all(disk);
	return used;
}
