/* mr_process_table.h - the processes of this machine at one moment, and which of them belong to whom.
 *
 * Source: proc(5), /proc/PID/stat. Processes that end or start while it is read may be missing.
 */
#ifndef MR_CORE_PROCESS_TABLE_H
#define MR_CORE_PROCESS_TABLE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mr_process_info {
    int pid;
    int parent;
    int session;
    char state;          /* R, S, D, T (stopped), Z (ended, not yet waited for), ... */
    uint64_t start_time; /* clock ticks since boot */
    uint64_t rss_bytes;
    bool taken; /* for who works with the table; false after reading */
} mr_process_info;

/* {0} is an empty table; reading again uses its memory again. */
typedef struct mr_process_table {
    mr_process_info *items; /* ascending by pid */
    size_t count;
    size_t capacity;
} mr_process_table;

mr_err mr_process_table_read(mr_process_table *table, mr_error *ret_error);
/* The same; each process is shown the moment it was read, when the table holds those with smaller pids. */
typedef void (*mr_process_seen)(void *arg, const mr_process_table *table, mr_process_info *process);
mr_err mr_process_table_look(mr_process_table *table, mr_process_seen seen, void *arg, mr_error *ret_error);
void mr_process_table_fini(mr_process_table *table);

const mr_process_info *mr_process_table_find(const mr_process_table *table, int pid); /* NULL: none */

/* The first of `process` and its ancestors whose parent is `parent`; NULL when it does not descend from it.
 */
const mr_process_info *mr_process_table_branch(const mr_process_table *table, const mr_process_info *process,
                                               int parent);

#endif
