/* json_check.h - whether a text is one JSON value, by the letter (RFC 8259), without building anything of it.
 *
 * Memory is bounded by the names of one path of objects. Thread: one at a time.
 */
#ifndef MR_CORE_JSON_CHECK_H
#define MR_CORE_JSON_CHECK_H

#include "core/slice.h"

enum { JSON_CHECK_DEPTH_MAX = 64 };

typedef struct json_checker json_checker;

mr_err json_checker_open(json_checker **ret_checker, mr_error *ret_error);
void json_checker_close(json_checker **checker); /* NULL-safe */

/* MR_EINVALID, class MR_DATA, with the reason and its byte in the text, from 1: no JSON, invalid UTF-8, a
 * byte 0 (\u0000 is fine here: bytes may hold it), half a surrogate pair, a name twice in an object, more
 * than JSON_CHECK_DEPTH_MAX levels, something behind the value. White space around it is fine. */
mr_err json_check(json_checker *checker, mr_slice text, mr_error *ret_error);

#endif
