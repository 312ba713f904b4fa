/* openapi.h - the description of the API, in OpenAPI 3.1. It is openapi.json; openapi_test.c holds it against
 * the table of routes. */
#ifndef MR_COORDINATOR_OPENAPI_H
#define MR_COORDINATOR_OPENAPI_H

#include "core/slice.h"

mr_slice mr_openapi(void); /* JSON text, for ever */

#endif
