#include "core/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char warned[1000]; /* "field: text\n" of each */

static void on_warning(void *arg, const char *field, const char *text)
{
    (void)arg;
    size_t used = strlen(warned);
    snprintf(warned + used, sizeof warned - used, "%s: %s\n", field, text);
}

static mr_schema *parse(const char *text)
{
    mr_schema *schema = NULL;
    mr_error error;
    warned[0] = '\0';
    if (mr_schema_parse(mr_slice_of(text), on_warning, NULL, &schema, &error) != MR_OK)
        fail_msg("%s", error.text);
    return schema;
}

/* A record with these fields. */
static const char *record_of(const char *fields)
{
    static char text[4000];
    snprintf(text, sizeof text, "{\"type\":\"record\",\"name\":\"t\",\"fields\":[%s]}", fields);
    return text;
}

/* A record with field "a" of this type and attributes. */
static const char *field_of(const char *type)
{
    static char text[2000];
    snprintf(text, sizeof text, "{\"name\":\"a\",\"type\":%s}", type);
    return record_of(text);
}

static void assert_refused_bytes(const char *data, size_t size, const char *reason)
{
    mr_schema *schema = NULL;
    mr_error error;
    if (mr_schema_parse((mr_slice){data, size}, NULL, NULL, &schema, &error) != MR_EINVALID)
        fail_msg("accepted: %s", data);
    assert_null(schema);
    if (strstr(error.text, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, reason);
}

static void assert_refused(const char *text, const char *reason)
{
    assert_refused_bytes(text, strlen(text), reason);
}

static const char *const tenant_b =
    "{\"type\":\"record\",\"name\":\"product_reviews\",\"fields\":["
    "{\"name\":\"marketplace\",\"type\":\"string\"},{\"name\":\"star_rating\",\"type\":\"int\"},"
    "{\"name\":\"review_date\", \"type\": \"string\",\"logicalType\":\"date\"}]}";

static void fields_are_in_order_and_the_text_is_kept(void **state)
{
    (void)state;
    mr_schema *schema = parse(tenant_b);
    size_t count;
    const mr_field *fields = mr_schema_fields(schema, &count);
    assert_string_equal(mr_schema_name(schema), "product_reviews");
    assert_true(mr_slice_equal(mr_schema_text(schema), mr_slice_of(tenant_b)));
    assert_int_equal(count, 3);
    assert_string_equal(fields[1].name, "star_rating");
    assert_int_equal(fields[1].type, MR_TYPE_INT);
    assert_false(fields[1].nullable);
    assert_int_equal(mr_schema_find(schema, MR_SLICE_LITERAL("review_date")), 2);
    assert_int_equal(mr_schema_find(schema, MR_SLICE_LITERAL("review_dat")), -1);
    assert_int_equal(mr_schema_find(schema, MR_SLICE_LITERAL("REVIEW_DATE")), -1);
    mr_schema_close(&schema);
    assert_null(schema);
    mr_schema_close(&schema);
}

static void a_logical_type_that_does_not_fit_is_dropped_with_a_warning(void **state)
{
    (void)state;
    mr_schema *schema = parse(tenant_b);
    assert_string_equal(warned, "fields[2].logicalType: \"date\" does not fit type string; ignored\n");
    mr_schema_close(&schema);
    schema = parse(field_of("{\"type\":\"string\",\"logicalType\":\"timestamp-millis\"}"));
    assert_string_equal(
        warned, "fields[0].type.logicalType: \"timestamp-millis\" does not fit type string; ignored\n");
    mr_schema_close(&schema);
    schema = parse(field_of("[\"null\",{\"type\":\"int\",\"logicalType\":\"uuid\"}]"));
    assert_string_equal(warned, "fields[0].type[1].logicalType: \"uuid\" does not fit type int; ignored\n");
    mr_schema_close(&schema);
    schema = parse(field_of("{\"type\":\"int\",\"logicalType\":\"colour\"}, \"logicalType\": 5"));
    assert_string_equal(warned, "fields[0].type.logicalType: \"colour\" is unknown; ignored\n"
                                "fields[0].logicalType: is not a string; ignored\n");
    mr_schema_close(&schema);
}

static const mr_field *first_field(const mr_schema *schema)
{
    size_t count;
    return mr_schema_fields(schema, &count);
}

static void assert_type(const char *type, const char *words)
{
    char out[MR_TYPE_WORDS_BYTES];
    mr_schema *schema = parse(field_of(type));
    assert_string_equal(mr_type_words(first_field(schema), out), words);
    assert_string_equal(warned, "");
    mr_schema_close(&schema);
}

static void logical_types_are_those_of_the_specification(void **state)
{
    (void)state;
    assert_type("{\"type\":\"int\",\"logicalType\":\"date\"}", "date");
    assert_type("[\"null\",{\"type\":\"int\",\"logicalType\":\"time-millis\"}]", "time-millis");
    assert_type("{\"type\":\"long\",\"logicalType\":\"time-micros\"}", "time-micros");
    assert_type("[{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"null\"]", "timestamp-micros");
    assert_type("{\"type\":\"long\",\"logicalType\":\"timestamp-nanos\"}", "timestamp-nanos");
    assert_type("{\"type\":\"long\",\"logicalType\":\"local-timestamp-millis\"}", "local-timestamp-millis");
    assert_type("{\"type\":\"string\",\"logicalType\":\"uuid\"}", "uuid");
    assert_type("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}",
                "decimal(9, 2)");
    assert_type("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":76}", "decimal(76, 0)");
    assert_type("{\"type\":\"fixed\",\"name\":\"m\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":9}",
                "decimal(9, 0)");
    assert_refused(field_of("{\"type\":\"bytes\",\"logicalType\":\"big-decimal\"}"), "is not supported");
    assert_refused(field_of("{\"type\":\"fixed\",\"name\":\"d\",\"size\":12,\"logicalType\":\"duration\"}"),
                   "fields[0].type.logicalType: logical type \"duration\" is not supported");
    assert_refused(field_of("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":77}"),
                   "more than 76");
}

