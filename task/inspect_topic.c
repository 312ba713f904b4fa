/* inspect_topic.c - what is in topics, one JSON object a line. */
#include "bus/bus.h"
#include "task/dead_letter.h"
#include "task/inspect.h"
#include "task/sink_decode.h"

#include "core/plain_value.h"
#include "core/text_value.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>

const mr_option inspect_topic_keys[] = {
    {.name = "bus", .type = MR_OPTION_TEXT, .default_value = "embedded", .help = "Which bus: embedded."},
    {.name = "bus.dir", .type = MR_OPTION_TEXT, .help = "Folder of the embedded bus."},
    {.name = "tenant", .type = MR_OPTION_TEXT, .required = true, .help = "Id of the tenant."},
    {.name = "topic", .type = MR_OPTION_TEXT, .help = "Topic of a dataset; rejected reads TOPIC.rejected."},
    {.name = "topics",
     .type = MR_OPTION_LIST,
     .default_value = "[]",
     .help = "More topics, as a JSON array."},
    {.name = "from",
     .type = MR_OPTION_INTEGER,
     .default_value = "0",
     .maximum = INT64_MAX,
     .help = "First offset in each partition."},
    {.name = "limit",
     .type = MR_OPTION_INTEGER,
     .default_value = "0",
     .maximum = INT64_MAX,
     .help = "Records at most; 0: all that were there at the start."},
    {.name = "schema", .type = MR_OPTION_TEXT, .help = "Avro schema to show values with."},
    {.name = "schema.id",
     .type = MR_OPTION_INTEGER,
     .default_value = "0",
     .maximum = UINT32_MAX,
     .help = "Id of that schema; 0: whatever id a record names."},
    {.name = "schemas", .type = MR_OPTION_TEXT, .help = "JSON object from id to text of all schemas."},
    {0},
};

typedef struct scan {
    const mr_props *config;
    FILE *out;
    bool rejected;
    mr_bus *bus;
    mr_schema *schema; /* NULL: values are not decoded */
    sink_decoder *decoder;
    mr_avro_decoder *any; /* for records of whatever schema id */
    mr_value *values;
    int64_t left; /* records still to be shown; -1: no bound */
} scan;

static json_t *text_json(mr_slice text)
{
    return mr_utf8_valid(text) ? json_stringn(text.data, text.size) : NULL;
}

/* As text where that is possible, else in base64 under another name. */
static void put_bytes(json_t *object, const char *name, const char *base64_name, mr_slice bytes)
{
    json_t *text = bytes.data == NULL ? json_null() : text_json(bytes);
    if (text != NULL) {
        json_object_set_new(object, name, text);
        return;
    }
    size_t size = (bytes.size + 2) / 3 * 4;
    char *encoded = malloc(size + 1);
    if (encoded == NULL)
        return;
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)bytes.data, (int)bytes.size);
    json_object_set_new(object, base64_name, json_string(encoded));
    free(encoded);
}

static mr_slice header(const mr_record *record, const char *name)
{
    for (size_t i = 0; i < record->header_count; i++)
        if (mr_slice_equal(record->headers[i].name, mr_slice_of(name)))
            return record->headers[i].value;
    return (mr_slice){0};
}

static void put_header(json_t *object, const char *name, const mr_record *record, const char *header_name)
{
    mr_slice value = header(record, header_name);
    if (value.data != NULL)
        json_object_set_new(object, name, text_json(value));
}

static void put_number(json_t *object, const char *name, const mr_record *record, const char *header_name)
{
    char text[32];
    mr_slice value = header(record, header_name);
    if (value.data == NULL || value.size >= sizeof text)
        return;
    memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    json_object_set_new(object, name, json_integer(strtoll(text, NULL, 10)));
}

static void put_run(json_t *object, const mr_record *record)
{
    char uid[RUN_TEXT_BYTES];
    int64_t seq;
    if (!run_text_parse(header(record, RUN_HEADER), &seq, uid))
        return;
    json_object_set_new(object, "run", json_string(uid));
    json_object_set_new(object, "run_seq", json_integer(seq));
}

/* Dates, decimals, enums, what is nested. */
static json_t *other_json(const mr_field *field, const mr_value *value)
{
    mr_buf text = {0};
    json_t *json = NULL;
    if (mr_value_json(field, value, &text, NULL) == MR_OK)
        json = json_loadb(text.data, text.size, JSON_DECODE_ANY, NULL);
    mr_buf_fini(&text);
    return json != NULL ? json : json_null();
}

