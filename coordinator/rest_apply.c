/* rest_apply.c - PUT /tenants/{id}: agreement, datasets and program of a tenant, in one form, validated as a
 * whole.
 *
 * The documents are small and kept in memory; the program is spooled to an unlinked file in STAGING/incoming
 * and unpacked on a pool thread.
 */
#include "coordinator/program_store.h"
#include "coordinator/rest_handlers.h"
#include "proto/ids.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FORM_BUFFER_BYTES = 16 * 1024,
    MAX_DOCUMENT_BYTES = 1024 * 1024,
    MAX_DATASETS = 100,
    MAX_DOCUMENTS_BYTES = 10 * 1024 * 1024, /* together */
    MAX_PROGRAM_BYTES = 96 * 1024 * 1024,   /* as a tar, whose content is bounded by the program store */
};

typedef struct submitted {
    char name[101];
    mr_buf text;
} submitted;

typedef struct apply_state {
    struct MHD_PostProcessor *form;
    bool strict, dry_run;
    char own_key[201];
    const char *key;
    submitted agreement;
    bool has_agreement;
    submitted *datasets; /* MAX_DATASETS of them */
    size_t dataset_count;
    size_t documents_bytes;
    int program_fd; /* -1: none */
    size_t program_bytes;
    mr_tenant_spec spec;
    mr_warnings warnings;
    char folder[MR_PROGRAM_FOLDER_BYTES]; /* "": nothing is unpacked */
    char sha256[65];
    mr_err unpacked;
    mr_error error;
} apply_state;

static void end_apply(mr_request *request)
{
    apply_state *apply = request->state;
    if (apply->form != NULL)
        (void)MHD_destroy_post_processor(apply->form);
    mr_buf_fini(&apply->agreement.text);
    for (size_t i = 0; i < apply->dataset_count; i++)
        mr_buf_fini(&apply->datasets[i].text);
    free(apply->datasets);
    if (apply->program_fd >= 0)
        close(apply->program_fd);
    if (apply->folder[0] != '\0')
        mr_program_store_discard(apply->folder);
    mr_tenant_spec_fini(&apply->spec);
    mr_warnings_fini(&apply->warnings);
    free(apply);
}

/* --- parts --- */

