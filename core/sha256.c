#include "core/sha256.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK_BYTES = 64 * 1024, DIGEST_BYTES = 32 };

struct mr_sha256 {
    EVP_MD_CTX *context;
};

static mr_err failed(mr_error *ret_error)
{
    return mr_fail(ret_error, MR_ENOMEM, "SHA-256: libcrypto refused, memory is short");
}

mr_err mr_sha256_open(mr_sha256 **ret_hash, mr_error *ret_error)
{
    mr_sha256 *hash = calloc(1, sizeof *hash);
    if (hash == NULL)
        return failed(ret_error);
    hash->context = EVP_MD_CTX_new();
    if (hash->context == NULL || EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) != 1) {
        mr_sha256_close(&hash);
        return failed(ret_error);
    }
    *ret_hash = hash;
    return MR_OK;
}

void mr_sha256_close(mr_sha256 **hash)
{
    if (*hash == NULL)
        return;
    EVP_MD_CTX_free((*hash)->context);
    free(*hash);
    *hash = NULL;
}

mr_err mr_sha256_add(mr_sha256 *hash, mr_slice bytes, mr_error *ret_error)
{
    if (bytes.size == 0)
        return MR_OK;
    return EVP_DigestUpdate(hash->context, bytes.data, bytes.size) == 1 ? MR_OK : failed(ret_error);
}

mr_err mr_sha256_finish(mr_sha256 *hash, char ret_hex[MR_SHA256_HEX_SIZE], mr_error *ret_error)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_DigestFinal_ex(hash->context, digest, &size) != 1 || size != DIGEST_BYTES)
        return failed(ret_error);
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        ret_hex[2 * i] = digits[digest[i] >> 4];
        ret_hex[2 * i + 1] = digits[digest[i] & 15];
    }
    ret_hex[2 * DIGEST_BYTES] = '\0';
    return MR_OK;
}

mr_err mr_sha256_hex(mr_slice bytes, char ret_hex[MR_SHA256_HEX_SIZE], mr_error *ret_error)
{
    mr_sha256 *hash = NULL;
    mr_err err = mr_sha256_open(&hash, ret_error);
    if (err == MR_OK)
        err = mr_sha256_add(hash, bytes, ret_error);
    if (err == MR_OK)
        err = mr_sha256_finish(hash, ret_hex, ret_error);
    mr_sha256_close(&hash);
    return err;
}

static mr_err add_file(mr_sha256 *hash, int fd, const char *name, char *chunk, int64_t *size,
                       mr_error *ret_error)
{
    for (;;) {
        ssize_t got = read(fd, chunk, CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mr_fail_errno(ret_error, errno, "%s: cannot be read", name);
        if (got == 0)
            return MR_OK;
        mr_err err = mr_sha256_add(hash, (mr_slice){chunk, (size_t)got}, ret_error);
        if (err != MR_OK)
            return err;
        *size += got;
    }
}

mr_err mr_sha256_file(int fd, const char *name, char ret_hex[MR_SHA256_HEX_SIZE], int64_t *ret_size,
                      mr_error *ret_error)
{
    mr_sha256 *hash = NULL;
    int64_t size = 0;
    char *chunk = malloc(CHUNK_BYTES);
    mr_err err = chunk == NULL ? failed(ret_error) : mr_sha256_open(&hash, ret_error);
    if (err == MR_OK)
        err = add_file(hash, fd, name, chunk, &size, ret_error);
    if (err == MR_OK)
        err = mr_sha256_finish(hash, ret_hex, ret_error);
    if (err == MR_OK && ret_size != NULL)
        *ret_size = size;
    mr_sha256_close(&hash);
    free(chunk);
    return err;
}
