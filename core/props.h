/* props.h - configuration as ordered key=value properties, in files like Kafka Connect's.
 *
 * Source of the file format: java.util.Properties (comments with # and !, key=value or key:value, a line that
 * ends in a backslash goes on, the escapes \t \n \r \\ \= \: \# \! and \uXXXX). Keys are unique.
 */
#ifndef MR_CORE_PROPS_H
#define MR_CORE_PROPS_H

#include "core/slice.h"

typedef struct mr_props mr_props;

mr_err mr_props_open(mr_props **ret_props); /* empty; MR_ENOMEM */
void mr_props_close(mr_props **props);      /* NULL-safe */

/* Adds what the file holds, all or nothing; replaces what was set before. Errors name file and line: no key,
 * a key twice in the file, over 1 MiB or 4,096 keys, NUL, invalid UTF-8. */
mr_err mr_props_load(mr_props *props, const char *path, mr_error *ret_error);
/* As load, from memory; `name` stands for the path in errors. */
mr_err mr_props_parse(mr_props *props, const char *name, mr_slice text, mr_error *ret_error);

mr_err mr_props_set(mr_props *props, const char *key, const char *value); /* copies; replaces */
const char *mr_props_get(const mr_props *props, const char *key); /* NULL when absent; valid until set */
size_t mr_props_count(const mr_props *props);
void mr_props_at(const mr_props *props, size_t index, const char **ret_key, const char **ret_value);

/* Replaces ${env:NAME} and ${file:PATH:KEY} (KEY of a properties file) in all values. Only a task does this;
 * the result is never stored, logged or returned. Errors name the key, never the secret. */
mr_err mr_props_resolve(mr_props *props, mr_error *ret_error);

#endif
