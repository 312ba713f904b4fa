/* conformance_impl.h - what the files of the conformance suite share; private to bus/. */
#ifndef MR_BUS_CONFORMANCE_IMPL_H
#define MR_BUS_CONFORMANCE_IMPL_H

#include "bus/conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/types.h>

#include <cmocka.h>

#define TENANT "acme"
#define TOPIC  "acme.rows"
#define OTHER  "acme.rows.rejected"

enum { DEADLINE_MS = 20000 };

typedef struct fixture {
    const mr_conformance_factory *factory;
    mr_props *config;
    mr_bus *bus;
    char fault_dir[64]; /* "" when nothing is armed */
} fixture;

/* Fails the test, or ends the child process with status 99, when `err` is not MR_OK. */
void conformance_must(mr_err err, const mr_error *error);
int64_t conformance_now_us(void); /* monotonic, the same in all processes */

mr_bus *conformance_open_bus(const fixture *f);
mr_bus_writer *conformance_writer(mr_bus *bus, const char *connector, int64_t epoch);
void conformance_topic(const fixture *f, const char *topic, int32_t partitions);
void conformance_send(mr_bus_writer *writer, const char *topic, int32_t partition, const char *text);
void conformance_commit(mr_bus_writer *writer);
/* Sends a number of records "FIRST", "FIRST + 1", ... and commits them with the position "rows" = the next
 * number. */
void conformance_commit_numbers(mr_bus_writer *writer, int32_t partitions, long first, long count);
long conformance_load_number(mr_bus_writer *writer); /* the position "rows"; 0 when there is none */

/* What was read of one partition; records are copied. */
typedef struct conformance_log {
    mr_arena arena;
    mr_record *records;
    size_t count, capacity;
} conformance_log;

/* Reads a partition from an offset to its end, as it is at the call. */
void conformance_read(mr_bus *bus, const char *topic, int32_t partition, int64_t from,
                      conformance_log *ret_log);
void conformance_log_fini(conformance_log *log);
/* Reads all partitions of TOPIC and proves that each number of 0..count-1 is there once and none else, and
 * that offsets and numbers grow in each partition. */
void conformance_expect_numbers(mr_bus *bus, int32_t partitions, long count);

/* Runs `work` in a process of its own with a bus of its own; what it returns is the exit status. */
pid_t conformance_spawn(const fixture *f, int (*work)(const fixture *f, mr_bus *bus, void *arg), void *arg);
int conformance_join(pid_t child); /* exit status, or 1000 + the signal that ended it */
void conformance_await_stop(pid_t child);

/* Waits until somebody has committed to partition 0 of TOPIC so many times, as far as they are seen one by
 * one. */
void conformance_await_growth(const fixture *f, long times);

/* From now on, in this process and its children to come: `variable` of core/fault.h at `point`, once. */
void conformance_arm(fixture *f, const char *variable, const char *point);
void conformance_disarm(fixture *f);

/* The tests, by subject. */
extern const struct CMUnitTest conformance_record_tests[];
extern const size_t conformance_record_test_count;
extern const struct CMUnitTest conformance_position_tests[];
extern const size_t conformance_position_test_count;
extern const struct CMUnitTest conformance_fencing_tests[];
extern const size_t conformance_fencing_test_count;
extern const struct CMUnitTest conformance_reader_tests[];
extern const size_t conformance_reader_test_count;

int conformance_setup(void **state);
int conformance_teardown(void **state);
#define CONFORMANCE_TEST(f) cmocka_unit_test_setup_teardown(f, conformance_setup, conformance_teardown)

#endif
