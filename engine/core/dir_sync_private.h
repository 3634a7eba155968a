/* dir_sync_private.h -- what a machine has to make directories durable; see file.h. */
#pragma once

struct dir_syncs;

struct dir_syncs *dir_syncs_new(void);
void dir_syncs_free(struct dir_syncs *syncs); /* NULL is fine */
