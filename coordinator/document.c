#include "coordinator/document.h"

#include "core/json.h"
#include "core/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_TEXT_BYTES = 1024 * 1024 };

void mr_warnings_fini(mr_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++)
        free(warnings->texts[i]);
    free(warnings->texts);
    *warnings = (mr_warnings){0};
}

static mr_err warnings_add_owned(mr_warnings *warnings, char *text)
{
    char **texts = realloc(warnings->texts, (warnings->count + 1) * sizeof *texts);
    if (texts == NULL) {
        free(text);
        return MR_ENOMEM;
    }
    warnings->texts = texts;
    warnings->texts[warnings->count++] = text;
    return MR_OK;
}

mr_err mr_warnings_add(mr_warnings *warnings, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text;
    const int length = vasprintf(&text, format, args);
    va_end(args);
    return length < 0 ? MR_ENOMEM : warnings_add_owned(warnings, text);
}

void mr_document_out_of_memory(mr_document *doc)
{
    if (doc->failed == MR_OK)
        doc->failed = mr_fail(doc->error, MR_ENOMEM, "%s: out of memory", doc->name);
}

void mr_document_parse(mr_document *doc, mr_slice text)
{
    doc->failed = mr_json_load(text, doc->name, MAX_TEXT_BYTES, &doc->root, doc->error);
    if (doc->failed == MR_OK && !json_is_object(doc->root))
        doc->failed = mr_fail(doc->error, MR_EINVALID, "%s: a JSON object is expected", doc->name);
}

void mr_document_fini(mr_document *doc)
{
    json_decref(doc->root);
    doc->root = NULL;
}

void mr_document_refuse(mr_document *doc, const char *path, const char *format, ...)
{
    if (doc->failed != MR_OK)
        return;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    doc->failed = mr_fail(doc->error, MR_EINVALID, "%s: field \"%.120s\": %s", doc->name, path, text);
}

void mr_document_odd(mr_document *doc, const char *path, const char *format, ...)
{
    if (doc->failed != MR_OK)
        return;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (doc->strict)
        doc->failed =
            mr_fail(doc->error, MR_EINVALID, "%s: field \"%.120s\": %s (strict)", doc->name, path, text);
    else if (doc->warnings != NULL &&
             mr_warnings_add(doc->warnings, "%s: field \"%.120s\": %s", doc->name, path, text) != MR_OK)
        mr_document_out_of_memory(doc);
}

const char *mr_document_path(mr_document *doc, mr_document_at at, const char *name)
{
    const size_t prefix = strlen(at.prefix), size = strlen(name);
    char *path = mr_arena_alloc(doc->arena, prefix + size + 1);
    if (path == NULL) {
        mr_document_out_of_memory(doc);
        return name;
    }
    memcpy(path, at.prefix, prefix);
    memcpy(path + prefix, name, size + 1);
    return path;
}

void mr_document_check_names(mr_document *doc, mr_document_at at, const char *const *known, size_t count)
{
    const char *name;
    json_t *value;
    if (doc->failed != MR_OK)
        return;
    json_object_foreach(at.object, name, value)
    {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++)
            found = strcmp(name, known[i]) == 0;
        if (found)
            continue;
        const char *near = mr_nearest_name(name, known, count);
        const char *path = mr_document_path(doc, at, name);
        if (near == NULL)
            mr_document_refuse(doc, path, "unknown field");
        else
            mr_document_refuse(doc, path, "unknown field; did you mean \"%s\"?", near);
        return;
    }
}

void mr_document_check_size(mr_document *doc, mr_document_at at, size_t max_bytes)
{
    const size_t size = doc->failed == MR_OK ? json_dumpb(at.object, NULL, 0, JSON_COMPACT) : 0;
    if (size > max_bytes)
        doc->failed = mr_fail(
            doc->error, MR_ETOOLARGE, "%s: %s%.*s%s%zu bytes without blanks are more than %zu", doc->name,
            *at.prefix != '\0' ? "field \"" : "", *at.prefix != '\0' ? (int)strlen(at.prefix) - 1 : 0,
            at.prefix, *at.prefix != '\0' ? "\": " : "", size, max_bytes);
}

/* The value, or NULL when there is none to read. */
static json_t *value_of(mr_document *doc, mr_document_at at, const char *name)
{
    if (doc->failed != MR_OK)
        return NULL;
    json_t *value = json_object_get(at.object, name);
    return json_is_null(value) ? NULL : value;
}

static const char *copy_text(mr_document *doc, json_t *value)
{
    const mr_slice copy =
        mr_arena_copy(doc->arena, (mr_slice){json_string_value(value), json_string_length(value)});
    if (copy.data == NULL)
        mr_document_out_of_memory(doc);
    return copy.data;
}

