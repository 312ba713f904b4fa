#include "core/text_value.h"
#include "core/words.h"

static bool is_ascii(const char *at, size_t size)
{
    if (size < 8) /* what is behind the text counts as a letter */
        return word_is_ascii(word_load_short(at, size) | UINT64_C(0x6161616161616161) << (8 * size));
    for (size_t i = 0; i + 8 < size; i += 8)
        if (!word_is_ascii(word_load(at + i)))
            return false;
    return word_is_ascii(word_load(at + size - 8));
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
        if (size - i >= 8 && word_is_ascii(word_load(text + i))) {
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
