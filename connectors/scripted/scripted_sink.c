/* scripted_sink.c - a sink that answers what a script says, for tests of the framework; not in releases. What
 * it stores is appended to a file, so a test sees what was delivered, and in what order. It keeps no
 * positions: the bus's count, and after a crash records are delivered again. */
#include "connectors/scripted/scripted_sink.h"

#include "connectors/scripted/attempts.h"
#include "connectors/scripted/options.h"
#include "connectors/scripted/script.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct queued_record {
    uint64_t seq;
    script_answer answer;
    char *line;
} queued_record;

typedef struct scripted_sink {
    const mr_env *env;
    mr_verdicts *verdicts;
    sink_script script;
    int output; /* its descriptor + 1: the state comes zeroed */
    queued_record *queue;
    size_t count, capacity;
    uint64_t random;
} scripted_sink;

static mr_err scripted_open(void *self, const mr_env *env, mr_verdicts *verdicts, int64_t *ret_stored_epoch,
                            mr_error *ret_error)
{
    (void)ret_stored_epoch; /* it does not fence */
    scripted_sink *sink = self;
    const char *path = mr_option_text(mr_scripted_sink_options, env->config, "scripted.output");
    sink->env = env;
    sink->verdicts = verdicts;
    sink->random = 88172645463325252u;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "scripted.output %s", path);
    sink->output = fd + 1;
    return script_load(mr_option_text(mr_scripted_sink_options, env->config, "script"), &sink->script,
                       ret_error);
}

static json_t *to_json(const mr_value *value)
{
    switch ((mr_type)value->type) {
    case MR_TYPE_NULL:
        return json_null();
    case MR_TYPE_BOOLEAN:
        return json_boolean(value->integer != 0);
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        return json_integer(value->integer);
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        return json_real(value->real);
    default:
        return json_stringn_nocheck(value->data, value->size);
    }
}

static json_t *row_to_json(const scripted_sink *sink, const mr_value *values)
{
    size_t count;
    const mr_field *fields = mr_schema_fields(sink->env->schema, &count);
    if (values == NULL)
        return json_null();
    json_t *row = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(row, fields[i].name, to_json(&values[i]));
    return row;
}

static char *hex_of(mr_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(bytes.size * 2 + 1);
    for (size_t i = 0; hex != NULL && i < bytes.size; i++) {
        hex[2 * i] = digits[(unsigned char)bytes.data[i] >> 4];
        hex[2 * i + 1] = digits[bytes.data[i] & 15];
    }
    if (hex != NULL)
        hex[2 * bytes.size] = '\0';
    return hex;
}

static char *line_of(const scripted_sink *sink, const mr_sink_record *record)
{
    char *key = hex_of(record->key);
    json_t *line =
        json_pack("{s:I, s:I, s:I, s:I, s:s?, s:o}", "partition", (json_int_t)record->partition, "offset",
                  (json_int_t)record->offset, "seq", (json_int_t)record->seq, "timestamp_ms",
                  (json_int_t)record->timestamp_ms, "key", key, "value", row_to_json(sink, record->values));
    char *text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);
    json_decref(line);
    free(key);
    return text;
}

/* A line is one write, so a kill never leaves half of one. */
static mr_err append_line(scripted_sink *sink, const char *line, mr_error *ret_error)
{
    mr_buf text = {0};
    mr_err err = mr_buf_printf(&text, "%s\n", line);
    if (err == MR_OK && write(sink->output - 1, text.data, text.size) != (ssize_t)text.size)
        err = mr_fail_errno(ret_error, errno, "scripted.output");
    mr_buf_fini(&text);
    return err;
}

static mr_err answer(scripted_sink *sink, uint64_t seq, mr_verdict verdict, const script_answer *what,
                     const char *line, mr_error *ret_error)
{
    if (verdict == MR_SINK_DONE) {
        mr_err err = append_line(sink, line, ret_error);
        if (err != MR_OK)
            return err;
    }
    mr_verdict_give(sink->verdicts, seq, seq, verdict, verdict == MR_SINK_RETRY ? what->after_ms : 0,
                    what->reason);
    return MR_OK;
}

