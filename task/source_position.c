#include "task/source_position.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

void source_position_fini(source_position *self)
{
    mr_buf_fini(&self->connector);
    free(self->ranges);
    *self = (source_position){0};
}

/* Prints and drops `json`, which may be NULL when memory was short. */
static mr_err print_json(json_t *json, mr_buf *out, mr_error *ret_error)
{
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    mr_err err = text == NULL ? MR_ENOMEM : mr_buf_append(out, text, strlen(text));
    free(text);
    json_decref(json);
    return err == MR_OK ? MR_OK : mr_fail(ret_error, err, "out of memory");
}

mr_err source_position_key(const char *dataset, const char *run_uid, mr_buf *out, mr_error *ret_error)
{
    return print_json(json_pack("{s:s, s:s}", "dataset", dataset, "run", run_uid), out, ret_error);
}

bool source_position_key_parse(mr_slice key, const char *dataset, mr_buf *run_uid)
{
    const char *found = NULL, *run = NULL;
    json_t *json = json_loadb(key.data, key.size, JSON_REJECT_DUPLICATES, NULL);
    bool ours = json != NULL && json_unpack(json, "{s:s, s:s}", "dataset", &found, "run", &run) == 0 &&
                strcmp(found, dataset) == 0 && mr_buf_append(run_uid, run, strlen(run)) == MR_OK;
    json_decref(json);
    return ours;
}

static mr_err parse_ranges(const json_t *list, source_position *position)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        json_int_t partition, first, range_end;
        if (json_unpack(item, "[I, I, I!]", &partition, &first, &range_end) != 0 || partition < 0 ||
            partition > INT32_MAX || first < 0 || range_end < first ||
            source_position_has(position, (int32_t)partition))
            return MR_EINVALID;
        mr_err err = source_position_extend(position, (int32_t)partition, first, range_end, NULL);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

static mr_err parse(json_t *json, source_position *position)
{
    json_int_t read, filtered, rejected, produced, rejected_files, bytes;
    int ended, over_rejected;
    json_t *connector, *ranges;
    const char *reason = "";
    if (json_unpack(json, "{s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:b, s:b, s?s}", "position",
                    &connector, "counts", "read", &read, "filtered", &filtered, "rejected", &rejected,
                    "produced", &produced, "rejected_files", &rejected_files, "bytes", &bytes, "ranges",
                    &ranges, "ended", &ended, "over_rejected", &over_rejected, "rejected_file_reason",
                    &reason) != 0 ||
        !json_is_array(ranges) || read < 0 || filtered < 0 || rejected < 0 || produced < 0 ||
        rejected_files < 0 || bytes < 0)
        return MR_EINVALID;
    position->read = (uint64_t)read;
    position->filtered = (uint64_t)filtered;
    position->rejected = (uint64_t)rejected;
    position->produced = (uint64_t)produced;
    position->rejected_files = (uint64_t)rejected_files;
    position->bytes = (uint64_t)bytes;
    position->ended = ended;
    position->over_rejected = over_rejected;
    snprintf(position->rejected_file_reason, sizeof position->rejected_file_reason, "%s", reason);
    if (!json_is_null(connector)) {
        mr_err err = print_json(json_incref(connector), &position->connector, NULL);
        if (err != MR_OK)
            return err;
    }
    return parse_ranges(ranges, position);
}

mr_err source_position_parse(mr_slice text, source_position *ret_position, mr_error *ret_error)
{
    source_position position = {0};
    json_t *json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    mr_err err = json == NULL ? MR_EINVALID : parse(json, &position);
    json_decref(json);
    if (err != MR_OK) {
        source_position_fini(&position);
        return mr_fail(ret_error, err, "the source position \"%.*s\" cannot be understood",
                       (int)(text.size < 200 ? text.size : 200), text.data);
    }
    *ret_position = position;
    return MR_OK;
}

mr_err source_position_print(const source_position *self, mr_buf *out, mr_error *ret_error)
{
    json_t *ranges = json_array();
    for (size_t i = 0; i < self->range_count; i++)
        json_array_append_new(ranges,
                              json_pack("[I, I, I]", (json_int_t)self->ranges[i].partition,
                                        (json_int_t)self->ranges[i].first, (json_int_t)self->ranges[i].end));
    json_t *connector = self->connector.size == 0
                            ? json_null()
                            : json_loadb(self->connector.data, self->connector.size,
                                         JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (connector == NULL) {
        json_decref(ranges);
        return mr_fail(ret_error, MR_EBUG, "the connector's position is not JSON");
    }
    json_t *json =
        json_pack("{s:o, s:{s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:b, s:b}", "position", connector, "counts",
                  "read", (json_int_t)self->read, "filtered", (json_int_t)self->filtered, "rejected",
                  (json_int_t)self->rejected, "produced", (json_int_t)self->produced, "rejected_files",
                  (json_int_t)self->rejected_files, "bytes", (json_int_t)self->bytes, "ranges", ranges,
                  "ended", self->ended, "over_rejected", self->over_rejected);
    if (json != NULL && self->rejected_file_reason[0] != '\0')
        json_object_set_new(json, "rejected_file_reason", json_string(self->rejected_file_reason));
    return print_json(json, out, ret_error);
}

bool source_position_has(const source_position *self, int32_t partition)
{
    for (size_t i = 0; i < self->range_count; i++)
        if (self->ranges[i].partition == partition)
            return true;
    return false;
}

mr_err source_position_extend(source_position *self, int32_t partition, int64_t first, int64_t range_end,
                              mr_error *ret_error)
{
    for (size_t i = 0; i < self->range_count; i++) {
        if (self->ranges[i].partition == partition) {
            self->ranges[i].end = range_end;
            return MR_OK;
        }
    }
    source_range *ranges = realloc(self->ranges, (self->range_count + 1) * sizeof *ranges);
    if (ranges == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    self->ranges = ranges;
    self->ranges[self->range_count++] = (source_range){partition, first, range_end};
    return MR_OK;
}

void source_position_progress(const source_position *self, const char *run_uid, Mr__Proto__Range *ranges,
                              Mr__Proto__Range **range_list, Mr__Proto__SourceProgress *ret_progress)
{
    Mr__Proto__SourceProgress progress = MR__PROTO__SOURCE_PROGRESS__INIT;
    for (size_t i = 0; i < self->range_count; i++) {
        mr__proto__range__init(&ranges[i]);
        ranges[i].partition = self->ranges[i].partition;
        ranges[i].first = self->ranges[i].first;
        ranges[i].end = self->ranges[i].end;
        range_list[i] = &ranges[i];
    }
    progress.run_uid = (char *)run_uid;
    progress.read = self->read;
    progress.filtered = self->filtered;
    progress.rejected = self->rejected;
    progress.produced = self->produced;
    progress.rejected_files = self->rejected_files;
    progress.bytes = self->bytes;
    progress.n_ranges = self->range_count;
    progress.ranges = range_list;
    progress.ended = self->ended;
    progress.over_rejected = self->over_rejected;
    progress.rejected_file_reason = (char *)self->rejected_file_reason;
    *ret_progress = progress;
}
