/* uring_compat.h -- what newer kernels know and liburing 2.3 has no word for.
 *
 * Constants of the kernel's interface, and the places in liburing's structs where newer
 * fields lie. IORING_SETUP_NO_SQARRAY is left out on purpose: liburing 2.3 accepts it and
 * then writes its index array over the head of the ring.
 */
#pragma once

#include <assert.h>
#include <liburing.h>
#include <stddef.h>

#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)
#endif
#ifndef IORING_FEAT_NO_IOWAIT
#define IORING_FEAT_NO_IOWAIT (1U << 17)
#endif
#ifndef IORING_ENTER_NO_IOWAIT
#define IORING_ENTER_NO_IOWAIT (1U << 7)
#endif

static_assert(sizeof(struct io_uring_sqe) == 64, "kernel interface");
static_assert(sizeof(struct io_uring_cqe) == 16, "kernel interface");
static_assert(sizeof(struct io_uring_buf) == 16, "kernel interface");
static_assert(offsetof(struct io_uring_buf, resv) == 14, "the tail of a buffer ring lies in its first entry");
static_assert(sizeof(struct io_uring_getevents_arg) == 24, "kernel interface");
static_assert(offsetof(struct io_uring_getevents_arg, pad) == 12, "min_wait_usec of newer kernels");
static_assert(sizeof(struct io_uring_buf_reg) == 40, "kernel interface");
static_assert(offsetof(struct io_uring_buf_reg, pad) == 14, "flags of newer kernels");
static_assert(IORING_SETUP_DEFER_TASKRUN == 1U << 13, "kernel interface");
static_assert(IORING_OP_SENDMSG_ZC == 48, "the last operation that liburing 2.3 names");
