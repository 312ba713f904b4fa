/* conformance_fencing.c - who may write: epochs, frozen and killed processes, commits of unknown outcome (R2,
 * R3, R5). */
#include "bus/conformance_impl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { FENCED = 10, COMMITTED = 11, OTHERWISE = 12, TAKEOVER_MS = 1000 };

static void test_an_older_epoch_cannot_open_and_is_told_the_newer(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus_writer *older = NULL;
    int64_t stored = 0;
    mr_bus_identity who = {.tenant = TENANT, .tenant_uid = "uid-1", .connector = "source", .epoch = 6};
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 7);
    assert_int_equal(mr_bus_writer_open(f->bus, &who, &older, &stored, &error), MR_EFENCED);
    assert_int_equal(stored, 7);
    assert_int_equal(error.class, MR_FENCED);
    assert_null(older);
    conformance_topic(f, TOPIC, 1);
    conformance_commit_numbers(writer, 1, 0, 5); /* and the newer one goes on */
    mr_bus_writer_close(&writer);
}

static void expect_fenced(mr_bus_writer *writer)
{
    mr_error error = {0};
    const mr_bus_range *ranges;
    size_t count;
    conformance_send(writer, TOPIC, 0, "too late");
    assert_int_equal(mr_bus_prepare(writer, &ranges, &count, &error), MR_EFENCED);
    assert_int_equal(mr_bus_commit(writer, &error), MR_EFENCED);
    assert_int_equal(error.class, MR_FENCED);
}

static void test_an_older_epoch_cannot_commit(void **state)
{
    fixture *f = *state;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *older = conformance_writer(f->bus, "source", 1);
    conformance_commit_numbers(older, 1, 0, 10);
    mr_bus_writer *newer = conformance_writer(f->bus, "source", 2);
    assert_int_equal(conformance_load_number(newer), 10);
    expect_fenced(older);
    conformance_commit_numbers(newer, 1, 10, 10);
    conformance_expect_numbers(f->bus, 1, 20);
    mr_bus_writer_close(&older);
    mr_bus_writer_close(&newer);
}

static void test_a_second_writer_of_the_same_epoch_fences_the_first(void **state)
{
    fixture *f = *state;
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *first = conformance_writer(f->bus, "source", 1);
    conformance_commit_numbers(first, 1, 0, 10);
    mr_bus_writer *second = conformance_writer(f->bus, "source", 1);
    expect_fenced(first);
    conformance_commit_numbers(second, 1, 10, 10);
    conformance_expect_numbers(f->bus, 1, 20);
    mr_bus_writer_close(&first);
    mr_bus_writer_close(&second);
}

static void test_tasks_of_a_connector_do_not_fence_each_other(void **state)
{
    fixture *f = *state;
    mr_error error = {0};
    mr_bus_writer *tasks[2] = {NULL, NULL};
    mr_bus_identity who = {.tenant = TENANT, .tenant_uid = "uid-1", .connector = "source", .epoch = 3};
    conformance_topic(f, TOPIC, 1);
    for (who.task = 0; who.task < 2; who.task++)
        conformance_must(mr_bus_writer_open(f->bus, &who, &tasks[who.task], NULL, &error), &error);
    conformance_commit_numbers(tasks[0], 1, 0, 5);
    conformance_commit_numbers(tasks[1], 1, 5, 5);
    conformance_commit_numbers(tasks[0], 1, 10, 5);
    conformance_expect_numbers(f->bus, 1, 15);
    mr_bus_writer_close(&tasks[0]);
    mr_bus_writer_close(&tasks[1]);
}

/* --- frozen processes --- */

static int commit_and_tell(mr_bus_writer *writer)
{
    mr_error error = {0};
    switch (mr_bus_commit(writer, &error)) {
    case MR_OK:
        return COMMITTED;
    case MR_EFENCED:
        return FENCED;
    default:
        fprintf(stderr, "%s\n", error.text);
        return OTHERWISE;
    }
}

/* Epoch 1 commits ten numbers, then tries to commit one more, `arg` saying how it stops before. */
static int write_and_freeze(const fixture *f, mr_bus *bus, void *arg)
{
    bool *by_signal = arg;
    mr_bus_writer *writer = conformance_writer(bus, "source", 1);
    conformance_commit_numbers(writer, 1, 0, 10);
    if (!*by_signal)
        setenv("MR_FAULT_STOP", f->factory->fault_before_commit, 1);
    conformance_send(writer, TOPIC, 0, "from the frozen one");
    if (*by_signal)
        raise(SIGSTOP);
    return commit_and_tell(writer);
}

