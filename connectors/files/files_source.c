/* files_source.c - reads the files of one dataset in the manifest's order, row by row. A file that cannot be
 * read at all (its header lacks a required column) is passed over, told once; a file that is not what the
 * manifest says stops the source: it was changed after it had been sealed. */
#include "connectors/files/files_source.h"

#include "connectors/files/cut_row.h"
#include "connectors/files/manifest.h"
#include "connectors/files/open_below.h"
#include "connectors/files/position.h"
#include "connectors/files/row_reader.h"
#include "connectors/files/sealed_file.h"
#include "connectors/option_tables.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BATCH_ROWS = 1000,
    BATCH_BYTES = 256 * 1024,
    BATCH_ARENA_BYTES = 4 * 1024 * 1024,
    MAX_RAW_BYTES = 64 * 1024
};

typedef struct files_source {
    bool opened; /* fds are valid numbers only then: the state comes zeroed */
    files_manifest manifest;
    const row_reader_class *class;
    row_reader *reader;
    int root_fd;
    int fd;                   /* of the current file, or -1 */
    int64_t unread_bytes;     /* of the current file, by the manifest */
    int64_t changed_ns;       /* its last change */
    size_t current;           /* index in manifest.files; count: all read */
    int64_t byte, line;       /* where the next row starts */
    mr_slice header, dialect; /* of the current file, in the batch's arena; data NULL: not copied yet */
} files_source;

static ssize_t read_current(void *arg, char *data, size_t size)
{
    files_source *source = arg;
    if (source->unread_bytes < (int64_t)size)
        size = (size_t)source->unread_bytes;
    if (size == 0)
        return 0;
    ssize_t got;
    do {
        got = read(source->fd, data, size);
    } while (got < 0 && errno == EINTR);
    if (got > 0)
        source->unread_bytes -= got;
    return got;
}

/* An option of another kind of file would be ignored. */
static mr_err check_options(const files_source *source, const mr_props *config, mr_error *ret_error)
{
    for (const mr_option *option = mr_files_source_options; option->name != NULL; option++) {
        size_t prefix = strcspn(option->name, ".");
        bool of_type = strncmp(option->name, "csv.", 4) == 0 || strncmp(option->name, "ndjson.", 7) == 0;
        bool of_this = strlen(source->class->file_type) == prefix &&
                       strncmp(option->name, source->class->file_type, prefix) == 0;
        if (of_type && !of_this && mr_props_get(config, option->name) != NULL)
            return mr_fail(ret_error, MR_EINVALID, "%s: is no option of files.type %s", option->name,
                           source->class->file_type);
    }
    return MR_OK;
}

static mr_err open_reader(files_source *source, const mr_env *env, mr_error *ret_error)
{
    static const row_reader_class *const classes[] = {&csv_rows, &ndjson_rows};
    const char *type = mr_option_text(mr_files_source_options, env->config, "files.type");
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i]->file_type, type) == 0)
            source->class = classes[i];
    if (source->class == NULL)
        return mr_fail(ret_error, MR_EINVALID, "files.type: \"%.40s\" is neither csv nor ndjson", type);
    mr_err err = check_options(source, env->config, ret_error);
    return err == MR_OK ? source->class->open(env, read_current, source, &source->reader, ret_error) : err;
}

/* Finds the file of the position: the first of the dataset's that is not before it. */
static mr_err start_at(files_source *source, mr_slice position, mr_error *ret_error)
{
    const files_manifest *manifest = &source->manifest;
    file_position at = {.line = 1};
    if (position.data != NULL) {
        mr_err err = position_parse(position, manifest->sha256, &at, ret_error);
        if (err != MR_OK)
            return err;
    }
    while (source->current < manifest->count && manifest->files[source->current].index < at.file)
        source->current++;
    bool found = source->current < manifest->count && manifest->files[source->current].index == at.file;
    if (at.byte > 0 && (!found || at.byte > manifest->files[source->current].size_bytes))
        return mr_fail(ret_error, MR_EINVALID, "position: file %zu has no byte %" PRId64 " of this dataset",
                       at.file, at.byte);
    source->byte = at.byte;
    source->line = at.line;
    return MR_OK;
}

