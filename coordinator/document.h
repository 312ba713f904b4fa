/* document.h - what a tenant submits (agreement, dataset) is JSON: reading it field by field, with errors and
 * warnings that name the document and the field.
 *
 * An oddity is something whose meaning is plain although it is written wrong ("true" where true is meant): it
 * loads with a warning, and is an error under `strict`. Thread: one at a time.
 */
#ifndef MR_COORDINATOR_DOCUMENT_H
#define MR_COORDINATOR_DOCUMENT_H

#include "core/arena.h"

#include <jansson.h>

/* Lists and options go to tasks, in packets of a bounded size. */
enum { MR_DOCUMENT_LIST = 100, MR_DOCUMENT_LIST_TEXT = 1000, MR_DOCUMENT_OPTION_BYTES = 4096 };

/* {0} is empty. */
typedef struct mr_warnings {
    char **texts; /* owned */
    size_t count;
} mr_warnings;

void mr_warnings_fini(mr_warnings *warnings);
mr_err mr_warnings_add(mr_warnings *warnings, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A document that is being read. The first error wins: once `failed`, every function below does nothing. */
typedef struct mr_document {
    const char *name; /* as in messages: "dataset.json" */
    bool strict;
    mr_arena *arena;       /* for what is handed out */
    mr_warnings *warnings; /* may be NULL */
    mr_error *error;       /* never NULL */
    mr_err failed;
    json_t *root; /* owned */
} mr_document;

/* A field somewhere in the document: its parent object, its name there, its path from the root. */
typedef struct mr_document_at {
    json_t *object;
    const char *prefix; /* "" or "resources.limits." */
} mr_document_at;

/* Parses the text (as mr_json_load; at most 1 MiB); the root must be an object. Sets
 * doc->root and doc->failed. */
void mr_document_parse(mr_document *doc, mr_slice text);
void mr_document_fini(mr_document *doc);

/* Fails the document with `NAME: field "PATH": text`. */
void mr_document_refuse(mr_document *doc, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Warns with the same form of text; refuses under strict. */
void mr_document_odd(mr_document *doc, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void mr_document_out_of_memory(mr_document *doc);

/* Refuses names of the object that are not in `known`, with the nearest known name. */
void mr_document_check_names(mr_document *doc, mr_document_at at, const char *const *known, size_t count);

/* Refuses an object that is larger than `max_bytes` without its blanks. */
void mr_document_check_size(mr_document *doc, mr_document_at at, size_t max_bytes);

/* The values. A field that is absent or null gives NULL, `otherwise`; a required one is refused as missing.
 * Text is copied into the arena, is not empty and holds no NUL. */
const char *mr_document_text(mr_document *doc, mr_document_at at, const char *name, bool required);
/* A JSON integer; a string that holds one is an oddity. */
int64_t mr_document_integer(mr_document *doc, mr_document_at at, const char *name, int64_t minimum,
                            int64_t maximum, int64_t otherwise);
/* As integer, for any number. */
double mr_document_real(mr_document *doc, mr_document_at at, const char *name, double minimum, double maximum,
                        double otherwise);
/* A JSON boolean; "true" and "false" as strings are oddities. */
bool mr_document_boolean(mr_document *doc, mr_document_at at, const char *name, bool otherwise);
/* An array of at most MR_DOCUMENT_LIST strings of at most MR_DOCUMENT_LIST_TEXT bytes; *ret_count is 0 when
 * absent. Strings may be empty when `may_be_empty`. */
const char *const *mr_document_list(mr_document *doc, mr_document_at at, const char *name, bool may_be_empty,
                                    size_t *ret_count);
/* An object, or NULL when absent; `path_prefix` of what is inside it goes to *ret_at. */
bool mr_document_object(mr_document *doc, mr_document_at at, const char *name, mr_document_at *ret_at);
/* The path of a field, in the arena. */
const char *mr_document_path(mr_document *doc, mr_document_at at, const char *name);

#endif