const char *mr_document_text(mr_document *doc, mr_document_at at, const char *name, bool required)
{
    json_t *value = value_of(doc, at, name);
    if (value == NULL) {
        if (required)
            mr_document_refuse(doc, mr_document_path(doc, at, name), "is missing");
        return NULL;
    }
    if (!json_is_string(value)) {
        mr_document_refuse(doc, mr_document_path(doc, at, name), "a string is expected");
        return NULL;
    }
    if (json_string_length(value) == 0) {
        mr_document_refuse(doc, mr_document_path(doc, at, name), "must not be empty");
        return NULL;
    }
    return copy_text(doc, value);
}

int64_t mr_document_integer(mr_document *doc, mr_document_at at, const char *name, int64_t minimum,
                            int64_t maximum, int64_t otherwise)
{
    json_t *value = value_of(doc, at, name);
    if (value == NULL)
        return otherwise;
    const char *path = mr_document_path(doc, at, name);
    int64_t number = json_integer_value(value);
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char *end;
        errno = 0;
        number = strtoll(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || *text == ' ' || *text == '+')
            mr_document_refuse(doc, path, "\"%.40s\" is not an integer", text);
        else
            mr_document_odd(doc, path, "is a string; taken as the number %lld", (long long)number);
    } else if (!json_is_integer(value)) {
        mr_document_refuse(doc, path, "an integer is expected");
    }
    if (number < minimum || number > maximum)
        mr_document_refuse(doc, path, "%lld is out of range: from %lld to %lld", (long long)number,
                           (long long)minimum, (long long)maximum);
    return number;
}

double mr_document_real(mr_document *doc, mr_document_at at, const char *name, double minimum, double maximum,
                        double otherwise)
{
    json_t *value = value_of(doc, at, name);
    if (value == NULL)
        return otherwise;
    const char *path = mr_document_path(doc, at, name);
    double number = json_number_value(value);
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        char *end;
        number = strtod(text, &end);
        if (end == text || *end != '\0')
            mr_document_refuse(doc, path, "\"%.40s\" is not a number", text);
        else
            mr_document_odd(doc, path, "is a string; taken as the number %g", number);
    } else if (!json_is_number(value)) {
        mr_document_refuse(doc, path, "a number is expected");
    }
    if (!(number >= minimum && number <= maximum))
        mr_document_refuse(doc, path, "%g is out of range: from %g to %g", number, minimum, maximum);
    return number;
}

bool mr_document_boolean(mr_document *doc, mr_document_at at, const char *name, bool otherwise)
{
    json_t *value = value_of(doc, at, name);
    if (value == NULL)
        return otherwise;
    const char *path = mr_document_path(doc, at, name);
    const char *text = json_string_value(value);
    if (text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)) {
        mr_document_odd(doc, path, "is a string; taken as the boolean %s", text);
        return *text == 't';
    }
    if (!json_is_boolean(value))
        mr_document_refuse(doc, path, "true or false is expected");
    return json_is_true(value);
}

const char *const *mr_document_list(mr_document *doc, mr_document_at at, const char *name, bool may_be_empty,
                                    size_t *ret_count)
{
    *ret_count = 0;
    json_t *value = value_of(doc, at, name);
    if (value == NULL)
        return NULL;
    const char *path = mr_document_path(doc, at, name);
    if (!json_is_array(value)) {
        mr_document_refuse(doc, path, "an array of strings is expected");
        return NULL;
    }
    const size_t count = json_array_size(value);
    if (count > MR_DOCUMENT_LIST) {
        mr_document_refuse(doc, path, "%zu strings are more than %d", count, MR_DOCUMENT_LIST);
        return NULL;
    }
    const char **list = mr_arena_alloc(doc->arena, (count + 1) * sizeof *list);
    if (list == NULL) {
        mr_document_out_of_memory(doc);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *element = json_array_get(value, i);
        const char *problem = !json_is_string(element)                            ? "a string is expected"
                              : !may_be_empty && json_string_length(element) == 0 ? "must not be empty"
                              : json_string_length(element) > MR_DOCUMENT_LIST_TEXT
                                  ? "is longer than 1,000 bytes"
                                  : NULL;
        if (problem != NULL) {
            char where[200];
            snprintf(where, sizeof where, "%.150s[%zu]", path, i);
            mr_document_refuse(doc, where, "%s", problem);
            return NULL;
        }
        list[i] = copy_text(doc, element);
    }
    list[count] = NULL;
    *ret_count = count;
    return list;
}

bool mr_document_object(mr_document *doc, mr_document_at at, const char *name, mr_document_at *ret_at)
{
    json_t *value = value_of(doc, at, name);
    if (value == NULL)
        return false;
    const char *path = mr_document_path(doc, at, name);
    if (!json_is_object(value)) {
        mr_document_refuse(doc, path, "an object is expected");
        return false;
    }
    *ret_at = (mr_document_at){value, mr_document_path(doc, (mr_document_at){NULL, path}, ".")};
    return true;
}