/* The name that messages use for a document: the file it came from. */
static void name_document(submitted *document, const char *filename, const char *otherwise)
{
    if (filename == NULL || *filename == '\0')
        filename = otherwise;
    snprintf(document->name, sizeof document->name, "%s", filename);
    for (char *c = document->name; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
            *c = '?';
}

static submitted *begin_document(mr_request *request, const char *field, const char *filename)
{
    apply_state *apply = request->state;
    if (strcmp(field, "agreement") == 0) {
        if (apply->has_agreement)
            mr_request_error(request, 400, "the form holds two agreements");
        apply->has_agreement = true;
        name_document(&apply->agreement, filename, "agreement");
        return &apply->agreement;
    }
    if (apply->dataset_count == MAX_DATASETS) {
        mr_request_error(request, 413, "more than %d datasets", MAX_DATASETS);
        return NULL;
    }
    submitted *dataset = &apply->datasets[apply->dataset_count++];
    name_document(dataset, filename, "dataset");
    return dataset;
}

static void take_document(mr_request *request, const char *field, const char *filename, const char *data,
                          uint64_t offset, size_t size)
{
    apply_state *apply = request->state;
    submitted *document = strcmp(field, "agreement") == 0 ? &apply->agreement
                          : apply->dataset_count > 0      ? &apply->datasets[apply->dataset_count - 1]
                                                          : NULL;
    if (offset == 0)
        document = begin_document(request, field, filename);
    if (document == NULL || request->response != NULL)
        return;
    apply->documents_bytes += size;
    if (document->text.size + size > MAX_DOCUMENT_BYTES)
        mr_request_error(request, 413, "%s: larger than 1 MiB", document->name);
    else if (apply->documents_bytes > MAX_DOCUMENTS_BYTES)
        mr_request_error(request, 413, "the documents are together larger than 10 MiB");
    else if (mr_buf_append(&document->text, data, size) != MR_OK)
        mr_request_error(request, 500, "out of memory");
}

static void begin_program(mr_request *request)
{
    apply_state *apply = request->state;
    if (apply->program_fd >= 0) {
        mr_request_error(request, 400, "the form holds two programs");
        return;
    }
    char path[4096];
    mr_error error;
    snprintf(path, sizeof path, "%s/incoming/program-XXXXXX",
             mr_service_config_of(request->service)->staging_dir);
    apply->program_fd = mkostemp(path, O_CLOEXEC);
    if (apply->program_fd >= 0) {
        (void)unlink(path);
        return;
    }
    (void)mr_fail_errno(&error, errno, "%s", path);
    mr_request_fail(request, &error);
}

static void take_program(mr_request *request, const char *data, uint64_t offset, size_t size)
{
    apply_state *apply = request->state;
    if (offset == 0)
        begin_program(request);
    apply->program_bytes += size;
    if (request->response == NULL && apply->program_bytes > MAX_PROGRAM_BYTES)
        mr_request_error(request, 413, "program: larger than 64 MiB");
    while (request->response == NULL && size > 0) {
        const ssize_t written = write(apply->program_fd, data, size);
        if (written < 0 && errno != EINTR) {
            mr_error error;
            (void)mr_fail_errno(&error, errno, "program");
            mr_request_fail(request, &error);
        } else if (written > 0) {
            data += written;
            size -= (size_t)written;
        }
    }
}

static enum MHD_Result on_part(void *cls, enum MHD_ValueKind kind, const char *field, const char *filename,
                               const char *content_type, const char *encoding, const char *data,
                               uint64_t offset, size_t size)
{
    (void)kind;
    (void)content_type;
    (void)encoding;
    mr_request *request = cls;
    if (request->response != NULL)
        return MHD_NO;
    if (strcmp(field, "program") == 0)
        take_program(request, data, offset, size);
    else if (strcmp(field, "agreement") == 0 || strcmp(field, "dataset") == 0)
        take_document(request, field, filename, data, offset, size);
    else
        mr_request_error(request, 400,
                         "form field \"%.80s\" is not known; the fields are agreement, dataset, program",
                         field);
    return request->response == NULL ? MHD_YES : MHD_NO;
}

static void begin_apply(mr_request *request)
{
    bool ok = true;
    if (!mr_tenant_id_valid(request->tenant)) {
        mr_request_error(
            request, 400,
            "\"%.80s\" is not a tenant id: lower-case letters, digits, _ and -, at most 63, the first a "
            "letter or digit",
            request->tenant);
        return;
    }
    const bool strict = mr_request_flag(request, "strict", &ok),
               dry_run = mr_request_flag(request, "dry_run", &ok);
    const char *key = mr_request_key(request, &ok);
    if (!ok)
        return;
    apply_state *apply = calloc(1, sizeof *apply);
    submitted *datasets = calloc(MAX_DATASETS, sizeof *datasets);
    if (apply == NULL || datasets == NULL) {
        free(apply);
        free(datasets);
        mr_request_error(request, 500, "out of memory");
        return;
    }
    *apply = (apply_state){.strict = strict, .dry_run = dry_run, .program_fd = -1, .datasets = datasets};
    if (key != NULL)
        apply->key = strcpy(apply->own_key, key);
    request->state = apply;
    request->end_state = end_apply;
    request->drop_limit = MAX_PROGRAM_BYTES + 2 * MAX_DOCUMENTS_BYTES;
    if (request->declared_size > request->drop_limit) {
        mr_request_error(request, 413, "the body is larger than a program of 64 MiB and documents of 10 MiB");
        return;
    }
    apply->form = MHD_create_post_processor(request->connection, FORM_BUFFER_BYTES, on_part, request);
    const char *type = mr_request_header(request, "Content-Type");
    if (apply->form == NULL || type == NULL || strncasecmp(type, "multipart/form-data", 19) != 0)
        mr_request_error(
            request, 400,
            "send multipart/form-data with the parts agreement, dataset (one or more) and program (a tar)");
}

static void apply_data(mr_request *request, const char *data, size_t size)
{
    apply_state *apply = request->state;
    if (MHD_post_process(apply->form, data, size) != MHD_YES && request->response == NULL)
        mr_request_error(request, 400, "the form is damaged");
}

const mr_rest_body mr_body_apply = {.begin = begin_apply, .data = apply_data};

/* --- the whole --- */

static mr_err parse_documents(mr_request *request, mr_error *ret_error)
{
    apply_state *apply = request->state;
    if (!apply->has_agreement)
        return mr_fail(ret_error, MR_EINVALID, "the form holds no agreement");
    const mr_agreement_rules rules = {.document = apply->agreement.name,
                                      .default_store = mr_service_config_of(request->service)->store,
                                      .strict = apply->strict};
    mr_err err = mr_agreement_parse(mr_buf_slice(&apply->agreement.text), &rules, &apply->warnings,
                                    &apply->spec.agreement, ret_error);
    apply->spec.datasets = calloc(MAX_DATASETS, sizeof *apply->spec.datasets);
    if (err == MR_OK && apply->spec.datasets == NULL)
        err = mr_fail(ret_error, MR_ENOMEM, "out of memory");
    for (size_t i = 0; i < apply->dataset_count && err == MR_OK; i++) {
        const mr_dataset_rules dataset_rules = {.document = apply->datasets[i].name, .strict = apply->strict};
        err = mr_dataset_parse(mr_buf_slice(&apply->datasets[i].text), &dataset_rules, &apply->warnings,
                               &apply->spec.datasets[apply->spec.dataset_count], ret_error);
        apply->spec.dataset_count += err == MR_OK;
    }
    return err == MR_OK ? mr_tenant_spec_check(&apply->spec, request->tenant, ret_error) : err;
}

static json_t *warnings_view(const mr_warnings *warnings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < warnings->count; i++)
        json_array_append_new(list, json_string(warnings->texts[i]));
    return list;
}

