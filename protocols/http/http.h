/* http.h -- HTTP/1.1 on a connection: pages for monitors.
 *
 * Limits    A request must be whole 10 s after its first byte; a connection on which
 *           nothing happens for 60 s is closed, be it that no request comes or that an
 *           answer is not read.
 */
#pragma once

#include "engine/net/connection.h"

extern const struct protocol http_protocol;
