#include "core/csv_row.h"

#include <stdlib.h>

#if defined(__SSE2__) && !defined(CSV_PORTABLE)
#include <emmintrin.h>
#endif

static const char TOO_LONG[] = "the row is longer than the maximum";
static const char TOO_MANY_FIELDS[] = "the row has more than 16384 fields";
static const char NOT_CLOSED[] = "a quote is not closed";
static const char NOT_CLOSED_IN_BOUND[] = "a quote is not closed, or the row is longer than the maximum";
static const char STRAY_TEXT[] = "text follows a closing quote";

#if defined(__SSE2__) && !defined(CSV_PORTABLE)

static uint64_t marks_of(const mr_csv_dialect *dialect, const char *block)
{
    const __m128i delimiter = _mm_set1_epi8(dialect->delimiter);
    const __m128i quote = _mm_set1_epi8(dialect->quote);
    const __m128i line_end = _mm_set1_epi8('\n');
    uint64_t bits = 0;
    for (int part = 0; part < CSV_BLOCK_BYTES / 16; part++) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * part));
        __m128i hits =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, delimiter),
                         _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, line_end)));
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(hits) << (16 * part);
    }
    return bits;
}

#else

static uint64_t marks_of(const mr_csv_dialect *dialect, const char *block)
{
    uint64_t bits = 0;
    for (int i = 0; i < CSV_BLOCK_BYTES; i++) {
        char c = block[i];
        bits |= (uint64_t)(c == dialect->delimiter || c == dialect->quote || c == '\n') << i;
    }
    return bits;
}

#endif

void csv_marks_seek(csv_marks *marks, const mr_csv_dialect *dialect, const char *place)
{
    *marks = (csv_marks){place, marks_of(dialect, place)};
}

/* The state of one parse; lives on the stack of csv_row_parse. */
typedef struct parse {
    const mr_csv_dialect *dialect;
    csv_marks marks;
    const char *row;
    const char *limit; /* end of what may be looked at */
    bool at_end;       /* the file ends at `limit` */
    bool at_bound;     /* the row may not go on beyond `limit` */
    csv_fields *fields;
    size_t field_count; /* also those beyond CSV_FIELDS_MAX */
    csv_extent *extent;
} parse;

/* The next mark, not yet taken, or NULL at the limit. */
static inline const char *peek_mark(parse *p)
{
    while (p->marks.bits == 0) {
        p->marks.base += CSV_BLOCK_BYTES;
        if (p->marks.base >= p->limit)
            return NULL;
        p->marks.bits = marks_of(p->dialect, p->marks.base);
    }
    const char *at = p->marks.base + __builtin_ctzll(p->marks.bits);
    return at < p->limit ? at : NULL;
}

static inline void take_mark(parse *p)
{
    p->marks.bits &= p->marks.bits - 1;
}

static void skip_mark(parse *p)
{
    (void)peek_mark(p); /* it may be in the next block */
    take_mark(p);
}

static bool fields_grow(csv_fields *fields)
{
    size_t capacity = fields->capacity < 16 ? 16 : fields->capacity * 2;
    mr_csv_field *items = realloc(fields->items, capacity * sizeof *items);
    if (items == NULL)
        return false;
    fields->items = items;
    fields->capacity = capacity;
    return true;
}

static inline bool add_field(parse *p, const char *start, const char *end, bool quoted)
{
    size_t index = p->field_count++;
    if (index >= CSV_FIELDS_MAX)
        return true;
    if (index >= p->fields->capacity && !fields_grow(p->fields))
        return false;
    mr_csv_field *field = &p->fields->items[index];
    field->text.data = start;
    field->text.size = (size_t)(end - start);
    field->quoted = quoted;
    return true;
}

