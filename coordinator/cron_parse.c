/* cron_parse.c - the five fields of a cron schedule; see cron.h for their form. */
#include "coordinator/cron.h"

#include "core/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TEXT_BYTES = 256 };

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* The first stands for the field's minimum. */
static const char *const months[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                     "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
static const char *const weekdays[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

typedef struct field {
    const char *name;
    int minimum;
    int maximum;
    const char *const *names; /* of values; NULL: only numbers */
    size_t name_count;
    const char *expected;
} field;

static const field fields[] = {
    {"minute", 0, 59, NULL, 0, "a number or * is expected"},
    {"hour", 0, 23, NULL, 0, "a number or * is expected"},
    {"day of month", 1, 31, NULL, 0, "a number or * is expected"},
    {"month", 1, 12, months, COUNT(months), "a number, a name (JAN-DEC) or * is expected"},
    {"day of week", 0, 7, weekdays, COUNT(weekdays), "a number, a name (SUN-SAT) or * is expected"},
};

enum { FIELDS = COUNT(fields) };

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

static bool is_wildcard(char c)
{
    return c == '*' || c == '?';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static const char *const macros[] = {"@hourly",  "@daily",  "@midnight", "@weekly",
                                     "@monthly", "@yearly", "@annually"};
static const char *const macro_fields[] = {"0 * * * *", "0 0 * * *", "0 0 * * *", "0 0 * * 0",
                                           "0 0 1 * *", "0 0 1 1 *", "0 0 1 1 *"};

/* The fields that a macro stands for; NULL: unknown. */
static const char *find_macro(const char *text, size_t size)
{
    for (size_t i = 0; i < COUNT(macros); i++)
        if (strlen(macros[i]) == size && strncasecmp(text, macros[i], size) == 0)
            return macro_fields[i];
    return NULL;
}

static mr_err refuse(const parser *p, const char *at, const char *problem)
{
    return mr_fail(p->ret_error, MR_EINVALID, "\"%s\", column %d, field %s: %s", p->text,
                   (int)(at - p->text) + 1, p->field->name, problem);
}

static mr_err refuse_character(const parser *p)
{
    char c = *p->at;
    if (c == '\0' || is_blank(c) || c == ',' || c == '-' || c == '/' || is_letter(c))
        return refuse(p, p->at, p->field->expected);
    return refuse(p, p->at, "only digits, names of months and days, and * ? , - / are allowed");
}

static mr_err parse_name(parser *p, int *ret_value)
{
    char name[12];
    size_t size = 0;
    while (is_letter(p->at[size]))
        size++;
    snprintf(name, sizeof name, "%.*s", (int)size, p->at);
    for (size_t i = 0; i < p->field->name_count; i++) {
        if (size == 3 && strcasecmp(name, p->field->names[i]) == 0) {
            p->at += size;
            *ret_value = p->field->minimum + (int)i;
            return MR_OK;
        }
    }
    const char *nearest = mr_nearest_name(name, p->field->names, p->field->name_count);
    char problem[120];
    if (nearest != NULL)
        snprintf(problem, sizeof problem, "there is no name \"%s\", did you mean %s?", name, nearest);
    else
        snprintf(problem, sizeof problem, "there is no name \"%s\"; names have three letters", name);
    return refuse(p, p->at, problem);
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

static mr_err parse_value(parser *p, int *ret_value)
{
    if (is_letter(*p->at) && p->field->names != NULL)
        return parse_name(p, ret_value);
    return parse_number(p, p->field->minimum, p->field->maximum, "value", ret_value);
}

/* What stands before a step: all, one value, or a range. */
static mr_err parse_range(parser *p, int *ret_first, int *ret_last, bool *ret_single)
{
    const char *start = p->at;
    int minimum = p->field->minimum, maximum = p->field->maximum;
    *ret_single = false;
    if (is_wildcard(*p->at)) {
        p->at++;
        *ret_first = minimum;
        *ret_last = maximum == 7 ? 6 : maximum; /* Sunday once */
        return MR_OK;
    }
    mr_err err = parse_value(p, ret_first);
    if (err != MR_OK)
        return err;
    *ret_last = *ret_first;
    *ret_single = *p->at != '-';
    if (*ret_single)
        return MR_OK;
    p->at++;
    err = parse_value(p, ret_last);
    if (err == MR_OK && *ret_last < *ret_first)
        return refuse(p, start, "the range runs backwards; write two, as in FRI-SAT,SUN-MON or 22-23,0-5");
    return err;
}

/* *any becomes true when the item holds every value: the field does not restrict. */
static mr_err parse_item(parser *p, uint64_t *bits, bool *any)
{
    int first, last, step = 1;
    bool single, all = is_wildcard(*p->at);
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
    *any |= all && step == 1;
    return err;
}

static mr_err parse_field(parser *p, uint64_t *ret_bits, bool *ret_any)
{
    uint64_t bits = 0;
    bool any = false;
    mr_err err = parse_item(p, &bits, &any);
    while (err == MR_OK && *p->at == ',') {
        p->at++;
        err = parse_item(p, &bits, &any);
    }
    if (err == MR_OK && *p->at != '\0' && !is_blank(*p->at))
        err = refuse_character(p);
    if (err == MR_OK) {
        *ret_bits = bits;
        *ret_any = any;
    }
    return err;
}

static mr_err refuse_macro(const parser *p)
{
    const char *nearest = mr_nearest_name(p->at, macros, COUNT(macros));
    int column = (int)(p->at - p->text) + 1;
    if (strncasecmp(p->at, "@every", 6) == 0)
        return mr_fail(p->ret_error, MR_EINVALID,
                       "\"%s\", column %d: @every is not supported; write a step, as in */5 * * * *", p->text,
                       column);
    return mr_fail(p->ret_error, MR_EINVALID,
                   "\"%s\", column %d: there is no such macro%s%s%s; there are @hourly, @daily, @midnight, "
                   "@weekly, @monthly, @yearly and @annually",
                   p->text, column, nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "",
                   nearest != NULL ? "?" : "");
}

static mr_err refuse_count(const parser *p, int found)
{
    return mr_fail(p->ret_error, MR_EINVALID,
                   "\"%s\" has %s five fields (%d); write minute hour day-of-month month day-of-week, as in "
                   "0 * * * *%s",
                   p->text, found < FIELDS ? "fewer than" : "more than", found,
                   found == FIELDS + 1 ? " (there is no field for seconds)" : "");
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
        return refuse_macro(p);
    if (strncasecmp(p->at, "TZ=", 3) == 0 || strncasecmp(p->at, "CRON_TZ=", 8) == 0)
        return mr_fail(p->ret_error, MR_EINVALID, "\"%s\": a schedule holds no time zone; times are in UTC",
                       p->text);
    return count == FIELDS ? MR_OK : refuse_count(p, count);
}

/* p->at becomes the first field, of the macro's fields where the text is a macro. */
static void skip_to_fields(parser *p)
{
    size_t size = 0;
    while (is_blank(*p->at))
        p->at++;
    while (p->at[size] != '\0' && !is_blank(p->at[size]))
        size++;
    const char *macro = find_macro(p->at, size);
    if (macro != NULL && p->at[size + strspn(p->at + size, " \t")] == '\0')
        p->text = p->at = macro;
}

mr_err mr_cron_parse(const char *text, mr_cron *ret_cron, mr_error *ret_error)
{
    parser p = {.text = text, .at = text, .ret_error = ret_error};
    uint64_t bits[FIELDS] = {0};
    bool any[FIELDS] = {false}, wild[FIELDS] = {false};
    if (strlen(text) > TEXT_BYTES)
        return mr_fail(ret_error, MR_ETOOLARGE, "\"%.40s...\" is longer than %d bytes", text, TEXT_BYTES);
    skip_to_fields(&p);
    mr_err err = check_form(&p);
    for (int i = 0; i < FIELDS && err == MR_OK; i++) {
        while (is_blank(*p.at))
            p.at++;
        p.field = &fields[i];
        wild[i] = is_wildcard(*p.at);
        err = parse_field(&p, &bits[i], &any[i]);
    }
    if (err != MR_OK)
        return err;
    *ret_cron = (mr_cron){.minutes = bits[0],
                          .hours = (uint32_t)bits[1],
                          .days = (uint32_t)bits[2],
                          .months = (uint32_t)bits[3],
                          .weekdays = (uint32_t)((bits[4] | bits[4] >> 7) & 0x7f),
                          .either_day = !any[2] && !any[4],
                          .wildcard = wild[0] || wild[1]};
    return MR_OK;
}
