#include "cli/table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW_ROWS = 500, WINDOW_BYTES = 256 * 1024, WIDEST = 80, GAP = 2 };

struct text_table {
    FILE *out;
    const char *const *titles;
    size_t columns;
    size_t *widths;
    bool *numeric;
    char **cells; /* of the window, row by row; owned */
    size_t count, bytes;
    bool flowing; /* the widths are settled */
};

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += (*text & 0xc0) != 0x80;
    return width;
}

char *text_safe(const char *text)
{
    char *copy = malloc(4 * strlen(text) + 1), *to = copy;
    if (copy == NULL)
        return NULL;
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != 0x7f) {
            *to++ = *text;
            continue;
        }
        const char *name = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;
        to += name != NULL ? sprintf(to, "%s", name) : sprintf(to, "\\x%02x", c);
    }
    *to = '\0';
    return copy;
}

static bool is_number(const char *text)
{
    if (*text == '\0')
        return true; /* an empty cell fits everywhere */
    char *end;
    (void)strtod(text, &end);
    return *end == '\0' && strchr("-0123456789", *text) != NULL;
}

text_table *table_open(FILE *out, const char *const *titles, size_t columns)
{
    text_table *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    *self = (text_table){.out = out, .titles = titles, .columns = columns};
    self->widths = calloc(columns + 1, sizeof *self->widths);
    self->numeric = calloc(columns + 1, sizeof *self->numeric);
    self->cells = calloc(WINDOW_ROWS * columns + 1, sizeof *self->cells);
    if (self->widths == NULL || self->numeric == NULL || self->cells == NULL) {
        self->flowing = true; /* prints nothing */
        table_close(&self);
    }
    return self;
}

static void print_padding(FILE *out, size_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

/* Blanks are only written before something: lines do not end in them. */
static void print_line(const text_table *self, const char *const *cells)
{
    size_t owed = 0;
    for (size_t i = 0; i < self->columns; i++) {
        const char *cell = cells[i] == NULL ? "" : cells[i];
        const size_t width = text_width(cell);
        const size_t padding = width < self->widths[i] ? self->widths[i] - width : 0;
        if (self->numeric[i])
            owed += padding;
        if (*cell != '\0') {
            print_padding(self->out, owed);
            owed = 0;
        }
        fputs(cell, self->out);
        owed += (self->numeric[i] ? 0 : padding) + GAP;
    }
    fputc('\n', self->out);
}

static void settle(text_table *self)
{
    const size_t rows = self->columns == 0 ? 0 : self->count / self->columns;
    for (size_t i = 0; i < self->columns; i++) {
        self->widths[i] = text_width(self->titles[i]);
        self->numeric[i] = rows > 0;
        for (size_t row = 0; row < rows; row++) {
            const char *cell = self->cells[row * self->columns + i];
            const size_t width = text_width(cell);
            if (width > self->widths[i])
                self->widths[i] = width > WIDEST ? WIDEST : width;
            self->numeric[i] = self->numeric[i] && is_number(cell);
        }
    }
    print_line(self, self->titles);
    for (size_t row = 0; row < rows; row++)
        print_line(self, (const char *const *)&self->cells[row * self->columns]);
    for (size_t i = 0; i < self->count; i++)
        free(self->cells[i]);
    self->count = 0;
    self->flowing = true;
}

static void print_flowing(text_table *self, const char *const *cells)
{
    for (size_t i = 0; i < self->columns; i++)
        self->cells[i] = text_safe(cells[i] == NULL ? "" : cells[i]);
    print_line(self, (const char *const *)self->cells);
    for (size_t i = 0; i < self->columns; i++)
        free(self->cells[i]);
}

void table_row(text_table *self, const char *const *cells)
{
    if (self->flowing) {
        print_flowing(self, cells);
        return;
    }
    for (size_t i = 0; i < self->columns; i++) {
        char *cell = text_safe(cells[i] == NULL ? "" : cells[i]);
        if (cell == NULL)
            cell = calloc(1, 1);
        if (cell == NULL)
            abort();
        self->cells[self->count++] = cell;
        self->bytes += strlen(cell);
    }
    if (self->count == WINDOW_ROWS * self->columns || self->bytes > WINDOW_BYTES)
        settle(self);
}

void table_close(text_table **handle)
{
    text_table *self = *handle;
    *handle = NULL;
    if (self == NULL)
        return;
    if (!self->flowing)
        settle(self);
    free(self->widths);
    free(self->numeric);
    free(self->cells);
    free(self);
}
