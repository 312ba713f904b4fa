/* openapi_test.c - openapi.json and the table of routes tell the same, in both directions. */
#include "coordinator/openapi.h"
#include "coordinator/rest_route.h"

#include <ctype.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *document;

static int load(void **state)
{
    (void)state;
    json_error_t problem;
    const mr_slice text = mr_openapi();
    document = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &problem);
    if (document == NULL)
        print_error("openapi.json: line %d: %s\n", problem.line, problem.text);
    return document == NULL ? -1 : 0;
}

static int unload(void **state)
{
    (void)state;
    json_decref(document);
    return 0;
}

/* What `value` stands for: {"$ref": "#/components/..."} is followed. */
static json_t *resolve(json_t *value)
{
    const char *path = json_string_value(json_object_get(value, "$ref"));
    if (path == NULL)
        return value;
    char name[200];
    json_t *at = document;
    assert_int_equal(strncmp(path, "#/", 2), 0);
    for (const char *part = path + 2; at != NULL && *part != '\0';) {
        const size_t size = strcspn(part, "/");
        snprintf(name, sizeof name, "%.*s", (int)size, part);
        at = json_object_get(at, name);
        part += size + (part[size] == '/');
    }
    if (at == NULL)
        fail_msg("openapi.json: \"%s\" is nowhere", path);
    return at;
}

static json_t *path_of(const mr_route *route)
{
    return json_object_get(json_object_get(document, "paths"), route->pattern);
}

static json_t *operation_of(const mr_route *route)
{
    char method[16] = "";
    for (size_t i = 0; route->method[i] != '\0' && i < sizeof method - 1; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    return json_object_get(path_of(route), method);
}

static json_t *find_parameter(json_t *list, const char *where, const char *name)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        json_t *parameter = resolve(entry);
        if (strcmp(json_string_value(json_object_get(parameter, "in")), where) == 0 &&
            (name == NULL || strcmp(json_string_value(json_object_get(parameter, "name")), name) == 0))
            return parameter;
    }
    return NULL;
}

static bool has_parameter(const mr_route *route, const char *where, const char *name)
{
    return find_parameter(json_object_get(operation_of(route), "parameters"), where, name) != NULL ||
           find_parameter(json_object_get(path_of(route), "parameters"), where, name) != NULL;
}

static bool takes_argument(const mr_route *route, const char *name)
{
    for (const char *const *known = route->query; known != NULL && *known != NULL; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return false;
}

static bool takes_part_of_path(const mr_route *route, const char *name)
{
    char part[MR_ROUTE_PARAMETER_BYTES];
    snprintf(part, sizeof part, "{%s}", name);
    return strstr(route->pattern, part) != NULL;
}

static void every_route_is_described(void **state)
{
    (void)state;
    for (const mr_route *route = mr_routes; route->method != NULL; route++) {
        json_t *operation = operation_of(route);
        if (operation == NULL)
            fail_msg("openapi.json does not describe %s %s", route->method, route->pattern);
        for (const char *const *name = route->query; name != NULL && *name != NULL; name++)
            if (!has_parameter(route, "query", *name))
                fail_msg("openapi.json: %s %s lacks ?%s=", route->method, route->pattern, *name);
        for (const char *part = strchr(route->pattern, '{'); part != NULL; part = strchr(part + 1, '{')) {
            char name[MR_ROUTE_PARAMETER_BYTES];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(part + 1, "}"), part + 1);
            if (!has_parameter(route, "path", name))
                fail_msg("openapi.json: %s %s lacks {%s}", route->method, route->pattern, name);
        }
        if ((json_object_get(operation, "requestBody") != NULL) != (route->body != NULL))
            fail_msg("openapi.json: %s %s: a body is described, or taken, but not both", route->method,
                     route->pattern);
    }
}

static const mr_route *route_of(const char *method, const char *pattern)
{
    for (const mr_route *route = mr_routes; route->method != NULL; route++)
        if (strcasecmp(route->method, method) == 0 && strcmp(route->pattern, pattern) == 0)
            return route;
    return NULL;
}

static void check_parameters(const mr_route *route, json_t *list)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        json_t *parameter = resolve(entry);
        const char *where = json_string_value(json_object_get(parameter, "in")),
                   *name = json_string_value(json_object_get(parameter, "name"));
        if (strcmp(where, "query") == 0 ? !takes_argument(route, name)
                                        : strcmp(where, "path") == 0 && !takes_part_of_path(route, name))
            fail_msg("openapi.json: %s %s has no argument %s", route->method, route->pattern, name);
    }
}

static void whatever_is_described_is_a_route(void **state)
{
    (void)state;
    const char *pattern, *method;
    json_t *path, *operation;
    json_object_foreach(json_object_get(document, "paths"), pattern, path)
    {
        json_object_foreach(path, method, operation)
        {
            if (strcmp(method, "parameters") == 0)
                continue;
            const mr_route *route = route_of(method, pattern);
            if (route == NULL)
                fail_msg("openapi.json describes %s %s, which is no route", method, pattern);
            check_parameters(route, json_object_get(path, "parameters"));
            check_parameters(route, json_object_get(operation, "parameters"));
        }
    }
}

static void follow_all(json_t *value)
{
    size_t i;
    const char *name;
    json_t *inner;
    (void)resolve(value);
    json_object_foreach(value, name, inner) follow_all(inner);
    json_array_foreach(value, i, inner) follow_all(inner);
}

static void every_reference_leads_somewhere(void **state)
{
    (void)state;
    follow_all(document);
}

static void it_is_of_this_version(void **state)
{
    (void)state;
    json_t *info = json_object_get(document, "info");
    assert_string_equal(json_string_value(json_object_get(info, "version")), MR_VERSION);
}

static void a_component_that_nobody_uses_is_not_there(void **state)
{
    (void)state;
    const mr_slice text = mr_openapi();
    const char *kind, *name;
    json_t *components, *component;
    json_object_foreach(json_object_get(document, "components"), kind, components)
    {
        json_object_foreach(components, name, component)
        {
            char reference[200];
            const int size = snprintf(reference, sizeof reference, "\"#/components/%s/%s\"", kind, name);
            if (memmem(text.data, text.size, reference, (size_t)size) == NULL)
                fail_msg("openapi.json: nothing refers to %s", reference);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(whatever_is_described_is_a_route),
        cmocka_unit_test(every_reference_leads_somewhere),
        cmocka_unit_test(it_is_of_this_version),
        cmocka_unit_test(a_component_that_nobody_uses_is_not_there),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
