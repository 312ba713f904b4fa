/* props_parse.c - the text form of properties; see props.h for its source. */
#include "core/props.h"
#include "core/text_value.h"

enum { TEXT_BYTES = 1024 * 1024, KEYS = 4096 };

/* One text being parsed. A logical line is one or more lines of the text, joined where they end in a
 * backslash. */
typedef struct reader {
    const char *name;
    const char *at;
    const char *end;
    long line;       /* first line of the logical line */
    long lines_read; /* so far */
    mr_buf logical;
    mr_buf key;
    mr_buf value;
} reader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\f';
}

/* The next line of the text without its end, blanks before it dropped. */
static mr_slice next_line(reader *r)
{
    while (r->at < r->end && is_blank(*r->at))
        r->at++;
    mr_slice line = {r->at, 0};
    while (r->at < r->end && *r->at != '\n' && *r->at != '\r')
        r->at++;
    line.size = (size_t)(r->at - line.data);
    if (r->at < r->end && *r->at++ == '\r' && r->at < r->end && *r->at == '\n')
        r->at++;
    r->lines_read++;
    return line;
}

static bool goes_on(mr_slice line)
{
    size_t backslashes = 0;
    while (backslashes < line.size && line.data[line.size - 1 - backslashes] == '\\')
        backslashes++;
    return backslashes % 2 == 1;
}

/* Fills r->logical; its size is 0 at the end of the text. Skips comments and empty lines. */
static mr_err next_logical_line(reader *r)
{
    r->logical.size = 0;
    while (r->at < r->end && r->logical.size == 0) {
        mr_slice line = next_line(r);
        r->line = r->lines_read;
        if (line.size > 0 && (line.data[0] == '#' || line.data[0] == '!'))
            continue;
        while (goes_on(line) && r->at < r->end) {
            if (mr_buf_append(&r->logical, line.data, line.size - 1) != MR_OK)
                return MR_ENOMEM;
            line = next_line(r);
        }
        size_t size = goes_on(line) ? line.size - 1 : line.size;
        if (mr_buf_append(&r->logical, line.data, size) != MR_OK)
            return MR_ENOMEM;
    }
    return MR_OK;
}

static mr_err put_code_point(mr_buf *out, uint32_t c)
{
    char utf8[4];
    size_t size;
    if (c < 0x80) {
        utf8[0] = (char)c;
        size = 1;
    } else if (c < 0x800) {
        utf8[0] = (char)(0xc0 | c >> 6);
        size = 2;
    } else if (c < 0x10000) {
        utf8[0] = (char)(0xe0 | c >> 12);
        size = 3;
    } else {
        utf8[0] = (char)(0xf0 | c >> 18);
        size = 4;
    }
    for (size_t i = 1; i < size; i++)
        utf8[i] = (char)(0x80 | (c >> (6 * (size - 1 - i)) & 0x3f));
    return mr_buf_append(out, utf8, size);
}

