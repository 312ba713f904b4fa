#include "core/json_check.h"

#include "core/arena.h"
#include "core/json_scan.h"
#include "core/text_value.h"

#include <stdlib.h>

enum { FEW_NAMES = 8 };

typedef struct name {
    mr_slice text; /* without escapes */
    const char *at;
} name;

struct json_checker {
    const char *start, *at, *end;
    const char *problem;
    const char *problem_at;
    bool out_of_memory;
    name *names; /* of the objects that are open, the outermost first */
    size_t count, capacity;
    mr_arena arena; /* of names that had escapes */
};

mr_err json_checker_open(json_checker **ret_checker, mr_error *ret_error)
{
    *ret_checker = calloc(1, sizeof **ret_checker);
    return *ret_checker != NULL ? MR_OK : mr_fail(ret_error, MR_ENOMEM, "no memory to read JSON");
}

void json_checker_close(json_checker **checker)
{
    if (*checker == NULL)
        return;
    mr_arena_fini(&(*checker)->arena);
    free((*checker)->names);
    free(*checker);
    *checker = NULL;
}

static bool fail_at(json_checker *c, const char *at, const char *problem)
{
    c->problem = problem;
    c->problem_at = at;
    return false;
}

static bool no_memory(json_checker *c)
{
    c->out_of_memory = true;
    return false;
}

static void skip_space(json_checker *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool is_digit(const json_checker *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool take(json_checker *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

static bool check_digits(json_checker *c)
{
    if (!is_digit(c))
        return fail_at(c, c->at, "a digit is missing");
    while (is_digit(c))
        c->at++;
    return true;
}

static bool check_number(json_checker *c)
{
    (void)take(c, '-');
    if (take(c, '0')) {
        if (is_digit(c))
            return fail_at(c, c->at - 1, "a number begins with 0");
    } else if (!check_digits(c)) {
        return false;
    }
    if (take(c, '.') && !check_digits(c))
        return false;
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '-'))
            (void)take(c, '+');
        return check_digits(c);
    }
    return true;
}

/* The four digits behind \u; -1: they are none. */
static long hex_number(const json_checker *c)
{
    return c->end - c->at < 4 ? -1 : json_hex4(c->at);
}

static bool check_unicode_escape(json_checker *c, const char *backslash)
{
    long unit = hex_number(c);
    if (unit < 0)
        return fail_at(c, backslash, "\\u needs four hexadecimal digits");
    c->at += 4;
    if (unit < 0xD800 || unit > 0xDFFF)
        return true;
    if (unit <= 0xDBFF && take(c, '\\') && take(c, 'u')) {
        long low = hex_number(c);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            c->at += 4;
            return true;
        }
    }
    return fail_at(c, backslash, "half of a surrogate pair");
}

/* The string that starts at the quote; *ret_raw is what stands between the quotes. */
static bool check_string(json_checker *c, mr_slice *ret_raw)
{
    const char *quote = c->at++;
    const char *start = c->at;
    for (;;) {
        if (c->at == c->end)
            return fail_at(c, quote, "a string is not closed");
        unsigned char byte = (unsigned char)*c->at++;
        if (byte == '"')
            break;
        if (byte < 0x20)
            return fail_at(c, c->at - 1, "a control character must be written with \\u");
        if (byte != '\\')
            continue;
        const char *backslash = c->at - 1;
        char kind = '\0';
        if (c->at < c->end)
            kind = *c->at++;
        if (kind == 'u' && !check_unicode_escape(c, backslash))
            return false;
        if (kind != 'u' && (kind == '\0' || strchr("\"\\/bfnrt", kind) == NULL))
            return fail_at(c, backslash, "an unknown escape");
    }
    *ret_raw = (mr_slice){start, (size_t)(c->at - 1 - start)};
    return true;
}

static bool check_word(json_checker *c, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, word, size) != 0)
        return fail_at(c, c->at, "a value is expected");
    c->at += size;
    return true;
}

static bool check_value(json_checker *c, int depth);

static bool check_array(json_checker *c, int depth)
{
    c->at++;
    skip_space(c);
    if (take(c, ']'))
        return true;
    for (;;) {
        if (!check_value(c, depth))
            return false;
        skip_space(c);
        if (take(c, ']'))
            return true;
        if (!take(c, ','))
            return fail_at(c, c->at, "\",\" or \"]\" is expected");
    }
}

