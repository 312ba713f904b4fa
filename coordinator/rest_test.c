/* rest_test.c - the API over real sockets: the server's loop in a thread, the requests from here. */
#include "coordinator/rest.h"
#include "coordinator/rest_fake_service.h"

#include <archive.h>
#include <archive_entry.h>
#include <arpa/inet.h>
#include <curl/curl.h>
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct {
    char folder[64], task[80];
    uv_loop_t loop;
    uv_async_t stop;
    mr_service *service;
    mr_rest_config config;
    mr_rest *rest;
    pthread_t thread;
} server;

static char body[2 * 1024 * 1024];
static size_t body_size;
static char allowed[100];

/* --- the server --- */

static void on_stop(uv_async_t *handle)
{
    mr_rest_close(&server.rest);
    uv_close((uv_handle_t *)handle, NULL);
}

static void *run_loop(void *arg)
{
    (void)arg;
    uv_run(&server.loop, UV_RUN_DEFAULT);
    return NULL;
}

/* Stands for millrace-task --inspect: what it does is said in its configuration. */
static const char task_script[] =
    "#!/bin/sh\n"
    "case $(cat $4) in\n"
    "*sql=bad*) echo '{\"error\":\"no such table\"}'; exit 1;;\n"
    "*sql=late-error*) printf '{\"columns\":[\"n\"]}\\n[1]\\n{\"error\":\"midway\"}\\n'; exit 1;;\n"
    "*sql=dies*) printf '{\"columns\":[\"n\"]}\\n[1]\\n'; kill -9 $$;;\n"
    "*sql=silent*) exit 1;;\n"
    "*sql=sleeps*) echo $$ >$(dirname $0)/pid; exec sleep 60;;\n"
    "*sql=many*) echo '{\"columns\":[\"n\"]}'; seq -f '[%.0f]' 100000; echo '{\"rows\":100000}';;\n"
    "*sql=*) printf '{\"columns\":[\"n\"]}\\n[1]\\n{\"rows\":1}\\n';;\n"
    "*from=9*) ;;\n"
    "*) printf '{\"offset\":3,\"reason\":\"a\"}\\n{\"offset\":4}\\n';;\n"
    "esac\n";

static void write_file(const char *name, const char *text, mode_t mode)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", server.folder, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    chmod(path, mode);
}

