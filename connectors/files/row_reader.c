#include "connectors/files/row_reader.h"

file_row file_row_of(const mr_csv_row *row)
{
    return (file_row){.raw = row->raw,
                      .line = row->line,
                      .next_line = row->next_line,
                      .byte_first = row->byte_first,
                      .byte_end = row->byte_end};
}

mr_err file_row_reject(const mr_csv_row *row, const char *reason, mr_arena *arena, file_row *ret_row,
                       mr_error *ret_error)
{
    *ret_row = file_row_of(row);
    ret_row->reason = mr_arena_copy(arena, mr_slice_of(reason)).data;
    return ret_row->reason != NULL ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "no memory for a rejected row");
}
