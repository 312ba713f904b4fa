/* row_queue.h - rows that wait for the transaction, packed, and sorted by primary key in the order of
 * SQLite's B-tree: text and blobs by memcmp, numbers by value, column after column. Upserts in that order
 * touch each page of the key's index once a transaction.
 *
 * Each row has its key in a normalised form, whose order under memcmp is that order. Long strings stay where
 * the framework keeps them until the final verdict; all else is copied. Thread: one.
 */
#ifndef MR_CONNECTORS_SQLITE_ROW_QUEUE_H
#define MR_CONNECTORS_SQLITE_ROW_QUEUE_H

#include "core/schema.h"

typedef struct row_queue row_queue;

typedef struct queued_row {
    uint64_t seq;
    uint32_t key_size;
    uint32_t
        is_delete; /* its values are those of the key columns, in their order; else those of all fields */
    unsigned char key[];
} queued_row;

typedef struct queued_entry {
    uint64_t part; /* eight bytes of the key, for sorting */
    const queued_row *row;
} queued_entry;

/* Borrows schema and key_columns. */
mr_err row_queue_open(const mr_schema *schema, const int *key_columns, size_t key_column_count,
                      row_queue **ret_queue, mr_error *ret_error);
void row_queue_close(row_queue **queue);

/* `values` are those of the schema's fields, or of the key columns when is_delete. */
mr_err row_queue_add(row_queue *queue, uint64_t seq, const mr_value *values, bool is_delete,
                     mr_error *ret_error);
size_t row_queue_bytes(const row_queue *queue); /* memory in use for rows and for sorting them */

/* Sorts what was added; rows of equal keys stay in the order in which they came. Valid until add or reset. */
const queued_entry *row_queue_sort(row_queue *queue, size_t *ret_count);
bool row_queue_same_key(const queued_row *a, const queued_row *b);
/* The values as added; strings are valid as long as the row. */
void row_queue_values(const row_queue *queue, const queued_row *row, mr_value *ret_values);
void row_queue_reset(row_queue *queue);

#endif
