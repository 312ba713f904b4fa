#include "task/sink_position.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

void sink_position_fini(sink_position *self)
{
    for (size_t i = 0; i < self->run_count; i++)
        free(self->runs[i].uid);
    free(self->runs);
    free(self->rejecting);
    *self = (sink_position){.offset = -1};
}

static mr_err parse_runs(const json_t *list, sink_position *position)
{
    size_t i, index;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        json_int_t seq, delivered, rejected, abandoned;
        const char *uid;
        if (json_unpack(item, "{s:I, s:s, s:I, s:I, s:I}", "seq", &seq, "uid", &uid, "delivered", &delivered,
                        "rejected", &rejected, "abandoned", &abandoned) != 0 ||
            seq < 0 || delivered < 0 || rejected < 0 || abandoned < 0)
            return MR_EINVALID;
        mr_err err = sink_position_run(position, seq, uid, &index, NULL);
        if (err != MR_OK)
            return err;
        position->runs[index].delivered = (uint64_t)delivered;
        position->runs[index].rejected = (uint64_t)rejected;
        position->runs[index].abandoned = (uint64_t)abandoned;
    }
    return MR_OK;
}

static mr_err parse_rejecting(const json_t *list, sink_position *position)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        if (!json_is_integer(item))
            return MR_EINVALID;
        if (json_integer_value(item) < position->offset)
            continue;
        mr_err err = sink_position_add_rejecting(position, json_integer_value(item), NULL);
        if (err != MR_OK)
            return err;
    }
    return MR_OK;
}

mr_err sink_position_parse(mr_slice text, int64_t offset, sink_position *ret_position, mr_error *ret_error)
{
    sink_position position = {.offset = offset};
    json_t *json = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    const char *bus = json_string_value(json_object_get(json, "bus"));
    if (bus != NULL)
        snprintf(position.bus, sizeof position.bus, "%s", bus);
    json_t *runs = json_object_get(json, "runs"), *rejecting = json_object_get(json, "rejecting");
    mr_err err = json_is_array(runs) ? parse_runs(runs, &position) : MR_EINVALID;
    if (err == MR_OK && rejecting != NULL)
        err = json_is_array(rejecting) ? parse_rejecting(rejecting, &position) : MR_EINVALID;
    json_decref(json);
    if (err != MR_OK) {
        sink_position_fini(&position);
        return mr_fail(ret_error, err, "the sink position \"%.*s\" cannot be understood",
                       (int)(text.size < 200 ? text.size : 200), text.data);
    }
    *ret_position = position;
    return MR_OK;
}

mr_err sink_position_print(const sink_position *self, mr_buf *out, mr_error *ret_error)
{
    json_t *runs = json_array(), *rejecting = json_array();
    for (size_t i = 0; i < self->run_count; i++) {
        const sink_run *run = &self->runs[i];
        if (run->delivered + run->rejected + run->abandoned == 0)
            continue;
        json_array_append_new(runs,
                              json_pack("{s:I, s:s, s:I, s:I, s:I}", "seq", (json_int_t)run->seq, "uid",
                                        run->uid, "delivered", (json_int_t)run->delivered, "rejected",
                                        (json_int_t)run->rejected, "abandoned", (json_int_t)run->abandoned));
    }
    for (size_t i = 0; i < self->rejecting_count; i++)
        json_array_append_new(rejecting, json_integer(self->rejecting[i]));
    json_t *json = json_pack("{s:o}", "runs", runs);
    if (json != NULL && self->bus[0] != '\0')
        json_object_set_new(json, "bus", json_string(self->bus));
    if (json != NULL && self->rejecting_count > 0)
        json_object_set(json, "rejecting", rejecting);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    mr_err err = text == NULL ? MR_ENOMEM : mr_buf_append(out, text, strlen(text));
    free(text);
    json_decref(json);
    json_decref(rejecting);
    return err == MR_OK ? MR_OK : mr_fail(ret_error, err, "out of memory");
}

mr_err sink_position_run(sink_position *self, int64_t seq, const char *uid, size_t *ret_index,
                         mr_error *ret_error)
{
    for (size_t i = self->run_count; i-- > 0;) {
        if (self->runs[i].seq == seq && strcmp(self->runs[i].uid, uid) == 0) {
            *ret_index = i;
            return MR_OK;
        }
    }
    char *copy = strdup(uid);
    sink_run *runs = copy == NULL ? NULL : realloc(self->runs, (self->run_count + 1) * sizeof *runs);
    if (runs == NULL) {
        free(copy);
        return mr_fail(ret_error, MR_ENOMEM, "out of memory");
    }
    self->runs = runs;
    self->runs[self->run_count] = (sink_run){.seq = seq, .uid = copy};
    *ret_index = self->run_count++;
    return MR_OK;
}

void sink_position_forget(sink_position *self, int64_t oldest_open_run)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->run_count; i++) {
        if (self->runs[i].seq < oldest_open_run && i + 1 < self->run_count)
            free(self->runs[i].uid);
        else
            self->runs[kept++] = self->runs[i];
    }
    self->run_count = kept;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

bool sink_position_is_rejecting(const sink_position *self, int64_t offset)
{
    return self->rejecting_count > 0 &&
           bsearch(&offset, self->rejecting, self->rejecting_count, sizeof offset, compare) != NULL;
}

mr_err sink_position_add_rejecting(sink_position *self, int64_t offset, mr_error *ret_error)
{
    size_t count = self->rejecting_count;
    if (sink_position_is_rejecting(self, offset))
        return MR_OK;
    if (count == self->rejecting_capacity) {
        size_t capacity = count == 0 ? 8 : count * 2;
        int64_t *grown = realloc(self->rejecting, capacity * sizeof *grown);
        if (grown == NULL)
            return mr_fail(ret_error, MR_ENOMEM, "out of memory");
        self->rejecting = grown;
        self->rejecting_capacity = capacity;
    }
    size_t at = count;
    while (at > 0 && self->rejecting[at - 1] > offset)
        at--;
    memmove(&self->rejecting[at + 1], &self->rejecting[at], (count - at) * sizeof offset);
    self->rejecting[at] = offset;
    self->rejecting_count++;
    return MR_OK;
}

void sink_position_advance(sink_position *self, int64_t offset)
{
    size_t below = 0;
    self->offset = offset;
    while (below < self->rejecting_count && self->rejecting[below] < offset)
        below++;
    self->rejecting_count -= below;
    if (below > 0)
        memmove(self->rejecting, &self->rejecting[below], self->rejecting_count * sizeof offset);
}