static json_t *value_json(const mr_field *field, const mr_value *value)
{
    if (value->type != MR_TYPE_NULL && (field->logical != MR_LOGICAL_NONE || field->shape != NULL))
        return other_json(field, value);
    switch ((mr_type)value->type) {
    case MR_TYPE_NULL:
        return json_null();
    case MR_TYPE_BOOLEAN:
        return json_boolean(value->integer);
    case MR_TYPE_INT:
    case MR_TYPE_LONG:
        return json_integer(value->integer);
    case MR_TYPE_FLOAT:
    case MR_TYPE_DOUBLE:
        if (isnan(value->real) || isinf(value->real))
            return json_string(isnan(value->real) ? "NaN" : value->real > 0 ? "Infinity" : "-Infinity");
        return json_real(value->real);
    default:
        break;
    }
    mr_slice bytes = {value->data, value->size};
    json_t *text = text_json(bytes);
    return text != NULL ? text : json_null();
}

static mr_err decode(scan *self, mr_slice message, mr_error *ret_error)
{
    uint32_t id;
    mr_slice body;
    if (self->decoder != NULL)
        return sink_decode(self->decoder, message, self->values, ret_error);
    mr_err err = mr_wire_split(message, &id, &body, ret_error);
    return err == MR_OK ? mr_avro_decode(self->any, body, self->values, ret_error) : err;
}

static void put_values(scan *self, json_t *object, const mr_record *record)
{
    mr_error error;
    size_t count;
    if (self->schema == NULL || record->value.data == NULL) {
        put_bytes(object, "raw", "raw_base64", record->value);
        return;
    }
    if (decode(self, record->value, &error) != MR_OK) {
        json_object_set_new(object, "error", json_string(error.text));
        put_bytes(object, "raw", "raw_base64", record->value);
        return;
    }
    json_t *values = json_object();
    const mr_field *fields = mr_schema_fields(self->schema, &count);
    for (size_t i = 0; i < count; i++)
        json_object_set_new(values, fields[i].name, value_json(&fields[i], &self->values[i]));
    json_object_set_new(object, "values", values);
}

static void put_letter(json_t *object, const mr_record *record)
{
    put_header(object, "file", record, "millrace.file");
    put_number(object, "line", record, "millrace.line");
    put_header(object, "bytes", record, "millrace.bytes");
    put_number(object, "length", record, "millrace.length");
    put_header(object, "sha256", record, "millrace.sha256");
    put_header(object, "stage", record, "__connect.errors.stage");
    put_header(object, "reason", record, "__connect.errors.exception.message");
    put_header(object, "connector", record, "__connect.errors.connector.name");
    if (header(record, "__connect.errors.topic").data != NULL)
        put_header(object, "sink", record, "__connect.errors.connector.name");
    put_number(object, "record_partition", record, "__connect.errors.partition");
    put_number(object, "record_offset", record, "__connect.errors.offset");
    put_bytes(object, "raw", "raw_base64", record->value);
}

static mr_err show(scan *self, const char *topic, const mr_record *record, mr_error *ret_error)
{
    json_t *object =
        json_pack("{s:s, s:I, s:I, s:I}", "topic", topic, "partition", (json_int_t)record->partition,
                  "offset", (json_int_t)record->offset, "time", (json_int_t)record->timestamp_ms);
    if (object == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    put_run(object, record);
    if (self->rejected)
        put_letter(object, record);
    else
        put_values(self, object, record);
    int written = json_dumpf(object, self->out, JSON_COMPACT);
    json_decref(object);
    if (written != 0 || putc('\n', self->out) == EOF)
        return mr_fail(ret_error, MR_EIO, "the output cannot be written");
    return MR_OK;
}

static mr_err scan_partition(scan *self, const char *topic, int32_t partition, mr_bus_reader *reader,
                             int64_t end, mr_error *ret_error)
{
    mr_arena arena = {0};
    mr_err err = MR_OK;
    for (int64_t next = 0; err == MR_OK && next < end && self->left != 0;) {
        const mr_record *records;
        size_t count;
        mr_arena_reset(&arena);
        err = mr_bus_poll(reader, 256 * 1024, 0, &arena, &records, &count, ret_error);
        if (err == MR_OK && count == 0)
            break;
        for (size_t i = 0; err == MR_OK && i < count && self->left != 0; i++) {
            next = records[i].offset + 1;
            if (records[i].offset >= end)
                break;
            err = show(self, topic, &records[i], ret_error);
            self->left -= self->left > 0;
        }
    }
    mr_arena_fini(&arena);
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "%s partition %" PRId32, topic, partition);
}