static bool keep_name(json_checker *c, mr_slice raw)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity == 0 ? 64 : c->capacity * 2;
        name *grown = realloc(c->names, capacity * sizeof *grown);
        if (grown == NULL)
            return no_memory(c);
        c->names = grown;
        c->capacity = capacity;
    }
    name *kept = &c->names[c->count++];
    *kept = (name){raw, raw.data};
    if (memchr(raw.data, '\\', raw.size) == NULL)
        return true;
    char *plain = mr_arena_alloc(&c->arena, raw.size);
    if (plain == NULL)
        return no_memory(c);
    kept->text = (mr_slice){plain, json_unescape(raw, plain)};
    return true;
}

static int compare_names(const void *a, const void *b)
{
    const name *x = a, *y = b;
    if (x->text.size != y->text.size)
        return x->text.size < y->text.size ? -1 : 1;
    int order = x->text.size == 0 ? 0 : memcmp(x->text.data, y->text.data, x->text.size);
    return order != 0 ? order : (x->at > y->at) - (x->at < y->at);
}

/* Forgets the names from `first` on, those of the object that ends. */
static bool check_names_differ(json_checker *c, size_t first)
{
    name *names = c->names + first;
    size_t count = c->count - first;
    c->count = first;
    if (count > FEW_NAMES) {
        qsort(names, count, sizeof *names, compare_names);
        for (size_t i = 1; i < count; i++)
            if (mr_slice_equal(names[i - 1].text, names[i].text))
                return fail_at(c, names[i].at - 1, "a name stands twice in an object");
        return true;
    }
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (mr_slice_equal(names[i].text, names[j].text))
                return fail_at(c, names[i].at - 1, "a name stands twice in an object");
    return true;
}

static bool check_object(json_checker *c, int depth)
{
    size_t first = c->count;
    c->at++;
    skip_space(c);
    if (take(c, '}'))
        return true;
    for (;;) {
        mr_slice raw;
        skip_space(c);
        if (c->at == c->end || *c->at != '"')
            return fail_at(c, c->at, "a name in quotes is expected");
        if (!check_string(c, &raw) || !keep_name(c, raw))
            return false;
        skip_space(c);
        if (!take(c, ':'))
            return fail_at(c, c->at, "\":\" is expected");
        if (!check_value(c, depth))
            return false;
        skip_space(c);
        if (take(c, '}'))
            return check_names_differ(c, first);
        if (!take(c, ','))
            return fail_at(c, c->at, "\",\" or \"}\" is expected");
    }
}

static bool check_value(json_checker *c, int depth)
{
    mr_slice raw;
    skip_space(c);
    if (c->at == c->end)
        return fail_at(c, c->at, "it ends too early");
    if (depth == JSON_CHECK_DEPTH_MAX && (*c->at == '[' || *c->at == '{'))
        return fail_at(c, c->at, "it is nested deeper than 64 levels");
    switch (*c->at) {
    case '{':
        return check_object(c, depth + 1);
    case '[':
        return check_array(c, depth + 1);
    case '"':
        return check_string(c, &raw);
    case 't':
        return check_word(c, "true");
    case 'f':
        return check_word(c, "false");
    case 'n':
        return check_word(c, "null");
    default:
        if (*c->at != '-' && !is_digit(c))
            return fail_at(c, c->at, "a value is expected");
        return check_number(c);
    }
}

static bool check_text(json_checker *c)
{
    if (!check_value(c, 0))
        return false;
    skip_space(c);
    return c->at == c->end || fail_at(c, c->at, "something follows the value");
}

static mr_err refuse_bytes(mr_slice text, mr_error *ret_error)
{
    bool nul = memchr(text.data, '\0', text.size) != NULL;
    mr_fail(ret_error, MR_EINVALID, "not JSON: not valid UTF-8%s", nul ? ", or it holds a NUL" : "");
    return mr_classify(ret_error, MR_EINVALID, MR_DATA);
}

mr_err json_check(json_checker *checker, mr_slice text, mr_error *ret_error)
{
    if (!mr_utf8_valid(text))
        return refuse_bytes(text, ret_error);
    checker->start = checker->at = text.data;
    checker->end = text.data + text.size;
    checker->count = 0;
    checker->out_of_memory = false;
    mr_arena_reset(&checker->arena);
    if (check_text(checker))
        return MR_OK;
    if (checker->out_of_memory)
        return mr_fail(ret_error, MR_ENOMEM, "no memory to read JSON");
    mr_fail(ret_error, MR_EINVALID, "not JSON: byte %zu: %s",
            (size_t)(checker->problem_at - checker->start) + 1, checker->problem);
    return mr_classify(ret_error, MR_EINVALID, MR_DATA);
}