static int start(void **state)
{
    (void)state;
    char path[200];
    strcpy(server.folder, "/tmp/millrace-rest-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    snprintf(path, sizeof path, "%s/incoming", server.folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/programs", server.folder);
    mkdir(path, 0700);
    write_file("log", "it ran\n", 0600);
    write_file("task", task_script, 0700);
    snprintf(server.task, sizeof server.task, "%s/task", server.folder);
    uv_loop_init(&server.loop);
    uv_async_init(&server.loop, &server.stop, on_stop);
    server.service = fake_service_open(server.folder);
    server.config = (mr_rest_config){
        .listen = "127.0.0.1:0", .task_binary = server.task, .connections = {100, 10000, 60000, 30000}};
    mr_error error;
    assert_int_equal(mr_rest_open(&server.loop, &server.config, server.service, &server.rest, &error), MR_OK);
    return pthread_create(&server.thread, NULL, run_loop, NULL);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int stop(void **state)
{
    (void)state;
    uv_async_send(&server.stop);
    pthread_join(server.thread, NULL);
    assert_int_equal(uv_loop_close(&server.loop), 0);
    mr_service_close(&server.service);
    return nftw(server.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static size_t files_in(const char *name)
{
    char path[200];
    size_t count = 0;
    snprintf(path, sizeof path, "%s/%s", server.folder, name);
    DIR *folder = opendir(path);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

/* --- requests --- */

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    (void)one;
    (void)arg;
    if (body_size + size >= sizeof body)
        return 0;
    memcpy(body + body_size, data, size);
    body_size += size;
    body[body_size] = '\0';
    return size;
}

static size_t on_header(char *data, size_t one, size_t size, void *arg)
{
    (void)one;
    (void)arg;
    if (size < sizeof allowed && strncasecmp(data, "Allow: ", 7) == 0)
        snprintf(allowed, sizeof allowed, "%.*s", (int)(size - 9), data + 7);
    return size;
}

typedef struct sent {
    const char *method, *path;
    const char *header; /* one more, or NULL */
    const char *data;   /* body, or NULL */
    size_t size;        /* 0: strlen */
    bool chunked;
    bool asks_first; /* Expect: 100-continue */
} sent;

typedef struct part {
    const char *field, *filename, *data;
    size_t size;
} part;

static long perform(CURL *curl, const sent *request)
{
    char url[400];
    long status = 0;
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", mr_rest_port(server.rest), request->path);
    struct curl_slist *headers =
        curl_slist_append(NULL, request->asks_first ? "Expect: 100-continue" : "Expect:");
    if (request->header != NULL)
        headers = curl_slist_append(headers, request->header);
    if (request->chunked)
        headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
    body_size = 0;
    body[0] = allowed[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 20000L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

static long send_request(sent request)
{
    CURL *curl = curl_easy_init();
    if (request.data != NULL) {
        const size_t size = request.size != 0 ? request.size : strlen(request.data);
        if (!request.chunked)
            curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)size);
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, request.data);
    }
    return perform(curl, &request);
}

#define GET(p)       send_request((sent){.method = "GET", .path = (p)})
#define POST(p, ...) send_request((sent){.method = "POST", .path = (p), __VA_ARGS__})

static long send_form(const char *method, const char *path, const char *header, const part *parts,
                      size_t count)
{
    CURL *curl = curl_easy_init();
    curl_mime *form = curl_mime_init(curl);
    for (size_t i = 0; i < count; i++) {
        curl_mimepart *one = curl_mime_addpart(form);
        curl_mime_name(one, parts[i].field);
        curl_mime_data(one, parts[i].data, parts[i].size != 0 ? parts[i].size : strlen(parts[i].data));
        if (parts[i].filename != NULL)
            curl_mime_filename(one, parts[i].filename);
    }
    curl_easy_setopt(curl, CURLOPT_MIMEPOST, form);
    const long status = perform(curl, &(sent){.method = method, .path = path, .header = header});
    curl_mime_free(form);
    return status;
}

static void expect_message(const char *text)
{
    json_t *answer = json_loads(body, 0, NULL);
    const char *message = json_string_value(json_object_get(answer, "message"));
    if (message == NULL || strstr(message, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, body);
    json_decref(answer);
}

/* --- routing --- */

static void the_root_tells_name_and_version(void **state)
{
    (void)state;
    assert_int_equal(GET("/"), 200);
    assert_string_equal(body, "{\"name\":\"millrace\",\"version\":\"" MR_VERSION "\"}\n");
}

static void unknown_paths_and_methods_are_told(void **state)
{
    (void)state;
    assert_int_equal(GET("/nothing"), 404);
    assert_string_equal(body, "{\"error_code\":404,\"message\":\"there is no /nothing\"}\n");
    assert_int_equal(POST("/tenants/client_a", .data = "x"), 405);
    assert_string_equal(allowed, "PUT, GET, DELETE");
    assert_int_equal(GET("/tenants/nobody"), 404);
    expect_message("no tenant nobody");
}

static void a_query_argument_that_is_not_known_is_refused(void **state)
{
    (void)state;
    assert_int_equal(send_request((sent){.method = "DELETE", .path = "/tenants/client_a?purg=true"}), 400);
    expect_message("did you mean \"purge\"?");
    assert_int_equal(send_request((sent){.method = "DELETE", .path = "/tenants/client_a?purge=yes"}), 400);
    assert_int_equal(send_request((sent){.method = "DELETE", .path = "/tenants/client_a?purge=true"}), 202);
    assert_int_equal(send_request((sent){.method = "DELETE", .path = "/tenants/client_a"}), 409);
    assert_int_equal(GET("/tenants/client_a/runs?limit=0"), 400);
    assert_int_equal(GET("/tenants/client_a/runs?limit=7"), 200);
    assert_string_equal(body, "[{\"limit\":7}]\n");
}

static void other_hosts_and_pages_are_kept_out(void **state)
{
    (void)state;
    assert_int_equal(send_request((sent){.method = "GET", .path = "/", .header = "Host: evil.example"}), 403);
    assert_int_equal(
        send_request((sent){.method = "GET", .path = "/", .header = "Origin: http://evil.example"}), 403);
    assert_int_equal(send_request((sent){.method = "GET", .path = "/", .header = "Host: localhost"}), 200);
}

static void an_address_in_use_or_not_loopback_is_refused(void **state)
{
    (void)state;
    char listen[40];
    mr_error error;
    mr_rest *second = NULL;
    snprintf(listen, sizeof listen, "127.0.0.1:%d", mr_rest_port(server.rest));
    const mr_rest_config taken = {.listen = listen}, open = {.listen = "0.0.0.0:0"};
    assert_int_equal(mr_rest_open(&server.loop, &taken, server.service, &second, &error), MR_EIO);
    assert_int_equal(mr_rest_open(&server.loop, &open, server.service, &second, &error), MR_EREFUSED);
}

static void a_log_is_plain_text(void **state)
{
    (void)state;
    assert_int_equal(GET("/tenants/client_a/runs/manual-1/logs"), 200);
    assert_string_equal(body, "it ran\n");
}

static void the_service_is_told_who_asks(void **state)
{
    (void)state;
    assert_int_equal(POST("/tenants/client_a/runs", .data = "", .header = "Millrace-User: ann@desk"), 202);
    assert_string_equal(fake.who, "ann@desk");
    assert_string_equal(fake.from, "127.0.0.1");
    assert_int_equal(POST("/tenants/client_a/runs", .data = ""), 202);
    assert_string_equal(fake.who, "");
    assert_int_equal(POST("/tenants/client_a/runs", .data = "", .header = "Millrace-User: a\tb"), 400);
    expect_message("header Millrace-User: at most 128 printable ASCII characters are taken");
    assert_int_equal(GET("/audit?what=upload&before=7&limit=2"), 200);
    assert_string_equal(body, "[{\"what\":\"upload\",\"id\":7,\"limit\":2}]\n");
    assert_int_equal(GET("/tenants/client_a/audit?limit=0"), 400);
}

static void what_the_service_refuses_is_a_status(void **state)
{
    (void)state;
    assert_int_equal(POST("/tenants/client_a/runs/manual-1/cancel", .data = ""), 409);
    expect_message("use run abandon");
    assert_int_equal(POST("/tenants/client_a/runs", .data = "", .header = "Idempotency-Key: k1"), 202);
    assert_string_equal(fake.last_key, "k1");
    assert_int_equal(GET("/tenants/client_a/files?ids=1,22"), 200);
    assert_string_equal(body, "[{\"upload_id\":1},{\"upload_id\":22}]\n");
    assert_int_equal(GET("/tenants/client_a/files?ids=1,,2"), 400);
}

static void times_are_read_strictly(void **state)
{
    static const char *const wrong[] = {
        "2026-02-30T00:00:00Z", "2026-03-01",           "2026-03-01T24:00:00Z",
        "2026-03-01T00:00:00",  "2026-13-01T00:00:00Z", "1969-12-31T23:59:59Z",
        "2026-03-01T00:00:60Z", "26-03-01T00:00:00Z",   "2026-03-01T00:00:00.5Z"};
    char path[200];
    (void)state;
    assert_int_equal(GET("/schedules/next?schedule=@daily&from=2026-03-01T00:00:00Z&count=3"), 200);
    assert_string_equal(
        body, "{\"schedule\":\"@daily\",\"time_zone\":\"UTC\",\"from\":1772323200000,\"count\":3}\n");
    assert_int_equal(GET("/schedules/next?schedule=@daily&from=2026-03-01T00:00Z"), 200);
    assert_int_equal(GET("/schedules/next?schedule=@daily&from=2026-03-01T00:00:00.123Z"), 200);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        snprintf(path, sizeof path, "/schedules/next?schedule=@daily&from=%s", wrong[i]);
        assert_int_equal(GET(path), 400);
        expect_message("a time in UTC is expected, as in 2026-03-01T12:00:00Z");
    }
    assert_int_equal(GET("/schedules/next"), 400);
    assert_int_equal(GET("/schedules/next?schedule=%ff"), 400);
    assert_int_equal(GET("/schedules/next?schedule=@daily&time_zone=%0a"), 400);
}

static void schedules_are_suspended_and_filled_in(void **state)
{
    (void)state;
    assert_int_equal(POST("/tenants/client_a/schedule/suspend", .data = "", .header = "Idempotency-Key: s1"),
                     200);
    assert_string_equal(body, "{\"tenant\":\"client_a\",\"suspended\":true}\n");
    assert_string_equal(fake.last_key, "s1");
    assert_int_equal(POST("/tenants/client_a/schedule/resume", .data = ""), 200);
    assert_string_equal(body, "{\"tenant\":\"client_a\",\"suspended\":false}\n");
    assert_int_equal(POST("/tenants/client_a/schedule/backfill", .data = ""), 400);
    const char *span =
        "/tenants/client_a/schedule/backfill?from=2026-03-01T00:00:00Z&to=2026-03-01T01:00:00Z";
    char dry[200];
    assert_int_equal(POST(span, .data = ""), 202);
    assert_string_equal(body, "{\"from\":1772323200000,\"to\":1772326800000,\"dry_run\":false}\n");
    snprintf(dry, sizeof dry, "%s&dry_run=true", span);
    assert_int_equal(POST(dry, .data = ""), 200);
}

static void arguments_that_can_mean_nothing_are_refused(void **state)
{
    (void)state;
    assert_int_equal(GET("/tenants/client_a/files?state=reddy"), 400);
    expect_message("ready, claimed, done, failed or abandoned is expected, not \"reddy\"");
    assert_int_equal(GET("/ledger?dataset="), 400);
    assert_int_equal(GET("/tenants/client_a/ledger?dataset=a%20b"), 400);
    expect_message("\"a b\" is not a name of a dataset");
    assert_int_equal(POST("/tenants/client_a/runs", .data = "", .header = "Idempotency-Key: k\xc3\xa9"), 400);
    assert_int_equal(POST("/tenants/client_a/runs", .data = "", .header = "Idempotency-Key: a b"), 400);
    expect_message("without blanks");
}

/* --- uploads --- */

static void a_file_in_a_form_is_stored(void **state)
{
    (void)state;
    assert_int_equal(send_form("POST", "/upload-file/client_a", "Idempotency-Key: k",
                               &(part){"any", "rows.csv", "abc", 0}, 1),
                     201);
    assert_string_equal(fake.last_file, "rows.csv");
    assert_string_equal(fake.last_sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(fake.last_key, "k");
    json_t *answer = json_loads(body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(answer, "file")), "rows.csv");
    assert_int_equal(json_integer_value(json_object_get(answer, "size_bytes")), 3);
    assert_int_equal(json_integer_value(json_object_get(answer, "upload")), 1);
    json_decref(answer);
    assert_int_equal(files_in("incoming"), 0);
    assert_int_equal(send_form("POST", "/upload-file/client_a?name=other.csv", NULL,
                               &(part){"any", "rows.csv", "abc", 0}, 1),
                     201);
    assert_string_equal(fake.last_file, "other.csv");
}

static void an_empty_file_is_a_file(void **state)
{
    (void)state;
    static const char form[] =
        "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"e.csv\"\r\n\r\n\r\n--xyz--\r\n";
    const long status = POST("/upload-file/client_a", .data = form,
                             .header = "Content-Type: multipart/form-data; boundary=xyz");
    assert_int_equal(status, 201);
    assert_int_equal(fake.last_size, 0);
    assert_string_equal(fake.last_file, "e.csv");
}

static void a_body_with_a_name_is_a_file(void **state)
{
    (void)state;
    assert_int_equal(
        POST("/upload-file/client_a?name=raw.csv", .data = "a,b\n", .header = "Content-Type: text/csv"), 201);
    assert_string_equal(fake.last_file, "raw.csv");
    assert_int_equal(fake.last_size, 4);
    assert_int_equal(POST("/upload-file/client_a", .data = "a,b\n", .header = "Content-Type: text/csv"), 400);
}

static void a_repeated_upload_answers_the_first(void **state)
{
    (void)state;
    assert_int_equal(send_form("POST", "/upload-file/client_a", "Idempotency-Key: known",
                               &(part){"f", "rows.csv", "abc", 0}, 1),
                     201);
    assert_non_null(strstr(body, "first.csv"));
    assert_int_equal(fake.finished, 0);
}

static void a_file_beyond_the_limit_is_413_with_and_without_length(void **state)
{
    (void)state;
    const size_t size = 1024 * 1024 + 1;
    char *data = malloc(size + 1);
    memset(data, 'x', size);
    data[size] = '\0';
    const char *path = "/upload-file/client_a?name=big.csv";
    assert_int_equal(POST(path, .data = data, .size = size, .header = "Content-Type: text/csv"), 413);
    expect_message("dataset rows allows: 1 MiB");
    assert_int_equal(POST(path, .data = data, .chunked = true, .header = "Content-Type: text/csv"), 413);
    data[size - 1] = '\0';
    assert_int_equal(POST(path, .data = data, .size = size - 1, .header = "Content-Type: text/csv"), 201);
    assert_int_equal(files_in("incoming"), 0);
    free(data);
}

static void a_length_beyond_every_limit_is_413_at_once(void **state)
{
    (void)state;
    const size_t size = 1500 * 1024;
    char *data = calloc(1, size);
    /* Who sends the body without asking may find the connection reset before it reads the answer. */
    assert_int_equal(
        POST("/upload-file/client_a?name=big.csv", .data = data, .size = size, .asks_first = true), 413);
    assert_int_equal(fake.begun, 0);
    free(data);
}

static void forms_that_hold_no_or_two_files_are_refused(void **state)
{
    (void)state;
    const part two[] = {{"a", "1.csv", "abc", 0}, {"b", "2.csv", "abc", 0}};
    assert_int_equal(send_form("POST", "/upload-file/client_a", NULL, two, 2), 400);
    expect_message("more than one file");
    assert_int_equal(send_form("POST", "/upload-file/client_a", NULL, &(part){"dataset", NULL, "x", 0}, 1),
                     400);
    expect_message("is not a file");
    assert_int_equal(send_form("POST", "/upload-file/client_a", NULL, &(part){"f", "a/b", "x", 0}, 1), 400);
    assert_int_equal(POST("/upload-file/client_a", .data = "--xyz--\r\n",
                          .header = "Content-Type: multipart/form-data; boundary=xyz"),
                     400);
    assert_int_equal(
        POST("/upload-file/client_a", .data = "x", .header = "Content-Type: multipart/form-data"), 400);
    assert_int_equal(POST("/upload-file/nobody?name=x", .data = "x"), 404);
    assert_int_equal(fake.finished, 0);
    assert_int_equal(files_in("incoming"), 0);
}

static void a_name_with_a_nul_is_refused(void **state)
{
    (void)state;
    static const char form[] =
        "--xyz\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a\0b.csv\"\r\n\r\nx\r\n--xyz--\r\n";
    assert_int_equal(POST("/upload-file/client_a", .data = form, .size = sizeof form - 1,
                          .header = "Content-Type: multipart/form-data; boundary=xyz"),
                     400);
    expect_message("holds a NUL");
}

static int connect_to_server(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)mr_rest_port(server.rest)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void a_cut_connection_leaves_no_file(void **state)
{
    (void)state;
    const int fd = connect_to_server();
    static const char start_of_it[] = "POST /upload-file/client_a?name=cut.csv HTTP/1.1\r\nHost: "
                                      "localhost\r\nContent-Length: 100\r\n\r\nabc";
    assert_int_equal(write(fd, start_of_it, sizeof start_of_it - 1), sizeof start_of_it - 1);
    for (int i = 0; i < 1000 && files_in("incoming") == 0; i++)
        usleep(5000);
    assert_int_equal(files_in("incoming"), 1);
    close(fd);
    for (int i = 0; i < 1000 && files_in("incoming") > 0; i++)
        usleep(5000);
    assert_int_equal(files_in("incoming"), 0);
    assert_int_equal(fake.finished, 0);
}

/* --- apply --- */

#define AGREEMENT "{\"client\":\"client_a\",\"schedule\":\"0 * * * *\"}"
#define DATASET                                                                                              \
    "{\"name\":\"rows\",\"file_type\":\"csv\",\"key_space\":\"k\",\"primary_key\":[\"id\"],"                 \
    "\"csv.first.row.as.header\":\"true\","                                                                  \
    "\"schema\":{\"type\":\"record\",\"name\":\"t\",\"fields\":[{\"name\":\"id\",\"type\":\"int\"}]}}"

static const part documents[] = {{"agreement", "agreement.json", AGREEMENT, 0},
                                 {"dataset", "dataset.json", DATASET, 0}};

static void a_tenant_is_applied_from_a_form(void **state)
{
    (void)state;
    assert_int_equal(send_form("PUT", "/tenants/client_a", "Idempotency-Key: a1", documents, 2), 200);
    assert_int_equal(fake.applied, 1);
    assert_false(fake.last_has_program);
    assert_string_equal(fake.last_key, "a1");
    assert_string_equal(body, "{\"tenant\":\"client_a\",\"warnings\":1}\n");
}

static void a_dry_run_only_checks(void **state)
{
    (void)state;
    assert_int_equal(send_form("PUT", "/tenants/client_a?dry_run=true", NULL, documents, 2), 200);
    assert_int_equal(fake.applied, 0);
    assert_int_equal(fake.checked, 1);
    assert_non_null(strstr(body, "\"valid\":true"));
    assert_non_null(strstr(body, "csv.first.row.as.header"));
}

static void strict_refuses_what_would_warn(void **state)
{
    (void)state;
    assert_int_equal(send_form("PUT", "/tenants/client_a?strict=true", NULL, documents, 2), 400);
    expect_message("dataset.json: field \"csv.first.row.as.header\"");
}

static void forms_that_are_no_tenant_are_refused(void **state)
{
    (void)state;
    assert_int_equal(send_form("PUT", "/tenants/client_a", NULL, documents, 1), 400);
    expect_message("a dataset is missing");
    assert_int_equal(send_form("PUT", "/tenants/client_a", NULL, documents + 1, 1), 400);
    expect_message("no agreement");
    assert_int_equal(send_form("PUT", "/tenants/client_b", NULL, documents, 2), 400);
    expect_message("the tenant is \"client_b\"");
    assert_int_equal(send_form("PUT", "/tenants/Client", NULL, documents, 2), 400);
    expect_message("is not a tenant id");
    assert_int_equal(send_form("PUT", "/tenants/client_a", NULL, &(part){"datasets", NULL, "{}", 0}, 1), 400);
    expect_message("form field \"datasets\" is not known");
    assert_int_equal(send_request((sent){.method = "PUT", .path = "/tenants/client_a", .data = "{}"}), 400);
    assert_int_equal(fake.applied, 0);
}

static void documents_beyond_the_bound_are_413(void **state)
{
    (void)state;
    const size_t size = 1024 * 1024 + 1;
    char *data = malloc(size);
    memset(data, ' ', size);
    const part parts[] = {{"agreement", "agreement.json", data, size}};
    assert_int_equal(send_form("PUT", "/tenants/client_a", NULL, parts, 1), 413);
    free(data);
}

static size_t program_with(const char *name, char *tar, size_t capacity)
{
    size_t size = 0;
    struct archive *archive = archive_write_new();
    archive_write_set_format_ustar(archive);
    archive_write_open_memory(archive, tar, capacity, &size);
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0755);
    archive_entry_set_size(entry, 2);
    archive_write_header(archive, entry);
    archive_write_data(archive, "x\n", 2);
    archive_entry_free(entry);
    archive_write_close(archive);
    archive_write_free(archive);
    return size;
}

static void a_program_is_stored_with_the_tenant(void **state)
{
    (void)state;
    char tar[20480];
    const part parts[] = {
        documents[0], documents[1], {"program", "p.tar", tar, program_with("run", tar, sizeof tar)}};
    assert_int_equal(send_form("PUT", "/tenants/client_a", NULL, parts, 3), 200);
    assert_true(fake.last_has_program);
    assert_int_equal(files_in("programs"), 1);
    assert_int_equal(files_in("incoming"), 0);
}

static void a_bad_program_refuses_the_tenant(void **state)
{
    (void)state;
    char tar[20480];
    const part parts[] = {
        documents[0], documents[1], {"program", "p.tar", tar, program_with("../run", tar, sizeof tar)}};
    assert_int_equal(send_form("PUT", "/tenants/client_a", NULL, parts, 3), 400);
    expect_message("leads out of the program folder");
    assert_int_equal(fake.applied, 0);
    assert_int_equal(files_in("programs"), 0);
}

/* --- query and rejects --- */

static void rows_of_a_query_are_streamed(void **state)
{
    (void)state;
    assert_int_equal(POST("/tenants/client_a/query", .data = "{\"sql\":\"select\"}"), 200);
    assert_string_equal(body, "{\"columns\":[\"n\"]}\n[1]\n{\"rows\":1}\n");
    assert_int_equal(POST("/tenants/client_a/query", .data = "{\"sql\":\"many\"}"), 200);
    static const char last[] = "[100000]\n{\"rows\":100000}\n";
    assert_string_equal(body + body_size - (sizeof last - 1), last);
}

static void a_query_that_cannot_be_run_is_400(void **state)
{
    (void)state;
    assert_int_equal(POST("/tenants/client_a/query", .data = "{\"sql\":\"bad\"}"), 400);
    expect_message("no such table");
    assert_int_equal(POST("/tenants/client_a/query", .data = "{\"sq\":1}"), 400);
    assert_int_equal(POST("/tenants/client_a/query", .data = "{"), 400);
    assert_int_equal(POST("/tenants/nobody/query", .data = "{\"sql\":\"x\"}"), 404);
    assert_int_equal(POST("/tenants/client_a/query", .data = "{\"sql\":\"silent\"}"), 500);
}

static void a_query_that_fails_midway_says_so_in_its_last_line(void **state)
{
    (void)state;
    assert_int_equal(POST("/tenants/client_a/query", .data = "{\"sql\":\"late-error\"}"), 200);
    assert_non_null(strstr(body, "[1]\n{\"error\":\"midway\"}\n"));
    assert_int_equal(POST("/tenants/client_a/query", .data = "{\"sql\":\"dies\"}"), 200);
    assert_non_null(strstr(body, "[1]\n{\"error\":\"it ended without an answer"));
}

static int pid_of_task(void)
{
    char path[200], text[32] = "";
    snprintf(path, sizeof path, "%s/pid", server.folder);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    const size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    return size > 0 && text[size - 1] == '\n' ? atoi(text) : 0;
}

static void a_query_ends_with_its_client(void **state)
{
    (void)state;
    static const char request[] = "POST /tenants/client_a/query HTTP/1.1\r\nHost: localhost\r\n"
                                  "Content-Length: 16\r\n\r\n{\"sql\":\"sleeps\"}";
    const int fd = connect_to_server();
    assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
    int pid = 0;
    for (int i = 0; i < 1000 && (pid = pid_of_task()) == 0; i++)
        usleep(5000);
    assert_int_not_equal(pid, 0);
    assert_int_equal(kill(pid, 0), 0);
    close(fd);
    for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++)
        usleep(5000);
    assert_int_not_equal(kill(pid, 0), 0);
}