static void answer_valid(mr_request *request)
{
    const apply_state *apply = request->state;
    const mr_agreement *agreement = apply->spec.agreement;
    json_t *schedule = NULL, *answer = NULL;
    mr_error error;
    const mr_err err = mr_service_preview_schedule(request->service, agreement->schedule,
                                                   agreement->time_zone, 0, MR_NEXT_TIMES, &schedule, &error);
    if (err == MR_OK)
        answer = json_pack("{s:s, s:b, s:o, s:o}", "tenant", request->tenant, "valid", 1, "warnings",
                           warnings_view(&apply->warnings), "schedule", schedule);
    mr_request_view(request, 200, err, answer, &error);
}

/* The program gets its name and the tenant its version in one turn of the loop, so that a refusal leaves
 * neither. */
static void decide(mr_request *request)
{
    apply_state *apply = request->state;
    const char *staging_dir = mr_service_config_of(request->service)->staging_dir;
    json_t *answer = NULL;
    bool new_program = false;
    mr_error error;
    mr_err err = MR_OK;
    if (apply->folder[0] != '\0')
        err = mr_program_store_keep(staging_dir, apply->folder, apply->sha256, &new_program, &error);
    if (err == MR_OK)
        err = mr_service_apply_tenant(request->service, apply->key, &apply->spec, &apply->warnings, &answer,
                                      &error);
    if (err != MR_OK && new_program)
        mr_program_store_take_back(staging_dir, apply->folder, apply->sha256);
    mr_request_view(request, 200, err, answer, &error);
}

static void unpack(mr_request *request)
{
    apply_state *apply = request->state;
    if (lseek(apply->program_fd, 0, SEEK_SET) != 0)
        apply->unpacked = mr_fail_errno(&apply->error, errno, "program");
    else
        apply->unpacked = mr_program_store_unpack(
            mr_service_config_of(request->service)->staging_dir, apply->program_fd,
            apply->spec.agreement->program_command_count == 0, apply->folder, apply->sha256, &apply->error);
    if (apply->dry_run && apply->folder[0] != '\0') {
        mr_program_store_discard(apply->folder);
        apply->folder[0] = '\0';
    }
}

static void after_unpack(mr_request *request)
{
    apply_state *apply = request->state;
    if (apply->unpacked == MR_OK && (apply->spec.program = strdup(apply->sha256)) == NULL)
        apply->unpacked = mr_fail(&apply->error, MR_ENOMEM, "out of memory");
    if (apply->unpacked != MR_OK)
        mr_request_fail(request, &apply->error);
    else if (apply->dry_run)
        answer_valid(request);
    else
        decide(request);
}

void mr_handle_apply_tenant(mr_request *request)
{
    apply_state *apply = request->state;
    const enum MHD_Result complete = MHD_destroy_post_processor(apply->form);
    apply->form = NULL;
    if (request->response != NULL)
        return;
    mr_error error;
    if (complete != MHD_YES)
        mr_request_error(request, 400, "the form is not complete");
    else if (parse_documents(request, &error) != MR_OK ||
             mr_service_check_tenant(request->service, &apply->spec, &error) != MR_OK)
        mr_request_fail(request, &error); /* before anything is unpacked */
    else if (apply->program_fd >= 0)
        mr_request_work(request, unpack, after_unpack);
    else if (apply->dry_run)
        answer_valid(request);
    else
        decide(request);
}
