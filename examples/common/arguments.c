/* The command lines of the examples. */
#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_option(const char *word)
{
    return strncmp(word, "--", 2) == 0;
}

static void print_usage(const char *program, const argument *table, size_t count)
{
    fprintf(stderr, "usage: %s", program);
    for (size_t i = 0; i < count; i++) {
        const char *value = table[i].number != NULL ? "NUMBER" : "VALUE";
        fprintf(stderr, is_option(table[i].name) ? " [%s %s]" : " %s", table[i].name, value);
    }
    fprintf(stderr, "\n");
}

static bool take_value(const char *program, const argument *a, const char *value)
{
    if (a->text != NULL) {
        *a->text = value;
        return true;
    }
    char *end = NULL;
    errno = 0;
    long number = strtol(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0 || number < a->least || number > a->most) {
        fprintf(stderr, "%s: %s is \"%s\"; it must be a number from %d to %d\n", program, a->name,
                value, a->least, a->most);
        return false;
    }
    *a->number = (int)number;
    return true;
}

static const argument *find_option(const char *word, const argument *table, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, table[i].name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* The first operand of the table that comes at or after *next, which moves behind it. */
static const argument *next_operand(const argument *table, size_t count, size_t *next)
{
    while (*next < count) {
        const argument *a = &table[(*next)++];
        if (!is_option(a->name)) {
            return a;
        }
    }
    return NULL;
}

static bool read_words(int argc, char **argv, const argument *table, size_t count)
{
    size_t next = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        bool option = is_option(word);
        const argument *a =
            option ? find_option(word, table, count) : next_operand(table, count, &next);
        if (a == NULL) {
            fprintf(stderr, "%s: \"%s\" is %s\n", argv[0], word,
                    option ? "not an option" : "one word too many");
            return false;
        }
        if (option && ++i == argc) {
            fprintf(stderr, "%s: %s needs a value\n", argv[0], a->name);
            return false;
        }
        if (!take_value(argv[0], a, argv[i])) {
            return false;
        }
    }
    const argument *missing = next_operand(table, count, &next);
    if (missing != NULL) {
        fprintf(stderr, "%s: %s is missing\n", argv[0], missing->name);
    }
    return missing == NULL;
}

bool read_arguments(int argc, char **argv, const argument *table, size_t count)
{
    bool read = read_words(argc, argv, table, count);
    if (!read) {
        print_usage(argv[0], table, count);
    }
    return read;
}
