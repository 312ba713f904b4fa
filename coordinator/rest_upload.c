/* rest_upload.c - POST /upload-file/{tenant_id}: one file, as a form or as the body itself, in flat memory.
 *
 * The loop only writes to the page cache; fsync waits on a pool thread with the connection suspended.
 */
#include "coordinator/rest_handlers.h"
#include "coordinator/upload_stream.h"

#include <inttypes.h>
#include <stdlib.h>

enum { FORM_BUFFER_BYTES = 16 * 1024, FORM_OVERHEAD_BYTES = 64 * 1024 };

typedef struct upload_state {
    struct MHD_PostProcessor *form; /* NULL: the body is the file */
    const char *key;
    char own_key[201]; /* the header is gone by the time of the answer */
    bool begun;
    mr_upload upload;
    mr_upload_stream *stream;
    size_t head_newlines; /* while the form's first part head goes by: ends in after_head */
    bool after_head;
    char sha256[65];
    mr_err sealed;
    mr_error error;
} upload_state;

static void end_upload(mr_request *request)
{
    upload_state *upload = request->state;
    if (upload->form != NULL)
        (void)MHD_destroy_post_processor(upload->form);
    mr_upload_stream_close(&upload->stream);
    free(upload);
}

static int64_t largest_limit(const mr_tenant_spec *spec)
{
    int64_t largest = 0;
    for (size_t i = 0; i < spec->dataset_count; i++)
        if (spec->datasets[i]->max_file_size_bytes > largest)
            largest = spec->datasets[i]->max_file_size_bytes;
    return largest;
}

static void refuse_size(mr_request *request, const char *dataset, int64_t limit)
{
    mr_request_error(request, 413, "the file is larger than max_file_size_mb of %s%s allows: %" PRId64 " MiB",
                     dataset == NULL ? "the tenant's largest dataset" : "dataset ",
                     dataset == NULL ? "" : dataset, limit / (1024 * 1024));
}

static void answer_upload(mr_request *request, json_t *answer)
{
    /* An upload answers "file" and "upload" where lists of files say "name" and "upload_id". */
    json_t *body = json_object();
    json_object_set(body, "tenant", json_object_get(answer, "tenant"));
    json_object_set(body, "file", json_object_get(answer, "name"));
    json_object_set(body, "dataset", json_object_get(answer, "dataset"));
    json_object_set(body, "size_bytes", json_object_get(answer, "size_bytes"));
    json_object_set(body, "sha256", json_object_get(answer, "sha256"));
    json_object_set(body, "upload", json_object_get(answer, "upload_id"));
    json_object_set(body, "state", json_object_get(answer, "state"));
    json_object_set(body, "uploaded_at", json_object_get(answer, "uploaded_at"));
    json_decref(answer);
    mr_request_json(request, 201, body);
}

/* The name is known: now the file has a dataset, a limit and a place. */
static void begin_file(mr_request *request, const char *name)
{
    upload_state *upload = request->state;
    const mr_upload_begin begin = {
        .tenant = request->tenant, .dataset = mr_request_query(request, "dataset"), .file_name = name};
    json_t *repeated = NULL;
    upload->begun = true;
    mr_error error;
    mr_err err =
        mr_service_begin_upload(request->service, upload->key, &begin, &upload->upload, &repeated, &error);
    if (err == MR_OK && repeated != NULL) {
        answer_upload(request, repeated);
        return;
    }
    if (err == MR_OK && request->declared_size > upload->upload.limit_bytes + FORM_OVERHEAD_BYTES) {
        refuse_size(request, upload->upload.dataset, upload->upload.limit_bytes);
        return;
    }
    if (err == MR_OK)
        err = mr_upload_stream_open(mr_service_config_of(request->service)->staging_dir,
                                    upload->upload.incoming, &upload->stream, &error);
    if (err != MR_OK)
        mr_request_fail(request, &error);
}

/* What the disk refused: named as its sender knows it. */
static void fail_to_keep(mr_request *request, mr_error *error)
{
    const mr_upload *upload = &((upload_state *)request->state)->upload;
    (void)mr_wrap(error, error->code, "file \"%s\" of tenant %s is not stored, send it again later",
                  upload->file_name, upload->tenant);
    mr_request_fail(request, error);
}

