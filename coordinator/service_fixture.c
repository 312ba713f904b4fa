#include "coordinator/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { START_S = 1772366430 }; /* 2026-03-01T12:00:30Z */

static const char dataset[] =
    "{\"name\": \"%s\", \"file_type\": \"csv\", \"key_space\": \"space_%s\", \"schema\": {\"type\": "
    "\"record\", \"name\":"
    " \"numbered_%s\", \"fields\": [{\"name\": \"id\", \"type\": \"int\"}]}, \"primary_key\": [\"id\"]}";

static void open_service(service_fixture *fixture)
{
    mr_error error = {0};
    if (mr_service_open(&fixture->config, fixture->now_ms, &fixture->service, &error) != MR_OK)
        fail_msg("%s", error.text);
}

void fixture_open(service_fixture *fixture)
{
    *fixture = (service_fixture){.dir = "/tmp/mr-service-XXXXXX", .now_ms = (int64_t)START_S * 1000};
    assert_non_null(mkdtemp(fixture->dir));
    snprintf(fixture->data, sizeof fixture->data, "%s", fixture->dir);
    snprintf(fixture->staging, sizeof fixture->staging, "%s/staging", fixture->dir);
    snprintf(fixture->bus, sizeof fixture->bus, "%s/bus", fixture->dir);
    snprintf(fixture->store, sizeof fixture->store, "%s/store", fixture->dir);
    snprintf(fixture->incarnation, sizeof fixture->incarnation, "first-life");
    fixture->config = (mr_service_config){
        .data_dir = fixture->data,
        .staging_dir = fixture->staging,
        .bus = "embedded",
        .bus_dir = fixture->bus,
        .store = "sqlite",
        .store_dir = fixture->store,
        .worker_grace_ms = 3000,
        .source_memory_bytes = 1 << 20,
        .sink_memory_bytes = 1 << 20,
        .source_cpu_millis = 100,
        .sink_cpu_millis = 100,
        .undelivered_max_bytes = 1 << 30,
        .audit_retention_days = 365,
    };
    open_service(fixture);
}

void fixture_close(service_fixture *fixture)
{
    char command[128];
    mr_reply_close(&fixture->desired);
    mr_service_close(&fixture->service);
    snprintf(command, sizeof command, "rm -rf %s", fixture->dir);
    assert_int_equal(system(command), 0);
}

void fixture_restart(service_fixture *fixture)
{
    mr_service_close(&fixture->service);
    open_service(fixture);
    fixture_pass(fixture, 0);
}

void fixture_pass(service_fixture *fixture, int64_t ms)
{
    fixture->now_ms += ms;
    mr_service_set_now(fixture->service, fixture->now_ms);
    do
        mr_service_reconcile(fixture->service);
    while (mr_service_pending(fixture->service));
}

void fixture_apply(service_fixture *fixture, const char *tenant, const char *schedule, const char *more)
{
    fixture_apply_dataset(fixture, tenant, schedule, more, "rows");
}

void fixture_apply_dataset(service_fixture *fixture, const char *tenant, const char *schedule,
                           const char *more, const char *name)
{
    char text[1024], rows[1024];
    mr_error error = {0};
    json_t *answer = NULL;
    mr_tenant_spec spec = {.dataset_count = 1, .datasets = calloc(1, sizeof *spec.datasets)};
    mr_agreement_rules rules = {.document = "agreement.json", .default_store = "sqlite"};
    mr_dataset_rules dataset_rules = {.document = "dataset.json"};
    snprintf(
        text, sizeof text,
        "{\"client\": \"%s\", \"schedule\": \"%s\", \"data_retention_period_days\": 2, %s \"resources\": "
        "{\"requests\":"
        " {\"memory\": \"16Mi\", \"cpu\": \"100m\"}, \"limits\": {\"memory\": \"16Mi\", \"cpu\": \"100m\"}}}",
        tenant, schedule, more);
    snprintf(rows, sizeof rows, dataset, name, tenant, name);
    if (mr_agreement_parse(mr_slice_of(text), &rules, NULL, &spec.agreement, &error) != MR_OK ||
        mr_dataset_parse(mr_slice_of(rows), &dataset_rules, NULL, &spec.datasets[0], &error) != MR_OK ||
        mr_service_apply_tenant(fixture->service, NULL, &spec, NULL, &answer, &error) != MR_OK)
        fail_msg("%s", error.text);
    json_decref(answer);
    mr_tenant_spec_fini(&spec);
    fixture_pass(fixture, 0);
}

