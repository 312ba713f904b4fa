#include "core/json_scan.h"

json_scan json_scan_of(mr_slice text)
{
    return (json_scan){text.data, text.data + text.size};
}

static void skip_space(json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

void json_enter(json_scan *scan)
{
    skip_space(scan);
    scan->at++;
}

bool json_more(json_scan *scan)
{
    skip_space(scan);
    if (scan->at < scan->end && *scan->at == ',') {
        scan->at++;
        return true;
    }
    if (scan->at < scan->end && *scan->at != ']' && *scan->at != '}')
        return true;
    scan->at++;
    return false;
}

/* From a quote to the place behind the one that closes it. */
static const char *string_end(const char *at)
{
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at + 1;
}

mr_slice json_name(json_scan *scan)
{
    skip_space(scan);
    const char *quote = scan->at;
    scan->at = string_end(quote);
    mr_slice name = {quote + 1, (size_t)(scan->at - quote) - 2};
    skip_space(scan);
    scan->at++; /* the colon */
    return name;
}

static const char *nested_end(const char *at)
{
    int depth = 0;
    for (;;) {
        switch (*at) {
        case '"':
            at = string_end(at);
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0)
                return at + 1;
            break;
        default:
            break;
        }
        at++;
    }
}

mr_slice json_value(json_scan *scan)
{
    skip_space(scan);
    const char *start = scan->at;
    if (*start == '{' || *start == '[')
        scan->at = nested_end(start);
    else if (*start == '"')
        scan->at = string_end(start);
    else
        while (scan->at < scan->end && strchr(",]} \t\n\r", *scan->at) == NULL)
            scan->at++;
    return (mr_slice){start, (size_t)(scan->at - start)};
}

long json_hex4(const char *at)
{
    long number = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

static char *put_character(char *out, unsigned long code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

/* Behind the letter u; *at is moved behind the escape, of two parts above U+FFFF. */
static unsigned long escaped_code(const char **at)
{
    unsigned long code = (unsigned long)json_hex4(*at);
    *at += 4;
    if (code < 0xD800 || code > 0xDBFF)
        return code;
    unsigned long low = (unsigned long)json_hex4(*at + 2);
    *at += 6;
    return 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF);
}

size_t json_unescape(mr_slice raw, char *out)
{
    const char *at = raw.data, *end = raw.data + raw.size;
    char *to = out;
    while (at < end) {
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        at++;
        char kind = *at++;
        switch (kind) {
        case 'b':
            *to++ = '\b';
            break;
        case 'f':
            *to++ = '\f';
            break;
        case 'n':
            *to++ = '\n';
            break;
        case 'r':
            *to++ = '\r';
            break;
        case 't':
            *to++ = '\t';
            break;
        case 'u':
            to = put_character(to, escaped_code(&at));
            break;
        default:
            *to++ = kind;
            break;
        }
    }
    return (size_t)(to - out);
}
