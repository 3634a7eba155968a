/* tracking_prefixes.c -- clients that listen to all keys which begin so (BCAST). */
#include "query/commands/tracking_private.h"

#include "engine/memory/memory.h"
#include "query/session/session.h"

#include <stdlib.h>

static int change_order(const void *a, const void *b)
{
	return slice_compare(((const struct change *)a)->name, ((const struct change *)b)->name);
}

size_t tracking_changes(const struct buf *events, struct buf *out)
{
	for (size_t at = 0; at < events->len; at += event_at(events, at)->size) {
		const uint8_t *names = event_names(event_at(events, at));
		struct change change = {.writer = *event_ids(event_at(events, at))};
		change.name = next_name(&names);
		buf_append(out, slice_of(&change, sizeof(change)));
	}
	struct change *all = (struct change *)(void *)out->ptr;
	size_t n = out->len / sizeof(*all), kept = 0;
	if (n > 0)
		qsort(all, n, sizeof(*all), change_order);
	for (size_t i = 0; i < n; i++) {
		if (kept == 0 || slice_compare(all[kept - 1].name, all[i].name) != 0)
			all[kept++] = all[i];
		else if (all[kept - 1].writer != all[i].writer)
			all[kept - 1].writer = 0;
	}
	return kept;
}

static bool begins_so(struct slice name, struct slice prefix)
{
	return name.len >= prefix.len && slice_equal(slice_sub(name, 0, prefix.len), prefix);
}

static void show_member(struct tracking *tracking, struct tracker *tracker, const struct change *changes, size_t n)
{
	cleanup(buf_fini) struct buf slices = {0};
	uint64_t but = tracker->options & TRACKING_NO_LOOP ? tracker->session->id : 0;
	for (size_t i = 0; i < n; i++)
		if (!but || changes[i].writer != but)
			buf_append(&slices, slice_of(&changes[i].name, sizeof(struct slice)));
	struct names names = {.at = (const struct slice *)(const void *)slices.ptr,
	                      .n = slices.len / sizeof(struct slice)};
	if (names.n > 0)
		tracker_tell(tracking, tracker, names);
}

static void show_prefix(struct tracking *tracking, const struct prefix *prefix, const struct change *changes, size_t n)
{
	list_each (link, &prefix->members)
		show_member(tracking, container_of(link, struct membership, in_prefix)->tracker, changes, n);
}

/* One message for each prefix: the keys that begin so lie together. */
void tracking_show_changes(struct tracking *tracking, const struct buf *events)
{
	cleanup(buf_fini) struct buf room = {0};
	size_t n = tracking_changes(events, &room);
	const struct change *changes = (const struct change *)(const void *)room.ptr;
	list_each (link, &tracking->prefixes) {
		const struct prefix *prefix = container_of(link, struct prefix, all);
		size_t from = 0, to = n;
		while (from < to) {
			size_t middle = (from + to) / 2;
			if (slice_compare(changes[middle].name, prefix_text(prefix)) < 0)
				from = middle + 1;
			else
				to = middle;
		}
		while (to < n && begins_so(changes[to].name, prefix_text(prefix)))
			to++;
		if (from < to)
			show_prefix(tracking, prefix, changes + from, to - from);
	}
}

static struct prefix *prefix_get(struct tracking *tracking, struct slice text)
{
	struct link *at = tracking->prefixes.next;
	for (; at != &tracking->prefixes; at = at->next) {
		struct prefix *prefix = container_of(at, struct prefix, all);
		int c = slice_compare(text, prefix_text(prefix));
		if (c == 0)
			return prefix;
		if (c < 0)
			break;
	}
	struct prefix *prefix = memory_zalloc(sizeof(*prefix) + text.len);
	prefix->len = (uint32_t)text.len;
	if (text.len > 0)
		memcpy(prefix->text, text.ptr, text.len);
	list_init(&prefix->members);
	list_insert_before(at, &prefix->all);
	return prefix;
}

void tracker_joins(struct tracking *tracking, struct tracker *tracker, struct slice text)
{
	struct link *at = tracker->prefixes.next;
	for (; at != &tracker->prefixes; at = at->next) {
		int c = slice_compare(text, prefix_text(container_of(at, struct membership, in_tracker)->prefix));
		if (c == 0)
			return;
		if (c < 0)
			break;
	}
	struct membership *membership = memory_zalloc(sizeof(*membership));
	membership->tracker = tracker;
	membership->prefix = prefix_get(tracking, text);
	list_push_back(&membership->prefix->members, &membership->in_prefix);
	list_insert_before(at, &membership->in_tracker);
	tracker->n_prefixes++;
}

void tracker_leaves(struct tracker *tracker)
{
	while (!list_empty(&tracker->prefixes)) {
		struct membership *membership = container_of(tracker->prefixes.next, struct membership, in_tracker);
		struct prefix *prefix = membership->prefix;
		list_remove(&membership->in_tracker);
		list_remove(&membership->in_prefix);
		memory_free(membership);
		if (!list_empty(&prefix->members))
			continue;
		list_remove(&prefix->all);
		memory_free(prefix);
	}
	tracker->n_prefixes = 0;
}
