/* task_process_test.c - millrace-task at the other end of a control socket, as a worker has it. */
#include "core/sha256.h"
#include "proto/messages.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, PROPERTIES = 40 };

typedef struct fixture {
    char dir[64];
    char sha256[MR_SHA256_HEX_SIZE];
    pid_t pid;
    int fd;
    Mr__Proto__TaskStatus *last;
} fixture;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void put(const fixture *f, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* Ten rows, of which the fourth does not fit. */
static int setup(void **state)
{
    fixture *f = test_calloc(1, sizeof *f);
    char manifest[600], rows[600] = "k,v\n", hash[MR_SHA256_HEX_SIZE];
    f->fd = -1;
    snprintf(f->dir, sizeof f->dir, "/tmp/millrace-task-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    for (int i = 1; i <= 10; i++)
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows), i == 4 ? "%d,x\n" : "%d,1\n", i);
    put(f, "rows.csv", rows);
    assert_int_equal(mr_sha256_hex(mr_slice_of(rows), hash, NULL), MR_OK);
    snprintf(
        manifest, sizeof manifest,
        "{\"run_uid\":\"uid-1\",\"files\":[{\"dataset\":\"rows\",\"name\":\"rows.csv\",\"path\":\"rows.csv\","
        "\"size\":%zu,\"sha256\":\"%s\"}]}",
        strlen(rows), hash);
    put(f, "manifest.json", manifest);
    assert_int_equal(mr_sha256_hex(mr_slice_of(manifest), f->sha256, NULL), MR_OK);
    *state = f;
    return 0;
}

static void end_task(fixture *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    if (f->pid > 0) {
        kill(f->pid, SIGKILL);
        waitpid(f->pid, NULL, 0);
    }
    f->pid = 0;
    mr_status_close(&f->last);
}

static int teardown(void **state)
{
    fixture *f = *state;
    char command[100];
    end_task(f);
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    test_free(f);
    return 0;
}

