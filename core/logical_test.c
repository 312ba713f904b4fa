/* Dates and times against the C library, decimals against 128-bit integers; then each form and each refusal.
 */
#include "core/logical.h"

#include "core/decimal.h"
#include "core/iso_time.h"
#include "core/plain_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static uint64_t seed = 5;

static uint64_t random_bits(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * UINT64_C(0x2545F4914F6CDD1D);
}

static void every_day_is_that_of_the_c_library(void **state)
{
    (void)state;
    char text[ISO_TEXT_BYTES], expected[40];
    for (int64_t day = -719528; day <= 2932896; day++) {
        time_t seconds = (time_t)(day * 86400);
        struct tm tm;
        int64_t read = 0;
        assert_non_null(gmtime_r(&seconds, &tm));
        snprintf(expected, sizeof expected, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
        iso_print_date(day, text);
        assert_string_equal(text, expected);
        assert_int_equal(iso_read_date(mr_slice_of(text), &read), ISO_FITS);
        assert_true(read == day);
    }
    iso_print_date(-719529, text);
    assert_string_equal(text, "-000001-12-31");
    iso_print_date(2932897, text);
    assert_string_equal(text, "+010000-01-01");
    iso_print_date(INT32_MAX, text);
    assert_string_equal(text, "+5881580-07-11");
    iso_print_date(INT32_MIN, text);
    assert_string_equal(text, "-5877641-06-23");
}

static void timestamps_of_any_number_are_printed(void **state)
{
    (void)state;
    char text[ISO_TEXT_BYTES];
    iso_print_timestamp(0, 3, true, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    iso_print_timestamp(-1, 6, false, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999999");
    iso_print_timestamp(INT64_MAX, 9, true, text);
    assert_string_equal(text, "2262-04-11T23:47:16.854775807Z");
    iso_print_timestamp(INT64_MIN, 3, true, text);
    assert_string_equal(text, "-292275055-05-16T16:47:04.192Z");
    iso_print_time(86399999, 3, text);
    assert_string_equal(text, "23:59:59.999");
}

/* --- text of cells --- */

static mr_arena arena;

static mr_err convert(const mr_field *field, const char *text, mr_value *ret_value, mr_error *ret_error)
{
    size_t size = strlen(text); /* exactly so many bytes, for the address sanitizer */
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, text, size);
    mr_err err = mr_value_from_text(field, (mr_slice){copy, size}, &arena, ret_value, ret_error);
    free(copy);
    return err;
}

static void takes(const mr_field *field, const char *text, const char *printed)
{
    char out[LOGICAL_TEXT_BYTES];
    mr_value value;
    mr_error error;
    if (convert(field, text, &value, &error) != MR_OK)
        fail_msg("%s", error.text);
    assert_null(logical_problem(field, &value));
    logical_to_text(field, &value, out);
    assert_string_equal(out, printed);
}

static void refuses(const mr_field *field, const char *text, const char *reason)
{
    mr_value value;
    mr_error error;
    if (convert(field, text, &value, &error) != MR_EINVALID)
        fail_msg("%s is taken", text);
    assert_int_equal(error.class, MR_DATA);
    if (strstr(error.text, reason) == NULL)
        fail_msg("%s", error.text);
    assert_memory_equal(error.text, "column c: \"", 11);
}

static mr_field field_of(mr_type type, mr_logical logical)
{
    return (mr_field){.name = "c", .type = type, .logical = logical};
}

static void forms_of_dates_and_times(void **state)
{
    (void)state;
    mr_field date = field_of(MR_TYPE_INT, MR_LOGICAL_DATE);
    mr_field millis = field_of(MR_TYPE_INT, MR_LOGICAL_TIME_MILLIS);
    mr_field micros = field_of(MR_TYPE_LONG, MR_LOGICAL_TIME_MICROS);
    takes(&date, "2024-02-29", "2024-02-29");
    takes(&date, "0000-01-01", "0000-01-01");
    static const char *const no_dates[] = {
        "",         "2023-02-29", "1900-02-29",  "2026-13-01",  "2026-00-01",       "2026-01-00",  "2026-1-1",
        "26-01-01", "2026/01/01", "2026-01-01 ", " 2026-01-01", "2026-01-01T00:00", "+2026-01-01", "20260101",
        "19000"};
    for (size_t i = 0; i < sizeof no_dates / sizeof *no_dates; i++)
        refuses(&date, no_dates[i], "is not a date, as 2026-11-24");
    takes(&millis, "21:38", "21:38:00.000");
    takes(&millis, "21:38:15", "21:38:15.000");
    takes(&millis, "21:38:15.2", "21:38:15.200");
    takes(&millis, "21:38:15.123000000000", "21:38:15.123");
    takes(&micros, "00:00:00.000001", "00:00:00.000001");
    refuses(&millis, "21:38:15.1234", "is finer than a millisecond");
    refuses(&micros, "21:38:15.1234567", "is finer than a microsecond");
    static const char *const no_times[] = {"",       "24:00:00",  "23:60:00", "23:59:60",
                                           "1:00",   "21:38:15.", "21:38:",   "21:3815",
                                           "213815", "21:38Z",    "-1:00",    "21:38:15.1x"};
    for (size_t i = 0; i < sizeof no_times / sizeof *no_times; i++)
        refuses(&millis, no_times[i], "is not a time, as 21:38:15");
}

static void forms_of_timestamps(void **state)
{
    (void)state;
    mr_field millis = field_of(MR_TYPE_LONG, MR_LOGICAL_TIMESTAMP_MILLIS);
    mr_field nanos = field_of(MR_TYPE_LONG, MR_LOGICAL_TIMESTAMP_NANOS);
    mr_field local = field_of(MR_TYPE_LONG, MR_LOGICAL_LOCAL_TIMESTAMP_MICROS);
    static const char *const same[] = {
        "2026-11-24T21:38:15Z",      "2026-11-24T21:38:15",       "2026-11-24 21:38:15",
        "2026-11-24T23:38:15+02:00", "2026-11-24T23:38:15+0200",  "2026-11-24T23:38:15+02",
        "2026-11-24T21:38:15.000Z",  "2026-11-24T16:08:15-05:30", "2026-11-25 00:38:15.0+03:00"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        takes(&millis, same[i], "2026-11-24T21:38:15.000Z");
    takes(&millis, "0000-01-01T00:00+01", "-000001-12-31T23:00:00.000Z");
    takes(&nanos, "2026-11-24T21:38:15.123456789Z", "2026-11-24T21:38:15.123456789Z");
    takes(&local, "2026-11-24T21:38", "2026-11-24T21:38:00.000000");
    refuses(&nanos, "2300-01-01T00:00Z", "is out of range for 64 bits of nanoseconds");
    refuses(&millis, "2026-11-24T21:38:15.0001Z", "is finer than a millisecond");
    refuses(&local, "2026-11-24T21:38Z", "is not a timestamp without zone, as 2026-11-24T21:38:15");
    static const char *const none[] = {"2026-11-24",
                                       "2026-11-24T",
                                       "2026-11-24T21",
                                       "2026-11-24t21:38Z",
                                       "2026-11-24  21:38",
                                       "2026-11-24T21:38z",
                                       "2026-11-24T21:38 Z",
                                       "2026-11-24T21:38+2",
                                       "2026-11-24T21:38+24:00",
                                       "2026-11-24T21:38+02:60",
                                       "2026-11-24T21:38Zx",
                                       "1795395633123"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refuses(&millis, none[i], "is not a timestamp, as 2026-11-24T21:38:15Z");
}

static mr_field decimal_field(uint32_t precision, uint32_t scale)
{
    return (mr_field){.name = "c",
                      .type = MR_TYPE_BYTES,
                      .logical = MR_LOGICAL_DECIMAL,
                      .precision = precision,
                      .scale = scale};
}

static void decimals_are_exact(void **state)
{
    (void)state;
    mr_field money = decimal_field(6, 2), whole = decimal_field(3, 0), all = decimal_field(4, 4);
    takes(&money, "12.5", "12.50");
    takes(&money, "-0.01", "-0.01");
    takes(&money, "+9999.99", "9999.99");
    takes(&money, "-9999.99", "-9999.99");
    takes(&money, "0007.1000", "7.10");
    takes(&money, ".5", "0.50");
    takes(&money, "5.", "5.00");
    takes(&money, "-0", "0.00");
    takes(&whole, "128", "128");
    takes(&whole, "-128", "-128");
    takes(&all, "0.1234", "0.1234");
    refuses(&money, "12.345", "has more digits behind the point than decimal(6, 2)");
    refuses(&money, "10000", "is out of range for decimal(6, 2)");
    refuses(&all, "1", "is out of range for decimal(4, 4)");
    static const char *const none[] = {"", ".", "-", "1e2", "1,5", " 1", "1 ", "0x1", "1.2.3", "NaN", "--1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refuses(&money, none[i], "is not a decimal number");
}

static void large_decimals_come_back(void **state)
{
    (void)state;
    mr_field large = decimal_field(76, 38);
    char text[100], expected[100];
    for (int round = 0; round < 2000; round++) {
        size_t digits = 1 + random_bits() % 38, behind = random_bits() % 39, used = 0;
        if (round % 2)
            text[used++] = '-';
        for (size_t i = 0; i < digits; i++)
            text[used++] = (char)('0' + (i == 0 ? 1 + random_bits() % 9 : random_bits() % 10));
        memcpy(expected, text, used);
        expected[used] = '.';
        text[used++] = '.';
        for (size_t i = 0; i < 38; i++)
            expected[used + i] = text[used + i] = (char)(i < behind ? '0' + random_bits() % 10 : '0');
        expected[used + 38] = '\0';
        text[used + behind] = '\0';
        takes(&large, text, expected);
    }
    mr_arena_fini(&arena);
}

static void decimals_have_as_few_bytes_as_the_number_needs(void **state)
{
    (void)state;
    for (int64_t number = -70000; number <= 70000; number++) {
        char text[40], bytes[DECIMAL_BYTES_MAX];
        size_t size = 0;
        int64_t back = 0;
        snprintf(text, sizeof text, "%lld", (long long)number);
        assert_int_equal(decimal_from_text(mr_slice_of(text), 10, 0, bytes, &size), DECIMAL_FITS);
        for (size_t i = 0; i < size; i++)
            back = i == 0 ? (signed char)bytes[0] : back * 256 + (unsigned char)bytes[i];
        assert_true(back == number);
        assert_int_equal(size, number >= -128 && number < 128       ? 1
                               : number >= -32768 && number < 32768 ? 2
                                                                    : 3);
    }
    assert_int_equal(decimal_digits_of(1), 2);
    assert_int_equal(decimal_digits_of(4), 9);
    assert_int_equal(decimal_digits_of(9), 21);
    assert_int_equal(decimal_digits_of(32), 76);
}

static void bytes_that_are_no_decimal_are_told(void **state)
{
    (void)state;
    mr_field field = decimal_field(2, 0);
    mr_value empty = {.type = MR_TYPE_BYTES, .size = 0, .data = ""};
    mr_value large = {.type = MR_TYPE_BYTES, .size = 1, .data = "\x64"};
    mr_value least = {.type = MR_TYPE_BYTES, .size = 1, .data = "\x9d"};
    char padded[100];
    memset(padded, 0xFF, sizeof padded);
    mr_value minus_one = {.type = MR_TYPE_BYTES, .size = sizeof padded, .data = padded};
    assert_non_null(logical_problem(&field, &empty));
    assert_non_null(logical_problem(&field, &large));
    assert_null(logical_problem(&field, &least));
    assert_null(logical_problem(&field, &minus_one));
    padded[0] = 0;
    assert_non_null(logical_problem(&field, &minus_one));
    char lowest[33] = "\x80";
    mr_value two_to_255 = {.type = MR_TYPE_BYTES, .size = 32, .data = lowest};
    field.precision = 76;
    assert_non_null(logical_problem(&field, &two_to_255));
}

static void uuids_are_lower_case(void **state)
{
    (void)state;
    mr_field uuid = field_of(MR_TYPE_STRING, MR_LOGICAL_UUID);
    takes(&uuid, "123E4567-e89B-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000");
    static const char *const none[] = {
        "", "123e4567e89b12d3a456426614174000", "{123e4567-e89b-12d3-a456-426614174000}",
        "123e4567-e89b-12d3-a456-42661417400g", "123e4567-e89b-12d3-a456-4266141740000"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        refuses(&uuid, none[i], "is not a UUID");
    mr_arena_fini(&arena);
}

static void enums_and_fixed_are_checked(void **state)
{
    (void)state;
    static const char *const symbols[] = {"RED", "GREEN"};
    mr_shape colour = {.name = "Colour", .symbols = symbols, .count = 2}, four = {.name = "Four", .size = 4};
    mr_field field = {.name = "c", .type = MR_TYPE_ENUM, .shape = &colour};
    mr_value value, plain;
    mr_error error;
    assert_int_equal(convert(&field, "GREEN", &value, &error), MR_OK);
    assert_int_equal(value.integer, 1);
    assert_int_equal(mr_plain_value(&field, &value, &arena, &plain, &error), MR_OK);
    assert_int_equal(plain.type, MR_TYPE_STRING);
    assert_memory_equal(plain.data, "GREEN", 5);
    refuses(&field, "green", "\"green\" is no symbol of enum Colour");
    field = (mr_field){.name = "c", .type = MR_TYPE_FIXED, .shape = &four};
    assert_int_equal(mr_value_from_text(&field, MR_SLICE_LITERAL("\0\xff\1\2"), &arena, &value, &error),
                     MR_OK);
    assert_int_equal(value.type, MR_TYPE_FIXED);
    assert_int_equal(mr_plain_value(&field, &value, &arena, &plain, &error), MR_OK);
    assert_int_equal(plain.type, MR_TYPE_BYTES);
    refuses(&field, "abc", "\"abc\" has 3 bytes, not 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day_is_that_of_the_c_library),
        cmocka_unit_test(timestamps_of_any_number_are_printed),
        cmocka_unit_test(forms_of_dates_and_times),
        cmocka_unit_test(forms_of_timestamps),
        cmocka_unit_test(decimals_are_exact),
        cmocka_unit_test(large_decimals_come_back),
        cmocka_unit_test(decimals_have_as_few_bytes_as_the_number_needs),
        cmocka_unit_test(bytes_that_are_no_decimal_are_told),
        cmocka_unit_test(uuids_are_lower_case),
        cmocka_unit_test(enums_and_fixed_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