static void take_over(fixture *f, pid_t frozen, const char *connector)
{
    conformance_await_stop(frozen);
    int64_t start = conformance_now_us();
    mr_bus_writer *writer = conformance_writer(f->bus, connector, 2);
    assert_int_equal(conformance_load_number(writer), 10);
    conformance_commit_numbers(writer, 1, 10, 10);
    int64_t took_ms = (conformance_now_us() - start) / 1000;
    print_message("           taken over in %lld ms\n", (long long)took_ms);
    assert_true(took_ms < TAKEOVER_MS);
    kill(frozen, SIGCONT);
    int status = conformance_join(frozen);
    assert_true(status == FENCED || status == 1000 + SIGKILL);
    conformance_expect_numbers(f->bus, 1, 20);
    conformance_commit_numbers(writer, 1, 20, 10);
    conformance_expect_numbers(f->bus, 1, 30);
    mr_bus_writer_close(&writer);
}

static void test_a_writer_frozen_in_its_transaction_is_taken_over(void **state)
{
    fixture *f = *state;
    bool by_signal = false;
    conformance_topic(f, TOPIC, 1);
    conformance_arm(f, "MR_FAULT_KILL", ""); /* a folder for marks: the child arms its stop after a commit */
    take_over(f, conformance_spawn(f, write_and_freeze, &by_signal), "source");
}

static void test_a_writer_frozen_before_its_commit_is_refused_later(void **state)
{
    fixture *f = *state;
    bool by_signal = true;
    conformance_topic(f, TOPIC, 1);
    take_over(f, conformance_spawn(f, write_and_freeze, &by_signal), "source");
}

/* Goes on where the position says until it is fenced; `arg` is its epoch. */
static int write_until_fenced(const fixture *f, mr_bus *bus, void *arg)
{
    mr_bus_writer *writer = conformance_writer(bus, "source", *(long *)arg);
    (void)f;
    for (long next = conformance_load_number(writer);; next++) {
        char text[32];
        mr_error error = {0};
        snprintf(text, sizeof text, "%ld", next);
        conformance_send(writer, TOPIC, 0, text);
        snprintf(text, sizeof text, "%ld", next + 1);
        conformance_must(mr_bus_send_position(writer, MR_SLICE_LITERAL("rows"), mr_slice_of(text), &error),
                         &error);
        int told = commit_and_tell(writer);
        if (told != COMMITTED)
            return told;
    }
}

static void test_a_writer_frozen_at_any_moment_is_taken_over(void **state)
{
    enum { ROUNDS = 25 };
    fixture *f = *state;
    int64_t longest_us = 0;
    conformance_topic(f, TOPIC, 1);
    for (long epoch = 1; epoch < 2 * ROUNDS; epoch += 2) {
        pid_t child = conformance_spawn(f, write_until_fenced, &epoch);
        conformance_await_growth(f, 3 + epoch % 4);
        nanosleep(&(struct timespec){.tv_nsec = epoch * 137 % 1000 * 1000},
                  NULL); /* another moment each time */
        kill(child, SIGSTOP);
        conformance_await_stop(child);
        int64_t start = conformance_now_us();
        mr_bus_writer *writer = conformance_writer(f->bus, "source", epoch + 1);
        long next = conformance_load_number(writer);
        conformance_commit_numbers(writer, 1, next, 5);
        int64_t took_us = conformance_now_us() - start;
        longest_us = took_us > longest_us ? took_us : longest_us;
        kill(child, SIGCONT);
        int status = conformance_join(child);
        assert_true(status == FENCED || status == 1000 + SIGKILL);
        conformance_expect_numbers(f->bus, 1, next + 5);
        mr_bus_writer_close(&writer);
    }
    print_message("           taken over in at most %lld ms\n", (long long)longest_us / 1000);
    assert_true(longest_us < TAKEOVER_MS * 1000);
}

/* --- killed processes --- */

enum { PARTITIONS = 3, BATCH = 40 };

/* Goes on where the position says, until it is killed or has made `arg` commits. */
static int write_on(const fixture *f, mr_bus *bus, void *arg)
{
    const long *epoch_and_commits = arg;
    (void)f;
    mr_bus_writer *writer = conformance_writer(bus, "source", epoch_and_commits[0]);
    long next = conformance_load_number(writer);
    for (long i = 0; i < epoch_and_commits[1]; i++, next += BATCH)
        conformance_commit_numbers(writer, PARTITIONS, next, BATCH);
    return COMMITTED;
}

