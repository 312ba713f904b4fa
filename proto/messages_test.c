#include "proto/ids.h"
#include "proto/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static Mr__Proto__TaskId valid_id(void)
{
    Mr__Proto__TaskId id = MR__PROTO__TASK_ID__INIT;
    id.tenant = "client_a";
    id.connector = "speeds-source";
    return id;
}

/* A request with one task; every part may be spoilt before it is sent. */
typedef struct sample {
    Mr__Proto__Request request;
    Mr__Proto__Report report;
    Mr__Proto__TaskStatus status;
    Mr__Proto__TaskStatus *tasks[1];
    Mr__Proto__TaskId id;
    Mr__Proto__SourceProgress source;
    Mr__Proto__ProgramProgress program;
    Mr__Proto__TaskError failure;
    Mr__Proto__Range range;
    Mr__Proto__Range *ranges[1];
} sample;

static void make_sample(sample *s)
{
    s->id = valid_id();
    s->range = (Mr__Proto__Range)MR__PROTO__RANGE__INIT;
    s->range.first = 3;
    s->range.end = 9;
    s->ranges[0] = &s->range;
    s->source = (Mr__Proto__SourceProgress)MR__PROTO__SOURCE_PROGRESS__INIT;
    s->source.run_uid = "6f00aa";
    s->source.n_ranges = 1;
    s->source.ranges = s->ranges;
    s->program = (Mr__Proto__ProgramProgress)MR__PROTO__PROGRAM_PROGRESS__INIT;
    s->program.run_uid = "6f00aa";
    s->failure = (Mr__Proto__TaskError)MR__PROTO__TASK_ERROR__INIT;
    s->status = (Mr__Proto__TaskStatus)MR__PROTO__TASK_STATUS__INIT;
    s->status.id = &s->id;
    s->status.epoch = 4;
    s->status.kind = MR__PROTO__TASK_KIND__SOURCE;
    s->status.state = MR__PROTO__TASK_STATE__RUNNING;
    s->status.step = "convert";
    s->status.source = &s->source;
    s->tasks[0] = &s->status;
    s->report = (Mr__Proto__Report)MR__PROTO__REPORT__INIT;
    s->report.worker = "w1";
    s->report.incarnation = "ab12";
    s->report.host = "boot";
    s->report.n_tasks = 1;
    s->report.tasks = s->tasks;
    s->request = (Mr__Proto__Request)MR__PROTO__REQUEST__INIT;
    s->request.protocol = MR_PROTOCOL;
    s->request.report = &s->report;
}

/* What the other side makes of the sample; error->text says why. */
static mr_err send_sample(const sample *s, Mr__Proto__Request **ret_request, mr_error *error)
{
    mr_buf packed = {0};
    assert_int_equal(mr_request_pack(&s->request, &packed, error), MR_OK);
    mr_err err = mr_request_unpack(mr_buf_slice(&packed), ret_request, error);
    mr_buf_fini(&packed);
    return err;
}

static void expect_refused(const sample *s, mr_err wanted, const char *words)
{
    Mr__Proto__Request *request = NULL;
    mr_error error;
    assert_int_equal(send_sample(s, &request, &error), wanted);
    assert_null(request);
    if (strstr(error.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, words);
}

static void request_arrives_as_it_was_sent(void **state)
{
    (void)state;
    sample s;
    Mr__Proto__Request *request;
    mr_error error;
    make_sample(&s);
    assert_int_equal(send_sample(&s, &request, &error), MR_OK);
    assert_string_equal(request->report->worker, "w1");
    assert_string_equal(request->report->tasks[0]->id->tenant, "client_a");
    assert_int_equal(request->report->tasks[0]->source->ranges[0]->end, 9);
    mr_request_close(&request);
    assert_null(request);
}

static void another_protocol_is_refused_with_both_versions(void **state)
{
    (void)state;
    sample s;
    make_sample(&s);
    s.request.protocol = 77;
    expect_refused(&s, MR_EPROTOCOL, "protocol 77, this is protocol 1");
}

static void request_without_content_is_refused(void **state)
{
    (void)state;
    sample s;
    make_sample(&s);
    s.request.report = NULL;
    expect_refused(&s, MR_EPROTOCOL, "neither");
}

static void ids_outside_their_characters_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "Client", "../x", "a b", "-a", "_a", "a/b", "a\xc3\xa9", "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sample s;
        make_sample(&s);
        s.id.tenant = (char *)bad[i];
        expect_refused(&s, MR_EPROTOCOL, "not a valid id");
    }
}

static void tenant_id_has_at_most_63_characters(void **state)
{
    (void)state;
    char id[65];
    memset(id, 'a', 64);
    id[64] = '\0';
    assert_false(mr_tenant_id_valid(id));
    id[63] = '\0';
    assert_true(mr_tenant_id_valid(id));
}

