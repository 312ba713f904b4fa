/* inspect_csv.c - rejected rows as a CSV file that a tenant mends and uploads again: the schema's columns in
 * the dataset's dialect, and behind them columns that an upload passes over: reason, file and line.
 *
 * A row that does not fall into its columns has them empty; what it was stands in a further column, and one
 * cell too many sees to it that it is rejected again rather than stored empty if nobody mends it. A dataset
 * whose files have no header gets the bare rows: whatever else would be there would be taken for data.
 */
#include "bus/bus.h"
#include "core/plain_value.h"
#include "core/text_value.h"
#include "task/csv_writer.h"
#include "task/inspect.h"
#include "task/letter_rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

enum { POLL_BYTES = 256 * 1024, NUMBER_BYTES = 40, NAME_BYTES = 32 };

static const char mend_me[] = "mend this row and remove this cell";

const mr_option inspect_csv_keys[] = {
    {.name = "bus", .type = MR_OPTION_TEXT, .default_value = "embedded", .help = "Which bus: embedded."},
    {.name = "bus.dir", .type = MR_OPTION_TEXT, .help = "Folder of the embedded bus."},
    {.name = "tenant", .type = MR_OPTION_TEXT, .required = true, .help = "Id of the tenant."},
    {.name = "topic", .type = MR_OPTION_TEXT, .required = true, .help = "Topic of the dataset."},
    {.name = "run", .type = MR_OPTION_TEXT, .help = "Identity of a run: only what it rejected."},
    {.name = "schema", .type = MR_OPTION_TEXT, .required = true, .help = "Avro schema of the dataset."},
    {.name = "schema.id",
     .type = MR_OPTION_INTEGER,
     .default_value = "0",
     .maximum = UINT32_MAX,
     .help = "Id of that schema."},
    {.name = "schemas", .type = MR_OPTION_TEXT, .help = "JSON object from id to text of all schemas."},
    {.name = "csv.delimiter",
     .type = MR_OPTION_CHAR,
     .default_value = ",",
     .help = "Byte between two cells."},
    {.name = "csv.quote",
     .type = MR_OPTION_CHAR,
     .default_value = "\"",
     .help = "Byte around a quoted cell."},
    {.name = "csv.first.row.as.header",
     .type = MR_OPTION_BOOLEAN,
     .default_value = "true",
     .help = "Whether files of the dataset have a header; else only the rows are written."},
    {.name = "csv.null.values",
     .type = MR_OPTION_LIST,
     .default_value = "[]",
     .help = "Texts that stand for null."},
    {0},
};

typedef struct csv_download {
    const mr_props *config;
    const char *run; /* NULL: of all */
    bool has_header;
    mr_schema *schema;
    const mr_field *fields;
    size_t field_count;
    letter_rows *rows;
    mr_arena arena;
    csv_writer writer;
} csv_download;

/* --- the header --- */

static bool has_field(const csv_download *self, const char *name)
{
    for (size_t i = 0; i < self->field_count; i++)
        if (strcasecmp(self->fields[i].name, name) == 0)
            return true;
    return false;
}

static void write_header(csv_download *self)
{
    static const char *const extra[] = {"rejected_reason", "rejected_file", "rejected_line", "rejected_row"};
    for (size_t i = 0; i < self->field_count; i++)
        csv_write(&self->writer, mr_slice_of(self->fields[i].name), false);
    for (size_t i = 0; i < sizeof extra / sizeof *extra; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s", extra[i]);
        while (has_field(self, name) && strlen(name) + 1 < sizeof name)
            strcat(name, "_");
        csv_write(&self->writer, mr_slice_of(name), false);
    }
    csv_end_row(&self->writer);
}

/* --- cells --- */

/* A value as a cell that is read as that value; false for one that CSV cannot hold. `number` has
 * NUMBER_BYTES. */
