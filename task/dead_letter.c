#include "task/dead_letter.h"

#include "proto/ids.h"
#include "task/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { HEADERS = 14, NUMBER_BYTES = 48 };

#define ERRORS_CONNECTOR "__connect.errors.connector.name"
#define ERRORS_TASK      "__connect.errors.task.id"
#define ERRORS_STAGE     "__connect.errors.stage"
#define ERRORS_MESSAGE   "__connect.errors.exception.message"
#define ERRORS_TOPIC     "__connect.errors.topic"
#define ERRORS_PARTITION "__connect.errors.partition"
#define ERRORS_OFFSET    "__connect.errors.offset"
#define LETTER_FILE      "millrace.file"
#define LETTER_LINE      "millrace.line"
#define LETTER_BYTES     "millrace.bytes"
#define LETTER_LENGTH    "millrace.length"
#define LETTER_SHA256    "millrace.sha256"
#define CSV_DIALECT      "millrace.csv.dialect"
#define CSV_HEADER       "millrace.csv.header"

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
        add_text(list, ERRORS_TOPIC, mr_slice_of(letter->topic));
        add_number(list, ERRORS_PARTITION, "%" PRId32, letter->partition);
        add_number(list, ERRORS_OFFSET, "%" PRId64, letter->offset);
    } else if (letter->file != NULL) {
        add_text(list, LETTER_FILE, mr_slice_of(letter->file));
        add_number(list, LETTER_LINE, "%" PRId64, letter->line);
        add_number(list, LETTER_BYTES, "%" PRId64 "-%" PRId64, letter->byte_first, letter->byte_end);
        if (letter->sha256 != NULL) {
            add_number(list, LETTER_LENGTH, "%" PRId64, letter->length);
            add_text(list, LETTER_SHA256, mr_slice_of(letter->sha256));
        }
    }
}

static void add_layout(header_list *list, const dead_letter *letter)
{
    if (letter->csv_dialect.data == NULL)
        return;
    add_text(list, CSV_DIALECT, letter->csv_dialect);
    if (letter->csv_header.data != NULL)
        add_text(list, CSV_HEADER, letter->csv_header);
}

mr_err dead_letter_send(mr_bus_writer *writer, const char *rejected_topic, const dead_letter *letter,
                        mr_error *ret_error)
{
    header_list list = {.count = 0};
    char run[RUN_TEXT_BYTES];
    add_text(&list, RUN_HEADER, run_text(letter->run_seq, letter->run_uid, run));
    add_text(&list, ERRORS_CONNECTOR, mr_slice_of(letter->connector));
    add_number(&list, ERRORS_TASK, "%" PRId32, letter->task);
    add_text(&list, ERRORS_STAGE, mr_slice_of(letter->stage));
    add_text(&list, ERRORS_MESSAGE, mr_slice_of(letter->reason));
    add_origin(&list, letter);
    add_layout(&list, letter);
    mr_record record = {
        .key = letter->key,
        .value = letter->value,
        .headers = list.items,
        .header_count = list.count,
        .timestamp_ms = clock_utc_ms(),
    };
    return mr_bus_send(writer, rejected_topic, 0, &record, ret_error);
}

/* --- reading --- */

typedef struct letter_reading {
    const mr_record *record;
    mr_arena *arena;
    bool failed;
} letter_reading;

static mr_slice header(const letter_reading *self, const char *name)
{
    const mr_record *record = self->record;
    for (size_t i = 0; i < record->header_count; i++)
        if (mr_slice_equal(record->headers[i].name, mr_slice_of(name)))
            return record->headers[i].value;
    return (mr_slice){0};
}

static const char *text(letter_reading *self, const char *name)
{
    mr_slice value = header(self, name);
    char *copy = value.data != NULL ? mr_arena_alloc(self->arena, value.size + 1) : NULL;
    self->failed |= value.data != NULL && copy == NULL;
    if (copy == NULL)
        return NULL;
    memcpy(copy, value.data, value.size);
    copy[value.size] = '\0';
    return copy;
}

static int64_t number(letter_reading *self, const char *name)
{
    const char *digits = text(self, name);
    return digits != NULL ? strtoll(digits, NULL, 10) : 0;
}

static void read_bytes(letter_reading *self, dead_letter *letter)
{
    const char *range = text(self, LETTER_BYTES);
    const char *dash = range != NULL ? strchr(range, '-') : NULL;
    if (dash == NULL)
        return;
    letter->byte_first = strtoll(range, NULL, 10);
    letter->byte_end = strtoll(dash + 1, NULL, 10);
}

static const char *read_run(letter_reading *self, int64_t *ret_seq)
{
    char uid[RUN_TEXT_BYTES] = "";
    if (!run_text_parse(header(self, RUN_HEADER), ret_seq, uid))
        return "";
    char *copy = mr_arena_alloc(self->arena, strlen(uid) + 1);
    self->failed |= copy == NULL;
    return copy != NULL ? strcpy(copy, uid) : "";
}

mr_err dead_letter_read(const mr_record *record, mr_arena *arena, dead_letter *ret_letter,
                        mr_error *ret_error)
{
    letter_reading self = {.record = record, .arena = arena};
    dead_letter letter = {
        .connector = text(&self, ERRORS_CONNECTOR),
        .task = (int32_t)number(&self, ERRORS_TASK),
        .stage = text(&self, ERRORS_STAGE),
        .reason = text(&self, ERRORS_MESSAGE),
        .file = text(&self, LETTER_FILE),
        .line = number(&self, LETTER_LINE),
        .length = number(&self, LETTER_LENGTH),
        .sha256 = text(&self, LETTER_SHA256),
        .csv_dialect = header(&self, CSV_DIALECT),
        .csv_header = header(&self, CSV_HEADER),
        .topic = text(&self, ERRORS_TOPIC),
        .partition = (int32_t)number(&self, ERRORS_PARTITION),
        .offset = number(&self, ERRORS_OFFSET),
        .key = record->key,
        .value = record->value,
    };
    letter.run_uid = read_run(&self, &letter.run_seq);
    read_bytes(&self, &letter);
    if (self.failed)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    *ret_letter = letter;
    return MR_OK;
}

/* --- runs --- */

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
