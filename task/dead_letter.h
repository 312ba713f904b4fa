/* dead_letter.h - a row or record that cannot pass, with the reason, on its way to {topic}.rejected.
 *
 * Headers: docs/architecture.md, section 3; names from KIP-298 where Kafka Connect has one.
 */
#ifndef MR_TASK_DEAD_LETTER_H
#define MR_TASK_DEAD_LETTER_H

#include "bus/bus.h"

#define RUN_HEADER "millrace.run"

typedef struct dead_letter {
    const char *connector;
    int32_t task;
    const char *stage; /* "convert", "decode", "write" */
    const char *reason;
    int64_t run_seq; /* 0: not known */
    const char *run_uid;
    const char *file; /* of a source; NULL: none */
    int64_t line, byte_first, byte_end;
    int64_t length;                   /* of a row that is cut in `value`; else 0 */
    const char *sha256;               /* of all of it */
    mr_slice csv_dialect, csv_header; /* how `value` is to be read (connectors/source.h); data NULL: no CSV */
    const char *topic;                /* of a sink's record; NULL: of a source */
    int32_t partition;
    int64_t offset;
    mr_slice key, value;
} dead_letter;

mr_err dead_letter_send(mr_bus_writer *writer, const char *rejected_topic, const dead_letter *letter,
                        mr_error *ret_error);

/* What send wrote, read back: texts are copied into the arena, slices are the record's. What is missing is
 * NULL or 0, run_uid "". MR_ENOMEM only. */
mr_err dead_letter_read(const mr_record *record, mr_arena *arena, dead_letter *ret_letter,
                        mr_error *ret_error);

/* "{run_seq}:{run_uid}" and back. */
enum { RUN_TEXT_BYTES = 256 };
mr_slice run_text(int64_t run_seq, const char *run_uid, char out[static RUN_TEXT_BYTES]);
/* False when it is not such a text with a valid name; `run_uid` has room for RUN_TEXT_BYTES. */
bool run_text_parse(mr_slice text, int64_t *ret_run_seq, char *run_uid);

#endif
