/* layout.c - makes the tenant's file, durably, and checks that it is this tenant's.
 *
 * The file is made under another name and then renamed, unless somebody was faster: nobody ever waits for
 * another one to make it, who might be frozen meanwhile, and whoever finds it finds it whole.
 */
#include "bus/embedded/embedded.h"
#include "core/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT = 1, CONTROL_CACHE_KIB = 256 };

static const char file_settings[] = "PRAGMA page_size=8192; PRAGMA auto_vacuum=INCREMENTAL";

static const char tables[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL,"
    " first_log INTEGER NOT NULL);"
    "CREATE TABLE logs (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, partition INTEGER NOT NULL,"
    " end_offset INTEGER NOT NULL DEFAULT 0, removed_below INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE batches (id INTEGER PRIMARY KEY, span INTEGER NOT NULL, newest_ms INTEGER NOT NULL,"
    " data BLOB NOT NULL);"
    "CREATE TABLE tasks (connector TEXT NOT NULL, task INTEGER NOT NULL, epoch INTEGER NOT NULL,"
    " commits INTEGER NOT NULL, PRIMARY KEY (connector, task)) WITHOUT ROWID;"
    "CREATE TABLE positions (connector TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL,"
    " PRIMARY KEY (connector, key)) WITHOUT ROWID;"
    "CREATE TABLE sinks (log INTEGER NOT NULL, connector TEXT NOT NULL, next_offset INTEGER NOT NULL,"
    " metadata BLOB NOT NULL, PRIMARY KEY (log, connector)) WITHOUT ROWID;";

static mr_err sync_folder(const char *path, mr_error *ret_error)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "bus folder %s: cannot be opened", path);
    int rc = fsync(fd);
    int errnum = errno;
    close(fd);
    return rc == 0 ? MR_OK : mr_fail_errno(ret_error, errnum, "bus folder %s: cannot be made durable", path);
}

static mr_err folder_of(const char *path, char **ret_folder, mr_error *ret_error)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash == path ? 1 : (size_t)(slash - path);
    char *folder = slash == NULL ? strdup(".") : strndup(path, size);
    if (folder == NULL)
        return mr_fail(ret_error, MR_ENOMEM, "%s: memory is short", path);
    *ret_folder = folder;
    return MR_OK;
}

static mr_err ensure_folder(const char *folder, mr_error *ret_error)
{
    char *parent;
    if (mkdir(folder, 0700) != 0)
        return errno == EEXIST
                   ? MR_OK
                   : mr_fail_errno(ret_error, errno, "bus folder %s: cannot be made, check bus.dir", folder);
    mr_err err = folder_of(folder, &parent, ret_error);
    if (err != MR_OK)
        return err;
    err = sync_folder(parent, ret_error);
    free(parent);
    return err;
}

