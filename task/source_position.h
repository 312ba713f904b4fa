/* source_position.h - how far a source is, with the counts and ranges that are committed with it.
 *
 * The JSON is that of docs/architecture.md, section 3. `position` is the connector's own; the rest is the
 * framework's.
 */
#ifndef MR_TASK_SOURCE_POSITION_H
#define MR_TASK_SOURCE_POSITION_H

#include "bus/bus.h"
#include "proto/messages.h"

typedef struct source_range {
    int32_t partition;
    int64_t first;
    int64_t end;
} source_range;

/* {0} is the start of a run. */
typedef struct source_position {
    mr_buf connector; /* JSON; size 0: from the start */
    uint64_t read, filtered, rejected, produced, rejected_files, bytes;
    source_range *ranges; /* one per partition that has rows of the run */
    size_t range_count;
    bool ended;
    bool over_rejected;
    char rejected_file_reason[500]; /* of the last file that could not be read at all; "" */
} source_position;

void source_position_fini(source_position *position);

/* Appends the position's key on the bus. */
mr_err source_position_key(const char *dataset, const char *run_uid, mr_buf *out, mr_error *ret_error);
/* Whether `key` is one of the dataset's; its run is appended to `run_uid`. */
bool source_position_key_parse(mr_slice key, const char *dataset, mr_buf *run_uid);

mr_err source_position_parse(mr_slice json, source_position *ret_position, mr_error *ret_error);
mr_err source_position_print(const source_position *position, mr_buf *out, mr_error *ret_error);

/* Whether the run has a row in the partition. */
bool source_position_has(const source_position *position, int32_t partition);
/* Takes in where the bus will put the rows of one commit. */
mr_err source_position_extend(source_position *position, int32_t partition, int64_t first, int64_t end,
                              mr_error *ret_error);

/* Shows the position in a status; `ranges` has room for range_count, and both are borrowed by *ret_progress.
 */
void source_position_progress(const source_position *position, const char *run_uid, Mr__Proto__Range *ranges,
                              Mr__Proto__Range **range_list, Mr__Proto__SourceProgress *ret_progress);

#endif