static void start(fixture *f)
{
    int pair[2];
    end_task(f);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        if (pair[1] == 3)
            (void)fcntl(3, F_SETFD, 0);
        else
            dup2(pair[1], 3);
        setenv("MILLRACE_CONTROL_FD", "3", 1);
        execl(MR_TASK_BINARY, "millrace-task", (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    f->fd = pair[0];
}

/* --- assignments --- */

typedef struct work_order {
    Mr__Proto__Assignment message;
    Mr__Proto__TaskId id;
    Mr__Proto__SinkScope scope;
    Mr__Proto__Property properties[PROPERTIES];
    Mr__Proto__Property *list[PROPERTIES];
    char texts[PROPERTIES][300];
} work_order;

__attribute__((format(printf, 3, 4))) static void set(work_order *order, const char *key, const char *format,
                                                      ...)
{
    va_list args;
    size_t at = 0;
    while (at < order->message.n_config && strcmp(order->properties[at].key, key) != 0)
        at++;
    assert_true(at < PROPERTIES);
    va_start(args, format);
    vsnprintf(order->texts[at], sizeof order->texts[at], format, args);
    va_end(args);
    mr__proto__property__init(&order->properties[at]);
    order->properties[at].key = (char *)key;
    order->properties[at].value = order->texts[at];
    order->list[at] = &order->properties[at];
    if (at == order->message.n_config)
        order->message.n_config++;
}

static void order_init(const fixture *f, work_order *order, Mr__Proto__TaskKind kind, int64_t epoch)
{
    memset(order, 0, sizeof *order);
    mr__proto__assignment__init(&order->message);
    mr__proto__task_id__init(&order->id);
    mr__proto__sink_scope__init(&order->scope);
    order->id.tenant = (char *)"tenant";
    order->id.connector = kind == MR__PROTO__TASK_KIND__SINK ? (char *)"sink" : (char *)"source";
    order->message.id = &order->id;
    order->message.kind = kind;
    order->message.epoch = epoch;
    order->message.revision = 1;
    order->message.config = order->list;
    set(order, "tenant.uid", "uid");
    set(order, "dataset", "rows");
    set(order, "bus.dir", "%s/bus", f->dir);
    set(order, "topic", "tenant.rows");
    if (kind == MR__PROTO__TASK_KIND__SINK) {
        set(order, "connector.class", "sqlite");
        set(order, "store.dir", "%s/store", f->dir);
        set(order, "key.space", "space");
        order->message.scope = &order->scope;
    } else if (kind != MR__PROTO__TASK_KIND__RELEASE) {
        set(order, "run.uid", "uid-1");
        set(order, "run.seq", "1");
    }
    if (kind == MR__PROTO__TASK_KIND__SOURCE) {
        set(order, "connector.class", "files");
        set(order, "files.root", "%s", f->dir);
        set(order, "files.manifest", "%s/manifest.json", f->dir);
        set(order, "files.manifest.sha256", "%s", f->sha256);
        set(order, "key.schema.id", "2");
    }
    if (kind == MR__PROTO__TASK_KIND__SOURCE || kind == MR__PROTO__TASK_KIND__SINK) {
        set(order, "schema",
            "{\"type\":\"record\",\"name\":\"rows\",\"fields\":[{\"name\":\"k\",\"type\":\"int\"},"
            "{\"name\":\"v\",\"type\":\"int\"}]}");
        set(order, "schema.id", "1");
        set(order, "primary.key", "[\"k\"]");
    }
}

static void send_packet(fixture *f, Mr__Proto__Assignment *assignment, bool stop)
{
    Mr__Proto__WorkerToTask packet = MR__PROTO__WORKER_TO_TASK__INIT;
    mr_buf bytes = {0};
    packet.assignment = assignment;
    packet.stop = stop;
    assert_int_equal(mr_to_task_pack(&packet, &bytes, NULL), MR_OK);
    assert_int_equal(send(f->fd, bytes.data, bytes.size, 0), bytes.size);
    mr_buf_fini(&bytes);
}

/* --- statuses --- */

/* The next status; false at the end of the socket. */
static bool next_status(fixture *f, int64_t until_ms)
{
    static char bytes[MR_PACKET_MAX_BYTES];
    struct pollfd ready = {.fd = f->fd, .events = POLLIN};
    assert_true(now_ms() < until_ms);
    assert_int_equal(poll(&ready, 1, (int)(until_ms - now_ms())), 1);
    ssize_t size = recv(f->fd, bytes, sizeof bytes, 0);
    if (size <= 0)
        return false;
    Mr__Proto__TaskToWorker *packet = NULL;
    assert_int_equal(mr_from_task_unpack((mr_slice){bytes, (size_t)size}, &packet, NULL), MR_OK);
    mr_status_close(&f->last);
    f->last = packet->status;
    packet->status = NULL;
    mr_from_task_close(&packet);
    return true;
}

static void wait_state(fixture *f, Mr__Proto__TaskState wanted)
{
    int64_t until = now_ms() + DEADLINE_MS;
    do
        assert_true(next_status(f, until));
    while (f->last->state != wanted);
}

static uint64_t delivered(const fixture *f)
{
    const Mr__Proto__SinkProgress *sink = f->last->sink;
    uint64_t sum = 0;
    for (size_t i = 0; sink != NULL && i < sink->n_partitions; i++)
        for (size_t run = 0; run < sink->partitions[i]->n_runs; run++)
            sum += sink->partitions[i]->runs[run]->delivered;
    return sum;
}

static void wait_delivered(fixture *f, uint64_t wanted)
{
    int64_t until = now_ms() + DEADLINE_MS;
    do
        assert_true(next_status(f, until));
    while (delivered(f) != wanted);
}

static void wait_offset(fixture *f, int64_t least)
{
    int64_t until = now_ms() + DEADLINE_MS;
    do
        assert_true(next_status(f, until));
    while (f->last->sink == NULL || f->last->sink->partitions[0]->offset < least);
}

static int exit_code(fixture *f)
{
    int state = 0;
    int64_t until = now_ms() + DEADLINE_MS;
    while (waitpid(f->pid, &state, WNOHANG) == 0) {
        assert_true(now_ms() < until);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    f->pid = 0;
    assert_true(WIFEXITED(state));
    return WEXITSTATUS(state);
}

static void run_source(fixture *f, int64_t epoch)
{
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__SOURCE, epoch);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_int_equal(exit_code(f), 0);
}

/* --- tests --- */

static void assert_source_counts(const Mr__Proto__SourceProgress *source)
{
    assert_non_null(source);
    assert_string_equal(source->run_uid, "uid-1");
    assert_int_equal(source->read, 10);
    assert_int_equal(source->produced, 9);
    assert_int_equal(source->rejected, 1);
    assert_true(source->ended);
    assert_int_equal(source->n_ranges, 1);
}

static void test_a_source_ends_with_its_counts(void **state)
{
    fixture *f = *state;
    run_source(f, 1);
    assert_source_counts(f->last->source);
}

static void test_an_ended_run_is_reported_again(void **state)
{
    fixture *f = *state;
    run_source(f, 1);
    run_source(f, 2);
    assert_source_counts(f->last->source);
}

static void test_a_sink_follows_ceiling_and_skips(void **state)
{
    fixture *f = *state;
    work_order order;
    run_source(f, 1);
    int64_t first = f->last->source->ranges[0]->first, end = f->last->source->ranges[0]->end;
    Mr__Proto__SinkScope__Ceiling ceiling = MR__PROTO__SINK_SCOPE__CEILING__INIT, *ceilings = &ceiling;
    Mr__Proto__SinkScope__Skip skip = MR__PROTO__SINK_SCOPE__SKIP__INIT, *skips = &skip;
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    order.scope.ceiling_all = true;
    order.scope.n_ceilings = 1;
    order.scope.ceilings = &ceilings;
    ceiling.offset = (first + end) / 2; /* offsets have gaps: how many rows are below is not known */
    start(f);
    send_packet(f, &order.message, false);
    wait_offset(f, first + 1);
    uint64_t below = delivered(f);
    assert_in_range(below, 1, 8);
    assert_true(f->last->sink->partitions[0]->offset <= ceiling.offset);
    order.scope.n_skips = 1;
    order.scope.skips = &skips;
    skip.first = ceiling.offset;
    skip.end = end - 1; /* all that is left but the last */
    ceiling.offset = end;
    order.message.revision = 2;
    send_packet(f, &order.message, false);
    wait_offset(f, end);
    assert_int_equal(delivered(f), below + 1);
    assert_int_equal(f->last->sink->partitions[0]->runs[0]->abandoned, 9 - below - 1);
    assert_int_equal(f->last->revision, 2);
}

static void test_stop_commits_and_ends(void **state)
{
    fixture *f = *state;
    work_order order;
    run_source(f, 1);
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    start(f);
    send_packet(f, &order.message, false);
    wait_delivered(f, 9);
    send_packet(f, NULL, true);
    wait_state(f, MR__PROTO__TASK_STATE__STOPPED);
    assert_int_equal(exit_code(f), 0);
}

static void test_a_sink_at_rest_starts_over_with_a_new_configuration(void **state)
{
    fixture *f = *state;
    work_order order;
    run_source(f, 1);
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    start(f);
    send_packet(f, &order.message, false);
    wait_delivered(f, 9);
    set(&order, "max.same.rejects", "5");
    order.message.revision = 2;
    send_packet(f, &order.message, false);
    for (int64_t until = now_ms() + DEADLINE_MS; f->last->revision != 2;)
        assert_true(next_status(f, until));
    send_packet(f, NULL, true);
    wait_state(f, MR__PROTO__TASK_STATE__STOPPED);
    assert_int_equal(delivered(f), 9);
    assert_int_equal(exit_code(f), 0);
}

static void test_rows_of_a_newer_schema_wait_until_the_sink_knows_it(void **state)
{
    fixture *f = *state;
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__SOURCE, 1);
    set(&order, "schema.id", "7");
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RESTARTING);
    assert_string_equal(f->last->error->class_, "config");
    assert_non_null(strstr(f->last->error->text, "newer"));
    set(&order, "schema.id", "7");
    order.message.revision = 2;
    send_packet(f, &order.message, false);
    wait_delivered(f, 9);
    assert_int_equal(f->last->sink->partitions[0]->runs[0]->rejected, 0);
}

