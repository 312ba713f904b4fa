#include "coordinator/rest_guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static mr_error error;

static mr_listen listen_at(const char *text)
{
    mr_listen listen = {.any = false};
    assert_int_equal(mr_listen_parse(text, &listen, &error), MR_OK);
    return listen;
}

static void addresses_are_known_as_loopback_or_not(void **state)
{
    (void)state;
    assert_true(listen_at("127.0.0.1:8083").loopback);
    assert_true(listen_at("127.0.0.2:1").loopback);
    assert_true(listen_at("[::1]:8083").loopback);
    assert_true(listen_at("localhost:0").loopback);
    assert_false(listen_at("10.0.0.1:8083").loopback);
    assert_true(listen_at("0.0.0.0:8083").any);
    assert_true(listen_at("[::]:8083").any);
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",     "8083",      "127.0.0.1",   "127.0.0.1:", "a.b:1", "127.0.0.1:1x", "127.0.0.1:70000",
        "[::1", "[::1]8083", "127.0.0.1:-1"};
    mr_listen listen;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(mr_listen_parse(wrong[i], &listen, &error), MR_EINVALID);
}

static void names_of_this_machine_are_let_in(void **state)
{
    (void)state;
    const mr_listen listen = listen_at("127.0.0.1:8083");
    static const char *const right[] = {"127.0.0.1:8083", "localhost:8083", "LOCALHOST", "[::1]:8083",
                                        "localhost:9"};
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        assert_int_equal(mr_rest_guard(&listen, right[i], NULL, &error), MR_OK);
    const mr_listen lan = listen_at("10.0.0.7:8083");
    assert_int_equal(mr_rest_guard(&lan, "10.0.0.7:8083", NULL, &error), MR_OK);
}

static void other_host_names_are_refused(void **state)
{
    (void)state;
    const mr_listen listen = listen_at("127.0.0.1:8083");
    static const char *const wrong[] = {"evil.example:8083", "127.0.0.1.evil.example", "10.0.0.7", "",
                                        "localhost:x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(mr_rest_guard(&listen, wrong[i], NULL, &error), MR_EREFUSED);
    assert_int_equal(mr_rest_guard(&listen, NULL, NULL, &error), MR_EREFUSED);
}

static void pages_of_other_origins_are_refused(void **state)
{
    (void)state;
    const mr_listen listen = listen_at("127.0.0.1:8083");
    assert_int_equal(mr_rest_guard(&listen, "localhost:8083", "http://localhost:8083", &error), MR_OK);
    static const char *const wrong[] = {"null",    "http://evil.example",   "https://localhost.evil.example",
                                        "file://", "http://localhost:3000", "http://127.0.0.1:8083"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(mr_rest_guard(&listen, "localhost:8083", wrong[i], &error), MR_EREFUSED);
        assert_non_null(strstr(error.text, wrong[i]));
    }
}

static void on_any_address_the_origin_must_be_the_host(void **state)
{
    (void)state;
    const mr_listen listen = listen_at("0.0.0.0:8083");
    assert_int_equal(mr_rest_guard(&listen, "ingest.lan:8083", "http://ingest.lan:8083", &error), MR_OK);
    assert_int_equal(mr_rest_guard(&listen, "ingest.lan:8083", "http://evil.example", &error), MR_EREFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_known_as_loopback_or_not),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(names_of_this_machine_are_let_in),
        cmocka_unit_test(other_host_names_are_refused),
        cmocka_unit_test(pages_of_other_origins_are_refused),
        cmocka_unit_test(on_any_address_the_origin_must_be_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
