/* service_fixture.h - a service in a temporary folder with invented time and an invented worker, for unit
 * tests. */
#ifndef MR_COORDINATOR_SERVICE_FIXTURE_H
#define MR_COORDINATOR_SERVICE_FIXTURE_H

#include "coordinator/drive.h"

typedef struct service_fixture {
    char dir[64];
    char data[128], staging[128], bus[128], store[128];
    mr_service_config config;
    mr_service *service;
    int64_t now_ms;
    char incarnation[32];
    uint64_t sequence;
    Mr__Proto__Reply *desired; /* what the worker was told last */
} service_fixture;

/* 2026-03-01T12:00:30Z; no worker yet. */
void fixture_open(service_fixture *fixture);
void fixture_close(service_fixture *fixture); /* removes the folder */
/* As after kill -9: the service is closed and opened again over the same folder. */
void fixture_restart(service_fixture *fixture);

/* `more` is added to the agreement ("\"attempts\": 2,"); no program, one dataset "rows", one partition. */
void fixture_apply(service_fixture *fixture, const char *tenant, const char *schedule, const char *more);
/* The same with another name of the dataset. */
void fixture_apply_dataset(service_fixture *fixture, const char *tenant, const char *schedule,
                           const char *more, const char *name);
int64_t fixture_upload(service_fixture *fixture, const char *tenant, const char *name, const char *key);
/* Sets the time, by so much later (or earlier), and reconciles. */
void fixture_pass(service_fixture *fixture, int64_t ms);

/* The worker reports the statuses (may be none), takes what should run, and tells how many are acknowledged.
 */
size_t fixture_report(service_fixture *fixture, Mr__Proto__TaskStatus *const *statuses, size_t count);
/* The assignment of a connector that the worker was told last, or NULL. */
const Mr__Proto__Assignment *fixture_assignment(const service_fixture *fixture, const char *connector);

/* A status of that assignment; fill in the rest. */
typedef struct fixture_status {
    Mr__Proto__TaskStatus status;
    Mr__Proto__SourceProgress source;
    Mr__Proto__ProgramProgress program;
    Mr__Proto__SinkProgress sink;
    Mr__Proto__SinkPartition partition, *partitions[1];
    Mr__Proto__SinkRun run, *runs[1];
    Mr__Proto__Range range, *ranges[1];
    Mr__Proto__TaskError error;
    char run_uid[64];
} fixture_status;
/* Program step: sealed. */
void fixture_sealed(fixture_status *out, const Mr__Proto__Assignment *assignment);
/* Source: ended with `produced` rows in [first, first + produced) of partition 0, and `rejected` rejected
 * ones. */
void fixture_source_ended(fixture_status *out, const Mr__Proto__Assignment *assignment, int64_t first,
                          uint64_t produced, uint64_t rejected);
/* Whatever it was to do is done. */
void fixture_ended(fixture_status *out, const Mr__Proto__Assignment *assignment);
/* Sink: at `offset`, with `delivered` rows of that run. */
void fixture_delivered(fixture_status *out, const Mr__Proto__Assignment *assignment, const char *run_uid,
                       int64_t seq, int64_t offset, uint64_t delivered);
void fixture_failed(fixture_status *out, const Mr__Proto__Assignment *assignment, const char *class_,
                    const char *text);
/* Reports one status; whether it was acknowledged. */
bool fixture_say(service_fixture *fixture, fixture_status *status);

/* State of the newest run of the tenant, or "". Borrowed until the next call. */
const char *fixture_run_state(service_fixture *fixture, const char *tenant);
size_t fixture_run_count(service_fixture *fixture, const char *tenant, const char *state);
bool fixture_exists(const service_fixture *fixture, const char *staging_path);

#endif