static void enum_values_nobody_knows_are_refused(void **state)
{
    (void)state;
    sample s;
    make_sample(&s);
    s.status.kind = (Mr__Proto__TaskKind)99;
    expect_refused(&s, MR_EPROTOCOL, "unknown kind");
    make_sample(&s);
    s.status.kind = MR__PROTO__TASK_KIND__KIND_UNSPECIFIED;
    expect_refused(&s, MR_EPROTOCOL, "unknown kind");
    make_sample(&s);
    s.status.state = (Mr__Proto__TaskState)-5;
    expect_refused(&s, MR_EPROTOCOL, "unknown state");
}

static void epochs_begin_at_one(void **state)
{
    (void)state;
    sample s;
    make_sample(&s);
    s.status.epoch = 0;
    expect_refused(&s, MR_EPROTOCOL, "epoch below 1");
}

static void range_that_runs_backwards_is_refused(void **state)
{
    (void)state;
    sample s;
    make_sample(&s);
    s.range.end = 2;
    expect_refused(&s, MR_EPROTOCOL, "not a valid range");
}

static void sealed_folder_cannot_leave_the_staging_folder(void **state)
{
    (void)state;
    static const char *const bad[] = {"/etc", "runs/../../etc", "..", "a/.."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sample s;
        make_sample(&s);
        s.status.program = &s.program;
        s.program.sealed_dir = (char *)bad[i];
        expect_refused(&s, MR_EPROTOCOL, "outside");
    }
}

static void odd_bytes_of_an_error_text_are_replaced(void **state)
{
    (void)state;
    sample s;
    Mr__Proto__Request *request;
    mr_error error;
    make_sample(&s);
    s.status.error = &s.failure;
    s.failure.text = "file \xff\x01: cut \xc3";
    assert_int_equal(send_sample(&s, &request, &error), MR_OK);
    assert_string_equal(request->report->tasks[0]->error->text, "file ??: cut ?");
    mr_request_close(&request);
}

static void string_that_holds_a_nul_is_refused(void **state)
{
    (void)state;
    sample s;
    mr_buf packed = {0};
    mr_error error;
    Mr__Proto__Request *request = NULL;
    make_sample(&s);
    assert_int_equal(mr_request_pack(&s.request, &packed, &error), MR_OK);
    char *name = memmem(packed.data, packed.size, "client_a", 8);
    name[6] = '\0';
    assert_int_equal(mr_request_unpack(mr_buf_slice(&packed), &request, &error), MR_EPROTOCOL);
    assert_non_null(strstr(error.text, "tenant holds a NUL"));
    mr_buf_fini(&packed);
}

static void field_that_stands_twice_is_refused(void **state)
{
    (void)state;
    Mr__Proto__Request *request = NULL;
    mr_error error;
    mr_slice twice = MR_SLICE_LITERAL("\x08\x01\x08\x01");
    assert_int_equal(mr_request_unpack(twice, &request, &error), MR_EPROTOCOL);
    assert_non_null(strstr(error.text, "protocol stands twice"));
}

static void message_beyond_the_bound_is_neither_packed_nor_unpacked(void **state)
{
    (void)state;
    sample s;
    mr_buf packed = {0};
    mr_error error;
    Mr__Proto__Request *request = NULL;
    char *text = calloc(1, MR_RPC_MAX_BYTES + 1);
    memset(text, 'x', MR_RPC_MAX_BYTES);
    make_sample(&s);
    s.status.step = text;
    assert_int_equal(mr_request_pack(&s.request, &packed, &error), MR_ETOOLARGE);
    mr_slice bytes = {text, MR_RPC_MAX_BYTES + 1};
    assert_int_equal(mr_request_unpack(bytes, &request, &error), MR_ETOOLARGE);
    free(text);
    mr_buf_fini(&packed);
}

/* 1 MiB of two-byte messages: each becomes a block of its own. */
static void small_bytes_cannot_become_much_memory(void **state)
{
    (void)state;
    mr_buf packed = {0};
    mr_error error;
    Mr__Proto__Reply *reply = NULL;
    size_t size = 1000 * 1000;
    unsigned char length[3] = {(unsigned char)(size & 0x7f) | 0x80, (unsigned char)(size >> 7 & 0x7f) | 0x80,
                               (unsigned char)(size >> 14)};
    mr_buf_append(&packed, "\x08\x01\x1a", 3); /* protocol 1, assignments */
    mr_buf_append(&packed, length, 3);
    for (size_t i = 0; i < size; i += 2)
        mr_buf_append(&packed, "\x12\x00", 2); /* an empty assignment */
    assert_int_equal(mr_reply_unpack(mr_buf_slice(&packed), &reply, &error), MR_ETOOLARGE);
    assert_non_null(strstr(error.text, "memory"));
    mr_buf_fini(&packed);
}

static void full_report_of_ten_thousand_tasks_passes(void **state)
{
    (void)state;
    sample s;
    mr_error error;
    Mr__Proto__Request *request;
    Mr__Proto__TaskStatus **tasks = calloc(MR_TASKS_MAX + 1, sizeof *tasks);
    make_sample(&s);
    for (size_t i = 0; i <= MR_TASKS_MAX; i++)
        tasks[i] = &s.status;
    s.report.tasks = tasks;
    s.report.n_tasks = MR_TASKS_MAX;
    assert_int_equal(send_sample(&s, &request, &error), MR_OK);
    mr_request_close(&request);
    s.report.n_tasks++;
    expect_refused(&s, MR_ETOOLARGE, "10001 tasks, at most 10000");
    free(tasks);
}

