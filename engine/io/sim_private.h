/* sim_private.h -- the world of sim.h, shared by its network and its files. */
#pragma once

#include "engine/base/list.h"
#include "engine/io/sim.h"

/* Bytes that travel together. */
struct sim_piece {
	size_t n;
	uint64_t at_ns;
	bool end; /* nothing comes behind it */
};

/* One direction of a connection. */
struct sim_stream {
	struct buf bytes; /* sent and, from `from` on, not yet read */
	size_t from;
	size_t arrived;    /* of what was not read */
	struct buf pieces; /* of struct sim_piece: the rest of it, in order */
	uint64_t last_ns;  /* what is sent later arrives no earlier */
	bool finished;     /* the sender has said the end */
	bool ended;        /* and that has arrived */
};

/* A connection. */
struct sim_client {
	struct sim *sim;
	struct link all;
	int fd;                    /* its number at the server's side */
	bool away;                 /* its owner has done with it */
	bool accepted;             /* by the server, */
	bool gone;                 /* which has closed it since, or has refused it */
	bool reset;                /* by the client */
	struct io_socket *socket;  /* the server's; NULL: not yet, or no more */
	struct io_socket *awaited; /* the listener it waits at */
	uint64_t known_ns;         /* when the server hears of it, later of its reset */
	uint64_t send_ns;          /* when the send in flight ends, */
	uint64_t close_ns;         /* the close */
	bool straggler;            /* one more chunk comes although nobody wants it */
	struct sim_stream in, out; /* to the server, from it */
};

struct sim {
	struct sim_faults faults;
	uint64_t now_ns;
	uint64_t random;
	uint64_t trace;
	struct link ios;
	struct link clients;
	int next_fd;
	struct sim_disk *disk;     /* NULL: files were not needed yet */
	struct sim_disk *own_disk; /* if nobody gave one */
	uint64_t disk_life;        /* that this world is in: when another begins, its power is off */
	uint64_t ops_staged;
};

/* The io of one core. */
struct sim_io {
	struct io io; /* first */
	struct sim *sim;
	struct link all;
	uint64_t wake_ns; /* UINT64_MAX: nobody has woken it */
	struct link listeners;
	struct link ops; /* of struct sim_op: on files, in flight */
	uint32_t chunks_out;
	uint32_t next_chunk;
	struct buf lent;           /* of struct io_chunk */
	struct sim_client **order; /* those with something to say, as they are called back */
	uint32_t order_room;
};

struct sim_listener {
	struct link all;
	struct io_socket *socket;
	uint16_t port;
	uint64_t close_ns; /* 0: open */
};

static inline struct sim_io *sim_io_of(struct io *io) { return (struct sim_io *)io; }

/* sim_file.c */
void sim_file_open(struct io *io, struct io_op *op, const char *path, unsigned flags, unsigned mode);
void sim_file_read(struct io *io, struct io_op *op, int fd, void *to, size_t size, uint64_t at);
void sim_file_write(struct io *io, struct io_op *op, int fd, const void *from, size_t size, uint64_t at,
                    unsigned flags);
void sim_file_sync(struct io *io, struct io_op *op, int fd);
void sim_file_close(struct io *io, struct io_op *op, int fd);
void sim_file_rename(struct io *io, struct io_op *op, const char *from, const char *to);
void sim_file_remove(struct io *io, struct io_op *op, const char *path);
void sim_file_size(struct io *io, struct io_op *op, int fd);
void sim_file_reserve(struct io *io, struct io_op *op, int fd, uint64_t size);
void sim_dir_make(struct io *io, struct io_op *op, const char *path);
void sim_dir_sync(struct io *io, struct io_op *op, const char *path);
void sim_dir_list(struct io *io, struct io_op *op, const char *path, struct buf *names);
bool sim_files_due(const struct sim_io *io);
uint64_t sim_files_next_ns(const struct sim_io *io);
int sim_files_poll(struct sim_io *io);
void sim_files_forget(struct sim_io *io);
void sim_files_fini(struct sim *sim);