/* The four hex digits behind "\u" at `at`; -1 when there are none. */
static int32_t unit(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Puts the character of a \uXXXX, or of a surrogate pair of them; moves *at behind it. */
static mr_err put_unicode_escape(const reader *r, const char **at, const char *end, mr_buf *out,
                                 mr_error *ret_error)
{
    int32_t first = unit(*at, end);
    uint32_t c = (uint32_t)first;
    *at += 6;
    if (first >= 0xd800 && first < 0xdc00) {
        int32_t second = unit(*at, end);
        c = second >= 0xdc00 && second < 0xe000
                ? 0x10000 + ((uint32_t)(first - 0xd800) << 10) + (uint32_t)(second - 0xdc00)
                : 0;
        *at += 6;
    } else if (first <= 0 || (first >= 0xdc00 && first < 0xe000)) {
        c = 0;
    }
    if (c == 0)
        return mr_fail(ret_error, MR_EINVALID,
                       "%s line %ld: \\u must be followed by four hex digits of a character", r->name,
                       r->line);
    return put_code_point(out, c);
}

/* Puts one character, unescaped; moves *at behind it. */
static mr_err put_character(const reader *r, const char **at, const char *end, mr_buf *out,
                            mr_error *ret_error)
{
    if (**at != '\\' || end - *at < 2)
        return mr_buf_append(out, (*at)++, 1);
    if ((*at)[1] == 'u')
        return put_unicode_escape(r, at, end, out, ret_error);
    char c = (*at)[1];
    *at += 2;
    c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
    return mr_buf_append(out, &c, 1);
}

/* Splits r->logical into r->key and r->value, both with a NUL behind. */
static mr_err split(reader *r, mr_error *ret_error)
{
    const char *at = r->logical.data, *end = at + r->logical.size;
    mr_err err = MR_OK;
    r->key.size = r->value.size = 0;
    while (err == MR_OK && at < end && *at != '=' && *at != ':' && !is_blank(*at))
        err = put_character(r, &at, end, &r->key, ret_error);
    while (at < end && is_blank(*at))
        at++;
    if (at < end && (*at == '=' || *at == ':'))
        at++;
    while (at < end && is_blank(*at))
        at++;
    while (err == MR_OK && at < end)
        err = put_character(r, &at, end, &r->value, ret_error);
    if (err == MR_OK && r->key.size == 0)
        return mr_fail(ret_error, MR_EINVALID, "%s line %ld: no key before the \"%c\"; write key=value",
                       r->name, r->line, r->logical.data[0]);
    if (err == MR_OK)
        err = mr_buf_append(&r->key, "", 1);
    return err == MR_OK ? mr_buf_append(&r->value, "", 1) : err;
}

static mr_err add_line(reader *r, mr_props *found, mr_error *ret_error)
{
    mr_slice line = mr_buf_slice(&r->logical);
    if (memchr(line.data, '\0', line.size) != NULL)
        return mr_fail(ret_error, MR_EINVALID, "%s line %ld: holds a NUL byte", r->name, r->line);
    if (!mr_utf8_valid(line))
        return mr_fail(ret_error, MR_EINVALID, "%s line %ld: is not valid UTF-8", r->name, r->line);
    mr_err err = split(r, ret_error);
    if (err != MR_OK)
        return err;
    if (mr_props_get(found, r->key.data) != NULL)
        return mr_fail(ret_error, MR_EINVALID, "%s line %ld: \"%s\" is given twice; remove one", r->name,
                       r->line, r->key.data);
    if (mr_props_count(found) == KEYS)
        return mr_fail(ret_error, MR_ETOOLARGE, "%s line %ld: more than %d keys", r->name, r->line, KEYS);
    return mr_props_set(found, r->key.data, r->value.data);
}

static mr_err read_all(reader *r, mr_props *found, mr_error *ret_error)
{
    mr_err err = next_logical_line(r);
    while (err == MR_OK && r->logical.size > 0) {
        err = add_line(r, found, ret_error);
        if (err == MR_OK)
            err = next_logical_line(r);
    }
    return err;
}

static mr_err merge(mr_props *props, const mr_props *found)
{
    mr_err err = MR_OK;
    for (size_t i = 0; i < mr_props_count(found) && err == MR_OK; i++) {
        const char *key, *value;
        mr_props_at(found, i, &key, &value);
        err = mr_props_set(props, key, value);
    }
    return err;
}

mr_err mr_props_parse(mr_props *props, const char *name, mr_slice text, mr_error *ret_error)
{
    static const char bom[] = "\xef\xbb\xbf";
    mr_props *found = NULL;
    if (text.size > TEXT_BYTES)
        return mr_fail(ret_error, MR_ETOOLARGE, "%s: is larger than 1 MiB", name);
    if (text.size >= 3 && memcmp(text.data, bom, 3) == 0)
        text = (mr_slice){text.data + 3, text.size - 3};
    reader r = {.name = name, .at = text.data, .end = text.data + text.size};
    mr_err err = mr_props_open(&found);
    if (err == MR_OK)
        err = read_all(&r, found, ret_error);
    if (err == MR_OK)
        err = merge(props, found);
    if (err == MR_ENOMEM)
        err = mr_fail(ret_error, MR_ENOMEM, "%s: memory is short", name);
    mr_props_close(&found);
    mr_buf_fini(&r.logical);
    mr_buf_fini(&r.key);
    mr_buf_fini(&r.value);
    return err;
}
