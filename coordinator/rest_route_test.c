#include "coordinator/rest_route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const mr_route routes[] = {
    {.method = "GET", .pattern = "/"},
    {.method = "GET", .pattern = "/tenants"},
    {.method = "GET", .pattern = "/tenants/{tenant}"},
    {.method = "PUT", .pattern = "/tenants/{tenant}"},
    {.method = "POST", .pattern = "/tenants/{tenant}/runs/{run}/cancel"},
    {.method = NULL},
};

static mr_route_match find(const char *method, const char *path)
{
    mr_route_match match;
    mr_route_find(routes, method, path, &match);
    return match;
}

static void a_route_is_found_by_method_and_path(void **state)
{
    (void)state;
    assert_ptr_equal(find("GET", "/").route, &routes[0]);
    assert_ptr_equal(find("GET", "/tenants").route, &routes[1]);
    assert_ptr_equal(find("GET", "/tenants/").route, &routes[1]);
    assert_ptr_equal(find("HEAD", "/tenants").route, &routes[1]);
}

static void parameters_are_taken_from_the_path(void **state)
{
    (void)state;
    assert_string_equal(find("PUT", "/tenants/client_a").parameters[0], "client_a");
    const mr_route_match match = find("POST", "/tenants/client_a/runs/manual-1/cancel");
    assert_ptr_equal(match.route, &routes[4]);
    assert_string_equal(match.parameters[1], "manual-1");
}

static void an_unknown_path_allows_nothing(void **state)
{
    (void)state;
    static const char *const wrong[] = {"/tenant", "/tenants/a/b", "/tenants//runs/1/cancel",
                                        "",        "//",           "/tenants/a/runs/1/cancel/x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(find("GET", wrong[i]).route);
        assert_string_equal(find("GET", wrong[i]).allowed, "");
    }
}

static void a_wrong_method_tells_the_right_ones(void **state)
{
    (void)state;
    const mr_route_match match = find("DELETE", "/tenants/client_a");
    assert_null(match.route);
    assert_string_equal(match.allowed, "GET, PUT");
}

static void a_parameter_beyond_its_bound_matches_nothing(void **state)
{
    (void)state;
    char path[400] = "/tenants/";
    memset(path + 9, 'a', 300);
    assert_null(find("GET", path).route);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_is_found_by_method_and_path),
        cmocka_unit_test(parameters_are_taken_from_the_path),
        cmocka_unit_test(an_unknown_path_allows_nothing),
        cmocka_unit_test(a_wrong_method_tells_the_right_ones),
        cmocka_unit_test(a_parameter_beyond_its_bound_matches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
