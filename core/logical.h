/* logical.h - values of logical types to and from text, and whether they are any. Private to core/. */
#ifndef MR_CORE_LOGICAL_H
#define MR_CORE_LOGICAL_H

#include "core/arena.h"
#include "core/text_value.h"

/* As mr_value_from_text, of a field that has a logical type, with the misfit alone: MR_OK, MR_EINVALID,
 * MR_ENOMEM. */
mr_err logical_from_text(const mr_field *field, mr_slice text, mr_arena *arena, mr_value *ret_value,
                         char ret_misfit[MR_MISFIT_BYTES]);

enum { LOGICAL_TEXT_BYTES = 96 };

/* Of a value other than null, which logical_problem has passed. */
void logical_to_text(const mr_field *field, const mr_value *value, char out[LOGICAL_TEXT_BYTES]);

/* NULL, or why a value of the field's type is none of its logical type. */
const char *logical_problem(const mr_field *field, const mr_value *value);

#endif
