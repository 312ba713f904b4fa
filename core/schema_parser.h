/* schema_parser.h - what the files that parse a schema share; private to core/schema*.c. */
#ifndef MR_CORE_SCHEMA_PARSER_H
#define MR_CORE_SCHEMA_PARSER_H

#include "core/schema.h"

#include <jansson.h>

typedef struct named_type named_type;

typedef struct schema_parser {
    mr_schema *schema;
    mr_schema_warn warn; /* may be NULL */
    void *warn_arg;
    mr_error *error;       /* may be NULL */
    named_type *named;     /* those defined so far, the last first; in the schema's arena */
    const char *namespace; /* of the record around; "" */
    size_t nodes;
} schema_parser;

/* A place in the document: "fields[14].type". */
typedef struct schema_place {
    char path[80];
} schema_place;

schema_place schema_place_in(const schema_place *parent, const char *member);
schema_place schema_place_at(const schema_place *parent, size_t index);

void schema_warn(schema_parser *p, const schema_place *at, const char *text);

/* In the pool, with a NUL. */
const char *schema_keep(mr_schema *schema, const char *data, size_t size);
/* Letters, digits and _, no digit first. */
bool schema_is_name(const char *text);

/* schema_parse.c: the fields of a record at `parent`, which is `depth` levels down. */
mr_err schema_parse_fields(schema_parser *p, const schema_place *parent, const json_t *record, int depth,
                           size_t max, mr_field **ret_fields, size_t *ret_count);

/* schema_type.c: sets all but name and default of `field` from the type in the JSON of its parent at
 * `parent`, under `member`. */
mr_err schema_parse_type(schema_parser *p, const schema_place *parent, const json_t *json, const char *member,
                         int depth, mr_field *field);

/* schema_named.c: enum, fixed, record, and references to them. MR_ENOTFOUND: `name` is no such type. */
mr_err schema_parse_named(schema_parser *p, const schema_place *at, const json_t *json, int depth,
                          mr_field *field);
mr_err schema_refer(schema_parser *p, const schema_place *at, const char *name, int depth, mr_field *field);

/* schema_logical.c: what the logicalType in `object` makes of the field; one that does not fit is told and
 * dropped. */
mr_err schema_parse_logical(schema_parser *p, const schema_place *parent, const json_t *object,
                            mr_field *field);

/* schema_default.c: the default of the field at `parent`, when there is one. */
mr_err schema_parse_default(schema_parser *p, const schema_place *parent, const json_t *json,
                            mr_field *field);

#endif
