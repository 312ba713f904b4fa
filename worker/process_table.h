/* process_table.h - the processes of this machine at one moment, and which of them belong to whom.
 *
 * Source: proc(5), /proc/PID/stat. Processes that end or start while it is read may be missing.
 */
#ifndef MR_WORKER_PROCESS_TABLE_H
#define MR_WORKER_PROCESS_TABLE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct process_info {
    int pid;
    int parent;
    int session;
    char state;          /* R, S, D, T (stopped), Z (ended, not yet waited for), ... */
    uint64_t start_time; /* clock ticks since boot */
    uint64_t rss_bytes;
} process_info;

/* {0} is an empty table; reading again uses its memory again. */
typedef struct process_table {
    process_info *items; /* ascending by pid */
    size_t count;
    size_t capacity;
} process_table;

mr_err process_table_read(process_table *table, mr_error *ret_error);
void process_table_fini(process_table *table);

const process_info *process_table_find(const process_table *table, int pid); /* NULL: none */

/* The first of `process` and its ancestors whose parent is `parent`; NULL when it does not descend from it.
 */
const process_info *process_table_branch(const process_table *table, const process_info *process, int parent);

#endif
