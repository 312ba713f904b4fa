/* replay.h - the rows of TOPIC.rejected as a source: what a run of kind "rejected" reads in place of files.
 *
 * The first commit pins where it ends: what was rejected when it began. Its place is its source position, so
 * it is exactly once as any other source; beside that it is registered on TOPIC.rejected from its first
 * commit to its last one, so that retention waits for it. With its END it is committed what was replayed,
 * which the next replay passes over. Thread: the task's.
 */
#ifndef MR_TASK_REPLAY_H
#define MR_TASK_REPLAY_H

#include "connectors/source.h"
#include "task/assignment.h"
#include "task/dead_letter.h"

typedef struct replay replay;

/* `position` as the last batch gave it, data NULL: at the start. `replayed` is the value of the position
 * whose key replay_key() gives, data NULL: there is none. Borrows work and bus. */
mr_err replay_open(const assignment *work, mr_bus *bus, mr_slice position, mr_slice replayed,
                   replay **ret_replay, mr_error *ret_error);
void replay_close(replay **replay); /* NULL-safe */

/* As poll of connectors/source.h. */
mr_err replay_poll(replay *replay, mr_source_batch *batch, mr_error *ret_error);
/* What the record of the last batch was before: of one that is rejected again, all but the run and the
 * reason. */
const dead_letter *replay_letter(const replay *replay, const mr_source_record *record);

/* To be committed with the position of the last batch; `ended`: with the END. */
mr_err replay_keep(replay *replay, mr_bus_writer *writer, bool ended, mr_error *ret_error);
/* Takes back the registration of a replay that ends otherwise. */
mr_err replay_release(const assignment *work, mr_bus_writer *writer, mr_error *ret_error);

/* Under which key the source keeps what was replayed. */
mr_err replay_key(const char *dataset, mr_buf *out, mr_error *ret_error);

#endif
