#include "storage/log/waiters_private.h"

/* In the heap `child` is the first of those below, and `next` the next of the same parent. */
static struct log_waiter *meld(struct log_waiter *one, struct log_waiter *other)
{
	if (!one || !other)
		return one ? one : other;
	if (other->lsn < one->lsn) {
		struct log_waiter *less = other;
		other = one;
		one = less;
	}
	other->next = one->child;
	one->child = other;
	return one;
}

static struct log_waiter *cut(struct log_waiter **rest)
{
	struct log_waiter *first = *rest;
	if (first) {
		*rest = first->next;
		first->next = NULL;
	}
	return first;
}

/* Two by two from the left, then all from the right. */
static struct log_waiter *meld_all(struct log_waiter *children)
{
	struct log_waiter *pairs = NULL, *heap = NULL;
	while (children) {
		struct log_waiter *one = cut(&children), *pair = meld(one, cut(&children));
		pair->next = pairs;
		pairs = pair;
	}
	while (pairs)
		heap = meld(heap, cut(&pairs));
	return heap;
}

void waiters_add(struct waiters *waiters, struct log_waiter *waiter)
{
	waiter->next = waiter->child = NULL;
	waiters->n++;
	if (waiters->first && unlikely(waiter->lsn < waiters->last->lsn)) {
		waiters->late = meld(waiters->late, waiter);
		return;
	}
	if (waiters->first)
		waiters->last->next = waiter;
	else
		waiters->first = waiter;
	waiters->last = waiter;
}

static bool late_is_first(const struct waiters *waiters)
{
	return waiters->late && (!waiters->first || waiters->late->lsn < waiters->first->lsn);
}

struct log_waiter *waiters_first(const struct waiters *waiters)
{
	return unlikely(late_is_first(waiters)) ? waiters->late : waiters->first;
}

struct log_waiter *waiters_take(struct waiters *waiters)
{
	waiters->n--;
	if (likely(!late_is_first(waiters)))
		return cut(&waiters->first);
	struct log_waiter *taken = waiters->late;
	waiters->late = meld_all(taken->child);
	return taken;
}
