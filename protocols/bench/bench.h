/* bench.h -- `orbit bench`: a load generator for servers that speak RESP.
 *
 * What      Connections on the engine's own reactors, so that the generator is light: the
 *           requests are encoded before the clock starts and the replies only counted.
 * Phases    Encode, connect, greet, fill (with --load), warm up, measure, report.
 * Returns   The program's exit status: 0 when it measured, 1 when it could not, 2 for flags
 *           that it does not know.
 */
#pragma once

int bench_main(int argc, char **argv, char *const *environment);
