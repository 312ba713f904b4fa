#include "core/text_value.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed = 7;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * UINT64_C(0x2545F4914F6CDD1D);
}

/* A copy of exactly the text's size, so that the address sanitizer sees every byte read beyond it. */
static mr_err convert(mr_type type, const char *text, size_t size, mr_value *ret_value, mr_error *ret_error)
{
    mr_field field = {.name = "ONUID", .type = type};
    char *copy = malloc(size);
    memcpy(copy, text, size);
    mr_err err = mr_value_from_text(&field, (mr_slice){copy, size}, NULL, ret_value, ret_error);
    if (err == MR_OK && (type == MR_TYPE_STRING || type == MR_TYPE_BYTES))
        assert_ptr_equal(ret_value->data, copy);
    free(copy);
    return err;
}

static void assert_integer(mr_type type, const char *text, int64_t expected)
{
    mr_value value;
    mr_error error;
    if (convert(type, text, strlen(text), &value, &error) != MR_OK)
        fail_msg("%s", error.text);
    assert_int_equal(value.type, type);
    assert_true(value.integer == expected);
}

static void assert_refused(mr_type type, const char *text, const char *reason)
{
    mr_value value = {.type = 99};
    mr_error error;
    if (convert(type, text, strlen(text), &value, &error) != MR_EINVALID)
        fail_msg("\"%s\" is taken as %s", text, mr_type_name(type));
    assert_int_equal(error.class, MR_DATA);
    assert_non_null(strstr(error.text, "column ONUID"));
    if (strstr(error.text, reason) == NULL)
        fail_msg("%s", error.text);
    assert_int_equal(value.type, 99);
}

/* Compares bits with the C library's reading. */
static void assert_real_as_strtod(const char *text)
{
    mr_value value;
    mr_error error;
    double expected = strtod(text, NULL);
    mr_err err = convert(MR_TYPE_DOUBLE, text, strlen(text), &value, &error);
    assert_int_equal(err, isinf(expected) ? MR_EINVALID : MR_OK);
    if (err == MR_OK && memcmp(&value.real, &expected, sizeof expected) != 0)
        fail_msg("\"%s\" is read as %a, not %a", text, value.real, expected);

    float narrow = strtof(text, NULL);
    err = convert(MR_TYPE_FLOAT, text, strlen(text), &value, &error);
    assert_int_equal(err, isinf(narrow) ? MR_EINVALID : MR_OK);
    if (err == MR_OK && value.real != (double)narrow)
        fail_msg("\"%s\" is read as float %a, not %a", text, value.real, (double)narrow);
}

static void integers_are_read_up_to_their_limits(void **state)
{
    (void)state;
    assert_integer(MR_TYPE_INT, "0", 0);
    assert_integer(MR_TYPE_INT, "-0", 0);
    assert_integer(MR_TYPE_INT, "+12", 12);
    assert_integer(MR_TYPE_INT, "007", 7);
    assert_integer(MR_TYPE_INT, "2147483647", INT32_MAX);
    assert_integer(MR_TYPE_INT, "-2147483648", INT32_MIN);
    assert_integer(MR_TYPE_LONG, "9223372036854775807", INT64_MAX);
    assert_integer(MR_TYPE_LONG, "-9223372036854775808", INT64_MIN);
    assert_integer(MR_TYPE_LONG, "00000000000000000000000000000000000000001", 1);
}

static void integers_beyond_their_limits_are_out_of_range(void **state)
{
    (void)state;
    assert_refused(MR_TYPE_INT, "2147483648", "is out of range for an int");
    assert_refused(MR_TYPE_INT, "-2147483649", "is out of range for an int");
    assert_refused(MR_TYPE_LONG, "9223372036854775808", "is out of range for a long");
    assert_refused(MR_TYPE_LONG, "-9223372036854775809", "is out of range for a long");
    assert_refused(MR_TYPE_LONG, "18446744073709551616", "is out of range for a long");
    assert_refused(MR_TYPE_LONG, "99999999999999999999999999999999", "is out of range for a long");
}

static void other_text_is_no_integer(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "-",
                                        "+",
                                        "12x",
                                        " 1",
                                        "1 ",
                                        "1.0",
                                        "1e3",
                                        "--1",
                                        "0x10",
                                        "NA",
                                        "1,000",
                                        "99999999999999999999999999999999x"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(MR_TYPE_INT, texts[i], "is not an int");
}

