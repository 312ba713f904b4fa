/* audit.h - the audit trail: who changed what, from what, to what. An entry is written in the transaction of
 * the change it tells of, by the one apply path (state.h), so none is missing and none tells of what never
 * was.
 *
 * Entries outlive their tenant; retention removes them by age. Thread: the loop thread only.
 */
#ifndef MR_COORDINATOR_AUDIT_H
#define MR_COORDINATOR_AUDIT_H

#include "coordinator/state.h"

/* NULL stands for what is not known or does not exist. */
typedef struct mr_audit_entry {
    const char *tenant;  /* NULL: the command's */
    const char *subject; /* what was changed: a file, a run_id */
    json_t *before;      /* taken */
    json_t *after;       /* taken; both are cut to what a person reads */
} mr_audit_entry;

/* Within a command: adds an entry. Its time, its `what` (the command's name) and who did it are the
 * command's. */
void mr_audit(mr_db *db, const mr_audit_entry *entry);

/* For state.c. Begin: what was there before the command. End: entries of the command are completed; one that
 * was asked for (has an answer), changed rows and told nothing gets an entry with its answer. */
typedef struct mr_audit_mark {
    int64_t last_id, changes;
} mr_audit_mark;
mr_audit_mark mr_audit_begin(mr_db *db);
void mr_audit_end(mr_db *db, mr_audit_mark mark, const mr_command *command, const json_t *answer);

/* What differs between two objects, member by member, as two objects of their shape. Either may be NULL, and
 * so is what comes of it. Long values are told by their size. Borrows them. */
void mr_audit_difference(const json_t *before, const json_t *after, json_t **ret_before, json_t **ret_after);

/* Removes entries older than `days`, at most some thousands; returns how many. */
int64_t mr_audit_expire(mr_db *db, int64_t now_ms, int64_t days);

#endif