/* Takes `line` over. */
static mr_err enqueue(scripted_sink *sink, uint64_t seq, script_answer what, char *line, mr_error *ret_error)
{
    if (sink->count == sink->capacity) {
        size_t capacity = sink->capacity == 0 ? 64 : sink->capacity * 2;
        queued_record *grown = realloc(sink->queue, capacity * sizeof *grown);
        if (grown == NULL) {
            free(line);
            return mr_fail(ret_error, MR_ENOMEM, "no memory for a queued record");
        }
        sink->queue = grown;
        sink->capacity = capacity;
    }
    sink->queue[sink->count++] = (queued_record){seq, what, line};
    mr_verdict_give(sink->verdicts, seq, seq, MR_SINK_QUEUED, 0, NULL);
    return MR_OK;
}

static mr_err write_one(scripted_sink *sink, const mr_sink_record *record, mr_error *ret_error)
{
    int64_t attempt = attempts_count(sink->env->connector, record->partition, record->offset);
    script_answer what = script_answer_for(&sink->script, record, attempt);
    if (what.fails)
        return mr_fail(ret_error, MR_EUNAVAILABLE, "%s", what.reason);
    char *line = line_of(sink, record);
    if (line == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a line");
    if (what.verdict == MR_SINK_QUEUED)
        return enqueue(sink, record->seq, what, line, ret_error);
    mr_err err = answer(sink, record->seq, what.verdict, &what, line, ret_error);
    free(line);
    return err;
}

static mr_err sync_output(scripted_sink *sink, mr_error *ret_error)
{
    return fdatasync(sink->output - 1) == 0 ? MR_OK : mr_fail_errno(ret_error, errno, "scripted.output");
}

static mr_err scripted_write(void *self, const mr_sink_record *records, size_t count, mr_error *ret_error)
{
    scripted_sink *sink = self;
    for (size_t i = 0; i < count; i++) {
        mr_err err = write_one(sink, &records[i], ret_error);
        if (err != MR_OK)
            return err;
    }
    return sync_output(sink, ret_error);
}

static uint64_t next_random(scripted_sink *sink)
{
    sink->random ^= sink->random << 13;
    sink->random ^= sink->random >> 7;
    sink->random ^= sink->random << 17;
    return sink->random;
}

static void swap(queued_record *a, queued_record *b)
{
    queued_record kept = *a;
    *a = *b;
    *b = kept;
}

static void put_in_order(scripted_sink *sink)
{
    if (sink->script.flush_order == FLUSH_REVERSE) {
        for (size_t i = 0; i < sink->count / 2; i++)
            swap(&sink->queue[i], &sink->queue[sink->count - 1 - i]);
    } else if (sink->script.flush_order == FLUSH_RANDOM) {
        for (size_t i = sink->count; i > 1; i--)
            swap(&sink->queue[i - 1], &sink->queue[next_random(sink) % i]);
    }
}

static void drop_queue(scripted_sink *sink)
{
    for (size_t i = 0; i < sink->count; i++)
        free(sink->queue[i].line);
    sink->count = 0;
}

static mr_err scripted_flush(void *self, int timeout_ms, mr_error *ret_error)
{
    (void)timeout_ms; /* it never waits */
    scripted_sink *sink = self;
    mr_err err = MR_OK;
    put_in_order(sink);
    for (size_t i = 0; i < sink->count && err == MR_OK; i++) {
        const queued_record *at = &sink->queue[i];
        err = answer(sink, at->seq, at->answer.then, &at->answer, at->line, ret_error);
    }
    drop_queue(sink);
    return err == MR_OK ? sync_output(sink, ret_error) : err;
}

static void scripted_close(void *self)
{
    scripted_sink *sink = self;
    drop_queue(sink);
    free(sink->queue);
    script_fini(&sink->script);
    if (sink->output > 0)
        close(sink->output - 1);
    *sink = (scripted_sink){0};
}

const mr_sink_class mr_scripted_sink = {
    .name = "scripted",
    .options = mr_scripted_sink_options,
    .state_size = sizeof(scripted_sink),
    .open = scripted_open,
    .write = scripted_write,
    .flush = scripted_flush,
    .close = scripted_close,
};
