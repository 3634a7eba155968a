#include "engine/io/io_private.h"

struct io *io_new(enum io_choice choice, char *why, size_t why_size)
{
	int error;
	if (why_size)
		why[0] = 0;
	if (choice == IO_EPOLL)
		return epoll_new(why, why_size);
	struct io *io = uring_new(URING_DEFER, why, why_size, &error);
	/* `why` keeps what kept us from the better one. */
	if (!io && choice == IO_AUTO)
		io = epoll_new(why, why_size);
	return io;
}