static mr_err open_and_scan(scan *self, const char *topic, int32_t partition, mr_error *ret_error)
{
    mr_bus_reader *reader = NULL;
    int64_t first, end, from = mr_option_integer(inspect_topic_keys, self->config, "from");
    mr_err err = mr_bus_offsets(self->bus, topic, partition, &first, &end, ret_error);
    if (err == MR_OK)
        err = mr_bus_reader_open(self->bus, &reader, ret_error);
    if (err == MR_OK)
        err = mr_bus_assign(reader, topic, partition, from > first ? from : first, ret_error);
    if (err == MR_OK)
        err = scan_partition(self, topic, partition, reader, end, ret_error);
    mr_bus_reader_close(&reader);
    return err;
}

/* A topic that does not exist yet has no records. */
static mr_err scan_topic(scan *self, const char *name, mr_error *ret_error)
{
    char topic[512];
    int32_t partitions = 0;
    size_t size = strlen(name);
    bool suffixed = size > 9 && strcmp(name + size - 9, ".rejected") == 0;
    snprintf(topic, sizeof topic, "%s%s", name, self->rejected && !suffixed ? ".rejected" : "");
    mr_err err = mr_bus_partitions(self->bus, topic, &partitions, ret_error);
    if (err == MR_ENOTFOUND)
        return MR_OK;
    for (int32_t i = 0; err == MR_OK && i < partitions; i++)
        err = open_and_scan(self, topic, i, ret_error);
    return err;
}

static mr_err open_decoders(scan *self, mr_error *ret_error)
{
    size_t count;
    const char *schema = mr_props_get(self->config, "schema"),
               *schemas = mr_props_get(self->config, "schemas");
    int64_t id = mr_option_integer(inspect_topic_keys, self->config, "schema.id");
    if (schema == NULL || self->rejected)
        return MR_OK;
    mr_err err = mr_schema_parse(mr_slice_of(schema), NULL, NULL, &self->schema, ret_error);
    if (err != MR_OK)
        return err;
    (void)mr_schema_fields(self->schema, &count);
    if ((self->values = calloc(count, sizeof *self->values)) == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    if (schemas == NULL && id == 0)
        return mr_avro_decoder_open(self->schema, self->schema, &self->any, ret_error);
    return sink_decoder_open(schemas, self->schema, (uint32_t)id, &self->decoder, ret_error);
}

static mr_err scan_all(scan *self, mr_error *ret_error)
{
    const char *topic = mr_props_get(self->config, "topic");
    json_t *more = json_loads(mr_option_text(inspect_topic_keys, self->config, "topics"), 0, NULL);
    mr_err err = topic == NULL && json_array_size(more) == 0
                     ? mr_fail(ret_error, MR_EINVALID, "neither topic nor topics is given")
                     : MR_OK;
    if (err == MR_OK && topic != NULL)
        err = scan_topic(self, topic, ret_error);
    for (size_t i = 0; err == MR_OK && i < json_array_size(more); i++)
        err = scan_topic(self, json_string_value(json_array_get(more, i)), ret_error);
    json_decref(more);
    return err;
}

static mr_err run(const mr_props *config, bool rejected, FILE *out, mr_error *ret_error)
{
    int64_t limit = mr_option_integer(inspect_topic_keys, config, "limit");
    scan self = {.config = config, .out = out, .rejected = rejected, .left = limit == 0 ? -1 : limit};
    mr_err err = open_decoders(&self, ret_error);
    if (err == MR_OK)
        err = mr_bus_open(config, mr_props_get(config, "tenant"), NULL, &self.bus, ret_error);
    if (err == MR_OK)
        err = scan_all(&self, ret_error);
    else if (err == MR_ENOTFOUND)
        err = MR_OK; /* no records yet */
    mr_bus_close(&self.bus);
    sink_decoder_close(&self.decoder);
    mr_avro_decoder_close(&self.any);
    mr_schema_close(&self.schema);
    free(self.values);
    return err;
}

mr_err inspect_topic(const mr_props *config, FILE *out, mr_error *ret_error)
{
    return run(config, false, out, ret_error);
}

mr_err inspect_rejected(const mr_props *config, FILE *out, mr_error *ret_error)
{
    return run(config, true, out, ret_error);
}
