#include "engine/net/tls.h"

#include "engine/memory/memory.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

enum { READ_SIZE = 16 * 1024, EARLY_MAX = 64 * 1024 };

struct tls_context {
	SSL_CTX *ssl;
};

struct tls {
	SSL *ssl;
	BIO *in, *out;    /* owned by ssl: ciphertext that arrived, and that waits to be sent */
	struct buf early; /* plaintext said before the handshake was done */
	bool finished;
};

/* ---- the context -------------------------------------------------------------------- */

static bool fail(char *why, size_t why_size, const char *what, const char *file)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());
	snprintf(why, why_size, "TLS: cannot use the %s%s%s: %s", what, file ? " " : "", file ? file : "",
		 reason ? reason : "no reason is given");
	ERR_clear_error();
	return false;
}

static bool configure(SSL_CTX *ssl, const struct tls_options *options, char *why, size_t why_size)
{
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS); /* an idle connection holds no record buffers */
	SSL_CTX_set_session_id_context(ssl, (const unsigned char *)"orbit", 5);
	if (SSL_CTX_use_certificate_chain_file(ssl, options->cert_file) != 1)
		return fail(why, why_size, "certificate", options->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ssl, options->key_file, SSL_FILETYPE_PEM) != 1)
		return fail(why, why_size, "private key", options->key_file);
	if (SSL_CTX_check_private_key(ssl) != 1)
		return fail(why, why_size, "private key: it does not fit the certificate", options->key_file);
	if (options->auth_clients == 0)
		return true;
	if (!options->ca_file[0]) {
		snprintf(why, why_size, "TLS: tls-auth-clients needs tls-ca-cert-file");
		return false;
	}
	if (SSL_CTX_load_verify_locations(ssl, options->ca_file, NULL) != 1)
		return fail(why, why_size, "authorities", options->ca_file);
	SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(options->ca_file));
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (options->auth_clients == 2 ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return true;
}

struct tls_context *tls_context_new(const struct tls_options *options, char *why, size_t why_size)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
	if (!ssl) {
		fail(why, why_size, "library", NULL);
		return NULL;
	}
	if (!configure(ssl, options, why, why_size)) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	struct tls_context *context = memory_alloc(sizeof(*context));
	context->ssl = ssl;
	return context;
}

void tls_context_free(struct tls_context *context)
{
	if (!context)
		return;
	SSL_CTX_free(context->ssl);
	memory_free(context);
}

/* ---- one connection ------------------------------------------------------------------- */

struct tls *tls_new(struct tls_context *context)
{
	struct tls *tls = memory_zalloc(sizeof(*tls));
	tls->ssl = SSL_new(context->ssl);
	tls->in = BIO_new(BIO_s_mem());
	tls->out = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(tls->in, -1); /* empty is not the end: more will come */
	SSL_set_bio(tls->ssl, tls->in, tls->out);
	SSL_set_accept_state(tls->ssl);
	return tls;
}

void tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	buf_fini(&tls->early);
	memory_free(tls);
}

static void take_cipher(struct tls *tls, struct buf *cipher)
{
	char *bytes;
	long n = BIO_get_mem_data(tls->out, &bytes);
	if (n > 0)
		buf_append(cipher, slice_of(bytes, (size_t)n));
	(void)BIO_reset(tls->out);
}

/* 0: more bytes are needed, or are to be sent; 1: the peer has ended; -1: broken. */
static int outcome(struct tls *tls, int result)
{
	int error = SSL_get_error(tls->ssl, result);
	ERR_clear_error();
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return 0;
	return error == SSL_ERROR_ZERO_RETURN ? 1 : -1;
}

static int write_plain(struct tls *tls, struct slice plain)
{
	while (plain.len > 0) {
		size_t written;
		int result = SSL_write_ex(tls->ssl, plain.ptr, plain.len, &written);
		if (result <= 0)
			return -1; /* memory never blocks, and the handshake is done */
		plain = slice_sub(plain, written, plain.len);
	}
	return 0;
}

static int say_early(struct tls *tls)
{
	if (tls->early.len == 0 || !SSL_is_init_finished(tls->ssl))
		return 0;
	int result = write_plain(tls, buf_slice(&tls->early));
	buf_fini(&tls->early);
	return result;
}

int tls_receive(struct tls *tls, struct slice cipher_in, struct buf *plain, struct buf *cipher)
{
	if (BIO_write(tls->in, cipher_in.ptr, (int)cipher_in.len) != (int)cipher_in.len)
		return -1;
	int result = 0;
	for (bool more = true; more && result == 0;) {
		size_t n = 0;
		int got = SSL_read_ex(tls->ssl, buf_reserve(plain, READ_SIZE), READ_SIZE, &n);
		plain->len += n;
		more = got > 0;
		if (!more)
			result = outcome(tls, got);
	}
	if (plain->len == 0)
		buf_fini(plain);
	if (result == 0)
		result = say_early(tls);
	take_cipher(tls, cipher);
	return result;
}

int tls_send(struct tls *tls, struct slice plain, struct buf *cipher)
{
	if (!SSL_is_init_finished(tls->ssl)) {
		if (tls->early.len + plain.len > EARLY_MAX)
			return -1;
		buf_append(&tls->early, plain);
		return 0;
	}
	int result = write_plain(tls, plain);
	take_cipher(tls, cipher);
	return result;
}

void tls_finish(struct tls *tls, struct buf *cipher)
{
	if (tls->finished)
		return;
	tls->finished = true;
	if (SSL_is_init_finished(tls->ssl))
		(void)SSL_shutdown(tls->ssl);
	ERR_clear_error();
	take_cipher(tls, cipher);
}
