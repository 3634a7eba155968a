/* report.h -- what a run found, for people or for programs. */
#pragma once

#include "protocols/bench/worker.h"

/* Appends the figures of all cores; call it when they have left their loops. */
void report_table(const struct bench *bench, struct buf *out);
void report_json(const struct bench *bench, struct buf *out);