static void test_retention_waits_for_a_sink_whose_store_is_away(void **state)
{
    fixture *f = *state;
    work_order order, other;
    run_source(f, 1);
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    set(&order, "store.dir", "%s/rows.csv", f->dir);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RESTARTING);
    order_init(f, &other, MR__PROTO__TASK_KIND__SINK, 1);
    other.id.connector = (char *)"other";
    set(&other, "retention.ms", "0");
    set(&other, "until.end", "true");
    start(f);
    send_packet(f, &other.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    set(&order, "store.dir", "%s/store", f->dir);
    order.message.epoch = 2;
    start(f);
    send_packet(f, &order.message, false);
    wait_delivered(f, 9);
}

static void release(fixture *f, const char *topic, int64_t epoch)
{
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__RELEASE, epoch);
    order.id.connector = (char *)"sink";
    set(&order, "topic", "%s", topic);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_int_equal(exit_code(f), 0);
}

static void test_a_released_sink_holds_nothing_back(void **state)
{
    fixture *f = *state;
    work_order order, other;
    run_source(f, 1);
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    set(&order, "store.dir", "%s/rows.csv", f->dir); /* registered, and nothing delivered */
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RESTARTING);
    release(f, "tenant.rows", 2);
    release(f, "tenant.rows", 3); /* once more does no harm */
    order_init(f, &other, MR__PROTO__TASK_KIND__SINK, 1);
    other.id.connector = (char *)"other";
    set(&other, "retention.ms", "0");
    set(&other, "until.end", "true");
    start(f);
    send_packet(f, &other.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    set(&order, "store.dir", "%s/store", f->dir);
    set(&order, "until.end", "true");
    order.message.epoch = 4;
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_int_equal(f->last->sink->partitions[0]->n_runs, 0); /* what it had not read is removed */
}

