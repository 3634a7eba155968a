/* tracking_tell.c -- from events to the messages of clients that track. */
#include "query/commands/tracking_private.h"

#include "query/session/session.h"

static void push_names(struct session *session, struct names names)
{
	struct reply reply;
	session->ops->push_behind(session, &reply);
	if (session->resp == 2) {
		reply_push(&reply, 3);
		reply_str(&reply, "message");
		reply_str(&reply, "__redis__:invalidate");
	} else {
		reply_push(&reply, 2);
		reply_str(&reply, "invalidate");
	}
	if (names.all) {
		reply_null(&reply);
	} else {
		reply_array(&reply, names.n);
		for (size_t i = 0; i < names.n; i++)
			reply_bulk(&reply, names.at[i]);
	}
	session->ops->pushed(session);
}

static void push_broken(struct tracker *tracker)
{
	struct session *session = tracker->session;
	struct reply reply;
	tracker->broken = true;
	if (session->resp == 2)
		return;
	session->ops->push_behind(session, &reply);
	reply_push(&reply, 2);
	reply_str(&reply, "tracking-redir-broken");
	reply_integer(&reply, (int64_t)tracker->redirect);
	session->ops->pushed(session);
}

static void redirect(struct tracking *tracking, const struct tracker *tracker, struct names names)
{
	struct buf *events = &tracking->lanes[tracker->redirect_core].events;
	size_t event = event_begin(events, EVENT_REDIRECTED);
	event_id(events, event, tracker->redirect);
	event_id(events, event, reader_of(tracker->session->id, tracking->core->id));
	for (size_t i = 0; i < names.n && !names.all; i++)
		event_name(events, event, names.at[i]);
	if (names.all)
		event_at(events, event)->n_names = ALL_NAMES;
	event_end(events, event);
	lanes_wake(tracking);
}

void tracker_tell(struct tracking *tracking, struct tracker *tracker, struct names names)
{
	if (tracker->broken)
		push_broken(tracker);
	else if (tracker->redirect)
		redirect(tracking, tracker, names);
	else if (tracker->session->resp == 3) /* else it has no way to hear of it */
		push_names(tracker->session, names);
}

void trackers_tell_all(struct tracking *tracking)
{
	list_each (link, &tracking->trackers)
		tracker_tell(tracking, container_of(link, struct tracker, all), (struct names){.all = true});
}

static void show_read(struct tracking *tracking, const struct event *event)
{
	const uint8_t *at = event_names(event);
	struct slice name = next_name(&at);
	for (uint32_t i = 0; i < event->n_ids; i++) {
		struct tracker *tracker = tracker_find(tracking, event_ids(event)[i]);
		if (tracker && tracker->on && !(tracker->options & TRACKING_BROADCAST))
			tracker_tell(tracking, tracker, (struct names){.at = &name, .n = 1});
	}
}

static void say_broken(struct tracking *tracking, const struct event *event)
{
	uint64_t from = event_ids(event)[1];
	struct buf *events = &tracking->lanes[core_of_reader(from)].events;
	size_t broken = event_begin(events, EVENT_BROKEN);
	event_id(events, broken, id_of_reader(from));
	event_id(events, broken, event_ids(event)[0]);
	event_end(events, broken);
	lanes_wake(tracking);
}

static void show_redirected(struct tracking *tracking, const struct event *event)
{
	struct tracker *to = tracker_find(tracking, event_ids(event)[0]);
	if (!to || to->session->flags & SESSION_CLOSING) {
		say_broken(tracking, event);
		return;
	}
	if (to->session->resp == 2 && !session_is_subscribed(to->session))
		return;
	struct names names = {.n = event->n_names, .all = event->n_names == ALL_NAMES};
	cleanup(buf_fini) struct buf slices = {0};
	const uint8_t *at = event_names(event);
	for (size_t i = 0; i < names.n && !names.all; i++) {
		struct slice name = next_name(&at);
		buf_append(&slices, slice_of(&name, sizeof(name)));
	}
	names.at = (const struct slice *)(const void *)slices.ptr;
	push_names(to->session, names);
}

static void show_broken(struct tracking *tracking, const struct event *event)
{
	struct tracker *tracker = tracker_find(tracking, event_ids(event)[0]);
	if (tracker && tracker->on && tracker->redirect == event_ids(event)[1])
		push_broken(tracker);
}

void tracking_show_events(struct tracking *tracking, const struct buf *events)
{
	for (size_t at = 0; at < events->len; at += event_at(events, at)->size) {
		const struct event *event = event_at(events, at);
		switch ((enum event_kind)event->kind) {
		case EVENT_READ:
			show_read(tracking, event);
			break;
		case EVENT_REDIRECTED:
			show_redirected(tracking, event);
			break;
		case EVENT_BROKEN:
			show_broken(tracking, event);
			break;
		case EVENT_ALL:
			trackers_tell_all(tracking);
			break;
		case EVENT_CHANGED:
			assert(!"those come by themselves");
		}
	}
}
