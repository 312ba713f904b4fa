#include "cli/client.h"
#include "cli/table.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ANSWER_BYTES = 256 * 1024 * 1024, RETRY_MS = 200, PATIENCE_MS = 60 * 1000, KEY_BYTES = 16 };

struct client {
    CURL *curl;
    char *url;
    char identity[180]; /* the header that says who asks */
    char problem[1200];
    char curl_problem[CURL_ERROR_SIZE];
};

/* One answer as it comes. */
typedef struct http_exchange {
    client *client;
    const http_request *request;
    char *body;
    size_t size;
    bool terminal;
    int percent; /* shown */
} http_exchange;

/* user@host, for the audit trail: what this machine calls them. */
static void identify(char *header, size_t size)
{
    char host[65] = "", user[64];
    const struct passwd *entry = getpwuid(geteuid());
    if (entry != NULL)
        snprintf(user, sizeof user, "%s", entry->pw_name);
    else
        snprintf(user, sizeof user, "uid-%lu", (unsigned long)geteuid());
    (void)gethostname(host, sizeof host - 1);
    snprintf(header, size, "Millrace-User: %s@%s", user, host);
    for (char *c = header; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

client *client_open(const char *url)
{
    client *self = calloc(1, sizeof *self);
    if (self == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return NULL;
    self->curl = curl_easy_init();
    self->url = strdup(url);
    if (self->curl == NULL || self->url == NULL) {
        client_close(&self);
        return NULL;
    }
    identify(self->identity, sizeof self->identity);
    const size_t size = strlen(self->url);
    if (size > 0 && self->url[size - 1] == '/')
        self->url[size - 1] = '\0';
    return self;
}

void client_close(client **handle)
{
    client *self = *handle;
    *handle = NULL;
    if (self == NULL)
        return;
    curl_easy_cleanup(self->curl);
    curl_global_cleanup();
    free(self->url);
    free(self);
}

const char *client_url(const client *self)
{
    return self->url;
}

const char *client_problem(const client *self)
{
    return self->problem;
}

curl_mime *client_form(client *self)
{
    return curl_mime_init(self->curl);
}

/* --- paths --- */

static void append(char **text, const char *more, size_t size)
{
    const size_t length = *text == NULL ? 0 : strlen(*text);
    char *longer = realloc(*text, length + size + 1);
    if (longer == NULL)
        abort();
    memcpy(longer + length, more, size);
    longer[length + size] = '\0';
    *text = longer;
}

static void append_escaped(char **text, const char *value)
{
    char *escaped = curl_easy_escape(NULL, value, 0);
    if (escaped == NULL)
        abort();
    append(text, escaped, strlen(escaped));
    curl_free(escaped);
}

char *client_path(const char *format, ...)
{
    char *path = NULL;
    va_list args;
    va_start(args, format);
    for (const char *hole; (hole = strstr(format, "%s")) != NULL; format = hole + 2) {
        append(&path, format, (size_t)(hole - format));
        append_escaped(&path, va_arg(args, const char *));
    }
    va_end(args);
    append(&path, format, strlen(format));
    return path;
}

char *client_query(char *path, const char *name, const char *value)
{
    if (value == NULL)
        return path;
    append(&path, strchr(path, '?') == NULL ? "?" : "&", 1);
    append(&path, name, strlen(name));
    append(&path, "=", 1);
    append_escaped(&path, value);
    return path;
}

/* --- one exchange --- */

static size_t on_body(char *data, size_t one, size_t size, void *arg)
{
    (void)one;
    http_exchange *self = arg;
    long status = 0;
    curl_easy_getinfo(self->client->curl, CURLINFO_RESPONSE_CODE, &status);
    if (self->request->take != NULL && status < 300)
        return self->request->take(self->request->arg, data, size) ? size : 0;
    if (self->size + size > MAX_ANSWER_BYTES)
        return 0;
    char *longer = realloc(self->body, self->size + size);
    if (longer == NULL)
        return 0;
    memcpy(longer + self->size, data, size);
    self->body = longer;
    self->size += size;
    return size;
}

static int on_progress(void *arg, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    (void)down_total;
    (void)down;
    http_exchange *self = arg;
    const int percent = up_total > 0 ? (int)(up * 100 / up_total) : -1;
    if (percent == self->percent)
        return 0;
    self->percent = percent;
    fprintf(stderr, "\r%s: %3d %% of %.1f MiB ", self->request->progress, percent,
            (double)up_total / (1024 * 1024));
    return 0;
}

static void random_key(char key[2 * KEY_BYTES + 1])
{
    unsigned char bytes[KEY_BYTES];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        abort();
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(key + 2 * i, 3, "%02x", bytes[i]);
}

static void set_up(client *self, const http_request *request, const char *url, struct curl_slist *headers,
                   const char *body, curl_mime *form, http_exchange *exchange)
{
    CURL *curl = self->curl;
    curl_easy_reset(curl);
    self->curl_problem[0] = '\0';
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, self->curl_problem);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    /* A large file is sent once the coordinator has said that it takes it: else its refusal might not be
     * read. */
    curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, 10000L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* a coordinator is near: no proxy of the environment */
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    if (form != NULL)
        curl_easy_setopt(curl, CURLOPT_MIMEPOST, form);
    else if (body != NULL || strcmp(request->method, "POST") == 0)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body == NULL ? "" : body);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (exchange->terminal) {
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, exchange);
    }
}