static void a_decimal_that_cannot_be_one_is_dropped_with_a_warning(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"\"bytes\"", "\"decimal\" needs a precision of at least 1; ignored"},
        {"\"bytes\",\"precision\":0", "needs a precision"},
        {"\"bytes\",\"precision\":\"9\"", "needs a precision"},
        {"\"bytes\",\"precision\":3,\"scale\":4", "needs a scale from 0 to its precision"},
        {"\"bytes\",\"precision\":3,\"scale\":-1", "needs a scale"},
        {"\"fixed\",\"name\":\"m\",\"size\":4,\"precision\":10", "has more digits than its bytes can hold"},
        {"\"long\",\"precision\":3", "\"decimal\" does not fit type long; ignored"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char type[200];
        snprintf(type, sizeof type, "{\"logicalType\":\"decimal\",\"type\":%s}", wrong[i][0]);
        mr_schema *schema = parse(field_of(type));
        assert_int_equal(first_field(schema)->logical, MR_LOGICAL_NONE);
        if (strstr(warned, wrong[i][1]) == NULL)
            fail_msg("%s", warned);
        mr_schema_close(&schema);
    }
}

static void a_logical_type_beside_its_type_is_taken_with_a_warning(void **state)
{
    (void)state;
    mr_schema *schema = parse(field_of("[\"null\",\"int\"],\"logicalType\":\"date\""));
    assert_int_equal(first_field(schema)->logical, MR_LOGICAL_DATE);
    assert_string_equal(warned, "fields[0].logicalType: stands beside the type; taken as part of it\n");
    mr_schema_close(&schema);
}

static void types_lie_in_each_other(void **state)
{
    (void)state;
    mr_schema *schema = parse(record_of(
        "{\"name\":\"place\",\"type\":{\"type\":\"record\",\"name\":\"Place\",\"fields\":["
        "{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"string\"]}},"
        "{\"name\":\"kind\",\"type\":{\"type\":\"enum\",\"name\":\"Kind\",\"symbols\":[\"A\",\"B\"],"
        "\"default\":\"A\"}}]}},"
        "{\"name\":\"others\",\"type\":[\"null\",{\"type\":\"map\",\"values\":\"Place\"}]},"
        "{\"name\":\"kind\",\"type\":\"Kind\"},{\"name\":\"id\",\"type\":{\"type\":\"fixed\",\"name\":"
        "\"Id\",\"size\":16}}"));
    const mr_field *fields = first_field(schema);
    const mr_shape *place = fields[0].shape;
    assert_int_equal(fields[0].type, MR_TYPE_RECORD);
    assert_int_equal(place->count, 2);
    assert_string_equal(place->fields[0].name, "tags");
    assert_int_equal(place->fields[0].type, MR_TYPE_ARRAY);
    assert_true(place->fields[0].shape->fields[0].nullable);
    assert_int_equal(place->depth, 2);
    assert_int_equal(fields[1].type, MR_TYPE_MAP);
    assert_true(fields[1].nullable);
    assert_ptr_equal(fields[1].shape->fields[0].shape, place);
    assert_int_equal(fields[1].shape->depth, 3);
    assert_int_equal(fields[1].shape->nodes, 1 + place->nodes);
    assert_int_equal(fields[2].type, MR_TYPE_ENUM);
    assert_string_equal(fields[2].shape->symbols[1], "B");
    assert_int_equal(fields[3].shape->size, 16);
    mr_schema_close(&schema);
}