static void test_a_sink_of_a_topic_that_never_was_is_released(void **state)
{
    release(*state, "tenant.nothing", 1);
}

static void test_a_sink_beyond_the_end_of_its_topic_says_so(void **state)
{
    fixture *f = *state;
    work_order order;
    char command[300];
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RUNNING);
    end_task(f);
    snprintf(command, sizeof command, "cp -r %s/bus %s/old", f->dir, f->dir);
    assert_int_equal(system(command), 0);
    run_source(f, 1);
    order.message.epoch = 2;
    start(f);
    send_packet(f, &order.message, false);
    wait_delivered(f, 9);
    end_task(f);
    snprintf(command, sizeof command, "rm -r %s/bus && mv %s/old %s/bus", f->dir, f->dir, f->dir);
    assert_int_equal(system(command), 0);
    order.message.epoch = 3;
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RESTARTING);
    assert_string_equal(f->last->error->code, "MR_EDATALOSS");
    assert_non_null(strstr(f->last->error->text, "behind the end"));
}

/* As many records as before: by the offsets alone it could be the same. */
static void test_a_sink_of_a_bus_that_was_made_anew_says_so(void **state)
{
    fixture *f = *state;
    work_order order;
    char command[100];
    run_source(f, 1);
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    start(f);
    send_packet(f, &order.message, false);
    wait_delivered(f, 9);
    end_task(f);
    snprintf(command, sizeof command, "rm -rf %s/bus", f->dir);
    assert_int_equal(system(command), 0);
    run_source(f, 1);
    order.message.epoch = 2;
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RESTARTING);
    assert_string_equal(f->last->error->code, "MR_EDATALOSS");
    assert_non_null(strstr(f->last->error->text, "made anew"));
}

