/* version.h -- what this server says that it is. */
#pragma once

/* Clients choose what they send by the Redis version that they are told: the one whose
 * commands these are. */
static const struct versions {
	const char *orbit;
	const char *compatible_name, *compatible;
} versions = {ORBIT_VERSION, "redis", "7.2.0"};
