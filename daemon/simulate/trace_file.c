/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owns the reading of traces. Line by line into a buffer of fixed size; numbers are read digit by
 * digit, so that no locale and no floating point has a part in what is simulated. Whatever is not
 * a number where one must be is a mistake, with its line.
 */
#include "trace_file.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <plimsoll/cleanup.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Columns beyond are no trace. */
#define COLUMNS_MAX 64
#define TIME_MOST (UINT64_C(366) * 24 * 60 * NSEC_PER_MINUTE)
/* Nanoseconds of the first digit behind the point. */
#define FIRST_FRACTION (NSEC_PER_SEC / 10)
#define NO_COLUMN COLUMNS_MAX

struct trace_reader {
    const char *path;
    FILE *file;
    struct error *error;
    uint32_t line;
    unsigned time_column, rss_column;
    struct demand_point *points;
    uint32_t count, allocated;
    uint64_t begin; /* time of the first point */
};

static void stream_close_at(FILE **stream)
{
    if (*stream)
        (void)fclose(*stream);
}

static int trace_mistake(const struct trace_reader *reader, const char *what)
{
    return error_set(
        reader->error, -EINVAL, "%s:%u: %s", reader->path, (unsigned)reader->line, what);
}

/* ---- fields ---- */

/* Cuts LINE at its commas; returns how many fields there are, COLUMNS_MAX + 1 if too many. */
static unsigned fields_split(char *line, char **ret_fields)
{
    unsigned count = 0;

    for (char *rest = line; rest;) {
        if (count == COLUMNS_MAX)
            return COLUMNS_MAX + 1;
        char *field = strsep(&rest, ",");
        field += strspn(field, " \t");
        field[strcspn(field, " \t")] = '\0';
        ret_fields[count++] = field;
    }
    return count;
}

/* "12.345" in ns; digits beyond the ninth are passed over. */
static bool time_parse(const char *text, uint64_t *ret_time)
{
    char whole[16];
    size_t length = strspn(text, "0123456789");
    uint64_t seconds, time, unit = FIRST_FRACTION;

    if (length == 0 || length >= sizeof(whole))
        return false;
    memcpy(whole, text, length);
    whole[length] = '\0';
    if (text_parse_number(whole, 0, TIME_MOST / NSEC_PER_SEC, &seconds) < 0)
        return false;
    time = seconds * NSEC_PER_SEC;
    text += length;
    if (*text == '.')
        for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
            time += (uint64_t)(*text - '0') * unit;
    *ret_time = time;
    return *text == '\0';
}

/* ---- lines ---- */

/* The next line without its end; 0 at the end of the file. */
static int line_read(struct trace_reader *reader, char *line, size_t size)
{
    if (!fgets(line, (int)size, reader->file))
        return ferror(reader->file)
                   ? error_set(reader->error, -EIO, "%s: cannot be read", reader->path)
                   : 0;
    reader->line++;
    size_t length = strlen(line);
    /* A NUL in the line ends it early, too. */
    if ((length == 0 || line[length - 1] != '\n') && !feof(reader->file))
        return trace_mistake(reader, "longer than 1023 bytes, or with a NUL");
    line[strcspn(line, "\r\n")] = '\0';
    return 1;
}

static int head_read(struct trace_reader *reader)
{
    char line[TRACE_LINE_MAX], *fields[COLUMNS_MAX];
    int result = line_read(reader, line, sizeof(line));

    if (result < 0)
        return result;
    unsigned count = result > 0 ? fields_split(line, fields) : 0;
    if (count > COLUMNS_MAX)
        return trace_mistake(reader, "more than 64 columns");
    reader->time_column = reader->rss_column = NO_COLUMN;
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(fields[i], "time") == 0)
            reader->time_column = i;
        if (strcmp(fields[i], "rss") == 0)
            reader->rss_column = i;
    }
    if (reader->time_column == NO_COLUMN || reader->rss_column == NO_COLUMN)
        return trace_mistake(reader, "expected names of columns, \"time\" and \"rss\" among them");
    return 0;
}

static int point_add(struct trace_reader *reader, uint64_t time, uint64_t bytes)
{
    if (reader->count == 0)
        reader->begin = time;
    if (reader->count > 0 && time - reader->begin < reader->points[reader->count - 1].time)
        return trace_mistake(reader, "time runs backwards");
    if (reader->count == TRACE_POINTS_MAX)
        return trace_mistake(reader, "more than 604800 points");
    if (reader->count == reader->allocated) {
        uint32_t allocated = reader->allocated > 0 ? 2 * reader->allocated : 1024;
        struct demand_point *points =
            reallocarray(reader->points, allocated, sizeof(*reader->points));
        if (!points)
            return error_set(reader->error, -ENOMEM, "%s: out of memory", reader->path);
        reader->points = points;
        reader->allocated = allocated;
    }
    reader->points[reader->count++] = (struct demand_point){time - reader->begin, bytes};
    return 0;
}

static int point_read(struct trace_reader *reader, char *line)
{
    char *fields[COLUMNS_MAX];
    uint64_t time, bytes;
    unsigned count = fields_split(line, fields);

    if (count > COLUMNS_MAX || count <= reader->time_column || count <= reader->rss_column)
        return trace_mistake(reader, "not as many values as columns are named");
    const char *when = fields[reader->time_column], *rss = fields[reader->rss_column];
    if (strcmp(when, "nan") == 0 || strcmp(rss, "nan") == 0)
        return 0;
    if (!time_parse(when, &time))
        return trace_mistake(reader, "time: expected seconds, such as 12.5, of a year at most");
    if (reader->count > 0 && time < reader->begin)
        return trace_mistake(reader, "time runs backwards");
    if (text_parse_number(rss, 0, TRACE_BYTES_MAX, &bytes) < 0)
        return trace_mistake(reader, "rss: expected a whole number of bytes, of 64 TiB at most");
    return point_add(reader, time, bytes);
}

static int lines_read(struct trace_reader *reader)
{
    char line[TRACE_LINE_MAX];
    int result = head_read(reader);

    while (result >= 0) {
        result = line_read(reader, line, sizeof(line));
        if (result <= 0)
            break;
        if (line[0] != '\0')
            result = point_read(reader, line);
    }
    if (result == 0 && reader->count == 0)
        return trace_mistake(reader, "no point in all of the file");
    return result;
}

int trace_file_read(
    const char *path, struct demand_point **ret_points, uint32_t *ret_count, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    FILE *file CLEANUP(stream_close_at) = fd >= 0 ? fdopen(fd, "r") : NULL;
    struct trace_reader reader = {.path = path, .file = file, .error = error};
    struct stat status;

    if (!file || fstat(fd, &status) < 0) {
        int result = -errno;
        if (!file && fd >= 0)
            (void)close(fd);
        return error_set(error, result, "%s: cannot be opened: %s", path, strerror(-result));
    }
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EINVAL, "%s: is not a regular file", path);
    int result = lines_read(&reader);
    if (result < 0) {
        free(reader.points);
        return result;
    }
    *ret_points = reader.points;
    *ret_count = reader.count;
    return 0;
}
