/* conversation.h - what worker and coordinator tell each other all the time (R7): reports one way,
 * assignments the other.
 *
 * A report goes out each second and soon after a change; a watch is always parked. While the coordinator is
 * away, tasks run on.
 */
#ifndef MR_WORKER_CONVERSATION_H
#define MR_WORKER_CONVERSATION_H

#include "worker/children.h"
#include "worker/config.h"

typedef struct conversation conversation;

/* Borrows all. Begins at once. */
mr_err conversation_open(uv_loop_t *loop, const worker_config *config, task_children *children,
                         conversation **ret_conversation, mr_error *ret_error);
void conversation_close(conversation **c); /* memory is given back once the loop has run again */

/* What a report shows has changed. */
void conversation_changed(conversation *c, supervisor_change change);

/* From now on reports say that this worker leaves. `done` is called once, when no task is left and the
 * coordinator knows it or cannot be reached. */
void conversation_leave(conversation *c, void (*done)(void *arg), void *arg);

#endif
