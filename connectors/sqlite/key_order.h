/* key_order.h - keys as bytes whose order under memcmp is the order of SQLite's B-tree, and sorting by them.
 */
#ifndef MR_CONNECTORS_SQLITE_KEY_ORDER_H
#define MR_CONNECTORS_SQLITE_KEY_ORDER_H

#include "connectors/sqlite/row_queue.h"

/* One column of a key, never null. Integers: big endian, sign turned; reals: IEEE bits made to grow; text and
 * blobs: 0 as 0 255, ended by 0 0. No part is the beginning of another one of its column, so parts may stand
 * in a row. */
size_t key_part_size(const mr_value *value);
unsigned char *key_part_write(unsigned char *out, const mr_value *value); /* returns the end */

/* Stable. `spare` has room for as many. */
void key_order_sort(queued_entry *entries, queued_entry *spare, size_t count);

#endif
