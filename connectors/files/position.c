#include "connectors/files/position.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

static mr_err unpack(json_t *root, const char *manifest_sha256, file_position *ret_position,
                     mr_error *ret_error)
{
    const char *manifest;
    json_int_t file, byte, line;
    json_error_t where;
    if (json_unpack_ex(root, &where, 0, "{s:s, s:I, s:I, s:I}", "manifest", &manifest, "file", &file, "byte",
                       &byte, "line", &line) != 0)
        return mr_fail(ret_error, MR_EINVALID, "position: %s", where.text);
    if (strcmp(manifest, manifest_sha256) != 0)
        return mr_fail(
            ret_error, MR_EREFUSED,
            "the position is of the manifest %s, not of %s: another attempt of the run was read before",
            manifest, manifest_sha256);
    if (file < 0 || byte < 0 || line < 1)
        return mr_fail(ret_error, MR_EINVALID, "position: a number is out of range");
    *ret_position = (file_position){(size_t)file, byte, line};
    return MR_OK;
}

mr_err position_parse(mr_slice text, const char *manifest_sha256, file_position *ret_position,
                      mr_error *ret_error)
{
    json_error_t where;
    json_t *root = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &where);
    if (root == NULL)
        return mr_fail(ret_error, MR_EINVALID, "position: column %d: %s", where.column, where.text);
    mr_err err = unpack(root, manifest_sha256, ret_position, ret_error);
    json_decref(root);
    return err;
}

mr_slice position_format(const file_position *position, const char *manifest_sha256, mr_arena *arena)
{
    char text[256]; /* a hash and three numbers: nothing in it needs escaping */
    snprintf(text, sizeof text,
             "{\"manifest\": \"%s\", \"file\": %zu, \"byte\": %" PRId64 ", \"line\": %" PRId64 "}",
             manifest_sha256, position->file, position->byte, position->line);
    return mr_arena_copy(arena, mr_slice_of(text));
}