static csv_status finish(parse *p, const char *content_end, const char *end)
{
    p->extent->content_bytes = (size_t)(content_end - p->row);
    p->extent->bytes = (size_t)(end - p->row);
    if (p->extent->problem == NULL && p->extent->content_bytes > p->dialect->max_row_bytes)
        p->extent->problem = TOO_LONG;
    if (p->extent->problem == NULL && p->field_count > CSV_FIELDS_MAX)
        p->extent->problem = TOO_MANY_FIELDS;
    p->fields->count = p->extent->problem == NULL ? p->field_count : 0;
    return CSV_ROW;
}

__attribute__((cold)) static csv_status endless(parse *p, const char *problem)
{
    p->extent->problem = problem;
    p->extent->bytes = (size_t)(p->limit - p->row);
    p->extent->line_ends = 0;
    for (const char *at = p->row; (at = memchr(at, '\n', (size_t)(p->limit - at))) != NULL; at++)
        p->extent->line_ends++;
    return CSV_ENDLESS;
}

/* The quote that opened at `open` is not balanced. Taking in all that follows would lose good rows, so the
 * row ends at the first line end behind that quote. */
__attribute__((cold)) static csv_status unbalanced(parse *p, const char *open, const char *problem)
{
    const char *end = memchr(open, '\n', (size_t)(p->limit - open));
    if (end == NULL && p->at_bound)
        return endless(p, problem);
    if (end == NULL && !p->at_end)
        return CSV_NEEDS_MORE;
    p->extent->problem = problem;
    p->extent->line_ends = 1;
    const char *last = end != NULL ? end : p->limit;
    for (const char *at = p->row; (at = memchr(at, '\n', (size_t)(last - at))) != NULL; at++)
        p->extent->line_ends++;
    const char *content_end = last > p->row && last[-1] == '\r' ? last - 1 : last;
    return finish(p, content_end, end != NULL ? end + 1 : p->limit);
}

/* The limit came before the row's end, in a field that is not quoted and started at `field`. */
static csv_status limit_in_plain(parse *p, const char *field)
{
    if (p->at_bound)
        return endless(p, TOO_LONG);
    if (!p->at_end)
        return CSV_NEEDS_MORE;
    const char *end = p->limit > field && p->limit[-1] == '\r' ? p->limit - 1 : p->limit;
    if (!add_field(p, field, end, false))
        return CSV_NO_MEMORY;
    p->extent->line_ends++;
    return finish(p, end, p->limit);
}

static csv_status limit_in_quotes(parse *p, const char *open)
{
    if (p->at_bound)
        return unbalanced(p, open, NOT_CLOSED_IN_BOUND);
    return p->at_end ? unbalanced(p, open, NOT_CLOSED) : CSV_NEEDS_MORE;
}

/* The quote that closes the field whose opening quote is the next mark; NULL at the limit. */
static const char *closing_quote(parse *p)
{
    skip_mark(p);
    for (const char *at; (at = peek_mark(p)) != NULL;) {
        take_mark(p);
        if (*at == '\n') {
            p->extent->line_ends++;
        } else if (*at == p->dialect->quote) {
            if (at + 1 >= p->limit || at[1] != p->dialect->quote)
                return at;
            skip_mark(p); /* two stand for one in the text */
        }
    }
    return NULL;
}

/* Reads the quoted field at *field. CSV_NEEDS_MORE with *ret_goes_on: a delimiter follows, *field is behind
 * it. */
static csv_status parse_quoted(parse *p, const char **field, bool *ret_goes_on)
{
    const char *open = *field;
    const char *close = closing_quote(p);
    if (close == NULL)
        return limit_in_quotes(p, open);
    p->extent->has_quoted = true;
    if (!add_field(p, open + 1, close, true))
        return CSV_NO_MEMORY;
    const char *next = close + 1;
    if (next < p->limit && *next == p->dialect->delimiter) {
        skip_mark(p);
        *field = next + 1;
        *ret_goes_on = true;
        return CSV_NEEDS_MORE;
    }
    const char *line_end = next < p->limit && *next == '\r' ? next + 1 : next;
    if (line_end >= p->limit) {
        if (p->at_bound)
            return endless(p, TOO_LONG);
        if (!p->at_end)
            return CSV_NEEDS_MORE;
        p->extent->line_ends++;
        return finish(p, next, p->limit);
    }
    if (*line_end != '\n')
        return unbalanced(p, open, STRAY_TEXT);
    skip_mark(p);
    p->extent->line_ends++;
    return finish(p, next, line_end + 1);
}

