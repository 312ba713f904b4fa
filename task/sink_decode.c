#include "task/sink_decode.h"

#include <jansson.h>
#include <stdlib.h>

typedef struct writer_schema {
    uint32_t id;
    mr_schema *schema; /* NULL: the reader's own */
    mr_avro_decoder *decoder;
} writer_schema;

struct sink_decoder {
    writer_schema *schemas;
    size_t count;
    size_t last;     /* the one used last: records of one schema come in a row */
    uint32_t newest; /* ids grow with time */
};

static mr_err add(sink_decoder *self, uint32_t id, const mr_schema *writer, const mr_schema *reader,
                  mr_error *ret_error)
{
    writer_schema *slot = &self->schemas[self->count++];
    slot->id = id;
    if (id > self->newest)
        self->newest = id;
    mr_err err = mr_avro_decoder_open(writer, reader, &slot->decoder, ret_error);
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "schema %u", id);
}

static mr_err add_text(sink_decoder *self, const char *id, const json_t *text, const mr_schema *reader,
                       mr_error *ret_error)
{
    char *rest;
    unsigned long number = strtoul(id, &rest, 10);
    if (*id < '0' || *id > '9' || *rest != '\0' || number > UINT32_MAX || !json_is_string(text))
        return mr_fail(ret_error, MR_EINVALID, "schemas: \"%s\" is not a schema id with a text", id);
    mr_slice source = {json_string_value(text), json_string_length(text)};
    mr_err err = mr_schema_parse(source, NULL, NULL, &self->schemas[self->count].schema, ret_error);
    if (err != MR_OK)
        return mr_wrap(ret_error, err, "schemas: %s", id);
    return add(self, (uint32_t)number, self->schemas[self->count].schema, reader, ret_error);
}

static mr_err add_all(sink_decoder *self, const json_t *schemas, const mr_schema *reader, mr_error *ret_error)
{
    const char *id;
    json_t *text;
    json_object_foreach((json_t *)schemas, id, text)
    {
        mr_err err = add_text(self, id, text, reader, ret_error);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

mr_err sink_decoder_open(const char *schemas, const mr_schema *reader, uint32_t schema_id,
                         sink_decoder **ret_decoder, mr_error *ret_error)
{
    json_error_t where;
    json_t *json = schemas == NULL ? NULL : json_loads(schemas, JSON_REJECT_DUPLICATES, &where);
    if (schemas != NULL && !json_is_object(json)) {
        json_decref(json);
        return mr_fail(ret_error, MR_EINVALID, "schemas: not a JSON object from id to text");
    }
    sink_decoder *self = calloc(1, sizeof *self);
    if (self != NULL)
        self->schemas = calloc(json_object_size(json) + 1, sizeof *self->schemas);
    mr_err err =
        self == NULL || self->schemas == NULL ? mr_fail(ret_error, MR_ENOMEM, "out of memory") : MR_OK;
    if (err == MR_OK)
        err = schemas == NULL ? add(self, schema_id, reader, reader, ret_error)
                              : add_all(self, json, reader, ret_error);
    json_decref(json);
    if (err != MR_OK)
        sink_decoder_close(&self);
    else
        *ret_decoder = self;
    return err;
}

void sink_decoder_close(sink_decoder **decoder)
{
    sink_decoder *self = *decoder;
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->count; i++) {
        mr_avro_decoder_close(&self->schemas[i].decoder);
        mr_schema_close(&self->schemas[i].schema);
    }
    free(self->schemas);
    free(self);
    *decoder = NULL;
}

static writer_schema *find(sink_decoder *self, uint32_t id)
{
    if (self->last < self->count && self->schemas[self->last].id == id)
        return &self->schemas[self->last];
    for (size_t i = 0; i < self->count; i++) {
        if (self->schemas[i].id == id) {
            self->last = i;
            return &self->schemas[i];
        }
    }
    return NULL;
}

static mr_err unknown(const sink_decoder *self, uint32_t id, mr_error *ret_error)
{
    if (id > self->newest)
        return mr_fail(ret_error, MR_ENOTFOUND,
                       "schema id %u is newer than what this sink was told of (%u); it waits to be told", id,
                       self->newest);
    return mr_classify(
        ret_error, mr_fail(ret_error, MR_EINVALID, "schema id %u is not known to this dataset", id), MR_DATA);
}

mr_err sink_decode(sink_decoder *self, mr_slice message, mr_value *ret_row, mr_error *ret_error)
{
    uint32_t id;
    mr_slice body;
    mr_err err = mr_wire_split(message, &id, &body, ret_error);
    if (err != MR_OK)
        return err;
    writer_schema *writer = find(self, id);
    if (writer == NULL)
        return unknown(self, id, ret_error);
    return mr_avro_decode(writer->decoder, body, ret_row, ret_error);
}
