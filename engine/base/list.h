/* list.h -- intrusive doubly linked lists.
 *
 * A list is a circle through its head. A zeroed link is in no list.
 */
#pragma once

#include "engine/base/compiler.h"

#include <stdbool.h>

struct link {
	struct link *next, *prev;
};

static inline void list_init(struct link *head) { head->next = head->prev = head; }
static inline bool list_empty(const struct link *head) { return head->next == head; }
static inline bool link_linked(const struct link *link) { return link->next != NULL; }

static inline void list_insert_before(struct link *at, struct link *link)
{
	link->next = at;
	link->prev = at->prev;
	at->prev->next = link;
	at->prev = link;
}

static inline void list_push_back(struct link *head, struct link *link) { list_insert_before(head, link); }
static inline void list_push_front(struct link *head, struct link *link) { list_insert_before(head->next, link); }

/* Takes a link out of its list; fine when it is in none. */
static inline void list_remove(struct link *link)
{
	if (!link->next)
		return;
	link->next->prev = link->prev;
	link->prev->next = link->next;
	link->next = link->prev = NULL;
}

static inline struct link *list_pop_front(struct link *head)
{
	struct link *first = head->next;
	if (first == head)
		return NULL;
	list_remove(first);
	return first;
}

/* `next_` is read before the body runs, so the body may remove `link`. */
#define list_each(link, head) \
	for (struct link *link = (head)->next, *next_##link = link->next; link != (head); \
	     link = next_##link, next_##link = link->next)
