#include "coordinator/quantity.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static const struct suffix {
    const char *text;
    double factor;
} suffixes[] = {
    {"", 1},
    {"k", 1e3},
    {"M", 1e6},
    {"G", 1e9},
    {"T", 1e12},
    {"P", 1e15},
    {"Ki", 1024.0},
    {"Mi", 1024.0 * 1024},
    {"Gi", 1024.0 * 1024 * 1024},
    {"Ti", 1024.0 * 1024 * 1024 * 1024},
    {"Pi", 1024.0 * 1024 * 1024 * 1024 * 1024},
};

/* A plain decimal number at the start of the text; NULL when there is none, else where it ends. By hand,
 * because strtod knows locales, hexadecimal, "nan" and "inf". */
static const char *read_number(const char *text, double *ret_number)
{
    double number = 0;
    int digits = 0;
    for (; *text >= '0' && *text <= '9'; text++, digits++)
        number = number * 10 + (*text - '0');
    if (*text == '.') {
        double unit = 0.1;
        for (text++; *text >= '0' && *text <= '9'; text++, digits++, unit /= 10)
            number += unit * (*text - '0');
    }
    if (digits == 0 || digits > 30)
        return NULL;
    *ret_number = number;
    return text;
}

static const struct suffix *find_suffix(const char *text)
{
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (strcmp(text, suffixes[i].text) == 0)
            return &suffixes[i];
    return NULL;
}

mr_err mr_quantity_memory(const char *text, uint64_t *ret_bytes, mr_error *ret_error)
{
    double number;
    const char *rest = read_number(text, &number);
    const struct suffix *suffix = rest == NULL ? NULL : find_suffix(rest);
    if (suffix == NULL)
        return mr_fail(ret_error, MR_EINVALID,
                       "\"%.40s\" is not an amount of memory; write it as \"64Mi\", \"1Gi\" or \"500M\"",
                       text);
    const double bytes = ceil(number * suffix->factor);
    if (bytes < 1 || bytes > 0x1p50)
        return mr_fail(ret_error, MR_EINVALID, "\"%.40s\" is out of range: more than 0 and at most 1Pi",
                       text);
    *ret_bytes = (uint64_t)bytes;
    return MR_OK;
}

mr_err mr_quantity_cpu(const char *text, uint32_t *ret_millis, bool *ret_odd, mr_error *ret_error)
{
    double number;
    const char *rest = read_number(text, &number);
    const bool millis = rest != NULL && strcmp(rest, "m") == 0;
    if (rest == NULL || (!millis && find_suffix(rest) == NULL))
        return mr_fail(ret_error, MR_EINVALID,
                       "\"%.40s\" is not an amount of cpu; write it as \"250m\", \"1\" or \"1.5\"", text);
    const double amount = ceil(millis ? number : number * 1000 - 1e-9);
    if (amount < 1 || amount > 1024000)
        return mr_fail(ret_error, MR_EINVALID, "\"%.40s\" is out of range: from 1m to 1024 cores", text);
    *ret_millis = (uint32_t)amount;
    *ret_odd = !millis && *rest != '\0';
    return MR_OK;
}