static void names_of_types_have_a_namespace(void **state)
{
    (void)state;
    mr_schema *schema = parse(
        "{\"type\":\"record\",\"name\":\"t\",\"namespace\":\"a.b\",\"fields\":["
        "{\"name\":\"x\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}},"
        "{\"name\":\"y\",\"type\":\"a.b.F\"},{\"name\":\"z\",\"type\":{\"type\":\"record\",\"name\":\"c.R\","
        "\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"S\"]}}]}},"
        "{\"name\":\"w\",\"type\":\"c.E\"},{\"name\":\"v\",\"type\":\"F\"}]}");
    size_t count;
    const mr_field *fields = mr_schema_fields(schema, &count);
    assert_string_equal(fields[0].shape->name, "a.b.F");
    assert_ptr_equal(fields[1].shape, fields[0].shape);
    assert_ptr_equal(fields[4].shape, fields[0].shape);
    assert_string_equal(fields[3].shape->name, "c.E");
    mr_schema_close(&schema);
    assert_refused(
        "{\"type\":\"record\",\"name\":\"t\",\"namespace\":\"a\",\"fields\":[{\"name\":\"x\",\"type\":"
        "{\"type\":\"fixed\",\"name\":\"b.F\",\"size\":1}},{\"name\":\"y\",\"type\":\"F\"}]}",
        "unknown type \"F\"");
}

static void wrong_nested_types_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"{\"type\":\"array\"}", "fields[0].type: has no \"items\""},
        {"{\"type\":\"map\",\"values\":\"nothing\"}", "fields[0].type.values: unknown type \"nothing\""},
        {"{\"type\":\"array\",\"items\":\"null\"}", "holds nothing"},
        {"{\"type\":\"array\",\"items\":[\"int\",\"string\"]}", "a union must be of null and one other type"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[]}",
         "fields[0].type.fields: must be an array of at least"},
        {"{\"type\":\"record\",\"fields\":[]}", "fields[0].type: has no \"name\""},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":\"r\"}]}",
         "\"r\" holds itself"},
        {"{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},{\"name\":\"X\","
         "\"type\":\"int\"}]}",
         "fields[0].type.fields[1]: fields \"x\" and \"X\" differ only by case"},
        {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[]}", "must be an array of 1 to 10000 names"},
        {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"a\",\"a\"]}", "symbol \"a\" stands twice"},
        {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"a b\"]}", "symbols[0]: must be a name"},
        {"{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"a\"],\"default\":\"b\"}",
         "is no symbol of the enum"},
        {"{\"type\":\"fixed\",\"name\":\"f\",\"size\":0}",
         "fields[0].type.size: must be a number from 1 to 65536"},
        {"{\"type\":\"fixed\",\"name\":\"f\"}", "size: must be a number"},
        {"{\"type\":\"fixed\",\"name\":\"f g\",\"size\":1}", "name \"f g\" must be letters"},
        {"{\"type\":\"fixed\",\"name\":\"f\",\"namespace\":\"a..b\",\"size\":1}",
         "name \"a..b.f\" must be letters"},
        {"{\"type\":\"map\",\"values\":{\"type\":\"error\",\"name\":\"e\",\"fields\":[]}}",
         "unknown type \"error\""},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused(field_of(wrong[i][0]), wrong[i][1]);
    assert_refused(record_of("{\"name\":\"a\",\"type\":{\"type\":\"fixed\",\"name\":\"f\",\"size\":1}},"
                             "{\"name\":\"b\",\"type\":{\"type\":\"fixed\",\"name\":\"f\",\"size\":1}}"),
                   "\"f\" is defined twice");
}