static void test_records_and_position_of_a_killed_writer_agree(void **state)
{
    fixture *f = *state;
    conformance_topic(f, TOPIC, PARTITIONS);
    for (long epoch = 1; epoch <= 20; epoch += 2) {
        long plan[] = {epoch, 1000000};
        pid_t child = conformance_spawn(f, write_on, plan);
        conformance_await_growth(f, 1 + epoch % 5);
        kill(child, SIGKILL);
        assert_int_equal(conformance_join(child), 1000 + SIGKILL);
        mr_bus_writer *writer = conformance_writer(f->bus, "source", epoch + 1);
        conformance_expect_numbers(f->bus, PARTITIONS, conformance_load_number(writer));
        mr_bus_writer_close(&writer);
    }
}

static void killed_at(fixture *f, const char *point, long epoch)
{
    long plan[] = {epoch, 2};
    conformance_arm(f, "MR_FAULT_KILL", point);
    pid_t child = conformance_spawn(f, write_on, plan);
    assert_int_equal(conformance_join(child), 1000 + SIGKILL);
    conformance_disarm(f);
    child = conformance_spawn(f, write_on, (long[]){epoch + 1, 2});
    assert_int_equal(conformance_join(child), COMMITTED);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", epoch + 2);
    conformance_expect_numbers(f->bus, PARTITIONS, conformance_load_number(writer));
    mr_bus_writer_close(&writer);
}

static void test_a_kill_around_the_commit_loses_and_doubles_nothing(void **state)
{
    fixture *f = *state;
    conformance_topic(f, TOPIC, PARTITIONS);
    killed_at(f, f->factory->fault_before_commit, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 4);
    assert_int_equal(conformance_load_number(writer), 2 * BATCH);
    mr_bus_writer_close(&writer);
    killed_at(f, f->factory->fault_after_commit, 5);
    writer = conformance_writer(f->bus, "source", 8);
    assert_int_equal(conformance_load_number(writer), 5 * BATCH);
    mr_bus_writer_close(&writer);
}

/* --- commits of unknown outcome --- */

static void unknown_outcome(fixture *f, const char *point, long expected)
{
    mr_error error = {0};
    conformance_topic(f, TOPIC, 1);
    mr_bus_writer *writer = conformance_writer(f->bus, "source", 1);
    conformance_commit_numbers(writer, 1, 0, 10);
    conformance_arm(f, "MR_FAULT_FAIL", point);
    for (long number = 10; number < 20; number++) {
        char text[32];
        snprintf(text, sizeof text, "%ld", number);
        conformance_send(writer, TOPIC, 0, text);
    }
    conformance_must(mr_bus_send_position(writer, MR_SLICE_LITERAL("rows"), MR_SLICE_LITERAL("20"), &error),
                     &error);
    assert_int_equal(mr_bus_commit(writer, &error), MR_EUNKNOWN);
    assert_int_equal(mr_bus_commit(writer, &error), MR_EUNKNOWN); /* of no use any more */
    mr_bus_writer_close(&writer);

    writer = conformance_writer(f->bus, "source", 1);
    assert_int_equal(conformance_load_number(writer), expected);
    conformance_expect_numbers(f->bus, 1, expected);
    conformance_commit_numbers(writer, 1, expected, 30 - expected);
    conformance_expect_numbers(f->bus, 1, 30);
    mr_bus_writer_close(&writer);
}

static void test_a_commit_of_unknown_outcome_that_succeeded_is_found(void **state)
{
    fixture *f = *state;
    unknown_outcome(f, f->factory->fault_commit_unknown, 20);
}

static void test_a_commit_of_unknown_outcome_that_was_lost_is_found(void **state)
{
    fixture *f = *state;
    unknown_outcome(f, f->factory->fault_commit_unknown_lost, 10);
}

const struct CMUnitTest conformance_fencing_tests[] = {
    CONFORMANCE_TEST(test_an_older_epoch_cannot_open_and_is_told_the_newer),
    CONFORMANCE_TEST(test_an_older_epoch_cannot_commit),
    CONFORMANCE_TEST(test_a_second_writer_of_the_same_epoch_fences_the_first),
    CONFORMANCE_TEST(test_tasks_of_a_connector_do_not_fence_each_other),
    CONFORMANCE_TEST(test_a_writer_frozen_in_its_transaction_is_taken_over),
    CONFORMANCE_TEST(test_a_writer_frozen_before_its_commit_is_refused_later),
    CONFORMANCE_TEST(test_a_writer_frozen_at_any_moment_is_taken_over),
    CONFORMANCE_TEST(test_records_and_position_of_a_killed_writer_agree),
    CONFORMANCE_TEST(test_a_kill_around_the_commit_loses_and_doubles_nothing),
    CONFORMANCE_TEST(test_a_commit_of_unknown_outcome_that_succeeded_is_found),
    CONFORMANCE_TEST(test_a_commit_of_unknown_outcome_that_was_lost_is_found),
};
const size_t conformance_fencing_test_count =
    sizeof conformance_fencing_tests / sizeof *conformance_fencing_tests;