int64_t fixture_upload(service_fixture *fixture, const char *tenant, const char *name, const char *key)
{
    mr_upload_begin begin = {.tenant = tenant, .file_name = name};
    mr_upload upload;
    mr_error error = {0};
    json_t *answer = NULL;
    char path[256];
    if (mr_service_begin_upload(fixture->service, key, &begin, &upload, &answer, &error) != MR_OK)
        fail_msg("%s", error.text);
    if (answer == NULL) {
        snprintf(path, sizeof path, "%s/incoming/%s", fixture->staging, upload.incoming);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs("id\n1\n2\n", file);
        fclose(file);
        char sha256[65];
        memset(sha256, '0', 64);
        sha256[64] = '\0';
        if (mr_service_finish_upload(fixture->service, key, &upload, 7, sha256, &answer, &error) != MR_OK)
            fail_msg("%s", error.text);
    }
    int64_t id = json_integer_value(json_object_get(answer, "upload_id"));
    json_decref(answer);
    return id;
}

/* --- the worker --- */

size_t fixture_report(service_fixture *fixture, Mr__Proto__TaskStatus *const *statuses, size_t count)
{
    Mr__Proto__Report report = MR__PROTO__REPORT__INIT;
    mr_ack ack;
    mr_error error = {0};
    bool new_one;
    report.worker = "w1";
    report.incarnation = fixture->incarnation;
    report.sequence = ++fixture->sequence;
    report.host = "elsewhere";
    report.cpu_millis = 4000;
    report.memory_bytes = 1u << 30;
    report.staging_id = (char *)mr_service_staging_id(fixture->service);
    report.tasks = (Mr__Proto__TaskStatus **)statuses;
    report.n_tasks = count;
    mr_service_set_now(fixture->service, fixture->now_ms);
    if (mr_service_report(fixture->service, &report, &ack, &new_one, &error) != MR_OK)
        fail_msg("%s", error.text);
    size_t acknowledged = ack.ack.n_ids;
    mr_ack_fini(&ack);
    fixture_pass(fixture, 0);
    mr_buf packed = {0};
    if (mr_service_desired(fixture->service, fixture->incarnation, &packed, &error) != MR_OK)
        fail_msg("%s", error.text);
    mr_reply_close(&fixture->desired);
    if (mr_reply_unpack(mr_buf_slice(&packed), &fixture->desired, &error) != MR_OK)
        fail_msg("%s", error.text);
    mr_buf_fini(&packed);
    return acknowledged;
}

const Mr__Proto__Assignment *fixture_assignment(const service_fixture *fixture, const char *connector)
{
    const Mr__Proto__Assignments *all = fixture->desired->assignments;
    for (size_t i = 0; i < all->n_assignments; i++) {
        if (strcmp(all->assignments[i]->id->connector, connector) == 0)
            return all->assignments[i];
    }
    return NULL;
}

static void start_status(fixture_status *out, const Mr__Proto__Assignment *assignment)
{
    assert_non_null(assignment);
    const char *run_uid = mr_assignment_property(assignment, "run.uid");
    mr__proto__task_status__init(&out->status);
    mr__proto__source_progress__init(&out->source);
    mr__proto__program_progress__init(&out->program);
    mr__proto__sink_progress__init(&out->sink);
    mr__proto__sink_partition__init(&out->partition);
    mr__proto__sink_run__init(&out->run);
    mr__proto__range__init(&out->range);
    mr__proto__task_error__init(&out->error);
    snprintf(out->run_uid, sizeof out->run_uid, "%s", run_uid != NULL ? run_uid : "");
    out->status.id = assignment->id;
    out->status.epoch = assignment->epoch;
    out->status.kind = assignment->kind;
    out->partitions[0] = &out->partition;
    out->runs[0] = &out->run;
    out->ranges[0] = &out->range;
}