static void integers_of_random_bits_survive(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[32];
        int64_t integer = (int64_t)random_bits() >> (random_bits() % 64);
        snprintf(text, sizeof text, "%lld", (long long)integer);
        assert_integer(MR_TYPE_LONG, text, integer);
    }
}

static void reals_are_rounded_correctly(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        ".5",
        "5.",
        "+1.5",
        "-.25e+3",
        "1e0",
        "1E-5",
        "123.456",
        "0.1",
        "1e22",
        "1e23",
        "1e-22",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0000000000000000000001",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "2e308",
        "1e999999999999999999",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1e-400",
        "1e-99999999999999999999",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "3.4028235e38",
        "3.4028236e38",
        "1e39",
        "1.4e-45",
        "7e-46",
        "16777217",
        "16777216.5",
        "0.100000001490116119384765625",
        "33554433",
        "1.00000017881393421514957253748434595763683319091796875",
        "1.00000017881393432617187499",
        "1.00000017881393432617187500",
        "1.00000017881393432617187501",
        "0000000000000000000000000000000000001.5",
        "12345678901234567890123456789012345678901234567890",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_real_as_strtod(texts[i]);
}

static void random_decimals_are_read_as_the_c_library_does(void **state)
{
    (void)state;
    for (int i = 0; i < 30000; i++) {
        char text[80];
        double real;
        uint64_t bits = random_bits();
        memcpy(&real, &bits, sizeof real);
        if (isfinite(real)) {
            snprintf(text, sizeof text, i % 2 ? "%.17g" : "%.16e", real);
            assert_real_as_strtod(text);
        }
        snprintf(text, sizeof text, "%llu.%03llue%d", (unsigned long long)(bits >> (bits % 60)),
                 (unsigned long long)(bits % 1000), (int)(random_bits() % 60) - 30);
        assert_real_as_strtod(text);
        snprintf(text, sizeof text, "%.*f", (int)(bits % 7), (double)(int64_t)(bits >> 24) / 1000.0);
        assert_real_as_strtod(text);
    }
}

static void digits_far_behind_a_tie_still_count(void **state)
{
    (void)state;
    char text[3000];
    strcpy(text, "9007199254740993."); /* halfway between two doubles */
    memset(text + 17, '0', 2000);
    strcpy(text + 2017, "1");
    assert_real_as_strtod(text);
    memset(text, '1', 2500);
    text[300] = '.';
    strcpy(text + 2500, "e-250");
    assert_real_as_strtod(text);
}

static void an_exponent_may_outweigh_a_million_zeros(void **state)
{
    (void)state;
    size_t zeros = 1000 * 1000;
    char *text = malloc(zeros + 20);
    assert_non_null(text);
    memset(text, '0', zeros);
    text[1] = '.';
    strcpy(text + zeros, "15e999999");
    assert_real_as_strtod(text);
    free(text);
}

static void reals_may_be_special(void **state)
{
    (void)state;
    mr_value value;
    mr_error error;
    assert_int_equal(convert(MR_TYPE_DOUBLE, "NaN", 3, &value, &error), MR_OK);
    assert_true(isnan(value.real));
    assert_int_equal(convert(MR_TYPE_FLOAT, "Infinity", 8, &value, &error), MR_OK);
    assert_true(isinf(value.real) && value.real > 0);
    assert_int_equal(convert(MR_TYPE_DOUBLE, "-Infinity", 9, &value, &error), MR_OK);
    assert_true(isinf(value.real) && value.real < 0);
}

static void other_text_is_no_real(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",   ".",  "-",   "-.",  "..",       "1..2",  "e5", "1e",  "1e+", "1.2.3", "1,5",
        " 1", "1 ", "inf", "nan", "infinity", "0x1p3", "1f", "--1", "+-1", "1e5.0", "+Infinity"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused(MR_TYPE_DOUBLE, texts[i], "is not a double");
    assert_refused(MR_TYPE_DOUBLE, "1e309", "is out of range for a double");
    assert_refused(MR_TYPE_FLOAT, "1e39", "is out of range for a float");
}

