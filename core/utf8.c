#include "core/text_value.h"

/* Neither a NUL nor a byte of 0x80 and above: with high bits off, only a zero byte borrows into its high bit.
 */
static inline bool is_ascii_word(uint64_t word)
{
    return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

static inline uint64_t load_word(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static bool is_ascii(const char *at, size_t size)
{
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8)
            if (!is_ascii_word(load_word(at + i)))
                return false;
        return is_ascii_word(load_word(at + size - 8));
    }
    for (size_t i = 0; i < size; i++)
        if (at[i] <= 0)
            return false;
    return true;
}

/* Length of the character of more than one byte at `at`, or 0 (Unicode 15, table 3-7). */
static size_t sequence_length(const unsigned char *at, size_t available)
{
    unsigned char low = 0x80, high = 0xBF; /* of the second byte */
    size_t length;
    if (at[0] >= 0xC2 && at[0] <= 0xDF) {
        length = 2;
    } else if ((at[0] & 0xF0) == 0xE0) {
        length = 3;
        low = at[0] == 0xE0 ? 0xA0 : low;
        high = at[0] == 0xED ? 0x9F : high; /* above are the surrogates */
    } else if (at[0] >= 0xF0 && at[0] <= 0xF4) {
        length = 4;
        low = at[0] == 0xF0 ? 0x90 : low;
        high = at[0] == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (available < length || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

static bool is_utf8(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t i = 0; i < size;) {
        if (size - i >= 8 && is_ascii_word(load_word(text + i))) {
            i += 8;
        } else if (bytes[i] >= 0x80) {
            size_t length = sequence_length(bytes + i, size - i);
            if (length == 0)
                return false;
            i += length;
        } else if (bytes[i++] == '\0') {
            return false;
        }
    }
    return true;
}

bool mr_utf8_valid(mr_slice text)
{
    return is_ascii(text.data, text.size) || is_utf8(text.data, text.size);
}
