/* tls.h -- TLS 1.2 and 1.3 without sockets: bytes in, bytes out.
 *
 * What      OpenSSL over memory BIOs. A context is made once from the settings and shared
 *           by all cores; a `struct tls` is one connection's state.
 * Errors    -1: the stream is broken or refused; send what `cipher` holds (the alert),
 *           then close.
 */
#pragma once

#include "engine/base/buf.h"
#include "engine/base/slice.h"

#include <stdbool.h>
#include <stddef.h>

struct tls;
struct tls_context;

struct tls_options {
	const char *cert_file, *key_file; /* PEM */
	const char *ca_file;              /* "": none */
	int auth_clients;                 /* 0 no, 1 optional, 2 yes */
};

/* NULL with `why` set, which names the file and what is wrong with it. */
struct tls_context *tls_context_new(const struct tls_options *options, char *why, size_t why_size) must_check;
void tls_context_free(struct tls_context *context);

struct tls *tls_new(struct tls_context *context) must_check;
void tls_free(struct tls *tls);

/* Ciphertext arrived: appends what it decrypts to, and what must be sent (handshake). 1:
 * the peer has said that it sends no more; 0: go on. */
int tls_receive(struct tls *tls, struct slice cipher_in, struct buf *plain, struct buf *cipher) must_check;

/* Encrypts; before the handshake is done the bytes wait inside. */
int tls_send(struct tls *tls, struct slice plain, struct buf *cipher) must_check;

/* Says that no more is sent; once, however often it is called. */
void tls_finish(struct tls *tls, struct buf *cipher);