static void test_a_task_dies_with_its_worker(void **state)
{
    fixture *f = *state;
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__SINK, 1);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RUNNING);
    close(f->fd);
    f->fd = -1;
    assert_int_equal(exit_code(f), 1);
}

static void test_a_fenced_task_asks_and_goes_on_with_a_newer_epoch(void **state)
{
    fixture *f = *state;
    work_order order;
    run_source(f, 9);
    order_init(f, &order, MR__PROTO__TASK_KIND__SOURCE, 4);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RESTARTING);
    assert_string_equal(f->last->error->class_, "fenced");
    assert_int_equal(f->last->stored_epoch, 9);
    order.message.epoch = 10;
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_int_equal(f->last->epoch, 10);
}

static void test_a_wrong_configuration_waits_for_the_next_revision(void **state)
{
    fixture *f = *state;
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__SOURCE, 1);
    set(&order, "files.manifest.sha256", "%064d", 0);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__RESTARTING);
    assert_string_equal(f->last->error->class_, "config");
    set(&order, "files.manifest.sha256", "%s", f->sha256);
    order.message.revision = 2;
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_source_counts(f->last->source);
    assert_null(f->last->error);
}

static void test_a_fence_ends_a_run_that_never_began(void **state)
{
    fixture *f = *state;
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__FENCE, 5);
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_true(f->last->source->ended);
    assert_int_equal(f->last->source->read, 0);
    assert_int_equal(f->last->source->n_ranges, 0);
    run_source(f, 6);
    assert_int_equal(f->last->source->read, 0);
}

static void test_too_many_rejects_end_the_run_as_failed(void **state)
{
    fixture *f = *state;
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__SOURCE, 1);
    set(&order, "max.rejected.percent", "9.9");
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_source_counts(f->last->source);
    assert_true(f->last->source->over_rejected);
}

static void test_one_reject_too_many_ends_the_run_at_once(void **state)
{
    fixture *f = *state;
    work_order order;
    order_init(f, &order, MR__PROTO__TASK_KIND__SOURCE, 1);
    set(&order, "max.rejected.rows", "0");
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_true(f->last->source->over_rejected);
    assert_int_equal(f->last->source->rejected, 1);
    assert_int_equal(f->last->source->read, f->last->source->produced + 1);
    assert_true(f->last->source->read < 10);
}

static void test_positions_of_closed_runs_are_removed(void **state)
{
    fixture *f = *state;
    work_order order;
    run_source(f, 1);
    order_init(f, &order, MR__PROTO__TASK_KIND__SOURCE, 2);
    set(&order, "run.uid", "uid-2");
    set(&order, "run.seq", "2");
    set(&order, "closed.runs", "[\"uid-1\"]");
    start(f);
    send_packet(f, &order.message, false);
    wait_state(f, MR__PROTO__TASK_STATE__ENDED);
    assert_int_equal(exit_code(f), 0);
    run_source(f, 3); /* reads again: nothing is known of the run */
    assert_int_equal(f->last->source->ranges[0]->first >= 18, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_source_ends_with_its_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_ended_run_is_reported_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sink_follows_ceiling_and_skips, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_commits_and_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sink_at_rest_starts_over_with_a_new_configuration, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_rows_of_a_newer_schema_wait_until_the_sink_knows_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_retention_waits_for_a_sink_whose_store_is_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_released_sink_holds_nothing_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sink_of_a_topic_that_never_was_is_released, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sink_beyond_the_end_of_its_topic_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sink_of_a_bus_that_was_made_anew_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_task_dies_with_its_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_fenced_task_asks_and_goes_on_with_a_newer_epoch, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_wrong_configuration_waits_for_the_next_revision, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_fence_ends_a_run_that_never_began, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many_rejects_end_the_run_as_failed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_reject_too_many_ends_the_run_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_positions_of_closed_runs_are_removed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