static CURLcode exchange_once(client *self, const http_request *request, const char *key, const char *body,
                              http_exchange *exchange)
{
    char header[80];
    char *url = NULL;
    append(&url, self->url, strlen(self->url));
    append(&url, request->path, strlen(request->path));
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
    headers = curl_slist_append(headers, self->identity);
    if (body != NULL)
        headers = curl_slist_append(headers, "Content-Type: application/json");
    if (request->keyed) {
        snprintf(header, sizeof header, "Idempotency-Key: %s", key);
        headers = curl_slist_append(headers, header);
    }
    curl_mime *form = request->form == NULL ? NULL : request->form(self, request->form_arg);
    set_up(self, request, url, headers, body, form, exchange);
    const CURLcode code = curl_easy_perform(self->curl);
    curl_mime_free(form);
    if (exchange->terminal)
        fputs("\r\033[K", stderr);
    curl_slist_free_all(headers);
    free(url);
    return code;
}

/* --- what came of it --- */

static int exit_code_of(long status)
{
    return status < 300    ? EXIT_DONE
           : status == 404 ? EXIT_NOT_FOUND
           : status == 409 ? EXIT_REFUSED
                           : EXIT_FAILED;
}

static int judge(client *self, const http_exchange *exchange, json_t **ret_body)
{
    long status = 0;
    curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status);
    json_t *body =
        exchange->size == 0 ? NULL : json_loadb(exchange->body, exchange->size, JSON_DECODE_ANY, NULL);
    const int code = exit_code_of(status);
    if (code == EXIT_DONE) {
        *ret_body = body;
        return EXIT_DONE;
    }
    const char *message = json_string_value(json_object_get(body, "message"));
    char *safe = message != NULL ? text_safe(message) : NULL; /* it may quote what a tenant wrote */
    if (safe != NULL)
        snprintf(self->problem, sizeof self->problem, "%s", safe);
    else
        snprintf(self->problem, sizeof self->problem,
                 "%s answered with HTTP status %ld; is it a coordinator?", self->url, status);
    free(safe);
    json_decref(body);
    return code;
}

static bool never_connected(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
           code == CURLE_OPERATION_TIMEDOUT;
}

static bool connection_broke(CURLcode code)
{
    return code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR ||
           code == CURLE_PARTIAL_FILE;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether to send it again. A request without effect may be sent again, one with a key as well. */
static bool again(const http_request *request, CURLcode code, bool *connected, int64_t deadline)
{
    *connected = *connected || connection_broke(code);
    const bool safe = request->keyed || (strcmp(request->method, "GET") == 0 && request->take == NULL);
    const bool away = connection_broke(code) || (never_connected(code) && (*connected || request->patient));
    return safe && away && now_ms() < deadline;
}

int client_send(client *self, const http_request *request, json_t **ret_body)
{
    char key[2 * KEY_BYTES + 1];
    random_key(key);
    char *body = request->json == NULL ? NULL : json_dumps(request->json, JSON_COMPACT);
    http_exchange exchange = {.client = self, .request = request, .percent = -1};
    exchange.terminal = request->progress != NULL && isatty(STDERR_FILENO);
    const int64_t deadline = now_ms() + PATIENCE_MS;
    bool connected = false;
    CURLcode code;
    while ((code = exchange_once(self, request, key, body, &exchange)) != CURLE_OK &&
           again(request, code, &connected, deadline)) {
        exchange.size = 0;
        usleep(RETRY_MS * 1000);
    }
    int result = EXIT_UNREACHABLE;
    *ret_body = NULL;
    if (code == CURLE_OK)
        result = judge(self, &exchange, ret_body);
    else if (request->take != NULL && !never_connected(code)) {
        result = EXIT_FAILED;
        snprintf(self->problem, sizeof self->problem, "the answer broke off");
    } else
        snprintf(self->problem, sizeof self->problem,
                 "cannot reach the coordinator at %s: %s (--coordinator URL or MILLRACE_COORDINATOR names "
                 "another)",
                 self->url, self->curl_problem[0] != '\0' ? self->curl_problem : curl_easy_strerror(code));
    free(exchange.body);
    free(body);
    return result;
}