static void booleans_are_words_or_digits(void **state)
{
    (void)state;
    assert_integer(MR_TYPE_BOOLEAN, "true", 1);
    assert_integer(MR_TYPE_BOOLEAN, "FALSE", 0);
    assert_integer(MR_TYPE_BOOLEAN, "True", 1);
    assert_integer(MR_TYPE_BOOLEAN, "1", 1);
    assert_integer(MR_TYPE_BOOLEAN, "0", 0);
    assert_refused(MR_TYPE_BOOLEAN, "yes", "is not a boolean");
    assert_refused(MR_TYPE_BOOLEAN, "", "is not a boolean");
    assert_refused(MR_TYPE_BOOLEAN, "2", "is not a boolean");
}

static void strings_are_utf8_without_nul_and_bytes_are_anything(void **state)
{
    (void)state;
    mr_value value;
    mr_error error;
    assert_int_equal(convert(MR_TYPE_STRING, "Gr\xC3\xBC\xC3\x9F", 7, &value, &error), MR_EINVALID);
    assert_non_null(strstr(error.text, "\"Gr\\xC3\\xBC\\xC3\\x9F\\x00\" is not valid UTF-8"));
    assert_int_equal(convert(MR_TYPE_STRING, "Gr\xC3\xBC\xC3\x9F", 6, &value, &error), MR_OK);
    assert_int_equal(value.size, 6);
    assert_int_equal(convert(MR_TYPE_BYTES, "\xFF\x00\x80", 3, &value, &error), MR_OK);
    assert_int_equal(value.size, 3);
    assert_int_equal(convert(MR_TYPE_STRING, "", 0, &value, &error), MR_OK);
    assert_int_equal(value.size, 0);
}

static void a_long_text_is_cut_in_the_reason(void **state)
{
    (void)state;
    char text[1001];
    memset(text, '\x01', 1000);
    text[1000] = '\0';
    assert_refused(MR_TYPE_INT, text, "\\x01...\" is not an int");
}

/* What Unicode calls well-formed, code point by code point. */
static size_t put_utf8(uint32_t c, char *out)
{
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(lead[size] | c);
    return size;
}

static void every_code_point_but_nul_and_surrogates_is_valid(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        char text[4];
        size_t size = put_utf8(c, text);
        bool valid = c != 0 && (c < 0xD800 || c > 0xDFFF) && c <= 0x10FFFF;
        if (mr_utf8_valid((mr_slice){text, size}) != valid)
            fail_msg("U+%04X", c);
        if (size > 1 && mr_utf8_valid((mr_slice){text, size - 1}))
            fail_msg("U+%04X cut short", c);
    }
}

static void invalid_bytes_are_found_at_every_place(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", "\xC0\x80", "\xC1\xBF",  "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xF5\x80\x80\x80",
        "\xFF", "\xC3(",    "\xE2\x82(", "\xED\xA0\x80"};
    for (size_t size = 4; size < 40; size++) {
        for (size_t at = 0; at + 4 <= size; at++) {
            char *text = malloc(size);
            assert_non_null(text);
            memset(text, 'a', size);
            assert_true(mr_utf8_valid((mr_slice){text, size}));
            text[at] = '\0';
            assert_false(mr_utf8_valid((mr_slice){text, size}));
            for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
                memset(text, 'a', size);
                memcpy(text + at, bad[i], strlen(bad[i]));
                assert_false(mr_utf8_valid((mr_slice){text, size}));
            }
            free(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_up_to_their_limits),
        cmocka_unit_test(integers_beyond_their_limits_are_out_of_range),
        cmocka_unit_test(other_text_is_no_integer),
        cmocka_unit_test(integers_of_random_bits_survive),
        cmocka_unit_test(reals_are_rounded_correctly),
        cmocka_unit_test(random_decimals_are_read_as_the_c_library_does),
        cmocka_unit_test(digits_far_behind_a_tie_still_count),
        cmocka_unit_test(an_exponent_may_outweigh_a_million_zeros),
        cmocka_unit_test(reals_may_be_special),
        cmocka_unit_test(other_text_is_no_real),
        cmocka_unit_test(booleans_are_words_or_digits),
        cmocka_unit_test(strings_are_utf8_without_nul_and_bytes_are_anything),
        cmocka_unit_test(a_long_text_is_cut_in_the_reason),
        cmocka_unit_test(every_code_point_but_nul_and_surrogates_is_valid),
        cmocka_unit_test(invalid_bytes_are_found_at_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
