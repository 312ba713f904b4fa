/* folder_bound.h - watches that a folder does not grow beyond what it may hold.
 *
 * A thread of its own adds up what lies below, again and again, but takes no more than a small share of the
 * time: what is written between two looks is not held back by it.
 */
#ifndef MR_TASK_FOLDER_BOUND_H
#define MR_TASK_FOLDER_BOUND_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct folder_bound folder_bound;

/* `folder_fd` is borrowed until close. */
mr_err folder_bound_open(int folder_fd, int64_t max_bytes, folder_bound **ret_bound, mr_error *ret_error);
bool folder_bound_passed(const folder_bound *bound); /* false for NULL */
void folder_bound_close(folder_bound **bound);       /* NULL-safe */

#endif
