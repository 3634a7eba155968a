/* config.h -- what one seed plays: drawn anew for each, so that every run leaves most things
 * out and overdoes a few.
 *
 * Source    Groce et al., "Swarm Testing", ISSTA 2012.
 */
#pragma once

#include "engine/io/sim.h"

#include <stdio.h>

enum { KEYS_MAX = 10, DATABASES_USED = 3, CLIENTS_MAX = 8, SUBSCRIBERS_MAX = 3, CHANNELS = 2, FILLER_KEYS = 600 };

/* What clients ask for, by kind, each with its weight. */
enum mix {
	MIX_READ,   /* GET and its kin */
	MIX_WRITE,  /* SET, GETSET, DEL ... */
	MIX_COUNT,  /* INCR ... */
	MIX_EDIT,   /* APPEND, SETRANGE */
	MIX_MANY,   /* MGET, MSET, MSETNX, DEL of several */
	MIX_MOVE,   /* RENAME, COPY, MOVE */
	MIX_MULTI,  /* MULTI .. EXEC, WATCH */
	MIX_SELECT, /* other databases */
	MIX_GLOBAL, /* FLUSHDB, FLUSHALL, SWAPDB */
	MIX_PUBLISH,
	MIX_ECHO,
	MIX_EXPIRE, /* EXPIREAT, PERSIST, EXPIRETIME */
	MIX_SAVE,   /* BGSAVE */
	MIX_LIST,   /* RPUSH, LPOP, LRANGE, LMOVE ... */
	MIX_SET,    /* and so on */
	MIX_HASH,
	MIX_ZSET,
	MIX_STREAM,
	MIX_SCRIPT, /* EVAL */
	MIX_KINDS
};

/* What those who cache are told of. */
enum tracking_mode { TRACKING_NONE, TRACKING_READ_KEYS, TRACKING_ALL_KEYS, TRACKING_PREFIX, TRACKING_MODES };

/* What is wrong with the disk in some lives of a seed. */
enum disk_trouble {
	TROUBLE_NONE,
	TROUBLE_SLOW,  /* now and then, and it reads in pieces */
	TROUBLE_FAILS, /* writes, syncs, reads, changes of names */
	TROUBLE_FULL,  /* for a while */
	TROUBLE_LIES,  /* writes land elsewhere, or nowhere */
	TROUBLE_FLIPS, /* bits change */
	TROUBLES
};

struct config {
	uint64_t seed;
	struct sim_faults faults;
	uint16_t n_cores;
	uint16_t n_clients, n_subscribers;
	bool has_filler; /* a client with many keys of its own in one partition */
	uint16_t n_keys;
	bool tagged;             /* keys share hash tags */
	uint32_t n_operations;   /* of each client */
	uint32_t pipeline;       /* commands sent together, at most */
	uint32_t mix[MIX_KINDS]; /* weights */
	uint32_t long_values;    /* chances in 1000: of a value that may be lent, */
	uint32_t huge_values;    /* that is lent whatever the limit is, */
	uint32_t disconnects;    /* that a client leaves in the middle, */
	bool has_sulker;         /* one asks and asks, and reads nothing until the others have done */
	uint32_t slow_reader;    /* that one reads little */
	uint32_t fragments;      /* that a request is sent in several pieces */
	uint32_t spurious_wakes; /* that a sleeping core looks up for nothing */
	uint32_t step_ns;        /* time between two steps, at most */
	uint32_t moody;          /* steps until the scheduler changes its preferences */
	uint32_t think_ns;       /* between an answer and the next request, at most */
	uint64_t output_limit;   /* bytes unsent at which a client's input waits */
	uint32_t drain_at;       /* step at which the server is asked to stop; 0: when all have done */
	bool strict;             /* the setting pipeline-order */
	uint32_t waits;          /* chances in 1000: that a pop or move waits for what is not there */
	enum tracking_mode tracking;
	uint16_t n_cachers; /* clients that keep what they read */
	bool hungry;        /* more is popped than is pushed, so that there is much to wait for */
	int32_t list_leaf;  /* the setting list-max-listpack-size */
	uint32_t list_compress_depth;

	/* The store: */
	bool keeps; /* it has one; all that follows is about it */
	int durability;
	uint64_t segment_size, image_log_bytes;
	uint32_t image_growth;
	uint32_t disk_delay_ns;
	uint32_t life;   /* of its data directory: 0 is all there is, else from 1 on */
	bool has_keeper; /* a client with many keys of its own on all shards, which it knows over all lives */
	enum disk_trouble trouble;
	uint64_t memory_bytes; /* of all keys, under the policy `tier`; 0: no limit */
	bool may_stop;         /* a shard may, for good: an error leaves in doubt whether a command counts */
	bool may_refuse;       /* for want of room */
	uint32_t n_lives;      /* of a seed of many */
};

/* What a seed is made to play, for those who look for one thing. */
enum play {
	PLAY_ANYTHING, /* as the seed says */
	PLAY_CONTENTION,
	PLAY_PIPELINES, /* contention of few clients that ask much at a time */
	PLAY_WAITS,
	PLAY_SCRIPTS,
	PLAY_TRACKING,
	PLAY_HURRY, /* this one and those that follow: many lives */
	PLAY_RECYCLING,
	PLAYS
};
extern const char *const play_names[PLAYS];

/* What the seed says. */
struct config config_draw(uint64_t seed, enum play play);
struct config config_draw_durable(uint64_t seed, enum play play); /* what all its lives share */
void config_make_trouble(struct config *config, enum disk_trouble trouble);
extern const char *const trouble_names[TROUBLES];
void config_print(const struct config *config, FILE *to);