static void nesting_has_bounds(void **state)
{
    (void)state;
    for (int depth = 16; depth <= 17; depth++) {
        mr_buf text = {0};
        for (int i = 1; i < depth; i++)
            assert_int_equal(mr_buf_printf(&text, "{\"type\":\"array\",\"items\":"), MR_OK);
        assert_int_equal(mr_buf_printf(&text, "\"int\""), MR_OK);
        for (int i = 1; i < depth; i++)
            assert_int_equal(mr_buf_printf(&text, "}"), MR_OK);
        assert_int_equal(mr_buf_append(&text, "", 1), MR_OK);
        if (depth == 16) {
            mr_schema *schema = parse(field_of(text.data));
            mr_schema_close(&schema);
        } else {
            assert_refused(field_of(text.data), "nested deeper than 16 levels");
        }
        mr_buf_fini(&text);
    }
    /* each record has two of the one before: 2^13 types in a few lines */
    mr_buf text = {0};
    assert_int_equal(
        mr_buf_printf(&text, "{\"name\":\"f0\",\"type\":{\"type\":\"record\",\"name\":\"R0\",\"fields\":"
                             "[{\"name\":\"x\",\"type\":\"int\"}]}}"),
        MR_OK);
    for (int i = 1; i < 13; i++)
        assert_int_equal(
            mr_buf_printf(&text,
                          ",{\"name\":\"f%d\",\"type\":{\"type\":\"record\",\"name\":\"R%d\",\"fields\":"
                          "[{\"name\":\"x\",\"type\":\"R%d\"},{\"name\":\"y\",\"type\":\"R%d\"}]}}",
                          i, i, i - 1, i - 1),
            MR_OK);
    assert_int_equal(mr_buf_append(&text, "", 1), MR_OK);
    assert_refused(record_of(text.data), "more than 4096 types");
    mr_buf_fini(&text);
}

static void assert_default(const char *type, const char *bytes, size_t size)
{
    mr_schema *schema = parse(field_of(type));
    const mr_value *value = &first_field(schema)->default_value;
    assert_true(mr_slice_equal((mr_slice){value->data, value->size}, (mr_slice){bytes, size}));
    mr_schema_close(&schema);
}

#define POINT                                                                                                \
    "{\"type\":\"record\",\"name\":\"P\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},"                     \
    "{\"name\":\"y\",\"type\":[\"null\",\"int\"],\"default\":null}]}"