typedef enum plain_end { PLAIN_LINE_END, PLAIN_QUOTE, PLAIN_LIMIT, PLAIN_NO_MEMORY } plain_end;

/* Reads fields that are not quoted, from *field on, up to the row's end, a quoted field or the limit, at
 * which *field then stands. The inner loop of it all: what changes is kept in locals, since each store to a
 * field would otherwise make the compiler load the rest again. */
static plain_end parse_plain(parse *p, const char **field, const char **ret_line_end)
{
    const int quote = p->dialect->quote != '\n' ? p->dialect->quote : -1000; /* none */
    const char delimiter = p->dialect->delimiter;
    const char *const limit = p->limit;
    const char *start = *field, *at = NULL;
    csv_marks marks = p->marks;
    plain_end end;
    for (;; start = at + 1) {
        if (*start == quote && start < limit) {
            end = PLAIN_QUOTE;
            break;
        }
        do { /* a quote within a plain field is text */
            while (marks.bits == 0 && (marks.base += CSV_BLOCK_BYTES) < limit)
                marks.bits = marks_of(p->dialect, marks.base);
            at = marks.bits != 0 ? marks.base + __builtin_ctzll(marks.bits) : limit;
            if (at >= limit)
                break;
            marks.bits &= marks.bits - 1;
        } while (*at != delimiter && *at != '\n');
        if (at >= limit) {
            end = PLAIN_LIMIT;
            break;
        }
        bool last = *at == '\n';
        bool carriage_return = last && at > start && at[-1] == '\r';
        if (!add_field(p, start, at - carriage_return, false)) {
            end = PLAIN_NO_MEMORY;
            break;
        }
        if (last) {
            end = PLAIN_LINE_END;
            break;
        }
    }
    p->marks.base = marks.base;
    p->marks.bits = marks.bits;
    *field = start;
    *ret_line_end = at;
    return end;
}

static csv_status parse_row(parse *p)
{
    for (const char *field = p->row, *line_end = NULL;;) {
        switch (parse_plain(p, &field, &line_end)) {
        case PLAIN_LINE_END:
            p->extent->line_ends++;
            return finish(p, line_end > field && line_end[-1] == '\r' ? line_end - 1 : line_end,
                          line_end + 1);
        case PLAIN_LIMIT:
            return limit_in_plain(p, field);
        case PLAIN_NO_MEMORY:
            return CSV_NO_MEMORY;
        case PLAIN_QUOTE:
            break;
        }
        bool goes_on = false;
        csv_status status = parse_quoted(p, &field, &goes_on);
        if (!goes_on)
            return status;
    }
}

csv_status csv_row_parse(const mr_csv_dialect *dialect, csv_marks *marks, mr_slice available, bool at_end,
                         csv_fields *fields, csv_extent *ret_extent)
{
    size_t bound = dialect->max_row_bytes + 2; /* room for a line end */
    bool at_bound = available.size >= bound;
    parse p = {
        .dialect = dialect,
        .marks = *marks,
        .row = available.data,
        .limit = available.data + (at_bound ? bound : available.size),
        .at_end = at_end && !at_bound,
        .at_bound = at_bound,
        .fields = fields,
        .extent = ret_extent,
    };
    *ret_extent = (csv_extent){0};
    csv_status status = parse_row(&p);
    marks->base = p.marks.base;
    marks->bits = p.marks.bits;
    return status;
}
