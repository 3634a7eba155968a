#include "tests/sim/listen.h"

#include "engine/memory/memory.h"

static uint32_t count(const struct buf *buf, size_t size) { return (uint32_t)(buf->len / size); }

static bool same_session(const struct delivery *a, const struct delivery *b)
{
	return a->client == b->client && a->session == b->session;
}

/* The deliveries of one session, seen from one of them on. */
static bool in_order(const struct history *history, uint32_t from, FILE *to)
{
	const struct delivery *all = (const struct delivery *)history->deliveries.ptr, *one = &all[from];
	const struct publication *published = (const struct publication *)history->publications.ptr;
	const struct publication *first = &published[one->publication];
	if (first->invoked > one->moment || first->channel != one->channel) {
		fprintf(to, "message %u reached client %u before it was published, or on another channel\n",
		        one->publication, one->client);
		return false;
	}
	for (uint32_t i = from + 1; i < count(&history->deliveries, sizeof(*all)); i++) {
		const struct publication *later = &published[all[i].publication];
		if (!same_session(one, &all[i]) || later->client != first->client || later->session != first->session)
			continue;
		if (all[i].publication > one->publication)
			continue;
		fprintf(to, "client %u got message %u after message %u of the same publisher\n", one->client,
		        all[i].publication, one->publication);
		return false;
	}
	return true;
}

static bool was_delivered(const struct history *history, const struct membership *member, uint32_t publication)
{
	const struct delivery *all = (const struct delivery *)history->deliveries.ptr;
	for (uint32_t i = 0; i < count(&history->deliveries, sizeof(*all)); i++)
		if (all[i].client == member->client && all[i].session == member->session &&
		    all[i].publication == publication)
			return true;
	return false;
}

/* Who must have got a message, who may have, and whether they did. */
static bool reached_all(const struct history *history, uint32_t number, FILE *to)
{
	const struct publication *p = (const struct publication *)history->publications.ptr + number;
	const struct membership *all = (const struct membership *)history->memberships.ptr;
	int64_t least = 0, most = 0;
	for (uint32_t i = 0; i < count(&history->memberships, sizeof(*all)); i++) {
		const struct membership *m = &all[i];
		if (m->channel != p->channel || m->asked > p->responded || m->left_confirmed < p->invoked)
			continue;
		most++;
		if (p->responded == NEVER || m->confirmed > p->invoked || m->left < p->responded)
			continue; /* maybe it was done, maybe the client heard of it */
		least++;
		if (m->broke || was_delivered(history, m, number))
			continue;
		fprintf(to, "message %u never reached client %u, which listened\n", number, m->client);
		return false;
	}
	if (p->responded == NEVER || (p->receivers >= least && p->receivers <= most))
		return true;
	fprintf(to, "message %u had %lld receivers, as its publisher was told, but %lld to %lld listened\n", number,
	        (long long)p->receivers, (long long)least, (long long)most);
	return false;
}

bool check_deliveries(const struct history *history, FILE *to)
{
	for (uint32_t i = 0; i < count(&history->deliveries, sizeof(struct delivery)); i++)
		if (!in_order(history, i, to))
			return false;
	for (uint32_t i = 0; i < count(&history->publications, sizeof(struct publication)); i++)
		if (!reached_all(history, i, to))
			return false;
	return true;
}

void deliveries_date(struct history *history)
{
	const struct delivery *all = (const struct delivery *)history->deliveries.ptr;
	const struct publication *published = (const struct publication *)history->publications.ptr;
	for (uint32_t i = 0; i < count(&history->deliveries, sizeof(*all)); i++) {
		const struct publication *p = &published[all[i].publication];
		for (uint32_t n = 0; n < p->operations; n++) {
			struct operation *operation = history_at(history, n);
			if (operation->client == p->client && operation->session == p->session &&
			    operation->responded > all[i].moment)
				operation->responded = all[i].moment;
		}
	}
}
