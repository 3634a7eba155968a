/* clients_private.h -- one client; what clients.c and ask.c share. */
#pragma once

#include "tests/sim/clients.h"

enum { FILLER_OPERATIONS = 120, JANITOR_OPERATIONS = DATABASES_USED + 2, SULKER_OPERATIONS = 60 };

enum role { WORKER, FILLER, SUBSCRIBER, KEEPER, SULKER, CACHER, JANITOR };

/* What a reply is to be. */
enum awaits {
	AWAIT_TEXT,     /* just that text */
	AWAIT_ANYTHING, /* but an error */
	AWAIT_WHATEVER, /* errors as well */
	AWAIT_KEPT,     /* what the keeper expects */
	AWAIT_OPERATION,
	AWAIT_PUBLISHED,
	AWAIT_SUBSCRIBED,
	AWAIT_UNSUBSCRIBED,
	AWAIT_ID,
	AWAIT_CACHED, /* the value of a key, by its number */
};

struct awaited {
	enum awaits what;
	uint32_t number; /* of the text, operation, publication or membership */
	uint32_t text;   /* of a confirmation */
};

/* Where a request begins in the output. */
struct mark {
	size_t at;
	enum awaits what;
	uint32_t number;
};

struct client {
	struct clients *clients;
	const struct config *config;
	struct sim *sim;
	struct history *history;
	uint16_t id, session;
	enum role role;
	struct sim_client *wire;  /* NULL: not connected */
	uint32_t left;            /* to ask */
	uint32_t overlap;         /* replies that may be awaited when more is asked */
	uint64_t act_ns, read_ns; /* not before */
	struct buf input;
	struct buf output; /* to be sent, from output_at on */
	size_t output_at;
	struct buf marks; /* of struct mark, those from marks_at on not yet dated */
	size_t marks_at;
	struct buf awaited; /* of struct awaited, from awaited_at on */
	uint32_t awaited_at;
	bool finishing;                                          /* has said its end, and reads the rest */
	enum { LEAVE_NOT, LEAVE_BY_RESET, LEAVE_BY_END } leaves; /* when the output is sent */
	int64_t server_id;                                       /* as the server calls the connection; 0: not known */
	/* As of the last request: */
	uint8_t resp, db;
	uint64_t watched;
	uint8_t listens;              /* to channels, a bit each */
	uint32_t uniques;             /* values made */
	uint32_t filled[FILLER_KEYS]; /* the filler's values */
	uint32_t stage;               /* the janitor's, the cacher's */
	uint32_t cached[KEYS_MAX];    /* the cacher's; TEXT_NONE: it keeps nothing */
	bool looks_back;              /* the cacher does, at what it keeps */
	bool in_script;               /* it asks for steps of one: those do not wait */
	uint32_t doubts;              /* answers that left open whether a command counts */
};

/* ask.c: puts requests into the output, and what they await. */
void ask_something(struct client *client, bool only_look); /* as the client's role is */
void ask_hello(struct client *client);
void ask_id(struct client *client);

/* The server's id of some worker's connection; 0: it is not known. */
int64_t draw_worker(struct client *client);

/* The parts of a request: what it awaits, then its words. */
void ask_begin(struct client *client, enum awaits what, uint32_t number, uint32_t text);
void ask_words(struct client *client, uint32_t more, const char *words);
void ask_word(struct client *client, struct slice word);

/* Texts of this history. */
uint32_t text_fmt(struct client *client, const char *format, ...) printf_like(2, 3);
uint32_t key_text(struct client *client, uint8_t key); /* the name of a shared key */
uint32_t draw_element(struct client *client);          /* some of which there may be several */
bool draw_waiting(struct client *client);              /* does a command wait for what is not there, */
const char *draw_patience(struct client *client);      /* and for how long? */
