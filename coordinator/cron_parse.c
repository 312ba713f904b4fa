/* cron_parse.c - the five fields of a cron schedule; see cron.h for their form. */
#include "coordinator/cron.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { TEXT_BYTES = 256 };

typedef struct field {
    const char *name;
    int minimum;
    int maximum;
} field;

static const field fields[] = {
    {"minute", 0, 59}, {"hour", 0, 23}, {"day of month", 1, 31}, {"month", 1, 12}, {"day of week", 0, 7},
};

enum { FIELDS = sizeof fields / sizeof *fields };

typedef struct parser {
    const char *text;
    const char *at;
    const field *field;
    mr_error *ret_error;
} parser;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static mr_err refuse_macro(const char *text, mr_error *ret_error)
{
    static const struct {
        const char *macro;
        const char *fields;
    } known[] = {
        {"@hourly", "0 * * * *"},   {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
        {"@weekly", "0 0 * * 0"},   {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
        {"@annually", "0 0 1 1 *"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(text, known[i].macro) == 0)
            return mr_fail(ret_error, MR_EINVALID, "macros such as %s are not supported yet; write %s",
                           known[i].macro, known[i].fields);
    return mr_fail(ret_error, MR_EINVALID, "macros such as \"%s\" are not supported yet; write five fields",
                   text);
}

static mr_err refuse(const parser *p, const char *at, const char *problem)
{
    return mr_fail(p->ret_error, MR_EINVALID, "\"%s\", column %d, field %s: %s", p->text,
                   (int)(at - p->text) + 1, p->field->name, problem);
}

static mr_err refuse_character(const parser *p)
{
    char c = *p->at;
    if (c == '\0' || is_blank(c) || c == ',' || c == '-' || c == '/')
        return refuse(p, p->at, "a number or * is expected");
    if (is_letter(c))
        return refuse(p, p->at, "names and letters are not supported yet; write a number");
    if (c == '?')
        return refuse(p, p->at, "? is not supported; write *");
    return refuse(p, p->at, "only digits and * , - / are allowed");
}

static mr_err parse_number(parser *p, int minimum, int maximum, const char *what, int *ret_number)
{
    const char *start = p->at;
    int number = 0;
    if (!is_digit(*p->at))
        return refuse_character(p);
    for (; is_digit(*p->at); p->at++)
        if (number <= maximum)
            number = number * 10 + (*p->at - '0');
    if (number < minimum || number > maximum)
        return mr_fail(p->ret_error, MR_EINVALID,
                       "\"%s\", column %d, field %s: the %s %.*s is not within %d-%d", p->text,
                       (int)(start - p->text) + 1, p->field->name, what, (int)(p->at - start), start, minimum,
                       maximum);
    *ret_number = number;
    return MR_OK;
}

/* What stands before a step: all, one number, or a range. */
static mr_err parse_range(parser *p, int *ret_first, int *ret_last, bool *ret_single)
{
    const char *start = p->at;
    int minimum = p->field->minimum, maximum = p->field->maximum;
    *ret_single = false;
    if (*p->at == '*') {
        p->at++;
        *ret_first = minimum;
        *ret_last = maximum == 7 ? 6 : maximum; /* Sunday once */
        return MR_OK;
    }
    mr_err err = parse_number(p, minimum, maximum, "value", ret_first);
    if (err != MR_OK)
        return err;
    *ret_last = *ret_first;
    *ret_single = *p->at != '-';
    if (*ret_single)
        return MR_OK;
    p->at++;
    err = parse_number(p, minimum, maximum, "value", ret_last);
    if (err == MR_OK && *ret_last < *ret_first)
        return refuse(p, start, "the range runs backwards; write the smaller number first");
    return err;
}

static mr_err parse_item(parser *p, uint64_t *bits)
{
    int first, last, step = 1;
    bool single;
    mr_err err = parse_range(p, &first, &last, &single);
    if (err == MR_OK && *p->at == '/') {
        p->at++;
        err = parse_number(p, 1, p->field->maximum - p->field->minimum + 1, "step", &step);
        if (single)
            last = p->field->maximum == 7 ? 6 : p->field->maximum;
        if (single && first == 7)
            last = 7;
    }
    for (int value = first; err == MR_OK && value <= last; value += step)
        *bits |= UINT64_C(1) << value;
    return err;
}

static mr_err parse_field(parser *p, uint64_t *ret_bits)
{
    uint64_t bits = 0;
    mr_err err = parse_item(p, &bits);
    while (err == MR_OK && *p->at == ',') {
        p->at++;
        err = parse_item(p, &bits);
    }
    if (err == MR_OK && *p->at != '\0' && !is_blank(*p->at))
        err = refuse_character(p);
    if (err == MR_OK)
        *ret_bits = bits;
    return err;
}

static mr_err refuse_count(const parser *p, int found)
{
    return mr_fail(p->ret_error, MR_EINVALID,
                   "\"%s\" has %s five fields (%d); write minute hour day-of-month month day-of-week, as in "
                   "0 * * * *",
                   p->text, found < FIELDS ? "fewer than" : "more than", found);
}

static int count_fields(const char *text)
{
    int count = 0;
    for (size_t i = 0; text[i] != '\0'; i++)
        count += !is_blank(text[i]) && (i == 0 || is_blank(text[i - 1]));
    return count;
}

static mr_err check_form(const parser *p)
{
    int count = count_fields(p->text);
    if (*p->at == '@')
        return refuse_macro(p->at, p->ret_error);
    if (strncasecmp(p->at, "TZ=", 3) == 0 || strncasecmp(p->at, "CRON_TZ=", 8) == 0)
        return mr_fail(p->ret_error, MR_EINVALID,
                       "\"%s\": time zones are not supported yet; times are in UTC", p->text);
    return count == FIELDS ? MR_OK : refuse_count(p, count);
}

mr_err mr_cron_parse(const char *text, mr_cron *ret_cron, mr_error *ret_error)
{
    parser p = {.text = text, .at = text, .ret_error = ret_error};
    uint64_t bits[FIELDS] = {0};
    bool any[FIELDS] = {false};
    if (strlen(text) > TEXT_BYTES)
        return mr_fail(ret_error, MR_ETOOLARGE, "\"%.40s...\" is longer than %d bytes", text, TEXT_BYTES);
    while (is_blank(*p.at))
        p.at++;
    mr_err err = check_form(&p);
    for (int i = 0; i < FIELDS && err == MR_OK; i++) {
        while (is_blank(*p.at))
            p.at++;
        p.field = &fields[i];
        any[i] = *p.at == '*';
        err = parse_field(&p, &bits[i]);
    }
    if (err != MR_OK)
        return err;
    *ret_cron = (mr_cron){.minutes = bits[0],
                          .hours = (uint32_t)bits[1],
                          .days = (uint32_t)bits[2],
                          .months = (uint32_t)bits[3],
                          .weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f),
                          .either_day = !any[2] && !any[4]};
    return MR_OK;
}