static void take_bytes(mr_request *request, const char *data, size_t size)
{
    upload_state *upload = request->state;
    mr_error error;
    if (mr_upload_stream_size(upload->stream) + (int64_t)size > upload->upload.limit_bytes) {
        mr_upload_stream_close(&upload->stream);
        refuse_size(request, upload->upload.dataset, upload->upload.limit_bytes);
    } else if (mr_upload_stream_write(upload->stream, data, size, &error) != MR_OK) {
        mr_upload_stream_close(&upload->stream);
        fail_to_keep(request, &error);
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
    upload_state *upload = request->state;
    const char *name = mr_request_query(request, "name");
    if (request->response != NULL)
        return MHD_NO;
    if (filename == NULL)
        mr_request_error(request, 400,
                         "form field \"%.80s\" is not a file; the dataset is named by ?dataset=", field);
    else if (offset == 0 && upload->begun)
        mr_request_error(request, 400, "the form holds more than one file; send one with each request");
    else if (offset == 0)
        begin_file(request, name != NULL ? name : filename);
    if (request->response == NULL && size > 0)
        take_bytes(request, data, size);
    return request->response == NULL ? MHD_YES : MHD_NO;
}

static void begin_upload(mr_request *request)
{
    const mr_tenant_spec *spec;
    mr_error error;
    if (mr_service_tenant_spec(request->service, request->tenant, &spec, &error) != MR_OK) {
        mr_request_fail(request, &error);
        return;
    }
    const int64_t limit = largest_limit(spec);
    if (request->declared_size > limit + FORM_OVERHEAD_BYTES) {
        refuse_size(request, NULL, limit);
        return;
    }
    bool ok = true;
    const char *key = mr_request_key(request, &ok);
    upload_state *upload = ok ? calloc(1, sizeof *upload) : NULL;
    if (upload == NULL) {
        if (ok)
            mr_request_error(request, 500, "out of memory");
        return;
    }
    request->state = upload;
    request->end_state = end_upload;
    if (key != NULL)
        upload->key = strcpy(upload->own_key, key);
    request->drop_limit = 2 * limit + FORM_OVERHEAD_BYTES;
    const char *type = mr_request_header(request, "Content-Type");
    const char *name = mr_request_query(request, "name");
    if (type != NULL && strncasecmp(type, "multipart/form-data", 19) == 0) {
        upload->form = MHD_create_post_processor(request->connection, FORM_BUFFER_BYTES, on_part, request);
        if (upload->form == NULL)
            mr_request_error(request, 400,
                             "Content-Type: the boundary of the form is missing, or of one character");
    } else if (name == NULL || *name == '\0') {
        mr_request_error(request, 400,
                         "send the file as multipart/form-data, or as the body with ?name=FILE");
    } else {
        begin_file(request, name);
    }
}

/* The form reader cuts names at a NUL; a name that holds one is refused instead. */
static bool head_is_clean(upload_state *upload, const char *data, size_t size)
{
    for (size_t i = 0; i < size && !upload->after_head; i++) {
        if (data[i] == '\0')
            return false;
        if (data[i] == '\n')
            upload->after_head = ++upload->head_newlines == 2;
        else if (data[i] != '\r')
            upload->head_newlines = 0;
    }
    return true;
}

static void upload_data(mr_request *request, const char *data, size_t size)
{
    upload_state *upload = request->state;
    if (upload->form == NULL)
        take_bytes(request, data, size);
    else if (!head_is_clean(upload, data, size))
        mr_request_error(request, 400, "the form holds a NUL before its file");
    else if (MHD_post_process(upload->form, data, size) != MHD_YES && request->response == NULL)
        mr_request_error(request, 400, "the form is damaged");
    if (request->response != NULL)
        mr_upload_stream_close(&upload->stream);
}

const mr_rest_body mr_body_upload = {.begin = begin_upload, .data = upload_data};

static void seal(mr_request *request)
{
    upload_state *upload = request->state;
    upload->sealed = mr_upload_stream_seal(upload->stream, upload->sha256, &upload->error);
}

static void record(mr_request *request)
{
    upload_state *upload = request->state;
    json_t *answer = NULL;
    if (upload->sealed == MR_OK) {
        mr_upload_stream_keep(upload->stream); /* the service owns the file from here, also when it fails */
        upload->sealed = mr_service_finish_upload(request->service, upload->key, &upload->upload,
                                                  mr_upload_stream_size(upload->stream), upload->sha256,
                                                  &answer, &upload->error);
    }
    if (upload->sealed == MR_OK)
        answer_upload(request, answer);
    else
        fail_to_keep(request, &upload->error);
}

void mr_handle_upload(mr_request *request)
{
    upload_state *upload = request->state;
    if (upload->form != NULL) {
        const enum MHD_Result complete = MHD_destroy_post_processor(upload->form);
        upload->form = NULL;
        if (request->response == NULL && complete != MHD_YES) {
            mr_request_error(request, 400, "the form is not complete");
            return;
        }
    }
    if (request->response == NULL && upload->stream == NULL)
        mr_request_error(request, 400, "there is no file in the form");
    if (request->response == NULL)
        mr_request_work(request, seal, record);
}
