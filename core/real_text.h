/* real_text.h - reals from decimal text, correctly rounded; private to core/. */
#ifndef MR_CORE_REAL_TEXT_H
#define MR_CORE_REAL_TEXT_H

#include "core/slice.h"

typedef enum real_verdict { REAL_FITS, REAL_OUT_OF_RANGE, REAL_IS_NONE } real_verdict;

/* The double (`single`: the float) nearest to `text`, ties to even. Independent of the locale. */
real_verdict real_from_text(mr_slice text, bool single, double *ret_real);

#endif
