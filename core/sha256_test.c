#include "core/sha256.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* FIPS 180-4 examples. */
static const char of_nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char of_a_million[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

static void test_known_texts_have_their_known_hash(void **state)
{
    (void)state;
    char hex[MR_SHA256_HEX_SIZE];
    assert_int_equal(mr_sha256_hex((mr_slice){NULL, 0}, hex, NULL), MR_OK);
    assert_string_equal(hex, of_nothing);
    assert_int_equal(mr_sha256_hex(MR_SLICE_LITERAL("abc"), hex, NULL), MR_OK);
    assert_string_equal(hex, of_abc);
}

static void test_parts_hash_like_the_whole(void **state)
{
    (void)state;
    char hex[MR_SHA256_HEX_SIZE], part[1000];
    mr_sha256 *hash = NULL;
    memset(part, 'a', sizeof part);
    assert_int_equal(mr_sha256_open(&hash, NULL), MR_OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(mr_sha256_add(hash, (mr_slice){part, sizeof part}, NULL), MR_OK);
    assert_int_equal(mr_sha256_finish(hash, hex, NULL), MR_OK);
    assert_string_equal(hex, of_a_million);
    mr_sha256_close(&hash);
    assert_null(hash);
    mr_sha256_close(&hash);
}

static void test_a_file_is_hashed_from_its_present_place(void **state)
{
    (void)state;
    char hex[MR_SHA256_HEX_SIZE], path[] = "/tmp/sha256-test-XXXXXX";
    int64_t size = -1;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, "xyzabc", 6), 6);
    assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
    assert_int_equal(mr_sha256_file(fd, path, hex, &size, NULL), MR_OK);
    assert_string_equal(hex, of_abc);
    assert_int_equal(size, 3);
    assert_int_equal(mr_sha256_file(fd, path, hex, NULL, NULL), MR_OK);
    assert_string_equal(hex, of_nothing);
    close(fd);
}

static void test_a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    char hex[MR_SHA256_HEX_SIZE];
    mr_error error;
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(mr_sha256_file(fd, "in/a.csv", hex, NULL, &error), MR_EIO);
    assert_ptr_equal(strstr(error.text, "in/a.csv: cannot be read"), error.text);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts_have_their_known_hash),
        cmocka_unit_test(test_parts_hash_like_the_whole),
        cmocka_unit_test(test_a_file_is_hashed_from_its_present_place),
        cmocka_unit_test(test_a_file_that_cannot_be_read_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
