/* schema_parser.h - what the files that parse a schema share; private to core/schema*.c. */
#ifndef MR_CORE_SCHEMA_PARSER_H
#define MR_CORE_SCHEMA_PARSER_H

#include "core/schema.h"

#include <jansson.h>

typedef struct schema_parser {
    mr_schema *schema;
    mr_schema_warn warn; /* may be NULL */
    void *warn_arg;
    mr_error *error; /* may be NULL */
} schema_parser;

/* A place in the document: "fields[14].type". */
typedef struct schema_place {
    char path[80];
} schema_place;

schema_place schema_place_in(const schema_place *parent, const char *member);
schema_place schema_place_at(const schema_place *parent, size_t index);

/* Sets type, nullable and null_first of `field` (its name is set) from the field's JSON at `parent`. */
mr_err schema_parse_type(schema_parser *p, const schema_place *parent, const json_t *json, mr_field *field);

#endif
