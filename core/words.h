/* words.h - short texts as 64-bit words, the first byte lowest; private to core/.
 *
 * What rows hold is mostly a few bytes long. Handled a word at a time it costs no loop whose end a processor
 * cannot foresee.
 */
#ifndef MR_CORE_WORDS_H
#define MR_CORE_WORDS_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t word_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return le64toh(word);
}

static inline uint64_t word_load_half(const char *at)
{
    uint32_t half;
    memcpy(&half, at, sizeof half);
    return le32toh(half);
}

/* The first `size` bytes, at most 8, with zeros behind them; reads no others. */
static inline uint64_t word_load_short(const char *at, size_t size)
{
    if (size >= 8)
        return word_load(at);
    if (size >= 4)
        return word_load_half(at) | word_load_half(at + size - 4) << (8 * (size - 4));
    if (size == 0)
        return 0;
    size_t middle = size / 2, last = size - 1;
    return (uint64_t)(unsigned char)at[0] | (uint64_t)(unsigned char)at[middle] << (8 * middle) |
           (uint64_t)(unsigned char)at[last] << (8 * last);
}

/* Writes 8 bytes. */
static inline void word_store(char *to, uint64_t word)
{
    word = htole64(word);
    memcpy(to, &word, sizeof word);
}

/* The first `size` bytes of a word, 1 to 8, behind as many characters '0' as make 8. */
static inline uint64_t word_fill_zeros(uint64_t word, size_t size)
{
    return word << (8 * (8 - size)) | UINT64_C(0x30303030303030) >> (8 * (size - 1));
}

static inline bool word_is_digits(uint64_t word)
{
    const uint64_t high_halves = UINT64_C(0xF0F0F0F0F0F0F0F0);
    return ((word & high_halves) | ((word + UINT64_C(0x0606060606060606)) & high_halves) >> 4) ==
           UINT64_C(0x3333333333333333);
}

/* The number that 8 digits say: pairs, then fours, then all are put together by one multiplication each. */
static inline uint64_t word_number(uint64_t word)
{
    word = (word & UINT64_C(0x0F0F0F0F0F0F0F0F)) * (10 * 256 + 1) >> 8;
    word = (word & UINT64_C(0x00FF00FF00FF00FF)) * (100 * 65536 + 1) >> 16;
    return (word & UINT64_C(0x0000FFFF0000FFFF)) * (UINT64_C(10000) * UINT64_C(4294967296) + 1) >> 32;
}

/* Index of the first byte that is `c`, or 8. */
static inline size_t word_find(uint64_t word, char c)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t difference = word ^ (ones * (unsigned char)c);
    uint64_t zeros = (difference - ones) & ~difference & (ones << 7);
    return zeros == 0 ? 8 : (size_t)__builtin_ctzll(zeros) / 8;
}

/* Neither a NUL nor a byte of 0x80 and above: with high bits off, only a zero byte borrows into its high bit.
 */
static inline bool word_is_ascii(uint64_t word)
{
    return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

#endif
