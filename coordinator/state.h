/* state.h - the one apply path (R6). Everything that is decided or acknowledged is a command, executed in one
 * SQLite transaction (WAL, synchronous=FULL) together with its idempotency key; nothing else writes to
 * coordinator.db.
 *
 * Every command that was asked for (it has an answer) and changed something leaves an entry in the audit
 * trail, in its own transaction. To name its subject and what was before and after, `execute` calls
 * mr_audit() (audit.h); else the entry holds the answer. A command without an answer, a decision of the
 * coordinator's own, leaves one when it calls mr_audit().
 *
 * Thread: the loop thread only.
 */
#ifndef MR_COORDINATOR_STATE_H
#define MR_COORDINATOR_STATE_H

#include "coordinator/db.h"

#include <jansson.h>

typedef struct mr_state mr_state;

typedef struct mr_command {
    const char *name;   /* "run_now": what it is; a key is unique within a name */
    const char *key;    /* idempotency key, NULL: none; at most 200 bytes */
    const char *tenant; /* whom it is about, NULL: nobody; for the audit trail, as the next two */
    const char *who;    /* as the client says; "coordinator": nobody asked for it */
    const char *from;   /* address of the client */
    int64_t now_ms;
    /* Reads and writes in the transaction. An error rolls all back. *ret_answer (may be left NULL) is stored
     * with the key and answered again when the key comes again. */
    mr_err (*execute)(mr_db *db, void *arg, json_t **ret_answer, mr_error *ret_error);
    void *arg;
} mr_command;

/* Opens DIR/coordinator.db, creates or migrates the schema. MR_EREFUSED when another coordinator has it open.
 */
mr_err mr_state_open(const char *dir, mr_state **ret_state, mr_error *ret_error);
void mr_state_close(mr_state **state); /* NULL-safe */

/* *ret_answer may be NULL when no answer is wanted. *ret_repeated (may be NULL): the key was known, nothing
 * was done. */
mr_err mr_state_apply(mr_state *state, const mr_command *command, json_t **ret_answer, bool *ret_repeated,
                      mr_error *ret_error);

/* For reading, outside of commands. */
mr_db *mr_state_db(mr_state *state);

/* The answer of a known key, without doing anything; NULL when unknown. Owned by the caller. */
mr_err mr_state_answer(mr_state *state, const char *name, const char *key, json_t **ret_answer,
                       mr_error *ret_error);

#endif
