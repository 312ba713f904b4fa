#include "task/dead_letter.h"

#include "proto/ids.h"
#include "task/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { HEADERS = 12, NUMBER_BYTES = 48 };

typedef struct header_list {
    mr_header items[HEADERS];
    size_t count;
    char numbers[HEADERS][NUMBER_BYTES];
} header_list;

static void add_text(header_list *list, const char *name, mr_slice value)
{
    list->items[list->count++] = (mr_header){mr_slice_of(name), value};
}

__attribute__((format(printf, 3, 4))) static void add_number(header_list *list, const char *name,
                                                             const char *format, ...)
{
    va_list args;
    char *text = list->numbers[list->count];
    va_start(args, format);
    vsnprintf(text, NUMBER_BYTES, format, args);
    va_end(args);
    add_text(list, name, mr_slice_of(text));
}

static void add_origin(header_list *list, const dead_letter *letter)
{
    if (letter->topic != NULL) {
        add_text(list, "__connect.errors.topic", mr_slice_of(letter->topic));
        add_number(list, "__connect.errors.partition", "%" PRId32, letter->partition);
        add_number(list, "__connect.errors.offset", "%" PRId64, letter->offset);
    } else if (letter->file != NULL) {
        add_text(list, "millrace.file", mr_slice_of(letter->file));
        add_number(list, "millrace.line", "%" PRId64, letter->line);
        add_number(list, "millrace.bytes", "%" PRId64 "-%" PRId64, letter->byte_first, letter->byte_end);
        if (letter->sha256 != NULL) {
            add_number(list, "millrace.length", "%" PRId64, letter->length);
            add_text(list, "millrace.sha256", mr_slice_of(letter->sha256));
        }
    }
}

mr_err dead_letter_send(mr_bus_writer *writer, const char *rejected_topic, const dead_letter *letter,
                        mr_error *ret_error)
{
    header_list list = {.count = 0};
    char run[RUN_TEXT_BYTES];
    add_text(&list, RUN_HEADER, run_text(letter->run_seq, letter->run_uid, run));
    add_text(&list, "__connect.errors.connector.name", mr_slice_of(letter->connector));
    add_number(&list, "__connect.errors.task.id", "%" PRId32, letter->task);
    add_text(&list, "__connect.errors.stage", mr_slice_of(letter->stage));
    add_text(&list, "__connect.errors.exception.message", mr_slice_of(letter->reason));
    add_origin(&list, letter);
    mr_record record = {
        .key = letter->key,
        .value = letter->value,
        .headers = list.items,
        .header_count = list.count,
        .timestamp_ms = clock_utc_ms(),
    };
    return mr_bus_send(writer, rejected_topic, 0, &record, ret_error);
}

mr_slice run_text(int64_t run_seq, const char *run_uid, char out[static RUN_TEXT_BYTES])
{
    snprintf(out, RUN_TEXT_BYTES, "%" PRId64 ":%s", run_seq, run_uid);
    return mr_slice_of(out);
}

bool run_text_parse(mr_slice text, int64_t *ret_run_seq, char *run_uid)
{
    int64_t seq = 0;
    size_t at = 0;
    for (; at < text.size && at < 18 && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        seq = seq * 10 + (text.data[at] - '0');
    if (at == 0 || at == text.size || text.data[at] != ':' || text.size - at >= RUN_TEXT_BYTES ||
        memchr(text.data, '\0', text.size) != NULL)
        return false;
    at++;
    memcpy(run_uid, text.data + at, text.size - at);
    run_uid[text.size - at] = '\0';
    *ret_run_seq = seq;
    return mr_name_valid(run_uid);
}
