#include "connectors/sqlite/pending.h"

#include <stdlib.h>

static bool make_room(void **items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return true;
    size_t grown = *capacity == 0 ? 16 : *capacity * 2;
    void *moved = realloc(*items, grown * item_size);
    if (moved == NULL)
        return false;
    *items = moved;
    *capacity = grown;
    return true;
}

mr_err pending_add(pending_records *pending, uint64_t seq, mr_error *ret_error)
{
    if (pending->range_count > 0 && pending->ranges[pending->range_count - 1].last + 1 == seq) {
        pending->ranges[pending->range_count - 1].last = seq;
        return MR_OK;
    }
    if (!make_room((void **)&pending->ranges, pending->range_count, &pending->range_capacity,
                   sizeof(pending_range)))
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a range of records");
    pending->ranges[pending->range_count++] = (pending_range){seq, seq};
    return MR_OK;
}

mr_err pending_refuse(pending_records *pending, uint64_t seq, const char *reason, mr_error *ret_error)
{
    size_t count = pending->refusal_count;
    const char *kept = count > 0 ? pending->refusals[count - 1].reason : "";
    if (strcmp(kept, reason) != 0) /* often one after the other for one reason */
        kept = mr_arena_copy(&pending->reasons, mr_slice_of(reason)).data;
    if (kept == NULL ||
        !make_room((void **)&pending->refusals, count, &pending->refusal_capacity, sizeof(pending_refusal)))
        return mr_fail(ret_error, MR_ENOMEM, "no memory for a reason");
    pending->refusals[pending->refusal_count++] = (pending_refusal){seq, kept};
    return MR_OK;
}

static int by_seq(const void *a, const void *b)
{
    const pending_refusal *left = a, *right = b;
    return (left->seq > right->seq) - (left->seq < right->seq);
}

/* Refusals from *at on that lie in the range split it. */
static void settle_range(const pending_records *pending, pending_range range, size_t *at,
                         mr_verdicts *verdicts)
{
    uint64_t next = range.first;
    for (; *at < pending->refusal_count && pending->refusals[*at].seq <= range.last; (*at)++) {
        const pending_refusal *refused = &pending->refusals[*at];
        if (refused->seq > next)
            mr_verdict_give(verdicts, next, refused->seq - 1, MR_SINK_DONE, 0, NULL);
        mr_verdict_give(verdicts, refused->seq, refused->seq, MR_SINK_REJECTED, 0, refused->reason);
        next = refused->seq + 1;
    }
    if (next <= range.last)
        mr_verdict_give(verdicts, next, range.last, MR_SINK_DONE, 0, NULL);
}

void pending_settle(pending_records *pending, mr_verdicts *verdicts)
{
    size_t at = 0;
    if (pending->refusal_count > 1)
        qsort(pending->refusals, pending->refusal_count, sizeof *pending->refusals, by_seq);
    for (size_t i = 0; i < pending->range_count; i++)
        settle_range(pending, pending->ranges[i], &at, verdicts);
    pending->range_count = pending->refusal_count = 0;
    mr_arena_reset(&pending->reasons);
}

void pending_fini(pending_records *pending)
{
    free(pending->ranges);
    free(pending->refusals);
    mr_arena_fini(&pending->reasons);
    *pending = (pending_records){0};
}
