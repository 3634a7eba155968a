/* tracking_lanes.c -- events on their way to other cores. */
#include "query/commands/tracking_private.h"

enum { UNDER_WAY_MAX = RARE(64 * 1024 * 1024, 4096) }; /* bytes to one core */

static void events_arrived(struct core *core, const struct buf *events)
{
	tracking_show_events(tracking_of(core), events);
}
static void changes_arrived(struct core *core, const struct buf *events)
{
	tracking_show_changes(tracking_of(core), events);
}

static bool lane_is_empty(const struct tracking *tracking, uint16_t to)
{
	return handouts_under_way(&tracking->handouts, to) == 0;
}

void tracking_events_read(struct handouts *handouts, uint16_t by)
{
	struct tracking *tracking = container_of(handouts, struct tracking, handouts);
	if (tracking->lanes[by].lost && lane_is_empty(tracking, by))
		lanes_wake(tracking);
}

/* Can the core take more? If not it is told that all has changed, as soon as it can. */
static bool lane_is_open(struct tracking *tracking, uint16_t to)
{
	struct lane *lane = &tracking->lanes[to];
	lane->lost |= handouts_under_way(&tracking->handouts, to) > UNDER_WAY_MAX;
	return !lane->lost;
}

static void lane_send(struct tracking *tracking, uint16_t to)
{
	struct lane *lane = &tracking->lanes[to];
	if (lane->lost && lane_is_empty(tracking, to)) {
		lane->lost = false;
		lane->events.len = 0;
		event_end(&lane->events, event_begin(&lane->events, EVENT_ALL));
	}
	if (lane->events.len == 0)
		return;
	if (lane_is_open(tracking, to))
		handout(&tracking->handouts, &lane->events, 1ull << to, events_arrived);
	else
		lane->events.len = 0;
}

static void send_changes(struct tracking *tracking)
{
	uint64_t to = 0;
	if (tracking->changed.len == 0)
		return;
	for (uint16_t core = 0; core < tracking->core->n_cores; core++)
		if (tracking->listeners & 1ull << core && lane_is_open(tracking, core))
			to |= 1ull << core;
	handout(&tracking->handouts, &tracking->changed, to, changes_arrived);
}

void tracking_send(struct core *core, struct task *task)
{
	struct tracking *tracking = container_of(task, struct tracking, send);
	send_changes(tracking);
	for (uint16_t to = 0; to < core->n_cores; to++)
		lane_send(tracking, to);
}