static mr_err files_open(void *self, const mr_env *env, mr_slice position, mr_error *ret_error)
{
    files_source *source = self;
    const mr_option *table = mr_files_source_options;
    const char *root = mr_option_text(table, env->config, "files.root");
    source->opened = true;
    source->fd = -1;
    source->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (source->root_fd < 0)
        return mr_fail_errno(ret_error, errno, "open files.root %s", root);
    mr_err err =
        manifest_load(&source->manifest, mr_option_text(table, env->config, "files.manifest"),
                      mr_option_text(table, env->config, "files.manifest.sha256"), env->dataset, ret_error);
    if (err == MR_OK)
        err = open_reader(source, env, ret_error);
    if (err == MR_OK)
        err = start_at(source, position, ret_error);
    return err;
}

static const manifest_file *current_file(const files_source *source)
{
    return &source->manifest.files[source->current];
}

static void next_file(files_source *source)
{
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
    source->header.data = NULL;
    source->current++;
    source->byte = 0;
    source->line = 1;
}

static mr_err seek_current(files_source *source, mr_error *ret_error)
{
    if (lseek(source->fd, source->byte, SEEK_SET) < 0)
        return mr_fail_errno(ret_error, errno, "seek");
    source->unread_bytes = current_file(source)->size_bytes - source->byte;
    source->class->start_at(source->reader, source->byte, source->line);
    return MR_OK;
}

/* What stands before the first row is read again when a file is resumed. *ret_rejected is MR_OK, or why the
 * file cannot be read at all. */
static mr_err open_current(files_source *source, mr_err *ret_rejected, mr_error *ret_error)
{
    const manifest_file *file = current_file(source);
    int64_t byte, line;
    *ret_rejected = MR_OK;
    mr_err err = open_below(source->root_fd, file->path, file->size_bytes, &source->fd, ret_error);
    if (err != MR_OK)
        return err;
    (void)posix_fadvise(source->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    source->unread_bytes = file->size_bytes;
    err = sealed_file_check(source->fd, file, &source->changed_ns, ret_error);
    if (err != MR_OK)
        return err;
    err = source->class->begin(source->reader, &byte, &line, ret_rejected, ret_error);
    if (err == MR_OK && source->byte > byte) {
        if (*ret_rejected == MR_OK)
            err = seek_current(source, ret_error);
    } else if (err == MR_OK) {
        source->byte = byte;
        source->line = line;
    }
    return err == MR_OK ? MR_OK : mr_wrap(ret_error, err, "%s", file->path);
}

/* A file that changed while it was read has rows that nobody sealed. */
static mr_err check_unchanged(files_source *source, mr_error *ret_error)
{
    const manifest_file *file = current_file(source);
    if (source->unread_bytes != 0)
        return mr_fail(ret_error, MR_EDATALOSS,
                       "%s: changed while it was read: of its %" PRId64 " bytes the last %" PRId64
                       " are gone",
                       file->path, file->size_bytes, source->unread_bytes);
    return sealed_file_unchanged(source->fd, file, source->changed_ns, ret_error);
}

/* A row that is cut is still known by its length and hash. */
static mr_err measure(const files_source *source, mr_source_record *record, mr_arena *arena,
                      mr_error *ret_error)
{
    char sha256[MR_SHA256_HEX_SIZE];
    int64_t length;
    mr_err err =
        cut_row_measure(source->fd, record->byte_first, record->byte_end, &length, sha256, ret_error);
    if (err != MR_OK || length <= MAX_RAW_BYTES)
        return err;
    record->raw_length = length;
    record->raw_sha256 = mr_arena_copy(arena, mr_slice_of(sha256)).data;
    return record->raw_sha256 != NULL ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "no memory for a rejected row");
}

/* How its bytes are to be read again; one copy for the rejected rows of a file in a batch. */
static bool keep_layout(files_source *source, mr_source_record *record, const file_row *row, mr_arena *arena)
{
    if (row->csv_dialect.data == NULL)
        return true;
    if (source->header.data == NULL) {
        source->header = mr_arena_copy(arena, row->csv_header);
        source->dialect = mr_arena_copy(arena, row->csv_dialect);
    }
    record->raw_csv_header = source->header;
    record->raw_csv_dialect = source->dialect;
    return source->header.data != NULL && source->dialect.data != NULL;
}

static mr_err keep_raw(files_source *source, mr_source_record *record, const file_row *row, mr_arena *arena,
                       mr_error *ret_error)
{
    mr_slice raw = row->raw;
    if (raw.size > MAX_RAW_BYTES)
        raw.size = MAX_RAW_BYTES;
    record->raw = mr_arena_copy(arena, raw);
    if (record->raw.data == NULL || !keep_layout(source, record, row, arena))
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a rejected row");
    return record->byte_end - record->byte_first > MAX_RAW_BYTES ? measure(source, record, arena, ret_error)
                                                                 : MR_OK;
}

