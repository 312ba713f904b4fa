#include "core/process_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEPTH_MAX = 1000 }; /* parents may change while the table is read: no endless walk */

/* The text after the command's name, which may hold blanks and brackets itself. */
static bool parse_stat(const char *text, mr_process_info *ret_process)
{
    static size_t page_bytes;
    long rss_pages;
    unsigned long long start_time;
    const char *rest = strrchr(text, ')');
    if (rest == NULL)
        return false;
    /* state ppid pgrp session, 15 fields, starttime vsize rss */
    int got = sscanf(
        rest + 1, " %c %d %*d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %*s %ld",
        &ret_process->state, &ret_process->parent, &ret_process->session, &start_time, &rss_pages);
    if (got != 5)
        return false;
    if (page_bytes == 0)
        page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    ret_process->start_time = start_time;
    ret_process->rss_bytes = rss_pages > 0 ? (uint64_t)rss_pages * page_bytes : 0;
    return true;
}

static bool read_process(int proc_fd, const char *name, mr_process_info *ret_process)
{
    char path[32], text[1024];
    snprintf(path, sizeof path, "%.20s/stat", name);
    int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    ret_process->pid = (int)strtol(name, NULL, 10);
    return parse_stat(text, ret_process);
}

static mr_err add(mr_process_table *table, const mr_process_info *process)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity == 0 ? 64 : table->capacity * 2;
        mr_process_info *items = realloc(table->items, capacity * sizeof *items);
        if (items == NULL)
            return MR_ENOMEM;
        table->items = items;
        table->capacity = capacity;
    }
    table->items[table->count++] = *process;
    return MR_OK;
}

static int by_pid(const void *a, const void *b)
{
    const mr_process_info *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

mr_err mr_process_table_look(mr_process_table *table, mr_process_seen seen, void *arg, mr_error *ret_error)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return mr_fail_errno(ret_error, errno, "/proc");
    mr_err err = MR_OK;
    table->count = 0;
    for (struct dirent *entry; err == MR_OK && (entry = readdir(proc)) != NULL;) {
        mr_process_info process = {0};
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
            continue;
        if (!read_process(dirfd(proc), entry->d_name, &process))
            continue;
        err = add(table, &process);
        if (err == MR_OK && seen != NULL)
            seen(arg, table, &table->items[table->count - 1]);
    }
    closedir(proc);
    if (err != MR_OK)
        return mr_fail(ret_error, err, "no memory for the table of processes");
    if (table->count > 0)
        qsort(table->items, table->count, sizeof *table->items, by_pid);
    return MR_OK;
}

mr_err mr_process_table_read(mr_process_table *table, mr_error *ret_error)
{
    return mr_process_table_look(table, NULL, NULL, ret_error);
}

void mr_process_table_fini(mr_process_table *table)
{
    free(table->items);
    *table = (mr_process_table){0};
}

const mr_process_info *mr_process_table_find(const mr_process_table *table, int pid)
{
    mr_process_info wanted = {.pid = pid};
    if (table->count == 0)
        return NULL;
    return bsearch(&wanted, table->items, table->count, sizeof *table->items, by_pid);
}

const mr_process_info *mr_process_table_branch(const mr_process_table *table, const mr_process_info *process,
                                               int parent)
{
    for (int depth = 0; process != NULL && depth < DEPTH_MAX; depth++) {
        if (process->parent == parent)
            return process;
        process = mr_process_table_find(table, process->parent);
    }
    return NULL;
}
