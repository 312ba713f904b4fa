#include "core/options.h"

#include <strings.h>

enum { NAME_BYTES = 128 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Edits (insert, remove, replace, swap neighbours) that make `b` of `a`, without regard to case. */
static size_t edits(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NAME_BYTES + 1];
    size_t *before_last = rows[0], *last = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b_size; j++)
        last[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            row[j] = smaller(smaller(last[j], row[j - 1]) + 1, last[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = smaller(row[j], before_last[j - 2] + 1);
        }
        size_t *oldest = before_last;
        before_last = last;
        last = row;
        row = oldest;
    }
    return last[b_size];
}

const char *mr_nearest_name(const char *name, const char *const *known, size_t count)
{
    const char *nearest = NULL;
    size_t size = strlen(name);
    size_t bound = size / 3 + 1; /* more edits make another word of it */
    if (size == 0 || size > NAME_BYTES)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t known_size = strlen(known[i]);
        if (known_size > NAME_BYTES)
            continue;
        size_t distance = edits(name, size, known[i], known_size);
        if (distance < bound || (distance == bound && nearest == NULL)) {
            nearest = known[i];
            bound = distance;
        }
    }
    return nearest;
}