static mr_err add_row(files_source *source, const file_row *row, mr_source_batch *batch, mr_error *ret_error)
{
    mr_source_record *record = &batch->records[batch->count];
    *record = (mr_source_record){.values = row->values,
                                 .reason = row->reason,
                                 .file = current_file(source)->name,
                                 .line = row->line,
                                 .byte_first = row->byte_first,
                                 .byte_end = row->byte_end};
    mr_err err = row->values == NULL ? keep_raw(source, record, row, batch->arena, ret_error) : MR_OK;
    if (err != MR_OK)
        return err;
    batch->count++;
    batch->bytes += (uint64_t)(row->byte_end - source->byte);
    source->byte = row->byte_end;
    source->line = row->next_line;
    return MR_OK;
}

/* Values may take more room than their text. */
static bool is_full(const mr_source_batch *batch)
{
    return batch->count == BATCH_ROWS || batch->bytes >= BATCH_BYTES ||
           batch->arena->used_bytes >= BATCH_ARENA_BYTES;
}

/* Rows of the open file until it ends, which *ret_end tells, or the batch is full. */
static mr_err read_rows(files_source *source, mr_source_batch *batch, bool *ret_end, mr_error *ret_error)
{
    *ret_end = false;
    while (!is_full(batch)) {
        file_row row;
        mr_err err = source->class->next(source->reader, batch->arena, &row, ret_end, ret_error);
        if (err == MR_OK && *ret_end)
            return check_unchanged(source, ret_error);
        if (err == MR_OK)
            err = add_row(source, &row, batch, ret_error);
        if (err != MR_OK)
            return mr_wrap(ret_error, err, "%s", current_file(source)->path);
    }
    return MR_OK;
}

static mr_err reject_file(files_source *source, mr_source_batch *batch, mr_error *error)
{
    mr_wrap(error, error->code, "file %s", current_file(source)->name);
    batch->rejected_file_reason = mr_arena_copy(batch->arena, mr_slice_of(error->text)).data;
    if (batch->rejected_file_reason == NULL)
        return mr_fail(error, MR_ENOMEM, "no memory for a reason");
    batch->rejected_files = 1;
    next_file(source);
    return MR_OK;
}

static mr_err fill(files_source *source, mr_source_batch *batch, mr_error *error)
{
    while (source->current < source->manifest.count && batch->rejected_files == 0 && !is_full(batch)) {
        mr_err rejected = MR_OK, err = MR_OK;
        bool end;
        if (source->fd < 0)
            err = open_current(source, &rejected, error);
        if (err == MR_OK && rejected != MR_OK) {
            err = reject_file(source, batch, error);
        } else if (err == MR_OK) {
            err = read_rows(source, batch, &end, error);
            if (err == MR_OK && end)
                next_file(source);
        }
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

static mr_err files_poll(void *self, int timeout_ms, mr_source_batch *batch, mr_error *ret_error)
{
    (void)timeout_ms; /* files are there: nothing to wait for */
    files_source *source = self;
    mr_error error;
    source->header.data = NULL;
    batch->records = mr_arena_alloc(batch->arena, BATCH_ROWS * sizeof *batch->records);
    if (batch->records == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a batch");
    mr_err err = fill(source, batch, &error);
    if (err != MR_OK) {
        if (ret_error != NULL)
            *ret_error = error;
        return err;
    }
    bool end = source->current == source->manifest.count;
    file_position at = {end ? source->manifest.total : current_file(source)->index, source->byte,
                        source->line};
    batch->position = position_format(&at, source->manifest.sha256, batch->arena);
    if (batch->position.data == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a position");
    batch->end = end;
    return MR_OK;
}

static void files_close(void *self)
{
    files_source *source = self;
    if (source->class != NULL)
        source->class->close(&source->reader);
    manifest_fini(&source->manifest);
    if (!source->opened)
        return;
    if (source->fd >= 0)
        close(source->fd);
    if (source->root_fd >= 0)
        close(source->root_fd);
    source->fd = source->root_fd = -1;
}

const mr_source_class mr_files_source = {
    .name = "files",
    .options = mr_files_source_options,
    .state_size = sizeof(files_source),
    .open = files_open,
    .poll = files_poll,
    .close = files_close,
};