static mr_err read_meta(embedded_db *db, const char *name, char **ret_value, mr_error *ret_error)
{
    sqlite3_stmt *select = NULL;
    bool found = false;
    char *value = NULL;
    mr_err err = embedded_db_prepare(db, "SELECT value FROM meta WHERE name=?", &select, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_text(select, 1, name, -1, SQLITE_STATIC);
    err = embedded_db_next(db, select, &found, "cannot be read", ret_error);
    if (err == MR_OK) {
        const char *text = found ? (const char *)sqlite3_column_text(select, 0) : NULL;
        value = strdup(text != NULL ? text : "");
        if (value == NULL)
            err = mr_fail(ret_error, MR_ENOMEM, "bus file %s: memory is short", db->path);
    }
    (void)sqlite3_finalize(select);
    if (err == MR_OK)
        *ret_value = value;
    return err;
}

static mr_err check_owner(embedded_bus *bus, const char *tenant_uid, mr_error *ret_error)
{
    embedded_db *db = &bus->db;
    char *format = NULL, *tenant = NULL, *uid = NULL;
    mr_err err = read_meta(db, "format", &format, ret_error);
    if (err == MR_OK)
        err = read_meta(db, "tenant", &tenant, ret_error);
    if (err == MR_OK)
        err = read_meta(db, "tenant_uid", &uid, ret_error);
    if (err == MR_OK && strtol(format, NULL, 10) != FORMAT)
        err = mr_fail(ret_error, MR_EREFUSED, "bus file %s: its format is %.20s, this version reads %d",
                      bus->path, format, FORMAT);
    else if (err == MR_OK &&
             (strcmp(tenant, bus->tenant) != 0 || (tenant_uid != NULL && strcmp(uid, tenant_uid) != 0)))
        err = mr_fail(
            ret_error, MR_EREFUSED,
            "bus file %s: it belongs to tenant %.63s with uid %.64s, not to %s with uid %.64s; a tenant that "
            "was deleted and made again needs its former file moved away",
            bus->path, tenant, uid, bus->tenant, tenant_uid == NULL ? uid : tenant_uid);
    free(format);
    free(tenant);
    free(uid);
    return err;
}

static mr_err insert_meta(embedded_db *db, const char *tenant, const char *tenant_uid, mr_error *ret_error)
{
    sqlite3_stmt *insert = NULL;
    mr_err err =
        embedded_db_prepare(db,
                            "INSERT INTO meta VALUES ('format', ?), ('tenant', ?), ('tenant_uid', ?),"
                            " ('bus_id', lower(hex(randomblob(16))))",
                            &insert, ret_error);
    if (err != MR_OK)
        return err;
    (void)sqlite3_bind_int(insert, 1, FORMAT);
    (void)sqlite3_bind_text(insert, 2, tenant, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(insert, 3, tenant_uid, -1, SQLITE_STATIC);
    err = embedded_db_run(db, insert, "cannot be written", ret_error);
    (void)sqlite3_finalize(insert);
    return err;
}

/* WAL comes last: until then all is in the file itself, and no log needs to be renamed with it. */
static mr_err create_tables(embedded_db *db, const char *tenant, const char *tenant_uid, mr_error *ret_error)
{
    mr_err err = embedded_db_execute(db, file_settings, "cannot be set up", ret_error);
    if (err == MR_OK)
        err = embedded_db_begin(db, ret_error);
    if (err == MR_OK)
        err = embedded_db_execute(db, tables, "cannot be set up", ret_error);
    if (err == MR_OK)
        err = insert_meta(db, tenant, tenant_uid, ret_error);
    if (err == MR_OK)
        err = embedded_db_commit(db, ret_error);
    if (err == MR_OK)
        err = embedded_db_execute(db, "PRAGMA journal_mode=WAL", "cannot be set up", ret_error);
    return err;
}

static mr_err has_tables(embedded_db *db, bool *ret_has, mr_error *ret_error)
{
    sqlite3_stmt *select = NULL;
    mr_err err = embedded_db_prepare(db, "SELECT 1 FROM sqlite_schema WHERE name='meta'", &select, ret_error);
    if (err == MR_OK)
        err = embedded_db_next(db, select, ret_has, "cannot be read", ret_error);
    (void)sqlite3_finalize(select);
    return err;
}

/* Takes no lock that a frozen process could hold, and makes nothing. */
static mr_err open_existing(embedded_bus *bus, const char *tenant_uid, mr_error *ret_error)
{
    bool has = false;
    if (access(bus->path, F_OK) != 0)
        return mr_fail_errno(ret_error, errno, "bus file %s", bus->path);
    mr_err err = embedded_db_open(&bus->db, bus->path, bus->lock_timeout_ms, CONTROL_CACHE_KIB, ret_error);
    if (err == MR_OK)
        err = has_tables(&bus->db, &has, ret_error);
    if (err == MR_OK && !has)
        err = mr_fail(ret_error, MR_ENOTFOUND, "bus file %s: nothing was written to it yet", bus->path);
    if (err == MR_OK)
        err = check_owner(bus, tenant_uid, ret_error);
    free(bus->id); /* of a look that found no file yet */
    bus->id = NULL;
    return err == MR_OK ? read_meta(&bus->db, "bus_id", &bus->id, ret_error) : err;
}

/* Opened here and not by SQLite for its mode. */
static mr_err make_aside(const embedded_bus *bus, const char *path, const char *tenant_uid,
                         mr_error *ret_error)
{
    embedded_db db = {0};
    (void)unlink(path); /* of one that was killed, and had our pid */
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return mr_fail_errno(ret_error, errno, "bus file %s: cannot be made", path);
    close(fd);
    mr_err err = embedded_db_open(&db, path, bus->lock_timeout_ms, CONTROL_CACHE_KIB, ret_error);
    if (err == MR_OK)
        err = create_tables(&db, bus->tenant, tenant_uid, ret_error);
    embedded_db_close(&db);
    return err;
}

static mr_err make_file(const embedded_bus *bus, const char *folder, const char *tenant_uid,
                        mr_error *ret_error)
{
    char *aside;
    if (asprintf(&aside, "%s.new-%d", bus->path, (int)getpid()) < 0)
        return mr_fail(ret_error, MR_ENOMEM, "%s: memory is short", bus->path);
    mr_err err = make_aside(bus, aside, tenant_uid, ret_error);
    MR_FAULT("bus_file_made");
    if (err == MR_OK && renameat2(AT_FDCWD, aside, AT_FDCWD, bus->path, RENAME_NOREPLACE) != 0 &&
        errno != EEXIST)
        err = mr_fail_errno(ret_error, errno, "bus file %s: cannot be made", bus->path);
    if (err == MR_OK)
        err = sync_folder(folder, ret_error);
    (void)unlink(aside); /* where it was not renamed */
    free(aside);
    return err;
}

mr_err embedded_layout_open(embedded_bus *bus, const char *tenant_uid, mr_error *ret_error)
{
    char *folder = NULL;
    mr_err err = open_existing(bus, tenant_uid, ret_error);
    if (err != MR_ENOTFOUND || tenant_uid == NULL)
        return err;
    embedded_db_close(&bus->db);
    err = folder_of(bus->path, &folder, ret_error);
    if (err == MR_OK)
        err = ensure_folder(folder, ret_error);
    if (err == MR_OK)
        err = make_file(bus, folder, tenant_uid, ret_error);
    free(folder);
    return err == MR_OK ? open_existing(bus, tenant_uid, ret_error) : err;
}