void fixture_sealed(fixture_status *out, const Mr__Proto__Assignment *assignment)
{
    start_status(out, assignment);
    out->status.state = MR__PROTO__TASK_STATE__ENDED;
    out->status.program = &out->program;
    out->program.run_uid = out->run_uid;
    out->program.sealed = 1;
    out->program.manifest_sha256 = "aa";
}

void fixture_source_ended(fixture_status *out, const Mr__Proto__Assignment *assignment, int64_t first,
                          uint64_t produced, uint64_t rejected)
{
    start_status(out, assignment);
    out->status.state = MR__PROTO__TASK_STATE__ENDED;
    out->status.source = &out->source;
    out->source.run_uid = out->run_uid;
    out->source.ended = 1;
    out->source.read = produced + rejected;
    out->source.produced = produced;
    out->source.rejected = rejected;
    out->source.ranges = out->ranges;
    out->source.n_ranges = 1;
    out->range.first = first;
    out->range.end = first + (int64_t)produced;
}

void fixture_ended(fixture_status *out, const Mr__Proto__Assignment *assignment)
{
    start_status(out, assignment);
    out->status.state = MR__PROTO__TASK_STATE__ENDED;
}

void fixture_delivered(fixture_status *out, const Mr__Proto__Assignment *assignment, const char *run_uid,
                       int64_t seq, int64_t offset, uint64_t delivered)
{
    start_status(out, assignment);
    out->status.state = MR__PROTO__TASK_STATE__RUNNING;
    out->status.sink = &out->sink;
    out->sink.partitions = out->partitions;
    out->sink.n_partitions = 1;
    out->partition.offset = out->partition.end = offset;
    out->partition.runs = out->runs;
    out->partition.n_runs = 1;
    snprintf(out->run_uid, sizeof out->run_uid, "%s", run_uid);
    out->run.run_uid = out->run_uid;
    out->run.run_seq = seq;
    out->run.delivered = delivered;
}

void fixture_failed(fixture_status *out, const Mr__Proto__Assignment *assignment, const char *class_,
                    const char *text)
{
    start_status(out, assignment);
    out->status.state = MR__PROTO__TASK_STATE__FAILED;
    out->status.error = &out->error;
    out->error.code = "MR_EIO";
    out->error.class_ = (char *)class_;
    out->error.text = (char *)text;
}

bool fixture_say(service_fixture *fixture, fixture_status *status)
{
    Mr__Proto__TaskStatus *list[] = {&status->status};
    Mr__Proto__TaskStatus *copy;
    /* Its strings and id are the last reply's, which the report replaces. */
    assert_int_equal(mr_status_copy(list[0], &copy), MR_OK);
    size_t acknowledged = fixture_report(fixture, &copy, 1);
    mr_status_close(&copy);
    return acknowledged == 1;
}

/* --- looking --- */

static json_t *runs_of(service_fixture *fixture, const char *tenant)
{
    json_t *runs = NULL;
    mr_error error = {0};
    if (mr_service_list_runs(fixture->service, tenant, 100, &runs, &error) != MR_OK)
        fail_msg("%s", error.text);
    return runs;
}

const char *fixture_run_state(service_fixture *fixture, const char *tenant)
{
    static char state[40];
    json_t *runs = runs_of(fixture, tenant);
    const char *text = json_string_value(json_object_get(json_array_get(runs, 0), "state"));
    snprintf(state, sizeof state, "%s", text != NULL ? text : "");
    json_decref(runs);
    return state;
}

size_t fixture_run_count(service_fixture *fixture, const char *tenant, const char *state)
{
    json_t *runs = runs_of(fixture, tenant), *run;
    size_t i, count = 0;
    json_array_foreach(runs, i, run) count +=
        strcmp(json_string_value(json_object_get(run, "state")), state) == 0;
    json_decref(runs);
    return count;
}

bool fixture_exists(const service_fixture *fixture, const char *staging_path)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->staging, staging_path);
    return access(path, F_OK) == 0;
}
