#include "coordinator/rest_shape.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Headers of which one must decide. */
static const char *const single[] = {"Host", "Origin", "Content-Length", "Transfer-Encoding", "Content-Type"};

enum { HOST, ORIGIN, LENGTH, ENCODING, TYPE, SINGLE };

typedef struct shape {
    int count[SINGLE];
    const char *problem, *name; /* of the first problem; NULL: none */
} shape;

static bool is_token(const char *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return size > 0;
}

static enum MHD_Result look(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size,
                            const char *value, size_t size)
{
    (void)kind;
    shape *self = cls;
    self->name = name;
    if (!is_token(name, name_size))
        self->problem = "is not a name";
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
            self->problem = "holds a control character";
    for (size_t i = 0; i < SINGLE; i++)
        if (strcasecmp(name, single[i]) == 0 && ++self->count[i] > 1)
            self->problem = "stands twice";
    if (strcasecmp(name, single[ENCODING]) == 0 && strcasecmp(value, "chunked") != 0)
        self->problem = "is not chunked: nothing else is taken";
    return self->problem == NULL ? MHD_YES : MHD_NO;
}

mr_err mr_rest_shape(struct MHD_Connection *connection, const char *version, mr_error *ret_error)
{
    shape self = {.problem = NULL};
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return mr_fail(ret_error, MR_EINVALID, "version %.20s: HTTP/1.1 and HTTP/1.0 are taken", version);
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look, &self);
    if (self.problem != NULL)
        return mr_fail(ret_error, MR_EINVALID, "header \"%.40s\" %s", self.name, self.problem);
    if (self.count[LENGTH] > 0 && self.count[ENCODING] > 0)
        return mr_fail(ret_error, MR_EINVALID,
                       "headers Content-Length and Transfer-Encoding contradict each other");
    return MR_OK;
}