static void defaults_of_nested_types_are_complete(void **state)
{
    (void)state;
    assert_default("{\"type\":\"array\",\"items\":\"int\"},\"default\":[]", "\0", 1);
    assert_default("{\"type\":\"array\",\"items\":\"int\"},\"default\":[1,-1]", "\4\2\1\0", 4);
    assert_default("{\"type\":\"map\",\"values\":\"string\"},\"default\":{\"k\":\"v\"}", "\2\2k\2v\0", 6);
    assert_default(POINT ",\"default\":{\"x\":3}", "\6\0", 2);
    assert_default("{\"type\":\"array\",\"items\":["
                   "\"int\",\"null\""
                   "]},\"default\":[5]",
                   "\2\0\12\0", 4);
    assert_default("{\"type\":\"fixed\",\"name\":\"F\",\"size\":2},\"default\":\"a\\u00ff\"", "a\xff", 2);
    mr_schema *schema =
        parse(field_of("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]},\"default\":\"B\""));
    assert_int_equal(first_field(schema)->default_value.integer, 1);
    mr_schema_close(&schema);
    static const char *const wrong[] = {
        POINT ",\"default\":{}",
        POINT ",\"default\":{\"x\":3,\"z\":1}",
        POINT ",\"default\":{\"x\":3,\"y\":4}",
        POINT ",\"default\":[3]",
        "{\"type\":\"array\",\"items\":\"int\"},\"default\":{}",
        "{\"type\":\"array\",\"items\":\"int\"},\"default\":[\"1\"]",
        "{\"type\":\"map\",\"values\":\"int\"},\"default\":{\"a\":null}",
        "{\"type\":\"fixed\",\"name\":\"F\",\"size\":2},\"default\":\"abc\"",
        "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]},\"default\":\"B\"",
        "{\"type\":\"int\",\"logicalType\":\"time-millis\"},\"default\":86400000",
        "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2},\"default\":\"d\"",
        "{\"type\":\"string\",\"logicalType\":\"uuid\"},\"default\":\"x\"",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused(field_of(wrong[i]), "fields[0].default: is not a valid ");
}

static void unions_of_null_and_a_primitive_are_nullable(void **state)
{
    (void)state;
    mr_schema *schema = parse(record_of(
        "{\"name\":\"a\",\"type\":[\"null\",\"long\"],\"default\":null},"
        "{\"name\":\"b\",\"type\":[{\"type\":\"bytes\"},\"null\"],\"default\":\"\\u00ff\\u0001a\"}"));
    size_t count;
    const mr_field *fields = mr_schema_fields(schema, &count);
    assert_true(fields[0].nullable && fields[0].null_first && fields[0].has_default);
    assert_int_equal(fields[0].type, MR_TYPE_LONG);
    assert_int_equal(fields[0].default_value.type, MR_TYPE_NULL);
    assert_true(fields[1].nullable && !fields[1].null_first);
    assert_int_equal(fields[1].default_value.type, MR_TYPE_BYTES);
    assert_int_equal(fields[1].default_value.size, 3);
    assert_memory_equal(fields[1].default_value.data,
                        "\xFF\x01"
                        "a",
                        3);
    mr_schema_close(&schema);
}

static void defaults_of_all_types_are_kept(void **state)
{
    (void)state;
    mr_schema *schema = parse(record_of("{\"name\":\"a\",\"type\":\"boolean\",\"default\":true},"
                                        "{\"name\":\"b\",\"type\":\"int\",\"default\":-2147483648},"
                                        "{\"name\":\"c\",\"type\":\"long\",\"default\":9223372036854775807},"
                                        "{\"name\":\"d\",\"type\":\"float\",\"default\":0.1},"
                                        "{\"name\":\"e\",\"type\":\"double\",\"default\":3},"
                                        "{\"name\":\"f\",\"type\":\"string\",\"default\":\"\"}"));
    size_t count;
    const mr_field *fields = mr_schema_fields(schema, &count);
    assert_int_equal(fields[0].default_value.integer, 1);
    assert_int_equal(fields[1].default_value.integer, INT32_MIN);
    assert_true(fields[2].default_value.integer == INT64_MAX);
    assert_true(fields[3].default_value.real == (double)0.1F);
    assert_true(fields[4].default_value.real == 3);
    assert_int_equal(fields[5].default_value.size, 0);
    mr_schema_close(&schema);
}

static void wrong_defaults_are_refused(void **state)
{
    (void)state;
    static const char *const types[] = {
        "\"int\",\"default\":2147483648",
        "\"int\",\"default\":1.0",
        "\"int\",\"default\":\"1\"",
        "\"int\",\"default\":null",
        "\"string\",\"default\":1",
        "\"boolean\",\"default\":0",
        "\"double\",\"default\":\"NaN\"",
        "\"float\",\"default\":1e39",
        "\"bytes\",\"default\":\"\\u0100\"",
        "[\"null\",\"int\"],\"default\":1",
        "[\"int\",\"null\"],\"default\":null",
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_refused(field_of(types[i]), "fields[0].default: is not a valid ");
}

static void texts_that_are_no_record_are_refused(void **state)
{
    (void)state;
    assert_refused("", "line 1");
    assert_refused("{\"type\":\n \"record\",}", "line 2, column");
    assert_refused("{\"type\":\"record\",\"type\":\"record\"}", "duplicate");
    assert_refused("{} {}", "end of file expected");
    assert_refused("[]", "\"type\": \"record\"");
    assert_refused("\"string\"", "line 1");
    assert_refused("{\"type\":\"array\"}", "\"type\": \"record\"");
    assert_refused("{\"type\":\"record\",\"fields\":[]}", "has no \"name\"");
    assert_refused("{\"type\":\"record\",\"name\":\"1st\",\"fields\":[]}", "name \"1st\"");
    assert_refused("{\"type\":\"record\",\"name\":\"t\"}", "at least one field");
    assert_refused(record_of(""), "at least one field");
    assert_refused(record_of("5"), "fields[0]: must be an object");
    assert_refused(record_of("{\"type\":\"int\"}"), "fields[0]: has no \"name\"");
    assert_refused(record_of("{\"name\":\"a\"}"), "field \"a\" has no type");
    assert_refused(record_of("{\"name\":\"a b\",\"type\":\"int\"}"), "name \"a b\"");
    assert_refused(record_of("{\"name\":\"\",\"type\":\"int\"}"), "name \"\"");
    assert_refused(record_of("{\"name\":\"gr\\u00fcn\",\"type\":\"int\"}"), "must be letters");
    assert_refused(field_of("\"text\""), "unknown type \"text\"");
    assert_refused(field_of("\"null\""), "holds nothing");
    assert_refused(field_of("5"), "must be a type's name");
    assert_refused(field_of("{\"type\":[\"null\",\"int\"]}"), "fields[0].type.type: must be a type's name");
    assert_refused_bytes("{\"type\":\"\xFF\"}", 11, "unable to decode byte 0xff");
    assert_refused_bytes("{}\0", 3, "line 1");
}

static void other_unions_are_refused(void **state)
{
    (void)state;
    static const char *const types[] = {"[]", "[\"int\"]", "[\"int\",\"long\"]", "[\"null\",\"null\"]",
                                        "[\"null\",\"int\",\"long\"]"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_refused(field_of(types[i]), "a union must be of null and one other type");
}

static void names_must_differ_by_more_than_case(void **state)
{
    (void)state;
    assert_refused(record_of("{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"a\",\"type\":\"int\"}"),
                   "stands twice");
    assert_refused(record_of("{\"name\":\"aB\",\"type\":\"int\"},{\"name\":\"Ab\",\"type\":\"int\"}"),
                   "\"aB\" and \"Ab\" differ only by case");
}

static void a_schema_has_bounds(void **state)
{
    (void)state;
    mr_buf text = {0};
    assert_int_equal(mr_buf_printf(&text, "{\"type\":\"record\",\"name\":\"t\",\"fields\":["), MR_OK);
    size_t start = text.size;
    for (int count = 1000; count <= 1001; count++) {
        text.size = start;
        for (int i = 0; i < count; i++)
            assert_int_equal(
                mr_buf_printf(&text, "%s{\"name\":\"f%d\",\"type\":\"int\"}", i > 0 ? "," : "", i), MR_OK);
        assert_int_equal(mr_buf_append(&text, "]}", 3), MR_OK);
        if (count > 1000) {
            assert_refused_bytes(text.data, text.size - 1, "1001 are more than 1000");
        } else {
            mr_schema *schema = parse(text.data);
            mr_schema_close(&schema);
        }
    }
    text.size = 0;
    for (int i = 0; i < 70000; i++)
        assert_int_equal(mr_buf_append(&text, "[", 1), MR_OK);
    assert_refused_bytes(text.data, text.size, "70000 bytes are more than 65536");
    assert_refused_bytes(text.data, 60000, "depth");
    mr_buf_fini(&text);
}

static void a_full_name_gives_its_last_part(void **state)
{
    (void)state;
    mr_schema *schema =
        parse("{\"type\":\"record\",\"name\":\"org.example.t2\",\"namespace\":\"x\",\"doc\":\"d\",\"fields\":"
              "[{\"name\":\"_a\",\"type\":\"int\",\"doc\":\"x\",\"order\":\"ignore\"}]}");
    assert_string_equal(mr_schema_name(schema), "t2");
    mr_schema_close(&schema);
}

static void assert_follows(const char *last_fields, const char *next_fields, const char *difference)
{
    mr_schema *last = parse(record_of(last_fields));
    mr_schema *next = parse(record_of(next_fields));
    mr_error error;
    mr_err err = mr_schema_may_follow(last, next, &error);
    assert_int_equal(err, difference == NULL ? MR_OK : MR_EEXISTS);
    if (difference != NULL && strstr(error.text, difference) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, difference);
    mr_schema_close(&last);
    mr_schema_close(&next);
}

#define A      "{\"name\":\"a\",\"type\":\"int\"}"
#define A_LONG "{\"name\":\"a\",\"type\":\"long\"}"
#define A_NULL "{\"name\":\"a\",\"type\":[\"null\",\"int\"]}"
#define A_DOC  "{\"name\":\"a\",\"type\":{\"type\":\"int\"},\"doc\":\"first\"}"
#define B      "{\"name\":\"b\",\"type\":\"string\",\"default\":\"x\"}"
#define B_DEF  "{\"name\":\"b\",\"type\":\"string\",\"default\":\"y\"}"
#define N      "{\"name\":\"n\",\"type\":[\"null\",\"int\"]}"
#define N_LAST "{\"name\":\"n\",\"type\":[\"int\",\"null\"]}"

static void a_next_schema_may_only_add_nullable_fields(void **state)
{
    (void)state;
    assert_follows(A "," B, A "," B, NULL);
    assert_follows(A "," B, A_DOC "," B, NULL);
    assert_follows(A "," B, A "," B "," N, NULL);
    assert_follows(A "," B, N "," A "," B, NULL);
    assert_follows(A "," B, A "," N "," B, NULL);
    assert_follows(A, A "," B, "the added field \"b\" must be nullable");
    assert_follows(A "," B, A, "field \"b\" is missing");
    assert_follows(A "," B, B, "field \"a\" is missing");
    assert_follows(A "," B, B "," A, "field \"a\" has moved");
    assert_follows(A, A_LONG, "field \"a\" was int and cannot become long");
    assert_follows(A, A_NULL, "field \"a\" was int and cannot become [null, int]");
    assert_follows(N, N_LAST, "field \"n\" was [null, int] and cannot become [int, null]");
    assert_follows(B, B_DEF, "the default of field \"b\" cannot change");
}

static void another_name_cannot_follow(void **state)
{
    (void)state;
    mr_schema *last = parse(record_of(A));
    mr_schema *next = parse("{\"type\":\"record\",\"name\":\"u\",\"fields\":[" A "]}");
    mr_error error;
    assert_int_equal(mr_schema_may_follow(last, next, &error), MR_EEXISTS);
    assert_non_null(strstr(error.text, "\"t\" and cannot become \"u\""));
    mr_schema_close(&last);
    mr_schema_close(&next);
}

static void a_key_has_the_given_columns_in_their_order(void **state)
{
    (void)state;
    mr_schema *schema = parse(record_of(A "," N "," B));
    mr_schema *key = NULL;
    mr_error error;
    assert_int_equal(mr_schema_key(schema, (int[]){2, 0}, 2, &key, &error), MR_OK);
    assert_string_equal(mr_schema_name(key), "t_key");
    assert_true(mr_slice_equal(
        mr_schema_text(key),
        MR_SLICE_LITERAL("{\"type\":\"record\",\"name\":\"t_key\",\"fields\":"
                         "[{\"name\":\"b\",\"type\":\"string\"},{\"name\":\"a\",\"type\":\"int\"}]}")));
    mr_schema_close(&key);
    assert_int_equal(mr_schema_key(schema, (int[]){0, 1}, 2, &key, &error), MR_EINVALID);
    assert_non_null(strstr(error.text, "key column \"n\" of schema \"t\" must not be nullable"));
    assert_int_equal(mr_schema_key(schema, (int[]){3}, 1, &key, &error), MR_EINVALID);
    assert_int_equal(mr_schema_key(schema, (int[]){0, 0}, 2, &key, &error), MR_EINVALID);
    assert_int_equal(mr_schema_key(schema, NULL, 0, &key, &error), MR_EINVALID);
    assert_null(key);
    mr_schema_close(&schema);
}

static void assert_cannot_follow(const char *was, const char *is, const char *reason)
{
    char text[2000];
    mr_error error;
    snprintf(text, sizeof text, "%s", field_of(was));
    mr_schema *last = parse(text), *next = parse(field_of(is));
    assert_int_equal(mr_schema_may_follow(last, last, &error), MR_OK);
    assert_int_equal(mr_schema_may_follow(last, next, &error), MR_EEXISTS);
    assert_string_equal(error.text, reason);
    mr_schema_close(&last);
    mr_schema_close(&next);
}

static void nested_types_cannot_change(void **state)
{
    (void)state;
    assert_cannot_follow("\"int\"", "{\"type\":\"int\",\"logicalType\":\"date\"}",
                         "field \"a\" was int and cannot become date");
    assert_cannot_follow("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}",
                         "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":10,\"scale\":2}",
                         "field \"a\" was decimal(9, 2) and cannot become decimal(10, 2)");
    assert_cannot_follow("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}",
                         "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}",
                         "what is inside field \"a\" (enum E) cannot change");
    assert_cannot_follow("{\"type\":\"fixed\",\"name\":\"E\",\"size\":3}",
                         "{\"type\":\"fixed\",\"name\":\"E\",\"size\":4}",
                         "what is inside field \"a\" (fixed E) cannot change");
    assert_cannot_follow("[\"null\",{\"type\":\"array\",\"items\":\"int\"}]",
                         "[\"null\",{\"type\":\"array\",\"items\":[\"null\",\"int\"]}]",
                         "what is inside field \"a\" ([null, array]) cannot change");
    assert_cannot_follow(POINT,
                         "{\"type\":\"record\",\"name\":\"P\",\"fields\":[{\"name\":\"x\",\"type\":\"int\"},"
                         "{\"name\":\"y\",\"type\":[\"null\",\"int\"]}]}",
                         "what is inside field \"a\" (record P) cannot change");
}

static void a_key_may_have_logical_types_but_nothing_nested(void **state)
{
    (void)state;
    mr_schema *key = NULL, *again = NULL;
    mr_error error;
    mr_schema *schema = parse(
        record_of("{\"name\":\"day\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
                  "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"x.E\",\"symbols\":[\"A\",\"B\"]}},"
                  "{\"name\":\"f\",\"type\":\"x.E\"},{\"name\":\"m\",\"type\":{\"type\":\"fixed\",\"name\":"
                  "\"M\",\"size\":4,"
                  "\"logicalType\":\"decimal\",\"precision\":5,\"scale\":1}},"
                  "{\"name\":\"list\",\"type\":{\"type\":\"array\",\"items\":\"int\"}}"));
    assert_int_equal(mr_schema_key(schema, (int[]){2, 0, 1, 3}, 4, &key, &error), MR_OK);
    const char *expected =
        "{\"type\":\"record\",\"name\":\"t_key\",\"fields\":[{\"name\":\"f\",\"type\":{\"type\":\"enum\","
        "\"name\":\"x.E\",\"symbols\":[\"A\",\"B\"]}},{\"name\":\"day\",\"type\":{\"type\":\"int\","
        "\"logicalType\":\"date\"}},{\"name\":\"e\",\"type\":\"x.E\"},{\"name\":\"m\",\"type\":{\"type\":"
        "\"fixed\",\"name\":\"M\",\"size\":4,\"logicalType\":\"decimal\",\"precision\":5,\"scale\":1}}]}";
    assert_true(mr_slice_equal(mr_schema_text(key), mr_slice_of(expected)));
    assert_int_equal(mr_schema_key(schema, (int[]){4}, 1, &again, &error), MR_EINVALID);
    assert_non_null(
        strstr(error.text, "key column \"list\" of schema \"t\" must not be a record, an array or a map"));
    mr_schema_close(&key);
    mr_schema_close(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_in_order_and_the_text_is_kept),
        cmocka_unit_test(a_logical_type_that_does_not_fit_is_dropped_with_a_warning),
        cmocka_unit_test(logical_types_are_those_of_the_specification),
        cmocka_unit_test(a_decimal_that_cannot_be_one_is_dropped_with_a_warning),
        cmocka_unit_test(a_logical_type_beside_its_type_is_taken_with_a_warning),
        cmocka_unit_test(types_lie_in_each_other),
        cmocka_unit_test(names_of_types_have_a_namespace),
        cmocka_unit_test(wrong_nested_types_are_refused),
        cmocka_unit_test(nesting_has_bounds),
        cmocka_unit_test(defaults_of_nested_types_are_complete),
        cmocka_unit_test(nested_types_cannot_change),
        cmocka_unit_test(a_key_may_have_logical_types_but_nothing_nested),
        cmocka_unit_test(unions_of_null_and_a_primitive_are_nullable),
        cmocka_unit_test(defaults_of_all_types_are_kept),
        cmocka_unit_test(wrong_defaults_are_refused),
        cmocka_unit_test(texts_that_are_no_record_are_refused),
        cmocka_unit_test(other_unions_are_refused),
        cmocka_unit_test(names_must_differ_by_more_than_case),
        cmocka_unit_test(a_schema_has_bounds),
        cmocka_unit_test(a_full_name_gives_its_last_part),
        cmocka_unit_test(a_next_schema_may_only_add_nullable_fields),
        cmocka_unit_test(another_name_cannot_follow),
        cmocka_unit_test(a_key_has_the_given_columns_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