static void rejected_rows_are_an_array(void **state)
{
    (void)state;
    assert_int_equal(GET("/tenants/client_a/rejected"), 200);
    assert_string_equal(body, "[{\"offset\":3,\"reason\":\"a\"},{\"offset\":4}]\n");
    assert_int_equal(GET("/tenants/client_a/rejected?from=9"), 200);
    assert_string_equal(body, "[]\n");
    assert_int_equal(GET("/tenants/client_a/rejected?dataset=nothing"), 404);
}

static void one_rejected_row_is_found_by_topic_and_offset(void **state)
{
    (void)state;
    assert_int_equal(GET("/tenants/client_a/rejected/client_a.rows.rejected/3"), 200);
    assert_string_equal(body, "{\"offset\":3,\"reason\":\"a\"}\n");
    assert_int_equal(GET("/tenants/client_a/rejected/rows/2"), 404);
    assert_int_equal(GET("/tenants/client_a/rejected/client_b.rows/3"), 404);
    assert_int_equal(GET("/tenants/client_a/rejected/rows/x"), 400);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(the_root_tells_name_and_version),
        TEST(unknown_paths_and_methods_are_told),
        TEST(a_query_argument_that_is_not_known_is_refused),
        TEST(other_hosts_and_pages_are_kept_out),
        TEST(an_address_in_use_or_not_loopback_is_refused),
        TEST(a_log_is_plain_text),
        TEST(the_service_is_told_who_asks),
        TEST(what_the_service_refuses_is_a_status),
        TEST(times_are_read_strictly),
        TEST(schedules_are_suspended_and_filled_in),
        TEST(arguments_that_can_mean_nothing_are_refused),
        TEST(a_file_in_a_form_is_stored),
        TEST(an_empty_file_is_a_file),
        TEST(a_body_with_a_name_is_a_file),
        TEST(a_repeated_upload_answers_the_first),
        TEST(a_file_beyond_the_limit_is_413_with_and_without_length),
        TEST(a_length_beyond_every_limit_is_413_at_once),
        TEST(forms_that_hold_no_or_two_files_are_refused),
        TEST(a_name_with_a_nul_is_refused),
        TEST(a_cut_connection_leaves_no_file),
        TEST(a_tenant_is_applied_from_a_form),
        TEST(a_dry_run_only_checks),
        TEST(strict_refuses_what_would_warn),
        TEST(forms_that_are_no_tenant_are_refused),
        TEST(documents_beyond_the_bound_are_413),
        TEST(a_program_is_stored_with_the_tenant),
        TEST(a_bad_program_refuses_the_tenant),
        TEST(rows_of_a_query_are_streamed),
        TEST(a_query_that_cannot_be_run_is_400),
        TEST(a_query_that_fails_midway_says_so_in_its_last_line),
        TEST(a_query_ends_with_its_client),
        TEST(rejected_rows_are_an_array),
        TEST(one_rejected_row_is_found_by_topic_and_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
