/* client.h - HTTP to the coordinator. One request at a time. */
#ifndef MR_CLI_CLIENT_H
#define MR_CLI_CLIENT_H

#include <curl/curl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit codes of commands. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_REFUSED = 4,
    EXIT_UNREACHABLE = 5
};

typedef struct client client;

/* `url` is "http://127.0.0.1:8083"; a slash at its end is dropped. NULL when memory is short. */
client *client_open(const char *url);
void client_close(client **client);
const char *client_url(const client *client);

typedef struct http_request {
    const char *method;
    const char *path; /* of client_path; owned by the caller */
    json_t *json;     /* body, borrowed, or NULL */
    /* The body as a form, or NULL. Called for each try, since a form that was sent in part cannot be sent
     * again. */
    curl_mime *(*form)(client *http, void *form_arg);
    void *form_arg;
    bool keyed; /* changes something: carries an Idempotency-Key and is sent again when the connection breaks
                 */
    bool patient; /* waits for a coordinator that is away at the moment, too */
    /* Optional: takes the body of a good answer as it comes; false ends the request. */
    bool (*take)(void *arg, const char *data, size_t size);
    void *arg;
    const char *progress; /* title of a progress line for the bytes that are sent, or NULL */
} http_request;

/* Sends it. 0: *ret_body is the answer's JSON (NULL when taken or empty); the caller owns it. Else an exit
 * code, and client_problem() tells what happened. */
int client_send(client *client, const http_request *request, json_t **ret_body);
const char *client_problem(const client *client);

/* "/tenants/%s/runs": each %s is one argument, escaped. The caller frees. */
char *client_path(const char *format, ...);
/* Adds "?name=value" or "&name=value", escaped; nothing when value is NULL. Takes and returns the path. */
char *client_query(char *path, const char *name, const char *value);
curl_mime *client_form(client *client);

#endif
