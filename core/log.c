#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, CONTEXT_FIELDS = 8, CONTEXT_BYTES = 128 };

static struct {
    bool json;
    mr_log_level level;
    size_t context_count;
    char context_key[CONTEXT_FIELDS][CONTEXT_BYTES];
    char context_value[CONTEXT_FIELDS][CONTEXT_BYTES];
} logger = {.level = MR_INFO};

typedef struct line {
    char data[LINE_BYTES];
    size_t size;
} line;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void put(line *l, const char *data, size_t size)
{
    size_t room = sizeof l->data - 1 - l->size; /* one byte stays for the newline */
    if (size > room)
        size = room;
    memcpy(l->data + l->size, data, size);
    l->size += size;
}

static void put_text(line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* Quoted as in JSON, which logfmt readers take as well. */
static void put_quoted(line *l, const char *text)
{
    put_text(l, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char escape[8];
        if (c == '"' || c == '\\') {
            put(l, (char[]){'\\', (char)c}, 2);
        } else if (c == '\n') {
            put_text(l, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            put_text(l, escape);
        } else {
            put(l, text, 1);
        }
    }
    put_text(l, "\"");
}

static bool needs_quotes(const char *text)
{
    if (*text == '\0')
        return true;
    for (; *text != '\0'; text++)
        if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' || *text == 0x7f)
            return true;
    return false;
}

static void put_key(line *l, const char *key)
{
    if (logger.json) {
        put_text(l, l->size == 0 ? "{\"" : ",\"");
        put_text(l, key);
        put_text(l, "\":");
    } else {
        if (l->size > 0)
            put_text(l, " ");
        put_text(l, key);
        put_text(l, "=");
    }
}

static void put_string_field(line *l, const char *key, const char *value)
{
    if (value == NULL)
        value = "";
    put_key(l, key);
    if (logger.json || needs_quotes(value))
        put_quoted(l, value);
    else
        put_text(l, value);
}

static void put_field(line *l, const mr_log_field *field)
{
    char number[40];
    switch (field->kind) {
    case MR_LOG_TEXT:
        put_string_field(l, field->key, field->text);
        return;
    case MR_LOG_INTEGER:
        snprintf(number, sizeof number, "%" PRId64, field->integer);
        break;
    case MR_LOG_REAL:
        snprintf(number, sizeof number, "%.6g", field->real);
        break;
    }
    put_key(l, field->key);
    put_text(l, number);
}

void mr_log_write(mr_log_level level, const char *event, const mr_log_field *fields)
{
    if (level < logger.level)
        return;
    line l = {.size = 0};
    struct timespec now;
    struct tm utc;
    char stamp[40], when[64];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(when, sizeof when, "%s.%03ldZ", stamp, now.tv_nsec / 1000000);
    put_string_field(&l, "time", when);
    put_string_field(&l, "level", level_names[level]);
    put_string_field(&l, "event", event);
    for (size_t i = 0; i < logger.context_count; i++)
        put_string_field(&l, logger.context_key[i], logger.context_value[i]);
    for (; fields->key != NULL; fields++)
        put_field(&l, fields);
    if (logger.json)
        put_text(&l, "}");
    l.data[l.size++] = '\n';
    ssize_t written = write(STDERR_FILENO, l.data, l.size);
    (void)written; /* nobody to tell */
}

mr_err mr_log_configure(const char *format, const char *level, mr_error *ret_error)
{
    bool json = strcmp(format, "json") == 0;
    if (!json && strcmp(format, "logfmt") != 0)
        return mr_fail(ret_error, MR_EINVALID, "log.format: \"%s\" is neither logfmt nor json", format);
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(level, level_names[i]) == 0) {
            logger.json = json;
            logger.level = (mr_log_level)i;
            return MR_OK;
        }
    }
    return mr_fail(ret_error, MR_EINVALID, "log.level: \"%s\" is none of debug, info, warn, error", level);
}

void mr_log_context(const char *key, const char *value)
{
    if (logger.context_count == CONTEXT_FIELDS)
        return;
    size_t i = logger.context_count++;
    snprintf(logger.context_key[i], CONTEXT_BYTES, "%s", key);
    snprintf(logger.context_value[i], CONTEXT_BYTES, "%s", value);
}
