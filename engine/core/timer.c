/* A wheel of four levels. Level l has 256 slots of 256^l ms each; a timer lies in the
 * level that its distance calls for, and moves down when the wheel comes to its slot.
 * A bit for each used slot lets the wheel jump over the empty ones.
 */
#include "engine/core/core.h"

#include <assert.h>

static const uint64_t ns_per_ms = 1000 * 1000;

enum { LEVEL_BITS = 8 };
static_assert(TIMER_SLOTS == 1 << LEVEL_BITS, "one digit of the time a level");

static uint64_t slot_ms(int level) { return 1ull << (LEVEL_BITS * level); }
static const uint64_t furthest_ms = (1ull << (LEVEL_BITS * TIMER_LEVELS)) - 1;

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ns)
{
	*wheel = (struct timer_wheel){.now_ms = now_ns / ns_per_ms, .again_ns = UINT64_MAX};
	for (int level = 0; level < TIMER_LEVELS; level++)
		for (int slot = 0; slot < TIMER_SLOTS; slot++)
			list_init(&wheel->slots[level][slot]);
}

static void mark_used(struct timer_wheel *wheel, int level, unsigned slot)
{
	wheel->used[level][slot / 64] |= 1ull << slot % 64;
}

static void mark_empty(struct timer_wheel *wheel, int level, unsigned slot)
{
	wheel->used[level][slot / 64] &= ~(1ull << slot % 64);
}

static void place(struct timer_wheel *wheel, struct timer *timer)
{
	uint64_t at_ms = timer->at_ms > wheel->now_ms ? timer->at_ms : wheel->now_ms;
	if (at_ms - wheel->now_ms > furthest_ms)
		at_ms = wheel->now_ms + furthest_ms; /* and is placed again when its slot comes */
	int level = 0;
	while (at_ms - wheel->now_ms >= slot_ms(level + 1))
		level++;
	unsigned slot = (unsigned)(at_ms >> (LEVEL_BITS * level)) % TIMER_SLOTS;
	list_push_back(&wheel->slots[level][slot], &timer->link);
	mark_used(wheel, level, slot);
}

void timer_start(struct timer_wheel *wheel, struct timer *timer, uint64_t at_ns)
{
	assert(timer->run);
	timer_stop(wheel, timer);
	timer->at_ms = at_ns / ns_per_ms + (at_ns % ns_per_ms != 0);
	wheel->n++;
	place(wheel, timer);
}

/* The last of a slot lies between its head and its head. */
static void forget_slot_of_last(struct timer_wheel *wheel, const struct timer *timer)
{
	const struct link *head = timer->link.next, *first = &wheel->slots[0][0];
	if (head != timer->link.prev || head < first || head >= first + TIMER_LEVELS * TIMER_SLOTS)
		return;
	mark_empty(wheel, (int)((head - first) / TIMER_SLOTS), (unsigned)((head - first) % TIMER_SLOTS));
}

void timer_stop(struct timer_wheel *wheel, struct timer *timer)
{
	if (!timer_started(timer))
		return;
	forget_slot_of_last(wheel, timer);
	list_remove(&timer->link);
	wheel->n--;
}

/* Steps from `slot` to the next used one, going round; TIMER_SLOTS if there is none. */
static unsigned steps_to_used(const uint64_t *used, unsigned slot)
{
	enum { WORDS = TIMER_SLOTS / 64 };
	uint64_t word = used[slot / 64] >> slot % 64;
	if (word)
		return (unsigned)__builtin_ctzll(word);
	for (unsigned i = 1; i <= WORDS; i++) {
		word = used[(slot / 64 + i) % WORDS];
		if (i == WORDS)
			word &= (1ull << slot % 64) - 1;
		if (word)
			return 64 - slot % 64 + 64 * (i - 1) + (unsigned)__builtin_ctzll(word);
	}
	return TIMER_SLOTS;
}

/* The next millisecond, now included, at which a slot of this level fires or moves down. */
static uint64_t level_next_ms(const struct timer_wheel *wheel, int level)
{
	uint64_t slot_at = wheel->now_ms >> (LEVEL_BITS * level);
	/* Inside a slot's span the slot itself has moved down already, and what lies in it now
	 * comes after a whole round. */
	if (wheel->now_ms % slot_ms(level) != 0)
		slot_at++;
	unsigned steps = steps_to_used(wheel->used[level], (unsigned)slot_at % TIMER_SLOTS);
	return steps == TIMER_SLOTS ? UINT64_MAX : (slot_at + steps) << (LEVEL_BITS * level);
}

static uint64_t next_ms(const struct timer_wheel *wheel)
{
	uint64_t next = UINT64_MAX;
	for (int level = 0; level < TIMER_LEVELS; level++) {
		uint64_t at = level_next_ms(wheel, level);
		if (at < next)
			next = at;
	}
	return next;
}

uint64_t timer_wheel_next_ns(const struct timer_wheel *wheel)
{
	uint64_t next = wheel->n ? next_ms(wheel) : UINT64_MAX;
	uint64_t next_ns = next == UINT64_MAX ? UINT64_MAX : next * ns_per_ms;
	return next_ns < wheel->again_ns ? next_ns : wheel->again_ns;
}

/* Moves a slot's timers to a list of the caller; they still count as started. */
static void empty_slot(struct timer_wheel *wheel, int level, uint64_t at_ms, struct link *out)
{
	unsigned slot = (unsigned)(at_ms >> (LEVEL_BITS * level)) % TIMER_SLOTS;
	struct link *head = &wheel->slots[level][slot];
	list_init(out);
	if (list_empty(head))
		return;
	*out = *head;
	out->next->prev = out->prev->next = out;
	list_init(head);
	mark_empty(wheel, level, slot);
}

static void move_down(struct timer_wheel *wheel)
{
	for (int level = TIMER_LEVELS - 1; level > 0; level--) {
		struct link moving;
		if (wheel->now_ms % slot_ms(level) != 0)
			continue;
		empty_slot(wheel, level, wheel->now_ms, &moving);
		for (struct link *link; (link = list_pop_front(&moving));)
			place(wheel, container_of(link, struct timer, link));
	}
}

/* The wheel is past `at_ms` before anything runs, so that a timer started by a callback
 * never lands behind it. */
static int fire(struct core *core, struct timer_wheel *wheel, uint64_t at_ms)
{
	struct link due;
	int n = 0;
	empty_slot(wheel, 0, at_ms, &due);
	wheel->now_ms = at_ms + 1;
	for (struct link *link; (link = list_pop_front(&due)); n++) {
		struct timer *timer = container_of(link, struct timer, link);
		wheel->n--;
		timer->run(core, timer);
	}
	return n;
}

int timer_wheel_run(struct core *core, struct timer_wheel *wheel, uint64_t now_ns)
{
	uint64_t until_ms = now_ns / ns_per_ms;
	int n = 0;
	while (wheel->now_ms <= until_ms) {
		uint64_t at_ms = wheel->n ? next_ms(wheel) : UINT64_MAX;
		if (at_ms > until_ms) {
			wheel->now_ms = until_ms + 1;
			break;
		}
		wheel->now_ms = at_ms;
		move_down(wheel);
		n += fire(core, wheel, at_ms);
	}
	return n;
}
