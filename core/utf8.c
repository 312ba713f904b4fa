#include "core/text_value.h"

/* Length of the sequence that starts at `s`, or 0. Bounds of the second byte: Unicode 15, table 3-7. */
static size_t sequence(const unsigned char *s, size_t room)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t size = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || room < size)
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

bool mr_utf8_valid(mr_slice text)
{
    const unsigned char *s = (const unsigned char *)text.data;
    size_t i = 0;
    while (i < text.size) {
        size_t size = 1;
        if (s[i] == 0)
            return false;
        if (s[i] >= 0x80) {
            size = sequence(s + i, text.size - i);
            if (size == 0)
                return false;
        }
        i += size;
    }
    return true;
}
