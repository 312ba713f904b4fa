/* log.h - one line per event on stderr, logfmt or JSON. The only global of the tree.
 *
 *     mr_log(MR_INFO, "run claimed", MR_STR("tenant", tenant), MR_INT("files", count));
 *     -> time=2026-03-01T12:00:00.123Z level=info event="run claimed" tenant=client_a files=2
 *
 * A quantity has its unit in its key (size_bytes, wait_ms). Thread: any; a line is one write(2).
 */
#ifndef MR_CORE_LOG_H
#define MR_CORE_LOG_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum mr_log_level { MR_DEBUG, MR_INFO, MR_WARN, MR_ERROR } mr_log_level;

typedef struct mr_log_field {
    const char *key; /* NULL ends a list */
    enum { MR_LOG_TEXT, MR_LOG_INTEGER, MR_LOG_REAL } kind;
    const char *text; /* NULL is printed as "" */
    int64_t integer;
    double real;
} mr_log_field;

#define MR_STR(k, v)  ((mr_log_field){.key = (k), .kind = MR_LOG_TEXT, .text = (v)})
#define MR_INT(k, v)  ((mr_log_field){.key = (k), .kind = MR_LOG_INTEGER, .integer = (int64_t)(v)})
#define MR_REAL(k, v) ((mr_log_field){.key = (k), .kind = MR_LOG_REAL, .real = (v)})

#define mr_log(level, event, ...)                                                                            \
    mr_log_write((level), (event), (const mr_log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = (const char *)0}})

void mr_log_write(mr_log_level level, const char *event, const mr_log_field *fields);

/* Adds error, code and class of `error` to the fields. */
#define mr_log_failure(level, event, err_ptr, ...)                                                           \
    mr_log((level), (event), __VA_ARGS__ __VA_OPT__(, ) MR_STR("error", (err_ptr)->text),                    \
           MR_STR("code", mr_err_name((err_ptr)->code)),                                                     \
           MR_STR("class", mr_err_class_name((err_ptr)->class)))

/* Set once, at the start of main. `format` is "logfmt" or "json"; `level` "debug", "info", "warn", "error".
 */
mr_err mr_log_configure(const char *format, const char *level, mr_error *ret_error);

/* Fields that every later line of this process carries (tenant, connector, task, ...). Copies both; at
 * most 8. Call before threads start. */
void mr_log_context(const char *key, const char *value);

#endif
