/* rest_shape.h - refuses requests that two readers could take differently: smuggling is made of them. */
#ifndef MR_COORDINATOR_REST_SHAPE_H
#define MR_COORDINATOR_REST_SHAPE_H

#include "core/error.h"

#include <microhttpd.h>

/* MR_EINVALID says what is ambiguous: such a connection is not used any further. `version` is the request's,
 * "HTTP/1.1". */
mr_err mr_rest_shape(struct MHD_Connection *connection, const char *version, mr_error *ret_error);

#endif