static void packet_with_nothing_in_it_is_refused(void **state)
{
    (void)state;
    Mr__Proto__WorkerToTask *to_task = NULL;
    Mr__Proto__TaskToWorker *from_task = NULL;
    mr_error error;
    assert_int_equal(mr_to_task_unpack((mr_slice){"", 0}, &to_task, &error), MR_EPROTOCOL);
    assert_int_equal(mr_from_task_unpack((mr_slice){"", 0}, &from_task, &error), MR_EPROTOCOL);
}

static void ack_needs_as_many_epochs_as_ids(void **state)
{
    (void)state;
    Mr__Proto__Reply reply = MR__PROTO__REPLY__INIT;
    Mr__Proto__Ack ack = MR__PROTO__ACK__INIT;
    Mr__Proto__TaskId id = valid_id();
    Mr__Proto__TaskId *ids[] = {&id};
    Mr__Proto__Reply *got = NULL;
    mr_buf packed = {0};
    mr_error error;
    ack.ids = ids;
    ack.n_ids = 1;
    reply.protocol = MR_PROTOCOL;
    reply.ack = &ack;
    assert_int_equal(mr_reply_pack(&reply, &packed, &error), MR_OK);
    assert_int_equal(mr_reply_unpack(mr_buf_slice(&packed), &got, &error), MR_EPROTOCOL);
    mr_buf_fini(&packed);
}

static void damaged_messages_never_do_harm(void **state)
{
    (void)state;
    sample s;
    mr_buf packed = {0};
    mr_error error;
    make_sample(&s);
    assert_int_equal(mr_request_pack(&s.request, &packed, &error), MR_OK);
    for (size_t i = 0; i < packed.size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            Mr__Proto__Request *request = NULL;
            packed.data[i] = (char)(packed.data[i] ^ (1 << bit));
            mr_request_unpack(mr_buf_slice(&packed), &request, &error);
            mr_request_close(&request);
            packed.data[i] = (char)(packed.data[i] ^ (1 << bit));
        }
        Mr__Proto__Request *cut = NULL;
        mr_request_unpack((mr_slice){packed.data, i}, &cut, &error);
        mr_request_close(&cut);
    }
    mr_buf_fini(&packed);
}

static void copy_of_an_assignment_is_independent(void **state)
{
    (void)state;
    Mr__Proto__Assignment assignment = MR__PROTO__ASSIGNMENT__INIT;
    Mr__Proto__TaskId id = valid_id();
    Mr__Proto__Property property = MR__PROTO__PROPERTY__INIT;
    Mr__Proto__Property *config[] = {&property};
    Mr__Proto__Assignment *copy;
    char value[] = "files";
    property.key = "connector.class";
    property.value = value;
    assignment.id = &id;
    assignment.epoch = 3;
    assignment.config = config;
    assignment.n_config = 1;
    assert_int_equal(mr_assignment_copy(&assignment, &copy), MR_OK);
    value[0] = 'X';
    assert_string_equal(mr_assignment_property(copy, "connector.class"), "files");
    assert_null(mr_assignment_property(copy, "topic"));
    assert_true(mr_task_id_equal(copy->id, &id));
    mr_assignment_close(&copy);
}

static void task_key_holds_the_three_parts(void **state)
{
    (void)state;
    Mr__Proto__TaskId id = valid_id();
    char key[MR_TASK_KEY_BYTES];
    id.task = 12;
    assert_string_equal(mr_task_key(&id, key), "client_a/speeds-source/12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_arrives_as_it_was_sent),
        cmocka_unit_test(another_protocol_is_refused_with_both_versions),
        cmocka_unit_test(request_without_content_is_refused),
        cmocka_unit_test(ids_outside_their_characters_are_refused),
        cmocka_unit_test(tenant_id_has_at_most_63_characters),
        cmocka_unit_test(enum_values_nobody_knows_are_refused),
        cmocka_unit_test(epochs_begin_at_one),
        cmocka_unit_test(range_that_runs_backwards_is_refused),
        cmocka_unit_test(sealed_folder_cannot_leave_the_staging_folder),
        cmocka_unit_test(odd_bytes_of_an_error_text_are_replaced),
        cmocka_unit_test(string_that_holds_a_nul_is_refused),
        cmocka_unit_test(field_that_stands_twice_is_refused),
        cmocka_unit_test(message_beyond_the_bound_is_neither_packed_nor_unpacked),
        cmocka_unit_test(small_bytes_cannot_become_much_memory),
        cmocka_unit_test(full_report_of_ten_thousand_tasks_passes),
        cmocka_unit_test(packet_with_nothing_in_it_is_refused),
        cmocka_unit_test(ack_needs_as_many_epochs_as_ids),
        cmocka_unit_test(damaged_messages_never_do_harm),
        cmocka_unit_test(copy_of_an_assignment_is_independent),
        cmocka_unit_test(task_key_holds_the_three_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