static bool value_text(const mr_value *value, char *number, mr_slice *ret_text)
{
    *ret_text = (mr_slice){number, 0};
    if (value->type == MR_TYPE_NULL)
        return true;
    if (value->type == MR_TYPE_STRING || value->type == MR_TYPE_BYTES) {
        *ret_text = (mr_slice){value->data, value->size};
        return true;
    }
    int size = -1;
    if (value->type == MR_TYPE_BOOLEAN)
        size = snprintf(number, NUMBER_BYTES, "%s", value->integer != 0 ? "true" : "false");
    else if (value->type == MR_TYPE_INT || value->type == MR_TYPE_LONG)
        size = snprintf(number, NUMBER_BYTES, "%" PRId64, value->integer);
    else if ((value->type == MR_TYPE_FLOAT || value->type == MR_TYPE_DOUBLE) && isnan(value->real))
        size = snprintf(number, NUMBER_BYTES, "NaN");
    else if ((value->type == MR_TYPE_FLOAT || value->type == MR_TYPE_DOUBLE) && isinf(value->real))
        size = snprintf(number, NUMBER_BYTES, "%sInfinity", value->real < 0 ? "-" : "");
    else if (value->type == MR_TYPE_FLOAT || value->type == MR_TYPE_DOUBLE)
        size = snprintf(number, NUMBER_BYTES, "%.*g", value->type == MR_TYPE_FLOAT ? 9 : 17, value->real);
    ret_text->size = size > 0 ? (size_t)size : 0;
    return size > 0;
}

/* A record that a sink did not take. An empty text is in quotes: bare it could stand for null. */
static mr_err write_values(csv_download *self, const dead_letter *letter, bool *ret_written,
                           mr_error *ret_error)
{
    const mr_value *read;
    char number[NUMBER_BYTES];
    mr_slice text;
    mr_err err = letter_rows_convert(self->rows, letter, &self->arena, &read, ret_error);
    if (err != MR_OK)
        return err;
    mr_value *values = mr_arena_alloc(&self->arena, self->field_count * sizeof *values);
    if (values == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    for (size_t i = 0; i < self->field_count && err == MR_OK; i++)
        err = mr_plain_value(&self->fields[i], &read[i], &self->arena, &values[i], ret_error);
    if (err != MR_OK)
        return err;
    for (size_t i = 0; i < self->field_count; i++)
        if (!value_text(&values[i], number, &text) || !csv_can_write(&self->writer, text))
            return MR_OK;
    for (size_t i = 0; i < self->field_count; i++) {
        (void)value_text(&values[i], number, &text);
        csv_write(&self->writer, text, values[i].type != MR_TYPE_NULL && text.size == 0);
    }
    *ret_written = true;
    return MR_OK;
}

static mr_err write_cells(csv_download *self, const dead_letter *letter, bool *ret_written,
                          mr_error *ret_error)
{
    const mr_csv_field *const *cells;
    mr_err err = letter_rows_cells(self->rows, letter, &cells, ret_error);
    if (err != MR_OK)
        return err;
    for (size_t i = 0; i < self->field_count; i++)
        if (cells[i] != NULL && !csv_can_write(&self->writer, cells[i]->text))
            return MR_OK;
    for (size_t i = 0; i < self->field_count; i++)
        csv_write(&self->writer, cells[i] != NULL ? cells[i]->text : (mr_slice){"", 0},
                  cells[i] != NULL && cells[i]->quoted);
    *ret_written = true;
    return MR_OK;
}

/* --- rows --- */

static void write_place(csv_download *self, const dead_letter *letter)
{
    char line[NUMBER_BYTES] = "";
    if (letter->line > 0)
        snprintf(line, sizeof line, "%" PRId64, letter->line);
    csv_write_note(&self->writer, letter->reason != NULL ? letter->reason : "");
    csv_write_note(&self->writer, letter->file != NULL ? letter->file : "");
    csv_write_note(&self->writer, line);
}

/* As the bytes that it was. */
static void write_whole(csv_download *self, const dead_letter *letter)
{
    mr_slice raw = letter->topic == NULL ? letter->value : MR_SLICE_LITERAL("(a record, not text)");
    if (!self->has_header) {
        (void)fwrite(raw.data, 1, raw.size, self->writer.out);
        return;
    }
    for (size_t i = 0; i < self->field_count; i++)
        csv_write(&self->writer, (mr_slice){"", 0}, false);
    write_place(self, letter);
    csv_write(&self->writer, raw, true);
    csv_write_note(&self->writer, mend_me);
}

static mr_err write_row(csv_download *self, const dead_letter *letter, mr_error *ret_error)
{
    bool written = false;
    mr_error why;
    mr_err err = letter->topic != NULL ? write_values(self, letter, &written, &why)
                                       : write_cells(self, letter, &written, &why);
    if (err != MR_OK && why.class != MR_DATA) {
        if (ret_error != NULL)
            *ret_error = why;
        return err;
    }
    if (!written) {
        write_whole(self, letter);
    } else if (self->has_header) {
        write_place(self, letter);
        csv_write_note(&self->writer, "");
    }
    csv_end_row(&self->writer);
    return ferror(self->writer.out) ? mr_fail(ret_error, MR_EIO, "the output cannot be written") : MR_OK;
}

static mr_err write_letters(csv_download *self, mr_bus_reader *reader, int64_t end, mr_error *ret_error)
{
    mr_err err = MR_OK;
    for (int64_t next = 0; err == MR_OK && next < end;) {
        const mr_record *records;
        size_t count;
        mr_arena_reset(&self->arena);
        err = mr_bus_poll(reader, POLL_BYTES, 0, &self->arena, &records, &count, ret_error);
        if (err == MR_OK && count == 0)
            break;
        for (size_t i = 0; err == MR_OK && i < count && records[i].offset < end; i++) {
            dead_letter letter;
            err = dead_letter_read(&records[i], &self->arena, &letter, ret_error);
            if (err == MR_OK && (self->run == NULL || strcmp(self->run, letter.run_uid) == 0))
                err = write_row(self, &letter, ret_error);
        }
        next = err == MR_OK ? records[count - 1].offset + 1 : end;
    }
    return err;
}

static mr_err read_topic(csv_download *self, mr_bus *bus, mr_error *ret_error)
{
    char topic[512];
    int64_t first, end;
    mr_bus_reader *reader = NULL;
    snprintf(topic, sizeof topic, "%s.rejected", mr_props_get(self->config, "topic"));
    mr_err err = mr_bus_offsets(bus, topic, 0, &first, &end, ret_error);
    if (err == MR_ENOTFOUND)
        return MR_OK; /* nothing was ever rejected */
    if (err == MR_OK)
        err = mr_bus_reader_open(bus, &reader, ret_error);
    if (err == MR_OK)
        err = mr_bus_assign(reader, topic, 0, first, ret_error);
    if (err == MR_OK)
        err = write_letters(self, reader, end, ret_error);
    mr_bus_reader_close(&reader);
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "%s", topic);
}

