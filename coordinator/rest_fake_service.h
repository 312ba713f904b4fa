/* rest_fake_service.h - a service for rest_test: one tenant, client_a, answers by the book, nothing durable.
 */
#ifndef MR_COORDINATOR_REST_FAKE_SERVICE_H
#define MR_COORDINATOR_REST_FAKE_SERVICE_H

#include "coordinator/service.h"

/* What reached the service. Read it while the server does nothing. */
typedef struct fake_calls {
    int begun, finished, applied, checked;
    char last_key[201];
    char last_file[256];
    char last_sha256[65];
    int64_t last_size;
    bool last_has_program;
    int last_log_fd;
    char who[130], from[48]; /* of the last client */
} fake_calls;

extern fake_calls fake;

mr_service *fake_service_open(const char *staging_dir);

#endif
