/* check.h -- `orbit check DIR`: the words of the command line; storage/check does the looking. */
#pragma once

/* Exit status 0: sound; 1: a fault; 2: it was called wrongly. */
int check_main(int argc, char **argv, char *const *environment);
