/* serve.h -- `orbit serve`: settings, cores, listeners, and the end of them. */
#pragma once

/* Serves until SIGTERM, SIGINT or SHUTDOWN; returns the exit status. `argv` without the
 * program and subcommand. */
int serve_main(int argc, char **argv, char *const *environment);
