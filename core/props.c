/* props.c - the properties themselves, files of them, and references to secrets. */
#include "core/props.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FILE_BYTES = 1024 * 1024 };

typedef struct property {
    char *key;
    char *value;
} property;

struct mr_props {
    property *items;
    size_t count;
    size_t capacity;
};

mr_err mr_props_open(mr_props **ret_props)
{
    mr_props *props = calloc(1, sizeof *props);
    if (props == NULL)
        return MR_ENOMEM;
    *ret_props = props;
    return MR_OK;
}

void mr_props_close(mr_props **props)
{
    if (*props == NULL)
        return;
    for (size_t i = 0; i < (*props)->count; i++) {
        free((*props)->items[i].key);
        free((*props)->items[i].value);
    }
    free((*props)->items);
    free(*props);
    *props = NULL;
}

static property *find(const mr_props *props, const char *key)
{
    for (size_t i = 0; i < props->count; i++)
        if (strcmp(props->items[i].key, key) == 0)
            return &props->items[i];
    return NULL;
}

static mr_err reserve_one(mr_props *props)
{
    if (props->count < props->capacity)
        return MR_OK;
    size_t capacity = props->capacity == 0 ? 16 : props->capacity * 2;
    property *items = realloc(props->items, capacity * sizeof *items);
    if (items == NULL)
        return MR_ENOMEM;
    props->items = items;
    props->capacity = capacity;
    return MR_OK;
}

mr_err mr_props_set(mr_props *props, const char *key, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return MR_ENOMEM;
    property *known = find(props, key);
    if (known != NULL) {
        free(known->value);
        known->value = copy;
        return MR_OK;
    }
    char *key_copy = strdup(key);
    if (key_copy == NULL || reserve_one(props) != MR_OK) {
        free(key_copy);
        free(copy);
        return MR_ENOMEM;
    }
    props->items[props->count++] = (property){key_copy, copy};
    return MR_OK;
}

const char *mr_props_get(const mr_props *props, const char *key)
{
    const property *known = find(props, key);
    return known == NULL ? NULL : known->value;
}

size_t mr_props_count(const mr_props *props)
{
    return props->count;
}

void mr_props_at(const mr_props *props, size_t index, const char **ret_key, const char **ret_value)
{
    *ret_key = props->items[index].key;
    *ret_value = props->items[index].value;
}

/* Up to one byte more than is allowed, so that a file that is too large is seen as such. */
static mr_err read_file(int fd, const char *path, mr_buf *out, mr_error *ret_error)
{
    if (mr_buf_reserve(out, FILE_BYTES + 1) != MR_OK)
        return mr_fail(ret_error, MR_ENOMEM, "%s: memory is short", path);
    while (out->size <= FILE_BYTES) {
        ssize_t got = read(fd, out->data + out->size, FILE_BYTES + 1 - out->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mr_fail_errno(ret_error, errno, "%s: cannot be read", path);
        if (got == 0)
            break;
        out->size += (size_t)got;
    }
    return MR_OK;
}

mr_err mr_props_load(mr_props *props, const char *path, mr_error *ret_error)
{
    mr_buf text = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "%s: cannot be opened", path);
    mr_err err = read_file(fd, path, &text, ret_error);
    close(fd);
    if (err == MR_OK)
        err = mr_props_parse(props, path, mr_buf_slice(&text), ret_error);
    mr_buf_fini(&text);
    return err;
}

static mr_err resolve_env(const char *key, const char *name, mr_buf *out, mr_error *ret_error)
{
    const char *secret = getenv(name);
    if (secret == NULL)
        return mr_fail(ret_error, MR_EINVALID,
                       "%s: the environment has no variable %s; set it, or change the reference", key, name);
    return mr_buf_append(out, secret, strlen(secret));
}

/* `reference` is PATH:KEY; the last colon counts. */
static mr_err resolve_file(const char *key, char *reference, mr_buf *out, mr_error *ret_error)
{
    char *colon = strrchr(reference, ':');
    mr_props *file = NULL;
    if (colon == NULL || colon == reference || colon[1] == '\0')
        return mr_fail(ret_error, MR_EINVALID, "%s: a reference to a file is ${file:PATH:KEY}", key);
    *colon = '\0';
    if (mr_props_open(&file) != MR_OK)
        return MR_ENOMEM;
    mr_err err = mr_props_load(file, reference, ret_error);
    const char *secret = err == MR_OK ? mr_props_get(file, colon + 1) : NULL;
    if (err != MR_OK)
        err = mr_wrap(ret_error, err, "%s", key);
    else if (secret == NULL)
        err = mr_fail(ret_error, MR_EINVALID, "%s: %s has no key %s", key, reference, colon + 1);
    else
        err = mr_buf_append(out, secret, strlen(secret));
    mr_props_close(&file);
    return err;
}

/* Puts what "${...}" at `at` stands for; *ret_next is behind it. */
static mr_err put_reference(const char *key, const char *at, const char **ret_next, mr_buf *out,
                            mr_error *ret_error)
{
    const char *close_brace = strchr(at, '}');
    if (close_brace == NULL)
        return mr_fail(ret_error, MR_EINVALID, "%s: a reference begins with ${ and has no } at its end", key);
    bool from_env = at[2] == 'e';
    const char *start = at + (from_env ? strlen("${env:") : strlen("${file:"));
    char *reference = strndup(start, (size_t)(close_brace - start));
    if (reference == NULL)
        return MR_ENOMEM;
    mr_err err =
        from_env ? resolve_env(key, reference, out, ret_error) : resolve_file(key, reference, out, ret_error);
    free(reference);
    *ret_next = close_brace + 1;
    return err;
}

static mr_err resolve_value(const char *key, const char *value, mr_buf *out, mr_error *ret_error)
{
    mr_err err = MR_OK;
    out->size = 0;
    while (*value != '\0' && err == MR_OK) {
        if (strncmp(value, "${env:", 6) == 0 || strncmp(value, "${file:", 7) == 0)
            err = put_reference(key, value, &value, out, ret_error);
        else
            err = mr_buf_append(out, value++, 1);
    }
    return err == MR_OK ? mr_buf_append(out, "", 1) : err;
}

mr_err mr_props_resolve(mr_props *props, mr_error *ret_error)
{
    mr_err err = MR_OK;
    mr_buf resolved = {0};
    for (size_t i = 0; i < props->count && err == MR_OK; i++) {
        property *item = &props->items[i];
        if (strstr(item->value, "${") == NULL)
            continue;
        err = resolve_value(item->key, item->value, &resolved, ret_error);
        if (err == MR_OK)
            err = mr_props_set(props, item->key, resolved.data);
        if (err == MR_ENOMEM)
            err = mr_fail(ret_error, MR_ENOMEM, "%s: memory is short", item->key);
    }
    mr_buf_fini(&resolved);
    return err;
}
