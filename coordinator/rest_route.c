#include "coordinator/rest_route.h"

#include <string.h>

static bool path_matches(const char *pattern, const char *path, mr_route_match *match)
{
    size_t count = 0;
    while (*pattern != '\0' && *path != '\0') {
        if (*pattern != '{') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        const size_t size = strcspn(path, "/");
        if (size == 0 || size >= MR_ROUTE_PARAMETER_BYTES || count == MR_ROUTE_PARAMETERS)
            return false;
        memcpy(match->parameters[count], path, size);
        match->parameters[count++][size] = '\0';
        path += size;
        pattern = strchr(pattern, '}') + 1;
    }
    return *pattern == '\0' && (*path == '\0' || (strcmp(path, "/") == 0 && path[-1] != '/'));
}

static void allow(mr_route_match *match, const char *method)
{
    const size_t used = strlen(match->allowed), size = strlen(method);
    if (used + size + 3 > sizeof match->allowed)
        return;
    if (used > 0)
        memcpy(match->allowed + used, ", ", 3);
    memcpy(match->allowed + strlen(match->allowed), method, size + 1);
}

void mr_route_find(const mr_route *routes, const char *method, const char *path, mr_route_match *ret_match)
{
    *ret_match = (mr_route_match){.route = NULL};
    if (strcmp(method, "HEAD") == 0)
        method = "GET";
    for (const mr_route *route = routes; route->method != NULL; route++) {
        mr_route_match match = {.route = route};
        if (!path_matches(route->pattern, path, &match))
            continue;
        if (strcmp(route->method, method) == 0) {
            *ret_match = match;
            return;
        }
        allow(ret_match, route->method);
    }
}
