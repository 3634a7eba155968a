/* resp.h -- Redis' wire: joins the parser, the rounds of the command table and the renderer. */
#pragma once

#include "engine/net/connection.h"

extern const struct protocol resp_protocol;
