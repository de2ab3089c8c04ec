/* Between the judge and a function in C: arguments are words on standard input, the answer is JSON behind a nonce.
 * What the program prints goes to standard error; the channel is a copy of standard output that it does not know. */

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char *verigrad_input, *verigrad_nonce;
static FILE *verigrad_out;

static char *verigrad_word(void) {
    static char *place;
    char *word = strtok_r(place ? NULL : verigrad_input, " \n", &place);
    if (!word) _exit(3);
    return word;
}

static void verigrad_begin(void) {
    size_t size = 0, room = 1 << 16;
    ssize_t count;
    verigrad_input = (char *)malloc(room + 1);
    while (verigrad_input && (count = read(0, verigrad_input + size, room - size)) > 0) {
        size += (size_t)count;
        if (size == room) verigrad_input = (char *)realloc(verigrad_input, (room *= 2) + 1);
    }
    if (!verigrad_input) _exit(3);
    verigrad_input[size] = 0;
    verigrad_nonce = verigrad_word();
    verigrad_out = fdopen(dup(1), "w");
    dup2(2, 1);
}

static long long verigrad_signed(void) { return strtoll(verigrad_word(), NULL, 10); }
static unsigned long long verigrad_unsigned(void) { return strtoull(verigrad_word(), NULL, 10); }
static bool verigrad_bool(void) { return verigrad_signed() != 0; }
static double verigrad_float(void) { return strtod(verigrad_word(), NULL); }
static size_t verigrad_count(void) { return (size_t)verigrad_unsigned(); }

static char *verigrad_text(void) {
    size_t size = verigrad_count();
    char *text = (char *)malloc(size + 1), *digits = size ? verigrad_word() : NULL;
    if (!text) _exit(3);
    for (size_t i = 0; i < size; i++) {
        char pair[3] = {digits[2 * i], digits[2 * i + 1], 0};
        text[i] = (char)strtol(pair, NULL, 16);
    }
    text[size] = 0;
    return text;
}

static char verigrad_char(void) { return *verigrad_text(); }

static void *verigrad_array(size_t count, size_t size) {
    void *items = calloc(count ? count : 1, size);
    if (!items) _exit(3);
    return items;
}

static void verigrad_open(void) { fprintf(verigrad_out, "%s\n{\"value\": ", verigrad_nonce); }

static void verigrad_close(void) {
    fputs("}", verigrad_out);
    fflush(verigrad_out);
    _exit(0);
}

static void verigrad_put_signed(long long value) { fprintf(verigrad_out, "%lld", value); }
static void verigrad_put_unsigned(unsigned long long value) { fprintf(verigrad_out, "%llu", value); }
static void verigrad_put_bool(bool value) { fputs(value ? "true" : "false", verigrad_out); }

static void verigrad_put_float(double value) {
    if (value != value)
        fputs("NaN", verigrad_out);
    else if (value - value != 0)
        fputs(value > 0 ? "Infinity" : "-Infinity", verigrad_out);
    else
        fprintf(verigrad_out, "%.17g", value);
}

static void verigrad_put_bytes(const char *text, size_t size) {
    fputc('"', verigrad_out);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == '"' || byte == '\\')
            fprintf(verigrad_out, "\\u%04x", byte);
        else
            fputc(byte, verigrad_out);
    }
    fputc('"', verigrad_out);
}

static void verigrad_put_char(char value) { verigrad_put_bytes(&value, 1); }

static void verigrad_put_text(const char *text) {
    if (text)
        verigrad_put_bytes(text, strlen(text));
    else
        fputs("null", verigrad_out);
}
