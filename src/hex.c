/* L0 base: bytes as hex digits, and back.
 *
 * Invariant: everything is checked before the first byte is written, so a failure writes nothing but
 * the NUL of an empty string.
 *
 * No locks and no state. Not constant in time: not for keys that others may time.
 */
#include <string.h>

#include "error.h"
#include "sallyport/digest.h"

static const char digits[] = "0123456789abcdef";

#define NO_DIGIT 16u

/* The value of a hex digit, or NO_DIGIT. No locale has a say. */
static unsigned digit_value(char c)
{
    const char *lower = c != '\0' ? strchr(digits, c) : NULL;
    if (lower != NULL) {
        return (unsigned)(lower - digits);
    }
    return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : NO_DIGIT;
}

/* ---- to hex -------------------------------------------------------------------------------- */

static ssl_status check_to_hex(const void *bytes, size_t n, const char *hex, size_t size,
                               ssl_error *err)
{
    static const char call[] = "ssl_bytes_to_hex_string";
    if (hex == NULL || (bytes == NULL && n != 0)) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: %s is NULL", call,
                          hex == NULL ? "hex" : "bytes");
    }
    if (size == 0 || n > (size - 1) / 2) {
        return sally_fail(err, SALLY_LIMIT, SALLY_PHASE_NONE,
                          "%s: %zu bytes need room for two characters each and a NUL, and there is "
                          "room for %zu",
                          call, n, size);
    }
    return SALLY_OK;
}

ssl_status ssl_bytes_to_hex_string(const void *bytes, size_t n, char *hex, size_t size,
                                   ssl_error *err)
{
    if (hex != NULL && size != 0) {
        hex[0] = '\0';
    }
    ssl_status status = check_to_hex(bytes, n, hex, size, err);
    if (status != SALLY_OK) {
        return status;
    }
    const unsigned char *from = bytes;
    for (size_t i = 0; i < n; i++) {
        hex[2 * i] = digits[from[i] >> 4];
        hex[2 * i + 1] = digits[from[i] & 0xF];
    }
    hex[2 * n] = '\0';
    return SALLY_OK;
}

/* ---- to bytes ------------------------------------------------------------------------------ */

static ssl_status fail_digit(const char *hex, size_t at, ssl_error *err)
{
    unsigned char c = (unsigned char)hex[at];
    char shown[8] = {(char)c, '\0'};
    if (c < 0x20 || c > 0x7E) {
        memcpy(shown, (char[]){'\\', 'x', digits[c >> 4], digits[c & 0xF], '\0'}, 5);
    }
    return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                      "ssl_hex_string_to_bytes: \"%s\" at position %zu is no hex digit", shown, at);
}

static ssl_status check_digits(const char *hex, size_t *length, ssl_error *err)
{
    size_t n = 0;
    for (; hex[n] != '\0'; n++) {
        if (digit_value(hex[n]) == NO_DIGIT) {
            return fail_digit(hex, n, err);
        }
    }
    *length = n;
    if (n % 2 != 0) {
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE,
                          "ssl_hex_string_to_bytes: %zu digits, an odd number; the digit at "
                          "position %zu has no second one",
                          n, n - 1);
    }
    return SALLY_OK;
}

static ssl_status check_to_bytes(const char *hex, const void *bytes, size_t size,
                                 const size_t *count, ssl_error *err)
{
    static const char call[] = "ssl_hex_string_to_bytes";
    if (hex == NULL || count == NULL || (bytes == NULL && size != 0)) {
        const char *what = hex == NULL ? "hex" : count == NULL ? "count" : "bytes";
        return sally_fail(err, SALLY_USAGE, SALLY_PHASE_NONE, "%s: %s is NULL", call, what);
    }
    size_t length = 0;
    ssl_status status = check_digits(hex, &length, err);
    if (status == SALLY_OK && length / 2 > size) {
        status = sally_fail(err, SALLY_LIMIT, SALLY_PHASE_NONE,
                            "%s: %zu digits are %zu bytes, and there is room for %zu", call, length,
                            length / 2, size);
    }
    return status;
}

ssl_status ssl_hex_string_to_bytes(const char *hex, void *bytes, size_t size, size_t *count,
                                   ssl_error *err)
{
    if (count != NULL) {
        *count = 0;
    }
    ssl_status status = check_to_bytes(hex, bytes, size, count, err);
    if (status != SALLY_OK) {
        return status;
    }
    unsigned char *to = bytes;
    size_t n = 0;
    for (; hex[2 * n] != '\0'; n++) {
        to[n] = (unsigned char)(digit_value(hex[2 * n]) << 4 | digit_value(hex[2 * n + 1]));
    }
    *count = n;
    return SALLY_OK;
}
