/* json.h - reading JSON that others wrote: bounded, strict, with errors that say where. Writing is plain
 * jansson.
 *
 * `path` in the getters is where the object stands in its document, for messages: "" at the top, else
 * "resources.limits"; a refused value is named by the whole of it: `"resources.limits.cpu": a string is
 * expected`. The caller puts the name of the document before it (mr_wrap). All refusals are MR_EINVALID.
 */
#ifndef MR_CORE_JSON_H
#define MR_CORE_JSON_H

#include "core/slice.h"

#include <jansson.h>

enum { MR_JSON_MAX_BYTES = 4 * 1024 * 1024, MR_JSON_MAX_DEPTH = 64 };

/* Parses one JSON text; `source` names it in errors, which give line and column. Refused are: more than
 * max_bytes (0: MR_JSON_MAX_BYTES; MR_ETOOLARGE), more than MR_JSON_MAX_DEPTH levels, a name twice in an
 * object, invalid UTF-8, NUL in strings and names, integers beyond 64 bits, anything behind the text. The
 * caller owns *ret_json (json_decref). */
mr_err mr_json_load(mr_slice text, const char *source, size_t max_bytes, json_t **ret_json,
                    mr_error *ret_error);

/* A field of `object` that must be there. Text is borrowed from the object. Integers are within
 * minimum..maximum. */
mr_err mr_json_get_text(const json_t *object, const char *field, const char *path, const char **ret_text,
                        mr_error *ret_error);
mr_err mr_json_get_integer(const json_t *object, const char *field, const char *path, int64_t minimum,
                           int64_t maximum, int64_t *ret_integer, mr_error *ret_error);
mr_err mr_json_get_boolean(const json_t *object, const char *field, const char *path, bool *ret_boolean,
                           mr_error *ret_error);
/* Borrowed. */
mr_err mr_json_get_object(const json_t *object, const char *field, const char *path, json_t **ret_object,
                          mr_error *ret_error);
mr_err mr_json_get_array(const json_t *object, const char *field, const char *path, json_t **ret_array,
                         mr_error *ret_error);

/* Whether the field is there and not null: for those that may be left out. */
bool mr_json_has(const json_t *object, const char *field);

#endif