static mr_err open_rows(csv_download *self, mr_error *ret_error)
{
    const mr_props *config = self->config;
    mr_err err =
        mr_schema_parse(mr_slice_of(mr_props_get(config, "schema")), NULL, NULL, &self->schema, ret_error);
    if (err != MR_OK)
        return err;
    self->fields = mr_schema_fields(self->schema, &self->field_count);
    const letter_rows_spec spec = {
        .schema = self->schema,
        .schema_id = (uint32_t)mr_option_integer(inspect_csv_keys, config, "schema.id"),
        .schemas = mr_props_get(config, "schemas"),
        .file_type = "csv",
        .null_values = mr_option_text(inspect_csv_keys, config, "csv.null.values"),
    };
    return letter_rows_open(&spec, &self->rows, ret_error);
}

mr_err inspect_rejected_csv(const mr_props *config, FILE *out, mr_error *ret_error)
{
    mr_bus *bus = NULL;
    csv_download self = {
        .config = config,
        .run = mr_props_get(config, "run"),
        .has_header = mr_option_boolean(inspect_csv_keys, config, "csv.first.row.as.header"),
        .writer = {.out = out,
                   .dialect = {.delimiter = mr_option_char(inspect_csv_keys, config, "csv.delimiter"),
                               .quote = mr_option_char(inspect_csv_keys, config, "csv.quote")}},
    };
    mr_err err = open_rows(&self, ret_error);
    if (err == MR_OK && self.has_header)
        write_header(&self);
    if (err == MR_OK)
        err = mr_bus_open(config, mr_props_get(config, "tenant"), NULL, &bus, ret_error);
    if (err == MR_OK)
        err = read_topic(&self, bus, ret_error);
    else if (err == MR_ENOTFOUND)
        err = MR_OK; /* no bus yet */
    mr_bus_close(&bus);
    letter_rows_close(&self.rows);
    mr_schema_close(&self.schema);
    mr_arena_fini(&self.arena);
    return err;
}
