#include "task/csv_writer.h"

#include <string.h>

static bool is_special(const csv_writer *self, char c)
{
    return c == self->dialect.delimiter || c == '\n' || c == '\r' ||
           (self->dialect.quote != '\0' && c == self->dialect.quote);
}

static bool has_special(const csv_writer *self, mr_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (is_special(self, text.data[i]))
            return true;
    return false;
}

bool csv_can_write(const csv_writer *self, mr_slice text)
{
    return self->dialect.quote != '\0' || !has_special(self, text);
}

static void begin_cell(csv_writer *self)
{
    if (self->started)
        putc(self->dialect.delimiter, self->out);
    self->started = true;
}

void csv_write(csv_writer *self, mr_slice text, bool quoted)
{
    const char quote = self->dialect.quote;
    begin_cell(self);
    if (quote == '\0' || !(quoted || has_special(self, text))) {
        (void)fwrite(text.data, 1, text.size, self->out);
        return;
    }
    putc(quote, self->out);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == quote)
            putc(quote, self->out);
        putc(text.data[i], self->out);
    }
    putc(quote, self->out);
}

void csv_write_note(csv_writer *self, const char *text)
{
    if (self->dialect.quote != '\0') {
        csv_write(self, mr_slice_of(text), false);
        return;
    }
    begin_cell(self);
    for (; *text != '\0'; text++)
        putc(is_special(self, *text) ? ' ' : *text, self->out);
}

void csv_end_row(csv_writer *self)
{
    putc('\n', self->out);
    self->started = false;
}
