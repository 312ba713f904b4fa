/* quantity.h - amounts as Kubernetes writes them: "64Mi", "1.5G", "250m".
 *
 * Source of the format: Kubernetes API, resource.Quantity (decimal number; suffix m, k M G T P E, Ki Mi Gi Ti
 * Pi Ei).
 */
#ifndef MR_COORDINATOR_QUANTITY_H
#define MR_COORDINATOR_QUANTITY_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* "64Mi" -> 67108864. MR_EINVALID says what a memory quantity looks like. */
mr_err mr_quantity_memory(const char *text, uint64_t *ret_bytes, mr_error *ret_error);

/* "250m" -> 250, "1.5" -> 1500. A memory unit ("1Gi") is dropped: *ret_odd, and its number counts as cores.
 */
mr_err mr_quantity_cpu(const char *text, uint32_t *ret_millis, bool *ret_odd, mr_error *ret_error);

#endif
